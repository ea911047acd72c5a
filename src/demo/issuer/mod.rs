//! An OpenID Connect provider for the demo: real in what the server uses of
//! one, with three personas instead of a directory.
//!
//! Authorization code with PKCE (S256 only), refresh with rotation, client
//! credentials; ES256 access tokens (`at+jwt`, RFC 9068) and ID tokens. Nobody
//! proves who they are: one picks a persona. So it must be reached over
//! loopback alone, which the routes of the demo see to.

mod authorize;
mod claims;
mod client;
mod grants;
mod key;
mod oauth;
mod sign_in_page;
#[cfg(test)]
mod tests;
mod token;
mod userinfo;

pub use self::claims::{SignInClaims, TOKEN_SECONDS};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use self::client::{Client, Grants};
use self::grants::{Memory, draw_handle};
use self::key::SigningKey;
use super::persona::Persona;
use crate::base::{Clock, Entropy, Failure, Secret, Timestamp};

/// The public client that signs people in for the settings page.
pub const SETTINGS_CLIENT_ID: &str = "mfad-settings";
/// The confidential client that is the login service; also the `sub` of its tokens.
pub const SERVICE_CLIENT_ID: &str = "demo-login-service";
/// In whose name the demo page's tokens are made.
pub const PAGE_CLIENT_ID: &str = "mfad-demo-page";

const SERVICE_SCOPES: &[&str] = &["mfa:verify"];
/// Forms and queries of OAuth are small.
const MOST_BODY_BYTES: usize = 16 * 1024;

/// What the issuer must be told.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// The `iss`, and where its routes are mounted, without a slash at the end:
    /// `http://localhost:8080/demo/issuer`.
    pub url: String,
    /// The `aud` of access tokens: what the server accepts.
    pub audience: String,
    /// Where the settings page's sign-in ends: `http://localhost:8080/auth/callback`.
    pub redirect_uris: Vec<String>,
}

/// The provider. All state is in memory; a restart forgets it, key and all.
pub struct Issuer {
    settings: IssuerSettings,
    key: SigningKey,
    clients: Vec<Client>,
    memory: Mutex<Memory>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Issuer {
    /// A provider with a fresh key and a fresh secret for the login service.
    ///
    /// # Errors
    /// `unavailable` without randomness; `internal` where the key is refused.
    pub fn new(
        settings: IssuerSettings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Failure> {
        let clients = vec![
            Client {
                id: SETTINGS_CLIENT_ID.to_owned(),
                name: "the mfad settings page",
                secret: None,
                redirect_uris: settings.redirect_uris.clone(),
                grants: Grants::SignIn,
            },
            Client {
                id: SERVICE_CLIENT_ID.to_owned(),
                name: "the demo login service",
                secret: Some(Secret::new(draw_handle(entropy.as_ref())?)),
                redirect_uris: Vec::new(),
                grants: Grants::Own(SERVICE_SCOPES),
            },
        ];
        Ok(Issuer {
            key: SigningKey::draw(entropy.as_ref())?,
            settings,
            clients,
            memory: Mutex::default(),
            clock,
            entropy,
        })
    }

    /// The exact `iss`.
    pub fn url(&self) -> &str {
        &self.settings.url
    }

    /// The secret with which the login service fetches its own tokens.
    pub fn service_secret(&self) -> Option<&Secret<String>> {
        self.client(SERVICE_CLIENT_ID)?.secret.as_ref()
    }

    /// A fresh access token, good for an hour, that says `persona` is calling.
    ///
    /// # Errors
    /// `unavailable` without randomness; `internal` where the key does not sign.
    pub fn token_for(&self, persona: Persona, sign_in: SignInClaims) -> Result<String, Failure> {
        let (client_id, scope) = match persona.person() {
            Some(person) => (PAGE_CLIENT_ID, person.scopes),
            None => (SERVICE_CLIENT_ID, SERVICE_SCOPES),
        };
        let scope: Vec<String> = scope
            .iter()
            .filter(|scope| **scope != "offline_access")
            .map(|scope| (*scope).to_owned())
            .collect();
        self.access_token(persona, client_id, &scope, sign_in)
    }

    /// The routes, to be nested under the path of the issuer's URL.
    pub fn routes(self: Arc<Self>) -> Router {
        Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route(
                "/authorize",
                get(authorize::ask_by_query).post(authorize::ask_by_form),
            )
            .route("/sign-in", post(authorize::sign_in))
            .route("/token", post(token::exchange))
            .route("/userinfo", get(userinfo::tell).post(userinfo::tell))
            .route("/demo.css", get(style))
            .layer(DefaultBodyLimit::max(MOST_BODY_BYTES))
            .with_state(self)
    }

    fn client(&self, id: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.id == id)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing in there is left half done by a panic.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// OpenID Connect Discovery 1.0, section 3, and RFC 8414.
    fn discovery(&self) -> Value {
        let url = &self.settings.url;
        json!({
            "issuer": url,
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "userinfo_endpoint": format!("{url}/userinfo"),
            "jwks_uri": format!("{url}/jwks"),
            "scopes_supported":
                ["openid", "profile", "email", "offline_access", "mfa:admin", "mfa:verify"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported":
                ["none", "client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "claims_supported": [
                "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "name",
                "preferred_username", "email", "email_verified",
            ],
            "prompt_values_supported": ["none", "login", "consent", "select_account"],
            "claims_parameter_supported": false,
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
        })
    }
}

async fn discovery(State(issuer): State<Arc<Issuer>>) -> Json<Value> {
    Json(issuer.discovery())
}

async fn jwks(State(issuer): State<Arc<Issuer>>) -> impl IntoResponse {
    Json(issuer.key.published().clone())
}

async fn style() -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/css; charset=utf-8")],
        include_str!("../../../assets/demo/demo.css"),
    )
}
