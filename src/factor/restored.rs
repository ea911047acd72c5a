//! People whose backup codes became void when the store was brought back from a copy: a line in their history at
//! once, and a mail when the server starts, which alone knows the mail server.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audit::{self, Actor, Event, Origin};
use crate::base::{Failure, PersonKey, RequestId, Timestamp};
use crate::mail::{BackupCodesVoid, Occasion};
use crate::people::Wish;
use crate::store::{Order, Record, Scan, Store};

use super::{By, Desk, Healing};

/// What stands in the history of somebody whose backup codes became void.
pub(super) const VOID: &str = "backup_codes.void";
/// What stands in the history of somebody whose browsers are no longer trusted.
pub(super) const DISTRUSTED: &str = "trusted_device.void";
/// People in one transaction.
const BATCH: usize = 256;
/// People who are told in one round.
const ROUND: usize = 64;

/// Somebody who is to be told that their backup codes are void.
#[derive(Serialize, Deserialize)]
struct Untold {
    /// Since when they are.
    at: Timestamp,
}

impl Record for Untold {
    type Key = PersonKey;
    const TABLE: &'static str = "told of void codes at the next start";
}

/// Writes the line `action` into the history of each of `people`.
pub(super) async fn write_down(
    store: &Store,
    action: &'static str,
    people: &[PersonKey],
    healing: &Healing,
) -> Result<(), Failure> {
    let (at, request) = (healing.now, healing.request);
    for some in people.chunks(BATCH) {
        let some = some.to_vec();
        let written = store.write(move |tx| {
            some.iter().try_for_each(|person| {
                let origin = Origin { request, ip: None };
                let event = Event::done(at, *person, Actor::System, action, origin);
                audit::record_certain(tx, event)
            })
        });
        written.await?;
    }
    Ok(())
}

/// Remembers that `people` are to be told that their backup codes are void since `at`.
pub(super) async fn remember(
    store: &Store,
    people: &[PersonKey],
    at: Timestamp,
) -> Result<(), Failure> {
    for some in people.chunks(BATCH) {
        let some = some.to_vec();
        let noted = store.write(move |tx| {
            some.iter()
                .try_for_each(|person| tx.put(person, &Untold { at }))
        });
        noted.await?;
    }
    Ok(())
}

/// Tells people that their backup codes became void while no server ran, and then waits for ever. After a failure it
/// tries again in `retry`.
pub async fn tell_of_void_codes(desk: &Arc<Desk>, retry: Duration) {
    loop {
        match round(desk).await {
            Ok(true) => {}
            // A store is brought back where no server runs.
            Ok(false) => return std::future::pending().await,
            Err(failure) => {
                tracing::warn!(?failure, "people cannot be told of void backup codes");
                tokio::time::sleep(retry).await;
            }
        }
    }
}

/// Tells some. True where more are to be told.
async fn round(desk: &Arc<Desk>) -> Result<bool, Failure> {
    let tools = &desk.tools;
    let scan = Scan {
        prefix: &[],
        past: None,
        order: Order::Ascending,
        limit: ROUND,
    };
    let untold = tools.store.read(|read| read.list::<Untold>(&scan))?;
    for (person, Untold { at }) in &untold {
        let by = By {
            key: *person,
            person: None,
            session: None,
            actor: Actor::System,
            origin: Origin {
                request: RequestId::draw(&*tools.entropy)?,
                ip: None,
            },
            wish: Wish::default(),
            challenge: None,
        };
        let (person, at) = (*person, *at);
        // Its line stands in the history since the store was brought back.
        let told = desk.prepare(by, VOID, move |deed| {
            deed.tx.delete::<Untold>(&person);
            let codes = deed.desk.factors.backup_codes.left(deed.tx, person)?;
            // Whoever has made new ones since knows.
            if codes.is_none_or(|codes| codes.voided_at.is_none()) {
                return Ok(());
            }
            Ok(deed.tell(|occasion| BackupCodesVoid {
                occasion: Occasion { at, ..occasion },
            })?)
        });
        told.await?;
    }
    Ok(!untold.is_empty())
}
