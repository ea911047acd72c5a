use axum::http::Method;
use serde_json::{Value, json};

use super::{
    BEGIN, COMPLETE, VERIFY, VERIFY_BEGIN, decode, devices, encode, enrol, overview, path_of, prove,
};
use crate::support::{Authenticator, PUBLIC_URL, Server};

#[tokio::test]
async fn what_comes_back_is_exactly_as_promised() {
    let server = Server::start().await;
    let alice = server.alice();
    let begun = alice.post(BEGIN).await.ok();
    let options = &begun["publicKey"];
    let mut names: Vec<&String> = begun.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(
        names,
        ["challenge_id", "device_id", "expires_at", "publicKey"]
    );
    assert!(begun["device_id"].as_str().unwrap().starts_with("mfa_"));
    assert!(begun["challenge_id"].as_str().unwrap().starts_with("chl_"));
    assert_eq!(begun["expires_at"], "2026-11-24T12:05:00Z");
    assert_eq!(
        options["rp"],
        json!({"id": "mfa.example.com", "name": "Example"})
    );
    assert_eq!(options["attestation"], "none");
    assert_eq!(
        options["authenticatorSelection"]["userVerification"],
        "discouraged"
    );
    assert_eq!(options["timeout"], 300_000);
    assert_eq!(
        options["excludeCredentials"].as_array().map_or(0, Vec::len),
        0
    );
    let extensions = options["extensions"].to_string();
    assert!(!extensions.contains("redProt"), "{extensions}");
    assert!(
        options["pubKeyCredParams"]
            .as_array()
            .unwrap()
            .contains(&json!({"type": "public-key", "alg": -7}))
    );
    assert!(decode(&options["challenge"]).len() >= 16);
    assert_eq!(options["user"]["name"], "alice");

    let mut key = Authenticator::new();
    let mut done = alice.post_json(COMPLETE, &key.register(&begun)).await.ok();
    assert_eq!(done["backup_codes"].take().as_array().unwrap().len(), 10);
    let device = json!({
        "device_id": begun["device_id"], "type": "webauthn", "name": "Security key", "status": "active",
        "created_at": "2026-11-24T12:00:00Z", "last_used_at": null,
        "transports": ["usb"], "aaguid": null, "model": null, "backed_up": false,
    });
    assert_eq!(done, json!({"device": device, "backup_codes": null}));
    assert_eq!(devices(&alice).await, std::slice::from_ref(&device));
    assert_eq!(overview(&alice).await["enabled"], true);

    let begun = alice.post(VERIFY_BEGIN).await.ok();
    let mut names: Vec<&String> = begun.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["challenge_id", "expires_at", "publicKey"]);
    let options = &begun["publicKey"];
    assert_eq!(options["rpId"], "mfa.example.com");
    assert_eq!(options["userVerification"], "discouraged");
    assert!(decode(&options["challenge"]).len() >= 16);
    let allowed = options["allowCredentials"].as_array().unwrap();
    assert_eq!(allowed.len(), 1);
    assert_eq!(decode(&allowed[0]["id"]), key.credential_id);
    server.clock.forward(7);
    let proved = alice.post_json(VERIFY, &key.verify(&begun)).await.ok();
    let code = proved["code"].as_str().unwrap();
    assert!(code.starts_with("prf_") && code.len() == 30, "{code}");
    assert_eq!(
        proved,
        json!({"code": code, "expires_at": "2026-11-24T12:01:07Z"})
    );
    assert_eq!(
        devices(&alice).await[0]["last_used_at"],
        "2026-11-24T12:00:07Z"
    );

    let renamed = alice
        .json(
            Method::PATCH,
            &path_of(device["device_id"].as_str().unwrap()),
            &json!({"name": "Blue"}),
        )
        .await
        .ok();
    assert_eq!(renamed["device"]["name"], "Blue");
    let removed = alice
        .delete(&path_of(device["device_id"].as_str().unwrap()))
        .await
        .ok();
    assert_eq!(removed, json!({"removed": true}));
}

#[tokio::test]
async fn what_browsers_add_to_their_answers_is_passed_over() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    let extensions = json!({"credProps": {"rk": true}, "prf": {"enabled": false}, "junk": {"deep": [1, null, {}]}});
    let begun = alice.post(BEGIN).await.ok();
    let mut body = key.register(&begun);
    body["credential"]["clientExtensionResults"] = extensions.clone();
    body["credential"]["authenticatorAttachment"] = json!("cross-platform");
    body["credential"]["response"]["publicKeyAlgorithm"] = json!(-7);
    body["credential"]["response"]["publicKey"] = json!("AAAA");
    body["credential"]["response"]["authenticatorData"] = json!("AAAA");
    body["credential"]["response"]["transports"] =
        json!(["usb", "nfc", "smart-card", "carrier-pigeon"]);
    body["more"] = json!(1);
    alice.post_json(COMPLETE, &body).await.ok();
    let begun = alice.post(VERIFY_BEGIN).await.ok();
    let mut body = key.verify(&begun);
    body["credential"]["clientExtensionResults"] = extensions;
    body["credential"]["authenticatorAttachment"] = Value::Null;
    alice.post_json(VERIFY, &body).await.ok();
}

#[tokio::test]
async fn several_keys_are_excluded_from_registering_anew_and_each_proves() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut keys = [
        Authenticator::new(),
        Authenticator::new(),
        Authenticator::passkey(),
    ];
    for key in &keys {
        enrol(&alice, key).await;
    }
    let begun = alice.post(BEGIN).await.ok();
    let excluded: Vec<Vec<u8>> = begun["publicKey"]["excludeCredentials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| decode(&it["id"]))
        .collect();
    assert_eq!(
        excluded,
        keys.each_ref().map(|key| key.credential_id.clone())
    );
    for key in &mut keys {
        prove(&alice, key).await;
    }
    // A key that registers although it was told not to.
    let again = keys[0].register(&begun);
    alice
        .post_json(COMPLETE, &again)
        .await
        .refused(409, "key_known");
    assert_eq!(devices(&alice).await.len(), 3);
    prove(&alice, &mut keys[0]).await;
}

#[tokio::test]
async fn authenticators_file_a_person_under_a_random_name_that_stays() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    let handle = async |person: &crate::support::Client| {
        decode(&person.post(BEGIN).await.ok()["publicKey"]["user"]["id"])
    };
    let first = handle(&alice).await;
    assert!(first.len() >= 16);
    assert_eq!(handle(&alice).await, first);
    let device = enrol(&alice, &Authenticator::new()).await;
    assert_eq!(handle(&alice).await, first);
    alice.delete(&path_of(&device)).await.ok();
    assert_eq!(handle(&alice).await, first);
    assert_ne!(handle(&bob).await, first);
    let shown = format!("{} {}", encode(&first), String::from_utf8_lossy(&first));
    assert!(!shown.to_lowercase().contains("alice"), "{shown}");
    // Not derived: the same person has another on another server.
    let other = Server::start().await;
    assert_ne!(handle(&other.alice()).await, first);
}

#[tokio::test]
async fn challenges_never_repeat() {
    let server = Server::start().await;
    let alice = server.alice();
    enrol(&alice, &Authenticator::new()).await;
    let mut seen = std::collections::HashSet::new();
    for n in 0..40 {
        let begun = alice.post([BEGIN, VERIFY_BEGIN][n % 2]).await.ok();
        assert!(seen.insert(begun["publicKey"]["challenge"].to_string()));
        assert!(seen.insert(begun["challenge_id"].to_string()));
    }
}

#[tokio::test]
async fn only_the_owner_reaches_a_key() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    let mut key = Authenticator::new();
    let device = enrol(&alice, &key).await;
    enrol(&bob, &Authenticator::new()).await;
    bob.delete(&path_of(&device))
        .await
        .refused(404, "not_found");
    bob.json(Method::PATCH, &path_of(&device), &json!({"name": "x"}))
        .await
        .refused(404, "not_found");
    for path in [
        "",
        "mfa_",
        "mfa_%00",
        "%ff",
        "mfa_aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "chl_aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "..%2f..",
    ] {
        let reply = bob.delete(&path_of(path)).await;
        reply.refused(404, "not_found");
    }
    for path in [BEGIN, VERIFY_BEGIN, COMPLETE, VERIFY] {
        server
            .stranger()
            .post(path)
            .await
            .refused(401, "unauthenticated");
        server
            .login_service()
            .post(path)
            .await
            .refused(403, "forbidden");
    }
    server
        .stranger()
        .delete(&path_of(&device))
        .await
        .refused(401, "unauthenticated");
    assert_eq!(devices(&alice).await[0]["name"], "Security key");
    prove(&alice, &mut key).await;
    assert!(PUBLIC_URL.ends_with("mfa.example.com"));
}

#[tokio::test]
async fn what_is_no_answer_of_a_browser_is_misfit_and_costs_no_challenge() {
    let server = Server::start().await;
    let alice = server.alice();
    let key = Authenticator::new();
    let begun = alice.post(BEGIN).await.ok();
    let honest = key.register(&begun);
    for (bent, kind) in [
        (json!(null), "dict_type"),
        (json!("x"), "dict_type"),
        (json!([]), "dict_type"),
        (json!({}), "value_error"),
        (json!({"id": 4}), "value_error"),
    ] {
        let mut body = honest.clone();
        body["credential"] = bent;
        let misfit = alice.post_json(COMPLETE, &body).await.misfit();
        assert_eq!(
            (&misfit[0]["loc"], &misfit[0]["type"]),
            (&json!(["body", "credential"]), &json!(kind))
        );
    }
    let misfits = alice.post_json(COMPLETE, &json!({})).await.misfit();
    assert_eq!(misfits.len(), 3);
    alice.post_json(COMPLETE, &honest).await.ok();
}
