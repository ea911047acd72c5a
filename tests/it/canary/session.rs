//! Sign-ins to the settings page, and the secrets that they have.

use axum::http::Method;
use serde_json::json;

use super::Canaries;
use crate::support::browser::{Browser, CLIENT_ID, SESSION, tokens};
use crate::support::process::{now, write_secret};
use crate::support::{PUBLIC_URL, Process, Site};

const CLIENT_SECRET: &str = "canary-client-secret-4f6e";

/// Gives the site a client with a secret.
pub fn keep_secret(site: &mut Site) {
    let secret = site.path("client.secret");
    write_secret(&secret, CLIENT_SECRET.as_bytes());
    site.set("client-id", CLIENT_ID);
    site.set("client-secret-file", secret.to_str().unwrap());
}

/// Signs in to the settings page, has the tokens renewed, fails to sign in, and signs out.
pub async fn walk(site: &Site, server: &Process, canaries: &mut Canaries) {
    canaries.add("the client's secret", CLIENT_SECRET);
    let oidc = site.issuer.oidc();
    let mut alice = Browser::new(server.address());
    let departure = alice.departs("/auth/login").await;
    for cookie in alice.sign_ins().values() {
        canaries.add("the sign-in's cookie", cookie);
    }
    for part in ["state", "nonce"] {
        canaries.add(&format!("the {part}"), departure.get(part));
    }
    let mut answer = tokens(&site.issuer, &departure, "alice");
    answer["refresh_token"] = json!("canary-refresh-1-3b5c");
    // It is over at once, so that it has to be renewed.
    let short = site.issuer.token(PUBLIC_URL, "alice");
    answer["access_token"] = json!(short.with("exp", now() + 5).sign());
    oidc.code("canary-code-8e11", departure.grant(answer.clone()));
    let arrived = alice.go(&departure.callback("canary-code-8e11")).await;
    assert_eq!(arrived.status, 303, "{}", arrived.text);
    canaries.add("the session's cookie", &alice.jar[SESSION]);
    let mut renewed = answer.clone();
    renewed["refresh_token"] = json!("canary-refresh-2-71d0");
    let long = site.issuer.token(PUBLIC_URL, "alice");
    renewed["access_token"] = json!(long.with("jti", "renewed").sign());
    oidc.renews("canary-refresh-1-3b5c", renewed.clone());
    alice.overview().await.ok();
    for (what, tokens) in [("first", &answer), ("renewed", &renewed)] {
        for token in ["access_token", "id_token"] {
            let text = tokens[token].as_str().unwrap();
            let name = format!("the {what} {token}'s signature");
            canaries.add(&name, text.rsplit_once('.').unwrap().1);
        }
        canaries.text(
            &format!("the {what} refresh token"),
            &tokens["refresh_token"],
        );
    }
    for form in oidc.asked() {
        if let Some(verifier) = form.get("code_verifier") {
            canaries.add("the verifier", verifier);
        }
    }
    canaries.add("the code", "canary-code-8e11");

    let departure = alice.departs("/auth/login").await;
    let refused = alice.go(&departure.callback("canary-code-2a97")).await;
    assert_eq!(refused.status, 400);
    canaries.add("a code that is refused", "canary-code-2a97");
    let error = "/auth/callback?error=canary-error-55fe&error_description=canary-words-66aa&state=";
    let departure = alice.departs("/auth/login").await;
    let refused = alice
        .go(&format!("{error}{}", departure.get("state")))
        .await;
    assert_eq!(refused.status, 400);
    canaries.add("an issuer's error", "canary-error-55fe");
    canaries.add("an issuer's words", "canary-words-66aa");
    assert_eq!(departure.get("client_id"), CLIENT_ID);
    let mut other = alice.clone();
    other.ask(Method::POST, "/auth/logout").await.ok();
    alice.overview().await.refused(401, "unauthenticated");

    // One more, which stays signed in.
    let departure = alice.departs("/auth/login").await;
    let mut answer = tokens(&site.issuer, &departure, "alice");
    answer["refresh_token"] = json!("canary-refresh-3-90b4");
    oidc.code("canary-code-17c3", departure.grant(answer));
    let arrived = alice.go(&departure.callback("canary-code-17c3")).await;
    assert_eq!(arrived.status, 303, "{}", arrived.text);
    canaries.add("the second session's cookie", &alice.jar[SESSION]);
    canaries.add("the kept refresh token", "canary-refresh-3-90b4");
}
