//! Copies of the store as files: written whole or not at all, and remembered, so that somebody can be told how
//! old the last one is.

mod file;
mod record;
mod schedule;
mod service;

pub use file::{CopyFile, FileError, ends_whole};
pub use record::LastCopy;
pub use schedule::{Plan, Schedule};
pub use service::{last, note};
