//! A copy on its way into a file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::base::create_anew;
use crate::store::Passing;

/// Why there is no such file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Something of that name is there.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// The disk or the system says no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What came was no whole copy.
    #[error("the copy broke off before its end; nothing was kept of it")]
    BrokeOff,
}

/// A file that gets its name when all of it is on disk. Dropped before, it is gone.
pub struct CopyFile {
    path: PathBuf,
    unfinished: PathBuf,
    file: File,
    passing: Passing,
    over: bool,
    named: bool,
}

impl CopyFile {
    /// Begins the file `path`, readable by its owner alone. `over` lets it take the place of one that is there.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn begin(path: &Path, over: bool) -> Result<CopyFile, FileError> {
        if !over && fs::symlink_metadata(path).is_ok() {
            return Err(FileError::Exists(path.to_owned()));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".unfinished");
        let unfinished = path.with_file_name(name);
        let file = create_anew(&unfinished, 0o600).map_err(io_error(&unfinished))?;
        Ok(CopyFile {
            path: path.to_owned(),
            unfinished,
            file,
            passing: Passing::default(),
            over,
            named: false,
        })
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.passing.see(bytes);
        self.file.write_all(bytes)
    }

    /// Gives the file its name, once it is on disk and a whole copy.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn finish(mut self) -> Result<(), FileError> {
        if !self.passing.is_whole() {
            return Err(FileError::BrokeOff);
        }
        self.file.sync_all().map_err(io_error(&self.unfinished))?;
        if !rename(&self.unfinished, &self.path, self.over).map_err(io_error(&self.path))? {
            return Err(FileError::Exists(self.path.clone()));
        }
        self.named = true;
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io_error(folder))
    }
}

impl Drop for CopyFile {
    fn drop(&mut self) {
        if !self.named {
            // What was not finished is nobody's.
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

/// Whether what has been seen is a whole copy; for one that goes elsewhere than into a file.
///
/// # Errors
/// [`FileError::BrokeOff`].
pub fn ends_whole(passing: &Passing) -> Result<(), FileError> {
    match passing.is_whole() {
        true => Ok(()),
        false => Err(FileError::BrokeOff),
    }
}

/// False where there is something of that name which must stay.
fn rename(from: &Path, to: &Path, over: bool) -> io::Result<bool> {
    if over {
        return fs::rename(from, to).map(|()| true);
    }
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        // File systems that do not know how.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match fs::symlink_metadata(to) {
            Ok(_) => Ok(false),
            Err(_) => fs::rename(from, to).map(|()| true),
        },
        Err(e) => Err(e.into()),
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::file::planted;

    #[test]
    fn what_is_planted_beside_a_backup_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.backup");
        planted::each(&folder.path().join("a.backup.unfinished"), |kind| {
            let mut file = CopyFile::begin(&path, false).unwrap();
            file.write(b"half a copy").unwrap();
            assert!(matches!(file.finish(), Err(FileError::BrokeOff)), "{kind}");
            assert_eq!(
                fs::read_dir(folder.path()).unwrap().count(),
                usize::from(kind == "hard link")
            );
        });
    }
}
