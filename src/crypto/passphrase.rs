//! A master key that is sealed with a passphrase: its file is worth nothing without what somebody knows.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::base::{Entropy, Failure, Secret};

use super::aead;
use super::ring::KeyId;
use super::sealer::{context, open_under, seal_under};

/// Bytes of a passphrase at the least (NIST SP 800-63B-4, section 3.1.1.2, for a password that stands alone).
pub const SHORTEST_PASSPHRASE: usize = 15;
/// Bytes of a passphrase at the most.
pub const LONGEST_PASSPHRASE: usize = 1024;
/// Bytes of such a file at the most.
pub(super) const LONGEST_FILE: u64 = 4096;

/// What the file says that it is.
const KIND: &str = "mfad master key";
/// Raised when its layout changes.
const LAYOUT: u32 = 1;
const KDF: &str = "argon2id";
/// RFC 9106, section 4, the second recommended choice: 64 MiB, three passes, four lanes.
const COST: Cost = Cost {
    memory_kib: 65_536,
    passes: 3,
    lanes: 4,
};
/// What a file may ask for at the most: 1 GiB, 64 passes, 16 lanes.
const MOST: Cost = Cost {
    memory_kib: 1 << 20,
    passes: 64,
    lanes: 16,
};
/// Nothing here is sealed under a data key.
const NO_TERM: u32 = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The file, as JSON.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SealedKey {
    kind: String,
    layout: u32,
    /// Names the key within.
    pub key: String,
    kdf: String,
    #[serde(flatten)]
    cost: Cost,
    salt: String,
    sealed: String,
}

/// Why a sealed master key did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Locked {
    /// A program knows it that is newer than this one, or nobody.
    Layout,
    /// The passphrase is another, or the file was changed.
    Passphrase,
}

impl SealedKey {
    /// What the bytes of a file say, where it is one of these.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let read: SealedKey = serde_json::from_slice(bytes).ok()?;
        (read.kind == KIND).then_some(read)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// `internal` where it cannot be written as JSON.
    pub fn bytes(&self) -> Result<Vec<u8>, Failure> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(Failure::internal)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Seals `key`, which `id` names, with `passphrase`.
    ///
    /// # Errors
    /// As [`Entropy::fill`]; `internal` where there is no memory to derive a key in.
    pub fn seal(
        key: &Secret<[u8; 32]>,
        id: KeyId,
        passphrase: &Secret<Vec<u8>>,
        entropy: &dyn Entropy,
    ) -> Result<Self, Failure> {
        let salt: [u8; 16] = entropy.bytes()?;
        let mut made = SealedKey {
            kind: KIND.to_owned(),
            layout: LAYOUT,
            key: id.to_string(),
            kdf: KDF.to_owned(),
            cost: COST,
            salt: BASE64_STANDARD.encode(salt),
            sealed: String::new(),
        };
        let derived = derive(passphrase, &salt, COST)
            .ok_or_else(|| Failure::internal("no key can be derived from the passphrase"))?;
        let sealed = seal_under(&derived, NO_TERM, &made.context(), key.expose(), entropy)?;
        made.sealed = BASE64_STANDARD.encode(sealed);
        Ok(made)
    }

    /// The key again.
    ///
    /// # Errors
    /// [`Locked`].
    pub fn open(&self, passphrase: &Secret<Vec<u8>>) -> Result<Secret<[u8; 32]>, Locked> {
        let known = self.layout == LAYOUT && self.kdf == KDF && self.cost.is_bearable();
        if !known {
            return Err(Locked::Layout);
        }
        let bytes = |text: &str| BASE64_STANDARD.decode(text).map_err(|_| Locked::Layout);
        let (salt, sealed) = (bytes(&self.salt)?, bytes(&self.sealed)?);
        let derived = derive(passphrase, &salt, self.cost).ok_or(Locked::Layout)?;
        let plain = open_under(&derived, NO_TERM, &self.context(), &sealed);
        let plain = plain.map_err(|_| Locked::Passphrase)?;
        let key = plain.as_slice().try_into().map_err(|_| Locked::Layout)?;
        Ok(Secret::new(key))
    }

    /// What the sealed key is bound to.
    fn context(&self) -> Vec<u8> {
        context(&[
            KIND.as_bytes(),
            &self.layout.to_be_bytes(),
            self.key.as_bytes(),
            self.kdf.as_bytes(),
            &self.cost.memory_kib.to_be_bytes(),
            &self.cost.passes.to_be_bytes(),
            &self.cost.lanes.to_be_bytes(),
            self.salt.as_bytes(),
        ])
    }
}

impl Cost {
    /// Whoever changes the file shall not have the server take all memory, or for ever.
    fn is_bearable(self) -> bool {
        self.memory_kib <= MOST.memory_kib && self.passes <= MOST.passes && self.lanes <= MOST.lanes
    }
}

fn derive(passphrase: &Secret<Vec<u8>>, salt: &[u8], cost: Cost) -> Option<aead::Key> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut derived = Zeroizing::new([0u8; 32]);
    argon2
        .hash_password_into(passphrase.expose(), salt, &mut *derived)
        .ok()?;
    aead::Key::new(&derived).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::OsEntropy;
    use crate::base::fuzz::{Target, json_object};
    use proptest::prelude::*;
    use proptest::sample::select;

    fn passphrase(text: &str) -> Secret<Vec<u8>> {
        Secret::new(text.as_bytes().to_vec())
    }

    #[test]
    fn a_sealed_key_opens_with_its_passphrase_alone() {
        let right = passphrase("a horse that is correct");
        let key = Secret::new([7; 32]);
        let made = SealedKey::seal(&key, KeyId([1; 8]), &right, &OsEntropy).unwrap();
        let bytes = made.bytes().unwrap();
        assert!(bytes.len() as u64 <= LONGEST_FILE);
        let read = SealedKey::read(&bytes).unwrap();
        assert_eq!(read.open(&right).unwrap().expose(), &[7; 32]);
        let wrong = passphrase("a horse that is incorrect");
        assert_eq!(read.open(&wrong).err(), Some(Locked::Passphrase));
    }

    #[test]
    fn nothing_in_the_file_can_be_changed() {
        let right = passphrase("a horse that is correct");
        let key = Secret::new([7; 32]);
        let made = || SealedKey::seal(&key, KeyId([1; 8]), &right, &OsEntropy).unwrap();
        let after = |change: fn(&mut SealedKey)| {
            let mut changed = made();
            change(&mut changed);
            changed.open(&right).err()
        };
        let (passphrase, layout) = (Some(Locked::Passphrase), Some(Locked::Layout));
        assert_eq!(after(|it| it.key = KeyId([2; 8]).to_string()), passphrase);
        assert_eq!(after(|it| it.cost.passes = 1), passphrase);
        assert_eq!(after(|it| it.cost.lanes = 1), passphrase);
        assert_eq!(
            after(|it| it.salt = BASE64_STANDARD.encode([0; 16])),
            passphrase
        );
        assert_eq!(after(|it| it.salt = String::new()), layout);
        assert_eq!(after(|it| it.sealed = String::new()), passphrase);
        let other_layout = |it: &mut SealedKey| {
            let mut sealed = BASE64_STANDARD.decode(&it.sealed).unwrap();
            sealed[0] += 1;
            it.sealed = BASE64_STANDARD.encode(sealed);
        };
        assert_eq!(after(other_layout), passphrase);
        assert_eq!(after(|it| it.layout = 2), layout);
        assert_eq!(after(|it| it.kdf = "none".to_owned()), layout);
        assert_eq!(after(|it| it.cost.memory_kib = u32::MAX), layout);
        assert_eq!(after(|it| it.cost.memory_kib = 0), layout);
        assert_eq!(after(|it| it.cost.passes = 65), layout);
        assert!(SealedKey::read(b"{}").is_none());
        assert!(SealedKey::read(&[7; 32]).is_none());
    }

    /// Whatever is done to a file, it gives the key that was sealed, or none, and asks for no more than is bearable.
    #[test]
    fn fuzz_key_files() {
        const CHEAP: Cost = Cost {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        };
        let (right, key, salt) = (passphrase("a horse that is correct"), [7; 32], [9; 16]);
        let mut made = SealedKey {
            kind: KIND.to_owned(),
            layout: LAYOUT,
            key: KeyId([1; 8]).to_string(),
            kdf: KDF.to_owned(),
            cost: CHEAP,
            salt: BASE64_STANDARD.encode(salt),
            sealed: String::new(),
        };
        let derived = derive(&right, &salt, CHEAP).unwrap();
        let sealed = seal_under(&derived, NO_TERM, &made.context(), &key, &OsEntropy).unwrap();
        made.sealed = BASE64_STANDARD.encode(sealed);
        let bytes = made.bytes().unwrap();
        let members: &[&str] = &[
            "kind",
            "layout",
            "key",
            "kdf",
            "memory_kib",
            "passes",
            "lanes",
            "salt",
            "sealed",
        ];
        let values = select(
            &[
                "\"mfad master key\"",
                "1",
                "8",
                "\"argon2id\"",
                "\"AAAA\"",
                "4294967295",
                "2",
            ][..],
        );
        let generated =
            json_object(members, values.prop_map(str::to_owned)).prop_map(String::into_bytes);
        let target = Target::new("key_files").seed(bytes).words(&[
            "\"lanes\": 1,",
            "\"layout\": 1,",
            "=",
            "1",
            "9",
            " ",
        ]);
        target.check(generated, |input| {
            let Some(read) = SealedKey::read(input) else {
                return false;
            };
            // What would take long is tried in no test.
            let cost = read.cost;
            if cost.is_bearable() && (cost.memory_kib > 4096 || cost.passes > 4) {
                assert!(read.layout != LAYOUT || cost != made.cost);
                return true;
            }
            // Sealed again, the same key has another nonce: all else is what it was.
            match read.open(&right) {
                Ok(opened) => {
                    assert!(opened.expose() == &key && read.context() == made.context());
                }
                Err(locked) => assert!(read != made, "{locked:?}"),
            }
            assert!(read.open(&passphrase("a horse that is not right")).is_err());
            true
        });
    }
}
