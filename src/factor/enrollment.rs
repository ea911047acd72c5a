//! What it brings with it that a factor is added or removed, whatever its kind.

use crate::base::Failure;
use crate::lockout;
use crate::mail::{Address, FactorAdded, FactorRemoved, Thing};
use crate::people;
use crate::session;
use crate::trust;

use super::deed::Deed;
use super::proof::wrong;
use super::{Device, Factor, Status, WRONG_CODE};

/// Wrong codes after which what waits for its confirmation is void.
const MOST_CONFIRMATIONS: u32 = 10;

/// How many wrong codes what waits for its confirmation still bears, after so many.
pub(super) fn confirmations_left(failures: u32) -> u32 {
    MOST_CONFIRMATIONS.saturating_sub(failures)
}

/// The refusal of a code that confirms nothing, with the tries that are left. `is_void` says that it was the last for
/// this set-up.
pub(super) fn unconfirmed(left: u32, is_void: bool) -> Failure {
    if !is_void {
        return wrong(Some(left));
    }
    let detail =
        "That code is not right. Too many were not, so this set-up is void. Begin it again.";
    Failure::new(WRONG_CODE, detail)
        .with("tries_left", 0)
        .with("set_up_void", true)
}

impl Deed<'_, '_> {
    /// A factor was confirmed: its old misses are forgotten, no browser is trusted any more, and the person is
    /// told. With their first one they get backup codes, which are shown this once, and every other set-up ends
    /// that was begun before there was a factor to prove.
    ///
    /// # Errors
    /// Those of the store.
    pub fn added(
        &mut self,
        factor: &dyn Factor,
        device: &Device,
    ) -> Result<Option<Vec<String>>, Failure> {
        self.about(device.device_id);
        self.distrust()?;
        lockout::clear(self.tx, self.person, factor.kind())?;
        if self.active_devices()? == 1 {
            for other in self.desk.factors.all() {
                other.forget_pending(self.tx, self.person)?;
            }
            self.note_proof(factor.kind())?;
            self.tell_of_shared_names()?;
        }
        self.record_address(factor)?;
        let name = device.name.clone();
        self.tell(|occasion| FactorAdded {
            occasion,
            factor: Thing {
                kind: factor.kind(),
                name: Some(&name),
            },
        })?;
        self.desk
            .factors
            .backup_codes
            .first_set(&self.desk.tools, self.tx, self.person, self.now)
    }

    /// A factor was confirmed: the user is notified where it was, whatever address the issuer names later.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn record_address(&mut self, factor: &dyn Factor) -> Result<(), Failure> {
        let mailbox = factor.addresses(self.tx, self.person)?.into_iter().next();
        people::record_enrollment(self.tx, self.person, mailbox, self.now)
    }

    /// A factor was removed. `mailbox` is where codes were sent to until now, which is notified for a while yet.
    /// With the last factor go the backup codes, which have nothing left to stand in for.
    ///
    /// # Errors
    /// Those of the store.
    pub fn removed(
        &mut self,
        factor: &dyn Factor,
        device: &Device,
        mailbox: Option<Address>,
    ) -> Result<(), Failure> {
        self.about(device.device_id);
        if let Some(mailbox) = mailbox {
            people::record_former(self.tx, self.person, mailbox, self.now)?;
        }
        self.distrust()?;
        self.end_other_sessions()?;
        if !factor.is_active(self.tx, self.person)? {
            lockout::clear(self.tx, self.person, factor.kind())?;
        }
        if !self.desk.factors.any_active(self.tx, self.person)? {
            self.desk
                .factors
                .backup_codes
                .forget(self.tx, self.person)?;
            lockout::clear(self.tx, self.person, self.desk.factors.backup_codes.kind())?;
            // The next factor is a new beginning: nothing that was proved before says anything about it.
            session::forget_proofs(self.tx, self.person, None)?;
        }
        let name = device.name.clone();
        self.tell(|occasion| FactorRemoved {
            occasion,
            factor: Thing {
                kind: factor.kind(),
                name: Some(&name),
            },
            by_operator: false,
        })
    }

    /// Ends what earlier proofs have opened elsewhere: the trust in browsers, and what was proved in other sessions.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn distrust(&mut self) -> Result<(), Failure> {
        trust::forget_all(self.tx, self.person)?;
        session::forget_proofs(self.tx, self.person, self.session)
    }

    /// Ends the user's other sessions of the settings page, because a factor, or the set of backup codes, is no longer
    /// what it was when they began. The session in which the change was made stays. A change by bearer token was made in
    /// none, so that it ends all.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn end_other_sessions(&mut self) -> Result<(), Failure> {
        session::end_others(self.tx, self.person, self.session)
    }

    /// Records in the session, if there is one, that its user proved a factor of the kind `with`.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn note_proof(&mut self, with: &'static str) -> Result<(), Failure> {
        match self.session {
            Some(session) => session::note_proof(self.tx, session, self.person, with, self.now),
            None => Ok(()),
        }
    }

    /// How many devices the person has that can stand by themselves, whatever policy and lockout say of them.
    fn active_devices(&self) -> Result<usize, Failure> {
        let mut count = 0;
        for factor in self.desk.factors.all() {
            if factor.stands_alone() {
                let devices = factor.devices(self.tx, self.person, self.now)?;
                let active = devices.iter().filter(|one| one.status == Status::Active);
                count += active.count();
            }
        }
        Ok(count)
    }
}
