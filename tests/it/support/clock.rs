//! A clock that stands still until the test moves it. Unit tests have it from `base`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Clock, SystemClock, Timestamp};

/// 2026-11-24T12:00:00Z, the beginning of a TOTP step.
pub const START: u64 = 1_795_521_600;

/// A clock that stands still until the test moves it.
pub struct TestClock(AtomicU64);

impl TestClock {
    /// A clock at 2026-11-24T12:00:00Z.
    pub fn new() -> Arc<Self> {
        TestClock::at(START)
    }

    /// A clock at this moment, in seconds since the epoch.
    pub fn at(unix: u64) -> Arc<Self> {
        Arc::new(TestClock(AtomicU64::new(unix)))
    }

    /// A clock at the machine's present moment, which a child process lives in.
    pub fn of_the_machine() -> Arc<Self> {
        TestClock::at(SystemClock.now().unix())
    }

    /// Seconds since the epoch.
    pub fn unix(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Moves to this moment, in seconds since the epoch.
    pub fn set(&self, unix: u64) {
        self.0.store(unix, Ordering::SeqCst);
    }

    /// Moves on by so many seconds.
    pub fn forward(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Moves back by so many seconds.
    pub fn back(&self, seconds: u64) {
        self.0.fetch_sub(seconds, Ordering::SeqCst);
    }

    /// Moves to the next TOTP step, so that a fresh code is accepted.
    pub fn next_step(&self) {
        self.forward(30);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.unix())
    }
}
