//! Transactional typed tables in one file; the only room that names an engine
//! (redb).
//!
//! The seam to the engine is narrow: ordered bytes in named tables, snapshot
//! reads, and one atomic write closure. Above it stand [`Record`]s: serde
//! structs with a version, each value sealed whole, bound to its table and key.
//!
//! **Group commit.** A durable commit costs an fsync or two, so one writer
//! thread takes all the transactions that wait, runs each over its own overlay
//! (one that fails leaves nothing behind and touches no other), commits them
//! together, and only then answers any of them.
//!
//! **After an I/O error** the engine's handle is dead for good. The writer
//! drops it, answers 503 to those who wait, and opens the file anew as soon as
//! the disk lets it, without a restart.
//!
//! **Room is given back** while nothing is written: the rows are copied into a new file, which takes the
//! place of the old one in one step. Nobody waits for it, and whoever writes breaks it off.
//!
//! **An older copy** in the place of the store would make used codes good again. Each commit is
//! counted, and a witness beside the file knows the count: what is older than it has seen is not
//! opened. Copies are made from a snapshot, and come back as a new epoch.
//!
//! **A store of an older program** is brought up the ladder of formats when it is opened, in one
//! transaction, and what stood there before is kept. A rehearsal does all of it and leaves the file alone.
//!
//! **Keys** change while the store is in use: a new data key seals from the commit on that brings it,
//! and what older ones sealed is sealed anew beside everything else. A new master key takes over when it first
//! opens the store that was handed to it.

mod birth;
mod compact;
mod copy;
mod each;
mod engine;
mod filler;
mod guard;
mod handle;
mod keys;
mod meta;
mod open;
mod refusal;
mod rehearsal;
mod restore;
mod succession;
mod table;
mod tx;
mod upgrade;
mod witness;
mod writer;

#[cfg(test)]
mod compact_tests;
#[cfg(test)]
mod copy_tests;
#[cfg(test)]
mod key_tests;
#[cfg(test)]
mod planted_tests;
#[cfg(test)]
mod power_cut;
#[cfg(test)]
mod succession_tests;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upgrade_tests;

pub use birth::let_begin;
pub use copy::{CopyError, CopyHead, Passing};
pub use handle::Store;
pub use keys::Resealed;
pub use meta::{Progress, StoreId};
pub use open::{MasterKeyPlace, exists, open};
pub use refusal::OpenError;
pub use rehearsal::{Rehearsal, rehearse};
pub use restore::{Placed, RestoreError, Restoring, Source, begin as begin_restore};
pub use table::{Key, Record};
pub use tx::{Order, Read, Scan, Tx};
pub use upgrade::Change;
pub use witness::Doubt;
