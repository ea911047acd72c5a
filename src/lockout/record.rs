use serde::{Deserialize, Serialize};

use crate::base::PersonKey;
use crate::store::Record;

use super::rule::Tally;

/// No row means no misses.
impl Record for Tally {
    /// Person and factor kind.
    type Key = (PersonKey, String);
    const TABLE: &'static str = "lockout";
}

/// Failures with a factor that the user does not have, or of a user who does not exist.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct PhantomTally(pub Tally);

impl Record for PhantomTally {
    /// User and factor kind.
    type Key = (PersonKey, String);
    const TABLE: &'static str = "phantom failures";
}
