use crate::base::{Failure, PersonKey, Timestamp};
use crate::store::{Key, Order, Read, Record, Scan, Store, Tx};

use super::limits::{AuditLimits, Class, DAY, RECORD_BYTES};
use super::operation::Operation;
use super::record::{Due, Entry, Event, UserLog};

/// Seconds within which identical refusals become one record.
pub const REFUSALS_TOGETHER: u64 = 60;
/// Users whose refusals one round writes down.
const ROUND: usize = 64;

/// Records `event`, as far as its user's day has room for it: [`Class::Change`] and [`Class::Certain`] always. What is
/// left out is counted, and the user's next record says how much that was. A refusal waits for others that are like it,
/// and is one record with them: until a minute is over, or until the user's next change, sign-in or lock, so that
/// these stand in the order in which they happened.
///
/// # Errors
/// Those of the store.
pub fn record(
    tx: &mut Tx<'_>,
    limits: &AuditLimits,
    event: Event,
    class: Class,
) -> Result<(), Failure> {
    let (user, now) = (event.person, event.at);
    let mut log = tx.get::<UserLog>(&user)?.unwrap_or_default();
    log.begin_day(now);
    match class {
        Class::Refusal | Class::Step => write_due(tx, &mut log, now)?,
        Class::SignIn | Class::Change | Class::Certain => {
            let held = std::mem::take(&mut log.held);
            held.into_iter()
                .try_for_each(|event| append(tx, &mut log, event))?;
        }
    }
    if class != Class::Refusal {
        if log.take(class, limits) {
            append(tx, &mut log, event)?;
        }
    } else if let Some(held) = log.held.iter_mut().find(|held| held.is_like(&event)) {
        held.count = held.count.saturating_add(1);
        held.last_at = Some(now);
    } else if log.take(class, limits) {
        let due = now.plus(REFUSALS_TOGETHER).unix();
        tx.put(&(due, user), &Due {})?;
        log.held.push(event);
    }
    keep(tx, user, &log, limits)
}

/// Records `event` in any case: see [`Class::Certain`].
///
/// # Errors
/// Those of the store.
pub fn record_certain(tx: &mut Tx<'_>, event: Event) -> Result<(), Failure> {
    record(tx, &AuditLimits::default(), event, Class::Certain)
}

/// Whether `user` may change something on the day of `now`; else how many seconds are left of it.
///
/// # Errors
/// Those of the store.
pub fn may_change(
    read: &dyn Read,
    limits: &AuditLimits,
    user: PersonKey,
    now: Timestamp,
) -> Result<Result<(), u64>, Failure> {
    let mut log = read.get::<UserLog>(&user)?.unwrap_or_default();
    log.begin_day(now);
    Ok(match log.changes < limits.changes_per_day {
        true => Ok(()),
        false => Err(DAY - now.unix() % DAY),
    })
}

/// Whether anything of `user` has been recorded, or counted, within the time that records are kept.
///
/// # Errors
/// Those of the store.
pub fn knows(read: &dyn Read, user: PersonKey) -> Result<bool, Failure> {
    Ok(read.get::<UserLog>(&user)?.is_some())
}

/// Makes records of all refusals whose minute is over at `now`.
///
/// # Errors
/// Those of the store.
pub async fn record_held_refusals(
    store: &Store,
    limits: AuditLimits,
    now: Timestamp,
) -> Result<(), Failure> {
    while store.write(move |tx| write_held(tx, &limits, now)).await? {}
    Ok(())
}

/// One round of [`record_held_refusals`]. True if there may be more.
fn write_held(tx: &mut Tx<'_>, limits: &AuditLimits, now: Timestamp) -> Result<bool, Failure> {
    let due = oldest::<Due>(tx, ROUND)?;
    let is_full = due.len() == ROUND;
    for ((at, user), Due {}) in due {
        // Longer than a minute ahead is a clock that was set back.
        if now.unix() < at && at <= now.unix() + REFUSALS_TOGETHER {
            return Ok(false);
        }
        tx.delete::<Due>(&(at, user));
        if let Some(mut log) = tx.get::<UserLog>(&user)? {
            write_due(tx, &mut log, now)?;
            keep(tx, user, &log, limits)?;
        }
    }
    Ok(is_full)
}

/// Makes records of those refusals in `log` whose minute is over at `now`.
fn write_due(tx: &mut Tx<'_>, log: &mut UserLog, now: Timestamp) -> Result<(), Failure> {
    let is_due = |held: &Event| now < held.at || now.since(held.at) >= REFUSALS_TOGETHER;
    if !log.held.iter().any(is_due) {
        return Ok(());
    }
    let (due, waiting) = std::mem::take(&mut log.held).into_iter().partition(is_due);
    log.held = waiting;
    let due: Vec<Event> = due;
    due.into_iter().try_for_each(|event| append(tx, log, event))
}

fn append(tx: &mut Tx<'_>, log: &mut UserLog, event: Event) -> Result<(), Failure> {
    let event = Event {
        left_out: std::mem::take(&mut log.left_out),
        ..event
    };
    let number = tx.last_number::<Event>()?.saturating_add(1);
    tx.put(&number, &event)?;
    tx.put(&(event.person, number), &Entry {})
}

/// Keeps `log` as long as the records of its day, so that what was left out is stated.
fn keep(
    tx: &mut Tx<'_>,
    user: PersonKey,
    log: &UserLog,
    limits: &AuditLimits,
) -> Result<(), Failure> {
    let until = Timestamp::from_unix((log.day + limits.days + 1) * DAY);
    tx.put_until(&user, log, until)
}

/// Bytes of the records of users, each counted as [`RECORD_BYTES`].
///
/// # Errors
/// Those of the store.
pub fn size(read: &dyn Read) -> Result<u64, Failure> {
    let records = match (oldest::<Event>(read, 1)?.first(), newest(read)?) {
        (Some((first, _)), Some(last)) => last.saturating_sub(*first) + 1,
        _ => 0,
    };
    Ok(records * RECORD_BYTES)
}

/// Removes up to `limit` records of either kind, the oldest first: those that are older at `now` than records are
/// kept, and those of users beyond the bytes that there is room for. True if there may be more.
///
/// Records are numbered as they happened, so the oldest stand first, and no record needs an entry of its
/// own to be found by when its time is up.
///
/// # Errors
/// Those of the store.
pub fn prune(
    tx: &mut Tx<'_>,
    limits: &AuditLimits,
    now: Timestamp,
    limit: usize,
) -> Result<bool, Failure> {
    let first_with_room = match newest(tx)? {
        Some(last) => (last + 1).saturating_sub(limits.most_records()),
        None => 0,
    };
    let retention = limits.days * DAY;
    let mut removed = 0;
    for (number, event) in oldest::<Event>(tx, limit)? {
        if number >= first_with_room && now.since(event.at) <= retention {
            break;
        }
        tx.delete::<Event>(&number);
        tx.delete::<Entry>(&(event.person, number));
        removed += 1;
    }
    let mut operations = 0;
    for (number, operation) in oldest::<Operation>(tx, limit)? {
        if now.since(operation.at) <= retention {
            break;
        }
        tx.delete::<Operation>(&number);
        operations += 1;
    }
    Ok(removed == limit || operations == limit)
}

/// The first `limit` rows.
fn oldest<R: Record>(read: &dyn Read, limit: usize) -> Result<Vec<(R::Key, R)>, Failure> {
    read.list::<R>(&Scan {
        prefix: &[],
        past: None,
        order: Order::Ascending,
        limit,
    })
}

/// The number of the last record.
fn newest(read: &dyn Read) -> Result<Option<u64>, Failure> {
    let last = read.list::<Event>(&Scan {
        prefix: &[],
        past: None,
        order: Order::Descending,
        limit: 1,
    })?;
    Ok(last.first().map(|(number, _)| *number))
}

/// At most `limit` records about `person`, the newest first, with numbers below `before`.
///
/// Refusals of the running minute come first. Their numbers are those that they would get now.
///
/// # Errors
/// Those of the store.
pub fn history(
    read: &dyn Read,
    person: PersonKey,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<(u64, Event)>, Failure> {
    let last = newest(read)?.unwrap_or(0);
    let held = read.get::<UserLog>(&person)?.unwrap_or_default().held;
    let mut records: Vec<(u64, Event)> = (last + 1..)
        .zip(held)
        .filter(|(number, _)| before.is_none_or(|before| *number < before))
        .collect();
    records.reverse();
    records.truncate(limit);
    let past = before.map(|number| (person, number).encode());
    let scan = Scan {
        prefix: person.as_bytes(),
        past: past.as_deref(),
        order: Order::Descending,
        limit: limit - records.len(),
    };
    for ((_, number), _) in read.list::<Entry>(&scan)? {
        if let Some(event) = read.get::<Event>(&number)? {
            records.push((number, event));
        }
    }
    Ok(records)
}
