//! A token in its compact form (RFC 7515 section 3.1): what it is before it is believed.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::errors::ErrorKind;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::claims::present;
use super::keys::Key;
use super::refusal::{Refusal, quote};
use super::settings::SigningAlgorithm;

/// The longest token that is looked at, in bytes.
pub const LONGEST_TOKEN: usize = 8 * 1024;

/// What the header of an access token may say of itself, in any case (RFC 9068 section 2.1).
const ACCESS_TOKEN_TYPES: &[&str] = &["at+jwt", "application/at+jwt"];

/// The header. `jku`, `x5u`, `jwk` and `x5c` are not read: keys come from the settings alone.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    b64: bool,
    #[serde(default, deserialize_with = "present")]
    zip: bool,
    #[serde(default, deserialize_with = "present")]
    enc: bool,
    #[serde(default, deserialize_with = "present")]
    cty: bool,
}

#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

/// A token whose outside has been looked at and whose signature has not.
#[derive(Debug)]
pub(super) struct Unverified<'a> {
    compact: &'a str,
    /// Picks the key set; says nothing yet.
    pub issuer: String,
    /// Picks the key; says nothing yet.
    pub kid: Option<String>,
    pub algorithm: SigningAlgorithm,
    /// Whether `typ` says `at+jwt`.
    pub typed: bool,
}

impl<'a> Unverified<'a> {
    pub fn read(compact: &'a str) -> Result<Self, Refusal> {
        if compact.len() > LONGEST_TOKEN {
            return Err(Refusal::TooLong(LONGEST_TOKEN));
        }
        let mut parts = compact.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::Shape);
        };
        let header = text(decode(header)?)?;
        let claims = text(decode(claims)?)?;
        decode(signature)?;

        let header: Header =
            serde_json::from_str(&header).map_err(|e| Refusal::Header(quote(&e.to_string())))?;
        for (asked, name) in [
            (header.crit, "crit"),
            (header.b64, "b64"),
            (header.zip, "zip"),
            (header.enc, "enc"),
            (header.cty, "cty"),
        ] {
            if asked {
                return Err(Refusal::Extension(name));
            }
        }
        let typed = match header.typ.as_deref() {
            None => false,
            Some(typ) if typ.eq_ignore_ascii_case("JWT") => false,
            Some(typ)
                if ACCESS_TOKEN_TYPES
                    .iter()
                    .any(|ours| typ.eq_ignore_ascii_case(ours)) =>
            {
                true
            }
            Some(typ) => return Err(Refusal::Type(quote(typ))),
        };
        let algorithm = SigningAlgorithm::named(&header.alg)
            .ok_or_else(|| Refusal::Algorithm(quote(&header.alg)))?;
        let claims: Issuer =
            serde_json::from_str(&claims).map_err(|e| Refusal::Claims(quote(&e.to_string())))?;
        Ok(Unverified {
            compact,
            issuer: claims.iss,
            kid: header.kid,
            algorithm,
            typed,
        })
    }

    /// The claims, if `key` has signed them. The algorithm is the key's; a
    /// header that says another is refused.
    pub fn verify<C: DeserializeOwned>(&self, key: &Key) -> Result<C, Refusal> {
        jsonwebtoken::decode::<C>(self.compact, &key.decoding, &key.validation)
            .map(|data| data.claims)
            .map_err(|e| match e.kind() {
                ErrorKind::InvalidSignature => Refusal::Signature,
                ErrorKind::InvalidAlgorithm => Refusal::Algorithm(self.algorithm.name().to_owned()),
                _ => Refusal::Claims(quote(&e.to_string())),
            })
    }
}

/// Whole, members that nobody reads included (RFC 7515 section 5.2, RFC 7519 section 7.2).
fn text(bytes: Vec<u8>) -> Result<String, Refusal> {
    String::from_utf8(bytes).map_err(|_| Refusal::Shape)
}

/// Exactly one spelling: no padding, no stray trailing bits, no white space.
fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    match BASE64URL_NOPAD.decode(part.as_bytes()) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(Refusal::Shape),
    }
}
