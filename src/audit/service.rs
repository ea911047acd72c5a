use crate::base::{Failure, PersonKey};
use crate::store::{Key, Order, Read, Scan, Tx};

use super::record::{Entry, Event, RETENTION};

/// Writes one line.
///
/// # Errors
/// Those of the store.
pub fn append(tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
    let number = tx.last_number::<Event>()?.saturating_add(1);
    let expires = event.at.plus(RETENTION);
    tx.put_until(&number, event, expires)?;
    tx.put_until(&(event.person, number), &Entry {}, expires)
}

/// At most `limit` lines about `person`, the newest first, older than line number `before`.
///
/// # Errors
/// Those of the store.
pub fn history(
    read: &dyn Read,
    person: PersonKey,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<(u64, Event)>, Failure> {
    let past = before.map(|number| (person, number).encode());
    let scan = Scan {
        prefix: person.as_bytes(),
        past: past.as_deref(),
        order: Order::Descending,
        limit,
    };
    let entries = read.list::<Entry>(&scan)?;
    let mut lines = Vec::with_capacity(entries.len());
    for ((_, number), _) in entries {
        if let Some(event) = read.get::<Event>(&number)? {
            lines.push((number, event));
        }
    }
    Ok(lines)
}
