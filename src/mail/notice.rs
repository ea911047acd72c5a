//! What we write to people about. One struct a letter; its fields are what its template may use.

use std::net::IpAddr;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::base::Timestamp;

/// The values of one letter and the template that puts them into words.
pub trait Content: Serialize {
    /// The folder under `assets/mail`.
    const TEMPLATE: &'static str;
}

/// What a code is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Purpose {
    /// To show that the address is the person's.
    #[serde(rename = "turn on email codes")]
    TurnOn,
    /// To allow a change.
    #[serde(rename = "confirm a change to your security settings")]
    Change,
    /// To finish signing in.
    #[serde(rename = "finish signing in")]
    SignIn,
}

/// A six-digit code.
#[derive(Serialize)]
pub struct CodeLetter<'a> {
    /// The service, as people know it.
    pub service_name: &'a str,
    /// Whom to tell when something is wrong: `security@example.com`, `the help desk`.
    pub contact: Option<&'a str>,
    /// The code.
    pub code: &'a str,
    /// What it is for.
    pub purpose: Purpose,
    /// How long it is good for, from now.
    pub minutes: u64,
}

impl Content for CodeLetter<'_> {
    const TEMPLATE: &'static str = "code";
}

/// Where and when something happened that a person is told of.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Occasion<'a> {
    /// The service, as people know it.
    pub service_name: &'a str,
    /// Whom to tell when something is wrong.
    pub contact: Option<&'a str>,
    /// When.
    #[serde(serialize_with = "moment")]
    pub at: Timestamp,
    /// From which address, where known.
    pub ip: Option<IpAddr>,
}

macro_rules! notices {
    ($($(#[$doc:meta])* $name:ident = $template:literal {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Serialize)]
        pub struct $name<'a> {
            /// Where and when.
            #[serde(flatten)]
            pub occasion: Occasion<'a>,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Content for $name<'_> {
            const TEMPLATE: &'static str = $template;
        }
    )*};
}

notices! {
    /// A second factor was added.
    FactorAdded = "factor_added" {
        /// What sort, in words: `authenticator app`.
        kind: &'a str,
        /// What the person calls it.
        name: &'a str,
    }

    /// A second factor was removed.
    FactorRemoved = "factor_removed" {
        /// What sort, in words.
        kind: &'a str,
        /// What the person called it.
        name: &'a str,
        /// Whether an operator did it.
        by_operator: bool,
    }

    /// A second factor took the place of another of its sort.
    FactorReplaced = "factor_replaced" {
        /// What sort, in words.
        kind: &'a str,
        /// What the person calls the new one.
        name: &'a str,
    }

    /// An operator removed all second factors.
    FactorsReset = "factors_reset" {}

    /// A new set of backup codes took the place of the old one.
    BackupCodesRegenerated = "backup_codes_regenerated" {}

    /// A backup code was used.
    BackupCodeUsed = "backup_code_used" {
        /// How many are left.
        left: u64,
    }

    /// Too many wrong codes: the factor has to wait.
    FactorLocked = "factor_locked" {
        /// What sort, in words.
        kind: &'a str,
        /// Until when.
        #[serde(serialize_with = "moment")]
        until: Timestamp,
    }

    /// A wait, or a factor that had been disabled, was ended before its time.
    FactorUnlocked = "factor_unlocked" {
        /// What sort, in words.
        kind: &'a str,
        /// Whether an operator did it, rather than another factor of the person's.
        by_operator: bool,
    }

    /// Far too many wrong codes: the factor is off until it is set up anew.
    FactorDisabled = "factor_disabled" {
        /// What sort, in words.
        kind: &'a str,
        /// What the person calls it.
        name: &'a str,
        /// How many wrong codes in a row.
        wrong: u64,
    }

    /// Somebody passed the first step of a sign-in and not the second. `ip` of the occasion is what the login
    /// service says of whoever tried.
    SignInUnfinished = "sign_in_unfinished" {
        /// Where they tried to sign in: the login service or the app, as people know it.
        service: &'a str,
    }

    /// The token of a remembered browser was shown a second time, so the browser was forgotten.
    TrustedDeviceCopied = "trusted_device_copied" {
        /// Who was to remember it: the login service, as people know it.
        service: &'a str,
    }
}

/// `24 November 2026, 12:00 UTC`.
fn moment<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let words = i64::try_from(at.unix())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .map(|at| {
            let (day, month, year) = (at.day(), at.month(), at.year());
            format!(
                "{day} {month} {year}, {:02}:{:02} UTC",
                at.hour(),
                at.minute()
            )
        })
        .unwrap_or_else(|| at.to_string());
    serializer.serialize_str(&words)
}
