use std::time::Duration;

use crate::base::{Clock, Failure, MessageId, Timestamp};
use crate::mail::{Letter, Mailer, SendError};
use crate::store::{Order, Read, Record, Scan, Store, Tx};

use super::record::Waiting;
use super::rule::{LEASE, next_try};

/// Mails looked at in one round.
const ROUND: usize = 32;

/// Puts letters into the outbox: they leave if, and only if, the transaction commits.
///
/// # Errors
/// Those of the store.
pub fn put(tx: &mut Tx<'_>, letters: Vec<Letter>, now: Timestamp) -> Result<(), Failure> {
    for letter in letters {
        let key = (now.unix(), letter.id);
        tx.put(
            &key,
            &Waiting {
                letter,
                written_at: now,
                tries: 0,
            },
        )?;
    }
    Ok(())
}

/// Sends what waits: as soon as something is put into the outbox, and every `period` besides. Never ends. A mail leaves the outbox when the SMTP server took it, refused it for good,
/// or when it is no longer news.
pub async fn deliver(store: &Store, mailer: &Mailer, clock: &dyn Clock, period: Duration) {
    let news = store.watch(Waiting::TABLE);
    loop {
        match round(store, mailer, clock).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(failure) => {
                tracing::warn!(?failure, "the outbox cannot be read");
                // Not at once, however much is put into it meanwhile.
                tokio::time::sleep(period).await;
                continue;
            }
        }
        // Elapsed or notified: both are a reason to look.
        let _ = tokio::time::timeout(period, news.notified()).await;
    }
}

/// How many letters wait, up to `most`.
///
/// # Errors
/// Those of the store.
pub fn waiting(store: &Store, most: usize) -> Result<usize, Failure> {
    let scan = Scan {
        prefix: &[],
        past: None,
        order: Order::Ascending,
        limit: most,
    };
    Ok(store.read(|read| read.list::<Waiting>(&scan))?.len())
}

/// When the one was written that has waited the longest, of the first `most`; `None` where none waits.
///
/// # Errors
/// Those of the store.
pub fn oldest(read: &dyn Read, most: usize) -> Result<Option<Timestamp>, Failure> {
    let scan = Scan {
        prefix: &[],
        past: None,
        order: Order::Ascending,
        limit: most,
    };
    let letters = read.list::<Waiting>(&scan)?;
    Ok(letters.iter().map(|(_, letter)| letter.written_at).min())
}

/// Tries each mail that is due once. True where more may be due.
async fn round(store: &Store, mailer: &Mailer, clock: &dyn Clock) -> Result<bool, Failure> {
    let now = clock.now();
    let scan = Scan {
        prefix: &[],
        past: None,
        order: Order::Ascending,
        limit: ROUND,
    };
    let due: Vec<_> = store
        .read(|read| read.list::<Waiting>(&scan))?
        .into_iter()
        .take_while(|((due, _), _)| *due <= now.unix())
        .collect();
    let full = due.len() == ROUND;
    for (key, waiting) in due {
        // Noted before it is sent: if nothing can be written, nothing is sent again and again.
        let leased = lease(store, key, clock.now()).await?;
        let sent = mailer.send(&waiting.letter).await;
        settle(store, leased, waiting, sent, clock.now()).await?;
    }
    Ok(full)
}

type Key = (u64, MessageId);

/// Puts a mail off while it is being sent.
async fn lease(store: &Store, key: Key, now: Timestamp) -> Result<Key, Failure> {
    let leased = (now.plus(LEASE).unix(), key.1);
    store
        .write(move |tx| {
            let Some(mut waiting) = tx.get::<Waiting>(&key)? else {
                return Ok(());
            };
            waiting.tries = waiting.tries.saturating_add(1);
            tx.delete::<Waiting>(&key);
            tx.put(&leased, &waiting)
        })
        .await?;
    Ok(leased)
}

async fn settle(
    store: &Store,
    leased: Key,
    mut waiting: Waiting,
    sent: Result<(), SendError>,
    now: Timestamp,
) -> Result<(), Failure> {
    waiting.tries = waiting.tries.saturating_add(1);
    let again = match sent {
        Ok(()) => None,
        Err(SendError::Refused(why)) => {
            tracing::warn!(message = %leased.1, %why, "a notice was refused and is given up");
            None
        }
        Err(SendError::Temporary(why)) => {
            let next = next_try(waiting.written_at, waiting.tries, now);
            tracing::warn!(message = %leased.1, %why, tries = waiting.tries, given_up = next.is_none(), "a notice could not be sent");
            next
        }
    };
    store
        .write(move |tx| {
            tx.delete::<Waiting>(&leased);
            match again {
                Some(next) => tx.put(&(next.unix(), leased.1), &waiting),
                None => Ok(()),
            }
        })
        .await
}
