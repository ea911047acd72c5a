//! From format 2 to 3. A user may have several former addresses, the history of a user is bounded, and sign-ins under
//! way are counted for each login service.

mod sign_ins;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::base::Failure;

use super::super::table::Record;
use super::super::tx::{Order, Scan, Tx};
use super::Step;

/// Rows of one pass.
const PAGE: usize = 256;

pub const STEP: Step = Step {
    says: "users keep several former addresses for notifications, what one user adds to the history is bounded, and \
           sign-ins under way are counted for each login service",
    passes: &[people, sign_ins::live, sign_ins::ceremonies],
};

/// A row as it is, but for what the step looks at.
type Fields = Map<String, Value>;

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct PersonOf2(Fields);

impl Record for PersonOf2 {
    type Key = Vec<u8>;
    const TABLE: &'static str = "people";
    const VERSION: u8 = 2;
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct PersonOf3(Fields);

impl Record for PersonOf3 {
    type Key = Vec<u8>;
    const TABLE: &'static str = "people";
    const VERSION: u8 = 3;
}

/// An authenticator app: that it is there is all that is read of it.
#[derive(Serialize, Deserialize)]
struct App {}

impl Record for App {
    type Key = Vec<u8>;
    const TABLE: &'static str = "totp";
}

/// A mailbox for codes, as well.
#[derive(Serialize, Deserialize)]
struct Mailbox {}

impl Record for Mailbox {
    type Key = Vec<u8>;
    const TABLE: &'static str = "email";
}

/// Security keys; the row stays when the last is removed.
#[derive(Serialize, Deserialize)]
struct Keys {
    credentials: Vec<Value>,
}

impl Record for Keys {
    type Key = Vec<u8>;
    const TABLE: &'static str = "webauthn";
}

fn has_factor(tx: &Tx<'_>, person: &Vec<u8>) -> Result<bool, Failure> {
    let keys = tx.get::<Keys>(person)?;
    Ok(tx.get::<App>(person)?.is_some()
        || tx.get::<Mailbox>(person)?.is_some()
        || keys.is_some_and(|keys| !keys.credentials.is_empty()))
}

/// `former_email` becomes one of `former_emails`. Where the factors of a user were confirmed is not known, so the address
/// that is known counts; the one before may be where they were, so no other pushes it out.
fn people(tx: &mut Tx<'_>, past: Option<&[u8]>) -> Result<Option<Vec<u8>>, Failure> {
    let rows = tx.list::<PersonOf2>(&Scan {
        prefix: &[],
        past,
        order: Order::Ascending,
        limit: PAGE,
    })?;
    let last = rows.last().map(|(key, _)| key.clone());
    for (person, PersonOf2(mut fields)) in rows {
        let has_factor = has_factor(tx, &person)?;
        let enrolled = match has_factor {
            true => fields.get("email").cloned().unwrap_or_default(),
            false => Value::Null,
        };
        let former = match fields.remove("former_email") {
            Some(Value::Array(former)) => match former.as_slice() {
                [address, until] => {
                    json!([{"address": address, "until": until, "is_enrolled": has_factor}])
                }
                _ => json!([]),
            },
            _ => json!([]),
        };
        fields.insert("enrolled_email".to_owned(), enrolled);
        fields.insert("former_emails".to_owned(), former);
        tx.put(&person, &PersonOf3(fields))?;
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::TestStore;

    /// A user as format 2 had them, and as format 3 has them.
    #[tokio::test]
    async fn the_address_that_is_known_counts_as_enrolled_of_users_with_a_factor() {
        let own = "alice@example.com";
        let former = json!(["old@example.com", 1_800_000_000]);
        let kept = |is_enrolled: bool| json!([{"address": "old@example.com", "until": 1_800_000_000, "is_enrolled": is_enrolled}]);
        let none = Value::Null;
        // Which factor, what was known, and what is known then.
        let table = [
            ("", json!(own), former.clone(), none.clone(), kept(false)),
            ("", none.clone(), none.clone(), none.clone(), json!([])),
            ("totp", json!(own), former.clone(), json!(own), kept(true)),
            ("email", json!(own), none.clone(), json!(own), json!([])),
            ("webauthn", json!(own), none.clone(), json!(own), json!([])),
            (
                "keys removed",
                json!(own),
                none.clone(),
                none.clone(),
                json!([]),
            ),
            ("totp", none.clone(), none.clone(), none, json!([])),
        ];
        let store = TestStore::create();
        for (number, (factor, email, former, enrolled, formers)) in (1..).zip(table) {
            let person = vec![number; 16];
            let was = json!({"subject": "alice", "email": email, "former_email": former});
            let is = store.write({
                let person = person.clone();
                move |tx| {
                    let Value::Object(fields) = was.clone() else {
                        return Ok(None);
                    };
                    tx.put(&person, &PersonOf2(fields))?;
                    let key = |credentials| Keys { credentials };
                    match factor {
                        "totp" => tx.put(&person, &App {})?,
                        "email" => tx.put(&person, &Mailbox {})?,
                        "webauthn" => tx.put(&person, &key(vec![json!({})]))?,
                        "keys removed" => tx.put(&person, &key(Vec::new()))?,
                        _ => {}
                    }
                    let past = [number - 1; 16];
                    assert_eq!(people(tx, Some(&past))?, Some(person.clone()));
                    assert_eq!(people(tx, Some(&person))?, None);
                    tx.get::<PersonOf3>(&person)
                }
            });
            let is = Value::Object(is.await.unwrap().unwrap().0);
            let expected = json!({
                "subject": "alice", "email": email, "enrolled_email": enrolled, "former_emails": formers,
            });
            assert_eq!(is, expected, "{factor}");
        }
    }
}
