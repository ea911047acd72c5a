//! What people are told of sign-ins.

use std::time::Duration;

use mfad::login::notify_of_unfinished;
use mfad::outbox;
use serde_json::{Value, json};

use super::super::{email, totp};
use super::{answer, of, one_call, open_with};
use crate::support::smtp::Received;
use crate::support::{App, Client, Server, until};

/// All mails which say that a sign-in was not finished.
fn unfinished(server: &Server) -> Vec<Received> {
    let mails = server.smtp.mails().into_iter();
    mails
        .filter(|mail| mail.subject().starts_with("Unfinished sign-in"))
        .collect()
}

/// Whom they went to, by the name before the `@`.
fn notified(server: &Server) -> Vec<String> {
    let mut names: Vec<String> = unfinished(server)
        .iter()
        .flat_map(|mail| mail.to.clone())
        .map(|to| to.split('@').next().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// Runs the search for unfinished sign-ins once, and waits until the mail server has all that came of it.
async fn search(server: &Server) {
    notify_of_unfinished(&server.desk).await.unwrap();
    let store = &server.desk.tools.store;
    until("all notices have left", async || {
        outbox::waiting(store, 1).unwrap() == 0
    })
    .await;
}

async fn begun(portal: &Client, subject: &str, more: Value) -> Value {
    open_with(portal, subject, more).await
}

/// Where the sign-ins of these tests are said to come from.
fn context() -> Value {
    json!({"ip": "198.51.100.7", "user_agent": "Firefox", "app": "Wiki <b>\r\nBcc: x@evil.example"})
}

/// What somebody does with the sign-in that was begun in their name, as `name` says; nothing where it says nothing of it.
async fn goes_on(server: &Server, portal: &Client, name: &str, app: &App, challenge: &Value) {
    let now = server.clock.unix();
    let right = app.code(now);
    match name {
        "wrong" => {
            for _ in 0..5 {
                answer(portal, challenge, "totp", &app.wrong_code(now))
                    .await
                    .refused(400, "wrong_code");
            }
        }
        "evicted" => {
            server.clock.forward(1);
            for _ in 0..21 {
                begun(portal, name, json!({"amr": []})).await;
            }
            portal
                .get(&of(challenge, ""))
                .await
                .refused(404, "not_found");
        }
        "finished" => drop(answer(portal, challenge, "totp", &right).await.ok()),
        "another" | "elsewhere" => {
            server.clock.forward(1);
            let more = match name {
                "another" => json!({ "context": context() }),
                _ => json!({"context": {"ip": "203.0.113.9"}}),
            };
            let second = begun(portal, name, more).await;
            answer(portal, &second, "totp", &right).await.ok();
        }
        _ => {}
    }
}

#[tokio::test]
async fn a_person_is_told_of_a_password_that_somebody_knows_and_of_nothing_else() {
    let server = Server::start().await;
    let portal = server.login_service();
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
    let mut apps = Vec::new();
    for (name, _) in people {
        apps.push(totp::enrol(&server, &server.person(name)).await.0);
    }
    let start = server.clock.unix();
    let mut opened = Vec::new();
    for (name, _) in people {
        let more = match name {
            "no-first" => json!({"amr": [], "context": context()}),
            "step-up" => json!({"reason": "step_up", "context": context()}),
            _ => json!({ "context": context() }),
        };
        opened.push(begun(&portal, name, more).await);
    }
    for ((name, _), (app, challenge)) in people.iter().zip(apps.iter().zip(&opened)) {
        goes_on(&server, &portal, name, app, challenge).await;
    }
    // Nobody is told before three minutes are over.
    let gone = server.clock.unix() - start;
    server.clock.forward(180 - gone - 1);
    search(&server).await;
    assert_eq!(notified(&server), [""; 0]);
    server.clock.forward(1);
    search(&server).await;
    let mut expected: Vec<&str> = people.iter().filter(|p| p.1).map(|p| p.0).collect();
    expected.sort_unstable();
    assert_eq!(notified(&server), expected);
    // Nor of what was begun a second later.
    server.clock.forward(10);
    search(&server).await;
    assert_eq!(notified(&server), expected);
}

#[tokio::test]
async fn the_mail_says_where_it_came_from_and_what_a_service_says_adds_no_header_and_no_markup() {
    let server = Server::start().await;
    let portal = server.login_service();
    totp::enrol(&server, &server.alice()).await;
    begun(&portal, "alice", json!({ "context": context() })).await;
    server.clock.forward(180);
    search(&server).await;
    let mails = unfinished(&server);
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    let text = mail.text();
    for word in ["198.51.100.7", "Wiki", "12:0"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(mail.headers("Bcc").is_empty());
    assert!(!mail.html().contains("<b>\r") && !mail.html().contains("Wiki <b>"));
    assert!(!text.contains("\nBcc:"), "{text}");
}

#[tokio::test]
async fn a_person_is_told_of_each_sign_in_once() {
    let mut server = Server::start().await;
    let portal = server.login_service();
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let opened = begun(&portal, "alice", json!({ "context": context() })).await;
    server.clock.forward(180);
    search(&server).await;
    assert_eq!(notified(&server), ["alice"]);
    search(&server).await;
    // Nor does it matter that they come in afterwards, or that the server starts again.
    let right = app.code(server.clock.unix());
    answer(&portal, &opened, "totp", &right).await.ok();
    search(&server).await;
    server.restart().await;
    search(&server).await;
    assert_eq!(notified(&server), ["alice"]);
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
    // From here on the server finds it by itself.
    server.periods.unfinished_sign_ins = Duration::from_millis(20);
    server.restart().await;
    until("the person is told", async || {
        !unfinished(&server).is_empty()
    })
    .await;
    // The search goes by age, so the older one has been passed over by now.
    search(&server).await;
    assert_eq!(notified(&server), ["late"]);
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
    let told = || {
        let mails = server.smtp.mails();
        let spent = mails
            .iter()
            .filter(|mail| mail.subject().contains("ackup code"));
        spent.count()
    };
    until("each code is told of", async || told() == 8).await;
    // A refused one is no news.
    one_call(&portal, "alice", &codes[0])
        .await
        .refused(400, "wrong_code");
    search(&server).await;
    assert_eq!(told(), 8);
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
