//! Where a recent sign-in is asked for: changes that carry no code.

mod attack;
mod codes;
mod table;

use axum::http::Method;
use serde_json::{Value, json};

use super::webauthn::{BEGIN, COMPLETE};
use super::{email, totp};
use crate::support::{Authenticator, Client, Options, PUBLIC_URL, Reply, Server, unlimited};

const MAX_AGE: u64 = 600;
const CODE: &str = "insufficient_user_authentication";

/// What no code is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    EnableTotp,
    EnableEmail,
    BeginKey,
    RemoveKey,
    RenameKey,
}

const CHANGES: [Change; 5] = [
    Change::EnableTotp,
    Change::EnableEmail,
    Change::BeginKey,
    Change::RenameKey,
    Change::RemoveKey,
];

impl Change {
    fn action(self) -> &'static str {
        match self {
            Change::EnableTotp => "totp.enable",
            Change::EnableEmail => "email.enable",
            Change::BeginKey => "webauthn.begin",
            Change::RemoveKey => "webauthn.remove",
            Change::RenameKey => "webauthn.rename",
        }
    }

    /// Asks for it; `device` is the key to remove or rename.
    async fn ask(self, person: &Client, device: &str, code: Option<&str>) -> Reply {
        let key = format!("/api/v1/me/mfa/webauthn/{device}");
        let (method, path, mut body) = match self {
            Change::EnableTotp => (Method::POST, totp::ENABLE, json!({})),
            Change::EnableEmail => (Method::POST, email::ENABLE, json!({})),
            Change::BeginKey => (Method::POST, BEGIN, json!({"name": "Mine"})),
            Change::RemoveKey => (Method::DELETE, key.as_str(), json!({})),
            Change::RenameKey => (Method::PATCH, key.as_str(), json!({"name": "Mine"})),
        };
        if let Some(code) = code {
            body["code"] = json!(code);
        }
        // A body that says nothing may as well not be there.
        match body.as_object().unwrap().is_empty() {
            true => person.send(method, path, &[], Default::default()).await,
            false => person.json(method, path, &body).await,
        }
    }
}

/// A server that asks for a sign-in of the last ten minutes.
async fn strict() -> Server {
    Server::start_with(Options {
        recent_auth: Some(MAX_AGE),
        limits: unlimited(),
        ..Options::default()
    })
    .await
}

/// Somebody whose token says this of their sign-in.
fn signed_in(
    server: &Server,
    subject: &str,
    auth_time: Option<u64>,
    amr: impl Into<Value>,
) -> Client {
    let token = server
        .issuer
        .token(PUBLIC_URL, subject)
        .with("auth_time", auth_time.map_or(Value::Null, Value::from))
        .with("amr", amr);
    server.bearer(token.sign())
}

/// Somebody who has just signed in with all that they have.
fn fresh(server: &Server, subject: &str) -> Client {
    signed_in(
        server,
        subject,
        Some(server.clock.unix()),
        json!(["pwd", "mfa"]),
    )
}

/// Somebody who signed in with all that they have, too long ago.
fn stale(server: &Server, subject: &str) -> Client {
    let then = server.clock.unix() - MAX_AGE - 1;
    signed_in(server, subject, Some(then), json!(["pwd", "mfa"]))
}

/// What came with a person's security key.
struct Owned {
    device: String,
    backup: Vec<String>,
}

/// Sets up a key for a person who has nothing yet.
async fn enrol(server: &Server, subject: &str) -> Owned {
    let person = fresh(server, subject);
    let key = Authenticator::new();
    let begun = person.post(BEGIN).await.ok();
    let done = person.post_json(COMPLETE, &key.register(&begun)).await.ok();
    Owned {
        device: done["device"]["device_id"].as_str().unwrap().to_owned(),
        backup: serde_json::from_value(done["backup_codes"].clone()).unwrap(),
    }
}

/// A refusal for the sign-in's sake, in the body, the header and the history.
#[track_caller]
fn assert_asked_for_more(reply: &Reply) {
    let body = reply.refused(401, CODE);
    assert_eq!(body["max_age"], MAX_AGE);
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.contains("Sign in again"), "{detail}");
    let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges.len(), 1);
    assert_eq!(
        reply.header("www-authenticate"),
        format!(
            r#"Bearer error="insufficient_user_authentication", error_description="{detail}", max_age="600""#
        )
    );
}

/// The newest line of a person's history.
async fn last_event(person: &Client, outcome: &str) -> Value {
    let history = person.get("/api/v1/me/mfa/events").await.ok();
    let mut events = history["events"].as_array().unwrap().iter();
    let last = events.find(|event| event["outcome"] == outcome);
    last.unwrap().clone()
}

async fn overview(person: &Client) -> Value {
    person.get("/api/v1/me/mfa").await.ok()
}
