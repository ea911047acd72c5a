//! What login services ask.

mod answers;
mod challenges;

use serde_json::{Value, json};

use crate::support::{Client, PUBLIC_URL, Server};

pub const CHALLENGES: &str = "/api/v1/mfa/challenges";
pub const VERIFY: &str = "/api/v1/mfa/verify";

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
    let asking = json!({"subject": subject, "amr": ["pwd"]});
    let reply = service.post_json(CHALLENGES, &asking).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()
}

/// A body that answers by a code.
pub fn by(method: &str, code: &str) -> Value {
    json!({ "method": method, "code": code })
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
