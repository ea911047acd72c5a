use axum::http::StatusCode;
use url::Url;

use crate::base::Timestamp;

use crate::demo::test_support::*;

const JSON: (&str, &str) = ("content-type", "application/json");
const ALICE: &str = "{\"persona\":\"alice\"}";

#[tokio::test]
async fn the_page_hands_out_a_token_for_each_persona() {
    let opened = open().await;
    for persona in ["alice", "login-service", "olga"] {
        let body = format!("{{\"persona\":\"{persona}\"}}");
        let answer = send(&opened.routes, "POST", "/demo/api/token", &[JSON], body).await;
        assert_eq!(answer.status, StatusCode::OK);
        let answer = answer.json();
        assert_eq!(answer["token"].as_str().unwrap().split('.').count(), 3);
        assert_eq!(answer["expires_at"], "2026-11-24T13:00:00Z");
        assert_eq!(
            answer.get("client_secret").is_some(),
            persona == "login-service"
        );
    }
}

#[tokio::test]
async fn a_token_says_that_its_person_showed_a_second_factor_where_that_is_asked_for() {
    let opened = open().await;
    for (body, shown) in [
        (r#"{"persona":"alice"}"#, false),
        (r#"{"persona":"alice","second_factor":false}"#, false),
        (r#"{"persona":"alice","second_factor":true}"#, true),
        // A service signs in with nothing of the kind.
        (r#"{"persona":"login-service","second_factor":true}"#, false),
    ] {
        let answer = send(&opened.routes, "POST", "/demo/api/token", &[JSON], body).await;
        let answer = answer.json();
        let claims = answer["token"].as_str().unwrap().split('.').nth(1).unwrap();
        let claims = data_encoding::BASE64URL_NOPAD
            .decode(claims.as_bytes())
            .unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(
            claims["amr"] == serde_json::json!(["pwd", "mfa"]),
            shown,
            "{body}"
        );
        assert_eq!(claims.get("amr").is_some(), shown, "{body}");
        assert_eq!(claims.get("auth_time").is_some(), shown, "{body}");
    }
}

#[tokio::test]
async fn a_name_that_was_rebound_to_loopback_gets_nothing() {
    let opened = open().await;
    for host in [
        "evil.example:8080",
        "localhost:81",
        "localhost.evil.example:8080",
        "",
    ] {
        for (method, path, body) in [
            ("POST", "/demo/api/token", ALICE),
            ("GET", "/demo/api/mails", ""),
            ("GET", "/demo", ""),
            ("GET", "/demo/issuer/jwks", ""),
        ] {
            let headers = [("host", host), JSON];
            let answer = send(&opened.routes, method, path, &headers, body).await;
            assert_eq!(
                answer.status,
                StatusCode::MISDIRECTED_REQUEST,
                "{host} {path}"
            );
            assert!(!answer.body.contains("eyJ"));
        }
    }
}

#[tokio::test]
async fn a_mail_is_given_as_it_came_until_it_is_forgotten() {
    let opened = open().await;
    let raw = b"Subject: Hello\r\n\r\nDear Alice\r\n";
    let mailbox = &opened.demo.mailbox;
    let to = ["alice@example.com".to_owned()];
    let id = mailbox.file("mfad@demo.example", &to, raw, Timestamp::from_unix(START));
    let path = format!("/demo/api/mails/{id}");
    let answer = send(&opened.routes, "GET", &path, &[], "").await;
    assert_eq!(answer.header("content-type"), "message/rfc822");
    assert!(
        answer
            .header("content-disposition")
            .starts_with("attachment")
    );
    assert_eq!(answer.body.as_bytes(), raw);
    let strange = [("sec-fetch-site", "cross-site")];
    let answer = send(&opened.routes, "GET", &path, &strange, "").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    mailbox.clear();
    for path in [path.as_str(), "/demo/api/mails/0", "/demo/api/mails/one"] {
        let answer = send(&opened.routes, "GET", path, &[], "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_get_no_token_and_no_mail() {
    let opened = open().await;
    for strange in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "none"),
        ("origin", "http://localhost:3000"),
    ] {
        let headers = [strange, JSON];
        let answer = send(&opened.routes, "POST", "/demo/api/token", &headers, ALICE).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        let answer = send(&opened.routes, "GET", "/demo/api/mails", &[strange], "").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}

#[tokio::test]
async fn what_no_page_of_ours_sends_is_refused() {
    let opened = open().await;
    for (headers, body, status) in [
        (&[][..], ALICE, 415),
        (&[("content-type", "text/plain")][..], ALICE, 415),
        (&[JSON][..], "{\"persona\":\"root\"}", 422),
        (&[JSON][..], "[", 422),
        (&[JSON][..], "", 422),
    ] {
        let answer = send(&opened.routes, "POST", "/demo/api/token", headers, body).await;
        assert_eq!(answer.status.as_u16(), status);
    }
    let large = " ".repeat(2000);
    let answer = send(&opened.routes, "POST", "/demo/api/token", &[JSON], large).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let answer = send(&opened.routes, "GET", "/demo/api/token", &[], "").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_page_is_whole_and_needs_nothing_inline() {
    let opened = open().await;
    for &(path, kind, content) in super::FILES {
        let answer = send(&opened.routes, "GET", path, &[], "").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), kind);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(
            answer
                .header("content-security-policy")
                .contains("trusted-types 'none'")
        );
        for word in [
            "<style",
            " style=",
            " onclick=",
            "innerHTML",
            "eval(",
            "https://",
        ] {
            assert!(!content.contains(word), "{path} holds {word}");
        }
        let here = Url::parse(&format!("http://localhost{path}")).unwrap();
        let names = content
            .split('"')
            .filter(|name| name.starts_with("./") || name.starts_with("../"));
        for part in names.map(|name| here.join(name).unwrap()) {
            assert!(
                super::FILES.iter().any(|file| file.0 == part.path()),
                "{part} is not served"
            );
        }
    }
}

#[tokio::test]
async fn mails_are_listed_and_cleared() {
    let opened = open().await;
    let mailbox = opened.mail_server.mailbox();
    let raw = b"Subject: Your code\r\n\r\nIt is 123456.\r\n";
    let now = crate::base::Timestamp::from_unix(START);
    mailbox.file(
        "mfad@demo.example",
        &["alice@example.com".to_owned()],
        raw,
        now,
    );
    let listed = send(&opened.routes, "GET", "/demo/api/mails", &[], "")
        .await
        .json();
    assert_eq!(listed["mails"][0]["code"], "123456");
    assert_eq!(listed["mails"][0]["to"][0], "alice@example.com");
    let gone = send(&opened.routes, "DELETE", "/demo/api/mails", &[], "").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let listed = send(&opened.routes, "GET", "/demo/api/mails", &[], "")
        .await
        .json();
    assert_eq!(listed["mails"].as_array().map(Vec::len), Some(0));
}
