//! What the tests stand on.

#![allow(dead_code, reason = "a test uses the part of its tools that it needs")]

mod authenticator;
mod client;
mod clock;
mod issuer;
mod server;
pub mod smtp;
mod totp;

pub use authenticator::{Assertion, Authenticator, Registration, UP, UV};
pub use client::{Client, Reply};
pub use clock::TestClock;
pub use issuer::{Issuer, Token};
pub use server::{Options, PUBLIC_URL, Server};
pub use totp::{App, code_at};
