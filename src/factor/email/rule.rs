//! How many mails, how long a code.

use crate::base::Timestamp;

use super::record::Quota;

/// Seconds that a code is good for.
pub const CODE_TTL: u64 = 10 * 60;
/// Seconds that an address waits for its confirmation: as long as its code.
pub const PENDING_TTL: u64 = CODE_TTL;
/// Wrong answers that void a code.
pub const CODE_TRIES: u32 = 5;
/// Emails an hour to one user for one login service, and as many for the settings page.
pub const PLACE_HOURLY: usize = 5;
/// Emails a day to one user for one login service, and as many for the settings page.
pub const PLACE_DAILY: usize = 20;
/// Emails an hour to one user for all login services together. None of them takes anything from the settings page.
pub const SERVICES_HOURLY: usize = 10;
/// Emails a day to one user for all login services together.
pub const SERVICES_DAILY: usize = 40;
/// Emails an hour to one address that is to be set up, whoever asks.
pub const ADDRESS_HOURLY: usize = 10;
/// Seconds that one attempt to send may hold the place of the next.
pub const SENDING: u64 = 15;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// All emails to one user for one place: a login service, or the settings page.
    Place,
    /// All emails to one user for login services.
    Services,
    /// All emails to one address by which it is to be set up.
    Address,
}

/// How many seconds until another mail may leave; `None` where it may now. Two emails to one user for one
/// place are at least `resend_after` seconds apart.
pub fn wait(quota: &Quota, counted: Counted, resend_after: u64, now: Timestamp) -> Option<u64> {
    let sending = match (counted, quota.sending) {
        // A clock that stepped back must not hold the place for longer.
        (Counted::Place, Some((_, until))) => now.until(until).min(SENDING),
        _ => 0,
    };
    let limits: &[(usize, u64)] = match counted {
        Counted::Place => &[(PLACE_HOURLY, HOUR), (PLACE_DAILY, DAY)],
        Counted::Services => &[(SERVICES_HOURLY, HOUR), (SERVICES_DAILY, DAY)],
        Counted::Address => &[(ADDRESS_HOURLY, HOUR)],
    };
    let past = |moments: &[Timestamp]| -> Vec<Timestamp> {
        moments.iter().copied().filter(|at| *at <= now).collect()
    };
    let sent = past(&quota.sent);
    // Nobody is made to wait for another mail who was told that the one before had not left.
    let gap = match (counted, sent.last()) {
        (Counted::Place, Some(at)) => now.until(at.plus(resend_after)),
        _ => 0,
    };
    let mut all = [sent, past(&quota.doubtful)].concat();
    all.sort_unstable();
    let waits = limits.iter().map(|(count, within)| {
        let nth_last = all.iter().rev().nth(count - 1);
        nth_last.map_or(0, |at| now.until(at.plus(*within)))
    });
    waits
        .chain([sending, gap])
        .max()
        .filter(|seconds| *seconds > 0)
}

/// The quota after one more mail.
pub fn sent(mut quota: Quota, now: Timestamp) -> Quota {
    forget_old(&mut quota, now);
    quota.sent.push(now);
    quota
}

/// The quota after a mail that may have left, though the mail server did not say so.
pub fn doubtful(mut quota: Quota, now: Timestamp) -> Quota {
    forget_old(&mut quota, now);
    quota.doubtful.push(now);
    quota
}

fn forget_old(quota: &mut Quota, now: Timestamp) {
    quota.sending = None;
    // What the clock has not reached is from before it stepped back, and forgotten.
    let counts = |at: &Timestamp| *at <= now && now.since(*at) < DAY;
    quota.sent.retain(counts);
    quota.doubtful.retain(counts);
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESEND_AFTER: u64 = 60;

    #[test]
    fn a_place_gets_one_mail_a_minute_five_an_hour_and_twenty_a_day() {
        let start = Timestamp::from_unix(1_800_000_000);
        let (mut now, mut quota, mut moments) = (start, Quota::default(), Vec::new());
        while now < start.plus(2 * DAY) {
            match wait(&quota, Counted::Place, RESEND_AFTER, now) {
                Some(seconds) => now = now.plus(seconds),
                None => {
                    quota = sent(quota, now);
                    moments.push(now);
                }
            }
        }
        let most_within = |span: u64| {
            moments
                .iter()
                .map(|from| {
                    moments
                        .iter()
                        .filter(|at| *at >= from && from.plus(span) > **at)
                        .count()
                })
                .max()
        };
        assert_eq!(
            (
                most_within(RESEND_AFTER),
                most_within(HOUR),
                most_within(DAY)
            ),
            (Some(1), Some(5), Some(20))
        );
        assert!(quota.sent.len() <= PLACE_DAILY);
        assert_eq!(moments.len(), 40);
    }

    #[test]
    fn a_mail_that_may_have_left_counts_within_the_hour_but_makes_nobody_wait_a_minute() {
        let now = Timestamp::from_unix(1_800_000_000);
        let mut quota = Quota::default();
        for _ in 0..PLACE_HOURLY {
            assert_eq!(wait(&quota, Counted::Place, RESEND_AFTER, now), None);
            quota = doubtful(quota, now);
        }
        assert_eq!(wait(&quota, Counted::Place, RESEND_AFTER, now), Some(HOUR));
    }

    #[test]
    fn all_services_together_get_ten_an_hour_and_forty_a_day() {
        let start = Timestamp::from_unix(1_800_000_000);
        let (mut now, mut quota, mut moments) = (start, Quota::default(), Vec::new());
        while now < start.plus(DAY) {
            match wait(&quota, Counted::Services, RESEND_AFTER, now) {
                Some(seconds) => now = now.plus(seconds),
                None => {
                    quota = sent(quota, now);
                    moments.push(now);
                }
            }
        }
        let first_hour = moments.iter().filter(|at| start.plus(HOUR) > **at);
        assert_eq!((first_hour.count(), moments.len()), (10, 40));
    }

    #[test]
    fn an_address_gets_ten_an_hour_from_all_together() {
        let now = Timestamp::from_unix(1_800_000_000);
        let quota = (0..10).fold(Quota::default(), |quota, n| sent(quota, now.plus(n)));
        let wait = |at| wait(&quota, Counted::Address, RESEND_AFTER, at);
        assert_eq!(wait(now.plus(10)), Some(3590));
        assert_eq!(wait(now.plus(3600)), None);
    }
}
