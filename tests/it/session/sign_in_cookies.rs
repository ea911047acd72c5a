//! Sign-ins that are under way are in the browser's cookies alone: what others can do with these, and without.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Method;
use mfad::app::JobPeriods;

use super::{options, server};
use crate::support::browser::{Browser, SESSION, SIGN_IN, WINDOW, tokens};
use crate::support::{Options, Server, at_once, periods, until};

const OVER: &str = "did not begin in this browser";

/// The store's file, to the byte, once nothing of the start is written to it any more.
async fn settled_file(server: &Server) -> Vec<u8> {
    let read = || std::fs::read(server.data_dir().join("mfad.redb")).unwrap();
    let mut last = read();
    until("the store is at rest", async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = std::mem::replace(&mut last, read());
        before == last
    })
    .await;
    last
}

#[tokio::test]
async fn ten_thousand_anonymous_requests_end_no_sign_in_and_store_nothing() {
    let server = Server::start_with(Options {
        periods: Some(JobPeriods {
            sweep: Duration::from_secs(3600),
            ..periods()
        }),
        ..options()
    })
    .await;
    let mut alice = Browser::new(server.address);
    let departure = alice.departs("/auth/login").await;
    let before = settled_file(&server).await;
    let path = format!("/auth/login?return=/{}", "a".repeat(500));
    let replies = at_once(&server.stranger(), 10_050, move |client, _| {
        let path = path.clone();
        async move { client.send(Method::GET, &path, &WINDOW, "".into()).await }
    })
    .await;
    assert!(replies.iter().all(|reply| reply.status == 303));
    let after = settled_file(&server).await;
    assert!(after == before, "the store's file has changed");
    let answer = tokens(&server.issuer, &departure, "alice");
    alice.arrives(&server, &departure, answer).await;
    assert_eq!(alice.session().await["signed_in"], true);
}

#[tokio::test]
async fn a_callback_is_good_once_and_a_kept_cookie_redeems_no_code_again() {
    let server = server().await;
    let mut alice = Browser::new(server.address);
    let departure = alice.departs("/auth/login").await;
    let kept = alice.clone();
    let answer = tokens(&server.issuer, &departure, "alice");
    let grant = departure.grant(answer);
    server.issuer.oidc().code("once", grant.clone());
    let link = departure.callback("once");
    assert_eq!(alice.go(&link).await.status, 303);
    assert!(alice.sign_ins().is_empty(), "{:?}", alice.jar);
    // The browser has dropped the cookie: the issuer is not asked.
    let again = alice.go(&link).await;
    assert_eq!(again.status, 400);
    assert!(again.text.contains(OVER), "{}", again.text);
    assert_eq!(server.issuer.oidc().asked().len(), 1);
    // A kept copy is refused by the issuer.
    let mut again = kept.clone();
    assert_eq!(again.go(&link).await.status, 400);
    assert!(again.jar.is_empty(), "{:?}", again.jar);
    assert_eq!(server.issuer.oidc().asked().len(), 2);
    assert_eq!(alice.session().await["signed_in"], true);

    // Even an issuer that takes a code twice signs no one in by the link alone, or with the cookie of another sign-in.
    let mut other = Browser::new(server.address);
    let mut begun = Browser::new(server.address);
    begun.departs("/auth/login").await;
    for browser in [&mut other, &mut begun] {
        server.issuer.oidc().code("once", grant.clone());
        let reply = browser.go(&link).await;
        assert!(reply.text.contains(OVER), "{}", reply.text);
        assert!(!browser.jar.contains_key(SESSION));
    }
    assert_eq!(server.issuer.oidc().asked().len(), 2);
}

#[tokio::test]
async fn of_many_at_once_one_callback_arrives() {
    let server = server().await;
    let mut alice = Browser::new(server.address);
    let departure = alice.departs("/auth/login").await;
    let answer = tokens(&server.issuer, &departure, "alice");
    server.issuer.oidc().code("once", departure.grant(answer));
    let link = departure.callback("once");
    let jar = alice.jar.clone();
    let replies = at_once(&alice.client, 20, move |client, _| {
        let (jar, link) = (jar.clone(), link.clone());
        async move { Browser { client, jar }.go(&link).await }
    })
    .await;
    let arrived: Vec<_> = replies.iter().filter(|reply| reply.status == 303).collect();
    assert_eq!(arrived.len(), 1);
    let refused = replies.iter().filter(|reply| reply.status == 400);
    assert_eq!(refused.count(), 19);
}

#[tokio::test]
async fn a_cookie_that_was_changed_swapped_or_is_another_servers_ends_no_sign_in() {
    let (server, elsewhere) = (server().await, Server::start_with(options()).await);
    let mut alice = Browser::new(server.address);
    let departure = alice.departs("/auth/login").await;
    let (name, good) = alice.sign_ins().pop_first().unwrap();
    let answer = tokens(&server.issuer, &departure, "alice");
    server.issuer.oidc().code("code", departure.grant(answer));
    let link = departure.callback("code");

    let mut other = Browser::new(server.address);
    other.departs("/auth/login").await;
    let (_, others) = other.sign_ins().pop_first().unwrap();
    let mut stranger = Browser::new(elsewhere.address);
    stranger.departs("/auth/login").await;
    let (_, strangers) = stranger.sign_ins().pop_first().unwrap();
    other.sign_in(&server, "bob").await;
    let last = if good.ends_with('A') { "B" } else { "A" };
    let changed = format!("{}{last}", &good[..good.len() - 1]);
    for bad in [
        String::new(),
        "A".repeat(43),
        good[..good.len() - 4].to_owned(),
        good.to_lowercase(),
        format!("{good}AAAA"),
        format!("{good}="),
        changed,
        others,
        strangers,
        other.jar[SESSION].clone(),
    ] {
        let mut browser = Browser::new(server.address);
        browser.jar.insert(name.clone(), bad.clone());
        let reply = browser.go(&link).await;
        assert_eq!(reply.status, 400, "{bad}");
        assert!(reply.text.contains(OVER), "{bad}: {}", reply.text);
        assert!(!browser.jar.contains_key(SESSION), "{bad}");
    }
    // Nor does one end at the other server what was begun at this one.
    alice.client = Browser::new(elsewhere.address).client;
    assert_eq!(alice.go(&link).await.status, 400);
    assert_eq!(server.issuer.oidc().asked().len(), 1, "bob's alone");
    alice.client = Browser::new(server.address).client;
    assert_eq!(alice.go(&link).await.status, 303);
}

#[tokio::test]
async fn a_browser_has_five_sign_ins_under_way_and_the_oldest_makes_room() {
    let server = server().await;
    let mut alice = Browser::new(server.address);
    let mut departures = Vec::new();
    for _ in 0..6 {
        departures.push(alice.departs("/auth/login").await);
    }
    assert_eq!(alice.sign_ins().len(), 5);
    for (number, departure) in departures.iter().enumerate() {
        let answer = tokens(&server.issuer, departure, "alice");
        let reply = alice.comes_back(&server.issuer, departure, answer).await;
        let status = if number == 0 { 400 } else { 303 };
        assert_eq!(reply.status, status, "{number}");
        assert_eq!(alice.sign_ins().len(), 5 - number, "{number}");
    }
    // Ten minutes, to the second.
    for (seconds, status) in [(599, 303), (600, 400)] {
        let departure = alice.departs("/auth/login").await;
        server.clock.forward(seconds);
        let answer = tokens(&server.issuer, &departure, "alice");
        let reply = alice.comes_back(&server.issuer, &departure, answer).await;
        assert_eq!(reply.status, status, "{seconds}");
    }
}

#[tokio::test]
async fn no_page_has_a_browser_hold_more_cookies_than_a_head_has_room_for() {
    let server = server().await;
    let mut alice = Browser::new(server.address);
    let longest = format!("/auth/login?return=/{}", "a".repeat(511));
    for _ in 0..40 {
        alice.departs(&longest).await;
    }
    let sizes = alice.sign_ins().into_iter().map(|(k, v)| k.len() + v.len());
    let sizes: Vec<usize> = sizes.collect();
    assert_eq!(sizes.len(), 5);
    // Of what browsers keep (4 KiB each) and servers take (here 16 KiB, at many a proxy 8 KiB) much is left.
    assert!(sizes.iter().sum::<usize>() < 6_500, "{sizes:?}");
    alice.sign_in(&server, "alice").await;
    // What a page can do unseen begins nothing.
    let mut victim = Browser::new(server.address);
    for (mode, dest) in [
        ("no-cors", "image"),
        ("navigate", "iframe"),
        ("cors", "empty"),
    ] {
        let headers = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", mode),
            ("sec-fetch-dest", dest),
        ];
        let reply = victim.send(Method::GET, "/auth/login", &headers, "").await;
        assert_eq!(reply.status, 403);
    }
    assert!(victim.jar.is_empty());
}

#[tokio::test]
async fn planted_cookies_of_ours_do_not_disturb_a_sign_in() {
    let server = server().await;
    let mut mallory = Browser::new(server.address);
    for _ in 0..5 {
        mallory.departs("/auth/login").await;
    }
    let mut planted: Vec<String> = (0..45)
        .map(|n| format!("{SIGN_IN}{}={}", n % 6, "A".repeat(n * 3)))
        .collect();
    planted.extend(mallory.sign_ins().iter().map(|(k, v)| format!("{k}={v}")));
    let planted = planted.join("; ");
    assert!(planted.len() < 12_000, "{}", planted.len());
    // Sent along before and behind the browser's own, as one of another path or domain is.
    for before in [true, false] {
        let mut own: BTreeMap<String, String> = BTreeMap::new();
        let mut client = Browser::new(server.address);
        let mut go = async |path: &str| {
            let pairs: Vec<String> = own.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let all = [planted.clone(), pairs.join("; ")];
            let [first, second] = if before {
                all
            } else {
                [all[1].clone(), all[0].clone()]
            };
            let line = [first, second].join("; ");
            let mut headers = WINDOW.to_vec();
            headers.push(("cookie", &line));
            let reply = client.send(Method::GET, path, &headers, "").await;
            own = client.jar.clone();
            client.jar.clear();
            reply
        };
        let reply = go("/auth/login").await;
        assert_eq!(reply.status, 303, "{}", reply.text);
        let departure = Browser::departure(&reply);
        let answer = tokens(&server.issuer, &departure, "alice");
        server.issuer.oidc().code("code", departure.grant(answer));
        let reply = go(&departure.callback("code")).await;
        assert_eq!(reply.status, 303, "{before}: {}", reply.text);
    }
}
