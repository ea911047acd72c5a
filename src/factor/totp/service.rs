use crate::base::{DeviceId, Failure, Timestamp};
use crate::factor::enrollment::{confirmations_left, unconfirmed};
use crate::factor::proof::BackupCodes;
use crate::factor::{
    ALREADY_ENABLED, Answer, Deed, Device, Factor, NOT_ENABLED, NOT_PENDING, Refusal, refuse,
};
use crate::lockout;
use crate::mail::{FactorReplaced, Thing};
use crate::store::Store;

use super::record::{Active, Pending};
use super::rule::{CodeCheck, PENDING_TTL, Secret160, check_code, clock_offset, step_at};

/// What a new app is to be told.
pub struct Begun {
    pub device_id: DeviceId,
    pub secret: Secret160,
    pub expires_at: Timestamp,
}

/// Begins the set-up of a first app. A pending secret is replaced; an active one is never touched.
pub fn enable(deed: &mut Deed<'_, '_>, code: Option<&Answer>) -> Result<Begun, Refusal> {
    deed.lets_set_up(&deed.desk.factors.totp)?;
    if deed.tx.get::<Active>(&deed.person)?.is_some() {
        return refuse(Failure::new(
            ALREADY_ENABLED,
            "An authenticator app is set up already. Replace it, or turn it off first.",
        ));
    }
    let proven = deed.step_up(code)?;
    begin(deed, proven)
}

/// Begins the set-up of another app beside the active one, which stays good until the new one is confirmed.
pub fn replace(deed: &mut Deed<'_, '_>, answer: &Answer) -> Result<Begun, Refusal> {
    deed.lets_set_up(&deed.desk.factors.totp)?;
    require_active(deed)?;
    deed.prove(answer, BackupCodes::Taken)?;
    begin(deed, true)
}

fn require_active(deed: &mut Deed<'_, '_>) -> Result<Active, Refusal> {
    match deed.tx.get::<Active>(&deed.person)? {
        Some(active) => Ok(active),
        None => refuse(Failure::new(NOT_ENABLED, "No authenticator app is set up.")),
    }
}

fn begin(deed: &mut Deed<'_, '_>, proven: bool) -> Result<Begun, Refusal> {
    let entropy = &*deed.desk.tools.entropy;
    let pending = Pending {
        device_id: DeviceId::draw(entropy)?,
        secret: Secret160::draw(entropy)?,
        created_at: deed.now,
        expires_at: deed.now.plus(PENDING_TTL),
        proven,
        failures: 0,
    };
    deed.tx
        .put_until(&deed.person, &pending, pending.expires_at)?;
    deed.about(pending.device_id);
    Ok(Begun {
        device_id: pending.device_id,
        secret: pending.secret,
        expires_at: pending.expires_at,
    })
}

/// Confirms the pending app with a code of its own. Wrong codes count against the pending app and nothing else, and
/// those at sign-ins do not count here: guesses made elsewhere do not keep its owner from finishing.
pub fn confirm(
    deed: &mut Deed<'_, '_>,
    answer: &Answer,
) -> Result<(Device, Option<Vec<String>>), Refusal> {
    let factor = &deed.desk.factors.totp;
    deed.lets_set_up(factor)?;
    let pending = deed.tx.get::<Pending>(&deed.person)?;
    let mut pending = pending.filter(|pending| deed.now < pending.expires_at);
    if let Some(found) = &pending
        && deed.is_void(found.proven)?
    {
        pending = None;
    }
    let Some(mut pending) = pending else {
        return refuse(Failure::new(
            NOT_PENDING,
            "No authenticator app waits for confirmation. Begin the set-up anew.",
        ));
    };
    deed.about(pending.device_id);
    let checked = match answer {
        Answer::Digits(digits) => check_code(&pending.secret, digits, deed.now, None),
        _ => CodeCheck::Wrong,
    };
    let CodeCheck::Accepted(step) = checked else {
        let offset = match answer {
            Answer::Digits(digits) => clock_offset(&pending.secret, digits, deed.now),
            _ => None,
        };
        pending.failures = pending.failures.saturating_add(1);
        let left = confirmations_left(pending.failures);
        match left {
            0 => deed.tx.delete::<Pending>(&deed.person),
            _ => deed
                .tx
                .put_until(&deed.person, &pending, pending.expires_at)?,
        }
        let missed = unconfirmed(left, left == 0);
        return refuse(match offset {
            Some(seconds) => missed.with("clock_offset_seconds", seconds),
            None => missed,
        });
    };
    let replaced = deed.tx.get::<Active>(&deed.person)?.is_some();
    let active = Active {
        device_id: pending.device_id,
        secret: pending.secret.clone(),
        created_at: deed.now,
        last_used_at: None,
        last_step: step,
    };
    deed.tx.put(&deed.person, &active)?;
    deed.tx.delete::<Pending>(&deed.person);
    let device = active.device();
    if replaced {
        deed.distrust()?;
        deed.end_other_sessions()?;
        lockout::clear(deed.tx, deed.person, factor.kind())?;
        deed.record_address(factor)?;
        let name = device.name.clone();
        deed.tell(|occasion| FactorReplaced {
            occasion,
            factor: Thing {
                kind: factor.kind(),
                name: Some(&name),
            },
        })?;
        return Ok((device, None));
    }
    let codes = deed.added(factor, &device)?;
    Ok((device, codes))
}

/// Turns the app off, and forgets a pending one.
pub fn disable(deed: &mut Deed<'_, '_>, answer: &Answer) -> Result<(), Refusal> {
    let active = require_active(deed)?;
    let factor = &deed.desk.factors.totp;
    deed.lets_remove(factor, active.device_id)?;
    deed.prove(answer, BackupCodes::Taken)?;
    factor.forget(deed.tx, deed.person)?;
    Ok(deed.removed(factor, &active.device(), None)?)
}

/// Uses up every time step that a code may have been accepted for until `now`, also by a clock that is ahead.
pub async fn heal(store: &Store, now: Timestamp) -> Result<(), Failure> {
    let used = step_at(now).saturating_add(1);
    store
        .each::<Active, (), _>(move |tx, person, active| {
            if active.last_step < used {
                let active = Active {
                    last_step: used,
                    ..active
                };
                tx.put(person, &active)?;
            }
            Ok(None)
        })
        .await?;
    Ok(())
}
