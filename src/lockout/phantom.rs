//! Failures with factors that do not exist. Whoever guesses must meet the waits that a real factor would impose, or
//! the waits would tell who has one. Anyone may invent names, so the store keeps only so many of these counters.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::base::{Failure, PersonKey, RequestId, Timestamp};
use crate::store::{Read, Tx};

use super::record::PhantomTally;
use super::rule::{PHANTOM_DAYS, Tally};

/// Phantom failure counters that the store keeps at most. Those of further names are in memory only, until the
/// next start.
pub const MOST_STORED_PHANTOMS: u64 = 10_000;
/// Phantom failure counters in memory at least, before the oldest are forgotten; twice as many at most.
const MOST_IN_MEMORY: usize = 50_000;
const DAY: u64 = 86_400;

type Key = (PersonKey, String);

/// Phantom failure counters that are in memory only.
#[derive(Default)]
pub struct PhantomFailures(Mutex<Generations>);

/// Once the newer half is full, it takes the place of the older one.
#[derive(Default)]
struct Generations {
    newer: HashMap<Key, Counted>,
    older: HashMap<Key, Counted>,
}

#[derive(Clone, Copy)]
struct Counted {
    /// The request that was counted last: its transaction may run twice.
    by: RequestId,
    tally: Tally,
}

impl PhantomFailures {
    fn get(&self, key: &Key) -> Option<Counted> {
        let generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = generations.newer.get(key);
        counted.or_else(|| generations.older.get(key)).copied()
    }

    fn put(&self, key: Key, counted: Counted) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.newer.len() >= MOST_IN_MEMORY {
            generations.older = std::mem::take(&mut generations.newer);
        }
        generations.newer.insert(key, counted);
    }

    /// The failure counter of a factor that `user` does not have.
    ///
    /// # Errors
    /// Those of the store.
    pub fn tally(&self, read: &dyn Read, user: PersonKey, kind: &str) -> Result<Tally, Failure> {
        let key = (user, kind.to_owned());
        // Before phantoms had a table of their own they were kept with the others.
        let earlier = read.get::<Tally>(&key)?.unwrap_or_default();
        let stored = read.get::<PhantomTally>(&key)?.unwrap_or_default().0;
        let in_memory = self.get(&key).map(|counted| counted.tally);
        Ok(earlier.or(stored).or(in_memory.unwrap_or_default()))
    }

    /// Counts a wrong answer for a factor that `user` does not have, in `request`. Returns the counter with it.
    ///
    /// # Errors
    /// Those of the store.
    pub fn record_failure(
        &self,
        tx: &mut Tx<'_>,
        user: PersonKey,
        kind: &str,
        request: RequestId,
        now: Timestamp,
    ) -> Result<Tally, Failure> {
        let key = (user, kind.to_owned());
        let known = self.get(&key);
        if let Some(counted) = known.filter(|counted| counted.by == request) {
            return Ok(counted.tally);
        }
        let stored = tx.get::<PhantomTally>(&key)?.is_some();
        let tally = self.tally(tx, user, kind)?.missed(now);
        if stored || (known.is_none() && tx.count::<PhantomTally>()? < MOST_STORED_PHANTOMS) {
            put(tx, &key, tally, now)?;
        } else {
            self.put(key, Counted { by: request, tally });
        }
        Ok(tally)
    }
}

/// Keeps a phantom failure counter in the store.
pub(super) fn put(tx: &mut Tx<'_>, key: &Key, tally: Tally, now: Timestamp) -> Result<(), Failure> {
    // Rounded, so that not every failure is an expiry of its own.
    let days = (now.unix() / DAY / 30 + 1) * 30 + PHANTOM_DAYS;
    tx.put_until(key, &PhantomTally(tally), Timestamp::from_unix(days * DAY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::OsEntropy;
    use crate::lockout::Standing;
    use crate::store::testing::{ALL_ROWS, TestStore};
    use std::sync::Arc;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn user(number: u64) -> PersonKey {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&number.to_be_bytes());
        PersonKey(key)
    }

    #[tokio::test]
    async fn however_many_names_are_invented_the_store_keeps_ten_thousand_and_each_still_locks() {
        let store = TestStore::create();
        let phantoms = Arc::new(PhantomFailures::default());
        let fail = |numbers: std::ops::Range<u64>| {
            let phantoms = phantoms.clone();
            store.write(move |tx| {
                numbers.clone().try_for_each(|number| {
                    let request = RequestId::draw(&OsEntropy)?;
                    let failed = phantoms.record_failure(tx, user(number), "totp", request, NOW);
                    failed.map(drop)
                })
            })
        };
        for first in (0..11_000).step_by(500) {
            fail(first..first + 500).await.unwrap();
        }
        let rows = || {
            let rows = store.read(|read| read.list::<PhantomTally>(&ALL_ROWS));
            rows.unwrap().len()
        };
        let stored = rows();
        assert!((10_000..10_500).contains(&stored), "{stored}");
        for _ in 0..4 {
            fail(3..4).await.unwrap();
            fail(10_900..10_901).await.unwrap();
        }
        assert_eq!(rows(), stored);
        for number in [3, 10_900] {
            let tally = store.read(|read| phantoms.tally(read, user(number), "totp"));
            let standing = tally.unwrap().standing(NOW);
            assert_eq!(standing, Standing::Locked(NOW.plus(30)), "{number}");
        }
        // Another kind of factor is another counter.
        let other = store.read(|read| phantoms.tally(read, user(3), "email"));
        assert_eq!(other.unwrap().misses(), 0);
        store.sweep(NOW.plus(400 * DAY)).await.unwrap();
        assert_eq!(rows(), 0);
    }

    #[tokio::test]
    async fn one_request_is_one_failure_even_if_its_transaction_runs_twice() {
        let store = TestStore::create();
        let phantoms = PhantomFailures::default();
        let request = RequestId::draw(&OsEntropy).unwrap();
        let key = (user(1), "totp".to_owned());
        let tally = Tally::default().missed(NOW);
        phantoms.put(key, Counted { by: request, tally });
        let again = store.write(move |tx| {
            phantoms.record_failure(tx, user(1), "totp", request, NOW)?;
            phantoms.record_failure(tx, user(1), "totp", request, NOW)
        });
        assert_eq!(again.await.unwrap().misses(), 1);
    }
}
