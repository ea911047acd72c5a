//! Changes that the reference API asks no code for. Knowing the password must not be enough to add a factor and
//! then pass the sign-in with it, so users who have a factor prove one first (NIST SP 800-63B-4 section 4.1.2.1). Where
//! the server is told to, it also asks for a recent sign-in (RFC 9470).

use crate::auth::{INSUFFICIENT_USER_AUTHENTICATION, LEEWAY};
use crate::base::{Failure, Timestamp};
use crate::policy::FactorChangeProof;
use crate::session;

use super::deed::{Deed, Refusal, refuse};
use super::proof::{Answer, BackupCodes};

/// The words of `amr` (RFC 8176 section 2) that show something which its owner has, beside what they know: several
/// factors, a one-time password, a key in hardware or software, a smart card, a message or call to a known number.
///
/// Not among them are what somebody knows (`pwd`, `pin`, `kba`), biometrics (`face`, `fpt`, `iris`, `retina`,
/// `vbm`), which unlock a device that has a word of its own, and what is no factor (`user`, `geo`, `rba`, `wia`,
/// `mca`). Words are compared exactly (section 1): an unknown one shows nothing.
const SECOND_FACTORS: &[&str] = &["mfa", "otp", "hwk", "swk", "sc", "sms", "tel"];

/// A sign-in with a second factor proves it for so many seconds: as long as a session of the settings page lives.
const PROOF_SIGN_IN: u64 = 12 * 60 * 60;

/// What a sign-in lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack {
    /// It was too long ago, or nobody says when.
    Recency,
    /// It shows no second factor of somebody who has one.
    SecondFactor,
}

/// Whether a sign-in at `auth_time`, by `amr`, is enough at `now` for a change that asks for one of the last
/// `max_age` seconds.
fn judge(
    auth_time: Option<Timestamp>,
    amr: &[String],
    has_factor: bool,
    max_age: u64,
    now: Timestamp,
) -> Result<(), Lack> {
    let shown = amr
        .iter()
        .any(|word| SECOND_FACTORS.contains(&word.as_str()));
    if has_factor && !shown {
        return Err(Lack::SecondFactor);
    }
    // A moment that has not come is no more believed here than in `exp` or `iat`.
    let recent = auth_time.is_some_and(|at| at <= now.plus(LEEWAY) && now.since(at) <= max_age);
    match recent {
        true => Ok(()),
        false => Err(Lack::Recency),
    }
}

/// What to do about it, in one sentence or two.
fn words(lack: Lack, has_factor: bool) -> &'static str {
    match (lack, has_factor) {
        (Lack::Recency, false) => "This needs a recent sign-in. Sign in again.",
        (Lack::Recency, true) => {
            "This needs a recent sign-in. Sign in again with a second factor, or send `code`, a code of one."
        }
        (Lack::SecondFactor, _) => {
            "This needs a sign-in with a second factor. Sign in again with one, or send `code`, a code of one."
        }
    }
}

/// The sign-in, or the proof in its place, that a change asks for: no older than so many seconds.
fn max_age(rule: FactorChangeProof, recent: Option<u64>, has_factor: bool) -> Option<u64> {
    match (rule, has_factor) {
        (FactorChangeProof::WhenEnrolled, true) => {
            Some(recent.map_or(PROOF_SIGN_IN, |recent| recent.min(PROOF_SIGN_IN)))
        }
        _ => recent,
    }
}

impl Deed<'_, '_> {
    /// Lets the person go on with a change to their factors. Users who have one prove it: by the `code` that came
    /// with the request, else by a sign-in with a second factor, else by what was proved in their session. Users
    /// who have none go on, unless this server asks for a recent sign-in.
    ///
    /// Gives whether a factor was proved: what is begun without a proof is void once there is a factor.
    ///
    /// # Errors
    /// `insufficient_user_authentication`, with `max_age`, where none of them is enough; as [`Deed::prove`] where
    /// a code is not right, however recent the sign-in.
    pub(super) fn step_up(&mut self, code: Option<&Answer>) -> Result<bool, Refusal> {
        self.demand(self.desk.tools.factor_change_proof, code)
    }

    /// As [`Deed::step_up`], to give up a set-up that is not finished. It changes no factor, so it asks only
    /// for a recent sign-in, if this server asks for one at all.
    ///
    /// # Errors
    /// As [`Deed::step_up`].
    pub(super) fn step_up_to_give_up(&mut self, code: Option<&Answer>) -> Result<(), Refusal> {
        self.demand(FactorChangeProof::Off, code).map(|_| ())
    }

    fn demand(&mut self, rule: FactorChangeProof, code: Option<&Answer>) -> Result<bool, Refusal> {
        let has_factor = self.desk.factors.any_active(self.tx, self.person)?;
        let Some(max_age) = max_age(rule, self.desk.tools.recent_auth, has_factor) else {
            return Ok(false);
        };
        if let (Some(code), true) = (code, has_factor) {
            self.prove(code, BackupCodes::Taken)?;
            return Ok(true);
        }
        let (auth_time, amr) = match self.asker {
            Some(person) => (person.auth_time, person.amr.as_slice()),
            None => (None, [].as_slice()),
        };
        let lack = match judge(auth_time, amr, has_factor, max_age, self.now) {
            Ok(()) => return Ok(has_factor),
            Err(lack) => lack,
        };
        if has_factor && self.proved_in_session(max_age)? {
            return Ok(true);
        }
        refuse(lacking(lack, has_factor, max_age))
    }

    /// Whether a factor was proved in the session that the request came with, within `max_age` seconds.
    fn proved_in_session(&self, max_age: u64) -> Result<bool, Failure> {
        let Some(id) = self.session else {
            return Ok(false);
        };
        let proof = session::proof(self.tx, id, self.person, self.now)?;
        Ok(proof.is_some_and(|proof| self.now.since(proof.verified_at) <= max_age))
    }

    /// Whether a set-up is void by now: it was begun without a proof, and its user has a factor. It may have
    /// become one in another session, or while this one was on its way.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn is_void(&self, proven: bool) -> Result<bool, Failure> {
        let desk = self.desk;
        let asks = desk.tools.factor_change_proof == FactorChangeProof::WhenEnrolled;
        Ok(asks && !proven && desk.factors.any_active(self.tx, self.person)?)
    }

    /// The refusal of a change that a factor has to be proved for.
    pub(super) fn asks_for_proof(&self) -> Failure {
        let recent = self.desk.tools.recent_auth;
        let max_age = max_age(FactorChangeProof::WhenEnrolled, recent, true);
        lacking(Lack::SecondFactor, true, max_age.unwrap_or(PROOF_SIGN_IN))
    }
}

fn lacking(lack: Lack, has_factor: bool, max_age: u64) -> Failure {
    Failure::new(INSUFFICIENT_USER_AUTHENTICATION, words(lack, has_factor)).with("max_age", max_age)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_521_600;
    const MAX_AGE: u64 = 600;

    fn judged(auth_time: Option<u64>, amr: &[&str], has_factor: bool) -> Result<(), Lack> {
        let amr: Vec<String> = amr.iter().map(|word| (*word).to_owned()).collect();
        judge(
            auth_time.map(Timestamp::from_unix),
            &amr,
            has_factor,
            MAX_AGE,
            Timestamp::from_unix(NOW),
        )
    }

    #[test]
    fn a_sign_in_is_recent_to_the_second_and_never_in_the_future() {
        for (auth_time, recent) in [
            (None, false),
            (Some(0), false),
            (Some(NOW - MAX_AGE - 1), false),
            (Some(NOW - MAX_AGE), true),
            (Some(NOW), true),
            (Some(NOW + LEEWAY), true),
            (Some(NOW + LEEWAY + 1), false),
            (Some(u64::MAX), false),
        ] {
            for has_factor in [false, true] {
                let expected = if recent { Ok(()) } else { Err(Lack::Recency) };
                assert_eq!(
                    judged(auth_time, &["mfa"], has_factor),
                    expected,
                    "{auth_time:?}"
                );
            }
        }
    }

    #[test]
    fn who_has_a_second_factor_must_have_shown_one() {
        for shown in SECOND_FACTORS {
            assert_eq!(judged(Some(NOW), &["pwd", shown], true), Ok(()), "{shown}");
        }
        let others = [
            "pwd", "pin", "kba", "face", "fpt", "iris", "retina", "vbm", "user", "geo", "rba",
            "wia", "mca", "MFA", "mfa ", "not-mfa", "",
        ];
        assert_eq!(judged(Some(NOW), &others, true), Err(Lack::SecondFactor));
        assert_eq!(judged(Some(NOW), &[], true), Err(Lack::SecondFactor));
        // Whoever has none cannot have shown it.
        assert_eq!(judged(Some(NOW), &others, false), Ok(()));
        assert_eq!(judged(Some(NOW), &[], false), Ok(()));
        // A second factor of yesterday is none of today.
        assert_eq!(
            judged(Some(NOW - 86_400), &["mfa"], true),
            Err(Lack::Recency)
        );
    }

    #[test]
    fn of_users_with_a_factor_a_proof_is_asked_however_old_a_sign_in_may_be() {
        use FactorChangeProof::{Off, WhenEnrolled};
        for (rule, recent, has_factor, expected) in [
            (WhenEnrolled, None, true, Some(PROOF_SIGN_IN)),
            (WhenEnrolled, Some(60), true, Some(60)),
            (WhenEnrolled, Some(86_400), true, Some(PROOF_SIGN_IN)),
            (WhenEnrolled, None, false, None),
            (WhenEnrolled, Some(86_400), false, Some(86_400)),
            (Off, None, true, None),
            (Off, Some(86_400), true, Some(86_400)),
            (Off, None, false, None),
        ] {
            assert_eq!(
                max_age(rule, recent, has_factor),
                expected,
                "{rule:?} {recent:?}"
            );
        }
    }

    #[test]
    fn what_to_do_is_said_in_words_that_a_header_can_carry() {
        for lack in [Lack::Recency, Lack::SecondFactor] {
            for has_factor in [false, true] {
                let words = words(lack, has_factor);
                // RFC 6750 section 3: the characters of error_description.
                assert!(
                    words
                        .bytes()
                        .all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)),
                    "{words}"
                );
                assert!(words.contains("Sign in again"));
                assert_eq!(
                    words.contains("`code`"),
                    has_factor || lack == Lack::SecondFactor
                );
            }
        }
    }
}
