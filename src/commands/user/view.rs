//! A user, in words and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::audit::{Actor, Event, Outcome};
use crate::base::{Timestamp, terminal_text};
use crate::console::{FactorView, LockView, UserIdentity, UserView};

/// What an operator would call the user, and what the output calls them.
pub fn name(user: &UserIdentity) -> String {
    terminal_text(user.username.as_ref().unwrap_or(&user.subject))
}

/// All that tells users of one name apart, on a line.
pub fn line(user: &UserIdentity) -> String {
    let mut text = format!("  {}", name(user));
    if let Some(email) = &user.email {
        let _ = write!(text, "  {}", terminal_text(email));
    }
    let _ = write!(text, "  subject {}", terminal_text(&user.subject));
    let _ = write!(text, "  issuer {}", terminal_text(&user.issuer));
    if !user.tenants.is_empty() {
        let _ = write!(text, "  tenant {}", terminal_text(&user.tenants.join(", ")));
    }
    let _ = writeln!(text, "  id {}", String::from(user.id));
    text
}

/// What a reset removes, in words.
pub fn held(user: &UserView) -> String {
    let of_kind = |kind: &str| {
        let active = user.factors.iter().filter(|factor| !factor.is_pending);
        active.filter(|factor| factor.kind == kind).count()
    };
    let pending = user.factors.iter().filter(|factor| factor.is_pending);
    let codes = user.backup_codes.map_or(0, |codes| codes.remaining);
    let counted = [
        (of_kind("totp"), "authenticator app", "authenticator apps"),
        (of_kind("webauthn"), "security key", "security keys"),
        (of_kind("email"), "mailbox for codes", "mailboxes for codes"),
        (pending.count(), "set-up under way", "set-ups under way"),
        (codes, "unused backup code", "unused backup codes"),
        (
            user.locks.len(),
            "count of wrong codes",
            "counts of wrong codes",
        ),
        (
            user.trusted_devices.len(),
            "trusted browser",
            "trusted browsers",
        ),
        (user.sessions.len(), "session", "sessions"),
        (
            user.sign_ins.len(),
            "sign-in under way",
            "sign-ins under way",
        ),
    ];
    let there: Vec<String> = counted
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, more)| format!("{count} {}", if count == 1 { one } else { more }))
        .collect();
    match there.is_empty() {
        true => "nothing, since nothing was there".to_owned(),
        false => there.join(", "),
    }
}

/// The user, for people.
pub fn words(user: &UserView) -> String {
    let identity = &user.identity;
    let mut text = format!("{}\n", name(identity));
    let mut row = |label: &str, value: &str| {
        // Writing into a text does not fail.
        let _ = writeln!(text, "  {label:<16}{}", terminal_text(value));
    };
    if let Some(email) = &identity.email {
        row("email", email);
    }
    row("subject", &identity.subject);
    row("issuer", &identity.issuer);
    if !identity.tenants.is_empty() {
        row("tenant", &identity.tenants.join(", "));
    }
    row("id", &String::from(identity.id));
    row("known since", &user.met_at.to_string());
    if user.is_operator {
        row("operator", "yes");
    }
    if user.required {
        row("policy", "a second factor is required");
    }
    if user.factors.is_empty() {
        row(
            "factor",
            match user.required {
                true => "none: the password alone is enough to set one up",
                false => "none: the password alone is enough",
            },
        );
    }
    for factor in &user.factors {
        row("factor", &factor_words(factor));
    }
    for lock in &user.locks {
        row("wrong codes", &lock_words(lock));
    }
    if let Some(codes) = user.backup_codes {
        let (left, total) = (codes.remaining, codes.total);
        let made = format!("{left} of {total} left, made {}", codes.created_at);
        row("backup codes", &made);
    }
    for device in &user.trusted_devices {
        let agent = device.user_agent.as_deref().unwrap_or("a browser");
        let used = moment(device.last_used_at);
        let (service, since) = (&device.service, device.created_at);
        let trusted = format!("{agent} at {service}, since {since}, last used {used}");
        row("trusted", &trusted);
    }
    for session in &user.sessions {
        let (since, used) = (session.created_at, session.used_at);
        row("session", &format!("since {since}, last used {used}"));
    }
    for sign_in in &user.sign_ins {
        let (service, since) = (&sign_in.service, sign_in.created_at);
        row("sign-in", &format!("at {service}, waits since {since}"));
    }
    for (_, event) in &user.history {
        row("history", &event_words(event));
    }
    text
}

fn factor_words(factor: &FactorView) -> String {
    let FactorView {
        kind,
        name,
        device_id,
        created_at,
        ..
    } = factor;
    match factor.is_pending {
        true => format!("{kind}  {name}  being set up since {created_at}  {device_id}"),
        false => {
            let used = moment(factor.last_used_at);
            format!("{kind}  {name}  since {created_at}, last used {used}  {device_id}")
        }
    }
}

fn lock_words(lock: &LockView) -> String {
    let (kind, failures) = (&lock.kind, lock.failures);
    let state = match (lock.is_disabled, lock.locked_until) {
        (true, _) => ", disabled".to_owned(),
        (false, Some(until)) => format!(", locked until {until}"),
        (false, None) => String::new(),
    };
    format!("{kind}  {failures} in a row{state}")
}

fn event_words(event: &Event) -> String {
    let mut text = format!("{}  {}", event.at, event.action);
    if event.count > 1 {
        let _ = write!(text, "  {} times", event.count);
    }
    if event.outcome == Outcome::Refused {
        let reason = event.reason.as_deref().unwrap_or_default();
        let _ = write!(text, "  refused: {reason}");
    }
    if let Some(factor) = &event.factor {
        let _ = write!(text, "  by {factor}");
    }
    let _ = match &event.actor {
        Actor::Person => Ok(()),
        Actor::Service { id } => write!(text, "  at {id}"),
        Actor::System => write!(text, "  by system"),
    };
    if let Some(ip) = event.origin.ip {
        let _ = write!(text, "  from {ip}");
    }
    if event.left_out > 0 {
        let _ = write!(text, "  ({} before it left out)", event.left_out);
    }
    text
}

fn moment(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "never".to_owned(), |at| at.to_string())
}

/// The user, for programs; all times are RFC 3339.
pub fn json(user: &UserView) -> Value {
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let factors = user.factors.iter().map(|factor| {
        json!({
            "device_id": factor.device_id,
            "type": factor.kind,
            "name": factor.name,
            "status": if factor.is_pending { "pending" } else { "active" },
            "created_at": factor.created_at.to_string(),
            "last_used_at": text(factor.last_used_at),
            "expires_at": text(factor.expires_at),
        })
    });
    let locks = user.locks.iter().map(|lock| {
        json!({
            "type": lock.kind,
            "wrong_codes": lock.failures,
            "locked_until": text(lock.locked_until),
            "disabled": lock.is_disabled,
        })
    });
    let codes = user.backup_codes.map(|codes| {
        json!({
            "total": codes.total,
            "remaining": codes.remaining,
            "created_at": codes.created_at.to_string(),
        })
    });
    let trusted = user.trusted_devices.iter().map(|device| {
        json!({
            "id": device.id.to_string(),
            "service": device.service,
            "user_agent": device.user_agent,
            "created_at": device.created_at.to_string(),
            "last_used_at": text(device.last_used_at),
        })
    });
    let sessions = user.sessions.iter().map(|session| {
        json!({
            "created_at": session.created_at.to_string(),
            "last_used_at": session.used_at.to_string(),
            "expires_at": session.expires_at.to_string(),
        })
    });
    let sign_ins = user.sign_ins.iter().map(|sign_in| {
        json!({
            "service": sign_in.service,
            "created_at": sign_in.created_at.to_string(),
            "expires_at": sign_in.expires_at.to_string(),
        })
    });
    let history = user.history.iter().map(|(number, event)| {
        json!({
            "id": number,
            "at": event.at.to_string(),
            "actor": event.actor,
            "action": event.action,
            "outcome": event.outcome,
            "reason": event.reason,
            "factor": event.factor,
            "device_id": event.device.map(|id| id.to_string()),
            "ip": event.origin.ip,
            "count": event.count,
            "last_at": event.last_at.map(|at| at.to_string()),
            "left_out": event.left_out,
        })
    });
    json!({
        "id": String::from(user.identity.id),
        "issuer": user.identity.issuer,
        "subject": user.identity.subject,
        "username": user.identity.username,
        "email": user.identity.email,
        "tenants": user.identity.tenants,
        "known_since": user.met_at.to_string(),
        "operator": user.is_operator,
        "required": user.required,
        "factors": factors.collect::<Vec<_>>(),
        "wrong_codes": locks.collect::<Vec<_>>(),
        "backup_codes": codes,
        "trusted_devices": trusted.collect::<Vec<_>>(),
        "sessions": sessions.collect::<Vec<_>>(),
        "sign_ins": sign_ins.collect::<Vec<_>>(),
        "history": history.collect::<Vec<_>>(),
    })
}
