//! Copies of the store: one snapshot, written as a stream, sealed frame by frame.
//!
//! ```text
//! "mfad backup\n" | length of the head (u32) | head (JSON) | frame, frame, …
//! frame: 0, or 1 for the last (u8) | length (u32) | sealed (the whole head, the frame's number, its kind)
//! within a frame: entries, none of which is parted
//! ```
//!
//! Frames are sealed under a key that is derived from the master key, which is in no copy. A copy that
//! was cut short, altered, or put together from two is refused, as is one under another master key.

use std::io::{self, Read};

use data_encoding::HEXLOWER;
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableHandle};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::base::{Entropy, Failure, Timestamp};
use crate::crypto::{KeyId, OutsideKey};

use super::engine::{Opened, View};
use super::filler::failed;
use super::meta::{self, FORMAT, Meta, PROGRAM, Progress, StoreId, by};

const MAGIC: &[u8] = b"mfad backup\n";
/// Raised when the layout of copies changes.
const LAYOUT: u32 = 1;
const LONGEST_HEAD: u32 = 4096;
/// Bytes of entries that are gathered before they are sealed.
const FRAME: usize = 64 * 1024;
/// Bytes of a frame at the most: one entry may be longer than the rest together.
const LONGEST_FRAME: u32 = 64 << 20;
/// What the engine probes the disk with is nobody's.
pub(super) const NOT_COPIED: [&str; 2] = ["meta", "probe"];
const TABLE: u8 = 1;
const ROW: u8 = 2;
const END: u8 = 3;

type Definition<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// What stands, unsealed and guarded by every frame, at the beginning of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyHead {
    layout: u32,
    format: u32,
    store: String,
    master_key: String,
    /// When the copy was made.
    pub made_at: Timestamp,
    /// The epoch of the store then.
    pub epoch: u64,
    /// Its commits then.
    pub changes: u64,
    /// Tells two copies apart, however alike they are.
    copy: String,
    /// The version of the program that made it; `None` for one from before this was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    program: Option<String>,
}

/// Why a copy was not made, or cannot be brought back.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("it is no backup that mfad made")]
    NoCopy,
    /// A newer program made it.
    #[error(
        "it was made in format {found} by {}; this is mfad {PROGRAM}, which knows formats up to {FORMAT}", by(.program.as_deref())
    )]
    Newer {
        /// Its format, or that of its layout.
        found: u32,
        /// The version of that program, where it says so.
        program: Option<String>,
    },
    /// It was sealed under another master key.
    #[error("it was sealed under master key {copy}, and the key given is {given}")]
    WrongMasterKey {
        /// Names the key of the copy.
        copy: String,
        /// Names the key that was given.
        given: KeyId,
    },
    /// It ends before its end.
    #[error("it was cut short")]
    CutShort,
    /// It is not what was written.
    #[error("it was altered or damaged")]
    Altered,
    /// The store cannot be read, or nothing can be sealed.
    #[error("the store cannot be copied: {0:?}")]
    Store(Failure),
}

fn engine(error: impl Into<redb::Error>) -> CopyError {
    failed(error.into().into())
}

/// The view that a copy is made of.
pub fn snapshot(opened: &Opened) -> Result<View, CopyError> {
    opened.view().map_err(failed)
}

/// Writes a copy of that view: `out` gets it piece by piece. Gives the rows that it holds.
pub fn write(
    snapshot: &ReadTransaction,
    key: &OutsideKey,
    entropy: &dyn Entropy,
    now: Timestamp,
    out: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
) -> Result<u64, CopyError> {
    let meta = meta::read_from(snapshot).map_err(engine)?;
    let Some((store, progress)) = meta.known else {
        return Err(CopyError::Store(Failure::internal("the store has no name")));
    };
    let copy: [u8; 16] = entropy.bytes().map_err(CopyError::Store)?;
    let head = CopyHead {
        layout: LAYOUT,
        format: meta.format,
        store: HEXLOWER.encode(&store),
        master_key: key.master().to_string(),
        made_at: now,
        epoch: progress.epoch,
        changes: progress.changes,
        copy: HEXLOWER.encode(&copy),
        program: Some(PROGRAM.to_owned()),
    };
    let head = serde_json::to_vec(&head).map_err(io::Error::from)?;
    let mut beginning = MAGIC.to_vec();
    beginning.extend((head.len() as u32).to_be_bytes());
    beginning.extend(&head);
    out(beginning)?;
    let mut frames = Frames {
        head,
        key,
        entropy,
        number: 0,
        entries: Vec::new(),
        out,
    };
    // The key ring stands in the head of the store, and so in none of its tables.
    frames.table("meta");
    frames.row(b"key ring", &meta.ring)?;
    let mut rows = 0u64;
    for table in snapshot.list_tables().map_err(engine)? {
        let name = table.name().to_owned();
        if NOT_COPIED.contains(&name.as_str()) {
            continue;
        }
        frames.table(&name);
        let table = snapshot
            .open_table(Definition::new(&name))
            .map_err(engine)?;
        for pair in table.iter().map_err(engine)? {
            let (key, value) = pair.map_err(engine)?;
            frames.row(key.value(), value.value())?;
            rows += 1;
        }
    }
    frames.entries.push(END);
    frames.entries.extend(rows.to_be_bytes());
    frames.seal(true)?;
    Ok(rows)
}

struct Frames<'a> {
    head: Vec<u8>,
    key: &'a OutsideKey,
    entropy: &'a dyn Entropy,
    number: u64,
    entries: Vec<u8>,
    out: &'a mut dyn FnMut(Vec<u8>) -> io::Result<()>,
}

impl Frames<'_> {
    fn table(&mut self, name: &str) {
        self.entries.push(TABLE);
        self.part(name.as_bytes());
    }

    fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), CopyError> {
        self.entries.push(ROW);
        self.part(key);
        self.part(value);
        match self.entries.len() >= FRAME {
            true => self.seal(false),
            false => Ok(()),
        }
    }

    fn part(&mut self, bytes: &[u8]) {
        self.entries.extend((bytes.len() as u32).to_be_bytes());
        self.entries.extend(bytes);
    }

    fn seal(&mut self, last: bool) -> Result<(), CopyError> {
        let kind = u8::from(last);
        let number = self.number.to_be_bytes();
        let place: [&[u8]; 4] = [b"backup", &self.head, &number, &[kind]];
        let sealed = self
            .key
            .seal(&place, &self.entries, self.entropy)
            .map_err(CopyError::Store)?;
        self.number += 1;
        self.entries.clear();
        let mut frame = vec![kind];
        frame.extend((sealed.len() as u32).to_be_bytes());
        frame.extend(sealed);
        (self.out)(frame)?;
        Ok(())
    }
}

/// An entry of a copy.
pub enum Entry {
    /// The rows that follow stand in this table.
    Table(String),
    /// A row as the engine has it.
    Row(Vec<u8>, Vec<u8>),
}

/// A copy that is read from its beginning.
pub struct Copy<R> {
    from: R,
    head: CopyHead,
    head_bytes: Vec<u8>,
    number: u64,
}

impl<R: Read> Copy<R> {
    /// Reads the head, which nobody has vouched for yet.
    pub fn open(mut from: R) -> Result<Self, CopyError> {
        let mut magic = [0; MAGIC.len()];
        match from.read_exact(&mut magic) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(CopyError::NoCopy),
            read => read?,
        }
        if magic != *MAGIC {
            return Err(CopyError::NoCopy);
        }
        let head_bytes = part(&mut from, LONGEST_HEAD)?;
        #[derive(Deserialize)]
        struct Layout {
            layout: u32,
            program: Option<String>,
        }
        let is: Layout = serde_json::from_slice(&head_bytes).map_err(|_| CopyError::Altered)?;
        let newer = |found| CopyError::Newer {
            found,
            program: is.program.as_deref().map(meta::shown_version),
        };
        if is.layout > LAYOUT {
            return Err(newer(is.layout));
        }
        let head: CopyHead = serde_json::from_slice(&head_bytes).map_err(|_| CopyError::Altered)?;
        if head.format > FORMAT {
            return Err(newer(head.format));
        }
        Ok(Copy {
            from,
            head,
            head_bytes,
            number: 0,
        })
    }

    pub fn head(&self) -> &CopyHead {
        &self.head
    }

    /// Gives every entry to `each`, and what the store said of itself when all of it was read.
    pub fn read(
        mut self,
        key: &OutsideKey,
        each: &mut dyn FnMut(Entry) -> Result<(), CopyError>,
    ) -> Result<(Meta, u64), CopyError> {
        if self.head.master_key != key.master().to_string() {
            return Err(CopyError::WrongMasterKey {
                copy: self.head.master_key.chars().take(16).collect(),
                given: key.master(),
            });
        }
        let mut ring = None;
        let mut in_meta = false;
        let (mut rows, mut told) = (0u64, None);
        loop {
            let (last, entries) = self.frame(key)?;
            let mut rest = entries.as_slice();
            while let Some((kind, after)) = rest.split_first() {
                rest = after;
                match *kind {
                    TABLE => {
                        let name = String::from_utf8(slice(&mut rest)?.to_vec())
                            .map_err(|_| CopyError::Altered)?;
                        in_meta = name == "meta";
                        if !in_meta {
                            each(Entry::Table(name))?;
                        }
                    }
                    ROW => {
                        let key = slice(&mut rest)?.to_vec();
                        let value = slice(&mut rest)?.to_vec();
                        if in_meta {
                            ring = Some(value);
                        } else {
                            rows += 1;
                            each(Entry::Row(key, value))?;
                        }
                    }
                    END => {
                        let (count, after) =
                            rest.split_first_chunk::<8>().ok_or(CopyError::Altered)?;
                        told = Some(u64::from_be_bytes(*count));
                        rest = after;
                    }
                    _ => return Err(CopyError::Altered),
                }
            }
            if last {
                break;
            }
        }
        if self.from.read(&mut [0])? != 0 || told != Some(rows) {
            return Err(CopyError::Altered);
        }
        let store = HEXLOWER
            .decode(self.head.store.as_bytes())
            .ok()
            .and_then(|id| StoreId::try_from(id).ok())
            .ok_or(CopyError::Altered)?;
        let progress = Progress {
            epoch: self.head.epoch,
            changes: self.head.changes,
        };
        let meta = Meta {
            format: self.head.format,
            ring: ring.ok_or(CopyError::Altered)?,
            handed: Vec::new(),
            known: Some((store, progress)),
            written_by: self.head.program,
        };
        Ok((meta, rows))
    }

    fn frame(&mut self, key: &OutsideKey) -> Result<(bool, Zeroizing<Vec<u8>>), CopyError> {
        let mut kind = [0];
        read_exact(&mut self.from, &mut kind)?;
        let sealed = part(&mut self.from, LONGEST_FRAME)?;
        let number = self.number.to_be_bytes();
        let place: [&[u8]; 4] = [b"backup", &self.head_bytes, &number, &kind];
        let entries = key.open(&place, &sealed).map_err(|_| CopyError::Altered)?;
        self.number += 1;
        Ok((kind == [1], entries))
    }
}

fn slice<'b>(rest: &mut &'b [u8]) -> Result<&'b [u8], CopyError> {
    let (length, after) = rest.split_first_chunk::<4>().ok_or(CopyError::Altered)?;
    let (part, after) = after
        .split_at_checked(u32::from_be_bytes(*length) as usize)
        .ok_or(CopyError::Altered)?;
    *rest = after;
    Ok(part)
}

fn read_exact(from: &mut impl Read, into: &mut [u8]) -> Result<(), CopyError> {
    from.read_exact(into).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => CopyError::CutShort,
        _ => CopyError::Io(e),
    })
}

fn part(from: &mut impl Read, longest: u32) -> Result<Vec<u8>, CopyError> {
    let mut length = [0; 4];
    read_exact(from, &mut length)?;
    let length = u32::from_be_bytes(length);
    if length > longest {
        return Err(CopyError::Altered);
    }
    let mut bytes = Vec::new();
    from.take(length.into()).read_to_end(&mut bytes)?;
    match bytes.len() == length as usize {
        true => Ok(bytes),
        false => Err(CopyError::CutShort),
    }
}

/// Looks at a copy as it passes by, without its key: whether it has come to its end.
#[derive(Default)]
pub struct Passing {
    /// Bytes that stand before the next length.
    before: Vec<u8>,
    left: u64,
    head_read: bool,
    last: bool,
    ended: bool,
}

impl Passing {
    /// Whether what has passed is a whole copy, to its last frame.
    pub fn is_whole(&self) -> bool {
        self.ended
    }

    /// Sees the next bytes.
    pub fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.ended {
                // What follows the end is no part of it.
                self.ended = false;
                self.left = u64::MAX;
            }
            if self.left > 0 {
                let skipped = bytes
                    .len()
                    .min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                self.ended = self.left == 0 && self.last;
                continue;
            }
            let prefix = if self.head_read { 1 } else { MAGIC.len() };
            let wanted = (prefix + 4).saturating_sub(self.before.len());
            let (now, later) = bytes.split_at(wanted.min(bytes.len()));
            self.before.extend(now);
            bytes = later;
            if self.before.len() == prefix + 4
                && let Some((prefix, length)) = self.before.split_last_chunk::<4>()
            {
                self.left = u32::from_be_bytes(*length).into();
                self.last = self.head_read && prefix == [1];
                self.head_read = true;
                self.before.clear();
                self.ended = self.left == 0 && self.last;
            }
        }
    }
}

#[cfg(test)]
mod fuzz;
