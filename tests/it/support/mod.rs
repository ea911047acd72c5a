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
pub use server::{Options, PUBLIC_URL, Server, periods, unlimited};
pub use swarm::{at_once, tally};
pub use totp::{App, code_at};

use std::time::Duration;

/// How long [`until`] waits.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it pauses between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks again and again whether something has come about; `what` says what, if it does not.
///
/// # Panics
/// If it has not come about within 20 seconds.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let search = async {
        while !is_so().await {
            tokio::time::sleep(PAUSE).await;
        }
    };
    if tokio::time::timeout(PATIENCE, search).await.is_err() {
        panic!("waited in vain: {what}");
    }
}
