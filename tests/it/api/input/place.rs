//! Paths, methods and the names of things.

use std::collections::{BTreeMap, HashSet};

use axum::http::Method;
use serde_json::json;

use super::super::totp::overview;
use super::{BEGIN, CANARY, COMPLETE, JSON, Rich, assert_dressed, register_key};
use crate::support::{Authenticator, routes};

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
        "/api/v1/mfa",
        "/api/v1/mfa/",
        "/api/v1/mfa/challenges/",
        "/api/v1/mfa//challenges",
        "/api/v1/mfa/verify/",
        "/api/v1/mfa/Verify",
        "/api/v1/mfa/challenges/a/b",
        "/api/v1/mfa/challenges/a/verify/",
        "/api/v1/mfa/challenges/a/../verify",
        "/api/v1/mfa/challenges%2fa",
        "/api/v1/prompt",
        "/api/v1/prompt/",
        "/api/v1/prompt/open/",
        "/api/v1/prompt/a",
        "/prompt/a",
        "/Prompt",
        "/prompt//",
        "/prompt.html",
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
    let mut paths: BTreeMap<String, HashSet<String>> = Default::default();
    for route in routes() {
        let methods = paths.entry(route.path_with(&rich.key_id)).or_default();
        methods.insert(route.method.to_string());
    }
    for path in ["/", "/prompt", "/prompt/", "/healthz", "/readyz"] {
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
