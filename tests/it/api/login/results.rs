//! What a result claims, and to whom.

use serde_json::{Value, json};

use super::super::{totp, webauthn};
use super::{answer, claims, id, of, one_call, open_with, service};
use crate::support::{Authenticator, Server, UP, UV, code_at};

#[tokio::test]
async fn a_result_claims_what_was_said_and_seen_and_mfa_by_nobodys_word() {
    let server = Server::start().await;
    let (app, codes) = totp::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    for (number, (said, claimed)) in [
        (json!(["pwd"]), json!(["pwd", "otp", "mfa"])),
        (json!([]), json!(["otp"])),
        (Value::Null, json!(["otp"])),
        (json!(["mfa"]), json!(["otp"])),
        (json!(["mfa", "mfa", "otp"]), json!(["otp"])),
        (json!(["pwd", "mfa"]), json!(["pwd", "otp", "mfa"])),
        (json!(["otp"]), json!(["otp"])),
        (json!(["sms", "tel"]), json!(["sms", "tel", "otp"])),
        (json!(["hwk", "user"]), json!(["hwk", "user", "otp"])),
        (json!(["fpt"]), json!(["fpt", "otp", "mfa"])),
        (json!(["MFA"]), json!(["MFA", "otp"])),
    ]
    .into_iter()
    .enumerate()
    {
        server.clock.next_step();
        let opened = open_with(&portal, "alice", json!({"amr": said})).await;
        let code = app.code(server.clock.unix());
        let verified = answer(&portal, &opened, "totp", &code).await.ok();
        assert_eq!(verified["amr"], claimed, "{number}");
        let claims = claims(&server, &verified).await;
        assert_eq!(claims["amr"], claimed);
        assert_eq!(claims["acr"], "urn:mfad:acr:otp");
    }
    let opened = open_with(&portal, "alice", json!({"amr": []})).await;
    let verified = answer(&portal, &opened, "backup_code", &codes[0])
        .await
        .ok();
    assert_eq!(verified["amr"], json!([]));
    for odd in [
        json!("pwd"),
        json!(["p w d"]),
        json!(["\u{e9}"]),
        json!([""]),
        json!(["x".repeat(129)]),
        json!([1]),
        json!(["\n"]),
        json!(vec!["pwd"; 65]),
    ] {
        let body = json!({"subject": "alice", "amr": odd});
        let reply = portal.post_json(super::CHALLENGES, &body).await;
        // A blank between words is the other way to write several.
        if odd == json!("pwd") {
            assert_eq!(reply.status, 201);
            continue;
        }
        assert_eq!(reply.status, 422, "{odd}");
    }
    // In one call nothing is said of what came before.
    server.clock.next_step();
    let code = app.code(server.clock.unix());
    let verified = one_call(&portal, "alice", &code).await.ok();
    assert_eq!(verified["amr"], json!(["otp"]));
    assert!(verified.get("token").is_none());
}

#[tokio::test]
async fn only_a_key_that_asked_for_more_is_two_factors_in_one() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    let mut key = Authenticator::new();
    webauthn::enrol(&alice, &key).await;
    let mut passkey = Authenticator::passkey();
    webauthn::enrol(&bob, &passkey).await;
    let portal = server.login_service();
    for (subject, flags, claimed, level) in [
        ("alice", UP, json!(["hwk", "user"]), "phrh"),
        ("alice", UP | UV, json!(["hwk", "user", "mfa"]), "phrh"),
        ("bob", passkey.flags, json!(["swk", "user", "mfa"]), "phr"),
    ] {
        let key = match subject {
            "alice" => &mut key,
            _ => &mut passkey,
        };
        let opened = open_with(&portal, subject, json!({"amr": ["mfa"]})).await;
        let begun = portal.post(&of(&opened, "/webauthn")).await.ok();
        let mut assertion = key.assertion(&begun);
        assertion.flags = flags;
        let credential = key.seal_assertion(&begun, &assertion);
        let body = json!({"method": "webauthn", "credential": credential});
        let verified = portal.post_json(&of(&opened, "/verify"), &body).await.ok();
        assert_eq!(verified["amr"], claimed, "{subject} {flags}");
        assert_eq!(claims(&server, &verified).await["acr"], level);
    }
}

#[tokio::test]
async fn a_result_is_its_services_and_opens_nothing_here() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let (portal, other) = (server.login_service(), service(&server, "other"));
    let opened = super::open(&portal, "alice").await;
    let code = app.code(server.clock.unix());
    let verified = answer(&portal, &opened, "totp", &code).await.ok();
    let first = claims(&server, &verified).await;
    assert_eq!(first["aud"], "portal");
    for _ in 0..3 {
        server.clock.forward(30);
        let again = portal.get(&of(&opened, "")).await.ok();
        assert_eq!(claims(&server, &again).await, first);
        assert_eq!(again["method"], "totp");
    }
    other.get(&of(&opened, "")).await.refused(404, "not_found");
    let token = verified["token"].as_str().unwrap().to_owned();
    let holder = server.bearer(token.clone());
    for path in ["/api/v1/me/mfa", "/api/v1/me/mfa/events"] {
        holder.get(path).await.refused(401, "invalid_token");
    }
    holder
        .post(totp::ENABLE)
        .await
        .refused(401, "invalid_token");
    holder
        .get(&of(&opened, ""))
        .await
        .refused(401, "invalid_token");
    let reply = one_call(&holder, "alice", &code).await;
    reply.refused(401, "invalid_token");
    // Neither is it a trusted browser's token, a prompt's or a code.
    let asking = json!({"device_token": token});
    let next = open_with(&portal, "alice", asking).await;
    assert_eq!(next["decision"], "challenge");
    let body = json!({"prompt": token});
    server
        .stranger()
        .post_json("/api/v1/prompt/open", &body)
        .await
        .refused(404, "not_found");
    answer(&portal, &next, "totp", &token)
        .await
        .refused(400, "wrong_code");
    // Nor does the id of a challenge do what its prompt's token does.
    let body = json!({"prompt": id(&next)});
    server
        .stranger()
        .post_json("/api/v1/prompt/open", &body)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn a_refusal_says_in_every_word_that_nothing_was_verified() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    let opened = super::open(&portal, "alice").await;
    let path = of(&opened, "/verify");
    let wrong = app.wrong_code(server.clock.unix());
    for (path, body) in [
        (path.as_str(), json!({"method": "totp", "code": wrong})),
        (path.as_str(), json!({"method": "email", "code": wrong})),
        (super::VERIFY, json!({"subject": "alice", "code": wrong})),
        (super::VERIFY, json!({"subject": "nobody", "code": wrong})),
    ] {
        let body = portal
            .post_json(path, &body)
            .await
            .refused(400, "wrong_code");
        assert_eq!(
            (&body["verified"], &body["result"]),
            (&json!(false), &json!(false))
        );
        assert!(body.get("token").is_none() && body.get("amr").is_none());
    }
    // The step before and the one after are good, two away is not.
    let unix = server.clock.unix();
    let secret = &app.secret;
    for (at, fine) in [(unix - 60, false), (unix + 60, false), (unix + 30, true)] {
        let reply = one_call(&portal, "alice", &code_at(secret, at)).await;
        assert_eq!(reply.status.is_success(), fine, "{at}");
    }
    // The clock steps back: what was used ahead stays used.
    server.clock.back(30);
    for at in [unix - 30, unix, unix + 30] {
        let reply = one_call(&portal, "alice", &code_at(secret, at)).await;
        reply.refused(400, "wrong_code");
    }
}
