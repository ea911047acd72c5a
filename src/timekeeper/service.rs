use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::base::{Clock, Failure, Timestamp};
use crate::store::{Read, Store, Tx};

use super::record::Newest;
use super::rule::{Standing, Watch};

const THE_ONE: u64 = 0;
/// Seconds by which what is believed moves on before it is written down again: the disk shall rest.
const WRITTEN_AGAIN: u64 = 600;

/// The latest time that was believed; `None` in a store that has not been served yet.
///
/// # Errors
/// Those of the store.
pub fn newest(read: &dyn Read) -> Result<Option<Timestamp>, Failure> {
    Ok(read.get::<Newest>(&THE_ONE)?.map(|newest| newest.at))
}

/// Believes `now`, whatever was seen before.
///
/// # Errors
/// Those of the store.
pub fn accept(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), Failure> {
    tx.put(&THE_ONE, &Newest { at: now })
}

/// A store that is brought back goes on from now, never from earlier.
///
/// # Errors
/// Those of the store.
pub async fn heal(store: &Store, now: Timestamp) -> Result<(), Failure> {
    store
        .write(move |tx| match newest(tx)? {
            Some(at) if at >= now => Ok(()),
            _ => accept(tx, now),
        })
        .await
}

/// Watches the clock. Clones share what they have seen.
#[derive(Clone)]
pub struct Timekeeper {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    store: Store,
    begun: Instant,
    seen: Mutex<Seen>,
}

struct Seen {
    watch: Watch,
    standing: Standing,
    written: Option<Timestamp>,
}

impl Timekeeper {
    /// Begins with what the store has seen.
    ///
    /// # Errors
    /// Those of the store.
    pub fn open(store: Store, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let written = store.read(newest)?;
        let keeper = Timekeeper {
            shared: Arc::new(Shared {
                seen: Mutex::new(Seen {
                    watch: Watch::begin(written, clock.now(), 0),
                    standing: Standing::Right,
                    written,
                }),
                clock,
                store,
                begun: Instant::now(),
            }),
        };
        keeper.look();
        Ok(keeper)
    }

    fn passed(&self) -> u64 {
        self.shared.begun.elapsed().as_secs()
    }

    /// Looks at the clock, and says what it is worth. What is new of it stands in the log.
    pub fn look(&self) -> Standing {
        let now = self.shared.clock.now();
        let mut seen = self.seen();
        let standing = seen.watch.look(now, self.passed());
        let believed = seen.watch.believed();
        match (seen.standing, standing) {
            (Standing::Behind(_), Standing::Behind(_))
            | (Standing::Ahead(_), Standing::Ahead(_)) => {}
            (_, Standing::Behind(seconds)) => {
                tracing::error!(%now, %believed, seconds, "the clock is before what was seen already; nothing is judged until it is right");
            }
            (_, Standing::Ahead(seconds)) => {
                tracing::warn!(%now, %believed, seconds, "the clock has leapt forward; nothing is swept away by it for an hour");
            }
            (Standing::Behind(_), Standing::Right) => {
                tracing::info!(%now, "the clock is right again")
            }
            _ => {}
        }
        seen.standing = standing;
        standing
    }

    /// Whether anything can be judged by the clock.
    ///
    /// # Errors
    /// Why not, in words for everybody.
    pub fn health(&self) -> Result<(), String> {
        match self.look() {
            Standing::Behind(seconds) => Err(format!(
                "the clock is {seconds} seconds before what was seen already"
            )),
            _ => Ok(()),
        }
    }

    /// The time by which what has expired may be swept away: never later than the clock is believed to be.
    pub fn for_sweeping(&self) -> Timestamp {
        let now = self.shared.clock.now();
        self.seen().watch.for_sweeping(now, self.passed())
    }

    /// Writes down what is believed, where it has moved on for ten minutes; or, with `all`, where it has moved at all.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn write_down(&self, all: bool) -> Result<(), Failure> {
        let (believed, written) = {
            let seen = self.seen();
            (seen.watch.believed(), seen.written)
        };
        let due = match written {
            Some(written) if all => believed > written,
            Some(written) => believed.since(written) >= WRITTEN_AGAIN,
            None => true,
        };
        if due {
            self.shared
                .store
                .write(move |tx| accept(tx, believed))
                .await?;
            self.seen().written = Some(believed);
        }
        Ok(())
    }

    /// Believes the clock as it is.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn accept(&self) -> Result<(), Failure> {
        let now = self.shared.clock.now();
        self.shared.store.write(move |tx| accept(tx, now)).await?;
        let passed = self.passed();
        let mut seen = self.seen();
        seen.watch = Watch::begin(Some(now), now, passed);
        seen.written = Some(now);
        Ok(())
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
