//! What the issuer remembers between two requests: sign-ins that wait for a
//! person, codes that wait for a client, and refresh tokens. In memory alone,
//! bounded, and by the hash of the handle that the other side holds.

use std::collections::VecDeque;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;

use crate::base::{Entropy, Failure, Timestamp};
use crate::demo::persona::Persona;

/// How long the page with the personas may stand open, in seconds.
pub const SIGN_IN_SECONDS: u64 = 600;
/// How long a code is good, in seconds (RFC 6749 section 4.1.2 allows 600).
pub const CODE_SECONDS: u64 = 60;
/// How long a used code is remembered, so that its second use is seen, in seconds.
pub const USED_CODE_SECONDS: u64 = 3600;
/// How long a refresh token is good, in seconds.
pub const REFRESH_SECONDS: u64 = 8 * 3600;
/// How many of each kind are kept; beyond that the oldest goes.
pub const MOST_KEPT: usize = 512;

/// The SHA-256 of a handle: what is kept of it.
pub type Print = [u8; 32];

/// Of a handle that somebody presents.
pub fn print_of(handle: &str) -> Print {
    let mut print = [0; 32];
    // SHA-256 gives 32 bytes; zip copies without a length that could disagree.
    for (to, from) in print
        .iter_mut()
        .zip(digest(&SHA256, handle.as_bytes()).as_ref())
    {
        *to = *from;
    }
    print
}

/// A fresh handle of 256 bits, URL-safe.
///
/// # Errors
/// As [`Entropy::fill`].
pub fn draw_handle(entropy: &dyn Entropy) -> Result<String, Failure> {
    Ok(BASE64URL_NOPAD.encode(&entropy.bytes::<32>()?))
}

/// Things behind handles, each until its time, at most [`MOST_KEPT`].
pub struct Shelf<T>(VecDeque<(Print, Timestamp, T)>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Shelf(VecDeque::new())
    }
}

impl<T> Shelf<T> {
    /// Keeps `thing` until `until`.
    pub fn put(&mut self, print: Print, until: Timestamp, now: Timestamp, thing: T) {
        self.0.retain(|(_, until, _)| *until > now);
        if self.0.len() >= MOST_KEPT {
            self.0.pop_front();
        }
        self.0.push_back((print, until, thing));
    }

    /// The thing, in place.
    pub fn find(&mut self, print: Print, now: Timestamp) -> Option<&mut T> {
        self.0
            .iter_mut()
            .find(|(p, until, _)| *p == print && *until > now)
            .map(|(_, _, thing)| thing)
    }

    /// The thing, which is then gone.
    pub fn take(&mut self, print: Print, now: Timestamp) -> Option<T> {
        let at = self
            .0
            .iter()
            .position(|(p, until, _)| *p == print && *until > now)?;
        self.0.remove(at).map(|(_, _, thing)| thing)
    }

    /// Keeps only what `keep` says.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.0.retain(|(_, _, thing)| keep(thing));
    }
}

/// What a client asked for when it sent a person here.
#[derive(Clone)]
pub struct Request {
    pub client_id: String,
    pub redirect_uri: String,
    pub state: Option<String>,
    pub nonce: Option<String>,
    pub scope: Vec<String>,
    /// S256 of the verifier (RFC 7636 section 4.2).
    pub challenge: String,
}

/// A page with the personas that stands open in a browser.
pub struct SignIn {
    pub request: Request,
    /// In the form; a page elsewhere cannot know it.
    pub csrf: Print,
    /// In the browser's cookie; another browser does not have it.
    pub browser: Print,
}

/// A person's consent, on its way to the client.
pub struct Code {
    pub request: Request,
    pub persona: Persona,
    pub signed_in: Timestamp,
    pub good_until: Timestamp,
    /// Binds all tokens that come of this sign-in.
    pub family: Print,
    pub used: bool,
}

/// What a client may renew its tokens by.
#[derive(Clone)]
pub struct Refresh {
    pub client_id: String,
    pub persona: Persona,
    pub scope: Vec<String>,
    pub signed_in: Timestamp,
    pub family: Print,
    pub used: bool,
}

/// All of it.
#[derive(Default)]
pub struct Memory {
    pub sign_ins: Shelf<SignIn>,
    pub codes: Shelf<Code>,
    pub refreshes: Shelf<Refresh>,
}

impl Memory {
    /// A code or refresh token came twice: somebody else has it too, so no
    /// token of its family may be renewed any more (RFC 9700 section 4.14.2).
    pub fn revoke(&mut self, family: Print) {
        self.refreshes.retain(|refresh| refresh.family != family);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_forgotten_in_time() {
        let (start, mut shelf) = (Timestamp::from_unix(1000), Shelf::default());
        for n in 0..MOST_KEPT + 10 {
            shelf.put(print_of(&n.to_string()), start.plus(60), start, n);
        }
        assert_eq!(shelf.0.len(), MOST_KEPT);
        assert_eq!(shelf.find(print_of("9"), start), None);
        assert_eq!(shelf.take(print_of("10"), start), Some(10));
        assert_eq!(shelf.take(print_of("10"), start), None);
        assert_eq!(shelf.find(print_of("11"), start.plus(60)), None);
        shelf.put(print_of("x"), start.plus(90), start.plus(60), 0);
        assert_eq!(shelf.0.len(), 1);
    }
}
