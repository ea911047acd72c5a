//! Security keys.

mod attacks;
mod bent;
mod copies;
mod keys;
mod life;
mod names;
mod proofs;
mod races;
mod signed;

use serde_json::{Value, json};

use crate::support::{Authenticator, Client};

pub const BEGIN: &str = "/api/v1/me/mfa/webauthn/register/begin";
pub const COMPLETE: &str = "/api/v1/me/mfa/webauthn/register/complete";
pub const VERIFY_BEGIN: &str = "/api/v1/me/mfa/webauthn/verify/begin";
pub const VERIFY: &str = "/api/v1/me/mfa/webauthn/verify/complete";
const REGENERATE: &str = "/api/v1/me/mfa/backup-codes/regenerate";

/// Sets up a key, and gives its device's identifier.
pub async fn enrol(person: &Client, key: &Authenticator) -> String {
    enrol_as(person, key, None).await
}

/// Sets up a key under a name.
pub async fn enrol_as(person: &Client, key: &Authenticator, name: Option<&str>) -> String {
    let begun = person.post_json(BEGIN, &json!({ "name": name })).await.ok();
    let done = person.post_json(COMPLETE, &key.register(&begun)).await.ok();
    done["device"]["device_id"].as_str().unwrap().to_owned()
}

/// A proof that any `code` takes.
pub async fn prove(person: &Client, key: &mut Authenticator) -> String {
    let begun = person.post(VERIFY_BEGIN).await.ok();
    let proved = person.post_json(VERIFY, &key.verify(&begun)).await.ok();
    proved["code"].as_str().unwrap().to_owned()
}

fn path_of(device: &str) -> String {
    format!("/api/v1/me/mfa/webauthn/{device}")
}

async fn overview(person: &Client) -> Value {
    person.get("/api/v1/me/mfa").await.ok()
}

async fn devices(person: &Client) -> Vec<Value> {
    overview(person).await["devices"]
        .as_array()
        .unwrap()
        .clone()
}

fn decode(text: &Value) -> Vec<u8> {
    data_encoding::BASE64URL_NOPAD
        .decode(text.as_str().unwrap().as_bytes())
        .unwrap()
}

fn encode(bytes: &[u8]) -> String {
    data_encoding::BASE64URL_NOPAD.encode(bytes)
}
