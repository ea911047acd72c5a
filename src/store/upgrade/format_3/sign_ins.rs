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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::TestStore;
    use serde_json::json;

    const PERSON: [u8; ID] = [1; ID];

    fn row(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn key(id: u8) -> Vec<u8> {
        [PERSON, [id; ID]].concat()
    }

    #[tokio::test]
    async fn sign_ins_under_way_go_on_and_the_settings_page_keeps_its_own() {
        let store = TestStore::create();
        let until = Timestamp::from_unix(1_900_000_000);
        let work = move |tx: &mut Tx<'_>| {
            let challenge = json!({"service": "web", "expires_at": until});
            tx.put_until(&vec![2; ID], &Challenge(row(challenge)), until)?;
            for id in [2, 3] {
                let live = json!({"created_at": 1_800_000_000});
                tx.put_until(&key(id), &LiveOf2(row(live)), until)?;
            }
            for (id, step) in [
                (2, json!({"SignIn": {"state": "ours"}})),
                (4, json!({"Verify": {"state": "theirs"}})),
            ] {
                let ceremony = json!({"created_at": 7, "expires_at": until, "step": step});
                tx.put_until(&key(id), &Ceremony(row(ceremony)), until)?;
            }
            assert_eq!(live(tx, None)?, Some(key(3)));
            assert_eq!(live(tx, Some(&key(3)))?, None);
            assert_eq!(ceremonies(tx, None)?, Some(key(4)));
            assert_eq!(ceremonies(tx, Some(&key(4)))?, None);
            Ok(())
        };
        store.write(work).await.unwrap();
        let all = store.read(|read| {
            let scan = Scan {
                prefix: &[],
                past: None,
                order: Order::Ascending,
                limit: PAGE,
            };
            let one = |rows: Vec<(Vec<u8>, LiveOf2)>| rows.into_iter().map(|(k, r)| (k, r.0));
            let gone: Vec<_> = one(read.list(&scan)?).collect();
            let two = |rows: Vec<(Vec<u8>, LiveOf3)>| rows.into_iter().map(|(k, r)| (k, r.0));
            let live: Vec<_> = two(read.list(&scan)?).collect();
            let three = |rows: Vec<(Vec<u8>, Ceremony)>| rows.into_iter().map(|(k, r)| (k, r.0));
            let settings: Vec<_> = three(read.list(&scan)?).collect();
            let four =
                |rows: Vec<(Vec<u8>, SignInCeremony)>| rows.into_iter().map(|(k, r)| (k, r.0));
            let sign_ins: Vec<_> = four(read.list(&scan)?).collect();
            Ok([gone, live, settings, sign_ins])
        });
        let [gone, live, settings, sign_ins] = all.unwrap();
        assert_eq!(gone, []);
        let at_web = [&PERSON[..], b"web", &[0], &[2; ID]].concat();
        assert_eq!(live, [(at_web, row(json!({"created_at": 1_800_000_000})))]);
        assert_eq!(settings.len(), 1);
        assert_eq!(settings[0].0, key(4));
        let kept = json!({"created_at": 7, "expires_at": until, "state": "ours"});
        assert_eq!(sign_ins, [(key(2), row(kept))]);
    }
}
