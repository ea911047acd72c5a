use std::time::Duration;

mod content;
mod faults;
mod fuzz;

use super::*;

use crate::base::{Failure, OsEntropy, Secret, TestClock, codes};
use crate::mail::smtp_server::{Certificate, Fault, Options, Protection, SmtpServer};
use crate::mail::{CodeLetter, Purpose, Security};
use crate::words::Language;

/// For answers that come: this machine may be busy.
const AMPLE: Duration = Duration::from_secs(15);
/// For answers that do not come.
const SHORT_DEADLINE: Duration = Duration::from_millis(500);
const PASSWORD: &str = "correct horse battery staple";

fn letter() -> Letter {
    let content = CodeLetter {
        service_name: "Example",
        contact: Some("security@example.com"),
        code: "481516",
        purpose: Purpose::SignIn,
        minutes: 5,
    };
    let to = "alice@example.com".parse().unwrap();
    Letter::compose(to, &content, Language::English, &OsEntropy).unwrap()
}

fn settings(server: &SmtpServer) -> SmtpSettings {
    SmtpSettings {
        extra_ca_pem: Some(server.ca_pem()),
        deadline: AMPLE,
        ..SmtpSettings::new("localhost", server.port(), "Example <mfa@example.com>")
    }
}

fn mailer(settings: &SmtpSettings) -> Mailer {
    Mailer::new(settings, TestClock::new()).unwrap()
}

fn with_login() -> Options {
    Options {
        login: Some(("mfa".to_owned(), PASSWORD.to_owned())),
        ..Options::default()
    }
}

fn logged_in(server: &SmtpServer, password: &str) -> SmtpSettings {
    SmtpSettings {
        username: Some("mfa".to_owned()),
        password: Some(Secret::new(password.to_owned())),
        ..settings(server)
    }
}

/// What was sent is nowhere to be read in what is told about it.
fn assert_discreet(error: &SendError) {
    let failure = Failure::from(error.clone());
    let told = format!("{error} {error:?} {failure} {failure:?}");
    for secret in ["481516", "alice", PASSWORD, "horse"] {
        assert!(!told.contains(secret), "{told}");
    }
}

fn temporary(outcome: Result<(), SendError>, stage: Stage) -> Trouble {
    let error = outcome.unwrap_err();
    assert_discreet(&error);
    let failure = Failure::from(error.clone());
    assert_eq!(failure.code(), codes::UNAVAILABLE);
    assert!(failure.wait().is_some());
    match error {
        SendError::Temporary(trouble) => {
            assert_eq!(trouble.stage(), stage, "{trouble}");
            trouble
        }
        SendError::Refused(_) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_letter_arrives_over_starttls_with_a_custom_authority() {
    let server = SmtpServer::start(Options::default()).await;
    let letter = letter();
    mailer(&settings(&server)).send(&letter).await.unwrap();
    let mail = server.next_mail().await;
    assert!(mail.tls);
    assert_eq!(mail.from, "mfa@example.com");
    assert_eq!(mail.to, ["alice@example.com"]);
    assert_eq!(mail.code().as_deref(), Some("481516"));
    assert_eq!(mail.subject(), letter.subject);
    assert_eq!(mail.text(), letter.text);
    assert_eq!(mail.html(), letter.html);
    assert_eq!(mail.headers("To"), ["alice@example.com"]);
    assert_eq!(mail.headers("From"), ["Example <mfa@example.com>"]);
    assert_eq!(mail.headers("Date"), ["Tue, 24 Nov 2026 12:00:00 +0000"]);
    assert_eq!(
        mail.headers("Message-ID"),
        [format!("<{}@example.com>", letter.id)]
    );
    assert_eq!(mail.headers("Auto-Submitted"), ["auto-generated"]);
    assert_eq!(mail.headers("MIME-Version"), ["1.0"]);
    assert_eq!(mail.headers("Content-Type").len(), 1);
}

#[tokio::test]
async fn without_starttls_nothing_is_sent_where_it_is_required() {
    let server = SmtpServer::start(Options {
        protection: Protection::None,
        ..with_login()
    })
    .await;
    let outcome = mailer(&logged_in(&server, PASSWORD)).send(&letter()).await;
    temporary(outcome, Stage::Tls);
    server.all_closed().await;
    let heard = server.commands();
    assert!(heard.iter().all(|c| c.starts_with("EHLO")), "{heard:?}");
}

#[tokio::test]
async fn opportunistic_uses_starttls_where_it_is_offered() {
    for (protection, tls) in [(Protection::StartTls, true), (Protection::None, false)] {
        let server = SmtpServer::start(Options {
            protection,
            ..Options::default()
        })
        .await;
        let settings = SmtpSettings {
            security: Security::Opportunistic,
            ..settings(&server)
        };
        mailer(&settings).send(&letter()).await.unwrap();
        assert_eq!(server.next_mail().await.tls, tls);
    }
}

#[tokio::test]
async fn clear_text_to_this_machine_is_possible() {
    let server = SmtpServer::start(Options {
        protection: Protection::None,
        ..Options::default()
    })
    .await;
    let settings = SmtpSettings {
        security: Security::None,
        host: "127.0.0.1".to_owned(),
        ..settings(&server)
    };
    mailer(&settings).send(&letter()).await.unwrap();
    assert!(!server.next_mail().await.tls);
}

#[tokio::test]
async fn a_letter_arrives_over_tls_from_the_first_byte() {
    let server = SmtpServer::start(Options {
        protection: Protection::Implicit,
        ..with_login()
    })
    .await;
    let settings = SmtpSettings {
        security: Security::Implicit,
        ..logged_in(&server, PASSWORD)
    };
    let mailer = mailer(&settings);
    mailer.probe().await.unwrap();
    mailer.send(&letter()).await.unwrap();
    let mail = server.next_mail().await;
    assert!(mail.tls);
    assert_eq!(mail.user.as_deref(), Some("mfa"));
}

#[tokio::test]
async fn certificates_that_prove_nothing_are_refused() {
    for (protection, security) in [
        (Protection::StartTls, Security::StartTls),
        (Protection::StartTls, Security::Opportunistic),
        (Protection::Implicit, Security::Implicit),
    ] {
        for (certificate, known, word) in [
            (Certificate::Good, false, "UnknownIssuer"),
            (Certificate::WrongName, true, "name"),
            (Certificate::Expired, true, "expired"),
        ] {
            let server = SmtpServer::start(Options {
                protection,
                certificate,
                ..with_login()
            })
            .await;
            let mut settings = SmtpSettings {
                security,
                ..logged_in(&server, PASSWORD)
            };
            if !known {
                settings.extra_ca_pem = None;
            }
            let mailer = mailer(&settings);
            let trouble = temporary(mailer.send(&letter()).await, Stage::Tls);
            assert!(trouble.to_string().contains(word), "{trouble}");
            let words = mailer.probe().await.unwrap_err();
            assert!(
                words.contains(word) && words.contains("certificate"),
                "{words}"
            );
            server.all_closed().await;
            let heard = server.commands();
            assert!(
                heard
                    .iter()
                    .all(|c| c.starts_with("EHLO") || c == "STARTTLS"),
                "{heard:?}"
            );
        }
    }
}

#[tokio::test]
async fn certificates_that_are_none_are_refused_at_the_start() {
    let settings = SmtpSettings {
        extra_ca_pem: Some(
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(),
        ),
        ..SmtpSettings::new("localhost", 1, "mfa@example.com")
    };
    assert!(matches!(
        Mailer::new(&settings, TestClock::new()),
        Err(SettingsError::Certificates(_))
    ));
}

#[tokio::test]
async fn the_user_logs_in_by_either_mechanism() {
    for mechanisms in ["PLAIN LOGIN", "PLAIN", "LOGIN"] {
        let server = SmtpServer::start(Options {
            mechanisms,
            ..with_login()
        })
        .await;
        let mailer = mailer(&logged_in(&server, PASSWORD));
        mailer.probe().await.unwrap();
        mailer.send(&letter()).await.unwrap();
        assert_eq!(server.next_mail().await.user.as_deref(), Some("mfa"));
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_apart_and_not_told() {
    let server = SmtpServer::start(with_login()).await;
    let wrong = mailer(&logged_in(&server, "hunter2hunter2"));
    let trouble = temporary(wrong.send(&letter()).await, Stage::Login);
    assert_eq!(trouble.reply(), Some(535));
    let words = wrong.probe().await.unwrap_err();
    assert!(words.contains("wrong user or password"), "{words}");
    assert!(words.contains("535 5.7.8"), "{words}");
    assert!(!words.contains("hunter2"), "{words}");

    // A server that repeats what it was told is not repeated.
    for reply in [
        "535 5.7.8 hunter2hunter2 is wrong",
        "535 5.7.8 AG1mYQBodW50ZXIyaHVudGVyMg== is wrong",
    ] {
        server.misbehave(Fault::RefuseLogin(reply));
        let words = wrong.probe().await.unwrap_err();
        assert!(words.contains("535 5.7.8"), "{words}");
        assert!(
            !words.contains("hunter2") && !words.contains("AG1m"),
            "{words}"
        );
    }
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn a_server_that_asks_for_a_login_we_do_not_have_is_not_the_recipients_fault() {
    let server = SmtpServer::start(with_login()).await;
    let outcome = mailer(&settings(&server)).send(&letter()).await;
    assert_eq!(temporary(outcome, Stage::Sender).reply(), Some(530));
}
