use serde::{Deserialize, Serialize};

use crate::base::{ChallengeId, DeviceId, MessageId, PersonKey, Timestamp};
use crate::crypto::CodeHash;
use crate::factor::{Device, Status};
use crate::mail::{self, Address};
use crate::store::Record;

use super::KIND;

/// What a mailed code is good for. A code for one thing does nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To show that the address is the person's.
    TurnOn,
    /// To allow a change.
    Change,
    /// To finish the one sign-in that asked for it.
    SignIn(ChallengeId),
}

impl Purpose {
    /// As it stands in keys and in hashes.
    pub fn name(self) -> String {
        match self {
            Purpose::TurnOn => "turn on".to_owned(),
            Purpose::Change => "change".to_owned(),
            Purpose::SignIn(challenge) => format!("sign in {challenge}"),
        }
    }

    /// As the mail says it.
    pub fn in_words(self) -> mail::Purpose {
        match self {
            Purpose::TurnOn => mail::Purpose::TurnOn,
            Purpose::Change => mail::Purpose::Change,
            Purpose::SignIn(_) => mail::Purpose::SignIn,
        }
    }
}

/// The mailbox that a person's codes go to.
#[derive(Clone, Serialize, Deserialize)]
pub struct Active {
    pub device_id: DeviceId,
    pub address: Address,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

impl Record for Active {
    type Key = PersonKey;
    const TABLE: &'static str = "email";
}

/// A mailbox that waits for its confirmation.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pending {
    pub device_id: DeviceId,
    pub address: Address,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Whether its user proved a factor when it was begun. What was begun without a proof cannot be confirmed by a
    /// user who has a factor by then.
    #[serde(default)]
    pub proven: bool,
    /// Wrong codes that it was to be confirmed with, of all that were emailed for it.
    #[serde(default)]
    pub failures: u32,
}

impl Record for Pending {
    type Key = PersonKey;
    const TABLE: &'static str = "email pending";
}

/// The one live code of a purpose.
#[derive(Serialize, Deserialize)]
pub struct MailedCode {
    /// Of the code, the person, the purpose and the address.
    pub hash: CodeHash,
    pub address: Address,
    pub expires_at: Timestamp,
    pub misses: u32,
}

impl Record for MailedCode {
    /// Person and purpose.
    type Key = (PersonKey, String);
    const TABLE: &'static str = "email code";
}

/// A code that was right, until it would have expired: typed again, it is told from a wrong one.
#[derive(Serialize, Deserialize)]
pub struct UsedCode {
    pub expires_at: Timestamp,
}

impl Record for UsedCode {
    /// Person, and the hash of the code: whatever it was good for, and however many were mailed since.
    type Key = (PersonKey, Vec<u8>);
    const TABLE: &'static str = "email code used";
}

/// How many emails went to a user for one place, to a user for all login services, or to an address.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Quota {
    /// When, for the last day; the newest last.
    pub sent: Vec<Timestamp>,
    /// When, for the last day, the mail server hung up on a letter that it may have taken.
    #[serde(default)]
    pub doubtful: Vec<Timestamp>,
    /// A mail that is being sent, and until when it may take.
    pub sending: Option<(MessageId, Timestamp)>,
}

impl Record for Quota {
    /// A letter that says which, and after it the user's key, with the id of the service if it is one's, or the hash of
    /// an address.
    type Key = Vec<u8>;
    const TABLE: &'static str = "email quota";
}

fn device(id: DeviceId, address: &Address, status: Status, created_at: Timestamp) -> Device {
    Device {
        device_id: id,
        kind: KIND,
        name: address.masked(),
        status,
        created_at,
        last_used_at: None,
        expires_at: None,
        key: None,
    }
}

impl Active {
    pub fn device(&self) -> Device {
        let device = device(
            self.device_id,
            &self.address,
            Status::Active,
            self.created_at,
        );
        Device {
            last_used_at: self.last_used_at,
            ..device
        }
    }
}

impl Pending {
    pub fn device(&self) -> Device {
        let device = device(
            self.device_id,
            &self.address,
            Status::Pending,
            self.created_at,
        );
        Device {
            expires_at: Some(self.expires_at),
            ..device
        }
    }
}
