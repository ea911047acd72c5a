//! Sign-ins under way stand under their login service, and the assertions begun for them have a table of their own.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Failure, Timestamp};

use super::super::super::table::Record;
use super::super::super::tx::{Order, Scan, Tx};

/// Rows of one pass.
const PAGE: usize = 256;
/// Bytes of a user's key, and of a challenge's.
const ID: usize = 16;

macro_rules! rows {
    ($($name:ident = $table:literal;)*) => {$(
        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        struct $name(Map<String, Value>);

        impl Record for $name {
            type Key = Vec<u8>;
            const TABLE: &'static str = $table;
            const VERSION: u8 = 1;
        }
    )*};
}

rows! {
    Challenge = "challenge";
    // Under the user and the challenge.
    LiveOf2 = "challenge by person";
    // Under the user, the service, a zero byte and the challenge.
    LiveOf3 = "challenge by service";
    // Under the user and the challenge: of the settings page and, in format 2, of sign-ins too.
    Ceremony = "webauthn ceremony";
    SignInCeremony = "webauthn sign-in";
}

fn page<R: Record<Key = Vec<u8>>>(
    tx: &Tx<'_>,
    past: Option<&[u8]>,
) -> Result<Vec<(Vec<u8>, R)>, Failure> {
    tx.list::<R>(&Scan {
        prefix: &[],
        past,
        order: Order::Ascending,
        limit: PAGE,
    })
}

fn moment(row: &Map<String, Value>) -> Option<Timestamp> {
    serde_json::from_value(row.get("expires_at")?.clone()).ok()
}

/// A row whose challenge is gone finds nothing, and goes too.
pub fn live(tx: &mut Tx<'_>, past: Option<&[u8]>) -> Result<Option<Vec<u8>>, Failure> {
    let rows = page::<LiveOf2>(tx, past)?;
    let last = rows.last().map(|(key, _)| key.clone());
    for (key, LiveOf2(row)) in rows {
        tx.delete::<LiveOf2>(&key);
        let Some((person, id)) = key.split_at_checked(ID) else {
            continue;
        };
        let Some(Challenge(challenge)) = tx.get::<Challenge>(&id.to_vec())? else {
            continue;
        };
        let service = challenge.get("service").and_then(Value::as_str);
        if let (Some(service), Some(expires_at)) = (service, moment(&challenge)) {
            let key = [person, service.as_bytes(), &[0], id].concat();
            tx.put_until(&key, &LiveOf3(row), expires_at)?;
        }
    }
    Ok(last)
}

/// Those of the settings page stay where they are.
pub fn ceremonies(tx: &mut Tx<'_>, past: Option<&[u8]>) -> Result<Option<Vec<u8>>, Failure> {
    let rows = page::<Ceremony>(tx, past)?;
    let last = rows.last().map(|(key, _)| key.clone());
    for (key, Ceremony(mut row)) in rows {
        let state = row.get("step").and_then(|step| step.get("SignIn"));
        let Some(state) = state.and_then(|step| step.get("state")).cloned() else {
            continue;
        };
        tx.delete::<Ceremony>(&key);
        if let Some(expires_at) = moment(&row) {
            row.remove("step");
            row.insert("state".to_owned(), state);
            tx.put_until(&key, &SignInCeremony(row), expires_at)?;
        }
    }
    Ok(last)
}
