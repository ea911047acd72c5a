//! The hosted prompt, as somebody would misuse it.

use mfad::clients::Service;
use mfad::policy::Key;
use serde_json::{Value, json};
use url::Url;

use super::super::{email, totp, webauthn};
use super::{CHALLENGES, RETURN, id, member, of, open_with, register, unregistered, visible, wiki};
use crate::support::{Authenticator, Client, Reply, Server};

const OPEN: &str = "/api/v1/prompt/open";
const EMAIL: &str = "/api/v1/prompt/email";
const KEY: &str = "/api/v1/prompt/webauthn";
const ANSWER: &str = "/api/v1/prompt/verify";
const CANCEL: &str = "/api/v1/prompt/cancel";

/// Opens a challenge that is to be answered on our page, and gives the page's token.
pub async fn prompt(wiki: &Client, subject: &str, more: Value) -> (Value, String) {
    let mut asking = json!({"return_url": RETURN, "state": "xyz"});
    asking
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let opened = open_with(wiki, subject, asking).await;
    let url = opened["prompt_url"].as_str().unwrap();
    let token = url
        .strip_prefix("https://mfa.example.com/prompt/#")
        .unwrap();
    assert!(token.starts_with("prm_") && token.len() == 30, "{token}");
    let token = token.to_owned();
    (opened, token)
}

/// What the page sends: no token but its own.
async fn send(server: &Server, path: &str, token: &str, more: Value) -> Reply {
    let mut body = json!({ "prompt": token });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    server.stranger().post_json(path, &body).await
}

pub async fn code(server: &Server, token: &str, code: &str) -> Reply {
    send(
        server,
        ANSWER,
        token,
        json!({"method": "totp", "code": code}),
    )
    .await
}

/// The address that somebody is sent back to is the registered one, with what was added to it.
#[track_caller]
fn back(body: &Value, challenge: &Value, error: Option<&str>) {
    let url = body["return_to"].as_str().unwrap();
    assert!(url.starts_with(RETURN), "{url}");
    let url = Url::parse(url).unwrap();
    let mut expected = vec![
        ("from".to_owned(), "mfad".to_owned()),
        ("challenge_id".to_owned(), id(challenge).to_owned()),
    ];
    // By its word a service knows the browser: whoever asks once it is over is not told.
    if error != Some("closed") {
        expected.push(("state".to_owned(), "xyz".to_owned()));
    }
    expected.extend(error.map(|error| ("error".to_owned(), error.to_owned())));
    let found: Vec<_> = url.query_pairs().into_owned().collect();
    assert_eq!(found, expected);
    assert_eq!(url.fragment(), None);
}

#[tokio::test]
async fn the_page_answers_once_and_brings_the_person_back_each_time() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = totp::enrol(&server, &alice).await;
    let wiki = wiki(&server).await;
    let (opened, token) = prompt(&wiki, "alice", json!({})).await;
    let shown = send(&server, OPEN, &token, json!({})).await.ok();
    assert_eq!(shown["account"], "alice");
    assert_eq!(shown["return_host"], "wiki.example.com");
    assert_eq!(shown["methods"], json!(["totp", "backup_code"]));
    let right = app.code(server.clock.unix());
    let done = code(&server, &token, &right).await.ok();
    back(&done, &opened, None);
    // Whoever holds the token afterwards learns the way back, and nothing of the result.
    for path in [OPEN, EMAIL, KEY, CANCEL] {
        let reply = send(&server, path, &token, json!({})).await;
        back(
            &reply.refused(409, "challenge_closed"),
            &opened,
            Some("closed"),
        );
    }
    server.clock.next_step();
    let fresh = app.code(server.clock.unix());
    let reply = code(&server, &token, &fresh).await;
    let body = reply.refused(409, "challenge_closed");
    back(&body, &opened, Some("closed"));
    assert!(!reply.text.contains("token\"") && !reply.text.contains("amr"));
    // The service fetches the outcome, with the person's subject.
    let state = wiki.get(&of(&opened, "")).await.ok();
    assert_eq!(state["status"], "verified");
    assert!(state.get("prompt_url").is_none());
    assert_eq!(super::claims(&server, &state).await["sub"], "alice");
    assert_eq!(super::claims(&server, &state).await["aud"], "wiki");

    let (opened, token) = prompt(&wiki, "alice", json!({})).await;
    let given_up = send(&server, CANCEL, &token, json!({})).await.ok();
    back(&given_up, &opened, Some("access_denied"));
    let reply = code(&server, &token, &fresh).await;
    back(
        &reply.refused(409, "challenge_closed"),
        &opened,
        Some("closed"),
    );
    let reply = super::answer(&wiki, &opened, "totp", &fresh).await;
    reply.refused(409, "challenge_closed");
    assert_eq!(wiki.get(&of(&opened, "")).await.ok()["status"], "cancelled");

    let (opened, token) = prompt(&wiki, "alice", json!({})).await;
    let wrong = app.wrong_code(server.clock.unix());
    for left in [4, 3, 2, 1] {
        let reply = send(
            &server,
            ANSWER,
            &token,
            json!({"method": "backup_code", "code": wrong}),
        )
        .await;
        let body = reply.refused(400, "wrong_code");
        assert_eq!(body["tries_left"], left);
        assert!(body.get("return_to").is_none());
    }
    let reply = send(
        &server,
        ANSWER,
        &token,
        json!({"method": "backup_code", "code": wrong}),
    )
    .await;
    back(&reply.refused(400, "wrong_code"), &opened, Some("failed"));

    let (opened, token) = prompt(&wiki, "alice", json!({})).await;
    server.clock.forward(300);
    let fresh = app.code(server.clock.unix());
    for reply in [
        send(&server, OPEN, &token, json!({})).await,
        send(&server, CANCEL, &token, json!({})).await,
        code(&server, &token, &fresh).await,
    ] {
        back(
            &reply.refused(409, "challenge_expired"),
            &opened,
            Some("expired"),
        );
    }
    server.clock.forward(181);
    let tools = &server.desk.tools;
    tools.store.sweep(tools.now()).await.unwrap();
    send(&server, OPEN, &token, json!({}))
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn a_token_that_is_none_looks_like_any_other() {
    let mut server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let wiki = wiki(&server).await;
    let (opened, token) = prompt(&wiki, "alice", json!({})).await;
    let right = app.code(server.clock.unix());
    let unknown = "prm_aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let expected = visible(&send(&server, OPEN, unknown, json!({})).await);
    assert_eq!(expected.0, 404);
    let challenge = id(&opened).to_owned();
    for odd in [
        String::new(),
        "prm_".to_owned(),
        token.to_uppercase(),
        token.replace("prm_", ""),
        token.replace("prm_", "chl_"),
        format!("{token} "),
        format!(" {token}"),
        format!("{token}\0"),
        format!("{token}\n"),
        format!("{token}a"),
        token[..29].to_owned(),
        challenge,
        "é".repeat(30),
        "x".repeat(10_000),
    ] {
        assert_eq!(
            visible(&send(&server, OPEN, &odd, json!({})).await),
            expected
        );
        for path in [EMAIL, KEY, CANCEL] {
            send(&server, path, &odd, json!({}))
                .await
                .refused(404, "not_found");
        }
        code(&server, &odd, &right).await.refused(404, "not_found");
    }
    // In a URL, a header or a form it is nothing.
    let path = format!("{OPEN}?prompt={token}");
    assert_eq!(server.stranger().post(&path).await.status, 422);
    server
        .bearer(token.clone())
        .post_json(CHALLENGES, &json!({"subject": "alice"}))
        .await
        .refused(401, "invalid_token");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let method = axum::http::Method::POST;
    let body = format!("prompt={token}").into();
    let reply = server.stranger().send(method, OPEN, &headers, body).await;
    reply.refused(415, "unsupported_media_type");
    server.restart().await;
    code(&server, &token, &right).await.ok();
}

#[tokio::test]
async fn a_page_answers_for_its_own_person_and_challenge_whoever_is_named() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    let (hers, _) = totp::enrol(&server, &alice).await;
    let (his, codes) = totp::enrol(&server, &bob).await;
    let mut key = Authenticator::new();
    webauthn::enrol(&bob, &key).await;
    email::enrol(&server, &bob).await;
    let wiki = wiki(&server).await;
    let (opened, token) = prompt(&wiki, "alice", json!({})).await;
    let (his_opened, his_token) = prompt(&wiki, "bob", json!({})).await;
    // Bob, who knows Alice's password and holds her page, names himself in every place.
    let unix = server.clock.unix();
    for name in [
        "subject",
        "username",
        "user",
        "login_hint",
        "account",
        "sub",
        "challenge_id",
    ] {
        let more = json!({name: "bob", "method": "totp", "code": his.code(unix)});
        let refused = send(&server, ANSWER, &token, more).await;
        let code = refused.json()["code"].clone();
        assert!(code == "wrong_code" || code == "locked" || code == "challenge_closed");
        let shown = send(&server, OPEN, &token, json!({name: "bob"})).await;
        assert!(!shown.text.contains("bob"), "{}", shown.text);
    }
    assert_ne!(wiki.get(&of(&opened, "")).await.ok()["status"], "verified");
    server.clock.forward(30);
    let (opened, token) = prompt(&wiki, "alice", json!({})).await;
    let more = json!({"method": "backup_code", "code": codes[0]});
    send(&server, ANSWER, &token, more)
        .await
        .refused(400, "wrong_code");
    // His code, mailed for his page, and his key, moved for it.
    send(&server, EMAIL, &his_token, json!({})).await.ok();
    let mailed = email::code_mail(&server).await.code().unwrap();
    let more = json!({"method": "email", "code": mailed});
    send(&server, ANSWER, &token, more)
        .await
        .refused(400, "wrong_code");
    let begun = send(&server, KEY, &his_token, json!({})).await.ok();
    let mut more = key.verify(&begun);
    more["method"] = json!("webauthn");
    more["challenge_id"] = json!(id(&his_opened));
    send(&server, ANSWER, &token, more.clone())
        .await
        .refused(400, "webauthn_failed");
    let done = send(&server, ANSWER, &his_token, more).await.ok();
    back(&done, &his_opened, None);
    let right = hers.code(server.clock.unix());
    back(&code(&server, &token, &right).await.ok(), &opened, None);
}

const REGISTERED: [&str; 2] = [
    "https://wiki.example.com/cb",
    "https://wiki.example.com/a?b=c",
];

/// Addresses that somebody could take for a registered one.
const ALMOST_REGISTERED: &[&str] = &[
    "",
    "/",
    "/cb",
    "cb",
    "//evil.example",
    "//wiki.example.com/cb",
    "///evil.example/cb",
    "https:evil.example",
    "https:/wiki.example.com/cb",
    "https:///wiki.example.com/cb",
    "https:\\\\wiki.example.com\\cb",
    "\\\\evil.example",
    "https://wiki.example.com\\@evil.example/cb",
    "https://wiki.example.com@evil.example/cb",
    "https://evil@wiki.example.com/cb",
    "https://user:pw@wiki.example.com/cb",
    "https://@wiki.example.com/cb",
    "http://wiki.example.com/cb",
    "HTTPS://wiki.example.com/cb",
    "https://WIKI.example.com/cb",
    "https://wiki.example.com/CB",
    "https://wiki.example.com/cb/",
    "https://wiki.example.com//cb",
    "https://wiki.example.com/./cb",
    "https://wiki.example.com/x/../cb",
    "https://wiki.example.com/cb?",
    "https://wiki.example.com/cb?x=1",
    "https://wiki.example.com/cb#x",
    "https://wiki.example.com/cb#",
    "https://wiki.example.com/cb;x",
    "https://wiki.example.com/cb%00",
    "https://wiki.example.com/c%62",
    "https://wiki.example.com/cb%2f..%2fevil",
    "https://wiki.example.com:443/cb",
    "https://wiki.example.com:8443/cb",
    "https://wiki.example.com./cb",
    "https://wiki.example.com.evil.example/cb",
    "https://evil.example/wiki.example.com/cb",
    "https://evil.example/?https://wiki.example.com/cb",
    "https://evil.example#https://wiki.example.com/cb",
    "https://a.wiki.example.com/cb",
    "https://wikiexample.com/cb",
    "https://w\u{456}ki.example.com/cb",
    "https://wiki.example\u{3002}com/cb",
    "https://wiki.example.com\u{2044}cb",
    "https://\u{ff57}iki.example.com/cb",
    "https://wiki.example.com/cb\u{200b}",
    "\u{feff}https://wiki.example.com/cb",
    " https://wiki.example.com/cb",
    "https://wiki.example.com/cb ",
    "https://wiki.example.com/cb\n",
    "https://wiki.example.com/cb\r\nLocation: https://evil.example",
    "https://wiki.example.com/cb%0d%0aLocation:%20https://evil.example",
    "ht\ttps://wiki.example.com/cb",
    "https://wiki.example.com/cb\0",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)//https://wiki.example.com/cb",
    "data:text/html,<script>alert(1)</script>",
    "https://wiki.example.com/a?b=c&b=d",
    "https://wiki.example.com/a?B=c",
    "https://[::1]/cb",
];

/// Registers a service with those addresses, and gives Alice an app to answer it with.
async fn register_wiki(server: &Server) -> Client {
    totp::enrol(server, &server.alice()).await;
    let return_urls = REGISTERED.map(str::to_owned).to_vec();
    let wiki = Service {
        return_urls,
        ..unregistered("wiki")
    };
    register(server, wiki).await
}

#[tokio::test]
async fn an_address_that_is_not_registered_letter_by_letter_is_refused_and_not_repeated() {
    let server = Server::start().await;
    let wiki = register_wiki(&server).await;
    let long = format!("https://wiki.example.com/cb{}", "a".repeat(20_000));
    let urls = [ALMOST_REGISTERED, &[&long]].concat();
    assert!(urls.len() >= 60, "{}", urls.len());
    for url in urls {
        let asking = json!({"subject": "alice", "return_url": url});
        let reply = wiki.post_json(CHALLENGES, &asking).await;
        let misfit = reply.misfit();
        assert_eq!(misfit[0]["loc"], json!(["body", "return_url"]), "{url}");
        assert!(!reply.text.contains("evil"), "{}", reply.text);
    }
}

#[tokio::test]
async fn each_registered_address_gets_a_page_and_none_gets_none() {
    let server = Server::start().await;
    let wiki = register_wiki(&server).await;
    for url in REGISTERED {
        let opened = open_with(&wiki, "alice", json!({ "return_url": url })).await;
        assert!(opened["prompt_url"].is_string());
    }
    // Its absence is no address.
    let opened = open_with(&wiki, "alice", json!({"return_url": null})).await;
    assert!(opened.get("prompt_url").is_none());
}

#[tokio::test]
async fn another_services_address_is_refused_and_so_is_any_of_a_service_that_has_none() {
    let server = Server::start().await;
    register_wiki(&server).await;
    let other = register(&server, unregistered("other")).await;
    for service in [&other, &server.login_service()] {
        let asking = json!({"subject": "alice", "return_url": REGISTERED[0]});
        assert_eq!(service.post_json(CHALLENGES, &asking).await.status, 422);
    }
}

#[tokio::test]
async fn no_address_that_can_be_read_in_two_ways_can_be_registered() {
    for url in [
        "//evil.example",
        "https:evil.example",
        "https:\\\\evil.example",
        "https://a@evil.example",
        "https://@evil.example/",
        "javascript:alert(1)",
        "http://evil.example/",
        "https://e.example/#x",
        "https://e.example/ x",
        "https://\u{456}.example/",
        "https:///cb",
        "https://",
        "ftp://e.example/",
        "https://e.example/\r\n",
        "",
    ] {
        let service = Service {
            return_urls: vec![url.to_owned()],
            ..unregistered("wiki")
        };
        assert!(service.check().is_err(), "{url}");
    }
}

#[tokio::test]
async fn the_services_word_comes_back_exactly_and_breaks_no_header() {
    let server = Server::start().await;
    totp::enrol(&server, &server.alice()).await;
    let wiki = wiki(&server).await;
    let longest = "é".repeat(512);
    for state in [
        "",
        "a b+c%20d",
        "a&error=access_denied&challenge_id=chl_x",
        "#fragment?x=y",
        "\r\nLocation: https://evil.example\r\n\r\n",
        "\0\u{7f}\u{202e}",
        "日本 \u{1f600} \"'<script>alert(1)</script>",
        "//evil.example/\\",
        longest.as_str(),
    ] {
        let (opened, token) = prompt(&wiki, "alice", json!({ "state": state })).await;
        let given_up = send(&server, CANCEL, &token, json!({})).await.ok();
        let text = given_up["return_to"].as_str().unwrap();
        assert!(text.bytes().all(|b| b.is_ascii_graphic()), "{text}");
        assert!(text.starts_with(RETURN) && !text.contains('#'), "{text}");
        let url = Url::parse(text).unwrap();
        assert_eq!(url.host_str(), Some("wiki.example.com"));
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        assert_eq!(pairs.len(), 4, "{text}");
        assert_eq!(pairs[1].1, id(&opened));
        assert_eq!(pairs[2], ("state".to_owned(), state.to_owned()));
        assert_eq!(pairs[3].1, "access_denied");
    }
    let (_, token) = prompt(&wiki, "alice", json!({"state": null})).await;
    let given_up = send(&server, CANCEL, &token, json!({})).await.ok();
    assert!(!given_up["return_to"].as_str().unwrap().contains("state"));
    let asking = json!({"subject": "alice", "return_url": RETURN, "state": "x".repeat(1025)});
    assert_eq!(wiki.post_json(CHALLENGES, &asking).await.status, 422);
}

#[tokio::test]
async fn a_browser_is_remembered_only_where_that_was_offered() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let wiki = wiki(&server).await;
    for (asked, days, offered) in [
        (json!({}), "30", false),
        (json!({"remember": false}), "30", false),
        (json!({"remember": true}), "0", false),
        (json!({"remember": true, "reason": "step_up"}), "30", false),
        (json!({"remember": true}), "30", true),
    ] {
        server
            .set_policy(Key::TrustedDeviceDays, &[days])
            .await
            .unwrap();
        server.clock.next_step();
        let (opened, token) = prompt(&wiki, "alice", asked.clone()).await;
        let shown = send(&server, OPEN, &token, json!({})).await.ok();
        assert_eq!(shown["may_remember"], offered, "{asked} {days}");
        let right = app.code(server.clock.unix());
        let more = json!({"method": "totp", "code": right, "remember": true});
        let reply = send(&server, ANSWER, &token, more).await;
        reply.ok();
        assert!(!reply.text.contains("mfad_td_"));
        let state = wiki.get(&of(&opened, "")).await.ok();
        assert_eq!(state["device_token"].is_string(), offered, "{asked} {days}");
    }
}

#[tokio::test]
async fn a_page_names_its_person_as_little_as_it_can_and_only_to_its_holder() {
    let server = Server::start().await;
    let kim = member(&server, "acme", "s-1", "kim");
    let app = crate::support::App::scan(&kim.post(totp::ENABLE).await.ok());
    kim.code(totp::CONFIRM, &app.code(server.clock.unix()))
        .await
        .ok();
    let wiki = wiki(&server).await;
    let (opened, token) = prompt(&wiki, "s-1", json!({})).await;
    assert!(!opened["prompt_url"].as_str().unwrap().contains("kim"));
    let shown = send(&server, OPEN, &token, json!({})).await;
    for word in ["s-1", "acme", "@example.com", "chl_", app.secret.as_str()] {
        assert!(!shown.text.contains(word), "{}", shown.text);
    }
    assert_eq!(shown.header("cache-control"), "no-store");
    assert_eq!(shown.header("referrer-policy"), "no-referrer");
    // Each challenge has a token of its own, and no more than one.
    let (_, second) = prompt(&wiki, "s-1", json!({})).await;
    assert_ne!(token, second);
    assert!(
        wiki.get(&of(&opened, ""))
            .await
            .ok()
            .get("prompt_url")
            .is_none()
    );
}
