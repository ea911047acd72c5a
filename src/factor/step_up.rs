//! Changes that the reference API asks no code for: whoever holds a token could make them. Where the server is
//! told to, it asks for a recent sign-in, or for a code after all (RFC 9470, NIST SP 800-63B-4 section 4.1.2.1).

use crate::auth::{INSUFFICIENT_USER_AUTHENTICATION, LEEWAY};
use crate::base::{Failure, Timestamp};

use super::deed::{Deed, Refusal, refuse};
use super::proof::{Answer, BackupCodes};

/// The words of `amr` (RFC 8176 section 2) that show something which its owner has, beside what they know: several
/// factors, a one-time password, a key in hardware or software, a smart card, a message or call to a known number.
///
/// Not among them are what somebody knows (`pwd`, `pin`, `kba`), biometrics (`face`, `fpt`, `iris`, `retina`,
/// `vbm`), which unlock a device that has a word of its own, and what is no factor (`user`, `geo`, `rba`, `wia`,
/// `mca`). Words are compared exactly (section 1): an unknown one shows nothing.
const SECOND_FACTORS: &[&str] = &["mfa", "otp", "hwk", "swk", "sc", "sms", "tel"];

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
    // A moment that has not come is no more believed here than in `exp` or `iat`.
    let recent = auth_time.is_some_and(|at| at <= now.plus(LEEWAY) && now.since(at) <= max_age);
    if !recent {
        return Err(Lack::Recency);
    }
    let shown = amr
        .iter()
        .any(|word| SECOND_FACTORS.contains(&word.as_str()));
    if has_factor && !shown {
        return Err(Lack::SecondFactor);
    }
    Ok(())
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

impl Deed<'_, '_> {
    /// Lets the person go on with a change: by the `code` that came with the request, where they have a factor
    /// that it could be of, else by their sign-in. Where this server asks for no recent sign-in, whoever comes
    /// this far may go on, and a code is not looked at.
    ///
    /// # Errors
    /// `insufficient_user_authentication`, with `max_age`, where neither is enough; as [`Deed::prove`] where a code
    /// is not right, however recent the sign-in.
    pub(super) fn step_up(&mut self, code: Option<&Answer>) -> Result<(), Refusal> {
        let desk = self.desk;
        let Some(max_age) = desk.tools.recent_auth else {
            return Ok(());
        };
        let has_factor = desk.factors.any_active(self.tx, self.person)?;
        if let (Some(code), true) = (code, has_factor) {
            return self.prove(code, BackupCodes::Taken);
        }
        let (auth_time, amr) = match self.asker {
            Some(person) => (person.auth_time, person.amr.as_slice()),
            None => (None, [].as_slice()),
        };
        match judge(auth_time, amr, has_factor, max_age, self.now) {
            Ok(()) => Ok(()),
            Err(lack) => refuse(
                Failure::new(INSUFFICIENT_USER_AUTHENTICATION, words(lack, has_factor))
                    .with("max_age", max_age),
            ),
        }
    }
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
