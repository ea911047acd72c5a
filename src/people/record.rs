use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::{PersonKey, Timestamp};
use crate::crypto::CodeHash;
use crate::mail::Address;
use crate::store::{Key, Record};

use super::language::Noted;
use super::names::NameKind;
use super::tenants;

/// What is known of a person. Learnt from their own tokens, and their language from their own requests too; never
/// from what others ask about them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Who vouches for them: the exact `iss`.
    pub issuer: String,
    /// Their `sub` at that issuer.
    pub subject: String,
    /// The tenants that their tokens named.
    pub(super) tenants: Vec<Membership>,
    /// `preferred_username`, as the last token that has one says.
    pub username: Option<String>,
    /// The address that the issuer last named, for notices.
    pub email: Option<Address>,
    /// The address at which the latest factor was confirmed. It is notified until another takes its place, whatever the
    /// issuer names meanwhile.
    #[serde(default)]
    pub(super) enrolled_email: Option<Address>,
    /// Addresses before these that are notified too, since the user may not be the one who changed them; the newest last.
    #[serde(default)]
    pub(super) former_emails: Vec<FormerAddress>,
    /// The language that they are written to in; `None` where nothing has said any that is spoken here.
    #[serde(default)]
    pub language: Option<Noted>,
    /// When they first changed anything here.
    pub met_at: Timestamp,
    /// The names that they are found by.
    #[serde(default)]
    pub(super) names: Names,
    /// Names that they gave up while they had a factor, the newest last.
    #[serde(default)]
    pub(super) given_up: Vec<Reservation>,
}

impl Record for Profile {
    type Key = PersonKey;
    const TABLE: &'static str = "people";
    /// The third since the format 3, with which every row was written in this shape.
    const VERSION: u8 = 3;
}

impl Profile {
    /// The tenants in which they were seen, as far as that counts at `now`.
    pub fn tenants(&self, now: Timestamp) -> Vec<&str> {
        tenants::current(&self.tenants, now)
            .map(|membership| membership.tenant.as_str())
            .collect()
    }

    /// Whether `name` is reserved for them at `now`, since they gave it up.
    pub(super) fn reserves(&self, name: CodeHash, now: Timestamp) -> Option<Timestamp> {
        let mut reserved = self.given_up.iter().filter(|it| it.name == name);
        reserved.find(|it| now < it.until).map(|it| it.until)
    }
}

/// An address that was a user's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FormerAddress {
    pub address: Address,
    /// Until when it is notified.
    pub until: Timestamp,
    /// Whether a factor was confirmed at it.
    pub is_enrolled: bool,
}

/// A tenant that a user was seen in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Membership {
    /// The `tenant_id` of the token.
    pub tenant: String,
    /// When it was last named, to the day; `None` where that was before it was recorded, and counts until it is
    /// named again.
    pub seen_at: Option<Timestamp>,
}

/// A name that its user gave up, and that means nobody else for a while.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Reservation {
    pub name: CodeHash,
    pub until: Timestamp,
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// A row for each reservation, under the name; it counts where the profile says the same.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Reserved {
    /// Users whose token bore the name meanwhile, and who were notified of it.
    pub notified: Vec<PersonKey>,
}

impl Record for Reserved {
    type Key = BearerKey;
    const TABLE: &'static str = "reserved names";
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
pub(super) struct Bearer {
    /// When they were first seen under it; `None` where that was before it was recorded.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Users who have the name as well, and of whom this one was notified.
    #[serde(default)]
    pub notified: Vec<NotifiedOf>,
}

/// Another user of the same name.
#[derive(Serialize, Deserialize)]
pub(super) struct NotifiedOf {
    pub person: PersonKey,
    /// Whether both had a second factor by then.
    pub both_enrolled: bool,
}

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

impl BearerKey {
    /// The hash.
    pub fn name(&self) -> &[u8; 32] {
        &self.name
    }

    /// Whether it is the key of that name.
    pub fn has(&self, name: CodeHash) -> bool {
        self.name == *name.as_bytes()
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
