//! Begun, given up, removed, and how many there may be.

use serde_json::{Value, json};

use super::{BEGIN, COMPLETE, VERIFY, VERIFY_BEGIN, devices, enrol, overview, path_of, prove};
use crate::api::history;
use crate::support::{Authenticator, Server};

#[tokio::test]
async fn a_registration_under_way_is_listed_and_can_be_given_up() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    let begun = alice.post_json(BEGIN, &json!({"name": "Blue"})).await.ok();
    let device = begun["device_id"].as_str().unwrap();
    assert_eq!(
        devices(&alice).await,
        [json!({
            "device_id": device, "type": "webauthn", "name": "Blue", "status": "pending",
            "created_at": "2026-11-24T12:00:00Z", "last_used_at": null, "expires_at": "2026-11-24T12:05:00Z",
        })]
    );
    assert_eq!(overview(&alice).await["enabled"], false);
    bob.delete(&path_of(device)).await.refused(404, "not_found");
    alice.delete(&path_of(device)).await.ok();
    assert!(devices(&alice).await.is_empty());
    alice
        .post_json(COMPLETE, &Authenticator::new().register(&begun))
        .await
        .refused(404, "not_found");
    alice
        .delete(&path_of(device))
        .await
        .refused(404, "not_found");
    // What was never there was not removed, and what was given up is said to be so.
    let events = history::all(&alice).await;
    let events: Vec<_> = events
        .iter()
        .map(|it| [&it["action"], &it["outcome"], &it["device_id"]])
        .collect();
    assert_eq!(
        events,
        [
            [&json!("webauthn.remove"), &json!("refused"), &json!(device)],
            [&json!("webauthn.register"), &json!("refused"), &json!(null)],
            [&json!("webauthn.cancel"), &json!("done"), &json!(device)],
            [&json!("webauthn.begin"), &json!("done"), &json!(device)],
        ]
    );
    let counted = server.desk.tools.metrics.text(&Default::default()).unwrap();
    let mut removed = counted
        .lines()
        .filter(|line| line.contains("webauthn.remove"));
    assert!(removed.all(|line| line.contains("refused")), "{counted}");
    // Nothing was set up, so nobody is told.
    alice.post(BEGIN).await.ok();
    server.clock.forward(300);
    assert!(devices(&alice).await.is_empty());
    assert_eq!(server.smtp.connections(), 0);
}

#[tokio::test]
async fn a_restart_between_the_two_steps_does_no_harm() {
    let mut server = Server::start().await;
    let mut key = Authenticator::new();
    let begun = server.alice().post(BEGIN).await.ok();
    server.restart().await;
    server
        .alice()
        .post_json(COMPLETE, &key.register(&begun))
        .await
        .ok();
    let begun = server.alice().post(VERIFY_BEGIN).await.ok();
    server.restart().await;
    let proved = server
        .alice()
        .post_json(VERIFY, &key.verify(&begun))
        .await
        .ok();
    server.restart().await;
    let alice = server.alice();
    alice
        .code(super::REGENERATE, proved["code"].as_str().unwrap())
        .await
        .ok();
}

#[tokio::test]
async fn twenty_keys_and_no_more() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut last = enrol(&alice, &Authenticator::new()).await;
    let early = alice.post(BEGIN).await.ok();
    for _ in 1..20 {
        last = enrol(&alice, &Authenticator::new()).await;
        server.clock.forward(1);
    }
    alice.post(BEGIN).await.refused(409, "too_many_keys");
    // One that was begun when there was room.
    let refused = alice
        .post_json(COMPLETE, &Authenticator::new().register(&early))
        .await;
    refused.refused(409, "too_many_keys");
    assert_eq!(devices(&alice).await.len(), 20);
    alice.delete(&path_of(&last)).await.ok();
    enrol(&alice, &Authenticator::new()).await;
}

#[tokio::test]
async fn the_eleventh_ceremony_pushes_out_the_oldest() {
    let server = Server::start().await;
    let alice = server.alice();
    enrol(&alice, &Authenticator::new()).await;
    let mut begun = Vec::new();
    for _ in 0..11 {
        begun.push(alice.post(BEGIN).await.ok());
        server.clock.forward(1);
    }
    assert_eq!(devices(&alice).await.len(), 11);
    alice
        .post_json(COMPLETE, &Authenticator::new().register(&begun[0]))
        .await
        .refused(404, "not_found");
    for begun in &begun[1..] {
        alice
            .post_json(COMPLETE, &Authenticator::new().register(begun))
            .await
            .ok();
    }
    assert_eq!(devices(&alice).await.len(), 11);
}

#[tokio::test]
async fn with_the_last_factor_go_the_backup_codes() {
    let server = Server::start().await;
    let alice = server.alice();
    let begun = alice.post(BEGIN).await.ok();
    let mut key = Authenticator::new();
    let done = alice.post_json(COMPLETE, &key.register(&begun)).await.ok();
    let backup = done["backup_codes"][0].as_str().unwrap().to_owned();
    let second = Authenticator::new();
    let other = enrol(&alice, &second).await;
    let proof = prove(&alice, &mut key).await;
    alice
        .delete(&path_of(begun["device_id"].as_str().unwrap()))
        .await
        .ok();
    assert_eq!(overview(&alice).await["backup_codes"]["remaining"], 10);
    alice.delete(&path_of(&other)).await.ok();
    let seen = overview(&alice).await;
    assert_eq!(
        (&seen["enabled"], &seen["devices"], &seen["backup_codes"]),
        (&json!(false), &json!([]), &Value::Null)
    );
    alice.post(VERIFY_BEGIN).await.refused(409, "not_enabled");
    for old in [&backup, &proof] {
        alice
            .code(super::REGENERATE, old)
            .await
            .refused(409, "not_enabled");
    }
    // Set up anew: new codes, and the old ones stay void.
    let begun = alice.post(BEGIN).await.ok();
    let done = alice.post_json(COMPLETE, &key.register(&begun)).await.ok();
    assert_eq!(done["backup_codes"].as_array().unwrap().len(), 10);
    alice
        .code("/api/v1/me/mfa/totp/replace", &backup)
        .await
        .refused(409, "not_enabled");
    let (_, none) = crate::api::totp::enrol(&server, &alice).await;
    assert!(none.is_empty());
    alice
        .code("/api/v1/me/mfa/totp/replace", &backup)
        .await
        .refused(400, "wrong_code");
}
