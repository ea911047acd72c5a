//! Files that settings name: secrets, which nobody else may read, and certificates.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::layers::is_handed_over;
use super::problem::Problem;
use super::web::Refused;
use crate::base::{Secret, open_deciding, open_regular};

/// The longest secret that is read.
const LONGEST_SECRET: u64 = 64 * 1024;
/// The longest file of certificates that is read.
const LONGEST_BUNDLE: u64 = 4 << 20;
/// Reading, writing and running, by the group and by others.
const OTHERS: u32 = 0o077;
/// The same for others, and writing by the group, which may read what a group of its own is for.
const EVERYBODY: u32 = 0o027;

/// Whether a file that decides whose tokens are believed can be read, and is nobody else's to change.
pub(super) fn deciding(path: &Path) -> Result<(), Refused> {
    match open_deciding(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(Refused {
            cause: format!("{} is not used: {error}", path.display()),
            hint: format!(
                "let root or the server's user own it and its folder, and nobody else write them: \
                 chown root {0} {1}; chmod go-w {0} {1}",
                path.display(),
                path.parent().unwrap_or(path).display()
            ),
        }),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Refused {
    Refused {
        cause: format!("{} cannot be read: {error}", path.display()),
        hint: "check the path, and that this user may read it".to_owned(),
    }
}

fn open_to_nobody_else(
    file: &File,
    path: &Path,
    forbidden: u32,
    credentials: Option<&Path>,
) -> Result<(), Refused> {
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(Refused {
            cause: format!("{} is no file", path.display()),
            hint: "name the file that holds the secret".to_owned(),
        });
    }
    if metadata.permissions().mode() & forbidden != 0 && !is_handed_over(path, credentials) {
        return Err(Refused {
            cause: format!("{} can be read by other users", path.display()),
            hint: format!("chmod 600 {}", path.display()),
        });
    }
    Ok(())
}

/// Whether a secret's file, which exists, is this user's alone. What systemd or
/// a container's runtime has handed over is, whatever its mode.
pub(super) fn closed_to_others(path: &Path, credentials: Option<&Path>) -> Result<(), Refused> {
    let file = open_regular(path).map_err(|error| unreadable(path, &error))?;
    open_to_nobody_else(&file, path, OTHERS, credentials)
}

/// The same for a file that its group may read, as Debian's `ssl-cert` does.
pub(super) fn closed_to_everybody(path: &Path, credentials: Option<&Path>) -> Result<(), Refused> {
    let file = open_regular(path).map_err(|error| unreadable(path, &error))?;
    open_to_nobody_else(&file, path, EVERYBODY, credentials)
}

/// What a secret's file holds, without the line's end at its end. Never empty.
pub(super) fn secret(path: &Path, credentials: Option<&Path>) -> Result<Secret<Vec<u8>>, Refused> {
    let file = open_regular(path).map_err(|error| unreadable(path, &error))?;
    open_to_nobody_else(&file, path, OTHERS, credentials)?;
    // Room for all of it at once, or growing would leave copies behind.
    let mut bytes = Vec::with_capacity(LONGEST_SECRET as usize + 1);
    let length = file
        .take(LONGEST_SECRET + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, &error))?;
    let secret = Secret::new(bytes);
    let text = secret.expose().strip_suffix(b"\n");
    let text = text.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let text = text.unwrap_or(secret.expose());
    if text.is_empty() || length as u64 > LONGEST_SECRET {
        return Err(Refused {
            cause: format!("{} is empty, or longer than any secret", path.display()),
            hint: "write the secret alone into the file".to_owned(),
        });
    }
    Ok(Secret::new(text.to_vec()))
}

/// What the file holds that the `flag` of a command names, which only its owner may read.
///
/// # Errors
/// [`Problem`].
pub fn read_secret(flag: &str, path: &Path) -> Result<Secret<Vec<u8>>, Problem> {
    secret(path, None).map_err(|Refused { cause, hint }| Problem {
        subject: flag.to_owned(),
        cause,
        hint,
    })
}

/// The first `most` bytes of a file.
pub(super) fn head(path: &Path, most: u64) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    open_regular(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, &error))?;
    Ok(bytes)
}

/// Whether the file holds certificates, and nothing that fails to be one.
pub(super) fn certificates(path: &Path) -> Result<(), String> {
    let mut bytes = Vec::new();
    open_deciding(path)
        .and_then(|file| file.take(LONGEST_BUNDLE).read_to_end(&mut bytes))
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        certificate
            .map_err(|error| error.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()))
            .map_err(|error| format!("{} holds a broken certificate: {error}", path.display()))?;
    }
    if roots.is_empty() {
        return Err(format!("{} holds no certificate", path.display()));
    }
    Ok(())
}
