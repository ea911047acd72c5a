//! Codes by mail: six digits, one live code a purpose, single use. A weaker
//! factor than the others, as whoever reads the mailbox has it.

mod code;
mod http;
mod quota;
mod record;
mod rule;
mod service;

use crate::base::{Code, Failure, Kind, PersonKey, Timestamp};
use crate::mail::Address;
use crate::services::Services;
use crate::store::{Order, Read, Record, Scan, Tx};

use super::{Answer, Device, Factor, Place, Verdict};
use record::{Active, MailedCode, Pending, Purpose, UsedCode};

pub use code::is_sign_in_code_live;
pub use http::routes;
pub use service::{Sent, forget_sign_in, send_sign_in};

/// Tables of what waits for an answer.
pub const OPEN_TABLES: &[&str] = &[
    <record::Pending as Record>::TABLE,
    <record::MailedCode as Record>::TABLE,
    <record::UsedCode as Record>::TABLE,
];

/// The issuer names no address that we could write to.
pub const EMAIL_UNKNOWN: Code = Code {
    name: "email_unknown",
    kind: Kind::Conflict,
    title: "No email address is known",
};
/// The issuer says that the address is not checked.
pub const EMAIL_UNVERIFIED: Code = Code {
    name: "email_unverified",
    kind: Kind::Conflict,
    title: "The email address is not verified",
};
/// The codes of this room.
pub const CODES: &[Code] = &[EMAIL_UNKNOWN, EMAIL_UNVERIFIED];

pub(super) const KIND: &str = "email";
/// More than the limits on mails let anybody have at once.
const LIVE_CODES: usize = 64;

/// Codes by mail.
pub struct EmailCodes {
    /// Whether mail can leave.
    pub offered: bool,
}

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

/// The mailbox that codes go to, if the person has the factor.
pub(super) fn addresses(read: &dyn Read, person: PersonKey) -> Result<Vec<Address>, Failure> {
    Ok(read
        .get::<Active>(&person)?
        .map(|active| active.address)
        .into_iter()
        .collect())
}

/// Removes the mailbox, one that is being set up, and every code that was mailed.
pub(super) fn forget(tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
    tx.delete::<Active>(&person);
    tx.delete::<Pending>(&person);
    let codes = Scan {
        prefix: person.as_bytes(),
        past: None,
        order: Order::Ascending,
        limit: LIVE_CODES,
    };
    for (key, _) in tx.list::<MailedCode>(&codes)? {
        tx.delete::<MailedCode>(&key);
    }
    for (key, _) in tx.list::<UsedCode>(&codes)? {
        tx.delete::<UsedCode>(&key);
    }
    Ok(())
}

impl Factor for EmailCodes {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn words(&self) -> &'static str {
        "email codes"
    }

    fn offered(&self) -> bool {
        self.offered
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

    /// A code that travelled by another channel (RFC 8176 section 2).
    fn amr(&self) -> &'static [&'static str] {
        &["otp", "mca"]
    }

    fn judge(
        &self,
        tools: &Services,
        tx: &mut Tx<'_>,
        person: PersonKey,
        answer: &Answer,
        place: Place,
        now: Timestamp,
    ) -> Result<Verdict, Failure> {
        let purpose = match place {
            Place::Change => Purpose::Change,
            Place::SignIn(challenge) => Purpose::SignIn(challenge),
            // A mailed code is an answer to what asked for it, and to nothing else.
            Place::OneCall => return Ok(Verdict::NothingSent),
        };
        let verdict = code::verify_code(tools, tx, person, purpose, answer, now)?;
        if verdict == Verdict::Right
            && let Some(mut active) = tx.get::<Active>(&person)?
        {
            active.last_used_at = Some(now);
            tx.put(&person, &active)?;
        }
        Ok(verdict)
    }

    fn addresses(&self, read: &dyn Read, person: PersonKey) -> Result<Vec<Address>, Failure> {
        addresses(read, person)
    }

    fn forget_pending(&self, tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
        tx.delete::<Pending>(&person);
        tx.delete::<MailedCode>(&(person, Purpose::TurnOn.name()));
        Ok(())
    }

    fn forget(&self, tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
        forget(tx, person)
    }
}
