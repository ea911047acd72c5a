//! One name that two users have.

use mfad::clients::{Sends, Service, Unknown};
use mfad::console::{Answer, Order, Tools, execute};
use serde_json::json;

use super::names::{enrolled, named, sending};
use super::{CHALLENGES, VERIFY, answer, claims, member, met, register};
use crate::support::{Client, PUBLIC_URL, Server};

fn called(server: &Server, subject: &str, username: &str) -> Client {
    let token = server.issuer.token(PUBLIC_URL, subject);
    server.bearer(token.with("preferred_username", username).sign())
}

/// A service that lets in whom this server does not know.
async fn lax(server: &Server, sends: Sends) -> Client {
    let lax = Service {
        unknown: Some(Unknown::Allow),
        ..sending("lax", sends, &[])
    };
    register(server, lax).await
}

async fn is_ambiguous(service: &Client, name: &str) {
    for (path, body) in [
        (CHALLENGES, json!({ "user": name })),
        (VERIFY, json!({"user": name, "code": "123456"})),
    ] {
        let reply = service.post_json(path, &body).await;
        reply.refused(409, "ambiguous_name");
    }
}

/// What operators read of names, the newest first.
async fn operations(server: &Server) -> Vec<(String, Option<String>)> {
    let tools = Tools::from(&server.desk.tools);
    let Ok(Answer::Operations(lines)) = execute(&tools, Order::Operations { limit: 100 }).await
    else {
        panic!("no lines");
    };
    let lines = lines.into_iter().map(|(_, line)| line);
    let lines = lines.filter(|line| line.action.starts_with("user.name"));
    lines.map(|line| (line.action, line.about)).collect()
}

/// Waits for the two emails that say so, and gives to whom they went and what they say.
async fn two_mails(server: &Server, word: &str) -> Vec<(String, String)> {
    let mut told = Vec::new();
    while told.len() < 2 {
        let mail = server.smtp.next_mail().await;
        let text = mail.text().replace('\n', " ");
        if text.contains(word) {
            told.push((mail.headers("to").concat(), text));
        }
    }
    told.sort();
    told
}

#[tokio::test]
async fn a_newcomer_without_a_factor_neither_keeps_an_enrolled_user_out_nor_gets_in_as_her() {
    let server = Server::start().await;
    let lax = lax(&server, Sends::Username).await;
    let app = enrolled(&server, &called(&server, "s-1", "alice")).await;
    server.clock.forward(30);
    for name in ["Alice", "mallory", "ＡＬＩＣＥ", "alice"] {
        met(&called(&server, "s-2", name)).await;
        server.clock.forward(30);
        let opened = named(&lax, "user", "alice").await;
        assert_eq!(opened["decision"], "challenge", "{name}");
        assert_eq!(opened["methods"], json!(["totp", "backup_code"]));
        let code = app.code(server.clock.unix());
        let verified = answer(&lax, &opened, "totp", &code).await.ok();
        assert_eq!(claims(&server, &verified).await["sub"], "s-1");
    }
    // Both hear of it, and operators read of it, once.
    let told = two_mails(&server, "the name alice").await;
    assert!(told[0].0.contains("s-1@example.com"), "{told:?}");
    assert!(told[0].1.contains("still ask for your second factor"));
    assert!(told[1].0.contains("s-2@example.com"), "{told:?}");
    assert!(told[1].1.contains("the other account’s second factor"));
    let about = format!("s-2, by a name of s-1 at {}", server.issuer.url);
    let expected = [("user.name_shared".to_owned(), Some(about))];
    assert_eq!(operations(&server).await, expected);
}

#[tokio::test]
async fn a_name_of_two_enrolled_users_means_neither_and_both_are_told_when_that_comes_about() {
    let server = Server::start().await;
    let lax = lax(&server, Sends::Username).await;
    let app = enrolled(&server, &called(&server, "s-1", "alice")).await;
    server.clock.forward(30);
    let hers = enrolled(&server, &called(&server, "s-2", "Alice")).await;
    is_ambiguous(&lax, "alice").await;
    let told = two_mails(&server, "until only one account has it").await;
    assert!(told[0].0.contains("s-1@example.com"), "{told:?}");
    assert!(told[1].0.contains("s-2@example.com"), "{told:?}");
    let actions: Vec<String> = operations(&server)
        .await
        .into_iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(actions, ["user.name_ambiguous", "user.name_shared"]);
    // Nor does the newcomer's own code let anybody in under it.
    server.clock.forward(30);
    let body = json!({"user": "alice", "code": hers.code(server.clock.unix())});
    let reply = lax.post_json(VERIFY, &body).await;
    reply.refused(409, "ambiguous_name");
    // By their subjects there is no doubt, and when one gives the name up it is the other's again.
    assert_eq!(named(&lax, "subject", "s-1").await["decision"], "challenge");
    met_still(&called(&server, "s-2", "mallory")).await;
    let opened = named(&lax, "user", "alice").await;
    let code = app.code(server.clock.unix());
    answer(&lax, &opened, "totp", &code).await.ok();
    assert_eq!(operations(&server).await.len(), 2);
}

/// What is refused says who asked as well, of users with a factor too.
async fn met_still(person: &Client) {
    let refused = person.code(super::super::totp::CONFIRM, "123456").await;
    refused.refused(409, "not_pending");
}

#[tokio::test]
async fn who_takes_the_name_of_a_user_without_a_factor_is_not_taken_for_them() {
    let server = Server::start().await;
    let lax = lax(&server, Sends::Username).await;
    met(&called(&server, "s-1", "bob")).await;
    server.clock.forward(1);
    // One who has a factor already, and one who sets it up under that name.
    enrolled(&server, &called(&server, "s-2", "eve")).await;
    met_still(&called(&server, "s-2", "Bob")).await;
    is_ambiguous(&lax, "bob").await;
    met_still(&called(&server, "s-2", "eve")).await;
    // It is his again, and asks for nothing of hers.
    assert_eq!(named(&lax, "user", "bob").await["decision"], "allow");
    let server = Server::start().await;
    let lax = self::lax(&server, Sends::Username).await;
    met(&called(&server, "s-1", "bob")).await;
    server.clock.forward(1);
    met(&called(&server, "s-3", "bob")).await;
    is_ambiguous(&lax, "bob").await;
    enrolled(&server, &called(&server, "s-3", "bob")).await;
    is_ambiguous(&lax, "bob").await;
    // As soon as its first owner has one it is theirs no more than the other's.
    enrolled(&server, &called(&server, "s-1", "bob")).await;
    is_ambiguous(&lax, "bob").await;
}

#[tokio::test]
async fn a_verified_address_of_two_is_as_any_other_name() {
    let server = Server::start().await;
    let lax = lax(&server, Sends::Email).await;
    let with = |subject: &str| {
        let token = server.issuer.token(PUBLIC_URL, subject);
        let token = token.with("email", "team@example.com");
        server.bearer(token.with("email_verified", true).sign())
    };
    enrolled(&server, &with("s-1")).await;
    server.clock.forward(30);
    met(&with("s-2")).await;
    let opened = named(&lax, "user", "TEAM@example.com").await;
    assert_eq!(opened["decision"], "challenge");
    enrolled(&server, &with("s-2")).await;
    is_ambiguous(&lax, "team@example.com").await;
    assert_eq!(operations(&server).await.len(), 2);
}

#[tokio::test]
async fn users_of_other_tenants_are_no_news_to_each_other() {
    let server = Server::start().await;
    enrolled(&server, &member(&server, "acme", "s-1", "admin")).await;
    for number in 0..12 {
        let tenant = format!("tenant-{number}");
        let other = member(&server, &tenant, &format!("t-{number}"), "admin");
        enrolled(&server, &other).await;
    }
    assert_eq!(operations(&server).await, []);
    server.clock.forward(30);
    met(&member(&server, "acme", "s-2", "Admin")).await;
    let about = format!("s-2, by a name of s-1 at {}", server.issuer.url);
    let expected = [("user.name_shared".to_owned(), Some(about))];
    assert_eq!(operations(&server).await, expected);
    // At a service of the tenant the name means who had it, and has a factor.
    let acme = register(&server, sending("acme", Sends::Username, &["acme"])).await;
    assert_eq!(named(&acme, "user", "admin").await["decision"], "challenge");
}

#[tokio::test]
async fn eight_newcomers_are_told_of_and_no_further_one_costs_a_mail() {
    let server = Server::start().await;
    enrolled(&server, &called(&server, "s-0", "alice")).await;
    server.clock.forward(30);
    for number in 1..12 {
        met(&called(&server, &format!("s-{number}"), "alice")).await;
    }
    let of_alice = format!("by a name of s-0 at {}", server.issuer.url);
    let lines = operations(&server).await.into_iter();
    let lines = lines.filter(|(_, about)| about.as_ref().is_some_and(|it| it.contains(&of_alice)));
    assert_eq!(lines.count(), 8);
    let lax = lax(&server, Sends::Username).await;
    assert_eq!(named(&lax, "user", "alice").await["decision"], "challenge");
}
