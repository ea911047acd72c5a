use serde_json::json;

use super::{
    CONFIRM, DISABLE, ENABLE, REGENERATE, SEND, enrol, mailed_code, other_than, overview,
    with_address,
};
use crate::api::{totp, webauthn};
use crate::support::{Authenticator, Server};

#[tokio::test]
async fn a_code_belongs_to_its_person() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    let of_alice = mailed_code(&server, &alice, ENABLE).await;
    let of_bob = mailed_code(&server, &bob, ENABLE).await;
    if of_alice != of_bob {
        bob.code(CONFIRM, &of_alice)
            .await
            .refused(400, "wrong_code");
        alice
            .code(CONFIRM, &of_bob)
            .await
            .refused(400, "wrong_code");
    }
    alice.code(CONFIRM, &of_alice).await.ok();
    bob.code(CONFIRM, &of_bob).await.ok();
}

#[tokio::test]
async fn a_code_belongs_to_the_purpose_that_it_was_mailed_for() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    webauthn::enrol(&alice, &key).await;
    // To turn on email codes: opens nothing else.
    let turn_on = mailed_code(&server, &alice, ENABLE).await;
    for path in [
        REGENERATE,
        "/api/v1/me/mfa/totp/confirm",
        DISABLE,
        "/api/v1/me/mfa/totp/replace",
    ] {
        let reply = alice.code(path, &turn_on).await;
        assert!(
            reply.status == 400 || reply.status == 409,
            "{path} {}",
            reply.text
        );
    }
    alice.code(CONFIRM, &turn_on).await.ok();
    alice
        .code(DISABLE, &turn_on)
        .await
        .refused(400, "code_used");
    // To allow a change: does not turn on email codes.
    server.clock.forward(60);
    let change = mailed_code(&server, &alice, SEND).await;
    alice
        .code(CONFIRM, &change)
        .await
        .refused(409, "not_pending");
    let proof = webauthn::prove(&alice, &mut key).await;
    alice.code(DISABLE, &proof).await.ok();
    server.clock.forward(60);
    let again = mailed_code(&server, &alice, ENABLE).await;
    if again != change {
        alice
            .code(CONFIRM, &change)
            .await
            .refused(400, "wrong_code");
    }
    alice
        .code(REGENERATE, &again)
        .await
        .refused(400, "wrong_code");
    alice.code(CONFIRM, &again).await.ok();
}

#[tokio::test]
async fn a_code_belongs_to_the_address_that_it_was_mailed_to() {
    let server = Server::start().await;
    let first = mailed_code(&server, &server.alice(), ENABLE).await;
    let before = overview(&server.alice()).await["devices"][0]["device_id"].clone();
    server.clock.forward(60);
    let moved = with_address(&server, "alice", "new@example.org");
    let second = mailed_code(&server, &moved, ENABLE).await;
    assert_eq!(server.smtp.mails()[1].to, ["new@example.org"]);
    let pending = overview(&moved).await["devices"].clone();
    assert_eq!(pending.as_array().unwrap().len(), 1);
    assert_ne!(pending[0]["device_id"], before);
    if first != second {
        moved.code(CONFIRM, &first).await.refused(400, "wrong_code");
    }
    let confirmed = moved.code(CONFIRM, &second).await.ok();
    assert_eq!(confirmed["device"]["name"], "n•••@example.org");
    // What the issuer says later does not move a confirmed address.
    server.clock.forward(60);
    server.alice().post(SEND).await.ok();
    assert_eq!(super::code_mail(&server).await.to, ["new@example.org"]);
}

#[tokio::test]
async fn a_code_is_good_for_ten_minutes() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    let code = mailed_code(&server, &alice, ENABLE).await;
    let late = mailed_code(&server, &bob, ENABLE).await;
    server.clock.forward(599);
    alice.code(CONFIRM, &code).await.ok();
    assert_eq!(overview(&bob).await["devices"][0]["status"], "pending");
    server.clock.forward(1);
    bob.code(CONFIRM, &late).await.refused(400, "code_expired");
    let seen = overview(&bob).await;
    assert_eq!(
        (&seen["enabled"], &seen["devices"]),
        (&json!(false), &json!([]))
    );
    let change = mailed_code(&server, &alice, SEND).await;
    server.clock.forward(600);
    alice
        .code(DISABLE, &change)
        .await
        .refused(400, "code_expired");
    assert_eq!(overview(&alice).await["enabled"], true);
}

#[tokio::test]
async fn a_code_is_taken_once_however_many_send_it_at_once() {
    let server = Server::start().await;
    let alice = server.alice();
    let code = mailed_code(&server, &alice, ENABLE).await;
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (alice, code) = (alice.clone(), code.clone());
        crowd.spawn(async move { alice.code(CONFIRM, &code).await });
    }
    let replies = crowd.join_all().await;
    assert_eq!(
        replies.iter().filter(|reply| reply.status == 200).count(),
        1
    );
    replies
        .iter()
        .filter(|reply| reply.status != 200)
        .for_each(|reply| drop(reply.refused(409, "not_pending")));
    server.clock.forward(60);
    let change = mailed_code(&server, &alice, SEND).await;
    alice.code(REGENERATE, &change).await.ok();
    alice.code(DISABLE, &change).await.refused(400, "code_used");
    assert_eq!(overview(&alice).await["enabled"], true);
}

#[tokio::test]
async fn five_wrong_codes_void_the_mailed_one_and_a_new_one_buys_no_further_guesses() {
    let server = Server::start().await;
    let alice = server.alice();
    let code = mailed_code(&server, &alice, ENABLE).await;
    for (guess, left) in [
        (other_than(&code), 4),
        (String::new(), 3),
        ("12345".to_owned(), 2),
        ("٠١٢٣٤٥".to_owned(), 1),
        ("0000-0000-0000-0000".to_owned(), 0),
    ] {
        let refused = alice.code(CONFIRM, &guess).await.refused(400, "wrong_code");
        assert_eq!(refused["tries_left"], left, "{guess}");
    }
    alice
        .code(CONFIRM, &code)
        .await
        .refused(400, "code_expired");
    server.clock.forward(60);
    // Of the ten that the set-up bears, five are left, and no more.
    let next = mailed_code(&server, &alice, ENABLE).await;
    for left in [4, 3, 2, 1] {
        let refused = alice.code(CONFIRM, &other_than(&next)).await;
        assert_eq!(refused.refused(400, "wrong_code")["tries_left"], left);
    }
    let last = alice.code(CONFIRM, &other_than(&next)).await;
    let last = last.refused(400, "wrong_code");
    assert_eq!(last["tries_left"], 0);
    assert_eq!(last["set_up_void"], true);
    alice.code(CONFIRM, &next).await.refused(409, "not_pending");
    assert_eq!(overview(&alice).await["devices"], json!([]));
    server.clock.forward(60);
    let next = mailed_code(&server, &alice, ENABLE).await;
    alice.code(CONFIRM, &next).await.ok();
}

#[tokio::test]
async fn fifty_guesses_at_once_are_five() {
    let server = Server::start().await;
    let alice = server.alice();
    let code = mailed_code(&server, &alice, ENABLE).await;
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (alice, guess) = (alice.clone(), other_than(&code));
        crowd.spawn(async move { alice.code(CONFIRM, &guess).await.json()["code"].clone() });
    }
    let codes = crowd.join_all().await;
    let count = |wanted| codes.iter().filter(|code| *code == wanted).count();
    assert_eq!((count("wrong_code"), count("code_expired")), (5, 45));
}

#[tokio::test]
async fn while_codes_are_locked_none_is_mailed_for_a_change() {
    let server = Server::start().await;
    let alice = server.alice();
    enrol(&server, &alice).await;
    let code = mailed_code(&server, &alice, SEND).await;
    for _ in 0..5 {
        alice
            .code(DISABLE, &other_than(&code))
            .await
            .refused(400, "wrong_code");
    }
    server.clock.forward(29);
    alice.code(DISABLE, &code).await.refused(429, "locked");
    let refused = alice.post(SEND).await.refused(429, "locked");
    assert_eq!(refused["retry_after"], 1);
}

#[tokio::test]
async fn a_code_may_be_typed_in_groups() {
    let server = Server::start().await;
    let alice = server.alice();
    let code = mailed_code(&server, &alice, ENABLE).await;
    let (left, right) = code.split_at(3);
    alice.code(CONFIRM, &format!(" {left} {right}-")).await.ok();
}

#[tokio::test]
async fn a_mailed_code_is_not_taken_where_an_app_is_set_up() {
    let server = Server::start().await;
    let alice = server.alice();
    enrol(&server, &alice).await;
    let (app, _) = totp::enrol(&server, &alice).await;
    server.clock.forward(30);
    // A code that would only be a wrong one is not mailed.
    let codes = || {
        let mails = server.smtp.mails();
        let codes = mails
            .iter()
            .filter(|mail| mail.subject() == "Your code for Example");
        codes.count()
    };
    let before = codes();
    alice.post(SEND).await.refused(409, "not_offered");
    assert_eq!(codes(), before);
    alice
        .code(DISABLE, &app.code(server.clock.unix()))
        .await
        .ok();
}

#[tokio::test]
async fn a_hundred_misses_before_it_is_set_up_do_not_shut_a_person_out_for_ever() {
    let server = Server::start().await;
    let mut misses = 0;
    while misses < 100 {
        // Longer than any lock, and slow enough for the limits on mails.
        server.clock.forward(5000);
        let alice = server.alice();
        let code = mailed_code(&server, &alice, ENABLE).await;
        let wrong = other_than(&code);
        while alice.code(CONFIRM, &wrong).await.json()["code"] == "wrong_code" {
            misses += 1;
        }
    }
    server.clock.forward(5000);
    let alice = server.alice();
    let code = mailed_code(&server, &alice, ENABLE).await;
    alice
        .code(CONFIRM, &other_than(&code))
        .await
        .refused(400, "wrong_code");
    alice.code(CONFIRM, &code).await.ok();
    assert_eq!(overview(&alice).await["devices"][0]["status"], "active");
}

#[tokio::test]
async fn a_key_brings_back_locked_codes_but_not_the_code_that_was_guessed_at() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    webauthn::enrol(&alice, &key).await;
    enrol(&server, &alice).await;
    for _ in 0..5 {
        let code = "0000-0000-0000";
        alice
            .code(REGENERATE, code)
            .await
            .refused(409, "not_pending");
    }
    let code = mailed_code(&server, &alice, SEND).await;
    for _ in 0..5 {
        alice
            .code(REGENERATE, &other_than(&code))
            .await
            .refused(400, "wrong_code");
    }
    alice.code(REGENERATE, &code).await.refused(429, "locked");
    let unlock = "/api/v1/me/mfa/unlock";
    let body = |code: &str| json!({"type": "email", "code": code});
    alice
        .post_json(unlock, &body(&code))
        .await
        .refused(429, "locked");
    let proof = webauthn::prove(&alice, &mut key).await;
    alice.post_json(unlock, &body(&proof)).await.ok();
    // Its five tries are used up, and that stays so.
    alice
        .code(REGENERATE, &code)
        .await
        .refused(400, "code_expired");
    server.clock.forward(60);
    let code = mailed_code(&server, &alice, SEND).await;
    alice.code(REGENERATE, &code).await.ok();
}
