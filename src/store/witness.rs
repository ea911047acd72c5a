//! The witness: a small file beside the store that knows how far the store had come, so that an
//! older copy in its place is noticed. In an older copy, codes that were used since are good again.
//!
//! It is rewritten when the store is opened and closed, after 64 commits, and when half a second
//! has passed without one; and always after the commit that it speaks of is on disk, so that a
//! store may be ahead of its witness, and never behind.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::{Entropy, create_anew, open_regular};
use crate::crypto::OutsideKey;

use super::meta::{Progress, StoreId};

const NAME: &str = "mfad.witness";
const PLACE: &[&[u8]] = &[b"witness"];
/// Bytes of the file at the most.
const LONGEST: u64 = 4096;

/// What the witness has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    store: StoreId,
    epoch: u64,
    changes: u64,
}

impl Seen {
    pub fn new(store: StoreId, progress: Progress) -> Self {
        Seen {
            store,
            epoch: progress.epoch,
            changes: progress.changes,
        }
    }

    pub fn store(&self) -> StoreId {
        self.store
    }

    pub fn progress(&self) -> Progress {
        Progress {
            epoch: self.epoch,
            changes: self.changes,
        }
    }
}

/// What is wrong with a store, by what the witness says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// An older copy stands in its place.
    #[error("is {0} changes older than when it was last used here")]
    Older(u64),
    /// A copy from before another one was brought back.
    #[error("is from before a copy was last brought back here")]
    EarlierEpoch,
    /// Nobody can tell how far it had come.
    #[error("has lost its witness mfad.witness, which knows how far it had come")]
    NoWitness,
    /// The witness is not what this program wrote under this master key.
    #[error("has a witness, mfad.witness, that is damaged or was sealed under another master key")]
    Damaged,
    /// The witness saw another store.
    #[error("is another store than the one that was last used here")]
    Another,
}

/// The file.
pub struct Witness {
    path: PathBuf,
    key: OutsideKey,
    entropy: Arc<dyn Entropy>,
    /// Whether it is told nothing new.
    still: bool,
}

impl Witness {
    /// That of the store in `folder`.
    pub fn of(folder: &Path, key: OutsideKey, entropy: Arc<dyn Entropy>) -> Self {
        Witness {
            path: folder.join(NAME),
            key,
            entropy,
            still: false,
        }
    }

    /// The same, which says what it has seen, and stays as it is whatever it is told.
    pub fn kept_still(self) -> Self {
        Witness {
            still: true,
            ..self
        }
    }

    /// Whether there is one in `folder`.
    pub fn stands_in(folder: &Path) -> bool {
        fs::symlink_metadata(folder.join(NAME)).is_ok()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it has seen; `None` where there is none. What cannot be opened is a doubt. With a key `before`, it may
    /// be sealed under that one still.
    pub fn read(&self, before: Option<&OutsideKey>) -> io::Result<Result<Option<Seen>, Doubt>> {
        let mut sealed = Vec::new();
        match open_regular(&self.path) {
            Ok(file) => file.take(LONGEST).read_to_end(&mut sealed)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Ok(None)),
            Err(e) => return Err(e),
        };
        let mut keys = [Some(&self.key), before].into_iter().flatten();
        let opened = keys.find_map(|key| key.open(PLACE, &sealed).ok());
        let seen = opened.and_then(|plain| serde_json::from_slice(&plain).ok());
        Ok(seen.map(Some).ok_or(Doubt::Damaged))
    }

    /// Has it see that, on disk before this returns.
    pub fn write(&self, seen: &Seen) -> io::Result<()> {
        if self.still {
            return Ok(());
        }
        let plain = serde_json::to_vec(seen)?;
        let sealed = self
            .key
            .seal(PLACE, &plain, &*self.entropy)
            .map_err(|failure| io::Error::other(format!("{failure:?}")))?;
        let unfinished = self.path.with_extension("witness.unfinished");
        let mut file = create_anew(&unfinished, 0o600)?;
        file.write_all(&sealed)?;
        file.sync_all()?;
        fs::rename(&unfinished, &self.path)?;
        match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// Whether a store that says `known` of itself can be the one that the witness last saw.
///
/// A store without a name comes from a program that kept no witness, or its naming was broken off.
pub fn compare(known: Option<(StoreId, Progress)>, seen: Option<&Seen>) -> Result<(), Doubt> {
    match (known, seen) {
        (None, None) => Ok(()),
        (None, Some(seen)) if seen.changes == 0 => Ok(()),
        (None, Some(seen)) => Err(Doubt::Older(seen.changes)),
        (Some(_), None) => Err(Doubt::NoWitness),
        (Some((store, _)), Some(seen)) if store != seen.store => Err(Doubt::Another),
        (Some((_, is)), Some(seen)) => match seen.progress() {
            was if is >= was => Ok(()),
            was if is.epoch < was.epoch => Err(Doubt::EarlierEpoch),
            was => Err(Doubt::Older(was.changes.saturating_sub(is.changes))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::OsEntropy;
    use crate::base::file::planted;
    use crate::crypto::MasterKey;

    #[test]
    fn what_is_planted_beside_a_witness_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let key = MasterKey::draw(&OsEntropy).unwrap().witness_key().unwrap();
        let witness = Witness::of(folder.path(), key, Arc::new(OsEntropy));
        let progress = |changes| Progress { epoch: 1, changes };
        let mut changes = 0;
        planted::each(&folder.path().join("mfad.witness.unfinished"), |kind| {
            changes += 1;
            let seen = Seen::new([1; 16], progress(changes));
            witness.write(&seen).unwrap();
            assert_eq!(witness.read(None).unwrap(), Ok(Some(seen)), "{kind}");
        });
    }

    #[test]
    fn a_store_may_be_ahead_of_its_witness_and_never_behind() {
        let at = |epoch, changes| Progress { epoch, changes };
        let seen = Seen::new([1; 16], at(2, 10));
        let store = |progress| Some(([1; 16], progress));
        assert_eq!(compare(store(at(2, 10)), Some(&seen)), Ok(()));
        assert_eq!(compare(store(at(2, 99)), Some(&seen)), Ok(()));
        assert_eq!(compare(store(at(3, 1)), Some(&seen)), Ok(()));
        for (known, doubt) in [
            (store(at(2, 7)), Doubt::Older(3)),
            (store(at(1, 99)), Doubt::EarlierEpoch),
            (Some(([2; 16], at(9, 99))), Doubt::Another),
            (None, Doubt::Older(10)),
        ] {
            assert_eq!(compare(known, Some(&seen)), Err(doubt));
        }
        assert_eq!(compare(store(at(1, 0)), None), Err(Doubt::NoWitness));
        assert_eq!(compare(None, None), Ok(()));
        let named_only = Seen::new([1; 16], at(1, 0));
        assert_eq!(compare(None, Some(&named_only)), Ok(()));
    }
}
