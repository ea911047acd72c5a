//! The issuer's signing key: ES256, drawn at start, gone at exit.

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::{Entropy, Failure};
use crate::crypto::draw_p256_key;

/// A P-256 key pair with its public half as JWKS tells it.
pub struct SigningKey {
    signing: EncodingKey,
    checking: DecodingKey,
    kid: String,
    published: JwkSet,
}

impl SigningKey {
    /// A fresh key; its `kid` is its thumbprint (RFC 7638).
    ///
    /// # Errors
    /// `unavailable` without randomness, `internal` where the library refuses the key.
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, Failure> {
        let signing = EncodingKey::from_ec_der(draw_p256_key(entropy)?.expose());
        let mut public =
            Jwk::from_encoding_key(&signing, Algorithm::ES256).map_err(Failure::internal)?;
        let kid = public
            .thumbprint(ThumbprintHash::SHA256)
            .map_err(Failure::internal)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(SigningKey {
            signing,
            checking: DecodingKey::from_jwk(&public).map_err(Failure::internal)?,
            kid,
            published: JwkSet { keys: vec![public] },
        })
    }

    /// The public half.
    pub fn published(&self) -> &JwkSet {
        &self.published
    }

    /// `claims` as a JWT of the kind `typ`.
    ///
    /// # Errors
    /// `internal` where the library cannot sign.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, Failure> {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.signing).map_err(Failure::internal)
    }

    /// The claims of a JWT of the kind `typ` that this key signed. Only the
    /// signature is checked: times and audience are the caller's to judge.
    pub fn open<T: DeserializeOwned + Clone>(&self, typ: &str, token: &str) -> Option<T> {
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let opened = jsonwebtoken::decode::<T>(token, &self.checking, &validation).ok()?;
        (opened.header.typ.as_deref() == Some(typ)).then_some(opened.claims)
    }
}
