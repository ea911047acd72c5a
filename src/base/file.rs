//! Files that are written next to others, and files that are read because they decide something.
//!
//! Whoever can write to the folder can put anything under a name before we come to it: a link to another file, a pipe
//! that nobody writes to, a folder. Nothing of that is written through, waited for, or believed.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Writing by the group and by others.
const WRITABLE: u32 = 0o022;
/// The bit of a folder in which users remove and rename their own files alone.
const STICKY: u32 = 0o1000;

/// Makes the new, empty file `path` of that mode (less the umask), for reading and writing. What stands there under
/// that name is removed first, be it a link, a pipe, a socket, an empty folder or what an earlier try left: never
/// written through, and never opened.
///
/// # Errors
/// Those of the system; what to do by hand, where what stands there cannot be removed.
pub fn create_anew(path: &Path, mode: u32) -> io::Result<File> {
    let removed = match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::IsADirectory => fs::remove_dir(path),
        removed => removed,
    };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            let name = path.display();
            let why =
                format!("{name} stands in the way and cannot be removed ({e}); remove it by hand");
            return Err(io::Error::new(e.kind(), why));
        }
        _ => {}
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(flags(OFlags::NOFOLLOW))
        .open(path)
}

/// Opens the regular file `path` for reading. Links are followed; a pipe is not waited for.
///
/// # Errors
/// Those of the system; `InvalidInput` for anything but a regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags(OFlags::NONBLOCK))
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        )),
    }
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

/// Opens a file whose content decides whom this process believes. Everybody may read it. Nobody but root and the
/// process's own user may be able to change it: both own it and its folder, and neither can be written by the group or
/// by others. Links are followed, as mounted volumes are made of them, and what they lead to is judged, with the
/// folder of either; a folder that others can write will do if it is sticky.
///
/// # Errors
/// Those of [`open_regular`]; `PermissionDenied`, with the reason, where others can change it.
pub fn open_deciding(path: &Path) -> io::Result<File> {
    let file = open_regular(path)?;
    let own = rustix::process::geteuid().as_raw();
    let refused = |what: &Path, why: String| {
        let told = format!(
            "{} {why}, so that others decide what is in the file",
            what.display()
        );
        io::Error::new(io::ErrorKind::PermissionDenied, told)
    };
    judge(&file.metadata()?, own, 0).map_err(|why| refused(path, why))?;
    let target = fs::canonicalize(path)?;
    for path in [path, &target] {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        judge(&fs::metadata(folder)?, own, STICKY).map_err(|why| refused(folder, why))?;
    }
    Ok(file)
}

/// Why others than root and the user `own` can change what has that metadata. One of the bits `excused` excuses that
/// others can write.
fn judge(metadata: &Metadata, own: u32, excused: u32) -> Result<(), String> {
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if owner != 0 && owner != own {
        return Err(format!("belongs to the user {owner}"));
    }
    if mode & WRITABLE != 0 && mode & excused == 0 {
        return Err(format!("can be written by other users (mode {mode:04o})"));
    }
    Ok(())
}

/// What could have been put under a name by somebody who can write to the folder.
#[cfg(test)]
pub(crate) mod planted {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    /// What a file that is not to be touched holds.
    const UNTOUCHED: &str = "somebody else's";

    /// Plants each kind under `path` in turn, has `work` done, and checks that nothing was written elsewhere.
    pub fn each(path: &Path, mut work: impl FnMut(&str)) {
        let elsewhere = tempfile::tempdir().unwrap();
        let victim = elsewhere.path().join("victim");
        let absent = elsewhere.path().join("absent");
        fs::write(&victim, UNTOUCHED).unwrap();
        for kind in [
            "link",
            "dangling link",
            "hard link",
            "pipe",
            "folder",
            "file",
        ] {
            match kind {
                "link" => symlink(&victim, path).unwrap(),
                "dangling link" => symlink(&absent, path).unwrap(),
                "hard link" => {
                    let beside = path.with_extension("victim");
                    fs::write(&beside, UNTOUCHED).unwrap();
                    fs::hard_link(&beside, path).unwrap();
                }
                "pipe" => {
                    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap()
                }
                "folder" => fs::create_dir(path).unwrap(),
                _ => fs::write(path, "left behind, and longer than what comes").unwrap(),
            }
            work(kind);
            assert_eq!(fs::read_to_string(&victim).unwrap(), UNTOUCHED, "{kind}");
            assert!(fs::symlink_metadata(&absent).is_err(), "{kind}");
            let beside = path.with_extension("victim");
            if kind == "hard link" {
                assert_eq!(fs::read_to_string(&beside).unwrap(), UNTOUCHED);
                fs::remove_file(&beside).unwrap();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_planted_under_a_name_is_never_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("helper.unfinished");
        planted::each(&path, |kind| {
            let mut file = create_anew(&path, 0o600).unwrap();
            file.write_all(b"ours").unwrap();
            let made = fs::symlink_metadata(&path).unwrap();
            assert!(made.is_file() && made.nlink() == 1, "{kind}");
            assert_eq!(made.mode() & 0o7777, 0o600, "{kind}");
            assert_eq!(fs::read(&path).unwrap(), b"ours", "{kind}");
            fs::remove_file(&path).unwrap();
        });
        // What is somebody's is not removed, and it is said what to do.
        fs::create_dir_all(path.join("data")).unwrap();
        let told = create_anew(&path, 0o600).unwrap_err().to_string();
        assert!(
            told.contains("helper.unfinished") && told.contains("by hand"),
            "{told}"
        );
        assert!(path.join("data").exists());
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("read");
        planted::each(&path, |kind| {
            let opened = open_regular(&path);
            let is_file = matches!(kind, "link" | "hard link" | "file");
            assert_eq!(opened.is_ok(), is_file, "{kind}");
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        });
    }

    #[test]
    fn a_file_that_others_can_change_decides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("jwks"), folder.path().join("link"));
        fs::write(&path, "{}").unwrap();
        symlink("jwks", &link).unwrap();
        for (of_folder, of_file, allowed) in [
            (0o700, 0o600, true),
            (0o755, 0o644, true),
            (0o755, 0o444, true),
            (0o755, 0o440, true),
            (0o755, 0o640, true),
            (0o755, 0o664, false),
            (0o755, 0o646, false),
            (0o755, 0o602, false),
            (0o775, 0o644, false),
            (0o757, 0o644, false),
            (0o1777, 0o644, true),
            (0o3777, 0o644, true),
            (0o1777, 0o666, false),
        ] {
            chmod(folder.path(), of_folder);
            chmod(&path, of_file);
            for path in [&path, &link] {
                let opened = open_deciding(path);
                assert_eq!(
                    opened.is_ok(),
                    allowed,
                    "{of_folder:o} {of_file:o} {path:?}"
                );
                if let Err(error) = opened {
                    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                    assert!(error.to_string().contains("written by other"), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_link_is_judged_by_what_it_leads_to_and_by_both_folders() {
        let (volume, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // As Kubernetes mounts a volume: a link to a link in a sticky folder.
        chmod(volume.path(), 0o3777);
        chmod(target.path(), 0o755);
        let file = target.path().join("jwks");
        fs::write(&file, "{}").unwrap();
        chmod(&file, 0o440);
        symlink(target.path(), volume.path().join("..data")).unwrap();
        let link = volume.path().join("jwks");
        symlink("..data/jwks", &link).unwrap();
        open_deciding(&link).unwrap();
        chmod(&file, 0o666);
        assert!(open_deciding(&link).is_err(), "its target");
        chmod(&file, 0o440);
        chmod(target.path(), 0o777);
        assert!(open_deciding(&link).is_err(), "its target's folder");
        chmod(target.path(), 0o755);
        chmod(volume.path(), 0o777);
        assert!(open_deciding(&link).is_err(), "its own folder");
    }

    #[test]
    fn root_and_the_process_own_what_decides_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let is = fs::metadata(folder.path()).unwrap();
        let own = is.uid();
        assert_eq!(judge(&is, own, 0), Ok(()));
        assert_eq!(
            judge(&is, own + 1, 0).is_ok(),
            own == 0,
            "root's always will do"
        );
        if own == 0 {
            std::os::unix::fs::chown(folder.path(), Some(4711), None).unwrap();
            let told = judge(&fs::metadata(folder.path()).unwrap(), 0, 0).unwrap_err();
            assert!(told.contains("4711"), "{told}");
        }
    }
}
