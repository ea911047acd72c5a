//! Who may use which route: a row for every route there is.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use serde_json::json;

use crate::support::{Issuer, PUBLIC_URL, Server, routes};

#[derive(Clone, Copy, Debug, PartialEq)]
enum For {
    /// Nobody has to say who they are.
    Everybody,
    /// A person, about themselves.
    People,
}

/// A route that is missing here fails the test, as does a row without its route.
const ROWS: &[(&str, For)] = &[
    ("GET /openapi.json", For::Everybody),
    ("GET /.well-known/jwks.json", For::Everybody),
    ("GET /api/v1/me/mfa", For::People),
    ("GET /api/v1/me/mfa/events", For::People),
    ("GET /api/v1/me/mfa/trusted-devices", For::People),
    ("DELETE /api/v1/me/mfa/trusted-devices/{id}", For::People),
    ("POST /api/v1/me/mfa/unlock", For::People),
    ("POST /api/v1/me/mfa/backup-codes/regenerate", For::People),
    ("POST /api/v1/me/mfa/totp/enable", For::People),
    ("POST /api/v1/me/mfa/totp/confirm", For::People),
    ("POST /api/v1/me/mfa/totp/disable", For::People),
    ("POST /api/v1/me/mfa/totp/replace", For::People),
    ("POST /api/v1/me/mfa/email/enable", For::People),
    ("POST /api/v1/me/mfa/email/confirm", For::People),
    ("POST /api/v1/me/mfa/email/disable", For::People),
    ("POST /api/v1/me/mfa/email/send", For::People),
    ("POST /api/v1/me/mfa/webauthn/register/begin", For::People),
    (
        "POST /api/v1/me/mfa/webauthn/register/complete",
        For::People,
    ),
    ("POST /api/v1/me/mfa/webauthn/verify/begin", For::People),
    ("POST /api/v1/me/mfa/webauthn/verify/complete", For::People),
    ("DELETE /api/v1/me/mfa/webauthn/{device_id}", For::People),
    ("PATCH /api/v1/me/mfa/webauthn/{device_id}", For::People),
];

/// A way to ask, and what a route for people answers: status, code, `WWW-Authenticate`.
struct Attempt {
    name: &'static str,
    authorization: Vec<String>,
    query: String,
    answer: (u16, &'static str, &'static str),
}

const NONE: (u16, &str, &str) = (401, "unauthenticated", "Bearer");
const BAD: (u16, &str, &str) = (401, "invalid_token", r#"Bearer error="invalid_token""#);
const FORBIDDEN: (u16, &str, &str) = (403, "forbidden", "");

fn attempts(server: &Server, stranger: &Issuer) -> Vec<Attempt> {
    let now = server.clock.unix();
    let token = || server.issuer.token(PUBLIC_URL, "alice");
    let service = || {
        server
            .issuer
            .token(PUBLIC_URL, "portal")
            .with("client_id", "portal")
    };
    let good = token().sign();
    let (head, rest) = good.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let unsigned = data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"none","typ":"at+jwt"}"#);
    let bearer = |name, token: String, answer| Attempt {
        name,
        authorization: vec![format!("Bearer {token}")],
        query: String::new(),
        answer,
    };
    let headers = |name, authorization: &[&str]| Attempt {
        name,
        authorization: authorization.iter().map(|h| (*h).to_owned()).collect(),
        query: String::new(),
        answer: NONE,
    };
    let query = |name, query: String| Attempt {
        name,
        authorization: Vec::new(),
        query,
        answer: NONE,
    };
    let twice = format!("Bearer {good}");
    vec![
        headers("no token", &[]),
        headers("another scheme", &["Basic YWxpY2U6YWxpY2U="]),
        headers("no scheme", &[&good]),
        headers("two headers", &[&twice, &twice]),
        headers("two headers, the first of no use", &["Basic YTpi", &twice]),
        query("a token in the query", format!("?access_token={good}")),
        query(
            "a header in the query",
            format!("?authorization=Bearer%20{good}"),
        ),
        headers("nothing after Bearer", &["Bearer "]),
        bearer("garbage", "garbage".to_owned(), BAD),
        bearer("two tokens", format!("{good} {good}"), BAD),
        bearer("two tokens, a comma between", format!("{good},{good}"), BAD),
        bearer(
            "an expired token",
            token().with("exp", now - 31).sign(),
            BAD,
        ),
        bearer(
            "a token of tomorrow",
            token().with("nbf", now + 86_400).sign(),
            BAD,
        ),
        bearer(
            "a token for a week",
            token().with("exp", now + 7 * 86_400).sign(),
            BAD,
        ),
        bearer(
            "another audience",
            server
                .issuer
                .token("https://other.example.com", "alice")
                .sign(),
            BAD,
        ),
        bearer(
            "an audience in another case",
            server
                .issuer
                .token("https://MFA.example.com", "alice")
                .sign(),
            BAD,
        ),
        bearer(
            "an unknown issuer",
            stranger.token(PUBLIC_URL, "alice").sign(),
            BAD,
        ),
        bearer(
            "our issuer's name under another's signature",
            stranger
                .token(PUBLIC_URL, "alice")
                .with("iss", server.issuer.url.as_str())
                .sign(),
            BAD,
        ),
        bearer(
            "an ID token by its type",
            token().of_type("id+jwt").sign(),
            BAD,
        ),
        bearer(
            "an ID token by its claims",
            token().of_type("JWT").with("at_hash", "x").sign(),
            BAD,
        ),
        bearer(
            "a refresh token",
            token().with("typ", "Refresh").sign(),
            BAD,
        ),
        bearer(
            "a result token of our own kind",
            token().of_type("mfa+jwt").sign(),
            BAD,
        ),
        bearer("a logout token", token().of_type("logout+jwt").sign(), BAD),
        bearer("no subject", token().with("sub", "").sign(), BAD),
        bearer("no algorithm", format!("{unsigned}.{claims}."), BAD),
        bearer(
            "no algorithm, but a signature",
            format!("{unsigned}.{claims}.{signature}"),
            BAD,
        ),
        bearer(
            "another's claims",
            {
                let bob = server.issuer.token(PUBLIC_URL, "bob").sign();
                let claims = bob.split('.').nth(1).unwrap().to_owned();
                format!("{head}.{claims}.{signature}")
            },
            BAD,
        ),
        bearer(
            "a service's token",
            service().with("scope", "mfa:verify").sign(),
            FORBIDDEN,
        ),
        bearer(
            "a service's token without a scope",
            service().sign(),
            FORBIDDEN,
        ),
        bearer(
            "a service's token that would be an operator",
            service().with("scope", "mfa:admin").sign(),
            FORBIDDEN,
        ),
        bearer(
            "a service's token by its grant",
            token()
                .with("gty", "client-credentials")
                .with("azp", "portal")
                .sign(),
            FORBIDDEN,
        ),
    ]
}

#[tokio::test]
async fn every_route_lets_in_those_whom_it_is_for_and_nobody_else() {
    let server = Server::start().await;
    let other_issuer = Issuer::start(server.clock.clone()).await;
    let rows: BTreeMap<&str, For> = ROWS.iter().copied().collect();
    let routes = routes();
    assert_eq!(
        rows.keys()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>(),
        routes
            .iter()
            .map(|route| route.name())
            .collect::<BTreeSet<_>>(),
    );
    let nobody = server.stranger();
    let alice = server.alice();
    let before = alice.get("/api/v1/me/mfa").await.ok();
    for attempt in attempts(&server, &other_issuer) {
        for route in &routes {
            let path = route.path_with("mfa_aaaaaaaaaaaaaaaaaaaaaaaaaa") + &attempt.query;
            let headers: Vec<(&str, &str)> = attempt
                .authorization
                .iter()
                .map(|value| ("authorization", value.as_str()))
                .chain([("content-type", "application/json")])
                .collect();
            let context = format!("{} with {}", route.name(), attempt.name);
            // A good body, a bad one and none: who asks is looked at first.
            for body in [&br#"{"code":"123456"}"#[..], b"{", b""] {
                let body = Bytes::from_static(body);
                let reply = nobody
                    .send(route.method.clone(), &path, &headers, body)
                    .await;
                if rows[route.name().as_str()] == For::Everybody {
                    assert_eq!(reply.status, 200, "{context}");
                    continue;
                }
                let (status, code, challenge) = attempt.answer;
                assert_eq!(reply.status, status, "{context}: {}", reply.text);
                reply.refused(status, code);
                let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
                assert_eq!(challenges.len(), usize::from(status == 401), "{context}");
                assert_eq!(reply.header("www-authenticate"), challenge, "{context}");
                assert_eq!(reply.header("cache-control"), "no-store");
                for token in &attempt.authorization {
                    let token = token.rsplit(' ').next().unwrap();
                    assert!(token.is_empty() || !reply.text.contains(token), "{context}");
                }
            }
        }
    }
    // None of it has left a trace with anybody.
    assert_eq!(alice.get("/api/v1/me/mfa").await.ok(), before);
    for person in [&alice, &server.bob(), &server.person("portal")] {
        let events = person.get("/api/v1/me/mfa/events").await.ok();
        assert_eq!(events, json!({"events": [], "next_cursor": null}));
    }
    assert_eq!(server.smtp.mails().len(), 0);
}

#[tokio::test]
async fn a_person_is_let_in_by_every_spelling_that_the_standards_allow() {
    let server = Server::start().await;
    let token = || server.issuer.token(PUBLIC_URL, "alice");
    let now = server.clock.unix();
    for token in [
        token().sign(),
        token().of_type("JWT").sign(),
        token().of_type("application/at+jwt").sign(),
        token()
            .with("aud", json!(["https://other.example.com", PUBLIC_URL]))
            .sign(),
        // Clocks differ by half a minute.
        token().with("exp", now - 29).sign(),
        token().with("iat", now + 29).sign(),
        // Scopes make nobody a program.
        token().with("scope", "mfa:verify mfa:admin").sign(),
        token().with("client_id", "portal").sign(),
    ] {
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let headers = [("authorization", &*format!("{scheme} {token}"))];
            let reply = server
                .stranger()
                .send(
                    axum::http::Method::GET,
                    "/api/v1/me/mfa",
                    &headers,
                    Bytes::new(),
                )
                .await;
            reply.ok();
        }
    }
    for route in routes() {
        let path = route.path_with("mfa_aaaaaaaaaaaaaaaaaaaaaaaaaa");
        let reply = server
            .alice()
            .send(route.method.clone(), &path, &[], Bytes::new())
            .await;
        let status = reply.status.as_u16();
        assert!(
            matches!(status, 200 | 404 | 409 | 422),
            "{}: {}",
            route.name(),
            reply.text
        );
    }
}

#[tokio::test]
async fn a_person_is_their_subject_and_no_other_name_of_theirs() {
    let server = Server::start().await;
    let alice = server.alice();
    super::api::totp::enrol(&server, &alice).await;
    for (subject, enabled) in [
        ("alice", true),
        ("Alice", false),
        ("alic", false),
        ("alice\u{301}", false),
    ] {
        // The display name makes nobody somebody else.
        let token = server
            .issuer
            .token(PUBLIC_URL, subject)
            .with("preferred_username", "alice");
        let seen = server.bearer(token.sign()).get("/api/v1/me/mfa").await.ok();
        assert_eq!(seen["enabled"], enabled, "{subject}");
    }
}
