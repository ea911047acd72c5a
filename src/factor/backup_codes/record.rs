use serde::{Deserialize, Serialize};

use crate::base::{PersonKey, Timestamp};
use crate::crypto::BackupCodeHash;
use crate::store::Record;

/// A person's set. A new one takes the place of the old as a whole.
#[derive(Serialize, Deserialize)]
pub struct CodeSet {
    pub salt: [u8; 16],
    pub created_at: Timestamp,
    pub codes: Vec<KeptCode>,
    /// When those that were unused became void all at once; `None` where they did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voided_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
pub struct KeptCode {
    pub hash: BackupCodeHash,
    pub spent_at: Option<Timestamp>,
}

impl Record for CodeSet {
    type Key = PersonKey;
    const TABLE: &'static str = "backup codes";
}

impl CodeSet {
    /// How many are good.
    pub fn remaining(&self) -> usize {
        self.codes
            .iter()
            .filter(|code| code.spent_at.is_none())
            .count()
    }

    /// Makes every unused code void: it counts as spent. Gives how many there were.
    pub fn void(&mut self, now: Timestamp) -> usize {
        let unused = self.remaining();
        for code in &mut self.codes {
            code.spent_at = code.spent_at.or(Some(now));
        }
        if unused > 0 {
            self.voided_at = Some(now);
        }
        unused
    }

    /// Spends the code of this hash: true once. Every code is compared, whichever matches.
    pub fn spend(&mut self, hash: &BackupCodeHash, now: Timestamp) -> bool {
        let mut spent = false;
        for code in &mut self.codes {
            if code.hash == *hash && code.spent_at.is_none() {
                code.spent_at = Some(now);
                spent = true;
            }
        }
        spent
    }
}
