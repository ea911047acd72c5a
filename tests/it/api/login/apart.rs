//! What is done with one sign-in, or at one login service, keeps a user out of no other.

use mfad::login::notify_of_unfinished;
use serde_json::{Value, json};

use super::super::{email, history, totp, webauthn};
use super::prompt::prompt;
use super::{answer, by, of, open, open_with, service, wiki};
use crate::support::{App, Authenticator, Client, Server};

/// More than a user has room for at one service.
const MANY: usize = 25;

async fn open_many(service: &Client, subject: &str) {
    for _ in 0..MANY {
        open(service, subject).await;
    }
}

async fn by_key(portal: &Client, challenge: &Value, key: &mut Authenticator) -> Value {
    let begun = portal.post(&of(challenge, "/webauthn")).await.ok();
    let mut answer = key.verify(&begun);
    answer["method"] = json!("webauthn");
    answer
}

async fn send(server: &Server, path: &str, token: &str, more: Value) -> crate::support::Reply {
    let mut body = json!({ "prompt": token });
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    let path = format!("/api/v1/prompt/{path}");
    server.stranger().post_json(&path, &body).await
}

#[tokio::test]
async fn sign_ins_opened_at_one_service_end_none_at_another() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    webauthn::enrol(&alice, &key).await;
    email::enrol(&server, &alice).await;
    let (portal, other) = (server.login_service(), service(&server, "other"));
    for _ in 0..6 {
        let opened = open(&portal, "alice").await;
        open_many(&other, "alice").await;
        let body = by_key(&portal, &opened, &mut key).await;
        open_many(&other, "alice").await;
        let verify = of(&opened, "/verify");
        portal.post_json(&verify, &body).await.ok();
    }
    let opened = open(&portal, "alice").await;
    portal.post(&of(&opened, "/email")).await.ok();
    let code = email::code_mail(&server).await.code().unwrap();
    // Assertions begun there hide nothing on her own page either.
    for _ in 0..3 {
        for _ in 0..MANY {
            let theirs = open(&other, "alice").await;
            other.post(&of(&theirs, "/webauthn")).await.ok();
        }
    }
    answer(&portal, &opened, "email", &code).await.ok();
    let begun = alice.post(webauthn::VERIFY_BEGIN).await.ok();
    alice
        .post_json(webauthn::VERIFY, &key.verify(&begun))
        .await
        .ok();
}

#[tokio::test]
async fn a_sign_in_whose_answer_is_under_way_outlasts_those_that_nobody_answers() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    webauthn::enrol(&alice, &key).await;
    email::enrol(&server, &alice).await;
    let portal = server.login_service();
    let (begun, mailed) = (open(&portal, "alice").await, open(&portal, "alice").await);
    let body = by_key(&portal, &begun, &mut key).await;
    portal.post(&of(&mailed, "/email")).await.ok();
    let code = email::code_mail(&server).await.code().unwrap();
    server.clock.forward(1);
    let idle = open(&portal, "alice").await;
    server.clock.forward(1);
    open_many(&portal, "alice").await;
    let gone = portal.get(&of(&idle, "")).await;
    gone.refused(404, "not_found");
    answer(&portal, &mailed, "email", &code).await.ok();
    let verify = of(&begun, "/verify");
    portal.post_json(&verify, &body).await.ok();
}

#[tokio::test]
async fn a_sign_in_that_is_over_costs_its_user_nothing_and_leaves_no_record() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = totp::enrol(&server, &alice).await;
    let wiki = wiki(&server).await;
    let right = app.code(server.clock.unix());
    let (opened, finished) = prompt(&wiki, "alice", json!({})).await;
    answer(&wiki, &opened, "totp", &right).await.ok();
    let (_, cancelled) = prompt(&wiki, "alice", json!({})).await;
    send(&server, "cancel", &cancelled, json!({})).await.ok();
    let (_, late) = prompt(&wiki, "alice", json!({})).await;
    server.clock.forward(300);
    let before = history::all(&alice).await.len();
    for (token, code) in [
        (&finished, "challenge_closed"),
        (&cancelled, "challenge_closed"),
        (&late, "challenge_expired"),
    ] {
        for _ in 0..140 {
            for path in ["email", "webauthn", "cancel"] {
                let reply = send(&server, path, token, json!({})).await;
                reply.refused(409, code);
            }
            let reply = send(&server, "verify", token, by("totp", "123456")).await;
            reply.refused(409, code);
        }
    }
    for step in ["/email", "/webauthn"] {
        let reply = wiki.post(&of(&opened, step)).await;
        reply.refused(409, "challenge_closed");
    }
    assert_eq!(history::all(&server.alice()).await.len(), before);
    let opened = open(&wiki, "alice").await;
    let right = app.code(server.clock.unix());
    answer(&wiki, &opened, "totp", &right).await.ok();
}

#[tokio::test]
async fn a_sign_in_under_way_has_a_limit_of_its_own() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    webauthn::enrol(&alice, &key).await;
    let wiki = wiki(&server).await;
    let (_, token) = prompt(&wiki, "alice", json!({})).await;
    let mut refused = 0;
    for _ in 0..1_300 {
        let reply = send(&server, "webauthn", &token, json!({})).await;
        if reply.status == 429 {
            reply.refused(429, "rate_limited");
            refused += 1;
        }
    }
    assert_eq!(refused, 1_180);
    let opened = open(&wiki, "alice").await;
    let body = by_key(&wiki, &opened, &mut key).await;
    wiki.post_json(&of(&opened, "/verify"), &body).await.ok();
}

/// What the history and the metrics say of sign-ins that were not finished.
async fn unfinished(server: &Server) -> (usize, usize) {
    let events = history::all(&server.alice()).await;
    let lines = events.iter();
    let lines = lines.filter(|line| line["action"] == "login.unfinished");
    let metrics = server.desk.tools.metrics.text(&Default::default()).unwrap();
    let counted = metrics.lines();
    let counted = counted.filter(|line| line.contains("login.unfinished"));
    (lines.count(), counted.count())
}

async fn finish(portal: &Client, app: &App, challenge: &Value, now: u64) {
    answer(portal, challenge, "totp", &app.code(now)).await.ok();
}

#[tokio::test]
async fn of_a_sign_in_that_was_finished_nothing_says_that_it_was_not() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    // Begun twice at one place, and finished once.
    let first = open(&portal, "alice").await;
    server.clock.forward(1);
    let second = open(&portal, "alice").await;
    finish(&portal, &app, &second, server.clock.unix()).await;
    server.clock.forward(180);
    notify_of_unfinished(&server.desk).await.unwrap();
    assert_eq!(unfinished(&server).await, (0, 0));
    finish(&portal, &app, &first, server.clock.unix()).await;
    // Nor does it matter where she came in after that.
    let other = service(&server, "other");
    open(&portal, "alice").await;
    server.clock.forward(30);
    for service in [&portal, &other] {
        let opened = open(service, "alice").await;
        server.clock.forward(30);
        finish(service, &app, &opened, server.clock.unix()).await;
    }
    server.clock.forward(120);
    notify_of_unfinished(&server.desk).await.unwrap();
    assert_eq!(unfinished(&server).await, (0, 0));
    // Finished while the search has it in its hands.
    for _ in 0..20 {
        let portal = server.login_service();
        let opened = open(&portal, "alice").await;
        server.clock.forward(180);
        let now = server.clock.unix();
        let (found, ()) = tokio::join!(
            notify_of_unfinished(&server.desk),
            finish(&portal, &app, &opened, now)
        );
        found.unwrap();
        let events = history::all(&server.alice()).await;
        let at = |action: &str| events.iter().position(|line| line["action"] == action);
        // The newest stand first: what was notified of first could not be known yet.
        if let Some(told) = at("login.unfinished") {
            assert!(at("login.verify").unwrap() < told, "{events:?}");
        }
    }
    // One that really was not is.
    let more = json!({"context": {"ip": "203.0.113.9"}});
    open_with(&server.login_service(), "alice", more).await;
    server.clock.forward(180);
    let (lines, _) = unfinished(&server).await;
    notify_of_unfinished(&server.desk).await.unwrap();
    assert_eq!(unfinished(&server).await, (lines + 1, 1));
}

#[tokio::test]
async fn of_a_hundred_sign_ins_begun_at_one_place_one_notification_says_enough() {
    let server = Server::start().await;
    totp::enrol(&server, &server.alice()).await;
    totp::enrol(&server, &server.bob()).await;
    let portal = server.login_service();
    for _ in 0..100 {
        open(&portal, "alice").await;
    }
    open(&portal, "bob").await;
    server.clock.forward(180);
    notify_of_unfinished(&server.desk).await.unwrap();
    let lines = history::all(&server.alice()).await;
    let told = lines.iter().filter(|l| l["action"] == "login.unfinished");
    let told = told.count();
    assert!((1..=20).contains(&told), "{told}");
    // And nobody else waits behind them.
    let lines = history::all(&server.bob()).await;
    assert_eq!(lines[0]["action"], "login.unfinished");
}
