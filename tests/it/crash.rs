//! Death without warning, under load: what was answered has happened, and what was used up stays so.

mod sign_in;

use std::env;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use mfad::base::{Entropy, OsEntropy};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::sign_in::SignIn;
use crate::support::process::now;
use crate::support::{App, Client, PUBLIC_URL, Reply, Site};

/// How often the server is killed, unless this variable says otherwise.
const TRIALS: (&str, u32) = ("MFAD_CRASH_TRIALS", 30);
/// Milliseconds of load before the kill.
const LOAD: Range<u32> = 5..300;
/// Clients at a time.
const CLIENTS: u32 = 8;
/// Backup codes of a set.
const SET: usize = 10;
/// Backup codes that a person spends themselves, at the most.
const SPENT: usize = 3;

const OVERVIEW: &str = "/api/v1/me/mfa";
const ENABLE: &str = "/api/v1/me/mfa/totp/enable";
const CONFIRM: &str = "/api/v1/me/mfa/totp/confirm";
const REPLACE: &str = "/api/v1/me/mfa/totp/replace";
const DISABLE: &str = "/api/v1/me/mfa/totp/disable";
const REGENERATE: &str = "/api/v1/me/mfa/backup-codes/regenerate";

/// What a person has been told. A change stands here once it was answered, and `doubtful` names the one
/// that was on its way: it may have happened or not.
#[derive(Default)]
struct Ledger {
    subject: String,
    app: Option<App>,
    confirmed: bool,
    /// Codes of the app that were accepted.
    used: Vec<String>,
    codes: Vec<String>,
    spent: Vec<String>,
    /// Codes of an earlier set.
    void: Vec<String>,
    disabled: bool,
    /// At a login service.
    sign_ins: Vec<SignIn>,
    doubtful: Option<Doubt>,
}

impl Ledger {
    fn answered(&self) -> usize {
        [
            self.app.is_some(),
            self.confirmed,
            !self.void.is_empty(),
            self.disabled,
        ]
        .into_iter()
        .filter(|done| *done)
        .count()
            + self.spent.len()
            + self.sign_ins.len()
    }
}

enum Doubt {
    Begin,
    Confirm,
    Spend(String),
    Open,
    Miss,
    Verify(String),
    Regenerate(String),
    Disable,
}

/// One person's life, until the server dies. The ledger is written down before each step and after it.
async fn live(person: &Client, service: &Client, ledger: &Mutex<Ledger>) -> Option<()> {
    let note = |doubt| ledger.lock().unwrap().doubtful = Some(doubt);
    let answered = |write: &dyn Fn(&mut Ledger)| {
        let mut ledger = ledger.lock().unwrap();
        write(&mut ledger);
        ledger.doubtful = None;
    };
    let ask = async |path: &str, code: Option<&str>| -> Option<Value> {
        let body = code.map_or(Bytes::new(), |code| {
            json!({"code": code}).to_string().into()
        });
        let json = [("content-type", "application/json")];
        let reply = person.try_send(Method::POST, path, &json, body).await;
        reply.ok().map(|reply| reply.ok())
    };
    let codes = |answer: &Value| -> Vec<String> {
        serde_json::from_value(answer["backup_codes"].clone()).unwrap()
    };

    note(Doubt::Begin);
    let setup = ask(ENABLE, None).await?;
    answered(&|ledger| ledger.app = Some(App::scan(&setup)));
    let app = App::scan(&setup);

    let code = app.code(now());
    note(Doubt::Confirm);
    let confirmed = ask(CONFIRM, Some(&code)).await?;
    answered(&|ledger| {
        ledger.confirmed = true;
        ledger.used.push(code.clone());
        ledger.codes = codes(&confirmed);
    });

    for code in &codes(&confirmed)[..SPENT] {
        note(Doubt::Spend(code.clone()));
        ask(REPLACE, Some(code)).await?;
        answered(&|ledger| {
            ledger.codes.retain(|left| left != code);
            ledger.spent.push(code.clone());
        });
    }

    sign_in::live(service, ledger, &codes(&confirmed)[SPENT]).await?;

    // That step is used up, and the next one is good already.
    let code = app.code(now() + 30);
    note(Doubt::Regenerate(code.clone()));
    let fresh = ask(REGENERATE, Some(&code)).await?;
    answered(&|ledger| {
        ledger.used.push(code.clone());
        let old = std::mem::replace(&mut ledger.codes, codes(&fresh));
        ledger.void.extend(old);
    });

    let [code, ..] = &codes(&fresh)[..] else {
        return None;
    };
    note(Doubt::Disable);
    ask(DISABLE, Some(code)).await?;
    answered(&|ledger| ledger.disabled = true);
    None
}

fn login_service(site: &Site, address: SocketAddr) -> Client {
    let token = site
        .issuer
        .token(PUBLIC_URL, "portal")
        .with("client_id", "portal")
        .with("scope", "mfa:verify");
    Client::new(address, Some(token.sign()))
}

/// People live one after another until the server is gone.
async fn load(site: Arc<Site>, address: SocketAddr, name: String) -> Vec<Ledger> {
    let mut ledgers = Vec::new();
    for n in 0.. {
        let subject = format!("{name}-{n}");
        let person = site.person(address, &subject);
        let ledger = Mutex::new(Ledger {
            subject,
            ..Ledger::default()
        });
        live(&person, &login_service(&site, address), &ledger).await;
        let ledger = ledger.into_inner().unwrap();
        let gone = ledger.doubtful.is_some();
        ledgers.push(ledger);
        if gone {
            break;
        }
    }
    ledgers
}

/// Compares what a person was told with what the server says after its death.
async fn compare(person: &Client, service: &Client, ledger: &Ledger) {
    let subject = &ledger.subject;
    let overview = person.get(OVERVIEW).await.ok();
    let devices = overview["devices"].as_array().unwrap();
    let has = |app: &App, status: &str| {
        devices
            .iter()
            .any(|device| device["device_id"] == *app.device_id && device["status"] == status)
    };
    let doubtful = ledger.doubtful.as_ref();
    let Some(app) = &ledger.app else { return };
    let refused = |reply: Reply, what: &str| {
        assert!(
            matches!(reply.status.as_u16(), 400 | 409),
            "{subject}: {what}: {} {}",
            reply.status,
            reply.text
        );
    };

    if !ledger.confirmed {
        let confirmed = has(app, "active") && matches!(doubtful, Some(Doubt::Confirm));
        assert!(has(app, "pending") || confirmed, "{subject}: {overview}");
        return;
    }
    let gone = !has(app, "active");
    if ledger.disabled {
        assert!(gone, "{subject}: {overview}");
    } else if gone {
        assert!(
            matches!(doubtful, Some(Doubt::Disable)),
            "{subject}: {overview}"
        );
    }

    let verified = sign_in::compare(service, ledger).await;

    // Nothing that was used up is good again, whether the answer came or not.
    for code in &ledger.used {
        refused(person.code(DISABLE, code).await, "a used TOTP code");
    }
    for code in ledger.spent.iter().chain(&ledger.void) {
        refused(
            person.code(REPLACE, code).await,
            "a spent or void backup code",
        );
    }
    if gone {
        return;
    }

    // And nothing more than that was used up.
    let left = overview["backup_codes"]["remaining"].as_u64().unwrap() as usize;
    match doubtful {
        Some(Doubt::Spend(code)) => {
            let spent = left == ledger.codes.len() - 1;
            assert!(spent || left == ledger.codes.len(), "{subject}: {overview}");
            let again = person.code(REPLACE, code).await;
            match spent {
                true => refused(again, "the backup code in doubt, which is spent"),
                false => drop(again.ok()),
            }
            refused(person.code(REPLACE, code).await, "the same a second time");
        }
        Some(Doubt::Verify(code)) => {
            // The challenge and the code are one change.
            let spent = ledger.codes.len() - usize::from(verified);
            assert_eq!(left, spent, "{subject}: {verified} {overview}");
            let again = person.code(REPLACE, code).await;
            match verified {
                true => refused(
                    again,
                    "the backup code of a sign-in in doubt, which is verified",
                ),
                false => drop(again.ok()),
            }
        }
        Some(Doubt::Regenerate(code)) => {
            let done = left == SET;
            assert!(done || left == ledger.codes.len(), "{subject}: {overview}");
            let old = person.code(REPLACE, &ledger.codes[0]).await;
            let again = person.code(DISABLE, code).await;
            if done {
                refused(old, "a backup code that was replaced in doubt");
                refused(again, "the TOTP code that replaced it");
            } else {
                old.ok();
                again.ok();
            }
        }
        _ => {
            assert_eq!(left, ledger.codes.len(), "{subject}: {overview}");
            person.code(REPLACE, &ledger.codes[0]).await.ok();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_before_a_kill_is_there_after_it_and_nothing_is_good_twice() {
    let trials = match env::var(TRIALS.0) {
        Ok(number) => number.parse().unwrap(),
        Err(_) => TRIALS.1,
    };
    let mut site = Site::new().await;
    // The store shall be the measure of the load.
    site.without_mail();
    let site = Arc::new(site);
    let entropy: &dyn Entropy = &OsEntropy;
    let mut answered = 0;
    let mut server = site.serve().await;
    for trial in 0..trials {
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let name = format!("{trial}-{client}");
            clients.spawn(load(site.clone(), server.address(), name));
        }
        let pause = LOAD.start + entropy.below(LOAD.end - LOAD.start).unwrap();
        // Time is what this is about: the server is killed at any moment.
        tokio::time::sleep(Duration::from_millis(pause.into())).await;
        server.kill().await;
        let ledgers = clients.join_all().await.into_iter().flatten();

        server = site.serve().await;
        let mut comparisons = JoinSet::new();
        for ledger in ledgers {
            answered += ledger.answered();
            let person = site.person(server.address(), &ledger.subject);
            let service = login_service(&site, server.address());
            comparisons.spawn(async move { compare(&person, &service, &ledger).await });
        }
        comparisons.join_all().await;
        let log = server.stderr();
        assert!(!log.contains("panic"), "{log}");
    }
    server.stop().await;
    eprintln!("{trials} kills, {answered} changes that were answered, none lost");
    assert!(answered > trials as usize, "there was no load");
}
