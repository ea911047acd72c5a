//! A challenge from its opening to its result.

use serde_json::json;

use super::super::{email, totp, webauthn};
use super::{CHALLENGES, by, claims, id, met, of, open, service};
use crate::support::{Authenticator, PUBLIC_URL, Server};

#[tokio::test]
async fn a_right_code_gives_a_signed_result_once() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = totp::enrol(&server, &alice).await;
    let portal = server.login_service();
    let opened = open(&portal, "alice").await;
    assert_eq!(opened["decision"], "challenge");
    assert_eq!(opened["status"], "pending");
    assert_eq!(opened["methods"], json!(["totp", "backup_code"]));
    assert_eq!(
        opened["expires_at"],
        totp::rfc3339(server.clock.unix() + 300)
    );
    let code = app.code(server.clock.unix());
    let verify = of(&opened, "/verify");
    let verified = portal.post_json(&verify, &by("totp", &code)).await.ok();
    assert_eq!(verified["verified"], true);
    assert_eq!(verified["result"], true);
    assert_eq!(verified["method"], "totp");
    assert_eq!(verified["amr"], json!(["pwd", "otp", "mfa"]));
    assert_eq!(verified["backup_codes_remaining"], 10);
    let claims = claims(&server, &verified).await;
    let now = server.clock.unix();
    assert_eq!(
        claims,
        json!({
            "iss": PUBLIC_URL, "sub": "alice", "sub_iss": server.issuer.url, "aud": "portal",
            "iat": now, "exp": now + 120, "auth_time": now, "jti": id(&opened), "challenge_id": id(&opened),
            "amr": ["pwd", "otp", "mfa"], "acr": "urn:mfad:acr:otp", "method": "totp",
        })
    );
    // A lost answer costs no second code: the outcome is there until the result ends.
    let state = portal.get(&of(&opened, "")).await.ok();
    assert_eq!(state["status"], "verified");
    assert_eq!(state["verified"], true);
    assert_eq!(super::claims(&server, &state).await, claims);
    server.clock.forward(120);
    let state = portal.get(&of(&opened, "")).await.ok();
    assert_eq!(state["verified"], true);
    assert_eq!(state["token"], json!(null));
    // It is verified once, whatever comes.
    let again = app.code(server.clock.unix());
    let refused = portal.post_json(&verify, &by("totp", &again)).await;
    let body = refused.refused(409, "challenge_closed");
    assert_eq!(
        (&body["verified"], &body["result"]),
        (&json!(false), &json!(false))
    );
    // What was refused was not used up.
    let other = open(&portal, "alice").await;
    portal
        .post_json(&of(&other, "/verify"), &by("totp", &again))
        .await
        .ok();
    // The result opens nothing here.
    let token = verified["token"].as_str().unwrap().to_owned();
    let reply = server.bearer(token).get("/api/v1/me/mfa").await;
    reply.refused(401, "invalid_token");
}

#[tokio::test]
async fn every_factor_answers_and_the_last_used_stands_first() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    email::enrol(&server, &alice).await;
    let mut key = Authenticator::new();
    webauthn::enrol(&alice, &key).await;
    let portal = server.login_service();

    let opened = open(&portal, "alice").await;
    assert_eq!(
        opened["methods"],
        json!(["webauthn", "totp", "email", "backup_code"])
    );
    let begun = portal.post(&of(&opened, "/webauthn")).await.ok();
    let mut answer = key.verify(&begun);
    answer["method"] = json!("webauthn");
    let verified = portal
        .post_json(&of(&opened, "/verify"), &answer)
        .await
        .ok();
    assert_eq!(verified["amr"], json!(["pwd", "hwk", "user", "mfa"]));
    assert_eq!(claims(&server, &verified).await["acr"], "phrh");

    server.clock.next_step();
    let opened = open(&portal, "alice").await;
    let code = app.code(server.clock.unix());
    portal
        .post_json(&of(&opened, "/verify"), &by("totp", &code))
        .await
        .ok();

    server.clock.forward(60);
    let opened = open(&portal, "alice").await;
    assert_eq!(
        opened["methods"],
        json!(["totp", "webauthn", "email", "backup_code"])
    );
    let sent = portal.post(&of(&opened, "/email")).await.ok();
    assert_eq!(sent["sent_to"], "a•••@example.com");
    let mailed = email::code_mail(&server).await;
    assert!(mailed.text().contains("sign in"), "{}", mailed.text());
    let verified = portal
        .post_json(
            &of(&opened, "/verify"),
            &by("email", &mailed.code().unwrap()),
        )
        .await
        .ok();
    assert_eq!(verified["amr"], json!(["pwd", "otp", "mca", "mfa"]));
    assert_eq!(
        claims(&server, &verified).await["acr"],
        "urn:mfad:acr:email"
    );

    let opened = open(&portal, "alice").await;
    assert_eq!(opened["methods"][0], "email");
    let verified = portal
        .post_json(&of(&opened, "/verify"), &by("backup_code", &codes[0]))
        .await
        .ok();
    assert_eq!(verified["backup_codes_remaining"], 9);
    assert_eq!(verified["amr"], json!(["pwd", "mfa"]));
}

#[tokio::test]
async fn whoever_has_no_factor_is_let_in_where_nothing_is_asked_of_them() {
    let server = Server::start().await;
    let portal = server.login_service();
    met(&server.person("nobody-yet")).await;
    let opened = open(&portal, "nobody-yet").await;
    assert_eq!(opened["decision"], "allow");
    assert_eq!(opened["status"], "closed");
    assert_eq!(opened["methods"], json!([]));
    assert!(opened.get("token").is_none() && opened.get("verified").is_none());
    let reply = portal
        .post_json(&of(&opened, "/verify"), &by("totp", "123456"))
        .await;
    reply.refused(409, "challenge_closed");
}

#[tokio::test]
async fn a_challenge_is_its_services_alone_and_ends_after_five_minutes() {
    let mut server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    let opened = open(&portal, "alice").await;
    let other = service(&server, "wiki");
    let random = format!("{CHALLENGES}/chl_aaaaaaaaaaaaaaaaaaaaaaaaaa");
    let answer = by("totp", &app.code(server.clock.unix()));
    for path in [of(&opened, ""), random.clone()] {
        other.get(&path).await.refused(404, "not_found");
        other
            .post(&format!("{path}/email"))
            .await
            .refused(404, "not_found");
        other
            .post(&format!("{path}/webauthn"))
            .await
            .refused(404, "not_found");
        let reply = other.post_json(&format!("{path}/verify"), &answer).await;
        assert_eq!(reply.refused(404, "not_found")["verified"], false);
    }
    // It is there after a restart.
    server.restart().await;
    let portal = server.login_service();
    assert_eq!(portal.get(&of(&opened, "")).await.ok()["status"], "pending");
    server.clock.forward(300);
    assert_eq!(portal.get(&of(&opened, "")).await.ok()["status"], "expired");
    let answer = by("totp", &app.code(server.clock.unix()));
    for step in ["/email", "/webauthn"] {
        let reply = portal.post(&of(&opened, step)).await;
        reply.refused(409, "challenge_expired");
    }
    let reply = portal.post_json(&of(&opened, "/verify"), &answer).await;
    reply.refused(409, "challenge_expired");
}
