//! What becomes of the factors in a store that was brought back from a copy. What was used since the copy
//! was made must not be good again: what is known to be used is taken over from the store that was there,
//! and where that is not known, what may have been used is void.

use crate::base::Failure;
use crate::base::{PersonKey, RequestId, Timestamp};
use crate::lockout;
use crate::store::Store;
use crate::trust;

use super::{backup_codes, email, restored, totp, webauthn};

/// Tables of what waits for an answer: void in a store that was brought back.
pub fn open_tables() -> Vec<&'static str> {
    [totp::OPEN_TABLES, email::OPEN_TABLES, webauthn::OPEN_TABLES].concat()
}

/// What is to be healed, and by what.
#[derive(Clone)]
pub struct Healing {
    /// The store whose place is taken, where it knows all that has been used.
    pub replaced: Option<Store>,
    /// When.
    pub now: Timestamp,
    /// Names it in people's histories.
    pub request: RequestId,
    /// Whether the operator vouches that no backup code was spent since the copy was made.
    pub keep_backup_codes: bool,
}

/// Somebody whose unused backup codes became void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voided {
    /// Who.
    pub person: PersonKey,
    /// How many codes.
    pub codes: usize,
}

/// Makes the factors in `store` safe, which nobody else may have yet. Gives whose backup codes became void: it
/// stands in their history, as do the browsers that are no longer trusted, and they are told by mail when the
/// server starts.
///
/// # Errors
/// Those of the stores; then `store` is of no use.
pub async fn heal(store: &Store, healing: &Healing) -> Result<Vec<Voided>, Failure> {
    totp::heal(store, healing.now).await?;
    webauthn::heal(store, healing.replaced.clone()).await?;
    lockout::heal(store, healing.replaced.clone(), healing.now).await?;
    let distrusting = trust::heal(store, healing.now).await?;
    let voided = backup_codes::heal(store, healing.clone()).await?;
    restored::write_down(store, restored::DISTRUSTED, &distrusting, healing).await?;
    let theirs: Vec<PersonKey> = voided.iter().map(|one| one.person).collect();
    restored::write_down(store, restored::VOID, &theirs, healing).await?;
    restored::remember(store, &theirs, healing.now).await?;
    Ok(voided)
}
