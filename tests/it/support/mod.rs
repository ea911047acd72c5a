//! What the tests stand on.

#![allow(
    dead_code,
    unused_imports,
    reason = "whoever stands on them uses the part that it needs"
)]

mod authenticator;
mod client;
mod clock;
mod disk;
mod issuer;
pub mod process;
mod server;
pub mod smtp;
mod totp;

pub use authenticator::{Assertion, Authenticator, Registration};
pub use client::{Client, Reply};
pub use clock::TestClock;
pub use disk::Disk;
pub use issuer::{Issuer, Token};
pub use process::{Process, Site};
pub use server::{Options, PUBLIC_URL, Server};
pub use totp::{App, code_at};
