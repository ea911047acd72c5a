//! When a key is published, and when it signs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;

/// How long whoever reads the published keys may keep them, in seconds.
pub const JWKS_MAX_AGE: u64 = 300;
/// What may pass between the making of a key and the first answer that holds it, in seconds: the
/// disk's time for the commit, an answer that is on its way already, and the fraction of a second.
const PUBLISHING: u64 = 30;
/// How long a key is published before it signs, in seconds.
pub const PUBLISH_BEFORE_USE: u64 = JWKS_MAX_AGE + PUBLISHING;
/// How long a key is published after it signed last, in seconds: what it signed lives minutes, and is
/// looked at within the hour.
pub const PUBLISHED_AFTER_USE: u64 = 3_600 + JWKS_MAX_AGE;
/// How many keys there are at the most, those that sign no more among them.
pub const MOST_KEYS: usize = 8;

/// The moments of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    pub published_at: Timestamp,
    pub signs_from: Timestamp,
    /// Until the next key signs; `None` while there is no next one.
    pub signs_until: Option<Timestamp>,
}

/// Keys by their `kid`.
pub type Lives = BTreeMap<String, Life>;

impl Life {
    /// Of the first key of all: nobody knows of any other, so it signs at once.
    pub fn first(now: Timestamp) -> Self {
        Life {
            published_at: now,
            signs_from: now,
            signs_until: None,
        }
    }

    /// From when on the key is no longer published.
    pub fn gone_at(&self) -> Option<Timestamp> {
        self.signs_until
            .map(|until| until.plus(PUBLISHED_AFTER_USE))
    }

    pub fn is_gone(&self, now: Timestamp) -> bool {
        self.gone_at().is_some_and(|gone| gone <= now)
    }

    /// The key with the greatest of these signs at `now`: the one that began last. Where the clock stepped back
    /// before any has begun, it is the one that will be first.
    pub fn precedence(&self, now: Timestamp) -> (bool, u64) {
        let from = self.signs_from.unix();
        match self.signs_from <= now {
            true => (true, from),
            false => (false, u64::MAX - from),
        }
    }

    /// Whether the key was made while the clock was wrong by more than a wait. Smaller steps are those of
    /// a clock that is kept right.
    fn is_from_a_clock_ahead(&self, now: Timestamp) -> bool {
        self.published_at > now.plus(PUBLISH_BEFORE_USE)
    }
}

/// What a rotation changes.
#[derive(Debug, PartialEq)]
pub struct Rotation {
    /// The key that has signed until now, and its moments from now on.
    pub retired: (String, Life),
    /// Keys to be forgotten.
    pub dropped: Vec<String>,
    /// The moments of the new key.
    pub fresh: Life,
}

/// Why there is no rotation at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no key that could be followed by another.
    NoKey,
    /// A new key is published, and signs from then on.
    Waits(Timestamp),
    /// There are [`MOST_KEYS`]; the next goes then.
    TooMany(Timestamp),
}

/// A rotation of `keys` at `now`.
///
/// A key that is dated so far ahead that the clock must have been wrong neither waits nor
/// stays: what it may have signed is dated ahead too, and nobody takes it.
pub fn rotate(keys: &Lives, now: Timestamp) -> Result<Rotation, Refused> {
    let (signing, life) = keys
        .iter()
        .max_by_key(|(_, life)| life.precedence(now))
        .ok_or(Refused::NoKey)?;
    let others = || keys.iter().filter(|(kid, _)| *kid != signing);
    let (dropped, kept): (Vec<_>, Vec<_>) =
        others().partition(|(_, life)| life.is_gone(now) || life.is_from_a_clock_ahead(now));
    if let Some((_, waiting)) = kept.iter().find(|(_, life)| life.signs_from > now) {
        return Err(Refused::Waits(waiting.signs_from));
    }
    // Those that are kept, the one that signs, and the new one.
    if kept.len() + 2 > MOST_KEYS {
        let next = kept.iter().filter_map(|(_, life)| life.gone_at()).min();
        return Err(Refused::TooMany(next.unwrap_or(now)));
    }
    let fresh = Life {
        published_at: now,
        signs_from: now.plus(PUBLISH_BEFORE_USE),
        signs_until: None,
    };
    let retired = Life {
        published_at: life.published_at.min(now),
        signs_from: life.signs_from.min(now),
        signs_until: Some(fresh.signs_from),
    };
    Ok(Rotation {
        retired: (signing.clone(), retired),
        dropped: dropped.into_iter().map(|(kid, _)| kid.clone()).collect(),
        fresh,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_unix(1_795_521_600);

    fn at(seconds: u64) -> Timestamp {
        T.plus(seconds)
    }

    fn signing(keys: &Lives, now: Timestamp) -> &str {
        let (kid, _) = keys
            .iter()
            .max_by_key(|(_, life)| life.precedence(now))
            .unwrap();
        kid
    }

    fn published(keys: &Lives, now: Timestamp) -> Vec<&str> {
        let live = keys.iter().filter(|(_, life)| !life.is_gone(now));
        live.map(|(kid, _)| kid.as_str()).collect()
    }

    fn one() -> Lives {
        Lives::from([("a".to_owned(), Life::first(T))])
    }

    fn turn(keys: &mut Lives, kid: &str, now: Timestamp) {
        let rotation = rotate(keys, now).unwrap();
        for dropped in rotation.dropped {
            keys.remove(&dropped);
        }
        keys.insert(rotation.retired.0, rotation.retired.1);
        keys.insert(kid.to_owned(), rotation.fresh);
        assert!(keys.len() <= MOST_KEYS);
    }

    #[test]
    fn a_new_key_is_known_before_it_signs_and_an_old_one_after() {
        let mut keys = one();
        turn(&mut keys, "b", at(1_000));
        let gone = 1_330 + 3_900;
        for (now, signs, shown) in [
            (1_000, "a", &["a", "b"][..]),
            (1_329, "a", &["a", "b"]),
            (1_330, "b", &["a", "b"]),
            (gone - 1, "b", &["a", "b"]),
            (gone, "b", &["b"]),
            (10 * gone, "b", &["b"]),
        ] {
            assert_eq!(signing(&keys, at(now)), signs, "{now}");
            assert_eq!(published(&keys, at(now)), shown, "{now}");
        }
        const { assert!(PUBLISH_BEFORE_USE > JWKS_MAX_AGE) };
    }

    #[test]
    fn whatever_signs_at_any_time_was_known_to_whoever_may_keep_what_they_read() {
        let mut keys = one();
        let mut made = 0;
        for now in (0..100_000).step_by(37).map(at) {
            if rotate(&keys, now).is_ok() {
                made += 1;
                turn(&mut keys, &format!("k{made}"), now);
            }
            let life = keys[signing(&keys, now)];
            assert!(
                life.published_at == T || now.since(life.published_at) > JWKS_MAX_AGE,
                "{now}"
            );
            assert!(!life.is_gone(now));
        }
        assert!(made > 100, "{made}");
    }

    #[test]
    fn none_is_made_while_one_waits_nor_beside_eight() {
        let mut keys = one();
        let mut now = T;
        for kid in ["b", "c", "d", "e", "f", "g", "h"] {
            turn(&mut keys, kid, now);
            for early in [0, 1, PUBLISH_BEFORE_USE - 1] {
                let signs_from = now.plus(PUBLISH_BEFORE_USE);
                let refused = rotate(&keys, now.plus(early));
                assert_eq!(refused, Err(Refused::Waits(signs_from)), "{kid}");
            }
            now = now.plus(PUBLISH_BEFORE_USE);
        }
        assert_eq!(keys.len(), MOST_KEYS);
        let gone = keys["a"].gone_at().unwrap();
        assert_eq!(rotate(&keys, now), Err(Refused::TooMany(gone)));
        assert!(rotate(&keys, gone.minus(1)).is_err());
        assert_eq!(rotate(&keys, gone).unwrap().dropped, ["a"]);
        assert_eq!(rotate(&Lives::new(), now), Err(Refused::NoKey));
    }

    #[test]
    fn a_clock_that_steps_back_leaves_somebody_to_sign() {
        let mut keys = one();
        assert_eq!(signing(&keys, T.minus(1_000_000)), "a");
        turn(&mut keys, "b", at(1_000));
        assert_eq!(signing(&keys, T.minus(1_000_000)), "a");
        // A small step: the new key still waits, no longer than twice.
        assert_eq!(rotate(&keys, at(990)), Err(Refused::Waits(at(1_330))));
        assert_eq!(rotate(&keys, at(670)), Err(Refused::Waits(at(1_330))));
    }

    #[test]
    fn a_key_that_was_made_while_the_clock_ran_ahead_blocks_no_rotation() {
        let year = 365 * 86_400;
        let mut keys = one();
        turn(&mut keys, "ahead", at(year));
        assert_eq!(signing(&keys, at(100)), "a");
        turn(&mut keys, "b", at(100));
        assert_eq!(published(&keys, at(100)), ["a", "b"]);
        assert_eq!(signing(&keys, at(429)), "a");
        assert_eq!(signing(&keys, at(430)), "b");
        // The only key is from such a time: it signs, and is followed like any other.
        let mut keys = Lives::from([("a".to_owned(), Life::first(at(year)))]);
        turn(&mut keys, "b", at(0));
        assert_eq!(signing(&keys, at(329)), "a");
        assert_eq!(signing(&keys, at(330)), "b");
        assert_eq!(published(&keys, at(330 + 3_900)), ["b"]);
        assert_eq!(signing(&keys, at(2 * year)), "b");
    }
}
