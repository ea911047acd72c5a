//! A factor answers for its owner at a sign-in, which a login service asks about.

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::Value;

use crate::base::{ChallengeId, Failure, PersonKey, Timestamp};
use crate::lockout::{self, Standing};
use crate::mail::{Foreign, TrustedDeviceCopied};
use crate::store::Read;

use super::deed::{By, Deed, Refusal, refuse};
use super::email::{self, Sent};
use super::proof::{expired, used, wrong};
use super::webauthn::{self, AssertionResponse, CheckedAssertion};
use super::{Answer, Desk, Factor, Factors, NOT_OFFERED, Place, Verdict};

/// An answer at a sign-in.
#[derive(Clone)]
pub enum Given {
    /// A code, and the kind of factor that it is said to be of.
    Code {
        /// As [`Factor::kind`].
        kind: &'static str,
        /// What was typed.
        answer: Answer,
    },
    /// What a security key made of the challenge.
    Key(Arc<CheckedAssertion>),
}

/// What a right answer showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// By which kind of factor.
    pub method: &'static str,
    /// In the words of RFC 8176.
    pub amr: Vec<&'static str>,
    /// Whether the factor is two in one: a key that asked for a PIN or a finger.
    pub user_verified: bool,
}

/// How a person can answer a sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Methods {
    /// The kinds that can answer now: the last used first, then the strongest.
    pub usable: Vec<&'static str>,
    /// Whether they have a factor of those that are accepted, be it disabled.
    pub accepted: bool,
    /// Whether they have a factor at all.
    pub any: bool,
}

impl Factors {
    /// How `person` can answer a sign-in, of the kinds that `accepts` says.
    ///
    /// # Errors
    /// Those of the store.
    pub fn methods(
        &self,
        read: &dyn Read,
        person: PersonKey,
        now: Timestamp,
        accepts: impl Fn(&str) -> bool,
    ) -> Result<Methods, Failure> {
        let mut methods = Methods::default();
        // The strongest first; sorting by use keeps their order among those used at the same time.
        let standing: [&dyn Factor; 3] = [&self.webauthn, &self.totp, &self.email];
        let mut usable = Vec::new();
        for factor in standing {
            if !factor.is_active(read, person)? {
                continue;
            }
            methods.any = true;
            if !accepts(factor.kind()) {
                continue;
            }
            methods.accepted = true;
            let standing = lockout::standing(read, person, factor.kind(), now)?;
            if factor.guessable() && standing == Standing::Disabled {
                continue;
            }
            let devices = factor.devices(read, person, now)?;
            let used = devices.iter().filter_map(|device| device.last_used_at);
            usable.push((used.max(), factor.kind()));
        }
        usable.sort_by_key(|(used, _)| Reverse(*used));
        methods.usable = usable.into_iter().map(|(_, kind)| kind).collect();
        let left = self.backup_codes.left(read, person)?;
        if methods.accepted && left.is_some_and(|left| left.remaining > 0) {
            methods.usable.push(self.backup_codes.kind());
        }
        Ok(methods)
    }
}

impl Factors {
    /// The mailbox that codes would go to, masked.
    ///
    /// # Errors
    /// Those of the store.
    pub fn masked_mailbox(
        &self,
        read: &dyn Read,
        person: PersonKey,
    ) -> Result<Option<String>, Failure> {
        let addresses = self.email.addresses(read, person)?;
        Ok(addresses.first().map(|address| address.masked()))
    }
}

impl Deed<'_, '_> {
    /// Has the person answer a sign-in. Whoever has no such factor, or one that `accepts` does not take, is
    /// refused like somebody whose code is wrong: in the same words, with the same work and the same waits.
    ///
    /// # Errors
    /// A refusal where the answer is wrong, late, or during a lock, of which a right answer then learns
    /// nothing and is not used up.
    pub fn sign_in(
        &mut self,
        given: &Given,
        place: Place,
        accepts: impl Fn(&str) -> bool,
    ) -> Result<Passed, Refusal> {
        let (kind, answer) = match given {
            Given::Code { kind, answer } => (*kind, answer),
            Given::Key(checked) => return self.sign_in_by_key(checked, place, accepts),
        };
        let desk = self.desk;
        let Some(factor) = desk.factors.of_kind(kind) else {
            return refuse(Failure::internal("an answer by a factor that is not there"));
        };
        self.proved_with = Some(kind);
        let active = factor.is_active(self.tx, self.person)?;
        if factor.guessable() {
            let standing = match active {
                true => lockout::standing(self.tx, self.person, kind, self.now)?,
                false => {
                    let phantoms = &desk.tools.phantom_failures;
                    let tally = phantoms.tally(self.tx, self.person, kind)?;
                    tally.standing(self.now)
                }
            };
            self.admit(standing)?;
        }
        let accepted = match factor.stands_alone() {
            true => accepts(kind),
            // What stands in for the others is worth what they are.
            false => {
                desk.factors
                    .methods(self.tx, self.person, self.now, accepts)?
                    .accepted
            }
        };
        if !accepted || !active {
            factor.pretend(&desk.tools, answer, self.now);
            match active {
                // It still proves its owner elsewhere, and its tally is the one that counts there.
                true => drop(self.missed(factor)?),
                false => self.missed_in_vain(factor)?,
            }
            return refuse(wrong(None));
        }
        let unreadable = Answer::Unreadable;
        let answer = if factor.takes(answer) {
            answer
        } else {
            &unreadable
        };
        match factor.judge(&desk.tools, self.tx, self.person, answer, place, self.now)? {
            Verdict::Right => {
                lockout::clear(self.tx, self.person, kind)?;
                self.tell_of_spent_code(factor)?;
                Ok(Passed {
                    method: kind,
                    amr: factor.amr().to_vec(),
                    user_verified: false,
                })
            }
            Verdict::Used(wait) => refuse(used(wait)),
            Verdict::Wrong | Verdict::NothingSent => {
                self.missed(factor)?;
                refuse(wrong(None))
            }
            Verdict::Expired => refuse(expired()),
        }
    }

    fn sign_in_by_key(
        &mut self,
        checked: &CheckedAssertion,
        place: Place,
        accepts: impl Fn(&str) -> bool,
    ) -> Result<Passed, Refusal> {
        let factor = &self.desk.factors.webauthn;
        let kind = factor.kind();
        self.proved_with = Some(kind);
        let Place::SignIn(challenge) = place else {
            return refuse(Failure::internal("an assertion without its challenge"));
        };
        if !accepts(kind) {
            return refuse(wrong(None));
        }
        let shown = webauthn::use_sign_in(self, challenge, checked)?;
        let hardware = if shown.synced { "swk" } else { "hwk" };
        let mut amr = vec![hardware];
        amr.extend(factor.amr());
        Ok(Passed {
            method: kind,
            amr,
            user_verified: shown.user_verified,
        })
    }

    /// Tells the person that a browser which was remembered at `service` has a double.
    ///
    /// # Errors
    /// Those of the store.
    pub fn tell_of_copied_device(&mut self, service: &str) -> Result<(), Failure> {
        let service = Foreign(service);
        self.tell(|occasion| TrustedDeviceCopied { occasion, service })
    }

    /// Whether a code was emailed for the sign-in `challenge`, or an assertion begun.
    ///
    /// # Errors
    /// Those of the store.
    pub fn is_answer_under_way(&self, challenge: ChallengeId) -> Result<bool, Failure> {
        Ok(webauthn::is_sign_in_begun(self.tx, self.person, challenge)?
            || email::is_sign_in_code_live(self.tx, self.person, challenge, self.now)?)
    }

    /// The sign-in `challenge` takes no more answers: what was prepared for them goes.
    pub fn forget_sign_in(&mut self, challenge: ChallengeId) {
        webauthn::forget_sign_in(self.tx, self.person, challenge);
        email::forget_sign_in(self.tx, self.person, challenge);
    }

    /// Begins an assertion for the sign-in `challenge`: what the browser is to do, as
    /// `PublicKeyCredentialRequestOptionsJSON`.
    ///
    /// # Errors
    /// `not_enabled` for somebody who has no key.
    pub fn begin_key_sign_in(&mut self, challenge: ChallengeId) -> Result<Value, Refusal> {
        let options = webauthn::begin_sign_in(self, challenge)?;
        let options = serde_json::to_value(options.public_key).map_err(Failure::internal)?;
        Ok(options)
    }
}

impl Desk {
    /// Checks what a browser made of the assertion of `challenge`, outside of the transaction that uses it up.
    ///
    /// # Errors
    /// Those of the store. What does not hold is refused where it is used.
    pub fn check_key_sign_in(
        &self,
        person: PersonKey,
        challenge: ChallengeId,
        credential: &AssertionResponse,
    ) -> Result<Given, Failure> {
        let checked = webauthn::check_sign_in(self, person, challenge, credential)?;
        Ok(Given::Key(Arc::new(checked)))
    }

    /// Mails the code of the sign-in `challenge`, if `check` lets it.
    ///
    /// # Errors
    /// `not_enabled` for somebody without email codes, `rate_limited`, `locked`, `unavailable` where the mail
    /// server does not take it; those of `check`.
    pub async fn mail_sign_in(
        self: &Arc<Self>,
        by: &By,
        challenge: ChallengeId,
        check: impl Fn(&mut Deed<'_, '_>) -> Result<(), Refusal> + Clone + Send + 'static,
    ) -> Result<Sent, Failure> {
        if !self.factors.email.offered() {
            let detail = "This server sends no mail, so it offers no email codes.";
            return Err(Failure::new(NOT_OFFERED, detail));
        }
        email::send_sign_in(self, by, challenge, check).await
    }
}
