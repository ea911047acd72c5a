//! As the URLs are laid out: one file a factor.

mod backup_codes;
mod history;
mod input;
mod lockout;
pub mod totp;
