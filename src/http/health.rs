//! Whether the process answers, and whether it can do its work.
//!
//! Not ready is what asking again or elsewhere helps against: a store that takes no change, an issuer whose keys
//! nobody has, a clock that is behind. What is amiss and stops nobody at the door (mail that does not leave, a copy
//! that was not made) is said, and the server stays ready: else one mail server would take every mfad out of rotation.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use utoipa::ToSchema;

use crate::audit;
use crate::copies::Schedule;
use crate::factor::Desk;
use crate::mail::Mailer;
use crate::services::Services;

pub(super) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(desk)
}

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Condition {
    /// It works.
    Ok,
    /// It does not, and the rest goes on.
    Degraded,
    /// It does not, and the server cannot do its work.
    Failing,
}

/// What is amiss with a part, for whoever looks after the server.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reason {
    /// Which part: a member of `checks`.
    part: &'static str,
    /// What is amiss, in a sentence.
    words: String,
    /// What to do.
    hint: &'static str,
}

/// Each part of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Checks {
    /// Whether the store takes changes.
    storage: Condition,
    /// Whether tokens of the issuer can be judged.
    issuer_keys: Condition,
    /// Whether the time can be right.
    clock: Condition,
    /// Whether there is room for the histories of users; `degraded` at the worst.
    history: Condition,
    /// Whether letters leave; `degraded` at the worst. Absent where no mail server is set.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<Condition>,
    /// Whether the copies of the store are made that are due; `degraded` at the worst. Absent where none are asked for.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    backups: Option<Condition>,
}

/// Whether the server can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// Whether no part is `failing`.
    ready: bool,
    /// How each part is.
    checks: Checks,
    /// Why a part is not `ok`; empty where all are.
    reasons: Vec<Reason>,
}

/// Each part that `/readyz` tells of, and whether nothing is amiss with it.
pub(super) fn parts(tools: &Services) -> Vec<(&'static str, bool)> {
    let mut parts = vec![
        ("storage", tools.store.health().is_ok()),
        ("issuer_keys", tools.verifier.health().is_ok()),
        ("clock", tools.timekeeper.health().is_ok()),
    ];
    parts.push(("history", filled(tools).is_none()));
    let mail = tools.mailer.as_ref().map(Mailer::health);
    parts.extend(mail.map(|health| ("mail", health.is_ok())));
    let backups = tools.copies.as_ref().map(Schedule::trouble);
    parts.extend(backups.map(|trouble| ("backups", trouble.is_none())));
    parts
}

/// How many percent of the room for histories are used up, if that is nearly all. A store that cannot be read says so
/// elsewhere.
fn filled(tools: &Services) -> Option<u64> {
    let used = tools.store.read(audit::size).unwrap_or_default();
    tools.audit_limits.nearly_full(used)
}

async fn healthz() -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], "ok\n").into_response()
}

/// Whether the server can do its work.
///
/// Everybody may ask, so the words come from a short list here: no path, no name of a host, nobody's name. What the
/// disk, the issuer or the mail server said themselves stands in the log.
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", summary = "Readyz",
    description = "Whether it can do its work: 200, or 503, and in words why not, or what is amiss.", tag = "server",
    responses((status = 200, description = "It can", body = Readiness), (status = 503, description = "It cannot", body = Readiness)))]
pub(super) async fn readyz(State(desk): State<Arc<Desk>>) -> Response {
    let tools = &desk.tools;
    let mut seen = Seen::default();
    let storage = seen.part(
        "storage",
        Condition::Failing,
        tools
            .store
            .health()
            .map_err(|why| said(&why, storage(&why))),
    );
    let issuer_keys = tools.verifier.health().map_err(|why| {
        let words = match tools.verifier.waits_for_keys() {
            true => "the issuer's keys could not be fetched yet, so no token can be judged",
            false => "the issuer has not confirmed its keys for a day, so no token is judged",
        };
        said(
            &why,
            (
                words.to_owned(),
                "check that the server reaches the issuer; it tries again by itself",
            ),
        )
    });
    let issuer_keys = seen.part("issuer_keys", Condition::Failing, issuer_keys);
    let clock = tools.timekeeper.health().map_err(|why| {
        let hint = "set the clock right; if it is right, mfad clock accept";
        said(&why.clone(), (why, hint))
    });
    let clock = seen.part("clock", Condition::Failing, clock);
    let history = filled(tools).map_or(Ok(()), |percent| {
        let words = format!("the histories of users have filled {percent} % of their room");
        let hint =
            "raise --audit-max-mib; once it is full, the oldest records go before their time";
        Err(said(&words.clone(), (words, hint)))
    });
    let history = seen.part("history", Condition::Degraded, history);
    let mail = tools.mailer.as_ref().map(Mailer::health).map(|health| {
        let health = health.map_err(|trouble| {
            let words = format!(
                "letters do not leave since {}: {}; notices wait, and codes by mail cannot be sent",
                trouble.since, trouble.stage
            );
            let hint =
                "check that the server reaches its mail server: mfad check says what that answers";
            said(&words.clone(), (words, hint))
        });
        seen.part("mail", Condition::Degraded, health)
    });
    let backups = tools.copies.as_ref().map(Schedule::trouble).map(|trouble| {
        let health = match trouble {
            None => Ok(()),
            Some(why) => Err(said(
                &why,
                (
                    "the copy of the store that was due could not be made".to_owned(),
                    "check that the folder of --backup-dir is there and has space: mfad check says more",
                ),
            )),
        };
        seen.part("backups", Condition::Degraded, health)
    });
    let checks = Checks {
        storage,
        issuer_keys,
        clock,
        history,
        mail,
        backups,
    };
    let status = match seen.failing {
        false => StatusCode::OK,
        true => StatusCode::SERVICE_UNAVAILABLE,
    };
    let readiness = Readiness {
        ready: !seen.failing,
        checks,
        reasons: seen.reasons,
    };
    (status, Json(readiness)).into_response()
}

/// What is amiss: as whoever is asked here said it, for the log, and in words and with a hint for everybody.
struct Amiss {
    log: String,
    words: String,
    hint: &'static str,
}

fn said(log: &str, (words, hint): (String, &'static str)) -> Amiss {
    Amiss {
        log: log.to_owned(),
        words,
        hint,
    }
}

#[derive(Default)]
struct Seen {
    failing: bool,
    reasons: Vec<Reason>,
}

impl Seen {
    /// Looks at a part, which is in `worst` where something is amiss.
    fn part(
        &mut self,
        part: &'static str,
        worst: Condition,
        health: Result<(), Amiss>,
    ) -> Condition {
        let Err(Amiss { log, words, hint }) = health else {
            return Condition::Ok;
        };
        match worst {
            Condition::Failing => {
                self.failing = true;
                tracing::warn!(part, why = log, "not ready");
            }
            _ => tracing::debug!(part, why = log, "ready, and not all is well"),
        }
        self.reasons.push(Reason { part, words, hint });
        worst
    }
}

/// What is wrong with a disk that says `why`.
fn storage(why: &str) -> (String, &'static str) {
    // As the system words ENOSPC, EDQUOT and EROFS.
    let known = [
        (
            "No space left on device",
            "the disk is full, so the store takes no changes",
            "make room on the disk of --data-dir; it goes on by itself",
        ),
        (
            "Disk quota exceeded",
            "the disk quota is used up, so the store takes no changes",
            "make room on the disk of --data-dir; it goes on by itself",
        ),
        (
            "Read-only file system",
            "the disk can only be read, so the store takes no changes",
            "look why the disk of --data-dir was mounted read-only; when it can be written, it goes on by itself",
        ),
    ];
    let found = known.into_iter().find(|(system, ..)| why.contains(system));
    match found {
        Some((_, words, hint)) => (words.to_owned(), hint),
        None => (
            "the store cannot be written".to_owned(),
            "the log says what the disk answered; when it can be written, it goes on by itself",
        ),
    }
}
