//! The store as everybody holds it: snapshots for readers, a queue for writers.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use redb::Database;
use tokio::sync::{Notify, oneshot};

use crate::base::{Entropy, Failure, Timestamp};
use crate::crypto::{OutsideKey, Sealer};
use crate::metrics::Metrics;

use super::compact::{Compactor, Pace};
use super::copy::{self, CopyError};
use super::engine::{self, Opened, Opener, Snapshot};
use super::keys::{Asked, Keys, Resealing};
use super::meta::{self, Progress, StoreId};
use super::tx::{Read, SnapshotReader, Tx, engine_failure, storage_unavailable};
use super::witness::Witness;
use super::writer::Writer;

/// Transactions that may wait for the writer; one more is refused with 503.
const QUEUE: usize = 8192;
/// Rows that one transaction of the sweep removes.
const SWEEP: usize = 256;

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    pub(super) shared: Arc<Shared>,
    queue: SyncSender<Message>,
}

/// What a store is started from.
pub(super) struct Foundation {
    pub database: Database,
    pub opener: Opener,
    pub keys: Keys,
    pub known: (StoreId, Progress),
    /// The file.
    pub path: PathBuf,
    /// `None` where nobody watches over it: in tests, and while a copy is brought back.
    pub witness: Option<Witness>,
    pub copy_key: Arc<OutsideKey>,
    pub entropy: Arc<dyn Entropy>,
    /// When the file is compacted; `None` for never.
    pub pace: Option<Pace>,
}

pub(super) struct Shared {
    /// Empty while the file is being opened anew, and after the end.
    pub database: RwLock<Option<Opened>>,
    /// Held by whoever reads: a file that is to be opened anew is not closed under them.
    pub reading: RwLock<()>,
    pub sealer: Arc<Sealer>,
    pub resealing: Resealing,
    /// Seals copies.
    pub copy_key: Arc<OutsideKey>,
    pub entropy: Arc<dyn Entropy>,
    /// Why nothing can be written; `None` while all is well.
    pub trouble: Mutex<Option<String>>,
    pub watchers: Mutex<BTreeMap<&'static str, Arc<Notify>>>,
    /// Where commits are counted, once somebody wants to know.
    pub metrics: OnceLock<Metrics>,
    /// The file.
    pub path: PathBuf,
    /// How many compacted files were ready to take the place of the store's, whether or not they did.
    #[cfg(test)]
    pub compacted: std::sync::atomic::AtomicU64,
}

pub(super) enum Message {
    Work(Box<dyn Job>),
    Keys(Asked),
    Stop(oneshot::Sender<()>),
}

/// A transaction that waits, with the way back to whoever asked for it.
pub(super) trait Job: Send {
    /// Runs the closure; true where its changes are to be kept.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Answers. With `Err`, whatever the closure said did not happen.
    fn answer(self: Box<Self>, committed: Result<(), Failure>);
}

struct Work<T, F> {
    work: F,
    result: Option<Result<T, Failure>>,
    reply: oneshot::Sender<Result<T, Failure>>,
}

impl<T, F> Job for Work<T, F>
where
    T: Send,
    F: Fn(&mut Tx<'_>) -> Result<T, Failure> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let result = catch_unwind(AssertUnwindSafe(|| (self.work)(tx)))
            .unwrap_or_else(|panic| Err(panicked(&*panic)));
        self.result.insert(result).is_ok()
    }

    fn answer(self: Box<Self>, committed: Result<(), Failure>) {
        let Work { result, reply, .. } = *self;
        let result = committed.and_then(|()| result.unwrap_or_else(|| Err(storage_unavailable())));
        // Whoever asked may have gone away; what was committed stays.
        let _ = reply.send(result);
    }
}

pub(super) fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or(panic.downcast_ref::<String>().map(String::as_str));
    Failure::internal(format!(
        "panic in a transaction: {}",
        said.unwrap_or("no message")
    ))
}

impl Store {
    pub(super) fn start(foundation: Foundation) -> std::io::Result<Store> {
        let Foundation {
            database,
            opener,
            keys,
            known: (id, progress),
            path,
            witness,
            copy_key,
            entropy,
            pace,
        } = foundation;
        let compactor = pace.map(|pace| Compactor::new(&path, pace));
        let shared = Arc::new(Shared {
            database: RwLock::new(Some(Opened::new(database))),
            reading: RwLock::default(),
            sealer: keys.sealer.clone(),
            resealing: Resealing::default(),
            copy_key,
            entropy,
            trouble: Mutex::default(),
            watchers: Mutex::default(),
            metrics: OnceLock::new(),
            path,
            #[cfg(test)]
            compacted: Default::default(),
        });
        let (queue, waiting) = sync_channel(QUEUE);
        let mut writer = Writer {
            shared: shared.clone(),
            opener,
            keys,
            id,
            progress,
            witness,
            unwitnessed: 0,
            compactor,
        };
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&waiting))?;
        Ok(Store { shared, queue })
    }

    /// Which store it is, and how far it has come.
    ///
    /// # Errors
    /// `unavailable` while the file cannot be read.
    pub fn progress(&self) -> Result<(StoreId, Progress), Failure> {
        let database = self
            .shared
            .database
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(storage_unavailable)?;
        let meta = meta::read(database).map_err(|e| engine_failure(e.into()))?;
        meta.known
            .ok_or_else(|| Failure::internal("the store has no name"))
    }

    /// Writes a sealed copy of what is committed: `out` gets it piece by piece, and ends it where it fails.
    /// Gives the rows that it holds. Waits for the disk, and for `out`.
    ///
    /// # Errors
    /// [`CopyError`]: those of `out`, and of the store.
    pub fn copy(
        &self,
        now: Timestamp,
        out: &mut dyn FnMut(Vec<u8>) -> std::io::Result<()>,
    ) -> Result<u64, CopyError> {
        let snapshot = self.with_database(copy::snapshot, CopyError::Store)?;
        let (key, entropy) = (&self.shared.copy_key, &*self.shared.entropy);
        copy::write(&snapshot, key, entropy, now, out)
    }

    /// Does something with the file, where it is open.
    pub(super) fn with_database<T, E>(
        &self,
        work: impl FnOnce(&Opened) -> Result<T, E>,
        unavailable: impl FnOnce(Failure) -> E,
    ) -> Result<T, E> {
        let database = self.shared.database.read();
        let database = database.unwrap_or_else(PoisonError::into_inner);
        match database.as_ref() {
            Some(database) => work(database),
            None => Err(unavailable(storage_unavailable())),
        }
    }

    /// Runs `work` on a snapshot of what is committed. It must wait for nothing, and read through its argument alone.
    ///
    /// # Errors
    /// Those of `work`; `unavailable` while the file cannot be read.
    pub fn read<T>(
        &self,
        work: impl FnOnce(&dyn Read) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let reading = self.shared.reading.read();
        let _reading = reading.unwrap_or_else(PoisonError::into_inner);
        let take = |opened: &Opened| Snapshot::take(opened).map_err(engine_failure);
        let snapshot = self.with_database(take, |unavailable| unavailable)?;
        work(&SnapshotReader {
            snapshot: &snapshot,
            sealer: &self.shared.sealer,
        })
    }

    /// Runs `work` as one transaction. When this answers `Ok`, what was written is on disk; when it
    /// answers `Err`, nothing was written (but after a failed commit, where the disk alone knows).
    ///
    /// `work` may be run again by an engine that resolves conflicts, so it must do nothing but
    /// read and write through its argument. It must not wait for anything. Refusals that shall be
    /// remembered (a wrong code, with its tally) are part of an `Ok`: an `Err` rolls back.
    ///
    /// # Errors
    /// Those of `work`; `unavailable` where the commit failed or too many wait.
    pub async fn write<T, F>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Work {
            work,
            result: None,
            reply,
        });
        self.send(Message::Work(job), answer).await
    }

    /// Puts `message` to what waits for the writer, and waits for its answer.
    pub(super) async fn send<T>(
        &self,
        message: Message,
        answer: oneshot::Receiver<Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.queue
            .try_send(message)
            .map_err(|refused| match refused {
                TrySendError::Full(_) => {
                    storage_unavailable().because("too many transactions wait for the disk")
                }
                TrySendError::Disconnected(_) => {
                    storage_unavailable().because("the store has ended")
                }
            })?;
        answer
            .await
            .map_err(|_| storage_unavailable().because("the store ended"))?
    }

    /// The names of all tables that there are.
    ///
    /// # Errors
    /// `unavailable` while the file cannot be read.
    pub(super) fn tables(&self) -> Result<Vec<String>, Failure> {
        let names = |opened: &Opened| engine::tables(opened).map_err(engine_failure);
        self.with_database(names, |unavailable| unavailable)
    }

    /// Whether the store does its work: the writer takes its turn, and what is committed can be read. A disk that
    /// takes no writes is no reason for `false`, since the store goes on to read and mends itself. Waits for as
    /// long as the writer does not come to it.
    pub async fn answers(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Work {
            work: |_: &mut Tx<'_>| Ok(()),
            result: None,
            reply,
        });
        if self.queue.try_send(Message::Work(job)).is_err() || answer.await.is_err() {
            return false;
        }
        self.shared
            .database
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .is_some_and(|database| meta::read(database).is_ok())
    }

    /// The keys under which the contents are sealed, people are named and codes are hashed.
    pub fn sealer(&self) -> &Sealer {
        &self.shared.sealer
    }

    /// Removes all rows whose time was up at `now`. Gives how many transactions it took.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn sweep(&self, now: Timestamp) -> Result<usize, Failure> {
        let mut rounds = 1;
        while self.write(move |tx| tx.sweep(now, SWEEP)).await? {
            rounds += 1;
        }
        Ok(rounds)
    }

    /// Tells of every commit that changed `table`. A commit between two waits is not lost.
    pub fn watch(&self, table: &'static str) -> Arc<Notify> {
        self.shared
            .watchers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(table)
            .or_default()
            .clone()
    }

    /// Whether the last commit succeeded.
    ///
    /// # Errors
    /// Why not, in words for the operator.
    pub fn health(&self) -> Result<(), String> {
        match &*self
            .shared
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
        {
            Some(why) => Err(why.clone()),
            None => Ok(()),
        }
    }

    /// Counts commits there from now on. A second call changes nothing.
    pub fn count_in(&self, metrics: &Metrics) {
        let _ = self.shared.metrics.set(metrics.clone());
    }

    /// Bytes of the file; `None` where it cannot be looked at.
    pub fn file_size(&self) -> Option<u64> {
        let metadata = std::fs::metadata(&self.shared.path).ok()?;
        Some(metadata.len())
    }

    /// How many compacted files were ready so far, whether or not they took the place of the store's.
    #[cfg(test)]
    pub(super) fn compacted(&self) -> u64 {
        self.shared
            .compacted
            .load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Commits what waits, closes the file and releases its lock. Later calls are refused.
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        let mut message = Message::Stop(reply);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(message) {
            message = back;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // An error means that the writer has ended already.
        let _ = closed.await;
    }
}
