//! The ladder, tried with steps of its own, and rehearsals.

use std::path::Path;
use std::sync::Arc;

use redb::{ReadableDatabase, StorageBackend, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::base::{Failure, OsEntropy};
use crate::crypto::{MasterKey, Sealer};

use super::engine::{self, Opened, Snapshot};
use super::keys::Keys;
use super::meta::{self, FORMAT, Meta, PROGRAM};
use super::rehearsal::{Overlay, rehearse};
use super::testing::{ALL_ROWS, key_in, open_in};
use super::tx::SnapshotReader;
use super::upgrade::{Change, LADDER, Step, changes, climb, prepare};
use super::{Key, OpenError, Read, Record, Scan, Tx};

/// As an older program kept it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Tally {
    misses: u64,
}

impl Record for Tally {
    type Key = u64;
    const TABLE: &'static str = "tally";
}

/// As later ones do.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Tallies {
    by_kind: Vec<u64>,
}

impl Record for Tallies {
    type Key = u64;
    const TABLE: &'static str = "tally";
    const VERSION: u8 = 2;
}

fn split(tx: &mut Tx<'_>, _: Option<&[u8]>) -> Result<Option<Vec<u8>>, Failure> {
    for (key, tally) in tx.list::<Tally>(&ALL_ROWS)? {
        let by_kind = vec![tally.misses];
        tx.put(&key, &Tallies { by_kind })?;
    }
    Ok(None)
}

/// Sees what the step before it has written. One row at a time.
fn double(tx: &mut Tx<'_>, past: Option<&[u8]>) -> Result<Option<Vec<u8>>, Failure> {
    let next = Scan {
        past,
        limit: 1,
        ..ALL_ROWS
    };
    let mut last = None;
    for (key, Tallies { mut by_kind }) in tx.list::<Tallies>(&next)? {
        by_kind.push(2 * by_kind[0]);
        tx.put(&key, &Tallies { by_kind })?;
        last = Some(key.encode());
    }
    Ok(last)
}

fn break_off(_: &mut Tx<'_>, _: Option<&[u8]>) -> Result<Option<Vec<u8>>, Failure> {
    Err(Failure::internal("the disk is full"))
}

const SPLIT: Step = Step {
    says: "misses are counted by kind",
    passes: &[split],
};
const DOUBLE: Step = Step {
    says: "misses are counted twice",
    passes: &[double],
};
const BREAKS_OFF: Step = Step {
    says: "nothing comes of it",
    passes: &[break_off],
};

/// One step more than this program has.
const QUIET: Step = Step {
    says: "nothing is rewritten",
    passes: &[],
};

/// A store of format 1 with two tallies in it.
async fn old_store(folder: &Path) {
    store_of_today(folder).await;
    let (database, meta, _) = opened(folder);
    meta::commit(&database, &Meta { format: 1, ..meta }).unwrap();
}

async fn store_of_today(folder: &Path) {
    let store = open_in(folder).unwrap();
    for (key, misses) in [(1, 4), (2, 0)] {
        store
            .write(move |tx| tx.put(&key, &Tally { misses }))
            .await
            .unwrap();
    }
    store.close().await;
}

fn opened(folder: &Path) -> (Opened, Meta, Arc<Sealer>) {
    let database = engine::builder(true)
        .open(folder.join("mfad.redb"))
        .unwrap();
    let meta = meta::read(&database).unwrap();
    let master = MasterKey::load(&folder.join("master.key"), true, None).unwrap();
    let keys = Keys::open(&master, meta.ring.clone());
    (Opened::new(database), meta, keys.unwrap().sealer)
}

fn tallies<R: Record<Key = u64>>(database: &Opened, sealer: &Sealer) -> Vec<(u64, R)> {
    let snapshot = Snapshot::take(database).unwrap();
    let reader = SnapshotReader {
        snapshot: &snapshot,
        sealer,
    };
    (&reader as &dyn Read).list(&ALL_ROWS).unwrap()
}

#[tokio::test]
async fn all_steps_are_taken_in_their_order_and_told_before() {
    let folder = tempfile::tempdir().unwrap();
    old_store(folder.path()).await;
    let path = folder.path().join("mfad.redb");
    let before = std::fs::read(&path).unwrap();
    let ladder = [SPLIT, DOUBLE, QUIET];
    let kept = folder.path().join("mfad.redb.before-format-4");
    let format = |from, says| Change::Format {
        from,
        to: from + 1,
        says,
    };
    let master = MasterKey::draw(&OsEntropy).unwrap();
    let told = prepare(&path, &ladder, &master, &OsEntropy).unwrap();
    assert_eq!(
        told,
        [
            Change::Kept(kept.clone()),
            format(1, SPLIT.says),
            format(2, DOUBLE.says),
            format(3, QUIET.says)
        ]
    );
    assert_eq!(std::fs::read(&kept).unwrap(), before);
    assert_eq!(std::fs::read(&path).unwrap(), before);

    let (database, meta, sealer) = opened(folder.path());
    let is = climb(&database, meta.clone(), &ladder, &sealer, &OsEntropy).unwrap();
    assert_eq!(is, meta::read(&database).unwrap());
    assert_eq!((is.format, &is.ring), (4, &meta.ring));
    // An older file in its place is noticed.
    assert!(is.known.unwrap().1 > meta.known.unwrap().1);
    let by_kind = |by_kind: [u64; 2]| Tallies {
        by_kind: by_kind.to_vec(),
    };
    let expected = vec![(1, by_kind([4, 8])), (2, by_kind([0, 0]))];
    assert_eq!(tallies::<Tallies>(&database, &sealer), expected);

    // At the top there is nothing to do; from the middle, what is left.
    assert_eq!(changes(&path, &is, &ladder, None), []);
    let again = climb(&database, is.clone(), &ladder, &sealer, &OsEntropy).unwrap();
    assert_eq!(again, is);
    let middle = Meta { format: 2, ..is };
    let left = changes(&path, &middle, &ladder, None);
    let steps = [format(2, DOUBLE.says), format(3, QUIET.says)];
    assert_eq!(left, [&[Change::Kept(kept)], &steps[..]].concat());
    drop(database);

    // This program has no such steps, and leaves the file alone.
    let before = std::fs::read(&path).unwrap();
    let refused = open_in(folder.path());
    match refused.err().unwrap() {
        OpenError::Newer { found, program, .. } => {
            assert_eq!((found, program.as_deref()), (4, Some(PROGRAM)));
        }
        other => panic!("{other}"),
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn an_upgrade_that_breaks_off_leaves_the_old_format_whole() {
    let folder = tempfile::tempdir().unwrap();
    old_store(folder.path()).await;
    let ladder = [SPLIT, BREAKS_OFF, QUIET];
    let (database, meta, sealer) = opened(folder.path());
    climb(&database, meta.clone(), &ladder, &sealer, &OsEntropy).unwrap_err();
    assert_eq!(meta::read(&database).unwrap(), meta);
    let misses: Vec<u64> = tallies::<Tally>(&database, &sealer)
        .iter()
        .map(|(_, tally)| tally.misses)
        .collect();
    assert_eq!(misses, [4, 0]);
    drop(database);

    // Where the file cannot be kept as it was, nothing is begun.
    let path = folder.path().join("mfad.redb");
    let before = std::fs::read(&path).unwrap();
    std::fs::create_dir(folder.path().join("mfad.redb.before-format-4")).unwrap();
    let master = MasterKey::draw(&OsEntropy).unwrap();
    let refused = prepare(&path, &ladder, &master, &OsEntropy).unwrap_err();
    assert!(matches!(refused, OpenError::Io { .. }), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let unfinished = "mfad.redb.before-format-4.unfinished";
    assert!(!folder.path().join(unfinished).exists());

    let store = open_in(folder.path()).unwrap();
    let tally = store.read(|read| read.get::<Tally>(&1)).unwrap();
    assert_eq!(tally, Some(Tally { misses: 4 }));
}

#[tokio::test]
async fn a_rehearsal_writes_and_reads_and_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    store_of_today(folder.path()).await;
    let files = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut files: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .map(|path| (std::fs::read(&path).unwrap(), path))
            .collect();
        files.sort();
        files
    };
    let before = files();
    let entropy = Arc::new(OsEntropy);
    let rehearsal = rehearse(folder.path(), &key_in(folder.path()), entropy.clone()).unwrap();
    assert_eq!((rehearsal.format, &*rehearsal.changes), (FORMAT, &[][..]));
    assert_eq!(rehearsal.written_by.as_deref(), Some(PROGRAM));
    let store = rehearsal.store;
    for key in 0..300 {
        store
            .write(move |tx| tx.put(&key, &Tally { misses: key + 1 }))
            .await
            .unwrap();
    }
    let tally = store.read(|read| read.get::<Tally>(&299)).unwrap();
    assert_eq!(tally, Some(Tally { misses: 300 }));
    // Nobody else has it meanwhile.
    let refused = open_in(folder.path());
    assert!(matches!(refused.err(), Some(OpenError::InUse(_))));
    store.close().await;
    assert_eq!(files(), before);
    let refused = rehearse(
        Path::new("/nowhere/at/all"),
        &key_in(folder.path()),
        entropy,
    );
    assert!(matches!(refused.err(), Some(OpenError::Io { .. })));
}

#[test]
fn what_is_written_over_a_file_reads_as_if_it_stood_in_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut model: Vec<u8> = (0..20_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(file.path(), &model).unwrap();
    let before = model.clone();
    let overlay = Overlay::of(file.path()).unwrap();
    let mut dice = 7u64;
    let mut below = |limit: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (dice >> 33) as usize % limit
    };
    for round in 0..2_000 {
        match below(8) {
            0 => {
                let length = below(30_000);
                overlay.set_len(length as u64).unwrap();
                model.resize(length, 0);
            }
            1..4 if !model.is_empty() => {
                let from = below(model.len());
                let length = below(model.len() - from + 1).min(9_000);
                let data = vec![round as u8; length];
                overlay.write(from as u64, &data).unwrap();
                model[from..from + length].copy_from_slice(&data);
            }
            _ => {
                let from = below(model.len() + 1);
                let mut out = vec![0; below(model.len() - from + 1)];
                overlay.read(from as u64, &mut out).unwrap();
                assert_eq!(out, model[from..from + out.len()], "round {round}");
            }
        }
        assert_eq!(overlay.len().unwrap(), model.len() as u64);
    }
    overlay.read(model.len() as u64, &mut [0]).unwrap_err();
    assert_eq!(std::fs::read(file.path()).unwrap(), before);
}

/// What an older program never wrote, and must not lose.
#[tokio::test]
async fn who_wrote_a_store_is_noted_once_and_a_stranger_to_it_steers_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    store_of_today(folder.path()).await;
    let (database, meta, _) = opened(folder.path());
    assert_eq!(meta.written_by.as_deref(), Some(PROGRAM));
    let transaction = database.begin_write().unwrap();
    let definition: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    let version = format!("\u{1b}[2J{}", "9".repeat(5_000));
    transaction
        .open_table(definition)
        .unwrap()
        .insert("written by", version.as_bytes())
        .unwrap();
    transaction.commit().unwrap();
    let read = meta::read_from(&database.begin_read().unwrap()).unwrap();
    let shown = read.written_by.clone().unwrap();
    assert_eq!(shown.len(), 32);
    assert!(shown.starts_with("[2J9"), "{shown}");
    let path = folder.path().join("mfad.redb");
    assert_eq!(changes(&path, &read, &LADDER, None), [Change::Noted]);
    drop(database);
    let store = open_in(folder.path()).unwrap();
    store.close().await;
    let (_, now, _) = opened(folder.path());
    assert_eq!(now, meta);
}
