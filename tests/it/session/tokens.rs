//! What an issuer, or whoever stands in its place, may give for a code that is not to be believed.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::server;
use crate::support::browser::{Browser, CLIENT_ID, Departure, SESSION, tokens};
use crate::support::{Issuer, PUBLIC_URL, Server, Token};

/// A sign-in whose answer is bent.
async fn bent(server: &Server, bend: impl FnOnce(&Departure, &mut Value)) -> u16 {
    let mut alice = Browser::new(server.address);
    let departure = alice.departs("/auth/login").await;
    let mut answer = tokens(&server.issuer, &departure, "alice");
    bend(&departure, &mut answer);
    let reply = alice.comes_back(&server.issuer, &departure, answer).await;
    let status = reply.status.as_u16();
    assert_eq!(
        alice.jar.contains_key(SESSION),
        status == 303,
        "{}",
        reply.text
    );
    if status != 303 {
        assert!(
            !reply.text.contains("ey"),
            "no token is told: {}",
            reply.text
        );
    }
    status
}

fn id<'s>(server: &'s Server, departure: &Departure) -> Token<'s> {
    let token = server.issuer.token(PUBLIC_URL, "alice");
    token.for_client(CLIENT_ID, departure.get("nonce"))
}

#[tokio::test]
async fn an_id_token_is_of_this_sign_in_or_it_is_not_believed() {
    let server = server().await;
    let now = server.clock.unix();
    let table: Vec<(&str, Value, u16)> = vec![
        ("none", json!("x"), 303),
        ("nonce", Value::Null, 400),
        ("nonce", json!("another"), 400),
        ("nonce", json!(""), 400),
        ("aud", json!("another-client"), 400),
        ("aud", json!(PUBLIC_URL), 400),
        ("aud", json!([CLIENT_ID]), 303),
        ("aud", json!([CLIENT_ID, "another"]), 400),
        ("aud", json!([]), 400),
        ("azp", json!(CLIENT_ID), 303),
        ("azp", json!("another-client"), 400),
        ("iss", json!("https://evil.example"), 400),
        ("iss", json!(format!("{}/", server.issuer.url)), 400),
        ("exp", json!(now - 30), 400),
        ("exp", json!(now - 29), 303),
        ("exp", Value::Null, 400),
        ("iat", json!(now + 31), 400),
        ("sub", json!("bob"), 400),
        ("sub", json!(""), 400),
        ("sub", Value::Null, 400),
        ("typ", json!("ID"), 303),
        ("typ", json!("Bearer"), 400),
        ("typ", json!("Logout"), 400),
        ("token_use", json!("access"), 400),
        ("events", json!({}), 400),
        ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"), 400),
    ];
    for (claim, value, status) in table {
        let given = bent(&server, |departure, answer| {
            let token = id(&server, departure).with(claim, value.clone());
            answer["id_token"] = json!(token.sign());
        });
        assert_eq!(given.await, status, "{claim} {value}");
    }
    let several = bent(&server, |departure, answer| {
        let token = id(&server, departure);
        let token = token
            .with("aud", json!([CLIENT_ID, "another"]))
            .with("azp", CLIENT_ID);
        answer["id_token"] = json!(token.sign());
    });
    assert_eq!(several.await, 303);
}

#[tokio::test]
async fn at_hash_is_that_of_the_access_token_beside_it() {
    let server = server().await;
    let given = bent(&server, |departure, answer| {
        let access = answer["access_token"].as_str().unwrap();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, access.as_bytes());
        let half = BASE64URL_NOPAD.encode(&hash.as_ref()[..16]);
        answer["id_token"] = json!(id(&server, departure).with("at_hash", half).sign());
    });
    assert_eq!(given.await, 303);
}

#[tokio::test]
async fn nobody_but_the_issuer_signs_an_id_token() {
    let server = server().await;
    let stranger = Issuer::start(server.clock.clone()).await;
    let forged = bent(&server, |departure, answer| {
        let token = stranger.token(PUBLIC_URL, "alice");
        let token = token.for_client(CLIENT_ID, departure.get("nonce"));
        answer["id_token"] = json!(token.with("iss", server.issuer.url.clone()).sign());
    });
    assert_eq!(forged.await, 400);
    for algorithm in ["none", "None", "HS256", "RS256"] {
        let unsigned = bent(&server, |departure, answer| {
            let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":"test"}}"#);
            let good = id(&server, departure).sign();
            let parts: Vec<&str> = good.split('.').collect();
            let header = BASE64URL_NOPAD.encode(header.as_bytes());
            let signature = if algorithm == "HS256" { parts[2] } else { "" };
            answer["id_token"] = json!(format!("{header}.{}.{signature}", parts[1]));
        });
        assert_eq!(unsigned.await, 400, "{algorithm}");
    }
    let other_kind = bent(&server, |departure, answer| {
        answer["id_token"] = json!(id(&server, departure).of_type("at+jwt").sign());
    });
    assert_eq!(other_kind.await, 400);
}

#[tokio::test]
async fn the_access_token_is_a_persons_for_us_and_the_same_persons() {
    let server = server().await;
    let table: Vec<(&str, Value)> = vec![
        ("sub", json!("bob")),
        ("aud", json!("https://other.example")),
        ("aud", json!(CLIENT_ID)),
        ("exp", json!(server.clock.unix() - 31)),
        ("iss", json!("https://evil.example")),
        // A program's own.
        ("client_id", json!("alice")),
        ("typ", json!("ID")),
    ];
    for (claim, value) in table {
        let given = bent(&server, |_, answer| {
            let token = server.issuer.token(PUBLIC_URL, "alice");
            answer["access_token"] = json!(token.with(claim, value.clone()).sign());
        });
        assert_eq!(given.await, 400, "{claim} {value}");
    }
    // Another person in both would be that person; in one of the two it is nobody.
    let both = bent(&server, |departure, answer| {
        *answer = tokens(&server.issuer, departure, "bob");
    });
    assert_eq!(both.await, 303);
}

#[tokio::test]
async fn an_answer_that_lacks_a_part_signs_nobody_in() {
    let server = server().await;
    for (member, value, status) in [
        ("id_token", Value::Null, 400),
        ("id_token", json!("opaque"), 400),
        ("id_token", json!(""), 400),
        // oidc-provider's, where no resource is asked for.
        ("access_token", json!("opaque-token"), 400),
        ("access_token", json!(""), 400),
        ("access_token", Value::Null, 503),
        ("access_token", json!("a".repeat(9000)), 400),
        ("id_token", json!("a".repeat(9000)), 400),
        ("token_type", json!("DPoP"), 503),
        ("token_type", json!("bearer"), 303),
        ("refresh_token", Value::Null, 303),
        ("refresh_token", json!("a".repeat(9000)), 303),
        ("scope", json!("openid"), 303),
    ] {
        let given = bent(&server, |_, answer| answer[member] = value.clone()).await;
        assert_eq!(given, status, "{member} {value}");
    }
    // The ID token is no access token, and the access token no ID token.
    let swapped = bent(&server, |_, answer| {
        let (access, id) = (answer["access_token"].clone(), answer["id_token"].clone());
        answer["access_token"] = id;
        answer["id_token"] = access;
    });
    assert_eq!(swapped.await, 400);
    let twice = bent(&server, |_, answer| {
        answer["access_token"] = answer["id_token"].clone()
    });
    assert_eq!(twice.await, 400);
}

#[tokio::test]
async fn what_the_token_endpoint_says_decides_what_the_person_reads() {
    let server = server().await;
    for (refusal, status, words) in [
        ((400, "invalid_grant"), 400, "did not take its answer back"),
        ((401, "invalid_client"), 400, "does not accept this server"),
        (
            (400, "<script>alert(1)</script>"),
            400,
            "does not accept this server",
        ),
        ((500, "server_error"), 503, "cannot be reached"),
        ((429, "slow_down"), 503, "cannot be reached"),
        ((302, "elsewhere"), 503, "cannot be reached"),
    ] {
        server.issuer.oidc().refuses(Some(refusal));
        let mut alice = Browser::new(server.address);
        let departure = alice.departs("/auth/login?return=/x").await;
        let answer = tokens(&server.issuer, &departure, "alice");
        let reply = alice.comes_back(&server.issuer, &departure, answer).await;
        assert_eq!(reply.status, status, "{refusal:?}");
        assert!(reply.text.contains(words), "{}", reply.text);
        assert!(
            reply.text.contains("href=\"/auth/login?return=%2Fx\""),
            "{}",
            reply.text
        );
        assert!(!reply.text.contains("<script>alert") && !reply.text.contains(refusal.1));
        assert!(!alice.jar.contains_key(SESSION));
    }
}
