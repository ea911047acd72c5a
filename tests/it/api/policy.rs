//! What policy asks of people, what it lets them set up, and what it lets them remove.

use mfad::config::Exit;
use mfad::policy::{self, Key, Policy, Source};
use serde_json::{Value, json};

use super::totp::{CONFIRM, DISABLE, ENABLE, REGENERATE, REPLACE, overview, rfc3339};
use super::{email, totp, webauthn};
use crate::support::{App, Authenticator, Client, Options, PUBLIC_URL, Server};

const DAY: u64 = 86_400;

type Parts<'a> = &'a [(Key, &'a [&'a str])];

fn policy_of(parts: Parts<'_>) -> Policy {
    let mut policy = Policy::default();
    for (key, words) in parts {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        policy.set(*key, &words, Source::Setting).unwrap();
    }
    policy
}

/// Has the running server hold this policy and nothing of another.
async fn hold(server: &Server, parts: Parts<'_>) {
    for key in Key::ALL {
        server.unset_policy(key).await.unwrap();
    }
    for (key, words) in parts {
        server.set_policy(*key, words).await.unwrap();
    }
}

/// Somebody of the tenant `acme` whose token carries the scope `staff`.
fn employee(server: &Server, subject: &str) -> Client {
    let token = server
        .issuer
        .token(PUBLIC_URL, subject)
        .with_second_factor()
        .with("tenant_id", "acme")
        .with("scope", "openid staff");
    server.bearer(token.sign())
}

/// Somebody's factors.
struct Held {
    keys: Vec<String>,
    codes: Vec<String>,
}

/// Sets up factors of these kinds, in this order.
async fn enrol(server: &Server, person: &Client, kinds: &[&str]) -> Held {
    let (mut keys, mut codes) = (Vec::new(), Vec::new());
    for kind in kinds {
        let shown = match *kind {
            "totp" => totp::enrol(server, person).await.1,
            "email" => email::enrol(server, person).await,
            _ => {
                let begun = person.post(webauthn::BEGIN).await.ok();
                let done = person
                    .post_json(webauthn::COMPLETE, &Authenticator::new().register(&begun))
                    .await
                    .ok();
                keys.push(done["device"]["device_id"].as_str().unwrap().to_owned());
                serde_json::from_value(done["backup_codes"].clone()).unwrap_or_default()
            }
        };
        codes.extend(shown);
    }
    Held { keys, codes }
}

async fn remove(person: &Client, held: &Held, kind: &str) -> crate::support::Reply {
    match kind {
        "totp" => person.code(DISABLE, &held.codes[0]).await,
        "email" => person.code(email::DISABLE, &held.codes[0]).await,
        _ => {
            let path = format!("/api/v1/me/mfa/webauthn/{}", held.keys[0]);
            person.delete(&path).await
        }
    }
}

#[tokio::test]
async fn the_last_factor_that_counts_stays_where_one_is_required() {
    const EMAIL: Key = Key::EmailFactor;
    const RULES: Key = Key::RequireMfa;
    let all: &[&str] = &["totp", "email", "webauthn"];
    let without_email: &[&str] = &["totp", "webauthn"];
    // The policy; whether it requires a factor of an employee; the kinds that count.
    let policies: [(Parts<'_>, bool, &[&str]); 11] = [
        (&[], false, all),
        (&[(RULES, &["all"])], true, all),
        (&[(RULES, &["tenant:acme"])], true, all),
        (&[(RULES, &["scope:staff"])], true, all),
        (&[(RULES, &["tenant:other", "scope:staff"])], true, all),
        (&[(RULES, &["tenant:other"])], false, all),
        (&[(RULES, &["scope:mfa:admin"])], false, all),
        // Nobody knows where somebody will sign in next.
        (&[(RULES, &["service:portal"])], false, all),
        (
            &[(RULES, &["all"]), (EMAIL, &["recovery"])],
            true,
            without_email,
        ),
        (&[(RULES, &["all"]), (EMAIL, &["off"])], true, without_email),
        (
            &[(RULES, &["all"]), (Key::AllowFactor, &["webauthn"])],
            true,
            &["webauthn"],
        ),
    ];
    let holdings: [&[&str]; 7] = [
        &["totp"],
        &["email"],
        &["webauthn"],
        &["totp", "email"],
        &["totp", "webauthn"],
        &["webauthn", "webauthn"],
        &["email", "webauthn"],
    ];
    let server = Server::start().await;
    let (mut refusals, mut number) = (0, 0);
    for (parts, required, counting) in policies {
        for kinds in holdings {
            let mut tried: Vec<&str> = Vec::new();
            for kind in kinds {
                if tried.contains(kind) {
                    continue;
                }
                tried.push(kind);
                number += 1;
                let subject = format!("employee-{number}");
                hold(&server, &[]).await;
                let held = enrol(&server, &employee(&server, &subject), kinds).await;
                hold(&server, parts).await;

                let person = employee(&server, &subject);
                let before = overview(&person).await;
                assert_eq!(before["policy"]["required"], required, "{parts:?}");
                let left = kinds
                    .iter()
                    .filter(|other| counting.contains(other))
                    .count();
                let last = required && counting.contains(kind) && left == 1;
                let reply = remove(&person, &held, kind).await;
                let context = format!("{kind} of {kinds:?} under {parts:?}: {}", reply.text);
                if !last {
                    assert_eq!(reply.status, 200, "{context}");
                    continue;
                }
                assert_eq!(reply.status, 409, "{context}");
                reply.refused(409, "last_factor");
                assert_eq!(overview(&person).await, before, "{context}");
                let events = person.get("/api/v1/me/mfa/events?limit=1").await.ok();
                assert_eq!(events["events"][0]["reason"], "last_factor", "{context}");
                // What was sent with it is good for later.
                hold(&server, &[]).await;
                remove(&person, &held, kind).await.ok();
                refusals += 1;
            }
        }
    }
    assert!(refusals > 20, "{refusals}");
}

#[tokio::test]
async fn a_factor_that_is_disabled_is_no_other_that_can_be_used() {
    let server = Server::start_with(Options {
        policy: policy_of(&[(Key::RequireMfa, &["all"])]),
        ..Options::default()
    })
    .await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    let key = webauthn::enrol(&alice, &Authenticator::new()).await;
    let mut person = alice;
    for _ in 0..100 {
        person = server.alice();
        let wrong = app.wrong_code(server.clock.unix());
        person
            .code(REGENERATE, &wrong)
            .await
            .refused(400, "wrong_code");
        server.clock.forward(3600);
    }
    assert_eq!(
        overview(&server.alice()).await["devices"][0]["status"],
        "disabled"
    );
    drop(person);
    let alice = server.alice();
    let path = format!("/api/v1/me/mfa/webauthn/{key}");
    alice.delete(&path).await.refused(409, "last_factor");
    let unlock = json!({"type": "totp", "code": codes[0]});
    alice.post_json(totp::UNLOCK, &unlock).await.ok();
    alice.delete(&path).await.ok();
    let code = app.code(server.clock.unix());
    alice.code(DISABLE, &code).await.refused(409, "last_factor");
    // The code was not used up by that.
    alice.code(REPLACE, &code).await.ok();
}

#[tokio::test]
async fn a_set_up_under_way_can_be_given_up_whatever_is_required() {
    let server = Server::start_with(Options {
        policy: policy_of(&[(Key::RequireMfa, &["all"])]),
        ..Options::default()
    })
    .await;
    let alice = server.alice();
    let begun = alice.post(webauthn::BEGIN).await.ok();
    let device = begun["device_id"].as_str().unwrap();
    let path = format!("/api/v1/me/mfa/webauthn/{device}");
    alice.delete(&path).await.ok();
}

#[tokio::test]
async fn what_policy_does_not_allow_cannot_be_set_up_and_what_is_there_still_proves_its_owner() {
    let server = Server::start().await;
    let rows: [(&str, Parts<'_>); 4] = [
        ("totp", &[(Key::AllowFactor, &["email", "webauthn"])]),
        ("webauthn", &[(Key::AllowFactor, &["totp", "email"])]),
        ("email", &[(Key::AllowFactor, &["totp", "webauthn"])]),
        ("email", &[(Key::EmailFactor, &["off"])]),
    ];
    for (number, (kind, parts)) in rows.into_iter().enumerate() {
        hold(&server, &[]).await;
        let (owner, late) = (format!("owner-{number}"), format!("late-{number}"));
        // One has it, the other is in the middle of it.
        let owner = server.person(&owner);
        let late = server.person(&late);
        let mut key = Authenticator::new();
        let mut app = None;
        let confirm = match kind {
            "totp" => {
                app = Some(totp::enrol(&server, &owner).await.0);
                let begun = App::scan(&late.post(ENABLE).await.ok());
                let code = begun.code(server.clock.unix());
                (CONFIRM, json!({ "code": code }))
            }
            "webauthn" => {
                webauthn::enrol(&owner, &key).await;
                let begun = late.post(webauthn::BEGIN).await.ok();
                (webauthn::COMPLETE, Authenticator::new().register(&begun))
            }
            _ => {
                email::enrol(&server, &owner).await;
                let code = email::mailed_code(&server, &late, email::ENABLE).await;
                (email::CONFIRM, json!({ "code": code }))
            }
        };
        hold(&server, parts).await;
        let allowed = overview(&owner).await["policy"]["allowed"].clone();
        assert!(
            !allowed.as_array().unwrap().contains(&json!(kind)),
            "{allowed}"
        );
        assert_eq!(allowed.as_array().unwrap().len(), 2, "{kind}");

        let (path, body) = confirm;
        let mails = server.smtp.mails().len();
        for person in [&late, &owner, &server.person("new")] {
            let begin = match kind {
                "totp" => ENABLE,
                "webauthn" => webauthn::BEGIN,
                _ => email::ENABLE,
            };
            person.post(begin).await.refused(409, "not_offered");
        }
        late.post_json(path, &body)
            .await
            .refused(409, "not_offered");
        assert_eq!(overview(&late).await["enabled"], false);
        assert_eq!(server.smtp.mails().len(), mails);

        // The owner proves themselves with it as before, so that they can change.
        let proof = |app: Option<App>| app.unwrap().code(server.clock.unix());
        match kind {
            "totp" => {
                let code = proof(app);
                owner.code(REPLACE, &code).await.refused(409, "not_offered");
                owner.code(REGENERATE, &code).await.ok();
                server.clock.next_step();
            }
            "webauthn" => {
                let code = webauthn::prove(&owner, &mut key).await;
                owner.code(REGENERATE, &code).await.ok();
            }
            _ => {
                let code = email::mailed_code(&server, &owner, email::SEND).await;
                owner.code(REGENERATE, &code).await.ok();
            }
        }
        // And gets rid of it, even where a factor is required, since it is none.
        server.set_policy(Key::RequireMfa, &["all"]).await.unwrap();
        assert_eq!(overview(&owner).await["enabled"], true);
    }
}

#[tokio::test]
async fn email_codes_for_recovery_are_set_up_and_allow_changes() {
    let server = Server::start_with(Options {
        policy: policy_of(&[
            (Key::EmailFactor, &["recovery"]),
            (Key::RequireMfa, &["all"]),
        ]),
        ..Options::default()
    })
    .await;
    let alice = server.alice();
    email::enrol(&server, &alice).await;
    let seen = overview(&alice).await["policy"].clone();
    assert_eq!(
        seen,
        json!({
            "required": true, "allowed": ["totp", "email", "webauthn"], "email": "recovery",
            "grace_until": null, "trusted_device_days": 30,
        })
    );
    let code = email::mailed_code(&server, &alice, email::SEND).await;
    alice.code(email::DISABLE, &code).await.ok();
    assert_eq!(overview(&alice).await["enabled"], false);
}

#[tokio::test]
async fn the_overview_says_what_is_required_of_whom() {
    let server = Server::start().await;
    let token = || server.issuer.token(PUBLIC_URL, "alice");
    let people: [(&str, Client); 4] = [
        ("plain", server.alice()),
        (
            "acme",
            server.bearer(token().with("tenant_id", "acme").sign()),
        ),
        (
            "staff",
            server.bearer(token().with("scope", "staff openid").sign()),
        ),
        (
            "staff by array",
            server.bearer(token().with("scp", json!(["openid", "staff"])).sign()),
        ),
    ];
    let rows: [(&[&str], [bool; 4]); 6] = [
        (&["none"], [false; 4]),
        (&["all"], [true; 4]),
        (&["tenant:acme"], [false, true, false, false]),
        (&["scope:staff"], [false, false, true, true]),
        (&["service:portal"], [false; 4]),
        (&["scope:staff", "tenant:acme"], [false, true, true, true]),
    ];
    for (rules, required) in rows {
        hold(&server, &[(Key::RequireMfa, rules)]).await;
        for ((name, person), required) in people.iter().zip(required) {
            let seen = overview(person).await["policy"]["required"].clone();
            assert_eq!(seen, required, "{name} under {rules:?}");
        }
    }
}

#[tokio::test]
async fn a_grace_runs_from_when_somebody_was_first_asked() {
    let parts: Parts<'_> = &[(Key::RequireMfa, &["all"]), (Key::GraceDays, &["3"])];
    let mut server = Server::start_with(Options {
        policy: policy_of(parts),
        ..Options::default()
    })
    .await;
    let grace =
        |person: Client| async move { overview(&person).await["policy"]["grace_until"].clone() };
    let ask = |server: &Server, subject: &'static str| {
        let tools = server.desk.tools.clone();
        let person = tools.keys().person(&server.issuer.url, subject);
        async move {
            let (policy, now) = (tools.policy.clone(), tools.now());
            tools
                .store
                .write(move |tx| policy::grace_until(tx, person, true, &policy, now))
                .await
                .unwrap()
                .map(|end| end.to_string())
        }
    };
    // To look at the settings page is not to be asked.
    assert_eq!(grace(server.alice()).await, Value::Null);
    server.clock.forward(10 * DAY);
    let end = rfc3339(server.clock.unix() + 3 * DAY);
    assert_eq!(ask(&server, "alice").await, Some(end.clone()));
    for _ in 0..2 {
        server.clock.forward(DAY);
        assert_eq!(ask(&server, "alice").await, Some(end.clone()));
        assert_eq!(grace(server.alice()).await, end.as_str());
    }
    server.restart().await;
    server.clock.forward(DAY - 1);
    assert_eq!(grace(server.alice()).await, end.as_str());
    server.clock.forward(1);
    assert_eq!(ask(&server, "alice").await, None);
    assert_eq!(grace(server.alice()).await, Value::Null);
    let bobs = rfc3339(server.clock.unix() + 3 * DAY);
    assert_eq!(ask(&server, "bob").await, Some(bobs.clone()));
    // Email codes that do not count leave him where he is, and an app ends it.
    server
        .set_policy(Key::EmailFactor, &["recovery"])
        .await
        .unwrap();
    email::enrol(&server, &server.bob()).await;
    assert_eq!(grace(server.bob()).await, bobs.as_str());
    totp::enrol(&server, &server.bob()).await;
    assert_eq!(grace(server.bob()).await, Value::Null);
    // Nor does it run for whom nothing is required.
    ask(&server, "carol").await.unwrap();
    assert_ne!(grace(server.person("carol")).await, Value::Null);
    server.set_policy(Key::RequireMfa, &["none"]).await.unwrap();
    assert_eq!(grace(server.person("carol")).await, Value::Null);
}

fn operator(server: &Server, subject: &str) -> Client {
    let token = server
        .issuer
        .token(PUBLIC_URL, subject)
        .with_second_factor();
    server.bearer(token.with("scope", "openid mfa:admin").sign())
}

#[tokio::test]
async fn no_policy_shuts_out_every_operator() {
    let mut server = Server::start().await;
    let keys_only = policy_of(&[(Key::AllowFactor, &["webauthn"])]);
    let words: &[&str] = &["webauthn"];
    // Where nobody is an operator there is nobody to shut out.
    totp::enrol(&server, &server.alice()).await;
    server.set_policy(Key::AllowFactor, words).await.unwrap();
    server.unset_policy(Key::AllowFactor).await.unwrap();

    totp::enrol(&server, &operator(&server, "olga")).await;
    email::enrol(&server, &operator(&server, "omar")).await;
    let refused = server.set_policy(Key::AllowFactor, words).await;
    assert_eq!(refused.unwrap_err().code().name, "operators_shut_out");
    assert_eq!(server.policy(), Policy::default());
    let refused = server.refuses(keys_only.clone()).await;
    assert_eq!(refused.exit, Exit::Config);
    assert_eq!(refused.exit.code(), 78);
    let told = refused.problem.to_string();
    assert!(
        told.contains("No operator") && told.contains("hint: "),
        "{told}"
    );

    // One of them is enough.
    server.restart().await;
    webauthn::enrol(&operator(&server, "omar"), &Authenticator::new()).await;
    server.restart_under(keys_only).await;
    let allowed = server.policy().words(Key::AllowFactor);
    assert_eq!(allowed, ["webauthn"]);
}

#[tokio::test]
async fn an_operators_recovery_address_keeps_no_server_from_starting_again() {
    let recovery = policy_of(&[(Key::EmailFactor, &["recovery"])]);
    let mut server = Server::start_with(Options {
        policy: recovery.clone(),
        ..Options::default()
    })
    .await;
    email::enrol(&server, &operator(&server, "olga")).await;
    server.restart().await;
    server.set_policy(Key::RequireMfa, &["all"]).await.unwrap();
    server.restart().await;
    // Where it counts, it can be lost.
    server.restart_under(Policy::default()).await;
    let refused = server.refuses(recovery).await;
    assert_eq!(refused.exit, Exit::Config);
}

#[tokio::test]
async fn what_was_stored_holds_at_once_and_after_a_restart_until_it_is_taken_back() {
    let mut server = Server::start().await;
    let seen = |person: Client| async move { overview(&person).await["policy"].clone() };
    for (key, text) in [
        (Key::TrustedDeviceDays, &["0"][..]),
        (Key::AllowFactor, &["webauthn", "totp"]),
        (Key::RequireMfa, &["all"]),
    ] {
        server.set_policy(key, text).await.unwrap();
    }
    let expected = json!({
        "required": true, "allowed": ["totp", "webauthn"], "email": "on", "grace_until": null,
        "trusted_device_days": 0,
    });
    assert_eq!(seen(server.alice()).await, expected);
    server.restart().await;
    assert_eq!(seen(server.alice()).await, expected);
    assert_eq!(
        server.policy().to_string(),
        "allow-factor = [\"totp\",\"webauthn\"]   # from: stored\n\
         require-mfa = [\"all\"]   # from: stored\n\
         email-factor = \"on\"   # from: default\n\
         grace-days = 0   # from: default\n\
         trusted-device-days = 0   # from: stored\n"
    );
    for key in Key::ALL {
        server.unset_policy(key).await.unwrap();
    }
    assert_eq!(server.policy(), Policy::default());

    // Settings that no longer fit what is stored are said at the start.
    server.set_policy(Key::EmailFactor, &["off"]).await.unwrap();
    let refused = server
        .refuses(policy_of(&[(Key::AllowFactor, &["email"])]))
        .await;
    assert_eq!(refused.exit, Exit::Config);
    assert!(
        refused.problem.hint.contains("unset"),
        "{}",
        refused.problem
    );
}
