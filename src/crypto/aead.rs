//! XAES-256-GCM (C2SP): AES-256-GCM under a key derived for each message from
//! a 24-byte random nonce.
//!
//! Plain AES-256-GCM with random 12-byte nonces must stop at 2^32 messages a
//! key, which a server that seals every row it writes reaches within years.
//! Here the bound is beyond reach, at the price of two AES blocks a message.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cmac;
use aws_lc_rs::error::Unspecified;
use zeroize::Zeroize;

/// Bytes of nonce before each ciphertext.
pub const NONCE_LEN: usize = 24;
/// Bytes of tag after each ciphertext.
pub const TAG_LEN: usize = 16;

/// A key for XAES-256-GCM, ready for use.
pub struct Key(cmac::Key);

impl Key {
    /// From 32 bytes.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, Unspecified> {
        Ok(Key(cmac::Key::new(cmac::AES_256, bytes)?))
    }

    /// Encrypts `text` in place and appends the tag. `nonce` must be random.
    pub fn seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &mut Vec<u8>,
    ) -> Result<(), Unspecified> {
        let (key, nonce) = self.derive(nonce)?;
        key.seal_in_place_append_tag(nonce, Aad::from(aad), text)
    }

    /// Decrypts `text`, which ends with its tag, and gives the plain part.
    pub fn open<'a>(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &'a mut [u8],
    ) -> Result<&'a mut [u8], Unspecified> {
        let (key, nonce) = self.derive(nonce)?;
        key.open_in_place(nonce, Aad::from(aad), text)
    }

    /// C2SP XAES-256-GCM, "Overview": the first half of the nonce derives the
    /// key by CMAC (NIST SP 800-108r1 counter mode), the second is GCM's nonce.
    fn derive(&self, nonce: &[u8; NONCE_LEN]) -> Result<(LessSafeKey, Nonce), Unspecified> {
        let (for_key, for_gcm) = nonce.split_at(12);
        let mut derived = [0u8; 32];
        for (counter, half) in (1u8..).zip(derived.chunks_exact_mut(16)) {
            let mut block = [0u8; 16];
            block[1] = counter;
            block[2] = b'X';
            block[4..].copy_from_slice(for_key);
            half.copy_from_slice(cmac::sign(&self.0, &block)?.as_ref());
        }
        let key = UnboundKey::new(&AES_256_GCM, &derived).map(LessSafeKey::new);
        derived.zeroize();
        Ok((key?, Nonce::try_assume_unique_for_key(for_gcm)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    /// The two vectors that the C2SP specification prints.
    #[test]
    fn the_published_vectors_come_out() {
        let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX";
        for (key, aad, expected) in [
            (
                [1u8; 32],
                &b""[..],
                "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
            ),
            (
                [3u8; 32],
                &b"c2sp.org/XAES-256-GCM"[..],
                "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
            ),
        ] {
            let key = Key::new(&key).unwrap();
            let mut text = b"XAES-256-GCM".to_vec();
            key.seal(nonce, aad, &mut text).unwrap();
            assert_eq!(HEXLOWER.encode(&text), expected);
            assert_eq!(key.open(nonce, aad, &mut text).unwrap(), b"XAES-256-GCM");
        }
    }
}
