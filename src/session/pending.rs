//! Sign-ins that are under way: begun by one browser, ended once and by the same. Anybody may begin one, so
//! there is an end to how many are kept.

use super::record::{Begun, Browser, Turn};
use crate::base::{Failure, Timestamp};
use crate::crypto::CodeHash;
use crate::store::Tx;

/// How long a sign-in may take, in seconds.
pub const PENDING_SECONDS: u64 = 10 * 60;

/// How many one browser can have under way; of more, the oldest goes.
pub const MOST_PENDING_OF_BROWSER: usize = 5;

/// How many there can be in all; of more, the oldest goes.
pub const MOST_PENDING: u64 = 10_000;

/// What is to be kept of a sign-in.
#[derive(Clone)]
pub(super) struct New {
    pub state: CodeHash,
    pub nonce: String,
    pub verifier: String,
    pub return_to: String,
    pub fresh: bool,
}

impl Begun {
    fn is_live(&self, now: Timestamp) -> bool {
        now < self.begun_at.plus(PENDING_SECONDS)
    }
}

fn key(hash: &CodeHash) -> Vec<u8> {
    hash.as_bytes().to_vec()
}

fn put(tx: &mut Tx<'_>, hash: &CodeHash, browser: &Browser) -> Result<(), Failure> {
    match browser.begun.last() {
        Some(last) => {
            let end = last.begun_at.plus(PENDING_SECONDS);
            tx.put_until(&key(hash), browser, end)
        }
        None => {
            tx.delete::<Browser>(&key(hash));
            Ok(())
        }
    }
}

/// Keeps a sign-in for the browser `known`, where it has begun one before and that is not over, else for `fresh`:
/// a word that this server has not given out lately is not taken up. True where it was `known`.
pub(super) fn begin(
    tx: &mut Tx<'_>,
    known: Option<&CodeHash>,
    fresh: &CodeHash,
    new: &New,
    now: Timestamp,
) -> Result<bool, Failure> {
    let mut browser = match known {
        Some(hash) => tx.get::<Browser>(&key(hash))?.unwrap_or_default(),
        None => Browser::default(),
    };
    browser.begun.retain(|begun| begun.is_live(now));
    let known = known.filter(|_| !browser.begun.is_empty());
    let hash = known.unwrap_or(fresh);
    while browser.begun.len() >= MOST_PENDING_OF_BROWSER {
        let oldest = browser.begun.remove(0);
        tx.delete::<Turn>(&oldest.turn);
    }
    let turn = tx.last_number::<Turn>()?.saturating_add(1);
    browser.begun.push(Begun {
        turn,
        state: new.state,
        nonce: new.nonce.clone(),
        verifier: new.verifier.clone(),
        return_to: new.return_to.clone(),
        fresh: new.fresh,
        begun_at: now,
    });
    put(tx, hash, &browser)?;
    let end = now.plus(PENDING_SECONDS);
    tx.put_until(&turn, &Turn { browser: *hash }, end)?;
    if let Some(last) = turn.checked_sub(MOST_PENDING) {
        make_room(tx, last)?;
    }
    Ok(known.is_some())
}

/// Forgets the sign-in whose turn that was, if it is still there.
fn make_room(tx: &mut Tx<'_>, turn: u64) -> Result<(), Failure> {
    let Some(Turn { browser: hash }) = tx.get::<Turn>(&turn)? else {
        return Ok(());
    };
    tx.delete::<Turn>(&turn);
    if let Some(mut browser) = tx.get::<Browser>(&key(&hash))? {
        browser.begun.retain(|begun| begun.turn != turn);
        put(tx, &hash, &browser)?;
    }
    Ok(())
}

/// Takes the sign-in that the browser began with that state: it is gone then, whatever comes of it. Beside it
/// stands whether the browser has others.
pub(super) fn take(
    tx: &mut Tx<'_>,
    hash: &CodeHash,
    state: &CodeHash,
    now: Timestamp,
) -> Result<Option<(Begun, bool)>, Failure> {
    let Some(mut browser) = tx.get::<Browser>(&key(hash))? else {
        return Ok(None);
    };
    let Some(at) = browser.begun.iter().position(|b| b.state == *state) else {
        return Ok(None);
    };
    let taken = browser.begun.remove(at);
    tx.delete::<Turn>(&taken.turn);
    put(tx, hash, &browser)?;
    let others = browser.begun.iter().any(|begun| begun.is_live(now));
    Ok(taken.is_live(now).then_some((taken, others)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::testing::{ALL_ROWS, TestStore};

    const NOW: Timestamp = Timestamp::from_unix(1_795_521_600);

    fn new(store: &Store, state: &str) -> New {
        New {
            state: store.sealer().code_hash(&[b"state"], state),
            nonce: "n".to_owned(),
            verifier: "v".to_owned(),
            return_to: "/".to_owned(),
            fresh: false,
        }
    }

    #[tokio::test]
    async fn however_many_begin_there_is_an_end_to_what_is_kept() {
        let store = TestStore::create();
        let flood = MOST_PENDING + 7;
        let browser = |n: u64| store.sealer().code_hash(&[b"browser"], &n.to_string());
        let state = |n: u64| new(&store, &n.to_string());
        for first in (0..flood).step_by(1000) {
            let batch: Vec<_> = (first..flood.min(first + 1000))
                .map(|n| (browser(n), state(n)))
                .collect();
            let begun = store.write(move |tx| {
                for (hash, new) in &batch {
                    begin(tx, None, hash, new, NOW)?;
                }
                Ok(())
            });
            begun.await.unwrap();
        }
        let kept = store.read(|read| {
            Ok((
                read.list::<Browser>(&ALL_ROWS)?.len(),
                read.list::<Turn>(&ALL_ROWS)?.len(),
            ))
        });
        let most = usize::try_from(MOST_PENDING).unwrap();
        assert_eq!(kept.unwrap(), (most, most));
        // The oldest made room, in the order in which they began.
        for (n, there) in [(0, false), (6, false), (7, true), (flood - 1, true)] {
            let (hash, New { state, .. }) = (browser(n), state(n));
            let taken = store.write(move |tx| Ok(take(tx, &hash, &state, NOW)?.is_some()));
            assert_eq!(taken.await.unwrap(), there, "{n}");
        }
        store.sweep(NOW.plus(PENDING_SECONDS)).await.unwrap();
        let left = store.write(|tx| tx.last_number::<Turn>());
        assert_eq!(left.await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_state_is_taken_once_and_by_its_browser_alone() {
        let store = TestStore::create();
        let browser = store.sealer().code_hash(&[b"browser"], "one");
        let other = store.sealer().code_hash(&[b"browser"], "two");
        let (first, second) = (new(&store, "first"), new(&store, "second"));
        let states = (first.state, second.state);
        let outcome = store.write(move |tx| {
            assert!(!begin(tx, None, &browser, &first, NOW)?);
            // A browser that shows a word of no sign-in gets another.
            assert!(!begin(tx, Some(&states.0), &other, &first, NOW)?);
            assert!(begin(tx, Some(&browser), &other, &second, NOW)?);
            let take = |tx: &mut Tx<'_>, hash, state| {
                Ok::<_, Failure>(take(tx, hash, state, NOW)?.map(|(_, others)| others))
            };
            Ok([
                take(tx, &other, &states.1)?,
                take(tx, &browser, &states.0)?,
                take(tx, &browser, &states.0)?,
                take(tx, &browser, &states.1)?,
                take(tx, &browser, &states.1)?,
            ])
        });
        assert_eq!(
            outcome.await.unwrap(),
            [None, Some(true), None, Some(false), None]
        );
    }
}
