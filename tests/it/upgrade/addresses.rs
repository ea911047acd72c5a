//! Where users of earlier programs are notified.

use serde_json::json;

use super::start;
use crate::api::totp::overview;
use crate::api::webauthn::enrol;
use crate::support::{Authenticator, Fixture, PUBLIC_URL, until};

#[tokio::test]
async fn the_address_that_was_known_at_the_upgrade_is_notified_however_often_another_is_named() {
    // Bob has an app and no mailbox for codes, which would be notified anyway.
    for fixture in Fixture::all() {
        let server = start(&fixture).await;
        let named = |address: String| {
            let token = server.issuer.token(PUBLIC_URL, "bob");
            let token = token.with_second_factor().with("email", json!(address));
            server.bearer(token.sign())
        };
        let mut thief = server.bob();
        for number in 0..20 {
            thief = named(format!("n{number}@evil.example"));
            overview(&thief).await;
        }
        enrol(&thief, &Authenticator::new()).await;
        let told = || {
            let all = server.smtp.mails().into_iter();
            let added = all.filter(|email| email.subject().contains("New security key"));
            added.flat_map(|email| email.to).collect::<Vec<_>>()
        };
        until("the owner is notified", async || {
            told().contains(&"bob@example.com".to_owned())
        })
        .await;
    }
}
