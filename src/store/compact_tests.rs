//! A file that gives back its room: under readers and writers, under a kill, and on a disk that fails.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering as Memory};
use std::time::Duration;

use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use serde::{Deserialize, Serialize};

use crate::base::OsEntropy;
use crate::crypto::MasterKey;
use crate::metrics::{Metrics, Now};

use super::compact::{self, CameTo, Compactor, Pace, fill};
use super::engine::{self, Opened};
use super::open::{open_witnessed, opener};
use super::testing::{ALL_ROWS, open_in};
use super::witness::Witness;
use super::{Record, Store};

/// As soon as nobody writes, whatever the file's size.
const AT_ONCE: Pace = Pace {
    quiet: Duration::ZERO,
    smallest: 0,
    pause: Duration::ZERO,
};
/// Rows at first, of which every tenth stays.
const ROWS: u64 = 3_000;
/// How often the child is killed.
const KILLS: u64 = 12;
/// Where the child finds its store.
const CHILD: &str = "MFAD_COMPACTION_CHILD";

#[derive(Serialize, Deserialize)]
struct Row(u64, String);

impl Record for Row {
    type Key = u64;
    const TABLE: &'static str = "row";
}

fn row(number: u64) -> Row {
    Row(number, "x".repeat(600))
}

fn rows(store: &Store) -> BTreeMap<u64, u64> {
    let rows = store.read(|read| read.list::<Row>(&ALL_ROWS)).unwrap();
    rows.into_iter().map(|(key, row)| (key, row.0)).collect()
}

/// A closed store with much room in it, and the rows that it holds.
async fn roomy(folder: &Path) -> BTreeMap<u64, u64> {
    let store = open_in(folder).unwrap();
    store
        .write(|tx| (0..ROWS).try_for_each(|n| tx.put(&n, &row(n))))
        .await
        .unwrap();
    store
        .write(|tx| {
            for n in (0..ROWS).filter(|n| n % 10 != 0) {
                tx.delete::<Row>(&n);
            }
            Ok(())
        })
        .await
        .unwrap();
    let left = rows(&store);
    store.close().await;
    left
}

fn open_at_once(folder: &Path) -> Store {
    let path = folder.join("mfad.redb");
    let master = MasterKey::load(&folder.join("master.key"), true, None).unwrap();
    let witness = Witness::of(folder, master.witness_key().unwrap(), Arc::new(OsEntropy));
    let (opener, entropy) = (opener(&path), Arc::new(OsEntropy));
    open_witnessed(
        &path,
        opener,
        &master,
        entropy,
        Some(witness),
        Some(AT_ONCE),
    )
    .unwrap()
}

/// Waits until the file is smaller than that.
async fn falls_below(store: &Store, bytes: u64) -> u64 {
    let fallen = async {
        loop {
            match store.file_size().unwrap() {
                size if size < bytes => return size,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let fallen = tokio::time::timeout(Duration::from_secs(60), fallen).await;
    fallen.expect("the file is compacted")
}

#[tokio::test]
async fn room_is_given_back_under_a_reader_and_nothing_else_changes() {
    let folder = tempfile::tempdir().unwrap();
    let left = roomy(folder.path()).await;
    let path = folder.path().join("mfad.redb");
    let before = fs::metadata(&path).unwrap().len();
    let store = open_at_once(folder.path());
    let metrics = Metrics::new();
    store.count_in(&metrics);
    let progress = store.progress().unwrap();

    // A reader that began before goes on in what it saw.
    let (reading, done) = (store.clone(), Arc::new(AtomicBool::new(false)));
    let until = done.clone();
    let reader = tokio::task::spawn_blocking(move || {
        reading.read(|read| {
            assert_eq!(read.get::<Row>(&10)?.unwrap().0, 10);
            while !until.load(Memory::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            for n in (0..ROWS).step_by(10) {
                assert_eq!(read.get::<Row>(&n)?.unwrap().0, n);
            }
            Ok(())
        })
    });
    let after = falls_below(&store, before / 2).await;
    assert!(after * 4 < before, "{before} became {after}");
    assert_eq!(rows(&store), left);
    assert_eq!(store.progress().unwrap(), progress);
    done.store(true, Memory::SeqCst);
    reader.await.unwrap().unwrap();
    let counted = metrics.text(&Now::default()).unwrap();
    assert!(
        counted.contains("mfad_store_compactions_total 1\n"),
        "{counted}"
    );

    store.write(|tx| tx.put(&7, &row(7))).await.unwrap();
    let (id, was) = progress;
    let (same, is) = store.progress().unwrap();
    assert_eq!(
        (same, is.epoch, is.changes),
        (id, was.epoch, was.changes + 1)
    );
    // Somebody else cannot have it meanwhile.
    assert!(opener(&path)(false).is_err());
    store.close().await;

    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    let store = open_at_once(folder.path());
    assert_eq!(rows(&store).len(), left.len() + 1);
    store.close().await;
}

#[tokio::test]
async fn whoever_writes_breaks_it_off_and_what_was_left_behind_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    roomy(folder.path()).await;
    let path = folder.path().join("mfad.redb");
    let beside = folder.path().join("mfad.compacting");
    let before = fs::read(&path).unwrap();
    fs::write(&beside, b"of a process that was killed").unwrap();
    let mut compactor = Compactor::new(&path, AT_ONCE);
    assert!(!beside.exists());

    let opened = Opened::new(opener(&path)(true).unwrap());
    compactor.start(opened.view().unwrap()).unwrap();
    compactor.disturbed();
    compactor.end();
    assert!(!beside.exists());
    assert!(!opened.is_viewed());
    opened.close().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), before.len() as u64);
}

#[tokio::test]
async fn a_file_that_is_not_ours_any_more_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let left = roomy(folder.path()).await;
    let path = folder.path().join("mfad.redb");
    let moved = folder.path().join("moved.redb");
    let mut store = open_at_once(folder.path());
    // Another file has the name, large enough to be worth it.
    let others = vec![b'x'; fs::metadata(&path).unwrap().len() as usize];
    fs::rename(&path, &moved).unwrap();
    fs::write(&path, &others).unwrap();
    let ready = async {
        while store.compacted() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ready = tokio::time::timeout(Duration::from_secs(60), ready).await;
    ready.expect("a compacted file is ready");
    assert!(fs::read(&path).unwrap() == others);
    store.write(|tx| tx.put(&1, &row(1))).await.unwrap();
    assert!(fs::read(&path).unwrap() == others);
    store.close().await;
    fs::rename(&moved, &path).unwrap();
    store = open_at_once(folder.path());
    assert_eq!(rows(&store).len(), left.len() + 1);
    store.close().await;
}

/// The child keeps its store busy and its compactor too, and says what is on disk. It is this test, run by itself.
#[tokio::test]
async fn a_kill_at_any_moment_loses_nothing() {
    if let Ok(folder) = std::env::var(CHILD) {
        let store = open_at_once(Path::new(&folder));
        for n in ROWS.. {
            // Grows and shrinks, so that there is always something to give back.
            store
                .write(move |tx| {
                    (0..200).try_for_each(|i| tx.put(&(1_000_000 + i), &row(n)))?;
                    tx.put(&n, &row(n))
                })
                .await
                .unwrap();
            store
                .write(|tx| {
                    (0..200).for_each(|i| tx.delete::<Row>(&(1_000_000 + i)));
                    Ok(())
                })
                .await
                .unwrap();
            println!("wrote {n}");
            // Nobody writes for a while, so that there is something to kill in the middle of a compaction.
            tokio::time::sleep(Duration::from_millis(1200)).await;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let left = roomy(folder.path()).await;
    let mut smaller = 0;
    let first = fs::metadata(folder.path().join("mfad.redb")).unwrap().len();
    let mut promised = left;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "--test-threads=1"])
            .arg("store::compact_tests::a_kill_at_any_moment_loses_nothing")
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        // Time is what this is about: the child is killed at another moment each time, and the file comes to its new name
        // about half a second after a write.
        tokio::time::sleep(Duration::from_millis(300 + kill * 130)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let said = io::read_to_string(out).unwrap();
        let wrote = said.lines().filter_map(|line| line.strip_prefix("wrote "));
        promised.extend(wrote.map(|n| n.parse::<u64>().unwrap()).map(|n| (n, n)));

        let store = open_in(folder.path()).unwrap();
        let found = rows(&store);
        for (key, value) in &promised {
            assert_eq!(found.get(key), Some(value), "row {key} after kill {kill}");
        }
        store.close().await;
        let size = fs::metadata(folder.path().join("mfad.redb")).unwrap().len();
        smaller += u64::from(size < first / 2);
    }
    assert!(
        promised.len() > ROWS as usize / 10,
        "no child came to write"
    );
    assert!(smaller > 0, "no child came to compact");
}

/// A disk that takes so many calls and no more.
#[derive(Debug)]
struct Failing {
    disk: InMemoryBackend,
    left: Arc<AtomicU64>,
}

impl Failing {
    fn step(&self) -> Result<(), io::Error> {
        let some = |left: u64| left.checked_sub(1);
        match self.left.fetch_update(Memory::SeqCst, Memory::SeqCst, some) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

impl StorageBackend for Failing {
    fn len(&self) -> Result<u64, io::Error> {
        self.disk.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.disk.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.step()?;
        self.disk.set_len(len)
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        self.step()?;
        self.disk.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.step()?;
        self.disk.write(offset, data)
    }
}

#[tokio::test]
async fn a_disk_that_fails_at_any_call_ends_it_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    roomy(folder.path()).await;
    let path = folder.path().join("mfad.redb");
    let opened = Opened::new(opener(&path)(true).unwrap());
    let view = opened.view().unwrap();
    let goes_on = AtomicBool::new(false);
    let copy = |calls: u64| {
        let left = Arc::new(AtomicU64::new(calls));
        let disk = Failing {
            disk: InMemoryBackend::new(),
            left: left.clone(),
        };
        let database = engine::builder(false).create_with_backend(disk).ok()?;
        let filled = fill(&view, &database, &goes_on).ok()?;
        assert!(filled);
        Some(calls - left.load(Memory::SeqCst))
    };
    let calls = copy(u64::MAX).unwrap();
    assert!(calls > 50, "{calls}");
    for at in (0..calls).step_by((calls / 40) as usize) {
        assert_eq!(copy(at), None, "after {at} calls");
    }
    assert_eq!(copy(calls), Some(calls));
}

#[test]
fn a_file_is_written_anew_only_where_that_gives_much_back() {
    let is_roomy = |size, came_to: Option<(u64, u64)>| {
        let came_to = came_to.map(|(needed, file)| CameTo { needed, file });
        compact::is_roomy(size, 1_000, came_to)
    };
    assert!(!is_roomy(2_000, None));
    assert!(is_roomy(2_100, None));
    // Rows that make a file twice as long as they are do so again.
    assert!(!is_roomy(2_100, Some((1_000, 2_000))));
    assert!(!is_roomy(2_900, Some((5_000, 10_000))));
    assert!(is_roomy(3_100, Some((5_000, 10_000))));
    assert!(is_roomy(2_100, Some((1_000, 1_100))));
}
