use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::base::{PersonKey, Timestamp};
use crate::store::Record;
use crate::words::Language;

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
    /// What the browser called itself when it signed in, fit to be shown.
    #[serde(default)]
    pub user_agent: Option<String>,
    /// The address from which it signed in.
    #[serde(default)]
    pub ip: Option<IpAddr>,
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
