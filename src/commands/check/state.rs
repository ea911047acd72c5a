//! What a store, or the server that has it open, says of itself.

use crate::base::{Clock, SystemClock};
use crate::config::{Exit, Settings};
use crate::console::Status;

use super::{failed, warning};

/// Seconds after which a letter has waited for long: 15 minutes.
const LETTER_WAITS: u64 = 15 * 60;

/// What the store says of itself.
pub(super) fn tell(settings: &Settings, status: &Status, named: bool) -> Exit {
    if named {
        println!("note: store {}, epoch {}", status.store, status.epoch);
    }
    match status.last_copy {
        Some(at) => println!(
            "note: the last backup was made {at}, {} ago",
            span(SystemClock.now().since(at))
        ),
        None => println!("note: no backup was made yet (mfad backup)"),
    }
    let now = SystemClock.now();
    if let Some(at) = status
        .oldest_letter
        .filter(|at| now.since(*at) > LETTER_WAITS)
    {
        warning(
            "mail",
            format!(
                "letters wait to leave, the oldest for {}",
                span(now.since(at))
            ),
            "see below what the SMTP server says; a letter is given up after three days",
        );
    }
    let limits = &settings.limits.audit;
    if let Some(percent) = limits.nearly_full(status.history_bytes) {
        warning(
            "history",
            format!("the histories of users have filled {percent} % of --audit-max-mib"),
            &format!(
                "raise it, or let it be: once it is full, the oldest records go before they are {} days old",
                limits.days
            ),
        );
    }
    if let Some(why) = &status.copies {
        return failed(
            Exit::Io,
            "the backup that was due",
            why,
            "check --backup-dir: the folder must be there, be writable by the server and have space",
        );
    }
    match &status.clock {
        Some(why) => failed(
            Exit::Temporary,
            "the clock",
            why,
            "set the clock right; if it is right, mfad clock accept",
        ),
        None => Exit::Ok,
    }
}

/// A span of time, to the day, hour or minute.
fn span(seconds: u64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let unit = units.into_iter().find(|(unit, _)| seconds >= *unit);
    match unit.map(|(unit, name)| (seconds / unit, name)) {
        None => "less than a minute".to_owned(),
        Some((1, name)) => format!("1 {name}"),
        Some((number, name)) => format!("{number} {name}s"),
    }
}
