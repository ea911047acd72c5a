//! Challenges that are over, and what befalls one while it is open.

use mfad::policy::Key;
use serde_json::{Value, json};

use super::super::{email, totp, webauthn};
use super::{CHALLENGES, answer, by, of, open, open_with, service, wiki};
use crate::support::process::now;
use crate::support::{App, Authenticator, Client, Server, Site};

/// That no step of the challenge does anything any more, and a right code is not used up by trying.
async fn takes_nothing(service: &Client, challenge: &Value, status: u16, code: &str, right: &str) {
    for step in ["/email", "/webauthn"] {
        let reply = service.post(&of(challenge, step)).await;
        reply.refused(status, code);
    }
    for method in ["totp", "email", "backup_code"] {
        let reply = answer(service, challenge, method, right).await;
        let body = reply.refused(status, code);
        assert_eq!(body["verified"], false);
        assert_eq!(body["result"], false);
        assert_eq!(body.get("tries_left"), None);
    }
}

#[tokio::test]
async fn a_challenge_that_was_answered_is_over() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    email::enrol(&server, &alice).await;
    webauthn::enrol(&alice, &Authenticator::new()).await;
    let portal = server.login_service();
    let opened = open(&portal, "alice").await;
    let code = app.code(server.clock.unix());
    answer(&portal, &opened, "totp", &code).await.ok();
    server.clock.next_step();
    let fresh = app.code(server.clock.unix());
    takes_nothing(&portal, &opened, 409, "challenge_closed", &fresh).await;
    takes_nothing(&portal, &opened, 409, "challenge_closed", &codes[0]).await;
    // Neither was used up.
    let other = open(&portal, "alice").await;
    answer(&portal, &other, "totp", &fresh).await.ok();
    let other = open(&portal, "alice").await;
    answer(&portal, &other, "backup_code", &codes[0]).await.ok();
}

#[tokio::test]
async fn five_wrong_answers_of_any_kind_close_a_challenge_for_good() {
    let mut server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    let mut key = Authenticator::new();
    webauthn::enrol(&alice, &key).await;
    let portal = server.login_service();
    let opened = open(&portal, "alice").await;
    let wrong = app.wrong_code(server.clock.unix());
    let backup = "0000-0000-0000-0000";
    let begun = portal.post(&of(&opened, "/webauthn")).await.ok();
    let mut bent = key.verify(&begun);
    bent["method"] = json!("webauthn");
    bent["credential"]["response"]["signature"] = json!("AAAA");
    let path = of(&opened, "/verify");
    for (left, body) in [
        (4, by("totp", &wrong)),
        (3, by("backup_code", backup)),
        (2, bent.clone()),
        (1, by("email", "123456")),
        (0, by("backup_code", &wrong)),
    ] {
        let reply = portal.post_json(&path, &body).await;
        assert_eq!(reply.status, 400, "{}", reply.text);
        assert_eq!(reply.json()["tries_left"], left);
    }
    assert_eq!(portal.get(&of(&opened, "")).await.ok()["status"], "failed");
    takes_nothing(&portal, &opened, 409, "challenge_closed", &codes[0]).await;
    server.restart().await;
    let portal = server.login_service();
    takes_nothing(&portal, &opened, 409, "challenge_closed", &codes[0]).await;
    // One wrong code of an app locks no app.
    let other = open(&portal, "alice").await;
    let code = app.code(server.clock.unix());
    answer(&portal, &other, "totp", &code).await.ok();
}

#[tokio::test]
async fn an_expired_challenge_takes_nothing_and_does_not_come_back_with_the_clock() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    email::enrol(&server, &alice).await;
    let portal = server.login_service();
    let opened = open(&portal, "alice").await;
    portal.post(&of(&opened, "/email")).await.ok();
    let mailed = email::code_mail(&server).await.code().unwrap();
    server.clock.forward(299);
    assert_eq!(portal.get(&of(&opened, "")).await.ok()["status"], "pending");
    server.clock.forward(1);
    let code = app.code(server.clock.unix());
    for right in [&code, &mailed, &codes[0]] {
        takes_nothing(&portal, &opened, 409, "challenge_expired", right).await;
    }
    // Long after it is forgotten; and a clock that steps back brings nothing back that was swept.
    server.clock.forward(181);
    let tools = &server.desk.tools;
    tools.store.sweep(tools.now()).await.unwrap();
    takes_nothing(&portal, &opened, 404, "not_found", &codes[0]).await;
    server.clock.back(400);
    server.accept_clock().await;
    takes_nothing(&portal, &opened, 404, "not_found", &codes[0]).await;
}

#[tokio::test]
async fn what_was_removed_meanwhile_answers_nothing() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    email::enrol(&server, &alice).await;
    let mut key = Authenticator::new();
    let device = webauthn::enrol(&alice, &key).await;
    let portal = server.login_service();
    let opened = open(&portal, "alice").await;
    portal.post(&of(&opened, "/email")).await.ok();
    let mailed = email::code_mail(&server).await.code().unwrap();
    let begun = portal.post(&of(&opened, "/webauthn")).await.ok();

    alice
        .delete(&format!("/api/v1/me/mfa/webauthn/{device}"))
        .await
        .ok();
    let mut body = key.verify(&begun);
    body["method"] = json!("webauthn");
    let path = of(&opened, "/verify");
    portal
        .post_json(&path, &body)
        .await
        .refused(400, "webauthn_failed");
    portal
        .post(&of(&opened, "/webauthn"))
        .await
        .refused(409, "not_enabled");

    alice.code(email::DISABLE, &codes[0]).await.ok();
    answer(&portal, &opened, "email", &mailed)
        .await
        .refused(400, "wrong_code");
    portal
        .post(&of(&opened, "/email"))
        .await
        .refused(409, "not_enabled");
    // Set up again, the old code is still none.
    server.clock.forward(60);
    email::enrol(&server, &alice).await;
    answer(&portal, &opened, "email", &mailed)
        .await
        .refused(400, "wrong_code");

    // A new app: the old one's codes are dead.
    let now = server.clock.unix();
    let new = App::scan(&alice.code(totp::REPLACE, &app.code(now)).await.ok());
    alice.code(totp::CONFIRM, &new.code(now)).await.ok();
    server.clock.next_step();
    let dead = app.code(server.clock.unix());
    answer(&portal, &opened, "totp", &dead)
        .await
        .refused(400, "wrong_code");
    // With the last factor go the backup codes; a live challenge knows.
    let other = open(&portal, "alice").await;
    alice
        .code(totp::DISABLE, &new.code(server.clock.unix()))
        .await
        .ok();
    alice.code(email::DISABLE, &codes[1]).await.ok();
    answer(&portal, &other, "backup_code", &codes[2])
        .await
        .refused(400, "wrong_code");
    let code = new.code(server.clock.unix() + 30);
    answer(&portal, &other, "totp", &code)
        .await
        .refused(400, "wrong_code");
}

#[tokio::test]
async fn a_policy_that_changes_meanwhile_holds_for_open_challenges() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    email::enrol(&server, &alice).await;
    let mut key = Authenticator::new();
    webauthn::enrol(&alice, &key).await;
    let portal = server.login_service();
    let opened = open(&portal, "alice").await;
    portal.post(&of(&opened, "/email")).await.ok();
    let mailed = email::code_mail(&server).await.code().unwrap();
    let begun = portal.post(&of(&opened, "/webauthn")).await.ok();
    let mut asserted = key.verify(&begun);
    asserted["method"] = json!("webauthn");

    server
        .set_policy(Key::EmailFactor, &["recovery"])
        .await
        .unwrap();
    answer(&portal, &opened, "email", &mailed)
        .await
        .refused(400, "wrong_code");
    portal
        .post(&of(&opened, "/email"))
        .await
        .refused(409, "not_offered");
    server
        .set_policy(Key::AllowFactor, &["webauthn"])
        .await
        .unwrap();
    let code = app.code(server.clock.unix());
    answer(&portal, &opened, "totp", &code)
        .await
        .refused(400, "wrong_code");
    server
        .set_policy(Key::AllowFactor, &["totp"])
        .await
        .unwrap();
    let path = of(&opened, "/verify");
    portal
        .post_json(&path, &asserted)
        .await
        .refused(400, "wrong_code");
    portal
        .post(&of(&opened, "/webauthn"))
        .await
        .refused(409, "not_offered");
    // What was refused was judged by nobody, and is not used up.
    answer(&portal, &opened, "totp", &code).await.ok();
    let other = open(&portal, "alice").await;
    answer(&portal, &other, "backup_code", &codes[0]).await.ok();
}

#[tokio::test]
async fn an_unlock_opens_the_factor_and_no_closed_challenge() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    let portal = server.login_service();
    let (closed, other) = (open(&portal, "alice").await, open(&portal, "alice").await);
    let wrong = app.wrong_code(server.clock.unix());
    for _ in 0..5 {
        answer(&portal, &closed, "totp", &wrong)
            .await
            .refused(400, "wrong_code");
    }
    let code = app.code(server.clock.unix());
    answer(&portal, &other, "totp", &code)
        .await
        .refused(429, "locked");
    let body = json!({"type": "totp", "code": codes[0]});
    alice.post_json(totp::UNLOCK, &body).await.ok();
    answer(&portal, &closed, "totp", &code)
        .await
        .refused(409, "challenge_closed");
    answer(&portal, &other, "totp", &code).await.ok();
}

#[tokio::test]
async fn the_twenty_first_challenge_takes_the_place_of_the_oldest() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    totp::enrol(&server, &server.bob()).await;
    let (portal, other) = (server.login_service(), service(&server, "other"));
    let bobs = open(&portal, "bob").await;
    let elsewhere = open(&other, "alice").await;
    let mut all = Vec::new();
    for _ in 0..25 {
        server.clock.forward(1);
        all.push(open(&portal, "alice").await);
    }
    let code = app.code(server.clock.unix());
    for opened in &all[..5] {
        let state = portal.get(&of(opened, "")).await;
        state.refused(404, "not_found");
        answer(&portal, opened, "totp", &code)
            .await
            .refused(404, "not_found");
    }
    for opened in &all[5..] {
        assert_eq!(portal.get(&of(opened, "")).await.ok()["status"], "pending");
    }
    // They are counted for each service.
    let state = other.get(&of(&elsewhere, "")).await.ok();
    assert_eq!(state["status"], "pending");
    answer(&portal, &all[5], "totp", &code).await.ok();
    assert_eq!(portal.get(&of(&bobs, "")).await.ok()["status"], "pending");
}

#[tokio::test]
async fn ids_that_are_none_look_like_those_of_others() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let (portal, other) = (server.login_service(), service(&server, "other"));
    let opened = open(&portal, "alice").await;
    let theirs = super::id(&opened).to_owned();
    let code = app.code(server.clock.unix());
    let long = "a".repeat(10_000);
    let upper = theirs.to_uppercase();
    let padded = format!("{theirs}%20");
    let body = by("totp", &code);
    let random = format!("{CHALLENGES}/chl_aaaaaaaaaaaaaaaaaaaaaaaaaa");
    let expected = super::visible(&portal.get(&random).await);
    assert_eq!(expected.0, 404);
    for odd in [
        "chl_",
        "chl",
        "%00",
        "..%2f..",
        "%2e%2e",
        "%ff",
        "%c3%28",
        "chl_%00aaaaaaaaaaaaaaaaaaaaaaaaa",
        "mfa_aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "chl_AAAAAAAAAAAAAAAAAAAAAAAAAA",
        "1%20or%201=1",
        upper.as_str(),
        padded.as_str(),
        long.as_str(),
    ] {
        let path = format!("{CHALLENGES}/{odd}");
        assert_eq!(super::visible(&portal.get(&path).await), expected, "{odd}");
        for step in ["/email", "/webauthn"] {
            let reply = portal.post(&format!("{path}{step}")).await;
            reply.refused(404, "not_found");
        }
        let reply = portal.post_json(&format!("{path}/verify"), &body).await;
        assert_eq!(reply.refused(404, "not_found")["verified"], false, "{odd}");
    }
    // Another's is as little there, to the letter.
    assert_eq!(super::visible(&other.get(&of(&opened, "")).await), expected);
    answer(&portal, &opened, "totp", &code).await.ok();
    assert_eq!(super::visible(&other.get(&of(&opened, "")).await), expected);
}

#[tokio::test]
async fn people_and_services_keep_to_their_own_doors() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = totp::enrol(&server, &alice).await;
    let portal = server.login_service();
    let opened = open(&portal, "alice").await;
    let code = app.code(server.clock.unix());
    // A person's token with all scopes in the world is no service's.
    let token = server
        .issuer
        .token(crate::support::PUBLIC_URL, "alice")
        .with("scope", "openid mfa:verify mfa:admin")
        .with("client_id", "portal");
    let posing = server.bearer(token.sign());
    for person in [&alice, &posing] {
        let asking = json!({"subject": "alice"});
        person
            .post_json(CHALLENGES, &asking)
            .await
            .refused(403, "forbidden");
        person.get(&of(&opened, "")).await.refused(403, "forbidden");
        let reply = answer(person, &opened, "totp", &code).await;
        assert_eq!(reply.refused(403, "forbidden")["verified"], false);
        let reply = super::one_call(person, "alice", &code).await;
        assert_eq!(reply.refused(403, "forbidden")["result"], false);
    }
    let reply = answer(&server.stranger(), &opened, "totp", &code).await;
    assert_eq!(reply.refused(401, "unauthenticated")["verified"], false);
    // Nor is a service a person.
    for path in ["/api/v1/me/mfa", "/api/v1/me/mfa/events"] {
        portal.get(path).await.refused(403, "forbidden");
    }
    portal
        .code(totp::DISABLE, &code)
        .await
        .refused(403, "forbidden");
    let wiki = wiki(&server).await;
    wiki.get("/api/v1/me/mfa")
        .await
        .refused(401, "invalid_token");
    answer(&portal, &opened, "totp", &code).await.ok();
}

#[tokio::test]
async fn a_killed_server_forgets_neither_a_miss_nor_a_use_nor_a_challenge() {
    let mut site = Site::new().await;
    site.without_mail();
    let mut process = site.serve().await;
    let address = process.address();
    let alice = site.person(address, "alice");
    let app = App::scan(&alice.post(totp::ENABLE).await.ok());
    // The step before the present one, so that the present one is fresh.
    let used = now();
    alice.code(totp::CONFIRM, &app.code(used - 30)).await.ok();
    let printed = site.ordered(&["add", "radius"]).await;
    let key = printed.trim().to_owned();
    let radius = |address| Client::new(address, Some(key.clone()));
    let service = radius(address);
    let (first, second) = (open(&service, "alice").await, open(&service, "alice").await);
    let code = app.code(now());
    answer(&service, &first, "totp", &code).await.ok();
    let wrong = app.wrong_code(now());
    for left in [4, 3, 2, 1] {
        let reply = answer(&service, &second, "totp", &wrong).await;
        assert_eq!(reply.refused(400, "wrong_code")["tries_left"], left);
    }
    process.kill().await;

    let process = site.serve().await;
    let service = radius(process.address());
    let state = service.get(&of(&first, "")).await.ok();
    assert_eq!(state["status"], "verified");
    assert!(state["token"].is_string());
    answer(&service, &first, "totp", &code)
        .await
        .refused(409, "challenge_closed");
    // The used code is no miss; the next wrong one is the fifth of the factor and of the challenge.
    let reply = answer(&service, &second, "totp", &code).await;
    reply.refused(400, "code_used");
    let reply = answer(&service, &second, "totp", &wrong).await;
    assert_eq!(reply.refused(400, "wrong_code")["tries_left"], 0);
    answer(&service, &second, "totp", &wrong)
        .await
        .refused(409, "challenge_closed");
    let third = open_with(&service, "alice", json!({})).await;
    answer(&service, &third, "totp", &wrong)
        .await
        .refused(429, "locked");
}
