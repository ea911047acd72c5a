//! Locks at sign-ins.

use serde_json::json;

use super::super::{email, totp};
use super::{answer, of, one_call, open, service, visible};
use crate::support::{Client, Server};

async fn misses(portal: &Client, code: &str, count: usize) {
    for _ in 0..count {
        one_call(portal, "alice", code)
            .await
            .refused(400, "wrong_code");
    }
}

#[tokio::test]
async fn misses_are_one_sum_over_services_challenges_and_pages() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    email::enrol(&server, &alice).await;
    let (portal, other) = (server.login_service(), service(&server, "other"));
    let wrong = app.wrong_code(server.clock.unix());
    let opened = open(&portal, "alice").await;
    answer(&portal, &opened, "totp", &wrong)
        .await
        .refused(400, "wrong_code");
    let step_up = super::open_with(&other, "alice", json!({"reason": "step_up"})).await;
    answer(&other, &step_up, "totp", &wrong)
        .await
        .refused(400, "wrong_code");
    one_call(&other, "alice", &wrong)
        .await
        .refused(400, "wrong_code");
    alice
        .code(totp::DISABLE, &wrong)
        .await
        .refused(400, "wrong_code");
    one_call(&portal, "alice", &wrong)
        .await
        .refused(400, "wrong_code");
    // Locked, by all doors.
    let right = app.code(server.clock.unix());
    for code in [&wrong, &right] {
        answer(&portal, &opened, "totp", code)
            .await
            .refused(429, "locked");
        answer(&other, &step_up, "totp", code)
            .await
            .refused(429, "locked");
        one_call(&portal, "alice", code)
            .await
            .refused(429, "locked");
        alice.code(totp::DISABLE, code).await.refused(429, "locked");
    }
    // What was refused unread is no miss of the challenge.
    assert_eq!(portal.get(&of(&opened, "")).await.ok()["status"], "pending");
    // The app's lock is not the mail's, and the backup door stays open. Nobody else is locked.
    portal.post(&of(&opened, "/email")).await.ok();
    let mailed = email::code_mail(&server).await.code().unwrap();
    answer(&portal, &opened, "email", &mailed).await.ok();
    one_call(&other, "alice", &codes[0]).await.ok();
    let (bobs, _) = totp::enrol(&server, &server.bob()).await;
    one_call(&portal, "bob", &bobs.code(server.clock.unix()))
        .await
        .ok();
    // Neither a passed email code nor a backup code ended the app's lock before its time.
    let code = app.code(server.clock.unix());
    one_call(&portal, "alice", &code).await.ok();
}

#[tokio::test]
async fn waits_double_until_a_right_code_and_give_no_new_allowance() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    let wrong = app.wrong_code(server.clock.unix());
    misses(&portal, &wrong, 5).await;
    for wait in [30, 60, 120, 240, 480, 960, 1920] {
        let reply = one_call(&server.login_service(), "alice", &wrong).await;
        assert_eq!(reply.refused(429, "locked")["retry_after"], wait);
        server.clock.forward(wait - 1);
        let reply = one_call(&server.login_service(), "alice", &wrong).await;
        assert_eq!(reply.refused(429, "locked")["retry_after"], 1);
        server.clock.forward(1);
        let wrong = app.wrong_code(server.clock.unix());
        misses(&server.login_service(), &wrong, 1).await;
    }
    server.clock.forward(3600);
    let portal = server.login_service();
    let right = app.code(server.clock.unix());
    one_call(&portal, "alice", &right).await.ok();
    let wrong = app.wrong_code(server.clock.unix());
    misses(&portal, &wrong, 5).await;
    let reply = one_call(&portal, "alice", &wrong).await;
    assert_eq!(reply.refused(429, "locked")["retry_after"], 30);
}

#[tokio::test]
async fn a_lock_answers_right_and_wrong_alike_and_uses_nothing_up() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    let opened = open(&portal, "alice").await;
    let wrong = app.wrong_code(server.clock.unix());
    misses(&portal, &wrong, 5).await;
    let right = app.code(server.clock.unix());
    let shape = |mut reply: (u16, Vec<(String, String)>, String)| {
        // The ids of requests are in the body of none.
        reply.1.sort();
        reply
    };
    let (mut by_call, mut by_challenge) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        for code in [&right, &wrong] {
            by_call.push(shape(visible(&one_call(&portal, "alice", code).await)));
            let reply = answer(&portal, &opened, "totp", code).await;
            by_challenge.push(shape(visible(&reply)));
        }
    }
    for seen in [&by_call, &by_challenge] {
        assert_eq!(seen[0].0, 429);
        assert!(seen.iter().all(|reply| *reply == seen[0]), "{:?}", seen[0]);
    }
    server.clock.forward(30);
    answer(&portal, &opened, "totp", &right).await.ok();
}

#[tokio::test]
async fn a_mailed_code_is_locked_by_its_own_misses_and_none_is_sent_in_vain() {
    let server = Server::start().await;
    let alice = server.alice();
    let codes = email::enrol(&server, &alice).await;
    let portal = server.login_service();
    let (first, second) = (open(&portal, "alice").await, open(&portal, "alice").await);
    // Nothing was sent: an answer is a guess all the same.
    for (challenge, count) in [(&first, 3), (&second, 2)] {
        for _ in 0..count {
            answer(&portal, challenge, "email", "123456")
                .await
                .refused(400, "wrong_code");
        }
    }
    answer(&portal, &first, "email", "123456")
        .await
        .refused(429, "locked");
    let before = server.smtp.mails().len();
    portal
        .post(&of(&first, "/email"))
        .await
        .refused(429, "locked");
    assert!(
        server.smtp.mails()[before..]
            .iter()
            .all(|mail| !mail.subject().starts_with("Your code"))
    );
    answer(&portal, &first, "backup_code", &codes[0]).await.ok();
    server.clock.forward(30);
    portal.post(&of(&second, "/email")).await.ok();
    let mailed = email::code_mail(&server).await.code().unwrap();
    answer(&portal, &second, "email", &mailed).await.ok();
}

#[tokio::test]
async fn the_hundredth_miss_at_sign_ins_disables_the_app_for_services_too() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    let portal = server.login_service();
    let wrong = app.wrong_code(server.clock.unix());
    misses(&portal, &wrong, 4).await;
    for _ in 0..96 {
        let portal = server.login_service();
        let wrong = app.wrong_code(server.clock.unix());
        misses(&portal, &wrong, 1).await;
        server.clock.forward(3600);
    }
    let portal = server.login_service();
    let right = app.code(server.clock.unix());
    one_call(&portal, "alice", &right)
        .await
        .refused(409, "factor_disabled");
    // Nobody else is told apart by that: the same hundred misses of nobody end alike.
    let opened = open(&portal, "alice").await;
    assert_eq!(opened["methods"], json!(["backup_code"]));
    answer(&portal, &opened, "totp", &right)
        .await
        .refused(409, "factor_disabled");
    answer(&portal, &opened, "backup_code", &codes[0])
        .await
        .ok();
    // With the last backup code goes the last way in.
    for code in &codes[1..] {
        one_call(&portal, "alice", code).await.ok();
    }
    let opened = open(&portal, "alice").await;
    assert_eq!(opened["decision"], "deny");
    assert_eq!(opened["status"], "closed");
    assert_eq!(opened["methods"], json!([]));
}

#[tokio::test]
async fn nobody_is_kept_from_one_service_by_what_is_done_at_another() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    let (portal, other) = (server.login_service(), service(&server, "other"));
    // Somebody who knows her name has a service ask until it may not any more.
    let wrong = app.wrong_code(server.clock.unix());
    let attack = crate::support::at_once(&portal, 1_300, move |portal, _| {
        let wrong = wrong.clone();
        async move { one_call(&portal, "alice", &wrong).await }
    });
    let tally = crate::support::tally(&attack.await);
    assert_eq!(tally["wrong_code"], 5, "{tally:?}");
    assert!(tally["rate_limited"] >= 90, "{tally:?}");
    // She goes on elsewhere, and on her own page.
    one_call(&other, "alice", &codes[0]).await.ok();
    let body = json!({"type": "totp", "code": codes[1]});
    alice.post_json(totp::UNLOCK, &body).await.ok();
}
