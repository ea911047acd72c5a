//! What the server signs, and the keys that it publishes for it.

use axum::body::Bytes;
use axum::http::Method;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use mfad::signing::{PUBLISH_BEFORE_USE, PUBLISHED_AFTER_USE};
use serde_json::{Value, json};

use crate::support::{PUBLIC_URL, Reply, Server};

const JWKS: &str = "/.well-known/jwks.json";

/// What a result says, for the audience `portal`.
fn claims(server: &Server) -> Value {
    let now = server.clock.unix();
    json!({"iss": PUBLIC_URL, "aud": "portal", "sub": "alice", "iat": now, "exp": now + 120, "jti": "chl_1"})
}

fn sign(server: &Server, claims: &Value) -> String {
    server.desk.tools.signer.sign(claims).unwrap()
}

/// Whether whoever has fetched `published` finds `token` good.
fn good(published: &Reply, token: &str) -> bool {
    let set: JwkSet = serde_json::from_str(&published.text).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("mfa+jwt"));
    let Some(jwk) = set.find(&header.kid.unwrap()) else {
        return false;
    };
    let mut validation = Validation::new(Algorithm::ES256);
    // The machine's clock is not the server's.
    validation.validate_exp = false;
    validation.set_audience(&["portal"]);
    validation.set_issuer(&[PUBLIC_URL]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    let key = DecodingKey::from_jwk(jwk).unwrap();
    jsonwebtoken::decode::<Value>(token, &key, &validation).is_ok()
}

#[tokio::test]
async fn the_public_keys_are_everybodys_and_may_be_kept_for_five_minutes() {
    let server = Server::start().await;
    let reply = server.stranger().get(JWKS).await;
    reply.ok();
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("cache-control"), "public, max-age=300");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert!(good(&reply, &sign(&server, &claims(&server))));
    // Nothing of the private half, whose member would be `d`.
    for key in reply.json()["keys"].as_array().unwrap() {
        let mut members: Vec<&String> = key.as_object().unwrap().keys().collect();
        members.sort();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    }
    let head = server
        .stranger()
        .send(Method::HEAD, JWKS, &[], Bytes::new())
        .await;
    assert_eq!((head.status.as_u16(), &*head.text), (200, ""));
    let post = server.stranger().post(JWKS).await;
    post.refused(405, "method_not_allowed");
    assert_eq!(post.header("cache-control"), "no-store");
}

#[tokio::test]
async fn whoever_keeps_the_keys_for_as_long_as_allowed_meets_no_gap_at_a_rotation() {
    let mut server = Server::start().await;
    let before = server.stranger().get(JWKS).await;
    let signer = server.desk.tools.signer.clone();
    server.clock.forward(1_000);
    let old = sign(&server, &claims(&server));
    signer.rotate().await.unwrap();
    // Fetched just before the rotation, and kept for five minutes.
    server.clock.forward(300);
    assert!(good(&before, &sign(&server, &claims(&server))));
    let during = server.stranger().get(JWKS).await;
    assert_eq!(during.json()["keys"].as_array().unwrap().len(), 2);
    server.clock.forward(PUBLISH_BEFORE_USE - 300);
    let new = sign(&server, &claims(&server));
    assert!(!good(&before, &new));
    assert!(good(&during, &new));

    server.restart().await;
    let after = server.stranger().get(JWKS).await;
    assert!(good(&after, &old));
    assert!(good(&after, &new));
    assert!(good(&during, &sign(&server, &claims(&server))));
    server.clock.forward(PUBLISHED_AFTER_USE);
    let at_last = server.stranger().get(JWKS).await;
    assert!(!good(&at_last, &old));
    assert!(good(&at_last, &new));
}

#[tokio::test]
async fn what_the_server_signs_opens_nothing_at_the_server_itself() {
    let server = Server::start().await;
    let now = server.clock.unix();
    let result = claims(&server);
    // Whatever it says: that of a result, that of a good access token, from us or from the issuer.
    let mut attempts = vec![result.clone()];
    for issuer in [PUBLIC_URL, &server.issuer.url] {
        attempts.push(json!({
            "iss": issuer, "aud": PUBLIC_URL, "sub": "alice", "iat": now, "exp": now + 120,
            "scope": "openid mfa:admin mfa:verify",
        }));
    }
    for claims in attempts {
        let token = sign(&server, &claims);
        let (_, rest) = token.split_once('.').unwrap();
        // Under another head, the signature is another's too.
        let header = data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"ES256","typ":"at+jwt"}"#);
        for token in [token.clone(), format!("{header}.{rest}")] {
            for path in ["/api/v1/me/mfa", "/api/v1/me/mfa/events"] {
                let reply = server.bearer(token.clone()).get(path).await;
                reply.refused(401, "invalid_token");
            }
            let reply = server
                .bearer(token)
                .post("/api/v1/me/mfa/totp/enable")
                .await;
            reply.refused(401, "invalid_token");
        }
    }
}
