//! How many misses, how long a wait (NIST SP 800-63B-4 section 3.2.2; RFC 4226
//! section 7.3).
//!
//! ```text
//!            miss 1…4            miss 5: 30 s, each further one doubles, at most 1 h
//!   ┌──────┐ ────────▶ ┌──────┐ ──────────────────────▶ ┌────────┐   miss 100  ┌──────────┐
//!   │ Open │           │ Open │ ◀────────────────────── │ Locked │ ──────────▶ │ Disabled │
//!   └──────┘ ◀──────── └──────┘       time passes        └────────┘             └──────────┘
//!        right answer                                             another factor, or an operator
//! ```

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;

/// Misses in a row that cost nothing but the last of them: it locks.
pub const FREE_MISSES: u32 = 5;
/// Seconds that the fifth miss costs.
pub const FIRST_WAIT: u64 = 30;
/// Seconds that a miss costs at the most.
pub const LONGEST_WAIT: u64 = 3600;
/// Days of silence after which failures with what does not exist are forgotten, at least: a year. Forgotten sooner,
/// they would tell whoever comes back after that while that there was nothing to guess.
pub const PHANTOM_DAYS: u64 = 365;
/// Misses in a row that disable the factor until it is brought back.
pub const DISABLING_MISSES: u32 = 100;

/// Misses in a row with one kind of factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    misses: u32,
    locked_until: Timestamp,
}

/// Whether an answer may be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Open,
    /// Not before this moment.
    Locked(Timestamp),
    /// Not until another factor or an operator brings this one back.
    Disabled,
}

impl Tally {
    /// Misses in a row.
    pub fn misses(self) -> u32 {
        self.misses
    }

    /// How many more misses are free of a wait.
    pub fn tries_left(self) -> u32 {
        FREE_MISSES.saturating_sub(self.misses)
    }

    /// As strict as either.
    #[must_use]
    pub fn or(self, other: Tally) -> Tally {
        Tally {
            misses: self.misses.max(other.misses),
            locked_until: self.locked_until.max(other.locked_until),
        }
    }

    /// Whoever had missed misses no more for free: where misses may have been forgotten, the next one waits.
    #[must_use]
    pub fn without_grace(self) -> Tally {
        Tally {
            misses: self.misses.max(FREE_MISSES),
            ..self
        }
    }

    /// Whether an answer may be judged at `now`.
    pub fn standing(self, now: Timestamp) -> Standing {
        if self.misses >= DISABLING_MISSES {
            Standing::Disabled
        } else if now < self.locked_until {
            // A clock that stepped back must not lock for longer than the longest wait.
            Standing::Locked(self.locked_until.min(now.plus(LONGEST_WAIT)))
        } else {
            Standing::Open
        }
    }

    /// After one more wrong answer, judged at `now`.
    #[must_use]
    pub fn missed(self, now: Timestamp) -> Tally {
        let misses = self.misses.saturating_add(1);
        let locked_until = match misses.checked_sub(FREE_MISSES) {
            None => self.locked_until,
            Some(doublings) => now.plus(wait(doublings)),
        };
        Tally {
            misses,
            locked_until,
        }
    }
}

fn wait(doublings: u32) -> u64 {
    1u64.checked_shl(doublings)
        .and_then(|factor| FIRST_WAIT.checked_mul(factor))
        .map_or(LONGEST_WAIT, |seconds| seconds.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_miss_locks_for_30_s_and_each_further_one_doubles_up_to_an_hour() {
        let mut now = Timestamp::from_unix(1_000_000);
        let mut tally = Tally::default();
        for _ in 0..4 {
            tally = tally.missed(now);
            assert_eq!(tally.standing(now), Standing::Open);
        }
        for seconds in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] {
            tally = tally.missed(now);
            assert_eq!(tally.standing(now), Standing::Locked(now.plus(seconds)));
            assert_eq!(
                tally.standing(now.plus(seconds - 1)),
                Standing::Locked(now.plus(seconds))
            );
            assert_eq!(tally.standing(now.plus(seconds)), Standing::Open);
            now = now.plus(seconds);
        }
    }

    #[test]
    fn the_hundredth_miss_disables_however_long_one_waits() {
        let mut now = Timestamp::from_unix(1_000_000);
        let mut tally = Tally::default();
        for _ in 0..DISABLING_MISSES {
            assert_ne!(tally.standing(now), Standing::Disabled);
            tally = tally.missed(now);
            now = now.plus(LONGEST_WAIT);
        }
        assert_eq!(tally.standing(Timestamp::MAX), Standing::Disabled);
        for _ in 0..200 {
            tally = tally.missed(now);
        }
        assert_eq!(tally.standing(Timestamp::MAX), Standing::Disabled);
    }

    #[test]
    fn a_clock_that_stepped_back_locks_for_an_hour_at_the_most() {
        let late = Timestamp::from_unix(4_000_000_000);
        let tally = (0..5).fold(Tally::default(), |tally, _| tally.missed(late));
        let now = Timestamp::from_unix(1_800_000_000);
        assert_eq!(
            tally.standing(now),
            Standing::Locked(now.plus(LONGEST_WAIT))
        );
    }
}
