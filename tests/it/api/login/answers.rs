//! Wrong answers, and what they cost.

use serde_json::json;

use super::super::totp;
use super::{VERIFY, by, of, open, service};
use crate::support::{Server, at_once, tally};

#[tokio::test]
async fn five_wrong_answers_close_a_challenge_and_lock_the_factor_for_all_services() {
    let server = Server::start().await;
    let (app, codes) = totp::enrol(&server, &server.alice()).await;
    let (portal, wiki) = (server.login_service(), service(&server, "wiki"));
    let opened = open(&portal, "alice").await;
    let wrong = app.wrong_code(server.clock.unix());
    for left in (0..5).rev() {
        let reply = portal
            .post_json(&of(&opened, "/verify"), &by("totp", &wrong))
            .await;
        let body = reply.refused(400, "wrong_code");
        assert_eq!(body["tries_left"], left);
        assert_eq!(
            (&body["verified"], &body["result"]),
            (&json!(false), &json!(false))
        );
    }
    let reply = portal
        .post_json(&of(&opened, "/verify"), &by("totp", &wrong))
        .await;
    reply.refused(409, "challenge_closed");
    // The lock is the person's: elsewhere too even the right code is refused, and says nothing.
    let elsewhere = open(&wiki, "alice").await;
    for code in [&wrong, &app.code(server.clock.unix())] {
        let reply = wiki
            .post_json(&of(&elsewhere, "/verify"), &by("totp", code))
            .await;
        assert_eq!(reply.refused(429, "locked")["verified"], false);
        let reply = wiki
            .post_json(VERIFY, &json!({"subject": "alice", "code": code}))
            .await;
        assert_eq!(reply.refused(429, "locked")["result"], false);
    }
    // A backup code keeps the door.
    let verified = wiki
        .post_json(&of(&elsewhere, "/verify"), &by("backup_code", &codes[3]))
        .await;
    verified.ok();
}

#[tokio::test]
async fn a_thousand_right_answers_at_once_give_one_success() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    let opened = open(&portal, "alice").await;
    let answer = by("totp", &app.code(server.clock.unix()));
    let path = of(&opened, "/verify");
    let replies = at_once(&portal, 1_000, move |portal, _| {
        let (path, answer) = (path.clone(), answer.clone());
        async move { portal.post_json(&path, &answer).await }
    })
    .await;
    let tally = tally(&replies);
    assert_eq!(tally["200"], 1, "{tally:?}");
    assert_eq!(tally["challenge_closed"], 999, "{tally:?}");
}

#[tokio::test]
async fn a_thousand_wrong_answers_at_once_are_five_guesses() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    let mut paths = Vec::new();
    for _ in 0..10 {
        paths.push(of(&open(&portal, "alice").await, "/verify"));
    }
    let answer = by("totp", &app.wrong_code(server.clock.unix()));
    let replies = at_once(&portal, 1_000, move |portal, number| {
        let (path, answer) = (paths[number % 10].clone(), answer.clone());
        async move { portal.post_json(&path, &answer).await }
    })
    .await;
    let tally = tally(&replies);
    assert_eq!(tally["wrong_code"], 5, "{tally:?}");
    assert_eq!(tally["locked"], 995, "{tally:?}");
}
