//! What a thief or a stranger typed is no link and no sentence of ours in an email.

use mfad::login::notify_of_unfinished;
use serde_json::json;

use super::{ADDED, OWN, REMOVED, emails_to, flat, start};
use crate::api::login::open_with;
use crate::api::totp;
use crate::api::webauthn::enrol_as;
use crate::support::Authenticator;

#[tokio::test]
async fn key_names_are_letters_digits_and_spaces_in_emails_and_as_typed_on_the_page() {
    let server = start().await;
    totp::enrol(&server, &server.alice()).await;
    let long = "x".repeat(64);
    for (typed, said) in [
        (
            "http://evil.example/?a=1",
            "security key “http evil example a 1”",
        ),
        (
            "Call +1 (555) 010-0000!",
            "security key “Call 1 555 010 0000”",
        ),
        ("ｅｖｉｌ．ｅｘａｍｐｌｅ", "security key “evil example”"),
        ("eve@evil\u{3002}example", "security key “eve evil example”"),
        ("Büro-Schlüssel №5", "security key “Büro Schlüssel No5”"),
        ("”. All is well. “", "security key “All is well”"),
        ("🔑 — …", "account at Example: security key."),
        (long.as_str(), long.as_str()),
    ] {
        let alice = server.alice();
        let before = emails_to(&server, OWN).await.len();
        let device = enrol_as(&alice, &Authenticator::new(), Some(typed)).await;
        let shown = totp::overview(&alice).await;
        let devices = shown["devices"].as_array().unwrap();
        assert!(devices.iter().any(|it| it["name"] == typed), "{shown}");
        let path = format!("/api/v1/me/mfa/webauthn/{device}");
        alice.delete(&path).await.ok();
        let emails = emails_to(&server, OWN).await;
        for (email, subject) in emails[before..].iter().zip([ADDED, REMOVED]) {
            assert_eq!(email.subject(), subject);
            assert!(flat(email).contains(said), "{typed}: {}", flat(email));
            let html = email.html();
            assert!(html.contains(said), "{typed}: {html}");
            for part in ["evil.", "://", "010-", "eve@"] {
                assert!(
                    !html.contains(part) && !flat(email).contains(part),
                    "{html}"
                );
            }
        }
        server.clock.forward(3600);
    }
}

#[tokio::test]
async fn what_an_app_calls_itself_is_letters_digits_and_spaces_too() {
    for (app, said) in [
        (
            "Wiki https://evil.example/",
            "signing in to Wiki https evil example as you",
        ),
        // The service's own name, where nothing of the app's is left.
        ("!!!", "signing in to portal as you"),
    ] {
        let server = start().await;
        totp::enrol(&server, &server.alice()).await;
        let context = json!({"context": {"ip": "198.51.100.7", "app": app}});
        open_with(&server.login_service(), "alice", context).await;
        server.clock.forward(181);
        notify_of_unfinished(&server.desk).await.unwrap();
        let emails = emails_to(&server, OWN).await;
        let email = emails.last().unwrap();
        assert!(flat(email).contains(said), "{}", flat(email));
        assert!(!flat(email).contains("evil."), "{}", flat(email));
    }
}
