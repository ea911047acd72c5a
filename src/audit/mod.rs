//! What happened: one record for every change and every refusal, written in the
//! transaction that it tells of, so that neither exists without the other.
//!
//! A caller who cannot be identified, or asks about a user whom the server has never met, leaves a line in the log
//! only: a stranger must not be able to fill the disk. Nor must anyone else: see [`AuditLimits`].
//!
//! What is done to the server itself is about no person, and has records of its own.

mod limits;
mod operation;
mod record;
mod service;
#[cfg(test)]
mod tests;

pub use limits::{AuditLimits, Class, NEARLY_FULL, RECORD_BYTES};
pub use operation::{LONGEST_REASON, MOST_OPERATIONS, Operation, note, operations, reason};
pub use record::{Actor, Event, Origin, Outcome};
pub use service::{
    REFUSALS_TOGETHER, history, knows, may_change, prune, record, record_certain,
    record_held_refusals, size,
};
