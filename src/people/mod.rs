//! The people whom the server has met, as their own tokens describe them, and
//! the names that login services know them by.

mod language;
mod lookup;
mod names;
mod record;
mod service;

#[cfg(test)]
mod tests;

pub use language::{Noted, Wish, choose, language};
pub use lookup::{bearers, issuers};
pub use names::{Found, MOST_BEARERS, NameKind, find, normal};
pub use record::Profile;
pub use service::{addresses, is_operator, meet, operators, profile};
