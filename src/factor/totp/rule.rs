//! Which code is right, and which step it uses up.

use serde::{Deserialize, Serialize};
use totp_rs::Builder;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::base::{Entropy, Failure, Timestamp, display_text};
use crate::crypto::constant_time_eq;

/// Seconds of one time step.
pub const PERIOD: u64 = 30;
/// Digits of a code.
pub const DIGITS: u8 = 6;
/// Seconds that a secret waits for its confirmation.
pub const PENDING_TTL: u64 = 15 * 60;
/// How far, in seconds, a wrong clock is looked for when a confirmation fails.
const CLOCK_SEARCH: u64 = 3600;
/// Characters of the account's name in an app.
const LONGEST_ACCOUNT: usize = 64;

/// A shared secret of 160 bits (RFC 4226 section 4, R6), kept as Base32.
#[derive(Clone, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret160(String);

impl Secret160 {
    /// A fresh secret.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, Failure> {
        let bytes: Zeroizing<[u8; 20]> = Zeroizing::new(entropy.bytes()?);
        Ok(Secret160(data_encoding::BASE32_NOPAD.encode(&*bytes)))
    }

    /// A secret to compare with where there is none. It proves nobody: what comes of it is thrown away.
    pub fn of_nobody() -> Self {
        Secret160("A".repeat(32))
    }

    /// Base32 without padding, as apps take it.
    pub fn base32(&self) -> &str {
        &self.0
    }

    fn totp(&self, issuer: Option<&str>, account: &str) -> Option<totp_rs::Totp> {
        let bytes = data_encoding::BASE32_NOPAD.decode(self.0.as_bytes()).ok()?;
        let builder = Builder::new()
            .with_secret(bytes)
            .with_account_name(account)
            .with_issuer(issuer);
        builder
            .with_digits(DIGITS)
            .with_step_duration(PERIOD)
            .build()
            .ok()
    }

    /// The code of one time step.
    fn code(totp: &totp_rs::Totp, step: u64) -> Zeroizing<String> {
        Zeroizing::new(totp.generate(step.saturating_mul(PERIOD)).to_string())
    }
}

/// The time step of a moment.
pub fn step_at(now: Timestamp) -> u64 {
    now.unix() / PERIOD
}

/// What six digits are to an app at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeCheck {
    /// The code of this step, which it uses up.
    Accepted(u64),
    /// The code of a step that is used up: of the latest accepted one, or of one before it.
    Used,
    /// The code of no step that is near enough.
    Wrong,
}

/// Compares `digits` with the codes of the current step, the one before and the one after (RFC 6238 section 5.2). Only
/// those later than `last` are accepted. All three are computed and compared in full, so that the time taken tells
/// nothing.
pub fn check_code(
    secret: &Secret160,
    digits: &str,
    now: Timestamp,
    last: Option<u64>,
) -> CodeCheck {
    let Some(totp) = secret.totp(None, "") else {
        return CodeCheck::Wrong;
    };
    let current = step_at(now);
    let mut found = CodeCheck::Wrong;
    for step in [
        current.checked_sub(1),
        Some(current),
        current.checked_add(1),
    ]
    .into_iter()
    .flatten()
    {
        let right = constant_time_eq(Secret160::code(&totp, step).as_bytes(), digits.as_bytes());
        let later = last.is_none_or(|last| step > last);
        found = match found {
            CodeCheck::Accepted(_) => found,
            _ if right && later => CodeCheck::Accepted(step),
            _ if right => CodeCheck::Used,
            _ => found,
        };
    }
    found
}

/// Seconds until an app whose clock is right shows the first code after that of step `last`; 0 if it does already.
pub fn until_next(last: u64, now: Timestamp) -> u64 {
    now.until(Timestamp::from_unix(
        last.saturating_add(1).saturating_mul(PERIOD),
    ))
}

/// By how many seconds the clock that made `digits` is ahead of ours (behind, where negative),
/// if it is wrong by more than is accepted and by at most an hour.
///
/// Only for a secret that its owner is just setting up: elsewhere it would tell a guesser
/// which guesses came near.
pub fn clock_offset(secret: &Secret160, digits: &str, now: Timestamp) -> Option<i64> {
    let totp = secret.totp(None, "")?;
    let current = step_at(now);
    let farthest = i64::try_from(CLOCK_SEARCH / PERIOD).ok()?;
    (2..=farthest)
        .flat_map(|distance| [distance, -distance])
        .find_map(|distance| {
            let step = current.checked_add_signed(distance)?;
            let right =
                constant_time_eq(Secret160::code(&totp, step).as_bytes(), digits.as_bytes());
            right.then(|| distance.saturating_mul(PERIOD as i64))
        })
}

/// The URI that apps import: label `service:account`, both escaped. A colon within either would
/// end it early, escaped or not, so it becomes a hyphen.
pub fn otpauth_uri(secret: &Secret160, service: &str, account: &str) -> Option<Zeroizing<String>> {
    let plain = |text: &str| display_text(&text.replace(':', "-"), LONGEST_ACCOUNT);
    let (service, account) = (
        plain(service)?,
        plain(account).unwrap_or_else(|| "account".to_owned()),
    );
    let uri = secret.totp(Some(&service), &account)?.to_url().ok()?;
    // Some apps insist on what is the default anyway.
    Some(Zeroizing::new(format!(
        "{uri}&algorithm=SHA1&digits={DIGITS}&period={PERIOD}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::OsEntropy;

    fn accepted_step(
        secret: &Secret160,
        digits: &str,
        now: Timestamp,
        last: Option<u64>,
    ) -> Option<u64> {
        match check_code(secret, digits, now, last) {
            CodeCheck::Accepted(step) => Some(step),
            CodeCheck::Used | CodeCheck::Wrong => None,
        }
    }

    /// RFC 6238 appendix B: the SHA-1 secret, and the last six of its eight digits.
    fn rfc() -> Secret160 {
        Secret160(data_encoding::BASE32_NOPAD.encode(b"12345678901234567890"))
    }

    const VECTORS: [(u64, &str); 6] = [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ];

    #[test]
    fn the_vectors_of_rfc_6238_are_accepted_up_to_the_year_2603() {
        for (at, code) in VECTORS {
            assert_eq!(
                accepted_step(&rfc(), code, Timestamp::from_unix(at), None),
                Some(at / 30),
                "{at}"
            );
        }
    }

    #[test]
    fn one_step_early_and_one_late_are_accepted_and_no_more() {
        for (at, code) in VECTORS {
            for (steps, inside) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
                for second in [0, 29] {
                    let start = (at / 30) as i64 * 30;
                    let Ok(moment) = u64::try_from(start + steps * 30 + second) else {
                        continue;
                    };
                    let step = accepted_step(&rfc(), code, Timestamp::from_unix(moment), None);
                    assert_eq!(step.is_some(), inside, "{code} {steps} steps off");
                    assert!(step.is_none_or(|step| step == at / 30));
                }
            }
        }
    }

    #[test]
    fn a_step_is_accepted_once_and_older_ones_die_with_it() {
        let now = Timestamp::from_unix(1_234_567_890);
        let step = step_at(now);
        assert_eq!(
            accepted_step(&rfc(), "005924", now, Some(step - 1)),
            Some(step)
        );
        assert_eq!(accepted_step(&rfc(), "005924", now, Some(step)), None);
        assert_eq!(accepted_step(&rfc(), "005924", now, Some(step + 1)), None);
        // The clock steps back behind what was accepted.
        assert_eq!(
            accepted_step(&rfc(), "005924", now.minus(25), Some(step)),
            None
        );
    }

    #[test]
    fn a_code_that_would_be_right_but_for_an_earlier_one_is_used_and_no_other_is() {
        let now = Timestamp::from_unix(1_234_567_890);
        let step = step_at(now);
        let totp = rfc().totp(None, "").unwrap();
        for last in step - 3..step + 4 {
            for near in step - 4..step + 5 {
                let code = Secret160::code(&totp, near);
                let expected = match near.abs_diff(step) > 1 {
                    true => CodeCheck::Wrong,
                    false if near > last => CodeCheck::Accepted(near),
                    false => CodeCheck::Used,
                };
                let found = check_code(&rfc(), &code, now, Some(last));
                assert_eq!(found, expected, "{near} after {last} at {step}");
            }
            for digits in ["", "005925", "05924", "0059240"] {
                let found = check_code(&rfc(), digits, now, Some(last));
                assert_eq!(found, CodeCheck::Wrong);
            }
        }
    }

    #[test]
    fn the_wait_ends_when_the_next_code_appears() {
        let start = 1_234_567_890 / 30 * 30;
        let step = start / 30;
        for second in 0..30 {
            let now = Timestamp::from_unix(start + second);
            assert_eq!(until_next(step, now), 30 - second);
            // The phone is fast: an app whose clock is right shows that code before it shows a new one.
            assert_eq!(until_next(step + 1, now), 60 - second);
            assert_eq!(until_next(step - 1, now), 0);
        }
        assert!(until_next(u64::MAX, Timestamp::from_unix(start)) > 0);
    }

    #[test]
    fn a_clock_that_is_off_is_named_within_an_hour_and_not_beyond() {
        let secret = rfc();
        let at = |now: u64| clock_offset(&secret, "005924", Timestamp::from_unix(now));
        let made = 1_234_567_890;
        assert_eq!(at(made - 300), Some(300));
        assert_eq!(at(made + 3600), Some(-3600));
        assert_eq!(at(made), None);
        assert_eq!(at(made + 3660), None);
        // The year 1970 has no earlier steps to look through.
        assert_eq!(at(0), None);
    }

    #[test]
    fn no_name_breaks_the_uri() {
        let secret = Secret160::draw(&OsEntropy).unwrap();
        assert_eq!(secret.base32().len(), 32);
        let tail = format!("?secret={}&issuer=", secret.base32());
        for (service, account, label) in [
            ("Example", "alice", "Example:alice"),
            ("Ex:ample", "urn:alice:1", "Ex-ample:urn-alice-1"),
            (
                "Büro & Co",
                "alice@example.com",
                "B%C3%BCro%20%26%20Co:alice%40example.com",
            ),
            ("E", "a/b?c#d%e", "E:a%2Fb%3Fc%23d%25e"),
            ("E", "\u{202e}\0", "E:account"),
        ] {
            let uri = otpauth_uri(&secret, service, account).unwrap();
            assert!(
                uri.starts_with(&format!("otpauth://totp/{label}{tail}")),
                "{}",
                uri.as_str()
            );
            let parsed = url::Url::parse(&uri).unwrap();
            assert_eq!(
                parsed
                    .query_pairs()
                    .filter(|(name, _)| name == "period")
                    .count(),
                1
            );
        }
    }
}
