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

/// What comes of spending a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spending {
    /// It was good, and is spent now.
    Spent,
    /// It was spent before.
    AlreadySpent,
    /// The set has no such code, or has it no longer because all of it became void.
    Unknown,
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

    /// Spends the code of this hash, which succeeds once. Every code is compared, whichever matches.
    pub fn spend(&mut self, hash: &BackupCodeHash, now: Timestamp) -> Spending {
        let mut found = Spending::Unknown;
        for code in &mut self.codes {
            if code.hash != *hash {
                continue;
            }
            found = match code.spent_at {
                None => Spending::Spent,
                // No one has used it: it became void with the others.
                at if at == self.voided_at => Spending::Unknown,
                Some(_) => Spending::AlreadySpent,
            };
            code.spent_at = code.spent_at.or(Some(now));
        }
        found
    }
}
