//! Which sign-in is enough for which change.

use serde_json::{Value, json};

use super::*;
use crate::support::App;
use mfad::policy::FactorChangeProof;

/// Seconds since the sign-in, where it is told; what `amr` says; whether that is enough for somebody without a
/// second factor, and with one.
type Row = (&'static str, Option<i64>, Value, bool, bool);

fn rows() -> Vec<Row> {
    let limit = MAX_AGE as i64;
    vec![
        ("nothing is told", None, Value::Null, false, false),
        ("no auth_time", None, json!(["mfa"]), false, false),
        (
            "a second too old",
            Some(limit + 1),
            json!(["mfa"]),
            false,
            false,
        ),
        ("of yesterday", Some(86_400), json!(["mfa"]), false, false),
        ("just in time", Some(limit), json!(["mfa"]), true, true),
        ("just now", Some(0), json!(["pwd", "otp"]), true, true),
        (
            "by a clock that is ahead",
            Some(-30),
            json!(["mfa"]),
            true,
            true,
        ),
        ("of the future", Some(-31), json!(["mfa"]), false, false),
        (
            "of next year",
            Some(-31_536_000),
            json!(["mfa"]),
            false,
            false,
        ),
        ("fresh without amr", Some(5), Value::Null, true, false),
        ("fresh, by nothing", Some(5), json!([]), true, false),
        ("fresh, by password", Some(5), json!(["pwd"]), true, false),
        (
            "fresh, by what only looks like it",
            Some(5),
            json!(["MFA", "mfa-ish", "user"]),
            true,
            false,
        ),
        (
            "fresh, in one string of two words",
            Some(5),
            json!("pwd mfa"),
            true,
            false,
        ),
        ("fresh, by one word", Some(5), json!("mfa"), true, true),
        (
            "fresh, by a key",
            Some(5),
            json!(["pwd", "hwk"]),
            true,
            true,
        ),
    ]
}

fn somebody(server: &Server, subject: &str, age: Option<i64>, amr: &Value) -> Client {
    let at = age.map(|age| server.clock.unix().saturating_add_signed(-age));
    signed_in(server, subject, at, amr.clone())
}

#[tokio::test]
async fn who_has_a_second_factor_needs_a_recent_sign_in_with_one() {
    let server = strict().await;
    for (r, (name, age, amr, _, enough)) in rows().into_iter().enumerate() {
        let subject = format!("person-{r}");
        let owned = enrol(&server, &subject).await;
        let person = somebody(&server, &subject, age, &amr);
        for change in CHANGES {
            let context = format!("{change:?} with a sign-in {name}");
            let before = overview(&person).await;
            let reply = change.ask(&person, &owned.device, None).await;
            let outcome = if enough { "done" } else { "refused" };
            let event = last_event(&person, outcome).await;
            assert_eq!(event["action"], change.action(), "{context}");
            if enough {
                assert_eq!(reply.status, 200, "{context}: {}", reply.text);
                assert_eq!(event["outcome"], "done", "{context}");
                continue;
            }
            assert_eq!(reply.status, 401, "{context}: {}", reply.text);
            assert_asked_for_more(&reply);
            assert_eq!(
                (&event["outcome"], &event["reason"], &event["factor"]),
                (&json!("refused"), &json!(CODE), &Value::Null),
                "{context}"
            );
            assert_eq!(overview(&person).await, before, "{context}");
        }
    }
}

#[tokio::test]
async fn who_has_none_needs_a_recent_sign_in_alone() {
    let server = strict().await;
    for (r, (name, age, amr, enough, _)) in rows().into_iter().enumerate() {
        let subject = format!("person-{r}");
        let begun = fresh(&server, &subject).post(BEGIN).await.ok();
        let pending = begun["device_id"].as_str().unwrap();
        let person = somebody(&server, &subject, age, &amr);
        // A code of nothing changes nothing.
        for code in [None, Some("123456")] {
            for change in CHANGES {
                // It would be of a key that they do not have, or a second mail within a minute.
                if change == Change::RenameKey || (code.is_some() && change != Change::EnableTotp) {
                    continue;
                }
                let context = format!("{change:?} with a sign-in {name}, {code:?}");
                let before = overview(&person).await;
                let reply = change.ask(&person, pending, code).await;
                if enough {
                    assert_eq!(reply.status, 200, "{context}: {}", reply.text);
                    continue;
                }
                assert_eq!(reply.status, 401, "{context}: {}", reply.text);
                assert_asked_for_more(&reply);
                assert!(!reply.text.contains("`code`"), "{context}: {}", reply.text);
                assert_eq!(overview(&person).await, before, "{context}");
            }
        }
    }
    assert!(server.smtp.mails().iter().all(|mail| mail.code().is_some()));
}

#[tokio::test]
async fn what_was_begun_is_finished_without_another_sign_in() {
    let server = strict().await;
    let (now, then) = (fresh(&server, "alice"), stale(&server, "alice"));
    let app = App::scan(&now.post(totp::ENABLE).await.ok());
    then.code(totp::CONFIRM, &app.code(server.clock.unix()))
        .await
        .ok();
    let key = Authenticator::new();
    let begun = now.post(BEGIN).await.ok();
    then.post_json(COMPLETE, &key.register(&begun)).await.ok();
    let code = email::mailed_code(&server, &now, email::ENABLE).await;
    then.code(email::CONFIRM, &code).await.ok();
    assert_eq!(
        overview(&then).await["devices"].as_array().unwrap().len(),
        3
    );
}

#[tokio::test]
async fn a_restart_asks_as_before() {
    let mut server = strict().await;
    let owned = enrol(&server, "alice").await;
    let spent = &owned.backup[0];
    Change::BeginKey
        .ask(&stale(&server, "alice"), &owned.device, Some(spent))
        .await
        .ok();
    server.restart().await;
    for change in CHANGES {
        let alice = stale(&server, "alice");
        assert_asked_for_more(&change.ask(&alice, &owned.device, None).await);
        let reply = change.ask(&alice, &owned.device, Some(spent)).await;
        reply.refused(400, "code_used");
    }
    Change::EnableTotp
        .ask(&fresh(&server, "alice"), &owned.device, None)
        .await
        .ok();
}

#[tokio::test]
async fn without_either_setting_any_good_token_will_do_and_a_code_is_not_looked_at() {
    let server = Server::start_with(Options {
        factor_change_proof: FactorChangeProof::Off,
        ..Options::default()
    })
    .await;
    for (subject, code) in [("alice", None), ("bob", Some("000000"))] {
        let owned = enrol(&server, subject).await;
        let person = server.password_only(subject);
        for change in CHANGES {
            let reply = change.ask(&person, &owned.device, code).await;
            assert_eq!(reply.status, 200, "{change:?}: {}", reply.text);
            let event = last_event(&person, "done").await;
            assert_eq!(event["factor"], Value::Null, "{change:?}");
        }
    }
    // A right one is not used up.
    let carol = server.person("carol");
    let (app, _) = totp::enrol(&server, &carol).await;
    let code = app.code(server.clock.unix());
    carol
        .post_json(BEGIN, &json!({"code": code.clone()}))
        .await
        .ok();
    carol.code(totp::REGENERATE, &code).await.ok();
}

#[tokio::test]
async fn what_carries_a_code_asks_for_no_sign_in() {
    let server = strict().await;
    let owned = enrol(&server, "alice").await;
    let now = fresh(&server, "alice");
    let (app, _) = totp::enrol(&server, &now).await;
    email::enrol(&server, &now).await;
    for alice in [
        stale(&server, "alice"),
        signed_in(&server, "alice", None, Value::Null),
    ] {
        let code = app.code(server.clock.unix());
        let renewed = alice.code(totp::REGENERATE, &code).await.ok();
        let backup: Vec<String> = serde_json::from_value(renewed["backup_codes"].clone()).unwrap();
        server.clock.next_step();
        alice
            .code(totp::REPLACE, &app.code(server.clock.unix()))
            .await
            .ok();
        server.clock.next_step();
        alice
            .post_json(totp::UNLOCK, &json!({"type": "email", "code": backup[0]}))
            .await
            .ok();
    }
    let alice = stale(&server, "alice");
    let code = app.code(server.clock.unix());
    alice.code(email::DISABLE, &code).await.ok();
    server.clock.next_step();
    alice
        .code(totp::DISABLE, &app.code(server.clock.unix()))
        .await
        .ok();
    let left = overview(&alice).await["devices"].clone();
    assert_eq!(left[0]["device_id"], owned.device);
    assert_eq!(left.as_array().unwrap().len(), 1);
}
