//! Mails that must leave even if the SMTP server is away for a day: notices on
//! changes to a person's security. They are written in the transaction that
//! makes the change, and sent after it, with retries.
//!
//! Codes do not pass through here: whoever waits for one wants to hear at once
//! that it could not be sent.

mod hour;
mod record;
mod rule;
mod service;

pub use hour::{Admission, Digest, HOURLY_NOTIFICATIONS, digests_due, take_digest};
pub use record::Hour;
pub use service::{deliver, oldest, put, waiting};
