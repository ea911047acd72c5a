//! No policy may shut out all of those who could change it back.
//!
//! Orders on the machine itself come here with the store alone, since they work without a server too.

use crate::audit::{self, Operation};
use crate::base::{Failure, Timestamp};
use crate::people;
use crate::policy::{self, Key, OPERATORS_SHUT_OUT, Policy};
use crate::store::{Read, Store, Tx};

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

/// Whether some operator has a second factor that counts under `policy`.
///
/// # Errors
/// Those of the store.
pub fn some_operator_counts(read: &dyn Read, policy: &Policy) -> Result<bool, Failure> {
    for person in people::operators(read, MOST_OPERATORS)? {
        let kinds = kinds_of(read, person)?;
        if kinds.iter().any(|kind| policy.counts(kind)) {
            return Ok(true);
        }
    }
    Ok(false)
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
    now: Timestamp,
) -> Result<Policy, Failure> {
    let settings = settings.clone();
    let policy = store
        .write(move |tx| {
            let policy = policy::set(tx, &settings, key, &words, let_hold)?;
            note_policy(tx, "policy.set", &policy, key, now)?;
            Ok(policy)
        })
        .await?;
    tracing::info!(part = key.name(), words = ?policy.words(key), "the policy was changed");
    Ok(policy)
}

fn note_policy(
    tx: &mut Tx<'_>,
    action: &str,
    policy: &Policy,
    key: Key,
    now: Timestamp,
) -> Result<(), Failure> {
    let about = format!("{} = {}", key.name(), policy.words(key).join(" "));
    audit::note(tx, &Operation::new(now, action, Some(about)))
}

/// Takes back what was stored for one part of the policy. Gives the policy that holds then.
///
/// # Errors
/// As [`set_policy`].
pub async fn unset_policy(
    store: &Store,
    settings: &Policy,
    key: Key,
    now: Timestamp,
) -> Result<Policy, Failure> {
    let settings = settings.clone();
    let policy = store
        .write(move |tx| {
            let policy = policy::unset(tx, &settings, key, let_hold)?;
            note_policy(tx, "policy.unset", &policy, key, now)?;
            Ok(policy)
        })
        .await?;
    tracing::info!(part = key.name(), words = ?policy.words(key), "the policy was changed back");
    Ok(policy)
}
