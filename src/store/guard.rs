//! Folder and file are ours alone.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use super::refusal::{OpenError, io_error};

/// Makes the folder, or closes it to others where it is there.
pub fn make_private_folder(folder: &Path) -> Result<(), OpenError> {
    match DirBuilder::new().recursive(true).mode(0o700).create(folder) {
        Ok(()) => {}
        Err(e) => return Err(io_error(folder)(e)),
    }
    let found = fs::metadata(folder).map_err(io_error(folder))?;
    guard(folder, &found, 0o700)
}

/// Closes the file to others, where it can be a store of ours.
pub fn guard_file(path: &Path) -> Result<(), OpenError> {
    guard(path, &regular_file(path)?, 0o600)
}

/// What is known of a file that can be a store of ours.
fn regular_file(path: &Path) -> Result<fs::Metadata, OpenError> {
    let found = fs::symlink_metadata(path).map_err(io_error(path))?;
    if !found.is_file() {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            why: "is not a regular file",
        });
    }
    if found.nlink() > 1 {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            why: "has a second name (hard link), under which others may reach it",
        });
    }
    Ok(found)
}

/// The file, where it is a store of ours. Whoever else may read it still may.
pub fn own_file(path: &Path) -> Result<(), OpenError> {
    own(path, &regular_file(path)?)
}

fn own(path: &Path, found: &fs::Metadata) -> Result<(), OpenError> {
    match found.uid() == rustix::process::geteuid().as_raw() {
        true => Ok(()),
        false => Err(OpenError::Foreign {
            path: path.to_owned(),
            why: "belongs to another user",
        }),
    }
}

/// What is ours is closed to others; what is not ours is refused.
fn guard(path: &Path, found: &fs::Metadata, mode: u32) -> Result<(), OpenError> {
    own(path, found)?;
    if found.mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), mode = %format!("{:04o}", found.mode() & 0o7777), "others could read this; closing it to them");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(io_error(path))?;
    }
    Ok(())
}
