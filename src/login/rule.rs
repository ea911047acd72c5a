//! What a service is told to do, and what a result may claim.

use serde::{Deserialize, Serialize};

use crate::factor::{Methods, Passed};

/// Seconds that a challenge takes answers.
pub const CHALLENGE_TTL: u64 = 5 * 60;
/// Seconds that a challenge about a user whom the server has never met is known: it waits for no answer.
pub const UNMET_TTL: u64 = 60;
/// Wrong answers that close a challenge.
pub const CHALLENGE_TRIES: u32 = 5;
/// Live challenges of one user at one login service; one makes room for a new one.
pub const LIVE_CHALLENGES: usize = 20;
/// Seconds that a signed result is good for, from the moment of the right answer.
pub const RESULT_TTL: u64 = 120;
/// Seconds after which a person is told of a sign-in that was not finished.
pub const UNFINISHED_AFTER: u64 = 3 * 60;
/// Seconds after which that is no longer news.
pub const UNFINISHED_NEWS: u64 = 3600;

/// What the service is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Ask for a second factor.
    Challenge,
    /// Let the person in.
    Allow,
    /// Send the person to their settings page, to set up a factor.
    Enroll,
    /// Turn the person away: an operator has to help.
    Deny,
}

/// Why a service asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Somebody signs in.
    Login,
    /// Somebody who is signed in does what needs more.
    StepUp,
}

/// What the service is to do with somebody who has these `methods`, where policy `required` asks for a factor,
/// and `grace` lets them go on without one for a while.
pub fn decide(methods: &Methods, required: bool, grace: bool) -> Decision {
    if !methods.usable.is_empty() {
        Decision::Challenge
    } else if methods.accepted {
        // All that they have is disabled.
        Decision::Deny
    } else if methods.any || (required && !grace) {
        // What policy no longer accepts does not let anybody in, and still proves its owner on the settings page.
        Decision::Enroll
    } else {
        Decision::Allow
    }
}

/// Words of RFC 8176 for what people know and what they are. What we see is what they have.
const KNOWN_OR_BEING: &[&str] = &["pwd", "pin", "kba", "face", "fpt", "iris", "retina", "vbm"];

/// What the result may claim (RFC 8176 section 2): what the service said that it had checked and what was seen here.
/// `mfa` only where these are two kinds of factor, or the key was two in one.
pub fn amr(first: &[String], passed: &Passed) -> Vec<String> {
    let said = first.iter().filter(|word| *word != "mfa");
    let mut amr: Vec<String> = said.cloned().collect();
    for seen in &passed.amr {
        if !amr.iter().any(|word| word == seen) {
            amr.push((*seen).to_owned());
        }
    }
    let two = first
        .iter()
        .any(|word| KNOWN_OR_BEING.contains(&word.as_str()));
    if two || passed.user_verified {
        amr.push("mfa".to_owned());
    }
    amr
}

/// How strong that is. `phrh` and `phr` are phishing-resistant (OpenID Connect EAP ACR Values, section 2); the
/// others are our own names, the weakest that of mailed codes.
pub fn acr(passed: &Passed) -> &'static str {
    match passed.method {
        "webauthn" if passed.amr.contains(&"hwk") => "phrh",
        "webauthn" => "phr",
        "email" => "urn:mfad:acr:email",
        TRUSTED_DEVICE => "urn:mfad:acr:trusted-device",
        _ => "urn:mfad:acr:otp",
    }
}

/// The method of somebody whose browser was remembered.
pub const TRUSTED_DEVICE: &str = "trusted_device";

/// Methods, as a result names them and a request asks for them.
pub const METHODS: [&str; 4] = ["totp", "email", "webauthn", "backup_code"];

#[cfg(test)]
mod tests {
    use super::*;

    fn methods(usable: &[&'static str], accepted: bool, any: bool) -> Methods {
        Methods {
            usable: usable.to_vec(),
            accepted,
            any,
        }
    }

    #[test]
    fn one_word_says_what_to_do() {
        use Decision::{Allow, Challenge, Deny, Enroll};
        let nothing = methods(&[], false, false);
        let unaccepted = methods(&[], false, true);
        let disabled = methods(&[], true, true);
        let spare = methods(&["backup_code"], true, true);
        for (methods, required, grace, decision) in [
            (&nothing, false, false, Allow),
            (&nothing, true, false, Enroll),
            (&nothing, true, true, Allow),
            (&nothing, false, true, Allow),
            (&unaccepted, false, false, Enroll),
            (&unaccepted, true, true, Enroll),
            (&disabled, false, false, Deny),
            (&disabled, true, true, Deny),
            (&spare, false, false, Challenge),
            (&spare, true, false, Challenge),
        ] {
            let decided = decide(methods, required, grace);
            assert_eq!(decided, decision, "{methods:?} {required} {grace}");
        }
    }

    fn passed(method: &'static str, amr: &[&'static str], user_verified: bool) -> Passed {
        Passed {
            method,
            amr: amr.to_vec(),
            user_verified,
        }
    }

    #[test]
    fn a_result_claims_what_was_said_and_seen_and_no_more() {
        let totp = passed("totp", &["otp"], false);
        let key = passed("webauthn", &["hwk", "user"], false);
        let verified = passed("webauthn", &["swk", "user"], true);
        let code = passed("backup_code", &[], false);
        for (first, passed, claimed) in [
            (&["pwd"][..], &totp, "pwd otp mfa"),
            (&[], &totp, "otp"),
            // The service's word for it makes no second factor.
            (&["mfa"], &totp, "otp"),
            (&["pwd", "mfa"], &totp, "pwd otp mfa"),
            // Two things that one has are one kind of factor.
            (&["otp"], &totp, "otp"),
            (&["sms"], &totp, "sms otp"),
            (&["pwd"], &key, "pwd hwk user mfa"),
            (&[], &key, "hwk user"),
            (&[], &verified, "swk user mfa"),
            (&["pwd"], &code, "pwd mfa"),
            (&[], &code, ""),
        ] {
            let first: Vec<String> = first.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(
                amr(&first, passed).join(" "),
                claimed,
                "{first:?} {passed:?}"
            );
        }
        for (passed, level) in [
            (&totp, "urn:mfad:acr:otp"),
            (&key, "phrh"),
            (&verified, "phr"),
            (&code, "urn:mfad:acr:otp"),
            (&passed_by_mail(), "urn:mfad:acr:email"),
        ] {
            assert_eq!(acr(passed), level);
        }
    }

    fn passed_by_mail() -> Passed {
        passed("email", &["otp", "mca"], false)
    }
}
