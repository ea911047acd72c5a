//! Who a token speaks for.

use super::claims::Claims;
use super::refusal::FORBIDDEN;
use super::service_token::{client_of, is_admitted};
use super::settings::IssuerSettings;
use crate::base::{Failure, Timestamp, display_text};
use crate::words::Language;

/// The longest address that is kept, in bytes (RFC 5321 section 4.5.3.1.3, without the brackets).
const LONGEST_ADDRESS: usize = 254;

/// The most characters of names and other words about a person.
pub(super) const LONGEST_WORD: usize = 255;

/// The most scopes of a token that are kept.
const MOST_SCOPES: usize = 64;

/// The most characters of a scope that is kept.
const LONGEST_SCOPE: usize = 128;

/// Whoever has shown a good token.
#[derive(Clone, Debug, PartialEq)]
pub enum Caller {
    /// Somebody who signed in.
    Person(Person),
    /// A program with a token of its own.
    LoginService(LoginService),
}

/// Somebody who signed in: a person is (`issuer`, `subject`), and nothing else names them for sure.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// The exact `iss`.
    pub issuer: String,
    /// The exact `sub`, 1 to 255 characters.
    pub subject: String,
    /// `tenant_id`: an operator that has one sees that tenant alone.
    pub tenant: Option<String>,
    /// `email`, if the token has it and it could be one.
    pub email: Option<Email>,
    /// `preferred_username`: chosen by the person at many issuers, unique at few.
    pub username: Option<String>,
    /// `name`, fit to be shown.
    pub name: Option<String>,
    /// The language of `locale`, where it is one that is spoken here.
    pub language: Option<Language>,
    /// The client that the token was issued to.
    pub client: Option<String>,
    /// What the token is good for: the words of `scope` and `scp`, each once, 64 at the most. Those of more than 128
    /// characters are left out.
    pub scopes: Vec<String>,
    /// Whether they may help others: the scope, from an issuer that may grant it.
    pub operator: bool,
    /// When they last signed in; `None` where that is not said, or lies in the future.
    pub auth_time: Option<Timestamp>,
    /// How they signed in (RFC 8176).
    pub amr: Vec<String>,
    /// How strongly, in the issuer's words.
    pub acr: Option<String>,
    /// When the token ends.
    pub expires: Timestamp,
}

/// An address, as the issuer has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Email {
    /// As written by the issuer: not empty, no white space, one `@` at least.
    pub address: String,
    /// Whether the issuer has checked it; `None` where it does not say.
    pub verified: Option<bool>,
}

/// A program with a token of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct LoginService {
    /// The exact `iss`.
    pub issuer: String,
    /// The exact `sub`.
    pub subject: String,
    /// Its client ID: the one that marks it, else `client_id`, `azp` or `sub`, whichever is there first.
    pub client: String,
    /// `tenant_id`.
    pub tenant: Option<String>,
    /// Whether it may ask for checks: the scope, and a client that is admitted.
    /// Without, it is still no person.
    pub may_verify: bool,
    /// When the token ends.
    pub expires: Timestamp,
}

impl Caller {
    /// The person who calls.
    ///
    /// # Errors
    /// `forbidden` for a program.
    pub fn into_person(self) -> Result<Person, Failure> {
        match self {
            Caller::Person(person) => Ok(person),
            Caller::LoginService(_) => Err(Failure::new(
                FORBIDDEN,
                "This is for people; the token belongs to a program.",
            )),
        }
    }

    /// The operator who calls.
    ///
    /// # Errors
    /// `forbidden` for anybody else.
    pub fn into_operator(self) -> Result<Person, Failure> {
        match self {
            Caller::Person(person) if person.operator => Ok(person),
            _ => Err(Failure::new(
                FORBIDDEN,
                "This is for operators; the token does not make you one.",
            )),
        }
    }

    /// The login service that calls.
    ///
    /// # Errors
    /// `forbidden` for people, whatever their scopes, and for programs that may not ask.
    pub fn into_login_service(self) -> Result<LoginService, Failure> {
        match self {
            Caller::LoginService(service) if service.may_verify => Ok(service),
            _ => Err(Failure::new(
                FORBIDDEN,
                "This is for login services; the token does not belong to one.",
            )),
        }
    }

    /// Whom `claims`, which have been checked, speak for.
    pub(super) fn of(claims: &Claims, settings: &IssuerSettings, now: Timestamp) -> Self {
        let expires = Timestamp::from_unix(claims.exp);
        let tenant = claims.tenant_id.as_deref().and_then(word);
        if let Some(client) = client_of(claims, settings) {
            let may_verify =
                is_admitted(client, settings) && claims.has_scope(&settings.verify_scope);
            return Caller::LoginService(LoginService {
                issuer: claims.iss.clone(),
                subject: claims.sub.clone(),
                client: client.to_owned(),
                tenant,
                may_verify,
                expires,
            });
        }
        let operator = settings.may_grant_admin && claims.has_scope(&settings.admin_scope);
        Caller::Person(Person {
            scopes: scopes(claims),
            operator,
            tenant,
            email: claims
                .email
                .as_deref()
                .and_then(|address| Email::of(address, claims.email_verified)),
            username: claims.preferred_username.as_deref().and_then(word),
            name: claims
                .name
                .as_deref()
                .and_then(|name| display_text(name, LONGEST_WORD)),
            language: claims.locale,
            client: claims
                .client_id
                .as_deref()
                .or(claims.azp.as_deref())
                .and_then(word),
            auth_time: claims
                .auth_time
                .map(Timestamp::from_unix)
                .filter(|at| *at <= now.plus(super::claims::LEEWAY)),
            amr: claims
                .amr
                .as_ref()
                .map_or(Vec::new(), |amr| amr.as_slice().to_vec()),
            acr: claims.acr.as_deref().and_then(word),
            expires,
            issuer: claims.iss.clone(),
            subject: claims.sub.clone(),
        })
    }
}

impl Email {
    /// `address`, if it could be one. Whether mail may go there is for `mail` to say.
    pub(super) fn of(address: &str, verified: Option<bool>) -> Option<Self> {
        let could_be = address.len() <= LONGEST_ADDRESS
            && address.contains('@')
            && !address.contains(|c: char| c.is_control() || c.is_whitespace());
        could_be.then(|| Email {
            address: address.to_owned(),
            verified,
        })
    }
}

fn scopes(claims: &Claims) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for scope in claims.scopes() {
        let fits = scope.chars().count() <= LONGEST_SCOPE && !scope.chars().any(char::is_control);
        if kept.len() < MOST_SCOPES && fits && !kept.iter().any(|known| known == scope) {
            kept.push(scope.to_owned());
        }
    }
    kept
}

/// A word that identifies, kept exactly or not at all.
pub(super) fn word(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.chars().count() <= LONGEST_WORD
        && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}
