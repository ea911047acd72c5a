//! The words in which a policy is said, the same in settings, in orders and in the store.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kinds of factors that a policy speaks of, as `Factor::kind` names them.
pub const KINDS: [&str; 3] = ["totp", EMAIL, "webauthn"];
/// The kind that has a setting of its own.
pub const EMAIL: &str = "email";
/// The kind that stands in for the others wherever one is set up. No policy forbids it.
pub const STAND_IN: &str = "backup_code";

/// The most characters of a tenant, a scope or a service in a rule.
const LONGEST_NAME: usize = 255;

/// One part of a policy: the name of its setting without dashes in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// Which kinds may be set up.
    AllowFactor,
    /// Of whom a second factor is required.
    RequireMfa,
    /// What codes by mail are good for.
    EmailFactor,
    /// How long somebody may go on without the factor that is required of them.
    GraceDays,
    /// How long a browser is trusted.
    TrustedDeviceDays,
}

impl Key {
    /// All of them, in the order of the settings.
    pub const ALL: [Key; 5] = [
        Key::AllowFactor,
        Key::RequireMfa,
        Key::EmailFactor,
        Key::GraceDays,
        Key::TrustedDeviceDays,
    ];

    /// As its flag is called.
    pub fn name(self) -> &'static str {
        match self {
            Key::AllowFactor => "allow-factor",
            Key::RequireMfa => "require-mfa",
            Key::EmailFactor => "email-factor",
            Key::GraceDays => "grace-days",
            Key::TrustedDeviceDays => "trusted-device-days",
        }
    }
}

impl FromStr for Key {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        let names = Key::ALL.map(Key::name).join(", ");
        Key::ALL
            .into_iter()
            .find(|key| key.name() == text)
            .ok_or_else(|| {
                Misfit::new(
                    format!("{text:?} is no part of a policy"),
                    format!("use one of {names}"),
                )
            })
    }
}

/// A word that says nothing, and what to say instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// What is wrong.
    pub cause: String,
    /// What to do.
    pub hint: String,
}

impl Misfit {
    pub(super) fn new(cause: impl Into<String>, hint: impl Into<String>) -> Self {
        Misfit {
            cause: cause.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.hint)
    }
}

impl std::error::Error for Misfit {}

/// The kind of that name.
pub(super) fn kind(text: &str) -> Result<&'static str, Misfit> {
    KINDS.into_iter().find(|kind| *kind == text).ok_or_else(|| {
        Misfit::new(
            format!("{text:?} is no kind of factor"),
            format!("use {}, or all", KINDS.join(", ")),
        )
    })
}

/// What codes by mail are good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmailUse {
    /// They are a second factor like any other.
    #[default]
    On,
    /// They prove their owner on the settings page, answer no sign-in, and are not the factor that is required.
    Recovery,
    /// They cannot be turned on.
    Off,
}

impl EmailUse {
    /// `on`, `recovery` or `off`.
    pub fn as_str(self) -> &'static str {
        match self {
            EmailUse::On => "on",
            EmailUse::Recovery => "recovery",
            EmailUse::Off => "off",
        }
    }
}

impl FromStr for EmailUse {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        match text {
            "on" => Ok(EmailUse::On),
            "recovery" => Ok(EmailUse::Recovery),
            "off" => Ok(EmailUse::Off),
            other => Err(Misfit::new(
                format!("{other:?} is no use of email codes"),
                "use on, recovery or off",
            )),
        }
    }
}

/// Of whom a second factor is required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Of everybody.
    All,
    /// Of the people of one tenant.
    Tenant(String),
    /// Of whoever's token carries this scope.
    Scope(String),
    /// Of whoever signs in to this service.
    Service(String),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::All => f.write_str("all"),
            Rule::Tenant(id) => write!(f, "tenant:{id}"),
            Rule::Scope(name) => write!(f, "scope:{name}"),
            Rule::Service(id) => write!(f, "service:{id}"),
        }
    }
}

impl FromStr for Rule {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        if text == "all" {
            return Ok(Rule::All);
        }
        let misfit = |cause| {
            Misfit::new(
                cause,
                "use all, tenant:ID, scope:NAME, service:ID, or none alone",
            )
        };
        let Some((of, name)) = text.split_once(':') else {
            return Err(misfit(format!("{text:?} says not of whom")));
        };
        let rule = match of {
            "tenant" => Rule::Tenant,
            "scope" => Rule::Scope,
            "service" => Rule::Service,
            _ => return Err(misfit(format!("{text:?} says not of whom"))),
        };
        let fits = (1..=LONGEST_NAME).contains(&name.chars().count())
            && !name.chars().any(char::is_control)
            && name.trim() == name
            // A token's scopes are words, so that this one could never be found.
            && !(of == "scope" && name.contains(char::is_whitespace));
        match fits {
            true => Ok(rule(name.to_owned())),
            false => Err(misfit(format!("{text:?} names nobody"))),
        }
    }
}
