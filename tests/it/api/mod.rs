//! As the URLs are laid out: one file a factor.

mod totp;
