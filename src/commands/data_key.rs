use std::fmt::Write;

use serde_json::json;

use crate::app::StartError;
use crate::config::{DataKeyCommand, Exit, StoreSettings};
use crate::console::{Answer, Order};
use crate::crypto::DataKey;

use super::order::{another_answer, carry_out};
use super::{block_on, print, report};

/// What problems are called by.
const SUBJECT: &str = "data-key";

/// Tells and rotates the keys that seal the store, as `command` says.
pub fn data_key(place: &StoreSettings, command: DataKeyCommand) -> Exit {
    let (order, as_json) = match command {
        DataKeyCommand::List { json } => (Order::DataKeyList, json),
        DataKeyCommand::Rotate => (Order::DataKeyRotate, false),
    };
    block_on(async {
        match keys(place, order).await {
            Ok((keys, resealed)) if as_json => print(for_programs(&keys, resealed)),
            Ok((keys, resealed)) => print(words(&keys, resealed)),
            Err(refused) => report(refused.exit, &refused.problem),
        }
    })
}

async fn keys(place: &StoreSettings, order: Order) -> Result<(Vec<DataKey>, u64), StartError> {
    match carry_out(SUBJECT, place, order).await? {
        Answer::DataKeys { keys, resealed } => Ok((keys, resealed)),
        _ => Err(another_answer(SUBJECT, "its keys")),
    }
}

/// A line a key, the newest first.
fn words(keys: &[DataKey], resealed: u64) -> String {
    let mut text = String::new();
    let newest = keys.last().map(|key| key.term);
    for DataKey { term, since } in keys.iter().rev() {
        let _ = write!(text, "{term}  ");
        let _ = match (newest == Some(*term), since) {
            (true, Some(since)) => writeln!(text, "seals, since {since}"),
            (true, None) => writeln!(text, "seals, since the store was made"),
            (false, _) => writeln!(
                text,
                "seals no more; what it sealed is being sealed anew ({resealed} rows so far)"
            ),
        };
    }
    text
}

/// For programs; all times are RFC 3339.
fn for_programs(keys: &[DataKey], resealed: u64) -> String {
    let newest = keys.last().map(|key| key.term);
    let rows = keys.iter().rev().map(|key| {
        json!({
            "key": key.term,
            "since": key.since.map(|at| at.to_string()),
            "seals": newest == Some(key.term),
        })
    });
    let rows: Vec<_> = rows.collect();
    format!("{:#}\n", json!({"keys": rows, "resealed_rows": resealed}))
}
