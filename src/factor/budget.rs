//! How much one person, and one login service, may write. Everything that somebody asks for, done or
//! refused, is a line on disk that is kept for a year: whoever holds one token
//! must not be able to fill the disk with them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use crate::base::{Failure, Timestamp};

use super::RATE_LIMITED;

/// Changes of one person, done or refused, that one of those asks for who may, within a minute.
pub const DEEDS_A_MINUTE: u32 = 1_200;

/// Sign-ins that one login service may ask about within a minute: names that nobody bears are many.
pub const SIGN_INS_A_MINUTE: u32 = 60_000;

/// What each did within the running minute. Lost at a restart, which costs nothing.
pub struct Budget<K> {
    most: u32,
    minute: Mutex<Minute<K>>,
}

struct Minute<K> {
    number: u64,
    deeds: HashMap<K, u32>,
}

impl<K: Eq + Hash> Budget<K> {
    /// So many a minute for each.
    pub fn of(most: u32) -> Self {
        let minute = Minute {
            number: 0,
            deeds: HashMap::new(),
        };
        Budget {
            most,
            minute: Mutex::new(minute),
        }
    }

    /// Takes one deed of `who` out of the budget.
    ///
    /// # Errors
    /// `rate_limited` where the minute's are used up.
    pub fn take(&self, who: K, now: Timestamp) -> Result<(), Failure> {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.number != now.unix() / 60 {
            *minute = Minute {
                number: now.unix() / 60,
                deeds: HashMap::new(),
            };
        }
        let deeds = minute.deeds.entry(who).or_default();
        if *deeds >= self.most {
            let detail = "Too many changes within a minute. Wait before you go on.";
            let rest = 60 - now.unix() % 60;
            return Err(Failure::new(RATE_LIMITED, detail).retry_after(rest));
        }
        *deeds += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PersonKey;

    #[test]
    fn one_person_is_held_back_until_the_minute_is_over_and_no_other_is() {
        let (budget, now) = (
            Budget::of(DEEDS_A_MINUTE),
            Timestamp::from_unix(1_800_000_010),
        );
        let (alice, bob) = (PersonKey([1; 16]), PersonKey([2; 16]));
        for _ in 0..DEEDS_A_MINUTE {
            assert!(budget.take(alice, now).is_ok());
        }
        let refused = budget.take(alice, now).unwrap_err();
        assert_eq!((refused.code(), refused.wait()), (RATE_LIMITED, Some(50)));
        assert!(budget.take(bob, now).is_ok());
        assert!(budget.take(alice, now.plus(50)).is_ok());
    }
}
