//! A decision for every route by which a person can change something.

use std::collections::{BTreeMap, BTreeSet};

use mfad::policy::Key;

use super::*;
use crate::support::routes;

/// What a route asks of a user who has a factor.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asks {
    /// A proof: a code, a sign-in with a second factor, or what was proved in the session.
    Proof,
    /// A code, each time: the reference API has it in every request.
    Code,
    /// Nothing more: it changes no factor, or ends what a proof began.
    Nothing,
}

/// A route that is missing here fails the test, as does a row without its route.
const ROWS: &[(&str, Asks)] = &[
    ("POST /api/v1/me/mfa/totp/enable", Asks::Proof),
    ("POST /api/v1/me/mfa/email/enable", Asks::Proof),
    ("POST /api/v1/me/mfa/webauthn/register/begin", Asks::Proof),
    ("PATCH /api/v1/me/mfa/webauthn/{device_id}", Asks::Proof),
    ("DELETE /api/v1/me/mfa/webauthn/{device_id}", Asks::Proof),
    ("POST /api/v1/me/mfa/totp/replace", Asks::Code),
    ("POST /api/v1/me/mfa/totp/disable", Asks::Code),
    ("POST /api/v1/me/mfa/email/disable", Asks::Code),
    ("POST /api/v1/me/mfa/backup-codes/regenerate", Asks::Code),
    ("POST /api/v1/me/mfa/unlock", Asks::Code),
    // These end what a request with a proof began.
    ("POST /api/v1/me/mfa/totp/confirm", Asks::Nothing),
    ("POST /api/v1/me/mfa/email/confirm", Asks::Nothing),
    (
        "POST /api/v1/me/mfa/webauthn/register/complete",
        Asks::Nothing,
    ),
    // These give proofs.
    ("POST /api/v1/me/mfa/email/send", Asks::Nothing),
    ("POST /api/v1/me/mfa/webauthn/verify/begin", Asks::Nothing),
    (
        "POST /api/v1/me/mfa/webauthn/verify/complete",
        Asks::Nothing,
    ),
    // These make it harder to get in, not easier.
    ("DELETE /api/v1/me/mfa/sessions", Asks::Nothing),
    ("DELETE /api/v1/me/mfa/sessions/{id}", Asks::Nothing),
    ("DELETE /api/v1/me/mfa/trusted-devices/{id}", Asks::Nothing),
];

#[test]
fn every_route_by_which_a_person_changes_something_has_a_decision() {
    let changing = routes()
        .into_iter()
        .filter(|route| route.path.starts_with("/api/v1/me/") && route.method != Method::GET);
    let changing: BTreeSet<String> = changing.map(|route| route.name()).collect();
    let rows: BTreeSet<String> = ROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(rows, changing);
    assert_eq!(rows.len(), ROWS.len());
}

/// What a user has.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Has {
    App,
    Key,
    Email,
    LockedApp,
    DisabledApp,
    DisabledEmail,
    /// Of a kind that can no longer be set up.
    KeyNotAllowed,
    AppNotAllowed,
    EmailNotAllowed,
    All,
}

const STATES: [Has; 10] = [
    Has::App,
    Has::Key,
    Has::Email,
    Has::LockedApp,
    Has::DisabledApp,
    Has::DisabledEmail,
    Has::KeyNotAllowed,
    Has::AppNotAllowed,
    Has::EmailNotAllowed,
    Has::All,
];

async fn misses(server: &Server, person: &Client, path: &str, count: usize) {
    for _ in 0..count {
        let reply = person.code(path, "000000").await;
        reply.refused(400, "wrong_code");
        if count > 5 {
            server.clock.forward(3_600);
        }
    }
}

/// Sets all of it up; gives the key's device.
async fn set_up(server: &Server, subject: &str, has: Has) -> Option<String> {
    let person = server.person(subject);
    let key = Authenticator::new();
    match has {
        Has::App | Has::AppNotAllowed | Has::LockedApp | Has::DisabledApp => {
            totp::enrol(server, &person).await;
        }
        Has::Email | Has::EmailNotAllowed | Has::DisabledEmail => {
            email::enrol(server, &person).await;
        }
        Has::Key | Has::KeyNotAllowed => return Some(enrol_key(&person, &key).await.0),
        Has::All => {
            totp::enrol(server, &person).await;
            email::enrol(server, &person).await;
            return Some(webauthn::enrol(&person, &key).await);
        }
    }
    match has {
        Has::LockedApp => misses(server, &person, totp::DISABLE, 5).await,
        Has::DisabledApp | Has::DisabledEmail => {
            // A person's token is good for an hour.
            for _ in 0..100 {
                let path = match has {
                    Has::DisabledApp => totp::DISABLE,
                    _ => email::DISABLE,
                };
                let person = server.person(subject);
                if has == Has::DisabledEmail {
                    person.post(email::SEND).await.ok();
                }
                misses(server, &person, path, 1).await;
                server.clock.forward(5 * 3_600);
            }
        }
        _ => {}
    }
    None
}

#[tokio::test]
async fn a_password_alone_changes_no_factor_of_a_user_who_has_one() {
    let rows: BTreeMap<&str, Asks> = ROWS.iter().copied().collect();
    let mut asked = BTreeSet::new();
    for has in STATES {
        let server = Server::start_unlimited().await;
        let device = set_up(&server, "alice", has).await;
        let other = match has {
            Has::KeyNotAllowed => Some("totp"),
            Has::AppNotAllowed | Has::EmailNotAllowed => Some("webauthn"),
            _ => None,
        };
        if let Some(other) = other {
            server.set_policy(Key::AllowFactor, &[other]).await.unwrap();
        }
        let owner = server.person("alice");
        let before = factors(&owner).await;
        let thief = server.password_only("alice");
        let none = "mfa_aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned();
        let device = device.unwrap_or(none);
        for route in routes() {
            let name = route.name();
            let Some(&asks) = rows.get(name.as_str()) else {
                continue;
            };
            let context = format!("{name} with {has:?}");
            let path = route.path_with(&device);
            for code in [
                None,
                Some("123456"),
                Some("AAAA-AAAA-AAAA-AAAA"),
                Some("prf_a"),
            ] {
                let mut body = json!({"name": "Mallory's", "type": "totp"});
                if let Some(code) = code {
                    body["code"] = json!(code);
                }
                let reply = thief.json(route.method.clone(), &path, &body).await;
                let status = reply.status.as_u16();
                match asks {
                    Asks::Proof if code.is_none() => {
                        assert!(
                            matches!(status, 401 | 404 | 409),
                            "{context}: {}",
                            reply.text
                        );
                        if status == 401 {
                            asks_for_proof(&reply);
                            asked.insert((name.clone(), format!("{has:?}")));
                        }
                    }
                    Asks::Code if code.is_none() => assert_eq!(status, 422, "{context}"),
                    Asks::Proof | Asks::Code => {
                        assert!((400..500).contains(&status), "{context}: {}", reply.text);
                    }
                    Asks::Nothing => {}
                }
            }
        }
        assert_eq!(factors(&owner).await, before, "{has:?}");
    }
    // Each of them asked, and each state was one: what is missing was refused for another reason.
    let refused_otherwise = |name: &str, has: Has| match name {
        "POST /api/v1/me/mfa/totp/enable" => matches!(
            has,
            Has::App
                | Has::LockedApp
                | Has::DisabledApp
                | Has::AppNotAllowed
                | Has::All
                | Has::EmailNotAllowed
        ),
        "POST /api/v1/me/mfa/email/enable" => matches!(
            has,
            Has::Email
                | Has::DisabledEmail
                | Has::EmailNotAllowed
                | Has::All
                | Has::KeyNotAllowed
                | Has::AppNotAllowed
        ),
        "POST /api/v1/me/mfa/webauthn/register/begin" => has == Has::KeyNotAllowed,
        _ => !matches!(has, Has::Key | Has::KeyNotAllowed | Has::All),
    };
    for (name, asks) in ROWS {
        for has in STATES {
            if *asks == Asks::Proof && !refused_otherwise(name, has) {
                let key = ((*name).to_owned(), format!("{has:?}"));
                assert!(asked.contains(&key), "{key:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_password_alone_cannot_add_a_key_and_pass_the_next_sign_in_with_it() {
    let server = Server::start().await;
    totp::enrol(&server, &server.alice()).await;
    let (thief, key) = (server.password_only("alice"), Authenticator::new());
    asks_for_proof(&thief.post(BEGIN).await);
    // What the thief begins in their own name does not end in hers.
    let begun = server.password_only("mallory").post(BEGIN).await.ok();
    let reply = thief.post_json(COMPLETE, &key.register(&begun)).await;
    reply.refused(404, "not_found");
    let asking = json!({"subject": "alice", "amr": ["pwd"]});
    let service = server.login_service();
    let opened = service.post_json("/api/v1/mfa/challenges", &asking).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    let opened = opened.json();
    assert_eq!(opened["decision"], "challenge");
    assert!(
        !opened["methods"].to_string().contains("webauthn"),
        "{opened}"
    );
}

#[tokio::test]
async fn a_password_alone_cannot_turn_the_sign_in_of_a_user_with_a_key_into_allow() {
    let server = Server::start().await;
    let (device, _) = enrol_key(&server.alice(), &Authenticator::new()).await;
    let thief = server.password_only("alice");
    asks_for_proof(&thief.post(totp::ENABLE).await);
    asks_for_proof(&Change::RemoveKey.ask(&thief, &device, None).await);
    let asking = json!({"subject": "alice", "amr": ["pwd"]});
    let service = server.login_service();
    let opened = service.post_json("/api/v1/mfa/challenges", &asking).await;
    assert_eq!(opened.json()["decision"], "challenge", "{}", opened.text);
}
