//! The master key: 32 bytes in a file of their own, outside the store and
//! outside its backups; as they are, or sealed with a passphrase.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{digest, hkdf};
use zeroize::{Zeroize, Zeroizing};

use crate::base::{Entropy, Failure, Secret, open_regular};

use super::aead;
use super::key_file::{sync_folder, unfinished, write_new};
use super::outside::OutsideKey;
use super::passphrase::{LONGEST_FILE, LONGEST_PASSPHRASE, Locked, SHORTEST_PASSPHRASE, SealedKey};
use super::ring::{KeyId, KeyRingError};

/// What the key before this one is sealed under, and where it opens.
const SUCCESSION: &[u8] = b"mfad/succession/v1";
const PREDECESSOR: &[&[u8]] = &[b"predecessor"];

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
    /// The file does not hold exactly 32 bytes, nor a sealed key.
    #[error("the master key {} holds {length} bytes, and must hold exactly 32, or a key that is sealed with a passphrase", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// How many bytes it holds (counting stops at 4,097).
        length: usize,
    },
    /// It is sealed, and nobody has given the passphrase.
    #[error("the master key {} is sealed with a passphrase, and none is given", .0.display())]
    Sealed(PathBuf),
    /// It is sealed with another passphrase, or was changed.
    #[error("the passphrase does not open the master key {}, or that file is damaged", .0.display())]
    Passphrase(PathBuf),
    /// It is sealed in a way that this program does not know.
    #[error("the master key {} is sealed in a way that this mfad does not know", .0.display())]
    Unknown(PathBuf),
    /// A passphrase is given, and whoever reads the file needs none.
    #[error("the master key {} is not sealed, though a passphrase is given for it", .0.display())]
    Open(PathBuf),
    /// Nobody should take such a passphrase.
    #[error(
        "a passphrase has {SHORTEST_PASSPHRASE} to {LONGEST_PASSPHRASE} bytes, and this one {0}"
    )]
    PassphraseLength(usize),
    /// Others on this machine may read the file.
    #[error("the master key {} can be read by others on this machine (mode {mode:04o}); make it 0600", path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another command changes the file, or has just put another in its place.
    #[error("the master key {} is being changed by another command", .0.display())]
    Busy(PathBuf),
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
    /// A key that is sealed needs its `passphrase`, and one that is not must be given none: somebody
    /// believes it to be sealed.
    ///
    /// # Errors
    /// [`MasterKeyError`].
    pub fn load(
        path: &Path,
        private: bool,
        passphrase: Option<&Secret<Vec<u8>>>,
    ) -> Result<Self, MasterKeyError> {
        let bytes = read(path, private)?;
        let plain = || bytes.as_slice().try_into().ok();
        let sealed = || SealedKey::read(&bytes);
        let owned = || path.to_owned();
        match (plain(), passphrase) {
            (Some(key), None) => return Ok(MasterKey(Secret::new(key))),
            (Some(_), Some(_)) => return Err(MasterKeyError::Open(owned())),
            _ => {}
        }
        match (sealed(), passphrase) {
            (Some(sealed), Some(passphrase)) => match sealed.open(passphrase) {
                Ok(key) => Ok(MasterKey(key)),
                Err(Locked::Passphrase) => Err(MasterKeyError::Passphrase(owned())),
                Err(Locked::Layout) => Err(MasterKeyError::Unknown(owned())),
            },
            (Some(_), None) => Err(MasterKeyError::Sealed(owned())),
            (None, _) => Err(MasterKeyError::Length {
                path: owned(),
                length: bytes.len(),
            }),
        }
    }

    /// The name of the key in the file at `path`, where that is sealed with a passphrase.
    ///
    /// # Errors
    /// [`MasterKeyError`], where it cannot be read.
    pub fn sealed_in(path: &Path, private: bool) -> Result<Option<String>, MasterKeyError> {
        let bytes = read(path, private)?;
        Ok(SealedKey::read(&bytes).map(|sealed| sealed.key))
    }

    /// Makes a fresh key in the new file `path` (mode 0600), on disk before this returns; sealed, where
    /// there is a `passphrase`.
    /// A file that is there already is never touched, and a key that could not be written whole
    /// leaves nothing under that name.
    ///
    /// # Errors
    /// [`MasterKeyError`].
    pub fn create(
        path: &Path,
        passphrase: Option<&Secret<Vec<u8>>>,
        entropy: &dyn Entropy,
    ) -> Result<Self, MasterKeyError> {
        let key = MasterKey::draw(entropy).map_err(MasterKeyError::Entropy)?;
        let bytes = key.bytes(passphrase, entropy)?;
        let unfinished = unfinished(path);
        let written =
            write_new(&unfinished, &bytes, None).and_then(|()| fs::hard_link(&unfinished, path));
        let removed = fs::remove_file(&unfinished);
        written
            .and(removed)
            .and_then(|()| sync_folder(path))
            .map_err(io_error(path))?;
        Ok(key)
    }

    /// What its file holds.
    pub(super) fn bytes(
        &self,
        passphrase: Option<&Secret<Vec<u8>>>,
        entropy: &dyn Entropy,
    ) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
        let Some(passphrase) = passphrase else {
            return Ok(Zeroizing::new(self.0.expose().to_vec()));
        };
        let length = passphrase.expose().len();
        if !(SHORTEST_PASSPHRASE..=LONGEST_PASSPHRASE).contains(&length) {
            return Err(MasterKeyError::PassphraseLength(length));
        }
        let sealed = SealedKey::seal(&self.0, self.id(), passphrase, entropy);
        let bytes = sealed.and_then(|sealed| sealed.bytes());
        Ok(Zeroizing::new(bytes.map_err(MasterKeyError::Entropy)?))
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

    /// This key, sealed for the one that takes its place: what stands in a store until that one has taken it over.
    ///
    /// # Errors
    /// `internal` where no key can be derived; as [`Entropy::fill`].
    pub fn hand_over_to(
        &self,
        successor: &MasterKey,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, Failure> {
        let key = successor.outside(SUCCESSION)?;
        let mut handed = successor.id().0.to_vec();
        handed.extend(key.seal(PREDECESSOR, self.0.expose(), entropy)?);
        Ok(handed)
    }

    /// The key before this one, out of what [`MasterKey::hand_over_to`] gave; `None` where that was handed to another.
    ///
    /// # Errors
    /// [`KeyRingError::Damaged`].
    pub fn predecessor(&self, handed: &[u8]) -> Result<Option<MasterKey>, KeyRingError> {
        let damaged = KeyRingError::Damaged;
        let Some(sealed) = handed.strip_prefix(&self.id().0) else {
            return Ok(None);
        };
        let key = self.outside(SUCCESSION).map_err(|_| damaged)?;
        let plain = key.open(PREDECESSOR, sealed).map_err(|_| damaged)?;
        let before = plain.as_slice().try_into().map_err(|_| damaged)?;
        Ok(Some(MasterKey(Secret::new(before))))
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

pub(super) fn io_error(path: &Path) -> impl Fn(io::Error) -> MasterKeyError {
    let path = path.to_owned();
    move |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => MasterKeyError::Missing(path.clone()),
        _ => MasterKeyError::Io {
            path: path.clone(),
            source,
        },
    }
}

/// What the file of a key holds, no more of it than any such file has.
pub(super) fn read(path: &Path, private: bool) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
    // Opening a pipe would wait for somebody to write to it.
    if !fs::metadata(path).map_err(io_error(path))?.is_file() {
        return Err(MasterKeyError::NotAFile(path.to_owned()));
    }
    let file = open_regular(path).map_err(io_error(path))?;
    let mode = file.metadata().map_err(io_error(path))?.mode() & 0o7777;
    if private && mode & 0o077 != 0 {
        return Err(MasterKeyError::Readable {
            path: path.to_owned(),
            mode,
        });
    }
    // Room for all of it at once, or growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_FILE as usize + 1));
    file.take(LONGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(io_error(path))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::base::OsEntropy;
    use crate::crypto::KeyHold;

    fn keep_in(path: &Path, key: &MasterKey, passphrase: Option<&Secret<Vec<u8>>>) {
        let hold = KeyHold::take(path).unwrap();
        hold.write(key, passphrase, &OsEntropy)
            .unwrap()
            .put()
            .unwrap();
    }

    #[test]
    fn a_made_key_is_private_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let made = MasterKey::create(&path, None, &OsEntropy).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(MasterKey::load(&path, true, None).unwrap().id(), made.id());
        assert!(matches!(
            MasterKey::create(&path, None, &OsEntropy),
            Err(MasterKeyError::Io { .. })
        ));
        assert_eq!(MasterKey::load(&path, true, None).unwrap().id(), made.id());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_kill_left_half_made_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        std::fs::write(folder.path().join("master.key.unfinished"), [7; 9]).unwrap();
        let made = MasterKey::create(&path, None, &OsEntropy).unwrap();
        assert_eq!(MasterKey::load(&path, true, None).unwrap().id(), made.id());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_is_missing_short_long_or_open_to_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        assert!(matches!(
            MasterKey::load(&path, true, None),
            Err(MasterKeyError::Missing(_))
        ));
        for length in [0, 31, 33, 4096, 9000] {
            std::fs::write(&path, vec![7; length]).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            let refused = MasterKey::load(&path, true, None).unwrap_err();
            assert!(
                matches!(refused, MasterKeyError::Length { length: l, .. } if l == length.min(4097)),
                "{refused}"
            );
        }
        std::fs::write(&path, [7; 32]).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(matches!(
            MasterKey::load(&path, true, None),
            Err(MasterKeyError::Readable { mode: 0o640, .. })
        ));
        assert!(MasterKey::load(&path, false, None).is_ok());
    }

    #[test]
    fn a_key_is_handed_to_its_successor_and_to_nobody_else() {
        let keys = [(); 3].map(|()| MasterKey::draw(&OsEntropy).unwrap());
        let [old, new, other] = &keys;
        let mut handed = old.hand_over_to(new, &OsEntropy).unwrap();
        let is = |key: Option<MasterKey>| key.map(|key| key.id());
        assert_eq!(is(new.predecessor(&handed).unwrap()), Some(old.id()));
        assert_eq!(is(old.predecessor(&handed).unwrap()), None);
        assert_eq!(is(other.predecessor(&handed).unwrap()), None);
        assert!(!handed.windows(32).any(|window| window == old.0.expose()));
        *handed.last_mut().unwrap() ^= 1;
        assert!(matches!(
            new.predecessor(&handed),
            Err(KeyRingError::Damaged)
        ));
        assert!(matches!(
            new.predecessor(&new.id().0),
            Err(KeyRingError::Damaged)
        ));
    }

    #[test]
    fn a_key_is_sealed_unsealed_and_made_sealed_and_stays_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let passphrase = Secret::new(b"a horse that is correct".to_vec());
        let made = MasterKey::create(&path, None, &OsEntropy).unwrap();
        let given = Some(&passphrase);
        // Whoever gives a passphrase believes the key to be sealed.
        assert!(matches!(
            MasterKey::load(&path, true, given),
            Err(MasterKeyError::Open(_))
        ));
        keep_in(&path, &made, given);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(32).any(|window| window == made.0.expose()));
        assert!(matches!(
            MasterKey::load(&path, true, None),
            Err(MasterKeyError::Sealed(_))
        ));
        let other = Secret::new(b"another horse altogether".to_vec());
        assert!(matches!(
            MasterKey::load(&path, true, Some(&other)),
            Err(MasterKeyError::Passphrase(_))
        ));
        assert_eq!(MasterKey::load(&path, true, given).unwrap().id(), made.id());
        let named = MasterKey::sealed_in(&path, true).unwrap();
        assert_eq!(named, Some(made.id().to_string()));
        keep_in(&path, &made, None);
        assert_eq!(MasterKey::load(&path, true, None).unwrap().id(), made.id());
        assert_eq!(MasterKey::sealed_in(&path, true).unwrap(), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

        let path = folder.path().join("born-sealed.key");
        for short in [0, 14, 1025] {
            let short = Secret::new(vec![b'x'; short]);
            assert!(matches!(
                MasterKey::create(&path, Some(&short), &OsEntropy),
                Err(MasterKeyError::PassphraseLength(_))
            ));
        }
        assert!(!path.exists());
        let made = MasterKey::create(&path, given, &OsEntropy).unwrap();
        assert_eq!(MasterKey::load(&path, true, given).unwrap().id(), made.id());
    }
}
