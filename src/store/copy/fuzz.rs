//! Backup files as they may be found: cut, changed, put together from two.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::base::OsEntropy;
use crate::base::fuzz::Target;
use crate::crypto::MasterKey;

/// What a copy holds: each table with its rows.
type Rows = Vec<(String, Vec<u8>, Vec<u8>)>;

fn head(key: &OutsideKey, epoch: u64) -> CopyHead {
    CopyHead {
        layout: LAYOUT,
        format: FORMAT,
        store: HEXLOWER.encode(&[5; 16]),
        master_key: key.master().to_string(),
        made_at: Timestamp::from_unix(1_795_521_600),
        epoch,
        changes: 7,
        copy: HEXLOWER.encode(&[epoch as u8; 16]),
        program: Some(PROGRAM.to_owned()),
    }
}

/// A copy whose frames hold these entries.
fn copy(key: &OutsideKey, epoch: u64, frames: &[Vec<u8>]) -> Vec<u8> {
    let head = serde_json::to_vec(&head(key, epoch)).unwrap();
    let mut whole = MAGIC.to_vec();
    whole.extend((head.len() as u32).to_be_bytes());
    whole.extend(&head);
    let out = &mut |piece: Vec<u8>| {
        whole.extend(piece);
        Ok(())
    };
    let mut writing = Frames {
        head,
        key,
        entropy: &OsEntropy,
        number: 0,
        entries: Vec::new(),
        out,
    };
    for (number, entries) in frames.iter().enumerate() {
        writing.entries.extend(entries);
        writing.seal(number + 1 == frames.len()).unwrap();
    }
    whole
}

/// Three frames with two tables, in the writer's own hand.
fn frames(rows: u64) -> Vec<Vec<u8>> {
    let mut frames = [table("meta"), row(b"key ring", b"ring"), table("one")].concat();
    for number in 0..rows {
        frames.extend(row(&number.to_be_bytes(), b"value"));
    }
    let second = [table("two"), row(b"a", b""), row(b"", b"b")].concat();
    let mut end = vec![END];
    end.extend((rows + 2).to_be_bytes());
    vec![frames, second, end]
}

fn part_of(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

fn table(name: &str) -> Vec<u8> {
    [vec![TABLE], part_of(name.as_bytes())].concat()
}

fn row(key: &[u8], value: &[u8]) -> Vec<u8> {
    [vec![ROW], part_of(key), part_of(value)].concat()
}

fn read(bytes: &[u8], key: &OutsideKey) -> Result<(CopyHead, Meta, Rows), CopyError> {
    let opened = Copy::open(bytes)?;
    let head = opened.head().clone();
    let (mut rows, mut table) = (Rows::new(), String::new());
    let (meta, count) = opened.read(key, &mut |entry| {
        match entry {
            Entry::Table(name) => table = name,
            Entry::Row(key, value) => rows.push((table.clone(), key, value)),
        }
        Ok(())
    })?;
    assert_eq!(count, rows.len() as u64);
    Ok((head, meta, rows))
}

/// Whether a whole copy passes by, in pieces of this length.
fn passes(bytes: &[u8], piece: usize) -> bool {
    let mut passing = Passing::default();
    bytes.chunks(piece).for_each(|piece| passing.see(piece));
    passing.is_whole()
}

/// Whatever is done to a backup file, it reads as it was written or not at all.
#[test]
fn fuzz_backup_files() {
    let key = MasterKey::draw(&OsEntropy).unwrap().copy_key().unwrap();
    let stranger = MasterKey::draw(&OsEntropy).unwrap().copy_key().unwrap();
    let copies = [
        copy(&key, 1, &frames(3)),
        copy(&key, 2, &frames(1)),
        copy(&key, 3, &frames(0)[..]),
    ];
    let originals: Vec<_> = copies
        .iter()
        .map(|copy| read(copy, &key).unwrap())
        .collect();
    assert_eq!(originals[0].2.len(), 5);
    let mut target = Target::new("backup_files").words(&[
        "mfad backup\n",
        "\"layout\":1",
        "\"format\":",
        "\x01\0\0\0",
    ]);
    for copy in &copies {
        target = target.seed(copy.as_slice());
    }
    let generated = prop_oneof![
        select(copies.to_vec()),
        vec(any::<u8>(), 0..60).prop_map(|tail| { [MAGIC, &tail].concat() })
    ];
    target.check(generated, |bytes| {
        let whole = passes(bytes, bytes.len().max(1));
        assert!(
            [1, 3, 64]
                .into_iter()
                .all(|piece| passes(bytes, piece) == whole)
        );
        assert!(read(bytes, &stranger).is_err());
        let Ok((head, meta, rows)) = read(bytes, &key) else {
            return false;
        };
        assert!(whole);
        let same = |original: &&(CopyHead, Meta, Rows)| original.0 == head;
        let original = originals
            .iter()
            .find(same)
            .expect("a copy that nobody made");
        assert_eq!(original.2, rows);
        assert_eq!(original.1.ring, meta.ring);
        assert_eq!(
            (meta.format, meta.known),
            (original.1.format, original.1.known)
        );
        true
    });
}

/// What is sealed in a copy, and yet is not what we write, makes no store.
#[test]
fn fuzz_backup_entries() {
    let key = MasterKey::draw(&OsEntropy).unwrap().copy_key().unwrap();
    let entry = prop_oneof![
        Just(table("meta")),
        Just(table("one")),
        Just(row(b"key", b"value")),
        Just([vec![END], 1u64.to_be_bytes().to_vec()].concat()),
        Just([vec![END], 2u64.to_be_bytes().to_vec()].concat()),
    ];
    let generated = vec(entry, 0..7).prop_map(|entries| entries.concat());
    let target = Target::new("backup_entries").words(&["\0\0\0\0", "\x01", "\x02", "\x03"]);
    target.seed(frames(2).concat()).check(generated, |entries| {
        let at = entries.len() / 2;
        let (one, two) = (
            vec![entries.to_vec()],
            vec![entries[..at].to_vec(), entries[at..].to_vec()],
        );
        // No entry is parted between two frames.
        let parted = read(&copy(&key, 1, &two), &key);
        let Ok((_, meta, rows)) = read(&copy(&key, 1, &one), &key) else {
            return false;
        };
        assert!(parted.is_err() || parted.is_ok_and(|(_, _, again)| again == rows));
        let stored: usize = rows
            .iter()
            .map(|(_, key, value)| key.len() + value.len())
            .sum();
        assert!(stored + meta.ring.len() < entries.len());
        true
    });
}
