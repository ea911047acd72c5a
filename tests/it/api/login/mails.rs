//! What people are told of sign-ins.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{email, totp};
use super::{answer, of, one_call, open_with};
use crate::support::smtp::Received;
use crate::support::{Client, Server};

/// Rounds of the search for what is due are ten seconds apart.
const ROUND: Duration = Duration::from_secs(12);

/// All mails which say that a sign-in was not finished.
fn unfinished(server: &Server) -> Vec<Received> {
    let mails = server.smtp.mails().into_iter();
    mails
        .filter(|mail| mail.subject().starts_with("Unfinished sign-in"))
        .collect()
}

async fn begun(portal: &Client, subject: &str, more: Value) -> Value {
    open_with(portal, subject, more).await
}

#[tokio::test]
async fn a_person_is_told_of_a_password_that_somebody_knows_and_of_nothing_else() {
    let mut server = Server::start().await;
    let portal = server.login_service();
    let mut apps = Vec::new();
    // What each does with the sign-in that was begun, and whether they hear of it.
    let people = [
        ("nothing", true),
        ("wrong", true),
        ("cancelled", true),
        ("evicted", true),
        ("finished", false),
        ("another", false),
        ("elsewhere", true),
        ("later", true),
        ("no-first", false),
        ("step-up", false),
    ];
    for (name, _) in people {
        apps.push(totp::enrol(&server, &server.person(name)).await.0);
    }
    let context = json!({"ip": "198.51.100.7", "user_agent": "Firefox", "app": "Wiki <b>\r\nBcc: x@evil.example"});
    let mut opened = Vec::new();
    let start = server.clock.unix();
    for (name, _) in people {
        let more = match name {
            "no-first" => json!({"amr": [], "context": context}),
            "step-up" => json!({"reason": "step_up", "context": context}),
            _ => json!({"context": context}),
        };
        opened.push(begun(&portal, name, more).await);
    }
    for (number, (name, _)) in people.iter().enumerate() {
        let (app, challenge) = (&apps[number], &opened[number]);
        let right = app.code(server.clock.unix());
        match *name {
            "wrong" => {
                for _ in 0..5 {
                    answer(&portal, challenge, "totp", &app.wrong_code(start))
                        .await
                        .refused(400, "wrong_code");
                }
            }
            "evicted" => {
                server.clock.forward(1);
                for _ in 0..21 {
                    begun(&portal, name, json!({"amr": []})).await;
                }
                portal
                    .get(&of(challenge, ""))
                    .await
                    .refused(404, "not_found");
            }
            "finished" => drop(answer(&portal, challenge, "totp", &right).await.ok()),
            "another" | "elsewhere" => {
                server.clock.forward(1);
                let more = match *name {
                    "another" => json!({ "context": context }),
                    _ => json!({"context": {"ip": "203.0.113.9"}}),
                };
                let second = begun(&portal, name, more).await;
                answer(&portal, &second, "totp", &right).await.ok();
            }
            _ => {}
        }
    }
    // Nobody is told before three minutes are over.
    server
        .clock
        .forward(180 - (server.clock.unix() - start) - 1);
    tokio::time::sleep(ROUND).await;
    assert_eq!(unfinished(&server).len(), 0);
    server.clock.forward(1);
    tokio::time::sleep(ROUND).await;
    server.clock.forward(10);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let told = |server: &Server| {
        let mut told: Vec<String> = unfinished(server)
            .iter()
            .flat_map(|mail| mail.to.clone())
            .map(|to| to.split('@').next().unwrap().to_owned())
            .collect();
        told.sort();
        told
    };
    let mut expected: Vec<&str> = people.iter().filter(|p| p.1).map(|p| p.0).collect();
    expected.sort_unstable();
    assert_eq!(told(&server), expected);
    for mail in unfinished(&server) {
        let text = mail.text();
        for word in ["198.51.100.7", "Wiki", "12:0"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(mail.headers("Bcc").is_empty());
        assert!(!mail.html().contains("<b>\r") && !mail.html().contains("Wiki <b>"));
        assert!(!text.contains("\nBcc:"), "{text}");
    }
    // Whoever comes in afterwards is not told twice, nor after a restart.
    server.restart().await;
    tokio::time::sleep(ROUND).await;
    assert_eq!(told(&server), expected);
}

#[tokio::test]
async fn what_falls_due_while_the_server_is_down_is_told_once_and_not_after_an_hour() {
    let mut server = Server::start().await;
    let portal = server.login_service();
    for name in ["early", "late"] {
        totp::enrol(&server, &server.person(name)).await;
    }
    begun(&portal, "early", json!({})).await;
    server.clock.forward(3300);
    begun(&server.login_service(), "late", json!({})).await;
    server.stop().await;
    server.clock.forward(400);
    server.restart().await;
    tokio::time::sleep(ROUND).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let to: Vec<String> = unfinished(&server)
        .iter()
        .flat_map(|mail| mail.to.clone())
        .collect();
    assert_eq!(to, ["late@example.com"]);
}

#[tokio::test]
async fn a_person_is_told_of_each_spent_backup_code_and_how_many_are_left() {
    let server = Server::start().await;
    let (_, codes) = totp::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    let more = json!({"context": {"ip": "2001:db8::7"}});
    let opened = begun(&portal, "alice", more).await;
    answer(&portal, &opened, "backup_code", &codes[0])
        .await
        .ok();
    let mail = loop {
        let mail = server.smtp.next_mail().await;
        if mail.subject().contains("ackup code") {
            break mail;
        }
    };
    assert!(mail.text().contains("2001:db8::7"), "{}", mail.text());
    assert!(!mail.text().contains(&codes[0]));
    for code in &codes[1..8] {
        one_call(&portal, "alice", code).await.ok();
    }
    let told = async || {
        server
            .smtp
            .mails()
            .iter()
            .filter(|mail| mail.subject().contains("ackup code"))
            .count()
    };
    for _ in 0..200 {
        if told().await == 8 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(told().await, 8);
    // A refused one is no news.
    one_call(&portal, "alice", &codes[0])
        .await
        .refused(400, "wrong_code");
    assert_eq!(told().await, 8);
}

#[tokio::test]
async fn what_a_service_says_of_a_sign_in_is_shown_and_believed_in_nothing() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = totp::enrol(&server, &alice).await;
    email::enrol(&server, &alice).await;
    let portal = server.login_service();
    for (context, status) in [
        (json!({"ip": "198.51.100.7"}), 201),
        (json!({"ip": "::ffff:198.51.100.7"}), 201),
        (json!({"ip": null, "app": null}), 201),
        (json!({"app": "x".repeat(5_000)}), 201),
        (json!({"app": "\u{202e}\0\u{1b}[31m"}), 201),
        (json!({"ip": "198.51.100.7, 10.0.0.1"}), 422),
        (json!({"ip": "localhost"}), 422),
        (json!({"ip": ""}), 422),
        (json!({"ip": "198.51.100.7\r\nX: y"}), 422),
        (json!({"ip": 4}), 422),
        (json!("x"), 422),
    ] {
        let body = json!({"subject": "alice", "context": context});
        let reply = portal.post_json(super::CHALLENGES, &body).await;
        assert_eq!(reply.status, status, "{context}: {}", reply.text);
    }
    let opened = begun(
        &portal,
        "alice",
        json!({"context": {"ip": "::ffff:198.51.100.7"}}),
    )
    .await;
    let wrong = app.wrong_code(server.clock.unix());
    for _ in 0..5 {
        answer(&portal, &opened, "totp", &wrong)
            .await
            .refused(400, "wrong_code");
    }
    let mail = loop {
        let mail = server.smtp.next_mail().await;
        if mail.text().contains("wrong codes") || mail.subject().contains("ocked") {
            break mail;
        }
    };
    assert!(mail.text().contains("198.51.100.7"), "{}", mail.text());
    let events = alice.get("/api/v1/me/mfa/events").await.ok();
    let text = events.to_string();
    assert!(text.contains("login.verify"), "{text}");
    assert!(!text.contains(&wrong));
}
