//! What others would have a person's browser do, and what they would do with what they got hold of.

use axum::http::Method;
use serde_json::json;

use super::{describe, server};
use crate::support::browser::{Browser, PAGE, SESSION, WINDOW, tokens};
use crate::support::{Server, routes};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const EVIL: (&str, &str) = ("origin", "https://evil.example");
const OWN: (&str, &str) = ("x-mfad", "1");

async fn signed_in(server: &Server, subject: &str) -> Browser {
    let mut browser = Browser::new(server.address);
    browser.sign_in(server, subject).await;
    browser
}

#[tokio::test]
async fn no_other_page_changes_anything_with_a_persons_cookie() {
    let server = server().await;
    let mut alice = signed_in(&server, "alice").await;
    let attempts: &[&[(&str, &str)]] = &[
        &[],
        &[OWN],
        &[
            FORM,
            EVIL,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
        ],
        &[FORM, EVIL],
        &[FORM, ("origin", "null"), OWN],
        &[("sec-fetch-site", "cross-site"), OWN],
        &[("sec-fetch-site", "same-site"), OWN],
        &[("sec-fetch-site", "none"), OWN],
        &[("sec-fetch-site", "same-origin")],
        &[EVIL, ("sec-fetch-site", "same-origin"), OWN],
        &[
            ("content-type", "text/plain"),
            ("sec-fetch-site", "cross-site"),
            OWN,
        ],
        &[
            ("x-http-method-override", "POST"),
            ("sec-fetch-site", "cross-site"),
        ],
    ];
    for headers in attempts {
        for route in routes() {
            let person = route.path.starts_with("/api/v1/me/");
            if !person || route.method == Method::GET {
                continue;
            }
            let path = route.path_with("mfa_aaaaaaaaaaaaaaaaaaaaaaaaaa");
            let reply = alice
                .send(route.method.clone(), &path, headers, r#"{"code":"123456"}"#)
                .await;
            reply.refused(403, "forbidden");
        }
        let out = alice.send(Method::POST, "/auth/logout", headers, "").await;
        out.refused(403, "forbidden");
    }
    let untouched = alice.overview().await.ok();
    assert_eq!(untouched["devices"], json!([]));
    // Method overrides mean nothing: it was a GET.
    let over = [("x-http-method-override", "DELETE"), PAGE[0]];
    alice
        .send(Method::GET, "/api/v1/me/mfa", &over, "")
        .await
        .ok();
}

#[tokio::test]
async fn no_other_page_reads_with_a_persons_cookie_either() {
    let server = server().await;
    let mut alice = signed_in(&server, "alice").await;
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[EVIL],
    ] {
        let reply = alice.send(Method::GET, "/api/v1/me/mfa", headers, "").await;
        reply.refused(403, "forbidden");
        assert!(reply.headers.get("access-control-allow-origin").is_none());
    }
    alice
        .send(Method::GET, "/api/v1/me/mfa", &[], "")
        .await
        .ok();
    alice
        .send(Method::GET, "/api/v1/me/mfa", &WINDOW, "")
        .await
        .ok();
}

#[tokio::test]
async fn a_token_counts_before_the_cookie_and_is_judged_as_ever() {
    let server = server().await;
    let mut alice = signed_in(&server, "alice").await;
    super::super::api::totp::enrol(&server, &server.bob()).await;
    let bobs = server.bob().token.unwrap();
    // No word of pages, since no cookie is looked at.
    let header = [("authorization", &*format!("Bearer {bobs}"))];
    let seen = alice
        .send(Method::GET, "/api/v1/me/mfa", &header, "")
        .await
        .ok();
    assert_eq!(seen["enabled"], true);
    for bad in ["Bearer x", "Basic YWxpY2U6eA==", "Bearer", ""] {
        let mut headers = PAGE.to_vec();
        headers.push(("authorization", bad));
        let reply = alice
            .send(Method::GET, "/api/v1/me/mfa", &headers, "")
            .await;
        assert_eq!(reply.status, 401, "{bad}");
    }
}

#[tokio::test]
async fn routes_of_services_and_of_the_hosted_page_know_no_cookie() {
    let server = server().await;
    let mut alice = signed_in(&server, "alice").await;
    for route in routes() {
        if !route.path.starts_with("/api/v1/mfa/") {
            continue;
        }
        let path = route.path_with("chl_aaaaaaaaaaaaaaaaaaaaaaaaaa");
        let mut headers = PAGE.to_vec();
        headers.push(("content-type", "application/json"));
        let reply = alice
            .send(route.method.clone(), &path, &headers, "{}")
            .await;
        reply.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_cookie_that_was_planted_before_is_no_session_after() {
    let server = server().await;
    let mut attacker = signed_in(&server, "mallory").await;
    let planted = attacker.jar[SESSION].clone();
    let mut alice = Browser::new(server.address);
    alice.jar.insert(SESSION.to_owned(), planted.clone());
    alice.sign_in(&server, "alice").await;
    assert_ne!(alice.jar[SESSION], planted);
    // What was planted is nobody's any more: neither Alice's nor the attacker's.
    assert_eq!(attacker.session().await["signed_in"], false);
    attacker.overview().await.refused(401, "unauthenticated");
    assert_eq!(alice.session().await["username"], "alice");
}

#[tokio::test]
async fn an_attackers_callback_signs_nobody_else_in() {
    let server = server().await;
    let mut attacker = Browser::new(server.address);
    let departure = attacker.departs("/auth/login").await;
    let answer = tokens(&server.issuer, &departure, "mallory");
    server.issuer.oidc().code("theirs", departure.grant(answer));
    let link = departure.callback("theirs");

    // A browser that began nothing, and one that began another sign-in.
    let mut alice = Browser::new(server.address);
    for _ in 0..2 {
        let reply = alice.go(&link).await;
        assert_eq!(reply.status, 400, "{}", reply.text);
        assert!(!alice.jar.contains_key(SESSION));
        alice.departs("/auth/login").await;
    }
    // Nor in a frame or by a picture, not even in the browser that began it.
    let mut frame = WINDOW.to_vec();
    frame[2] = ("sec-fetch-dest", "iframe");
    assert_eq!(
        attacker.send(Method::GET, &link, &frame, "").await.status,
        403
    );
    assert_eq!(server.issuer.oidc().asked().len(), 0);
    // The attempts have used nothing up.
    assert_eq!(attacker.go(&link).await.status, 303);
}

#[tokio::test]
async fn a_code_of_another_sign_in_is_not_taken() {
    let server = server().await;
    // The attacker's browser is made to bring back a code that was Alice's, and the other way round.
    let (mut alice, mut attacker) = (Browser::new(server.address), Browser::new(server.address));
    let hers = alice.departs("/auth/login").await;
    let theirs = attacker.departs("/auth/login").await;
    let answer = tokens(&server.issuer, &hers, "alice");
    server
        .issuer
        .oidc()
        .code("hers", hers.grant(answer.clone()));
    let reply = attacker.go(&theirs.callback("hers")).await;
    assert_eq!(reply.status, 400, "{}", reply.text);

    // Even at an issuer that does not check PKCE, the nonce tells them apart.
    let theirs = attacker.departs("/auth/login").await;
    server.issuer.oidc().code("hers", theirs.grant(answer));
    let reply = attacker.go(&theirs.callback("hers")).await;
    assert_eq!(reply.status, 400, "{}", reply.text);
    assert!(!attacker.jar.contains_key(SESSION));
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_not_taken() {
    let server = server().await;
    let names = "authorization_response_iss_parameter_supported";
    let ours = server.issuer.url.clone();
    for (promised, iss, status) in [
        (false, None, 303),
        (false, Some(ours.as_str()), 303),
        (false, Some("https://evil.example"), 400),
        (false, Some(""), 400),
        (true, None, 400),
        (true, Some(&*format!("{ours}/")), 400),
        (true, Some(&ours), 303),
    ] {
        describe(&server, names, promised).await;
        let mut alice = Browser::new(server.address);
        let departure = alice.departs("/auth/login").await;
        let answer = tokens(&server.issuer, &departure, "alice");
        server.issuer.oidc().code("code", departure.grant(answer));
        let asked = server.issuer.oidc().asked().len();
        let iss = iss.map_or_else(String::new, |iss| format!("&iss={iss}"));
        let reply = alice
            .go(&format!("{}{iss}", departure.callback("code")))
            .await;
        assert_eq!(reply.status, status, "{promised} {iss}: {}", reply.text);
        let redeemed = server.issuer.oidc().asked().len() - asked;
        assert_eq!(redeemed, usize::from(status == 303), "{iss}");
    }
}

#[tokio::test]
async fn what_comes_back_bent_signs_nobody_in() {
    let server = server().await;
    let mut alice = Browser::new(server.address);
    let departure = alice.departs("/auth/login").await;
    let answer = tokens(&server.issuer, &departure, "alice");
    server.issuer.oidc().code("code", departure.grant(answer));
    let good = departure.callback("code");
    let state = departure.get("state");
    for bent in [
        "/auth/callback".to_owned(),
        "/auth/callback?code=code".to_owned(),
        "/auth/callback?code=code&state=".to_owned(),
        format!("/auth/callback?code=code&state={}", "A".repeat(43)),
        format!("/auth/callback?code=code&state={state}x"),
        format!(
            "/auth/callback?code=code&state={}",
            state.to_lowercase() + "="
        ),
        format!("{good}&state={state}"),
        format!("{good}&code=code"),
        format!("{good}&iss={0}&iss={0}", server.issuer.url),
    ] {
        let reply = alice.go(&bent).await;
        assert_eq!(reply.status, 400, "{bent}: {}", reply.text);
    }
    assert_eq!(server.issuer.oidc().asked().len(), 0);
    assert_eq!(alice.go(&good).await.status, 303);
    // A POST, as `response_mode=form_post` would send it, is none of ours.
    let post = alice
        .send(Method::POST, "/auth/callback", &[FORM], "code=code")
        .await;
    assert_eq!(post.status, 405);
}

#[tokio::test]
async fn a_sign_in_leads_to_no_other_place() {
    let server = server().await;
    for asked in [
        "https://evil.example/",
        "//evil.example",
        "%2F%2Fevil.example",
        "%252F%252Fevil.example",
        "/%2F/evil.example",
        "/%5Cevil.example",
        "/%255Cevil.example",
        "%5C%5Cevil.example",
        "/%09/evil.example",
        "/%0D%0ASet-Cookie:%20a=b",
        "javascript:alert(1)",
        "/auth/login",
        "/../evil",
        "/%EF%BC%8Fevil.example",
        "",
    ] {
        let mut browser = Browser::new(server.address);
        let departure = browser
            .departs(&format!("/auth/login?return={asked}"))
            .await;
        let answer = tokens(&server.issuer, &departure, "alice");
        let reply = browser.comes_back(&server.issuer, &departure, answer).await;
        assert_eq!(reply.status, 303);
        assert_eq!(reply.header("location"), "/", "{asked}");
    }
    let mut browser = Browser::new(server.address);
    let departure = browser
        .departs("/auth/login?return=/a%3Fb%3D1%26c%3D2%23d")
        .await;
    let answer = tokens(&server.issuer, &departure, "alice");
    let reply = browser.comes_back(&server.issuer, &departure, answer).await;
    assert_eq!(reply.header("location"), "/a?b=1&c=2#d");
}

#[tokio::test]
async fn a_stolen_cookie_is_worth_nothing_after_its_owner_signed_out() {
    let server = server().await;
    let mut alice = signed_in(&server, "alice").await;
    let mut thief = alice.clone();
    thief.overview().await.ok();
    alice.ask(Method::POST, "/auth/logout").await.ok();
    thief.overview().await.refused(401, "unauthenticated");
    assert_eq!(thief.session().await["signed_in"], false);
    // Nor was it ever worth anything as a bearer token.
    let word = thief.jar[SESSION].clone();
    let bearer = server.bearer(word).get("/api/v1/me/mfa").await;
    bearer.refused(401, "invalid_token");
}
