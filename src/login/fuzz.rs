//! What login services ask, and how people come back to them.

use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use url::Url;

use super::answering::How;
use super::prompt::address;
use super::record::Return;
use super::request::{AnswerRequest, OpenRequest};
use super::whom::Named;
use crate::base::ChallengeId;
use crate::base::fuzz::{Target, json_object};
use crate::factor::Answer;
use crate::wire::{Body, FromBody};

async fn read<T: FromBody>(body: &[u8]) -> Option<T> {
    let request = Request::builder().header(CONTENT_TYPE, "application/json");
    let read = Body::from_request(request.body(body.to_vec().into()).unwrap(), &()).await;
    match read {
        Ok(Body(read)) => Some(read),
        Err(refused) => {
            let status = refused.into_response().status().as_u16();
            assert!(matches!(status, 413 | 422), "{status}");
            None
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// What a sign-in is opened with keeps within its bounds, and may be shown.
#[test]
fn fuzz_challenge_requests() {
    let runtime = runtime();
    let members: &[&str] = &[
        "subject",
        "username",
        "user",
        "issuer",
        "reason",
        "amr",
        "scope",
        "context",
        "device_token",
        "return_url",
        "state",
        "remember",
    ];
    let values = select(
        &[
            "\"alice\"",
            "\"step_up\"",
            "[\"pwd\",\"otp\"]",
            "\"openid mfa:verify\"",
            "{\"ip\":\"::ffff:10.0.0.1\",\"user_agent\":\"a\\u202eb\",\"app\":\" x \"}",
            "{\"ip\":\"fe80::1%eth0\"}",
            "true",
            "\"https://a.example/back\"",
        ][..],
    );
    let generated =
        json_object(members, values.prop_map(str::to_owned)).prop_map(String::into_bytes);
    Target::new("challenge_requests")
        .words(&["\"subject\":\"a\",", "\"ip\":", "\\u202e", "10.0.0.1"])
        .check(generated, |body| {
            let Some(asked) = runtime.block_on(read::<OpenRequest>(body)) else {
                return false;
            };
            let (Named::Subject(name) | Named::Username(name) | Named::AsRegistered(name)) =
                &asked.named;
            assert!((1..=255).contains(&name.chars().count()));
            for words in [&asked.amr, &asked.scope] {
                assert!(
                    words.len() <= 64 && words.iter().all(|word| (1..=128).contains(&word.len()))
                );
                assert!(
                    words
                        .iter()
                        .all(|word| word.bytes().all(|byte| byte.is_ascii_graphic()))
                );
            }
            assert!(asked.state.is_none_or(|state| state.len() <= 1024));
            assert!(asked.context.ip.is_none_or(|ip| ip == ip.to_canonical()));
            for shown in [asked.context.user_agent, asked.context.app]
                .into_iter()
                .flatten()
            {
                assert!((1..=256).contains(&shown.chars().count()));
                assert!(
                    !shown.chars().any(|c| c.is_control() || c == '\u{202e}'),
                    "{shown:?}"
                );
            }
            true
        });
}

/// An answer is of the method that it says.
#[test]
fn fuzz_answers() {
    let runtime = runtime();
    let members: &[&str] = &["method", "code", "credential", "remember"];
    let values = select(
        &[
            "\"totp\"",
            "\"webauthn\"",
            "\"backup_code\"",
            "\"123456\"",
            "\"7K3M-Q2ZD-0V8H-AAX1\"",
            r#"{"id":"AQ","rawId":"AQ","type":"public-key","response":{"authenticatorData":"AQ","clientDataJSON":"AQ","signature":"AQ","userHandle":null},"extensions":{}}"#,
        ][..],
    );
    let generated =
        json_object(members, values.prop_map(str::to_owned)).prop_map(String::into_bytes);
    let words = [
        "\"method\":\"webauthn\",",
        "\"rawId\":[1],",
        "\"extensions\":{\"appid\":true}",
        "[[[[[[",
        "AQ==",
    ];
    Target::new("answers")
        .words(&words)
        .check(generated, |body| {
            let Some(answer) = runtime.block_on(read::<AnswerRequest>(body)) else {
                return false;
            };
            let sent: serde_json::Value = serde_json::from_slice(body).unwrap();
            match answer.how {
                How::Code { kind, code } => {
                    assert_eq!(sent["method"], kind);
                    let typed = sent["code"].as_str().unwrap();
                    if let Answer::Digits(digits) = code {
                        assert_eq!(typed.replace([' ', '-'], ""), *digits);
                    }
                }
                How::Key(credential) => {
                    assert_eq!(sent["method"], "webauthn");
                    assert_eq!(sent["credential"]["id"], credential.id.as_str());
                }
            }
            assert_eq!(answer.remember, sent["remember"] == true);
            true
        });
}

/// People come back to the registered address, and what is added to it is read as it was written.
#[test]
fn fuzz_ways_back() {
    let url = select(
        &[
            "https://portal.example/mfa",
            "https://portal.example?x=y",
            "https://portal.example/a?challenge_id=1",
            "http://localhost:3000/?",
            "https://portal.example/%3f?a&b",
            "nonsense",
        ][..],
    );
    let state = vec(
        select(
            &[
                "a", "&error=x", "#", "%", "+", " ", "\u{e9}", "=", "\r\n", "\0",
            ][..],
        ),
        0..4,
    );
    let generated =
        (url, state).prop_map(|(url, state)| format!("{url}\n{}", state.concat()).into_bytes());
    Target::new("ways_back")
        .words(&["&state=", "#", "?", "\u{1f511}"])
        .check(generated, |input| {
            let text = String::from_utf8_lossy(input);
            let (url, state) = text.split_once('\n').unwrap_or((&text, ""));
            let back = Return {
                url: url.to_owned(),
                state: Some(state.to_owned()),
                may_remember: false,
            };
            let id = ChallengeId::from_bytes([1; 16]);
            let Ok(there) = address(&back, id, Some("failed")) else {
                assert!(Url::parse(url).is_err());
                return false;
            };
            let (before, there) = (Url::parse(url).unwrap(), Url::parse(&there).unwrap());
            // No other is ever registered.
            if !matches!(before.scheme(), "http" | "https") {
                return false;
            }
            assert!(there.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
            assert_eq!(
                (before.origin(), before.path()),
                (there.origin(), there.path())
            );
            let all: Vec<(String, String)> = there.query_pairs().into_owned().collect();
            let own: Vec<(String, String)> = before.query_pairs().into_owned().collect();
            assert!(all.starts_with(&own));
            let added = [
                ("challenge_id", id.to_string()),
                ("state", state.to_owned()),
                ("error", "failed".to_owned()),
            ];
            assert_eq!(
                all[own.len()..],
                added.map(|(name, value)| (name.to_owned(), value))
            );
            true
        });
}
