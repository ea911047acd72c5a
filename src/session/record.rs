use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::base::{PersonKey, Timestamp};
use crate::crypto::CodeHash;
use crate::store::Record;
use crate::words::Language;

/// A sign-in that is under way.
#[derive(Serialize, Deserialize)]
pub struct Begun {
    /// Its turn among all.
    pub turn: u64,
    /// The hash of what the issuer gives back.
    pub state: CodeHash,
    pub nonce: String,
    /// Of PKCE (RFC 7636 section 4.1).
    pub verifier: String,
    /// A path of this origin.
    pub return_to: String,
    /// Whether the issuer was to ask anew who it is.
    pub fresh: bool,
    pub begun_at: Timestamp,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.verifier.zeroize();
    }
}

/// What one browser has begun, the oldest first; found by the hash of its cookie.
#[derive(Default, Serialize, Deserialize)]
pub struct Browser {
    pub begun: Vec<Begun>,
}

impl Record for Browser {
    type Key = Vec<u8>;
    const TABLE: &'static str = "sign-ins";
}

/// Whose sign-in the n-th is, so that the oldest of all can make room.
#[derive(Serialize, Deserialize)]
pub struct Turn {
    pub browser: CodeHash,
}

impl Record for Turn {
    type Key = u64;
    const TABLE: &'static str = "sign-in turns";
}

/// A session; found by the hash of its cookie. The row is sealed, so the tokens are fields of it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Kept {
    pub person: PersonKey,
    pub access_token: String,
    pub access_ends: Timestamp,
    pub refresh_token: Option<String>,
    pub created_at: Timestamp,
    /// Noted once a minute.
    pub used_at: Timestamp,
    /// What the ID token said of the sign-in, for access tokens that do not.
    pub auth_time: Option<Timestamp>,
    pub amr: Vec<String>,
    pub acr: Option<String>,
    /// The language that it named, likewise.
    #[serde(default)]
    pub language: Option<Language>,
    /// To be shown.
    pub name: Option<String>,
    pub username: Option<String>,
    pub email: Option<String>,
    /// When its user last proved a second factor in this session; nothing if they have not.
    #[serde(default)]
    pub verified_at: Option<Timestamp>,
    /// The kind of that factor.
    #[serde(default)]
    pub verified_with: Option<String>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.access_token.zeroize();
        self.refresh_token.zeroize();
    }
}

impl Record for Kept {
    type Key = Vec<u8>;
    const TABLE: &'static str = "sessions";
}

/// That a session is a person's. It may have ended before this row does.
#[derive(Serialize, Deserialize)]
pub struct OfPerson {
    pub created_at: Timestamp,
}

impl Record for OfPerson {
    type Key = (PersonKey, Vec<u8>);
    const TABLE: &'static str = "sessions of people";
}
