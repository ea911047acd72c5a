//! Which login service is asking. Programs that cannot fetch tokens bring a key instead.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HeaderValue};
use axum::http::request::Parts;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::audit::Origin;
use crate::auth;
use crate::base::{Failure, Secret};
use crate::clients::{KEY_PREFIX, Service, not_accepted};
use crate::services::Services;

use super::problem::Refused;

/// The header of those whose library fills in nothing but this.
const API_KEY: &str = "x-api-key";

/// Some clients leave the padding out.
const BASIC: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The login service that asks.
pub struct CallingService {
    /// As it is registered, or as its token describes it.
    pub service: Service,
    /// From where it asks.
    pub origin: Origin,
}

impl<S> FromRequestParts<S> for CallingService
where
    S: Send + Sync,
    Services: FromRef<S>,
{
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let services = Services::from_ref(state);
        let origin = *parts.extensions.get::<Origin>().ok_or_else(|| {
            Failure::internal("the request passed no edge that says where it comes from")
        })?;
        let clients = &services.clients;
        let service = match Proof::read(&parts.headers)? {
            Proof::Token(token) => {
                let service = services.verifier.login_service(token.expose()).await?;
                clients.by_token(&service, services.now())?
            }
            Proof::Key(key) => clients.by_key(key.expose(), services.now())?,
            Proof::IdAndKey(id, key) => clients.by_id_and_key(&id, key.expose(), services.now())?,
        };
        Ok(CallingService { service, origin })
    }
}

/// What a service shows of itself.
enum Proof {
    Token(Secret<String>),
    Key(Secret<String>),
    IdAndKey(String, Secret<String>),
}

impl Proof {
    /// The one proof among the headers; URLs and bodies are not looked at.
    fn read(headers: &HeaderMap) -> Result<Proof, Failure> {
        let mut authorization = headers.get_all(AUTHORIZATION).iter();
        let mut api_key = headers.get_all(API_KEY).iter();
        match (
            authorization.next(),
            authorization.next(),
            api_key.next(),
            api_key.next(),
        ) {
            (None, None, None, None) => Err(no_proof()),
            (Some(value), None, None, None) => Proof::of_authorization(value),
            (None, None, Some(value), None) => {
                let key = value.to_str().map_err(|_| not_accepted())?;
                Ok(Proof::Key(Secret::new(key.trim_matches(' ').to_owned())))
            }
            _ => Err(Failure::new(
                auth::UNAUTHENTICATED,
                "Show one access token or one service key, and in one header alone.",
            )),
        }
    }

    fn of_authorization(value: &HeaderValue) -> Result<Proof, Failure> {
        let text = value.to_str().map_err(|_| no_proof())?;
        let (scheme, shown) = text.split_once(' ').ok_or_else(no_proof)?;
        let shown = shown.trim_matches(' ');
        if scheme.eq_ignore_ascii_case("bearer") {
            let secret = Secret::new(shown.to_owned());
            return Ok(match shown.starts_with(KEY_PREFIX) {
                true => Proof::Key(secret),
                false => Proof::Token(secret),
            });
        }
        if scheme.eq_ignore_ascii_case("basic") {
            return basic(shown).ok_or_else(not_accepted);
        }
        if scheme.eq_ignore_ascii_case("dpop") {
            return Err(auth::no_bound_token());
        }
        Err(no_proof())
    }
}

/// Name and key in the credentials of RFC 7617.
fn basic(shown: &str) -> Option<Proof> {
    let pair = Zeroizing::new(BASIC.decode(shown).ok()?);
    let (id, key) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some(Proof::IdAndKey(id.to_owned(), Secret::new(key.to_owned())))
}

fn no_proof() -> Failure {
    Failure::new(
        auth::UNAUTHENTICATED,
        "This is for login services: show an access token or a service key.",
    )
}
