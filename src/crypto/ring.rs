//! The key ring: the keys that the store's contents are sealed and hashed
//! under, themselves sealed under the master key.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::base::{Entropy, Failure, PersonKey, Secret};

use super::aead;
use super::code::{BackupCode, BackupCodeHash, CodeHash, tag};
use super::master::MasterKey;

const SEALED_VERSION: u8 = 1;
/// version, term
const HEADER_LEN: usize = 1 + 4;
const RING_CONTEXT: &[&[u8]] = &[b"key ring"];

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

/// Why the key ring did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// The master key is another than the one that sealed the ring.
    #[error("the store was sealed under master key {expected}, and the key given is {found}")]
    WrongMasterKey {
        /// Identifier of the key that sealed the ring.
        expected: KeyId,
        /// Identifier of the key that was given.
        found: KeyId,
    },
    /// The ring was changed on disk.
    #[error("the key ring in the store is damaged")]
    Damaged,
}

/// The first 8 bytes of a hash of a master key: names it and betrays nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub [u8; 8]);

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl std::fmt::Debug for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// All keys of one store but the master key.
pub struct KeyRing {
    data: BTreeMap<u32, Secret<[u8; 32]>>,
    person: Secret<[u8; 32]>,
    code: Secret<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
struct StoredRing {
    data: BTreeMap<u32, String>,
    person: String,
    code: String,
}

impl Drop for StoredRing {
    fn drop(&mut self) {
        self.data.values_mut().for_each(Zeroize::zeroize);
        self.person.zeroize();
        self.code.zeroize();
    }
}

impl KeyRing {
    /// A ring of fresh keys, for a new store.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, Failure> {
        Ok(KeyRing {
            data: BTreeMap::from([(1, Secret::new(entropy.bytes()?))]),
            person: Secret::new(entropy.bytes()?),
            code: Secret::new(entropy.bytes()?),
        })
    }

    /// The ring as it is kept: the master key's identifier, then the sealed keys.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn wrap(&self, master: &MasterKey, entropy: &dyn Entropy) -> Result<Vec<u8>, Failure> {
        let stored = StoredRing {
            data: self
                .data
                .iter()
                .map(|(term, key)| (*term, BASE64_STANDARD.encode(key.expose())))
                .collect(),
            person: BASE64_STANDARD.encode(self.person.expose()),
            code: BASE64_STANDARD.encode(self.code.expose()),
        };
        let plain = Zeroizing::new(serde_json::to_vec(&stored).map_err(Failure::internal)?);
        let key = master
            .wrapping_key()
            .map_err(|_| Failure::internal("the master key cannot be used"))?;
        let mut wrapped = master.id().0.to_vec();
        wrapped.extend(seal_under(
            &key,
            0,
            &context(RING_CONTEXT),
            &plain,
            entropy,
        )?);
        Ok(wrapped)
    }

    /// Opens what [`KeyRing::wrap`] gave.
    ///
    /// # Errors
    /// [`KeyRingError`].
    pub fn unwrap(master: &MasterKey, wrapped: &[u8]) -> Result<Self, KeyRingError> {
        let (id, sealed) = wrapped.split_at_checked(8).ok_or(KeyRingError::Damaged)?;
        let expected = KeyId(id.try_into().map_err(|_| KeyRingError::Damaged)?);
        if expected != master.id() {
            return Err(KeyRingError::WrongMasterKey {
                expected,
                found: master.id(),
            });
        }
        let key = master.wrapping_key().map_err(|_| KeyRingError::Damaged)?;
        let plain =
            open_under(&key, &context(RING_CONTEXT), sealed).map_err(|_| KeyRingError::Damaged)?;
        let stored: StoredRing =
            serde_json::from_slice(&plain).map_err(|_| KeyRingError::Damaged)?;
        let key = |text: &String| -> Result<Secret<[u8; 32]>, KeyRingError> {
            let bytes = Zeroizing::new(
                BASE64_STANDARD
                    .decode(text)
                    .map_err(|_| KeyRingError::Damaged)?,
            );
            Ok(Secret::new(
                bytes
                    .as_slice()
                    .try_into()
                    .map_err(|_| KeyRingError::Damaged)?,
            ))
        };
        Ok(KeyRing {
            data: stored
                .data
                .iter()
                .map(|(term, text)| Ok((*term, key(text)?)))
                .collect::<Result<_, _>>()?,
            person: key(&stored.person)?,
            code: key(&stored.code)?,
        })
    }
}

/// Seals and hashes under the keys of one ring.
pub struct Sealer {
    data: BTreeMap<u32, aead::Key>,
    active: u32,
    person: hmac::Key,
    code: hmac::Key,
}

impl Sealer {
    /// Makes the keys of `ring` ready for use.
    ///
    /// # Errors
    /// [`KeyRingError::Damaged`] where the ring holds no data key.
    pub fn new(ring: &KeyRing) -> Result<Self, KeyRingError> {
        let data = ring
            .data
            .iter()
            .map(|(term, key)| {
                Ok((
                    *term,
                    aead::Key::new(key.expose()).map_err(|_| KeyRingError::Damaged)?,
                ))
            })
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        let active = *data.keys().next_back().ok_or(KeyRingError::Damaged)?;
        let mac = |key: &Secret<[u8; 32]>| hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        Ok(Sealer {
            data,
            active,
            person: mac(&ring.person),
            code: mac(&ring.code),
        })
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
        let key = self
            .data
            .get(&self.active)
            .ok_or_else(|| Failure::internal("the key ring has no active key"))?;
        seal_under(key, self.active, &context(place), plain, entropy)
    }

    /// What was sealed at `place`.
    ///
    /// # Errors
    /// [`SealError`]; a value from any other place does not open here.
    pub fn open(&self, place: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let term = term_of(sealed)?;
        let key = self.data.get(&term).ok_or(SealError::UnknownTerm(term))?;
        open_under(key, &context(place), sealed)
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

fn term_of(sealed: &[u8]) -> Result<u32, SealError> {
    match sealed {
        [SEALED_VERSION, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(SealError::Layout),
    }
}

pub(super) fn open_under(
    key: &aead::Key,
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
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
    use crate::base::OsEntropy;

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
    fn a_ring_opens_under_its_own_master_key_alone() {
        let (right, wrong) = (
            MasterKey::draw(&OsEntropy).unwrap(),
            MasterKey::draw(&OsEntropy).unwrap(),
        );
        let wrapped = KeyRing::draw(&OsEntropy)
            .unwrap()
            .wrap(&right, &OsEntropy)
            .unwrap();
        assert!(KeyRing::unwrap(&right, &wrapped).is_ok());
        let refused = KeyRing::unwrap(&wrong, &wrapped).err();
        assert_eq!(
            refused,
            Some(KeyRingError::WrongMasterKey {
                expected: right.id(),
                found: wrong.id()
            })
        );
        let mut damaged = wrapped.clone();
        damaged[40] ^= 1;
        assert_eq!(
            KeyRing::unwrap(&right, &damaged).err(),
            Some(KeyRingError::Damaged)
        );
        assert_eq!(
            KeyRing::unwrap(&right, b"").err(),
            Some(KeyRingError::Damaged)
        );
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
