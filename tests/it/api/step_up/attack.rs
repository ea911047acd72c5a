//! A thief with a token of a sign-in of this morning, from the first try to the last.

use serde_json::{Value, json};

use super::*;
use crate::api::webauthn;
use crate::support::routes;

#[tokio::test]
async fn a_stolen_old_token_neither_adds_a_factor_nor_removes_one() {
    let server = strict().await;
    let owned = enrol(&server, "alice").await;
    let owner = fresh(&server, "alice");
    let (app, _) = totp::enrol(&server, &owner).await;
    email::enrol(&server, &owner).await;
    let before = overview(&owner).await;

    // It was good for everything at its time, and still is a good token.
    let morning = server.clock.unix() - 4 * 3_600;
    let thief = signed_in(&server, "alice", Some(morning), json!(["pwd", "mfa"]));
    overview(&thief).await;

    // What the thief can make at home: a proof, a code and a challenge of an account of their own.
    let mut own = Authenticator::new();
    let mallory = fresh(&server, "mallory");
    webauthn::enrol(&mallory, &own).await;
    let (own_app, _) = totp::enrol(&server, &mallory).await;
    let proof = webauthn::prove(&mallory, &mut own).await;
    let begun = mallory.post(BEGIN).await.ok();
    let mut foreign = Authenticator::new().register(&begun);
    let told = server.smtp.mails().len();

    let codes: [Value; 6] = [
        Value::Null,
        json!(""),
        json!(proof),
        json!(own_app.code(server.clock.unix())),
        json!(app.code(server.clock.unix() - 90)),
        json!("prf_aaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ];
    for route in routes() {
        if !route.path.contains("/me/") || route.method == Method::GET {
            continue;
        }
        for code in &codes {
            let body = json!({"code": code, "name": "Mallory's", "type": "totp"});
            let path = route.path_with(&owned.device);
            let reply = thief.json(route.method.clone(), &path, &body).await;
            let harmless = [
                "/api/v1/me/mfa/email/send",
                // To sign the owner out of the page opens nothing to the thief.
                "/api/v1/me/mfa/sessions",
                "/api/v1/me/mfa/webauthn/verify/begin",
            ];
            assert!(
                reply.status.as_u16() >= 400 || harmless.contains(&route.path.as_str()),
                "{} with {code}: {}",
                route.name(),
                reply.text
            );
        }
    }
    // Neither somebody else's challenge, nor their device, is a way round.
    for device in [&begun["device_id"], &json!(owned.device)] {
        foreign["device_id"] = device.clone();
        let reply = thief.post_json(COMPLETE, &foreign).await;
        reply.refused(404, "not_found");
    }
    assert_eq!(factors(&overview(&owner).await), factors(&before));
    let changed = server.smtp.mails().len() - told;
    let locked = server.smtp.mails().into_iter().skip(told);
    for mail in locked {
        let subject = mail.subject();
        assert!(subject.starts_with("Too many wrong codes"), "{subject}");
    }
    assert!(changed <= 1, "{changed} mails");

    // The history has every try, and its owner goes on as if nothing had been.
    let events = owner.get("/api/v1/me/mfa/events?limit=100").await.ok();
    for change in [Change::BeginKey, Change::RenameKey, Change::RemoveKey] {
        let tries = events["events"].as_array().unwrap().iter().filter(|event| {
            event["action"] == change.action()
                && event["outcome"] == "refused"
                && event["reason"] == CODE
        });
        assert!(tries.count() > 0, "{change:?}");
    }
    let owner = fresh(&server, "alice");
    webauthn::enrol(&owner, &Authenticator::new()).await;
    Change::RemoveKey
        .ask(&owner, &owned.device, None)
        .await
        .ok();
}

/// What there is, whenever it was used.
fn factors(overview: &Value) -> Vec<Value> {
    let devices = overview["devices"].as_array().unwrap();
    let mut factors: Vec<Value> = devices
        .iter()
        .map(|device| json!([device["device_id"], device["name"]]))
        .collect();
    factors.push(overview["backup_codes"]["remaining"].clone());
    factors
}
