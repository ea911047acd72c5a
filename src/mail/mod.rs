//! Letters to people: what they say, whom we write to, and how they leave.
//!
//! The only room that names lettre. Three of its habits shape this room: its
//! asynchronous time-out covers connecting alone, its pool neither bounds the
//! number of connections nor throws away one that was given up in the middle
//! of a dialogue, and its log shows whole letters and passwords. So the time
//! limit, the connections and the log are ours.

mod address;
mod connection;
mod digest;
mod letter;
mod notice;
mod settings;
mod smtp;
mod template;
mod trouble;
mod values;
mod wire;

#[cfg(test)]
#[path = "../../tests/it/support/smtp.rs"]
mod smtp_server;

pub use address::{Address, AddressError};
pub use digest::{Change, ChangeKind, Digest};
pub use letter::Letter;
pub use notice::{
    BackupCodeUsed, BackupCodesRegenerated, BackupCodesVoid, CodeLetter, Content, FactorAdded,
    FactorDisabled, FactorLocked, FactorRemoved, FactorReplaced, FactorUnlocked, FactorsReset,
    Foreign, KeyCopied, NameContested, NameShared, Occasion, Purpose, SignInUnfinished, Thing,
    TrustedDeviceCopied,
};
pub use settings::{Security, SettingsError, SmtpSettings};
pub use smtp::{Away, Mailer};
pub use template::{Rendered, Template};
pub use trouble::{CODES, EMAIL_REFUSED, SendError, Stage, Trouble};
pub use values::Values;
