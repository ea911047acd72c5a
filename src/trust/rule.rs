//! Tokens, how they are judged, and how many devices there may be.

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use super::record::Kept;
use crate::base::{Entropy, Failure, Secret, Timestamp, TrustedDeviceId};
use crate::crypto::CodeHash;

/// Devices of one person; the oldest makes room for a new one.
pub const MOST_DEVICES: usize = 20;
/// Seconds in which the token before is no copy yet: two tabs that are opened at once bring the same.
pub const TABS: u64 = 10;
/// Seconds of a day.
const DAY: u64 = 86_400;

const PREFIX: &str = "mfad_td_";
/// Bytes of a token: the device's identifier, and as many secret ones.
const BYTES: usize = 32;
/// Characters behind the prefix.
const CHARACTERS: usize = 52;

/// What a browser holds: names its device, and proves that it is this one. 128 bits of it are secret.
pub struct Token {
    pub device: TrustedDeviceId,
    secret: Zeroizing<[u8; 16]>,
}

impl Token {
    /// A fresh token of `device`.
    pub fn draw(device: TrustedDeviceId, entropy: &dyn Entropy) -> Result<Self, Failure> {
        Ok(Token {
            device,
            secret: Zeroizing::new(entropy.bytes()?),
        })
    }

    /// As it is handed out: the prefix and 52 lower-case Base32 characters.
    pub fn to_text(&self) -> Secret<String> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        let (id, secret) = bytes.split_at_mut(16);
        id.copy_from_slice(self.device.as_bytes());
        secret.copy_from_slice(&*self.secret);
        let body = Zeroizing::new(BASE32_NOPAD.encode(&*bytes));
        Secret::new(format!("{PREFIX}{}", body.to_ascii_lowercase()))
    }

    /// Reads what somebody brought. A token has one spelling.
    pub fn read(text: &str) -> Option<Self> {
        let body = text.strip_prefix(PREFIX)?;
        if body.len() != CHARACTERS || body.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let upper = Zeroizing::new(body.to_ascii_uppercase());
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(upper.as_bytes()).ok()?);
        let (id, secret) = bytes.split_first_chunk::<16>()?;
        Some(Token {
            device: TrustedDeviceId::from_bytes(*id),
            secret: Zeroizing::new(secret.try_into().ok()?),
        })
    }

    /// The secret part, as it is hashed.
    pub fn secret_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&*self.secret))
    }
}

/// What a token of the right device, person and service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The one that the device holds.
    Current,
    /// The one before, at the same moment from another tab.
    OtherTab,
    /// Any other. A device's identifier has 128 random bits and stands in its tokens, so whoever sends it has held one
    /// of them: one that is used up, however long ago, or one made from it.
    Copy,
}

/// Says what the hash of a token is to the device that the token names. Both hashes are compared, whichever matches.
pub fn standing(kept: &Kept, hash: &CodeHash, now: Timestamp) -> Standing {
    let current = kept.current == *hash;
    let previous = kept.former.first().is_some_and(|former| former == hash);
    match (current, previous) {
        (true, _) => Standing::Current,
        (false, true) if now.since(kept.rotated_at) < TABS => Standing::OtherTab,
        (false, _) => Standing::Copy,
    }
}

/// When a device that was remembered at `created_at` until `expires_at` is no longer trusted, where policy
/// allows `days` now: what was promised is made shorter by policy, and never longer.
pub fn end(created_at: Timestamp, expires_at: Timestamp, days: u64) -> Timestamp {
    expires_at.min(created_at.plus(days.saturating_mul(DAY)))
}
