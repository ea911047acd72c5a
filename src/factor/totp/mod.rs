//! Authenticator apps: time-based one-time passwords (RFC 6238) of six digits,
//! HMAC-SHA-1, every 30 seconds. Each time step is accepted once, ever.

mod http;
mod qr;
mod record;
mod rule;
mod service;

use crate::base::{DeviceId, Failure, PersonKey, Timestamp};
use crate::services::Services;
use crate::store::{Read, Record, Tx};

use super::{Answer, Device, Factor, Place, Status, Verdict};
use record::{Active, Pending};
use rule::{CodeCheck, Secret160};

pub use http::routes;
pub use service::heal;

/// Tables of what waits for an answer.
pub const OPEN_TABLES: &[&str] = &[<record::Pending as Record>::TABLE];

pub(super) const KIND: &str = "totp";
const NAME: &str = "Authenticator app";

/// Authenticator apps.
pub struct Totp;

/// Whether the person has it: it takes no server to know.
pub(super) fn is_active(read: &dyn Read, person: PersonKey) -> Result<bool, Failure> {
    Ok(read.get::<Active>(&person)?.is_some())
}

/// What of it the person has and is setting up.
pub(super) fn devices(
    read: &dyn Read,
    person: PersonKey,
    now: Timestamp,
) -> Result<Vec<Device>, Failure> {
    let active = read.get::<Active>(&person)?.map(|active| active.device());
    let pending = read
        .get::<Pending>(&person)?
        .filter(|pending| now < pending.expires_at);
    Ok(active
        .into_iter()
        .chain(pending.map(|pending| pending.device()))
        .collect())
}

/// Removes the app, and one that is being set up.
pub(super) fn forget(tx: &mut Tx<'_>, person: PersonKey) {
    tx.delete::<Active>(&person);
    tx.delete::<Pending>(&person);
}

impl Factor for Totp {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn words(&self) -> &'static str {
        "authenticator app"
    }

    fn guessable(&self) -> bool {
        true
    }

    fn is_active(&self, read: &dyn Read, person: PersonKey) -> Result<bool, Failure> {
        is_active(read, person)
    }

    fn devices(
        &self,
        read: &dyn Read,
        person: PersonKey,
        now: Timestamp,
    ) -> Result<Vec<Device>, Failure> {
        devices(read, person, now)
    }

    fn takes(&self, answer: &Answer) -> bool {
        matches!(answer, Answer::Digits(_) | Answer::Unreadable)
    }

    fn pretend(&self, _tools: &Services, answer: &Answer, now: Timestamp) {
        if let Answer::Digits(digits) = answer {
            let _ = rule::check_code(&Secret160::of_nobody(), digits, now, None);
        }
    }

    fn amr(&self) -> &'static [&'static str] {
        &["otp"]
    }

    fn judge(
        &self,
        _tools: &Services,
        tx: &mut Tx<'_>,
        person: PersonKey,
        answer: &Answer,
        _place: Place,
        now: Timestamp,
    ) -> Result<Verdict, Failure> {
        let Some(mut active) = tx.get::<Active>(&person)? else {
            return Ok(Verdict::Wrong);
        };
        let Answer::Digits(digits) = answer else {
            return Ok(Verdict::Wrong);
        };
        match rule::check_code(&active.secret, digits, now, Some(active.last_step)) {
            CodeCheck::Accepted(step) => {
                active.last_step = step;
                active.last_used_at = Some(now);
                tx.put(&person, &active)?;
                Ok(Verdict::Right)
            }
            CodeCheck::Used => Ok(Verdict::Used(Some(rule::until_next(active.last_step, now)))),
            CodeCheck::Wrong => Ok(Verdict::Wrong),
        }
    }

    fn forget_pending(&self, tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
        tx.delete::<Pending>(&person);
        Ok(())
    }

    fn forget(&self, tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
        forget(tx, person);
        Ok(())
    }
}

fn device(id: DeviceId, status: Status, created_at: Timestamp) -> Device {
    Device {
        device_id: id,
        kind: KIND,
        name: NAME.to_owned(),
        status,
        created_at,
        last_used_at: None,
        expires_at: None,
        key: None,
    }
}
