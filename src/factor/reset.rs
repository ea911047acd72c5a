//! Users whose second factors an operator removed: they are told by mail. A row says so from the transaction that removes
//! the factors on, since only a running server knows the mail server and the words of its mails: it writes the mails at
//! once, or when it next starts.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audit::{self, Actor, Event, Origin};
use crate::base::{Failure, PersonKey, RequestId, Timestamp};
use crate::mail::{Address, FactorsReset, Occasion};
use crate::people::{self, Wish};
use crate::store::{Order, Record, Scan, Tx};

use super::{By, Desk, held};

/// What stands in the history of a user whose second factors an operator removed.
const RESET: &str = "factor.reset";
/// Users who are told in one round.
const ROUND: usize = 64;

/// A user who is to be told that their factors were removed.
#[derive(Serialize, Deserialize)]
struct PendingNotice {
    /// When they were.
    at: Timestamp,
    /// The addresses that were known then: that of the email factor is gone with it.
    addresses: Vec<Address>,
}

impl Record for PendingNotice {
    type Key = PersonKey;
    const TABLE: &'static str = "told of a reset";
}

/// Removes every factor of `person` by order of an operator, with all that hangs on them: see `held::forget_all`. It
/// stands in their history, and they are told by mail at every address that is known, which this returns.
///
/// # Errors
/// Those of the store.
pub fn reset(
    tx: &mut Tx<'_>,
    person: PersonKey,
    request: RequestId,
    now: Timestamp,
) -> Result<Vec<Address>, Failure> {
    let mut addresses = people::addresses(tx, person, now)?;
    for mailbox in held::addresses(tx, person)? {
        people::record_former(tx, person, mailbox.clone(), now)?;
        addresses.push(mailbox);
    }
    // One who was reset twice before a server ran is told once, at all addresses.
    if let Some(before) = tx.get::<PendingNotice>(&person)? {
        addresses.extend(before.addresses);
    }
    addresses.sort();
    addresses.dedup();
    held::forget_all(tx, person)?;
    let notice = PendingNotice { at: now, addresses };
    tx.put(&person, &notice)?;
    let origin = Origin { request, ip: None };
    let event = Event::done(now, person, Actor::System, RESET, origin);
    audit::record_certain(tx, event)?;
    Ok(notice.addresses)
}

/// Tells users by mail that an operator removed their factors, for ever.
pub async fn keep_notifying_of_resets(desk: &Arc<Desk>, retry: Duration) {
    let news = desk.tools.store.watch(PendingNotice::TABLE);
    loop {
        match round(desk).await {
            Ok(true) => {}
            Ok(false) => news.notified().await,
            Err(failure) => {
                tracing::warn!(?failure, "users cannot be notified of a reset");
                tokio::time::sleep(retry).await;
            }
        }
    }
}

/// Tells some. True if more are to be told.
async fn round(desk: &Arc<Desk>) -> Result<bool, Failure> {
    let tools = &desk.tools;
    let scan = Scan {
        prefix: &[],
        past: None,
        order: Order::Ascending,
        limit: ROUND,
    };
    let pending = tools.store.read(|read| read.list::<PendingNotice>(&scan))?;
    for (person, _) in &pending {
        let person = *person;
        let by = By {
            key: person,
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
        // Its line stands in the history since the factors were removed.
        let told = desk.prepare(by, RESET, move |deed| {
            let Some(notice) = deed.tx.get::<PendingNotice>(&person)? else {
                return Ok(());
            };
            deed.tx.delete::<PendingNotice>(&person);
            Ok(
                deed.notify_always(notice.addresses, |occasion| FactorsReset {
                    occasion: Occasion {
                        at: notice.at,
                        ..occasion
                    },
                })?,
            )
        });
        told.await?;
    }
    Ok(!pending.is_empty())
}
