//! Who may use which route: a row for every route there is.

mod attempts;

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use serde_json::json;

use self::attempts::{Answer, CLIENT, attempts};
use crate::support::{Issuer, Options, PUBLIC_URL, Reply, Server, routes};

#[derive(Clone, Copy, Debug, PartialEq)]
enum For {
    /// Nobody has to say who they are.
    Everybody,
    /// A person, about themselves.
    People,
    /// A login service, about its people.
    Services,
    /// Whoever holds the token of a hosted prompt, which stands in the body.
    PromptHolders,
}

/// A route that is missing here fails the test, as does a row without its route.
const ROWS: &[(&str, For)] = &[
    ("GET /openapi.json", For::Everybody),
    ("GET /readyz", For::Everybody),
    ("GET /.well-known/jwks.json", For::Everybody),
    ("GET /api/v1/me/mfa", For::People),
    ("GET /api/v1/me/mfa/events", For::People),
    ("GET /api/v1/me/mfa/sessions", For::People),
    ("DELETE /api/v1/me/mfa/sessions", For::People),
    ("DELETE /api/v1/me/mfa/sessions/{id}", For::People),
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
    ("POST /api/v1/mfa/challenges", For::Services),
    ("GET /api/v1/mfa/challenges/{challenge_id}", For::Services),
    (
        "POST /api/v1/mfa/challenges/{challenge_id}/email",
        For::Services,
    ),
    (
        "POST /api/v1/mfa/challenges/{challenge_id}/webauthn",
        For::Services,
    ),
    (
        "POST /api/v1/mfa/challenges/{challenge_id}/verify",
        For::Services,
    ),
    ("POST /api/v1/mfa/verify", For::Services),
    ("POST /api/v1/prompt/open", For::PromptHolders),
    ("POST /api/v1/prompt/email", For::PromptHolders),
    ("POST /api/v1/prompt/webauthn", For::PromptHolders),
    ("POST /api/v1/prompt/verify", For::PromptHolders),
    ("POST /api/v1/prompt/cancel", For::PromptHolders),
];

#[track_caller]
fn is_out(reply: &Reply, (status, code, challenge): (u16, &str, &str), context: &str) {
    assert_eq!(reply.status, status, "{context}: {}", reply.text);
    reply.refused(status, code);
    let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges.len(), usize::from(status == 401), "{context}");
    assert_eq!(reply.header("www-authenticate"), challenge, "{context}");
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[tokio::test]
async fn every_route_lets_in_those_whom_it_is_for_and_nobody_else() {
    let server = Server::start_with(Options {
        verify_clients: vec![CLIENT.to_owned()],
        ..Default::default()
    })
    .await;
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
    let attempts = attempts(&server, &other_issuer).await;
    let unknown = r#"{"prompt":"prm_aaaaaaaaaaaaaaaaaaaaaaaaaa","method":"totp","code":"123456"}"#;
    for attempt in &attempts {
        for route in &routes {
            let path = route.path_with("mfa_aaaaaaaaaaaaaaaaaaaaaaaaaa") + &attempt.query;
            let headers: Vec<(&str, &str)> = attempt
                .headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .chain([("content-type", "application/json")])
                .collect();
            let context = format!("{} with {}", route.name(), attempt.name);
            let row = rows[route.name().as_str()];
            let answer = match row {
                For::People => attempt.of_people,
                For::Services => attempt.of_services,
                For::Everybody | For::PromptHolders => Answer::In,
            };
            // What they then may do is another matter.
            if row == For::People && matches!(answer, Answer::In) {
                continue;
            }
            // A body that could be good, a bad one and none: who asks is looked at first.
            for body in [unknown, r#"{"code":"123456"}"#, "{", ""] {
                let send = Bytes::from_static(body.as_bytes());
                let reply = nobody
                    .send(route.method.clone(), &path, &headers, send)
                    .await;
                let status = reply.status.as_u16();
                match (row, answer) {
                    (For::Everybody, _) => assert_eq!(status, 200, "{context}"),
                    (For::PromptHolders, _) if body == unknown => {
                        reply.refused(404, "not_found");
                    }
                    (For::PromptHolders, _) => assert_eq!(status, 422, "{context}"),
                    (_, Answer::Out(status, code, challenge)) => {
                        is_out(&reply, (status, code, challenge), &context);
                    }
                    (_, Answer::In) => {
                        assert!(matches!(status, 404 | 422), "{context}: {}", reply.text);
                    }
                }
                if route.verifies() {
                    let told = reply.json();
                    assert_eq!(told["verified"], false, "{context}: {told}");
                    assert_eq!(told["result"], false, "{context}: {told}");
                }
                for (_, shown) in &attempt.headers {
                    let shown = shown.rsplit(' ').next().unwrap();
                    assert!(shown.is_empty() || !reply.text.contains(shown), "{context}");
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
async fn where_no_client_is_listed_any_service_with_the_scope_is_let_in() {
    let server = Server::start().await;
    for client in ["portal", "wiki"] {
        let token = || {
            server
                .issuer
                .token(PUBLIC_URL, client)
                .with("scope", "mfa:verify")
        };
        for token in [
            token().with("client_id", client),
            // As Keycloak and Auth0 mark them.
            token()
                .with("sub", "8f14e45f")
                .with("preferred_username", format!("service-account-{client}"))
                .with("azp", client),
            token()
                .with("sub", format!("{client}@clients"))
                .with("gty", "client-credentials")
                .with("azp", client),
        ] {
            let asking = json!({"subject": "alice"});
            let reply = server
                .bearer(token.sign())
                .post_json("/api/v1/mfa/challenges", &asking)
                .await;
            assert_eq!(reply.status, 201, "{}", reply.text);
        }
    }
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
        if ROWS.contains(&(route.name().as_str(), For::Services)) {
            continue;
        }
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
