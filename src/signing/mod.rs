//! The keys that sign what we say of a verification, so that whoever asked for
//! one can show it to others: JWTs by ES256, of the type `mfa+jwt`, which is
//! nobody's access token, ours included.
//!
//! The public halves are published as a JWK Set. Whoever reads it may keep it
//! for [`JWKS_MAX_AGE`], so a new key is published first and signs later, and
//! an old one stays published for as long as anybody may still look at what
//! it signed.

mod record;
mod rule;
mod service;

#[cfg(test)]
mod tests;

use crate::base::{Code, Kind};

pub use rule::{JWKS_MAX_AGE, MOST_KEYS, PUBLISH_BEFORE_USE, PUBLISHED_AFTER_USE};
pub use service::{PublishedKey, Signer, TOKEN_TYPE};

/// Another key cannot be made at the moment; carries a time to wait.
pub const ROTATED_LATELY: Code = Code {
    name: "rotated_lately",
    kind: Kind::TooMany,
    title: "The signing key was changed lately",
};

/// What this room answers with. Rotations are asked for on the machine itself, so the API's clients never see it.
pub const CODES: &[Code] = &[ROTATED_LATELY];
