use serde_json::{Map, Value, json};

use crate::app::StartError;
use crate::config::{Exit, PolicyCommand, StoreSettings};
use crate::console::{Answer, Order};
use crate::policy::Part;

use super::order::{another_answer, carry_out};
use super::{block_on, print, report};

/// What problems are called by.
const SUBJECT: &str = "policy";

/// Tells and changes who must have what, as `command` says.
pub fn policy(place: &StoreSettings, command: PolicyCommand) -> Exit {
    block_on(async {
        let done = match command {
            PolicyCommand::Show { json } => show(place, json).await,
            PolicyCommand::Set { key, words } => {
                let order = Order::PolicySet { key, words };
                change(place, order, |part| part.key == key).await
            }
            PolicyCommand::Unset { key } => {
                let order = Order::PolicyUnset { key };
                change(place, order, |part| part.key == key).await
            }
        };
        done.unwrap_or_else(|refused| report(refused.exit, &refused.problem))
    })
}

async fn parts(place: &StoreSettings, order: Order) -> Result<Vec<Part>, StartError> {
    match carry_out(SUBJECT, place, order).await? {
        Answer::Policy(parts) => Ok(parts),
        _ => Err(another_answer(SUBJECT, "a policy")),
    }
}

async fn show(place: &StoreSettings, as_json: bool) -> Result<Exit, StartError> {
    let parts = parts(place, Order::PolicyShow).await?;
    if as_json {
        let members = parts.iter().map(|part| {
            let said = json!({ "value": part.value(), "from": part.source });
            (part.key.name().to_owned(), said)
        });
        let document = Value::Object(members.collect::<Map<_, _>>());
        return Ok(print(format!("{document:#}\n")));
    }
    Ok(print(lines(&parts)))
}

/// Changes the policy, and tells the part that is another now.
async fn change(
    place: &StoreSettings,
    order: Order,
    is_meant: impl Fn(&Part) -> bool,
) -> Result<Exit, StartError> {
    let mut parts = parts(place, order).await?;
    parts.retain(is_meant);
    eprintln!("This holds from now on:");
    Ok(print(lines(&parts)))
}

fn lines(parts: &[Part]) -> String {
    parts.iter().map(|part| format!("{part}\n")).collect()
}
