//! Servers that hang, refuse, cheat and go away; many letters at once.

use tokio::time::Instant;

use super::*;

#[tokio::test]
async fn nobody_listening_is_said_at_once() {
    let server = SmtpServer::start(Options::default()).await;
    let settings = settings(&server);
    drop(server);
    // The listener closes when its task is told; until then the connection stays without a greeting.
    let mailer = mailer(&SmtpSettings {
        port: closed_port().await,
        ..settings
    });
    temporary(mailer.send(&letter()).await, Stage::Connect);
    let words = mailer.probe().await.unwrap_err();
    assert!(words.contains("refused"), "{words}");
}

async fn closed_port() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn whatever_the_server_does_the_answer_comes_in_time_and_the_next_letter_leaves() {
    let slow = Fault::Slow(Duration::from_secs(1));
    for (fault, stage) in [
        (Fault::NeverGreet, Stage::Greeting),
        (Fault::RefuseConnection, Stage::Greeting),
        (Fault::StallTls, Stage::Tls),
        (Fault::RefuseSender("451 4.3.0 later"), Stage::Sender),
        (Fault::RefuseSender("550 5.7.1 not you"), Stage::Sender),
        (
            Fault::RefuseRecipient("451 4.7.1 greylisted, alice@example.com"),
            Stage::Recipient,
        ),
        (Fault::RefuseRecipient("nonsense"), Stage::Recipient),
        (Fault::RefuseLetter("452 4.3.1 full: 481516"), Stage::Letter),
        (Fault::RefuseLetter("354 go on"), Stage::Letter),
        (Fault::HangAfterData, Stage::Letter),
        (Fault::DropMidData, Stage::Letter),
        (slow, Stage::Greeting),
        (Fault::Endless, Stage::Greeting),
    ] {
        let server = SmtpServer::start(Options::default()).await;
        let deadline = match fault {
            Fault::NeverGreet | Fault::StallTls | Fault::HangAfterData | Fault::Slow(_) => {
                SHORT_DEADLINE
            }
            _ => AMPLE,
        };
        let bounded = mailer(&SmtpSettings {
            deadline,
            ..settings(&server)
        });
        server.misbehave(fault.clone());
        let began = Instant::now();
        let outcome = bounded.send(&letter()).await;
        assert!(began.elapsed() < deadline + AMPLE / 3, "{fault:?}");
        let kept = server.mails().len();
        assert_eq!(
            kept,
            usize::from(fault == Fault::HangAfterData),
            "{fault:?}"
        );
        temporary(outcome, stage);

        server.all_closed().await;
        server.misbehave(Fault::None);
        let again = letter();
        let patient = mailer(&settings(&server));
        let next = if deadline == AMPLE {
            &bounded
        } else {
            &patient
        };
        next.send(&again).await.unwrap();
        let arrived = server.mails().pop().unwrap();
        let id = arrived.headers("Message-ID").concat();
        assert!(id.contains(&again.id.to_string()), "{fault:?}: {id}");
    }
}

#[tokio::test]
async fn a_dialogue_given_up_in_the_middle_is_not_taken_up_again() {
    let server = SmtpServer::start(Options::default()).await;
    let mailer = mailer(&SmtpSettings {
        deadline: Duration::from_secs(2),
        concurrency: 1,
        ..settings(&server)
    });
    server.misbehave(Fault::HangAfterData);
    let hanging = letter();
    temporary(mailer.send(&hanging).await, Stage::Letter);
    server.misbehave(Fault::None);
    mailer.send(&hanging).await.unwrap();
    let ids: Vec<_> = server
        .mails()
        .iter()
        .map(|mail| (mail.connection, mail.headers("Message-ID").concat()))
        .collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0].0, ids[1].0, "a new connection");
    assert_eq!(
        ids[0].1, ids[1].1,
        "the same letter can be told by its Message-ID"
    );
}

#[tokio::test]
async fn a_recipient_or_letter_refused_for_good_is_told_apart() {
    for (fault, stage) in [
        (
            Fault::RefuseRecipient("550 5.1.1 no alice here"),
            Stage::Recipient,
        ),
        (
            Fault::RefuseLetter("554 5.7.1 481516 is spam"),
            Stage::Letter,
        ),
    ] {
        let server = SmtpServer::start(Options::default()).await;
        let mailer = mailer(&settings(&server));
        server.misbehave(fault);
        let error = mailer.send(&letter()).await.unwrap_err();
        assert_discreet(&error);
        assert!(matches!(&error, SendError::Refused(t) if t.stage() == stage));
        assert_eq!(Failure::from(error).code(), crate::mail::EMAIL_REFUSED);
        server.misbehave(Fault::None);
        mailer.send(&letter()).await.unwrap();
    }
}

#[tokio::test]
async fn replies_slipped_in_before_tls_are_not_believed() {
    // With lettre's own stream this extra reply would be read as the answer to
    // the encrypted EHLO, and each later answer would be one behind.
    let server = SmtpServer::start(with_login()).await;
    server.misbehave(Fault::InjectBeforeTls("250-evil\r\n250 AUTH PLAIN LOGIN"));
    let outcome = mailer(&logged_in(&server, PASSWORD)).send(&letter()).await;
    temporary(outcome, Stage::Tls);
    server.all_closed().await;
    let heard = server.commands();
    assert!(!heard.iter().any(|c| c.starts_with("AUTH")), "{heard:?}");
}

#[tokio::test]
async fn a_connection_is_used_again_and_a_dead_one_replaced() {
    let server = SmtpServer::start(Options::default()).await;
    let settings = settings(&server);
    let mailer = mailer(&settings);
    for _ in 0..5 {
        mailer.send(&letter()).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    for _ in 5..=MOST_LETTERS {
        mailer.send(&letter()).await.unwrap();
    }
    assert_eq!(
        server.connections(),
        2,
        "one connection carries a bounded number"
    );

    // The server hangs up on the question whether it is still there.
    let heard = server.mails().len();
    server.misbehave(Fault::Slow(Duration::from_secs(3)));
    let last = letter();
    let slow = mailer.send(&last);
    let quick = async {
        // As soon as the slow answer is given up, the next connection finds a quick server.
        while server.commands().last().map(String::as_str) != Some("NOOP") {
            tokio::task::yield_now().await;
        }
        server.misbehave(Fault::None);
    };
    let (outcome, ()) = tokio::join!(slow, quick);
    outcome.unwrap();
    assert_eq!(server.mails().len(), heard + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_letters_at_once_open_no_more_connections_than_allowed() {
    let server = SmtpServer::start(with_login()).await;
    let mailer = mailer(&SmtpSettings {
        concurrency: 3,
        deadline: AMPLE * 3,
        ..logged_in(&server, PASSWORD)
    });
    let mut sends = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mailer = mailer.clone();
        sends.spawn(async move { mailer.send(&letter()).await });
    }
    while let Some(outcome) = sends.join_next().await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(server.mails().len(), 50);
    assert!(server.most_open() <= 3, "{}", server.most_open());
    assert!(server.connections() <= 3, "{}", server.connections());
}

#[tokio::test]
async fn waiting_for_a_connection_counts_towards_the_deadline() {
    let server = SmtpServer::start(Options::default()).await;
    server.misbehave(Fault::NeverGreet);
    let mailer = mailer(&SmtpSettings {
        concurrency: 1,
        deadline: SHORT_DEADLINE,
        ..settings(&server)
    });
    let began = Instant::now();
    let (a, b) = (letter(), letter());
    let outcomes = tokio::join!(mailer.send(&a), mailer.send(&b));
    assert!(began.elapsed() < SHORT_DEADLINE * 2 + AMPLE / 3);
    temporary(outcomes.0, Stage::Greeting);
    assert!(outcomes.1.is_err());
    assert_eq!(server.mails().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unused_connection_is_closed_with_a_word() {
    let server = SmtpServer::start(Options {
        protection: Protection::None,
        ..Options::default()
    })
    .await;
    let mailer = mailer(&SmtpSettings {
        security: Security::None,
        deadline: Duration::from_secs(3600),
        ..settings(&server)
    });
    mailer.send(&letter()).await.unwrap();
    sleep(IDLE * 2).await;
    // Time stands only while something can still happen without it.
    while !server.commands().iter().any(|c| c == "QUIT") {
        tokio::task::yield_now().await;
    }
    assert!(mailer.0.idle().parked.is_empty());
}
