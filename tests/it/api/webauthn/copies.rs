//! A key whose counter did not advance may have a copy: its owner is told, and whoever reads the history.

use serde_json::json;

use super::{VERIFY, VERIFY_BEGIN, enrol_as, prove};
use crate::api::history;
use crate::api::login::{of, open};
use crate::api::totp;
use crate::support::smtp::Received;
use crate::support::{Authenticator, Client, Reply, Server};

const COPIED: &str = "A security key of your Example account was refused";

/// A proof with this counter.
async fn proved_at(alice: &Client, key: &mut Authenticator, counter: u32) -> Reply {
    let begun = alice.post(VERIFY_BEGIN).await.ok();
    let mut answer = key.assertion(&begun);
    answer.counter = counter;
    let credential = key.seal_assertion(&begun, &answer);
    let body = json!({"challenge_id": begun["challenge_id"], "credential": credential});
    alice.post_json(VERIFY, &body).await
}

/// The next email that tells of a copy.
async fn told(server: &Server) -> Received {
    loop {
        let email = server.smtp.next_mail().await;
        if email.subject() == COPIED {
            return email;
        }
    }
}

/// The newest record of Alice's history: what was tried, how it ended, and why.
async fn newest(server: &Server) -> (String, String, String) {
    let all = history::all(&server.alice()).await;
    let text = |name: &str| all[0][name].as_str().unwrap_or_default().to_owned();
    (text("action"), text("outcome"), text("reason"))
}

#[tokio::test]
async fn a_counter_that_stands_still_is_told_to_the_owner_and_has_its_own_reason() {
    let server = Server::start().await;
    let alice = server.alice();
    totp::enrol(&server, &alice).await;
    let mut key = Authenticator::new();
    key.counter = 10;
    enrol_as(&alice, &key, Some("Blue www.evil.example")).await;
    prove(&alice, &mut key).await;
    for counter in [11, 5, 0] {
        let refused = proved_at(&alice, &mut key, counter).await;
        // Clients that know no reason go by the code.
        let body = refused.refused(400, "webauthn_failed");
        assert_eq!(body["reason"], "key_copied", "{body}");
        let expected = ["webauthn.verify", "refused", "key_copied"].map(str::to_owned);
        assert_eq!(newest(&server).await, expected.into());
        let email = told(&server).await;
        assert_eq!(email.to, ["alice@example.com"]);
        let text = email
            .text()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        for said in [
            "security key “Blue www evil example”",
            "there may be a copy of it",
        ] {
            assert!(text.contains(said), "{text}");
        }
    }
    let counted = server.desk.tools.metrics.text(&Default::default()).unwrap();
    let line = counted
        .lines()
        .find(|line| line.contains("reason=\"key_copied\""));
    assert!(line.is_some_and(|line| line.ends_with(" 3")), "{line:?}");
    // It is no guess: the key is as good as before, and so is everything else.
    key.counter = 11;
    prove(&alice, &mut key).await;
    let overview = totp::overview(&alice).await;
    let devices = overview["devices"].as_array().unwrap();
    assert!(
        devices.iter().all(|it| it["status"] == "active"),
        "{overview}"
    );
}

#[tokio::test]
async fn at_a_sign_in_it_costs_a_try_of_that_sign_in_and_nothing_else() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = totp::enrol(&server, &alice).await;
    let mut key = Authenticator::new();
    key.counter = 10;
    enrol_as(&alice, &key, Some("Blue")).await;
    let portal = server.login_service();
    let opened = open(&portal, "alice").await;
    for left in (0..5).rev() {
        let begun = portal.post(&of(&opened, "/webauthn")).await.ok();
        let mut answer = key.assertion(&begun);
        answer.counter = 10;
        let credential = key.seal_assertion(&begun, &answer);
        let body = json!({"method": "webauthn", "credential": credential});
        let refused = portal.post_json(&of(&opened, "/verify"), &body).await;
        let body = refused.refused(400, "webauthn_failed");
        assert_eq!(body["tries_left"], left, "{body}");
        // Whoever holds the copy may be the one who asks.
        assert!(body.get("reason").is_none(), "{body}");
        let expected = ["login.verify", "refused", "key_copied"].map(str::to_owned);
        assert_eq!(newest(&server).await, expected.into());
        told(&server).await;
    }
    let opened = open(&portal, "alice").await;
    let code = app.code(server.clock.unix());
    let body = json!({"method": "totp", "code": code});
    portal.post_json(&of(&opened, "/verify"), &body).await.ok();
}

#[tokio::test]
async fn a_key_without_a_counter_and_an_answer_that_is_wrong_otherwise_have_no_copy() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::passkey();
    enrol_as(&alice, &key, None).await;
    for _ in 0..3 {
        proved_at(&alice, &mut key, 0).await.ok();
    }
    // Signed by another key, so that its counter says nothing of this one.
    let mut counting = Authenticator::new();
    counting.counter = 10;
    enrol_as(&alice, &counting, None).await;
    let mut thief = Authenticator {
        credential_id: counting.credential_id.clone(),
        ..Authenticator::new()
    };
    let refused = proved_at(&alice, &mut thief, 3).await;
    let body = refused.refused(400, "webauthn_failed");
    assert!(body.get("reason").is_none(), "{body}");
    let expected = ["webauthn.verify", "refused", "webauthn_failed"].map(str::to_owned);
    assert_eq!(newest(&server).await, expected.into());
    enrol_as(&alice, &Authenticator::new(), None).await;
    for _ in 0..3 {
        let email = server.smtp.next_mail().await;
        assert_ne!(email.subject(), COPIED);
    }
}
