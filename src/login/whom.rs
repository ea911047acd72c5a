//! Whom a service means.

use crate::base::{Failure, PersonKey, Violation};
use crate::clients::{Sends, Service};
use crate::factor::kinds_of;
use crate::people::{self, Fit, Found, Lookup, NameKind, Profile};
use crate::services::Services;

use super::AMBIGUOUS_NAME;

/// What stands in the place of an issuer where there is nobody: no issuer is called so.
const NOBODY: &str = "\0nobody";

/// A name, as a service sends it.
#[derive(Clone, PartialEq, Eq)]
pub enum Named {
    /// The person's `sub` at their issuer.
    Subject(String),
    /// A login name: what sort, the service's registration says.
    Username(String),
    /// Whatever the service's registration says.
    AsRegistered(String),
}

impl Named {
    /// The field that it came in.
    fn field(&self) -> &'static str {
        match self {
            Named::Subject(_) => "subject",
            Named::Username(_) => "username",
            Named::AsRegistered(_) => "user",
        }
    }
}

/// The person who is meant, or somebody who has nothing.
#[derive(Clone)]
pub struct Whom {
    /// Where there is nobody of that name whom the service may ask about: a key that is nobody's, the same
    /// for the same name, so that guesses are counted as everywhere.
    pub key: PersonKey,
    pub issuer: String,
    /// `None` where there is nobody.
    pub subject: Option<String>,
    /// The tenants that they are of; of somebody unknown, those that the service asks about.
    pub tenants: Vec<String>,
    pub acquaintance: Acquaintance,
}

/// What the one who is meant is to this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    /// A user whom it has met, and whom the service may ask about.
    Known,
    /// Somebody whom it has never met.
    Unknown,
    /// Somebody whom the service must not let in: a user of another tenant, a name that was given up, or another
    /// spelling of an account that may be somebody's.
    Barred,
}

/// Marks of a name that says more than the account's own: `alice@example.com` and `EXAMPLE\alice` may both be alice.
const QUALIFIED: [char; 2] = ['@', '\\'];

/// Finds out whom `service` means.
///
/// # Errors
/// `ambiguous_name` where several people go by it, a misfit where nobody could; those of the store.
pub fn find(
    tools: &Services,
    service: &Service,
    issuer: &str,
    named: &Named,
) -> Result<Whom, Failure> {
    let keys = tools.keys();
    let (kind, name) = match (named, service.sends) {
        (Named::Subject(name), _) | (Named::AsRegistered(name), Sends::Subject) => (None, name),
        (Named::Username(name) | Named::AsRegistered(name), Sends::Email) => {
            (Some(NameKind::Email), name)
        }
        (Named::Username(name), _) | (Named::AsRegistered(name), Sends::Username) => {
            (Some(NameKind::Username), name)
        }
    };
    // Two spellings of a name that somebody bears are one person, and so they are of one that nobody bears.
    let spelled = match kind {
        // A subject is compared to the letter, and is text all the same.
        None => people::prepared(NameKind::Username, name).map(|_| name.clone()),
        Some(kind) => people::prepared(kind, name),
    };
    let Some(spelled) = spelled else {
        // A directory that is laxer about names than we are may take it for somebody's.
        return Err(Failure::invalid(vec![Violation {
            loc: vec!["body".into(), named.field().into()],
            msg: "Input should be a name without control characters that has a visible character"
                .into(),
            kind: "value_error",
        }]));
    };
    let nobody = |acquaintance| Whom {
        key: keys.person(NOBODY, &format!("{issuer}\0{kind:?}\0{spelled}")),
        issuer: issuer.to_owned(),
        subject: None,
        // A service of some tenants asks about those.
        tenants: service.tenants.clone(),
        acquaintance,
    };
    let now = tools.now();
    tools.store.read(|read| {
        let fit = |key: PersonKey, profile: &Profile| {
            let tenants = profile.tenants(now);
            let is_meant = service.may_ask_about(&tenants);
            if !is_meant && !tenants.is_empty() {
                return Ok(Fit::Barred);
            }
            let is_enrolled = !kinds_of(read, key)?.is_empty();
            Ok(if is_meant && is_enrolled {
                Fit::Enrolled
            } else if is_meant {
                Fit::Meant
            } else if is_enrolled {
                // Of no tenant that is known, and so maybe of this one.
                Fit::Blocking
            } else {
                Fit::Ignored
            })
        };
        let key = match kind {
            None => keys.person(issuer, name),
            Some(kind) => {
                let lookup = Lookup {
                    kind,
                    issuer,
                    name,
                    now,
                };
                match people::find(read, keys, &lookup, &fit)? {
                    Found::One(key) => key,
                    // It may be another spelling of a name that the service has for somebody's.
                    Found::Nobody if spelled.contains(QUALIFIED) => {
                        return Ok(nobody(Acquaintance::Barred));
                    }
                    Found::Nobody => return Ok(nobody(Acquaintance::Unknown)),
                    Found::Barred => return Ok(nobody(Acquaintance::Barred)),
                    Found::Several => {
                        let detail = "More than one person goes by that name. Send their subject.";
                        return Err(Failure::new(AMBIGUOUS_NAME, detail));
                    }
                }
            }
        };
        let Some(profile) = people::profile(read, key)? else {
            // They have never been here, and so have no factor either.
            return Ok(Whom {
                key,
                subject: Some(name.clone()),
                ..nobody(Acquaintance::Unknown)
            });
        };
        Ok(match fit(key, &profile)? {
            Fit::Meant | Fit::Enrolled => Whom {
                key,
                tenants: profile
                    .tenants(now)
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
                issuer: profile.issuer,
                subject: Some(profile.subject),
                acquaintance: Acquaintance::Known,
            },
            Fit::Barred | Fit::Blocking => nobody(Acquaintance::Barred),
            Fit::Ignored => nobody(Acquaintance::Unknown),
        })
    })
}
