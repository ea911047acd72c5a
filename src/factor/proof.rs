//! A person proves themselves with whichever factor they have.

use zeroize::Zeroizing;

use crate::base::Failure;
use crate::crypto::{BackupCode, TypedCode, typed_code};
use crate::lockout::{self, DISABLING_MISSES, FREE_MISSES, Standing};
use crate::mail::{BackupCodeUsed, FactorDisabled, FactorLocked, Thing};

use super::deed::{Deed, Refusal, refuse};
use super::{
    CODE_EXPIRED, CODE_USED, FACTOR_DISABLED, Factor, LOCKED, NOT_ENABLED, NOT_PENDING, Place,
    Verdict, WRONG_CODE,
};

/// What proofs made by a security key start with.
pub const PROOF_PREFIX: &str = "prf_";

/// What somebody answered, by its shape. One string is offered to one factor
/// only, since a second try would be a second guess.
#[derive(Clone)]
pub enum Answer {
    /// Six digits: from an app, or from a mail.
    Digits(Zeroizing<String>),
    /// Sixteen characters of the backup codes' alphabet.
    Backup(std::sync::Arc<BackupCode>),
    /// Made by a security key.
    Proof(Zeroizing<String>),
    /// Nothing that could be right, which is a wrong answer to what was asked for.
    Unreadable,
}

impl Answer {
    /// Reads what may have been typed.
    pub fn read_optional(typed: Option<&str>) -> Option<Answer> {
        typed.map(Answer::read)
    }

    /// Reads what was typed.
    pub fn read(typed: &str) -> Answer {
        if typed.starts_with(PROOF_PREFIX) && typed.len() <= 64 {
            return Answer::Proof(Zeroizing::new(typed.to_owned()));
        }
        match typed_code(typed) {
            Some(TypedCode::Digits(digits)) => Answer::Digits(Zeroizing::new(digits)),
            Some(TypedCode::Backup(code)) => Answer::Backup(std::sync::Arc::new(code)),
            None => Answer::Unreadable,
        }
    }
}

/// Whether a backup code will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupCodes {
    /// It will.
    Taken,
    /// It will not: a code stands in for a factor, and does not make more of its kind.
    NotTaken,
}

impl Deed<'_, '_> {
    /// Has the person prove themselves: the current code of their app; a mailed code, where they have no app;
    /// a backup code; or a proof made by a security key. Their session, if they ask with one, records it.
    ///
    /// # Errors
    /// A refusal where they have no factor, or the answer is wrong, late, or during a lock, of which a right
    /// answer then learns nothing and is not used up.
    pub fn prove(&mut self, answer: &Answer, backup: BackupCodes) -> Result<(), Refusal> {
        let desk = self.desk;
        if !desk.factors.any_active(self.tx, self.person)? {
            return refuse(Failure::new(NOT_ENABLED, "No second factor is set up."));
        }
        let candidates = desk.factors.all().into_iter().filter(|factor| {
            factor.takes(answer) && (backup == BackupCodes::Taken || factor.stands_alone())
        });
        let mut disabled = None;
        for factor in candidates {
            if !factor.is_active(self.tx, self.person)? {
                continue;
            }
            let standing = lockout::standing(self.tx, self.person, factor.kind(), self.now)?;
            if standing != Standing::Disabled {
                return self.judge(factor, standing, answer, Place::Change);
            }
            // One that takes no answers at all leaves them to the next.
            disabled = disabled.or(Some((factor, standing)));
        }
        match disabled {
            Some((factor, standing)) => self.judge(factor, standing, answer, Place::Change),
            None => refuse(wrong(None)),
        }
    }

    /// Whether six digits are for the person's authenticator app, so that a mailed code would be a wrong one.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn takes_app_codes(&self) -> Result<bool, Failure> {
        let app = &self.desk.factors.totp;
        let standing = lockout::standing(self.tx, self.person, app.kind(), self.now)?;
        Ok(app.is_active(self.tx, self.person)? && standing != Standing::Disabled)
    }

    fn judge(
        &mut self,
        factor: &dyn Factor,
        standing: Standing,
        answer: &Answer,
        place: Place,
    ) -> Result<(), Refusal> {
        self.proved_with = Some(factor.kind());
        if factor.guessable() {
            self.admit(standing)?;
        }
        match factor.judge(
            &self.desk.tools,
            self.tx,
            self.person,
            answer,
            place,
            self.now,
        )? {
            Verdict::Right => {
                lockout::clear(self.tx, self.person, factor.kind())?;
                self.note_proof(factor.kind())?;
                Ok(self.tell_of_spent_code(factor)?)
            }
            Verdict::Used(wait) => refuse(used(wait)),
            Verdict::Wrong => refuse(self.missed(factor)?),
            Verdict::Expired => refuse(expired()),
            Verdict::NothingSent => refuse(Failure::new(
                NOT_PENDING,
                "No code is on its way. Ask for one to be mailed first.",
            )),
        }
    }

    pub(super) fn tell_of_spent_code(&mut self, factor: &dyn Factor) -> Result<(), Failure> {
        let codes = &self.desk.factors.backup_codes;
        if factor.kind() != codes.kind() {
            return Ok(());
        }
        let left = codes
            .left(self.tx, self.person)?
            .map_or(0, |left| left.remaining as u64);
        self.tell(|occasion| BackupCodeUsed { occasion, left })
    }

    /// Lets an answer through to its judgement, or not.
    pub(super) fn admit(&self, standing: Standing) -> Result<(), Refusal> {
        match standing {
            Standing::Open => Ok(()),
            Standing::Locked(until) => {
                let detail = "Too many wrong codes. Wait before you try again.";
                refuse(Failure::new(LOCKED, detail).retry_after(self.now.until(until)))
            }
            Standing::Disabled => refuse(Failure::new(
                FACTOR_DISABLED,
                "Far too many wrong codes in a row: this factor is disabled until you bring it back with another one, or an operator does.",
            )),
        }
    }

    /// Counts a wrong answer and tells the person where it locked the factor. Gives what to answer.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn missed(&mut self, factor: &dyn Factor) -> Result<Failure, Failure> {
        if !factor.guessable() {
            return Ok(wrong(None));
        }
        let tally = lockout::miss(self.tx, self.person, factor.kind(), self.now)?;
        self.locked = match tally.standing(self.now) {
            Standing::Open => None,
            Standing::Locked(_) => Some("factor.lock"),
            // Beyond this one no answer is judged.
            Standing::Disabled => Some("factor.disable"),
        };
        let factor = Thing {
            kind: factor.kind(),
            name: None,
        };
        match (tally.misses(), tally.standing(self.now)) {
            (DISABLING_MISSES, _) => {
                let wrong = u64::from(DISABLING_MISSES);
                self.tell(|occasion| FactorDisabled {
                    occasion,
                    factor,
                    wrong,
                })?;
            }
            // Later locks follow from the first: one mail says it.
            (FREE_MISSES, Standing::Locked(until)) => {
                self.tell(|occasion| FactorLocked {
                    occasion,
                    factor,
                    until,
                })?;
            }
            _ => {}
        }
        Ok(wrong(Some(tally.tries_left())))
    }

    /// As [`Deed::missed`], of a factor that the person does not have. What its owner would be told is written
    /// as well, and thrown away: a letter takes a third as long as the whole answer.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn missed_in_vain(&mut self, factor: &dyn Factor) -> Result<(), Failure> {
        if !factor.guessable() {
            return Ok(());
        }
        let tally = self.desk.tools.phantom_failures.record_failure(
            self.tx,
            self.person,
            factor.kind(),
            self.origin.request,
            self.now,
        )?;
        let factor = Thing {
            kind: factor.kind(),
            name: None,
        };
        match (tally.misses(), tally.standing(self.now)) {
            (FREE_MISSES, Standing::Locked(until)) => self.tell_nobody(|occasion| FactorLocked {
                occasion,
                factor,
                until,
            }),
            (DISABLING_MISSES, _) => self.tell_nobody(|occasion| FactorDisabled {
                occasion,
                factor,
                wrong: u64::from(DISABLING_MISSES),
            }),
            _ => Ok(()),
        }
    }
}

/// The refusal of a wrong code, with the number of tries that cost no wait.
pub fn wrong(tries_left: Option<u32>) -> Failure {
    let failure = Failure::new(WRONG_CODE, "That code is not right.");
    match tries_left {
        Some(tries) => failure.with("tries_left", tries),
        None => failure,
    }
}

/// The refusal of a code that was right and is used up. `wait` is how many seconds it takes until there is a new one, if
/// one appears by itself.
pub(super) fn used(wait: Option<u64>) -> Failure {
    match wait {
        Some(seconds) => {
            let detail = "That code was already used. Wait for the next one.";
            Failure::new(CODE_USED, detail).retry_after(seconds)
        }
        None => Failure::new(
            CODE_USED,
            "That code was already used. Each one works once.",
        ),
    }
}

/// The refusal of a code whose time was up.
pub(super) fn expired() -> Failure {
    Failure::new(CODE_EXPIRED, "That code has expired. Ask for a new one.")
}
