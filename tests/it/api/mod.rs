//! As the URLs are laid out: one file a factor.

mod backup_codes;
mod bounds;
pub mod email;
mod factor_change;
mod history;
mod input;
mod languages;
mod lockout;
pub mod login;
mod notifications;
mod policy;
mod set_ups;
mod step_up;
pub mod totp;
mod trusted_devices;
pub mod webauthn;
