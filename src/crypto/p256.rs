//! Key pairs on the curve P-256, to sign with.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use crate::base::{Entropy, Failure, Secret};

/// A random scalar is outside the curve's order once in 2^32 draws.
const MOST_DRAWS: usize = 8;

/// A fresh private key for ES256, as PKCS#8 (RFC 5208) in DER.
///
/// # Errors
/// `unavailable` without randomness, `internal` where the library refuses the key.
pub fn draw_p256_key(entropy: &dyn Entropy) -> Result<Secret<Vec<u8>>, Failure> {
    for _ in 0..MOST_DRAWS {
        let scalar = Secret::new(entropy.bytes::<32>()?);
        let Ok(private) = PrivateKey::from_private_key(&ECDH_P256, scalar.expose()) else {
            continue;
        };
        let public = private.compute_public_key().map_err(Failure::internal)?;
        let document = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            scalar.expose(),
            public.as_ref(),
        )
        .map_err(Failure::internal)?
        .to_pkcs8v1()
        .map_err(Failure::internal)?;
        return Ok(Secret::new(document.as_ref().to_vec()));
    }
    Err(Failure::internal("no random number made a P-256 key"))
}
