//! The browsers that a person trusts, and what ends it.

use mfad::base::OsEntropy;
use mfad::policy::Key;
use mfad::trust::{self, New, Trust};
use serde_json::{Value, json};

use super::totp::{CONFIRM, DISABLE, REGENERATE, REPLACE, UNLOCK, rfc3339};
use super::{email, totp, webauthn};
use crate::support::{App, Authenticator, Client, Server};

const PATH: &str = "/api/v1/me/mfa/trusted-devices";
const DAY: u64 = 86_400;

/// Has somebody's browser trusted, and gives its token.
async fn remember(server: &Server, subject: &str, user_agent: Option<&'static str>) -> String {
    let tools = server.desk.tools.clone();
    let person = tools.keys().person(&server.issuer.url, subject);
    let store = tools.store.clone();
    let token = store
        .write(move |tx| {
            let new = New {
                person,
                service_id: "portal",
                user_agent,
                days: 30,
                now: tools.now(),
            };
            trust::remember_as(tx, tools.keys(), &OsEntropy, &new)
        })
        .await
        .unwrap();
    token.expose().clone()
}

/// Whether the token is taken, of which it is used up.
async fn is_trusted(server: &Server, subject: &str, token: &str) -> bool {
    let tools = server.desk.tools.clone();
    let person = tools.keys().person(&server.issuer.url, subject);
    let (store, token) = (tools.store.clone(), token.to_owned());
    let outcome = store
        .write(move |tx| {
            let now = tools.now();
            let keys = tools.keys();
            trust::check(tx, keys, &OsEntropy, person, "portal", &token, 30, now)
        })
        .await
        .unwrap();
    matches!(outcome, Trust::Trusted { .. })
}

async fn devices(person: &Client) -> Vec<Value> {
    person.get(PATH).await.ok()["devices"]
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn a_person_sees_their_own_and_takes_one_back() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    assert!(devices(&alice).await.is_empty());
    let start = server.clock.unix();
    let old = remember(&server, "alice", Some("Firefox\u{202e} on  Linux")).await;
    server.clock.forward(1);
    let token = remember(&server, "alice", None).await;
    server.clock.forward(1);
    assert!(is_trusted(&server, "alice", &old).await);
    let seen = devices(&alice).await;
    let id = |number: usize| seen[number]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        seen,
        [
            json!({
                "id": id(0), "service": "portal", "user_agent": null, "created_at": rfc3339(start + 1),
                "last_used_at": null, "expires_at": rfc3339(start + 1 + 30 * DAY),
            }),
            json!({
                "id": id(1), "service": "portal", "user_agent": "Firefox on Linux", "created_at": rfc3339(start),
                "last_used_at": rfc3339(start + 2), "expires_at": rfc3339(start + 30 * DAY),
            }),
        ]
    );
    assert!(id(0).starts_with("trd_"));
    assert!(devices(&bob).await.is_empty());

    let path = format!("{PATH}/{}", id(0));
    bob.delete(&path).await.refused(404, "not_found");
    for odd in ["trd_x", "mfa_aaaaaaaaaaaaaaaaaaaaaaaaaa", "%ff", "%2f"] {
        let odd = format!("{PATH}/{odd}");
        alice.delete(&odd).await.refused(404, "not_found");
    }
    let before = alice.get("/api/v1/me/mfa/events").await.ok();
    let before = before["events"].as_array().unwrap().len();
    assert_eq!(alice.delete(&path).await.ok(), json!({"removed": true}));
    alice.delete(&path).await.refused(404, "not_found");
    assert!(!is_trusted(&server, "alice", &token).await);
    assert_eq!(devices(&alice).await.len(), 1);
    let events = alice.get("/api/v1/me/mfa/events").await.ok();
    let events = events["events"].as_array().unwrap();
    assert_eq!(events.len(), before + 2);
    assert_eq!(events[0]["outcome"], "refused");
    assert_eq!(events[1]["action"], "trusted_device.remove");
    assert_eq!(events[1]["outcome"], "done");
    // Neither tokens nor what they are kept as are told.
    for event in events {
        assert!(!event.to_string().contains("mfad_td_"));
    }
}

#[tokio::test]
async fn every_change_to_the_factors_ends_all_trust() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut done = Vec::new();
    macro_rules! ends {
        ($name:literal, $change:expr) => {{
            let token = remember(&server, "alice", None).await;
            let bobs = remember(&server, "bob", None).await;
            let result = $change;
            assert!(devices(&alice).await.is_empty(), "{}", $name);
            assert!(!is_trusted(&server, "alice", &token).await, "{}", $name);
            assert!(is_trusted(&server, "bob", &bobs).await, "{}", $name);
            done.push($name);
            result
        }};
    }
    let (app, codes) = ends!("an app", totp::enrol(&server, &alice).await);
    let key = ends!(
        "a key",
        webauthn::enrol(&alice, &Authenticator::new()).await
    );
    ends!("a mailbox", email::enrol(&server, &alice).await);
    ends!("unlocking", {
        let body = json!({"type": "email", "code": codes[0]});
        alice.post_json(UNLOCK, &body).await.ok()
    });
    let begun = alice.code(REPLACE, &app.code(server.clock.unix())).await;
    let app = App::scan(&begun.ok());
    ends!("another app", {
        let code = app.code(server.clock.unix());
        alice.code(CONFIRM, &code).await.ok()
    });
    server.clock.next_step();
    let codes: Vec<String> = ends!("new backup codes", {
        let code = app.code(server.clock.unix());
        let made = alice.code(REGENERATE, &code).await.ok();
        serde_json::from_value(made["backup_codes"].clone()).unwrap()
    });
    ends!("no mailbox", {
        alice.code(email::DISABLE, &codes[0]).await.ok()
    });
    ends!("no key", {
        let path = format!("/api/v1/me/mfa/webauthn/{key}");
        alice.delete(&path).await.ok()
    });
    ends!("no app", alice.code(DISABLE, &codes[1]).await.ok());
    assert_eq!(done.len(), 9);

    // What changes nothing ends nothing.
    let token = remember(&server, "alice", None).await;
    alice.post(totp::ENABLE).await.ok();
    alice.post(webauthn::BEGIN).await.ok();
    alice
        .code(CONFIRM, "000000")
        .await
        .refused(400, "wrong_code");
    assert!(is_trusted(&server, "alice", &token).await);
}

#[tokio::test]
async fn what_policy_makes_shorter_is_shown_shorter() {
    let server = Server::start().await;
    let start = server.clock.unix();
    remember(&server, "alice", None).await;
    for (days, end) in [("365", 30), ("30", 30), ("7", 7), ("1", 1)] {
        server
            .set_policy(Key::TrustedDeviceDays, &[days])
            .await
            .unwrap();
        let seen = devices(&server.alice()).await;
        assert_eq!(seen[0]["expires_at"], rfc3339(start + end * DAY), "{days}");
    }
    server.clock.forward(DAY);
    assert!(devices(&server.alice()).await.is_empty());
    server.unset_policy(Key::TrustedDeviceDays).await.unwrap();
    assert_eq!(devices(&server.alice()).await.len(), 1);
    server.clock.forward(29 * DAY);
    assert!(devices(&server.alice()).await.is_empty());
}
