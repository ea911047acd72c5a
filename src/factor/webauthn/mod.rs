//! Security keys and passkeys (WebAuthn Level 3) as a pure second factor: user
//! presence, no PIN, attestation `none`.
//!
//! webauthn-rs does the cryptography. What it leaves to its caller is in
//! `rule`: the exact origin, embedding, the user handle, single use, expiry,
//! the owner of a credential, and counters under parallel use.

mod assertion;
#[cfg(test)]
mod fuzz;
mod http;
mod models;
mod record;
mod registration;
mod relying_party;
mod rule;
mod service;

use crate::base::{Code, DeviceId, Failure, Kind, PersonKey, Timestamp};
use crate::services::Services;
use crate::store::{Key, Order, Read, Record, Scan, Tx};

use super::{Answer, Device, Factor, Place, Verdict};
use record::{Ceremony, Keys, Owner, Proof, SignInCeremony, Step};

pub use assertion::{
    CheckedAssertion, KeyShown, begin_sign_in, check_sign_in, forget_sign_in, is_sign_in_begun,
    use_sign_in,
};
/// What a browser makes of an assertion's challenge: `AuthenticationResponseJSON`.
pub use webauthn_rs::prelude::PublicKeyCredential as AssertionResponse;

pub use http::routes;
pub use relying_party::{RelyingParty, RelyingPartyError, SecurityKeys};
pub use service::heal;

/// The browser's answer does not hold.
pub const WEBAUTHN_FAILED: Code = Code {
    name: "webauthn_failed",
    kind: Kind::BadProof,
    title: "The security key's answer does not verify",
};
/// The reason of a [`WEBAUTHN_FAILED`] whose answer holds, but for the key's counter, which did not advance: there may be
/// a copy of the key.
pub const KEY_COPIED: &str = "key_copied";
/// The key is registered already, here or for somebody else.
pub const KEY_KNOWN: Code = Code {
    name: "key_known",
    kind: Kind::Conflict,
    title: "This key is registered already",
};
/// The person has as many keys as they may.
pub const TOO_MANY_KEYS: Code = Code {
    name: "too_many_keys",
    kind: Kind::Conflict,
    title: "Too many security keys",
};

/// Tables of what waits for an answer.
pub const OPEN_TABLES: &[&str] = &[Ceremony::TABLE, SignInCeremony::TABLE, Proof::TABLE];

/// The codes of this room.
pub const CODES: &[Code] = &[WEBAUTHN_FAILED, KEY_KNOWN, TOO_MANY_KEYS];

pub(super) const KIND: &str = "webauthn";
/// Live ceremonies of one person on their own page; the oldest makes room for a new one.
const LIVE_CEREMONIES: usize = 10;
/// More than there can be on that page.
const MOST_CEREMONIES: usize = 64;
/// Assertions for sign-ins that are read at once.
const PAGE: usize = 256;

/// Whether the person has it: it takes no server to know.
pub(super) fn is_active(read: &dyn Read, person: PersonKey) -> Result<bool, Failure> {
    Ok(read
        .get::<Keys>(&person)?
        .is_some_and(|keys| !keys.credentials.is_empty()))
}

/// What of it the person has and is setting up.
pub(super) fn devices(
    read: &dyn Read,
    person: PersonKey,
    now: Timestamp,
) -> Result<Vec<Device>, Failure> {
    let keys = read.get::<Keys>(&person)?.unwrap_or_default();
    let mut devices: Vec<Device> = keys
        .credentials
        .iter()
        .map(|credential| credential.device())
        .collect();
    for (_, ceremony) in ceremonies(read, person)? {
        if now < ceremony.expires_at {
            devices.extend(ceremony.pending_device());
        }
    }
    Ok(devices)
}

/// Removes every key, and every ceremony that waits for an answer. A proof is void with the key that gave it.
pub(super) fn forget(tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
    for (key, _) in ceremonies(tx, person)? {
        tx.delete::<Ceremony>(&key);
    }
    forget_sign_ins(tx, person)?;
    let Some(keys) = tx.get::<Keys>(&person)? else {
        return Ok(());
    };
    for credential in &keys.credentials {
        tx.delete::<Owner>(&credential.id().to_vec());
    }
    // The user handle stays: a key that is set up again is the same account to its authenticator.
    tx.put(
        &person,
        &Keys {
            credentials: Vec::new(),
            ..keys
        },
    )
}

/// Removes every assertion that was begun for a sign-in of `person`: some at each login service.
fn forget_sign_ins(tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
    let mut past: Option<Vec<u8>> = None;
    loop {
        let page = tx.list::<SignInCeremony>(&Scan {
            prefix: person.as_bytes(),
            past: past.as_deref(),
            order: Order::Ascending,
            limit: PAGE,
        })?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        past = Some(last.encode());
        for (key, _) in page {
            tx.delete::<SignInCeremony>(&key);
        }
    }
}

impl Factor for SecurityKeys {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn words(&self) -> &'static str {
        "security key"
    }

    /// There is nothing to guess, and no lock shuts this door.
    fn guessable(&self) -> bool {
        false
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
        matches!(answer, Answer::Proof(_))
    }

    /// Somebody touched it; what sort of key it is, the key itself says.
    fn amr(&self) -> &'static [&'static str] {
        &["user"]
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
        let Answer::Proof(text) = answer else {
            return Ok(Verdict::Wrong);
        };
        let key = assertion::proof_hash(tools, person, text)
            .as_bytes()
            .to_vec();
        let Some(proof) = tx.get::<Proof>(&key)? else {
            return Ok(Verdict::Wrong);
        };
        tx.delete::<Proof>(&key);
        let keys = tx.get::<Keys>(&person)?.unwrap_or_default();
        let is_there = |credential: &record::Credential| credential.device_id == proof.device_id;
        if !keys.credentials.iter().any(is_there) {
            return Ok(Verdict::Wrong);
        }
        Ok(if now < proof.expires_at {
            Verdict::Right
        } else {
            Verdict::Expired
        })
    }

    fn forget_pending(&self, tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
        for (key, ceremony) in ceremonies(tx, person)? {
            if matches!(ceremony.step, Step::Register { .. }) {
                tx.delete::<Ceremony>(&key);
            }
        }
        Ok(())
    }

    fn forget(&self, tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
        forget(tx, person)
    }
}

type CeremonyKey = <Ceremony as crate::store::Record>::Key;

fn ceremonies(read: &dyn Read, person: PersonKey) -> Result<Vec<(CeremonyKey, Ceremony)>, Failure> {
    let scan = Scan {
        prefix: person.as_bytes(),
        past: None,
        order: Order::Ascending,
        limit: MOST_CEREMONIES,
    };
    read.list(&scan)
}

impl Ceremony {
    /// Whether it is the registration of `device`.
    fn registers(&self, device: DeviceId) -> bool {
        matches!(self.step, Step::Register { device_id, .. } if device_id == device)
    }

    fn pending_device(&self) -> Option<Device> {
        match &self.step {
            Step::Register {
                device_id, name, ..
            } => Some(record::pending_device(
                *device_id,
                name.as_deref(),
                self.created_at,
                self.expires_at,
            )),
            Step::Verify { .. } => None,
        }
    }
}
