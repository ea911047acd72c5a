use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::{PersonKey, Timestamp};
use crate::crypto::CodeHash;
use crate::mail::Address;
use crate::store::{Key, Record};

use super::language::Noted;
use super::names::NameKind;

/// What is known of a person. Learnt from their own tokens, and their language from their own requests too; never
/// from what others ask about them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Who vouches for them: the exact `iss`.
    pub issuer: String,
    /// Their `sub` at that issuer.
    pub subject: String,
    /// Their tenant, where the issuer has tenants.
    pub tenant: Option<String>,
    /// `preferred_username`, as the last token that has one says.
    pub username: Option<String>,
    /// The address that the issuer last named, for notices.
    pub email: Option<Address>,
    /// The address before that, and until when it is told of changes too: whoever changed the address
    /// may not be its owner.
    #[serde(default)]
    pub former_email: Option<(Address, Timestamp)>,
    /// The language that they are written to in; `None` where nothing has said any that is spoken here.
    #[serde(default)]
    pub language: Option<Noted>,
    /// When they first changed anything here.
    pub met_at: Timestamp,
    /// The names that they are found by.
    #[serde(default)]
    pub(super) names: Names,
}

impl Record for Profile {
    type Key = PersonKey;
    const TABLE: &'static str = "people";
}

/// What a person is found by: keyed hashes of names.
#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Names {
    pub username: Option<CodeHash>,
    pub email: Option<CodeHash>,
}

impl Names {
    pub fn of(&self, kind: NameKind) -> Option<CodeHash> {
        match kind {
            NameKind::Username => self.username,
            NameKind::Email => self.email,
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<names>")
    }
}

/// One who bears a name. Those of one name stand together; what the row says stands in its key, and counts
/// where their profile says the same.
#[derive(Serialize, Deserialize)]
pub(super) struct Bearer {}

/// The hash of a name, and who bears it.
pub(super) struct BearerKey {
    name: [u8; 32],
    pub person: PersonKey,
}

impl BearerKey {
    pub fn new(name: CodeHash, person: PersonKey) -> Self {
        BearerKey {
            name: *name.as_bytes(),
            person,
        }
    }
}

impl Key for BearerKey {
    fn encode(&self) -> Vec<u8> {
        [&self.name[..], self.person.as_bytes()].concat()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (name, rest) = bytes.split_first_chunk::<32>()?;
        Some(BearerKey {
            name: *name,
            person: PersonKey::decode(rest)?,
        })
    }
}

impl Record for Bearer {
    type Key = BearerKey;
    const TABLE: &'static str = "people by name";
}

/// Somebody whose token lately made them an operator.
#[derive(Serialize, Deserialize)]
pub(super) struct Operator {
    pub seen_at: Timestamp,
}

impl Record for Operator {
    type Key = PersonKey;
    const TABLE: &'static str = "operators";
}
