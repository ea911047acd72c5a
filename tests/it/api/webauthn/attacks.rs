//! Answers that a browser, a key or whoever stands between has bent.

use serde_json::{Value, json};

use super::{BEGIN, COMPLETE, VERIFY, VERIFY_BEGIN, decode, devices, encode, enrol, prove};
use crate::support::{Assertion, Authenticator, Client, Server, UP, UV};

/// Whether a proof bent by `bend` passes; the record of a refused one must stay as it was.
async fn proof_bent(
    person: &Client,
    key: &mut Authenticator,
    bend: impl FnOnce(&mut Value, &mut Assertion),
) -> bool {
    let before = devices(person).await;
    let mut begun = person.post(VERIFY_BEGIN).await.ok();
    let mut answer = key.assertion(&begun);
    bend(&mut begun, &mut answer);
    let body = json!({"challenge_id": begun["challenge_id"], "credential": key.seal_assertion(&begun, &answer)});
    let reply = person.post_json(VERIFY, &body).await;
    if reply.status == 200 {
        return true;
    }
    reply.refused(400, "webauthn_failed");
    assert!(
        !reply.text.contains("evil") && !reply.text.contains("origin"),
        "{}",
        reply.text
    );
    assert_eq!(devices(person).await, before);
    // It was looked at once.
    person
        .post_json(VERIFY, &body)
        .await
        .refused(404, "not_found");
    false
}

/// Whether a registration bent by `bend` passes.
async fn registration_bent(
    person: &Client,
    key: &Authenticator,
    bend: impl FnOnce(&mut Value, &mut Value),
) -> bool {
    let mut begun = person.post(BEGIN).await.ok();
    let mut answer = key.registration(&begun);
    bend(&mut begun, &mut answer.client_data);
    let body = json!({
        "device_id": begun["device_id"], "challenge_id": begun["challenge_id"],
        "credential": key.seal_registration(&begun, &answer),
    });
    let reply = person.post_json(COMPLETE, &body).await;
    if reply.status == 200 {
        return true;
    }
    reply.refused(400, "webauthn_failed");
    assert!(devices(person).await.is_empty());
    person
        .post_json(COMPLETE, &body)
        .await
        .refused(404, "not_found");
    false
}

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
    let server = Server::start().await;
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
    let server = Server::start().await;
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
async fn a_key_must_have_been_touched_and_have_signed_for_this_site() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    let mut key = Authenticator::new();
    enrol(&alice, &key).await;
    for flags in [0, UV, 0x10, UP | 0x10] {
        assert!(
            !proof_bent(&alice, &mut key, |_, answer| answer.flags = flags).await,
            "{flags:#x}"
        );
        let bent = Authenticator {
            flags,
            ..Authenticator::new()
        };
        assert!(
            !registration_bent(&bob, &bent, |_, _| {}).await,
            "{flags:#x}"
        );
    }
    let elsewhere = |begun: &mut Value, name: &str| match name {
        "get" => begun["publicKey"]["rpId"] = json!("mfa.example.con"),
        _ => begun["publicKey"]["rp"]["id"] = json!("example.com"),
    };
    assert!(!proof_bent(&alice, &mut key, |begun, _| elsewhere(begun, "get")).await);
    assert!(
        !registration_bent(&bob, &Authenticator::new(), |begun, _| elsewhere(
            begun, "create"
        ))
        .await
    );
    // A PIN that was asked for once is not demanded ever after.
    let mut verified = Authenticator {
        flags: UP | UV,
        ..Authenticator::new()
    };
    enrol(&alice, &verified).await;
    assert!(proof_bent(&alice, &mut verified, |_, answer| answer.flags = UP).await);
    prove(&alice, &mut key).await;
}

#[tokio::test]
async fn every_flipped_bit_of_an_answer_is_noticed() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    enrol(&alice, &key).await;
    for (member, at) in [
        ("signature", 10),
        ("signature", 40),
        ("signature", 69),
        ("authenticatorData", 0),
        ("authenticatorData", 31),
        ("authenticatorData", 36),
        ("clientDataJSON", 30),
    ] {
        let begun = alice.post(VERIFY_BEGIN).await.ok();
        let mut body = key.verify(&begun);
        let place = &mut body["credential"]["response"][member];
        let mut bytes = decode(place);
        let last = bytes.len() - 1;
        bytes[at.min(last)] ^= 1;
        *place = json!(encode(&bytes));
        alice
            .post_json(VERIFY, &body)
            .await
            .refused(400, "webauthn_failed");
    }
    for (member, value) in [
        ("signature", ""),
        ("authenticatorData", ""),
        ("authenticatorData", "AAAA"),
        ("clientDataJSON", ""),
    ] {
        let begun = alice.post(VERIFY_BEGIN).await.ok();
        let mut body = key.verify(&begun);
        body["credential"]["response"][member] = json!(value);
        let reply = alice.post_json(VERIFY, &body).await;
        assert!(
            reply.status == 400 || reply.status == 422,
            "{member} {}",
            reply.text
        );
    }
    for object in [
        &b""[..],
        b"\xa0",
        b"\xff",
        b"\xa1hauthDataC\x01\x02\x03",
        &[0x9f; 5000],
    ] {
        let begun = server.bob().post(BEGIN).await.ok();
        let mut body = Authenticator::new().register(&begun);
        body["credential"]["response"]["attestationObject"] = json!(encode(object));
        let reply = server.bob().post_json(COMPLETE, &body).await;
        assert!(reply.status == 400 || reply.status == 422, "{}", reply.text);
    }
    prove(&alice, &mut key).await;
}

#[tokio::test]
async fn a_proof_must_come_from_a_key_and_an_account_of_the_person() {
    let server = Server::start().await;
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
    let server = Server::start().await;
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
async fn an_id_is_at_most_1023_bytes() {
    let server = Server::start().await;
    let alice = server.alice();
    let long = |length| Authenticator {
        credential_id: vec![7; length],
        ..Authenticator::new()
    };
    assert!(!registration_bent(&alice, &long(1024), |_, _| {}).await);
    let mut key = long(1023);
    assert!(registration_bent(&alice, &key, |_, _| {}).await);
    prove(&alice, &mut key).await;
}

#[tokio::test]
async fn a_key_belongs_to_one_person_and_nobody_else_can_claim_it() {
    let server = Server::start().await;
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
async fn a_counter_that_does_not_advance_is_refused_and_nothing_is_noted() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator {
        counter: 100,
        ..Authenticator::new()
    };
    enrol(&alice, &key).await;
    prove(&alice, &mut key).await;
    for (counter, fine) in [
        (101, false),
        (100, false),
        (0, false),
        (102, true),
        (102, false),
        (4_000_000_000, true),
        (4_000_000_000, false),
        (103, false),
    ] {
        server.clock.forward(1);
        let passed = proof_bent(&alice, &mut key, |_, answer| answer.counter = counter).await;
        assert_eq!(passed, fine, "{counter}");
    }
}

#[tokio::test]
async fn a_synced_passkey_has_no_counter_and_says_that_it_is_backed_up() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::passkey();
    enrol(&alice, &key).await;
    let device = devices(&alice).await[0].clone();
    assert_eq!(
        (&device["backed_up"], &device["transports"]),
        (&json!(true), &json!(["hybrid", "internal"]))
    );
    for _ in 0..3 {
        prove(&alice, &mut key).await;
    }
    // No longer synced, and synced again.
    assert!(proof_bent(&alice, &mut key, |_, answer| answer.flags &= !0x10).await);
    assert_eq!(devices(&alice).await[0]["backed_up"], false);
    prove(&alice, &mut key).await;
    assert_eq!(devices(&alice).await[0]["backed_up"], true);
    // A key that could never be synced does not become one that is.
    assert!(!proof_bent(&alice, &mut key, |_, answer| answer.flags = UP | UV).await);
    let mut bound = Authenticator::new();
    enrol(&alice, &bound).await;
    assert!(!proof_bent(&alice, &mut bound, |_, answer| answer.flags |= 0x18).await);
}
