mod once;
mod shape;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{App, Client, Server, code_at};

pub const ENABLE: &str = "/api/v1/me/mfa/totp/enable";
pub const CONFIRM: &str = "/api/v1/me/mfa/totp/confirm";
pub const DISABLE: &str = "/api/v1/me/mfa/totp/disable";
pub const REPLACE: &str = "/api/v1/me/mfa/totp/replace";
pub const REGENERATE: &str = "/api/v1/me/mfa/backup-codes/regenerate";
pub const UNLOCK: &str = "/api/v1/me/mfa/unlock";

/// Sets up an app, and gives it with the backup codes that came.
pub async fn enrol(server: &Server, person: &Client) -> (App, Vec<String>) {
    let app = App::scan(&person.post(ENABLE).await.ok());
    let confirmed = person
        .code(CONFIRM, &app.code(server.clock.unix()))
        .await
        .ok();
    let codes = serde_json::from_value(confirmed["backup_codes"].clone()).unwrap_or_default();
    server.clock.next_step();
    (app, codes)
}

pub async fn overview(person: &Client) -> Value {
    person.get("/api/v1/me/mfa").await.ok()
}

/// The names of an object's members, sorted.
#[track_caller]
pub fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}

/// As the server writes moments.
pub fn rfc3339(unix: u64) -> String {
    mfad::base::Timestamp::from_unix(unix).to_string()
}

#[tokio::test]
async fn of_two_set_ups_the_latest_counts_and_an_active_app_is_never_touched() {
    let server = Server::start().await;
    let alice = server.alice();
    let first = App::scan(&alice.post(ENABLE).await.ok());
    let second = App::scan(&alice.post(ENABLE).await.ok());
    assert_ne!(first.secret, second.secret);
    assert_ne!(first.device_id, second.device_id);
    assert_eq!(
        overview(&alice).await["devices"].as_array().unwrap().len(),
        1
    );
    let now = server.clock.unix();
    alice
        .code(CONFIRM, &first.code(now))
        .await
        .refused(400, "wrong_code");
    alice.code(CONFIRM, &second.code(now)).await.ok();
    alice
        .code(CONFIRM, &second.code(now + 30))
        .await
        .refused(409, "not_pending");
    let before = overview(&alice).await;
    alice.post(ENABLE).await.refused(409, "already_enabled");
    assert_eq!(overview(&alice).await, before);
    server.clock.next_step();
    alice
        .code(REPLACE, &second.code(server.clock.unix()))
        .await
        .ok();
}

#[tokio::test]
async fn a_set_up_waits_for_fifteen_minutes_and_no_longer() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    for person in [&alice, &bob] {
        person
            .code(CONFIRM, "123456")
            .await
            .refused(409, "not_pending");
        person
            .code(DISABLE, "123456")
            .await
            .refused(409, "not_enabled");
        person
            .code(REPLACE, "123456")
            .await
            .refused(409, "not_enabled");
    }
    let (early, late) = (
        App::scan(&alice.post(ENABLE).await.ok()),
        App::scan(&bob.post(ENABLE).await.ok()),
    );
    server.clock.forward(899);
    alice
        .code(CONFIRM, &early.code(server.clock.unix()))
        .await
        .ok();
    server.clock.forward(1);
    assert_eq!(overview(&bob).await["devices"], json!([]));
    let code = late.code(server.clock.unix());
    bob.code(CONFIRM, &code).await.refused(409, "not_pending");
    // Nor does it come back with the clock.
    bob.post(ENABLE).await.ok();
    server.clock.back(60);
    let bob = server.bob();
    bob.code(CONFIRM, &late.code(server.clock.unix()))
        .await
        .refused(400, "wrong_code");
}

#[tokio::test]
async fn the_old_app_is_good_until_the_new_one_is_confirmed_and_then_it_is_dead() {
    let server = Server::start().await;
    let alice = server.alice();
    let (old, codes) = enrol(&server, &alice).await;
    alice
        .code(REPLACE, "000000")
        .await
        .refused(400, "wrong_code");
    let abandoned = App::scan(
        &alice
            .code(REPLACE, &old.code(server.clock.unix()))
            .await
            .ok(),
    );
    server.clock.forward(900);
    let new = App::scan(
        &alice
            .code(REPLACE, &old.code(server.clock.unix()))
            .await
            .ok(),
    );
    server.clock.next_step();
    // Neither the pending app nor the abandoned one proves anything yet, and the old one confirms nothing.
    let now = server.clock.unix();
    for (path, app) in [
        (DISABLE, &new),
        (DISABLE, &abandoned),
        (CONFIRM, &old),
        (CONFIRM, &abandoned),
    ] {
        alice
            .code(path, &app.code(now))
            .await
            .refused(400, "wrong_code");
    }
    alice.code(REGENERATE, &old.code(now)).await.ok();
    let new = {
        // A wrong confirmation left the pending app where it was.
        let confirmed = alice.code(CONFIRM, &new.code(now)).await.ok();
        assert_eq!(confirmed["backup_codes"], Value::Null);
        assert_eq!(confirmed["device"]["device_id"], json!(new.device_id));
        new
    };
    server.clock.next_step();
    let now = server.clock.unix();
    alice
        .code(DISABLE, &old.code(now))
        .await
        .refused(400, "wrong_code");
    // Nor does a backup code of the set before the last.
    alice
        .code(DISABLE, &codes[0])
        .await
        .refused(400, "wrong_code");
    let seen = overview(&alice).await;
    assert_eq!(seen["devices"].as_array().unwrap().len(), 1);
    assert_eq!(seen["backup_codes"]["remaining"], 10);
    alice.code(DISABLE, &new.code(now)).await.ok();
}

#[tokio::test]
async fn a_new_start_has_a_new_secret_and_the_old_one_opens_nothing() {
    let server = Server::start().await;
    let alice = server.alice();
    let (old, _) = enrol(&server, &alice).await;
    alice
        .code(DISABLE, &old.code(server.clock.unix()))
        .await
        .ok();
    alice
        .code(DISABLE, &old.code(server.clock.unix() + 30))
        .await
        .refused(409, "not_enabled");
    let (new, codes) = enrol(&server, &alice).await;
    assert_ne!(old.secret, new.secret);
    assert_ne!(old.device_id, new.device_id);
    assert_eq!(codes.len(), 10);
    alice
        .code(DISABLE, &old.code(server.clock.unix()))
        .await
        .refused(400, "wrong_code");
}

#[tokio::test]
async fn only_a_confirmation_tells_how_far_a_clock_is_off() {
    let server = Server::start().await;
    let alice = server.alice();
    // One code in a million stands twice within two hours; then the nearer time would be named.
    let unambiguous = |app: &App| {
        let now = server.clock.unix();
        let codes: BTreeSet<String> = (0..=240).map(|n| app.code(now - 3600 + 30 * n)).collect();
        codes.len() == 241
    };
    let app = loop {
        let app = App::scan(&alice.post(ENABLE).await.ok());
        if unambiguous(&app) {
            break app;
        }
    };
    let now = i64::try_from(server.clock.unix()).unwrap();
    let code_off_by = |seconds: i64| app.code(u64::try_from(now + seconds).unwrap());
    for seconds in [60, -60, 3600, -3600] {
        let refusal = alice.code(CONFIRM, &code_off_by(seconds)).await;
        assert_eq!(
            refusal.refused(400, "wrong_code")["clock_offset_seconds"],
            seconds
        );
    }
    let refusal = alice
        .code(CONFIRM, &app.wrong_code(server.clock.unix()))
        .await
        .refused(400, "wrong_code");
    assert_eq!(refusal.get("clock_offset_seconds"), None);
    server.clock.forward(60);
    alice
        .code(CONFIRM, &app.code(server.clock.unix()))
        .await
        .ok();
    server.clock.next_step();
    let late = code_at(&app.secret, server.clock.unix() - 300);
    for body in [
        alice.code(DISABLE, &late).await,
        alice.code(REPLACE, &late).await,
        alice.code(REGENERATE, &late).await,
        alice
            .post_json(UNLOCK, &json!({"type": "totp", "code": late}))
            .await,
    ] {
        let body = body.refused(400, "wrong_code");
        assert_eq!(body.get("clock_offset_seconds"), None);
    }
}

#[tokio::test]
async fn nobody_reaches_the_app_of_another() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    let pending = App::scan(&bob.post(ENABLE).await.ok());
    alice
        .code(CONFIRM, &pending.code(server.clock.unix()))
        .await
        .refused(409, "not_pending");
    let (hers, codes) = enrol(&server, &alice).await;
    let before = overview(&alice).await;
    bob.post(ENABLE).await.ok();
    let (his, _) = enrol(&server, &bob).await;
    assert_eq!(overview(&alice).await, before);
    let now = server.clock.unix();
    alice
        .code(DISABLE, &his.code(now))
        .await
        .refused(400, "wrong_code");
    bob.code(DISABLE, &hers.code(now))
        .await
        .refused(400, "wrong_code");
    bob.code(DISABLE, &codes[0])
        .await
        .refused(400, "wrong_code");
    bob.code(DISABLE, &his.code(now)).await.ok();
    assert_eq!(overview(&alice).await, before);
    // The same name at another issuer, or another spelling of it, is somebody else.
    for other in ["Alice", "alice ", "alice\u{200b}"] {
        let other = server.person(other);
        assert_eq!(overview(&other).await["enabled"], false);
    }
    alice.code(DISABLE, &codes[0]).await.ok();
}
