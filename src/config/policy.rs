//! Who must have which second factor.

use super::check::Check;
use super::layers::Source;
use crate::policy::{self, FactorChangeProof, Key, Policy};

impl Check<'_> {
    /// Each part is looked at by itself, and only then all of them together.
    pub(super) fn policy(&mut self) -> Option<Policy> {
        let args = &self.layers.args;
        let parts: [(Key, &str, &[String]); 5] = [
            (Key::AllowFactor, "allow_factor", &args.allow_factor),
            (Key::RequireMfa, "require_mfa", &args.require_mfa),
            (
                Key::EmailFactor,
                "email_factor",
                std::slice::from_ref(&args.email_factor),
            ),
            (
                Key::GraceDays,
                "grace_days",
                std::slice::from_ref(&args.grace_days),
            ),
            (
                Key::TrustedDeviceDays,
                "trusted_device_days",
                std::slice::from_ref(&args.trusted_device_days),
            ),
        ];
        let (mut policy, mut sound) = (Policy::default(), true);
        for (key, id, words) in parts {
            // A list without anything in it says nothing, as if it were not there.
            if words.is_empty() {
                continue;
            }
            let source = match self.layers.source(id) {
                Source::Default => policy::Source::Default,
                _ => policy::Source::Setting,
            };
            if let Err(misfit) = policy.set(key, words, source) {
                sound = false;
                self.wrong::<()>(id, misfit.cause, misfit.hint);
            }
        }
        if !sound {
            return None;
        }
        if let Err(misfit) = policy.check() {
            return self.wrong("allow_factor", misfit.cause, misfit.hint);
        }
        Some(policy)
    }

    /// Whether users who have a factor prove one before their factors change.
    pub(super) fn factor_change_proof(&mut self) -> Option<FactorChangeProof> {
        let text = self.layers.args.factor_change_proof.as_str();
        match text.parse() {
            Ok(known) => Some(known),
            Err(()) => self.wrong(
                "factor_change_proof",
                format!("{text:?} is neither when-enrolled nor off"),
                "use when-enrolled",
            ),
        }
    }

    /// Where codes by mail are the only factor, they must be able to leave.
    pub(super) fn can_mail_codes(&mut self, policy: Option<&Policy>) {
        let mail_alone = policy.is_some_and(|policy| policy.counting() == ["email"]);
        if mail_alone && self.layers.args.smtp_url.is_none() {
            self.wrong::<()>(
                "allow_factor",
                "email is the only factor, and there is no mail server",
                "set --smtp-url, or allow totp or webauthn too",
            );
        }
    }
}
