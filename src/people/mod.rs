//! The people whom the server has met, as their own tokens describe them.

mod record;
mod service;

pub use record::Profile;
pub use service::{addresses, meet, operators, profile};
