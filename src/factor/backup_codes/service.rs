use crate::base::{Failure, PersonKey, Timestamp};
use crate::crypto::BackupCode;
use crate::factor::proof::BackupCodes as Backup;
use crate::factor::{Answer, BackupCodesLeft, Deed, Healing, Refusal, Voided};
use crate::mail::BackupCodesRegenerated;
use crate::services::Services;
use crate::store::{Read, Store, Tx};

use super::record::{CodeSet, KeptCode};
use super::{BackupCodes, COUNT};

impl BackupCodes {
    /// How many codes the person has; `None` before their first factor.
    ///
    /// # Errors
    /// Those of the store.
    pub fn left(
        &self,
        read: &dyn Read,
        person: PersonKey,
    ) -> Result<Option<BackupCodesLeft>, Failure> {
        left(read, person)
    }

    /// The first set, for somebody who has none: the only time that these codes are seen.
    ///
    /// # Errors
    /// Those of the store, and of the randomness.
    pub fn first_set(
        &self,
        tools: &Services,
        tx: &mut Tx<'_>,
        person: PersonKey,
        now: Timestamp,
    ) -> Result<Option<Vec<String>>, Failure> {
        match tx.get::<CodeSet>(&person)? {
            Some(_) => Ok(None),
            None => new_set(tools, tx, person, now).map(Some),
        }
    }
}

/// The same: it takes no server to know.
pub fn left(read: &dyn Read, person: PersonKey) -> Result<Option<BackupCodesLeft>, Failure> {
    Ok(read.get::<CodeSet>(&person)?.map(|set| BackupCodesLeft {
        total: set.codes.len(),
        remaining: set.remaining(),
        created_at: set.created_at,
        voided_at: set.voided_at,
    }))
}

fn new_set(
    tools: &Services,
    tx: &mut Tx<'_>,
    person: PersonKey,
    now: Timestamp,
) -> Result<Vec<String>, Failure> {
    let mut set = CodeSet {
        salt: tools.entropy.bytes()?,
        created_at: now,
        codes: Vec::with_capacity(COUNT),
        voided_at: None,
    };
    let mut shown = Vec::with_capacity(COUNT);
    for _ in 0..COUNT {
        let code = BackupCode::draw(&*tools.entropy)?;
        set.codes.push(KeptCode {
            hash: tools.keys().backup_code_hash(&set.salt, &code),
            spent_at: None,
        });
        shown.push(code.grouped());
    }
    tx.put(&person, &set)?;
    Ok(shown)
}

/// A new set; the old one is void in the same commit.
pub fn regenerate(deed: &mut Deed<'_, '_>, answer: &Answer) -> Result<Vec<String>, Refusal> {
    deed.prove(answer, Backup::NotTaken)?;
    let codes = new_set(&deed.desk.tools, deed.tx, deed.person, deed.now)?;
    deed.distrust()?;
    deed.end_other_sessions()?;
    deed.tell(|occasion| BackupCodesRegenerated { occasion })?;
    Ok(codes)
}

/// Takes over what the replaced store knows to be spent. What nobody knows is void, unless it shall be kept.
pub async fn heal(store: &Store, healing: Healing) -> Result<Vec<Voided>, Failure> {
    store
        .each::<CodeSet, Voided, _>(move |tx, person, mut set| {
            let known = match &healing.replaced {
                Some(replaced) => Some(replaced.read(|read| read.get::<CodeSet>(person))?),
                None => None,
            };
            match known {
                Some(Some(later)) if later.salt == set.salt => {
                    tx.put(person, &later)?;
                    return Ok(None);
                }
                None if healing.keep_backup_codes => return Ok(None),
                // Another set has taken its place since, or nobody can tell.
                _ => {}
            }
            let codes = set.void(healing.now);
            tx.put(person, &set)?;
            let person = *person;
            Ok((codes > 0).then_some(Voided { person, codes }))
        })
        .await
}
