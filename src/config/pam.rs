//! What `mfad pam` is told.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use url::Url;

use super::cli::PamArgs;
use super::files;
use super::problem::Problems;
use super::settings::PamSettings;
use super::web::{Refused, refused};
use crate::base::{Secret, is_this_machine};

/// The variable by which PAM says who wants in.
pub(super) const USER: &str = "PAM_USER";

const VERIFY: &str = "api/v1/mfa/verify";

/// The settings, checked, with all that is wrong told at once.
pub(super) fn settings(args: &PamArgs, user: Option<OsString>) -> Result<PamSettings, Problems> {
    let mut problems = Problems::default();
    let verify = address(&args.url);
    let key = key(Path::new(&args.key_file));
    let ca_file = args.ca_file.as_ref().map(PathBuf::from);
    let roots = ca_file.as_deref().map_or(Ok(()), |path| {
        let hint = "name a PEM file with certificates of authorities";
        files::certificates(path).map_err(|cause| refused(cause, hint))
    });
    let user = name(user);
    let mut wrong = |subject: &str, refused: &Refused| {
        problems.add(subject, &refused.cause, &refused.hint);
    };
    let _ = verify.as_ref().map_err(|refused| wrong("url", refused));
    let _ = key.as_ref().map_err(|refused| wrong("key-file", refused));
    let _ = roots.as_ref().map_err(|refused| wrong("ca-file", refused));
    let _ = user.as_ref().map_err(|refused| wrong(USER, refused));
    match (verify, key, roots, user) {
        (Ok(verify), Ok(key), Ok(()), Ok(user)) => Ok(PamSettings {
            verify,
            key,
            ca_file,
            user,
        }),
        _ => Err(problems),
    }
}

fn address(text: &str) -> Result<Url, Refused> {
    let hint = "write it like https://mfa.example.org, or http://127.0.0.1:8080 on this machine";
    let url = Url::parse(text).map_err(|error| refused(format!("it is no URL: {error}"), hint))?;
    let clear = url.scheme() == "http" && url.host_str().is_some_and(is_this_machine);
    if url.scheme() != "https" && !clear {
        let cause = "whoever listens on the way could read the codes and answer for the server";
        return Err(refused(cause, hint));
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.path() != "/"
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(refused("it has more than scheme, host and port", hint));
    }
    url.join(VERIFY)
        .map_err(|error| refused(error.to_string(), hint))
}

fn key(path: &Path) -> Result<Secret<String>, Refused> {
    let bytes = files::secret(path, None)?;
    match std::str::from_utf8(bytes.expose()) {
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Secret::new(text.to_owned()))
        }
        _ => Err(refused(
            format!("{} holds something other than one key", path.display()),
            "write the key alone into the file, as mfad service add printed it",
        )),
    }
}

fn name(user: Option<OsString>) -> Result<String, Refused> {
    let hint = "run it from pam_exec.so; to try it by hand, set PAM_USER";
    user.ok_or_else(|| refused("it is not set, so that nobody is asked about", hint))?
        .into_string()
        .map_err(|_| refused("it is not UTF-8", "give the account another name"))
}
