//! How much of what one user does, or has done to them, is recorded.

use crate::base::Timestamp;

use super::record::UserLog;

pub(super) const DAY: u64 = 86_400;
/// Bytes that a record counts as: with its index row, it takes no more.
pub const RECORD_BYTES: u64 = 512;

/// Percent of the bytes from which on whoever looks after the server is warned.
pub const NEARLY_FULL: u64 = 80;

/// How much is recorded, and how long it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditLimits {
    /// Records of refusals, per user and day; at most half of all that are no changes.
    pub refusals_per_day: u32,
    /// Records of everything that is not a change, refusals among them, per user and day.
    pub records_per_day: u32,
    /// Changes, per user and day; a further one is refused.
    pub changes_per_day: u32,
    /// Days that records are kept at most.
    pub days: u64,
    /// Bytes of all records together at most, each counted as [`RECORD_BYTES`].
    pub bytes: u64,
}

impl Default for AuditLimits {
    fn default() -> Self {
        AuditLimits {
            refusals_per_day: 50,
            records_per_day: 500,
            changes_per_day: 500,
            days: 400,
            bytes: 1 << 30,
        }
    }
}

impl AuditLimits {
    /// How many percent of the bytes `used` ones are, if those are [`NEARLY_FULL`] or more.
    pub fn nearly_full(&self, used: u64) -> Option<u64> {
        let percent = used.saturating_mul(100) / self.bytes.max(1);
        Some(percent.min(100)).filter(|percent| *percent >= NEARLY_FULL)
    }

    /// How many records there may be in all.
    pub(super) fn most_records(&self) -> u64 {
        self.bytes / RECORD_BYTES
    }
}

/// What an event is, for the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Something was refused.
    Refusal,
    /// A step that others can bring about and repeat: a sign-in was opened, an assertion began.
    Step,
    /// A sign-in was finished, or a session or trust in a browser ended. Steps and refusals leave room for some of these.
    SignIn,
    /// Something changed: a factor, a name of one, a session, trust. Always recorded.
    Change,
    /// A change that no one asked for over the network: a lock, what an operator or the server itself did. Always
    /// recorded, and not counted.
    Certain,
}

impl Class {
    /// The class of what was done by `action`: a change, if it is not known as something less.
    pub fn of(action: &str) -> Self {
        match action {
            // The ends of sessions and of trust are refused by no limit: a thief who has used up the day's changes must not
            // stay signed in for it. Nor are they recorded without end: who can sign in can sign out as often.
            "login.verify" | "session.remove" | "session.remove_all" | "trusted_device.remove" => {
                Class::SignIn
            }
            "account.seen" | "email.enable" | "email.send" | "login.cancel" | "login.challenge"
            | "login.email" | "login.unfinished" | "login.webauthn" | "totp.enable"
            | "totp.replace" | "webauthn.begin" | "webauthn.cancel" | "webauthn.challenge"
            | "webauthn.verify" => Class::Step,
            _ => Class::Change,
        }
    }
}

impl UserLog {
    /// Begins the day of `now`, if it is another.
    pub(super) fn begin_day(&mut self, now: Timestamp) {
        let day = now.unix() / DAY;
        if self.day != day {
            self.day = day;
            (self.refusals, self.records, self.changes) = (0, 0, 0);
        }
    }

    /// Whether there is room for one more record of that class, which is counted if there is.
    pub(super) fn take(&mut self, class: Class, limits: &AuditLimits) -> bool {
        // No flood of openings hides guesses, which have room of their own, nor sign-ins that were finished, for which a
        // fifth of the rest is kept.
        let most_refusals = limits.refusals_per_day.min(limits.records_per_day / 2);
        let most_others = limits.records_per_day - most_refusals;
        let others = self.records.saturating_sub(self.refusals);
        let has_room = match class {
            Class::Refusal => self.refusals < most_refusals,
            Class::Step => others < most_others - most_others / 5,
            Class::SignIn => others < most_others,
            Class::Change | Class::Certain => true,
        };
        match class {
            _ if !has_room => self.left_out = self.left_out.saturating_add(1),
            Class::Refusal => {
                self.refusals += 1;
                self.records += 1;
            }
            Class::Step | Class::SignIn => self.records += 1,
            Class::Change => self.changes = self.changes.saturating_add(1),
            Class::Certain => {}
        }
        has_room
    }
}
