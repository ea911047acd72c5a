//! A code in the place of a recent sign-in.

use serde_json::{Value, json};

use super::*;
use crate::api::webauthn;
use crate::support::{at_once, tally};

/// Each change once, in an order in which all of them can be done.
async fn all(server: &Server, subject: &str, owned: &Owned, mut code: impl AsyncFnMut() -> String) {
    let person = stale(server, subject);
    for change in CHANGES {
        let code = code().await;
        // It is right or wrong before it is known what for.
        let misspelt = format!("{code}0");
        let reply = change.ask(&person, &owned.device, Some(&misspelt)).await;
        reply.refused(400, "wrong_code");
        let reply = change.ask(&person, &owned.device, Some(&code)).await;
        assert_eq!(reply.status, 200, "{change:?}: {}", reply.text);
        let event = last_event(&person, "done").await;
        assert_eq!(event["action"], change.action());
        assert_eq!(event["outcome"], "done", "{change:?}");
        assert_ne!(event["factor"], Value::Null, "{change:?}");
        // Whatever it has proved, it proves nothing more, even to somebody who has just signed in.
        let again = match code.starts_with("prf_") {
            true => "wrong_code",
            false => "code_used",
        };
        for person in [stale(server, subject), fresh(server, subject)] {
            if change == Change::RemoveKey {
                let reply = Change::BeginKey.ask(&person, "", Some(&code)).await;
                reply.refused(400, again);
                continue;
            }
            let reply = change.ask(&person, &owned.device, Some(&code)).await;
            match change {
                // No more than one mail a minute, whoever proves what.
                Change::EnableEmail => reply.refused(429, "rate_limited"),
                _ => reply.refused(400, again),
            };
        }
    }
}

#[tokio::test]
async fn a_backup_code_will_do_once() {
    let server = strict().await;
    let owned = enrol(&server, "alice").await;
    // The last key takes the backup codes with it.
    let spare = Authenticator::new();
    webauthn::enrol(&fresh(&server, "alice"), &spare).await;
    let mut codes = owned.backup.clone().into_iter();
    all(&server, "alice", &owned, async || codes.next().unwrap()).await;
}

#[tokio::test]
async fn a_keys_proof_will_do_once() {
    let server = strict().await;
    let owned = enrol(&server, "alice").await;
    let mut spare = Authenticator::new();
    webauthn::enrol(&fresh(&server, "alice"), &spare).await;
    let alice = stale(&server, "alice");
    all(&server, "alice", &owned, async || {
        webauthn::prove(&alice, &mut spare).await
    })
    .await;
}

#[tokio::test]
async fn an_apps_code_will_do_once_and_misses_count_as_everywhere() {
    let server = strict().await;
    let owned = enrol(&server, "alice").await;
    let (app, _) = totp::enrol(&server, &fresh(&server, "alice")).await;
    let alice = stale(&server, "alice");
    for change in [Change::EnableEmail, Change::BeginKey, Change::RenameKey] {
        let code = app.code(server.clock.unix());
        change.ask(&alice, &owned.device, Some(&code)).await.ok();
        let event = last_event(&alice, "done").await;
        assert_eq!(event["factor"], "totp", "{change:?}");
        for other in [Change::BeginKey, Change::RenameKey, Change::RemoveKey] {
            let reply = other.ask(&alice, &owned.device, Some(&code)).await;
            reply.refused(400, "code_used");
        }
        server.clock.next_step();
        // Clears the misses again.
        let code = app.code(server.clock.unix());
        alice.code(totp::REGENERATE, &code).await.ok();
        server.clock.next_step();
    }
    let wrong = app.wrong_code(server.clock.unix());
    for left in (0..5_u64).rev() {
        let reply = Change::RemoveKey
            .ask(&alice, &owned.device, Some(&wrong))
            .await;
        assert_eq!(reply.refused(400, "wrong_code")["tries_left"], left);
    }
    let right = app.code(server.clock.unix());
    for person in [&alice, &fresh(&server, "alice")] {
        for change in [Change::BeginKey, Change::RenameKey, Change::RemoveKey] {
            let reply = change.ask(person, &owned.device, Some(&right)).await;
            reply.refused(429, "locked");
        }
    }
    // A guesser locks nobody out who signs in.
    let now = fresh(&server, "alice");
    Change::RemoveKey.ask(&now, &owned.device, None).await.ok();
}

#[tokio::test]
async fn a_mailed_code_will_do_where_there_is_no_app() {
    let server = strict().await;
    email::enrol(&server, &fresh(&server, "alice")).await;
    let alice = stale(&server, "alice");
    let code = email::mailed_code(&server, &alice, email::SEND).await;
    Change::EnableTotp.ask(&alice, "", Some(&code)).await.ok();
    let reply = Change::BeginKey.ask(&alice, "", Some(&code)).await;
    reply.refused(400, "code_used");
}

#[tokio::test]
async fn of_many_who_bring_one_code_one_is_served() {
    let server = strict().await;
    let owned = enrol(&server, "alice").await;
    let (alice, code) = (stale(&server, "alice"), owned.backup[0].clone());
    let replies = at_once(&alice, 50, move |alice, _| {
        let code = code.clone();
        async move { Change::EnableTotp.ask(&alice, "", Some(&code)).await }
    })
    .await;
    let tally = tally(&replies);
    assert_eq!((tally["200"], tally["code_used"]), (1, 49), "{tally:?}");
}

#[tokio::test]
async fn a_code_is_not_spent_on_what_would_be_refused_anyway() {
    let server = strict().await;
    let owned = enrol(&server, "alice").await;
    let (app, _) = totp::enrol(&server, &fresh(&server, "alice")).await;
    let (alice, code) = (stale(&server, "alice"), &owned.backup[0]);
    Change::EnableEmail
        .ask(&alice, "", Some(&app.code(server.clock.unix())))
        .await
        .ok();
    let reply = Change::EnableTotp.ask(&alice, "", Some(code)).await;
    reply.refused(409, "already_enabled");
    let reply = Change::EnableEmail.ask(&alice, "", Some(code)).await;
    reply.refused(429, "rate_limited");
    for change in [Change::RenameKey, Change::RemoveKey] {
        let nothing = "mfa_aaaaaaaaaaaaaaaaaaaaaaaaaa";
        let reply = change.ask(&alice, nothing, Some(code)).await;
        reply.refused(404, "not_found");
    }
    let malformed = json!({"code": code, "name": 1});
    alice.post_json(BEGIN, &malformed).await.misfit();
    Change::RenameKey
        .ask(&alice, &owned.device, Some(code))
        .await
        .ok();
}
