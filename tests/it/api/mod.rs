//! As the URLs are laid out: one file a factor.

mod backup_codes;
mod email;
mod history;
mod input;
mod lockout;
mod step_up;
pub mod totp;
pub mod webauthn;
