//! An answer that says who is to be let in by it.

use mfad::clients::{Sends, Service};
use serde_json::{Value, json};

use super::super::{totp, webauthn};
use super::{CHALLENGES, by, member, of, open, opened, register, service, unregistered, visible};
use crate::support::{Authenticator, Client, Reply, Server};

/// Answers the challenge, with more members in the body.
async fn answer_as(portal: &Client, challenge: &Value, mut body: Value, more: &Value) -> Reply {
    let members = body.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    portal.post_json(&of(challenge, "/verify"), &body).await
}

fn mismatches(server: &Server) -> u64 {
    let counted = server.desk.tools.metrics.text(&Default::default()).unwrap();
    let line = counted
        .lines()
        .find_map(|line| line.strip_prefix("mfad_challenge_name_mismatches_total "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn bobs_challenge_and_bobs_code_let_in_nobody_but_bob() {
    let server = Server::start().await;
    let alice = member(&server, "acme", "s-alice", "Alice");
    let bob = member(&server, "acme", "s-bob", "Bob");
    totp::enrol(&server, &alice).await;
    let (app, codes) = totp::enrol(&server, &bob).await;
    let mut key = Authenticator::new();
    webauthn::enrol(&bob, &key).await;
    server.clock.next_step();
    let radius = Service {
        sends: Sends::Username,
        ..unregistered("radius")
    };
    let radius = register(&server, radius).await;
    let challenge = open(&radius, "s-bob").await;
    let begun = radius.post(&of(&challenge, "/webauthn")).await.ok();
    let mut by_key = key.verify(&begun);
    by_key["method"] = json!("webauthn");
    let now = server.clock.unix();
    let answers = [
        by("totp", &app.code(now)),
        by("totp", &app.wrong_code(now)),
        by("backup_code", &codes[0]),
        by_key.clone(),
    ];
    // As a challenge that is another service's, or none.
    let other = service(&server, "other");
    let verify = of(&challenge, "/verify");
    let foreign = visible(&other.post_json(&verify, &answers[0]).await);
    assert_eq!(foreign.0, 404);
    let issuer = server.issuer.url.clone();
    let mut asked = 0;
    for named in [
        json!({"username": "alice"}),
        json!({"user": "alice"}),
        json!({"subject": "s-alice"}),
        json!({"subject": "S-BOB"}),
        json!({"username": "s-bob"}),
        json!({"username": "nobody"}),
        json!({"user": "bob@example.com"}),
        json!({"subject": "s-alice", "issuer": issuer}),
        json!({"subject": "s-bob", "issuer": "https://other.example"}),
        json!({"issuer": "https://other.example"}),
    ] {
        for body in &answers {
            let reply = answer_as(&radius, &challenge, body.clone(), &named).await;
            assert_eq!(visible(&reply), foreign, "{named} {body}");
            asked += 1;
        }
    }
    assert_eq!(mismatches(&server), asked);
    // None of it was a try, of the challenge or of the factor, and nothing was used up.
    let wrong = by("totp", &app.wrong_code(now));
    let reply = answer_as(&radius, &challenge, wrong, &json!({})).await;
    assert_eq!(reply.refused(400, "wrong_code")["tries_left"], 4);
    let history = bob.get("/api/v1/me/mfa/events").await.ok();
    let refused = history["events"].as_array().unwrap().iter();
    let refused = refused.filter(|event| event["action"] == "login.verify");
    assert_eq!(refused.count(), 1);
    let named = json!({"username": "bOB"});
    answer_as(&radius, &challenge, by_key, &named).await.ok();
    let challenge = open(&radius, "s-bob").await;
    let named = json!({"user": "bob"});
    let reply = answer_as(&radius, &challenge, answers[0].clone(), &named).await;
    reply.ok();
    assert_eq!(mismatches(&server), asked);
}

#[tokio::test]
async fn a_name_is_read_at_the_answer_as_it_is_at_the_opening() {
    let server = Server::start().await;
    let person = server.alice();
    let (app, _) = totp::enrol(&server, &person).await;
    let portal = server.login_service();
    let challenge = open(&portal, "alice").await;
    let verify = of(&challenge, "/verify");
    let answer = by("totp", &app.wrong_code(server.clock.unix()));
    for named in [
        json!({"subject": "alice", "username": "alice"}),
        json!({"username": "alice", "user": "alice"}),
        json!({"subject": ""}),
        json!({"username": ""}),
        json!({"username": " "}),
        json!({"username": "ali\u{0}ce"}),
        json!({"subject": "x".repeat(256)}),
        json!({"subject": 7}),
        json!({"subject": ["alice"]}),
        json!({"username": {"name": "alice"}}),
        json!({"issuer": 7}),
    ] {
        let at_answer = answer_as(&portal, &challenge, answer.clone(), &named).await;
        at_answer.misfit();
        let at_opening = portal.post_json(CHALLENGES, &named).await;
        if named.get("issuer").is_none() {
            assert_eq!(at_answer.misfit(), at_opening.misfit(), "{named}");
        }
    }
    // What is null is not said.
    let nothing = json!({"subject": null, "username": null, "user": null, "issuer": null});
    let reply = answer_as(&portal, &challenge, answer.clone(), &nothing).await;
    assert_eq!(reply.refused(400, "wrong_code")["tries_left"], 4);
    // A challenge that is over says so to whoever names its person, and to no one else.
    let right = by("totp", &app.code(server.clock.unix()));
    portal.post_json(&verify, &right).await.ok();
    let named = json!({"subject": "alice"});
    answer_as(&portal, &challenge, answer.clone(), &named)
        .await
        .refused(409, "challenge_closed");
    let named = json!({"subject": "bob"});
    answer_as(&portal, &challenge, answer, &named)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn of_an_unknown_name_the_name_itself_is_compared() {
    let server = Server::start().await;
    let portal = server.login_service();
    let answer = by("totp", "000000");
    for field in ["subject", "username", "user"] {
        let asking = json!({field: "nobody", "amr": ["pwd"]});
        let challenge = opened(&portal.post_json(CHALLENGES, &asking).await);
        assert_ne!(challenge["decision"], "challenge");
        answer_as(
            &portal,
            &challenge,
            answer.clone(),
            &json!({field: "nobody"}),
        )
        .await
        .refused(409, "challenge_closed");
        answer_as(
            &portal,
            &challenge,
            answer.clone(),
            &json!({field: "other"}),
        )
        .await
        .refused(404, "not_found");
    }
}
