//! Browsers that a person trusts: at a login service that brings a browser's token, no second factor is
//! asked for within the days that policy allows.
//!
//! A token is good for one use, which gives the next. Two holders of one token are found out by that: whoever
//! comes second brings a token that was used up, and the device is revoked, for the owner and the copy alike.
//!
//! ```text
//!             current: the next token
//!               ┌────┐
//!   remember    ▼    │      a used-up token, later than 10 s
//!   ─────────▶ Trusted ─────────────────────────────────────▶ gone (Copied)
//!                    │
//!                    └── its time is up, a factor changed, taken back ──▶ gone (Unknown)
//! ```

mod record;
mod rule;
mod service;
#[cfg(test)]
mod tests;

pub use rule::{FORMER_TOKENS, MOST_DEVICES, TABS};
pub use service::{
    New, Trust, TrustedDevice, check, forget_all, heal, list, remember, remember_as, revoke,
};
