use crate::base::PersonKey;
use crate::store::Record;

use super::rule::Tally;

/// No row means no misses.
impl Record for Tally {
    /// Person and factor kind.
    type Key = (PersonKey, String);
    const TABLE: &'static str = "lockout";
}
