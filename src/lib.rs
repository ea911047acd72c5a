//! mfad: a multi-factor authentication server. One binary, one file.

pub mod base;
pub mod crypto;
pub mod store;
