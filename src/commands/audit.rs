use std::fmt::Write;

use serde_json::json;

use crate::app::StartError;
use crate::audit::Operation;
use crate::base::terminal_text;
use crate::config::{AuditCommand, Exit, StoreSettings};
use crate::console::{Answer, Order};

use super::order::{another_answer, carry_out};
use super::{block_on, print, report};

/// What problems are called by.
const SUBJECT: &str = "audit";

/// Tells what was done to the server, as `command` says.
pub fn audit(place: &StoreSettings, command: &AuditCommand) -> Exit {
    block_on(async {
        match lines(place, command.limit).await {
            Ok(lines) if command.json => print(for_programs(&lines)),
            Ok(lines) => print(words(&lines)),
            Err(refused) => report(refused.exit, &refused.problem),
        }
    })
}

/// The newest first.
async fn lines(place: &StoreSettings, limit: usize) -> Result<Vec<(u64, Operation)>, StartError> {
    match carry_out(SUBJECT, place, Order::Operations { limit }).await? {
        Answer::Operations(lines) => Ok(lines),
        _ => Err(another_answer(SUBJECT, "what was done")),
    }
}

fn words(lines: &[(u64, Operation)]) -> String {
    let mut text = String::new();
    for (_, line) in lines {
        let _ = write!(text, "{}  {}", line.at, line.action);
        for more in [&line.about, &line.reason].into_iter().flatten() {
            // What an order named must not steer a terminal. Writing into a text does not fail.
            let _ = write!(text, "  {}", terminal_text(more));
        }
        text.push('\n');
    }
    text
}

/// For programs; all times are RFC 3339.
fn for_programs(lines: &[(u64, Operation)]) -> String {
    let rows: Vec<_> = lines
        .iter()
        .map(|(number, line)| {
            json!({
                "id": number,
                "at": line.at.to_string(),
                "action": line.action,
                "about": line.about,
                "reason": line.reason,
            })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::Array(rows))
}
