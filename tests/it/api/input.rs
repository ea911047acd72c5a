//! What arrives is not what was asked for.

use std::collections::HashSet;

use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::history;
use super::totp::{CONFIRM, DISABLE, ENABLE, REPLACE, UNLOCK, enrol, overview};
use crate::support::{App, Authenticator, Client, Reply, Server, routes};

/// Stands in whatever is submitted, and never in an answer.
const CANARY: &str = "canary-4711";
const JSON: &str = "application/json";
const LONGEST: usize = 64 * 1024;

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
        200 | 422 => "application/json",
        _ => "application/problem+json",
    };
    if !reply.text.is_empty() {
        assert_eq!(reply.header("content-type"), kind, "{}", reply.text);
    }
    assert!(!reply.text.contains(CANARY), "{}", reply.text);
}

/// Somebody with an app, a key, and another app pending: enough that something could go wrong with it.
struct Rich {
    server: Server,
    alice: Client,
    app: App,
    key_id: String,
}

impl Rich {
    async fn new() -> Self {
        let server = Server::start().await;
        let alice = server.alice();
        let (app, _) = enrol(&server, &alice).await;
        let key_id = register_key(&alice).await;
        alice
            .code(REPLACE, &app.code(server.clock.unix()))
            .await
            .ok();
        server.clock.next_step();
        Rich {
            server,
            alice,
            app,
            key_id,
        }
    }

    async fn state(&self) -> (Value, Vec<Value>) {
        (overview(&self.alice).await, history::all(&self.alice).await)
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

    /// Method and path of every route that reads a body.
    fn readers(&self) -> Vec<(Method, String)> {
        routes()
            .into_iter()
            .filter(|route| route.reads_body())
            .map(|route| (route.method.clone(), route.path_with(&self.key_id)))
            .collect()
    }
}

async fn register_key(person: &Client) -> String {
    let begun = person.post(BEGIN).await.ok();
    let body = Authenticator::new().register(&begun);
    person.post_json(COMPLETE, &body).await.ok();
    begun["device_id"].as_str().unwrap().to_owned()
}

/// Bytes and where they stop being JSON, where that is the same for every reader of JSON.
fn broken() -> Vec<(Vec<u8>, Option<usize>)> {
    let deep = |open: &str, middle: &str, close: &str| {
        format!("{}{middle}{}", open.repeat(5_000), close.repeat(5_000)).into_bytes()
    };
    let mut broken: Vec<(Vec<u8>, Option<usize>)> = [
        ("{", None),
        (" \r\n\t", None),
        ("canary-4711", Some(0)),
        ("{'code':'canary-4711'}", Some(1)),
        ("{\"code\":\"canary-4711\",}", None),
        ("{\"code\":canary-4711}", None),
        ("{\"code\":\"canary-4711\"", None),
        ("{\"code\":\"canary-4711", None),
        ("{\"canary-4711\" \"x\"}", None),
        ("{} {}", None),
        ("{\"code\":\"canary-4711\"}x", None),
        ("{\"code\":\"\\ud800\"}", None),
        ("{\"code\":\"\\udc00\\ud800\"}", None),
        ("{\"code\":\"\\x41\"}", None),
        ("{\"code\":\"a\nb\"}", None),
        ("{\"code\":\"a\0b\"}", None),
        ("{\"code\":NaN}", None),
        ("{\"code\":-Infinity}", None),
        ("{\"code\":1e400}", None),
        ("{\"code\":01}", None),
        ("// canary-4711\n{}", Some(0)),
        ("code=canary-4711", Some(0)),
    ]
    .into_iter()
    .map(|(text, at)| (text.as_bytes().to_vec(), at))
    .collect();
    broken.extend([
        (b"\xef\xbb\xbf{\"code\":\"canary-4711\"}".to_vec(), Some(0)),
        (b"\xff\xfe{\x00}\x00".to_vec(), Some(0)),
        (b"{\"code\":\"\xff\"}".to_vec(), None),
        (b"{\"code\":\"\xed\xa0\x80\"}".to_vec(), None),
        (b"{\"code\":\"\xc0\xaf\"}".to_vec(), None),
        (b"\0".to_vec(), Some(0)),
        (deep("[", "", "]"), None),
        (deep("{\"a\":", "1", "}"), None),
        (deep("{\"code\":[", "\"x\"", "]}"), None),
    ]);
    broken
}

#[tokio::test]
async fn what_is_no_json_is_refused_everywhere_and_changes_nothing() {
    let rich = Rich::new().await;
    let before = rich.state().await;
    for (method, path) in rich.readers() {
        for (body, at) in broken() {
            let reply = rich.send(&method, &path, Some(JSON), &body).await;
            let detail = reply.misfit();
            let context = format!(
                "{path}: {}",
                String::from_utf8_lossy(&body[..body.len().min(40)])
            );
            assert_eq!(detail.len(), 1, "{context}");
            assert_eq!(detail[0]["type"], "json_invalid", "{context}");
            assert_eq!(detail[0]["loc"][0], "body", "{context}");
            let found = detail[0]["loc"][1].as_u64().unwrap();
            assert!(found <= body.len() as u64, "{context}");
            assert!(at.is_none_or(|at| found == at as u64), "{context}: {found}");
        }
        for body in [
            "[]",
            "null",
            "17",
            "true",
            "\"canary-4711\"",
            "[{\"code\":\"canary-4711\"}]",
        ] {
            let detail = rich
                .send(&method, &path, Some(JSON), body.as_bytes())
                .await
                .misfit();
            let expected = json!([{"loc": ["body"], "type": "model_attributes_type",
                "msg": "Input should be a valid dictionary or object to extract fields from"}]);
            assert_eq!(json!(detail), expected, "{path}: {body}");
        }
    }
    assert_eq!(rich.state().await, before);
}

#[tokio::test]
async fn every_field_of_the_wrong_type_is_named_and_changes_nothing() {
    let rich = Rich::new().await;
    let before = rich.state().await;
    let values = [
        json!(4711),
        json!(-1.5),
        json!(true),
        json!(null),
        json!([CANARY]),
        json!({"code": CANARY}),
        json!(CANARY),
    ];
    let mut checked = 0;
    for route in routes().iter().filter(|route| route.reads_body()) {
        let path = route.path_with(&rich.key_id);
        let good = |kind: &str| match kind {
            "string" => json!(CANARY),
            _ => json!({}),
        };
        // The others fit, so that this one field is what is told.
        let whole: serde_json::Map<String, Value> = route
            .fields
            .iter()
            .filter(|(_, kind, required)| *required && kind == "string")
            .map(|(name, kind, _)| (name.clone(), good(kind)))
            .collect();
        for (name, kind, required) in &route.fields {
            let (type_name, msg) = match kind.as_str() {
                "string" => ("string_type", "Input should be a valid string"),
                "object" => ("dict_type", "Input should be a valid dictionary"),
                other => panic!("{other}"),
            };
            for value in &values {
                let fits = match kind.as_str() {
                    "string" => value.is_string(),
                    _ => value.is_object(),
                };
                if fits || (!required && value.is_null()) {
                    continue;
                }
                let mut body = whole.clone();
                body.insert(name.clone(), value.clone());
                let body = Value::Object(body).to_string();
                let detail = rich
                    .send(&route.method, &path, Some(JSON), body.as_bytes())
                    .await
                    .misfit();
                let expected = json!({"loc": ["body", name], "msg": msg, "type": type_name});
                assert!(detail.contains(&expected), "{path}: {body}: {detail:?}");
                checked += 1;
            }
        }
        if !route.needs_body() {
            continue;
        }
        // All that is missing is told at once, and unknown members help nobody.
        for body in [
            json!({}),
            json!({"Code": CANARY, "code ": CANARY, "cod\u{0}e": CANARY, "__proto__": {"code": CANARY}}),
        ] {
            let body = body.to_string();
            let detail = rich
                .send(&route.method, &path, Some(JSON), body.as_bytes())
                .await
                .misfit();
            let missing: HashSet<String> = detail
                .iter()
                .map(|misfit| {
                    assert_eq!(
                        (&misfit["type"], &misfit["msg"]),
                        (&json!("missing"), &json!("Field required"))
                    );
                    misfit["loc"].to_string()
                })
                .collect();
            let required = route.fields.iter().filter(|(_, _, required)| *required);
            let expected = required
                .map(|(name, _, _)| json!(["body", name]).to_string())
                .collect();
            assert_eq!(missing, expected, "{path}");
        }
        for kind in [None, Some(JSON)] {
            let detail = rich.send(&route.method, &path, kind, b"").await.misfit();
            assert_eq!(
                json!(detail),
                json!([{"loc": ["body"], "msg": "Field required", "type": "missing"}]),
                "{path} {kind:?}"
            );
        }
    }
    assert!(checked >= 60, "{checked}");
    assert_eq!(rich.state().await, before);
}

#[tokio::test]
async fn what_does_not_say_that_it_is_json_is_not_read() {
    let rich = Rich::new().await;
    let before = rich.state().await;
    let body = json!({"code": CANARY, "type": "totp", "name": CANARY}).to_string();
    for (method, path) in rich.readers() {
        for kind in [
            None,
            Some(""),
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("application/xml"),
            Some("text/json"),
            Some("application/jsonp"),
            Some("application/octet-stream"),
            Some("text/plain; application/json"),
            Some("text/plain, application/json"),
            Some("application/ json"),
            Some("*/*"),
        ] {
            let reply = rich.send(&method, &path, kind, body.as_bytes()).await;
            reply.refused(415, "unsupported_media_type");
        }
    }
    assert_eq!(rich.state().await, before);
    // Parameters and case do not matter.
    for kind in [
        "Application/JSON",
        "application/json;charset=utf-8",
        "application/json ; x=y",
    ] {
        let reply = rich
            .send(
                &Method::POST,
                DISABLE,
                Some(kind),
                br#"{"code":"nonsense"}"#,
            )
            .await;
        reply.refused(400, "wrong_code");
    }
}

/// Sends these bytes and reads all that comes.
async fn raw(server: &Server, head: String, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server may have answered and closed before all of it is sent.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_body_has_64_kib_however_it_is_sent() {
    let rich = Rich::new().await;
    let before = rich.state().await;
    let token = rich.alice.token.clone().unwrap();
    let padded = |length: usize| {
        let shell = format!("{{\"x\":\"{}\"}}", CANARY);
        let padding = " ".repeat(length - shell.len());
        shell + &padding
    };
    for (method, path) in rich.readers() {
        let reply = rich
            .send(&method, &path, Some(JSON), padded(LONGEST + 1).as_bytes())
            .await;
        reply.refused(413, "too_large");
        // It is not read first and judged then.
        let reply = rich
            .send(
                &method,
                &path,
                Some("text/plain"),
                padded(LONGEST + 1).as_bytes(),
            )
            .await;
        reply.refused(413, "too_large");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: mfa.example.com\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\n"
        );
        let mut chunks = Vec::new();
        for chunk in padded(LONGEST + 1).as_bytes().chunks(4096) {
            chunks.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            chunks.extend(chunk);
            chunks.extend(b"\r\n");
        }
        chunks.extend(b"0\r\n\r\n");
        let chunked = raw(
            &rich.server,
            format!("{head}Transfer-Encoding: chunked\r\n\r\n"),
            &chunks,
        )
        .await;
        assert!(chunked.starts_with("HTTP/1.1 413 "), "{path}: {chunked}");
        assert!(
            chunked.contains("\"too_large\"") && !chunked.contains(CANARY),
            "{chunked}"
        );
        // What is announced as too long is not waited for.
        let head = format!("{head}Connection: close\r\nContent-Length: 1000000000\r\n\r\n");
        let announced = raw(&rich.server, head, &[b' '; LONGEST + 1]).await;
        assert!(
            announced.starts_with("HTTP/1.1 413 "),
            "{path}: {announced}"
        );
    }
    assert_eq!(rich.state().await, before);
    // The last byte that fits is read.
    let reply = rich
        .send(
            &Method::POST,
            DISABLE,
            Some(JSON),
            padded(LONGEST).as_bytes(),
        )
        .await;
    assert_eq!(reply.misfit()[0]["type"], "missing");
    let code = "0".repeat(LONGEST - 20);
    let reply = rich
        .send(
            &Method::POST,
            DISABLE,
            Some(JSON),
            json!({"code": code}).to_string().as_bytes(),
        )
        .await;
    reply.refused(400, "wrong_code");
}

#[tokio::test]
async fn odd_text_is_a_wrong_code_that_counts() {
    let rich = Rich::new().await;
    let code = rich.app.code(rich.server.clock.unix());
    let odd = [
        String::new(),
        " ".repeat(6),
        CANARY.to_owned(),
        format!("{code}\0"),
        "١٢٣٤٥٦".to_owned(),
        "１２３４５６".to_owned(),
        "\u{1d7ce}".repeat(6),
        "'; DROP TABLE totp; --".to_owned(),
        "%31%32%33%34%35%36".to_owned(),
        "\u{10ffff}".repeat(6),
    ];
    for code in odd {
        let reply = rich.alice.code(DISABLE, &code).await;
        assert_dressed(&reply);
        assert_eq!(
            reply.refused(400, "wrong_code")["tries_left"],
            4,
            "{code:?}"
        );
        // What was right all along still is, and clears the miss.
        let right = rich.app.code(rich.server.clock.unix());
        rich.alice.code(REPLACE, &right).await.ok();
        rich.server.clock.next_step();
    }
    // Of a name that stands twice the last counts, as FastAPI has it: one answer, one judgement.
    let code = rich.app.code(rich.server.clock.unix());
    let twice = |first: &str, last: &str| format!("{{\"code\":\"{first}\",\"code\":\"{last}\"}}");
    let send = async |body: String| {
        rich.send(&Method::POST, REPLACE, Some(JSON), body.as_bytes())
            .await
    };
    send(twice(&code, "nonsense"))
        .await
        .refused(400, "wrong_code");
    send(twice("nonsense", &code)).await.ok();
    rich.server.clock.next_step();
    // Unknown members are ignored, whatever they hold, as is the way in which the known one is written.
    let code = rich.app.code(rich.server.clock.unix());
    let escaped: String = code
        .chars()
        .map(|c| format!("\\u{:04x}", u32::from(c)))
        .collect();
    let nested = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    send(format!(
        "\n{{\"x\":{nested},\"c\\u006fde\":\"{escaped}\",\"subject\":\"bob\",\"\":null}}\t"
    ))
    .await
    .ok();
    // Where nothing is asked for, any object will do.
    let bob = rich.server.bob();
    bob.post_json(ENABLE, &json!({"code": 1, "secret": "A", "user": "alice"}))
        .await
        .ok();
    bob.code(CONFIRM, CANARY).await.refused(400, "wrong_code");
    assert_eq!(overview(&bob).await["enabled"], false);
}

#[tokio::test]
async fn what_is_somebody_elses_is_told_like_what_is_not_there() {
    let rich = Rich::new().await;
    let bob = rich.server.bob();
    let his_key = register_key(&bob).await;
    let his_begun = bob.post(BEGIN).await.ok();
    let before = (rich.state().await.0, overview(&bob).await);
    let random = "mfa_aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let name = json!({"name": CANARY});
    let path = |id: &str| format!("/api/v1/me/mfa/webauthn/{id}");
    let removed = rich.alice.delete(&path(random)).await;
    let renamed = rich.alice.json(Method::PATCH, &path(random), &name).await;
    assert_eq!(
        removed.refused(404, "not_found"),
        renamed.refused(404, "not_found")
    );
    let long = "a".repeat(6_000);
    let totp_id = rich.app.device_id.clone();
    for id in [
        his_key.as_str(),
        &his_key.to_uppercase(),
        &format!("{his_key}%00"),
        &format!("{his_key}%20"),
        &rich.key_id.to_uppercase(),
        &rich.key_id.replace('_', "%5f%5f"),
        &format!("{}%0a", rich.key_id),
        &totp_id,
        &long,
        "%ff%fe",
        "%2e%2e",
        "..",
        ".",
        "%2f",
        "..%2fwebauthn%2fx",
        "null",
        "0",
        "*",
        "%27%20OR%201=1",
    ] {
        for (reply, expected) in [
            (rich.alice.delete(&path(id)).await, &removed),
            (
                rich.alice.json(Method::PATCH, &path(id), &name).await,
                &renamed,
            ),
        ] {
            assert_dressed(&reply);
            reply.refused(404, "not_found");
            assert_eq!(reply.text, expected.text, "{id}");
        }
    }
    // One device has one name, but percent signs may stand for its letters.
    let spelt: String = rich.key_id.bytes().map(|b| format!("%{b:02X}")).collect();
    rich.alice
        .json(Method::PATCH, &path(&spelt), &json!({"name": "Mine"}))
        .await
        .ok();
    rich.alice
        .json(
            Method::PATCH,
            &path(&rich.key_id),
            &json!({"name": "Security key"}),
        )
        .await
        .ok();

    // Bob's ceremony, answered well, is nothing to Alice.
    let answer = Authenticator::new().register(&his_begun);
    let reply = rich.alice.post_json(COMPLETE, &answer).await;
    let mut unknown = answer.clone();
    unknown["challenge_id"] = json!("chl_aaaaaaaaaaaaaaaaaaaaaaaaaa");
    let random = rich.alice.post_json(COMPLETE, &unknown).await;
    reply.refused(404, "not_found");
    assert_eq!(reply.text, random.text);
    for odd in ["", "chl_", "CHL_AAAA", "../x", "\0", CANARY] {
        unknown["challenge_id"] = json!(odd);
        let odd = rich.alice.post_json(COMPLETE, &unknown).await;
        assert_dressed(&odd);
        assert_eq!(odd.text, random.text);
    }
    bob.post_json(COMPLETE, &answer).await.ok();
    let (hers, his) = (overview(&rich.alice).await, overview(&bob).await);
    assert_eq!(
        hers["devices"].as_array().unwrap().len(),
        before.0["devices"].as_array().unwrap().len()
    );
    assert_eq!(his["devices"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn no_other_spelling_of_a_path_leads_anywhere() {
    let rich = Rich::new().await;
    let before = rich.state().await;
    let nowhere = rich.alice.get("/nowhere").await;
    let expected = nowhere.refused(404, "not_found");
    for path in [
        "//api/v1/me/mfa",
        "/api//v1/me/mfa",
        "/api/v1/me//mfa",
        "/api/v1/me/mfa/",
        "/api/v1/me/mfa//",
        "/api/v1/me/mfa/.",
        "/./api/v1/me/mfa",
        "/api/../api/v1/me/mfa",
        "/api/v1/../v1/me/mfa",
        "/api/v1/me/mfa/totp/..",
        "/%2e%2e/api/v1/me/mfa",
        "/%2e/api/v1/me/mfa",
        "/api/%2e%2e/api/v1/me/mfa",
        "/api%2fv1/me/mfa",
        "/api/v1%2Fme/mfa",
        "/api/v1/me%5cmfa",
        "/%61pi/v1/me/mfa",
        "/api/v1/me/mf%61",
        "/api/v1/me/mfa%00",
        "/api/v1/me/mfa%20",
        "/api/v1/me/mfa%0a",
        "/api/v1/me/mfa%3fx",
        "/api/v1/me/mfa;x=y",
        "/api;x/v1/me/mfa",
        "/api/v1/me/mfa.json",
        "/API/v1/me/mfa",
        "/Api/V1/Me/Mfa",
        "/api/v1/me/MFA",
        "/api/v2/me/mfa",
        "/api/v1/alice/mfa",
        "/api/v1/me/mfa/totp",
        "/api/v1/me/mfa/webauthn",
        "/api/v1/me/mfa/webauthn/",
        "/api/v1/me/mfa/webauthn/a/b",
        "/api/v1/me/mfa/totp/enable/",
        "/api/v1",
        "/api",
        "//",
        "/.",
        "/..",
        "/..%2f..%2fetc%2fpasswd",
        "/healthz/",
        "/HEALTHZ",
        "/openapi.json/",
        "/openapi",
        "/docs",
        "/metrics",
        "/.git/config",
        "/.env",
        "/assets",
        "/assets/",
        "/assets/0/app.css",
        "/assets/%2e%2e/settings.html",
        "/assets/../settings.html",
        "/assets/0/%2e%2e/%2e%2e/Cargo.toml",
        "/settings.html",
        "/master.key",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            // Below /assets any name has its method.
            if method != Method::GET && path.starts_with("/assets/") {
                continue;
            }
            let reply = rich.send(&method, path, Some(JSON), b"{}").await;
            assert_eq!(reply.refused(404, "not_found"), expected, "{method} {path}");
        }
    }
    assert_eq!(rich.state().await, before);
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_refused_with_those_that_it_does() {
    let rich = Rich::new().await;
    let before = rich.state().await;
    let mut paths: std::collections::BTreeMap<String, HashSet<String>> = Default::default();
    for route in routes() {
        let methods = paths.entry(route.path_with(&rich.key_id)).or_default();
        methods.insert(route.method.to_string());
    }
    for path in ["/", "/healthz", "/readyz"] {
        paths.insert(path.to_owned(), HashSet::from(["GET".to_owned()]));
    }
    for (path, methods) in &mut paths {
        // RFC 9110 section 9.3.2: what can be got can be asked about.
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get",
            "BREW",
        ] {
            if methods.contains(method) {
                continue;
            }
            let reply = rich.send(&method.parse().unwrap(), path, None, b"").await;
            let context = format!("{method} {path}");
            assert_eq!(reply.status, 405, "{context}");
            if method != "HEAD" {
                reply.refused(405, "method_not_allowed");
            }
            let allowed: HashSet<String> = reply
                .header("allow")
                .split(',')
                .map(|method| method.trim().to_owned())
                .collect();
            assert_eq!(&allowed, methods, "{context}");
        }
    }
    assert_eq!(rich.state().await, before);
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
