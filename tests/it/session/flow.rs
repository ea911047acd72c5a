//! The way there and back.

use axum::http::Method;
use serde_json::json;

use super::{confidential, describe, server};
use crate::support::browser::{Browser, CLIENT_ID, SESSION, WINDOW, tokens};
use crate::support::{App, PUBLIC_URL};

/// Characters of 256 bits in Base64url.
const HANDLE: usize = 43;

#[tokio::test]
async fn a_person_signs_in_uses_the_page_and_signs_out() {
    let server = server().await;
    let mut browser = Browser::new(server.address);
    let away = json!({"signed_in": false, "sign_in_url": "/auth/login"});
    assert_eq!(browser.session().await, away);
    browser.overview().await.refused(401, "unauthenticated");

    let departure = browser
        .departs("/auth/login?return=/settings?tab=keys")
        .await;
    assert_eq!(
        departure.url.as_str().split('?').next().unwrap(),
        format!("{}/authorize", server.issuer.url)
    );
    let fixed = [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", "https://mfa.example.com/auth/callback"),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
        ("resource", PUBLIC_URL),
        ("audience", PUBLIC_URL),
    ];
    for (name, value) in fixed {
        assert_eq!(departure.get(name), value, "{name}");
    }
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(departure.get(name).len(), HANDLE, "{name}");
    }
    assert_eq!(departure.query.len(), fixed.len() + 3, "{departure:?}");
    // What only the server may know went nowhere.
    let asked = departure.url.as_str();
    for cookie in browser.sign_ins().values() {
        assert!(!asked.contains(cookie), "{asked}");
    }

    let answer = tokens(&server.issuer, &departure, "alice");
    let reply = browser.comes_back(&server.issuer, &departure, answer).await;
    assert_eq!(reply.status, 303, "{}", reply.text);
    assert_eq!(reply.header("location"), "/settings?tab=keys");
    assert_eq!(browser.jar.keys().collect::<Vec<_>>(), [SESSION]);

    let told = browser.session().await;
    let end = mfad::base::Timestamp::from_unix(server.clock.unix() + 30 * 60);
    assert_eq!(
        told,
        json!({
            "signed_in": true, "name": null, "username": "alice", "email": "a•••@example.com",
            "expires_at": end.to_string(),
        })
    );
    // It is Alice's account, and the page may do what her token may.
    let setup = browser
        .ask(Method::POST, "/api/v1/me/mfa/totp/enable")
        .await;
    let app = App::scan(&setup.ok());
    let code = app.code(server.clock.unix());
    let alice = server.alice();
    alice.code("/api/v1/me/mfa/totp/confirm", &code).await.ok();
    assert_eq!(browser.overview().await.ok()["enabled"], true);

    let out = browser.ask(Method::POST, "/auth/logout").await;
    assert_eq!(out.ok(), json!({"end_session_url": null}));
    assert!(browser.jar.is_empty());
    assert_eq!(browser.session().await, away);
    browser.overview().await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn cookies_have_exactly_the_attributes_that_keep_them_to_this_origin() {
    let server = server().await;
    let mut browser = Browser::new(server.address);
    let reply = browser.go("/auth/login").await;
    let line = reply.header("set-cookie").to_owned();
    let (name, begun) = browser.sign_ins().pop_first().unwrap();
    assert_eq!(
        line,
        format!("{name}={begun}; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax")
    );
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("referrer-policy"), "no-referrer");

    let departure = browser.departs("/auth/login").await;
    let mut used = browser.sign_ins();
    used.remove(&name).unwrap();
    let (used, _) = used.pop_first().unwrap();
    let answer = tokens(&server.issuer, &departure, "alice");
    // The other sign-in is under way still, so its cookie stays.
    let reply = browser.comes_back(&server.issuer, &departure, answer).await;
    let session = browser.jar[SESSION].clone();
    let lines: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
    let attributes = "Secure; HttpOnly; SameSite=Lax";
    assert_eq!(
        lines,
        [
            &format!("{SESSION}={session}; Path=/; {attributes}"),
            &format!("{used}=; Path=/; Max-Age=0; {attributes}"),
        ]
    );
    assert_eq!(session.len(), HANDLE);
    assert_eq!(browser.sign_ins(), [(name, begun)].into());

    let out = browser.ask(Method::POST, "/auth/logout").await;
    assert_eq!(
        out.header("set-cookie"),
        format!("{SESSION}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")
    );
}

#[tokio::test]
async fn the_verifier_of_the_sign_in_and_nothing_else_redeems_the_code() {
    let server = server().await;
    let mut browser = Browser::new(server.address);
    browser.sign_in(&server, "alice").await;
    let asked = server.issuer.oidc().asked();
    let fields: Vec<&str> = asked[0].keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        [
            "client_id",
            "code",
            "code_verifier",
            "grant_type",
            "redirect_uri",
            "resource"
        ]
    );
    assert_eq!(asked[0]["code_verifier"].len(), HANDLE);
    assert_eq!(asked[0]["resource"], PUBLIC_URL);

    // A code that was asked for with another challenge.
    let departure = browser.departs("/auth/login").await;
    let mut grant = departure.grant(tokens(&server.issuer, &departure, "alice"));
    grant.challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned();
    server.issuer.oidc().code("foreign", grant);
    let reply = browser.go(&departure.callback("foreign")).await;
    assert_eq!(reply.status, 400, "{}", reply.text);
}

#[tokio::test]
async fn a_client_with_a_secret_proves_itself_as_the_issuer_wants_it() {
    let secret = "s3cr:t/+ü";
    let server = confidential(secret).await;
    let mut browser = Browser::new(server.address);
    browser.sign_in(&server, "alice").await;
    let asked = server.issuer.oidc().asked();
    let basic = data_encoding::BASE64.encode(b"mfad-page:s3cr%3At%2F%2B%C3%BC");
    assert_eq!(asked[0]["Authorization"], format!("Basic {basic}"));
    assert!(!asked[0].contains_key("client_secret") && !asked[0].contains_key("client_id"));

    let methods = "token_endpoint_auth_methods_supported";
    describe(&server, methods, json!(["client_secret_post"])).await;
    browser.sign_in(&server, "alice").await;
    let asked = server.issuer.oidc().asked();
    assert_eq!(asked[1]["client_secret"], secret);
    assert_eq!(asked[1]["client_id"], CLIENT_ID);
    assert!(!asked[1].contains_key("Authorization"));
}

#[tokio::test]
async fn offline_access_is_asked_for_where_it_is_offered() {
    let server = server().await;
    let scopes = json!(["openid", "profile", "offline_access"]);
    describe(&server, "scopes_supported", scopes).await;
    let mut browser = Browser::new(server.address);
    let departure = browser.departs("/auth/login").await;
    assert_eq!(
        departure.get("scope"),
        "openid email profile offline_access"
    );
}

#[tokio::test]
async fn a_fresh_sign_in_asks_the_issuer_to_ask_anew_and_holds_it_to_that() {
    let server = server().await;
    let mut browser = Browser::new(server.address);
    let now = server.clock.unix();
    for (auth_time, status) in [
        (json!(null), 400),
        (json!(now - 31), 400),
        (json!(now + 31), 400),
        (json!(now), 303),
    ] {
        let departure = browser.departs("/auth/login?fresh=1").await;
        assert_eq!(departure.get("prompt"), "login");
        assert_eq!(departure.get("max_age"), "0");
        let mut answer = tokens(&server.issuer, &departure, "alice");
        let id = server.issuer.token(PUBLIC_URL, "alice");
        let id = id.for_client(CLIENT_ID, departure.get("nonce"));
        answer["id_token"] = json!(id.with("auth_time", auth_time.clone()).sign());
        let reply = browser.comes_back(&server.issuer, &departure, answer).await;
        assert_eq!(reply.status, status, "{auth_time}: {}", reply.text);
    }
}

#[tokio::test]
async fn what_the_id_token_says_of_the_sign_in_counts_where_the_access_token_is_silent() {
    let server = crate::support::Server::start_with(crate::support::Options {
        recent_auth: Some(600),
        ..super::options()
    })
    .await;
    let mut browser = Browser::new(server.address);
    let now = server.clock.unix();
    let enable = "/api/v1/me/mfa/totp/enable";
    browser.sign_in(&server, "alice").await;
    let refused = browser.ask(Method::POST, enable).await;
    refused.refused(401, "insufficient_user_authentication");

    let departure = browser.departs("/auth/login?fresh=1").await;
    let mut answer = tokens(&server.issuer, &departure, "alice");
    let id = server.issuer.token(PUBLIC_URL, "alice");
    let id = id.for_client(CLIENT_ID, departure.get("nonce"));
    answer["id_token"] = json!(id.with("auth_time", now).sign());
    browser.arrives(&server, &departure, answer).await;
    browser.ask(Method::POST, enable).await.ok();
    server.clock.forward(601);
    let refused = browser.ask(Method::POST, enable).await;
    refused.refused(401, "insufficient_user_authentication");
}

#[tokio::test]
async fn whoever_signs_out_is_told_where_to_do_so_at_the_issuer() {
    let server = server().await;
    let place = format!("{}/end?tenant=1", server.issuer.url);
    describe(&server, "end_session_endpoint", place.clone()).await;
    let mut browser = Browser::new(server.address);
    browser.sign_in(&server, "alice").await;
    let out = browser.ask(Method::POST, "/auth/logout").await.ok();
    let wanted = format!(
        "{place}&client_id=mfad-page&post_logout_redirect_uri=https%3A%2F%2Fmfa.example.com%2F"
    );
    assert_eq!(out, json!({"end_session_url": wanted}));
}

#[tokio::test]
async fn an_issuer_that_cannot_sign_people_in_is_still_believed() {
    let server = server().await;
    describe(
        &server,
        "authorization_endpoint",
        "http://elsewhere.example/",
    )
    .await;
    let mut browser = Browser::new(server.address);
    let reply = browser.go("/auth/login").await;
    assert_eq!(reply.status, 503, "{}", reply.text);
    assert_eq!(reply.header("retry-after"), "10");
    assert!(
        reply.text.contains("/auth/login?return=%2F"),
        "{}",
        reply.text
    );
    server.alice().get("/api/v1/me/mfa").await.ok();
}

#[tokio::test]
async fn without_a_client_there_is_no_sign_in_and_no_cookie_counts() {
    let server = crate::support::Server::start().await;
    let mut browser = Browser::new(server.address);
    for path in ["/auth/login", "/auth/callback"] {
        assert_eq!(browser.go(path).await.status, 404, "{path}");
    }
    let out = browser.ask(Method::POST, "/auth/logout").await;
    out.refused(404, "not_found");
    let told = json!({"signed_in": false, "sign_in_url": null});
    assert_eq!(browser.session().await, told);
    let cookie = [("cookie", "__Host-mfad_session=AAAA"), WINDOW[0]];
    let stranger = server.stranger();
    let reply = stranger.send(Method::GET, "/api/v1/me/mfa", &cookie, "".into());
    reply.await.refused(401, "unauthenticated");
}
