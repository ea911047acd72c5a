use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Clock, Failure, MessageId, Timestamp};
use crate::mail::{Letter, Mailer, SendError};
use crate::store::{Order, Record, Scan, Store, Tx};

use super::record::Waiting;
use super::rule::next_try;

/// Mails looked at in one round.
const ROUND: usize = 32;
/// How often the outbox is looked through when nothing was put into it.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long to wait before looking again when the store does not answer.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// Puts a mail into the outbox: it leaves if, and only if, the transaction commits.
///
/// # Errors
/// Those of the store.
pub fn put(tx: &mut Tx<'_>, letter: Letter, now: Timestamp) -> Result<(), Failure> {
    let key = (now.unix(), letter.id);
    tx.put(
        &key,
        &Waiting {
            letter,
            written_at: now,
            tries: 0,
        },
    )
}

/// Sends what waits, until `stop`. A mail leaves the outbox when the SMTP
/// server took it, refused it for good, or when it is no longer news.
pub async fn deliver(
    store: Store,
    mailer: Mailer,
    clock: Arc<dyn Clock>,
    stop: impl Future<Output = ()>,
) {
    let news = store.watch(Waiting::TABLE);
    let work = async {
        loop {
            match round(&store, &mailer, &*clock).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(failure) => {
                    tracing::warn!(?failure, "the outbox cannot be read");
                    tokio::time::sleep(AFTER_TROUBLE).await;
                }
            }
            // Elapsed or notified: both are a reason to look.
            let _ = tokio::time::timeout(INTERVAL, news.notified()).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stop => {}
    }
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
        let sent = mailer.send(&waiting.letter).await;
        settle(store, key, waiting, sent, clock.now()).await?;
    }
    Ok(full)
}

async fn settle(
    store: &Store,
    key: (u64, MessageId),
    mut waiting: Waiting,
    sent: Result<(), SendError>,
    now: Timestamp,
) -> Result<(), Failure> {
    waiting.tries = waiting.tries.saturating_add(1);
    let again = match sent {
        Ok(()) => None,
        Err(SendError::Refused(why)) => {
            tracing::warn!(message = %key.1, %why, "a notice was refused and is given up");
            None
        }
        Err(SendError::Temporary(why)) => {
            let next = next_try(waiting.written_at, waiting.tries, now);
            tracing::warn!(message = %key.1, %why, tries = waiting.tries, given_up = next.is_none(), "a notice could not be sent");
            next
        }
    };
    store
        .write(move |tx| {
            tx.delete::<Waiting>(&key);
            match again {
                Some(next) => tx.put(&(next.unix(), key.1), &waiting),
                None => Ok(()),
            }
        })
        .await
}
