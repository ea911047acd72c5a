use crate::base::{Failure, PersonKey, Timestamp};
use crate::store::{Key, Order, Read, Record, Scan, Tx};

use super::operation::Operation;
use super::record::{Entry, Event, RETENTION};

/// Writes one line.
///
/// # Errors
/// Those of the store.
pub fn append(tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
    let number = tx.last_number::<Event>()?.saturating_add(1);
    tx.put(&number, event)?;
    tx.put(&(event.person, number), &Entry {})
}

/// Removes up to `limit` lines of either kind that are older than [`RETENTION`] at `now`. True where more may be.
///
/// Lines are numbered as they happened, so the oldest stand first, and no line needs an entry of its
/// own to be found by when its time is up.
///
/// # Errors
/// Those of the store.
pub fn prune(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<bool, Failure> {
    let mut removed = 0;
    for (number, event) in oldest::<Event>(tx, limit)? {
        if now.since(event.at) <= RETENTION {
            break;
        }
        tx.delete::<Event>(&number);
        tx.delete::<Entry>(&(event.person, number));
        removed += 1;
    }
    let mut operations = 0;
    for (number, operation) in oldest::<Operation>(tx, limit)? {
        if now.since(operation.at) <= RETENTION {
            break;
        }
        tx.delete::<Operation>(&number);
        operations += 1;
    }
    Ok(removed == limit || operations == limit)
}

/// The first `limit` lines.
fn oldest<R: Record<Key = u64>>(read: &dyn Read, limit: usize) -> Result<Vec<(u64, R)>, Failure> {
    let scan = Scan {
        prefix: &[],
        past: None,
        order: Order::Ascending,
        limit,
    };
    read.list::<R>(&scan)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Actor, Operation, Origin, Outcome, note, operations};
    use crate::base::{OsEntropy, RequestId};
    use crate::store::testing::TestStore;

    #[tokio::test]
    async fn lines_are_kept_for_400_days_and_no_longer() {
        let store = TestStore::create();
        let (person, start) = (PersonKey([7; 16]), Timestamp::from_unix(1_800_000_000));
        let origin = Origin {
            request: RequestId::draw(&OsEntropy).unwrap(),
            ip: None,
        };
        let event = move |day: u64| Event {
            at: start.plus(day * 86_400),
            person,
            actor: Actor::Person,
            action: "totp.enable".to_owned(),
            outcome: Outcome::Done,
            reason: None,
            factor: None,
            device: None,
            origin,
        };
        for day in 0..6 {
            let operation = Operation::new(event(day).at, "settings.reload", None);
            store
                .write(move |tx| {
                    note(tx, &operation)?;
                    append(tx, &event(day))
                })
                .await
                .unwrap();
        }
        let days = || {
            let lines = store.read(|read| history(read, person, None, 100)).unwrap();
            lines
                .iter()
                .map(|(number, _)| number - 1)
                .collect::<Vec<_>>()
        };
        let now = start.plus(RETENTION + 3 * 86_400);
        assert!(store.write(move |tx| prune(tx, now, 2)).await.unwrap());
        assert_eq!(days(), [5, 4, 3, 2]);
        assert!(!store.write(move |tx| prune(tx, now, 2)).await.unwrap());
        assert_eq!(days(), [5, 4, 3]);
        let kept = store.read(|read| operations(read, None, 100)).unwrap();
        assert_eq!(
            kept.iter()
                .map(|(number, _)| number - 1)
                .collect::<Vec<_>>(),
            [5, 4, 3]
        );
        // Numbers go on where they were.
        store.write(move |tx| append(tx, &event(6))).await.unwrap();
        assert_eq!(days(), [6, 5, 4, 3]);
    }
}
