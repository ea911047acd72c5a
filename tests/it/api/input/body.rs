//! Bodies.

use std::collections::HashSet;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::login::VERIFY;
use super::super::totp::{CONFIRM, DISABLE, ENABLE, REPLACE, overview};
use super::{CANARY, FORM, JSON, Rich, assert_dressed};
use crate::support::Server;

const LONGEST: usize = 64 * 1024;

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
    for reader in rich.readers() {
        let path = &reader.path;
        for (body, at) in broken() {
            let reply = reader.send(Some(JSON), &body).await;
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
            "17",
            "true",
            "\"canary-4711\"",
            "[{\"code\":\"canary-4711\"}]",
        ] {
            let detail = reader.send(Some(JSON), body).await.misfit();
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
    for reader in rich.readers() {
        let path = &reader.path;
        for field in &reader.route.fields {
            let (type_name, msg) = match field.kind.as_str() {
                "string" => ("string_type", "Input should be a valid string"),
                "boolean" => ("bool_type", "Input should be a valid boolean"),
                "array" => ("list_type", "Input should be a list of strings"),
                "object" => ("dict_type", "Input should be a valid dictionary"),
                other => panic!("{other}"),
            };
            for value in &values {
                let fits = match field.kind.as_str() {
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    // RFC 6749 section 3.3: scopes are one string as often as they are a list.
                    "array" => value.is_string() || *value == json!([CANARY]),
                    _ => value.is_object(),
                };
                if fits || (!field.required && value.is_null()) {
                    continue;
                }
                // The others fit, so that this one field is what is told.
                let mut body = reader.whole();
                if field.name == "credential" && body.contains_key("method") {
                    body.insert("method".to_owned(), json!("webauthn"));
                }
                body.insert(field.name.clone(), value.clone());
                let body = Value::Object(body).to_string();
                let detail = reader.send(Some(JSON), &body).await.misfit();
                let expected = json!({"loc": ["body", field.name], "msg": msg, "type": type_name});
                assert!(detail.contains(&expected), "{path}: {body}: {detail:?}");
                checked += 1;
            }
        }
        if !reader.route.needs_body {
            continue;
        }
        // All that is missing is told at once, and unknown members help nobody.
        for body in [
            json!({}),
            json!({"Code": CANARY, "code ": CANARY, "cod\u{0}e": CANARY, "__proto__": {"code": CANARY}}),
        ] {
            let detail = reader.send(Some(JSON), body.to_string()).await.misfit();
            let missing: HashSet<String> = detail
                .iter()
                .map(|misfit| {
                    assert_eq!(
                        (&misfit["type"], &misfit["msg"]),
                        (&json!("missing"), &json!("Field required"))
                    );
                    let [body, name] = misfit["loc"].as_array().unwrap().as_slice() else {
                        panic!("{misfit}")
                    };
                    assert_eq!(body, "body");
                    name.as_str().unwrap().to_owned()
                })
                .collect();
            assert_eq!(missing, reader.missing(), "{path}");
        }
        for kind in [None, Some(JSON)] {
            let detail = reader.send(kind, b"").await.misfit();
            assert_eq!(
                json!(detail),
                json!([{"loc": ["body"], "msg": "Field required", "type": "missing"}]),
                "{path} {kind:?}"
            );
        }
    }
    assert!(checked >= 250, "{checked}");
    assert_eq!(rich.state().await, before);
}

#[tokio::test]
async fn what_does_not_say_that_it_is_json_is_not_read() {
    let rich = Rich::new().await;
    let before = rich.state().await;
    let body = json!({"code": CANARY, "type": "totp", "name": CANARY}).to_string();
    for reader in rich.readers() {
        for kind in [
            None,
            Some(""),
            Some("text/plain"),
            Some(FORM),
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
            if kind == Some(FORM) && reader.route.takes_forms {
                continue;
            }
            let reply = reader.send(kind, &body).await;
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

#[tokio::test]
async fn a_form_will_do_for_a_script_and_is_read_as_closely() {
    let rich = Rich::new().await;
    let before = rich.state().await;
    let forms: Vec<_> = rich
        .readers()
        .into_iter()
        .filter(|reader| reader.route.takes_forms)
        .collect();
    let [verify] = &forms[..] else {
        panic!("{} routes take forms", forms.len())
    };
    assert_eq!(verify.path, VERIFY);
    for (form, misfits) in [
        (&b""[..], &["subject", "code"][..]),
        (b"&&&", &["subject", "code"]),
        (
            b"Code=canary-4711&co%00de=canary-4711",
            &["subject", "code"],
        ),
        (b"subject=alice", &["code"]),
        (b"code=canary-4711", &["subject"]),
        (b"subject=&code=canary-4711", &["subject"]),
        (b"subject=alice&username=canary-4711&code=1", &["username"]),
        (
            b"{\"subject\":\"alice\",\"code\":\"canary-4711\"}",
            &["subject", "code"],
        ),
        (b"subject=alice&issuer=canary-4711&code=1", &["issuer"]),
        (b"\xff\xfe", &["subject", "code"]),
    ] {
        let detail = verify.send(Some(FORM), form).await.misfit();
        let told: Vec<&str> = detail
            .iter()
            .map(|misfit| misfit["loc"][1].as_str().unwrap())
            .collect();
        assert_eq!(told, misfits, "{}", String::from_utf8_lossy(form));
    }
    assert_eq!(rich.state().await, before);
    // Plus signs are blanks, percent signs stand for bytes, and unknown fields are ignored.
    let code = rich.app.code(rich.server.clock.unix());
    let (left, right) = code.split_at(3);
    let form = format!("remember=true&subject=al%69ce&code={left}+{right}&x");
    for kind in [FORM, "Application/X-WWW-Form-Urlencoded; charset=utf-8"] {
        let reply = verify.send(Some(kind), &form).await;
        match kind {
            FORM => assert_eq!(reply.ok()["verified"], true),
            _ => drop(reply.refused(400, "wrong_code")),
        }
    }
    for wrong in ["canary-4711", "%ff%fe", "%", "", "a%00b"] {
        let reply = verify
            .send(Some(FORM), format!("subject=alice&code={wrong}"))
            .await;
        reply.refused(400, "wrong_code");
        rich.server.clock.next_step();
        let right = rich.app.code(rich.server.clock.unix());
        let good = format!("subject=alice&code={right}");
        verify.send(Some(FORM), good).await.ok();
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
    let padded = |length: usize| {
        let shell = format!("{{\"x\":\"{}\"}}", CANARY);
        let padding = " ".repeat(length - shell.len());
        shell + &padding
    };
    for reader in rich.readers() {
        let (method, path) = (&reader.route.method, &reader.path);
        // It is not read first and judged then.
        for kind in [JSON, "text/plain", FORM] {
            let reply = reader.send(Some(kind), padded(LONGEST + 1)).await;
            reply.refused(413, "too_large");
        }
        let token = reader.client.token.as_deref().unwrap_or_default();
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
    bob.post_json(ENABLE, &json!({"token": 1, "secret": "A", "user": "alice"}))
        .await
        .ok();
    bob.code(CONFIRM, CANARY).await.refused(400, "wrong_code");
    assert_eq!(overview(&bob).await["enabled"], false);
}
