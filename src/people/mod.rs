//! The people whom the server has met, as their own tokens describe them, and
//! the names that login services know them by.

mod addresses;
mod language;
mod lookup;
mod names;
mod record;
mod reserved;
mod service;
mod shared;
mod survey;
mod tenants;

#[cfg(test)]
mod tests;

pub use addresses::{MOST_FORMER, NOTIFIED_FOR, addresses, record_enrollment, record_former};
pub use language::{Noted, Wish, choose, language};
pub use lookup::{bearers, issuers};
pub use names::{Fit, Found, Lookup, MOST_BEARERS, NameKind, find, prepared};
pub use record::Profile;
pub use reserved::{Contest, MOST_RESERVED, NAME_NOT_RESERVED, RESERVED_FOR, release_name};
pub use service::{NameNews, has_news, is_operator, meet, operators, profile};
pub use shared::{Meaning, SharedName, shared_names};
pub use survey::{Survey, Twins, survey};
pub use tenants::{MOST_TENANTS, TENANT_FOR, seen_again};

use crate::base::Code;

/// The codes of this room. They answer orders on the machine itself, and no request.
pub const CODES: &[Code] = &[NAME_NOT_RESERVED];
