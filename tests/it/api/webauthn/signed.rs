//! What the key itself signs: flags, counter, site, and every bit of it.

use serde_json::{Value, json};

use super::bent::{proof_bent, registration_bent};
use super::{BEGIN, COMPLETE, VERIFY, VERIFY_BEGIN, decode, devices, encode, enrol, prove};
use crate::support::{Authenticator, Server, UP, UV};

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
async fn an_id_is_1_to_1023_bytes() {
    let server = Server::start().await;
    let alice = server.alice();
    let long = |length| Authenticator {
        credential_id: vec![7; length],
        ..Authenticator::new()
    };
    assert!(!registration_bent(&alice, &long(1024), |_, _| {}).await);
    assert!(!registration_bent(&alice, &long(0), |_, _| {}).await);
    let mut key = long(1023);
    assert!(registration_bent(&alice, &key, |_, _| {}).await);
    prove(&alice, &mut key).await;
    // An empty one matches none, whoever signed.
    assert!(!proof_bent(&alice, &mut key, |_, answer| answer.credential_id.clear()).await);
    assert!(!proof_bent(&alice, &mut long(0), |_, _| {}).await);
    let mut short = long(1);
    enrol(&alice, &short).await;
    prove(&alice, &mut short).await;
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
