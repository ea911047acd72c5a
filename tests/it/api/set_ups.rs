//! Wrong codes while a factor is set up, and those that somebody typed elsewhere before.

use serde_json::json;

use super::login::{answer, of, one_call, open};
use super::{email, totp};
use crate::support::{App, Client, Server};

/// Guesses at a login service until nothing but a wait helps.
async fn guess(portal: &Client, method: &str) {
    for _ in 0..2 {
        let opened = open(portal, "alice").await;
        for number in 0..5 {
            let code = match method {
                "backup_code" => format!("0000-0000-0000-000{number}"),
                _ => format!("{number:06}"),
            };
            match opened["decision"].as_str() {
                Some("challenge") => answer(portal, &opened, method, &code).await,
                _ => one_call(portal, "alice", &code).await,
            };
        }
    }
}

#[tokio::test]
async fn guesses_at_a_login_service_keep_no_owner_from_setting_a_factor_up() {
    let server = Server::start().await;
    let (alice, portal) = (server.alice(), server.login_service());
    guess(&portal, "backup_code").await;
    guess(&portal, "totp").await;
    let app = App::scan(&alice.post(totp::ENABLE).await.ok());
    guess(&portal, "totp").await;
    let locked = one_call(&portal, "alice", "000000").await;
    locked.refused(429, "locked");
    let now = server.clock.unix();
    let confirmed = alice.code(totp::CONFIRM, &app.code(now)).await.ok();
    // What was guessed before there was anything to guess is forgotten, of backup codes too.
    server.clock.next_step();
    let code = app.code(server.clock.unix());
    one_call(&portal, "alice", &code).await.ok();
    let backup = confirmed["backup_codes"][0].as_str().unwrap();
    one_call(&portal, "alice", backup).await.ok();
    // The same of email codes.
    let code = email::mailed_code(&server, &alice, email::ENABLE).await;
    guess(&portal, "email").await;
    alice.code(email::CONFIRM, &code).await.ok();
    let opened = open(&portal, "alice").await;
    portal.post(&of(&opened, "/email")).await.ok();
}

#[tokio::test]
async fn ten_wrong_codes_void_a_pending_app_and_lock_nothing() {
    let server = Server::start().await;
    let (alice, portal) = (server.alice(), server.login_service());
    for round in ["first", "replacement"] {
        let app = match round {
            "first" => App::scan(&alice.post(totp::ENABLE).await.ok()),
            _ => {
                let (app, _) = totp::enrol(&server, &alice).await;
                let code = app.code(server.clock.unix());
                App::scan(&alice.code(totp::REPLACE, &code).await.ok())
            }
        };
        for left in (0..10).rev() {
            let wrong = app.wrong_code(server.clock.unix());
            let refused = alice.code(totp::CONFIRM, &wrong).await;
            let body = refused.refused(400, "wrong_code");
            assert_eq!(body["tries_left"], left, "{round}");
            let is_void = (left == 0).then_some(json!(true));
            assert_eq!(body.get("set_up_void"), is_void.as_ref(), "{round}");
        }
        let right = app.code(server.clock.unix());
        alice
            .code(totp::CONFIRM, &right)
            .await
            .refused(409, "not_pending");
    }
    // The app that was there answers on the spot.
    let devices = totp::overview(&alice).await["devices"].clone();
    assert_eq!(devices.as_array().unwrap().len(), 1);
    let opened = open(&portal, "alice").await;
    let refused = answer(&portal, &opened, "totp", "000000").await;
    let body = refused.refused(400, "wrong_code");
    assert_eq!(body["tries_left"], 4);
}
