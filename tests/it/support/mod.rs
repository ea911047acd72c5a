//! What the tests stand on.

#![allow(
    dead_code,
    unused_imports,
    reason = "a test uses the part of its tools that it needs"
)]

mod authenticator;
pub mod browser;
mod client;
mod clock;
mod disk;
mod fixture;
mod issuer;
pub mod oidc;
pub mod process;
mod routes;
mod server;
pub mod smtp;
mod swarm;
mod totp;

use mfad::base::{Clock, SystemClock, Timestamp};

pub use authenticator::{Assertion, Authenticator, Registration, UP, UV};
pub use client::{Client, Reply};
pub use clock::TestClock;
pub use disk::Disk;
pub use fixture::Fixture;
pub use issuer::{Issuer, Token};
pub use process::{Process, Site};
pub use routes::{Field, Route, routes};
pub use server::{Options, PUBLIC_URL, Server};
pub use swarm::{at_once, tally};
pub use totp::{App, code_at};
