//! When a mail that did not leave is tried again.

use crate::base::Timestamp;

/// Seconds before the second try; each further one waits twice as long.
const FIRST_WAIT: u64 = 30;
/// Seconds between two tries at the most: 1 h.
const LONGEST_WAIT: u64 = 3600;
/// Seconds after which a notice is no longer news: 3 days.
const GIVE_UP: u64 = 3 * 86_400;

/// Seconds that one attempt may take before another may begin.
pub const LEASE: u64 = 60;

/// When to try again after `tries` failures, the last of them at `now`.
/// `None` where the mail has waited long enough.
pub fn next_try(written_at: Timestamp, tries: u32, now: Timestamp) -> Option<Timestamp> {
    let doublings = tries.saturating_sub(1).min(16);
    let next = now.plus((FIRST_WAIT << doublings).min(LONGEST_WAIT));
    (next.since(written_at) <= GIVE_UP).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour_and_end_after_three_days() {
        let written = Timestamp::from_unix(1_000_000);
        let mut now = written;
        let mut waits = Vec::new();
        for tries in 1.. {
            let Some(next) = next_try(written, tries, now) else {
                break;
            };
            waits.push(now.until(next));
            now = next;
        }
        assert_eq!(waits[..9], [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert!(
            now.since(written) <= GIVE_UP && now.since(written) > GIVE_UP - 3600,
            "{waits:?}"
        );
        assert_eq!(
            next_try(written, u32::MAX, written),
            Some(written.plus(LONGEST_WAIT))
        );
    }
}
