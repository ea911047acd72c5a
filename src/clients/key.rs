//! Service keys: how they are drawn, written and known again.

use data_encoding::BASE32_NOPAD;
use zeroize::{Zeroize, Zeroizing};

use crate::base::{Entropy, Failure, Secret};
use crate::crypto::{CodeHash, Sealer};

/// What every key begins with: nobody takes it for a token, and searches for leaked keys find it.
pub const KEY_PREFIX: &str = "mfad_sk_";

/// Random bytes of a key.
const BYTES: usize = 32;
/// Characters behind the prefix: those bytes in Base32.
const CHARACTERS: usize = (BYTES * 8).div_ceil(5);

/// A service key: the prefix and 256 random bits in lower-case Base32. Shown once, and kept as a hash.
pub struct ServiceKey(Secret<String>);

impl ServiceKey {
    /// A fresh key.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, Failure> {
        let bytes = Zeroizing::new(entropy.bytes::<BYTES>()?);
        let mut body = BASE32_NOPAD.encode(&*bytes);
        body.make_ascii_lowercase();
        let key = format!("{KEY_PREFIX}{body}");
        body.zeroize();
        Ok(ServiceKey(Secret::new(key)))
    }

    /// The key that `shown` is; `None` where its shape is another.
    pub fn read(shown: &str) -> Option<Self> {
        let body = shown.strip_prefix(KEY_PREFIX)?;
        let fits = body.len() == CHARACTERS
            && body
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        fits.then(|| ServiceKey(Secret::new(shown.to_owned())))
    }

    /// What is kept of it.
    pub fn hash(&self, keys: &Sealer) -> CodeHash {
        keys.code_hash(&[b"service key"], self.0.expose())
    }

    /// The key itself, to be shown once.
    pub fn into_secret(self) -> Secret<String> {
        self.0
    }
}
