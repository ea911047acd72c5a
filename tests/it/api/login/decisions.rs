//! What services are told to do, under which policy.

use mfad::clients::{Service, Unknown};
use mfad::policy::Key;
use serde_json::{Value, json};

use super::super::{email, totp, webauthn};
use super::{answer, member, met, of, one_call, open, open_with, register, service, unregistered};
use crate::support::{Authenticator, Server};

const DAY: u64 = 86_400;

#[tokio::test]
async fn a_factor_is_asked_of_whom_policy_says_and_of_nobody_else() {
    let server = Server::start().await;
    let (portal, wiki) = (server.login_service(), service(&server, "wiki"));
    // Known to us, without a factor.
    member(&server, "acme", "kim", "kim")
        .post(totp::ENABLE)
        .await
        .ok();
    met(&server.person("lee")).await;
    let staff = json!({"scope": ["openid", "staff"]});
    let plain = json!({"scope": ["openid", "staff2", "Staff", "sta", "staff:read"]});
    // Rules, and whom they make set up a factor: kim of acme, kim with a scope, at the wiki; lee, who has no tenant.
    for (rules, kims, kims_with_staff, kims_at_wiki, lees) in [
        (&["none"][..], "allow", "allow", "allow", "allow"),
        (&["all"], "enroll", "enroll", "enroll", "enroll"),
        (&["tenant:acme"], "enroll", "enroll", "enroll", "allow"),
        (&["tenant:acm"], "allow", "allow", "allow", "allow"),
        (&["tenant:ACME"], "allow", "allow", "allow", "allow"),
        (&["scope:staff"], "allow", "enroll", "allow", "allow"),
        (&["service:wiki"], "allow", "allow", "enroll", "allow"),
        (&["service:portal"], "enroll", "enroll", "allow", "enroll"),
        (
            &["service:Wiki", "scope:x"],
            "allow",
            "allow",
            "allow",
            "allow",
        ),
    ] {
        server.set_policy(Key::RequireMfa, rules).await.unwrap();
        let decision = async |service, subject, more: &Value| {
            let opened: Value = open_with(service, subject, more.clone()).await;
            assert_eq!(opened["methods"], json!([]));
            assert!(opened.get("token").is_none());
            opened["decision"].clone()
        };
        assert_eq!(decision(&portal, "kim", &plain).await, kims, "{rules:?}");
        assert_eq!(
            decision(&portal, "kim", &staff).await,
            kims_with_staff,
            "{rules:?}"
        );
        assert_eq!(
            decision(&wiki, "kim", &plain).await,
            kims_at_wiki,
            "{rules:?}"
        );
        assert_eq!(decision(&portal, "lee", &plain).await, lees, "{rules:?}");
    }
    // Whoever has a factor is asked for it whatever is required.
    totp::enrol(&server, &server.alice()).await;
    server.set_policy(Key::RequireMfa, &["none"]).await.unwrap();
    assert_eq!(open(&portal, "alice").await["decision"], "challenge");
    // What is to be set up first takes no answers.
    server.set_policy(Key::RequireMfa, &["all"]).await.unwrap();
    let opened = open(&portal, "kim").await;
    answer(&portal, &opened, "totp", "123456")
        .await
        .refused(409, "challenge_closed");
    portal
        .post(&of(&opened, "/email"))
        .await
        .refused(409, "challenge_closed");
}

#[tokio::test]
async fn a_service_of_one_tenant_is_told_of_strangers_what_its_tenants_people_are_asked() {
    let server = Server::start().await;
    let acme = Service {
        tenants: vec!["acme".to_owned()],
        unknown: Some(Unknown::Allow),
        ..unregistered("acme")
    };
    let acme = register(&server, acme).await;
    met(&member(&server, "umbrella", "s-2", "eve")).await;
    for (rule, decision) in [
        ("tenant:acme", "enroll"),
        // Of which tenant somebody else is cannot be told.
        ("tenant:umbrella", "allow"),
    ] {
        server.set_policy(Key::RequireMfa, &[rule]).await.unwrap();
        assert_eq!(open(&acme, "nobody").await["decision"], decision, "{rule}");
        // Whoever is of another for sure has no business here.
        assert_eq!(open(&acme, "s-2").await["decision"], "deny", "{rule}");
    }
}

#[tokio::test]
async fn a_grace_lets_people_go_on_for_its_days_and_is_not_begun_anew() {
    let server = Server::start().await;
    server.set_policy(Key::RequireMfa, &["all"]).await.unwrap();
    server.set_policy(Key::GraceDays, &["7"]).await.unwrap();
    let portal = server.login_service();
    met(&server.person("kim")).await;
    assert_eq!(open(&portal, "kim").await["decision"], "allow");
    for day in 1..=8 {
        server.clock.forward(DAY);
        // The sweep comes by every day.
        let tools = &server.desk.tools;
        tools.store.sweep(tools.now()).await.unwrap();
        let decision = if day < 7 { "allow" } else { "enroll" };
        let portal = server.login_service();
        assert_eq!(open(&portal, "kim").await["decision"], decision, "{day}");
    }
    // Setting one up and taking it away begins none either.
    let kim = server.person("kim");
    let (app, _) = totp::enrol(&server, &kim).await;
    server.set_policy(Key::RequireMfa, &["none"]).await.unwrap();
    let code = app.code(server.clock.unix());
    kim.code(totp::DISABLE, &code).await.ok();
    server.set_policy(Key::RequireMfa, &["all"]).await.unwrap();
    let portal = server.login_service();
    assert_eq!(open(&portal, "kim").await["decision"], "enroll");
    // A clock that steps back makes it no longer.
    server.clock.back(8 * DAY);
    let portal = server.login_service();
    open(&portal, "kim").await;
    server.clock.forward(8 * DAY);
    let portal = server.login_service();
    assert_eq!(open(&portal, "kim").await["decision"], "enroll");
}

#[tokio::test]
async fn mailed_codes_sign_nobody_in_where_they_are_for_recovery_or_off() {
    let server = Server::start().await;
    let alice = server.alice();
    let codes = email::enrol(&server, &alice).await;
    for word in ["recovery", "off"] {
        server.set_policy(Key::EmailFactor, &[word]).await.unwrap();
        let portal = server.login_service();
        let opened = open(&portal, "alice").await;
        // What no longer counts lets nobody in unasked.
        assert_eq!(opened["decision"], "enroll", "{word}");
        assert_eq!(opened["methods"], json!([]));
        portal
            .post(&of(&opened, "/email"))
            .await
            .refused(409, "challenge_closed");
        // Nor do backup codes, which stand in for what counts.
        one_call(&portal, "alice", &codes[0])
            .await
            .refused(400, "wrong_code");
    }
    server.set_policy(Key::EmailFactor, &["on"]).await.unwrap();
    let portal = server.login_service();
    one_call(&portal, "alice", &codes[0]).await.ok();
}

#[tokio::test]
async fn kinds_that_are_not_allowed_are_neither_offered_nor_taken() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    webauthn::enrol(&alice, &Authenticator::new()).await;
    let portal = server.login_service();
    server
        .set_policy(Key::AllowFactor, &["webauthn"])
        .await
        .unwrap();
    let opened = open(&portal, "alice").await;
    assert_eq!(opened["methods"], json!(["webauthn", "backup_code"]));
    let code = app.code(server.clock.unix());
    answer(&portal, &opened, "totp", &code)
        .await
        .refused(400, "wrong_code");
    one_call(&portal, "alice", &code)
        .await
        .refused(400, "wrong_code");
    answer(&portal, &opened, "backup_code", &codes[0])
        .await
        .ok();
    server
        .set_policy(Key::AllowFactor, &["email"])
        .await
        .unwrap();
    let opened = open(&portal, "alice").await;
    assert_eq!(opened["decision"], "enroll");
    one_call(&portal, "alice", &codes[1])
        .await
        .refused(400, "wrong_code");
}

#[tokio::test]
async fn guesses_at_what_policy_does_not_take_give_no_guess_back() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = totp::enrol(&server, &alice).await;
    webauthn::enrol(&alice, &Authenticator::new()).await;
    server
        .set_policy(Key::AllowFactor, &["webauthn"])
        .await
        .unwrap();
    let wrong = app.wrong_code(server.clock.unix());
    // On her own page the app still proves her.
    for _ in 0..5 {
        alice
            .code(totp::DISABLE, &wrong)
            .await
            .refused(400, "wrong_code");
    }
    server.clock.forward(30);
    one_call(&server.login_service(), "alice", &wrong)
        .await
        .refused(400, "wrong_code");
    // The sixth miss is the sixth, however long one waits.
    for days in [1, 400] {
        server.clock.forward(days * DAY);
        let tools = &server.desk.tools;
        tools.store.sweep(tools.now()).await.unwrap();
    }
    let alice = server.alice();
    let wrong = app.wrong_code(server.clock.unix());
    alice
        .code(totp::DISABLE, &wrong)
        .await
        .refused(400, "wrong_code");
    let reply = alice.code(totp::DISABLE, &wrong).await;
    assert_eq!(reply.refused(429, "locked")["retry_after"], 120);
}
