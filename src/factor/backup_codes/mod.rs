//! Backup codes: ten of 80 bits, shown once, each spent once. They stand in
//! for the other factors, and are worth nothing without one.
//!
//! Kept as HMAC-SHA-256 under a key that is not in the rows, with a salt a
//! set. A slow password hash would add nothing to 80 random bits but a way to
//! keep the processor busy.

mod http;
mod record;
mod service;

use crate::base::{Failure, PersonKey, Timestamp};
use crate::services::Services;
use crate::store::{Read, Tx};

use super::{Answer, Device, Factor, Place, Verdict};
use record::{CodeSet, Spending};

pub use http::routes;
pub use service::heal;
pub(super) use service::left;

/// Codes of one set.
pub const COUNT: usize = 10;

/// Backup codes.
pub struct BackupCodes;

/// Removes the whole set.
pub(super) fn forget(tx: &mut Tx<'_>, person: PersonKey) {
    tx.delete::<CodeSet>(&person);
}

impl Factor for BackupCodes {
    fn kind(&self) -> &'static str {
        "backup_code"
    }

    fn words(&self) -> &'static str {
        "backup codes"
    }

    /// Nobody guesses 80 bits, and a lock would close the last door of somebody who lost a phone.
    fn guessable(&self) -> bool {
        false
    }

    fn stands_alone(&self) -> bool {
        false
    }

    fn is_active(&self, read: &dyn Read, person: PersonKey) -> Result<bool, Failure> {
        Ok(read.get::<CodeSet>(&person)?.is_some())
    }

    fn devices(&self, _: &dyn Read, _: PersonKey, _: Timestamp) -> Result<Vec<Device>, Failure> {
        Ok(Vec::new())
    }

    fn takes(&self, answer: &Answer) -> bool {
        matches!(answer, Answer::Backup(_))
    }

    fn pretend(&self, tools: &Services, answer: &Answer, _now: Timestamp) {
        if let Answer::Backup(code) = answer {
            let _ = tools.keys().backup_code_hash(&[0; 16], code);
        }
    }

    /// RFC 8176 has no word for them.
    fn amr(&self) -> &'static [&'static str] {
        &[]
    }

    fn judge(
        &self,
        tools: &Services,
        tx: &mut Tx<'_>,
        person: PersonKey,
        answer: &Answer,
        _place: Place,
        now: Timestamp,
    ) -> Result<Verdict, Failure> {
        let Some(mut set) = tx.get::<CodeSet>(&person)? else {
            return Ok(Verdict::Wrong);
        };
        let Answer::Backup(code) = answer else {
            return Ok(Verdict::Wrong);
        };
        match set.spend(&tools.keys().backup_code_hash(&set.salt, code), now) {
            Spending::Spent => {
                tx.put(&person, &set)?;
                Ok(Verdict::Right)
            }
            Spending::AlreadySpent => Ok(Verdict::Used(None)),
            Spending::Unknown => Ok(Verdict::Wrong),
        }
    }

    fn forget(&self, tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
        forget(tx, person);
        Ok(())
    }
}
