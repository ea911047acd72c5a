//! From format 1 to 2. Users are found by names in the form that directories compare, are in a set of tenants, and
//! may have given up names; a login service says what an unknown user means to it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use unicode_normalization::UnicodeNormalization;

use crate::base::{Failure, prepared_address, prepared_name};
use crate::crypto::{CodeHash, Sealer};

use super::super::table::Record;
use super::super::tx::{Order, Scan, Tx};
use super::Step;

/// Rows of one pass.
const PAGE: usize = 256;
/// Characters of a name at the most.
const LONGEST: usize = 255;

pub const STEP: Step = Step {
    says: "names of users are compared as directories compare them, a user is in a set of tenants, and each login \
           service says what an unknown user means to it",
    passes: &[people, services],
};

/// A row as it is, but for what the step looks at.
type Fields = Map<String, Value>;

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct PersonOf1(Fields);

impl Record for PersonOf1 {
    type Key = Vec<u8>;
    const TABLE: &'static str = "people";
    const VERSION: u8 = 1;
}

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
struct ServiceOf1(Fields);

impl Record for ServiceOf1 {
    type Key = Vec<u8>;
    const TABLE: &'static str = "services";
    const VERSION: u8 = 1;
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct ServiceOf2(Fields);

impl Record for ServiceOf2 {
    type Key = Vec<u8>;
    const TABLE: &'static str = "services";
    const VERSION: u8 = 2;
}

/// Stands under the hash of the name and the person's key; the row itself says nothing.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Bearer(Fields);

impl Record for Bearer {
    type Key = Vec<u8>;
    const TABLE: &'static str = "people by name";
    const VERSION: u8 = 1;
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

/// `tenant` becomes `tenants`, of which it is not known when they were last seen; `names` are hashes of other forms.
fn people(tx: &mut Tx<'_>, past: Option<&[u8]>) -> Result<Option<Vec<u8>>, Failure> {
    let rows = page::<PersonOf1>(tx, past)?;
    let last = rows.last().map(|(key, _)| key.clone());
    for (person, PersonOf1(mut fields)) in rows {
        let tenants: Vec<Value> = match fields.remove("tenant") {
            Some(Value::String(tenant)) => vec![json!({"tenant": tenant, "seen_at": null})],
            _ => Vec::new(),
        };
        let known = |kind: &str| hash_in(&fields, kind);
        let before = [known("username"), known("email")];
        let names = Names::of(tx.sealer(), &fields, before);
        for hash in before.into_iter().flatten() {
            tx.delete::<Bearer>(&[hash.as_bytes().as_slice(), &person].concat());
        }
        for hash in [names.username, names.email].into_iter().flatten() {
            let key = [hash.as_bytes().as_slice(), &person].concat();
            tx.put(&key, &Bearer(Fields::new()))?;
        }
        let names = serde_json::to_value(names).map_err(Failure::internal)?;
        fields.insert("tenants".to_owned(), tenants.into());
        fields.insert("names".to_owned(), names);
        fields.insert("given_up".to_owned(), json!([]));
        tx.put(&person, &PersonOf2(fields))?;
    }
    Ok(last)
}

/// `unknown` was never set.
fn services(tx: &mut Tx<'_>, past: Option<&[u8]>) -> Result<Option<Vec<u8>>, Failure> {
    let rows = page::<ServiceOf1>(tx, past)?;
    let last = rows.last().map(|(key, _)| key.clone());
    for (id, ServiceOf1(mut fields)) in rows {
        if let Some(Value::Object(service)) = fields.get_mut("service") {
            service.insert("unknown".to_owned(), Value::Null);
        }
        tx.put(&id, &ServiceOf2(fields))?;
    }
    Ok(last)
}

/// The hashes under which a person is found in format 2.
#[derive(Serialize)]
struct Names {
    username: Option<CodeHash>,
    email: Option<CodeHash>,
}

fn hash_in(fields: &Fields, kind: &str) -> Option<CodeHash> {
    let hash = fields.get("names")?.get(kind)?;
    CodeHash::try_from(hash.as_str()?.to_owned()).ok()
}

impl Names {
    fn of(keys: &Sealer, fields: &Fields, [_, email]: [Option<CodeHash>; 2]) -> Names {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let issuer = text("issuer").as_bytes();
        let hash = |kind: &[u8], form: &str| keys.code_hash(&[b"name", kind, issuer], form);
        let fits = |name: &&str| name.chars().take(LONGEST + 1).count() <= LONGEST;
        let username = Some(text("username")).filter(fits).and_then(prepared_name);
        // Only an address that the issuer had verified was a name, and only its hash says so. The token may have
        // spelled its domain in letters beyond ASCII.
        let address = text("email");
        let spelled = address.rsplit_once('@').map(|(local, domain)| {
            let (domain, _) = idna::domain_to_unicode(domain);
            format!("{local}@{domain}")
        });
        let was_name = [Some(address.to_owned()), spelled]
            .into_iter()
            .flatten()
            .any(|address| email.is_some() && email == Some(hash(b"email", &form_of_1(&address))));
        let address = Some(address)
            .filter(|_| was_name)
            .and_then(prepared_address);
        Names {
            username: username.map(|form| hash(b"username", &form)),
            email: address.map(|form| hash(b"email", &form)),
        }
    }
}

/// The form in which format 1 compared names.
fn form_of_1(name: &str) -> String {
    name.nfc().collect::<String>().to_lowercase()
}
