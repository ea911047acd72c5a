use std::collections::HashSet;

use serde_json::{Value, json};

use super::totp::{CONFIRM, DISABLE, ENABLE, REGENERATE, REPLACE, UNLOCK, enrol, names, overview};
use crate::support::{App, Authenticator, Client, Reply, Server, at_once, tally};

async fn remaining(person: &Client) -> Value {
    overview(person).await["backup_codes"]["remaining"].clone()
}

/// As people type it: lower case, look-alikes, spaces in odd places.
fn mistyped(code: &str) -> String {
    let folded = code
        .replace('-', "")
        .replace('0', "o")
        .replacen('1', "I", 1)
        .replace('1', "l")
        .to_lowercase();
    format!(" {} {}--{} ", &folded[..3], &folded[3..9], &folded[9..])
}

#[tokio::test]
async fn ten_codes_are_shown_once_and_never_again() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = enrol(&server, &alice).await;
    assert_eq!(codes.iter().collect::<HashSet<_>>().len(), 10);
    for code in &codes {
        let groups: Vec<&str> = code.split('-').collect();
        assert_eq!(groups.len(), 4, "{code}");
        let alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        assert!(
            groups
                .iter()
                .all(|group| group.len() == 4 && group.chars().all(|c| alphabet.contains(c))),
            "{code}"
        );
    }
    let setup = alice.code(REPLACE, &codes[0]).await;
    let new = App::scan(&setup.ok());
    let confirmed = alice.code(CONFIRM, &new.code(server.clock.unix())).await;
    assert_eq!(confirmed.ok()["backup_codes"], Value::Null);
    server.clock.next_step();
    let answers = [
        setup,
        confirmed,
        alice.get("/api/v1/me/mfa").await,
        alice.get("/api/v1/me/mfa/events").await,
        alice.post(ENABLE).await,
        alice.code(DISABLE, &codes[0]).await,
        alice
            .post_json(UNLOCK, &json!({"type": "totp", "code": codes[1]}))
            .await,
        alice.code(REGENERATE, &new.code(server.clock.unix())).await,
        alice.code(DISABLE, &codes[1]).await,
        alice.code(DISABLE, &app.code(server.clock.unix())).await,
    ];
    for answer in &answers {
        for code in &codes {
            for spelling in [code.clone(), code.replace('-', ""), mistyped(code)] {
                assert!(!answer.text.contains(spelling.trim()), "{}", answer.text);
            }
        }
    }
    let renewed = answers[7].ok();
    assert_eq!(names(&renewed), ["backup_codes"]);
    let renewed: HashSet<String> = serde_json::from_value(renewed["backup_codes"].clone()).unwrap();
    assert_eq!(renewed.len(), 10);
    assert!(codes.iter().all(|code| !renewed.contains(code)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_that_spend_one_code_one_succeeds() {
    let mut server = Server::start_unlimited().await;
    let alice = server.alice();
    let (_, codes) = enrol(&server, &alice).await;
    let code = codes[0].clone();
    let replies = at_once(&alice, 100, move |alice, number| {
        let code = if number % 2 == 0 {
            code.clone()
        } else {
            mistyped(&code)
        };
        async move {
            match number % 3 {
                0 => {
                    alice
                        .post_json(UNLOCK, &json!({"type": "totp", "code": code}))
                        .await
                }
                _ => alice.code(REPLACE, &code).await,
            }
        }
    })
    .await;
    let expected = [("200", 1), ("code_used", 99)];
    assert_eq!(tally(&replies), expected.map(|(w, n)| (w.into(), n)).into());
    assert_eq!(remaining(&alice).await, 9);
    server.restart().await;
    let alice = server.alice();
    alice
        .code(REPLACE, &codes[0])
        .await
        .refused(400, "code_used");
    alice.code(REPLACE, &codes[1]).await.ok();
    assert_eq!(remaining(&alice).await, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_that_spend_ten_codes_all_succeed_and_each_is_told_how_many_are_left() {
    let server = Server::start().await;
    let alice = server.alice();
    let (_, codes) = enrol(&server, &alice).await;
    let spent = codes.clone();
    let replies = at_once(&alice, 10, move |alice, number| {
        let code = spent[number].clone();
        async move { alice.code(REPLACE, &code).await }
    })
    .await;
    assert_eq!(tally(&replies), [("200".to_owned(), 10)].into());
    assert_eq!(remaining(&alice).await, 0);
    for code in &codes {
        alice.code(REPLACE, code).await.refused(400, "code_used");
    }
    assert_eq!(
        server.smtp.next_mail().await.subject(),
        "New authenticator app on your Example account"
    );
    let mut left = HashSet::new();
    for _ in 0..10 {
        let mail = server.smtp.next_mail().await;
        assert_eq!(
            mail.subject(),
            "A backup code was used on your Example account"
        );
        assert_eq!(mail.to, ["alice@example.com"]);
        let text = mail.text();
        assert!(codes.iter().all(|code| !text.contains(code.as_str())));
        let number = (2..10).find(|n| text.contains(&format!("{n} are left")));
        left.insert(match number {
            Some(number) => number,
            None if text.contains("Only one is left") => 1,
            None => {
                assert!(text.contains("None are left"), "{text}");
                0
            }
        });
    }
    assert_eq!(left.len(), 10);
}

#[tokio::test]
async fn a_code_is_read_as_people_type_it_and_in_no_other_way() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = enrol(&server, &alice).await;
    for code in &codes[..5] {
        alice.code(REPLACE, &mistyped(code)).await.ok();
        alice.code(REPLACE, code).await.refused(400, "code_used");
    }
    let code = &codes[5];
    let compact = code.replace('-', "");
    for spelling in [
        compact[..15].to_owned(),
        format!("{compact}0"),
        format!("prf_{compact}"),
        code.replace('-', "\u{2010}"),
        code.replace('-', "\u{2013}"),
        code.replace('-', "_"),
        compact.chars().rev().collect(),
    ] {
        alice
            .code(REPLACE, &spelling)
            .await
            .refused(400, "wrong_code");
        // What has no shape at all is a miss with the app, whose lock must not get in the way here.
        alice
            .code(REPLACE, &app.code(server.clock.unix()))
            .await
            .ok();
        server.clock.next_step();
    }
    assert_eq!(remaining(&alice).await, 5);
    alice.code(REPLACE, code).await.ok();
}

#[tokio::test]
async fn a_code_makes_no_further_codes_and_is_not_used_up_by_the_attempt() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = enrol(&server, &alice).await;
    for _ in 0..20 {
        alice
            .code(REGENERATE, &codes[0])
            .await
            .refused(400, "wrong_code");
    }
    assert_eq!(remaining(&alice).await, 10);
    alice.code(REPLACE, &codes[0]).await.ok();
    // Nor did the attempts count against the app.
    alice
        .code(REGENERATE, &app.code(server.clock.unix()))
        .await
        .ok();
}

#[tokio::test]
async fn a_right_code_passes_whatever_was_guessed_before() {
    let server = Server::start().await;
    let alice = server.alice();
    let (_, codes) = enrol(&server, &alice).await;
    for _ in 0..5 {
        alice
            .code(DISABLE, "000000")
            .await
            .refused(400, "wrong_code");
    }
    alice.code(DISABLE, "000000").await.refused(429, "locked");
    for _ in 0..30 {
        alice
            .code(DISABLE, "0000-0000-0000-0000")
            .await
            .refused(400, "wrong_code");
    }
    alice.code(REPLACE, &codes[0]).await.ok();
    // The code stood in for the app once, and did not end its lock.
    alice.code(DISABLE, "000000").await.refused(429, "locked");
    alice.code(DISABLE, &codes[1]).await.ok();
}

#[tokio::test]
async fn the_last_factor_takes_its_codes_along() {
    let server = Server::start().await;
    let alice = server.alice();
    let (_, old) = enrol(&server, &alice).await;
    alice.code(DISABLE, &old[0]).await.ok();
    assert_eq!(overview(&alice).await["backup_codes"], Value::Null);
    alice
        .code(DISABLE, &old[1])
        .await
        .refused(409, "not_enabled");
    alice
        .code(REGENERATE, &old[1])
        .await
        .refused(409, "not_enabled");
    let (_, new) = enrol(&server, &alice).await;
    assert_eq!(new.len(), 10);
    for code in &old {
        alice.code(REPLACE, code).await.refused(400, "wrong_code");
    }
    assert_eq!(remaining(&alice).await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn new_codes_void_the_old_ones_in_the_same_moment() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, mut codes) = enrol(&server, &alice).await;
    for _ in 0..5 {
        let (old, now_code) = (codes.clone(), app.code(server.clock.unix()));
        let replies = at_once(&alice, 11, move |alice, number| {
            let (code, now_code) = (old.get(number).cloned(), now_code.clone());
            async move {
                match code {
                    Some(code) => alice.code(REPLACE, &code).await,
                    None => alice.code(REGENERATE, &now_code).await,
                }
            }
        })
        .await;
        let renewed: Vec<Value> = replies
            .iter()
            .filter(|reply| reply.text.contains("backup_codes"))
            .map(|reply| reply.ok())
            .collect();
        assert_eq!(renewed.len(), 1);
        // No spend of an old code reached the new set.
        assert_eq!(remaining(&alice).await, 10);
        for code in &codes {
            alice.code(REPLACE, code).await.refused(400, "wrong_code");
        }
        codes = serde_json::from_value(renewed[0]["backup_codes"].clone()).unwrap();
        server.clock.next_step();
    }
    alice.code(REPLACE, &codes[9]).await.ok();
}

const BEGIN: &str = "/api/v1/me/mfa/webauthn/register/begin";
const COMPLETE: &str = "/api/v1/me/mfa/webauthn/register/complete";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_first_factors_at_once_one_brings_the_codes_and_the_last_to_go_takes_them() {
    let server = Server::start().await;
    for number in 0..10 {
        let person = server.person(&format!("person-{number}"));
        let app = App::scan(&person.post(ENABLE).await.ok());
        let begun = person.post(BEGIN).await.ok();
        let (code, key) = (
            app.code(server.clock.unix()),
            Authenticator::new().register(&begun),
        );
        let replies = at_once(&person, 2, move |person, which| {
            let (code, key) = (code.clone(), key.clone());
            async move {
                match which {
                    0 => person.code(CONFIRM, &code).await,
                    _ => person.post_json(COMPLETE, &key).await,
                }
            }
        })
        .await;
        // The other was begun without a proof, and there is a factor to prove by then.
        let done: Vec<&Reply> = replies.iter().filter(|it| it.status == 200).collect();
        assert_eq!(done.len(), 1, "{replies:?}");
        let first = done[0].json();
        let sets: Vec<Vec<String>> =
            vec![serde_json::from_value(first["backup_codes"].clone()).unwrap()];
        let key = match first["device"]["type"] == "totp" {
            true => {
                let begun = person.post(BEGIN).await.ok();
                let key = Authenticator::new().register(&begun);
                person.post_json(COMPLETE, &key).await.ok()
            }
            false => {
                let app = App::scan(&person.post(ENABLE).await.ok());
                let code = app.code(server.clock.unix());
                person.code(CONFIRM, &code).await.ok();
                first
            }
        };
        let key_id = key["device"]["device_id"].as_str().unwrap().to_owned();
        person.code(REPLACE, &sets[0][0]).await.ok();
        assert_eq!(remaining(&person).await, 9);

        let code = sets[0][1].clone();
        let replies = at_once(&person, 2, move |person, which| {
            let (code, path) = (code.clone(), format!("/api/v1/me/mfa/webauthn/{key_id}"));
            async move {
                match which {
                    0 => person.code(DISABLE, &code).await,
                    _ => person.delete(&path).await,
                }
            }
        })
        .await;
        assert_eq!(tally(&replies), [("200".to_owned(), 2)].into());
        let seen = overview(&person).await;
        assert_eq!(
            (&seen["enabled"], &seen["devices"], &seen["backup_codes"]),
            (&json!(false), &json!([]), &Value::Null)
        );
    }
}
