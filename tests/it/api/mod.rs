//! As the URLs are laid out: one file a factor.

mod email;
pub mod totp;
pub mod webauthn;
