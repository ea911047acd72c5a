use serde::{Deserialize, Serialize};

use crate::base::{PersonKey, Timestamp, TrustedDeviceId};
use crate::crypto::CodeHash;
use crate::store::Record;

/// One browser that a person trusts, at one service.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    /// The login service at which it is trusted.
    pub service: String,
    /// What the browser called itself, fit to be shown.
    pub user_agent: Option<String>,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    /// As promised when it was remembered. Use does not extend it.
    pub expires_at: Timestamp,
    /// The hash of the token that it holds.
    pub current: CodeHash,
    /// When the current token took the place of the one before.
    pub rotated_at: Timestamp,
    /// The hash of the token before, if there was one. Rows of earlier versions hold up to eight, the newest first; of
    /// these only the first still says something.
    pub former: Vec<CodeHash>,
}

impl Record for Kept {
    type Key = (PersonKey, TrustedDeviceId);
    const TABLE: &'static str = "trusted devices";
}
