use std::fmt::Write;

use serde_json::json;

use crate::app::StartError;
use crate::config::{Exit, SigningKeyCommand, StoreSettings};
use crate::console::{Answer, Order};
use crate::signing::PublishedKey;

use super::order::{another_answer, carry_out};
use super::{block_on, print, report};

/// What problems are called by.
const SUBJECT: &str = "signing-key";

/// Tells and rotates the keys that sign results, as `command` says.
pub fn signing_key(place: &StoreSettings, command: SigningKeyCommand) -> Exit {
    block_on(async {
        let done = match command {
            SigningKeyCommand::List { json } => {
                keys(place, Order::SigningKeyList)
                    .await
                    .map(|keys| match json {
                        true => print(as_json(&keys)),
                        false => print(words(&keys)),
                    })
            }
            SigningKeyCommand::Rotate => {
                let rotated = keys(place, Order::SigningKeyRotate).await;
                rotated.map(|keys| print(words(&keys)))
            }
        };
        done.unwrap_or_else(|refused| report(refused.exit, &refused.problem))
    })
}

async fn keys(place: &StoreSettings, order: Order) -> Result<Vec<PublishedKey>, StartError> {
    match carry_out(SUBJECT, place, order).await? {
        Answer::SigningKeys(keys) => Ok(keys),
        _ => Err(another_answer(SUBJECT, "its keys")),
    }
}

/// A line a key.
fn words(keys: &[PublishedKey]) -> String {
    keys.iter().fold(String::new(), |mut text, key| {
        let kid = &key.kid;
        let _ = match (key.signs, key.signs_until, key.gone_at) {
            (true, None, _) => writeln!(text, "{kid}  signs, since {}", key.signs_from),
            (true, Some(until), _) => writeln!(text, "{kid}  signs, until {until}"),
            (false, None, _) => writeln!(text, "{kid}  published, signs from {}", key.signs_from),
            (false, Some(_), Some(gone)) => {
                writeln!(text, "{kid}  signs no more, published until {gone}")
            }
            (false, Some(until), None) => writeln!(text, "{kid}  signs until {until}"),
        };
        text
    })
}

/// For programs; all times are RFC 3339.
fn as_json(keys: &[PublishedKey]) -> String {
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            json!({
                "kid": key.kid,
                "published_at": key.published_at.to_string(),
                "signs": key.signs,
                "signs_from": key.signs_from.to_string(),
                "signs_until": key.signs_until.map(|at| at.to_string()),
                "gone_at": key.gone_at.map(|at| at.to_string()),
            })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::Array(rows))
}
