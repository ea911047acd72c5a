//! What the data keys do not seal: the key ring, copies of the store, and its witness.

use zeroize::Zeroizing;

use crate::base::{Entropy, Failure};

use super::aead;
use super::ring::KeyId;
use super::sealer::{SealError, context, open_under, seal_under};

/// What the data keys do not seal has no terms.
const NO_TERM: u32 = 0;

/// A key that was derived from the master key, for one purpose.
pub struct OutsideKey {
    master: KeyId,
    key: aead::Key,
}

impl OutsideKey {
    pub(super) fn new(master: KeyId, key: aead::Key) -> Self {
        OutsideKey { master, key }
    }

    /// Names the master key that this one comes from.
    pub fn master(&self) -> KeyId {
        self.master
    }

    /// `plain`, sealed so that it opens only at `place`.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn seal(
        &self,
        place: &[&[u8]],
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, Failure> {
        seal_under(&self.key, NO_TERM, &context(place), plain, entropy)
    }

    /// What was sealed at `place`.
    ///
    /// # Errors
    /// [`SealError`]; a value from any other place does not open here.
    pub fn open(&self, place: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        open_under(&self.key, NO_TERM, &context(place), sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::OsEntropy;
    use crate::crypto::MasterKey;

    #[test]
    fn each_purpose_has_a_key_of_its_own() {
        let master = MasterKey::draw(&OsEntropy).unwrap();
        let (copy, witness) = (master.copy_key().unwrap(), master.witness_key().unwrap());
        let sealed = copy.seal(&[b"here"], b"rows", &OsEntropy).unwrap();
        assert_eq!(copy.open(&[b"here"], &sealed).unwrap().as_slice(), b"rows");
        assert_eq!(
            copy.open(&[b"there"], &sealed).unwrap_err(),
            SealError::Damaged
        );
        assert_eq!(
            witness.open(&[b"here"], &sealed).unwrap_err(),
            SealError::Damaged
        );
        let other = MasterKey::draw(&OsEntropy).unwrap().copy_key().unwrap();
        assert_ne!(other.master(), copy.master());
        assert!(other.open(&[b"here"], &sealed).is_err());
    }
}
