//! Whom a service means.

use crate::base::{Failure, PersonKey, Violation};
use crate::clients::{Sends, Service};
use crate::people::{self, Found, NameKind};
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
    pub tenant: Option<String>,
}

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
    let may = |tenant: Option<&str>| service.may_ask_about(tenant);
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
        None => Some(name.clone()),
        Some(_) => people::normal(name),
    };
    let Some(spelled) = spelled else {
        // To find nobody is to let somebody in of whom nothing is asked: a service that is laxer about names than
        // we are, and takes `alice ` for Alice, must not come to that.
        return Err(Failure::invalid(vec![Violation {
            loc: vec!["body".into(), named.field().into()],
            msg: "Input should be a name without blanks around it and control characters in it"
                .into(),
            kind: "value_error",
        }]));
    };
    let nobody = |subject: Option<&String>| Whom {
        key: keys.person(NOBODY, &format!("{issuer}\0{kind:?}\0{spelled}")),
        issuer: issuer.to_owned(),
        subject: subject.cloned(),
        // A service of one tenant asks about that one.
        tenant: match service.tenants.as_slice() {
            [tenant] => Some(tenant.clone()),
            _ => None,
        },
    };
    tools.store.read(|read| {
        let key = match kind {
            None => keys.person(issuer, name),
            Some(kind) => match people::find(read, keys, kind, issuer, name, &may)? {
                Found::One(key) => key,
                Found::Nobody => return Ok(nobody(None)),
                Found::Several => {
                    let detail = "More than one person goes by that name. Send their subject.";
                    return Err(Failure::new(AMBIGUOUS_NAME, detail));
                }
            },
        };
        match people::profile(read, key)? {
            Some(profile) if may(profile.tenant.as_deref()) => Ok(Whom {
                key,
                issuer: profile.issuer,
                subject: Some(profile.subject),
                tenant: profile.tenant,
            }),
            // Somebody else's people are nobody.
            Some(_) => Ok(nobody(None)),
            // They have never been here, and so have no factor either.
            None => Ok(Whom {
                key,
                ..nobody(Some(name))
            }),
        }
    })
}
