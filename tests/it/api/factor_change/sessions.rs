//! On the settings page a proof counts for its session for ten minutes.

use super::*;
use crate::session::{options, server};
use crate::support::browser::{Browser, PAGE, tokens};
use crate::support::{Options, PUBLIC_URL};

const PROOF_SECONDS: u64 = 600;

/// Asks as the page's script does.
pub(super) async fn ask(
    browser: &mut Browser,
    change: Change,
    device: &str,
    code: Option<&str>,
) -> Reply {
    let (method, path, mut body) = change.request(device);
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    post(browser, method, &path, &body).await
}

pub(super) async fn post(browser: &mut Browser, method: Method, path: &str, body: &Value) -> Reply {
    let headers = [&PAGE[..], &[("content-type", "application/json")]].concat();
    browser.send(method, path, &headers, body.to_string()).await
}

/// A browser in which that person has signed in with their password.
pub(super) async fn signed_in(server: &Server, subject: &str) -> Browser {
    let mut browser = Browser::new(server.address);
    browser.sign_in(server, subject).await;
    browser
}

/// A browser in which that person has proved a factor, with a backup code.
async fn proved(server: &Server, subject: &str, code: &str) -> Browser {
    let mut browser = signed_in(server, subject).await;
    asks_for_proof(&ask(&mut browser, Change::BeginKey, "", None).await);
    ask(&mut browser, Change::BeginKey, "", Some(code))
        .await
        .ok();
    browser
}

#[tokio::test]
async fn adding_a_key_and_naming_it_asks_once_and_again_after_ten_minutes() {
    let server = server().await;
    let (device, backup) = enrol_key(&server.alice(), &Authenticator::new()).await;
    let mut alice = signed_in(&server, "alice").await;
    for change in [
        Change::EnableTotp,
        Change::EnableEmail,
        Change::BeginKey,
        Change::RenameKey,
    ] {
        asks_for_proof(&ask(&mut alice, change, &device, None).await);
    }
    let code = Some(backup[0].as_str());
    let begun = ask(&mut alice, Change::BeginKey, "", code).await.ok();
    let key = Authenticator::new().register(&begun);
    let done = post(&mut alice, Method::POST, COMPLETE, &key).await.ok();
    let added = done["device"]["device_id"].as_str().unwrap();
    ask(&mut alice, Change::RenameKey, added, None).await.ok();
    server.clock.forward(PROOF_SECONDS - 1);
    ask(&mut alice, Change::EnableTotp, "", None).await.ok();
    ask(&mut alice, Change::EnableEmail, "", None).await.ok();
    server.clock.forward(1);
    for change in CHANGES {
        asks_for_proof(&ask(&mut alice, change, added, None).await);
    }
    // What was begun with it is confirmed all the same.
    let code = email::code_mail(&server).await.code();
    let body = json!({ "code": code });
    post(&mut alice, Method::POST, email::CONFIRM, &body)
        .await
        .ok();
    // A proof of the future, by a clock that was ahead, is none.
    ask(&mut alice, Change::RenameKey, added, Some(&backup[1]))
        .await
        .ok();
    server.clock.back(1);
    asks_for_proof(&ask(&mut alice, Change::RenameKey, added, None).await);
}

#[tokio::test]
async fn a_proof_counts_for_no_bearer_token_no_other_session_and_no_other_person() {
    let server = server().await;
    let (device, backup) = enrol_key(&server.alice(), &Authenticator::new()).await;
    let (other, _) = enrol_key(&server.bob(), &Authenticator::new()).await;
    let mut before = signed_in(&server, "alice").await;
    let mut alice = proved(&server, "alice", &backup[0]).await;
    let mut after = signed_in(&server, "alice").await;
    let mut bob = signed_in(&server, "bob").await;
    ask(&mut alice, Change::RenameKey, &device, None).await.ok();
    for browser in [&mut before, &mut after] {
        for change in CHANGES {
            asks_for_proof(&ask(browser, change, &device, None).await);
        }
    }
    asks_for_proof(&ask(&mut bob, Change::RenameKey, &other, None).await);
    let bearer = server.password_only("alice");
    asks_for_proof(&Change::RenameKey.ask(&bearer, &device, None).await);
    // Where both come, the cookie is not looked at.
    let token = format!("Bearer {}", bearer.token.clone().unwrap());
    let headers = [&PAGE[..], &[("authorization", token.as_str())]].concat();
    let reply = alice.send(Method::POST, BEGIN, &headers, "").await;
    asks_for_proof(&reply);
    // What a bearer token proves stays with that request, and what proved it is used up.
    let reply = Change::RenameKey.ask(&bearer, &device, Some(&backup[1]));
    reply.await.ok();
    asks_for_proof(&Change::RenameKey.ask(&bearer, &device, None).await);
    asks_for_proof(&ask(&mut after, Change::RenameKey, &device, None).await);
}

#[tokio::test]
async fn a_proof_ends_with_its_session() {
    let server = server().await;
    let (device, backup) = enrol_key(&server.alice(), &Authenticator::new()).await;
    let mut alice = proved(&server, "alice", &backup[0]).await;
    let copied = alice.clone();
    alice.ask(Method::POST, "/auth/logout").await.ok();
    let mut copied = copied;
    let reply = ask(&mut copied, Change::RenameKey, &device, None).await;
    reply.refused(401, "unauthenticated");
    alice.sign_in(&server, "alice").await;
    asks_for_proof(&ask(&mut alice, Change::RenameKey, &device, None).await);
    // Nor does it go over to the session that a new sign-in puts in its place.
    let mut alice = proved(&server, "alice", &backup[1]).await;
    alice.sign_in(&server, "alice").await;
    asks_for_proof(&ask(&mut alice, Change::RenameKey, &device, None).await);
}

#[tokio::test]
async fn a_proof_outlives_new_tokens_and_a_restart() {
    let mut server = server().await;
    let (device, backup) = enrol_key(&server.alice(), &Authenticator::new()).await;
    let mut alice = Browser::new(server.address);
    let departure = alice.departs("/auth/login").await;
    let mut answer = tokens(&server.issuer, &departure, "alice");
    let short = server.issuer.token(PUBLIC_URL, "alice");
    answer["access_token"] = json!(short.with("exp", server.clock.unix() + 300).sign());
    alice.arrives(&server, &departure, answer).await;
    let code = Some(backup[0].as_str());
    ask(&mut alice, Change::BeginKey, "", code).await.ok();
    server.clock.forward(300);
    let token = server.issuer.token(PUBLIC_URL, "alice").sign();
    let renewed = json!({"access_token": token, "token_type": "Bearer"});
    server.issuer.oidc().renews("refresh-1-alice", renewed);
    ask(&mut alice, Change::RenameKey, &device, None).await.ok();
    server.restart().await;
    alice.client.address = server.address;
    server.clock.forward(299);
    ask(&mut alice, Change::RenameKey, &device, None).await.ok();
    server.clock.forward(1);
    asks_for_proof(&ask(&mut alice, Change::RenameKey, &device, None).await);
}

#[tokio::test]
async fn a_change_to_factors_ends_what_other_sessions_have_proved() {
    let server = server().await;
    let (device, backup) = enrol_key(&server.alice(), &Authenticator::new()).await;
    let spare = webauthn::enrol(&server.alice(), &Authenticator::new()).await;
    let mut stolen = proved(&server, "alice", &backup[0]).await;
    let mut alice = proved(&server, "alice", &backup[1]).await;
    ask(&mut stolen, Change::RenameKey, &device, None)
        .await
        .ok();
    let begun = ask(&mut alice, Change::BeginKey, "", None).await.ok();
    let key = Authenticator::new().register(&begun);
    post(&mut alice, Method::POST, COMPLETE, &key).await.ok();
    asks_for_proof(&ask(&mut stolen, Change::RenameKey, &device, None).await);
    // The one who changed something goes on.
    ask(&mut alice, Change::RenameKey, &device, None).await.ok();
    // With the last factor all of it ends, also for the session that removed it.
    let added = begun["device_id"].as_str().unwrap();
    for device in [&spare, added, &device] {
        ask(&mut alice, Change::RemoveKey, device, None).await.ok();
    }
    let (next, _) = enrol_key(&server.alice(), &Authenticator::new()).await;
    asks_for_proof(&ask(&mut alice, Change::RenameKey, &next, None).await);
}

#[tokio::test]
async fn confirming_a_first_factor_is_a_proof_of_it_in_that_session() {
    let server = server().await;
    let (mut alice, mut other) = (
        signed_in(&server, "alice").await,
        signed_in(&server, "alice").await,
    );
    let begun = ask(&mut alice, Change::EnableTotp, "", None).await.ok();
    let body = json!({"code": App::scan(&begun).code(server.clock.unix())});
    post(&mut alice, Method::POST, totp::CONFIRM, &body)
        .await
        .ok();
    asks_for_proof(&ask(&mut other, Change::BeginKey, "", None).await);
    let begun = ask(&mut alice, Change::BeginKey, "", None).await.ok();
    server.clock.forward(PROOF_SECONDS - 1);
    let key = Authenticator::new().register(&begun);
    post(&mut alice, Method::POST, COMPLETE, &key)
        .await
        .refused(400, "code_expired");
    let begun = ask(&mut alice, Change::BeginKey, "", None).await.ok();
    server.clock.forward(1);
    let key = Authenticator::new().register(&begun);
    post(&mut alice, Method::POST, COMPLETE, &key).await.ok();
    // A second factor that is confirmed is no proof of those that were there.
    asks_for_proof(&ask(&mut alice, Change::EnableEmail, "", None).await);
}

#[tokio::test]
async fn what_needs_a_code_in_the_reference_api_needs_one_in_a_session_too() {
    let server = server().await;
    let (_, backup) = enrol_key(&server.alice(), &Authenticator::new()).await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let mut alice = proved(&server, "alice", &backup[0]).await;
    for path in [
        totp::REPLACE,
        totp::DISABLE,
        totp::REGENERATE,
        email::DISABLE,
    ] {
        post(&mut alice, Method::POST, path, &json!({}))
            .await
            .misfit();
    }
    // And such a code is a proof like any other.
    let mut other = signed_in(&server, "alice").await;
    let body = json!({"code": app.code(server.clock.unix())});
    post(&mut other, Method::POST, totp::DISABLE, &body)
        .await
        .ok();
    ask(&mut other, Change::BeginKey, "", None).await.ok();
}

#[tokio::test]
async fn a_wrong_code_in_a_session_is_no_proof_and_takes_none_away() {
    let server = server().await;
    let (device, backup) = enrol_key(&server.alice(), &Authenticator::new()).await;
    let mut alice = signed_in(&server, "alice").await;
    let wrong = ask(&mut alice, Change::RenameKey, &device, Some("123456")).await;
    wrong.refused(400, "wrong_code");
    asks_for_proof(&ask(&mut alice, Change::RenameKey, &device, None).await);
    let mut alice = proved(&server, "alice", &backup[0]).await;
    let used = ask(&mut alice, Change::RenameKey, &device, Some(&backup[0])).await;
    used.refused(400, "code_used");
    ask(&mut alice, Change::RenameKey, &device, None).await.ok();
}

#[tokio::test]
async fn where_a_recent_sign_in_is_asked_for_a_proof_counts_for_no_longer_than_one() {
    let server = Server::start_with(Options {
        recent_auth: Some(60),
        ..options()
    })
    .await;
    let (device, backup) = enrol_key(&server.alice(), &Authenticator::new()).await;
    let mut alice = signed_in(&server, "alice").await;
    let code = Some(backup[0].as_str());
    ask(&mut alice, Change::RenameKey, &device, code).await.ok();
    server.clock.forward(60);
    ask(&mut alice, Change::RenameKey, &device, None).await.ok();
    server.clock.forward(1);
    let refused = ask(&mut alice, Change::RenameKey, &device, None).await;
    assert_eq!(refused.refused(401, CODE)["max_age"], 60);
}
