//! Of which tenant somebody is, whatever their tokens say one after the other.

use mfad::clients::{Sends, Service, Unknown};
use mfad::policy::Key;

use super::super::totp;
use super::names::{enrolled, named, sending};
use super::{answer, member, register};
use crate::support::{Client, PUBLIC_URL, Server};

/// A service of one tenant that lets in whoever nobody has met.
async fn of(server: &Server, tenant: &str) -> Client {
    let service = Service {
        unknown: Some(Unknown::Allow),
        ..sending(tenant, Sends::Username, &[tenant])
    };
    register(server, service).await
}

async fn decision(service: &Client, by: &str, name: &str) -> String {
    let opened = named(service, by, name).await;
    opened["decision"].as_str().unwrap().to_owned()
}

/// Her tokens without a tenant, and of another.
fn others(server: &Server, subject: &str, username: &str) -> [Client; 2] {
    let token = server.issuer.token(PUBLIC_URL, subject);
    let bare = token.with("preferred_username", username).sign();
    [
        server.bearer(bare),
        member(server, "umbrella", subject, username),
    ]
}

#[tokio::test]
async fn no_other_token_moves_a_user_out_of_their_tenant() {
    let server = Server::start().await;
    let (acme, wonka) = (of(&server, "acme").await, of(&server, "wonka").await);
    let app = enrolled(&server, &member(&server, "acme", "s-1", "alice")).await;
    for other in others(&server, "s-1", "alice") {
        // Refused, and it says who asked all the same.
        other
            .code(totp::CONFIRM, "123456")
            .await
            .refused(409, "not_pending");
        for (by, name) in [("user", "alice"), ("subject", "s-1")] {
            assert_eq!(decision(&acme, by, name).await, "challenge");
            assert_eq!(decision(&wonka, by, name).await, "deny");
        }
    }
    // Nor does it take away what her tenant requires.
    server
        .set_policy(Key::RequireMfa, &["tenant:acme"])
        .await
        .unwrap();
    let code = app.code(server.clock.unix());
    for other in others(&server, "s-1", "alice") {
        other
            .code(totp::DISABLE, &code)
            .await
            .refused(409, "last_factor");
        let policy = other.get("/api/v1/me/mfa").await.ok();
        assert_eq!(policy["policy"]["required"], true, "{policy}");
    }
}

#[tokio::test]
async fn sixteen_tenants_are_known_and_none_is_pushed_out() {
    let server = Server::start().await;
    enrolled(&server, &member(&server, "acme", "s-1", "alice")).await;
    for number in 2..=40 {
        let tenant = format!("t-{number}");
        let person = member(&server, &tenant, "s-1", "alice");
        let refused = person.code(totp::CONFIRM, "123456").await;
        refused.refused(409, "not_pending");
    }
    for (tenant, means) in [
        ("acme", "challenge"),
        ("t-2", "challenge"),
        ("t-16", "challenge"),
        ("t-17", "deny"),
        ("t-40", "deny"),
    ] {
        let service = of(&server, tenant).await;
        assert_eq!(decision(&service, "user", "alice").await, means, "{tenant}");
    }
}

#[tokio::test]
async fn a_user_of_no_tenant_is_unknown_to_a_tenants_service_and_kept_out_with_a_factor() {
    let server = Server::start().await;
    let acme = of(&server, "acme").await;
    let bob = server.person("bob");
    super::met(&bob).await;
    for (by, name) in [("user", "bob"), ("subject", "bob"), ("user", "nobody")] {
        assert_eq!(decision(&acme, by, name).await, "allow", "{name}");
    }
    enrolled(&server, &bob).await;
    for by in ["user", "subject"] {
        assert_eq!(decision(&acme, by, "bob").await, "deny");
    }
    // Once he is seen in it, he is of it.
    let of_acme = member(&server, "acme", "bob", "bob");
    of_acme
        .code(totp::CONFIRM, "123456")
        .await
        .refused(409, "not_pending");
    assert_eq!(decision(&acme, "user", "bob").await, "challenge");
}

#[tokio::test]
async fn a_member_of_the_tenant_does_not_open_it_to_an_enrolled_user_of_the_same_name() {
    let server = Server::start().await;
    let acme = of(&server, "acme").await;
    let carl = server.issuer.token(PUBLIC_URL, "s-1");
    let carl = server.bearer(carl.with("preferred_username", "carl").sign());
    enrolled(&server, &carl).await;
    assert_eq!(decision(&acme, "user", "carl").await, "deny");
    super::met(&member(&server, "acme", "s-2", "carl")).await;
    assert_eq!(decision(&acme, "user", "carl").await, "deny");
    // Nor does one who takes a name that such a user gave up.
    let renamed = server.issuer.token(PUBLIC_URL, "s-1");
    let renamed = server.bearer(renamed.with("preferred_username", "karl").sign());
    renamed.get("/api/v1/me/mfa").await.ok();
    assert_eq!(decision(&acme, "user", "carl").await, "deny");
}

#[tokio::test]
async fn a_tenant_counts_for_400_days_after_its_user_was_last_seen_in_it() {
    const DAY: u64 = 86_400;
    let server = Server::start().await;
    let acme = of(&server, "acme").await;
    let app = enrolled(&server, &member(&server, "acme", "s-1", "alice")).await;
    enrolled(&server, &member(&server, "acme", "s-2", "bob")).await;
    server.clock.forward(399 * DAY);
    // To sign in at a service of the tenant is to be seen in it, for as long as one is of it.
    let opened = named(&acme, "user", "alice").await;
    let code = app.code(server.clock.unix());
    answer(&acme, &opened, "totp", &code).await.ok();
    server.clock.forward(DAY);
    assert_eq!(decision(&acme, "user", "alice").await, "challenge");
    assert_eq!(decision(&acme, "user", "bob").await, "deny");
    server.clock.forward(399 * DAY);
    assert_eq!(decision(&acme, "user", "alice").await, "deny");
}
