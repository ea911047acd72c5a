//! Whether people can do what is required of them.

use std::collections::BTreeSet;

use super::{failed, warning};
use crate::config::Exit;
use crate::policy::{FactorChangeProof, Key, Part, Policy, Rule};

/// What the policy is called.
const WHAT: &str = "the policy";

/// Says it where the second factor does not protect from those who know a password.
pub(super) fn factor_changes(proof: FactorChangeProof) {
    if proof == FactorChangeProof::Off {
        warning(
            "factor-change-proof",
            "off: anyone who knows a user's password can add a factor of their own and sign in with it",
            "leave it out, or set it to when-enrolled",
        );
    }
}

/// Whether the policy that holds, part by part, can be satisfied where mail leaves or, without `mail`, does not.
/// `services` are the login services that are registered.
pub(super) fn holds(parts: &[Part], services: &BTreeSet<String>, mail: bool) -> Exit {
    let mut policy = Policy::default();
    for part in parts.iter().filter(|part| !part.words.is_empty()) {
        if let Err(misfit) = policy.set(part.key, &part.words, part.source) {
            return failed(Exit::Config, WHAT, misfit.cause, &misfit.hint);
        }
    }
    if let Err(misfit) = policy.check() {
        return failed(Exit::Config, WHAT, misfit.cause, &misfit.hint);
    }
    let required = policy.words(Key::RequireMfa);
    let offered = policy
        .counting()
        .into_iter()
        .any(|kind| kind != "email" || mail);
    if !offered {
        let cause =
            "codes by mail are the only second factor that is allowed, and there is no mail server";
        let hint =
            "set --smtp-url, or allow another: mfad policy set allow-factor totp webauthn email";
        if required.is_empty() {
            warning(WHAT, format!("{cause}: nobody can set one up"), hint);
            return Exit::Ok;
        }
        let whom = required.join(", ");
        let cause =
            format!("a second factor is required of {whom}; {cause}, so they could not sign in");
        return failed(Exit::Config, WHAT, cause, hint);
    }
    for rule in &required {
        if let Ok(Rule::Service(id)) = rule.parse::<Rule>()
            && !services.contains(&id)
        {
            warning(
                WHAT,
                format!("require-mfa names the service {id}, and none of that name is registered"),
                "compare it with mfad service list; an OAuth client that brings its own tokens is called by its client id",
            );
        }
    }
    println!("ok: {WHAT}");
    Exit::Ok
}
