//! Many answers at one moment.

use serde_json::json;

use super::super::{email, totp};
use super::{VERIFY, by, of, open, service};
use crate::support::{Server, at_once, tally};

#[tokio::test]
async fn a_thousand_right_codes_by_all_doors_at_once_give_one_success() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = totp::enrol(&server, &alice).await;
    email::enrol(&server, &alice).await;
    let (portal, other) = (server.login_service(), service(&server, "other"));
    let mut paths = Vec::new();
    for number in 0..10 {
        let service = if number % 2 == 0 { &portal } else { &other };
        paths.push((
            service.clone(),
            of(&open(service, "alice").await, "/verify"),
        ));
    }
    let code = app.code(server.clock.unix());
    let replies = at_once(&portal, 1_000, move |portal, number| {
        let (code, (service, path)) = (code.clone(), paths[number % 10].clone());
        let alice = alice.clone();
        async move {
            match number % 4 {
                0 | 1 => service.post_json(&path, &by("totp", &code)).await,
                2 => {
                    let body = json!({"subject": "alice", "code": code});
                    portal.post_json(VERIFY, &body).await
                }
                _ => alice.code(totp::REGENERATE, &code).await,
            }
        }
    })
    .await;
    let tally = tally(&replies);
    assert_eq!(tally["200"], 1, "{tally:?}");
    // The others were the same code, used: no miss, in whatever words. One challenge was answered by the one success.
    assert_eq!(tally.get("locked"), None, "{tally:?}");
    assert!((249..=250).contains(&tally["wrong_code"]), "{tally:?}");
}

#[tokio::test]
async fn ten_backup_codes_at_once_are_ten_successes_and_one_is_one() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    let portal = server.login_service();
    let mut paths = Vec::new();
    for _ in 0..10 {
        paths.push(of(&open(&portal, "alice").await, "/verify"));
    }
    let all = (codes.clone(), paths.clone());
    let replies = at_once(&portal, 10, move |portal, number| {
        let (code, path) = (all.0[number].clone(), all.1[number].clone());
        async move {
            match number % 2 {
                0 => portal.post_json(&path, &by("backup_code", &code)).await,
                _ => {
                    let body = json!({"subject": "alice", "code": code});
                    portal.post_json(VERIFY, &body).await
                }
            }
        }
    })
    .await;
    assert_eq!(tally(&replies)["200"], 10);
    let left = &totp::overview(&alice).await["backup_codes"];
    assert_eq!(left["remaining"], 0);

    server.clock.forward(60);
    let code = app.code(server.clock.unix());
    let made = alice.code(totp::REGENERATE, &code).await.ok();
    let code = made["backup_codes"][4].as_str().unwrap().to_owned();
    let mut paths = Vec::new();
    for _ in 0..10 {
        paths.push(of(&open(&portal, "alice").await, "/verify"));
    }
    server.clock.forward(60);
    let replies = at_once(&portal, 1_000, move |portal, number| {
        let (code, path) = (code.clone(), paths[number % 10].clone());
        async move {
            match number % 2 {
                0 => portal.post_json(&path, &by("backup_code", &code)).await,
                _ => {
                    let body = json!({"subject": "alice", "code": code});
                    portal.post_json(VERIFY, &body).await
                }
            }
        }
    })
    .await;
    let tally = tally(&replies);
    assert_eq!(tally["200"], 1, "{tally:?}");
    let left = &totp::overview(&alice).await["backup_codes"];
    assert_eq!(left["remaining"], 9);
}

#[tokio::test]
async fn a_thousand_wrong_codes_by_all_doors_at_once_are_five_guesses() {
    let mut server = Server::start_unlimited().await;
    let alice = server.alice();
    let (app, _) = totp::enrol(&server, &alice).await;
    let (portal, other) = (server.login_service(), service(&server, "other"));
    let mut paths = Vec::new();
    for number in 0..10 {
        let service = if number % 2 == 0 { &portal } else { &other };
        paths.push((
            service.clone(),
            of(&open(service, "alice").await, "/verify"),
        ));
    }
    let wrong = app.wrong_code(server.clock.unix());
    let (code, person) = (wrong.clone(), alice.clone());
    let replies = at_once(&portal, 1_000, move |portal, number| {
        let (code, (service, path)) = (code.clone(), paths[number % 10].clone());
        let alice = person.clone();
        async move {
            match number % 4 {
                0 | 1 => service.post_json(&path, &by("totp", &code)).await,
                2 => {
                    let body = json!({"subject": "alice", "code": code});
                    portal.post_json(VERIFY, &body).await
                }
                _ => alice.code(totp::DISABLE, &code).await,
            }
        }
    })
    .await;
    let counted = tally(&replies);
    assert_eq!(counted["wrong_code"], 5, "{counted:?}");
    assert_eq!(counted["locked"], 995, "{counted:?}");
    // After a restart it is as locked.
    server.restart().await;
    let portal = server.login_service();
    let right = app.code(server.clock.unix());
    for code in [&wrong, &right] {
        super::one_call(&portal, "alice", code)
            .await
            .refused(429, "locked");
    }
}

#[tokio::test]
async fn a_hundred_mails_asked_for_at_once_are_one() {
    let server = Server::start().await;
    email::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    let codes = || {
        let mails = server.smtp.mails();
        let codes = mails
            .iter()
            .filter(|mail| mail.subject().starts_with("Your code"));
        codes.count()
    };
    let before = codes();
    let mut paths = Vec::new();
    for _ in 0..20 {
        paths.push(of(&open(&portal, "alice").await, "/email"));
    }
    let replies = at_once(&portal, 100, move |portal, number| {
        let path = paths[number % 20].clone();
        async move { portal.post(&path).await }
    })
    .await;
    let tally = tally(&replies);
    assert_eq!(tally["200"], 1, "{tally:?}");
    assert_eq!(tally["rate_limited"], 99, "{tally:?}");
    assert_eq!(codes(), before + 1);
}

#[tokio::test]
async fn a_sign_in_is_given_up_or_passed_and_never_both() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let wiki = super::wiki(&server).await;
    for _ in 0..10 {
        server.clock.next_step();
        let asking = json!({"return_url": super::RETURN});
        let opened = super::open_with(&wiki, "alice", asking).await;
        let url = opened["prompt_url"].as_str().unwrap();
        let token = url.split_once('#').unwrap().1.to_owned();
        let (path, code) = (of(&opened, "/verify"), app.code(server.clock.unix()));
        let replies = at_once(&wiki, 40, move |wiki, number| {
            let (path, code, token) = (path.clone(), code.clone(), token.clone());
            async move {
                match number % 2 {
                    0 => wiki.post_json(&path, &by("totp", &code)).await,
                    _ => {
                        let body = json!({ "prompt": token });
                        wiki.post_json("/api/v1/prompt/cancel", &body).await
                    }
                }
            }
        })
        .await;
        let tally = tally(&replies);
        assert_eq!((tally["200"], tally["challenge_closed"]), (1, 39));
        let done = replies.iter().find(|reply| reply.status == 200).unwrap();
        let passed = done.json()["verified"] == true;
        let state = wiki.get(&of(&opened, "")).await.ok();
        let expected = if passed { "verified" } else { "cancelled" };
        assert_eq!(state["status"], expected);
        assert_eq!(state["token"].is_string(), passed);
    }
}

#[tokio::test]
async fn a_trusted_browsers_token_lets_in_once_however_often_it_is_brought() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    let opened = open(&portal, "alice").await;
    let code = app.code(server.clock.unix());
    let body = json!({"method": "totp", "code": code, "remember": true});
    let verified = portal.post_json(&of(&opened, "/verify"), &body).await.ok();
    let asking = json!({"subject": "alice", "device_token": verified["device_token"]});
    let replies = at_once(&portal, 100, move |portal, _| {
        let asking = asking.clone();
        async move { portal.post_json(super::CHALLENGES, &asking).await }
    })
    .await;
    let allowed = replies
        .iter()
        .map(|reply| super::opened(reply)["decision"] == "allow");
    assert_eq!(allowed.filter(|allowed| *allowed).count(), 1);
}
