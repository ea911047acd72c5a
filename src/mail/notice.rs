//! What we write to people about. One struct a letter; its fields are the values of its sentences.

use std::net::IpAddr;

use super::digest::{Change, ChangeKind};
use super::values::{Said, Values};
use crate::base::Timestamp;
use crate::words::Language;

/// One letter, as far as it does not depend on who reads it.
pub trait Content {
    /// Its sentences are those under `mail.<NAME>.…`, besides those that all letters say.
    const NAME: &'static str;
    /// The files `<LAYOUT>.txt` and `<LAYOUT>.html` under `assets/mail`, which put its sentences in order.
    const LAYOUT: &'static str;

    /// What takes the places in its sentences, in the words of `language`.
    fn values(&self, language: Language) -> Values;

    /// The sentences that say what happened: what stands behind `mail.<NAME>.` in their keys.
    fn news(&self) -> &'static [&'static str];

    /// Whether it tells of a change to factors, which is never left out where there is too much to tell.
    const IS_CHANGE: bool = false;

    /// The change that it tells of.
    fn change(&self) -> Option<Change> {
        None
    }
}

/// So few backup codes are so few that new ones should be made.
const FEW_LEFT: u64 = 3;

/// What a code is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To show that the address is the person's.
    TurnOn,
    /// To allow a change.
    Change,
    /// To finish signing in.
    SignIn,
}

/// A six-digit code.
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
    const NAME: &'static str = "code";
    const LAYOUT: &'static str = "code";

    fn values(&self, language: Language) -> Values {
        let purpose = match self.purpose {
            Purpose::TurnOn => "turn_on",
            Purpose::Change => "change",
            Purpose::SignIn => "sign_in",
        };
        let mut values = Values::default();
        self.service_name.say("service_name", language, &mut values);
        self.contact.say("contact", language, &mut values);
        self.code.say("code", language, &mut values);
        purpose.say("purpose", language, &mut values);
        self.minutes.say("minutes", language, &mut values);
        values
    }

    fn news(&self) -> &'static [&'static str] {
        match self.purpose {
            Purpose::TurnOn => &["news.turn_on"],
            Purpose::Change => &["news.change"],
            Purpose::SignIn => &["news.sign_in"],
        }
    }
}

/// The second factor that a letter is about.
#[derive(Clone, Copy, Debug)]
pub struct Thing<'a> {
    /// Of which kind: `totp`.
    pub kind: &'a str,
    /// What the person calls it, where they have several of the kind or it says more.
    pub name: Option<&'a str>,
}

/// Text that a stranger may have chosen, or a thief: a user name, what an app calls itself. An email says its letters,
/// digits and spaces.
#[derive(Clone, Copy, Debug)]
pub struct Foreign<'a>(pub &'a str);

/// Where and when something happened that a person is told of.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// The service, as people know it.
    pub service_name: &'a str,
    /// Whom to tell when something is wrong.
    pub contact: Option<&'a str>,
    /// When.
    pub at: Timestamp,
    /// From which address, where known.
    pub ip: Option<IpAddr>,
    /// When a digest follows, if nothing else is sent before it.
    pub more_after: Option<Timestamp>,
}

impl Occasion<'_> {
    pub(super) fn values(&self, language: Language) -> Values {
        let mut values = Values::default();
        self.service_name.say("service_name", language, &mut values);
        self.contact.say("contact", language, &mut values);
        self.at.say("at", language, &mut values);
        self.ip.say("ip", language, &mut values);
        self.more_after.say("more_after", language, &mut values);
        values
    }

    pub(super) fn change(&self, what: ChangeKind, factor: Option<Thing<'_>>) -> Change {
        Change {
            at: self.at,
            what,
            factor: factor.map(|factor| factor.kind.to_owned()),
            name: factor.and_then(|factor| factor.name.map(str::to_owned)),
            ip: self.ip,
        }
    }
}

macro_rules! notices {
    ($($(#[$doc:meta])* $name:ident = $word:literal {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    } says |$letter:ident| $news:expr $(, changes |$changed:ident| $change:expr)?;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a> {
            /// Where and when.
            pub occasion: Occasion<'a>,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Content for $name<'_> {
            const NAME: &'static str = $word;
            const LAYOUT: &'static str = "notice";

            fn values(&self, language: Language) -> Values {
                #[allow(unused_mut, reason = "some letters say nothing but where and when")]
                let mut values = self.occasion.values(language);
                $(self.$field.say(stringify!($field), language, &mut values);)*
                values
            }

            fn news(&self) -> &'static [&'static str] {
                let $letter = self;
                $news
            }

            $(
                const IS_CHANGE: bool = true;

                fn change(&self) -> Option<Change> {
                    let $changed = self;
                    Some($change)
                }
            )?
        }
    )*};
}

notices! {
    /// A second factor was added.
    FactorAdded = "factor_added" {
        /// Which.
        factor: Thing<'a>,
    } says |_letter| &["news"],
    changes |letter| letter.occasion.change(ChangeKind::Added, Some(letter.factor));

    /// A second factor was removed.
    FactorRemoved = "factor_removed" {
        /// Which.
        factor: Thing<'a>,
        /// Whether an operator did it.
        by_operator: bool,
    } says |letter| match letter.by_operator {
        true => &["news.by_operator"],
        false => &["news"],
    }, changes |letter| {
        let what = match letter.by_operator {
            true => ChangeKind::RemovedByOperator,
            false => ChangeKind::Removed,
        };
        letter.occasion.change(what, Some(letter.factor))
    };

    /// A second factor took the place of another of its sort.
    FactorReplaced = "factor_replaced" {
        /// The new one.
        factor: Thing<'a>,
    } says |_letter| &["news"],
    changes |letter| letter.occasion.change(ChangeKind::Replaced, Some(letter.factor));

    /// An operator removed all second factors.
    FactorsReset = "factors_reset" {} says |_letter| &["news"],
    changes |letter| letter.occasion.change(ChangeKind::Reset, None);

    /// A new set of backup codes took the place of the old one.
    BackupCodesRegenerated = "backup_codes_regenerated" {} says |_letter| &["news"],
    changes |letter| letter.occasion.change(ChangeKind::BackupCodesRegenerated, None);

    /// A security key was refused, since its counter did not advance: there may be a copy of it.
    KeyCopied = "key_copied" {
        /// Which.
        factor: Thing<'a>,
    } says |_letter| &["news"],
    changes |letter| letter.occasion.change(ChangeKind::KeyCopied, Some(letter.factor));

    /// The backup codes became void, since the store was restored from a copy.
    BackupCodesVoid = "backup_codes_void" {} says |_letter| &["news"];

    /// A backup code was used.
    BackupCodeUsed = "backup_code_used" {
        /// How many are left.
        left: u64,
    } says |letter| match letter.left {
        0 => &["news", "left.none"],
        1..=FEW_LEFT => &["news", "left.few"],
        _ => &["news", "left"],
    };

    /// Too many wrong codes: the factor has to wait.
    FactorLocked = "factor_locked" {
        /// Which.
        factor: Thing<'a>,
        /// Until when.
        until: Timestamp,
    } says |_letter| &["news"];

    /// A wait, or a factor that had been disabled, was ended before its time.
    FactorUnlocked = "factor_unlocked" {
        /// Which.
        factor: Thing<'a>,
        /// Whether an operator did it, rather than another factor of the person's.
        by_operator: bool,
    } says |letter| match letter.by_operator {
        true => &["news.by_operator"],
        false => &["news"],
    };

    /// Far too many wrong codes: the factor is off until it is set up anew.
    FactorDisabled = "factor_disabled" {
        /// Which.
        factor: Thing<'a>,
        /// How many wrong codes in a row.
        wrong: u64,
    } says |letter| match letter.occasion.contact {
        Some(_) => &["news", "help.contact"],
        None => &["news", "help"],
    };

    /// Somebody passed the first step of a sign-in and not the second. `ip` of the occasion is what the login
    /// service says of whoever tried.
    SignInUnfinished = "sign_in_unfinished" {
        /// Where they tried to sign in: the login service or the app, as people know it.
        service: Foreign<'a>,
    } says |letter| match letter.occasion.ip {
        Some(_) => &["news.ip"],
        None => &["news"],
    };

    /// The token of a remembered browser was shown a second time, so the browser was forgotten.
    TrustedDeviceCopied = "trusted_device_copied" {
        /// Who was to remember it: the login service, as people know it.
        service: Foreign<'a>,
    } says |_letter| &["news"];

    /// A user bears a name that another one gave up, so it means neither.
    NameContested = "name_contested" {
        /// The name.
        name: Foreign<'a>,
        /// Until when.
        until: Timestamp,
        /// Whether it is written to the one who gave it up.
        by_former: bool,
    } says |letter| match letter.by_former {
        true => &["news.former"],
        false => &["news"],
    };

    /// Two users have one name.
    NameShared = "name_shared" {
        /// The name.
        name: Foreign<'a>,
        /// Whether sign-ins with it are refused, since it may mean either.
        is_ambiguous: bool,
        /// Whether it is written to the one whom it means.
        is_meant: bool,
    } says |letter| match (letter.is_ambiguous, letter.is_meant) {
        (true, _) => &["news.ambiguous"],
        (false, true) => &["news.meant"],
        (false, false) => &["news"],
    };
}
