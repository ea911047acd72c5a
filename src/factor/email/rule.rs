//! How many mails, how long a code.

use crate::base::Timestamp;

use super::record::Quota;

/// Seconds that a code is good for.
pub const CODE_TTL: u64 = 10 * 60;
/// Seconds that an address waits for its confirmation: as long as its code.
pub const PENDING_TTL: u64 = CODE_TTL;
/// Wrong answers that void a code.
pub const CODE_TRIES: u32 = 5;
/// Mails an hour to one person.
pub const PERSON_HOURLY: usize = 5;
/// Mails a day to one person.
pub const PERSON_DAILY: usize = 20;
/// Mails an hour to one address, whoever asks.
pub const ADDRESS_HOURLY: usize = 10;
/// Seconds that one attempt to send may hold the place of the next.
pub const SENDING: u64 = 15;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// All mails to one person.
    Person,
    /// All mails to one address.
    Address,
}

/// How many seconds until another mail may leave; `None` where it may now. Two mails to one person are at least
/// `resend_after` seconds apart.
pub fn wait(quota: &Quota, counted: Counted, resend_after: u64, now: Timestamp) -> Option<u64> {
    let sending = match (counted, quota.sending) {
        // A clock that stepped back must not hold the place for longer.
        (Counted::Person, Some((_, until))) => now.until(until).min(SENDING),
        _ => 0,
    };
    let limits: &[(usize, u64)] = match counted {
        Counted::Person => &[(PERSON_HOURLY, HOUR), (PERSON_DAILY, DAY)],
        Counted::Address => &[(ADDRESS_HOURLY, HOUR)],
    };
    let past = |moments: &[Timestamp]| -> Vec<Timestamp> {
        moments.iter().copied().filter(|at| *at <= now).collect()
    };
    let sent = past(&quota.sent);
    // Nobody is made to wait for another mail who was told that the one before had not left.
    let gap = match (counted, sent.last()) {
        (Counted::Person, Some(at)) => now.until(at.plus(resend_after)),
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
    fn a_person_gets_one_mail_a_minute_five_an_hour_and_twenty_a_day() {
        let start = Timestamp::from_unix(1_800_000_000);
        let (mut now, mut quota, mut moments) = (start, Quota::default(), Vec::new());
        while now < start.plus(2 * DAY) {
            match wait(&quota, Counted::Person, RESEND_AFTER, now) {
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
        assert!(quota.sent.len() <= PERSON_DAILY);
        assert_eq!(moments.len(), 40);
    }

    #[test]
    fn a_mail_that_may_have_left_counts_within_the_hour_but_makes_nobody_wait_a_minute() {
        let now = Timestamp::from_unix(1_800_000_000);
        let mut quota = Quota::default();
        for _ in 0..PERSON_HOURLY {
            assert_eq!(wait(&quota, Counted::Person, RESEND_AFTER, now), None);
            quota = doubtful(quota, now);
        }
        assert_eq!(wait(&quota, Counted::Person, RESEND_AFTER, now), Some(HOUR));
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
