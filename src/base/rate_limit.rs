use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use super::{Failure, Timestamp, codes};

/// How many requests each of many callers may make within a minute.
///
/// The counts are in memory: a restart forgets them, which costs no one anything.
pub struct RateLimit<K> {
    most: u32,
    minute: Mutex<Minute<K>>,
}

/// The running minute.
struct Minute<K> {
    /// Since 1970.
    number: u64,
    requests: HashMap<K, u32>,
}

impl<K: Eq + Hash> RateLimit<K> {
    /// Lets each caller make `most` requests a minute.
    pub fn new(most: u32) -> Self {
        let minute = Minute {
            number: 0,
            requests: HashMap::new(),
        };
        RateLimit {
            most,
            minute: Mutex::new(minute),
        }
    }

    /// Counts a request of `caller` at `now`.
    ///
    /// # Errors
    /// `rate_limited` if those of the minute are used up.
    pub fn take(&self, caller: K, now: Timestamp) -> Result<(), Failure> {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.number != now.unix() / 60 {
            *minute = Minute {
                number: now.unix() / 60,
                requests: HashMap::new(),
            };
        }
        let requests = minute.requests.entry(caller).or_default();
        if *requests >= self.most {
            let detail = "Too many requests within a minute. Wait before you go on.";
            let rest = 60 - now.unix() % 60;
            return Err(Failure::new(codes::RATE_LIMITED, detail).retry_after(rest));
        }
        *requests += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_is_held_back_until_the_minute_is_over_and_no_other_is() {
        let (limit, now) = (RateLimit::new(60), Timestamp::from_unix(1_800_000_010));
        for _ in 0..60 {
            assert!(limit.take("alice", now).is_ok());
        }
        let refused = limit.take("alice", now).unwrap_err();
        assert_eq!(
            (refused.code(), refused.wait()),
            (codes::RATE_LIMITED, Some(50))
        );
        assert!(limit.take("bob", now).is_ok());
        assert!(limit.take("alice", now.plus(50)).is_ok());
    }
}
