use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mfad::base::{Clock, SystemClock, Timestamp};

/// 2026-11-24T12:00:00Z, the beginning of a TOTP step.
pub const START: u64 = 1_795_521_600;

/// A clock that stands still until the test moves it.
pub struct TestClock(AtomicU64);

impl TestClock {
    pub fn new() -> Arc<Self> {
        Arc::new(TestClock(AtomicU64::new(START)))
    }

    /// At some moment.
    pub fn at(unix: u64) -> Arc<Self> {
        Arc::new(TestClock(AtomicU64::new(unix)))
    }

    /// At the machine's present moment, which a child process lives in.
    pub fn of_the_machine() -> Arc<Self> {
        Arc::new(TestClock(AtomicU64::new(SystemClock.now().unix())))
    }

    pub fn unix(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub fn forward(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub fn back(&self, seconds: u64) {
        self.0.fetch_sub(seconds, Ordering::SeqCst);
    }

    /// To the next TOTP step, so that a fresh code is accepted.
    pub fn next_step(&self) {
        self.forward(30);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.unix())
    }
}
