use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};

use crate::base::{OsEntropy, Timestamp};
use crate::crypto::{MasterKey, term_of};

use super::testing::TestStore;
use super::tests::{Disk, all, note, open_on, recover};
use super::{Store, engine};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn terms(store: &Store) -> Vec<u32> {
    store.data_keys().iter().map(|key| key.term).collect()
}

/// The numbers of the keys that the rows of a closed file are sealed under.
fn terms_of_rows(file: &std::path::Path) -> BTreeSet<u32> {
    let database = engine::builder(false).open(file).unwrap();
    let read = database.begin_read().unwrap();
    let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("note");
    let table = read.open_table(table).unwrap();
    let rows = table.iter().unwrap();
    rows.map(|row| term_of(row.unwrap().1.value()).unwrap())
        .collect()
}

#[tokio::test]
async fn all_rows_are_sealed_anew_and_the_earlier_key_is_let_go() {
    let mut store = TestStore::create();
    let file = store.folder().join("mfad.redb");
    assert_eq!(store.reseal().await.unwrap(), None);
    // Of which some will expire, and more than one transaction takes.
    let write = |tx: &mut super::Tx<'_>| {
        for n in 0..700 {
            tx.put(&n, &note("kept"))?;
        }
        (700..900).try_for_each(|n| tx.put_until(&n, &note("expires"), NOW.plus(60)))
    };
    store.write(write).await.unwrap();
    let before = all(&store);
    store.rotate_data_key(NOW).await.unwrap();
    assert_eq!(terms(&store), [1, 2]);
    store.write(|tx| tx.put(&0, &note("kept"))).await.unwrap();
    assert_eq!(all(&store), before);
    // What is written while rows are sealed anew stays what it is.
    let busy = {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 1000..1050 {
                store.write(move |tx| tx.put(&n, &note("new"))).await?;
                store
                    .write(move |tx| tx.put(&(n - 990), &note("over")))
                    .await?;
            }
            Ok::<_, crate::base::Failure>(())
        })
    };
    let done = store.reseal().await.unwrap().unwrap();
    busy.await.unwrap().unwrap();
    assert_eq!(done.unreadable, 0);
    assert!(done.rows >= 840, "{done:?}");
    assert_eq!((terms(&store), store.resealed()), (vec![2], done.rows));
    let after = all(&store);
    for (key, text) in &before {
        let over = (10..60).contains(key);
        assert_eq!(&after[key], if over { "over" } else { text });
    }
    assert_eq!(after.len(), 950);
    // Times of expiry have come along.
    store.sweep(NOW.plus(61)).await.unwrap();
    assert_eq!(all(&store).len(), 750);
    store.close().await;
    assert_eq!(terms_of_rows(&file), BTreeSet::from([2]));
    store.restart().await;
    assert_eq!((all(&store).len(), terms(&store)), (750, vec![2]));
    assert_eq!(store.data_keys()[0].since, Some(NOW));
}

#[tokio::test]
async fn sealing_anew_goes_on_where_it_was_broken_off() {
    let mut store = TestStore::create();
    store.write(|tx| tx.put(&1, &note("one"))).await.unwrap();
    store.rotate_data_key(NOW).await.unwrap();
    store.rotate_data_key(NOW.plus(1)).await.unwrap();
    store.write(|tx| tx.put(&2, &note("two"))).await.unwrap();
    store.close().await;
    let file = store.folder().join("mfad.redb");
    assert_eq!(terms_of_rows(&file), BTreeSet::from([1, 3]));
    store.restart().await;
    assert_eq!(terms(&store), [1, 2, 3]);
    assert_eq!(store.reseal().await.unwrap().unwrap().rows, 1);
    assert_eq!((terms(&store), all(&store).len()), (vec![3], 2));
}

#[tokio::test]
async fn the_key_of_a_damaged_row_stays() {
    let mut store = TestStore::create();
    store.write(|tx| tx.put(&1, &note("one"))).await.unwrap();
    store.write(|tx| tx.put(&2, &note("two"))).await.unwrap();
    store.close().await;
    let file = store.folder().join("mfad.redb");
    {
        let database = engine::builder(false).open(&file).unwrap();
        let transaction = engine::begin(&database).unwrap();
        {
            let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("note");
            let mut table = transaction.open_table(table).unwrap();
            let key = 1u64.to_be_bytes();
            let mut row = table.get(key.as_slice()).unwrap().unwrap().value().to_vec();
            *row.last_mut().unwrap() ^= 1;
            table.insert(key.as_slice(), row.as_slice()).unwrap();
        }
        engine::commit(transaction).unwrap();
    }
    store.restart().await;
    store.rotate_data_key(NOW).await.unwrap();
    let done = store.reseal().await.unwrap().unwrap();
    assert_eq!((done.rows, done.unreadable), (1, 1));
    assert_eq!(terms(&store), [1, 2]);
}

/// Whatever call of the disk fails: what was answered holds, and no row is sealed under a key that is lost.
#[tokio::test]
async fn a_disk_that_fails_during_the_change_loses_no_key() {
    let master = MasterKey::draw(&OsEntropy).unwrap();
    let mut failed = 0;
    for call in 0.. {
        let disk = Arc::new(Disk::default());
        let store = open_on(&disk, &master).unwrap();
        store.write(|tx| tx.put(&1, &note("one"))).await.unwrap();
        let begun = disk.calls.load(Ordering::SeqCst);
        disk.fail_at.store(begun + 1 + call, Ordering::SeqCst);
        let rotated = store.rotate_data_key(NOW).await;
        let resealed = store.reseal().await;
        let hit = disk.calls.load(Ordering::SeqCst) > begun + call;
        disk.fail_at.store(0, Ordering::SeqCst);
        failed += u64::from(rotated.is_err() || resealed.is_err());
        recover(&store).await;
        if rotated.is_ok() {
            assert_eq!(*terms(&store).last().unwrap(), 2, "call {call}");
        }
        store.write(|tx| tx.put(&2, &note("two"))).await.unwrap();
        assert_eq!(all(&store).len(), 2, "call {call}");
        store.reseal().await.unwrap();
        assert_eq!(terms(&store).len(), 1, "call {call}");
        store.close().await;
        let again = open_on(&disk, &master).unwrap();
        assert_eq!(all(&again).len(), 2, "call {call}");
        again.close().await;
        if !hit {
            break;
        }
    }
    assert!(failed > 5, "{failed} calls failed");
}
