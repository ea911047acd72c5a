//! Wrong answers and what they cost.
//!
//! One tally per person and factor kind, shared by every page, service and
//! connection, durable, and counted inside the transaction that judged the
//! answer. It knows nothing of sessions or challenges, so that opening a new
//! one buys no further guesses.

mod phantom;
mod record;
mod rule;
mod service;

pub use phantom::{MOST_STORED_PHANTOMS, PhantomFailures};
pub use rule::{DISABLING_MISSES, FIRST_WAIT, FREE_MISSES, LONGEST_WAIT, Standing, Tally};
pub use service::{clear, clear_all, heal, miss, standing, tallies};
