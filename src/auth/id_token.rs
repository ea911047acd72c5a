//! ID tokens (OpenID Connect Core sections 2 and 3.1.3.7): who has just signed in, told to the client
//! that sent them. None of them is an access token, and no access token is one.

use aws_lc_rs::digest;
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::caller::{LONGEST_WORD, word};
use super::claims::{LEEWAY, LONGEST_SUBJECT, Words, present, spoken};
use super::refusal::{Refusal, quote};
use super::settings::SigningAlgorithm;
use crate::base::{Timestamp, display_text};
use crate::words::Language;

/// What `typ` or `token_use` among the claims says of a token that is none of these.
const OTHER_KINDS: &[&str] = &[
    "bearer",
    "access",
    "access_token",
    "refresh",
    "refresh_token",
    "offline",
    "logout",
    "logout_token",
];

/// The most words of `amr` that are kept.
const MOST_METHODS: usize = 16;

/// What a sign-in was begun with and came back with: an ID token must be of that very one.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// The exact `iss`.
    pub issuer: &'a str,
    /// Our client.
    pub client_id: &'a str,
    /// As it was sent.
    pub nonce: &'a str,
    /// The access token that came with it.
    pub access_token: &'a str,
}

/// What an ID token says of the sign-in.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedIn {
    /// The exact `sub`.
    pub subject: String,
    /// When; `None` where that is not said, or lies in the future.
    pub auth_time: Option<Timestamp>,
    /// How (RFC 8176).
    pub amr: Vec<String>,
    /// How strongly, in the issuer's words.
    pub acr: Option<String>,
    /// `name`, fit to be shown.
    pub name: Option<String>,
    /// The language of `locale`, where it is one that is spoken here.
    pub language: Option<Language>,
    /// `preferred_username`, fit to be shown.
    pub username: Option<String>,
    /// `email`, as the issuer has it.
    pub email: Option<String>,
}

/// The claims. A struct and not a map, so that a name that stands twice is an error.
#[derive(Deserialize)]
pub(super) struct IdClaims {
    iss: String,
    sub: String,
    aud: Words,
    exp: u64,
    iat: Option<u64>,
    nonce: Option<String>,
    azp: Option<String>,
    at_hash: Option<String>,
    typ: Option<String>,
    token_use: Option<String>,
    auth_time: Option<u64>,
    amr: Option<Words>,
    acr: Option<String>,
    name: Option<String>,
    #[serde(default, deserialize_with = "spoken")]
    locale: Option<Language>,
    preferred_username: Option<String>,
    email: Option<String>,
    #[serde(default, deserialize_with = "present")]
    events: bool,
}

impl IdClaims {
    /// Whether these claims, which a key has signed by `algorithm`, are those that are expected.
    pub fn check(
        &self,
        expected: &Expected<'_>,
        algorithm: SigningAlgorithm,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if self.iss != expected.issuer {
            return Err(Refusal::UnknownIssuer(quote(&self.iss)));
        }
        let client = expected.client_id;
        let several = self.aud.as_slice().len() > 1;
        let by_us = self.azp.as_deref().map(|azp| azp == client);
        if !self.aud.contains(client) || by_us == Some(false) || (several && by_us.is_none()) {
            return Err(Refusal::Audience(quote(&self.aud.as_slice().join(" "))));
        }
        let other = |word: &Option<String>| {
            word.as_deref().is_some_and(|word| {
                OTHER_KINDS
                    .iter()
                    .any(|kind| word.eq_ignore_ascii_case(kind))
            })
        };
        if self.events || other(&self.typ) || other(&self.token_use) {
            return Err(Refusal::OtherKind("events, typ or token_use"));
        }
        if self.exp.saturating_add(LEEWAY) <= now.unix() {
            return Err(Refusal::Expired);
        }
        if self.iat.is_some_and(|iat| iat > now.plus(LEEWAY).unix()) {
            return Err(Refusal::NotYet);
        }
        if self.nonce.as_deref() != Some(expected.nonce) {
            return Err(Refusal::Nonce);
        }
        let length = self.sub.chars().take(LONGEST_SUBJECT + 1).count();
        if length == 0 || length > LONGEST_SUBJECT || self.sub.chars().any(char::is_control) {
            return Err(Refusal::Subject);
        }
        match (&self.at_hash, half_hash(algorithm, expected.access_token)) {
            (Some(theirs), Some(ours)) if *theirs != ours => Err(Refusal::AccessTokenHash),
            _ => Ok(()),
        }
    }

    /// What they say.
    pub fn into_signed_in(self, now: Timestamp) -> SignedIn {
        let shown = |text: Option<String>| display_text(text.as_deref()?, LONGEST_WORD);
        let methods = self.amr.as_ref().map_or(&[][..], Words::as_slice);
        SignedIn {
            auth_time: self
                .auth_time
                .map(Timestamp::from_unix)
                .filter(|at| *at <= now.plus(LEEWAY)),
            amr: methods
                .iter()
                .filter_map(|method| word(method))
                .take(MOST_METHODS)
                .collect(),
            acr: self.acr.as_deref().and_then(word),
            name: shown(self.name),
            language: self.locale,
            username: shown(self.preferred_username),
            email: self.email.as_deref().and_then(word),
            subject: self.sub,
        }
    }
}

/// The left half of the access token's hash (OpenID Connect Core section 3.1.3.6). `None` for EdDSA, which
/// names no hash, so that issuers differ.
fn half_hash(algorithm: SigningAlgorithm, access_token: &str) -> Option<String> {
    let hash = match algorithm {
        SigningAlgorithm::Rs256
        | SigningAlgorithm::Ps256
        | SigningAlgorithm::Es256
        | SigningAlgorithm::Hs256 => &digest::SHA256,
        SigningAlgorithm::Es384 => &digest::SHA384,
        SigningAlgorithm::EdDsa => return None,
    };
    let whole = digest::digest(hash, access_token.as_bytes());
    let half = whole.as_ref().get(..whole.as_ref().len() / 2)?;
    Some(BASE64URL_NOPAD.encode(half))
}
