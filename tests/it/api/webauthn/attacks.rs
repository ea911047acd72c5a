//! Answers that a browser, or whoever stands between, has bent.

use serde_json::{Value, json};

use super::bent::{proof_bent, registration_bent};
use super::{BEGIN, COMPLETE, VERIFY, VERIFY_BEGIN, decode, devices, encode, enrol, prove};
use crate::support::{Authenticator, Server};

const FOREIGN_ORIGINS: [&str; 16] = [
    "https://evil.example",
    "https://mfa.example.com:8443",
    "http://mfa.example.com",
    "https://sub.mfa.example.com",
    "https://example.com",
    "https://mfa.example.com.evil.example",
    "https://badmfa.example.com",
    "https://evil@mfa.example.com",
    "https://mfa.example.com/evil",
    "https://mfa.example.com/",
    "https://mfa.example.com:443",
    "https://MFA.example.com",
    "https://mfa.example.com ",
    "android:apk-key-hash:AAAA",
    "null",
    "",
];

#[tokio::test]
async fn an_answer_made_on_another_page_or_in_its_frame_is_refused() {
    let server = Server::start_unlimited().await;
    let (alice, bob) = (server.alice(), server.bob());
    let mut key = Authenticator::new();
    enrol(&alice, &key).await;
    let bent: Vec<(&str, Value)> = FOREIGN_ORIGINS
        .into_iter()
        .map(|origin| ("origin", json!(origin)))
        .chain([
            ("origin", json!(null)),
            ("origin", json!(["https://mfa.example.com"])),
            ("crossOrigin", json!(true)),
            ("crossOrigin", json!("true")),
            ("topOrigin", json!("https://evil.example")),
            ("topOrigin", json!("https://mfa.example.com")),
        ])
        .collect();
    for (name, value) in bent {
        let passed = proof_bent(&alice, &mut key, |_, answer| {
            answer.client_data[name] = value.clone()
        })
        .await;
        assert!(!passed, "{name} {value}");
        let passed = registration_bent(&bob, &Authenticator::new(), |_, data| {
            data[name] = value.clone()
        })
        .await;
        assert!(!passed, "{name} {value}");
    }
    // Browsers of before Level 2 do not say.
    let silent = |data: &mut Value| drop(data.as_object_mut().unwrap().remove("crossOrigin"));
    assert!(
        proof_bent(&alice, &mut key, |_, answer| silent(
            &mut answer.client_data
        ))
        .await
    );
    assert!(registration_bent(&bob, &Authenticator::new(), |_, data| silent(data)).await);
}

#[tokio::test]
async fn an_answer_to_another_question_is_refused() {
    let server = Server::start_unlimited().await;
    let (alice, bob) = (server.alice(), server.bob());
    let mut key = Authenticator::new();
    enrol(&alice, &key).await;
    let earlier = alice.post(VERIFY_BEGIN).await.ok()["publicKey"]["challenge"].clone();
    for challenge in [earlier, json!(""), json!(encode(&[0; 32])), json!(null)] {
        let passed = proof_bent(&alice, &mut key, |_, answer| {
            answer.client_data["challenge"] = challenge.clone()
        })
        .await;
        assert!(!passed, "{challenge}");
        let passed = registration_bent(&bob, &Authenticator::new(), |_, data| {
            data["challenge"] = challenge.clone()
        })
        .await;
        assert!(!passed, "{challenge}");
    }
    for kind in ["webauthn.create", "webauthn.GET", "payment.get", ""] {
        assert!(
            !proof_bent(&alice, &mut key, |_, answer| answer.client_data["type"] =
                json!(kind))
            .await,
            "{kind}"
        );
    }
    for kind in ["webauthn.get", "webauthn.CREATE", ""] {
        assert!(
            !registration_bent(&bob, &Authenticator::new(), |_, data| data["type"] =
                json!(kind))
            .await,
            "{kind}"
        );
    }
    prove(&alice, &mut key).await;
}

#[tokio::test]
async fn a_proof_must_come_from_a_key_and_an_account_of_the_person() {
    let server = Server::start_unlimited().await;
    let (alice, bob) = (server.alice(), server.bob());
    let (mut of_alice, mut of_bob) = (Authenticator::new(), Authenticator::new());
    enrol(&alice, &of_alice).await;
    enrol(&bob, &of_bob).await;
    let handle = decode(&alice.post(BEGIN).await.ok()["publicKey"]["user"]["id"]);
    let foreign = decode(&bob.post(BEGIN).await.ok()["publicKey"]["user"]["id"]);
    for (sent, fine) in [
        (foreign, false),
        (b"alice".to_vec(), false),
        (vec![0; 16], false),
        (Vec::new(), true),
        (handle, true),
    ] {
        let passed = proof_bent(&alice, &mut of_alice, |_, answer| {
            answer.user_handle = Some(sent.clone())
        })
        .await;
        assert_eq!(passed, fine, "{sent:?}");
    }
    // Bob's key for alice, under his id and under hers.
    assert!(!proof_bent(&alice, &mut of_bob, |_, _| {}).await);
    let id = of_alice.credential_id.clone();
    assert!(!proof_bent(&alice, &mut of_bob, |_, answer| answer.credential_id = id).await);
    // Somebody else's challenge is not there.
    let begun = alice.post(VERIFY_BEGIN).await.ok();
    bob.post_json(VERIFY, &of_bob.verify(&begun))
        .await
        .refused(404, "not_found");
    alice.post_json(VERIFY, &of_alice.verify(&begun)).await.ok();
    let begun = alice.post(BEGIN).await.ok();
    bob.post_json(COMPLETE, &Authenticator::new().register(&begun))
        .await
        .refused(404, "not_found");
    alice
        .post_json(COMPLETE, &Authenticator::new().register(&begun))
        .await
        .ok();
}

#[tokio::test]
async fn a_registration_is_for_the_device_and_the_step_that_it_was_begun_for() {
    let server = Server::start_unlimited().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    let (first, second) = (alice.post(BEGIN).await.ok(), alice.post(BEGIN).await.ok());
    let mut body = key.register(&first);
    body["device_id"] = second["device_id"].clone();
    alice
        .post_json(COMPLETE, &body)
        .await
        .refused(404, "not_found");
    // Looked at once: the honest one comes too late.
    alice
        .post_json(COMPLETE, &key.register(&first))
        .await
        .refused(404, "not_found");
    for (name, value) in [
        ("challenge_id", "chl_"),
        ("challenge_id", "x"),
        ("challenge_id", "chl_aaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ] {
        let mut body = key.register(&second);
        body[name] = json!(value);
        alice
            .post_json(COMPLETE, &body)
            .await
            .refused(404, "not_found");
    }
    alice.post_json(COMPLETE, &key.register(&second)).await.ok();
    // The challenge of one step, answered in the other.
    let registration = alice.post(BEGIN).await.ok();
    let mut asked = alice.post(VERIFY_BEGIN).await.ok();
    asked["challenge_id"] = registration["challenge_id"].clone();
    alice
        .post_json(VERIFY, &key.verify(&asked))
        .await
        .refused(404, "not_found");
    let asked = alice.post(VERIFY_BEGIN).await.ok();
    let mut registration = alice.post(BEGIN).await.ok();
    registration["challenge_id"] = asked["challenge_id"].clone();
    alice
        .post_json(COMPLETE, &Authenticator::new().register(&registration))
        .await
        .refused(404, "not_found");
    assert_eq!(
        devices(&alice)
            .await
            .iter()
            .filter(|it| it["status"] == "active")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_key_belongs_to_one_person_and_nobody_else_can_claim_it() {
    let server = Server::start_unlimited().await;
    let (alice, bob) = (server.alice(), server.bob());
    let mut of_bob = Authenticator::new();
    let device = enrol(&bob, &of_bob).await;
    let begun = alice.post(BEGIN).await.ok();
    alice
        .post_json(COMPLETE, &of_bob.register(&begun))
        .await
        .refused(409, "key_known");
    // The same id under a key of alice's own.
    let claimed = Authenticator {
        credential_id: of_bob.credential_id.clone(),
        ..Authenticator::new()
    };
    let begun = alice.post(BEGIN).await.ok();
    alice
        .post_json(COMPLETE, &claimed.register(&begun))
        .await
        .refused(409, "key_known");
    assert!(devices(&alice).await.is_empty());
    prove(&bob, &mut of_bob).await;
    // Given up by one, it is free for another.
    bob.delete(&super::path_of(&device)).await.ok();
    enrol(&alice, &of_bob).await;
    prove(&alice, &mut of_bob).await;
}

#[tokio::test]
async fn the_ids_that_an_answer_names_must_be_the_signed_one() {
    let server = Server::start_unlimited().await;
    let alice = server.alice();
    let (mut key, other) = (Authenticator::new(), Authenticator::new());
    enrol(&alice, &key).await;
    enrol(&alice, &other).await;
    let foreign = encode(&other.credential_id);
    for (name, value) in [
        ("rawId", foreign.as_str()),
        ("rawId", ""),
        ("id", foreign.as_str()),
        ("type", "password"),
    ] {
        let begun = alice.post(VERIFY_BEGIN).await.ok();
        let mut body = key.verify(&begun);
        body["credential"][name] = json!(value);
        alice
            .post_json(VERIFY, &body)
            .await
            .refused(400, "webauthn_failed");
        let begun = alice.post(BEGIN).await.ok();
        let mut body = Authenticator::new().register(&begun);
        body["credential"][name] = json!(value);
        let reply = alice.post_json(COMPLETE, &body).await;
        assert!(reply.status.is_client_error(), "{name} {value}");
    }
    assert!(
        devices(&alice)
            .await
            .iter()
            .filter(|it| it["status"] == "active")
            .count()
            == 2
    );
    prove(&alice, &mut key).await;
}
