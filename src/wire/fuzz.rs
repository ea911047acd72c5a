//! Whatever stands in a request behind its head, and in the headers that are read here.

use axum::extract::{FromRequest, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::IntoResponse;
use http_body_util::BodyExt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::*;
use crate::base::Secret;
use crate::base::fuzz::{Target, json_object, stands_twice};

/// What no answer may repeat.
const MARKER: &str = "s3cret-m4rker";

/// A body with members of each kind.
struct Probe<const FORM: bool> {
    text: String,
    optional: Option<String>,
    flag: Option<bool>,
    words: Vec<String>,
    inner: [Option<String>; 2],
}

impl<const FORM: bool> FromBody for Probe<FORM> {
    const FORM: bool = FORM;

    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        let text = fields.string("text");
        Some(Probe {
            optional: fields.optional_string("optional"),
            flag: fields.optional_bool("flag"),
            words: fields.optional_words("words"),
            inner: fields.optional_strings_of("inner", ["a", "b"]),
            text: text?,
        })
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

async fn read<T: FromBody>(kind: &'static str, body: &[u8]) -> Result<T, Value> {
    let request = Request::builder()
        .header(CONTENT_TYPE, kind)
        .body(body.to_vec().into())
        .unwrap();
    match Body::<T>::from_request(request, &()).await {
        Ok(Body(read)) => Ok(read),
        Err(refused) => {
            let response = refused.into_response();
            let status = response.status();
            let told = response.into_body().collect().await.unwrap().to_bytes();
            let text = String::from_utf8(told.to_vec()).unwrap();
            // RFC 9457, or what FastAPI says.
            assert!(matches!(status.as_u16(), 413 | 422), "{status} {text}");
            assert!(!text.contains(MARKER), "{text}");
            Err(serde_json::from_str(&text).unwrap())
        }
    }
}

/// A JSON body is read as any other parser reads it, or refused in words that hold nothing of it.
#[test]
fn fuzz_json_bodies() {
    let runtime = runtime();
    let values = select(
        &[
            "\"s3cret-m4rker\"",
            "\"a b\"",
            "[\"a\",\"b\"]",
            "{\"a\":\"x\",\"a\":\"y\"}",
            "false",
            "\"\\u0041\"",
        ][..],
    );
    let members: &[&str] = &[
        "text",
        "optional",
        "flag",
        "words",
        "inner",
        "s3cret-m4rker",
    ];
    let generated = json_object(members, values.prop_map(str::to_owned)).prop_map(|text| {
        format!("{{\"text\":\"x\",{}", &text[1..])
            .replace(",}", "}")
            .into_bytes()
    });
    let target = Target::new("json_bodies").words(&[
        "\"text\":\"x\",",
        "\"text\":",
        "[[[[",
        "{\"a\":",
        "\\ud83d",
    ]);
    target.check(generated, |body| {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let other = serde_json::from_slice::<Value>(body);
        match runtime.block_on(read::<Probe<true>>("application/json", body)) {
            // A script's body has one value for each name.
            Ok(_) => assert!(!members.iter().any(|name| stands_twice(text, name))),
            Err(told) => assert!(told["detail"].is_array() || body.len() > LONGEST_BODY),
        }
        let probe = match runtime.block_on(read::<Probe<false>>(
            "application/json; charset=utf-8",
            body,
        )) {
            Ok(probe) => probe,
            Err(told) => {
                for violation in told["detail"].as_array().into_iter().flatten() {
                    assert_eq!(violation["loc"][0], "body");
                    let at = violation["loc"][1].as_u64().unwrap_or_default();
                    assert!(at <= body.len() as u64, "{violation} of {}", body.len());
                }
                return false;
            }
        };
        let other = other.unwrap();
        assert!(body.len() <= LONGEST_BODY);
        assert_eq!(other["text"], probe.text.as_str());
        assert_eq!(
            other.get("optional").and_then(Value::as_str),
            probe.optional.as_deref()
        );
        assert_eq!(other.get("flag").and_then(Value::as_bool), probe.flag);
        assert!(probe.words.iter().all(|word| {
            other["words"]
                .to_string()
                .contains(json!(word).to_string().trim_matches('"'))
        }));
        for (name, read) in ["a", "b"].iter().zip(&probe.inner) {
            assert_eq!(
                other["inner"].get(name).and_then(Value::as_str),
                read.as_deref()
            );
        }
        true
    });
}

/// A form is read as it was meant: a field that is escaped cannot become two.
#[test]
fn fuzz_form_bodies() {
    let runtime = runtime();
    const FORM: &str = "application/x-www-form-urlencoded";
    let name = select(&["text", "optional", "other", "te%78t"][..]);
    let value = select(
        &[
            "",
            "1",
            "a+b",
            "%26",
            "%",
            "%zz",
            "%ff",
            "1%26text%3Dmallory",
            "\u{e9}",
            "s3cret-m4rker",
        ][..],
    );
    let generated = vec((name, value), 0..4).prop_map(|pairs| {
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("&").into_bytes()
    });
    Target::new("form_bodies")
        .words(&["&", "=", "text=", "%3d", "%26", "+"])
        .check(generated, |body| {
            // Not for scripts, no form.
            assert!(body.is_empty() || runtime.block_on(status_of_plain_form(body)) == 415);
            let typed = String::from_utf8_lossy(body).into_owned();
            let escaped = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("text", &typed)
                .finish();
            if escaped.len() <= LONGEST_BODY {
                let read = runtime
                    .block_on(read::<Probe<true>>(FORM, escaped.as_bytes()))
                    .ok()
                    .unwrap();
                assert!(read.text == typed && read.optional.is_none());
            }
            let Ok(probe) = runtime.block_on(read::<Probe<true>>(FORM, body)) else {
                return false;
            };
            let pairs: Vec<_> = url::form_urlencoded::parse(body).collect();
            let of = |name: &str| {
                pairs
                    .iter()
                    .filter(|(one, _)| one == name)
                    .collect::<Vec<_>>()
            };
            assert_eq!(of("text")[..].len(), 1);
            assert_eq!(of("text")[0].1, probe.text);
            assert_eq!(of("optional").len(), usize::from(probe.optional.is_some()));
            true
        });
}

async fn status_of_plain_form(body: &[u8]) -> u16 {
    let request = Request::builder().header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let request = request.body(body.to_vec().into()).unwrap();
    let read = Body::<Probe<false>>::from_request(request, &()).await;
    read.err().unwrap().into_response().status().as_u16()
}

/// A cookie is found under its own name alone, and only if it stands once.
#[test]
fn fuzz_cookies() {
    let name = select(
        &[
            SESSION_COOKIE,
            SIGN_IN_COOKIES[0],
            "mfad_session",
            "__Host-mfad_session2",
            "__host-mfad_session",
        ][..],
    );
    let value = select(
        &[
            "abc",
            "",
            "a=b",
            "\"abc\"",
            "a b",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ][..],
    );
    let separator = select(&["; ", ";", " ;\t", "\n", ", "][..]);
    let generated = vec((name, value, separator), 0..5).prop_map(|pairs| {
        let text: String = pairs
            .iter()
            .map(|(name, value, end)| format!("{name}={value}{end}"))
            .collect();
        text.into_bytes()
    });
    let target =
        Target::new("cookies").words(&["__Host-mfad_session=", "__Host-mfad_sign_in_1=", "; "]);
    target.check(generated, |input| {
        let mut headers = HeaderMap::new();
        for line in input
            .split(|byte| *byte == b'\n')
            .filter_map(|line| HeaderValue::from_bytes(line).ok())
        {
            headers.append(COOKIE, line);
        }
        let text = |headers: &HeaderMap| {
            let lines = headers
                .get_all(COOKIE)
                .iter()
                .filter_map(|line| line.to_str().ok());
            lines.collect::<Vec<_>>().join(";")
        };
        let mut any = false;
        for name in [SESSION_COOKIE, SIGN_IN_COOKIES[0]] {
            let found = cookie(&headers, name).map(str::to_owned);
            if let Some(value) = &found {
                assert!(
                    !value.contains(';')
                        && text(&headers).matches(&format!("{name}={value}")).count() >= 1
                );
                let mut more = headers.clone();
                more.append(
                    COOKIE,
                    HeaderValue::try_from(format!("{name}=other")).unwrap(),
                );
                assert_eq!(cookie(&more, name), None);
                // What was found can be set again, and is found again; or it could never have been set.
                if let Ok(set) = set_cookie(name, &Secret::new(value.clone()), Some(60)) {
                    let set = set.to_str().unwrap().to_owned();
                    let pair = set.split("; ").next().unwrap();
                    assert_eq!(
                        set.replacen(pair, "", 1),
                        "; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax"
                    );
                    let mut again = HeaderMap::new();
                    again.append(COOKIE, HeaderValue::from_str(pair).unwrap());
                    assert_eq!(cookie(&again, name), Some(value.as_str()));
                    let other = [SIGN_IN_COOKIES[0], SESSION_COOKIE]
                        .into_iter()
                        .find(|other| *other != name);
                    assert_eq!(cookie(&again, other.unwrap()), None);
                }
            }
            any |= found.is_some();
        }
        // Whatever is set stands alone in its header.
        let whole = String::from_utf8_lossy(input).into_owned();
        if let Ok(set) = set_cookie(SESSION_COOKIE, &Secret::new(whole.clone()), None) {
            assert_eq!(set.to_str().unwrap().matches(';').count(), 4, "{whole:?}");
        }
        any
    });
}

/// One header, one token.
#[test]
fn fuzz_authorization() {
    let scheme = select(&["Bearer", "bearer", "BEARER", "Basic", "Bearer:", ""][..]);
    let token = select(
        &[
            "abc.def.ghi",
            "mfad_sk_abc",
            "a b",
            "",
            "dXNlcjprZXk=",
            "\u{e9}",
        ][..],
    );
    let space = select(&[" ", "  ", "\t", ""][..]);
    let generated = (scheme, space, token)
        .prop_map(|(scheme, space, token)| format!("{scheme}{space}{token}").into_bytes());
    Target::new("authorization")
        .words(&["Bearer ", "bearer", " ", "\u{a0}"])
        .check(generated, |input| {
            let mut headers = HeaderMap::new();
            for line in input
                .split(|byte| *byte == b'\n')
                .filter_map(|line| HeaderValue::from_bytes(line).ok())
            {
                headers.append(AUTHORIZATION, line);
            }
            let Ok(token) = bearer_token(&headers).map(str::to_owned) else {
                return false;
            };
            assert_eq!(headers.len(), 1);
            let whole = headers[AUTHORIZATION].to_str().unwrap();
            let (scheme, rest) = whole.split_once(' ').unwrap();
            assert!(scheme.eq_ignore_ascii_case("bearer") && rest.trim_matches(' ') == token);
            headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer other"));
            assert!(bearer_token(&headers).is_err());
            true
        });
}
