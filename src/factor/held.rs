//! What a user has of all factors, and the end of it. It takes no server: an operator on the machine comes here too.

use crate::base::{Failure, PersonKey, Timestamp};
use crate::lockout;
use crate::mail::Address;
use crate::store::{Read, Tx};
use crate::trust;

use super::{BackupCodesLeft, Device, Status, backup_codes, email, totp, webauthn};

/// Returns the second factors that `person` has or is setting up, for an operator on the machine: a mailbox that codes go
/// to is named in full. Whether one is locked, [`lockout`] knows.
///
/// # Errors
/// Those of the store.
pub fn devices(read: &dyn Read, person: PersonKey, now: Timestamp) -> Result<Vec<Device>, Failure> {
    let mut devices = totp::devices(read, person, now)?;
    for mut device in email::devices(read, person, now)? {
        if device.status == Status::Active
            && let Some(address) = email::addresses(read, person)?.first()
        {
            device.name = address.as_str().to_owned();
        }
        devices.push(device);
    }
    devices.extend(webauthn::devices(read, person, now)?);
    Ok(devices)
}

/// Returns the addresses that `person`'s factors know.
///
/// # Errors
/// Those of the store.
pub fn addresses(read: &dyn Read, person: PersonKey) -> Result<Vec<Address>, Failure> {
    email::addresses(read, person)
}

/// Returns how many backup codes `person` has; `None` before their first factor.
///
/// # Errors
/// Those of the store.
pub fn backup_codes_left(
    read: &dyn Read,
    person: PersonKey,
) -> Result<Option<BackupCodesLeft>, Failure> {
    backup_codes::left(read, person)
}

/// Removes every factor of `person`, and all that hangs on them: set-ups and ceremonies under way, mailed codes, backup
/// codes, failure counters, and trust in browsers.
///
/// # Errors
/// Those of the store.
pub fn forget_all(tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
    totp::forget(tx, person);
    email::forget(tx, person)?;
    webauthn::forget(tx, person)?;
    backup_codes::forget(tx, person);
    lockout::clear_all(tx, person)?;
    trust::forget_all(tx, person)
}
