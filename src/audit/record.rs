use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::base::{DeviceId, PersonKey, RequestId, Timestamp};
use crate::store::Record;

/// Seconds that a line is kept: 400 days.
pub const RETENTION: u64 = 400 * 86_400;

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
