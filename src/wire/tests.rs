//! Which login service calls, as a router's handler sees it.

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::CallingService;
use crate::audit::Origin;
use crate::auth::{IssuerSettings, KeySource};
use crate::base::{OsEntropy, RequestId, Secret, TestClock};
use crate::clients::{self, Sends, Service, ServiceKey};
use crate::services::Services;
use crate::services::testing::TestContext;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://login.example.org";
const SECRET: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

/// A route that answers with the login service that calls it.
struct Endpoint {
    router: Router,
    context: TestContext,
}

impl Endpoint {
    async fn new() -> Self {
        let keys = KeySource::Hs256(Secret::new(SECRET.to_vec()));
        let issuer = IssuerSettings::new(ISSUER, vec!["mfa".to_owned()], keys);
        let context = TestContext::builder()
            .clock(TestClock::at(NOW))
            .issuer(issuer)
            .build()
            .await;
        let origin = Origin {
            request: RequestId::draw(&OsEntropy).unwrap(),
            ip: None,
        };
        let who = |caller: CallingService| async move { caller.service.id };
        let router = Router::new()
            .route("/who", get(who))
            .layer(axum::Extension(origin))
            .with_state(Services::clone(&context));
        Endpoint { router, context }
    }

    async fn add(&self, id: &str, client_id: Option<&str>) -> String {
        let key = ServiceKey::draw(&OsEntropy).unwrap();
        let hash = key.hash(self.context.keys());
        let service = Service {
            id: id.to_owned(),
            sends: Sends::Subject,
            tenants: Vec::new(),
            return_urls: Vec::new(),
            client_id: client_id.map(str::to_owned),
            issuer: None,
            unknown: None,
        };
        let now = self.context.now();
        self.context
            .store
            .write(move |tx| clients::add(tx, &service, hash, now))
            .await
            .unwrap();
        key.into_secret().expose().clone()
    }

    /// Whom these headers are taken for; else status, code and `WWW-Authenticate`.
    async fn who(&self, headers: &[(&str, &str)]) -> Result<String, (u16, String, String)> {
        let mut request = Request::get("/who");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        if parts.status == 200 {
            return Ok(String::from_utf8(body.to_vec()).unwrap());
        }
        let problem: Value = serde_json::from_slice(&body).unwrap();
        let challenge = parts.headers.get("www-authenticate");
        Err((
            parts.status.as_u16(),
            problem["code"].as_str().unwrap().to_owned(),
            challenge.map_or("", |v| v.to_str().unwrap()).to_owned(),
        ))
    }
}

fn token(subject: &str, more: Value) -> String {
    let mut claims =
        json!({"iss": ISSUER, "aud": "mfa", "sub": subject, "iat": NOW, "exp": NOW + 60});
    let claims_of = claims.as_object_mut().unwrap();
    claims_of.extend(more.as_object().unwrap().clone());
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!(
        "{}.{}",
        part(&json!({"alg": "HS256", "typ": "at+jwt"})),
        part(&claims)
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn service_token(client: &str) -> String {
    token(client, json!({"client_id": client, "scope": "mfa:verify"}))
}

fn refused(status: u16, code: &str) -> Result<String, (u16, String, String)> {
    let challenge = match code {
        "unauthenticated" => "Bearer",
        "invalid_token" => r#"Bearer error="invalid_token""#,
        _ => "",
    };
    Err((status, code.to_owned(), challenge.to_owned()))
}

#[tokio::test]
async fn a_service_is_known_by_each_of_its_proofs() {
    let endpoint = Endpoint::new().await;
    let key = endpoint.add("portal", Some("portal-client")).await;
    let basic = format!("portal:{key}");
    for (name, value) in [
        ("authorization", format!("Bearer {key}")),
        ("authorization", format!("bearer  {key}")),
        (
            "authorization",
            format!("Basic {}", STANDARD.encode(&basic)),
        ),
        (
            "authorization",
            format!("bAsIc {}", STANDARD_NO_PAD.encode(&basic)),
        ),
        ("x-api-key", key.clone()),
        ("X-API-Key", key.clone()),
        ("authorization", service_token("portal-client")),
    ] {
        let who = endpoint.who(&[(name, &value)]).await;
        assert_eq!(who, Ok("portal".to_owned()), "{name}: {value}");
    }
    let unregistered = service_token("unregistered");
    let who = endpoint.who(&[("authorization", &unregistered)]).await;
    assert_eq!(who, Ok("unregistered".to_owned()));
}

#[tokio::test]
async fn nobody_else_is_a_login_service() {
    let endpoint = Endpoint::new().await;
    let key = endpoint.add("portal", None).await;
    let stranger = ServiceKey::draw(&OsEntropy).unwrap().into_secret();
    let stranger = stranger.expose();
    let basic = |pair: String| format!("Basic {}", STANDARD.encode(pair));
    let invalid = || refused(401, "invalid_token");
    let none = || refused(401, "unauthenticated");
    let person = token(
        "alice",
        json!({"scope": "mfa:verify mfa:admin", "client_id": "portal"}),
    );
    for (name, value, answer) in [
        ("authorization", format!("Bearer {stranger}"), invalid()),
        (
            "authorization",
            format!("Bearer {}", key.to_uppercase()),
            invalid(),
        ),
        ("authorization", format!("Bearer {key}a"), invalid()),
        ("authorization", "Bearer mfad_sk_".to_owned(), invalid()),
        ("authorization", "Bearer garbage".to_owned(), invalid()),
        ("authorization", "Bearer".to_owned(), none()),
        ("authorization", key.clone(), none()),
        ("authorization", format!("Digest {key}"), none()),
        ("authorization", format!("Basic {key}"), invalid()),
        ("authorization", "Basic %%%".to_owned(), invalid()),
        (
            "authorization",
            "Basic ".to_owned() + &STANDARD.encode([0xff, b':', 0xfe]),
            invalid(),
        ),
        ("authorization", basic(key.clone()), invalid()),
        ("authorization", basic(format!("nobody:{key}")), invalid()),
        (
            "authorization",
            basic(format!("nobody:{stranger}")),
            invalid(),
        ),
        (
            "authorization",
            basic(format!("portal:{stranger}")),
            invalid(),
        ),
        ("authorization", basic("portal:".to_owned()), invalid()),
        ("authorization", basic(format!(":{key}")), invalid()),
        ("authorization", basic(format!("portal:x:{key}")), invalid()),
        ("x-api-key", stranger.clone(), invalid()),
        ("x-api-key", String::new(), invalid()),
        (
            "x-api-key",
            service_token("c")["Bearer ".len()..].to_owned(),
            invalid(),
        ),
        ("x-api-key", format!("Bearer {key}"), invalid()),
        ("api-key", key.clone(), none()),
        ("authorization", person, refused(403, "forbidden")),
        (
            "authorization",
            token("c", json!({"client_id": "c"})),
            refused(403, "forbidden"),
        ),
        // It bears the name of a service that is not registered for it.
        (
            "authorization",
            service_token("portal"),
            refused(403, "forbidden"),
        ),
    ] {
        let who = endpoint.who(&[(name, &value)]).await;
        assert_eq!(who, answer, "{name}: {value}");
    }
    assert_eq!(endpoint.who(&[]).await, none());
}

#[tokio::test]
async fn two_proofs_are_none() {
    let endpoint = Endpoint::new().await;
    let key = endpoint.add("portal", None).await;
    let (bearer, token) = (format!("Bearer {key}"), service_token("c"));
    let basic = format!("Basic {}", STANDARD.encode(format!("portal:{key}")));
    for headers in [
        [
            ("authorization", bearer.as_str()),
            ("authorization", bearer.as_str()),
        ],
        [("authorization", &bearer), ("authorization", &basic)],
        [("authorization", &bearer), ("x-api-key", &key)],
        [("authorization", &token), ("x-api-key", &key)],
        [("x-api-key", &key), ("authorization", "Digest x")],
        [("x-api-key", &key), ("x-api-key", &key)],
    ] {
        assert_eq!(
            endpoint.who(&headers).await,
            refused(401, "unauthenticated"),
            "{headers:?}"
        );
    }
}
