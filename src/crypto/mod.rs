//! Sealing at rest, keyed hashes, and the alphabets that codes are written in.
//!
//! ```text
//! passphrase, where there is one
//!  └ Argon2id → seals the master key in its file
//! master key (32 bytes, outside the store)
//!  ├ HKDF-SHA-256 "mfad/kek/v1"     → wraps the key ring, one record in the store
//!  ├ HKDF-SHA-256 "mfad/backup/v1"  → seals copies of the store
//!  └ HKDF-SHA-256 "mfad/witness/v1" → seals the witness beside the store
//! key ring
//!  ├ term 1, 2, …  data keys; the highest seals what is written now
//!  ├ person key    names people in the keys of tables
//!  └ code key      hashes codes that are kept
//! ```
//!
//! Everything is AES-256-GCM, HMAC-SHA-256, HKDF-SHA-256, SHA-256 and P-256 from
//! aws-lc, but for Argon2id; HMAC-SHA-1 occurs in TOTP alone, where RFC 6238 asks for it.

mod aead;
mod code;
mod key_file;
mod master;
mod outside;
mod p256;
mod passphrase;
mod ring;
mod sealer;

pub use code::{
    BackupCode, BackupCodeHash, CodeHash, DigitCode, TypedCode, constant_time_eq, typed_code,
};
pub use key_file::{KeyHold, Successor};
pub use master::{MasterKey, MasterKeyError};
pub use outside::OutsideKey;
pub use p256::draw_p256_key;
pub use passphrase::{LONGEST_PASSPHRASE, SHORTEST_PASSPHRASE};
pub use ring::{DataKey, KeyId, KeyRing, KeyRingError};
pub use sealer::{SealError, Sealer, term_of};
