//! Whom services name, by what they are registered to send.

use mfad::clients::{Sends, Service, Unknown};
use serde_json::{Value, json};

use super::super::totp;
use super::{
    CHALLENGES, VERIFY, claims, member, of, open, opened, register, unregistered, visible,
};
use crate::support::{App, Client, PUBLIC_URL, Server};

pub fn sending(name: &str, sends: Sends, tenants: &[&str]) -> Service {
    Service {
        sends,
        tenants: tenants.iter().map(|tenant| (*tenant).to_owned()).collect(),
        ..unregistered(name)
    }
}

pub async fn enrolled(server: &Server, person: &Client) -> App {
    let setup = person.post(totp::ENABLE).await.ok();
    let app = App::scan(&setup);
    // With the step before, so that the present one is fresh.
    let code = app.code(server.clock.unix() - 30);
    person.code(totp::CONFIRM, &code).await.ok();
    app
}

pub async fn named(service: &Client, by: &str, name: &str) -> Value {
    let asking = json!({by: name, "amr": ["pwd"]});
    opened(&service.post_json(CHALLENGES, &asking).await)
}

#[tokio::test]
async fn a_service_finds_people_by_what_it_sends_and_the_result_names_their_subject() {
    let server = Server::start().await;
    let kim = server
        .issuer
        .token(PUBLIC_URL, "s-1")
        .with("preferred_username", "Kim")
        .with("email", "Kim.Lee@example.com");
    let app = enrolled(&server, &server.bearer(kim.sign())).await;
    let sub = register(&server, unregistered("sub")).await;
    let name = register(&server, sending("name", Sends::Username, &[])).await;
    let mail = register(&server, sending("mail", Sends::Email, &[])).await;
    for (service, by, text, decision) in [
        (&sub, "user", "s-1", "challenge"),
        (&sub, "subject", "s-1", "challenge"),
        (&sub, "username", "kim", "challenge"),
        (&sub, "user", "kim", "enroll"),
        (&sub, "subject", "Kim", "enroll"),
        (&sub, "subject", "S-1", "enroll"),
        (&sub, "username", "s-1", "enroll"),
        (&sub, "username", "kim.lee@example.com", "deny"),
        (&name, "user", "KIM", "challenge"),
        (&name, "username", "kim", "challenge"),
        (&name, "subject", "s-1", "challenge"),
        (&name, "user", "s-1", "enroll"),
        (&name, "user", "kim.lee@example.com", "deny"),
        (&mail, "user", "kim.lee@EXAMPLE.com", "challenge"),
        (&mail, "username", "kim.lee@example.com", "challenge"),
        (&mail, "user", "kim", "enroll"),
        (&mail, "user", "kim.lee@example.com.evil", "deny"),
        // What a directory takes for the same is the same, and what only looks alike is somebody else.
        (&name, "user", "k\u{456}m", "enroll"),
        (&name, "user", "ki\u{200b}m", "challenge"),
        (&name, "user", "\u{ff4b}im", "challenge"),
        (&name, "user", "kim\u{301}", "enroll"),
        (&mail, "user", "kim.lee+x@example.com", "deny"),
    ] {
        let opened = named(service, by, text).await;
        assert_eq!(opened["decision"], decision, "{by} {text}");
    }
    let opened = named(&mail, "user", "kim.lee@example.com").await;
    let code = app.code(server.clock.unix());
    let verified = super::answer(&mail, &opened, "totp", &code).await.ok();
    let claims = claims(&server, &verified).await;
    assert_eq!(
        (&claims["sub"], &claims["sub_iss"], &claims["aud"]),
        (&json!("s-1"), &json!(server.issuer.url), &json!("mail"))
    );
}

#[tokio::test]
async fn one_name_is_sent_and_one_alone() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    let code = app.code(server.clock.unix());
    for names in [
        json!({}),
        json!({"subject": "alice", "username": "alice"}),
        json!({"subject": "alice", "user": "bob"}),
        json!({"username": "alice", "user": "alice"}),
        json!({"subject": "alice", "username": "bob", "user": "bob"}),
        json!({"subject": ""}),
        json!({"username": ""}),
        json!({"subject": ["alice"]}),
        json!({"subject": {"eq": "alice"}}),
        json!({"subject": true}),
        json!({"subject": "a".repeat(256)}),
        json!({"subject": "alice", "issuer": "https://evil.example"}),
        json!({"subject": "alice", "issuer": ""}),
        json!({"subject": "alice", "issuer": format!("{}/", server.issuer.url)}),
    ] {
        let mut body = names.clone();
        body["code"] = json!(code);
        for path in [CHALLENGES, VERIFY] {
            let reply = portal.post_json(path, &body).await;
            assert_eq!(reply.status, 422, "{names}: {}", reply.text);
        }
    }
    // What cannot be typed, and what nothing is left of, is no name: a service that is laxer than we are may take it
    // for somebody's.
    for odd in [
        "alice\n",
        "al\0ice",
        "\talice",
        "alice\u{85}",
        " ",
        "\u{3000}\u{a0}",
        "\u{ad}\u{200b}\u{fe0f}",
    ] {
        for path in [CHALLENGES, VERIFY] {
            let body = json!({"username": odd, "code": code});
            let reply = portal.post_json(path, &body).await;
            assert_eq!(reply.status, 422, "{odd:?}: {}", reply.text);
        }
    }
    // As a form, whose last word is not the last word.
    for body in [
        format!("user=alice&code={code}&user=bob"),
        format!("user=bob&code=000000&user=alice&code={code}"),
        format!("code=1&code={code}&user=alice"),
    ] {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let method = axum::http::Method::POST;
        let reply = portal.send(method, VERIFY, &headers, body.into()).await;
        assert_eq!(reply.status, 422, "{}", reply.text);
    }
    // Nor in JSON that was put together from pieces.
    for body in [
        format!(r#"{{"user": "bob", "code": "{code}", "user": "alice"}}"#),
        format!(r#"{{"subject": "alice", "code": "0", "code": "{code}"}}"#),
    ] {
        let headers = [("content-type", "application/json")];
        let method = axum::http::Method::POST;
        let reply = portal.send(method, VERIFY, &headers, body.into()).await;
        assert_eq!(reply.status, 422, "{}", reply.text);
    }
    super::one_call(&portal, "alice", &code).await.ok();
}

#[tokio::test]
async fn a_name_of_two_people_is_refused_and_one_that_only_others_bear_is_not() {
    let server = Server::start().await;
    let acme = register(&server, sending("acme", Sends::Username, &["acme"])).await;
    let both = register(
        &server,
        sending("both", Sends::Username, &["acme", "umbrella"]),
    )
    .await;
    let all = register(&server, sending("all", Sends::Username, &[])).await;
    let app = enrolled(&server, &member(&server, "acme", "s-1", "kim")).await;
    enrolled(&server, &member(&server, "umbrella", "s-2", "Kim")).await;
    // A name that many bear elsewhere is as good here: nobody can take it away by bearing it.
    for number in 0..40 {
        let person = member(
            &server,
            &format!("tenant-{number}"),
            &format!("t-{number}"),
            "kim",
        );
        person.post(totp::ENABLE).await.ok();
    }
    for service in [&both, &all] {
        for (path, body) in [
            (CHALLENGES, json!({"username": "kim"})),
            (VERIFY, json!({"user": "kim", "code": "123456"})),
        ] {
            let reply = service.post_json(path, &body).await;
            reply.refused(409, "ambiguous_name");
        }
    }
    let opened = named(&acme, "user", "kim").await;
    assert_eq!(opened["decision"], "challenge");
    let code = app.code(server.clock.unix());
    super::answer(&acme, &opened, "totp", &code).await.ok();
    // By their subjects there is no doubt.
    let body = json!({"subject": "s-2"});
    assert_eq!(
        super::opened(&all.post_json(CHALLENGES, &body).await)["decision"],
        "challenge"
    );
}

#[tokio::test]
async fn another_tenants_people_are_nobody_in_every_way_that_can_be_seen() {
    let server = Server::start().await;
    let acme = Service {
        unknown: Some(Unknown::Deny),
        ..sending("acme", Sends::Username, &["acme"])
    };
    let acme = register(&server, acme).await;
    let person = member(&server, "umbrella", "s-2", "eve");
    let app = enrolled(&server, &person).await;
    enrolled(&server, &server.person("tenantless")).await;
    let events = async || {
        let seen = person.get("/api/v1/me/mfa/events").await.ok();
        seen["events"].as_array().unwrap().len()
    };
    let before = events().await;
    let right = app.code(server.clock.unix());
    for round in 0..12 {
        let mut seen = Vec::new();
        for (by, name) in [
            ("username", "eve"),
            ("username", "nobody"),
            ("user", "EVE"),
            ("subject", "s-2"),
            ("subject", "s-3"),
            ("subject", "tenantless"),
        ] {
            let code = if round == 0 { right.as_str() } else { "000000" };
            let body = json!({by: name, "code": code});
            seen.push(visible(&acme.post_json(VERIFY, &body).await));
        }
        // Two spellings of one name are one person's misses.
        let once = [0, 1, 3, 4, 5].map(|at| seen[at].clone());
        if round < 2 {
            assert!(once.iter().all(|reply| *reply == once[0]), "{once:?}");
            assert_eq!(once[0].0, 400);
        }
        let pair = [3, 4, 5].map(|at| seen[at].clone());
        assert!(pair.iter().all(|reply| *reply == pair[0]), "{pair:?}");
    }
    let mut shapes = Vec::new();
    for (by, name) in [
        ("username", "eve"),
        ("username", "nobody"),
        ("subject", "s-2"),
        ("subject", "s-3"),
    ] {
        let mut opened = named(&acme, by, name).await;
        let path = of(&opened, "");
        let state = acme.get(&path).await.ok();
        assert_eq!(state["status"], "closed");
        let verify = super::answer(&acme, &opened, "totp", &right).await;
        verify.refused(409, "challenge_closed");
        opened["challenge_id"] = json!("chl_");
        shapes.push(opened);
    }
    assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{shapes:?}");
    // She is not told of it, is not locked by it, and her history does not fill with it.
    assert_eq!(events().await, before);
    person.code(totp::REGENERATE, &right).await.ok();
}

#[tokio::test]
async fn a_token_of_one_tenant_asks_about_that_one() {
    let server = Server::start().await;
    let app = enrolled(&server, &member(&server, "umbrella", "s-2", "eve")).await;
    let token = server
        .issuer
        .token(PUBLIC_URL, "portal")
        .with("client_id", "portal")
        .with("tenant_id", "acme")
        .with("scope", "mfa:verify");
    let portal = server.bearer(token.sign());
    assert_eq!(open(&portal, "s-2").await["decision"], "deny");
    let code = app.code(server.clock.unix());
    super::one_call(&portal, "s-2", &code)
        .await
        .refused(400, "wrong_code");
    super::one_call(&server.login_service(), "s-2", &code)
        .await
        .ok();
}

#[tokio::test]
async fn a_client_that_bears_a_registered_services_name_is_not_that_service() {
    let server = Server::start().await;
    enrolled(&server, &server.alice()).await;
    let wiki = super::wiki(&server).await;
    let challenge = open(&wiki, "alice").await;
    let posing = super::service(&server, "wiki");
    posing
        .get(&of(&challenge, ""))
        .await
        .refused(403, "forbidden");
    let asking = json!({"subject": "alice"});
    posing
        .post_json(CHALLENGES, &asking)
        .await
        .refused(403, "forbidden");
    // Nor is one whose name differs in case, or by what cannot be seen.
    for name in ["Wiki", "wiki ", "wiki\u{200b}", "wik\u{456}"] {
        let posing = super::service(&server, name);
        posing
            .get(&of(&challenge, ""))
            .await
            .refused(404, "not_found");
    }
    // A service that is removed is gone, with its keys; its challenges are nobody's.
    let tools = &server.desk.tools;
    tools
        .store
        .write(|tx| mfad::clients::remove(tx, "wiki"))
        .await
        .unwrap();
    wiki.get(&of(&challenge, ""))
        .await
        .refused(401, "invalid_token");
}
