//! Who must have which second factor, and what may be set up here.
//!
//! A policy comes in layers: the defaults, the settings over them, and over both what
//! `mfad policy set` stored, which works at once and without a restart. This room knows kinds of
//! factors by name alone.

mod factor_change;
#[cfg(test)]
mod fuzz;
mod record;
mod rule;
mod service;
#[cfg(test)]
mod tests;
mod words;

pub use factor_change::FactorChangeProof;
pub use rule::{Asked, Part, Policy, Source, shuts_out};
pub use service::{
    CODES, OPERATORS_SHUT_OUT, POLICY_MISFIT, counted, grace, grace_until, hold, in_effect, set,
    show, unset,
};
pub use words::{EmailUse, KINDS, Key, Misfit, Rule, STAND_IN};
