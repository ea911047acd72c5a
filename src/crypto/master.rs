//! The master key: 32 bytes in a file of their own, outside the store and
//! outside its backups.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{digest, hkdf};
use zeroize::{Zeroize, Zeroizing};

use crate::base::{Entropy, Failure, Secret};

use super::aead;
use super::outside::OutsideKey;
use super::ring::KeyId;

/// Why there is no master key to use.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// There is no such file.
    #[error("there is no master key at {}", .0.display())]
    Missing(PathBuf),
    /// What is there is a folder, a pipe or the like.
    #[error("the master key {} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file cannot be read or made.
    #[error("the master key {} cannot be used: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not hold exactly 32 bytes.
    #[error("the master key {} holds {length} bytes, and must hold exactly 32", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// How many bytes it holds (counting stops at 33).
        length: usize,
    },
    /// Others on this machine may read the file.
    #[error("the master key {} can be read by others on this machine (mode {mode:04o}); make it 0600", path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The kernel gives no randomness to make a key from.
    #[error("no master key could be made: {0:?}")]
    Entropy(Failure),
}

/// The key above all others.
#[derive(Clone, Debug)]
pub struct MasterKey(Secret<[u8; 32]>);

struct Len32;

impl hkdf::KeyType for Len32 {
    fn len(&self) -> usize {
        32
    }
}

impl MasterKey {
    /// A fresh key.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, Failure> {
        Ok(MasterKey(Secret::new(entropy.bytes()?)))
    }

    /// Reads the key from `path`. `private` asks that only the owner may read
    /// the file; credentials that systemd hands over are guarded by their folder.
    ///
    /// # Errors
    /// [`MasterKeyError`].
    pub fn load(path: &Path, private: bool) -> Result<Self, MasterKeyError> {
        let io_error = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => MasterKeyError::Missing(path.to_owned()),
            _ => MasterKeyError::Io {
                path: path.to_owned(),
                source,
            },
        };
        // Opening a pipe would wait for somebody to write to it.
        if !fs::metadata(path).map_err(io_error)?.is_file() {
            return Err(MasterKeyError::NotAFile(path.to_owned()));
        }
        let file = File::open(path).map_err(io_error)?;
        let mode = file.metadata().map_err(io_error)?.mode() & 0o7777;
        if private && mode & 0o077 != 0 {
            return Err(MasterKeyError::Readable {
                path: path.to_owned(),
                mode,
            });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(64));
        file.take(33).read_to_end(&mut bytes).map_err(io_error)?;
        let length = bytes.len();
        match bytes.as_slice().try_into() {
            Ok(key) => Ok(MasterKey(Secret::new(key))),
            Err(_) => Err(MasterKeyError::Length {
                path: path.to_owned(),
                length,
            }),
        }
    }

    /// Makes a fresh key in the new file `path` (mode 0600), on disk before this returns.
    /// A file that is there already is never touched, and a key that could not be written whole
    /// leaves nothing under that name.
    ///
    /// # Errors
    /// [`MasterKeyError`].
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Self, MasterKeyError> {
        let key = MasterKey::draw(entropy).map_err(MasterKeyError::Entropy)?;
        let unfinished = path.with_extension("unfinished");
        let written =
            write_new(&unfinished, key.0.expose()).and_then(|()| fs::hard_link(&unfinished, path));
        let removed = fs::remove_file(&unfinished);
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        written
            .and(removed)
            .and_then(|()| File::open(folder)?.sync_all())
            .map_err(|source| MasterKeyError::Io {
                path: path.to_owned(),
                source,
            })?;
        Ok(key)
    }

    /// Names the key in messages.
    pub fn id(&self) -> KeyId {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"mfad-kid");
        hash.update(self.0.expose());
        let mut id = [0; 8];
        for (to, from) in id.iter_mut().zip(hash.finish().as_ref()) {
            *to = *from;
        }
        KeyId(id)
    }

    /// The key that wraps the key ring.
    ///
    /// # Errors
    /// `internal` where no key can be derived.
    pub fn ring_key(&self) -> Result<OutsideKey, Failure> {
        self.outside(b"mfad/kek/v1")
    }

    /// The key that seals copies of the store.
    ///
    /// # Errors
    /// `internal` where no key can be derived.
    pub fn copy_key(&self) -> Result<OutsideKey, Failure> {
        self.outside(b"mfad/backup/v1")
    }

    /// The key that seals what stands beside the store and bears witness of it.
    ///
    /// # Errors
    /// `internal` where no key can be derived.
    pub fn witness_key(&self) -> Result<OutsideKey, Failure> {
        self.outside(b"mfad/witness/v1")
    }

    fn outside(&self, label: &[u8]) -> Result<OutsideKey, Failure> {
        match self.derived(label) {
            Ok(key) => Ok(OutsideKey::new(self.id(), key)),
            Err(_) => Err(Failure::internal("the master key cannot be used")),
        }
    }

    fn derived(&self, label: &[u8]) -> Result<aead::Key, Unspecified> {
        let mut derived = [0u8; 32];
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
            .extract(self.0.expose())
            .expand(&[label], Len32)?
            .fill(&mut derived)?;
        let key = aead::Key::new(&derived);
        derived.zeroize();
        key
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a process that was killed in here has left behind.
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(PermissionsExt::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::OsEntropy;

    #[test]
    fn a_made_key_is_private_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let made = MasterKey::create(&path, &OsEntropy).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(MasterKey::load(&path, true).unwrap().id(), made.id());
        assert!(matches!(
            MasterKey::create(&path, &OsEntropy),
            Err(MasterKeyError::Io { .. })
        ));
        assert_eq!(MasterKey::load(&path, true).unwrap().id(), made.id());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_kill_left_half_made_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        std::fs::write(folder.path().join("master.unfinished"), [7; 9]).unwrap();
        let made = MasterKey::create(&path, &OsEntropy).unwrap();
        assert_eq!(MasterKey::load(&path, true).unwrap().id(), made.id());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_is_missing_short_long_or_open_to_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        assert!(matches!(
            MasterKey::load(&path, true),
            Err(MasterKeyError::Missing(_))
        ));
        for length in [0, 31, 33, 4096] {
            std::fs::write(&path, vec![7; length]).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            let refused = MasterKey::load(&path, true).unwrap_err();
            assert!(
                matches!(refused, MasterKeyError::Length { length: l, .. } if l == length.min(33)),
                "{refused}"
            );
        }
        std::fs::write(&path, [7; 32]).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(matches!(
            MasterKey::load(&path, true),
            Err(MasterKeyError::Readable { mode: 0o640, .. })
        ));
        assert!(MasterKey::load(&path, false).is_ok());
    }
}
