//! What is believed of a clock, from what it said before and how much time has passed by another that only counts.

use crate::base::Timestamp;

/// Seconds that a clock may go back: corrections by NTP are smaller, and no code is good for longer.
pub const TOLERATED: u64 = 120;
/// Seconds that a clock may leap forward beyond what has passed, and is believed at once.
pub const BELIEVED_AT_ONCE: u64 = 600;
/// Seconds since it last ran for which a clock is believed at the start.
pub const BELIEVED_AT_START: u64 = 86_400;
/// Seconds after which a leap forward is believed, if nobody has corrected it.
pub const PROBATION: u64 = 3600;
/// 2026-01-01T00:00:00Z: no clock that is right shows an earlier time to this program.
pub const FIRST_DAY: Timestamp = Timestamp::from_unix(1_767_225_600);

/// What a clock is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing speaks against it.
    Right,
    /// It stands this many seconds before what was seen already.
    Behind(u64),
    /// It has leapt this many seconds forward.
    Ahead(u64),
}

/// What has been seen of a clock. `passed` are seconds by a clock that only counts.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    believed: Timestamp,
    believed_at: u64,
    ahead_since: Option<u64>,
}

impl Watch {
    /// Begins with what was believed when it last ran.
    pub fn begin(known: Option<Timestamp>, now: Timestamp, passed: u64) -> Self {
        let known = known.map(|known| known.max(FIRST_DAY));
        let far = known.is_some_and(|known| now.since(known) > BELIEVED_AT_START);
        let believed = match known {
            Some(known) if far => known,
            Some(known) => known.max(now),
            None => now.max(FIRST_DAY),
        };
        Watch {
            believed,
            believed_at: passed,
            ahead_since: far.then_some(passed),
        }
    }

    /// Looks at the clock again.
    pub fn look(&mut self, now: Timestamp, passed: u64) -> Standing {
        if now < self.believed {
            self.ahead_since = None;
            let behind = self.believed.since(now);
            return match behind > TOLERATED {
                true => Standing::Behind(behind),
                false => Standing::Right,
            };
        }
        let due = self.due(passed);
        let probation = self.ahead_since.map(|since| passed.saturating_sub(since));
        let leap = now > due.plus(BELIEVED_AT_ONCE);
        match (leap, probation) {
            (true, Some(for_seconds)) if for_seconds < PROBATION => Standing::Ahead(now.since(due)),
            (true, None) => {
                self.ahead_since = Some(passed);
                Standing::Ahead(now.since(due))
            }
            _ => {
                *self = Watch {
                    believed: now,
                    believed_at: passed,
                    ahead_since: None,
                };
                Standing::Right
            }
        }
    }

    /// The time by which things may be swept away: never later than is believed.
    pub fn for_sweeping(&self, now: Timestamp, passed: u64) -> Timestamp {
        now.min(self.due(passed))
    }

    /// The latest time that was believed.
    pub fn believed(&self) -> Timestamp {
        self.believed
    }

    fn due(&self, passed: u64) -> Timestamp {
        self.believed.plus(passed.saturating_sub(self.believed_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_521_600;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    #[test]
    fn a_clock_that_goes_on_is_right_however_long_nobody_looked() {
        let mut watch = Watch::begin(Some(at(NOW - 60)), at(NOW), 5);
        assert_eq!(watch.look(at(NOW + 1), 6), Standing::Right);
        assert_eq!(watch.look(at(NOW + 1_000_001), 1_000_006), Standing::Right);
        assert_eq!(watch.believed(), at(NOW + 1_000_001));
    }

    #[test]
    fn a_start_long_before_what_was_seen_and_a_step_back_are_noticed() {
        for (known, now, behind) in [
            (Some(NOW), NOW - 121, 121),
            (Some(NOW), 0, NOW),
            (None, 0, FIRST_DAY.unix()),
            (Some(0), 0, FIRST_DAY.unix()),
        ] {
            let mut watch = Watch::begin(known.map(at), at(now), 0);
            assert_eq!(watch.look(at(now), 0), Standing::Behind(behind));
            // It stays so until the clock has caught up, and then is over.
            assert_eq!(watch.look(at(now), 99_999), Standing::Behind(behind));
            let caught_up = at(now + behind);
            assert_eq!(watch.look(caught_up, 100_000), Standing::Right);
        }
        let mut watch = Watch::begin(None, at(NOW), 0);
        assert_eq!(watch.look(at(NOW - TOLERATED), 1), Standing::Right);
        assert_eq!(
            watch.look(at(NOW - TOLERATED - 1), 2),
            Standing::Behind(TOLERATED + 1)
        );
    }

    #[test]
    fn a_leap_forward_is_swept_by_only_after_an_hour_and_leaves_nothing_behind_when_it_is_undone() {
        const YEARS: u64 = 10 * 365 * 86_400;
        let mut watch = Watch::begin(Some(at(NOW)), at(NOW), 0);
        assert_eq!(watch.look(at(NOW + BELIEVED_AT_ONCE), 0), Standing::Right);
        let mut watch = Watch::begin(Some(at(NOW)), at(NOW), 0);
        for passed in [1, 100, PROBATION] {
            let now = at(NOW + YEARS + passed);
            assert_eq!(watch.look(now, passed), Standing::Ahead(YEARS));
            assert_eq!(watch.for_sweeping(now, passed), at(NOW + passed));
        }
        // Undone: as if nothing had been.
        let mut undone = watch;
        assert_eq!(undone.look(at(NOW + PROBATION), PROBATION), Standing::Right);
        // Kept up for an hour, it is the time.
        let now = at(NOW + YEARS + PROBATION + 1);
        assert_eq!(watch.look(now, PROBATION + 1), Standing::Right);
        assert_eq!(watch.for_sweeping(now, PROBATION + 1), now);
    }

    #[test]
    fn a_start_long_after_is_on_probation_too() {
        let known = at(NOW);
        let mut watch = Watch::begin(Some(known), at(NOW + BELIEVED_AT_START), 7);
        assert_eq!(watch.look(at(NOW + BELIEVED_AT_START), 7), Standing::Right);
        let later = NOW + BELIEVED_AT_START + 1;
        let mut watch = Watch::begin(Some(known), at(later), 7);
        assert_eq!(
            watch.look(at(later), 7),
            Standing::Ahead(BELIEVED_AT_START + 1)
        );
        assert_eq!(watch.for_sweeping(at(later), 7), known);
        let hour = 7 + PROBATION;
        assert_eq!(watch.look(at(later + PROBATION), hour), Standing::Right);
    }
}
