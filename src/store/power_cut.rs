//! A power cut shows what a kill cannot: what was written and not yet synced may be there, or not, or in part.
//!
//! All calls to the disk are recorded. An image is what a disk may hold when the power goes after any of them:
//! all that was synced, and of the rest each sector or not.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;
use serde::{Deserialize, Serialize};

use crate::base::OsEntropy;
use crate::crypto::MasterKey;

use super::birth::initialise;
use super::open::open_with;
use super::testing::ALL_ROWS;
use super::{Record, Store, compact, engine};

/// How many images are tried, unless this variable says otherwise.
const IMAGES: (&str, u64) = ("MFAD_POWER_CUTS", 500);
/// Bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;
/// Transactions, each of which changes two rows: both or neither must be there.
const COMMITS: u64 = 60;
/// Where the second row of each stands.
const TWIN: u64 = 1_000;

#[derive(Serialize, Deserialize)]
struct Row(u64);

impl Record for Row {
    type Key = u64;
    const TABLE: &'static str = "row";
}

#[derive(Clone)]
enum Call {
    Write(usize, Vec<u8>),
    SetLen(usize),
    Sync,
}

/// A disk, what it held at first, and all that it was told since.
#[derive(Debug)]
struct Disk(Mutex<Tape>);

struct Tape {
    first: Vec<u8>,
    now: Vec<u8>,
    calls: Vec<Call>,
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} calls", self.calls.len())
    }
}

impl Disk {
    fn holding(first: Vec<u8>) -> Arc<Disk> {
        Arc::new(Disk(Mutex::new(Tape {
            now: first.clone(),
            first,
            calls: Vec::new(),
        })))
    }

    fn bytes(&self) -> usize {
        self.0.lock().unwrap().now.len()
    }

    fn calls(&self) -> usize {
        self.0.lock().unwrap().calls.len()
    }

    /// What may be on the disk when the power goes after the first `cut` calls.
    fn after_a_cut(&self, cut: usize, dice: &mut Dice) -> Vec<u8> {
        let tape = self.0.lock().unwrap();
        let calls = &tape.calls[..cut];
        let synced = calls.iter().rposition(|call| matches!(call, Call::Sync));
        let (kept, doubtful) = calls.split_at(synced.map_or(0, |at| at + 1));
        let mut image = tape.first.clone();
        for call in kept {
            apply(&mut image, call);
        }
        // Nothing, all, or each sector as the dice fall.
        let chances = [0, 100, 50, 10, 90][dice.below(5)];
        for call in doubtful {
            match call {
                Call::Write(offset, data) => {
                    for (from, sector) in sectors(*offset, data) {
                        if dice.below(100) < chances {
                            apply(&mut image, &Call::Write(from, sector.to_vec()));
                        }
                    }
                }
                // Of a file that shrinks, the end may still be there.
                Call::SetLen(len) if *len < image.len() && dice.below(100) >= chances => {}
                other => apply(&mut image, other),
            }
        }
        image
    }
}

/// A write, cut where sectors end.
fn sectors(offset: usize, data: &[u8]) -> Vec<(usize, &[u8])> {
    let mut parts = Vec::new();
    let (mut at, mut rest) = (offset, data);
    while !rest.is_empty() {
        let (part, after) = rest.split_at((SECTOR - at % SECTOR).min(rest.len()));
        parts.push((at, part));
        at += part.len();
        rest = after;
    }
    parts
}

fn apply(image: &mut Vec<u8>, call: &Call) {
    match call {
        Call::Write(offset, data) => {
            let end = offset + data.len();
            if image.len() < end {
                image.resize(end, 0);
            }
            image[*offset..end].copy_from_slice(data);
        }
        Call::SetLen(len) => image.resize(*len, 0),
        Call::Sync => {}
    }
}

/// SplitMix64: the same falls for the same image, so that one that fails can be looked at.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

#[derive(Debug)]
struct Handle(Arc<Disk>);

impl Handle {
    fn told(&self, call: Call) -> Result<(), io::Error> {
        let mut tape = self.0.0.lock().unwrap();
        apply(&mut tape.now, &call);
        tape.calls.push(call);
        Ok(())
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.0.lock().unwrap().now.len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let tape = self.0.0.lock().unwrap();
        let from = offset as usize;
        match tape.now.get(from..from + out.len()) {
            Some(found) => out.copy_from_slice(found),
            None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        }
        Ok(())
    }
    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.told(Call::SetLen(len as usize))
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        self.told(Call::Sync)
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.told(Call::Write(offset as usize, data.to_vec()))
    }
}

fn open_on(disk: &Arc<Disk>, master: &MasterKey) -> Store {
    let disk = disk.clone();
    let opener: engine::Opener = Box::new(move |thorough| {
        engine::builder(thorough).create_with_backend(Handle(disk.clone()))
    });
    open_with(Path::new("memory"), opener, master, Arc::new(OsEntropy)).unwrap()
}

fn rows(store: &Store) -> BTreeMap<u64, u64> {
    let rows = store.read(|read| read.list::<Row>(&ALL_ROWS)).unwrap();
    rows.into_iter().map(|(key, row)| (key, row.0)).collect()
}

/// All that the first `commits` transactions have written.
fn written(commits: u64) -> BTreeMap<u64, u64> {
    let mut rows = BTreeMap::new();
    for n in 0..commits {
        // Some rows are new, and some are written over.
        rows.insert(n % 16, n);
        rows.insert(TWIN + n, n);
    }
    rows
}

fn images() -> u64 {
    match std::env::var(IMAGES.0) {
        Ok(number) => number.parse().unwrap(),
        Err(_) => IMAGES.1,
    }
}

/// A disk with a new store. A real one has its name only once all of this is on disk.
fn made_new(master: &MasterKey) -> Arc<Disk> {
    let disk = Disk::holding(Vec::new());
    let database = engine::builder(true)
        .create_with_backend(Handle(disk.clone()))
        .unwrap();
    initialise(&database, Path::new("memory"), master, &OsEntropy).unwrap();
    database.close().unwrap();
    disk
}

#[tokio::test]
async fn a_power_cut_loses_nothing_that_was_answered_and_leaves_nothing_half_done() {
    let master = MasterKey::draw(&OsEntropy).unwrap();
    let disk = made_new(&master);
    cut_at_any_call(disk, &master, images()).await;
}

#[tokio::test]
async fn nor_does_it_where_the_file_was_compacted_before() {
    let master = MasterKey::draw(&OsEntropy).unwrap();
    let disk = made_new(&master);
    let store = open_on(&disk, &master);
    let gone = 0..2_000u64;
    let all = gone.clone();
    store
        .write(move |tx| all.clone().try_for_each(|n| tx.put(&n, &Row(n))))
        .await
        .unwrap();
    let all = gone.clone();
    store
        .write(move |tx| {
            all.clone().for_each(|n| tx.delete::<Row>(&n));
            Ok(())
        })
        .await
        .unwrap();
    store.close().await;

    let compacted = Disk::holding(Vec::new());
    let from = engine::builder(false).create_with_backend(Handle(disk.clone()));
    let from = engine::Opened::new(from.unwrap());
    let mut into = engine::builder(false)
        .create_with_backend(Handle(compacted.clone()))
        .unwrap();
    let goes_on = AtomicBool::new(false);
    assert!(compact::fill(&from.view().unwrap(), &into, &goes_on).unwrap());
    into.compact().unwrap();
    into.close().unwrap();
    from.close().unwrap();
    assert!(compacted.bytes() < disk.bytes() / 2);
    cut_at_any_call(compacted, &master, images() / 2).await;
}

/// Runs transactions on an empty store, and looks at what a cut leaves of them.
async fn cut_at_any_call(disk: Arc<Disk>, master: &MasterKey, images: u64) {
    let store = open_on(&disk, master);
    let made = disk.calls();
    // After how many calls each transaction was answered.
    let mut answered = Vec::new();
    for n in 0..COMMITS {
        store
            .write(move |tx| {
                tx.put(&(n % 16), &Row(n))?;
                tx.put(&(TWIN + n), &Row(n))
            })
            .await
            .unwrap();
        answered.push(disk.calls());
    }
    let calls = disk.calls();

    for image in 0..images {
        let mut dice = Dice(image);
        let cut = made + dice.below(calls - made + 1);
        let promised = answered.iter().filter(|at| **at <= cut).count() as u64;
        let mut found = Disk::holding(disk.after_a_cut(cut, &mut dice));
        // A second cut, while the store is opened after the first.
        if dice.below(4) == 0 {
            drop(open_on(&found, master));
            let cut = dice.below(found.calls() + 1);
            found = Disk::holding(found.after_a_cut(cut, &mut dice));
        }
        let store = open_on(&found, master);
        let seen = rows(&store);
        assert!(
            seen == written(promised) || seen == written(promised + 1),
            "image {image}, cut after call {cut} of {calls}: {promised} were promised, found {seen:?}"
        );
        // And it goes on from there.
        store.write(|tx| tx.put(&1, &Row(1))).await.unwrap();
        store.close().await;
    }
}
