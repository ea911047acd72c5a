//! What policy lets a person set up, and what it lets them remove.

use crate::auth::Person;
use crate::base::{DeviceId, Failure, PersonKey, Timestamp};
use crate::lockout::{self, Standing};
use crate::people;
use crate::policy::{self, Asked, Policy};
use crate::store::Read;

use super::deed::{Deed, Refusal, refuse};
use super::{Factor, LAST_FACTOR, NOT_OFFERED, Status, email, totp, webauthn};

type IsActive = fn(&dyn Read, PersonKey) -> Result<bool, Failure>;

/// The factors that stand alone, as they are known where no server runs.
const STANDING: [(&str, IsActive); 3] = [
    (totp::KIND, totp::is_active),
    (email::KIND, email::is_active),
    (webauthn::KIND, webauthn::is_active),
];

/// The kinds of factors that the person has and that stand alone.
///
/// # Errors
/// Those of the store.
pub fn kinds_of(read: &dyn Read, person: PersonKey) -> Result<Vec<&'static str>, Failure> {
    let mut kinds = Vec::new();
    for (kind, is_active) in STANDING {
        if is_active(read, person)? {
            kinds.push(kind);
        }
    }
    Ok(kinds)
}

/// Whether a second factor is required of somebody on the settings page: of one of the tenants that their token
/// names or that they were seen in, or as its scopes say. Rules of the form `service:ID` do not look here, since nobody knows where somebody will
/// sign in next.
///
/// # Errors
/// Those of the store.
pub fn required_of(
    read: &dyn Read,
    policy: &Policy,
    key: PersonKey,
    person: Option<&Person>,
    now: Timestamp,
) -> Result<bool, Failure> {
    let known = people::profile(read, key)?;
    let mut tenants = known
        .as_ref()
        .map_or(Vec::new(), |known| known.tenants(now));
    tenants.extend(person.and_then(|person| person.tenant.as_deref()));
    Ok(policy.requires(&Asked {
        tenants: &tenants,
        scopes: person.map_or(&[], |person| &person.scopes),
        service: None,
    }))
}

impl Deed<'_, '_> {
    /// The policy that holds.
    ///
    /// # Errors
    /// Those of the store.
    pub fn policy(&self) -> Result<Policy, Failure> {
        policy::in_effect(self.tx, &self.desk.tools.policy)
    }

    /// Lets the person set up a factor where policy allows its kind.
    ///
    /// # Errors
    /// A refusal with `not_offered` where it does not.
    pub fn lets_set_up(&self, factor: &dyn Factor) -> Result<(), Refusal> {
        match self.policy()?.allows(factor.kind()) {
            true => Ok(()),
            false => refuse(Failure::new(
                NOT_OFFERED,
                format!("This server does not let {} be set up.", plural(factor)),
            )),
        }
    }

    /// Lets `device` of the person be removed, unless a factor is required of them and no other is left that
    /// counts and can be used. It is asked before they prove themselves, so that no code is used up for nothing.
    ///
    /// # Errors
    /// A refusal with `last_factor`.
    pub fn lets_remove(&self, factor: &dyn Factor, device: DeviceId) -> Result<(), Refusal> {
        let policy = self.policy()?;
        let asker = self.asker;
        if !policy.counts(factor.kind())
            || !required_of(self.tx, &policy, self.person, asker, self.now)?
        {
            return Ok(());
        }
        for other in self.desk.factors.all() {
            if !policy.counts(other.kind()) {
                continue;
            }
            let standing = lockout::standing(self.tx, self.person, other.kind(), self.now)?;
            if other.guessable() && standing == Standing::Disabled {
                continue;
            }
            let devices = other.devices(self.tx, self.person, self.now)?;
            let is_left =
                |one: &super::Device| one.status == Status::Active && one.device_id != device;
            if devices.iter().any(is_left) {
                return Ok(());
            }
        }
        refuse(Failure::new(
            LAST_FACTOR,
            "A second factor is required of you, and this is the last one that can be used. Set up another first.",
        ))
    }
}

fn plural(factor: &dyn Factor) -> String {
    let words = factor.words();
    match words.ends_with('s') {
        true => words.to_owned(),
        false => format!("{words}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factor::backup_codes::BackupCodes;

    #[test]
    fn a_policy_speaks_of_the_factors_that_there_are() {
        let standing = STANDING.map(|(kind, _)| kind);
        assert_eq!(standing, policy::KINDS);
        assert_eq!(BackupCodes.kind(), policy::STAND_IN);
        assert!(!BackupCodes.stands_alone());
    }
}
