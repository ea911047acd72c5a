//! What every room stands on: time, randomness, identifiers, secrets, failures and the form of names.
//!
//! This room knows no other.

mod entropy;
mod failure;
#[cfg(test)]
pub(crate) mod fuzz;
mod id;
mod listen;
mod name;
mod peer;
mod rate_limit;
mod secret;
mod text;
mod time;

#[cfg(test)]
#[path = "../../tests/it/support/clock.rs"]
mod clock;

#[cfg(test)]
pub use clock::TestClock;
pub use entropy::{Entropy, OsEntropy};
pub use failure::{Code, Failure, Kind, Violation, codes};
pub use id::{
    ChallengeId, DeviceId, IdError, MessageId, PersonKey, PublicSessionId, RequestId,
    TrustedDeviceId,
};
pub use listen::{ListenAddress, ListenAddressError, is_this_machine};
pub use name::{prepared_address, prepared_name};
pub use peer::PeerAddr;
pub use rate_limit::RateLimit;
pub use secret::Secret;
pub use text::{display_text, terminal_text};
pub use time::{Clock, SystemClock, Timestamp, monotonic};
