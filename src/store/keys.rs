//! The keys of an open store, and how they change while it is in use.
//!
//! A new data key seals from the commit on that brings its ring. What older keys sealed is sealed anew,
//! some rows a transaction, beside everything else; when no row is left, the ring lets go of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, oneshot};

use crate::base::{Code, Entropy, Failure, Kind, Timestamp};
use crate::crypto::{DataKey, KeyId, KeyRing, KeyRingError, MasterKey, OutsideKey, Sealer};

use super::copy::NOT_COPIED;
use super::handle::{Message, Store};
use super::meta::{self, MOST_SUCCESSORS};
use super::tx::{EXPIRY, engine_failure};

/// The store is sealed under another master key than somebody believes.
const ANOTHER_MASTER_KEY: Code = Code {
    name: "another_master_key",
    kind: Kind::Conflict,
    title: "Another master key",
};
/// So many have been handed over to that nobody knows them all.
const TOO_MANY_SUCCESSORS: Code = Code {
    name: "too_many_successors",
    kind: Kind::Conflict,
    title: "Too many master keys wait",
};
/// Rows that one transaction looks at when it seals anew.
const ROWS: usize = 256;

/// What is done to the data keys.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// The newest was there at that time.
    Date(Timestamp),
    /// A fresh one, drawn then.
    Add(Timestamp),
    /// Those below that number go.
    LetGo(u32),
    /// The master key `from` is sealed for `to`, which may take its place.
    HandOver {
        from: KeyId,
        to: KeyId,
        handed: Vec<u8>,
    },
}

/// What a change puts into the store.
pub(super) enum Offer {
    /// A key ring.
    Ring(Vec<u8>),
    /// A master key, sealed for that one.
    Handed(KeyId, Vec<u8>),
}

/// A change that somebody asked for.
pub(super) struct Asked {
    pub change: Change,
    pub reply: oneshot::Sender<Result<(), Failure>>,
}

/// The keys as the writer has them.
pub(super) struct Keys {
    /// The ring as it stands in the file.
    wrapped: Vec<u8>,
    /// What it is wrapped under.
    key: OutsideKey,
    /// A ring whose commit may or may not have come to the disk.
    offered: Option<Vec<u8>>,
    pub sealer: Arc<Sealer>,
}

impl Keys {
    /// Those of the wrapped ring of a file.
    pub fn open(master: &MasterKey, wrapped: Vec<u8>) -> Result<Keys, KeysError> {
        let key = master.ring_key().map_err(KeysError::Start)?;
        let ring = KeyRing::unwrap(&key, &wrapped)?;
        Ok(Keys {
            wrapped,
            key,
            offered: None,
            sealer: Arc::new(Sealer::new(&ring)?),
        })
    }

    /// The ring with that change, wrapped. It holds when [`Keys::take_up`] has heard that it is on disk.
    pub fn offer(&mut self, change: Change, entropy: &dyn Entropy) -> Result<Offer, Failure> {
        let mut ring = KeyRing::unwrap(&self.key, &self.wrapped).map_err(Failure::internal)?;
        match change {
            Change::Date(now) => ring.date(now),
            Change::Add(now) => ring.add(entropy, now)?,
            Change::LetGo(below) => ring.let_go(below),
            // Else nobody could open the ring with what is handed over.
            Change::HandOver { from, .. } if from != self.key.master() => {
                return Err(Failure::new(
                    ANOTHER_MASTER_KEY,
                    "The store is sealed under another master key.",
                )
                .with(
                    "hint",
                    "the server still runs with the key before this one: restart it, and try again",
                ));
            }
            Change::HandOver { to, handed, .. } => return Ok(Offer::Handed(to, handed)),
        }
        let wrapped = ring.wrap(&self.key, entropy)?;
        self.offered = Some(wrapped.clone());
        Ok(Offer::Ring(wrapped))
    }

    /// Whether `found`, which is on disk, is our ring. One that was offered holds from now on.
    pub fn take_up(&mut self, found: &[u8]) -> bool {
        if self.wrapped == found {
            return true;
        }
        let Some(offered) = self.offered.take_if(|offered| offered == found) else {
            return false;
        };
        let ring = KeyRing::unwrap(&self.key, &offered);
        match ring.and_then(|ring| self.sealer.take_up(&ring)) {
            Ok(()) => {
                self.wrapped = offered;
                true
            }
            Err(error) => {
                tracing::error!(%error, "a key ring of our own cannot be read");
                false
            }
        }
    }
}

/// Why there are no keys.
#[derive(Debug)]
pub(super) enum KeysError {
    /// The ring does not open.
    Ring(KeyRingError),
    /// Nothing can be derived from the master key.
    Start(Failure),
}

impl From<KeyRingError> for KeysError {
    fn from(error: KeyRingError) -> Self {
        KeysError::Ring(error)
    }
}

/// What is known of the work of sealing anew.
#[derive(Default)]
pub(super) struct Resealing {
    /// Rows that this process has sealed anew.
    rows: AtomicU64,
    /// Told when there is a new key.
    pub wanted: Notify,
}

/// What came of sealing anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resealed {
    /// Rows that were sealed under the key that seals now.
    pub rows: u64,
    /// Rows that do not open under their key: damaged. While there are any, the earlier keys stay.
    pub unreadable: u64,
}

impl Store {
    /// The data keys of the ring, the oldest first: more than one while rows are being sealed anew.
    pub fn data_keys(&self) -> Vec<DataKey> {
        self.sealer().data_keys()
    }

    /// Rows that were sealed anew since the store was opened.
    pub fn resealed(&self) -> u64 {
        self.shared.resealing.rows.load(Ordering::Relaxed)
    }

    /// Draws a data key, which seals all that is written from the moment on that this answers `Ok`.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn rotate_data_key(&self, now: Timestamp) -> Result<(), Failure> {
        self.change_keys(Change::Add(now)).await?;
        self.shared.resealing.wanted.notify_one();
        Ok(())
    }

    /// Notes that the data key was there at `now`, where nothing is noted yet.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn date_data_key(&self, now: Timestamp) -> Result<(), Failure> {
        match self.data_keys().last() {
            Some(DataKey { since: None, .. }) => self.change_keys(Change::Date(now)).await,
            _ => Ok(()),
        }
    }

    /// Waits until there is a new data key. One that came between two waits is not lost.
    pub async fn new_data_key(&self) {
        self.shared.resealing.wanted.notified().await;
    }

    /// Seals each row that an earlier data key sealed under the one that seals now, and has the ring let go of the
    /// earlier ones. Broken off anywhere, it is done the next time. `None` where the ring holds one key.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn reseal(&self) -> Result<Option<Resealed>, Failure> {
        let active = self.sealer().active();
        if self.data_keys().len() < 2 {
            return Ok(None);
        }
        let mut done = Resealed {
            rows: 0,
            unreadable: 0,
        };
        // Tables that come to be from now on hold nothing that an earlier key sealed.
        for table in self.tables()? {
            if NOT_COPIED.contains(&table.as_str()) || table == EXPIRY {
                continue;
            }
            let mut past: Option<Vec<u8>> = None;
            loop {
                let (name, from) = (table.clone(), past.take());
                let step = self
                    .write(move |tx| tx.reseal(&name, from.as_deref(), active, ROWS))
                    .await?;
                done.rows += step.rows;
                done.unreadable += step.unreadable;
                let counted = &self.shared.resealing.rows;
                counted.fetch_add(step.rows, Ordering::Relaxed);
                past = step.last;
                if past.is_none() {
                    break;
                }
            }
        }
        if done.unreadable == 0 {
            self.change_keys(Change::LetGo(active)).await?;
        }
        Ok(Some(done))
    }

    /// Keeps `handed`, the master key `from` as it was sealed for `to` ([`crate::crypto::MasterKey::hand_over_to`]).
    /// Until one to which it was handed over opens the store, `from` is good.
    ///
    /// # Errors
    /// `another_master_key` where the store is sealed under another key than `from`, `too_many_successors` where 16
    /// keys wait to take over; as [`Store::write`].
    pub async fn hand_over(&self, from: KeyId, to: KeyId, handed: Vec<u8>) -> Result<(), Failure> {
        let waiting = self.master_keys()?.1;
        if waiting.len() >= MOST_SUCCESSORS && !waiting.contains(&to) {
            let why = format!("{MOST_SUCCESSORS} keys wait to take over already.");
            return Err(Failure::new(TOO_MANY_SUCCESSORS, why)
                .with("hint", "start the server with one of them"));
        }
        self.change_keys(Change::HandOver { from, to, handed })
            .await
    }

    /// The master key that the store is sealed under, and those that may take its place.
    ///
    /// # Errors
    /// `unavailable` while the file cannot be read.
    pub fn master_keys(&self) -> Result<(KeyId, Vec<KeyId>), Failure> {
        let meta = self.with_database(
            |opened| meta::read(opened).map_err(|e| engine_failure(e.into())),
            |unavailable| unavailable,
        )?;
        let to = |handed: &Vec<u8>| handed.first_chunk().copied().map(KeyId);
        let waiting = meta.handed.iter().filter_map(to).collect();
        Ok((self.shared.copy_key.master(), waiting))
    }

    async fn change_keys(&self, change: Change) -> Result<(), Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Keys(Asked { change, reply }), answer)
            .await
    }
}
