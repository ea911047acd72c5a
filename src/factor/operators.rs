//! No policy may shut out all of those who could change it back.
//!
//! Orders on the machine itself come here with the store alone, since they work without a server too.

use crate::base::Failure;
use crate::people;
use crate::policy::{self, Key, OPERATORS_SHUT_OUT, Policy};
use crate::store::{Read, Store};

use super::allowed::kinds_of;

/// Operators who are looked at.
const MOST_OPERATORS: usize = 1_000;

/// Lets `policy` hold unless every operator who has a factor that counted until now would be left with none
/// that counts.
///
/// # Errors
/// `operators_shut_out`; those of the store.
pub fn let_hold(read: &dyn Read, policy: &Policy) -> Result<(), Failure> {
    let mut operators = Vec::new();
    for person in people::operators(read, MOST_OPERATORS)? {
        operators.push(kinds_of(read, person)?);
    }
    let counted = policy::counted(read)?;
    let counted: Vec<&str> = counted.iter().map(String::as_str).collect();
    if !policy::shuts_out(&counted, policy, &operators) {
        return Ok(());
    }
    let detail = "No operator would have a second factor that counts.";
    let hint = "let an operator set up another kind of factor first";
    Err(Failure::new(OPERATORS_SHUT_OUT, detail).with("hint", hint))
}

/// Stores one part of the policy over that of the settings. It holds at once. Gives the policy that holds then.
///
/// # Errors
/// `policy_misfit`, `operators_shut_out`; those of the store. Nothing is stored then.
pub async fn set_policy(
    store: &Store,
    settings: &Policy,
    key: Key,
    words: Vec<String>,
) -> Result<Policy, Failure> {
    let settings = settings.clone();
    let policy = store
        .write(move |tx| policy::set(tx, &settings, key, &words, let_hold))
        .await?;
    tracing::info!(part = key.name(), words = ?policy.words(key), "the policy was changed");
    Ok(policy)
}

/// Takes back what was stored for one part of the policy. Gives the policy that holds then.
///
/// # Errors
/// As [`set_policy`].
pub async fn unset_policy(store: &Store, settings: &Policy, key: Key) -> Result<Policy, Failure> {
    let settings = settings.clone();
    let policy = store
        .write(move |tx| policy::unset(tx, &settings, key, let_hold))
        .await?;
    tracing::info!(part = key.name(), words = ?policy.words(key), "the policy was changed back");
    Ok(policy)
}
