//! Browsers that a person trusts: at a login service that brings a browser's token, no second factor is
//! asked for within the days that policy allows.
//!
//! A token is good for one use, which gives the next. Two holders of one token are found out by that: the second one
//! to come brings a token that the device no longer holds, however often it was used meanwhile, and the device is
//! revoked, for the owner and the copy alike.
//!
//! ```text
//!             current: the next token
//!               ┌────┐
//!   remember    ▼    │      any other token (the one before: later than 10 s)
//!   ─────────▶ Trusted ─────────────────────────────────────▶ gone (Copied)
//!                    │
//!                    └── its time is up, a factor changed, taken back ──▶ gone (Unknown)
//! ```

mod record;
mod rule;
mod service;
#[cfg(test)]
mod tests;

pub use rule::{MOST_DEVICES, TABS};
pub use service::{
    New, Trust, TrustedDevice, check, forget_all, heal, list, remember, remember_as, revoke,
};
