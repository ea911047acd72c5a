//! What was begun with just a password ends with the first factor.

use std::time::Duration;

use super::*;
use crate::support::smtp::Fault;

/// A kind of factor.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    App,
    Email,
    Key,
}

const KINDS: [Kind; 3] = [Kind::App, Kind::Email, Kind::Key];

/// A set-up that waits for its confirmation.
struct Begun {
    path: &'static str,
    answer: Value,
}

/// Begins a set-up; `code` proves a factor, where there is one.
async fn begin(server: &Server, person: &Client, kind: Kind, code: Option<&str>) -> Begun {
    match kind {
        Kind::App => {
            let begun = Change::EnableTotp.ask(person, "", code).await.ok();
            let code = App::scan(&begun).code(server.clock.unix() + 60);
            Begun {
                path: totp::CONFIRM,
                answer: json!({"code": code}),
            }
        }
        Kind::Email => {
            Change::EnableEmail.ask(person, "", code).await.ok();
            let code = email::code_mail(server).await.code();
            Begun {
                path: email::CONFIRM,
                answer: json!({"code": code}),
            }
        }
        Kind::Key => {
            let begun = Change::BeginKey.ask(person, "", code).await.ok();
            Begun {
                path: COMPLETE,
                answer: Authenticator::new().register(&begun),
            }
        }
    }
}

impl Begun {
    async fn confirm(&self, person: &Client) -> Reply {
        person.post_json(self.path, &self.answer).await
    }
}

fn count(overview: &Value) -> usize {
    overview["devices"].as_array().unwrap().len()
}

/// As far as a mail a minute allows, each is begun a minute after the other; an app's code is good for that long.
async fn attack(mine: Kind, hers: Kind, attacker_first: bool) {
    let context = format!("{mine:?} against {hers:?}, attacker first: {attacker_first}");
    let server = Server::start().await;
    let (thief, owner) = (server.password_only("alice"), server.person("alice"));
    let order = match attacker_first {
        true => [(&thief, mine), (&owner, hers)],
        false => [(&owner, hers), (&thief, mine)],
    };
    let first = begin(&server, order[0].0, order[0].1, None).await;
    server.clock.forward(60);
    let second = begin(&server, order[1].0, order[1].1, None).await;
    let (attacked, owned) = match attacker_first {
        true => (first, second),
        false => (second, first),
    };
    // One pending app, and one pending mailbox: the later of them counts.
    if !attacker_first && mine == hers && mine != Kind::Key {
        return;
    }
    if hers == Kind::App && attacker_first {
        server.clock.forward(60);
    }
    owned.confirm(&owner).await.ok();
    let before = factors(&owner).await;
    for person in [&thief, &owner, &server.person("alice")] {
        let reply = attacked.confirm(person).await;
        match mine {
            Kind::Key => reply.refused(404, "not_found"),
            _ => reply.refused(409, "not_pending"),
        };
    }
    let seen = overview(&owner).await;
    assert_eq!(count(&seen), 1, "{context}: {seen}");
    assert_eq!(factors(&owner).await, before, "{context}");
}

#[tokio::test]
async fn what_was_begun_with_a_password_is_void_once_the_owner_has_confirmed_a_factor() {
    for mine in KINDS {
        for hers in KINDS {
            for attacker_first in [true, false] {
                attack(mine, hers, attacker_first).await;
            }
        }
    }
}

#[tokio::test]
async fn what_was_begun_with_a_proof_stays_good_beside_other_changes() {
    let server = Server::start().await;
    let alice = server.password_only("alice");
    let (_, backup) = enrol_key(&alice, &Authenticator::new()).await;
    let mut begun = Vec::new();
    for (kind, code) in KINDS.into_iter().zip(&backup) {
        begun.push(begin(&server, &alice, kind, Some(code)).await);
    }
    server.clock.forward(60);
    for one in &begun {
        one.confirm(&alice).await.ok();
    }
    assert_eq!(count(&overview(&alice).await), 4);
}

#[tokio::test]
async fn of_two_first_factors_confirmed_at_once_one_comes_to_be() {
    for round in 0..20 {
        let server = Server::start().await;
        let alice = server.password_only("alice");
        let kinds = [
            (Kind::App, Kind::Key),
            (Kind::Key, Kind::Key),
            (Kind::Email, Kind::Key),
        ];
        let (one, other) = kinds[round % kinds.len()];
        let one = begin(&server, &alice, one, None).await;
        let other = begin(&server, &alice, other, None).await;
        server.clock.forward(60);
        let replies = tokio::join!(one.confirm(&alice), other.confirm(&alice));
        let done = [&replies.0, &replies.1]
            .into_iter()
            .filter(|reply| reply.status == 200);
        assert_eq!(done.count(), 1, "{}\n{}", replies.0.text, replies.1.text);
        let seen = overview(&alice).await;
        assert_eq!(count(&seen), 1, "{seen}");
        assert_eq!(seen["backup_codes"]["remaining"], 10);
    }
}

#[tokio::test]
async fn a_mailbox_that_is_begun_while_the_owner_confirms_an_app_is_not_kept() {
    let server = Server::start().await;
    let (thief, owner) = (server.password_only("alice"), server.alice());
    let app = begin(&server, &owner, Kind::App, None).await;
    server.clock.forward(60);
    let offered = server.smtp.commands().len();
    server.smtp.misbehave(Fault::Slow(Duration::from_millis(5)));
    let begins = tokio::spawn({
        let thief = thief.clone();
        async move { thief.post(email::ENABLE).await }
    });
    while server.smtp.commands().len() == offered {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    app.confirm(&owner).await.ok();
    let reply = begins.await.unwrap();
    asks_for_proof(&reply);
    let code = email::code_mail(&server).await.code().unwrap();
    thief
        .code(email::CONFIRM, &code)
        .await
        .refused(409, "not_pending");
    assert_eq!(count(&overview(&owner).await), 1);
}

#[tokio::test]
async fn a_set_up_that_an_open_one_replaced_is_no_way_round() {
    let server = Server::start().await;
    let alice = server.password_only("alice");
    let old = begin(&server, &alice, Kind::Key, None).await;
    // The owner's first factor goes again, and the next comes: what was begun before is not there any more.
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let code = app.code(server.clock.unix());
    alice.code(totp::DISABLE, &code).await.ok();
    old.confirm(&alice).await.refused(404, "not_found");
    assert_eq!(count(&overview(&alice).await), 0);
}
