//! The key ring: the keys that the store's contents are sealed and hashed
//! under, themselves sealed under the master key.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::base::{Entropy, Failure, Secret, Timestamp};

use super::outside::OutsideKey;

const RING_CONTEXT: &[&[u8]] = &[b"key ring"];

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
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// One of the keys that seal rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataKey {
    /// Its number, from 1; the highest seals what is written now.
    pub term: u32,
    /// Since when it is there; `None` where nobody has noted it yet.
    pub since: Option<Timestamp>,
}

/// All keys of one store but the master key.
pub struct KeyRing {
    pub(super) data: BTreeMap<u32, Secret<[u8; 32]>>,
    pub(super) since: BTreeMap<u32, Timestamp>,
    pub(super) person: Secret<[u8; 32]>,
    pub(super) code: Secret<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
struct StoredRing {
    data: BTreeMap<u32, String>,
    #[serde(default)]
    since: BTreeMap<u32, Timestamp>,
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
            since: BTreeMap::new(),
            person: Secret::new(entropy.bytes()?),
            code: Secret::new(entropy.bytes()?),
        })
    }

    /// The data keys, the oldest first.
    pub fn data_keys(&self) -> Vec<DataKey> {
        let keys = self.data.keys().map(|term| DataKey {
            term: *term,
            since: self.since.get(term).copied(),
        });
        keys.collect()
    }

    /// Notes that the key which seals now was there at `now`, unless an earlier moment is noted.
    pub fn date(&mut self, now: Timestamp) {
        if let Some(term) = self.data.keys().next_back() {
            self.since.entry(*term).or_insert(now);
        }
    }

    /// Adds a fresh data key, drawn at `now`, which seals from then on. The others still open what they sealed.
    ///
    /// # Errors
    /// As [`Entropy::fill`]; `internal` where there were as many keys as can be numbered.
    pub fn add(&mut self, entropy: &dyn Entropy, now: Timestamp) -> Result<(), Failure> {
        let newest = self.data.keys().next_back().copied().unwrap_or_default();
        let term = newest
            .checked_add(1)
            .ok_or_else(|| Failure::internal("the key ring has no number left"))?;
        self.data.insert(term, Secret::new(entropy.bytes()?));
        self.since.insert(term, now);
        Ok(())
    }

    /// Lets go of the data keys below `term`, but never of the newest.
    pub fn let_go(&mut self, term: u32) {
        let newest = self.data.keys().next_back().copied().unwrap_or_default();
        let kept = term.min(newest);
        self.data = self.data.split_off(&kept);
        self.since = self.since.split_off(&kept);
    }

    /// The ring as it is kept: the master key's identifier, then the keys, sealed under
    /// [`MasterKey::ring_key`](super::MasterKey::ring_key).
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn wrap(&self, key: &OutsideKey, entropy: &dyn Entropy) -> Result<Vec<u8>, Failure> {
        let text = |key: &Secret<[u8; 32]>| BASE64_STANDARD.encode(key.expose());
        let stored = StoredRing {
            data: self
                .data
                .iter()
                .map(|(term, key)| (*term, text(key)))
                .collect(),
            since: self.since.clone(),
            person: text(&self.person),
            code: text(&self.code),
        };
        let plain = Zeroizing::new(serde_json::to_vec(&stored).map_err(Failure::internal)?);
        let mut wrapped = key.master().0.to_vec();
        wrapped.extend(key.seal(RING_CONTEXT, &plain, entropy)?);
        Ok(wrapped)
    }

    /// Opens what [`KeyRing::wrap`] gave.
    ///
    /// # Errors
    /// [`KeyRingError`].
    pub fn unwrap(key: &OutsideKey, wrapped: &[u8]) -> Result<Self, KeyRingError> {
        let (id, sealed) = wrapped.split_at_checked(8).ok_or(KeyRingError::Damaged)?;
        let expected = KeyId(id.try_into().map_err(|_| KeyRingError::Damaged)?);
        if expected != key.master() {
            return Err(KeyRingError::WrongMasterKey {
                expected,
                found: key.master(),
            });
        }
        let plain = key
            .open(RING_CONTEXT, sealed)
            .map_err(|_| KeyRingError::Damaged)?;
        let stored: StoredRing =
            serde_json::from_slice(&plain).map_err(|_| KeyRingError::Damaged)?;
        Ok(KeyRing {
            data: stored
                .data
                .iter()
                .map(|(term, text)| Ok((*term, read_key(text)?)))
                .collect::<Result<_, _>>()?,
            since: stored.since.clone(),
            person: read_key(&stored.person)?,
            code: read_key(&stored.code)?,
        })
    }
}

fn read_key(text: &str) -> Result<Secret<[u8; 32]>, KeyRingError> {
    let bytes = BASE64_STANDARD.decode(text).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| KeyRingError::Damaged)?;
    let key = bytes.as_slice().try_into();
    Ok(Secret::new(key.map_err(|_| KeyRingError::Damaged)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::OsEntropy;
    use crate::crypto::MasterKey;

    #[test]
    fn a_ring_opens_under_its_own_master_key_alone() {
        let (right, wrong) = (
            MasterKey::draw(&OsEntropy).unwrap(),
            MasterKey::draw(&OsEntropy).unwrap(),
        );
        let (right, wrong) = (right.ring_key().unwrap(), wrong.ring_key().unwrap());
        let ring = KeyRing::draw(&OsEntropy).unwrap();
        let wrapped = ring.wrap(&right, &OsEntropy).unwrap();
        assert!(KeyRing::unwrap(&right, &wrapped).is_ok());
        let refused = KeyRing::unwrap(&wrong, &wrapped).err();
        assert_eq!(
            refused,
            Some(KeyRingError::WrongMasterKey {
                expected: right.master(),
                found: wrong.master()
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
    fn a_ring_is_read_as_it_was_before_keys_had_dates() {
        let key = MasterKey::draw(&OsEntropy).unwrap().ring_key().unwrap();
        let text = BASE64_STANDARD.encode([7; 32]);
        let plain = serde_json::json!({"data": {"1": text}, "person": text, "code": text});
        let mut wrapped = key.master().0.to_vec();
        let sealed = key.seal(RING_CONTEXT, plain.to_string().as_bytes(), &OsEntropy);
        wrapped.extend(sealed.unwrap());
        let mut ring = KeyRing::unwrap(&key, &wrapped).unwrap();
        let undated = DataKey {
            term: 1,
            since: None,
        };
        assert_eq!(ring.data_keys(), [undated]);
        ring.date(Timestamp::from_unix(5));
        ring.date(Timestamp::from_unix(9));
        let wrapped = ring.wrap(&key, &OsEntropy).unwrap();
        let since = KeyRing::unwrap(&key, &wrapped).unwrap().data_keys()[0].since;
        assert_eq!(since, Some(Timestamp::from_unix(5)));
    }

    #[test]
    fn the_newest_key_is_never_let_go() {
        let now = Timestamp::from_unix(5);
        let mut ring = KeyRing::draw(&OsEntropy).unwrap();
        ring.add(&OsEntropy, now).unwrap();
        ring.add(&OsEntropy, now).unwrap();
        let terms =
            |ring: &KeyRing| -> Vec<u32> { ring.data_keys().iter().map(|key| key.term).collect() };
        ring.let_go(2);
        assert_eq!(terms(&ring), [2, 3]);
        ring.let_go(99);
        assert_eq!(terms(&ring), [3]);
        assert_eq!(ring.since.len(), 1);
    }
}
