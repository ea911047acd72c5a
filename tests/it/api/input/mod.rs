//! What arrives is not what was asked for.

mod body;
mod place;
mod refusals;
mod slow;

use std::collections::HashSet;

use axum::body::Bytes;
use axum::http::Method;
use mfad::clients::{Sends, Service, Unknown};
use serde_json::{Map, Value, json};

use super::history;
use super::login::{CHALLENGES, of};
use super::totp::{DISABLE, ENABLE, REPLACE, UNLOCK, enrol, overview};
use crate::support::{App, Authenticator, Client, Field, Reply, Route, Server, routes};

/// Stands in whatever is submitted, and never in an answer.
const CANARY: &str = "canary-4711";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

const BEGIN: &str = "/api/v1/me/mfa/webauthn/register/begin";
const COMPLETE: &str = "/api/v1/me/mfa/webauthn/register/complete";

/// What every answer carries, whatever it says.
#[track_caller]
fn assert_dressed(reply: &Reply) {
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("x-frame-options"), "DENY");
    assert_eq!(reply.header("referrer-policy"), "no-referrer");
    assert_eq!(
        reply.header("strict-transport-security"),
        "max-age=31536000"
    );
    let policy = reply.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    let id = reply.header("x-request-id");
    assert!(id.starts_with("req_") && id.len() == 30, "{id}");
    for (name, _) in &reply.headers {
        assert_eq!(reply.headers.get_all(name).iter().count(), 1, "{name}");
        assert!(!name.as_str().starts_with("access-control-"), "{name}");
    }
    let kind = match reply.status.as_u16() {
        200 | 201 | 422 => "application/json",
        _ => "application/problem+json",
    };
    if !reply.text.is_empty() {
        assert_eq!(reply.header("content-type"), kind, "{}", reply.text);
    }
    assert!(!reply.text.contains(CANARY), "{}", reply.text);
}

/// Where the portal's people are brought back to.
const RETURN: &str = "https://portal.example.com/back";

/// Somebody with an app, a key, another app pending, and a sign-in that waits for an answer, on the hosted page
/// too: enough that something could go wrong with it.
struct Rich {
    server: Server,
    alice: Client,
    app: App,
    key_id: String,
    portal: Client,
    challenge: Value,
    /// The hosted page's token.
    prompt: String,
}

/// A route that reads a body, and who may use it.
struct Reader {
    route: Route,
    path: String,
    client: Client,
    prompt: Option<String>,
}

impl Reader {
    async fn send(&self, kind: Option<&str>, body: impl AsRef<[u8]>) -> Reply {
        let headers: Vec<_> = kind
            .map(|kind| ("content-type", kind))
            .into_iter()
            .collect();
        let body = Bytes::copy_from_slice(body.as_ref());
        let method = self.route.method.clone();
        let reply = self.client.send(method, &self.path, &headers, body).await;
        assert_dressed(&reply);
        self.assert_not_verified(&reply);
        reply
    }

    /// Of what was refused, no word may look like a success.
    fn assert_not_verified(&self, reply: &Reply) {
        if self.route.verifies() && reply.status.as_u16() >= 400 {
            let body = reply.json();
            assert_eq!(body["verified"], false, "{body}");
            assert_eq!(body["result"], false, "{body}");
        }
    }

    /// A value that fits, with the canary in it where that may be.
    fn good(&self, field: &Field) -> Value {
        match (field.name.as_str(), &self.prompt) {
            ("prompt", Some(token)) => json!(token),
            _ => field.good(CANARY),
        }
    }

    /// All that must be there, but for objects, which never fit.
    fn whole(&self) -> Map<String, Value> {
        let fields = self.route.fields.iter();
        let needed = fields.filter(|field| field.required && field.kind != "object");
        needed
            .map(|field| (field.name.clone(), self.good(field)))
            .collect()
    }

    /// What is told of a body without anything in it.
    fn missing(&self) -> HashSet<String> {
        let fields = self.route.fields.iter();
        let required = fields.filter(|field| field.required);
        let mut names: HashSet<String> = required.map(|field| field.name.clone()).collect();
        // A person, by whichever name. An answer to a challenge may name one, and need not.
        let names_person = |field: &Field| field.name == "subject";
        if self.route.fields.iter().any(names_person) && !self.route.path.contains("{challenge_id}")
        {
            names.insert("subject".to_owned());
        }
        names
    }
}

impl Rich {
    async fn new() -> Self {
        let server = Server::start_unlimited().await;
        let alice = server.alice();
        let (app, _) = enrol(&server, &alice).await;
        let key_id = register_key(&alice).await;
        alice
            .code(REPLACE, &app.code(server.clock.unix()))
            .await
            .ok();
        server.clock.next_step();
        let service = Service {
            id: "portal".to_owned(),
            sends: Sends::Subject,
            tenants: Vec::new(),
            return_urls: vec![RETURN.to_owned()],
            client_id: Some("portal".to_owned()),
            issuer: None,
            unknown: Some(Unknown::Enroll),
        };
        server.register(service).await;
        let portal = server.login_service();
        let asking = json!({"subject": "alice", "amr": ["pwd"], "return_url": RETURN});
        let opened = portal.post_json(CHALLENGES, &asking).await;
        assert_eq!(opened.status, 201, "{}", opened.text);
        let challenge = opened.json();
        let url = challenge["prompt_url"].as_str().unwrap();
        let prompt = url.rsplit('#').next().unwrap().to_owned();
        Rich {
            server,
            alice,
            app,
            key_id,
            portal,
            challenge,
            prompt,
        }
    }

    async fn state(&self) -> (Value, Vec<Value>, Value, Value) {
        let prompt = json!({"prompt": self.prompt});
        let open = self.server.stranger();
        (
            overview(&self.alice).await,
            history::all(&self.alice).await,
            self.portal.get(&of(&self.challenge, "")).await.ok(),
            open.post_json("/api/v1/prompt/open", &prompt).await.ok(),
        )
    }

    async fn send(&self, method: &Method, path: &str, kind: Option<&str>, body: &[u8]) -> Reply {
        let headers: Vec<_> = kind
            .map(|kind| ("content-type", kind))
            .into_iter()
            .collect();
        let body = Bytes::copy_from_slice(body);
        let reply = self.alice.send(method.clone(), path, &headers, body).await;
        assert_dressed(&reply);
        reply
    }

    /// Every route that reads a body, in the hands of those whom it is for.
    fn readers(&self) -> Vec<Reader> {
        let readers = routes().into_iter().filter(Route::reads_body);
        readers
            .map(|route| {
                let challenge = self.challenge["challenge_id"].as_str().unwrap();
                let (client, id, prompt) = match route.path.split('/').nth(3) {
                    Some("me") => (self.alice.clone(), self.key_id.as_str(), None),
                    Some("mfa") => (self.portal.clone(), challenge, None),
                    Some("prompt") => (self.server.stranger(), "", Some(self.prompt.clone())),
                    _ => panic!("whose is {}?", route.path),
                };
                Reader {
                    path: route.path_with(id),
                    route,
                    client,
                    prompt,
                }
            })
            .collect()
    }
}

async fn register_key(person: &Client) -> String {
    let begun = person.post(BEGIN).await.ok();
    let body = Authenticator::new().register(&begun);
    person.post_json(COMPLETE, &body).await.ok();
    begun["device_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_answer_is_dressed_and_has_a_name_of_its_own() {
    let rich = Rich::new().await;
    let nobody = rich.server.stranger();
    let right = rich.app.code(rich.server.clock.unix());
    let mut replies = vec![
        rich.alice.get("/api/v1/me/mfa").await,
        rich.alice.get("/api/v1/me/mfa/events").await,
        rich.alice.code(REPLACE, &right).await,
        rich.alice
            .post_json(UNLOCK, &json!({"type": CANARY, "code": CANARY}))
            .await,
        rich.alice.post(ENABLE).await,
        nobody.get("/api/v1/me/mfa").await,
        nobody.get("/readyz").await,
        nobody.get("/openapi.json").await,
        nobody.get(&format!("/{CANARY}")).await,
        nobody.post("/api/v1/me/mfa").await,
        rich.server.login_service().get("/api/v1/me/mfa").await,
        rich.server
            .bearer(CANARY.to_owned())
            .get("/api/v1/me/mfa")
            .await,
    ];
    for _ in 0..6 {
        replies.push(rich.alice.code(DISABLE, CANARY).await);
    }
    let statuses: HashSet<u16> = replies.iter().map(|reply| reply.status.as_u16()).collect();
    assert_eq!(
        statuses,
        HashSet::from([200, 400, 401, 403, 404, 405, 409, 422, 429])
    );
    for reply in &replies {
        assert_dressed(reply);
    }
    // What a client calls a request is not what we call it.
    let headers = [
        ("x-request-id", "req_aaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("origin", "https://evil.example.com"),
    ];
    let reply = nobody
        .send(Method::GET, "/healthz", &headers, Bytes::new())
        .await;
    assert_ne!(reply.header("x-request-id"), headers[0].1);
    replies.push(reply);
    replies.push(nobody.get("/").await);
    let names: HashSet<&str> = replies
        .iter()
        .map(|reply| reply.header("x-request-id"))
        .collect();
    assert_eq!(names.len(), replies.len());
    let page = &replies[replies.len() - 1];
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(
        replies[replies.len() - 2].header("content-type"),
        "text/plain; charset=utf-8"
    );
    // Only what has a hash in its path may be kept.
    let part = page
        .text
        .split('"')
        .find(|part| part.starts_with("/assets/"))
        .unwrap();
    let part = nobody.get(part).await;
    assert_eq!(part.status, 200);
    assert_eq!(
        part.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(part.header("x-content-type-options"), "nosniff");
    // A HEAD is a GET without its body.
    let head = rich
        .alice
        .send(Method::HEAD, "/api/v1/me/mfa", &[], Bytes::new())
        .await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    assert_dressed(&head);
    let head = nobody
        .send(Method::HEAD, "/api/v1/me/mfa", &[], Bytes::new())
        .await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (401, ""));
    assert_eq!(head.header("www-authenticate"), "Bearer");
}
