use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use redb::{ReadableTable as _, StorageBackend};
use serde::{Deserialize, Serialize};

use crate::base::{Failure, Kind, OsEntropy, PersonKey, Timestamp, codes};
use crate::crypto::{KeyRingError, MasterKey};

use super::birth::initialise;
use super::meta::{FORMAT, META};
use super::open::open_with;
use super::testing::{ALL_ROWS, TestStore, key_in, open_in};
use super::{OpenError, Order, Record, Scan, Store, Tx, engine, open};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    text: String,
}

impl Record for Note {
    type Key = u64;
    const TABLE: &'static str = "note";
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Mark(u64);

impl Record for Mark {
    type Key = (PersonKey, u64);
    const TABLE: &'static str = "mark";
    const VERSION: u8 = 2;
    fn upgrade(version: u8, json: &[u8]) -> Option<Self> {
        (version == 1).then(|| {
            serde_json::from_slice::<u64>(json)
                .ok()
                .map(|n| Mark(n * 10))
        })?
    }
}

pub(super) fn note(text: &str) -> Note {
    Note {
        text: text.to_owned(),
    }
}

fn no() -> Failure {
    Failure::not_found()
}

pub(super) fn all(store: &Store) -> BTreeMap<u64, String> {
    store
        .read(|r| r.list::<Note>(&ALL_ROWS))
        .unwrap()
        .into_iter()
        .map(|(k, n)| (k, n.text))
        .collect()
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let mut store = TestStore::create();
    store.write(|tx| tx.put(&1, &note("one"))).await.unwrap();
    store.close().await;
    assert_eq!(
        store
            .write(|tx| tx.put(&2, &note("two")))
            .await
            .unwrap_err()
            .code(),
        codes::UNAVAILABLE
    );
    store.restart().await;
    assert_eq!(all(&store), BTreeMap::from([(1, "one".to_owned())]));
}

#[tokio::test]
async fn a_transaction_that_fails_or_panics_leaves_nothing_and_touches_no_other() {
    let store = TestStore::create();
    let outcomes = futures_join(&store, 60).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        match n % 3 {
            0 => assert!(outcome.is_ok(), "{n}: {outcome:?}"),
            1 => assert_eq!(outcome.as_ref().unwrap_err().code().kind, Kind::NotFound),
            _ => assert_eq!(outcome.as_ref().unwrap_err().code().kind, Kind::Internal),
        }
    }
    assert_eq!(
        all(&store).into_keys().collect::<Vec<_>>(),
        (0..60).step_by(3).collect::<Vec<u64>>()
    );
}

async fn futures_join(store: &Store, count: u64) -> Vec<Result<(), Failure>> {
    let running: Vec<_> = (0..count)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write(move |tx| {
                        tx.put(&n, &note("kept only if the rest succeeds"))?;
                        match n % 3 {
                            0 => Ok(()),
                            1 => Err(no()),
                            _ => panic!("on purpose"),
                        }
                    })
                    .await
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in running {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_parallel_transactions_all_count() {
    let store = TestStore::create();
    let running: Vec<_> = (0..1_000)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write(|tx| {
                        let seen: u64 = tx
                            .get::<Note>(&0)?
                            .map_or(0, |n| n.text.parse().unwrap_or(0));
                        tx.put(&0, &note(&(seen + 1).to_string()))?;
                        Ok(seen)
                    })
                    .await
            })
        })
        .collect();
    let mut seen = Vec::new();
    for task in running {
        seen.push(task.await.unwrap().unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_transaction_sees_its_own_changes_in_gets_scans_and_numbers() {
    let store = TestStore::create();
    for n in [1u64, 3, 5, 7] {
        store
            .write(move |tx| tx.put(&n, &note("stored")))
            .await
            .unwrap();
    }
    store
        .write(|tx| {
            tx.put(&4, &note("own"))?;
            tx.put(&5, &note("changed"))?;
            tx.delete::<Note>(&3);
            tx.put(&9, &note("own"))?;
            assert_eq!(tx.get::<Note>(&3)?, None);
            assert_eq!(tx.get::<Note>(&5)?, Some(note("changed")));
            assert_eq!(tx.last_number::<Note>()?, 9);
            let scan = |past: Option<&[u8]>, order, limit| -> Vec<u64> {
                let scan = Scan {
                    prefix: &[],
                    past,
                    order,
                    limit,
                };
                tx.list::<Note>(&scan)
                    .unwrap()
                    .into_iter()
                    .map(|(key, _)| key)
                    .collect()
            };
            assert_eq!(scan(None, Order::Ascending, 10), [1, 4, 5, 7, 9]);
            assert_eq!(scan(None, Order::Ascending, 2), [1, 4]);
            assert_eq!(scan(None, Order::Descending, 3), [9, 7, 5]);
            assert_eq!(
                scan(Some(&5u64.to_be_bytes()), Order::Ascending, 10),
                [7, 9]
            );
            assert_eq!(
                scan(Some(&5u64.to_be_bytes()), Order::Descending, 10),
                [4, 1]
            );
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_persons_rows_are_scanned_without_their_neighbours() {
    let store = TestStore::create();
    let people = [
        PersonKey([0; 16]),
        PersonKey([1; 16]),
        PersonKey([0xff; 16]),
    ];
    store
        .write(move |tx| {
            for person in people {
                for n in 1..=3 {
                    tx.put(&(person, n), &Mark(n))?;
                }
            }
            Ok(())
        })
        .await
        .unwrap();
    for person in people {
        let scan = Scan {
            prefix: person.as_bytes(),
            past: None,
            order: Order::Descending,
            limit: 2,
        };
        let rows = store.read(|r| r.list::<Mark>(&scan)).unwrap();
        assert_eq!(
            rows.iter().map(|(key, _)| *key).collect::<Vec<_>>(),
            [(person, 3), (person, 2)]
        );
    }
}

#[tokio::test]
async fn the_sweep_removes_what_is_over_and_nothing_that_was_put_again() {
    let store = TestStore::create();
    let at = Timestamp::from_unix;
    store
        .write(move |tx| {
            for n in 0..600 {
                tx.put_until(&n, &note("short"), at(100))?;
            }
            tx.put_until(&1_000, &note("renewed"), at(100))?;
            tx.put_until(&1_001, &note("long"), at(300))?;
            tx.put(&1_002, &note("for ever"))
        })
        .await
        .unwrap();
    store
        .write(move |tx| tx.put_until(&1_000, &note("renewed"), at(200)))
        .await
        .unwrap();
    assert_eq!(store.sweep(at(99)).await.unwrap(), 1);
    assert_eq!(all(&store).len(), 603);
    assert_eq!(store.sweep(at(100)).await.unwrap(), 3);
    assert_eq!(
        all(&store).into_keys().collect::<Vec<_>>(),
        [1_000, 1_001, 1_002]
    );
    store.sweep(at(200)).await.unwrap();
    assert_eq!(all(&store).into_keys().collect::<Vec<_>>(), [1_001, 1_002]);
}

#[tokio::test]
async fn a_watcher_hears_of_a_commit_that_came_before_it_listened() {
    let store = TestStore::create();
    let (notes, marks) = (store.watch("note"), store.watch("mark"));
    store.write(|tx| tx.put(&1, &note("one"))).await.unwrap();
    notes.notified().await;
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(50), marks.notified())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn an_older_record_is_read_and_a_newer_one_is_not_misread() {
    #[derive(Serialize, Deserialize)]
    struct Old(u64);
    impl Record for Old {
        type Key = (PersonKey, u64);
        const TABLE: &'static str = "mark";
    }
    #[derive(Serialize, Deserialize)]
    struct Newer(u64);
    impl Record for Newer {
        type Key = (PersonKey, u64);
        const TABLE: &'static str = "mark";
        const VERSION: u8 = 3;
    }
    let store = TestStore::create();
    let person = PersonKey([1; 16]);
    store
        .write(move |tx| tx.put(&(person, 1), &Old(7)))
        .await
        .unwrap();
    store
        .write(move |tx| tx.put(&(person, 2), &Newer(7)))
        .await
        .unwrap();
    assert_eq!(
        store.read(|r| r.get::<Mark>(&(person, 1))).unwrap(),
        Some(Mark(70))
    );
    let refused = store.read(|r| r.get::<Mark>(&(person, 2))).unwrap_err();
    assert_eq!(refused.code().kind, Kind::Internal);
}

#[tokio::test]
async fn a_row_moved_to_another_place_does_not_open() {
    let mut store = TestStore::create();
    store
        .write(|tx| {
            tx.put(&1, &note("alice's"))
                .and_then(|()| tx.put(&2, &note("bob's")))
        })
        .await
        .unwrap();
    store.close().await;
    {
        let database = engine::builder(true)
            .open(store.folder().join("mfad.redb"))
            .unwrap();
        let table = redb::TableDefinition::<&[u8], &[u8]>::new("note");
        let transaction = database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(table).unwrap();
            let bobs = table
                .get(2u64.to_be_bytes().as_slice())
                .unwrap()
                .unwrap()
                .value()
                .to_vec();
            assert!(
                !bobs.windows(3).any(|w| w == b"bob"),
                "the value is not sealed"
            );
            table
                .insert(1u64.to_be_bytes().as_slice(), bobs.as_slice())
                .unwrap();
        }
        transaction.commit().unwrap();
    }
    store.restart().await;
    assert_eq!(
        store.read(|r| r.get::<Note>(&1)).unwrap_err().code().kind,
        Kind::Internal
    );
    assert_eq!(
        store.read(|r| r.get::<Note>(&2)).unwrap(),
        Some(note("bob's"))
    );
}

#[tokio::test]
async fn files_are_private_and_what_is_not_ours_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("data");
    let store = open_in(&folder).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
    let (file, key) = (folder.join("mfad.redb"), folder.join("master.key"));
    assert_eq!(
        (mode(&folder), mode(&file), mode(&key)),
        (0o700, 0o600, 0o600)
    );

    assert!(matches!(open_in(&folder), Err(OpenError::InUse(_))));
    store.close().await;

    // Left open by somebody's chmod: closed again.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    open_in(&folder).unwrap().close().await;
    assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));

    let second_name = root.path().join("copy.redb");
    std::fs::hard_link(&file, &second_name).unwrap();
    assert!(matches!(open_in(&folder), Err(OpenError::Foreign { .. })));
    std::fs::remove_file(&second_name).unwrap();

    std::fs::rename(&file, root.path().join("real.redb")).unwrap();
    symlink(root.path().join("real.redb"), &file).unwrap();
    assert!(matches!(open_in(&folder), Err(OpenError::Foreign { .. })));
}

#[tokio::test]
async fn a_lost_or_wrong_master_key_stops_the_start_and_harms_nothing() {
    let store = TestStore::create();
    store.write(|tx| tx.put(&1, &note("one"))).await.unwrap();
    store.close().await;
    let key = store.folder().join("master.key");
    let kept = std::fs::read(&key).unwrap();

    std::fs::remove_file(&key).unwrap();
    assert!(matches!(
        open_in(store.folder()),
        Err(OpenError::MasterKeyLost { .. })
    ));
    assert!(!key.exists(), "a lost key must not be replaced");

    let other = MasterKey::create(&key, None, &OsEntropy).unwrap();
    match open_in(store.folder()) {
        Err(OpenError::KeyRing(KeyRingError::WrongMasterKey { found, .. })) => {
            assert_eq!(found, other.id())
        }
        other => panic!("opened under the wrong key: {:?}", other.err()),
    }
    std::fs::write(&key, kept).unwrap();
    assert_eq!(all(&open_in(store.folder()).unwrap()).len(), 1);
}

#[tokio::test]
async fn a_newer_or_damaged_file_is_refused() {
    let store = TestStore::create();
    store.close().await;
    let path = store.folder().join("mfad.redb");
    {
        let database = engine::builder(true).open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction
            .open_table(META)
            .unwrap()
            .insert("format", (FORMAT + 1).to_be_bytes().as_slice())
            .unwrap();
        transaction.commit().unwrap();
    }
    assert!(
        matches!(open_in(store.folder()), Err(OpenError::Newer { found, .. }) if found == FORMAT + 1)
    );
    std::fs::write(
        &path,
        b"this is no database, but it is long enough to look at",
    )
    .unwrap();
    assert!(open_in(store.folder()).is_err());
    assert_eq!(
        std::fs::read(&path).unwrap().len(),
        53,
        "a file that is not ours was written to"
    );
}

#[tokio::test]
async fn an_emptied_or_exchanged_file_is_never_taken_for_a_new_store() {
    let store = TestStore::create();
    let path = store.folder().join("mfad.redb");
    store.write(|tx| tx.put(&1, &note("one"))).await.unwrap();
    store.close().await;
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(
        open_in(store.folder()),
        Err(OpenError::Damaged { .. })
    ));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);

    // A database of the same engine that is none of ours.
    std::fs::remove_file(&path).unwrap();
    drop(engine::builder(true).create(&path).unwrap());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(
        open_in(store.folder()),
        Err(OpenError::Damaged { .. })
    ));
}

#[tokio::test]
async fn another_store_put_in_place_of_ours_while_we_run_is_not_believed() {
    let master = MasterKey::draw(&OsEntropy).unwrap();
    let (disk, others) = (Arc::new(Disk::default()), Arc::new(Disk::default()));
    let store = open_on(&disk, &master).unwrap();
    store.write(|tx| tx.put(&1, &note("one"))).await.unwrap();
    open_on(&others, &master).unwrap().close().await;

    let whole = disk.bytes.lock().unwrap().clone();
    *disk.bytes.lock().unwrap() = others.bytes.lock().unwrap().clone();
    disk.fail_at
        .store(disk.calls.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
    assert!(store.write(|tx| tx.put(&2, &note("two"))).await.is_err());
    // Each write has the store opened again.
    for n in 0..5 {
        assert!(
            store
                .write(move |tx| tx.put(&n, &note("two")))
                .await
                .is_err()
        );
        assert!(store.health().is_err(), "another store was taken for ours");
        assert!(store.read(|r| r.get::<Note>(&1)).is_err());
    }
    *disk.bytes.lock().unwrap() = whole;
    until_healthy(&store).await;
    assert_eq!(all(&store), BTreeMap::from([(1, "one".to_owned())]));
}

#[tokio::test]
async fn a_store_that_was_not_finished_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mfad.unfinished"), b"cut short").unwrap();
    let store = open_in(folder.path()).unwrap();
    store.write(|tx| tx.put(&1, &note("one"))).await.unwrap();
    assert!(!folder.path().join("mfad.unfinished").exists());
}

/// A disk in memory that outlives the engine's handle and fails when told to.
#[derive(Debug, Default)]
pub(super) struct Disk {
    bytes: Mutex<Vec<u8>>,
    pub(super) calls: AtomicU64,
    pub(super) fail_at: AtomicU64,
    full: AtomicBool,
    locked: AtomicBool,
}

#[derive(Debug)]
struct Handle(Arc<Disk>);

impl Disk {
    fn step(&self) -> Result<(), io::Error> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if call == self.fail_at.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected"));
        }
        Ok(())
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> Result<u64, io::Error> {
        self.0.step()?;
        Ok(self.0.bytes.lock().unwrap().len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.step()?;
        let bytes = self.0.bytes.lock().unwrap();
        let from = offset as usize;
        match bytes.get(from..from + out.len()) {
            Some(found) => out.copy_from_slice(found),
            None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        }
        Ok(())
    }
    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.step()?;
        let mut bytes = self.0.bytes.lock().unwrap();
        if self.0.full.load(Ordering::SeqCst) && len as usize > bytes.len() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        bytes.resize(len as usize, 0);
        Ok(())
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        self.0.step()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.step()?;
        let mut bytes = self.0.bytes.lock().unwrap();
        let from = offset as usize;
        bytes[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
    fn close(&self) -> Result<(), io::Error> {
        self.0.locked.store(false, Ordering::SeqCst);
        Ok(())
    }
}

pub(super) fn open_on(disk: &Arc<Disk>, master: &MasterKey) -> Result<Store, OpenError> {
    let (disk, made_for) = (disk.clone(), master.clone());
    let opener: engine::Opener = Box::new(move |thorough| {
        if disk.locked.swap(true, Ordering::SeqCst) {
            return Err(redb::DatabaseError::DatabaseAlreadyOpen);
        }
        let fresh = disk.bytes.lock().unwrap().is_empty();
        let database = engine::builder(thorough).create_with_backend(Handle(disk.clone()))?;
        if fresh {
            initialise(&database, Path::new("memory"), &made_for, &OsEntropy).unwrap();
        }
        Ok(database)
    });
    open_with(Path::new("memory"), opener, master, Arc::new(OsEntropy))
}

/// Has the store try again at once, which each write makes it do, until it is well. [`until_healthy`] waits for it to do so by
/// itself.
pub(super) async fn recover(store: &Store) {
    for _ in 0..50 {
        let tried = store.write(|_| Ok(())).await;
        if tried.is_ok() && store.health().is_ok() && store.read(|r| r.get::<Note>(&0)).is_ok() {
            return;
        }
    }
    panic!("the store does not recover: {:?}", store.health());
}

pub(super) async fn until_healthy(store: &Store) {
    for _ in 0..500 {
        if store.health().is_ok() && store.read(|r| r.get::<Note>(&0)).is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the store did not recover within 5 s: {:?}", store.health());
}

#[tokio::test]
async fn whichever_call_to_the_disk_fails_nothing_acknowledged_is_lost_and_the_store_recovers() {
    let master = MasterKey::draw(&OsEntropy).unwrap();
    for nth in (1..160).step_by(3) {
        let disk = Arc::new(Disk::default());
        let store = open_on(&disk, &master).unwrap();
        let mut acknowledged = BTreeMap::new();
        disk.fail_at
            .store(disk.calls.load(Ordering::SeqCst) + nth, Ordering::SeqCst);
        for n in 0..12u64 {
            let text = n.to_string();
            let put = text.clone();
            if store.write(move |tx| tx.put(&n, &note(&put))).await.is_ok() {
                acknowledged.insert(n, text);
            }
        }
        disk.fail_at.store(0, Ordering::SeqCst);
        recover(&store).await;
        store
            .write(|tx| tx.put(&100, &note("after")))
            .await
            .unwrap();
        acknowledged.insert(100, "after".to_owned());
        let check = |found: BTreeMap<u64, String>| {
            for (key, text) in &acknowledged {
                assert_eq!(found.get(key), Some(text), "call {nth} failed");
            }
        };
        check(all(&store));
        store.close().await;
        check(all(&open_on(&disk, &master).unwrap()));
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_and_heals_by_itself() {
    let master = MasterKey::draw(&OsEntropy).unwrap();
    let disk = Arc::new(Disk::default());
    let store = open_on(&disk, &master).unwrap();
    store.write(|tx| tx.put(&0, &note("before"))).await.unwrap();
    disk.full.store(true, Ordering::SeqCst);
    let mut acknowledged = 1;
    let refused = loop {
        let put = move |tx: &mut Tx<'_>| tx.put(&acknowledged, &note(&"x".repeat(50_000)));
        match store.write(put).await {
            Ok(()) => acknowledged += 1,
            Err(refused) => break refused,
        }
        assert!(acknowledged < 1_000, "the disk does not fill up");
    };
    assert_eq!(
        (refused.code(), refused.wait()),
        (codes::UNAVAILABLE, Some(5))
    );
    assert!(store.health().is_err());
    // Once the file has been looked through, reading goes on.
    let reading = async {
        while store.read(|r| r.get::<Note>(&0)).is_err() {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(5);
    tokio::time::timeout(patience, reading).await.unwrap();
    // Nor does it matter how often it is tried again, which each write does.
    for _ in 0..5 {
        assert_eq!(all(&store).len() as u64, acknowledged);
        assert!(store.write(|tx| tx.put(&0, &note("after"))).await.is_err());
    }
    assert!(store.health().is_err());
    disk.full.store(false, Ordering::SeqCst);
    until_healthy(&store).await;
    store
        .write(|tx| tx.put(&5_000, &note("after")))
        .await
        .unwrap();
    assert_eq!(all(&store).len() as u64, acknowledged + 1);
}

#[tokio::test]
async fn a_store_that_was_broken_off_while_it_was_made_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mfad.unfinished"), [7; 5000]).unwrap();
    let store = open_in(folder.path()).unwrap();
    store.write(|tx| tx.put(&1, &note("one"))).await.unwrap();
    store.close().await;
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["master.key", "mfad.redb", "mfad.witness"]);
    assert_eq!(all(&open_in(folder.path()).unwrap()).len(), 1);
}

#[test]
fn a_file_that_is_no_store_of_ours_is_left_as_it_is() {
    let store = TestStore::create();
    let path = store.folder().join("other").join("mfad.redb");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, [7; 5000]).unwrap();
    let opened = open(
        path.parent().unwrap(),
        &key_in(store.folder()),
        Arc::new(OsEntropy),
    );
    assert!(matches!(opened.err().unwrap(), OpenError::Damaged { .. }));
    assert_eq!(std::fs::read(&path).unwrap(), [7; 5000]);
}
