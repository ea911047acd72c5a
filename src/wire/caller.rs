//! Who is asking, as proved by the request itself. A handler that takes one of
//! these types cannot be reached without the proof.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::audit::Origin;
use crate::auth::{self, Person};
use crate::base::{Failure, PersonKey, Secret};
use crate::people::Wish;
use crate::services::Services;
use crate::session::{Resumed, SessionId, Way};

use super::cookie::{SESSION_COOKIE, cookie, from_own_page, not_from_elsewhere};
use super::language::{accepted_language, chosen_language};
use super::problem::Refused;

/// The person who asks, about themselves: by an access token, or, where people sign in here, by the cookie of
/// their session. Where both come the cookie is not looked at.
pub struct Me {
    /// As their token describes them.
    pub person: Person,
    /// As the store knows them.
    pub key: PersonKey,
    /// From where they ask.
    pub origin: Origin,
    /// In which language.
    pub wish: Wish,
    /// The token, for the issuer's userinfo.
    pub token: Secret<String>,
    /// Their session, where they came with its cookie.
    pub session: Option<SessionId>,
}

impl<S> FromRequestParts<S> for Me
where
    S: Send + Sync,
    Services: FromRef<S>,
{
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let services = Services::from_ref(state);
        let origin = origin(parts)?;
        let cookie = session_cookie(parts, &services);
        let Resumed {
            person,
            token,
            session,
        } = match cookie {
            Some(shown) => {
                from_own_page(&parts.method, &parts.headers, &services.origin)?;
                services.sessions.resume(shown, services.now()).await?
            }
            None => by_token(parts, &services).await?,
        };
        if !parts.method.is_safe() {
            // Each has a share of its own, so that a thief cannot use up the owner's.
            let credential = cookie.unwrap_or_else(|| token.expose());
            let caller = services.keys().code_hash(&[b"caller"], credential);
            services
                .account_limit
                .take(*caller.as_bytes(), services.now())?;
        }
        let key = services.keys().person(&person.issuer, &person.subject);
        Ok(Me {
            person,
            key,
            origin,
            wish: wish(&parts.headers),
            token,
            session,
        })
    }
}

/// The cookie that counts.
fn session_cookie<'p>(parts: &'p Parts, services: &Services) -> Option<&'p str> {
    let kept_here = matches!(services.sessions.way(), Way::Client(_));
    let counts = kept_here && !parts.headers.contains_key(AUTHORIZATION);
    cookie(&parts.headers, SESSION_COOKIE).filter(|_| counts)
}

async fn by_token(parts: &Parts, services: &Services) -> Result<Resumed, Failure> {
    if matches!(services.sessions.way(), Way::Proxied) {
        // The proxy adds the token to whatever comes with its own cookie.
        not_from_elsewhere(&parts.headers, &services.origin)?;
    }
    let token = Secret::new(bearer_token(&parts.headers)?.to_owned());
    let caller = services.verifier.caller(token.expose()).await?;
    Ok(Resumed {
        person: caller.into_person()?,
        token,
        session: None,
    })
}

/// Whoever asks, where what they bring with them says enough: from where, and in which language.
pub struct Asker(pub Origin, pub Wish);

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        Ok(Asker(origin(parts)?, wish(&parts.headers)))
    }
}

/// The language that a browser asks in.
fn wish(headers: &HeaderMap) -> Wish {
    Wish {
        chosen: chosen_language(headers),
        accepted: accepted_language(headers),
    }
}

fn origin(parts: &Parts) -> Result<Origin, Failure> {
    let origin = parts.extensions.get::<Origin>().copied();
    origin.ok_or_else(|| {
        Failure::internal("the request passed no edge that says where it comes from")
    })
}

/// The token of `Authorization: Bearer …` (RFC 6750 section 2.1). Tokens in
/// URLs and bodies are not looked at.
///
/// # Errors
/// `unauthenticated` without exactly one such header.
pub fn bearer_token(headers: &HeaderMap) -> Result<&str, Failure> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(auth::no_token());
    };
    let text = value.to_str().map_err(|_| auth::no_token())?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            Ok(token.trim_matches(' '))
        }
        _ => Err(auth::no_token()),
    }
}
