//! What a person is told of changes to their security.

use super::{DISABLE, ENABLE, REGENERATE, SEND, enrol, mailed_code, until, with_address};
use crate::api::{totp, webauthn};
use crate::support::smtp::{Fault, Received};
use crate::support::{Authenticator, Server};

const ADDED_APP: &str = "New authenticator app on your Example account";
const ADDED_EMAIL: &str = "New email codes on your Example account";
const ADDED_KEY: &str = "New security key on your Example account";
const LOCKED: &str = "Too many wrong codes on your Example account";
const REGENERATED: &str = "New backup codes for your Example account";
const REMOVED_EMAIL: &str = "Removed from your Example account: email codes";
const REMOVED_KEY: &str = "Removed from your Example account: security key";
const USED: &str = "A backup code was used on your Example account";

/// The next mail, which must be this notice to alice.
async fn notice(server: &Server, subject: &str) -> Received {
    let mail = server.smtp.next_mail().await;
    assert_eq!(
        (mail.subject().as_str(), mail.to.as_slice()),
        (subject, &["alice@example.com".to_owned()][..])
    );
    for part in [mail.text(), mail.html()] {
        for needed in ["Example", "24 November 2026", "If it was not you"] {
            assert!(part.contains(needed), "{needed} is not in {part}");
        }
        assert!(!part.contains("http") && !part.contains("href"), "{part}");
        // A proxy on this machine is not where the person is.
        assert!(!part.contains("127.0.0.1"), "{part}");
    }
    assert_eq!(mail.headers("Auto-Submitted"), ["auto-generated"]);
    mail
}

#[tokio::test]
async fn every_change_is_told_and_no_notice_holds_a_code_or_a_secret() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut secrets = Vec::new();

    let (app, backup) = totp::enrol(&server, &alice).await;
    notice(&server, ADDED_APP).await;
    secrets.extend([app.secret.clone(), app.code(server.clock.unix() - 30)]);

    let mut key = Authenticator::new();
    let device = webauthn::enrol(&alice, &key).await;
    let mail = notice(&server, ADDED_KEY).await;
    assert!(mail.text().contains("security key"), "{}", mail.text());

    let proof = webauthn::prove(&alice, &mut key).await;
    secrets.push(proof.clone());
    let fresh = alice.code(REGENERATE, &proof).await.ok();
    notice(&server, REGENERATED).await;
    let fresh: Vec<String> = serde_json::from_value(fresh["backup_codes"].clone()).unwrap();

    alice
        .code("/api/v1/me/mfa/totp/replace", &fresh[0])
        .await
        .ok();
    let mail = notice(&server, USED).await;
    assert!(mail.text().contains("9 are left"), "{}", mail.text());

    let wrong = app.wrong_code(server.clock.unix());
    for _ in 0..5 {
        alice
            .code(REGENERATE, &wrong)
            .await
            .refused(400, "wrong_code");
    }
    let mail = notice(&server, LOCKED).await;
    assert!(mail.text().contains("12:01 UTC"), "{}", mail.text());

    alice
        .delete(&format!("/api/v1/me/mfa/webauthn/{device}"))
        .await
        .ok();
    notice(&server, REMOVED_KEY).await;

    secrets.extend(backup.into_iter().chain(fresh));
    for mail in server.smtp.mails() {
        let whole = [
            mail.subject(),
            mail.text(),
            mail.html(),
            String::from_utf8_lossy(&mail.raw).into_owned(),
        ]
        .concat();
        for secret in &secrets {
            assert!(!whole.contains(secret.as_str()), "{secret} is in {whole}");
            assert!(
                !whole.contains(&secret.replace('-', "")),
                "{secret} is in {whole}"
            );
        }
    }
}

#[tokio::test]
async fn a_removed_address_is_told_like_the_one_that_the_issuer_now_names() {
    let server = Server::start().await;
    let backup = enrol(&server, &server.alice()).await;
    assert_eq!(notice(&server, ADDED_EMAIL).await.to, ["alice@example.com"]);
    let moved = with_address(&server, "alice", "new@example.org");
    moved.code(DISABLE, &backup[0]).await.ok();
    let mut told = Vec::new();
    for _ in 0..4 {
        let mail = server.smtp.next_mail().await;
        assert_eq!(mail.to.len(), 1, "no address learns of the other");
        let whole = String::from_utf8_lossy(&mail.raw).into_owned();
        assert!(
            !(whole.contains("new@example.org") && whole.contains("alice@example.com")),
            "{whole}"
        );
        told.push((mail.subject(), mail.to[0].clone()));
    }
    told.sort();
    let both = |subject: &str| {
        ["alice@example.com", "new@example.org"].map(|to| (subject.to_owned(), to.to_owned()))
    };
    assert_eq!(told, [both(USED), both(REMOVED_EMAIL)].concat());
}

#[tokio::test]
async fn a_notice_waits_for_a_mail_server_that_is_away() {
    let server = Server::start().await;
    server.smtp.misbehave(Fault::RefuseConnection);
    totp::enrol(&server, &server.alice()).await;
    until(|| server.smtp.connections() > 0).await;
    assert!(server.smtp.mails().is_empty());
    server.smtp.misbehave(Fault::None);
    // The next try is set for half a minute after the moment at which this one failed.
    until(|| {
        server.clock.forward(30);
        !server.smtp.mails().is_empty()
    })
    .await;
    notice(&server, ADDED_APP).await;
}

#[tokio::test]
async fn a_notice_outlives_a_restart_and_is_sent_once() {
    let mut server = Server::start().await;
    server
        .smtp
        .misbehave(Fault::RefuseRecipient("451 4.7.1 greylisted"));
    totp::enrol(&server, &server.alice()).await;
    until(|| server.smtp.connections() > 0).await;
    server.restart().await;
    // Stopped before the clock moves: a delivery that is cut off waits by the clock that it began with.
    server.stop().await;
    server.smtp.misbehave(Fault::None);
    server.clock.forward(3600);
    server.restart().await;
    notice(&server, ADDED_APP).await;
    server.restart().await;
    // What follows comes behind it, and nothing in between.
    webauthn::enrol(&server.alice(), &Authenticator::new()).await;
    notice(&server, ADDED_KEY).await;
    assert_eq!(server.smtp.mails().len(), 2);
}

#[tokio::test]
async fn an_address_that_refuses_its_notice_for_good_keeps_no_other_from_theirs() {
    let server = Server::start().await;
    server
        .smtp
        .misbehave(Fault::RefuseRecipient("550 5.1.1 nobody here"));
    totp::enrol(&server, &server.bob()).await;
    until(|| {
        let heard = server.smtp.commands();
        heard.iter().any(|line| line.contains("bob@example.com"))
    })
    .await;
    server.smtp.misbehave(Fault::None);
    totp::enrol(&server, &server.alice()).await;
    notice(&server, ADDED_APP).await;
    server.clock.forward(3600);
    webauthn::enrol(&server.alice(), &Authenticator::new()).await;
    notice(&server, ADDED_KEY).await;
    assert!(
        server
            .smtp
            .mails()
            .iter()
            .all(|mail| mail.to == ["alice@example.com"])
    );
}

#[tokio::test]
async fn what_was_refused_is_told_to_nobody() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = totp::enrol(&server, &alice).await;
    notice(&server, ADDED_APP).await;
    let wrong = app.wrong_code(server.clock.unix());
    for path in [
        REGENERATE,
        "/api/v1/me/mfa/totp/disable",
        "/api/v1/me/mfa/totp/replace",
    ] {
        alice.code(path, &wrong).await.refused(400, "wrong_code");
    }
    alice
        .code(DISABLE, "123456")
        .await
        .refused(409, "not_enabled");
    alice.post(SEND).await.refused(409, "not_enabled");
    alice
        .delete("/api/v1/me/mfa/webauthn/mfa_nothing")
        .await
        .refused(404, "not_found");
    alice
        .code(REGENERATE, "AAAA-AAAA-AAAA-AAAA")
        .await
        .refused(400, "wrong_code");
    webauthn::enrol(&alice, &Authenticator::new()).await;
    notice(&server, ADDED_KEY).await;
    assert_eq!(server.smtp.mails().len(), 2);
    mailed_code(&server, &alice, ENABLE).await;
    assert_eq!(server.smtp.mails().len(), 3);
}

#[tokio::test]
async fn a_name_in_a_notice_is_text_and_one_line() {
    let server = Server::start().await;
    let alice = server.alice();
    let key = Authenticator::new();
    let name = "<img src=x onerror=alert(1)>\r\nBcc: eve@evil.example\r\n.\r\n{{ code }}\u{202e}";
    webauthn::enrol_as(&alice, &key, Some(name)).await;
    let mail = notice(&server, ADDED_KEY).await;
    assert!(!mail.html().contains("<img"), "{}", mail.html());
    let text: String = mail.text().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("img src x onerror alert 1 Bcc eve evil example code"),
        "{text}"
    );
    assert!(!text.contains('\u{202e}'));
    assert_eq!(mail.headers("Bcc"), Vec::<String>::new());
    assert_eq!(mail.to, ["alice@example.com"]);
    // A letter that begins a line with a dot arrives whole.
    assert!(mail.text().contains("never hold links"));
    mailed_code(&server, &alice, ENABLE).await;
}
