//! Security keys at a sign-in, and what is made to look like one.

use serde_json::{Value, json};

use super::super::{totp, webauthn};
use super::{of, open, service};
use crate::support::{
    Assertion, Authenticator, Client, PUBLIC_URL, Reply, Server, UP, UV, at_once, tally,
};

async fn begin(portal: &Client, challenge: &Value) -> Value {
    portal.post(&of(challenge, "/webauthn")).await.ok()
}

fn sealed(key: &Authenticator, begun: &Value, answer: &Assertion) -> Value {
    json!({"method": "webauthn", "credential": key.seal_assertion(begun, answer)})
}

async fn send(portal: &Client, challenge: &Value, body: &Value) -> Reply {
    portal.post_json(&of(challenge, "/verify"), body).await
}

/// Whether an assertion for a fresh challenge passes that was bent before it was signed.
async fn bent(
    portal: &Client,
    key: &mut Authenticator,
    bend: impl FnOnce(&mut Value, &mut Assertion),
) -> bool {
    let challenge = open(portal, "alice").await;
    let mut begun = begin(portal, &challenge).await;
    let mut answer = key.assertion(&begun);
    bend(&mut begun, &mut answer);
    let body = sealed(key, &begun, &answer);
    let reply = send(portal, &challenge, &body).await;
    if reply.status == 200 {
        return true;
    }
    let refused = reply.refused(400, "webauthn_failed");
    assert_eq!(refused["verified"], false);
    assert_eq!(refused["tries_left"], 4);
    for word in ["evil", "origin", "counter", "handle"] {
        assert!(!refused["detail"].as_str().unwrap().contains(word));
    }
    // It was looked at once: the ceremony is over.
    send(portal, &challenge, &body)
        .await
        .refused(400, "webauthn_failed");
    assert_eq!(
        portal.get(&of(&challenge, "")).await.ok()["status"],
        "pending"
    );
    false
}

#[tokio::test]
async fn only_what_the_key_signed_on_our_page_for_this_challenge_passes() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    webauthn::enrol(&alice, &key).await;
    let portal = server.login_service();
    let set = |name: &'static str, value: Value| {
        move |_: &mut Value, answer: &mut Assertion| answer.client_data[name] = value
    };
    for origin in [
        "https://evil.example",
        "https://mfa.example.com.evil.example",
        "https://evil@mfa.example.com",
        "https://mfa.example.com:444",
        "https://mfa.example.com/",
        "https://MFA.example.com",
        "http://mfa.example.com",
        "https://a.mfa.example.com",
        "https://wiki.example.com",
        "null",
        "",
    ] {
        let passed = bent(&portal, &mut key, set("origin", json!(origin))).await;
        assert!(!passed, "{origin}");
    }
    for (name, value) in [
        ("crossOrigin", json!(true)),
        ("crossOrigin", json!("false")),
        ("topOrigin", json!("https://evil.example")),
        ("topOrigin", json!(PUBLIC_URL)),
        ("type", json!("webauthn.create")),
        ("type", json!("payment.get")),
        ("type", json!("")),
        (
            "challenge",
            json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ),
        ("challenge", json!("")),
        ("challenge", Value::Null),
    ] {
        let passed = bent(&portal, &mut key, set(name, value.clone())).await;
        assert!(!passed, "{name} {value}");
    }
    // Nobody touched it; another relying party; another person's handle.
    assert!(!bent(&portal, &mut key, |_, answer| answer.flags &= !UP).await);
    assert!(
        !bent(&portal, &mut key, |begun, _| {
            begun["publicKey"]["rpId"] = json!("evil.example");
        })
        .await
    );
    for handle in [b"bob".to_vec(), vec![0; 64], vec![0xff; 16]] {
        assert!(
            !bent(&portal, &mut key, |_, answer| answer.user_handle =
                Some(handle))
            .await
        );
    }
    // A credential that the person does not have, and an empty name.
    for id in [vec![7; 32], Vec::new()] {
        assert!(!bent(&portal, &mut key, |_, answer| answer.credential_id = id).await);
    }
    // After all of it the key is as good as before, for keys are never locked.
    assert!(bent(&portal, &mut key, |_, _| ()).await);
    assert!(bent(&portal, &mut key, |_, answer| answer.flags |= UV).await);
}

#[tokio::test]
async fn a_counter_that_does_not_grow_is_a_copys() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    key.counter = 10;
    webauthn::enrol(&alice, &key).await;
    let portal = server.login_service();
    assert!(bent(&portal, &mut key, |_, answer| answer.counter = 50).await);
    for counter in [50, 49, 1, 0] {
        assert!(!bent(&portal, &mut key, |_, answer| answer.counter = counter).await);
    }
    assert!(bent(&portal, &mut key, |_, answer| answer.counter = 51).await);
    // A use at a sign-in counts on the person's own pages, and the other way round.
    key.counter = 50;
    let begun = alice.post(webauthn::VERIFY_BEGIN).await.ok();
    let body = key.verify(&begun);
    alice
        .post_json(webauthn::VERIFY, &body)
        .await
        .refused(400, "webauthn_failed");
    webauthn::prove(&alice, &mut key).await;
    assert!(!bent(&portal, &mut key, |_, answer| answer.counter = 52).await);
}

#[tokio::test]
async fn an_assertion_answers_the_challenge_that_it_was_made_for() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    webauthn::enrol(&alice, &key).await;
    let (portal, other) = (server.login_service(), service(&server, "other"));
    let (first, second) = (open(&portal, "alice").await, open(&portal, "alice").await);
    let elsewhere = open(&other, "alice").await;
    let begun = begin(&portal, &first).await;
    begin(&portal, &second).await;
    begin(&other, &elsewhere).await;
    let answer = key.assertion(&begun);
    let body = sealed(&key, &begun, &answer);
    send(&portal, &second, &body)
        .await
        .refused(400, "webauthn_failed");
    send(&other, &elsewhere, &body)
        .await
        .refused(400, "webauthn_failed");
    send(&other, &first, &body).await.refused(404, "not_found");
    // Nor is it a proof on the person's own pages, under any of the ids.
    for challenge in [&first, &second] {
        let proof = json!({"challenge_id": super::id(challenge), "credential": body["credential"]});
        let reply = alice.post_json(webauthn::VERIFY, &proof).await;
        assert!(!reply.status.is_success(), "{}", reply.text);
    }
    // To look was to use up.
    send(&portal, &first, &body)
        .await
        .refused(400, "webauthn_failed");

    // One that was made for a page of the person's own answers no sign-in.
    let begun = alice.post(webauthn::VERIFY_BEGIN).await.ok();
    let answer = key.assertion(&begun);
    let proof = sealed(&key, &begun, &answer);
    begin(&portal, &first).await;
    send(&portal, &first, &proof)
        .await
        .refused(400, "webauthn_failed");
    // Without a ceremony there is nothing to answer.
    send(&portal, &first, &proof)
        .await
        .refused(400, "webauthn_failed");
    let begun = json!({"challenge_id": begun["challenge_id"], "credential": proof["credential"]});
    alice.post_json(webauthn::VERIFY, &begun).await.ok();

    // A second beginning voids the first.
    let third = open(&portal, "alice").await;
    let (old, new) = (begin(&portal, &third).await, begin(&portal, &third).await);
    assert_ne!(old["publicKey"]["challenge"], new["publicKey"]["challenge"]);
    let answer = key.assertion(&old);
    send(&portal, &third, &sealed(&key, &old, &answer))
        .await
        .refused(400, "webauthn_failed");
    let new = begin(&portal, &third).await;
    let answer = key.assertion(&new);
    send(&portal, &third, &sealed(&key, &new, &answer))
        .await
        .ok();
}

#[tokio::test]
async fn what_a_registration_gives_is_no_assertion() {
    let server = Server::start().await;
    let alice = server.alice();
    let key = Authenticator::new();
    webauthn::enrol(&alice, &key).await;
    let portal = server.login_service();
    let challenge = open(&portal, "alice").await;
    let mut begun = begin(&portal, &challenge).await;
    begun["publicKey"]["rp"] = json!({"id": begun["publicKey"]["rpId"]});
    let registration = key.registration(&begun);
    let credential = key.seal_registration(&begun, &registration);
    let body = json!({"method": "webauthn", "credential": credential});
    let reply = send(&portal, &challenge, &body).await;
    assert!(matches!(reply.status.as_u16(), 400 | 422), "{}", reply.text);
    // With what an assertion has besides, and it is still signed by nobody.
    let mut both = credential.clone();
    both["response"]["authenticatorData"] = json!("AAAA");
    both["response"]["signature"] = json!("AAAA");
    begin(&portal, &challenge).await;
    let body = json!({"method": "webauthn", "credential": both});
    send(&portal, &challenge, &body)
        .await
        .refused(400, "webauthn_failed");
    for odd in [
        json!(null),
        json!([]),
        json!("x"),
        json!({}),
        json!({"id": ""}),
    ] {
        let body = json!({"method": "webauthn", "credential": odd});
        assert_eq!(send(&portal, &challenge, &body).await.status, 422);
    }
    // A key's answer under another method is no code.
    let body = json!({"method": "totp", "credential": credential});
    assert_eq!(send(&portal, &challenge, &body).await.status, 422);
}

#[tokio::test]
async fn of_a_hundred_copies_of_an_assertion_one_passes() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::passkey();
    webauthn::enrol(&alice, &key).await;
    let portal = server.login_service();
    let challenge = open(&portal, "alice").await;
    let begun = begin(&portal, &challenge).await;
    // Without a counter nothing but the ceremony tells the copies apart.
    let answer = key.assertion(&begun);
    let body = sealed(&key, &begun, &answer);
    let path = of(&challenge, "/verify");
    let (sent, to) = (body.clone(), path.clone());
    let replies = at_once(&portal, 100, move |portal, _| {
        let (path, body) = (to.clone(), sent.clone());
        async move { portal.post_json(&path, &body).await }
    })
    .await;
    let tally = tally(&replies);
    assert_eq!(tally["200"], 1, "{tally:?}");
    assert_eq!(tally["challenge_closed"], 99, "{tally:?}");
    // On a later challenge it is as dead.
    let later = open(&portal, "alice").await;
    begin(&portal, &later).await;
    send(&portal, &later, &body)
        .await
        .refused(400, "webauthn_failed");
}

#[tokio::test]
async fn a_removed_key_and_a_strangers_key_answer_nothing() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    let (mut lost, mut kept, mut his) = (
        Authenticator::new(),
        Authenticator::new(),
        Authenticator::new(),
    );
    let device = webauthn::enrol(&alice, &lost).await;
    webauthn::enrol(&alice, &kept).await;
    webauthn::enrol(&bob, &his).await;
    let portal = server.login_service();
    let challenge = open(&portal, "alice").await;
    let begun = begin(&portal, &challenge).await;
    alice
        .delete(&format!("/api/v1/me/mfa/webauthn/{device}"))
        .await
        .ok();
    let answer = lost.assertion(&begun);
    send(&portal, &challenge, &sealed(&lost, &begun, &answer))
        .await
        .refused(400, "webauthn_failed");
    let begun = begin(&portal, &challenge).await;
    let allowed = begun["publicKey"]["allowCredentials"].as_array().unwrap();
    assert_eq!(allowed.len(), 1);
    for key in [&mut lost, &mut his] {
        let begun = begin(&portal, &challenge).await;
        let answer = key.assertion(&begun);
        send(&portal, &challenge, &sealed(key, &begun, &answer))
            .await
            .refused(400, "webauthn_failed");
    }
    // Her key's name around his signature, and the other way round.
    let begun = begin(&portal, &challenge).await;
    let mut answer = his.assertion(&begun);
    answer.credential_id = kept.credential_id.clone();
    send(&portal, &challenge, &sealed(&his, &begun, &answer))
        .await
        .refused(400, "webauthn_failed");
    let other = open(&portal, "alice").await;
    let begun = begin(&portal, &other).await;
    let answer = kept.assertion(&begun);
    send(&portal, &other, &sealed(&kept, &begun, &answer))
        .await
        .ok();
}

#[tokio::test]
async fn a_key_is_never_locked_and_its_misses_lock_nothing_else() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = totp::enrol(&server, &alice).await;
    let mut key = Authenticator::new();
    webauthn::enrol(&alice, &key).await;
    let portal = server.login_service();
    for _ in 0..4 {
        let challenge = open(&portal, "alice").await;
        for _ in 0..5 {
            let begun = begin(&portal, &challenge).await;
            let mut answer = key.assertion(&begun);
            answer.client_data["origin"] = json!("https://evil.example");
            send(&portal, &challenge, &sealed(&key, &begun, &answer))
                .await
                .refused(400, "webauthn_failed");
        }
        portal
            .post(&of(&challenge, "/webauthn"))
            .await
            .refused(409, "challenge_closed");
    }
    // Locked out of the app as well, the key opens.
    let challenge = open(&portal, "alice").await;
    for _ in 0..4 {
        let wrong = app.wrong_code(server.clock.unix());
        super::answer(&portal, &challenge, "totp", &wrong)
            .await
            .refused(400, "wrong_code");
    }
    let second = open(&portal, "alice").await;
    let wrong = app.wrong_code(server.clock.unix());
    super::answer(&portal, &second, "totp", &wrong)
        .await
        .refused(400, "wrong_code");
    super::answer(&portal, &second, "totp", &wrong)
        .await
        .refused(429, "locked");
    let begun = begin(&portal, &second).await;
    let answer = key.assertion(&begun);
    send(&portal, &second, &sealed(&key, &begun, &answer))
        .await
        .ok();
}

#[tokio::test]
async fn what_is_begun_at_services_ends_nothing_on_ones_own_page_and_leaves_nothing_behind() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    webauthn::enrol(&alice, &key).await;
    let portal = server.login_service();
    let own = alice.post(webauthn::VERIFY_BEGIN).await.ok();
    let mut sign_ins = Vec::new();
    for _ in 0..40 {
        server.clock.forward(1);
        let opened = open(&portal, "alice").await;
        let begun = portal.post(&of(&opened, "/webauthn")).await.ok();
        sign_ins.push((opened, begun));
    }
    alice
        .post_json(webauthn::VERIFY, &key.verify(&own))
        .await
        .ok();
    // Of the sign-ins the latest twenty are live, and each has its ceremony.
    for (number, (opened, begun)) in sign_ins.iter().enumerate() {
        let mut answer = key.verify(begun);
        answer["method"] = json!("webauthn");
        let reply = portal.post_json(&of(opened, "/verify"), &answer).await;
        match number < 20 {
            true => reply.refused(404, "not_found"),
            false => reply.ok(),
        };
    }
}
