//! Copies that are made by themselves, and how many of them are kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use time::{Date, Month};

use crate::base::{Failure, Timestamp};
use crate::store::Store;

use super::file::CopyFile;
use super::record::LastCopy;
use super::service::note;

/// What stands around the time in the name of a copy.
const NAME: (&str, &str) = ("mfad-", ".backup");

/// Where copies go, how often, and how many stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The folder. It must be there: one that is made in place of a disk that is away would fill another.
    pub folder: PathBuf,
    /// Seconds from one copy to the next.
    pub every: u64,
    /// Copies that stay; older ones of these names are removed when a new one is whole.
    pub keep: usize,
}

/// A plan that is carried out, and how it goes. Clones share it.
#[derive(Clone)]
pub struct Schedule {
    plan: Arc<Plan>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Schedule {
    /// Carries out `plan`.
    pub fn of(plan: Plan) -> Self {
        Schedule {
            plan: Arc::new(plan),
            trouble: Arc::default(),
        }
    }

    /// Why the last copy that was due was not made; `None` where all is well.
    pub fn trouble(&self) -> Option<String> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Makes a copy if one is due at `now`, and removes those that are too many. Gives the new one.
    ///
    /// # Errors
    /// Why not, which [`Schedule::trouble`] tells until the next is made.
    pub async fn make_due(
        &self,
        store: &Store,
        now: Timestamp,
    ) -> Result<Option<PathBuf>, Failure> {
        let (plan, from) = (self.plan.clone(), store.clone());
        // The disk is waited for elsewhere than where requests are answered.
        let made = tokio::task::spawn_blocking(move || make_due(&plan, &from, now));
        let made = match made.await {
            Ok(made) => made,
            Err(panic) => Err(panic.to_string()),
        };
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = made.as_ref().err().cloned();
        let Some((path, rows)) = made.map_err(Failure::internal)? else {
            return Ok(None);
        };
        let copy = LastCopy { made_at: now, rows };
        store.write(move |tx| note(tx, copy)).await?;
        tracing::info!(path = %path.display(), rows, "a copy of the store was made");
        Ok(Some(path))
    }
}

fn make_due(plan: &Plan, store: &Store, now: Timestamp) -> Result<Option<(PathBuf, u64)>, String> {
    let cannot = |e: io::Error| format!("{}: {e}", plan.folder.display());
    let known = copies_until(&plan.folder, now).map_err(cannot)?;
    let last = known.last().map(|(at, _)| *at);
    if last.is_some_and(|last| now.since(last) < plan.every) {
        return Ok(None);
    }
    let path = plan.folder.join(name(now));
    let mut file = CopyFile::begin(&path, true).map_err(|e| e.to_string())?;
    let rows = store
        .copy(now, &mut |piece| file.write(&piece))
        .map_err(|e| format!("{}: {e}", path.display()))?;
    file.finish().map_err(|e| e.to_string())?;
    let known = copies_until(&plan.folder, now).map_err(cannot)?;
    let surplus = known.len().saturating_sub(plan.keep.max(1));
    for (_, old) in known.into_iter().take(surplus) {
        fs::remove_file(&old).map_err(|e| format!("{}: {e}", old.display()))?;
    }
    Ok(Some((path, rows)))
}

fn name(at: Timestamp) -> String {
    let at = at.to_string().replace([':', '-'], "");
    format!("{}{at}{}", NAME.0, NAME.1)
}

/// Our copies in `folder`, the oldest first. One from a time that has not come is from a clock that was wrong, and
/// counts for nothing.
fn copies_until(folder: &Path, now: Timestamp) -> io::Result<Vec<(Timestamp, PathBuf)>> {
    let mut known = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // What bears such a name and is no file is no copy of ours, and is not removed in the place of one.
        if !entry.file_type()?.is_file() {
            continue;
        }
        let path = entry.path();
        let made = path.file_name().and_then(|name| read_name(name.to_str()?));
        if let Some(at) = made.filter(|at| *at <= now) {
            known.push((at, path));
        }
    }
    known.sort();
    Ok(known)
}

/// The time in such a name: `mfad-20261129T031500Z.backup`.
fn read_name(name: &str) -> Option<Timestamp> {
    let at = name.strip_prefix(NAME.0)?.strip_suffix(NAME.1)?;
    let (day, time) = at.strip_suffix('Z')?.split_once('T')?;
    let digits =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(day, 8) || !digits(time, 6) {
        return None;
    }
    let two = |text: &str, from: usize| text.get(from..from + 2)?.parse::<u8>().ok();
    let month = Month::try_from(two(day, 4)?).ok()?;
    let day = Date::from_calendar_date(day.get(..4)?.parse().ok()?, month, two(day, 6)?).ok()?;
    let at = day.with_hms(two(time, 0)?, two(time, 2)?, two(time, 4)?);
    let seconds = at.ok()?.assume_utc().unix_timestamp();
    Some(Timestamp::from_unix(u64::try_from(seconds).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_known_by_its_name() {
        let at = Timestamp::from_unix(1_795_521_600);
        assert_eq!(name(at), "mfad-20261124T120000Z.backup");
        assert_eq!(read_name(&name(at)), Some(at));
        for other in [
            "mfad-20261124T120000Z.backup.unfinished",
            "mfad-2026.backup",
            "mfad-20269924T120000Z.backup",
            "notes.txt",
        ] {
            assert_eq!(read_name(other), None, "{other}");
        }
    }
}
