//! Refusals of an answer say in so many words that nothing was verified, whatever they are for.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::login::{VERIFY, by, of};
use super::super::totp::enrol;
use super::Rich;
use crate::support::{Client, Options, PUBLIC_URL, Reply, Server};

/// A body's ten seconds, and time for a busy machine to say so.
const PATIENCE: Duration = Duration::from_secs(20);

#[track_caller]
fn nothing_verified(body: &Value) {
    assert_eq!(body["verified"], false, "{body}");
    assert_eq!(body["result"], false, "{body}");
}

#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str) {
    nothing_verified(&reply.refused(status, code));
}

async fn one_call(service: &Client, subject: &str, code: &str) -> Reply {
    let body = json!({"subject": subject, "code": code});
    service.post_json(VERIFY, &body).await
}

#[tokio::test]
async fn every_refusal_of_an_answer_says_that_nothing_was_verified() {
    let rich = Rich::new().await;
    let (portal, path) = (&rich.portal, of(&rich.challenge, "/verify"));
    let answer = async |method: &str, code: &str| portal.post_json(&path, &by(method, code)).await;
    let now = || rich.server.clock.unix();

    refused(&answer("totp", "nonsense").await, 400, "wrong_code");
    refused(&answer("email", "123456").await, 400, "wrong_code");
    refused(&one_call(portal, "nobody", "1").await, 400, "wrong_code");
    let credential = json!({"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response":
        {"clientDataJSON": "AAAA", "authenticatorData": "AAAA", "signature": "AAAA"}});
    let by_key = json!({"method": "webauthn", "credential": credential});
    let reply = portal.post_json(&path, &by_key).await;
    refused(&reply, 400, "webauthn_failed");
    let unknown = path.replace("chl_", "chl_a");
    let reply = portal.post_json(&unknown, &by("totp", "1")).await;
    refused(&reply, 404, "not_found");

    let wrong = rich.app.wrong_code(now());
    while one_call(portal, "alice", &wrong).await.status != 429 {}
    refused(&one_call(portal, "alice", &wrong).await, 429, "locked");
    refused(&answer("totp", &wrong).await, 429, "locked");

    rich.server.clock.forward(300);
    refused(&answer("totp", &wrong).await, 409, "challenge_expired");
    // Two people of one name.
    for subject in ["1", "2"] {
        let token = rich.server.issuer.token(PUBLIC_URL, subject);
        let token = token
            .with("preferred_username", "twin")
            .with("tenant_id", subject)
            .sign();
        let begun = rich.server.bearer(token).post(super::ENABLE).await;
        begun.ok();
    }
    let twin = json!({"username": "twin", "code": "1"});
    let reply = portal.post_json(VERIFY, &twin).await;
    refused(&reply, 409, "ambiguous_name");
}

#[tokio::test]
async fn so_does_the_refusal_of_a_second_right_answer_and_of_a_server_that_cannot_tell() {
    let server = Server::start().await;
    let (app, codes) = enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    let opened = super::super::login::open(&portal, "alice").await;
    let path = of(&opened, "/verify");
    let right = app.code(server.clock.unix());
    portal.post_json(&path, &by("totp", &right)).await.ok();
    let again = portal.post_json(&path, &by("backup_code", &codes[0])).await;
    refused(&again, 409, "challenge_closed");

    let server = Server::start_with(Options {
        issuer_away: true,
        ..Default::default()
    })
    .await;
    let portal = server.login_service();
    refused(&one_call(&portal, "alice", "1").await, 503, "unavailable");
    let reply = portal.post_json(&path, &by("totp", "1")).await;
    refused(&reply, 503, "unavailable");
}

#[tokio::test]
async fn so_does_the_refusal_of_a_body_that_stops_half_way() {
    let rich = Rich::new().await;
    let token = rich.portal.token.as_deref().unwrap();
    let stops = async |path: String| {
        let mut connection = TcpStream::connect(rich.server.address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: mfa.example.com\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nConnection: close\r\nContent-Length: 99\r\n\r\n{{\"code\":"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = connection.read_to_string(&mut answer);
        let read = tokio::time::timeout(PATIENCE, read).await;
        read.expect("the server waits for ever").unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        nothing_verified(&serde_json::from_str(body).unwrap());
    };
    tokio::join!(
        stops(of(&rich.challenge, "/verify")),
        stops(VERIFY.to_owned())
    );
}
