//! One person's, one challenge's, one purpose's answer, given elsewhere.

use serde_json::{Value, json};

use super::super::{email, totp, webauthn};
use super::{answer, of, one_call, open};
use crate::support::{Authenticator, Server};

#[tokio::test]
async fn alices_challenge_is_answered_by_nothing_of_bobs() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    let mut keys = (Authenticator::new(), Authenticator::new());
    let (hers, _) = totp::enrol(&server, &alice).await;
    webauthn::enrol(&alice, &keys.0).await;
    email::enrol(&server, &alice).await;
    let (his, codes) = totp::enrol(&server, &bob).await;
    webauthn::enrol(&bob, &keys.1).await;
    email::enrol(&server, &bob).await;
    let portal = server.login_service();
    let (challenge, his_challenge) = (open(&portal, "alice").await, open(&portal, "bob").await);

    let now = server.clock.unix();
    answer(&portal, &challenge, "totp", &his.code(now))
        .await
        .refused(400, "wrong_code");
    answer(&portal, &challenge, "backup_code", &codes[0])
        .await
        .refused(400, "wrong_code");
    // Both have a live code; each opens its own challenge alone.
    portal.post(&of(&challenge, "/email")).await.ok();
    let hers_mailed = email::code_mail(&server).await.code().unwrap();
    portal.post(&of(&his_challenge, "/email")).await.ok();
    let mailed = email::code_mail(&server).await.code().unwrap();
    if mailed != hers_mailed {
        answer(&portal, &challenge, "email", &mailed)
            .await
            .refused(400, "wrong_code");
    }
    // His key, made to answer her challenge.
    let begun = portal.post(&of(&challenge, "/webauthn")).await.ok();
    let mut body = keys.1.verify(&begun);
    body["method"] = json!("webauthn");
    let path = of(&challenge, "/verify");
    portal
        .post_json(&path, &body)
        .await
        .refused(400, "webauthn_failed");
    // All of his is still his, and hers hers.
    let begun = portal.post(&of(&his_challenge, "/webauthn")).await.ok();
    let mut body = keys.1.verify(&begun);
    body["method"] = json!("webauthn");
    let verified = portal
        .post_json(&of(&his_challenge, "/verify"), &body)
        .await
        .ok();
    let claims = super::claims(&server, &verified).await;
    assert_eq!(claims["sub"], "bob");
    one_call(&portal, "bob", &his.code(now)).await.ok();
    one_call(&portal, "bob", &codes[0]).await.ok();
    answer(&portal, &challenge, "totp", &hers.code(now))
        .await
        .ok();
}

#[tokio::test]
async fn a_mailed_code_answers_what_asked_for_it_and_nothing_else() {
    let server = Server::start().await;
    let alice = server.alice();
    let portal = server.login_service();
    // A code of an enrolment is on its way before there is anything to sign in with.
    let turning_on = email::mailed_code(&server, &alice, email::ENABLE).await;
    one_call(&portal, "alice", &turning_on)
        .await
        .refused(400, "wrong_code");
    alice.code(email::CONFIRM, &turning_on).await.ok();
    server.clock.forward(60);

    let (first, second) = (open(&portal, "alice").await, open(&portal, "alice").await);
    let mut codes = Vec::new();
    for challenge in [&first, &second] {
        portal.post(&of(challenge, "/email")).await.ok();
        codes.push(email::code_mail(&server).await.code().unwrap());
        server.clock.forward(60);
    }
    assert_ne!(codes[0], codes[1], "one in a million: run it again");
    let change = email::mailed_code(&server, &alice, email::SEND).await;

    for (challenge, code) in [(&first, &codes[1]), (&second, &codes[0]), (&first, &change)] {
        answer(&portal, challenge, "email", code)
            .await
            .refused(400, "wrong_code");
    }
    alice
        .code(email::DISABLE, &codes[0])
        .await
        .refused(400, "wrong_code");
    // Four misses over all of it; in one call a mailed code is none.
    one_call(&portal, "alice", &codes[1])
        .await
        .refused(400, "wrong_code");
    for challenge in [&first, &second] {
        for method in ["totp", "backup_code"] {
            answer(&portal, challenge, method, &codes[0])
                .await
                .refused(400, "wrong_code");
        }
    }
    answer(&portal, &second, "email", &codes[1]).await.ok();
    // Sending again voids what was sent before.
    server.clock.forward(3600);
    let portal = server.login_service();
    let third = open(&portal, "alice").await;
    portal.post(&of(&third, "/email")).await.ok();
    let old = email::code_mail(&server).await.code().unwrap();
    server.clock.forward(60);
    portal.post(&of(&third, "/email")).await.ok();
    let new = email::code_mail(&server).await.code().unwrap();
    assert_ne!(old, new, "one in a million: run it again");
    answer(&portal, &third, "email", &old)
        .await
        .refused(400, "wrong_code");
    answer(&portal, &third, "email", &new).await.ok();
    // And it is used up: a challenge of the same person does not take it.
    let fourth = open(&portal, "alice").await;
    answer(&portal, &fourth, "email", &new)
        .await
        .refused(400, "code_used");
}

#[tokio::test]
async fn a_proof_for_a_change_answers_no_sign_in() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    webauthn::enrol(&alice, &key).await;
    let portal = server.login_service();
    let opened = open(&portal, "alice").await;
    let proof = webauthn::prove(&alice, &mut key).await;
    assert!(proof.starts_with("prf_"));
    for method in ["totp", "email", "backup_code"] {
        answer(&portal, &opened, method, &proof)
            .await
            .refused(400, "wrong_code");
    }
    let body = json!({"method": "webauthn", "credential": proof});
    assert_eq!(
        portal
            .post_json(&of(&opened, "/verify"), &body)
            .await
            .status,
        422
    );
    one_call(&portal, "alice", &proof)
        .await
        .refused(400, "wrong_code");
    // It is not used up by that.
    let codes = alice.code(totp::REGENERATE, &proof).await.ok();
    assert_eq!(codes["backup_codes"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn a_code_is_judged_as_what_it_is_said_to_be() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    email::enrol(&server, &alice).await;
    let portal = server.login_service();
    let opened = open(&portal, "alice").await;
    portal.post(&of(&opened, "/email")).await.ok();
    let mailed = email::code_mail(&server).await.code().unwrap();
    let code = app.code(server.clock.unix());
    for (method, code) in [
        ("email", &code),
        ("totp", &mailed),
        ("totp", &codes[0]),
        ("backup_code", &code),
    ] {
        answer(&portal, &opened, method, code)
            .await
            .refused(400, "wrong_code");
    }
    let state: Value = portal.get(&of(&opened, "")).await.ok();
    assert_eq!(state["status"], "pending");
    answer(&portal, &opened, "email", &mailed).await.ok();
    for other in ["TOTP", "otp", "sms", "", "backup_codes", "trusted_device"] {
        let reply = answer(&portal, &opened, other, &code).await;
        assert_eq!(reply.status, 422, "{other}");
        assert!(!reply.text.contains(&code));
    }
}
