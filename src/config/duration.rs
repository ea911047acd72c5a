//! Lengths of time, as people write them.

use std::ops::RangeInclusive;

use clap::Args;

use crate::copies::Plan;

use super::check::Check;
use super::problem::Problems;

/// How recent a sign-in can be asked to be, in seconds: a minute to a day.
const RECENT: RangeInclusive<u64> = 60..=24 * 60 * 60;

impl Check<'_> {
    /// How long ago somebody may have signed in who makes a change, in seconds; nothing where it may be any time.
    pub(super) fn recent_auth(&mut self) -> Option<u64> {
        let text = self.layers.args.require_recent_auth.as_deref()?;
        match seconds(text) {
            Some(seconds) if RECENT.contains(&seconds) => Some(seconds),
            Some(_) => self.wrong(
                "require_recent_auth",
                format!("{text} is shorter than 1 minute or longer than 24 hours"),
                "use 10m, or leave it out to ask for no recent sign-in",
            ),
            None => self.wrong(
                "require_recent_auth",
                format!("{text:?} is no length of time"),
                "write a whole number and s, m or h, as in 600s, 10m or 1h; \
                 or leave it out to ask for no recent sign-in",
            ),
        }
    }
}

/// How long users can be made to wait for another mailed code, in seconds: no less than a mail takes to arrive, and no
/// more than a code is good for.
const RESEND: RangeInclusive<u64> = 5..=10 * 60;

#[derive(Args)]
pub(super) struct ResendArgs {
    /// How long somebody waits, after a code was mailed to them for a login service or for the settings page, until they can have another one mailed for it: 5s to 10m
    #[arg(
        long,
        value_name = "DURATION",
        env = "MFAD_EMAIL_RESEND_AFTER",
        hide_env_values = true,
        default_value = "60s"
    )]
    email_resend_after: String,
}

/// Seconds between two mailed codes to one person; `subject` names a setting by its id.
pub(super) fn email_resend_after(
    args: &ResendArgs,
    subject: impl Fn(&str) -> String,
    problems: &mut Problems,
) -> Option<u64> {
    let text = &args.email_resend_after;
    let allowed = seconds(text).filter(|seconds| RESEND.contains(seconds));
    if allowed.is_none() {
        problems.add(
            subject("email_resend_after"),
            format!("{text:?} is no length of time from 5s to 10m"),
            "write a whole number and s or m, as in 60s",
        );
    }
    allowed
}

/// How often copies can be made, in seconds: an hour to a month.
const COPIES: RangeInclusive<u64> = 60 * 60..=720 * 60 * 60;
/// How many copies can be kept.
const KEPT: RangeInclusive<usize> = 1..=1000;

impl Check<'_> {
    /// Which copies are made by themselves. What is wrong is said even where none are.
    pub(super) fn copies(&mut self) -> Option<Plan> {
        let args = &self.layers.args;
        let every = match seconds(&args.backup_every) {
            Some(seconds) if COPIES.contains(&seconds) => Some(seconds),
            _ => self.wrong(
                "backup_every",
                format!(
                    "{:?} is no length of time from 1h to 720h",
                    args.backup_every
                ),
                "write a whole number and h, as in 24h",
            ),
        };
        let keep = match args.backup_keep.parse::<usize>() {
            Ok(keep) if KEPT.contains(&keep) => Some(keep),
            _ => self.wrong(
                "backup_keep",
                format!("{:?} is no number from 1 to 1000", args.backup_keep),
                "use 7",
            ),
        };
        let folder = args.backup_dir.as_deref()?;
        let folder = self.path("backup_dir", folder);
        Some(Plan {
            folder: folder?,
            every: every?,
            keep: keep?,
        })
    }
}

/// The seconds in a whole number followed by `s`, `m` or `h`.
fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = [('s', 1), ('m', 60), ('h', 60 * 60)]
        .into_iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    // `parse` would take a plus sign as well.
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_a_whole_number_and_its_unit() {
        for (text, expected) in [
            ("600s", 600),
            ("10m", 600),
            ("1h", 3_600),
            ("0s", 0),
            ("090s", 90),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "10",
            "m",
            "10 m",
            " 10m",
            "10m ",
            "+10m",
            "-10m",
            "1.5h",
            "1h30m",
            "10min",
            "10M",
            "1d",
            "ten m",
            "١٠m",
            "99999999999999999999s",
            "5124095576030432h",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
