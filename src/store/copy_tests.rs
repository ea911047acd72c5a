//! Copies of a store that is being written to, and how they come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as Memory};

use serde::{Deserialize, Serialize};

use crate::base::{OsEntropy, Timestamp};

use super::testing::{ALL_ROWS, TestStore, key_in};
use super::{Passing, Record, RestoreError, Source, Store, begin_restore};

const NOW: Timestamp = Timestamp::from_unix(1_795_521_600);

#[derive(Serialize, Deserialize)]
struct Half(String);

impl Record for Half {
    type Key = u64;
    const TABLE: &'static str = "half";
}

#[derive(Serialize, Deserialize)]
struct OtherHalf(String);

impl Record for OtherHalf {
    type Key = u64;
    const TABLE: &'static str = "other half";
}

fn halves(store: &Store) -> (Vec<String>, Vec<String>) {
    store
        .read(|read| {
            let ones = read
                .list::<Half>(&ALL_ROWS)?
                .into_iter()
                .map(|(_, it)| it.0);
            let others = read.list::<OtherHalf>(&ALL_ROWS)?;
            let others = others.into_iter().map(|(_, it)| it.0);
            Ok((ones.collect(), others.collect()))
        })
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_of_one_moment_however_much_is_written_meanwhile() {
    let mut store = TestStore::create();
    let done = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (store, done) = (store.clone(), done.clone());
        async move {
            let mut written = 0u64;
            while !done.load(Memory::SeqCst) {
                store
                    .write(move |tx| {
                        // One row in eight is longer than a frame.
                        let long = if written.is_multiple_of(8) {
                            70_000
                        } else {
                            10
                        };
                        let text = format!("{written}{}", "x".repeat(long));
                        tx.put(&(written % 40), &Half(text.clone()))?;
                        tx.put(&(written % 40), &OtherHalf(text))
                    })
                    .await
                    .unwrap();
                written += 1;
            }
            written
        }
    });
    let mut copies = Vec::new();
    while copies.len() < 5 {
        let from = store.clone();
        let copied = tokio::task::spawn_blocking(move || {
            let (mut copy, mut passing) = (Vec::new(), Passing::default());
            let rows = from.copy(NOW, &mut |piece| {
                passing.see(&piece);
                copy.extend(piece);
                // The writer goes on between two pieces.
                std::thread::yield_now();
                Ok(())
            });
            assert!(passing.is_whole());
            (copy, rows.unwrap())
        });
        let (copy, rows) = copied.await.unwrap();
        if rows > 20 {
            copies.push(copy);
        }
    }
    done.store(true, Memory::SeqCst);
    assert!(writing.await.unwrap() > 10);
    store.close().await;

    for (number, copy) in copies.iter().enumerate() {
        let file = store.folder().join("copy");
        std::fs::write(&file, copy).unwrap();
        let restoring = begin_restore(
            store.folder(),
            &key_in(store.folder()),
            Source::Copy(&file),
            &[],
            NOW,
            Arc::new(OsEntropy),
        )
        .unwrap();
        assert!(restoring.replaced().is_some());
        let placed = restoring.put_in_place(NOW).await.unwrap();
        assert_eq!(placed.epochs, (1, number as u64 + 2));
        store.restart().await;
        let (ones, others) = halves(&store);
        assert!(!ones.is_empty());
        assert_eq!(ones, others);
        store.close().await;
    }
}

#[tokio::test]
async fn no_copy_comes_back_by_a_clock_that_stands_before_it() {
    let mut store = TestStore::create();
    let file = store.folder().join("copy");
    let mut copy = Vec::new();
    store
        .copy(NOW, &mut |piece| {
            copy.extend(piece);
            Ok(())
        })
        .unwrap();
    store.close().await;
    std::fs::write(&file, copy).unwrap();
    let refused = begin_restore(
        store.folder(),
        &key_in(store.folder()),
        Source::Copy(&file),
        &[],
        NOW.minus(1),
        Arc::new(OsEntropy),
    );
    assert!(matches!(refused.err(), Some(RestoreError::Clock { .. })));
    store.restart().await;
}
