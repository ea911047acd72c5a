//! How much one caller can use up: of the disk, of a user's history, of the user's own share of requests.

use mfad::audit::{self, AuditLimits, RECORD_BYTES};
use mfad::config::UsageLimits;
use serde_json::{Value, json};

use super::history::all;
use super::login::{by, of, one_call, open};
use super::totp::{CONFIRM, DISABLE, ENABLE, REGENERATE, enrol, overview};
use super::webauthn;
use crate::support::{Authenticator, Client, Options, PUBLIC_URL, Server};

/// Alice with a token of its own.
fn alice_with(server: &Server, token: &str) -> Client {
    let token = server.issuer.token(PUBLIC_URL, "alice").with("jti", token);
    server.bearer(token.with_second_factor().sign())
}

/// How often each (action, reason) is in a user's history, by records and by what they count.
fn counted(events: &[Value], action: &str, reason: Option<&str>) -> (usize, u64) {
    let alike = events
        .iter()
        .filter(|event| event["action"] == action && event["reason"].as_str() == reason);
    let counts: Vec<u64> = alike
        .map(|event| event["count"].as_u64().unwrap())
        .collect();
    (counts.len(), counts.iter().sum())
}

/// Bytes of all records.
fn size(server: &Server) -> u64 {
    server.desk.tools.store.read(audit::size).unwrap()
}

/// Lets the minute pass, after which refusals become records.
async fn next_minute(server: &Server) {
    server.clock.forward(60);
    let tools = &server.desk.tools;
    let recorded = audit::record_held_refusals(&tools.store, tools.audit_limits, tools.now());
    recorded.await.unwrap();
}

#[tokio::test]
async fn a_thief_with_a_token_uses_up_no_share_of_the_owners() {
    let server = Server::start().await;
    let (thief, owner) = (alice_with(&server, "stolen"), alice_with(&server, "own"));
    // Whatever becomes of them, all requests count: those that cannot be read too.
    for number in 0..60 {
        let reply = match number % 3 {
            0 => thief.code(CONFIRM, "000000").await,
            1 => thief.post_json(CONFIRM, &json!({"code": 7})).await,
            _ => thief.delete("/api/v1/me/mfa/webauthn/x").await,
        };
        assert_ne!(reply.status, 429, "{number}: {}", reply.text);
    }
    let refused = thief.post(ENABLE).await;
    let wait = refused.refused(429, "rate_limited")["retry_after"].clone();
    assert!((1..=60).contains(&wait.as_u64().unwrap()), "{wait}");
    assert_eq!(refused.header("retry-after"), wait.to_string());
    // Reading is free, and the owner goes on.
    for _ in 0..70 {
        overview(&thief).await;
    }
    owner.post(ENABLE).await.ok();
    server.clock.forward(60);
    assert_eq!(thief.code(CONFIRM, "000000").await.status, 400);
}

#[tokio::test]
async fn a_hundred_wrong_codes_within_a_minute_are_two_records_and_the_lock() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = enrol(&server, &alice).await;
    let portal = server.login_service();
    let before = size(&server);
    for _ in 0..100 {
        one_call(&portal, "alice", &app.wrong_code(server.clock.unix())).await;
    }
    let check = |events: &[Value]| {
        assert_eq!(counted(events, "login.verify", Some("wrong_code")), (1, 5));
        assert_eq!(counted(events, "login.verify", Some("locked")), (1, 95));
        assert_eq!(counted(events, "factor.lock", None), (1, 1));
    };
    check(&all(&alice).await);
    next_minute(&server).await;
    let events = all(&alice).await;
    check(&events);
    assert_eq!(size(&server), before + 3 * RECORD_BYTES);
    // They stand in their order: the guesses, the lock, what came after it.
    let reasons: Vec<&Value> = events[..3].iter().map(|event| &event["reason"]).collect();
    assert_eq!(
        reasons,
        [&json!("locked"), &Value::Null, &json!("wrong_code")]
    );
}

#[tokio::test]
async fn no_flood_of_sign_ins_and_refusals_hides_a_change() {
    let server = Server::start_unlimited().await;
    let alice = server.alice();
    let (app, _) = enrol(&server, &alice).await;
    for number in 0..600 {
        let portal = server.login_service();
        let challenge = open(&portal, "alice").await;
        // Refusals that differ, so that each would be a record.
        let by = by("totp", &app.wrong_code(server.clock.unix()));
        if number % 10 == 0 {
            server.clock.forward(61);
            portal.post_json(&of(&challenge, "/verify"), &by).await;
        }
    }
    let key = Authenticator::new();
    let thief = server.alice();
    webauthn::enrol(&thief, &key).await;
    let events = all(&thief).await;
    assert!(events.len() < 520, "{}", events.len());
    let of_action = |action: &str| counted(&events, action, None).0;
    assert_eq!(of_action("webauthn.register"), 1);
    assert!(of_action("factor.lock") > 0);
    assert!(of_action("login.challenge") <= 360);
    // Nor the guesses themselves.
    let guesses = ["wrong_code", "locked"].map(|why| counted(&events, "login.verify", Some(why)).0);
    assert_eq!(guesses.iter().sum::<usize>(), 50);
    let left_out: u64 = events
        .iter()
        .filter_map(|event| event["left_out"].as_u64())
        .sum();
    assert!(left_out >= 200, "{left_out}");
}

#[tokio::test]
async fn what_is_asked_about_names_that_no_one_has_leaves_no_record() {
    let server = Server::start().await;
    let portal = server.login_service();
    let alice = server.alice();
    enrol(&server, &alice).await;
    let before = size(&server);
    for number in 0..50 {
        let name = format!("invented-{number}");
        open(&portal, &name).await;
        one_call(&portal, &name, "123456")
            .await
            .refused(400, "wrong_code");
    }
    next_minute(&server).await;
    assert_eq!(size(&server), before);
    // Of one whom the server has met there is one.
    open(&portal, "alice").await;
    assert_eq!(size(&server), before + RECORD_BYTES);
}

#[tokio::test]
async fn beyond_the_changes_of_a_day_a_change_is_refused_and_those_before_are_all_recorded() {
    let server = Server::start_with(Options {
        limits: UsageLimits {
            audit: AuditLimits {
                changes_per_day: 10,
                ..AuditLimits::default()
            },
            ..UsageLimits::default()
        },
        ..Options::default()
    })
    .await;
    let alice = server.alice();
    let (app, _) = enrol(&server, &alice).await;
    let renewed = async || {
        server.clock.next_step();
        alice.code(REGENERATE, &app.code(server.clock.unix())).await
    };
    for _ in 0..9 {
        renewed().await.ok();
    }
    let refused = renewed().await.refused(429, "rate_limited");
    let wait = refused["retry_after"].as_u64().unwrap();
    assert_eq!((server.clock.unix() + wait) % 86_400, 0);
    let events = all(&alice).await;
    assert_eq!(counted(&events, "backup_codes.regenerate", None).0, 9);
    // A code that came too soon is not used up, sign-ins go on, and a lock is recorded.
    let portal = server.login_service();
    one_call(&portal, "alice", &app.code(server.clock.unix()))
        .await
        .ok();
    for _ in 0..5 {
        one_call(&portal, "alice", &app.wrong_code(server.clock.unix())).await;
    }
    assert_eq!(counted(&all(&alice).await, "factor.lock", None).0, 1);
    server.clock.forward(wait);
    let alice = server.alice();
    alice
        .code(DISABLE, &app.code(server.clock.unix()))
        .await
        .ok();
}

#[tokio::test]
async fn a_log_that_is_nearly_full_degrades_readiness_and_no_answer() {
    let server = Server::start_with(Options {
        limits: UsageLimits {
            audit: AuditLimits {
                bytes: 10 * RECORD_BYTES,
                ..AuditLimits::default()
            },
            ..UsageLimits::default()
        },
        ..Options::default()
    })
    .await;
    let ready = async || {
        let ready = server.stranger().get("/readyz").await.ok();
        (ready["checks"]["history"].clone(), ready["reasons"].clone())
    };
    assert_eq!(ready().await, (json!("ok"), json!([])));
    let portal = server.login_service();
    let alice = server.alice();
    enrol(&server, &alice).await;
    for _ in 0..6 {
        open(&portal, "alice").await;
    }
    let (history, reasons) = ready().await;
    assert_eq!(history, "degraded");
    let words = reasons[0]["words"].as_str().unwrap();
    assert!(words.contains("80 %"), "{words}");
    let hint = reasons[0]["hint"].as_str().unwrap();
    assert!(hint.contains("--audit-max-mib"), "{hint}");
}
