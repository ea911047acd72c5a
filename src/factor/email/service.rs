//! A code is sent in three steps: a place is reserved, so that a hundred
//! requests at once send one mail; the mail is handed to the SMTP server; and
//! only when that has taken it does anything change. Where it does not take
//! it, the place is given back and nothing has happened.

use std::sync::Arc;

use crate::auth::{self, Person};
use crate::base::{ChallengeId, DeviceId, Failure, PersonKey, Secret, Timestamp, codes};
use crate::crypto::DigitCode;
use crate::factor::enrollment::{confirmations_left, unconfirmed};
use crate::factor::proof::{BackupCodes, expired, used};
use crate::factor::{
    ALREADY_ENABLED, Answer, By, Deed, Desk, Device, Factor, NOT_ENABLED, NOT_OFFERED, NOT_PENDING,
    Refusal, Remembered, Verdict, refuse,
};
use crate::lockout;
use crate::mail::{Address, CodeLetter, Letter, Mailer, SendError, Stage};
use crate::services::Services;
use crate::store::Tx;
use crate::wire::Me;
use crate::words::Language;

use super::code::{keep, tries_left, verify_code};
use super::quota::{self, Ticket, count, give_back, reserve};
use super::record::{Active, MailedCode, Pending, Purpose};
use super::rule::{CODE_TTL, PENDING_TTL};
use super::{EMAIL_UNKNOWN, EMAIL_UNVERIFIED};

/// A code is on its way.
pub struct Sent {
    /// To where.
    pub to: Address,
    /// When the code is no longer good.
    pub expires_at: Timestamp,
    /// Seconds until another may be asked for.
    pub resend_after: u64,
    /// Of the mailbox among the person's devices.
    pub device_id: DeviceId,
}

/// Mails a code to the address that the issuer has of the person, to turn on email codes.
pub async fn enable(desk: &Arc<Desk>, me: &Me, code: Option<Answer>) -> Result<Sent, Failure> {
    const ACTION: &str = "email.enable";
    let by = By::from(me);
    let mailer = mailer(desk, &by, ACTION).await?;
    // The issuer is not asked for somebody who would be refused anyway.
    let brings_code = code.is_some();
    let proven = desk
        .prepare(me, ACTION, move |deed| {
            deed.lets_set_up(&deed.desk.factors.email)?;
            if deed.tx.get::<Active>(&deed.person)?.is_some() {
                return refuse(already_enabled());
            }
            let proven = !brings_code && deed.step_up(None)?;
            quota::check(deed, Purpose::TurnOn)?;
            Ok(proven)
        })
        .await?;
    let address = match known_address(&desk.tools, &me.person, &me.token).await {
        Err(failure)
            if failure.code() == codes::UNAVAILABLE || failure.code() == codes::INTERNAL =>
        {
            return Err(failure);
        }
        other => other.map_err(Remembered::new),
    };
    let (address, language, ticket, proved_with, proven) = desk
        .prepare(me, ACTION, {
            move |deed| {
                let address = match &address {
                    Ok(address) => address.clone(),
                    Err(remembered) => {
                        return refuse(remembered.failure());
                    }
                };
                if deed.tx.get::<Active>(&deed.person)?.is_some() {
                    return refuse(already_enabled());
                }
                let mut proven = proven;
                if code.is_some() {
                    // Not spent on what would be refused anyway.
                    quota::check(deed, Purpose::TurnOn)?;
                    proven = deed.step_up(code.as_ref())?;
                }
                let ticket = reserve(deed, &address, Purpose::TurnOn)?;
                let language = deed.language()?;
                Ok((address, language, ticket, deed.proved_with, proven))
            }
        })
        .await?;
    let to = address.clone();
    let unsent = Unsent {
        to: address.clone(),
        language,
        purpose: Purpose::TurnOn,
        ticket,
    };
    let code = send(desk, &by, ACTION, &mailer, unsent).await?;
    desk.act(me, ACTION, move |deed| {
        deed.proved_with = proved_with;
        count(deed)?;
        // An older code may have been confirmed while this one was on its way.
        if deed.tx.get::<Active>(&deed.person)?.is_some() {
            return refuse(already_enabled());
        }
        // As may another factor, which asks for a proof.
        if deed.is_void(proven)? {
            return refuse(deed.asks_for_proof());
        }
        keep(deed, &address, Purpose::TurnOn, &code)?;
        // A resend goes on with the same device.
        let known = deed
            .tx
            .get::<Pending>(&deed.person)?
            .filter(|p| p.address == address && deed.now < p.expires_at);
        let (device_id, created_at, failures) = match known {
            Some(pending) => (pending.device_id, pending.created_at, pending.failures),
            None => (DeviceId::draw(&*deed.desk.tools.entropy)?, deed.now, 0),
        };
        let expires_at = deed.now.plus(PENDING_TTL);
        let pending = Pending {
            device_id,
            address: address.clone(),
            created_at,
            expires_at,
            proven,
            failures,
        };
        deed.tx.put_until(&deed.person, &pending, expires_at)?;
        deed.about(device_id);
        Ok((device_id, expires_at))
    })
    .await
    .map(|(device_id, expires_at)| Sent {
        to,
        expires_at,
        resend_after: desk.tools.email_resend_after,
        device_id,
    })
}

/// Mails a code to a person whose email codes are on: to allow a change, or to finish the sign-in that
/// `check` lets through.
pub async fn send_code(
    desk: &Arc<Desk>,
    by: &By,
    action: &'static str,
    purpose: Purpose,
    check: impl Fn(&mut Deed<'_, '_>) -> Result<(), Refusal> + Clone + Send + 'static,
) -> Result<Sent, Failure> {
    let mailer = mailer(desk, by, action).await?;
    let (active, language, ticket) = desk
        .prepare(by, action, {
            let check = check.clone();
            move |deed| {
                check(deed)?;
                let active = require_active(deed)?;
                let standing = lockout::standing(deed.tx, deed.person, super::KIND, deed.now)?;
                // A mail that could not be answered would only be noise.
                deed.admit(standing)?;
                let ticket = reserve(deed, &active.address, purpose)?;
                Ok((active, deed.language()?, ticket))
            }
        })
        .await?;
    let unsent = Unsent {
        to: active.address.clone(),
        language,
        purpose,
        ticket,
    };
    let code = send(desk, by, action, &mailer, unsent).await?;
    let (to, device_id) = (active.address.clone(), active.device_id);
    desk.act(by, action, move |deed| {
        deed.about(active.device_id);
        count(deed)?;
        check(deed)?;
        // Email codes may have been turned off, and on again elsewhere, while this one was on its way.
        if require_active(deed)?.device_id != active.device_id {
            return refuse(not_enabled());
        }
        keep(deed, &active.address, purpose, &code)?;
        Ok(deed.now.plus(CODE_TTL))
    })
    .await
    .map(|expires_at| Sent {
        to,
        expires_at,
        resend_after: desk.tools.email_resend_after,
        device_id,
    })
}

/// The sign-in `challenge` is over: its code is an answer to nothing.
pub fn forget_sign_in(tx: &mut Tx<'_>, person: PersonKey, challenge: ChallengeId) {
    tx.delete::<MailedCode>(&(person, Purpose::SignIn(challenge).name()));
}

/// Mails the code of the sign-in `challenge`.
pub async fn send_sign_in(
    desk: &Arc<Desk>,
    by: &By,
    challenge: ChallengeId,
    check: impl Fn(&mut Deed<'_, '_>) -> Result<(), Refusal> + Clone + Send + 'static,
) -> Result<Sent, Failure> {
    send_code(desk, by, "login.email", Purpose::SignIn(challenge), check).await
}

/// A mailed code allows a change only where there is no app whose code would.
pub fn allows_changes(deed: &mut Deed<'_, '_>) -> Result<(), Refusal> {
    require_active(deed)?;
    if deed.takes_app_codes()? {
        let detail =
            "Use the code of your authenticator app: mailed codes are taken where there is none.";
        return refuse(Failure::new(NOT_OFFERED, detail));
    }
    Ok(())
}

/// Confirms the pending address with the code that was mailed to it.
pub fn confirm(
    deed: &mut Deed<'_, '_>,
    answer: &Answer,
) -> Result<(Device, Option<Vec<String>>), Refusal> {
    let factor = &deed.desk.factors.email;
    deed.lets_set_up(factor)?;
    let mut pending = deed.tx.get::<Pending>(&deed.person)?;
    if let Some(found) = &pending
        && deed.is_void(found.proven)?
    {
        pending = None;
    }
    let Some(pending) = pending else {
        return refuse(Failure::new(
            NOT_PENDING,
            "No address waits for confirmation. Ask for a code first.",
        ));
    };
    deed.about(pending.device_id);
    match verify_code(
        &deed.desk.tools,
        deed.tx,
        deed.person,
        Purpose::TurnOn,
        answer,
        deed.now,
    )? {
        Verdict::Right => {}
        Verdict::Used(wait) => return refuse(used(wait)),
        Verdict::Wrong => return refuse(failed(deed, pending)?),
        Verdict::Expired | Verdict::NothingSent => return refuse(expired()),
    }
    let active = Active {
        device_id: pending.device_id,
        address: pending.address,
        created_at: deed.now,
        last_used_at: None,
    };
    deed.tx.put(&deed.person, &active)?;
    deed.tx.delete::<Pending>(&deed.person);
    let device = active.device();
    let codes = deed.added(factor, &device)?;
    Ok((device, codes))
}

/// Counts a wrong code against the set-up, which is void after the last, and returns what to answer: with the tries that
/// are left of it or of the code that was emailed, whichever ends first.
fn failed(deed: &mut Deed<'_, '_>, mut pending: Pending) -> Result<Failure, Failure> {
    pending.failures = pending.failures.saturating_add(1);
    let left = confirmations_left(pending.failures);
    if left == 0 {
        deed.desk
            .factors
            .email
            .forget_pending(deed.tx, deed.person)?;
        return Ok(unconfirmed(0, true));
    }
    deed.tx
        .put_until(&deed.person, &pending, pending.expires_at)?;
    let of_code = tries_left(deed.tx, deed.person, Purpose::TurnOn)?;
    Ok(unconfirmed(left.min(of_code), false))
}

/// Turns email codes off.
pub fn disable(deed: &mut Deed<'_, '_>, answer: &Answer) -> Result<(), Refusal> {
    let active = require_active(deed)?;
    let factor = &deed.desk.factors.email;
    deed.lets_remove(factor, active.device_id)?;
    deed.prove(answer, BackupCodes::Taken)?;
    factor.forget(deed.tx, deed.person)?;
    Ok(deed.removed(factor, &active.device(), Some(active.address))?)
}

fn require_active(deed: &mut Deed<'_, '_>) -> Result<Active, Refusal> {
    match deed.tx.get::<Active>(&deed.person)? {
        Some(active) => Ok(active),
        None => refuse(not_enabled()),
    }
}

fn not_enabled() -> Failure {
    Failure::new(NOT_ENABLED, "Email codes are not turned on.")
}

fn already_enabled() -> Failure {
    Failure::new(ALREADY_ENABLED, "Email codes are turned on already.")
}

async fn mailer(desk: &Arc<Desk>, by: &By, action: &'static str) -> Result<Mailer, Failure> {
    match &desk.tools.mailer {
        Some(mailer) => Ok(mailer.clone()),
        None => {
            desk.prepare(by, action, |_| {
                refuse(Failure::new(
                    NOT_OFFERED,
                    "This server sends no mail, so it offers no email codes.",
                ))
            })
            .await
        }
    }
}

/// The address that the issuer has of the person: as claimed in the token, else from userinfo.
async fn known_address(
    tools: &Services,
    person: &Person,
    token: &Secret<String>,
) -> Result<Address, Failure> {
    let email: Option<auth::Email> = tools.verifier.email_of(person, token.expose()).await?;
    let Some(email) = email else {
        return Err(Failure::new(
            EMAIL_UNKNOWN,
            "Your sign-in provider does not tell us an email address of yours.",
        ));
    };
    if email.verified == Some(false) {
        return Err(Failure::new(
            EMAIL_UNVERIFIED,
            "Your sign-in provider has not verified your email address.",
        ));
    }
    email.address.parse::<Address>().map_err(|e| {
        Failure::new(
            EMAIL_UNKNOWN,
            "The email address that your sign-in provider has of you cannot be written to.",
        )
        .because(e)
    })
}

/// A code that is to be mailed.
struct Unsent {
    to: Address,
    /// The person's.
    language: Language,
    purpose: Purpose,
    /// The place that is reserved for it.
    ticket: Ticket,
}

/// Hands one code to the SMTP server, or gives the place back.
async fn send(
    desk: &Arc<Desk>,
    by: &By,
    action: &'static str,
    mailer: &Mailer,
    unsent: Unsent,
) -> Result<Arc<DigitCode>, Failure> {
    let tools = &desk.tools;
    let code = DigitCode::draw(&*tools.entropy)?;
    let content = CodeLetter {
        service_name: &tools.service_name,
        contact: tools.brand.contact.as_deref(),
        code: code.as_str(),
        purpose: unsent.purpose.in_words(),
        minutes: CODE_TTL / 60,
    };
    let letter = Letter::compose(unsent.to, &content, unsent.language, &*tools.entropy)?;
    let Err(error) = mailer.send(&letter).await else {
        return Ok(Arc::new(code));
    };
    // Cut off in the middle of the letter, the server may deliver it all the same.
    let may_have_left =
        matches!(&error, SendError::Temporary(trouble) if trouble.stage() == Stage::Letter);
    tracing::warn!(%error, "a code could not be mailed");
    let refused = Remembered::new(error.into());
    desk.prepare(by, action, move |deed| {
        give_back(deed, &unsent.ticket, may_have_left)?;
        refuse(refused.failure())
    })
    .await
}
