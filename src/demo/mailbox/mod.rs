//! A mailbox that takes what the server mails, over real SMTP (RFC 5321) on a
//! port of loopback, and keeps the latest in memory for the page to show.
//!
//! The server sends to it as it would to a relay: the demo tries that path too.

mod letter;
mod server;
mod session;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::letter::Letter;
pub use self::server::MailServer;
use crate::base::Timestamp;

/// How many mails are kept; the oldest goes first.
pub const MOST_LETTERS: usize = 100;

/// What has arrived. Clones share it.
#[derive(Clone, Default)]
pub struct Mailbox(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    letters: VecDeque<(Letter, Vec<u8>)>,
    arrived: u64,
}

impl Mailbox {
    /// The mails, newest first.
    pub fn letters(&self) -> Vec<Letter> {
        let kept = self.kept();
        kept.letters
            .iter()
            .rev()
            .map(|(letter, _)| letter.clone())
            .collect()
    }

    /// A mail as it came over the wire, if it is still kept.
    pub fn raw(&self, id: u64) -> Option<Vec<u8>> {
        let kept = self.kept();
        kept.letters
            .iter()
            .find(|(letter, _)| letter.id == id)
            .map(|(_, raw)| raw.clone())
    }

    /// Forgets all of them.
    pub fn clear(&self) {
        self.kept().letters.clear();
    }

    /// Files a mail as it came over the wire.
    pub(in crate::demo) fn file(
        &self,
        from: &str,
        to: &[String],
        raw: &[u8],
        now: Timestamp,
    ) -> u64 {
        let mut letter = Letter::read(from, to, raw, now);
        let mut kept = self.kept();
        kept.arrived = kept.arrived.saturating_add(1);
        letter.id = kept.arrived;
        if kept.letters.len() >= MOST_LETTERS {
            kept.letters.pop_front();
        }
        kept.letters.push_back((letter, raw.to_vec()));
        kept.arrived
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing in there is left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
