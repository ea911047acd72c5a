use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::words::Key;
use crate::base::{PersonKey, Timestamp};
use crate::store::Record;

/// The one row of each of the two tables without people.
pub const ONLY: u64 = 0;

/// What `mfad policy set` stored, in the words of the settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overrides(pub BTreeMap<Key, Vec<String>>);

impl Record for Overrides {
    type Key = u64;
    const TABLE: &'static str = "policy";
}

/// The kinds that counted when the server last ran.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Counted(pub Vec<String>);

impl Record for Counted {
    type Key = u64;
    const TABLE: &'static str = "policy counted";
}

/// When a person without a factor was first asked for one.
#[derive(Debug, Serialize, Deserialize)]
pub struct Asked {
    pub since: Timestamp,
}

impl Record for Asked {
    type Key = PersonKey;
    const TABLE: &'static str = "asked";
}

/// The same of a user whom the server has never met, of whom there may be any number.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct AskedUnmet {
    pub since: Timestamp,
}

impl Record for AskedUnmet {
    type Key = PersonKey;
    const TABLE: &'static str = "asked unmet";
}
