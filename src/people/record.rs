use serde::{Deserialize, Serialize};

use crate::base::{PersonKey, Timestamp};
use crate::mail::Address;
use crate::store::Record;

/// What is known of a person. Learnt from their own tokens, never from a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Who vouches for them: the exact `iss`.
    pub issuer: String,
    /// Their `sub` at that issuer.
    pub subject: String,
    /// Their tenant, where the issuer has tenants.
    pub tenant: Option<String>,
    /// `preferred_username`.
    pub username: Option<String>,
    /// The address that the issuer last named, for notices.
    pub email: Option<Address>,
    /// The address before that, and until when it is told of changes too: whoever changed the address
    /// may not be its owner.
    #[serde(default)]
    pub former_email: Option<(Address, Timestamp)>,
    /// When they first changed anything here.
    pub met_at: Timestamp,
}

impl Record for Profile {
    type Key = PersonKey;
    const TABLE: &'static str = "people";
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
