//! The writer: takes the transactions that wait, runs each over its own
//! overlay, commits them together, and only then answers.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use redb::Database;
use tokio::time::Instant;

use crate::base::Failure;

use super::compact::Compactor;
use super::engine::{self, Batch, EngineError, Opened, Opener};
use super::handle::{Job, Message, Shared, panicked};
use super::keys::{Asked, Change, Keys, Offer};
use super::meta::{self, Progress, StoreId};
use super::tx::{ApplyError, Tx, storage_unavailable};
use super::witness::{Seen, Witness};

/// Transactions that share one commit at the most.
const BATCH: usize = 512;
/// How often a store that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Commits after which the witness is told, however busy we are.
const WITNESSED: u64 = 64;

/// What became of each job, and which tables changed.
struct Committed {
    settled: Vec<Result<(), Failure>>,
    changed: BTreeSet<String>,
}

/// The one thread that writes.
pub struct Writer {
    pub shared: Arc<Shared>,
    pub opener: Opener,
    /// Those of the file that was opened first: another file is not ours.
    pub keys: Keys,
    pub id: StoreId,
    /// As of the last commit that is known to be on disk.
    pub progress: Progress,
    pub witness: Option<Witness>,
    /// Commits that the witness has not heard of.
    pub unwitnessed: u64,
    /// `None` for a file that stays as it is.
    pub compactor: Option<Compactor>,
}

impl Writer {
    /// Works off what waits, until it is told to stop or nobody can ask any more.
    pub fn run(&mut self, waiting: &Receiver<Message>) {
        self.tell_witness();
        loop {
            let first = match waiting.recv_timeout(RETRY) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut stop = None;
            let mut jobs = Vec::new();
            let mut asked = Vec::new();
            for message in first.into_iter().chain(waiting.try_iter().take(BATCH - 1)) {
                match message {
                    Message::Work(job) => jobs.push(job),
                    Message::Keys(change) => asked.push(change),
                    Message::Stop(reply) => stop = Some(reply),
                }
            }
            let idle = jobs.is_empty() && asked.is_empty();
            if !jobs.is_empty() || self.in_trouble() {
                self.serve(jobs);
            }
            for Asked { change, reply } in asked {
                // Whoever asked may have gone away; what was committed stays.
                let _ = reply.send(self.change_keys(change));
            }
            if self.unwitnessed >= WITNESSED || (idle && self.unwitnessed > 0) {
                self.tell_witness();
            }
            if idle && stop.is_none() && !self.in_trouble() {
                self.compact_when_idle();
            }
            if let Some(reply) = stop {
                self.end();
                let _ = reply.send(());
                return;
            }
        }
        self.end();
    }

    /// Has the witness see how far the store has come. Where it cannot, it is told again.
    fn tell_witness(&mut self) {
        let Some(witness) = &self.witness else {
            self.unwitnessed = 0;
            return;
        };
        match witness.write(&Seen::new(self.id, self.progress)) {
            Ok(()) => self.unwitnessed = 0,
            Err(error) => {
                tracing::warn!(%error, path = %witness.path().display(), "the store's witness cannot be written");
                self.unwitnessed = self.unwitnessed.max(1);
            }
        }
    }

    fn end(&mut self) {
        if self.unwitnessed > 0 {
            self.tell_witness();
        }
        if let Some(compactor) = &mut self.compactor {
            compactor.end();
        }
        let database = database_mut(&self.shared).take();
        close(database);
    }

    fn in_trouble(&self) -> bool {
        self.shared
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Runs and commits a batch. In trouble, the disk must first take a try of ours: changes that
    /// happen to be small enough would pass on a full one, and readiness would come and go.
    fn serve(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let began = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            if self.in_trouble() {
                self.with_database(|opened| engine::probe(opened))?;
                self.set_trouble(None);
            }
            self.commit(&mut jobs)
        }))
        .unwrap_or_else(|panic| Err(EngineError::Storage(format!("{:?}", panicked(&*panic)))));
        if let Some(metrics) = self.shared.metrics.get() {
            match &outcome {
                Ok(committed) if committed.changed.is_empty() => {}
                Ok(committed) => metrics.committed(committed.settled.len(), began.elapsed()),
                Err(_) => metrics.not_committed(),
            }
        }
        match outcome {
            Ok(Committed { settled, changed }) => {
                let watchers = self
                    .shared
                    .watchers
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                for (_, watcher) in watchers
                    .iter()
                    .filter(|(table, _)| changed.contains(**table))
                {
                    watcher.notify_one();
                }
                drop(watchers);
                // Last: whoever has heard the answer finds the news of it told.
                for (job, committed) in jobs.into_iter().zip(settled) {
                    job.answer(committed);
                }
            }
            Err(error) => {
                // Before anybody is answered: whoever reads next shall not meet the handle that failed.
                let why = self.fail(&error);
                for job in jobs {
                    job.answer(Err(storage_unavailable().because(why.clone())));
                }
            }
        }
    }

    /// Opens the file anew after `error`, and gives that in words.
    fn fail(&mut self, error: &EngineError) -> String {
        let why = error.to_string();
        let first = !self.in_trouble();
        self.set_trouble(Some(why.clone()));
        self.reopen(first);
        why
    }

    /// Changes the keys, in a commit of its own.
    fn change_keys(&mut self, change: Change) -> Result<(), Failure> {
        if self.in_trouble() {
            return Err(storage_unavailable().because("the store cannot be written"));
        }
        let offer = self.keys.offer(change, &*self.shared.entropy)?;
        let changes = self.progress.changes.saturating_add(1);
        let committed = self.name_is_on_disk().and_then(|()| {
            self.with_database(|database| {
                let transaction = engine::begin(database)?;
                match &offer {
                    Offer::Ring(ring) => meta::put_ring(&transaction, ring)?,
                    Offer::Handed(to, handed) => meta::put_handed(&transaction, *to, handed)?,
                }
                meta::count(&transaction, changes)?;
                engine::commit(transaction)
            })
        });
        if let Err(error) = committed {
            let why = self.fail(&error);
            return Err(storage_unavailable().because(why));
        }
        self.have_committed(changes);
        match offer {
            Offer::Ring(ring) if !self.keys.take_up(&ring) => {
                Err(Failure::internal("the new key ring does not open"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn with_database<T>(
        &self,
        work: impl FnOnce(&Opened) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let database = self
            .shared
            .database
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        match database.as_ref() {
            Some(database) => work(database),
            None => Err(EngineError::Storage("the file is not open".to_owned())),
        }
    }

    fn commit(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Committed, EngineError> {
        self.name_is_on_disk()?;
        let changes = self.progress.changes.saturating_add(1);
        let committed = self.with_database(|database| self.commit_to(database, jobs, changes))?;
        if !committed.changed.is_empty() {
            self.have_committed(changes);
        }
        Ok(committed)
    }

    /// Before each commit: after a compaction the file may have a name that is not on disk yet.
    fn name_is_on_disk(&mut self) -> Result<(), EngineError> {
        match &mut self.compactor {
            Some(compactor) => compactor
                .name_is_on_disk()
                .map_err(|e| EngineError::Storage(e.to_string())),
            None => Ok(()),
        }
    }

    fn have_committed(&mut self, changes: u64) {
        self.progress.changes = changes;
        self.unwitnessed += 1;
        if let Some(compactor) = &mut self.compactor {
            compactor.disturbed();
        }
    }

    fn commit_to(
        &self,
        database: &Database,
        jobs: &mut [Box<dyn Job>],
        changes: u64,
    ) -> Result<Committed, EngineError> {
        let transaction = engine::begin(database)?;
        let mut settled = Vec::with_capacity(jobs.len());
        let mut changed = BTreeSet::new();
        {
            let batch = Batch::new(&transaction);
            for job in jobs.iter_mut() {
                let mut tx = Tx::new(&batch, &self.shared.sealer);
                let committed = match job.run(&mut tx) {
                    true if !tx.is_unchanged() => match tx.apply(&*self.shared.entropy) {
                        Ok(tables) => {
                            changed.extend(tables);
                            Ok(())
                        }
                        Err(ApplyError::Unsealed(failure)) => Err(failure),
                        Err(ApplyError::Engine(error)) => return Err(error),
                    },
                    _ => Ok(()),
                };
                settled.push(committed);
            }
        }
        if changed.is_empty() {
            engine::abort(transaction)?;
        } else {
            meta::count(&transaction, changes)?;
            engine::commit(transaction)?;
        }
        Ok(Committed { settled, changed })
    }

    fn set_trouble(&self, why: Option<String>) {
        let mut trouble = self
            .shared
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match (&*trouble, &why) {
            (None, Some(why)) => {
                tracing::error!(%why, "the store cannot be written; trying again until it can")
            }
            (Some(_), None) => tracing::info!("the store can be written again"),
            _ => {}
        }
        *trouble = why;
    }

    /// The engine's handle is of no use after an I/O error: drop it and open the file anew. The whole
    /// file is checked once, when trouble begins; meanwhile readers are told at once that there is
    /// nothing to read. Each further try opens it without, in a moment that readers wait for.
    fn reopen(&mut self, first: bool) {
        let shared = self.shared.clone();
        let reading = shared.reading.write();
        let reading = reading.unwrap_or_else(PoisonError::into_inner);
        let mut database = database_mut(&shared);
        close(database.take());
        drop(reading);
        if first {
            drop(database);
            let opened = self.open_again(true);
            database = database_mut(&shared);
            *database = opened;
        } else {
            *database = self.open_again(false);
        }
        drop(database);
        if let Some(compactor) = &mut self.compactor {
            compactor.opened_anew();
        }
        thread::sleep(Duration::from_millis(20));
    }

    fn open_again(&mut self, thorough: bool) -> Option<Opened> {
        let opened = catch_unwind(AssertUnwindSafe(|| self.open_ours(thorough)))
            .unwrap_or_else(|panic| Err(format!("{:?}", panicked(&*panic))));
        opened
            .inspect_err(|why| {
                tracing::error!(%why, "the store cannot be opened again");
                self.set_trouble(Some(why.clone()));
            })
            .ok()
            .map(Opened::new)
    }

    fn open_ours(&mut self, thorough: bool) -> Result<Database, String> {
        // The thorough check writes, which a full disk refuses; reading goes on without it, as every
        // value carries a tag of its own.
        let opened = match (self.opener)(thorough) {
            Err(refused) if thorough && engine::is_io(&refused) => (self.opener)(false),
            opened => opened,
        }
        .map_err(|refused| refused.to_string())?;
        match meta::read(&opened) {
            Ok(meta) if !self.keys.take_up(&meta.ring) => {
                Err("another store stands in the place of ours".to_owned())
            }
            Ok(meta) if meta.known.is_none_or(|(_, is)| is < self.progress) => {
                Err("an older copy stands in the place of our store".to_owned())
            }
            Ok(_) => Ok(opened),
            Err(why) => Err(why.to_string()),
        }
    }
}

/// To take the file away, or to put another in its place.
pub(super) fn database_mut(shared: &Shared) -> RwLockWriteGuard<'_, Option<Opened>> {
    let database = shared.database.write();
    database.unwrap_or_else(PoisonError::into_inner)
}

/// Releases the file at once, also where a copy of it is being made, which is broken off.
fn close(database: Option<Opened>) {
    if let Some(Err(refused)) = database.map(Opened::close) {
        tracing::debug!(%refused, "the store's handle was closed after an error");
    }
}
