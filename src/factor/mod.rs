//! Second factors: what every one of them can do, and the list of those there are.
//!
//! A new factor is a folder here and two lines in [`Factors`].

mod allowed;
pub mod backup_codes;
mod contested;
mod deed;
mod device;
pub mod email;
mod enrollment;
mod healing;
mod held;
mod history;
mod http;
mod notify;
mod operators;
mod proof;
mod reset;
mod restored;
mod sessions;
mod sign_in;
mod step_up;
pub mod totp;
mod trusted;
pub mod webauthn;

use std::sync::Arc;

use axum::extract::FromRef;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

use crate::base::codes::RATE_LIMITED;
use crate::base::{ChallengeId, Code, Failure, Kind, PersonKey, RateLimit, Timestamp};
use crate::mail::Address;
use crate::services::Services;
use crate::store::{Read, Tx};

use backup_codes::BackupCodes;
use email::EmailCodes;
use totp::Totp;
use webauthn::SecurityKeys;

pub use allowed::{kinds_of, required_of};
pub use deed::{By, Deed, Refusal, Remembered, moot, refuse};
pub use device::{Device, Status};
pub use email::Sent as MailSent;
pub use healing::{Healing, Voided, heal, open_tables};
pub use held::{backup_codes_left, devices};
pub use notify::{keep_sending_digests, send_due_digests};
pub use operators::{let_hold, set_policy, some_operator_counts, unset_policy};
pub use proof::{Answer, wrong};
pub use reset::{keep_notifying_of_resets, reset};
pub use restored::tell_of_void_codes;
pub use sign_in::{Given, Methods, Passed};
pub use webauthn::{AssertionResponse, RelyingParty, RelyingPartyError, WEBAUTHN_FAILED};

/// The factor is set up already.
pub const ALREADY_ENABLED: Code = Code {
    name: "already_enabled",
    kind: Kind::Conflict,
    title: "Already set up",
};
/// The factor is not set up.
pub const NOT_ENABLED: Code = Code {
    name: "not_enabled",
    kind: Kind::Conflict,
    title: "Not set up",
};
/// There is nothing that waits for this answer.
pub const NOT_PENDING: Code = Code {
    name: "not_pending",
    kind: Kind::Conflict,
    title: "Nothing waits for this",
};
/// This server does not offer the factor.
pub const NOT_OFFERED: Code = Code {
    name: "not_offered",
    kind: Kind::Conflict,
    title: "Not offered here",
};
/// The code is not right.
pub const WRONG_CODE: Code = Code {
    name: "wrong_code",
    kind: Kind::BadProof,
    title: "The code is not right",
};
/// The code was right, and works no second time.
pub const CODE_USED: Code = Code {
    name: "code_used",
    kind: Kind::BadProof,
    title: "The code was already used",
};
/// The code came too late.
pub const CODE_EXPIRED: Code = Code {
    name: "code_expired",
    kind: Kind::BadProof,
    title: "The code has expired",
};
/// Too many wrong answers: wait.
pub const LOCKED: Code = Code {
    name: "locked",
    kind: Kind::TooMany,
    title: "Locked for a while",
};
/// Far too many wrong answers: waiting does not help.
pub const FACTOR_DISABLED: Code = Code {
    name: "factor_disabled",
    kind: Kind::Conflict,
    title: "Disabled after too many wrong codes",
};

/// Policy requires a factor, and this is the last that would do.
pub const LAST_FACTOR: Code = Code {
    name: "last_factor",
    kind: Kind::Conflict,
    title: "The last factor where one is required",
};

/// Requests about one user that a login service may make within a minute.
const SIGN_IN_REQUESTS_A_MINUTE: u32 = 1_200;

/// Challenges about users whom the server has never met that are kept for a login service within a minute.
const UNMET_A_MINUTE: u32 = 6_000;

/// Sign-ins that a login service may ask about within a minute: names that no one bears are many.
const SIGN_INS_A_MINUTE: u32 = 60_000;

/// The codes that all factors answer with.
pub const CODES: &[Code] = &[
    ALREADY_ENABLED,
    NOT_ENABLED,
    NOT_PENDING,
    NOT_OFFERED,
    WRONG_CODE,
    CODE_USED,
    CODE_EXPIRED,
    LOCKED,
    FACTOR_DISABLED,
    LAST_FACTOR,
];

/// All codes that factors answer with, those of each one included.
pub fn codes() -> Vec<Code> {
    [CODES, email::CODES, webauthn::CODES].concat()
}

/// What one kind of factor can do. All of it happens inside a transaction.
pub trait Factor: Send + Sync {
    /// Its stable name in the API, the lockout and the audit: `totp`.
    fn kind(&self) -> &'static str;

    /// What people call it: `authenticator app`.
    fn words(&self) -> &'static str;

    /// Whether this server is able to offer it, whatever policy says.
    fn offered(&self) -> bool {
        true
    }

    /// Whether its answers are short enough to be guessed, so that misses must lock it.
    /// A lock on what cannot be guessed would only shut its owner out.
    fn guessable(&self) -> bool;

    /// Whether the person can prove themselves with it alone (backup codes only stand in for others).
    fn stands_alone(&self) -> bool {
        true
    }

    /// Whether the person has it.
    ///
    /// # Errors
    /// Those of the store.
    fn is_active(&self, read: &dyn Read, person: PersonKey) -> Result<bool, Failure>;

    /// What of it the person has and is setting up.
    ///
    /// # Errors
    /// Those of the store.
    fn devices(
        &self,
        read: &dyn Read,
        person: PersonKey,
        now: Timestamp,
    ) -> Result<Vec<Device>, Failure>;

    /// Whether an answer of this shape is for this factor.
    fn takes(&self, answer: &Answer) -> bool;

    /// Judges the answer and, where it is right, marks what must not be used again.
    ///
    /// # Errors
    /// Those of the store. A wrong answer is a verdict, no error.
    fn judge(
        &self,
        tools: &Services,
        tx: &mut Tx<'_>,
        person: PersonKey,
        answer: &Answer,
        place: Place,
        now: Timestamp,
    ) -> Result<Verdict, Failure>;

    /// Takes as long as [`Factor::judge`] would, for somebody who does not have it.
    fn pretend(&self, _tools: &Services, _answer: &Answer, _now: Timestamp) {}

    /// What a right answer shows, in the words of RFC 8176; empty where these have none for it.
    fn amr(&self) -> &'static [&'static str];

    /// Addresses of the person that this factor knows.
    ///
    /// # Errors
    /// Those of the store.
    fn addresses(&self, _read: &dyn Read, _person: PersonKey) -> Result<Vec<Address>, Failure> {
        Ok(Vec::new())
    }

    /// Ends every set-up of it that the person has begun.
    ///
    /// # Errors
    /// Those of the store.
    fn forget_pending(&self, _tx: &mut Tx<'_>, _person: PersonKey) -> Result<(), Failure> {
        Ok(())
    }

    /// Removes everything of it that the person has.
    ///
    /// # Errors
    /// Those of the store.
    fn forget(&self, tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure>;
}

/// Where an answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a page of the person's own, to allow a change.
    Change,
    /// At a sign-in, to the one challenge.
    SignIn(ChallengeId),
    /// At a sign-in that asks once and for all, without a challenge.
    OneCall,
}

/// What a factor makes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Right, and from now on used up.
    Right,
    /// It was right, and works no second time: no miss. Whoever guesses gains nothing from it, because a used code lets
    /// no one in and every other guess counts. Seconds until a new code appears, if one does by itself.
    Used(Option<u64>),
    /// Wrong: a miss.
    Wrong,
    /// Its time was up, whatever it was: no miss.
    Expired,
    /// Nothing was sent that could be answered: no miss.
    NothingSent,
}

/// The one list of factors, in the order in which they are asked about a code.
pub struct Factors {
    /// Authenticator apps.
    pub totp: Totp,
    /// Codes by mail.
    pub email: EmailCodes,
    /// Security keys.
    pub webauthn: SecurityKeys,
    /// Backup codes.
    pub backup_codes: BackupCodes,
}

impl Factors {
    /// All of them.
    pub fn all(&self) -> [&dyn Factor; 4] {
        [&self.totp, &self.email, &self.webauthn, &self.backup_codes]
    }

    /// The factor of that kind.
    pub fn of_kind(&self, kind: &str) -> Option<&dyn Factor> {
        self.all().into_iter().find(|factor| factor.kind() == kind)
    }

    /// Whether the person has any second factor.
    ///
    /// # Errors
    /// Those of the store.
    pub fn any_active(&self, read: &dyn Read, person: PersonKey) -> Result<bool, Failure> {
        for factor in self
            .all()
            .into_iter()
            .filter(|factor| factor.stands_alone())
        {
            if factor.is_active(read, person)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The tools and the factors: the state of every route.
pub struct Desk {
    /// The tools.
    pub tools: Services,
    /// The factors.
    pub factors: Factors,
    /// For each user, what each login service asks: no one is kept from one service by what is done in their name at
    /// another.
    sign_in_limit: RateLimit<(PersonKey, String)>,
    service_limit: RateLimit<String>,
    /// For each login service, the challenges about users whom the server has never met that are kept.
    unmet_limit: RateLimit<String>,
    /// For each sign-in under way, what is done to answer it.
    challenge_limit: RateLimit<ChallengeId>,
}

/// Requests within a minute that answer one sign-in.
const ANSWERS_A_MINUTE: u32 = 120;

impl Desk {
    /// A desk for the relying party of the settings. Email codes are offered where mail can leave.
    pub fn new(
        tools: Services,
        relying_party: &RelyingParty,
    ) -> Result<Arc<Desk>, RelyingPartyError> {
        let factors = Factors {
            totp: Totp,
            email: EmailCodes {
                offered: tools.mailer.is_some(),
            },
            webauthn: SecurityKeys::new(relying_party, &tools.service_name)?,
            backup_codes: BackupCodes,
        };
        Ok(Arc::new(Desk {
            tools,
            factors,
            sign_in_limit: RateLimit::new(SIGN_IN_REQUESTS_A_MINUTE),
            service_limit: RateLimit::new(SIGN_INS_A_MINUTE),
            unmet_limit: RateLimit::new(UNMET_A_MINUTE),
            challenge_limit: RateLimit::new(ANSWERS_A_MINUTE),
        }))
    }
}

impl Desk {
    /// Takes one sign-in out of what a login service may ask about within a minute.
    ///
    /// # Errors
    /// `rate_limited` where the minute's are used up.
    pub fn take_service_budget(&self, service: &str) -> Result<(), Failure> {
        self.service_limit
            .take(service.to_owned(), self.tools.now())
    }

    /// Whether one more challenge of `service` about a user whom the server has never met is kept: it is answered at
    /// once, so that nothing is lost with others.
    pub fn may_keep_unmet(&self, service: &str) -> bool {
        let taken = self.unmet_limit.take(service.to_owned(), self.tools.now());
        taken.is_ok()
    }
}

impl FromRef<Arc<Desk>> for Services {
    fn from_ref(desk: &Arc<Desk>) -> Services {
        desk.tools.clone()
    }
}

/// All routes of all factors.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .merge(http::routes())
        .merge(history::routes())
        .merge(backup_codes::routes())
        .merge(email::routes())
        .merge(totp::routes())
        .merge(sessions::routes())
        .merge(trusted::routes())
        .merge(webauthn::routes())
}

/// How many backup codes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BackupCodesLeft {
    /// How many were made.
    pub total: usize,
    /// How many have not been used.
    pub remaining: usize,
    /// When they were made.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "device::rfc3339")]
    pub created_at: Timestamp,
    /// When those that were left became void all at once, because the service was restored from a backup. Absent
    /// where they did not.
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    #[serde(
        serialize_with = "device::rfc3339_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub voided_at: Option<Timestamp>,
}
