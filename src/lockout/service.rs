use crate::base::{Failure, PersonKey, Timestamp};
use crate::store::{Order, Read, Scan, Store, Tx};

use super::phantom;
use super::record::PhantomTally;
use super::rule::{Standing, Tally};

/// More kinds of factors than there are.
const MOST_KINDS: usize = 64;

/// Whether answers of this `kind` of factor may be judged.
///
/// # Errors
/// Those of the store.
pub fn standing(
    read: &dyn Read,
    person: PersonKey,
    kind: &str,
    now: Timestamp,
) -> Result<Standing, Failure> {
    let tally: Option<Tally> = read.get(&(person, kind.to_owned()))?;
    Ok(tally.unwrap_or_default().standing(now))
}

/// Counts a wrong answer. Gives the tally with it.
///
/// # Errors
/// Those of the store.
pub fn miss(
    tx: &mut Tx<'_>,
    person: PersonKey,
    kind: &str,
    now: Timestamp,
) -> Result<Tally, Failure> {
    let key = (person, kind.to_owned());
    let tally = tx.get::<Tally>(&key)?.unwrap_or_default().missed(now);
    tx.put(&key, &tally)?;
    Ok(tally)
}

/// Forgets the misses of this `kind` alone: after a right answer of it, when
/// it is set up anew, or when somebody brings it back.
///
/// # Errors
/// Those of the store.
pub fn clear(tx: &mut Tx<'_>, person: PersonKey, kind: &str) -> Result<(), Failure> {
    let key = (person, kind.to_owned());
    if tx.get::<Tally>(&key)?.is_some() {
        tx.delete::<Tally>(&key);
    }
    Ok(())
}

/// Returns the failure counter of each kind of factor that `person` has one for.
///
/// # Errors
/// Those of the store.
pub fn tallies(read: &dyn Read, person: PersonKey) -> Result<Vec<(String, Tally)>, Failure> {
    let scan = Scan {
        prefix: person.as_bytes(),
        past: None,
        order: Order::Ascending,
        limit: MOST_KINDS,
    };
    let rows = read.list::<Tally>(&scan)?;
    Ok(rows
        .into_iter()
        .map(|((_, kind), tally)| (kind, tally))
        .collect())
}

/// Forgets the failures of `person` with every kind of factor.
///
/// # Errors
/// Those of the store.
pub fn clear_all(tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
    for (kind, _) in tallies(tx, person)? {
        tx.delete::<Tally>(&(person, kind));
    }
    Ok(())
}

/// In a store that was brought back from a copy, tallies are as strict as those of the store whose place it takes.
/// Where these are not known, whoever had missed has no free misses left. Phantoms fare like the others.
///
/// # Errors
/// Those of the stores.
pub async fn heal(store: &Store, replaced: Option<Store>, now: Timestamp) -> Result<(), Failure> {
    let Some(replaced) = replaced else {
        store
            .each::<Tally, (), _>(move |tx, key, tally| {
                tx.put(key, &tally.without_grace())?;
                Ok(None)
            })
            .await?;
        let strict = move |tx: &mut Tx<'_>, key: &(PersonKey, String), phantom: PhantomTally| {
            phantom::put(tx, key, phantom.0.without_grace(), now)?;
            Ok(None)
        };
        return store.each::<PhantomTally, (), _>(strict).await.map(drop);
    };
    let later = replaced
        .each::<Tally, _, _>(move |_, key, tally| Ok(Some((key.clone(), tally))))
        .await?;
    for (key, tally) in later {
        store
            .write(move |tx| {
                let own = tx.get::<Tally>(&key)?.unwrap_or_default();
                tx.put(&key, &own.or(tally))
            })
            .await?;
    }
    let later = replaced
        .each::<PhantomTally, _, _>(move |_, key, phantom| Ok(Some((key.clone(), phantom.0))))
        .await?;
    for (key, tally) in later {
        store
            .write(move |tx| {
                let own = tx.get::<PhantomTally>(&key)?.unwrap_or_default().0;
                phantom::put(tx, &key, own.or(tally), now)
            })
            .await?;
    }
    Ok(())
}
