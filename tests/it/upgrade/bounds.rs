//! What the first program of format 3 kept, beside the factors.

use serde_json::json;

use super::start;
use crate::api::login::VERIFY;
use crate::api::webauthn::enrol;
use crate::support::{Authenticator, Client, Fixture, PUBLIC_URL, until};

#[tokio::test]
async fn refusals_locks_addresses_and_shared_names_are_as_they_were() {
    let fixture = Fixture::of("bounds");
    let server = start(&fixture).await;
    let facts = &fixture.facts["bounds"];
    let radius = fixture.facts["services"]["radius"].as_str().unwrap();
    let radius = Client::new(server.address, Some(radius.to_owned()));

    // Who guesses at a name that no one has meets the wait that is left.
    let guess = json!({"user": facts["phantom"], "code": "123456"});
    radius
        .post_json(VERIFY, &guess)
        .await
        .refused(429, "locked");

    let history = server.bob().get("/api/v1/me/mfa/events").await.ok();
    let events = history["events"].as_array().unwrap();
    let of_action = |action: &str| events.iter().find(|event| event["action"] == action);
    let refused = of_action("totp.disable").unwrap();
    assert_eq!(
        (&refused["count"], &refused["reason"]),
        (&json!(5), &json!("wrong_code"))
    );
    assert_eq!(of_action("factor.lock").unwrap()["factor"], "totp");

    // The name of an enrolled user means her, whoever else has it.
    let asking = json!({"user": "kim", "amr": ["pwd"]});
    let opened = radius.post_json("/api/v1/mfa/challenges", &asking).await;
    assert_eq!(opened.json()["decision"], "challenge", "{}", opened.text);

    let token = server.issuer.token(PUBLIC_URL, "frank");
    let token = token
        .with_second_factor()
        .with("email", facts["moved"].clone());
    enrol(&server.bearer(token.sign()), &Authenticator::new()).await;
    let notified = || {
        let all = server.smtp.mails().into_iter().flat_map(|email| email.to);
        all.collect::<Vec<_>>()
    };
    for address in ["moved", "enrolled"] {
        let address = facts[address].as_str().unwrap().to_owned();
        until(&address, async || notified().contains(&address)).await;
    }
}
