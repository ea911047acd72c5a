//! What a key gives for use as a `code`.

use serde_json::json;

use super::{REGENERATE, devices, enrol, overview, path_of, prove};
use crate::api::{email, totp};
use crate::support::{App, Authenticator, Server};

const TOTP_ENABLE: &str = "/api/v1/me/mfa/totp/enable";
const TOTP_CONFIRM: &str = "/api/v1/me/mfa/totp/confirm";
const TOTP_DISABLE: &str = "/api/v1/me/mfa/totp/disable";
const TOTP_REPLACE: &str = "/api/v1/me/mfa/totp/replace";
const UNLOCK: &str = "/api/v1/me/mfa/unlock";

#[tokio::test]
async fn a_person_with_only_a_key_can_manage_everything() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    enrol(&alice, &key).await;
    let proof = prove(&alice, &mut key).await;
    let fresh = alice.code(REGENERATE, &proof).await.ok();
    assert_eq!(fresh["backup_codes"].as_array().unwrap().len(), 10);

    totp::enrol(&server, &alice).await;
    let proof = prove(&alice, &mut key).await;
    let next = App::scan(&alice.code(TOTP_REPLACE, &proof).await.ok());
    alice
        .code(TOTP_CONFIRM, &next.code(server.clock.unix()))
        .await
        .ok();
    let proof = prove(&alice, &mut key).await;
    alice.code(TOTP_DISABLE, &proof).await.ok();

    email::enrol(&server, &alice).await;
    let proof = prove(&alice, &mut key).await;
    alice.code(email::DISABLE, &proof).await.ok();
    assert_eq!(devices(&alice).await.len(), 1);
}

#[tokio::test]
async fn a_proof_is_taken_once_whatever_it_was_used_for() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    enrol(&alice, &key).await;
    totp::enrol(&server, &alice).await;
    email::enrol(&server, &alice).await;
    let mut spent: Vec<String> = Vec::new();
    for path in [REGENERATE, TOTP_REPLACE, email::DISABLE, TOTP_DISABLE] {
        let proof = prove(&alice, &mut key).await;
        for old in &spent {
            alice.code(path, old).await.refused(400, "wrong_code");
        }
        alice.code(path, &proof).await.ok();
        spent.push(proof);
    }
    for old in &spent {
        alice.code(REGENERATE, old).await.refused(400, "wrong_code");
    }
    let proof = prove(&alice, &mut key).await;
    totp::enrol(&server, &alice).await;
    alice
        .post_json(UNLOCK, &json!({"type": "totp", "code": proof}))
        .await
        .ok();
    alice
        .post_json(UNLOCK, &json!({"type": "totp", "code": proof}))
        .await
        .refused(400, "wrong_code");
}

#[tokio::test]
async fn of_a_thousand_uses_at_once_one_is_taken() {
    let server = Server::start_unlimited().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    enrol(&alice, &key).await;
    let proof = prove(&alice, &mut key).await;
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (alice, proof) = (alice.clone(), proof.clone());
        crowd.spawn(async move { alice.code(REGENERATE, &proof).await.status.as_u16() });
    }
    let statuses = crowd.join_all().await;
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(400)), (1, 999));
    // The misses of a crowd lock nobody out.
    let proof = prove(&alice, &mut key).await;
    alice.code(REGENERATE, &proof).await.ok();
}

#[tokio::test]
async fn a_proof_is_good_for_a_minute() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    enrol(&alice, &key).await;
    let proof = prove(&alice, &mut key).await;
    server.clock.forward(59);
    alice.code(REGENERATE, &proof).await.ok();
    let proof = prove(&alice, &mut key).await;
    server.clock.forward(60);
    alice
        .code(REGENERATE, &proof)
        .await
        .refused(400, "code_expired");
    server.clock.back(30);
    alice
        .code(REGENERATE, &proof)
        .await
        .refused(400, "wrong_code");
}

#[tokio::test]
async fn a_proof_of_one_person_is_of_no_use_to_another() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    let (mut of_alice, mut of_bob) = (Authenticator::new(), Authenticator::new());
    enrol(&alice, &of_alice).await;
    enrol(&bob, &of_bob).await;
    let proof = prove(&bob, &mut of_bob).await;
    alice
        .code(REGENERATE, &proof)
        .await
        .refused(400, "wrong_code");
    // Nor did the attempt spend it.
    bob.code(REGENERATE, &proof).await.ok();
    let proof = prove(&alice, &mut of_alice).await;
    let bent = [
        proof.to_uppercase(),
        format!("{proof} "),
        proof[..29].to_owned(),
        format!("{proof}a"),
        "prf_".to_owned(),
    ];
    for guess in bent {
        alice
            .code(REGENERATE, &guess)
            .await
            .refused(400, "wrong_code");
    }
    alice.code(REGENERATE, &proof).await.ok();
}

#[tokio::test]
async fn a_proof_ends_with_the_key_that_gave_it() {
    let server = Server::start().await;
    let alice = server.alice();
    let (mut stolen, keep) = (Authenticator::new(), Authenticator::new());
    let device = enrol(&alice, &stolen).await;
    enrol(&alice, &keep).await;
    let proof = prove(&alice, &mut stolen).await;
    alice.delete(&path_of(&device)).await.ok();
    alice
        .code(REGENERATE, &proof)
        .await
        .refused(400, "wrong_code");
}

#[tokio::test]
async fn a_proof_turns_on_nothing() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    enrol(&alice, &key).await;
    alice.post(TOTP_ENABLE).await.ok();
    email::mailed_code(&server, &alice, email::ENABLE).await;
    let proof = prove(&alice, &mut key).await;
    for path in [TOTP_CONFIRM, email::CONFIRM] {
        alice.code(path, &proof).await.refused(400, "wrong_code");
    }
    assert_eq!(
        devices(&alice)
            .await
            .iter()
            .filter(|it| it["status"] == "active")
            .count(),
        1
    );
    alice.code(REGENERATE, &proof).await.ok();
}

#[tokio::test]
async fn no_lock_of_another_factor_shuts_out_a_key_and_a_key_opens_the_lock() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    enrol(&alice, &key).await;
    let (app, _) = totp::enrol(&server, &alice).await;
    let wrong = app.wrong_code(server.clock.unix());
    for _ in 0..5 {
        alice
            .code(REGENERATE, &wrong)
            .await
            .refused(400, "wrong_code");
    }
    for _ in 0..20 {
        alice
            .code(REGENERATE, "prf_aaaaaaaaaaaaaaaaaaaaaaaaaa")
            .await
            .refused(400, "wrong_code");
    }
    let right = app.code(server.clock.unix());
    alice.code(REGENERATE, &right).await.refused(429, "locked");
    alice
        .post_json(UNLOCK, &json!({"type": "totp", "code": right}))
        .await
        .refused(429, "locked");
    let proof = prove(&alice, &mut key).await;
    alice.code(REGENERATE, &proof).await.ok();
    alice.code(REGENERATE, &right).await.refused(429, "locked");
    let proof = prove(&alice, &mut key).await;
    let unlocked = alice
        .post_json(UNLOCK, &json!({"type": "totp", "code": proof}))
        .await
        .ok();
    assert_eq!(unlocked, json!({"unlocked": true}));
    alice.code(REGENERATE, &right).await.ok();
    for (body, kind) in [
        (json!({"type": "webauthn", "code": "x"}), "enum"),
        (json!({"type": "totp"}), "missing"),
    ] {
        assert_eq!(
            alice.post_json(UNLOCK, &body).await.misfit()[0]["type"],
            kind
        );
    }
    assert_eq!(overview(&alice).await["enabled"], true);
}
