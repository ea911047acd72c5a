use std::fmt::Write;

use serde::Serialize;
use serde_json::json;

use crate::app::StartError;
use crate::base::{Failure, Secret, Timestamp};
use crate::clients::{Registered, RegisteredKey, Sends, Service, Unknown};
use crate::config::{Exit, NewService, ServiceCommand, StoreSettings};
use crate::console::{Answer, Order};

use super::order::{another_answer, carry_out};
use super::{block_on, print, problem, report, write_out};

/// What problems are called by.
const SUBJECT: &str = "service";

/// Looks after the login services, as `command` says.
pub fn service(place: &StoreSettings, command: ServiceCommand) -> Exit {
    block_on(async {
        let done = match command {
            ServiceCommand::Add(new) => add(place, new).await,
            ServiceCommand::List { json } => list(place, json).await,
            ServiceCommand::Rotate { id, overlap } => rotate(place, id, overlap).await,
            ServiceCommand::Set { id, unknown } => set(place, id, &unknown).await,
            ServiceCommand::Remove { id } => remove(place, id).await,
        };
        done.unwrap_or_else(|refused| report(refused.exit, &refused.problem))
    })
}

async fn add(place: &StoreSettings, new: NewService) -> Result<Exit, StartError> {
    let sends: Sends = new.sends.parse().map_err(|e| StartError {
        exit: Exit::Usage,
        problem: problem("sends", e, "use sub, username or email"),
    })?;
    let unknown = unknown(&new.unknown)?;
    let service = Service {
        unknown: Some(unknown),
        id: new.id,
        sends,
        tenants: new.tenants,
        return_urls: new.return_urls,
        client_id: new.client_id,
        issuer: new.issuer,
    };
    let id = service.id.clone();
    match carry_out(SUBJECT, place, Order::ServiceAdd(service)).await? {
        Answer::Key { key, .. } => Ok(hand_over(
            &id,
            &key,
            &format!("The service {id} is registered."),
        )),
        _ => Err(another_answer(SUBJECT, "a key")),
    }
}

fn unknown(word: &str) -> Result<Unknown, StartError> {
    word.parse::<Unknown>().map_err(|e| StartError {
        exit: Exit::Usage,
        problem: problem("unknown", e, "use enroll, deny or allow"),
    })
}

async fn set(place: &StoreSettings, id: String, word: &str) -> Result<Exit, StartError> {
    let (named, unknown) = (id.clone(), unknown(word)?);
    match carry_out(SUBJECT, place, Order::ServiceSet { id, unknown }).await? {
        Answer::Done => {
            eprintln!("To the service {named}, an unknown user means {unknown} from now on.");
            Ok(Exit::Ok)
        }
        _ => Err(another_answer(SUBJECT, "that it is done")),
    }
}

async fn rotate(place: &StoreSettings, id: String, overlap: u64) -> Result<Exit, StartError> {
    let named = id.clone();
    match carry_out(SUBJECT, place, Order::ServiceRotate { id, overlap }).await? {
        Answer::Key { key, old_until } => {
            let old = match old_until {
                Some(until) => format!("its old key is good until {until}"),
                None => "its old keys are refused from now on".to_owned(),
            };
            Ok(hand_over(
                &named,
                &key,
                &format!("The service {named} has a new key; {old}."),
            ))
        }
        _ => Err(another_answer(SUBJECT, "a key")),
    }
}

async fn remove(place: &StoreSettings, id: String) -> Result<Exit, StartError> {
    let named = id.clone();
    match carry_out(SUBJECT, place, Order::ServiceRemove { id }).await? {
        Answer::Done => {
            eprintln!("The service {named} is struck off; its keys are refused from now on.");
            Ok(Exit::Ok)
        }
        _ => Err(another_answer(SUBJECT, "that it is done")),
    }
}

/// Prints the key alone, for a shell to take, and tells the person what it is.
fn hand_over(id: &str, key: &Secret<String>, done: &str) -> Exit {
    let line = Secret::new(format!("{}\n", key.expose()));
    eprintln!("{done}");
    match write_out(line.expose().as_bytes()) {
        Ok(()) => {
            eprintln!("The key is shown this once; keep it where the service alone can read it.");
            Exit::Ok
        }
        Err(e) => {
            let cause = format!("the key could not be written, and nobody can tell it again: {e}");
            let hint = format!("draw another with: mfad service rotate {id}");
            report(Exit::Io, &problem(SUBJECT, cause, &hint))
        }
    }
}

async fn list(place: &StoreSettings, json: bool) -> Result<Exit, StartError> {
    let mut all: Vec<Registered> = Vec::new();
    loop {
        let past = all.last().map(|last| last.service.id.clone());
        match carry_out(SUBJECT, place, Order::ServiceList { past }).await? {
            Answer::Services { services, more } => {
                let ends = services.is_empty() || !more;
                all.extend(services);
                if ends {
                    break;
                }
            }
            _ => return Err(another_answer(SUBJECT, "the services")),
        }
    }
    if json {
        let rows: Vec<Row<'_>> = all.iter().map(Row::of).collect();
        return match serde_json::to_string_pretty(&rows) {
            Ok(text) => Ok(print(&(text + "\n"))),
            Err(e) => Err(StartError {
                exit: Exit::Io,
                problem: problem(
                    SUBJECT,
                    format!("{:?}", Failure::internal(e)),
                    "leave out --json",
                ),
            }),
        };
    }
    if all.is_empty() {
        eprintln!("No service is registered.");
    }
    Ok(print(all.iter().map(words).collect::<String>()))
}

/// A service as programs read it; all times are RFC 3339.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    service: &'a Service,
    created_at: String,
    last_used_at: Option<String>,
    keys: Vec<serde_json::Value>,
}

impl<'a> Row<'a> {
    fn of(registered: &'a Registered) -> Self {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Row {
            service: &registered.service,
            created_at: registered.created_at.to_string(),
            last_used_at: text(registered.last_used_at),
            keys: registered
                .keys
                .iter()
                .map(|key| {
                    json!({
                        "made_at": key.made_at.to_string(),
                        "expires_at": text(key.expires_at),
                        "last_used_at": text(key.last_used_at),
                    })
                })
                .collect(),
        }
    }
}

/// A service as people read it.
fn words(registered: &Registered) -> String {
    let service = &registered.service;
    let mut text = format!("{}\n", service.id);
    let mut row = |name: &str, value: &str| {
        // Writing into a text does not fail.
        let _ = writeln!(text, "  {name:<12}{value}");
    };
    row("sends", service.sends.word());
    match service.unknown {
        Some(unknown) => row("unknown", unknown.word()),
        None => row("unknown", "allow (never set)"),
    }
    match service.tenants.as_slice() {
        [] => row("tenants", "all"),
        tenants => row("tenants", &tenants.join(", ")),
    }
    for url in &service.return_urls {
        row("return URL", url);
    }
    for (name, value) in [("client", &service.client_id), ("issuer", &service.issuer)] {
        if let Some(value) = value {
            row(name, value);
        }
    }
    row("registered", &registered.created_at.to_string());
    row("last use", &moment(registered.last_used_at, "never"));
    for key in &registered.keys {
        row("key", &key_words(key));
    }
    text
}

fn key_words(key: &RegisteredKey) -> String {
    let end = key
        .expires_at
        .map_or_else(|| "no end".to_owned(), |end| format!("ends {end}"));
    format!(
        "made {}, {end}, last used {}",
        key.made_at,
        moment(key.last_used_at, "never")
    )
}

fn moment(at: Option<Timestamp>, otherwise: &str) -> String {
    at.map_or_else(|| otherwise.to_owned(), |at| at.to_string())
}
