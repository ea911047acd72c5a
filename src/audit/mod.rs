//! What happened: one line for every change and every refusal, written in the
//! transaction that it tells of, so that neither exists without the other.
//!
//! A caller who cannot be identified leaves a line in the log alone: a stranger
//! must not be able to fill the disk.
//!
//! What is done to the server itself is about no person, and has lines of its own.

mod operation;
mod record;
mod service;

pub use operation::{LONGEST_REASON, MOST_OPERATIONS, Operation, note, operations, reason};
pub use record::{Actor, Event, Origin, Outcome, RETENTION};
pub use service::{append, history, prune};
