//! What somebody has put into the data folder under the names of files that we write.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::birth::empty;
use super::testing::{key_in, open_in};
use super::{OpenError, Source};
use crate::base::file::planted;
use crate::base::{OsEntropy, Timestamp};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Opens the store in `folder`, and closes it again.
fn start(folder: &Path) -> Result<(), OpenError> {
    runtime().block_on(async {
        let store = open_in(folder)?;
        store.close().await;
        Ok(())
    })
}

#[test]
fn a_start_writes_through_nothing_that_was_planted() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path()).unwrap();
    for name in ["mfad.witness.unfinished", "mfad.compacting"] {
        let path = folder.path().join(name);
        planted::each(&path, |kind| {
            start(folder.path()).unwrap_or_else(|e| panic!("{name}: {kind}: {e}"));
            let _ = fs::remove_dir(&path);
        });
    }
}

#[test]
fn a_first_start_writes_through_nothing_that_was_planted() {
    for name in ["mfad.unfinished", "master.key.unfinished"] {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("data");
        let planted = outer.path().join(name);
        planted::each(&planted, |kind| {
            fs::create_dir(&folder).unwrap();
            fs::rename(&planted, folder.join(name)).unwrap();
            start(&folder).unwrap_or_else(|e| panic!("{name}: {kind}: {e}"));
            let mut left: Vec<_> = fs::read_dir(&folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            left.sort();
            assert_eq!(left, ["master.key", "mfad.redb", "mfad.witness"], "{kind}");
            fs::remove_dir_all(&folder).unwrap();
        });
    }
}

#[test]
fn a_restore_writes_through_nothing_that_was_planted() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path()).unwrap();
    planted::each(&folder.path().join("mfad.restoring"), |kind| {
        runtime().block_on(async {
            let now = Timestamp::from_unix(1_795_521_600);
            let place = key_in(folder.path());
            let begun = super::begin_restore(
                folder.path(),
                &place,
                Source::Standing,
                &[],
                now,
                Arc::new(OsEntropy),
            );
            begun
                .unwrap_or_else(|e| panic!("{kind}: {e}"))
                .give_up()
                .await;
        });
    });
}

#[test]
fn what_is_in_the_way_and_cannot_be_removed_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path()).unwrap();
    let path = folder.path().join("mfad.witness.unfinished");
    fs::create_dir_all(path.join("theirs")).unwrap();
    let told = empty(&path).unwrap_err().to_string();
    assert!(
        told.contains("mfad.witness.unfinished") && told.contains("remove it by hand"),
        "{told}"
    );
}

#[test]
fn a_pipe_in_the_place_of_a_file_that_is_read_keeps_no_start_waiting() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    for name in ["mfad.redb", "mfad.witness", "master.key"] {
        let folder = tempfile::tempdir().unwrap();
        start(folder.path()).unwrap();
        let path = folder.path().join(name);
        fs::remove_file(&path).unwrap();
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let told = start(folder.path()).unwrap_err().to_string();
        assert!(
            told.contains(name) && told.contains("regular file"),
            "{told}"
        );
    }
}
