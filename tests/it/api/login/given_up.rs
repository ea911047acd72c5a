//! Names that a user gave up, and that another one takes.

use mfad::clients::{Sends, Service, Unknown};
use mfad::console::{Answer, Order, Tools, execute};

use super::super::totp;
use super::names::{enrolled, named, sending};
use super::{met, register};
use crate::support::{Client, PUBLIC_URL, Server};

fn called(server: &Server, subject: &str, username: &str) -> Client {
    let token = server.issuer.token(PUBLIC_URL, subject);
    server.bearer(token.with("preferred_username", username).sign())
}

/// What is refused says who asked as well.
async fn says(person: &Client) {
    let refused = person.code(totp::CONFIRM, "123456").await;
    refused.refused(409, "not_pending");
}

async fn contests(server: &Server) -> Vec<Option<String>> {
    let tools = Tools::from(&server.desk.tools);
    let Ok(Answer::Operations(lines)) = execute(&tools, Order::Operations { limit: 100 }).await
    else {
        panic!("no lines");
    };
    let lines = lines.into_iter().map(|(_, line)| line);
    let contested = lines.filter(|line| line.action == "user.name_contested");
    contested.map(|line| line.about).collect()
}

#[tokio::test]
async fn a_name_that_was_given_up_lets_nobody_in_until_an_operator_releases_it() {
    let server = Server::start().await;
    let lax = Service {
        unknown: Some(Unknown::Allow),
        ..sending("lax", Sends::Username, &[])
    };
    let lax = register(&server, lax).await;
    let decision = async |name: &str| named(&lax, "user", name).await["decision"].clone();
    enrolled(&server, &called(&server, "s-1", "alice")).await;
    assert_eq!(decision("alice").await, "challenge");

    // She is called otherwise at the issuer, and still comes in as alice at the directory.
    says(&called(&server, "s-1", "alicia")).await;
    assert_eq!(decision("alicia").await, "challenge");
    assert_eq!(decision("alice").await, "deny");
    assert_eq!(decision("ＡＬＩＣＥ").await, "deny");

    // Somebody who takes the name comes in under it as little as she does, and both hear of it, once.
    let mallory = called(&server, "s-2", "Alice");
    met(&mallory).await;
    met(&mallory).await;
    assert_eq!(decision("alice").await, "deny");
    let about = format!("s-2, by a name of s-1 at {}", server.issuer.url);
    assert_eq!(contests(&server).await, [Some(about)]);
    let mut told = Vec::new();
    while told.len() < 2 {
        let mail = server.smtp.next_mail().await;
        let text = mail.text().replace('\n', " ");
        if text.contains("the name alice") {
            told.push((mail.headers("to").concat(), text));
        }
    }
    told.sort();
    assert!(told[0].0.contains("s-1@example.com"), "{told:?}");
    assert!(told[0].1.contains("which was yours before"), "{told:?}");
    assert!(told[1].0.contains("s-2@example.com"), "{told:?}");
    assert!(told[1].1.contains("another account gave up"), "{told:?}");

    // An operator knows that it is right.
    let tools = Tools::from(&server.desk.tools);
    let release = || Order::ReleaseName {
        name: "ALICE".to_owned(),
        issuer: None,
    };
    let released = execute(&tools, release()).await.unwrap();
    let of_alice = ("s-1".to_owned(), server.issuer.url.clone());
    assert!(
        matches!(&released, Answer::Released(users) if *users == [of_alice]),
        "{released:?}"
    );
    assert_eq!(decision("alice").await, "allow");
    let again = execute(&tools, release()).await.unwrap_err();
    assert_eq!(again.code().name, "name_not_reserved");
}

#[tokio::test]
async fn a_reservation_ends_after_400_days_and_a_user_without_a_factor_makes_none() {
    let server = Server::start().await;
    let name = register(&server, sending("name", Sends::Username, &[])).await;
    let decision = async |user: &str| named(&name, "user", user).await["decision"].clone();
    met(&called(&server, "s-3", "bob")).await;
    met(&called(&server, "s-3", "robert")).await;
    assert_eq!(decision("bob").await, "enroll");
    enrolled(&server, &called(&server, "s-1", "alice")).await;
    says(&called(&server, "s-1", "alicia")).await;
    for (days, means) in [(399, "deny"), (1, "enroll")] {
        server.clock.forward(days * 86_400);
        let tools = &server.desk.tools;
        tools.store.sweep(tools.now()).await.unwrap();
        assert_eq!(decision("alice").await, means, "{days}");
    }
}
