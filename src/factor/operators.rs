//! No policy may shut out all of those who could change it back.

use std::sync::Arc;

use crate::base::Failure;
use crate::people;
use crate::policy::{self, Key, OPERATORS_SHUT_OUT, Policy};
use crate::store::Read;

use super::{Desk, Factors};

/// Operators who are looked at.
const MOST_OPERATORS: usize = 1_000;

impl Factors {
    /// Lets `policy` hold unless every operator who has a factor that counted until now would be left with none that counts.
    ///
    /// # Errors
    /// `operators_shut_out`; those of the store.
    pub fn let_hold(&self, read: &dyn Read, policy: &Policy) -> Result<(), Failure> {
        let mut operators = Vec::new();
        for person in people::operators(read, MOST_OPERATORS)? {
            operators.push(self.kinds(read, person)?);
        }
        let counted = policy::counted(read)?;
        let counted: Vec<&str> = counted.iter().map(String::as_str).collect();
        match policy::shuts_out(&counted, policy, &operators) {
            false => Ok(()),
            true => Err(Failure::new(
                OPERATORS_SHUT_OUT,
                "No operator would have a second factor that counts. Let one of them set up another kind first.",
            )),
        }
    }
}

impl Desk {
    /// The policy that holds at this moment.
    ///
    /// # Errors
    /// Those of the store.
    pub fn policy(&self) -> Result<Policy, Failure> {
        let settings = &self.tools.policy;
        self.tools.store.read(|read| policy::show(read, settings))
    }

    /// Stores one part of the policy, over the settings. It holds at once. Gives the policy that holds then.
    ///
    /// # Errors
    /// `policy_misfit`, `operators_shut_out`; those of the store. Nothing is stored then.
    pub async fn set_policy(
        self: &Arc<Self>,
        key: Key,
        words: Vec<String>,
    ) -> Result<Policy, Failure> {
        let desk = self.clone();
        let store = &self.tools.store;
        let policy = store
            .write(move |tx| {
                let may = |read: &dyn Read, policy: &Policy| desk.factors.let_hold(read, policy);
                policy::set(tx, &desk.tools.policy, key, &words, may)
            })
            .await?;
        tracing::info!(part = key.name(), value = ?policy.words(key), "the policy was changed");
        Ok(policy)
    }

    /// Takes back what was stored for one part of the policy. Gives the policy that holds then.
    ///
    /// # Errors
    /// As [`Desk::set_policy`].
    pub async fn unset_policy(self: &Arc<Self>, key: Key) -> Result<Policy, Failure> {
        let desk = self.clone();
        let store = &self.tools.store;
        let policy = store
            .write(move |tx| {
                let may = |read: &dyn Read, policy: &Policy| desk.factors.let_hold(read, policy);
                policy::unset(tx, &desk.tools.policy, key, may)
            })
            .await?;
        tracing::info!(part = key.name(), value = ?policy.words(key), "the policy was changed back");
        Ok(policy)
    }

    /// Notes that the policy of the settings holds from now on.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn hold_policy(&self) -> Result<(), Failure> {
        let settings = self.tools.policy.clone();
        let store = &self.tools.store;
        store.write(move |tx| policy::hold(tx, &settings)).await
    }
}
