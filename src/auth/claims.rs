//! What an access token says, and what of that is believed.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use super::refusal::{Refusal, quote};
use crate::base::Timestamp;
use crate::words::Language;

/// How far an issuer's clock may be from ours, in seconds.
pub const LEEWAY: u64 = 30;

/// The longest life of an access token, in seconds.
pub(super) const LONGEST_LIFE: u64 = 24 * 60 * 60;

/// The most characters of a subject (OpenID Connect Core section 2).
pub(super) const LONGEST_SUBJECT: usize = 255;

/// Kinds of token, in `typ`, `token_use` or `token_type` among the claims, that open nothing.
/// Keycloak, Cognito and others tell them apart there; `mfa` is half a sign-in.
const OTHER_KINDS: &[&str] = &[
    "id",
    "id_token",
    "refresh",
    "refresh_token",
    "offline",
    "logout",
    "logout_token",
    "mfa",
];

/// Kinds of access token, in the same places, that are good only with a proof of a key next to them.
const BOUND_KINDS: &[&str] = &["dpop", "pop", "mac", "hok"];

/// The claims. A struct and not a map, so that a name that stands twice is an
/// error: of two `scope`s the issuer may have meant either.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub sub: String,
    pub aud: Words,
    /// Whole seconds. A fraction is refused like any other text that is no integer.
    pub exp: u64,
    pub nbf: Option<u64>,
    pub iat: Option<u64>,
    pub scope: Option<Words>,
    pub scp: Option<Words>,
    pub client_id: Option<String>,
    pub azp: Option<String>,
    pub token_type: Option<String>,
    pub token_use: Option<String>,
    pub typ: Option<String>,
    pub gty: Option<Words>,
    pub preferred_username: Option<String>,
    pub name: Option<String>,
    #[serde(default, deserialize_with = "spoken")]
    pub locale: Option<Language>,
    pub email: Option<String>,
    #[serde(default, deserialize_with = "verified")]
    pub email_verified: Option<bool>,
    pub tenant_id: Option<String>,
    pub auth_time: Option<u64>,
    pub amr: Option<Words>,
    pub acr: Option<String>,
    /// Only ID tokens have these (OpenID Connect Core section 3.3.2.11).
    #[serde(default, deserialize_with = "present")]
    pub at_hash: bool,
    #[serde(default, deserialize_with = "present")]
    pub c_hash: bool,
    /// Only logout tokens and other security events (RFC 8417 section 2.2).
    #[serde(default, deserialize_with = "present")]
    pub events: bool,
    /// Whether the token is bound to a key that its bearer has to prove (RFC 7800 section 3.1, RFC 8705, RFC 9449).
    #[serde(default, rename = "cnf", deserialize_with = "not_null")]
    pub bound: bool,
}

/// One string or several, as `aud`, `scope` and `amr` come.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Words {
    One(String),
    Many(Vec<String>),
}

impl Words {
    pub fn as_slice(&self) -> &[String] {
        match self {
            Words::One(word) => std::slice::from_ref(word),
            Words::Many(words) => words,
        }
    }

    pub fn contains(&self, wanted: &str) -> bool {
        self.as_slice().iter().any(|word| word == wanted)
    }
}

/// `true` for a name that is there at all, be it `null`.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer)?;
    Ok(true)
}

/// `true` for a name that is there, unless it is `null`.
fn not_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<IgnoredAny>::deserialize(deserializer)?.is_some())
}

/// A flag or, as some issuers send it, a flag in a string. Anything else is not verified.
pub(super) fn verified<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Bool(bool),
        Text(String),
        Other(IgnoredAny),
    }
    Ok(match Option::<Flag>::deserialize(deserializer)? {
        None => None,
        Some(Flag::Bool(flag)) => Some(flag),
        Some(Flag::Text(text)) => Some(text == "true"),
        Some(Flag::Other(_)) => Some(false),
    })
}

/// The language of a tag, if it is spoken here; whatever is no tag says nothing, and costs nobody their token.
pub(super) fn spoken<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Language>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Locale {
        Tag(String),
        Other(IgnoredAny),
    }
    Ok(match Option::<Locale>::deserialize(deserializer)? {
        Some(Locale::Tag(tag)) => Language::of_tag(&tag),
        None | Some(Locale::Other(_)) => None,
    })
}

impl Claims {
    /// Whether these claims, whose signature has been checked, are a live
    /// access token for us (RFC 9068 section 4, RFC 8725 sections 3.8 to 3.12).
    ///
    /// The times are compared here and not by the JWT library, which asks the
    /// machine's clock and panics where that stands near 1970.
    pub fn check(&self, issuer: &str, audience: &[String], now: Timestamp) -> Result<(), Refusal> {
        if self.iss != issuer {
            return Err(Refusal::UnknownIssuer(quote(&self.iss)));
        }
        if !audience.iter().any(|ours| self.aud.contains(ours)) {
            return Err(Refusal::Audience(quote(&self.aud.as_slice().join(" "))));
        }
        self.check_kind()?;
        self.check_times(now)?;
        let length = self.sub.chars().take(LONGEST_SUBJECT + 1).count();
        if length == 0 || length > LONGEST_SUBJECT || self.sub.chars().any(char::is_control) {
            return Err(Refusal::Subject);
        }
        Ok(())
    }

    fn check_kind(&self) -> Result<(), Refusal> {
        let is_one = |kinds: &[&str]| {
            [&self.typ, &self.token_use, &self.token_type]
                .into_iter()
                .flatten()
                .any(|word| kinds.iter().any(|kind| word.eq_ignore_ascii_case(kind)))
        };
        if self.events {
            Err(Refusal::OtherKind("events"))
        } else if self.at_hash || self.c_hash {
            Err(Refusal::OtherKind("at_hash or c_hash"))
        } else if is_one(OTHER_KINDS) {
            Err(Refusal::OtherKind("typ, token_use or token_type"))
        } else if self.bound || is_one(BOUND_KINDS) {
            Err(Refusal::Bound)
        } else {
            Ok(())
        }
    }

    fn check_times(&self, now: Timestamp) -> Result<(), Refusal> {
        let now = now.unix();
        let latest_start = now.saturating_add(LEEWAY);
        if self.exp.saturating_add(LEEWAY) <= now {
            return Err(Refusal::Expired);
        }
        if self.nbf.is_some_and(|nbf| nbf > latest_start)
            || self.iat.is_some_and(|iat| iat > latest_start)
        {
            return Err(Refusal::NotYet);
        }
        // Without `iat` the token was made now at the latest.
        let made = self.iat.unwrap_or(latest_start);
        if self.exp.saturating_sub(made) > LONGEST_LIFE {
            return Err(Refusal::TooLongLived);
        }
        Ok(())
    }

    /// What the token is good for: the words of `scope` and `scp`, each as one string or several.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        [&self.scope, &self.scp]
            .into_iter()
            .flatten()
            .flat_map(Words::as_slice)
            .flat_map(|words| words.split_ascii_whitespace())
    }

    /// Whether the token carries `wanted` among them.
    pub fn has_scope(&self, wanted: &str) -> bool {
        self.scopes().any(|word| word == wanted)
    }
}
