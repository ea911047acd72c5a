//! Codes that were right and are used up: said in words of their own, and counted by nothing.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::{email, totp};
use super::prompt::{code as at_prompt, prompt};
use super::{VERIFY, answer, by, of, one_call, open, visible, wiki};
use crate::support::{App, Client, Reply, Server};

const OTHER_DOORS: [&str; 3] = [totp::REPLACE, totp::DISABLE, totp::REGENERATE];

/// An app that was confirmed this second, by the code that it still shows.
async fn just_enrolled(server: &Server, person: &Client) -> (App, String) {
    let app = App::scan(&person.post(totp::ENABLE).await.ok());
    let code = app.code(server.clock.unix());
    person.code(totp::CONFIRM, &code).await.ok();
    (app, code)
}

/// That a used code is told to be one, with the wait until the next where there is one.
#[track_caller]
fn is_used(reply: &Reply, wait: Option<u64>) -> Value {
    let body = reply.refused(400, "code_used");
    assert_eq!(body.get("retry_after").and_then(Value::as_u64), wait);
    let header = wait.map(|seconds| seconds.to_string()).unwrap_or_default();
    assert_eq!(reply.header("retry-after"), header);
    // It costs nothing, so nothing is said to be left.
    assert!(body.get("tries_left").is_none(), "{body}");
    body
}

#[tokio::test]
async fn the_code_that_confirmed_an_app_costs_nothing_at_the_first_sign_in() {
    let server = Server::start().await;
    server.clock.forward(11);
    let alice = server.alice();
    let (app, code) = just_enrolled(&server, &alice).await;
    let (portal, wiki) = (server.login_service(), wiki(&server).await);
    let challenge = open(&portal, "alice").await;
    let (_, page) = prompt(&wiki, "alice", json!({})).await;
    // Far more often than wrong codes would be taken by a challenge, or by the lock.
    for _ in 0..12 {
        let body = is_used(&answer(&portal, &challenge, "totp", &code).await, Some(19));
        assert_eq!(
            (&body["verified"], &body["result"]),
            (&json!(false), &json!(false))
        );
        let body = is_used(&at_prompt(&server, &page, &code).await, Some(19));
        assert!(body.get("return_to").is_none());
        for path in OTHER_DOORS {
            is_used(&alice.code(path, &code).await, Some(19));
        }
        let unlock = json!({"type": "totp", "code": code});
        is_used(&alice.post_json(totp::UNLOCK, &unlock).await, Some(19));
    }
    assert_eq!(
        portal.get(&of(&challenge, "")).await.ok()["status"],
        "pending"
    );
    // When the wait is over there is a new code, and all five tries are left for it.
    server.clock.forward(18);
    is_used(&answer(&portal, &challenge, "totp", &code).await, Some(1));
    server.clock.forward(1);
    let wrong = app.wrong_code(server.clock.unix());
    let reply = answer(&portal, &challenge, "totp", &wrong).await;
    assert_eq!(reply.refused(400, "wrong_code")["tries_left"], 4);
    let fresh = app.code(server.clock.unix());
    assert_ne!(fresh, code);
    answer(&portal, &challenge, "totp", &fresh).await.ok();
    is_used(&at_prompt(&server, &page, &fresh).await, Some(30));
}

#[tokio::test]
async fn codes_before_the_last_accepted_one_are_used_and_the_wait_is_for_the_one_after() {
    let server = Server::start().await;
    server.clock.forward(40);
    let alice = server.alice();
    let (app, confirmed) = just_enrolled(&server, &alice).await;
    let now = server.clock.unix();
    // A phone that is half a minute fast.
    alice.code(totp::REPLACE, &app.code(now + 30)).await.ok();
    for code in [&app.code(now - 30), &confirmed, &app.code(now + 30)] {
        is_used(&alice.code(totp::DISABLE, code).await, Some(50));
    }
    server.clock.forward(49);
    is_used(
        &alice.code(totp::DISABLE, &app.code(now + 30)).await,
        Some(1),
    );
    server.clock.forward(1);
    let now = server.clock.unix();
    // The new code is there already: what was typed is the one before.
    is_used(
        &alice.code(totp::DISABLE, &app.code(now - 30)).await,
        Some(1),
    );
    // Further away from the present than codes are taken, it is as wrong as any.
    alice
        .code(totp::DISABLE, &app.code(now - 60))
        .await
        .refused(400, "wrong_code");
    alice.code(totp::DISABLE, &app.code(now)).await.ok();
}

#[tokio::test]
async fn every_guess_but_a_used_code_counts_and_a_lock_judges_neither() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, code) = just_enrolled(&server, &alice).await;
    let portal = server.login_service();
    let wrong = app.wrong_code(server.clock.unix());
    let challenge = open(&portal, "alice").await;
    // What is used gives no try back, either.
    for left in (0..5).rev() {
        is_used(&answer(&portal, &challenge, "totp", &code).await, Some(30));
        is_used(&alice.code(totp::DISABLE, &code).await, Some(30));
        let reply = answer(&portal, &challenge, "totp", &wrong).await;
        assert_eq!(reply.refused(400, "wrong_code")["tries_left"], left);
    }
    let fresh = app.code(server.clock.unix() + 30);
    let challenge = open(&portal, "alice").await;
    for code in [&code, &wrong, &fresh] {
        answer(&portal, &challenge, "totp", code)
            .await
            .refused(429, "locked");
        alice.code(totp::DISABLE, code).await.refused(429, "locked");
        one_call(&portal, "alice", code)
            .await
            .refused(429, "locked");
    }
    server.clock.forward(30);
    answer(&portal, &challenge, "totp", &fresh).await.ok();
}

#[tokio::test]
async fn a_used_code_of_one_user_is_wrong_for_another() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    let (_, hers) = just_enrolled(&server, &alice).await;
    let (_, his) = just_enrolled(&server, &bob).await;
    let portal = server.login_service();
    let challenge = open(&portal, "alice").await;
    if hers != his {
        let reply = answer(&portal, &challenge, "totp", &his).await;
        assert_eq!(reply.refused(400, "wrong_code")["tries_left"], 4);
        bob.code(totp::DISABLE, &hers)
            .await
            .refused(400, "wrong_code");
    }
    // A used code of hers is none for another method, or in another spelling of digits.
    for method in ["email", "backup_code"] {
        let reply = answer(&portal, &challenge, method, &hers).await;
        reply.refused(400, "wrong_code");
    }
}

#[tokio::test]
async fn in_one_call_a_used_code_looks_like_a_wrong_one_and_is_not_counted() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, code) = just_enrolled(&server, &alice).await;
    let portal = server.login_service();
    let wrong = app.wrong_code(server.clock.unix());
    let expected = visible(&one_call(&portal, "alice", &wrong).await);
    assert_eq!(expected.0, 400);
    assert!(expected.2.contains("wrong_code"));
    for _ in 0..12 {
        let asked = Instant::now();
        let reply = one_call(&portal, "alice", &code).await;
        // On the beat, as every refusal of this call.
        assert!(asked.elapsed() >= Duration::from_millis(50));
        assert_eq!(visible(&reply), expected);
    }
    let form = format!("subject=alice&code={code}");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let reply = portal
        .send(axum::http::Method::POST, VERIFY, &headers, form.into())
        .await;
    assert_eq!(visible(&reply), expected);
    // Three wrong ones more are free, and the fifth of all locks.
    for _ in 0..3 {
        one_call(&portal, "alice", &wrong)
            .await
            .refused(400, "wrong_code");
    }
    let fresh = app.code(server.clock.unix() + 30);
    one_call(&portal, "alice", &fresh).await.ok();
    // A backup code, too.
    let proof = app.code(server.clock.unix() + 60);
    server.clock.next_step();
    let renewed = server.alice().code(totp::REGENERATE, &proof).await.ok();
    let spare = renewed["backup_codes"][0].as_str().unwrap();
    let portal = server.login_service();
    one_call(&portal, "alice", spare).await.ok();
    assert_eq!(visible(&one_call(&portal, "alice", spare).await), expected);
}

#[tokio::test]
async fn the_history_and_the_metrics_tell_used_codes_from_wrong_ones() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, code) = just_enrolled(&server, &alice).await;
    let portal = server.login_service();
    let challenge = open(&portal, "alice").await;
    answer(&portal, &challenge, "totp", &code).await;
    one_call(&portal, "alice", &code).await;
    one_call(&portal, "alice", &app.wrong_code(server.clock.unix())).await;
    alice.code(totp::DISABLE, &code).await;
    let history = alice.get("/api/v1/me/mfa/events").await.ok();
    let reasons: Vec<(&str, u64)> = history["events"].as_array().unwrap()[..3]
        .iter()
        .map(|event| {
            let count = event["count"].as_u64().unwrap();
            (event["reason"].as_str().unwrap(), count)
        })
        .collect();
    // At the challenge and in one call it is the same.
    assert_eq!(
        reasons,
        [("code_used", 1), ("wrong_code", 1), ("code_used", 2)]
    );
    let counted = server.desk.tools.metrics.text(&Default::default()).unwrap();
    let line = "mfad_events_total{action=\"login.verify\",outcome=\"refused\",reason=\"code_used\",factor=\"totp\"} 2";
    assert!(counted.lines().any(|has| has == line), "{counted}");
}

#[tokio::test]
async fn a_mailed_code_that_was_used_is_known_until_it_would_have_expired() {
    let server = Server::start().await;
    let alice = server.alice();
    let turned_on = email::mailed_code(&server, &alice, email::ENABLE).await;
    alice.code(email::CONFIRM, &turned_on).await.ok();
    server.clock.forward(60);
    let portal = server.login_service();
    let challenge = open(&portal, "alice").await;
    // Before another is asked for, and while one waits: the mail on top of the pile is the old one.
    is_used(
        &answer(&portal, &challenge, "email", &turned_on).await,
        None,
    );
    portal.post(&of(&challenge, "/email")).await.ok();
    let mailed = email::code_mail(&server).await.code().unwrap();
    assert_ne!(mailed, turned_on, "one in a million: run it again");
    for _ in 0..12 {
        let reply = answer(&portal, &challenge, "email", &turned_on).await;
        assert_eq!(is_used(&reply, None)["verified"], false);
    }
    answer(&portal, &challenge, "email", &mailed).await.ok();
    // At the next sign-in, and for a change.
    server.clock.forward(60);
    let next = open(&portal, "alice").await;
    is_used(&answer(&portal, &next, "email", &mailed).await, None);
    let change = email::mailed_code(&server, &alice, email::SEND).await;
    is_used(&alice.code(email::DISABLE, &mailed).await, None);
    // Those that were mailed and not used are wrong where they do not belong.
    let reply = answer(&portal, &next, "email", &change).await;
    assert_eq!(reply.refused(400, "wrong_code")["tries_left"], 4);
    // The first expires ten minutes after it was mailed: from then on it is as wrong as any.
    server.clock.forward(479);
    is_used(&alice.code(email::DISABLE, &turned_on).await, None);
    server.clock.forward(1);
    let alice = server.alice();
    let reply = alice.code(email::DISABLE, &turned_on).await;
    assert_eq!(reply.refused(400, "wrong_code")["tries_left"], 3);
    let tools = &server.desk.tools;
    tools.store.sweep(tools.now()).await.unwrap();
    is_used(&alice.code(email::DISABLE, &mailed).await, None);
    // What was used to turn email codes off is no secret of the next set-up.
    alice.code(email::DISABLE, &change).await.ok();
    alice
        .code(email::DISABLE, &change)
        .await
        .refused(409, "not_enabled");
}

#[tokio::test]
async fn a_backup_code_that_was_used_is_known_for_as_long_as_its_set() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    let portal = server.login_service();
    let (first, second) = (open(&portal, "alice").await, open(&portal, "alice").await);
    answer(&portal, &first, "backup_code", &codes[0]).await.ok();
    for _ in 0..12 {
        is_used(
            &answer(&portal, &second, "backup_code", &codes[0]).await,
            None,
        );
        is_used(&alice.code(totp::REPLACE, &codes[0]).await, None);
    }
    let proof = app.code(server.clock.unix());
    alice.code(totp::REGENERATE, &proof).await.ok();
    for code in &codes[..2] {
        alice
            .code(totp::REPLACE, code)
            .await
            .refused(400, "wrong_code");
    }
    let reply = portal
        .post_json(&of(&second, "/verify"), &by("backup_code", &codes[0]))
        .await;
    assert_eq!(reply.refused(400, "wrong_code")["tries_left"], 4);
}
