//! What the tests of this room stand on: a clock that they move, keys made on
//! the spot, and an issuer on this machine that can be told to misbehave.

mod accepted;
mod fuzz;
mod known;
mod lines;
mod refused_claims;
mod refused_outside;
mod refused_signature;
mod rotation;
mod service_tokens;
mod setup;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair,
};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use super::*;
use crate::base::{Clock, Failure, TestClock, Timestamp};

/// 2026-11-24T12:00:00Z.
pub const NOW: u64 = 1_795_521_600;
pub const AUDIENCE: &str = "https://mfa.example";
/// Long enough for this machine to answer, short enough to wait for.
pub const SHORT: Duration = Duration::from_secs(1);

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key of an issuer, with what it publishes of it.
#[derive(Clone)]
pub struct Signer {
    pub kid: String,
    pub algorithm: Algorithm,
    pub encoding: EncodingKey,
    pub jwk: Value,
}

impl Signer {
    fn new(kid: &str, algorithm: Algorithm, encoding: EncodingKey, mut jwk: Value) -> Self {
        jwk["kid"] = json!(kid);
        Signer {
            kid: kid.to_owned(),
            algorithm,
            encoding,
            jwk,
        }
    }

    pub fn rsa_of(kid: &str, size: rsa::KeySize) -> Self {
        let pair = rsa::KeyPair::generate(size).unwrap();
        let der: Pkcs8V1Der = pair.as_der().unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der.as_ref())
        );
        let encoding = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
        let jwk = Jwk::from_encoding_key(&encoding, Algorithm::RS256).unwrap();
        Signer::new(
            kid,
            Algorithm::RS256,
            encoding,
            serde_json::to_value(jwk).unwrap(),
        )
    }

    /// The one RSA key of the tests: making one takes a while.
    pub fn rsa() -> Self {
        static KEY: LazyLock<Signer> =
            LazyLock::new(|| Signer::rsa_of("rsa", rsa::KeySize::Rsa2048));
        KEY.clone()
    }

    pub fn ps256() -> Self {
        let mut signer = Signer::rsa();
        signer.algorithm = Algorithm::PS256;
        signer.jwk["alg"] = json!("PS256");
        signer
    }

    pub fn ec(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let encoding = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y), "use": "sig"});
        Signer::new(kid, Algorithm::ES256, encoding, jwk)
    }

    pub fn ec384(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let encoding = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        let (x, y) = pair.public_key().as_ref()[1..].split_at(48);
        let jwk = json!({"kty": "EC", "crv": "P-384", "x": b64(x), "y": b64(y), "alg": "ES384"});
        Signer::new(kid, Algorithm::ES384, encoding, jwk)
    }

    pub fn ed(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let encoding = EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref());
        let jwk =
            json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key()), "alg": "EdDSA"});
        Signer::new(kid, Algorithm::EdDSA, encoding, jwk)
    }

    pub fn hs256(secret: &[u8]) -> Self {
        let encoding = EncodingKey::from_secret(secret);
        Signer::new("hs", Algorithm::HS256, encoding, json!({}))
    }

    pub fn header(&self) -> Value {
        json!({"alg": self.algorithm, "kid": self.kid, "typ": "at+jwt"})
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_raw(&self.header().to_string(), &claims.to_string())
    }

    /// Signs the very bytes: what no library would make.
    pub fn sign_raw(
        &self,
        header: &(impl AsRef<[u8]> + ?Sized),
        claims: &(impl AsRef<[u8]> + ?Sized),
    ) -> String {
        let message = format!("{}.{}", b64(header), b64(claims));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.encoding, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

/// The claims of a good token of alice's.
pub fn claims(issuer: &str) -> Value {
    json!({"iss": issuer, "sub": "alice", "aud": AUDIENCE, "iat": NOW - 10, "exp": NOW + 600})
}

/// How the issuer answers for its keys.
#[derive(Clone)]
pub enum Mode {
    Keys(Vec<Value>),
    Raw(StatusCode, String),
    Redirect,
    Hang,
    /// As `Keys`, after the gate has been opened.
    Hold(Vec<Value>),
}

pub struct Issuer {
    pub url: String,
    pub mode: Mutex<Mode>,
    pub claimed_issuer: Mutex<Option<String>>,
    pub userinfo: Mutex<(StatusCode, Value)>,
    pub seen_bearer: Mutex<Option<String>>,
    pub fetches: AtomicUsize,
    pub elsewhere: AtomicUsize,
    pub fetched: Notify,
    pub gate: Semaphore,
}

impl Issuer {
    pub async fn start(keys: &[&Signer]) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Arc::new(Issuer {
            url: format!("http://{}", listener.local_addr().unwrap()),
            mode: Mutex::new(Mode::Keys(public(keys))),
            claimed_issuer: Mutex::new(None),
            userinfo: Mutex::new((StatusCode::OK, json!({"sub": "alice"}))),
            seen_bearer: Mutex::new(None),
            fetches: AtomicUsize::new(0),
            elsewhere: AtomicUsize::new(0),
            fetched: Notify::new(),
            gate: Semaphore::new(0),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/elsewhere", get(elsewhere))
            .route("/userinfo", get(userinfo))
            .with_state(Arc::clone(&issuer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        issuer
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub fn publish(&self, keys: &[&Signer]) {
        self.set(Mode::Keys(public(keys)));
    }

    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    pub fn settings(&self) -> IssuerSettings {
        IssuerSettings::new(
            self.url.clone(),
            vec![AUDIENCE.to_owned()],
            KeySource::Discovery,
        )
    }

    pub fn verifier(&self, clock: &Arc<TestClock>) -> Verifier {
        verifier(vec![self.settings()], clock)
    }
}

pub fn public(keys: &[&Signer]) -> Vec<Value> {
    keys.iter().map(|key| key.jwk.clone()).collect()
}

pub fn verifier(settings: Vec<IssuerSettings>, clock: &Arc<TestClock>) -> Verifier {
    let outbound = Outbound::new(None).unwrap();
    Verifier::new(settings, outbound, Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

/// A verifier that has these keys in a file, so that no network is in the way.
pub fn verifier_of(
    keys: &[&Signer],
    clock: &Arc<TestClock>,
    change: impl FnOnce(&mut IssuerSettings),
) -> (Verifier, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    std::fs::write(&path, json!({"keys": public(keys)}).to_string()).unwrap();
    let mut settings = IssuerSettings::new(
        "https://issuer.example",
        vec![AUDIENCE.to_owned()],
        KeySource::File(path),
    );
    change(&mut settings);
    (verifier(vec![settings], clock), directory)
}

pub const ISSUER: &str = "https://issuer.example";

pub fn code(outcome: &Result<Caller, Failure>) -> &'static str {
    match outcome {
        Ok(_) => "accepted",
        Err(failure) => failure.code().name,
    }
}

/// Everything but `change` is as in a good token by a key that the issuer has.
pub fn altered(key: &Signer, change: impl Fn(&mut Value, &mut Value)) -> String {
    let (mut header, mut body) = (key.header(), claims(ISSUER));
    change(&mut header, &mut body);
    key.sign_raw(&header.to_string(), &body.to_string())
}

pub fn claim(key: &Signer, name: &str, value: Value) -> String {
    altered(key, |_, body| body[name] = value.clone())
}

pub fn header(key: &Signer, name: &str, value: Value) -> String {
    altered(key, |header, _| header[name] = value.clone())
}

pub async fn assert_refused(key: &Signer, table: Vec<(String, String)>) {
    let (verifier, _file) = verifier_of(&[key], &TestClock::at(NOW), |_| {});
    let good = verifier.caller(&key.sign(&claims(ISSUER))).await;
    assert_eq!(code(&good), "accepted", "{good:?}");
    for (name, token) in table {
        let outcome = verifier.caller(&token).await;
        assert_eq!(code(&outcome), "invalid_token", "{name}: {outcome:?}");
        let failure = outcome.unwrap_err();
        assert!(failure.cause().is_some(), "{name}: the log learns why");
        let signature = token.rsplit('.').next().unwrap();
        assert!(
            signature.len() < 20 || !format!("{failure:?}").contains(signature),
            "{name}"
        );
        assert!(!failure.detail().contains("alice"), "{name}");
    }
}

/// What the log tells of `work`, at the level that servers log by default.
pub fn logged(work: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = log.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

pub fn named(rows: Vec<(&str, String)>) -> Vec<(String, String)> {
    rows.into_iter()
        .map(|(name, token)| (name.to_owned(), token))
        .collect()
}

async fn discovery(State(issuer): State<Arc<Issuer>>) -> Response {
    let claimed = issuer.claimed_issuer.lock().unwrap().clone();
    axum::Json(json!({
        "issuer": claimed.unwrap_or_else(|| issuer.url.clone()),
        "jwks_uri": format!("{}/jwks", issuer.url),
        "userinfo_endpoint": format!("{}/userinfo", issuer.url),
    }))
    .into_response()
}

async fn jwks(State(issuer): State<Arc<Issuer>>) -> Response {
    issuer.fetches.fetch_add(1, Ordering::SeqCst);
    issuer.fetched.notify_one();
    let mode = issuer.mode.lock().unwrap().clone();
    match mode {
        Mode::Keys(keys) => axum::Json(json!({ "keys": keys })).into_response(),
        Mode::Raw(status, body) => (status, Body::from(body)).into_response(),
        Mode::Redirect => Redirect::temporary("/elsewhere").into_response(),
        Mode::Hang => std::future::pending().await,
        Mode::Hold(keys) => {
            issuer.gate.acquire().await.unwrap().forget();
            axum::Json(json!({ "keys": keys })).into_response()
        }
    }
}

async fn elsewhere(State(issuer): State<Arc<Issuer>>) -> Response {
    issuer.elsewhere.fetch_add(1, Ordering::SeqCst);
    axum::Json(json!({"keys": [Signer::rsa().jwk]})).into_response()
}

async fn userinfo(State(issuer): State<Arc<Issuer>>, headers: HeaderMap) -> Response {
    let bearer = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    *issuer.seen_bearer.lock().unwrap() = bearer;
    let (status, body) = issuer.userinfo.lock().unwrap().clone();
    (status, axum::Json(body)).into_response()
}
