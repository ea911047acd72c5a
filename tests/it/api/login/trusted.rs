//! Browsers that are trusted at a sign-in, and their copies.

use mfad::policy::Key;
use serde_json::{Value, json};

use super::super::{email, totp, webauthn};
use super::{claims, met, of, open_with, service};
use crate::support::{App, Authenticator, Client, Server};

const DAY: u64 = 86_400;
const DEVICES: &str = "/api/v1/me/mfa/trusted-devices";

/// Signs in and has the browser remembered.
async fn remember(server: &Server, portal: &Client, subject: &str, app: &App) -> String {
    server.clock.next_step();
    let opened = open_with(portal, subject, json!({})).await;
    let code = app.code(server.clock.unix());
    let body = json!({"method": "totp", "code": code, "remember": true});
    let verified = portal.post_json(&of(&opened, "/verify"), &body).await.ok();
    verified["device_token"].as_str().unwrap().to_owned()
}

async fn bring(portal: &Client, subject: &str, token: &str) -> Value {
    open_with(portal, subject, json!({ "device_token": token })).await
}

#[track_caller]
fn not_trusted(opened: &Value) {
    assert_eq!(opened["decision"], "challenge");
    for name in ["token", "verified", "device_token"] {
        assert!(opened.get(name).is_none(), "{opened}");
    }
}

#[track_caller]
fn next(opened: &Value) -> String {
    assert_eq!(opened["decision"], "allow", "{opened}");
    opened["device_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_trusted_browser_is_let_in_with_a_new_token_and_a_weaker_claim() {
    let mut server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    let token = remember(&server, &portal, "alice", &app).await;
    let more = json!({"device_token": token, "amr": ["pwd", "mfa", "otp"]});
    let opened = open_with(&portal, "alice", more).await;
    assert_eq!(opened["method"], "trusted_device");
    assert_eq!(opened["amr"], json!(["pwd", "otp"]));
    let claimed = claims(&server, &opened).await;
    assert_eq!(claimed["acr"], "urn:mfad:acr:trusted-device");
    assert_eq!(claimed["amr"], json!(["pwd", "otp"]));
    assert_ne!(next(&opened), token);
    // It takes no answer besides, and a restart changes nothing.
    let code = app.code(server.clock.unix() + 30);
    super::answer(&portal, &opened, "totp", &code)
        .await
        .refused(409, "challenge_closed");
    server.restart().await;
    let portal = server.login_service();
    let mut token = next(&opened);
    for _ in 0..12 {
        server.clock.forward(60);
        token = next(&bring(&portal, "alice", &token).await);
    }
}

#[tokio::test]
async fn a_copy_that_is_used_later_ends_the_trust_and_tells_the_person() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    let copied = remember(&server, &portal, "alice", &app).await;
    let kept = remember(&server, &portal, "alice", &app).await;
    let current = next(&bring(&portal, "alice", &copied).await);
    // Two tabs at one moment are no theft, and are let in once.
    server.clock.forward(5);
    not_trusted(&bring(&portal, "alice", &copied).await);
    let current = next(&bring(&portal, "alice", &current).await);
    server.clock.forward(60);
    not_trusted(&bring(&portal, "alice", &copied).await);
    let told = told_of_copy(&server).await;
    assert!(told.contains("portal"), "{told}");
    // The family is dead, whoever held its newest; the other browser's is not.
    not_trusted(&bring(&portal, "alice", &current).await);
    not_trusted(&bring(&portal, "alice", &copied).await);
    next(&bring(&portal, "alice", &kept).await);
}

#[tokio::test]
async fn a_stolen_token_ends_the_trust_and_the_owner_is_told_however_often_it_was_used() {
    for uses in [1, 8, 9, 100] {
        for by_thief in [true, false] {
            let server = Server::start().await;
            let (app, _) = totp::enrol(&server, &server.alice()).await;
            let portal = server.login_service();
            let stolen = remember(&server, &portal, "alice", &app).await;
            let mut used = stolen.clone();
            let visit = async |token: &str, thief| {
                let ip = if thief { "198.51.100.7" } else { "192.0.2.1" };
                let more = json!({"device_token": token, "context": {"ip": ip}});
                open_with(&server.login_service(), "alice", more).await
            };
            for _ in 0..uses {
                used = next(&visit(&used, by_thief).await);
                server.clock.forward(3600);
            }
            not_trusted(&visit(&stolen, !by_thief).await);
            let mail = told_of_copy(&server).await;
            assert!(mail.contains("portal"), "{uses} {by_thief}: {mail}");
            for (token, thief) in [(&used, by_thief), (&stolen, !by_thief)] {
                not_trusted(&visit(token, thief).await);
            }
            let devices = server.alice().get(DEVICES).await.ok();
            assert_eq!(devices["devices"], json!([]), "{devices}");
        }
    }
}

/// The mail that says that a trusted browser was copied.
async fn told_of_copy(server: &Server) -> String {
    loop {
        let mail = server.smtp.next_mail().await;
        if mail.text().contains("browser") {
            return mail.text();
        }
    }
}

#[tokio::test]
async fn a_token_is_good_for_its_person_and_service_and_for_signing_in() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    totp::enrol(&server, &server.bob()).await;
    let (portal, other) = (server.login_service(), service(&server, "other"));
    let token = remember(&server, &portal, "alice", &app).await;
    not_trusted(&bring(&other, "alice", &token).await);
    not_trusted(&bring(&portal, "bob", &token).await);
    let more = json!({"device_token": token, "reason": "step_up"});
    not_trusted(&open_with(&portal, "alice", more).await);
    for odd in [
        String::new(),
        "mfad_td_".to_owned(),
        token.to_uppercase(),
        format!("{token} "),
        format!("{token}\0"),
        token[..59].to_owned(),
        "x".repeat(10_000),
    ] {
        not_trusted(&bring(&portal, "alice", &odd).await);
    }
    // None of these used it up, or was taken for a copy.
    let token = next(&bring(&portal, "alice", &token).await);
    // Where a step-up is answered, nothing is remembered.
    server.clock.next_step();
    let opened = open_with(&portal, "alice", json!({"reason": "step_up"})).await;
    let code = app.code(server.clock.unix());
    let body = json!({"method": "totp", "code": code, "remember": true});
    let verified = portal.post_json(&of(&opened, "/verify"), &body).await.ok();
    assert!(verified.get("device_token").is_none());
    // Whoever has no factor has nothing that it could stand in for.
    met(&server.person("nobody")).await;
    let opened = bring(&portal, "nobody", &token).await;
    assert_eq!(opened["decision"], "allow");
    assert!(opened.get("token").is_none() && opened.get("device_token").is_none());
}

#[tokio::test]
async fn trust_ends_after_its_days_by_policy_and_with_every_change_of_factors() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = totp::enrol(&server, &alice).await;
    let portal = server.login_service();
    let token = remember(&server, &portal, "alice", &app).await;
    server.clock.forward(30 * DAY - 1);
    let token = next(&bring(&server.login_service(), "alice", &token).await);
    server.clock.forward(1);
    not_trusted(&bring(&server.login_service(), "alice", &token).await);
    // Nor does it come back with the clock, once it was swept.
    let tools = &server.desk.tools;
    tools.store.sweep(tools.now()).await.unwrap();
    server.clock.back(DAY);
    not_trusted(&bring(&server.login_service(), "alice", &token).await);
    server.clock.forward(2 * DAY);

    let portal = server.login_service();
    let token = remember(&server, &portal, "alice", &app).await;
    server
        .set_policy(Key::TrustedDeviceDays, &["0"])
        .await
        .unwrap();
    not_trusted(&bring(&portal, "alice", &token).await);
    server
        .set_policy(Key::TrustedDeviceDays, &["365"])
        .await
        .unwrap();
    // What was promised is not made longer.
    server.clock.forward(30 * DAY);
    not_trusted(&bring(&server.login_service(), "alice", &token).await);

    let mut key = Authenticator::new();
    let mut device = String::new();
    for change in ["email", "key", "removal", "codes"] {
        let (alice, portal) = (server.alice(), server.login_service());
        let token = remember(&server, &portal, "alice", &app).await;
        match change {
            "email" => {
                email::enrol(&server, &alice).await;
            }
            "key" => device = webauthn::enrol(&alice, &key).await,
            "removal" => {
                let path = format!("/api/v1/me/mfa/webauthn/{device}");
                alice.delete(&path).await.ok();
            }
            _ => {
                webauthn::enrol(&alice, &key).await;
                let proof = webauthn::prove(&alice, &mut key).await;
                alice.code(totp::REGENERATE, &proof).await.ok();
            }
        }
        not_trusted(&bring(&portal, "alice", &token).await);
    }
    // All disabled is all disabled, trusted or not; a lock alone ends no trust.
    let portal = server.login_service();
    let token = remember(&server, &portal, "alice", &app).await;
    let wrong = app.wrong_code(server.clock.unix());
    for _ in 0..5 {
        super::one_call(&portal, "alice", &wrong)
            .await
            .refused(400, "wrong_code");
    }
    next(&bring(&portal, "alice", &token).await);
}
