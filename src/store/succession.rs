//! A new master key takes the place of the one before.
//!
//! The one before is sealed for its successor, or for each of several, and kept in the store, which stays wrapped under it: as long as nobody
//! opens the store with the new key, the old one is good, and keys that change meanwhile are in no danger. Whoever
//! first opens it with the new key wraps the ring anew, and the old key is good no more.

use crate::base::Entropy;
use crate::crypto::{KeyRing, MasterKey};

use super::meta::{Meta, one_more};
use super::refusal::OpenError;

/// What becomes of a store that was handed over.
pub(super) struct Succession {
    /// The key before.
    pub before: MasterKey,
    /// What the store is to say of itself.
    pub meta: Meta,
}

impl Succession {
    /// That of `master`, where the store that says `found` was handed over to it.
    ///
    /// # Errors
    /// [`OpenError::KeyRing`] where what was handed over is damaged.
    pub fn of(
        found: &Meta,
        master: &MasterKey,
        entropy: &dyn Entropy,
    ) -> Result<Option<Self>, OpenError> {
        let mut before = None;
        for handed in &found.handed {
            before = before.or(master.predecessor(handed)?);
        }
        let Some(before) = before else {
            return Ok(None);
        };
        let key = |of: &MasterKey| of.ring_key().map_err(OpenError::Start);
        let ring = KeyRing::unwrap(&key(&before)?, &found.ring)?;
        let ring = ring.wrap(&key(master)?, entropy);
        let meta = Meta {
            ring: ring.map_err(OpenError::Start)?,
            handed: Vec::new(),
            // A copy of the file from before this shall be noticed.
            known: found.known.map(|(store, was)| (store, one_more(was))),
            ..found.clone()
        };
        Ok(Some(Succession { before, meta }))
    }
}
