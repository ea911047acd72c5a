//! Where users are signed in, and how they sign out there.

use axum::http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{describe, server};
use crate::api::totp::{self, rfc3339};
use crate::support::browser::{Browser, PAGE, SESSION, WINDOW, tokens};
use crate::support::{PUBLIC_URL, Server};

const PATH: &str = "/api/v1/me/mfa/sessions";
const EVENTS: &str = "/api/v1/me/mfa/events";
const MINUTE: u64 = 60;

/// A browser that says what it is, and signs in.
async fn signed_in(server: &Server, subject: &str, user_agent: Option<&str>) -> Browser {
    let mut browser = Browser::new(server.address);
    let departure = browser.departs("/auth/login").await;
    let answer = tokens(&server.issuer, &departure, subject);
    server.issuer.oidc().code("code", departure.grant(answer));
    let mut headers = WINDOW.to_vec();
    headers.extend(user_agent.map(|it| ("user-agent", it)));
    let link = departure.callback("code");
    let reply = browser.send(Method::GET, &link, &headers, "").await;
    assert_eq!(reply.status, 303, "{}", reply.text);
    browser
}

async fn listed(browser: &mut Browser) -> Vec<Value> {
    let told = browser.ask(Method::GET, PATH).await.ok();
    told["sessions"].as_array().unwrap().clone()
}

fn id(session: &Value) -> String {
    session["id"].as_str().unwrap().to_owned()
}

fn cleared(reply: &crate::support::Reply) -> bool {
    let lines = reply.headers.get_all("set-cookie").iter();
    let clears = format!("{SESSION}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
    lines
        .filter(|line| line.as_bytes() == clears.as_bytes())
        .count()
        == 1
}

#[tokio::test]
async fn users_see_where_they_are_signed_in_and_sign_one_browser_out() {
    let server = server().await;
    let start = server.clock.unix();
    let mut first = signed_in(&server, "alice", Some("Firefox\u{9d} on  Linux")).await;
    server.clock.forward(1);
    let mut second = signed_in(&server, "alice", None).await;
    let mut bob = signed_in(&server, "bob", None).await;
    server.clock.forward(2 * MINUTE);
    first.overview().await.ok();
    let seen = listed(&mut second).await;
    let half_an_hour = 30 * MINUTE;
    let used = start + 1 + 2 * MINUTE;
    assert_eq!(
        seen,
        [
            json!({
                "id": id(&seen[0]), "current": true, "user_agent": null, "ip": "127.0.0.1",
                "created_at": rfc3339(start + 1), "last_used_at": rfc3339(used),
                "expires_at": rfc3339(used + half_an_hour),
            }),
            json!({
                "id": id(&seen[1]), "current": false, "user_agent": "Firefox on Linux", "ip": "127.0.0.1",
                "created_at": rfc3339(start), "last_used_at": rfc3339(used),
                "expires_at": rfc3339(used + half_an_hour),
            }),
        ]
    );
    assert!(id(&seen[0]).starts_with("ses_") && id(&seen[0]).len() == 30);
    // The list names sessions, and holds nothing by which one could be used.
    let text = json!(seen).to_string();
    for browser in [&first, &second] {
        assert!(!text.contains(&browser.jar[SESSION]));
    }
    let named = format!("{SESSION}={}", &id(&seen[1])[4..]);
    let headers = [PAGE[0], PAGE[1], PAGE[2], ("cookie", named.as_str())];
    let stranger = server.stranger();
    let reply = stranger.send(Method::GET, PATH, &headers, "".into()).await;
    reply.refused(401, "unauthenticated");

    let path = format!("{PATH}/{}", id(&seen[1]));
    bob.ask(Method::DELETE, &path)
        .await
        .refused(404, "not_found");
    server.bob().delete(&path).await.refused(404, "not_found");
    for odd in [
        "ses_x",
        "trd_aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "ses_aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "%ff",
        "%2f",
    ] {
        let odd = format!("{PATH}/{odd}");
        second
            .ask(Method::DELETE, &odd)
            .await
            .refused(404, "not_found");
    }
    assert_eq!(listed(&mut first).await.len(), 2);
    let reply = second.ask(Method::DELETE, &path).await;
    assert_eq!(reply.ok(), json!({"removed": true}));
    assert!(!cleared(&reply));
    first.overview().await.refused(401, "unauthenticated");
    second
        .ask(Method::DELETE, &path)
        .await
        .refused(404, "not_found");
    assert_eq!(listed(&mut second).await.len(), 1);
    assert_eq!(bob.session().await["signed_in"], true);
    let events = second.ask(Method::GET, EVENTS).await.ok();
    let done: Vec<&Value> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["outcome"] == "done")
        .collect();
    assert_eq!(done.len(), 1, "{events}");
    assert_eq!(done[0]["action"], "session.remove");
}

#[tokio::test]
async fn ending_the_own_session_clears_its_cookie_as_signing_out_does() {
    let server = server().await;
    let mut other = signed_in(&server, "alice", None).await;
    let mut alice = signed_in(&server, "alice", None).await;
    let own = listed(&mut alice)
        .await
        .into_iter()
        .find(|one| one["current"] == true);
    let path = format!("{PATH}/{}", id(&own.unwrap()));
    let kept = alice.clone();
    let reply = alice.ask(Method::DELETE, &path).await;
    assert_eq!(reply.ok(), json!({"removed": true}));
    assert!(cleared(&reply) && alice.jar.is_empty());
    kept.clone()
        .overview()
        .await
        .refused(401, "unauthenticated");
    assert_eq!(listed(&mut other).await.len(), 1);
}

#[tokio::test]
async fn signing_out_everywhere_ends_every_session_of_the_user_and_no_other() {
    let server = server().await;
    let place = format!("{}/end", server.issuer.url);
    let mut alices = Vec::new();
    for _ in 0..4 {
        alices.push(signed_in(&server, "alice", None).await);
    }
    let mut bob = signed_in(&server, "bob", None).await;
    let mut kept = alices.clone();
    let reply = alices[2].ask(Method::DELETE, PATH).await;
    assert_eq!(
        reply.ok(),
        json!({"removed": true, "count": 4, "end_session_url": null})
    );
    assert!(cleared(&reply) && alices[2].jar.is_empty());
    for browser in &mut kept {
        browser.overview().await.refused(401, "unauthenticated");
        assert_eq!(browser.session().await["signed_in"], false);
        browser
            .ask(Method::DELETE, PATH)
            .await
            .refused(401, "unauthenticated");
    }
    bob.overview().await.ok();
    let events = server.alice().get(EVENTS).await.ok();
    assert_eq!(events["events"][0]["action"], "session.remove_all");
    assert_eq!(events["events"][0]["outcome"], "done");

    // With a bearer token too, and where the issuer ends its session it says so.
    describe(&server, "end_session_endpoint", place.clone()).await;
    let mut alice = signed_in(&server, "alice", None).await;
    let seen = server.alice().get(PATH).await.ok();
    assert_eq!(seen["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(seen["sessions"][0]["current"], false);
    let reply = server.alice().delete(PATH).await;
    let told = reply.ok();
    assert_eq!(told["count"], 1);
    let url = told["end_session_url"].as_str().unwrap();
    assert!(url.starts_with(&place) && !cleared(&reply), "{url}");
    alice.overview().await.refused(401, "unauthenticated");
    assert_eq!(server.alice().delete(PATH).await.ok()["count"], 0);
}

#[tokio::test]
async fn a_session_that_is_over_is_not_listed_and_signing_out_asks_for_no_factor() {
    let server = server().await;
    let mut old = signed_in(&server, "alice", None).await;
    let seen = listed(&mut old).await;
    server.clock.forward(15 * MINUTE);
    totp::enrol(&server, &server.alice()).await;
    let mut alice = signed_in(&server, "alice", None).await;
    assert_eq!(listed(&mut alice).await.len(), 2);
    server.clock.forward(15 * MINUTE);
    assert_eq!(listed(&mut alice).await.len(), 1);
    let path = format!("{PATH}/{}", id(&seen[0]));
    alice
        .ask(Method::DELETE, &path)
        .await
        .refused(404, "not_found");
    // Neither browser has proved the app.
    let mut other = signed_in(&server, "alice", None).await;
    let seen = listed(&mut other).await;
    let theirs = seen.iter().find(|one| one["current"] == false).unwrap();
    let path = format!("{PATH}/{}", id(theirs));
    other.ask(Method::DELETE, &path).await.ok();
    alice.overview().await.refused(401, "unauthenticated");
    let told = other.ask(Method::DELETE, PATH).await.ok();
    assert_eq!(told["count"], 1);
}

#[tokio::test]
async fn a_renewal_that_is_under_way_brings_no_session_back() {
    for everywhere in [true, false] {
        let server = server().await;
        let mut alice = Browser::new(server.address);
        let departure = alice.departs("/auth/login").await;
        let mut answer = tokens(&server.issuer, &departure, "alice");
        let short = server.issuer.token(PUBLIC_URL, "alice");
        answer["access_token"] = json!(short.with("exp", server.clock.unix() + 60).sign());
        alice.arrives(&server, &departure, answer).await;
        let path = format!("{PATH}/{}", id(&listed(&mut alice).await[0]));
        server.clock.forward(60);
        let token = server.issuer.token(PUBLIC_URL, "alice").sign();
        let renewed =
            json!({"access_token": token, "token_type": "Bearer", "refresh_token": "next"});
        server.issuer.oidc().renews("refresh-1-alice", renewed);
        let asked = server.issuer.oidc().asked().len();
        let gate = server.issuer.oidc().holds_back();
        let mut waiting = alice.clone();
        let request = tokio::spawn(async move { waiting.overview().await });
        while server.issuer.oidc().asked().len() == asked {
            tokio::task::yield_now().await;
        }
        let person = server.alice();
        let path = if everywhere { PATH.to_owned() } else { path };
        person.delete(&path).await.ok();
        gate.add_permits(10);
        request.await.unwrap().refused(401, "unauthenticated");
        alice.overview().await.refused(401, "unauthenticated");
        assert_eq!(person.get(PATH).await.ok()["sessions"], json!([]));
    }
}

#[tokio::test]
async fn a_change_that_was_under_way_in_a_session_is_not_made_after_it_ended() {
    let server = server().await;
    let thief = signed_in(&server, "alice", None).await;
    let body = "{}";
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: mfa.example.com\r\nCookie: {SESSION}={}\r\n\
         Sec-Fetch-Site: same-origin\r\nX-Mfad: 1\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        totp::ENABLE,
        thief.jar[SESSION],
        body.len()
    );
    // The session is good when the head comes, and has ended when the body does.
    let sends = async |ends: bool| {
        let mut connection = TcpStream::connect(server.address).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        if ends {
            server.alice().delete(PATH).await.ok();
        }
        connection.write_all(body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = sends(false).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer = sends(true).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("unauthenticated"), "{answer}");
}
