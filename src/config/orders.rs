//! Orders on the command line: what they are told beside the settings. None of it
//! stands in variables or in the file.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

use crate::policy::Key;

/// Seconds of the units in which a span of time can be written.
const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];

/// What `mfad service` is told.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ServiceCommand {
    /// Register a login service, and print its key
    #[command(
        after_help = "The key alone goes to standard output, once; words go to standard error:\n  \
        mfad service add portal --return-url https://portal.example.org/mfa > portal.key"
    )]
    Add(NewService),
    /// Tell which login services there are, and never their keys
    List {
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Give a login service a new key, and print it
    Rotate {
        /// The name of the service
        #[arg(value_name = "ID")]
        id: String,
        /// How long the old key stays good beside the new one: 90m, 24h, 7d; 0 ends it at once
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = seconds)]
        overlap: u64,
    },
    /// Change what an unknown user means to a login service
    #[command(
        after_help = "An unknown user is one whom this server has never met, under no spelling of the name:\n  \
        mfad service set portal --unknown enroll"
    )]
    Set {
        /// The name of the service
        #[arg(value_name = "ID")]
        id: String,
        /// What an unknown user is told to do
        #[arg(
            long,
            value_name = "enroll|deny|allow",
            hide_possible_values = true,
            value_parser = ["enroll", "deny", "allow"]
        )]
        unknown: String,
    },
    /// Strike a login service off: its keys and tokens are refused at once
    Remove {
        /// The name of the service
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// What `mfad policy` is told.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum PolicyCommand {
    /// Tell the policy that holds, and where each part of it comes from
    Show {
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Store one part of it over the settings: it holds at once, without a restart
    #[command(after_help = "The parts are called like their settings:\n  \
        mfad policy set require-mfa tenant:acme scope:staff\n  \
        mfad policy set require-mfa none\n  \
        mfad policy set allow-factor webauthn totp\n  \
        mfad policy set email-factor recovery\n  \
        mfad policy set grace-days 14\n  \
        mfad policy set trusted-device-days 0")]
    Set {
        /// Which part
        #[arg(value_name = "KEY", value_parser = Key::from_str)]
        key: Key,
        /// What it is to be; several are a list
        #[arg(value_name = "VALUE", required = true)]
        words: Vec<String>,
    },
    /// Take back what was stored for one part: the settings hold again
    Unset {
        /// Which part
        #[arg(value_name = "KEY", value_parser = Key::from_str)]
        key: Key,
    },
}

/// What `mfad signing-key` is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum SigningKeyCommand {
    /// Tell which keys sign results, since when and until when
    List {
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Make a new key. It is published at once and signs some minutes later, when everybody may know it; what the old one signed can be checked for an hour more
    Rotate,
}

/// What `mfad master-key` is told.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum MasterKeyCommand {
    /// Tell where the key is, what it is called, and whether it is sealed
    Show,
    /// Seal the key with a passphrase of 15 to 1024 bytes, or with another one. Without it no start opens the store: somebody must give it each time
    #[command(
        after_help = "The passphrase is asked for on the terminal, unless files hold it:\n  \
        mfad master-key protect --config /etc/mfad/mfad.toml\n\n\
        It seals this file alone: copies of the key that were made before stay as they are, and the blocks of the \
        disk that held the key until now may still be read by whoever takes it out."
    )]
    Protect {
        /// A file that holds the new passphrase
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
    /// Take the passphrase away: the file is the key again
    Unprotect,
    /// Make a new key. It takes the place of this one with the next start of the server, which goes on running until then
    #[command(
        after_help = "The key before is kept beside the new one, as FILE.ID: only that one opens the backups that were \
        made until the server takes the new one. A key that is sealed is followed by one that is sealed with the same \
        passphrase.\n\n\
        Whoever has the old key and the store as it was has the keys in it too: let mfad data-key rotate and \
        mfad signing-key rotate follow the next start.\n\n\
        A key that systemd hands over, or that is kept elsewhere, is replaced by whoever keeps it:\n  \
        mfad master-key rotate --config /etc/mfad/mfad.toml \\\n    \
        --master-key-file /etc/credstore/mfad.master-key --into new.key"
    )]
    Rotate {
        /// A new file for the new key, which is not there yet. The key before is good until a server starts with this one
        #[arg(long, value_name = "FILE")]
        into: Option<PathBuf>,
    },
}

/// What `mfad data-key` is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum DataKeyCommand {
    /// Tell which keys seal the store, and since when
    List {
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Make a new key. It seals at once what is written; what is there is sealed anew beside everything else, and then the old key is let go
    Rotate,
}

/// What `mfad clock` is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum ClockCommand {
    /// Believe the clock as it is now, where the server refuses it because it has seen later times: after a wrong year, say, that was believed
    Accept,
}

/// What `mfad audit` is told.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditCommand {
    /// How many lines to tell, 1 to 1000
    #[arg(long, value_name = "N", default_value = "50", value_parser = lines)]
    pub limit: usize,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `mfad backup` is told.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct BackupCommand {
    /// The file to write, or - for standard output
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Let it take the place of a file that is there
    #[arg(long)]
    pub force: bool,
}

/// What `mfad restore` is told.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct RestoreCommand {
    /// A file that mfad backup wrote
    #[arg(value_name = "FILE", required_unless_present = "accept_rollback")]
    pub file: Option<PathBuf>,
    /// Go on with the store that stands in the data folder, where the server refuses it because it may be an older copy
    #[arg(long, conflicts_with = "file")]
    pub accept_rollback: bool,
    /// Leave unused backup codes good, where you know that nobody has used one since the backup was made
    #[arg(long)]
    pub keep_backup_codes: bool,
}

/// A login service, as it is described on the command line.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct NewService {
    /// Its name: small letters, digits, dots, hyphens and underscores
    #[arg(value_name = "ID")]
    pub id: String,
    /// Which name of a person it sends
    #[arg(
        long,
        value_name = "sub|username|email",
        default_value = "sub",
        hide_possible_values = true,
        value_parser = ["sub", "username", "email"]
    )]
    pub sends: String,
    /// A tenant whose people it may ask about. Repeatable; where none is set, it may ask about everybody
    #[arg(long = "tenant", value_name = "TENANT")]
    pub tenants: Vec<String>,
    /// Where people may be sent back to, compared to the letter: https, or http on this machine. Repeatable
    #[arg(long = "return-url", value_name = "URL")]
    pub return_urls: Vec<String>,
    /// Its OAuth client at the issuer, whose own tokens are then its proof as well
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// The issuer that the names it sends belong to, where that is not the one of the settings
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
    /// What it does with a user whom this server has never met: send them to set up a factor, turn them away, or let them in
    #[arg(
        long,
        value_name = "enroll|deny|allow",
        default_value = "enroll",
        hide_possible_values = true,
        value_parser = ["enroll", "deny", "allow"]
    )]
    pub unknown: String,
}

/// A number of lines.
fn lines(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=1000) => Ok(number),
        _ => Err("write a number from 1 to 1000".to_owned()),
    }
}

/// A span of time: `0`, or a number with its unit.
fn seconds(text: &str) -> Result<u64, String> {
    let read = || {
        if text == "0" {
            return Some(0);
        }
        let (_, unit) = UNITS.into_iter().find(|(name, _)| text.ends_with(*name))?;
        let number = text.get(..text.len() - 1)?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        number.parse::<u64>().ok()?.checked_mul(unit)
    };
    read().ok_or_else(|| "write a number and its unit, as in 90m, 24h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_time_has_its_unit() {
        for (text, expected) in [
            ("0", 0),
            ("0h", 0),
            ("45s", 45),
            ("90m", 5400),
            ("24h", 86_400),
            ("7d", 604_800),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "24",
            "h",
            "-1h",
            "+1h",
            "1.5h",
            "1 h",
            "1w",
            "٢h",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
