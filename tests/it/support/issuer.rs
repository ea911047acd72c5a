//! An issuer with discovery, JWKS and userinfo on a port of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::clock::TestClock;
use super::oidc::{self, Oidc};

pub struct Issuer {
    /// Its name.
    pub url: String,
    /// Where it can be reached.
    pub address: String,
    shared: Arc<Shared>,
    clock: Arc<TestClock>,
    task: JoinHandle<()>,
}

struct Shared {
    url: String,
    key: EncodingKey,
    jwk: Value,
    away: AtomicBool,
    userinfo: Mutex<Option<Value>>,
    /// What discovery says beside the usual; null takes a member away.
    discovery: Mutex<serde_json::Map<String, Value>>,
    oidc: Arc<Oidc>,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Issuer {
    pub async fn start(clock: Arc<TestClock>) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        Issuer::start_as(clock, None, der.as_ref()).await
    }

    /// Under another name than where it can be reached, and with that key (PKCS #8).
    pub async fn start_as(clock: Arc<TestClock>, name: Option<String>, key: &[u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let url = name.unwrap_or_else(|| address.clone());
        let key = EncodingKey::from_ec_der(key);
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
        jwk["kid"] = json!("test");
        let shared = Arc::new(Shared {
            url: url.clone(),
            key,
            jwk,
            away: AtomicBool::new(false),
            userinfo: Mutex::default(),
            discovery: Mutex::default(),
            oidc: Arc::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/userinfo", get(userinfo))
            .with_state(shared.clone())
            .route("/token", post(oidc::token).with_state(shared.oidc.clone()));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Issuer {
            url,
            address,
            shared,
            clock,
            task,
        }
    }

    /// Whether it answers with 500 from now on.
    pub fn be_away(&self, away: bool) {
        self.shared.away.store(away, Ordering::SeqCst);
    }

    /// What userinfo says of whoever asks.
    pub fn says(&self, userinfo: Value) {
        *self.shared.userinfo.lock().unwrap() = Some(userinfo);
    }

    /// Says something else of itself, from the next time it is asked.
    pub fn describes(&self, member: &str, value: impl Into<Value>) {
        let mut discovery = self.shared.discovery.lock().unwrap();
        discovery.insert(member.to_owned(), value.into());
    }

    /// What it does about sign-ins.
    pub fn oidc(&self) -> &Oidc {
        &self.shared.oidc
    }

    /// A token, to be changed before it is signed.
    pub fn token(&self, audience: &str, subject: &str) -> Token<'_> {
        let now = self.clock.unix();
        let claims = json!({
            "iss": self.url, "aud": audience, "sub": subject, "iat": now, "exp": now + 3600,
            "preferred_username": subject, "email": format!("{subject}@example.com"), "email_verified": true,
            "scope": "openid",
        });
        Token {
            issuer: self,
            claims,
            typ: "at+jwt",
        }
    }
}

pub struct Token<'a> {
    issuer: &'a Issuer,
    claims: Value,
    typ: &'static str,
}

impl Token<'_> {
    /// With a claim changed; null removes it.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        match value.into() {
            Value::Null => drop(self.claims.as_object_mut().unwrap().remove(name)),
            value => self.claims[name] = value,
        }
        self
    }

    /// Of a user who has just signed in with a second factor.
    pub fn with_second_factor(self) -> Self {
        let now = self.claims["iat"].clone();
        self.with("auth_time", now)
            .with("amr", json!(["pwd", "mfa"]))
    }

    pub fn of_type(mut self, typ: &'static str) -> Self {
        self.typ = typ;
        self
    }

    /// An ID token of the client, for the sign-in with that nonce.
    pub fn for_client(self, client: &str, nonce: &str) -> Self {
        self.of_type("JWT")
            .with("aud", client)
            .with("nonce", nonce)
            .with("scope", Value::Null)
    }

    pub fn claims(&self) -> &Value {
        &self.claims
    }

    pub fn sign(self) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("test".to_owned());
        header.typ = Some(self.typ.to_owned());
        jsonwebtoken::encode(&header, &self.claims, &self.issuer.shared.key).unwrap()
    }
}

type Answer = Result<Json<Value>, StatusCode>;

fn here(shared: &Shared) -> Result<(), StatusCode> {
    match shared.away.load(Ordering::SeqCst) {
        true => Err(StatusCode::INTERNAL_SERVER_ERROR),
        false => Ok(()),
    }
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Answer {
    here(&shared)?;
    let url = &shared.url;
    let mut document = json!({
        "issuer": url, "jwks_uri": format!("{url}/jwks"), "userinfo_endpoint": format!("{url}/userinfo"),
        "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
    });
    for (member, value) in shared.discovery.lock().unwrap().iter() {
        document[member] = value.clone();
    }
    Ok(Json(document))
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Answer {
    here(&shared)?;
    Ok(Json(json!({ "keys": [shared.jwk] })))
}

async fn userinfo(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Answer {
    here(&shared)?;
    assert!(
        headers["authorization"]
            .to_str()
            .unwrap()
            .starts_with("Bearer ")
    );
    match &*shared.userinfo.lock().unwrap() {
        Some(claims) => Ok(Json(claims.clone())),
        None => Err(StatusCode::FORBIDDEN),
    }
}
