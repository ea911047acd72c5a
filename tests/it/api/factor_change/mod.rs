//! Who may change factors: a password is not enough once there is one.

mod first;
mod header;
mod other_sessions;
mod proofs;
mod routes;
mod sessions;
mod void;

use axum::http::Method;
use serde_json::{Value, json};

use super::webauthn::{self, BEGIN, COMPLETE};
use super::{email, totp};
use crate::support::{App, Authenticator, Client, Reply, Server};

const CODE: &str = "insufficient_user_authentication";
/// How old a sign-in with a second factor may be.
const SIGN_IN_SECONDS: u64 = 12 * 3_600;

/// Changes for which the reference API has no code to give.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    EnableTotp,
    EnableEmail,
    BeginKey,
    RenameKey,
    RemoveKey,
}

const CHANGES: [Change; 5] = [
    Change::EnableTotp,
    Change::EnableEmail,
    Change::BeginKey,
    Change::RenameKey,
    Change::RemoveKey,
];

impl Change {
    /// Method, path and body; `device` is the key to rename or remove.
    fn request(self, device: &str) -> (Method, String, Value) {
        let key = format!("/api/v1/me/mfa/webauthn/{device}");
        match self {
            Change::EnableTotp => (Method::POST, totp::ENABLE.to_owned(), json!({})),
            Change::EnableEmail => (Method::POST, email::ENABLE.to_owned(), json!({})),
            Change::BeginKey => (Method::POST, BEGIN.to_owned(), json!({"name": "Mine"})),
            Change::RenameKey => (Method::PATCH, key, json!({"name": "Mine"})),
            Change::RemoveKey => (Method::DELETE, key, json!({})),
        }
    }

    async fn ask(self, person: &Client, device: &str, code: Option<&str>) -> Reply {
        let (method, path, mut body) = self.request(device);
        if let Some(code) = code {
            body["code"] = json!(code);
        }
        person.json(method, &path, &body).await
    }
}

/// A refusal that asks for a proof, in body and header.
#[track_caller]
fn asks_for_proof(reply: &Reply) {
    let body = reply.refused(401, CODE);
    assert_eq!(body["max_age"], SIGN_IN_SECONDS);
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.contains("`code`"), "{detail}");
    let challenge = reply.header("www-authenticate");
    assert!(challenge.contains(CODE), "{challenge}");
    assert!(challenge.contains(r#"max_age="43200""#), "{challenge}");
}

async fn overview(person: &Client) -> Value {
    person.get("/api/v1/me/mfa").await.ok()
}

/// What a person has: kinds, names and states, and how many backup codes are left.
async fn factors(person: &Client) -> Value {
    let seen = overview(person).await;
    let devices = seen["devices"].as_array().unwrap().iter();
    let devices: Vec<Value> = devices
        .map(|one| json!([one["device_id"], one["type"], one["name"], one["status"]]))
        .collect();
    json!([devices, seen["backup_codes"]["remaining"]])
}

/// Sets up a key for a user who has no factor yet: its device and the backup codes.
async fn enrol_key(person: &Client, key: &Authenticator) -> (String, Vec<String>) {
    let begun = person.post(BEGIN).await.ok();
    let done = person.post_json(COMPLETE, &key.register(&begun)).await.ok();
    (
        done["device"]["device_id"].as_str().unwrap().to_owned(),
        serde_json::from_value(done["backup_codes"].clone()).unwrap(),
    )
}
