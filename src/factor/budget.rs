//! How much one person may write. Everything that somebody asks for, done or
//! refused, is a line on disk that is kept for a year: whoever holds one token
//! must not be able to fill the disk with them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::base::{Failure, PersonKey, Timestamp};

use super::RATE_LIMITED;

/// Changes, done or refused, of one person within a minute.
pub const DEEDS_A_MINUTE: u32 = 1_200;

/// What people did within the running minute. Lost at a restart, which costs nothing.
#[derive(Default)]
pub struct Budget(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    number: u64,
    deeds: HashMap<PersonKey, u32>,
}

impl Budget {
    /// Takes one deed of `person` out of the budget.
    ///
    /// # Errors
    /// `rate_limited` where the minute's are used up.
    pub fn take(&self, person: PersonKey, now: Timestamp) -> Result<(), Failure> {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.number != now.unix() / 60 {
            *minute = Minute {
                number: now.unix() / 60,
                deeds: HashMap::new(),
            };
        }
        let deeds = minute.deeds.entry(person).or_default();
        if *deeds >= DEEDS_A_MINUTE {
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

    #[test]
    fn one_person_is_held_back_until_the_minute_is_over_and_no_other_is() {
        let (budget, now) = (Budget::default(), Timestamp::from_unix(1_800_000_010));
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
