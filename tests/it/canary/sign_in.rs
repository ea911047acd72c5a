//! Whole sign-ins at a login service, and the secrets that they have.

use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mfad::base::OsEntropy;
use mfad::store::{self, MasterKeyPlace, Order, Record, Scan};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Canaries;
use crate::support::process::now;
use crate::support::{App, Authenticator, Client, Process, Reply, Site};

/// Where the service's people are brought back to.
pub const RETURN: &str = "https://portal.example.com/back";

const CHALLENGES: &str = "/api/v1/mfa/challenges";

/// A result: what it says and the signature, each of which would be enough to make one.
fn result(canaries: &mut Canaries, what: &str, answer: &Value) {
    let token = answer["token"].as_str().unwrap();
    let (said, signature) = token.rsplit_once('.').unwrap();
    canaries.add(
        &format!("{what}: its claims"),
        said.split('.').nth(1).unwrap(),
    );
    canaries.add(&format!("{what}: its signature"), signature);
}

/// A token with a prefix that is no secret.
fn behind(canaries: &mut Canaries, what: &str, prefix: &str, token: &str) {
    canaries.add(what, token.strip_prefix(prefix).unwrap());
}

/// Carol, who has set up all that there is, and the service that she signs in to.
struct Carol {
    codes: Vec<String>,
    authenticator: Authenticator,
    portal: Client,
}

impl Carol {
    async fn set_up(site: &Site, server: &Process, key: &str, canaries: &mut Canaries) -> Self {
        let person = site.person(server.address(), "carol");
        let app = App::scan(&person.post("/api/v1/me/mfa/totp/enable").await.ok());
        canaries.add("Carol's TOTP secret", &app.secret);
        let confirm = "/api/v1/me/mfa/totp/confirm";
        let confirmed = person.code(confirm, &app.code(now())).await.ok();
        let codes = canaries.codes("Carol's backup code", &confirmed["backup_codes"]);
        person.post("/api/v1/me/mfa/email/enable").await.ok();
        let code = loop {
            if let Some(code) = site.smtp.next_mail().await.code() {
                break code;
            }
        };
        person
            .code("/api/v1/me/mfa/email/confirm", &code)
            .await
            .ok();
        let begun = person.post("/api/v1/me/mfa/webauthn/register/begin").await;
        let authenticator = Authenticator::new();
        let answer = authenticator.register(&begun.ok());
        let complete = "/api/v1/me/mfa/webauthn/register/complete";
        person.post_json(complete, &answer).await.ok();
        Carol {
            codes,
            authenticator,
            portal: Client::new(server.address(), Some(key.to_owned())),
        }
    }

    /// Opens a challenge at the service.
    async fn open(&self, more: Value) -> Value {
        let mut asking = json!({"subject": "carol", "amr": ["pwd"], "scope": "wiki",
            "context": {"ip": "192.0.2.7", "user_agent": "Firefox", "app": "Wiki"}});
        let more = more.as_object().unwrap().clone();
        asking.as_object_mut().unwrap().extend(more);
        let opened = self.portal.post_json(CHALLENGES, &asking).await;
        assert_eq!(opened.status, 201, "{}", opened.text);
        opened.json()
    }
}

/// Where the service asks about a challenge.
fn at(challenge: &Value, rest: &str) -> String {
    let id = challenge["challenge_id"].as_str().unwrap();
    format!("{CHALLENGES}/{id}{rest}")
}

/// Carol sets up all that there is, signs in through the service whose key this is, by each method, and on
/// the hosted page.
pub async fn walk(site: &Site, server: &Process, key: &str, canaries: &mut Canaries) {
    let mut carol = Carol::set_up(site, server, key, canaries).await;
    by_key_and_browser(&mut carol, canaries).await;
    by_codes(&carol, canaries).await;
    let page = Client::new(server.address(), None);
    let challenge = on_the_hosted_page(&carol, &page, canaries).await;
    in_the_wrong_place(&carol, &page, &challenge, canaries).await;
}

/// Through the service: by key, and the browser is remembered and comes again.
async fn by_key_and_browser(carol: &mut Carol, canaries: &mut Canaries) {
    let challenge = carol.open(json!({})).await;
    let begun = carol.portal.post(&at(&challenge, "/webauthn")).await.ok();
    canaries.text(
        "the assertion's challenge",
        &begun["publicKey"]["challenge"],
    );
    let assertion = carol.authenticator.assertion(&begun);
    let credential = carol.authenticator.seal_assertion(&begun, &assertion);
    let answer = json!({"method": "webauthn", "credential": credential, "remember": true});
    let verified = carol
        .portal
        .post_json(&at(&challenge, "/verify"), &answer)
        .await
        .ok();
    result(canaries, "the result of a key", &verified);
    let browser = verified["device_token"].as_str().unwrap().to_owned();
    behind(canaries, "the browser's token", "mfad_td_", &browser);
    let again = carol.open(json!({"device_token": browser})).await;
    assert_eq!(again["decision"], "allow", "{again}");
    result(canaries, "the result of a browser", &again);
    let next = again["device_token"].as_str().unwrap();
    behind(canaries, "the browser's next token", "mfad_td_", next);
    let read = carol.portal.get(&at(&challenge, "")).await.ok();
    result(canaries, "the result of a key, again", &read);
}

/// Through the service: by codes, wrong ones among them.
async fn by_codes(carol: &Carol, canaries: &mut Canaries) {
    let challenge = carol.open(json!({})).await;
    let verify = at(&challenge, "/verify");
    let answer = async |method: &str, code: &str| -> Reply {
        let body = json!({"method": method, "code": code});
        carol.portal.post_json(&verify, &body).await
    };
    answer("totp", "canary-wrong-3d1c")
        .await
        .refused(400, "wrong_code");
    let verified = answer("backup_code", &carol.codes[1]).await.ok();
    result(canaries, "the result of a code", &verified);
    let form = format!("user=carol&code={}", carol.codes[2]);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let one_call = carol
        .portal
        .send(Method::POST, "/api/v1/mfa/verify", &headers, form.into())
        .await;
    one_call.ok();
}

/// On the hosted page. Gives the challenge that was answered there.
async fn on_the_hosted_page(carol: &Carol, page: &Client, canaries: &mut Canaries) -> Value {
    let state = "canary-state-51aa";
    let challenge = carol
        .open(json!({"return_url": RETURN, "state": state, "remember": true}))
        .await;
    let (_, prompt) = challenge["prompt_url"]
        .as_str()
        .unwrap()
        .split_once('#')
        .unwrap();
    behind(canaries, "the page's token", "prm_", prompt);
    let ask = async |order: &str, mut body: Value| -> Reply {
        body["prompt"] = json!(prompt);
        page.post_json(&format!("/api/v1/prompt/{order}"), &body)
            .await
    };
    ask("open", json!({})).await.ok();
    ask("webauthn", json!({})).await.ok();
    ask("email", json!({})).await.ok();
    let too_soon = ask("email", json!({})).await;
    too_soon.refused(429, "rate_limited");
    let wrong = json!({"method": "totp", "code": "canary-wrong-3d1c"});
    ask("verify", wrong).await.refused(400, "wrong_code");
    let right = json!({"method": "backup_code", "code": carol.codes[3], "remember": true});
    let back = ask("verify", right.clone()).await.ok();
    let back = back["return_to"].as_str().unwrap();
    assert!(back.starts_with(RETURN) && back.contains(state), "{back}");
    ask("verify", right).await.refused(409, "challenge_closed");
    let read = carol.portal.get(&at(&challenge, "")).await.ok();
    result(canaries, "the result of the page", &read);
    let browser = read["device_token"].as_str().unwrap();
    behind(canaries, "the page's browser's token", "mfad_td_", browser);
    challenge
}

/// What is in the wrong place, and what does not fit.
async fn in_the_wrong_place(
    carol: &Carol,
    page: &Client,
    challenge: &Value,
    canaries: &mut Canaries,
) {
    let mut odd = json!({"prompt": "prm_canary-prompt-8e02", "method": "canary-method-6b7f"});
    let verify = "/api/v1/prompt/verify";
    page.post_json(verify, &odd).await.misfit();
    odd["method"] = json!("totp");
    odd["code"] = json!("canary-wrong-3d1c");
    page.post_json(verify, &odd).await.refused(404, "not_found");
    let path = "/api/v1/mfa/challenges/canary-challenge-0d44?code=canary-asked-77c1";
    carol.portal.get(path).await.refused(404, "not_found");
    let headers = [("x-api-key", "mfad_sk_canary-key-19af")];
    let refused = page.send(Method::GET, CHALLENGES, &headers, Bytes::new());
    assert_eq!(refused.await.status, 405);
    let refused = page
        .send(Method::GET, &at(challenge, ""), &headers, Bytes::new())
        .await;
    refused.refused(401, "invalid_token");
    for text in [
        "state-51aa",
        "wrong-3d1c",
        "prompt-8e02",
        "method-6b7f",
        "challenge-0d44",
        "asked-77c1",
        "key-19af",
    ] {
        canaries.add(text, format!("canary-{text}"));
    }
}

/// A row of the keys that sign results, as far as it matters here.
#[derive(Serialize, Deserialize)]
struct SigningKey {
    pkcs8: String,
}

impl Record for SigningKey {
    type Key = String;
    const TABLE: &'static str = "signing keys";
}

/// What stands before the private number in PKCS#8 of a key on a curve of 256 bits (RFC 5915 section 3).
const BEFORE_THE_NUMBER: [u8; 5] = [0x02, 0x01, 0x01, 0x04, 0x20];

/// Adds the keys that sign results. Nobody may have the store open.
pub async fn signing_keys(folder: &Path, canaries: &mut Canaries) {
    // A copy: a process that another test starts holds our locks, too, until it has become its program.
    let copy = tempfile::tempdir().unwrap();
    for name in ["master.key", "mfad.redb", "mfad.witness"] {
        std::fs::copy(folder.join(name), copy.path().join(name)).unwrap();
    }
    let master = MasterKeyPlace::own(copy.path().join("master.key"));
    let store = store::open(copy.path(), &master, Arc::new(OsEntropy)).unwrap();
    let all = Scan {
        prefix: &[],
        past: None,
        order: Order::Ascending,
        limit: 10,
    };
    let keys = store.read(|read| read.list::<SigningKey>(&all)).unwrap();
    store.close().await;
    assert!(!keys.is_empty());
    for (name, key) in keys {
        let der = STANDARD.decode(&key.pkcs8).unwrap();
        let at = der
            .windows(BEFORE_THE_NUMBER.len())
            .position(|window| window == BEFORE_THE_NUMBER)
            .unwrap()
            + BEFORE_THE_NUMBER.len();
        canaries.add(&format!("the signing key {name}"), &der[at..at + 32]);
        canaries.add(&format!("the signing key {name} in Base64"), key.pkcs8);
    }
}
