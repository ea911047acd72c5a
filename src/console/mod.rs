//! Orders from the command line.
//!
//! A running server has the store to itself, so whoever orders something on the
//! same machine speaks to it over a Unix socket in the data folder; where no
//! server runs, the same [`execute`] works on the file. A new order is an arm
//! of [`Order`], one of [`Answer`] where it has an answer of its own, and an arm
//! of [`execute`].
//!
//! The socket is for the server's own user and for root: its mode keeps others
//! away, and the kernel is asked who is there. A connection carries one line of
//! JSON each way; behind the answer that a copy of the store comes, the copy does.

mod client;
mod copying;
mod execute;
mod order;
mod socket;
mod user;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

pub use client::{Undone, fetch_copy, send};
pub use copying::remember;
pub use execute::{Tools, execute};
pub use order::{Answer, Fault, Order, Refusal, Status};
pub use socket::Console;
pub use user::{BackupCodesView, FactorView, LockView, UserIdentity, UserReset, UserView};

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of an order's line at the most, its end included.
pub const LONGEST_ORDER: usize = 64 * 1024;
/// Bytes of an answer's line at the most: a page of services, each with all that one may have.
pub const LONGEST_ANSWER: usize = 16 << 20;
/// How long an order may take to arrive, to be done, and to be answered, all together.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Where a server with the data folder `folder` takes orders.
pub fn socket_path(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}
