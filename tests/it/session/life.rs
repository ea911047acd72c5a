//! How long a session lives.

use axum::http::Method;
use serde_json::json;

use super::server;
use crate::support::browser::{Browser, SESSION, tokens};
use crate::support::{PUBLIC_URL, Server};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// Alice, whose first access token is good for a whole day.
async fn for_a_day(server: &Server) -> Browser {
    let mut alice = Browser::new(server.address);
    let departure = alice.departs("/auth/login").await;
    let mut answer = tokens(&server.issuer, &departure, "alice");
    let token = server.issuer.token(PUBLIC_URL, "alice");
    answer["access_token"] = json!(token.with("exp", server.clock.unix() + 24 * HOUR).sign());
    answer["refresh_token"] = json!(null);
    alice.arrives(server, &departure, answer).await;
    alice
}

#[tokio::test]
async fn a_session_that_is_not_used_ends_after_half_an_hour() {
    let server = server().await;
    let mut alice = for_a_day(&server).await;
    for _ in 0..5 {
        server.clock.forward(30 * MINUTE - 1);
        alice.overview().await.ok();
    }
    // To be told of it is no use of it.
    server.clock.forward(30 * MINUTE - 1);
    assert_eq!(alice.session().await["signed_in"], true);
    server.clock.forward(1);
    assert_eq!(alice.session().await["signed_in"], false);
    alice.overview().await.refused(401, "unauthenticated");
    // It does not come back with the clock.
    alice.ask(Method::POST, "/auth/logout").await.ok();
    server.clock.back(10 * MINUTE);
    alice.overview().await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours_however_much_it_is_used() {
    let server = server().await;
    let mut alice = for_a_day(&server).await;
    for _ in 0..12 * 3 - 1 {
        server.clock.forward(20 * MINUTE);
        alice.overview().await.ok();
    }
    server.clock.forward(20 * MINUTE - 1);
    let told = alice.session().await;
    let end = mfad::base::Timestamp::from_unix(server.clock.unix() + 1);
    assert_eq!(told["expires_at"], end.to_string());
    alice.overview().await.ok();
    server.clock.forward(1);
    alice.overview().await.refused(401, "unauthenticated");
    assert_eq!(alice.session().await["signed_in"], false);
}

#[tokio::test]
async fn without_a_refresh_token_a_session_ends_with_the_access_token() {
    let server = server().await;
    let mut alice = Browser::new(server.address);
    let departure = alice.departs("/auth/login").await;
    let mut answer = tokens(&server.issuer, &departure, "alice");
    answer["refresh_token"] = json!(null);
    let token = server.issuer.token(PUBLIC_URL, "alice");
    answer["access_token"] = json!(token.with("exp", server.clock.unix() + 300).sign());
    alice.arrives(&server, &departure, answer).await;
    let end = mfad::base::Timestamp::from_unix(server.clock.unix() + 300);
    assert_eq!(alice.session().await["expires_at"], end.to_string());
    server.clock.forward(299);
    alice.overview().await.ok();
    // Not the half minute longer that others' clocks are forgiven.
    server.clock.forward(1);
    alice.overview().await.refused(401, "unauthenticated");
    assert_eq!(alice.session().await["signed_in"], false);
    assert_eq!(server.issuer.oidc().asked().len(), 1);
}

#[tokio::test]
async fn a_restart_signs_nobody_out_and_forgets_no_sign_in() {
    let mut server = server().await;
    let mut alice = for_a_day(&server).await;
    let departure = alice.departs("/auth/login").await;
    server.restart().await;
    let moved = |browser: &Browser| Browser {
        jar: browser.jar.clone(),
        ..Browser::new(server.address)
    };
    let mut alice = moved(&alice);
    alice.overview().await.ok();
    let old = alice.jar[SESSION].clone();
    let answer = tokens(&server.issuer, &departure, "alice");
    alice.arrives(&server, &departure, answer).await;
    assert_ne!(alice.jar[SESSION], old);
    alice.overview().await.ok();
}

#[tokio::test]
async fn a_person_has_ten_sessions_and_the_oldest_makes_room() {
    let server = server().await;
    let mut bob = Browser::new(server.address);
    bob.sign_in(&server, "bob").await;
    let mut browsers = Vec::new();
    for _ in 0..11 {
        server.clock.forward(1);
        let mut alice = Browser::new(server.address);
        alice.sign_in(&server, "alice").await;
        browsers.push(alice);
    }
    for (number, alice) in browsers.iter_mut().enumerate() {
        let signed_in = alice.session().await["signed_in"] == true;
        assert_eq!(signed_in, number > 0, "{number}");
    }
    // Those that have ended take no place.
    browsers[5].ask(Method::POST, "/auth/logout").await.ok();
    let mut alice = Browser::new(server.address);
    alice.sign_in(&server, "alice").await;
    assert_eq!(browsers[1].session().await["signed_in"], true);
    assert_eq!(bob.session().await["signed_in"], true);
}
