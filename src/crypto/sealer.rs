//! Sealing rows and hashing codes, under the keys of one ring.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::base::{Entropy, Failure, PersonKey, Secret};

use super::aead;
use super::code::{BackupCode, BackupCodeHash, CodeHash, tag};
use super::ring::{DataKey, KeyRing, KeyRingError};

const SEALED_VERSION: u8 = 1;
/// version, term
const HEADER_LEN: usize = 1 + 4;

/// Why a sealed value did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is shorter than any sealed value, or of a layout that we do not know.
    #[error("not a sealed value of a known layout")]
    Layout,
    /// It was sealed under a data key that the ring does not hold.
    #[error("sealed under data key {0}, which the key ring does not hold")]
    UnknownTerm(u32),
    /// It was changed, moved to another place, or sealed under another key.
    #[error("the sealed value was damaged or does not belong where it stands")]
    Damaged,
}

/// The data keys, ready for use.
struct DataKeys {
    /// Those of the ring, and those that it let go of while this process ran.
    keys: BTreeMap<u32, Arc<aead::Key>>,
    active: u32,
    ring: Vec<DataKey>,
}

/// Seals and hashes under the keys of one ring.
pub struct Sealer {
    data: ArcSwap<DataKeys>,
    person: hmac::Key,
    code: hmac::Key,
}

impl Sealer {
    /// Makes the keys of `ring` ready for use.
    ///
    /// # Errors
    /// [`KeyRingError::Damaged`] where the ring holds no data key.
    pub fn new(ring: &KeyRing) -> Result<Self, KeyRingError> {
        let mac = |key: &Secret<[u8; 32]>| hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        Ok(Sealer {
            data: ArcSwap::from_pointee(DataKeys::of(ring)?),
            person: mac(&ring.person),
            code: mac(&ring.code),
        })
    }

    /// Seals under the newest data key of `ring` from now on. What was sealed under a key that the ring has let
    /// go of can be opened until the process ends, since somebody may be reading what was there before.
    ///
    /// # Errors
    /// [`KeyRingError::Damaged`] where the ring holds no data key.
    pub fn take_up(&self, ring: &KeyRing) -> Result<(), KeyRingError> {
        let mut next = DataKeys::of(ring)?;
        for (term, key) in &self.data.load().keys {
            next.keys.entry(*term).or_insert_with(|| key.clone());
        }
        self.data.store(Arc::new(next));
        Ok(())
    }

    /// The data keys of the ring, the oldest first.
    pub fn data_keys(&self) -> Vec<DataKey> {
        self.data.load().ring.clone()
    }

    /// The number of the data key that seals now.
    pub fn active(&self) -> u32 {
        self.data.load().active
    }

    /// `plain`, sealed so that it opens only at `place` (table and key).
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn seal(
        &self,
        place: &[&[u8]],
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, Failure> {
        let data = self.data.load();
        let key = data
            .keys
            .get(&data.active)
            .ok_or_else(|| Failure::internal("the key ring has no active key"))?;
        seal_under(key, data.active, &context(place), plain, entropy)
    }

    /// What was sealed at `place`.
    ///
    /// # Errors
    /// [`SealError`]; a value from any other place does not open here.
    pub fn open(&self, place: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let term = term_of(sealed)?;
        let data = self.data.load();
        let key = data.keys.get(&term).ok_or(SealError::UnknownTerm(term))?;
        open_under(key, term, &context(place), sealed)
    }

    /// How the store names the person whom `issuer` calls `subject`.
    pub fn person(&self, issuer: &str, subject: &str) -> PersonKey {
        let tag = tag(&self.person, &[issuer.as_bytes(), subject.as_bytes()]);
        let mut key = [0; 16];
        key.copy_from_slice(&tag[..16]);
        PersonKey(key)
    }

    /// The hash under which a code is kept that belongs to `owner`: all that
    /// the code is good for, so that it fits nowhere else.
    pub fn code_hash(&self, owner: &[&[u8]], code: &str) -> CodeHash {
        let mut parts = owner.to_vec();
        parts.push(code.as_bytes());
        CodeHash::new(tag(&self.code, &parts))
    }

    /// The hash under which a backup code of the set with `salt` is kept.
    pub fn backup_code_hash(&self, salt: &[u8; 16], code: &BackupCode) -> BackupCodeHash {
        BackupCodeHash(self.code_hash(&[b"backup code", salt], code.compact()))
    }
}

impl DataKeys {
    fn of(ring: &KeyRing) -> Result<Self, KeyRingError> {
        let keys = ring.data.iter().map(|(term, key)| {
            let key = aead::Key::new(key.expose()).map_err(|_| KeyRingError::Damaged)?;
            Ok((*term, Arc::new(key)))
        });
        let keys = keys.collect::<Result<BTreeMap<_, _>, _>>()?;
        Ok(DataKeys {
            active: *keys.keys().next_back().ok_or(KeyRingError::Damaged)?,
            ring: ring.data_keys(),
            keys,
        })
    }
}

/// Associated data: each part behind its length, so that no two lists of parts
/// can look alike.
pub(super) fn context(parts: &[&[u8]]) -> Vec<u8> {
    let mut aad = b"mfad".to_vec();
    for part in parts {
        aad.extend((part.len() as u64).to_be_bytes());
        aad.extend(*part);
    }
    aad
}

pub(super) fn seal_under(
    key: &aead::Key,
    term: u32,
    aad: &[u8],
    plain: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, Failure> {
    let nonce: [u8; aead::NONCE_LEN] = entropy.bytes()?;
    let mut text = Vec::with_capacity(plain.len() + aead::TAG_LEN);
    text.extend_from_slice(plain);
    key.seal(&nonce, aad, &mut text)
        .map_err(|_| Failure::internal("sealing failed"))?;
    let mut sealed = Vec::with_capacity(HEADER_LEN + nonce.len() + text.len());
    sealed.push(SEALED_VERSION);
    sealed.extend(term.to_be_bytes());
    sealed.extend(nonce);
    sealed.extend(text);
    Ok(sealed)
}

/// The number of the data key that a value was sealed under.
///
/// # Errors
/// [`SealError::Layout`].
pub fn term_of(sealed: &[u8]) -> Result<u32, SealError> {
    match sealed {
        [SEALED_VERSION, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(SealError::Layout),
    }
}

/// What [`seal_under`] sealed with the same arguments. A changed header does not open either: nobody vouches for it but
/// its own value.
pub(super) fn open_under(
    key: &aead::Key,
    term: u32,
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    if term_of(sealed)? != term {
        return Err(SealError::Layout);
    }
    let body = sealed.get(HEADER_LEN..).ok_or(SealError::Layout)?;
    let (nonce, text) = body
        .split_first_chunk::<{ aead::NONCE_LEN }>()
        .ok_or(SealError::Layout)?;
    let mut text = Zeroizing::new(text.to_vec());
    let length = key
        .open(nonce, aad, &mut text)
        .map_err(|_| SealError::Damaged)?
        .len();
    text.truncate(length);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{OsEntropy, Timestamp};

    #[test]
    fn what_an_earlier_key_sealed_opens_and_what_is_sealed_now_has_the_new_key() {
        let mut ring = KeyRing::draw(&OsEntropy).unwrap();
        let before = KeyRing {
            data: ring.data.clone(),
            since: ring.since.clone(),
            person: ring.person.clone(),
            code: ring.code.clone(),
        };
        let sealer = Sealer::new(&ring).unwrap();
        let place: &[&[u8]] = &[b"t"];
        let first = sealer.seal(place, b"seed", &OsEntropy).unwrap();
        ring.add(&OsEntropy, Timestamp::from_unix(5)).unwrap();
        sealer.take_up(&ring).unwrap();
        assert_eq!(sealer.active(), 2);
        let second = sealer.seal(place, b"seed", &OsEntropy).unwrap();
        assert_eq!((term_of(&first), term_of(&second)), (Ok(1), Ok(2)));
        assert_eq!(sealer.open(place, &first).unwrap().as_slice(), b"seed");
        assert_eq!(sealer.open(place, &second).unwrap().as_slice(), b"seed");
        // Whoever has the old keys alone reads nothing of what came after.
        let thief = Sealer::new(&before).unwrap();
        assert_eq!(thief.open(place, &second), Err(SealError::UnknownTerm(2)));
        let mut as_first = second.clone();
        as_first[4] = 1;
        assert_eq!(thief.open(place, &as_first), Err(SealError::Damaged));
        // The ring has let go of the first key; the process can still open, and the next one cannot.
        ring.let_go(2);
        sealer.take_up(&ring).unwrap();
        assert_eq!(sealer.data_keys().len(), 1);
        assert!(sealer.open(place, &first).is_ok());
        let next = Sealer::new(&ring).unwrap();
        assert_eq!(next.open(place, &first), Err(SealError::UnknownTerm(1)));
        assert!(next.open(place, &second).is_ok());
    }

    fn sealer() -> Sealer {
        Sealer::new(&KeyRing::draw(&OsEntropy).unwrap()).unwrap()
    }

    #[test]
    fn a_sealed_value_opens_only_where_it_was_put() {
        let sealer = sealer();
        let sealed = sealer
            .seal(&[b"totp", b"alice"], b"seed", &OsEntropy)
            .unwrap();
        assert_eq!(
            sealer
                .open(&[b"totp", b"alice"], &sealed)
                .unwrap()
                .as_slice(),
            b"seed"
        );
        for place in [
            &[&b"totp"[..], b"bob"],
            &[b"email", b"alice"],
            &[b"totpa", b"lice"],
            &[b"", b"totpalice"],
        ] {
            assert_eq!(
                sealer.open(place, &sealed),
                Err(SealError::Damaged),
                "{place:?}"
            );
        }
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let sealer = sealer();
        let sealed = sealer.seal(&[b"t"], b"seed", &OsEntropy).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(sealer.open(&[b"t"], &damaged).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(
                sealer.open(&[b"t"], &sealed[..length]).is_err(),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn people_of_two_issuers_are_two_people() {
        let sealer = sealer();
        assert_ne!(
            sealer.person("https://a", "1"),
            sealer.person("https://b", "1")
        );
        assert_ne!(
            sealer.person("https://a", "b1"),
            sealer.person("https://ab", "1")
        );
        assert_eq!(
            sealer.person("https://a", "1"),
            sealer.person("https://a", "1")
        );
    }
}
