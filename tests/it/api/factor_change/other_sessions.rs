//! A user's other sessions end when a factor is removed or replaced, and when the backup codes are renewed.

use super::sessions::{ask, post, signed_in};
use super::*;
use crate::session::server;
use crate::support::browser::Browser;

/// What one change does to Alice's three browsers (the first of which makes it) and to Bob's.
struct Browsers {
    own: Browser,
    others: [Browser; 2],
    bob: Browser,
}

impl Browsers {
    async fn new(server: &Server) -> Self {
        let others = [
            signed_in(server, "alice").await,
            signed_in(server, "alice").await,
        ];
        Browsers {
            own: signed_in(server, "alice").await,
            others,
            bob: signed_in(server, "bob").await,
        }
    }

    async fn are(&mut self, own: bool, others: bool, context: &str) {
        let [first, second] = &mut self.others;
        for (browser, live) in [
            (&mut self.own, own),
            (first, others),
            (second, others),
            (&mut self.bob, true),
        ] {
            let reply = browser.overview().await;
            match live {
                true => assert_eq!(reply.status, 200, "{context}: {}", reply.text),
                false => assert_eq!(reply.status, 401, "{context}: {}", reply.text),
            }
            assert_eq!(browser.session().await["signed_in"], live, "{context}");
        }
    }
}

/// The changes that end other sessions.
const ENDING: [&str; 5] = [
    "the app is replaced",
    "the app is turned off",
    "email codes are turned off",
    "a key is removed",
    "the backup codes are renewed",
];

/// A user with everything, and what proves them.
struct Alice {
    app: App,
    backup: Vec<String>,
    key: String,
}

impl Alice {
    async fn enrol(server: &Server) -> Self {
        let alice = server.alice();
        let (app, backup) = totp::enrol(server, &alice).await;
        email::enrol(server, &alice).await;
        let key = webauthn::enrol(&alice, &Authenticator::new()).await;
        Alice { app, backup, key }
    }

    /// The requests of a change, each with the answer that it must have; those before the last one prepare it.
    fn requests(&self, server: &Server, change: &str) -> Vec<(Method, String, Value)> {
        let code = json!({ "code": self.backup[0] });
        let post = |path: &str, body: &Value| (Method::POST, path.to_owned(), body.clone());
        match change {
            "the app is replaced" => vec![post(totp::REPLACE, &code)],
            "the app is turned off" => vec![post(totp::DISABLE, &code)],
            "email codes are turned off" => vec![post(email::DISABLE, &code)],
            "a key is removed" => {
                let path = format!("/api/v1/me/mfa/webauthn/{}", self.key);
                vec![(Method::DELETE, path, code)]
            }
            "the backup codes are renewed" => {
                let code = json!({"code": self.app.code(server.clock.unix())});
                vec![post(totp::REGENERATE, &code)]
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn the_session_in_which_a_factor_is_removed_or_replaced_stays_and_all_others_end() {
    for change in ENDING {
        let server = server().await;
        let alice = Alice::enrol(&server).await;
        let mut browsers = Browsers::new(&server).await;
        for (method, path, body) in alice.requests(&server, change) {
            browsers.are(true, true, change).await;
            let reply = post(&mut browsers.own, method, &path, &body).await;
            if path == totp::REPLACE {
                // Only the confirmation replaces the app.
                browsers.are(true, true, change).await;
                let code = App::scan(&reply.ok()).code(server.clock.unix());
                let body = json!({ "code": code });
                let reply = post(&mut browsers.own, Method::POST, totp::CONFIRM, &body);
                reply.await.ok();
            } else {
                reply.ok();
            }
        }
        browsers.are(true, false, change).await;
    }
}

#[tokio::test]
async fn a_change_by_bearer_token_ends_every_session_of_its_user() {
    for change in ENDING {
        let server = server().await;
        let alice = Alice::enrol(&server).await;
        let mut browsers = Browsers::new(&server).await;
        let person = server.alice();
        for (method, path, body) in alice.requests(&server, change) {
            let reply = person.json(method, &path, &body).await.ok();
            if path == totp::REPLACE {
                let code = App::scan(&reply).code(server.clock.unix());
                person.code(totp::CONFIRM, &code).await.ok();
            }
        }
        browsers.are(false, false, change).await;
    }
}

#[tokio::test]
async fn adding_naming_and_unlocking_end_no_session_and_neither_does_what_is_refused() {
    let server = server().await;
    let mut browsers = Browsers::new(&server).await;
    let begun = ask(&mut browsers.own, Change::EnableTotp, "", None).await;
    let app = App::scan(&begun.ok());
    let body = json!({"code": app.code(server.clock.unix())});
    let done = post(&mut browsers.own, Method::POST, totp::CONFIRM, &body).await;
    let backup: Vec<String> = serde_json::from_value(done.ok()["backup_codes"].clone()).unwrap();
    browsers.are(true, true, "an app is added").await;
    ask(&mut browsers.own, Change::EnableEmail, "", None)
        .await
        .ok();
    let body = json!({"code": email::code_mail(&server).await.code()});
    let done = post(&mut browsers.own, Method::POST, email::CONFIRM, &body).await;
    done.ok();
    browsers.are(true, true, "email codes are added").await;
    let begun = ask(&mut browsers.own, Change::BeginKey, "", None)
        .await
        .ok();
    let key = Authenticator::new().register(&begun);
    let done = post(&mut browsers.own, Method::POST, COMPLETE, &key)
        .await
        .ok();
    browsers.are(true, true, "a key is added").await;
    let key = done["device"]["device_id"].as_str().unwrap();
    ask(&mut browsers.own, Change::RenameKey, key, None)
        .await
        .ok();
    // A set-up that is given up removes nothing.
    let begun = ask(&mut browsers.own, Change::BeginKey, "", None)
        .await
        .ok();
    let given_up = begun["device_id"].as_str().unwrap();
    ask(&mut browsers.own, Change::RemoveKey, given_up, None)
        .await
        .ok();
    let body = json!({"type": "email", "code": backup[0]});
    let unlocked = post(&mut browsers.own, Method::POST, totp::UNLOCK, &body).await;
    unlocked.ok();
    for path in [
        totp::REPLACE,
        totp::DISABLE,
        totp::REGENERATE,
        email::DISABLE,
    ] {
        let wrong = json!({"code": "AAAA-AAAA-AAAA-AAAA"});
        let refused = post(&mut browsers.own, Method::POST, path, &wrong).await;
        assert_eq!(refused.status, 400, "{path}: {}", refused.text);
    }
    browsers
        .are(true, true, "nothing was removed or replaced")
        .await;
}
