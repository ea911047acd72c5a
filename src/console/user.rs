//! Users, as an operator on the machine sees and helps them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::audit::{self, Event, Operation};
use crate::base::{Failure, PersonKey, RequestId, Timestamp, codes};
use crate::factor::{self, Status};
use crate::lockout::{self, Standing};
use crate::login::{self, WaitingSignIn};
use crate::people::{self, NameKind, Profile};
use crate::policy::{self, Policy};
use crate::session::{self, LiveSession};
use crate::store::Read;
use crate::trust::{self, TrustedDevice};

use super::execute::Tools;
use super::order::Answer;

/// Users whom one answer lists.
const MOST_LISTED: usize = 20;
/// Records of the history that are shown.
const HISTORY: usize = 10;

/// Who a user is, and what tells users of one name apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserIdentity {
    /// How this server names the user, and no other server does.
    pub id: PersonKey,
    /// The exact `iss`.
    pub issuer: String,
    /// Their `sub` at that issuer.
    pub subject: String,
    /// `preferred_username`, if a token said one.
    pub username: Option<String>,
    /// The address that the issuer last named, in full.
    pub email: Option<String>,
    /// Their tenants.
    pub tenants: Vec<String>,
}

/// All that an operator needs to know of a user. Holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserView {
    /// Who it is.
    pub identity: UserIdentity,
    /// When the user first changed anything here.
    pub met_at: Timestamp,
    /// Whether a token made them an operator within the last 90 days.
    pub is_operator: bool,
    /// Whether the policy requires a second factor of them, wherever they sign in.
    pub required: bool,
    /// Their second factors, and those that are being set up.
    pub factors: Vec<FactorView>,
    /// The wrong codes in a row of each kind of factor that has any.
    pub locks: Vec<LockView>,
    /// `None` before their first factor.
    pub backup_codes: Option<BackupCodesView>,
    /// The browsers that need no second factor.
    pub trusted_devices: Vec<TrustedDevice>,
    /// Where they are signed in to the settings page.
    pub sessions: Vec<LiveSession>,
    /// The sign-ins that wait for an answer.
    pub sign_ins: Vec<WaitingSignIn>,
    /// The end of their history, each record with its number, the newest first.
    pub history: Vec<(u64, Event)>,
}

/// A second factor of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactorView {
    /// `mfa_…`
    pub device_id: String,
    /// `totp`, `email` or `webauthn`.
    pub kind: String,
    /// What the user calls it; of an email factor the address in full.
    pub name: String,
    /// Whether it waits for its confirmation.
    pub is_pending: bool,
    /// When it was set up, or its set-up begun.
    pub created_at: Timestamp,
    /// When it last proved its owner.
    pub last_used_at: Option<Timestamp>,
    /// When a pending one is forgotten.
    pub expires_at: Option<Timestamp>,
}

/// The wrong codes of one kind of factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockView {
    /// `totp`, `email`, …
    pub kind: String,
    /// Wrong codes in a row.
    pub failures: u32,
    /// Until when the kind is locked, if it is.
    pub locked_until: Option<Timestamp>,
    /// Whether it is disabled: waiting does not help.
    pub is_disabled: bool,
}

/// How many backup codes a user has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupCodesView {
    /// How many were made.
    pub total: usize,
    /// How many can be used.
    pub remaining: usize,
    /// When they were made.
    pub created_at: Timestamp,
}

/// What a reset did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserReset {
    /// The user as they were before.
    pub before: UserView,
    /// The addresses that are told by mail, if a mail server is set.
    pub notified: Vec<String>,
    /// Whether it was the last operator who had a second factor that counts.
    pub was_last_operator: bool,
}

/// Shows the user whom `who` means.
///
/// # Errors
/// Those of the store.
pub(super) fn show(
    tools: &Tools,
    who: &str,
    issuer: Option<&str>,
    now: Timestamp,
) -> Result<Answer, Failure> {
    tools.store.read(|read| {
        let found = find(tools, read, who, issuer)?;
        let mut known = Vec::new();
        for user in found {
            if let Some(profile) = people::profile(read, user)? {
                known.push((user, profile));
            }
        }
        match known.as_slice() {
            [(user, profile)] => {
                let policy = policy::in_effect(read, &tools.policy)?;
                let view = view(read, &policy, *user, profile, now)?;
                Ok(Answer::User(Box::new(view)))
            }
            several => {
                let several = several.iter().take(MOST_LISTED);
                let identities = several.map(|(user, profile)| identity(*user, profile, now));
                Ok(Answer::Users(identities.collect()))
            }
        }
    })
}

/// Finds the users whom `who` means: by id, by subject, by user name, by verified address.
fn find(
    tools: &Tools,
    read: &dyn Read,
    who: &str,
    issuer: Option<&str>,
) -> Result<BTreeSet<PersonKey>, Failure> {
    if let Ok(id) = PersonKey::try_from(who.to_owned())
        && let Some(profile) = people::profile(read, id)?
        && issuer.is_none_or(|issuer| issuer == profile.issuer)
    {
        return Ok(BTreeSet::from([id]));
    }
    let issuers = match issuer {
        Some(issuer) => vec![issuer.to_owned()],
        None if tools.issuers.is_empty() => people::issuers(read)?,
        None => tools.issuers.clone(),
    };
    let keys = tools.store.sealer();
    let mut found = BTreeSet::new();
    for issuer in issuers {
        let by_subject = keys.person(&issuer, who);
        if people::profile(read, by_subject)?.is_some() {
            found.insert(by_subject);
        }
        for kind in [NameKind::Username, NameKind::Email] {
            let limit = MOST_LISTED + 1;
            found.extend(people::bearers(read, keys, kind, &issuer, who, limit)?);
        }
    }
    Ok(found)
}

fn identity(user: PersonKey, profile: &Profile, now: Timestamp) -> UserIdentity {
    UserIdentity {
        id: user,
        issuer: profile.issuer.clone(),
        subject: profile.subject.clone(),
        username: profile.username.clone(),
        email: profile
            .email
            .as_ref()
            .map(|email| email.as_str().to_owned()),
        tenants: profile
            .tenants(now)
            .into_iter()
            .map(str::to_owned)
            .collect(),
    }
}

fn view(
    read: &dyn Read,
    policy: &Policy,
    user: PersonKey,
    profile: &Profile,
    now: Timestamp,
) -> Result<UserView, Failure> {
    let factors = factor::devices(read, user, now)?.into_iter();
    let factors = factors.map(|device| FactorView {
        device_id: device.device_id.to_string(),
        kind: device.kind.to_owned(),
        name: device.name,
        is_pending: device.status == Status::Pending,
        created_at: device.created_at,
        last_used_at: device.last_used_at,
        expires_at: device.expires_at,
    });
    let locks = lockout::tallies(read, user)?.into_iter();
    let locks = locks.map(|(kind, tally)| {
        let standing = tally.standing(now);
        LockView {
            kind,
            failures: tally.misses(),
            locked_until: match standing {
                Standing::Locked(until) => Some(until),
                Standing::Open | Standing::Disabled => None,
            },
            is_disabled: standing == Standing::Disabled,
        }
    });
    let backup_codes = factor::backup_codes_left(read, user)?;
    let trusted = trust::list(read, user, now)?.into_iter();
    let trusted = trusted.filter(|device| now < device.end(policy.trusted_device_days));
    Ok(UserView {
        identity: identity(user, profile, now),
        met_at: profile.met_at,
        is_operator: people::is_operator(read, user)?,
        required: factor::required_of(read, policy, user, None, now)?,
        factors: factors.collect(),
        locks: locks.collect(),
        backup_codes: backup_codes.map(|left| BackupCodesView {
            total: left.total,
            remaining: left.remaining,
            created_at: left.created_at,
        }),
        trusted_devices: trusted.collect(),
        sessions: session::live(read, user, now)?,
        sign_ins: login::waiting(read, user, now)?,
        history: audit::history(read, user, None, HISTORY)?,
    })
}

/// Removes all second factors of `user`, in one transaction: see [`login::reset`]. The reason stands among the
/// operations.
///
/// # Errors
/// `not_found`, `invalid` for a reason that is none; those of the store.
pub(super) async fn reset(
    tools: &Tools,
    user: PersonKey,
    reason: &str,
    now: Timestamp,
) -> Result<Answer, Failure> {
    let reason = audit::reason(reason).ok_or_else(|| {
        let most = audit::LONGEST_REASON;
        Failure::new(
            codes::INVALID,
            format!("A reason has 1 to {most} characters that can be seen."),
        )
    })?;
    let request = RequestId::draw(&*tools.entropy)?;
    let settings = tools.policy.clone();
    let why = reason.clone();
    let done = tools.store.write(move |tx| {
        let profile = people::profile(tx, user)?.ok_or_else(no_user)?;
        let policy = policy::in_effect(tx, &settings)?;
        let before = view(tx, &policy, user, &profile, now)?;
        let operators_had_one = factor::some_operator_counts(tx, &policy)?;
        let notified = login::reset(tx, user, request, now)?;
        let about = format!("{} at {}", profile.subject, profile.issuer);
        let line = Operation::new(now, "user.reset", Some(about)).because(why.clone());
        audit::note(tx, &line)?;
        let has_one = factor::some_operator_counts(tx, &policy)?;
        Ok(UserReset {
            before,
            notified: notified
                .iter()
                .map(|address| address.as_str().to_owned())
                .collect(),
            was_last_operator: operators_had_one && !has_one,
        })
    });
    let done = done.await?;
    tracing::warn!(
        ?user,
        reason,
        "second factors of a user reset by an operator"
    );
    Ok(Answer::UserReset(Box::new(done)))
}

fn no_user() -> Failure {
    Failure::new(codes::NOT_FOUND, "There is no user of that id.")
        .with("hint", "see mfad user show WHO")
}
