//! What a person reads whose sign-in did not succeed, and what the page is told behind a proxy.

use axum::http::Method;
use mfad::brand::Brand;
use mfad::config::UiAuth;
use serde_json::json;

use super::server;
use crate::support::browser::{Browser, PAGE, WINDOW};
use crate::support::{Options, Server};

#[tokio::test]
async fn an_issuers_error_is_told_in_our_words() {
    let server = server().await;
    let script = "%3Cscript%3Ealert(1)%3C/script%3E";
    for (error, status, words) in [
        ("access_denied", 400, "The sign-in was cancelled."),
        ("login_required", 400, "sign in there first"),
        ("invalid_scope", 400, "refused this sign-in"),
        (script, 400, "refused this sign-in"),
        ("temporarily_unavailable", 503, "cannot be reached"),
    ] {
        let mut alice = Browser::new(server.address);
        let departure = alice.departs("/auth/login?return=/a%26b").await;
        let state = departure.get("state");
        let path = format!(
            "/auth/callback?error={error}&error_description={script}&error_uri={script}&state={state}"
        );
        let reply = alice.go(&path).await;
        assert_eq!(reply.status, status, "{error}");
        assert!(reply.text.contains(words), "{}", reply.text);
        assert!(!reply.text.contains("alert(1"), "{}", reply.text);
        assert!(
            reply.text.contains("href=\"/auth/login?return=%2Fa%26b\""),
            "{}",
            reply.text
        );
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(reply.header("cache-control"), "no-store");
        let policy = reply.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'"),
            "{policy}"
        );
        // It is used up all the same.
        let again = alice.go(&departure.callback("code")).await;
        assert_eq!(again.status, 400);
        assert!(
            again.text.contains("did not begin in this browser"),
            "{}",
            again.text
        );
    }
    // Nobody's browser is told anything for an error that nobody waits for.
    let reply = Browser::new(server.address)
        .go("/auth/callback?error=access_denied")
        .await;
    assert!(
        reply.text.contains("did not begin in this browser"),
        "{}",
        reply.text
    );
}

#[tokio::test]
async fn an_issuer_that_is_away_is_told_of_and_comes_back() {
    let server = Server::start_with(Options {
        issuer_away: true,
        ..super::options()
    })
    .await;
    let mut alice = Browser::new(server.address);
    let reply = alice.go("/auth/login").await;
    assert_eq!(reply.status, 503, "{}", reply.text);
    assert!(alice.jar.is_empty());
    server.issuer.be_away(false);
    server.clock.forward(10);
    alice.sign_in(&server, "alice").await;
}

#[tokio::test]
async fn behind_a_proxy_that_adds_tokens_the_page_has_no_sign_in_of_its_own() {
    let server = Server::start_with(Options {
        ui_auth: Some(UiAuth::Proxy),
        ..Options::default()
    })
    .await;
    let mut browser = Browser::new(server.address);
    let none = json!({"signed_in": false, "sign_in_url": null, "proxy": true});
    assert_eq!(browser.session().await, none);
    assert_eq!(browser.go("/auth/login").await.status, 404);

    let bearer = format!("Bearer {}", server.alice().token.unwrap());
    let added = ("authorization", &*bearer);
    let told = browser
        .send(Method::GET, "/auth/session", &[added], "")
        .await
        .ok();
    assert_eq!(
        (&told["signed_in"], &told["proxy"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        (&told["username"], &told["email"]),
        (&json!("alice"), &json!("a•••@example.com"))
    );

    // The proxy adds the token to whatever comes with its own cookie, be it from a page elsewhere.
    let enable = "/api/v1/me/mfa/totp/enable";
    for site in ["cross-site", "same-site"] {
        let headers = [added, ("sec-fetch-site", site)];
        let reply = browser.send(Method::POST, enable, &headers, "").await;
        reply.refused(403, "forbidden");
    }
    let evil = [added, ("origin", "https://evil.example")];
    let reply = browser.send(Method::POST, enable, &evil, "").await;
    reply.refused(403, "forbidden");
    let own = [added, PAGE[0], PAGE[1]];
    browser.send(Method::POST, enable, &own, "").await.ok();
    let typed = [added, WINDOW[0]];
    browser
        .send(Method::GET, "/api/v1/me/mfa", &typed, "")
        .await
        .ok();
    // Programs say nothing of pages.
    server.alice().post(enable).await.ok();
}

#[tokio::test]
async fn a_dead_end_names_the_service_and_leads_to_help() {
    let server = Server::start_with(Options {
        service_name: Some("A & B".to_owned()),
        brand: Brand {
            support: Some("mailto:help@example.org".to_owned()),
            ..Brand::default()
        },
        ..super::options()
    })
    .await;
    let mut alice = Browser::new(server.address);
    let page = alice.go("/auth/callback?error=access_denied").await.text;
    assert!(page.contains("· A &amp; B</title>"), "{page}");
    assert!(page.contains(">A &amp; B</bdi>"), "{page}");
    assert!(page.contains("href=\"mailto:help@example.org\""), "{page}");
}
