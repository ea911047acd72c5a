//! Whoever takes over a user's account at the issuer does not keep the user from being notified here.

use serde_json::{Value, json};

use super::{ADDED, OWN, REMOVED, alice_with, emails_to, moved_to, start, subjects};
use crate::api::email::{CONFIRM, DISABLE, ENABLE, mailed_code};
use crate::api::totp::{self, REPLACE};
use crate::api::webauthn::{self, enrol};
use crate::support::{App, Authenticator, Client, Server};

const REPLACED: &str = "New authenticator app in place of the old one on your Example account";

/// Adds a key, removes it, and replaces the app, as `who`.
async fn change_everything(server: &Server, who: &Client, app: &App) {
    let device = enrol(who, &Authenticator::new()).await;
    let path = format!("/api/v1/me/mfa/webauthn/{device}");
    who.delete(&path).await.ok();
    server.clock.next_step();
    let begun = who.code(REPLACE, &app.code(server.clock.unix())).await;
    let new = App::scan(&begun.ok());
    let code = new.code(server.clock.unix());
    who.code(totp::CONFIRM, &code).await.ok();
}

/// Alice was told at her own address of all of it.
async fn is_told_of_everything(server: &Server, case: &str) {
    let told = subjects(&emails_to(server, OWN).await);
    for subject in [ADDED, REMOVED, REPLACED] {
        assert!(
            told.iter().any(|it| it == subject),
            "{case}: {subject}: {told:?}"
        );
    }
}

#[tokio::test]
async fn the_owner_is_told_of_every_change_however_often_the_issuer_names_another_address() {
    for changes in [1, 2, 7, 20] {
        let server = start().await;
        let (app, _) = totp::enrol(&server, &server.alice()).await;
        let mut thief = server.alice();
        for number in 0..changes {
            thief = moved_to(&server, &format!("n{number}@evil.example")).await;
        }
        change_everything(&server, &thief, &app).await;
        is_told_of_everything(&server, &format!("{changes} changes")).await;
    }
}

#[tokio::test]
async fn a_thief_who_has_a_factor_of_their_own_by_then_hides_no_further_change() {
    let server = start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let thief = moved_to(&server, "eve@evil.example").await;
    enrol(&thief, &Authenticator::new()).await;
    // Back and forth, and then on to others.
    for number in 0..20 {
        moved_to(&server, [OWN, "eve@evil.example"][number % 2]).await;
    }
    let mut thief = thief;
    for number in 0..20 {
        thief = moved_to(&server, &format!("n{number}@evil.example")).await;
    }
    change_everything(&server, &thief, &app).await;
    is_told_of_everything(&server, "after a factor of the thief's").await;
}

#[tokio::test]
async fn an_address_that_is_unverified_missing_or_none_takes_nothing_away() {
    for claims in [
        vec![
            ("email", json!("eve@evil.example")),
            ("email_verified", json!(false)),
        ],
        vec![("email", Value::Null)],
        vec![("email", json!("no address"))],
        vec![("email", json!(""))],
    ] {
        let server = start().await;
        let (app, _) = totp::enrol(&server, &server.alice()).await;
        let mut thief = server.alice();
        for _ in 0..3 {
            thief = alice_with(&server, &claims);
            totp::overview(&thief).await;
        }
        change_everything(&server, &thief, &app).await;
        is_told_of_everything(&server, &format!("{claims:?}")).await;
        assert!(emails_to(&server, "eve@evil.example").await.is_empty());
    }
}

#[tokio::test]
async fn each_address_is_told_once_of_one_change() {
    let server = start().await;
    totp::enrol(&server, &server.alice()).await;
    for number in 0..20 {
        moved_to(&server, &format!("n{number}@evil.example")).await;
    }
    let thief = moved_to(&server, OWN).await;
    enrol(&thief, &Authenticator::new()).await;
    // The one that is named and was enrolled, and the seven before it.
    let mut expected: Vec<String> = (13..20).map(|it| format!("n{it}@evil.example")).collect();
    expected.push(OWN.to_owned());
    emails_to(&server, OWN).await;
    let all = server.smtp.mails().into_iter();
    let mut told: Vec<String> = all
        .filter(|email| email.subject() == ADDED)
        .flat_map(|email| email.to)
        .collect();
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_mailbox_that_codes_went_to_is_told_of_what_follows_its_removal() {
    let server = start().await;
    let alice = alice_with(&server, &[("email", json!("codes@example.org"))]);
    let code = mailed_code(&server, &alice, ENABLE).await;
    let confirmed = alice.code(CONFIRM, &code).await.ok();
    let backup = confirmed["backup_codes"][0].as_str().unwrap().to_owned();
    let mut thief = alice;
    for number in 0..20 {
        thief = moved_to(&server, &format!("n{number}@evil.example")).await;
    }
    let mut key = Authenticator::new();
    enrol(&thief, &key).await;
    thief.code(DISABLE, &backup).await.ok();
    for number in 20..40 {
        thief = moved_to(&server, &format!("n{number}@evil.example")).await;
    }
    webauthn::prove(&thief, &mut key).await;
    enrol(&thief, &Authenticator::new()).await;
    let told = subjects(&emails_to(&server, "codes@example.org").await);
    let added = told.iter().filter(|it| *it == ADDED).count();
    assert_eq!(added, 2, "{told:?}");
}
