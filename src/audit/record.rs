use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::base::{DeviceId, PersonKey, RequestId, Timestamp};
use crate::store::Record;

/// From where a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Names the request in the log, in the answer and here.
    pub request: RequestId,
    /// The client's address; `None` over a Unix socket.
    pub ip: Option<IpAddr>,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Actor {
    /// The person whom the line is about.
    Person,
    /// A login service, for the person who is signing in there.
    Service {
        /// Its id.
        id: String,
    },
    /// The server itself.
    System,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused, and nothing changed but the tallies.
    Refused,
}

/// One line. Never holds a secret: no code, no token, no address of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, by the server's clock.
    pub at: Timestamp,
    /// About whom.
    pub person: PersonKey,
    /// By whom.
    pub actor: Actor,
    /// What was asked: `totp.confirm`, `webauthn.remove`.
    pub action: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was refused: the code of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With which kind of factor the person proved themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<String>,
    /// Which device it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// From where.
    pub origin: Origin,
    /// How often it happened within a minute: identical refusals are one record.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub count: u32,
    /// When it happened for the last time; `None` if it happened once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
    /// How many records were left out since the user's record before this one, because their day was full.
    #[serde(default, skip_serializing_if = "is_none_left_out")]
    pub left_out: u32,
}

fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_once(count: &u32) -> bool {
    *count == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_none_left_out(count: &u32) -> bool {
    *count == 0
}

impl Event {
    /// `action` was done at `at`, once, to `person`.
    pub fn done(
        at: Timestamp,
        person: PersonKey,
        actor: Actor,
        action: &str,
        origin: Origin,
    ) -> Self {
        Event {
            at,
            person,
            actor,
            action: action.to_owned(),
            outcome: Outcome::Done,
            reason: None,
            factor: None,
            device: None,
            origin,
            count: once(),
            last_at: None,
            left_out: 0,
        }
    }

    /// Whether `other` says the same, apart from when it happened and in which request.
    pub(super) fn is_like(&self, other: &Event) -> bool {
        let Event {
            at: _,
            person,
            actor,
            action,
            outcome,
            reason,
            factor,
            device,
            origin,
            count: _,
            last_at: _,
            left_out: _,
        } = self;
        *person == other.person
            && *actor == other.actor
            && *action == other.action
            && *outcome == other.outcome
            && *reason == other.reason
            && *factor == other.factor
            && *device == other.device
            && origin.ip == other.origin.ip
    }
}

impl Record for Event {
    /// Lines are numbered from 1 in the order of their commits.
    type Key = u64;
    const TABLE: &'static str = "audit";
}

/// Finds a person's lines.
#[derive(Serialize, Deserialize)]
pub(super) struct Entry {}

impl Record for Entry {
    type Key = (PersonKey, u64);
    const TABLE: &'static str = "audit by person";
}

/// What one user's day has room for still, and what waits to become a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UserLog {
    /// The day, counted from 1970, in UTC.
    pub day: u64,
    /// Records of refusals on that day.
    pub refusals: u32,
    /// Records of that day that are not changes, with those of refusals.
    pub records: u32,
    /// Changes of that day.
    pub changes: u32,
    /// Records that were left out since the last one.
    pub left_out: u32,
    /// Refusals of the running minute, the oldest first.
    pub held: Vec<Event>,
}

impl Record for UserLog {
    type Key = PersonKey;
    const TABLE: &'static str = "audit by day";
}

/// Finds the users whose refusals become records.
#[derive(Serialize, Deserialize)]
pub(super) struct Due {}

impl Record for Due {
    /// When, in seconds since 1970, and whose.
    type Key = (u64, PersonKey);
    const TABLE: &'static str = "audit due";
}
