//! Registered login services: programs that ask whether somebody's second
//! factor is right, and how they prove themselves.
//!
//! A service has up to two live keys, of which the store knows keyed hashes
//! alone, and, where it is so registered, the access tokens of one OAuth client.
//! A client that nobody has registered is a service of its own, of few rights.

mod doorkeeper;
mod key;
mod record;
mod rule;
mod service;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

pub use doorkeeper::{Doorkeeper, not_accepted};
pub use key::{KEY_PREFIX, ServiceKey};
pub use record::{Registered, RegisteredKey, Sends, Service, Unknown};
pub use rule::{LONGEST_ID, LONGEST_OVERLAP, LONGEST_URL, MOST_TENANTS, MOST_URLS};
pub use service::{add, get, list, remove, rotate, set_unknown};

use crate::base::{Code, Kind};

/// What is registered would not be a service.
pub const BAD_SERVICE: Code = Code {
    name: "bad_service",
    kind: Kind::BadRequest,
    title: "Not a login service",
};
/// The name or the client belongs to a service already.
pub const SERVICE_KNOWN: Code = Code {
    name: "service_known",
    kind: Kind::Conflict,
    title: "Registered already",
};
/// No service of that name is registered.
pub const SERVICE_UNKNOWN: Code = Code {
    name: "service_unknown",
    kind: Kind::NotFound,
    title: "Not registered",
};

/// What registering answers with. Nobody registers over HTTP, so none of these is written there.
pub const CODES: &[Code] = &[BAD_SERVICE, SERVICE_KNOWN, SERVICE_UNKNOWN];
