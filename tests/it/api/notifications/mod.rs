//! What users are notified of, where, and how often.

mod addresses;
mod digests;
mod names;

use std::time::Duration;

use mfad::factor::send_due_digests;
use mfad::outbox;
use serde_json::Value;

use super::{totp, webauthn};
use crate::support::smtp::Received;
use crate::support::{App, Authenticator, Client, PUBLIC_URL, Server, until};

const OWN: &str = "alice@example.com";
const ADDED: &str = "New security key on your Example account";
const REMOVED: &str = "Removed from your Example account: security key";
const DIGEST: &str = "Many changes to your Example account within an hour";
/// What the last single email of an hour says.
const MORE: &str = "it will follow in one message after";

/// Alice, who has just signed in with all that she has, and of whom the issuer says more.
fn alice_with(server: &Server, claims: &[(&str, Value)]) -> Client {
    let token = server.issuer.token(PUBLIC_URL, "alice");
    let token = token.with_second_factor();
    let token = claims.iter().fold(token, |token, (name, value)| {
        token.with(name, value.clone())
    });
    server.bearer(token.sign())
}

/// Has the issuer name another address of hers, which the page learns.
async fn moved_to(server: &Server, address: &str) -> Client {
    let alice = alice_with(server, &[("email", address.into())]);
    totp::overview(&alice).await;
    alice
}

/// Waits until the mail server has all emails, and gives those to `address`.
async fn emails_to(server: &Server, address: &str) -> Vec<Received> {
    let store = &server.desk.tools.store;
    until("all emails have left", async || {
        outbox::waiting(store, 1).unwrap() == 0
    })
    .await;
    let all = server.smtp.mails().into_iter();
    all.filter(|email| email.to == [address]).collect()
}

fn subjects(emails: &[Received]) -> Vec<String> {
    emails.iter().map(Received::subject).collect()
}

/// The text on one line.
fn flat(email: &Received) -> String {
    email
        .text()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Locks the app and brings it back, which is two notifications.
async fn lock_and_unlock(server: &Server, alice: &Client, app: &App, key: &mut Authenticator) {
    let wrong = app.wrong_code(server.clock.unix());
    for _ in 0..5 {
        let reply = alice.code(totp::DISABLE, &wrong).await;
        reply.refused(400, "wrong_code");
    }
    let code = webauthn::prove(alice, key).await;
    let body = serde_json::json!({"type": "totp", "code": code});
    alice.post_json(totp::UNLOCK, &body).await.ok();
}

/// Sends what is due an hour after the first notification, and waits until it has left.
async fn hour_ends(server: &Server) {
    server.clock.forward(3600);
    send_due_digests(&server.desk).await.unwrap();
}

/// A server whose digests leave only when a test says so.
async fn start() -> Server {
    Server::start_with(crate::support::Options {
        limits: crate::support::unlimited(),
        periods: Some(mfad::app::JobPeriods {
            digests: Duration::from_secs(3600),
            ..crate::support::periods()
        }),
        ..Default::default()
    })
    .await
}
