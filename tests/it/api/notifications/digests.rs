//! Nobody floods a mailbox, and nobody hides a change in a flood.

use serde_json::json;

use super::{
    ADDED, DIGEST, MORE, OWN, REMOVED, emails_to, flat, hour_ends, lock_and_unlock, moved_to,
    start, subjects,
};
use crate::api::totp;
use crate::api::webauthn::{self, enrol, enrol_as};
use crate::support::smtp::Received;
use crate::support::{App, Authenticator, Client, Server};

/// Adds and removes a key: two changes.
async fn come_and_go(alice: &Client, name: &str) {
    let device = enrol_as(alice, &Authenticator::new(), Some(name)).await;
    let path = format!("/api/v1/me/mfa/webauthn/{device}");
    alice.delete(&path).await.ok();
}

/// The one digest among them.
#[track_caller]
fn digest(emails: &[Received]) -> &Received {
    let mut all = emails.iter().filter(|email| email.subject() == DIGEST);
    let one = all
        .next()
        .unwrap_or_else(|| panic!("{:?}", subjects(emails)));
    assert!(all.next().is_none(), "{:?}", subjects(emails));
    one
}

/// The one that says that the rest comes in a digest.
#[track_caller]
fn last_single(emails: &[Received]) -> &Received {
    let mut all = emails.iter().filter(|email| flat(email).contains(MORE));
    let one = all
        .next()
        .unwrap_or_else(|| panic!("{:?}", subjects(emails)));
    assert!(all.next().is_none(), "{:?}", subjects(emails));
    one
}

/// How many of them have that subject.
fn count(emails: &[Received], subject: &str) -> usize {
    emails
        .iter()
        .filter(|email| email.subject() == subject)
        .count()
}

/// Alice has an app and a key: two changes.
async fn with_app_and_key(server: &Server) -> (Client, App, Authenticator) {
    let alice = server.alice();
    let (app, _) = totp::enrol(server, &alice).await;
    let key = Authenticator::new();
    enrol(&alice, &key).await;
    (alice, app, key)
}

#[tokio::test]
async fn of_many_changes_twenty_are_told_one_by_one_and_all_in_the_digest() {
    let mut server = start().await;
    let (alice, ..) = with_app_and_key(&server).await;
    for number in 0..14 {
        come_and_go(&alice, &format!("Key {number} of http://evil.example")).await;
    }
    let single = emails_to(&server, OWN).await;
    assert_eq!(single.len(), 20, "{:?}", subjects(&single));
    let last = last_single(&single);
    for body in [flat(last), last.html()] {
        assert!(body.contains("24 November 2026, 13:00 UTC"), "{body}");
    }

    // It is due an hour after the first, and outlives a restart.
    server.restart().await;
    server.clock.forward(3600 - 31);
    mfad::factor::send_due_digests(&server.desk).await.unwrap();
    assert_eq!(emails_to(&server, OWN).await.len(), 20);
    server.clock.forward(1);
    mfad::factor::send_due_digests(&server.desk).await.unwrap();
    let all = emails_to(&server, OWN).await;
    let digest = digest(&all);
    let (text, html) = (flat(digest), digest.html());
    for body in [&text, &html] {
        assert_eq!(body.matches(", added: ").count(), 16, "{body}");
        assert_eq!(body.matches(", removed: ").count(), 14, "{body}");
        for number in 0..14 {
            let said = format!("security key “Key {number} of http evil example”");
            assert_eq!(body.matches(&said).count(), 2, "{said}: {body}");
        }
        assert!(
            !body.contains("evil.example") && !body.contains("http:"),
            "{body}"
        );
        assert!(
            body.contains("In the hour that began: 24 November 2026, 12:00 UTC"),
            "{body}"
        );
    }
    // Once, and the next hour begins with single emails again.
    mfad::factor::send_due_digests(&server.desk).await.unwrap();
    come_and_go(&server.alice(), "New").await;
    let all = emails_to(&server, OWN).await;
    assert_eq!(all.len(), 23, "{:?}", subjects(&all));
    assert_eq!(
        (count(&all[21..], ADDED), count(&all[21..], REMOVED)),
        (1, 1)
    );
    assert!(!all[21..].iter().any(|email| flat(email).contains(MORE)));
}

#[tokio::test]
async fn a_change_behind_many_other_notifications_is_told_at_once_and_in_the_digest() {
    let server = start().await;
    let (alice, app, mut key) = with_app_and_key(&server).await;
    for _ in 0..12 {
        lock_and_unlock(&server, &alice, &app, &mut key).await;
    }
    let before = emails_to(&server, OWN).await;
    assert_eq!(before.len(), 20, "{:?}", subjects(&before));
    last_single(&before);
    come_and_go(&alice, "Thief").await;
    let after = emails_to(&server, OWN).await;
    assert_eq!(after.len(), 22, "{:?}", subjects(&after));
    assert_eq!(
        (count(&after[20..], ADDED), count(&after[20..], REMOVED)),
        (1, 1)
    );
    hour_ends(&server).await;
    let all = emails_to(&server, OWN).await;
    let text = flat(digest(&all));
    for said in [
        "These are all changes to your second factors in that hour",
        "added: security key “Thief”",
        "removed: security key “Thief”",
        // Two by two, twelve times, of which 18 had an email of their own.
        "there were 6 other events",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[tokio::test]
async fn a_digest_without_a_change_says_so_and_goes_without_the_job_where_something_happens() {
    let server = start().await;
    let (alice, app, mut key) = with_app_and_key(&server).await;
    drop(alice);
    server.clock.forward(3600);
    let alice = server.alice();
    for _ in 0..11 {
        lock_and_unlock(&server, &alice, &app, &mut key).await;
    }
    server.clock.forward(3600);
    let alice = server.alice();
    enrol(&alice, &Authenticator::new()).await;
    let all = emails_to(&server, OWN).await;
    let text = flat(digest(&all));
    assert!(
        text.contains("No second factor was added, removed or replaced in that hour."),
        "{text}"
    );
    assert!(text.contains("there were 2 other events"), "{text}");
    assert_eq!(count(&all, ADDED), 2, "{:?}", subjects(&all));
}

#[tokio::test]
async fn a_digest_goes_wherever_a_single_email_would_have_gone() {
    let server = start().await;
    let (alice, ..) = with_app_and_key(&server).await;
    for _ in 0..10 {
        come_and_go(&alice, "Mine").await;
    }
    // Told of nothing by itself, as it is known only when no single email leaves any more.
    let thief = moved_to(&server, "new@example.org").await;
    come_and_go(&thief, "Thief").await;
    assert!(emails_to(&server, "new@example.org").await.is_empty());
    hour_ends(&server).await;
    for address in [OWN, "new@example.org"] {
        let text = flat(digest(&emails_to(&server, address).await));
        assert!(text.contains("added: security key “Thief”"), "{text}");
    }
}

#[tokio::test]
async fn a_digest_is_in_the_users_language() {
    for (locale, subject, line) in [
        (
            "de",
            "Viele Änderungen an Ihrem Konto bei Example in einer Stunde",
            ", entfernt: ",
        ),
        (
            "fr",
            "Nombreux changements sur votre compte Example en une heure",
            ", supprimé\u{a0}: ",
        ),
        (
            "es",
            "Muchos cambios en tu cuenta de Example en una hora",
            ", eliminado: ",
        ),
        (
            "nl",
            "Veel wijzigingen op je account bij Example binnen een uur",
            ", verwijderd: ",
        ),
    ] {
        let server = start().await;
        let alice = super::alice_with(&server, &[("locale", json!(locale))]);
        let (..) = totp::enrol(&server, &alice).await;
        for _ in 0..12 {
            come_and_go(&alice, "Blau").await;
        }
        hour_ends(&server).await;
        let all = emails_to(&server, OWN).await;
        let digest = all.iter().find(|it| it.subject() == subject);
        let digest = digest.unwrap_or_else(|| panic!("{:?}", subjects(&all)));
        assert_eq!(digest.text().matches(line).count(), 12, "{}", digest.text());
    }
}

#[tokio::test]
async fn a_code_by_email_is_no_notification() {
    let server = start().await;
    let (alice, ..) = with_app_and_key(&server).await;
    for _ in 0..9 {
        come_and_go(&alice, "Mine").await;
    }
    // The last place in the hour is taken by a code, or not.
    crate::api::email::mailed_code(&server, &alice, crate::api::email::ENABLE).await;
    let emails = emails_to(&server, OWN).await;
    assert_eq!(emails.len(), 21);
    hour_ends(&server).await;
    assert_eq!(
        emails_to(&server, OWN).await.len(),
        21,
        "nothing was left out"
    );
    let alice = server.alice();
    webauthn::enrol(&alice, &Authenticator::new()).await;
    assert_eq!(subjects(&emails_to(&server, OWN).await)[21..], [ADDED]);
}
