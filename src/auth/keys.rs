//! The keys of one issuer, read from a JWK set (RFC 7517).

use std::collections::HashMap;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

use super::refusal::{Refusal, quote};
use super::settings::{IssuerSettings, RSA_BITS, SigningAlgorithm};

/// The most keys of a set that are kept; those after them are ignored.
pub const MOST_KEYS: usize = 64;

/// One key and the one way in which it is used.
pub(super) struct Key {
    kid: Option<String>,
    algorithm: SigningAlgorithm,
    pub decoding: DecodingKey,
    pub validation: Validation,
}

impl Key {
    fn new(kid: Option<String>, algorithm: SigningAlgorithm, decoding: DecodingKey) -> Self {
        let mut validation = Validation::new(algorithm.for_jwt());
        // The library reads the machine's clock; `Claims::check` reads ours, and
        // compares issuer and audience more strictly than the library does.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Key {
            kid,
            algorithm,
            decoding,
            validation,
        }
    }
}

/// A set of keys, looked up by `kid`.
pub(super) struct KeySet {
    by_kid: HashMap<Option<String>, Vec<Arc<Key>>>,
    /// A shared secret, whatever `kid` says: there is only one.
    any_kid: bool,
}

/// Which key a token asks for.
pub(super) enum Pick {
    Found(Arc<Key>),
    /// Perhaps a newer set has it.
    Unknown,
    /// No newer set would help.
    Refused(Refusal),
}

/// A JWK set as it came, its keys not yet looked at.
#[derive(Deserialize)]
pub(super) struct KeyDocument {
    keys: Vec<Value>,
}

/// A set without a key that could check a token.
#[derive(Debug, thiserror::Error)]
#[error("none of the {listed} keys in the set can be used to check tokens signed with {accepted}")]
pub(super) struct NoUsableKey {
    listed: usize,
    accepted: String,
}

impl KeySet {
    /// One shared secret.
    pub fn secret(secret: &[u8]) -> Self {
        let key = Key::new(
            None,
            SigningAlgorithm::Hs256,
            DecodingKey::from_secret(secret),
        );
        KeySet {
            by_kid: HashMap::from([(None, vec![Arc::new(key)])]),
            any_kid: true,
        }
    }

    /// The keys of a JWK set that can check signatures by an algorithm, and are of a size, that `settings` accept.
    /// All others are passed over, so that an issuer may publish what we do not know.
    pub fn read(document: KeyDocument, settings: &IssuerSettings) -> Result<Self, NoUsableKey> {
        let listed = document.keys.len();
        let mut by_kid: HashMap<Option<String>, Vec<Arc<Key>>> = HashMap::new();
        let usable = document
            .keys
            .into_iter()
            .filter_map(|value| serde_json::from_value::<Jwk>(value).ok())
            .filter_map(|jwk| usable(&jwk, settings.rsa_min_bits))
            .filter(|key| settings.algorithms.contains(&key.algorithm));
        for key in usable.take(MOST_KEYS) {
            let same = by_kid.entry(key.kid.clone()).or_default();
            // Two keys of one name and algorithm cannot be told apart: the first counts.
            if key.kid.is_none() || same.iter().all(|other| other.algorithm != key.algorithm) {
                same.push(Arc::new(key));
            }
        }
        if by_kid.is_empty() {
            return Err(NoUsableKey {
                listed,
                accepted: accepted(settings),
            });
        }
        Ok(KeySet {
            by_kid,
            any_kid: false,
        })
    }

    /// The key for a token with this `kid` and this algorithm in its header.
    /// Without `kid`, the only key that fits, if there is only one.
    pub fn pick(&self, kid: Option<&str>, algorithm: SigningAlgorithm) -> Pick {
        let kid = if self.any_kid { None } else { kid };
        let Some(name) = kid else {
            let mut fitting = self
                .by_kid
                .values()
                .flatten()
                .filter(|key| key.algorithm == algorithm);
            return match (fitting.next(), fitting.next()) {
                (Some(key), None) => Pick::Found(Arc::clone(key)),
                (None, _) => Pick::Unknown,
                (Some(_), Some(_)) => Pick::Refused(Refusal::AmbiguousKey),
            };
        };
        match self.by_kid.get(&Some(name.to_owned())) {
            None => Pick::Unknown,
            Some(keys) => match keys.iter().find(|key| key.algorithm == algorithm) {
                Some(key) => Pick::Found(Arc::clone(key)),
                None => Pick::Refused(Refusal::WrongKey(quote(name))),
            },
        }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.by_kid.values().map(Vec::len).sum()
    }
}

/// The key in a JWK, if it can check signatures and is strong enough. Never a
/// symmetric one: whoever can read a published set could sign with it.
fn usable(jwk: &Jwk, rsa_min_bits: usize) -> Option<Key> {
    let common = &jwk.common;
    let for_signatures = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
    let may_verify = common
        .key_operations
        .as_ref()
        .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    if !for_signatures || !may_verify {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => {
            let modulus = BASE64URL_NOPAD.decode(rsa.n.as_bytes()).ok()?;
            if !(rsa_min_bits..=*RSA_BITS.end()).contains(&bits(&modulus)) {
                return None;
            }
            match common.key_algorithm {
                // Many issuers leave it out and mean RS256.
                None | Some(KeyAlgorithm::RS256) => SigningAlgorithm::Rs256,
                Some(KeyAlgorithm::PS256) => SigningAlgorithm::Ps256,
                Some(_) => return None,
            }
        }
        AlgorithmParameters::EllipticCurve(point) => {
            let (algorithm, size) = match (&point.curve, common.key_algorithm) {
                (EllipticCurve::P256, None | Some(KeyAlgorithm::ES256)) => {
                    (SigningAlgorithm::Es256, 32)
                }
                (EllipticCurve::P384, None | Some(KeyAlgorithm::ES384)) => {
                    (SigningAlgorithm::Es384, 48)
                }
                _ => return None,
            };
            if !has_length(&point.x, size) || !has_length(&point.y, size) {
                return None;
            }
            algorithm
        }
        AlgorithmParameters::OctetKeyPair(pair) => {
            match (&pair.curve, common.key_algorithm) {
                (EllipticCurve::Ed25519, None | Some(KeyAlgorithm::EdDSA)) => {}
                _ => return None,
            }
            if !has_length(&pair.x, 32) {
                return None;
            }
            SigningAlgorithm::EdDsa
        }
        _ => return None,
    };
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key::new(common.key_id.clone(), algorithm, decoding))
}

/// What `settings` accept, for messages.
fn accepted(settings: &IssuerSettings) -> String {
    let names: Vec<_> = settings.algorithms.iter().map(|it| it.name()).collect();
    let is_rsa =
        |it: &SigningAlgorithm| matches!(it, SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256);
    let bits = match settings.algorithms.iter().any(is_rsa) {
        true => format!(" (RSA from {} bits)", settings.rsa_min_bits),
        false => String::new(),
    };
    names.join(", ") + &bits
}

fn has_length(base64: &str, size: usize) -> bool {
    BASE64URL_NOPAD
        .decode(base64.as_bytes())
        .is_ok_and(|bytes| bytes.len() == size)
}

/// The length of a big-endian number in bits.
fn bits(number: &[u8]) -> usize {
    let significant = number.iter().position(|byte| *byte != 0);
    match significant.and_then(|at| number.get(at..)) {
        Some(digits @ [first, ..]) => digits.len() * 8 - first.leading_zeros() as usize,
        _ => 0,
    }
}
