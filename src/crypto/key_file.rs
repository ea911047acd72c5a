//! How a master key's file is changed: by one command at a time, in one step, and never so that a key is in no file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

use super::master::{MasterKey, MasterKeyError, io_error, read};
use super::ring::KeyId;
use crate::base::{Entropy, Secret, create_anew, open_regular};

/// Keeps other commands away from a master key's file while one changes it. Released when dropped.
pub struct KeyHold {
    /// Of a link, the file that it stands for.
    path: PathBuf,
    file: File,
}

/// A key on disk beside the file whose place it is to take. Removed when dropped.
pub struct Successor<'a> {
    hold: &'a KeyHold,
    path: PathBuf,
}

impl KeyHold {
    /// Takes hold of the file at `path`, until this is dropped.
    ///
    /// # Errors
    /// [`MasterKeyError::Busy`] where another command has it; those of opening it.
    pub fn take(path: &Path) -> Result<Self, MasterKeyError> {
        let path = fs::canonicalize(path).map_err(io_error(path))?;
        let file = open_regular(&path).map_err(io_error(&path))?;
        let hold = KeyHold { path, file };
        match flock(&hold.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if hold.is_in_place()? => Ok(hold),
            Ok(()) | Err(rustix::io::Errno::WOULDBLOCK) => Err(MasterKeyError::Busy(hold.path)),
            Err(error) => Err(io_error(&hold.path)(error.into())),
        }
    }

    /// Whether the file that is held still has its name.
    fn is_in_place(&self) -> Result<bool, MasterKeyError> {
        let named = |file: &fs::Metadata| (file.dev(), file.ino());
        let held = self.file.metadata().map_err(io_error(&self.path))?;
        let there = fs::metadata(&self.path).map_err(io_error(&self.path))?;
        Ok(named(&held) == named(&there))
    }

    /// Writes `key` beside the file, on disk before this returns; sealed, where there is a `passphrase`. Of the same
    /// owner and mode.
    ///
    /// # Errors
    /// [`MasterKeyError`].
    pub fn write(
        &self,
        key: &MasterKey,
        passphrase: Option<&Secret<Vec<u8>>>,
        entropy: &dyn Entropy,
    ) -> Result<Successor<'_>, MasterKeyError> {
        let bytes = key.bytes(passphrase, entropy)?;
        self.put_beside(unfinished(&self.path), &bytes)
    }

    /// Keeps what the file holds, the key `id`, under a name of its own beside it, and gives that. What stands there
    /// of an earlier time is replaced: it is the same key, under a passphrase that nobody may know any more.
    ///
    /// # Errors
    /// [`MasterKeyError`].
    pub fn keep_as(&self, id: KeyId) -> Result<PathBuf, MasterKeyError> {
        let kept = with(&self.path, &format!(".{id}"));
        let bytes: Zeroizing<Vec<u8>> = read(&self.path, false)?;
        let copy = self.put_beside(unfinished(&kept), &bytes)?;
        fs::rename(&copy.path, &kept)
            .and_then(|()| sync_folder(&kept))
            .map_err(io_error(&kept))?;
        Ok(kept)
    }

    fn put_beside(&self, path: PathBuf, bytes: &[u8]) -> Result<Successor<'_>, MasterKeyError> {
        let was = self.file.metadata().map_err(io_error(&self.path))?;
        let beside = Successor { hold: self, path };
        write_new(&beside.path, bytes, Some(&was)).map_err(io_error(&beside.path))?;
        Ok(beside)
    }

    /// Files beside this one that hold earlier keys as they are, not sealed.
    pub fn unsealed_beside(&self) -> Vec<PathBuf> {
        let stem = with(&self.path, ".");
        let stem = stem.as_os_str().as_encoded_bytes();
        let is_kept = |path: &Path| {
            let name = path.as_os_str().as_encoded_bytes();
            let id = name.strip_prefix(stem);
            id.is_some_and(|id| id.len() == 16 && id.iter().all(u8::is_ascii_hexdigit))
        };
        let is_plain = |path: &Path| matches!(MasterKey::sealed_in(path, false), Ok(None));
        let folder = self.path.parent().map(fs::read_dir);
        let entries = folder.and_then(Result::ok).into_iter().flatten();
        let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        paths
            .filter(|path| is_kept(path) && is_plain(path))
            .collect()
    }
}

impl Successor<'_> {
    /// Takes the place of the file that is held, in one step.
    ///
    /// # Errors
    /// [`MasterKeyError`]: then the file is as it was, unless the folder alone could not be synced.
    pub fn put(self) -> Result<(), MasterKeyError> {
        let path = &self.hold.path;
        // Somebody has put another file there by hand, whose key may be nowhere else.
        if !self.hold.is_in_place()? {
            return Err(MasterKeyError::Busy(path.clone()));
        }
        fs::rename(&self.path, path)
            .and_then(|()| sync_folder(path))
            .map_err(io_error(path))
    }
}

impl Drop for Successor<'_> {
    fn drop(&mut self) {
        // What did not take its place holds a key all the same; what did is no longer there.
        let _ = fs::remove_file(&self.path);
    }
}

fn with(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    PathBuf::from(name)
}

/// The name of a file while it is written.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    with(path, ".unfinished")
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

/// Writes a new file: of the owner and mode of `like`, or else ours alone.
pub(super) fn write_new(path: &Path, bytes: &[u8], like: Option<&fs::Metadata>) -> io::Result<()> {
    let mut file = create_anew(path, 0o600)?;
    file.set_permissions(PermissionsExt::from_mode(0o600))?;
    if let Some(like) = like {
        let (user, group) = (like.uid(), like.gid());
        if (user, group) != (file.metadata()?.uid(), file.metadata()?.gid()) {
            std::os::unix::fs::fchown(&file, Some(user), Some(group))?;
        }
        file.set_permissions(PermissionsExt::from_mode(like.mode() & 0o7777))?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::OsEntropy;

    fn made(folder: &Path) -> (PathBuf, MasterKey) {
        let path = folder.join("master.key");
        let key = MasterKey::create(&path, None, &OsEntropy).unwrap();
        (path, key)
    }

    fn id_in(path: &Path, passphrase: Option<&Secret<Vec<u8>>>) -> KeyId {
        MasterKey::load(path, true, passphrase).unwrap().id()
    }

    #[test]
    fn one_command_at_a_time_changes_a_key_and_none_replaces_what_it_has_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = made(folder.path());
        let other = MasterKey::draw(&OsEntropy).unwrap();
        let hold = KeyHold::take(&path).unwrap();
        let busy = KeyHold::take(&path).err();
        assert!(matches!(busy, Some(MasterKeyError::Busy(_))));
        let successor = hold.write(&other, None, &OsEntropy).unwrap();
        // By hand, whatever any command holds.
        fs::rename(&path, folder.path().join("away")).unwrap();
        fs::write(&path, [7; 32]).unwrap();
        assert!(matches!(successor.put(), Err(MasterKeyError::Busy(_))));
        assert_eq!(fs::read(&path).unwrap(), [7; 32]);
        fs::rename(folder.path().join("away"), &path).unwrap();
        let successor = hold.write(&other, None, &OsEntropy).unwrap();
        assert_eq!(id_in(&path, None), key.id());
        successor.put().unwrap();
        assert_eq!(id_in(&path, None), other.id());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(hold);
        KeyHold::take(&path).unwrap();
    }

    #[test]
    fn a_key_that_is_kept_is_kept_as_it_is_now() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = made(folder.path());
        let kept = KeyHold::take(&path).unwrap().keep_as(key.id()).unwrap();
        assert_eq!(kept, with(&path, &format!(".{}", key.id())));
        assert_eq!(id_in(&kept, None), key.id());
        let hold = KeyHold::take(&path).unwrap();
        assert_eq!(hold.unsealed_beside(), std::slice::from_ref(&kept));
        let passphrase = Secret::new(b"a horse that is correct".to_vec());
        let sealed = hold.write(&key, Some(&passphrase), &OsEntropy).unwrap();
        sealed.put().unwrap();
        drop(hold);
        let hold = KeyHold::take(&path).unwrap();
        assert_eq!(hold.keep_as(key.id()).unwrap(), kept);
        assert_eq!(id_in(&kept, Some(&passphrase)), key.id());
        assert!(hold.unsealed_beside().is_empty());
        assert_eq!(fs::metadata(&kept).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn nobody_elses_file_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join("bar.unfinished");
        fs::write(&theirs, "theirs").unwrap();
        MasterKey::create(&folder.path().join("bar.key"), None, &OsEntropy).unwrap();
        assert!(MasterKey::create(&theirs, None, &OsEntropy).is_err());
        assert_eq!(fs::read(&theirs).unwrap(), b"theirs");
    }
}
