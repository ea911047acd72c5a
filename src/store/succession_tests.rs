use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tempfile::TempDir;

use crate::base::{OsEntropy, Timestamp};
use crate::crypto::{KeyRingError, MasterKey};

use super::meta::MOST_SUCCESSORS;
use super::tests::{Disk, all, note, open_on};
use super::witness::{Doubt, Witness};
use super::{MasterKeyPlace, OpenError, Store, open, rehearse};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// Two keys, each in a file of its own beside the folder of a store.
struct Keys {
    beside: TempDir,
    store: TempDir,
    old: (MasterKeyPlace, MasterKey),
    new: (MasterKeyPlace, MasterKey),
}

impl Keys {
    fn make() -> Keys {
        let (beside, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let make = |name: &str| {
            let file = beside.path().join(name);
            let key = MasterKey::create(&file, None, &OsEntropy).unwrap();
            (MasterKeyPlace::own(file), key)
        };
        Keys {
            old: make("old.key"),
            new: make("new.key"),
            beside,
            store,
        }
    }

    fn folder(&self) -> &Path {
        self.store.path()
    }

    /// A store with a row, under the old key, and handed over.
    async fn handed_over(&self) -> Store {
        let store = open(self.folder(), &self.old.0, Arc::new(OsEntropy)).unwrap();
        store.write(|tx| tx.put(&1, &note("one"))).await.unwrap();
        let handed = self.old.1.hand_over_to(&self.new.1, &OsEntropy).unwrap();
        let (old, new) = (self.old.1.id(), self.new.1.id());
        store.hand_over(old, new, handed).await.unwrap();
        assert_eq!(store.master_keys().unwrap(), (old, vec![new]));
        store
    }
}

fn opened(folder: &Path, key: &MasterKeyPlace) -> Result<Store, OpenError> {
    open(folder, key, Arc::new(OsEntropy))
}

fn is_another_key(outcome: Result<Store, OpenError>) -> bool {
    matches!(
        outcome.err(),
        Some(OpenError::KeyRing(KeyRingError::WrongMasterKey { .. }))
    )
}

fn doubt(outcome: Result<Store, OpenError>) -> Option<Doubt> {
    match outcome.err() {
        Some(OpenError::Doubted { doubt, .. }) => Some(doubt),
        _ => None,
    }
}

#[tokio::test]
async fn the_new_key_takes_over_when_it_first_opens_the_store_and_the_old_one_is_good_until_then() {
    let keys = Keys::make();
    let folder = keys.folder();
    let store = keys.handed_over().await;
    // Keys that change meanwhile are not lost.
    store.rotate_data_key(NOW).await.unwrap();
    store.write(|tx| tx.put(&2, &note("two"))).await.unwrap();
    store.reseal().await.unwrap();
    store.close().await;

    let store = opened(folder, &keys.old.0).unwrap();
    store.write(|tx| tx.put(&3, &note("three"))).await.unwrap();
    store.close().await;
    // A look at how the start would go changes nothing.
    let rehearsed = rehearse(folder, &keys.new.0, Arc::new(OsEntropy)).unwrap();
    let told: Vec<String> = rehearsed.changes.iter().map(ToString::to_string).collect();
    assert!(told[0].contains(&keys.old.1.id().to_string()), "{told:?}");
    assert_eq!(all(&rehearsed.store).len(), 3);
    rehearsed.store.close().await;
    opened(folder, &keys.old.0).unwrap().close().await;

    for _ in 0..2 {
        let store = opened(folder, &keys.new.0).unwrap();
        assert_eq!(all(&store).len(), 3);
        store.close().await;
        assert!(is_another_key(opened(folder, &keys.old.0)));
    }
    let rehearsed = rehearse(folder, &keys.new.0, Arc::new(OsEntropy)).unwrap();
    assert!(rehearsed.changes.is_empty());
    rehearsed.store.close().await;
}

#[tokio::test]
async fn only_the_key_that_seals_the_store_is_handed_over_and_to_one_key_alone() {
    let keys = Keys::make();
    let folder = keys.folder();
    let store = keys.handed_over().await;
    // What was never the store's key would leave nobody able to open it.
    let third = MasterKey::create(&keys.beside.path().join("third.key"), None, &OsEntropy).unwrap();
    let handed = keys.new.1.hand_over_to(&third, &OsEntropy).unwrap();
    let refused = store
        .hand_over(keys.new.1.id(), third.id(), handed)
        .await
        .unwrap_err();
    assert_eq!(refused.code().name, "another_master_key");
    store.close().await;
    let third = MasterKeyPlace::own(keys.beside.path().join("third.key"));
    assert!(is_another_key(opened(folder, &third)));
    let store = opened(folder, &keys.new.0).unwrap();
    assert_eq!(all(&store).len(), 1);
    store.close().await;
}

#[tokio::test]
async fn a_copy_from_before_the_new_key_took_over_is_noticed() {
    let keys = Keys::make();
    let folder = keys.folder();
    keys.handed_over().await.close().await;
    let (file, copy) = (folder.join("mfad.redb"), keys.beside.path().join("copy"));
    fs::copy(&file, &copy).unwrap();
    opened(folder, &keys.new.0).unwrap().close().await;
    fs::copy(&copy, &file).unwrap();
    assert!(matches!(
        doubt(opened(folder, &keys.new.0)),
        Some(Doubt::Older(_))
    ));
    assert_eq!(doubt(opened(folder, &keys.old.0)), Some(Doubt::Damaged));
    // Nor does the old key's witness help an older file.
    fs::remove_file(folder.join("mfad.witness")).unwrap();
    assert_eq!(doubt(opened(folder, &keys.new.0)), Some(Doubt::NoWitness));
}

#[tokio::test]
async fn what_is_broken_off_between_witness_and_store_goes_on() {
    let keys = Keys::make();
    let folder = keys.folder();
    keys.handed_over().await.close().await;
    let witness = |key: &MasterKey| {
        let key = key.witness_key().unwrap();
        Witness::of(folder, key, Arc::new(OsEntropy))
    };
    let seen = witness(&keys.old.1).read(None).unwrap().unwrap().unwrap();
    witness(&keys.new.1).write(&seen).unwrap();
    let store = opened(folder, &keys.new.0).unwrap();
    assert_eq!(all(&store).len(), 1);
    store.close().await;
}

#[tokio::test]
async fn of_several_that_wait_each_can_take_over_and_then_no_other() {
    let keys = Keys::make();
    let folder = keys.folder();
    let store = keys.handed_over().await;
    let mut last = None;
    for number in 1..=MOST_SUCCESSORS {
        let file = keys.beside.path().join(number.to_string());
        let key = MasterKey::create(&file, None, &OsEntropy).unwrap();
        let handed = keys.old.1.hand_over_to(&key, &OsEntropy).unwrap();
        let outcome = store.hand_over(keys.old.1.id(), key.id(), handed).await;
        match number {
            MOST_SUCCESSORS => {
                let refused = outcome.unwrap_err();
                assert_eq!(refused.code().name, "too_many_successors");
            }
            _ => {
                outcome.unwrap();
                last = Some(MasterKeyPlace::own(file));
            }
        }
    }
    store.close().await;
    opened(folder, &keys.new.0).unwrap().close().await;
    assert!(is_another_key(opened(folder, &last.unwrap())));
    let store = opened(folder, &keys.new.0).unwrap();
    assert_eq!(store.master_keys().unwrap(), (keys.new.1.id(), Vec::new()));
    store.close().await;
}

/// Whatever call of the disk fails while the new key takes over: one of the two opens the store.
#[tokio::test]
async fn a_disk_that_fails_while_a_key_takes_over_loses_nothing() {
    let [old, new] = [(); 2].map(|()| MasterKey::draw(&OsEntropy).unwrap());
    let mut failed = 0;
    for call in 0.. {
        let disk = Arc::new(Disk::default());
        let store = open_on(&disk, &old).unwrap();
        store.write(|tx| tx.put(&1, &note("one"))).await.unwrap();
        let handed = old.hand_over_to(&new, &OsEntropy).unwrap();
        store.hand_over(old.id(), new.id(), handed).await.unwrap();
        store.close().await;
        let begun = disk.calls.load(Ordering::SeqCst);
        disk.fail_at.store(begun + 1 + call, Ordering::SeqCst);
        let taken = open_on(&disk, &new);
        let hit = disk.calls.load(Ordering::SeqCst) > begun + call;
        disk.fail_at.store(0, Ordering::SeqCst);
        failed += u64::from(taken.is_err());
        if let Ok(store) = taken {
            store.close().await;
        }
        let store = open_on(&disk, &new).unwrap();
        assert_eq!(all(&store).len(), 1, "call {call}");
        store.close().await;
        assert!(is_another_key(open_on(&disk, &old)), "call {call}");
        if !hit {
            break;
        }
    }
    assert!(failed > 5, "{failed} calls failed");
}
