//! What the issuer's tokens say (RFC 9068 section 2.2, OpenID Connect Core section 2).

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::Issuer;
use super::grants::Refresh;
use crate::base::{Failure, Timestamp};
use crate::demo::persona::Persona;

/// How long access and ID tokens are good, in seconds.
pub const TOKEN_SECONDS: u64 = 3600;
/// The kind of access tokens (RFC 9068 section 2.1).
pub const ACCESS_TYP: &str = "at+jwt";

/// The claims of an access token.
#[derive(Clone, Serialize, Deserialize)]
pub struct AccessClaims {
    pub iss: String,
    pub sub: String,
    pub aud: String,
    pub exp: u64,
    pub iat: u64,
    pub jti: String,
    pub client_id: String,
    pub scope: String,
    #[serde(flatten)]
    pub sign_in: SignInClaims,
    #[serde(flatten)]
    pub person: PersonClaims,
}

/// What an access token says of the sign-in that it comes from (RFC 9068 section 2.2.1).
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct SignInClaims {
    /// When, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<u64>,
    /// By which means, in the words of RFC 8176.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amr: Option<Vec<String>>,
}

impl SignInClaims {
    /// A sign-in at `now` by a password and a second factor.
    pub fn with_second_factor(now: Timestamp) -> Self {
        SignInClaims {
            auth_time: Some(now.unix()),
            amr: Some(vec!["pwd".to_owned(), "mfa".to_owned()]),
        }
    }
}

/// What a token says of a person; nothing of a service.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct PersonClaims {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
}

impl PersonClaims {
    /// All that is known of `persona`.
    pub fn of(persona: Persona) -> Self {
        persona
            .person()
            .map_or_else(Self::default, |person| PersonClaims {
                name: Some(person.name.to_owned()),
                preferred_username: Some(person.subject.to_owned()),
                email: Some(person.email.to_owned()),
                email_verified: Some(true),
            })
    }

    /// As much of it as the scopes ask for (OpenID Connect Core section 5.4).
    #[must_use]
    pub fn within(mut self, scope: &[&str]) -> Self {
        if !scope.contains(&"profile") {
            (self.name, self.preferred_username) = (None, None);
        }
        if !scope.contains(&"email") {
            (self.email, self.email_verified) = (None, None);
        }
        self
    }
}

#[derive(Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: u64,
    iat: u64,
    auth_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    at_hash: String,
    #[serde(flatten)]
    person: PersonClaims,
}

impl Issuer {
    /// An access token for the server, as RFC 9068 section 2 has it. That of a
    /// service names the service itself as its subject.
    pub(super) fn access_token(
        &self,
        persona: Persona,
        client_id: &str,
        scope: &[String],
        sign_in: SignInClaims,
    ) -> Result<String, Failure> {
        let now = self.now();
        let claims = AccessClaims {
            iss: self.settings.url.clone(),
            sub: persona
                .person()
                .map_or(client_id, |person| person.subject)
                .to_owned(),
            aud: self.settings.audience.clone(),
            exp: now.plus(TOKEN_SECONDS).unix(),
            iat: now.unix(),
            jti: BASE64URL_NOPAD.encode(&self.entropy.bytes::<16>()?),
            client_id: client_id.to_owned(),
            scope: scope.join(" "),
            sign_in,
            person: PersonClaims::of(persona),
        };
        self.key.sign(ACCESS_TYP, &claims)
    }

    /// An ID token for the client that signed the person in; `at_hash` binds it to the
    /// access token beside it.
    pub(super) fn id_token(
        &self,
        grant: &Refresh,
        scope: &[String],
        nonce: Option<&str>,
        access_token: &str,
        now: Timestamp,
    ) -> Result<String, Failure> {
        let words: Vec<&str> = scope.iter().map(String::as_str).collect();
        let hash = digest(&SHA256, access_token.as_bytes());
        let left_half = hash.as_ref().get(..16).unwrap_or_default();
        let claims = IdClaims {
            iss: &self.settings.url,
            sub: grant.persona.person().map_or("", |person| person.subject),
            aud: &grant.client_id,
            exp: now.plus(TOKEN_SECONDS).unix(),
            iat: now.unix(),
            auth_time: grant.signed_in.unix(),
            nonce,
            at_hash: BASE64URL_NOPAD.encode(left_half),
            person: PersonClaims::of(grant.persona).within(&words),
        };
        self.key.sign("JWT", &claims)
    }
}
