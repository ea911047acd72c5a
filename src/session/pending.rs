//! Sign-ins that are under way. Anyone can begin one, so the server keeps nothing of it: what the way back needs
//! travels with the browser, encrypted, in a cookie for each sign-in.
//!
//! A cookie says nothing to the browser, and opens only here, for ten minutes, and for the same client of the same
//! issuer. That its sign-in ends once is the issuer's part, whose code is good once (RFC 6749 section 4.1.2): the
//! browser is told to drop the cookie, and a copy of it redeems no code a second time.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::client::Client;
use crate::auth::LEEWAY;
use crate::base::{Entropy, Failure, Secret, Timestamp};
use crate::crypto::{CodeHash, Sealer};

/// How long a sign-in may take, in seconds.
pub const PENDING_SECONDS: u64 = 10 * 60;

/// How many sign-ins one browser can have under way, each with a cookie of its own; of more, the oldest goes. Cookies
/// have fixed places, so that no page can have a browser hold more of them than a request's head has room for.
pub const MOST_PENDING_OF_BROWSER: usize = 5;

/// Which of a browser's cookies it is, below [`MOST_PENDING_OF_BROWSER`].
pub type CookiePlace = usize;

/// What a sealed value says of itself before anything else: what it is for, and its layout.
const PURPOSE: &[u8] = b"sign-in cookie";
const VERSION: u8 = 1;

/// A sign-in that is under way.
#[derive(Serialize, Deserialize)]
pub(super) struct Begun {
    /// Its number among those of the browser: one more than the newest had.
    pub number: u64,
    /// The hash of what the issuer gives back.
    pub state: CodeHash,
    pub nonce: String,
    /// Of PKCE (RFC 7636 section 4.1).
    pub verifier: String,
    /// A path of this origin.
    pub return_to: String,
    /// Whether the issuer was to ask again who it is.
    pub fresh: bool,
    pub begun_at: Timestamp,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.verifier.zeroize();
    }
}

impl Begun {
    fn is_live(&self, now: Timestamp) -> bool {
        now < self.begun_at.plus(PENDING_SECONDS) && self.begun_at <= now.plus(LEEWAY)
    }
}

/// A cookie opens for the client that its sign-in was begun for.
fn context(client: &Client) -> [&[u8]; 4] {
    let (issuer, id) = (client.issuer.as_bytes(), client.id.as_bytes());
    [PURPOSE, &[VERSION], issuer, id]
}

/// The value of the cookie of a sign-in.
///
/// # Errors
/// Those of the randomness.
pub(super) fn seal(
    keys: &Sealer,
    entropy: &dyn Entropy,
    client: &Client,
    begun: &Begun,
) -> Result<Secret<String>, Failure> {
    let plain = Zeroizing::new(serde_json::to_vec(begun).map_err(Failure::internal)?);
    let sealed = keys.seal(&context(client), &plain, entropy)?;
    Ok(Secret::new(BASE64URL_NOPAD.encode(&sealed)))
}

/// The sign-in whose cookie that is, unless it has taken too long.
fn open(keys: &Sealer, client: &Client, value: &str, now: Timestamp) -> Option<Begun> {
    let sealed = BASE64URL_NOPAD.decode(value.as_bytes()).ok()?;
    let plain = keys.open(&context(client), &sealed).ok()?;
    let begun: Begun = serde_json::from_slice(&plain).ok()?;
    begun.is_live(now).then_some(begun)
}

/// Finds a place for one more sign-in of the browser that shows these cookies, and its number: any free place, since
/// windows that are opened at once do not see each other's cookies, else that of the oldest.
///
/// # Errors
/// Those of the randomness.
pub(super) fn place(
    keys: &Sealer,
    entropy: &dyn Entropy,
    client: &Client,
    shown: &[(CookiePlace, &str)],
    now: Timestamp,
) -> Result<(CookiePlace, u64), Failure> {
    // Each with the number of the sign-in that is there.
    let mut places = [None; MOST_PENDING_OF_BROWSER];
    for (at, value) in shown {
        if let Some(place) = places.get_mut(*at)
            && let Some(begun) = open(keys, client, value, now)
        {
            *place = (*place).max(Some(begun.number));
        }
    }
    let newest = places.iter().flatten().max().copied();
    let number = newest.unwrap_or_default().saturating_add(1);
    // The least of them: a free one, if there is any. Of several free ones the lot decides.
    let mut lot = Vec::new();
    for (at, there) in places.into_iter().enumerate() {
        lot.push((there, entropy.below(u32::MAX)?, at));
    }
    let place = lot.into_iter().min().map_or(0, |(_, _, at)| at);
    Ok((place, number))
}

/// The sign-in that the browser which shows these cookies began with that state, and its place. All values of a name are
/// tried: which of them is ours, the value itself says.
pub(super) fn find(
    keys: &Sealer,
    client: &Client,
    shown: &[(CookiePlace, &str)],
    state: &CodeHash,
    now: Timestamp,
) -> Option<(CookiePlace, Begun)> {
    shown.iter().find_map(|(place, value)| {
        let begun = open(keys, client, value, now)?;
        (begun.state == *state).then_some((*place, begun))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::base::OsEntropy;
    use crate::crypto::KeyRing;

    const NOW: Timestamp = Timestamp::from_unix(1_795_521_600);

    fn client(issuer: &str, id: &str) -> Client {
        Client {
            issuer: issuer.to_owned(),
            id: id.to_owned(),
            secret: None,
            audience: None,
            origin: Arc::from("https://mfa.example.com"),
        }
    }

    fn ours() -> Client {
        client("https://issuer.example", "mfad-page")
    }

    fn keys() -> (KeyRing, Sealer) {
        let ring = KeyRing::draw(&OsEntropy).unwrap();
        let keys = Sealer::new(&ring).unwrap();
        (ring, keys)
    }

    fn begun(keys: &Sealer, state: &str, number: u64) -> Begun {
        Begun {
            number,
            state: keys.code_hash(&[b"state"], state),
            nonce: "n".repeat(43),
            verifier: "v".repeat(43),
            return_to: "/settings".to_owned(),
            fresh: true,
            begun_at: NOW,
        }
    }

    #[test]
    fn a_cookie_opens_here_for_its_client_and_for_ten_minutes() {
        let (mut ring, keys) = keys();
        let value = seal(&keys, &OsEntropy, &ours(), &begun(&keys, "one", 3)).unwrap();
        let value = value.expose();
        let opens = |keys: &Sealer, client: &Client, at| open(keys, client, value, at).is_some();
        let found = open(&keys, &ours(), value, NOW).unwrap();
        assert_eq!(
            (found.number, found.return_to.as_str(), found.fresh),
            (3, "/settings", true)
        );
        for (at, live) in [
            (NOW.plus(PENDING_SECONDS - 1), true),
            (NOW.plus(PENDING_SECONDS), false),
            (NOW.plus(u64::MAX), false),
            (NOW.minus(LEEWAY), true),
            (NOW.minus(LEEWAY + 1), false),
        ] {
            assert_eq!(opens(&keys, &ours(), at), live, "{at}");
        }
        for other in [
            client("https://other.example", "mfad-page"),
            client("https://issuer.example", "mfad-page2"),
            client("https://issuer.examplem", "fad-page"),
        ] {
            assert!(!opens(&keys, &other, NOW), "{other:?}");
        }
        let other_server = Sealer::new(&KeyRing::draw(&OsEntropy).unwrap()).unwrap();
        assert!(!opens(&other_server, &ours(), NOW));
        // A new data key ends no sign-in.
        ring.add(&OsEntropy, NOW).unwrap();
        keys.take_up(&ring).unwrap();
        assert!(opens(&keys, &ours(), NOW));
    }

    #[test]
    fn what_was_changed_or_sealed_for_another_purpose_is_no_cookie() {
        let (_, keys) = keys();
        let it = begun(&keys, "one", 1);
        let value = seal(&keys, &OsEntropy, &ours(), &it).unwrap();
        let sealed = BASE64URL_NOPAD.decode(value.expose().as_bytes()).unwrap();
        let opens = |bytes: &[u8]| {
            let value = BASE64URL_NOPAD.encode(bytes);
            open(&keys, &ours(), &value, NOW).is_some()
        };
        assert!(opens(&sealed));
        for byte in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[byte] ^= 1;
            assert!(!opens(&changed), "byte {byte}");
            assert!(!opens(&sealed[..byte]), "{byte} bytes");
        }
        let plain = serde_json::to_vec(&it).unwrap();
        let (issuer, id) = (ours().issuer, ours().id);
        for place in [
            &[&b"sessions"[..], b"key"][..],
            &[PURPOSE][..],
            &[
                b"trusted browser",
                &[VERSION],
                issuer.as_bytes(),
                id.as_bytes(),
            ],
            &[PURPOSE, &[VERSION + 1], issuer.as_bytes(), id.as_bytes()],
        ] {
            assert!(!opens(&keys.seal(place, &plain, &OsEntropy).unwrap()));
        }
        for odd in ["", "A", "é", "{}", &"A".repeat(4_000)] {
            assert!(open(&keys, &ours(), odd, NOW).is_none(), "{odd}");
        }
        // Nothing of it can be read, and the longest one is far from what a browser keeps.
        for word in ["nnnn", "vvvv", "settings"] {
            assert!(
                !sealed
                    .windows(word.len())
                    .any(|part| part == word.as_bytes())
            );
        }
        let mut longest = begun(&keys, "one", u64::MAX);
        longest.return_to = format!("/{}", "a".repeat(511));
        let value = seal(&keys, &OsEntropy, &ours(), &longest).unwrap();
        assert!(value.expose().len() < 1_300, "{}", value.expose().len());
    }

    #[test]
    fn of_more_than_five_the_oldest_gives_up_its_place_and_free_ones_are_drawn() {
        let (_, keys) = keys();
        let place =
            |shown: &[(CookiePlace, &str)]| place(&keys, &OsEntropy, &ours(), shown, NOW).unwrap();
        let mut held: Vec<(CookiePlace, String)> = Vec::new();
        for turn in 1..=20_u64 {
            let shown: Vec<_> = held
                .iter()
                .map(|(at, value)| (*at, value.as_str()))
                .collect();
            let (at, number) = place(&shown);
            assert_eq!(number, turn);
            if turn > 5 {
                // They are in the order in which they were begun.
                assert_eq!(at, held[0].0);
                held.remove(0);
            }
            assert!(held.iter().all(|(other, _)| *other != at));
            let it = begun(&keys, &turn.to_string(), number);
            let value = seal(&keys, &OsEntropy, &ours(), &it).unwrap();
            held.push((at, value.expose().clone()));
        }
        let shown: Vec<_> = held
            .iter()
            .map(|(at, value)| (*at, value.as_str()))
            .collect();
        for turn in 1..=20_u64 {
            let state = keys.code_hash(&[b"state"], &turn.to_string());
            let found = find(&keys, &ours(), &shown, &state, NOW);
            assert_eq!(found.map(|(_, it)| it.number), (turn > 15).then_some(turn));
        }
        // What does not open, or has no place, does not matter.
        let odd = [
            (0, "x"),
            (1, ""),
            (2, "x"),
            (3, "x"),
            (4, "x"),
            (5, shown[0].1),
            (usize::MAX, "x"),
        ];
        let drawn: BTreeSet<CookiePlace> = (0..200).map(|_| place(&odd).0).collect();
        assert_eq!(drawn.len(), MOST_PENDING_OF_BROWSER);
        assert_eq!(place(&odd).1, 1);
    }
}
