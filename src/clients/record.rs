use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use crate::crypto::CodeHash;
use crate::store::Record;

/// Which name of a person a service sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sends {
    /// Their `sub` at the issuer.
    #[default]
    #[serde(rename = "sub")]
    Subject,
    /// Their `preferred_username`.
    #[serde(rename = "username")]
    Username,
    /// Their mail address.
    #[serde(rename = "email")]
    Email,
}

impl Sends {
    const ALL: [Sends; 3] = [Sends::Subject, Sends::Username, Sends::Email];

    /// The word for it on the command line and in the store.
    pub const fn word(self) -> &'static str {
        match self {
            Sends::Subject => "sub",
            Sends::Username => "username",
            Sends::Email => "email",
        }
    }
}

impl fmt::Display for Sends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word that names no way to name people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither sub, username nor email")]
pub struct SendsError;

impl FromStr for Sends {
    type Err = SendsError;

    fn from_str(word: &str) -> Result<Self, SendsError> {
        Self::ALL
            .into_iter()
            .find(|sends| sends.word() == word)
            .ok_or(SendsError)
    }
}

/// What a user is to a service whom this server has never met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// Is sent to the settings page, to set up a factor.
    #[default]
    Enroll,
    /// Is turned away.
    Deny,
    /// Is let in, unless policy requires a factor.
    Allow,
}

impl Unknown {
    const ALL: [Unknown; 3] = [Unknown::Enroll, Unknown::Deny, Unknown::Allow];

    /// The word for it on the command line and in the store.
    pub const fn word(self) -> &'static str {
        match self {
            Unknown::Enroll => "enroll",
            Unknown::Deny => "deny",
            Unknown::Allow => "allow",
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word that does not say what an unknown user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither enroll, deny nor allow")]
pub struct UnknownError;

impl FromStr for Unknown {
    type Err = UnknownError;

    fn from_str(word: &str) -> Result<Self, UnknownError> {
        Self::ALL
            .into_iter()
            .find(|unknown| unknown.word() == word)
            .ok_or(UnknownError)
    }
}

/// A login service: what it may ask, and how it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name: that of the register, or the client id of one that is not in it.
    pub id: String,
    /// Which name of a person it sends.
    pub sends: Sends,
    /// The tenants whose people it may ask about; empty for everybody.
    pub tenants: Vec<String>,
    /// Where people may be sent back to.
    pub return_urls: Vec<String>,
    /// The OAuth client whose own tokens are its proof, beside its keys.
    pub client_id: Option<String>,
    /// The issuer that the names belong to; `None` for the one of the settings.
    pub issuer: Option<String>,
    /// What a user is to it whom this server has never met; `None` where it was registered before that could be said,
    /// which means [`Unknown::Allow`] until it is.
    #[serde(default)]
    pub unknown: Option<Unknown>,
}

/// A service as the register has it, for whoever looks after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The service.
    pub service: Service,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last proved itself, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Its live keys, the newest first.
    pub keys: Vec<RegisteredKey>,
}

/// What may be told of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredKey {
    /// When it was made.
    pub made_at: Timestamp,
    /// From when on it is not good any more.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// A service with what the store must know to end its keys.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    pub service: Service,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    /// The newest first.
    pub keys: Vec<KeptKey>,
}

/// What is kept of a key.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct KeptKey {
    pub hash: CodeHash,
    pub made_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

impl KeptKey {
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

impl Kept {
    /// As it may be shown at `now`.
    pub fn shown(self, now: Timestamp) -> Registered {
        let keys = self.keys.into_iter().filter(|key| key.is_live(now));
        Registered {
            service: self.service,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            keys: keys
                .map(|key| RegisteredKey {
                    made_at: key.made_at,
                    expires_at: key.expires_at,
                    last_used_at: key.last_used_at,
                })
                .collect(),
        }
    }
}

impl Record for Kept {
    /// The service's name.
    type Key = String;
    const TABLE: &'static str = "services";
    /// The second since the format 2, with which every row was written in this shape.
    const VERSION: u8 = 2;
}

/// Whose a key is.
#[derive(Serialize, Deserialize)]
pub(super) struct KeyOwner {
    pub service: String,
}

impl Record for KeyOwner {
    /// The hash of the key.
    type Key = Vec<u8>;
    const TABLE: &'static str = "service keys";
}

/// Whose an OAuth client is.
#[derive(Serialize, Deserialize)]
pub(super) struct ClientOwner {
    pub service: String,
}

impl Record for ClientOwner {
    /// The client id.
    type Key = String;
    const TABLE: &'static str = "services by client";
}
