//! What login services ask.

mod answers;
mod apart;
mod challenges;
mod decisions;
mod given_up;
mod keys;
mod locks;
mod mails;
mod named;
mod names;
mod oracle;
mod others;
mod prompt;
mod races;
mod results;
mod shared;
mod spellings;
mod stale;
mod tenants;
mod trusted;
mod unknown;
mod used_codes;

use mfad::base::OsEntropy;
use mfad::clients::{self, Sends, Service, ServiceKey, Unknown};
use serde_json::{Value, json};

use crate::support::{Client, PUBLIC_URL, Reply, Server};

pub const CHALLENGES: &str = "/api/v1/mfa/challenges";
pub const VERIFY: &str = "/api/v1/mfa/verify";
/// Where the prompts of these tests bring people back to.
pub const RETURN: &str = "https://wiki.example.com/cb?from=mfad";

/// The path of a challenge, or of what can be done with it.
pub fn of(challenge: &Value, rest: &str) -> String {
    format!("{CHALLENGES}/{}{rest}", id(challenge))
}

#[track_caller]
pub fn id(challenge: &Value) -> &str {
    challenge["challenge_id"].as_str().unwrap()
}

/// Opens a challenge for somebody whose password was right.
pub async fn open(service: &Client, subject: &str) -> Value {
    open_with(service, subject, json!({})).await
}

/// As [`open`], and with more to say.
pub async fn open_with(service: &Client, subject: &str, more: Value) -> Value {
    let mut asking = json!({"subject": subject, "amr": ["pwd"]});
    let more = more.as_object().unwrap().clone();
    asking.as_object_mut().unwrap().extend(more);
    opened(&service.post_json(CHALLENGES, &asking).await)
}

#[track_caller]
pub fn opened(reply: &Reply) -> Value {
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()
}

/// A body that answers by a code.
pub fn by(method: &str, code: &str) -> Value {
    json!({ "method": method, "code": code })
}

/// Answers a challenge by a code.
pub async fn answer(service: &Client, challenge: &Value, method: &str, code: &str) -> Reply {
    let path = of(challenge, "/verify");
    service.post_json(&path, &by(method, code)).await
}

/// Verifies a code in one call.
pub async fn one_call(service: &Client, subject: &str, code: &str) -> Reply {
    let body = json!({"subject": subject, "code": code});
    service.post_json(VERIFY, &body).await
}

/// A service's own token, for another client than the usual.
pub fn service(server: &Server, client: &str) -> Client {
    let token = server
        .issuer
        .token(PUBLIC_URL, client)
        .with("client_id", client)
        .with("scope", "mfa:verify");
    server.bearer(token.sign())
}

/// A service of that name, as it is registered where nothing more is said.
pub fn unregistered(name: &str) -> Service {
    Service {
        id: name.to_owned(),
        sends: Sends::Subject,
        tenants: Vec::new(),
        return_urls: Vec::new(),
        client_id: None,
        issuer: None,
        unknown: Some(Unknown::Enroll),
    }
}

/// Registers a service, and shows its key from now on.
pub async fn register(server: &Server, service: Service) -> Client {
    let key = ServiceKey::draw(&OsEntropy).unwrap();
    let tools = &server.desk.tools;
    let (hash, now) = (key.hash(tools.keys()), tools.now());
    let added = tools
        .store
        .write(move |tx| clients::add(tx, &service, hash, now))
        .await;
    added.unwrap();
    server.bearer(key.into_secret().expose().clone())
}

/// A registered service that can send people to the hosted prompt.
pub async fn wiki(server: &Server) -> Client {
    let wiki = Service {
        return_urls: vec![RETURN.to_owned()],
        ..unregistered("wiki")
    };
    register(server, wiki).await
}

/// Somebody of a tenant.
pub fn member(server: &Server, tenant: &str, subject: &str, username: &str) -> Client {
    let token = server
        .issuer
        .token(PUBLIC_URL, subject)
        .with_second_factor()
        .with("tenant_id", tenant)
        .with("preferred_username", username)
        .with_second_factor();
    server.bearer(token.sign())
}

/// Makes somebody known here, who has no factor: also what is refused says who asked.
pub async fn met(person: &Client) {
    let refused = person.code(super::totp::DISABLE, "123456").await;
    refused.refused(409, "not_enabled");
}

/// Status, headers and body.
pub type Visible = (u16, Vec<(String, String)>, String);

/// All that a client could tell two answers apart by, but for what names the request and the moment.
pub fn visible(reply: &Reply) -> Visible {
    let mut headers: Vec<(String, String)> = reply
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (reply.status.as_u16(), headers, reply.text.clone())
}

/// The claims of a result, whose signature is checked against the published keys.
pub async fn claims(server: &Server, verified: &Value) -> Value {
    let token = verified["token"].as_str().unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("mfa+jwt"));
    assert_eq!(header.alg, jsonwebtoken::Algorithm::ES256);
    let keys = server.stranger().get("/.well-known/jwks.json").await.ok();
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(keys).unwrap();
    let key = keys.find(header.kid.as_deref().unwrap()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    // The test's clock decides.
    validation.validate_exp = false;
    validation.validate_aud = false;
    let claims: Value = jsonwebtoken::decode(token, &key, &validation)
        .unwrap()
        .claims;
    assert!(claims["exp"].as_u64().unwrap() > server.clock.unix());
    claims
}
