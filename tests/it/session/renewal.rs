//! Access tokens that end before the session does: the server renews them, the browser notices nothing.

use axum::http::Method;
use serde_json::{Value, json};

use super::server;
use crate::support::browser::{Browser, PAGE, SESSION, tokens};
use crate::support::{PUBLIC_URL, Server, at_once};

const LIFE: u64 = 300;

fn access(server: &Server, subject: &str, life: u64) -> Value {
    let token = server.issuer.token(PUBLIC_URL, subject);
    json!(token.with("exp", server.clock.unix() + life).sign())
}

fn renewed(server: &Server, refresh_token: Option<&str>) -> Value {
    json!({
        "access_token": access(server, "alice", LIFE), "token_type": "Bearer", "refresh_token": refresh_token,
    })
}

/// Alice, whose access token is good for five minutes.
async fn alice(server: &Server) -> Browser {
    let mut alice = Browser::new(server.address);
    let departure = alice.departs("/auth/login").await;
    let mut answer = tokens(&server.issuer, &departure, "alice");
    answer["access_token"] = access(server, "alice", LIFE);
    answer["refresh_token"] = json!("refresh-1");
    alice.arrives(server, &departure, answer).await;
    alice
}

/// How often tokens were renewed, and by which refresh tokens.
fn renewals(server: &Server) -> Vec<String> {
    let asked = server.issuer.oidc().asked();
    let renewals = asked
        .iter()
        .filter(|form| form["grant_type"] == "refresh_token");
    renewals.map(|form| form["refresh_token"].clone()).collect()
}

#[tokio::test]
async fn refresh_tokens_are_used_once_each_as_they_rotate() {
    let server = server().await;
    let mut alice = alice(&server).await;
    for turn in 1..=3 {
        let next = format!("refresh-{}", turn + 1);
        server.clock.forward(LIFE - 11);
        alice.overview().await.ok();
        assert_eq!(renewals(&server).len(), turn - 1, "not before its time");
        server.clock.forward(1);
        let answer = renewed(&server, Some(&next));
        server
            .issuer
            .oidc()
            .renews(&format!("refresh-{turn}"), answer);
        alice.overview().await.ok();
        alice.overview().await.ok();
        assert_eq!(renewals(&server).len(), turn);
    }
    assert_eq!(renewals(&server), ["refresh-1", "refresh-2", "refresh-3"]);
    let form = server.issuer.oidc().asked().pop().unwrap();
    let fields: Vec<&str> = form.keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        ["client_id", "grant_type", "refresh_token", "resource"]
    );
    // An issuer that does not rotate gives none, and the old one stays good.
    for _ in 0..2 {
        server.clock.forward(LIFE);
        let answer = renewed(&server, None);
        server.issuer.oidc().renews("refresh-4", answer);
        alice.overview().await.ok();
    }
    assert_eq!(renewals(&server)[3..], ["refresh-4", "refresh-4"]);
}

#[tokio::test]
async fn fifty_requests_at_once_are_one_renewal() {
    let server = server().await;
    let alice = alice(&server).await;
    server.clock.forward(LIFE);
    let answer = renewed(&server, Some("refresh-2"));
    server.issuer.oidc().renews("refresh-1", answer);
    let gate = server.issuer.oidc().holds_back();
    let cookie = format!("{SESSION}={}", alice.jar[SESSION]);
    let swarm = tokio::spawn({
        let client = alice.client.clone();
        async move {
            at_once(&client, 50, move |client, _| {
                let cookie = cookie.clone();
                async move {
                    let mut headers = PAGE.to_vec();
                    headers.push(("cookie", &cookie));
                    client
                        .send(Method::GET, "/api/v1/me/mfa", &headers, "".into())
                        .await
                }
            })
            .await
        }
    });
    while renewals(&server).is_empty() {
        tokio::task::yield_now().await;
    }
    // More than one would use them up.
    gate.add_permits(50);
    for reply in swarm.await.unwrap() {
        reply.ok();
    }
    assert_eq!(renewals(&server), ["refresh-1"]);
}

#[tokio::test]
async fn a_renewal_goes_on_when_the_browser_has_hung_up() {
    let server = server().await;
    let mut alice = alice(&server).await;
    server.clock.forward(LIFE);
    let answer = renewed(&server, Some("refresh-2"));
    server.issuer.oidc().renews("refresh-1", answer);
    let gate = server.issuer.oidc().holds_back();
    let mut impatient = alice.clone();
    let request = tokio::spawn(async move { impatient.overview().await });
    while renewals(&server).is_empty() {
        tokio::task::yield_now().await;
    }
    request.abort();
    gate.add_permits(10);
    alice.overview().await.ok();
    assert_eq!(renewals(&server), ["refresh-1"]);
}

#[tokio::test]
async fn a_refresh_token_that_is_refused_ends_the_session() {
    let server = server().await;
    let mut alice = alice(&server).await;
    server.clock.forward(LIFE);
    server.issuer.oidc().refuses(Some((400, "invalid_grant")));
    alice.overview().await.refused(401, "unauthenticated");
    assert_eq!(alice.session().await["signed_in"], false);
    server.issuer.oidc().refuses(None);
    alice.overview().await.refused(401, "unauthenticated");
    assert_eq!(renewals(&server).len(), 1);
}

#[tokio::test]
async fn an_issuer_that_is_away_signs_nobody_out() {
    let server = server().await;
    let mut alice = alice(&server).await;
    for refusal in [
        (500, "server_error"),
        (503, "x"),
        (429, "x"),
        (401, "invalid_client"),
    ] {
        server.issuer.oidc().refuses(Some(refusal));
        // It ends in a moment, and is good until then.
        server.clock.forward(LIFE - 1);
        alice.overview().await.ok();
        server.clock.forward(1);
        alice.overview().await.refused(503, "unavailable");
        assert_eq!(alice.session().await["signed_in"], true, "{refusal:?}");
        server.issuer.oidc().refuses(None);
        let answer = renewed(&server, Some("refresh-1"));
        server.issuer.oidc().renews("refresh-1", answer);
        alice.overview().await.ok();
    }
}

#[tokio::test]
async fn tokens_of_somebody_else_are_no_renewal() {
    let server = server().await;
    for bad in [
        access(&server, "bob", LIFE * 3),
        json!("opaque"),
        json!(server.issuer.token("https://other.example", "alice").sign()),
    ] {
        let mut alice = alice(&server).await;
        server.clock.forward(LIFE);
        let mut answer = renewed(&server, Some("refresh-2"));
        answer["access_token"] = bad;
        server.issuer.oidc().renews("refresh-1", answer);
        alice.overview().await.refused(401, "unauthenticated");
        assert_eq!(alice.session().await["signed_in"], false);
    }
}

#[tokio::test]
async fn who_signs_out_during_a_renewal_stays_signed_out() {
    let server = server().await;
    let mut alice = alice(&server).await;
    server.clock.forward(LIFE);
    let answer = renewed(&server, Some("refresh-2"));
    server.issuer.oidc().renews("refresh-1", answer);
    let gate = server.issuer.oidc().holds_back();
    let mut other = alice.clone();
    let request = tokio::spawn(async move { other.overview().await });
    while renewals(&server).is_empty() {
        tokio::task::yield_now().await;
    }
    let copy = alice.clone();
    alice.ask(Method::POST, "/auth/logout").await.ok();
    gate.add_permits(10);
    request.await.unwrap().refused(401, "unauthenticated");
    copy.clone()
        .overview()
        .await
        .refused(401, "unauthenticated");
}

#[tokio::test]
async fn an_access_token_that_is_no_longer_believed_is_renewed_or_the_session_ends() {
    let mut server = server().await;
    let mut browser = alice(&server).await;
    // The operator has the server expect another audience; what was given before is not for it.
    server.expect_audience("https://new.example").await;
    browser.client = Browser::new(server.address).client;
    let token = server.issuer.token("https://new.example", "alice");
    let token = token.with("exp", server.clock.unix() + LIFE).sign();
    let answer =
        json!({"access_token": token, "token_type": "Bearer", "refresh_token": "refresh-2"});
    server.issuer.oidc().renews("refresh-1", answer);
    browser.overview().await.ok();
    assert_eq!(renewals(&server), ["refresh-1"]);
    server.expect_audience("https://newer.example").await;
    browser.client = Browser::new(server.address).client;
    server.issuer.oidc().refuses(Some((400, "invalid_grant")));
    browser.overview().await.refused(401, "unauthenticated");
}
