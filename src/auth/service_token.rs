//! Which tokens are a client's own, and why a token makes no login service of its bearer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::caller::word;
use super::claims::Claims;
use super::settings::IssuerSettings;
use crate::base::Timestamp;

/// How Keycloak names the user that stands for a client: this and the client's ID, in lower case.
const SERVICE_ACCOUNT: &str = "service-account-";

/// Seconds between two log lines about one client.
const LOGGED_EVERY: u64 = 60;

/// The most clients that are logged within [`LOGGED_EVERY`].
const MOST_LOGGED: usize = 64;

/// The client whose own token this is; `None` for a user's.
///
/// A user name is a mark that users choose at many issuers, so it counts only for clients that `verify_clients` names.
/// For every other client the token is a user's: whoever bears such a name is not kept from the settings page by it.
pub(super) fn client_of<'a>(claims: &'a Claims, settings: &IssuerSettings) -> Option<&'a str> {
    marked(claims).or_else(|| {
        let named = named(claims)?;
        (lists(settings, named) && !tells_of_a_sign_in(claims)).then_some(named)
    })
}

/// Whether `client` may be a login service.
pub(super) fn is_admitted(client: &str, settings: &IssuerSettings) -> bool {
    settings.verify_clients.is_empty() || lists(settings, client)
}

fn lists(settings: &IssuerSettings, client: &str) -> bool {
    settings
        .verify_clients
        .iter()
        .any(|listed| listed == client)
}

/// The clients that the token may have been issued to, as `client_id` and `azp` say.
fn clients(claims: &Claims) -> impl Iterator<Item = &str> {
    [&claims.client_id, &claims.azp]
        .into_iter()
        .filter_map(|client| client.as_deref())
}

/// The client, where the issuer marks the token as its own in a way that no user can choose.
fn marked(claims: &Claims) -> Option<&str> {
    // RFC 9068 section 2.2: where no user is involved, `sub` is the client. A user's `sub` is the issuer's to give.
    if let Some(client) = clients(claims).find(|client| *client == claims.sub) {
        return Some(client);
    }
    let by_grant = claims
        .gty
        .as_ref()
        .is_some_and(|grant| grant.contains("client-credentials"));
    (by_grant || claims.token_type.as_deref() == Some("client_credentials"))
        .then(|| clients(claims).next().unwrap_or(&claims.sub))
}

/// The client, where the name of a user is all that says so. That is how Keycloak marks the tokens of service
/// accounts: `client_id`, which it writes into them as well, is in users' tokens of other issuers too.
fn named(claims: &Claims) -> Option<&str> {
    let account = claims
        .preferred_username
        .as_deref()?
        .strip_prefix(SERVICE_ACCOUNT)?;
    clients(claims).find(|client| client.to_lowercase() == account)
}

/// Whether the token says when or how a user signed in. Keycloak says neither of a service account; its earlier
/// versions say 0 for the time.
fn tells_of_a_sign_in(claims: &Claims) -> bool {
    claims.auth_time.is_some_and(|at| at != 0)
        || claims
            .amr
            .as_ref()
            .is_some_and(|amr| !amr.as_slice().is_empty())
}

/// Why a token makes no login service of its bearer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAService {
    /// An ordinary token of a user.
    #[error("the token is a user's")]
    User,
    /// It does not carry the scope.
    #[error("the token lacks the scope of login services")]
    Scope,
    /// Others are named, and this one is not.
    #[error("verify-client does not name this client")]
    Unlisted,
    /// Users can choose such a name.
    #[error(
        "only a user name says that it is this client's token, and verify-client does not name the client"
    )]
    NameOnly,
    /// A user of such a name has signed in through the client.
    #[error(
        "it has the name of this client's service account, but says when or how a user signed in"
    )]
    SignedIn,
}

impl NotAService {
    /// The reason for `claims`, which make no login service by `settings`, and the client that it is about.
    pub fn of(claims: &Claims, settings: &IssuerSettings) -> (Self, Option<String>) {
        let marked = marked(claims);
        let Some(client) = marked.or_else(|| named(claims)) else {
            return (NotAService::User, None);
        };
        let why = if !claims.has_scope(&settings.verify_scope) {
            NotAService::Scope
        } else if marked.is_some() {
            NotAService::Unlisted
        } else if lists(settings, client) {
            NotAService::SignedIn
        } else {
            NotAService::NameOnly
        };
        (why, word(client))
    }

    /// Whether an operator can do something about it, and should hear of it.
    fn is_for_the_operator(&self) -> bool {
        !matches!(self, NotAService::User | NotAService::Scope)
    }
}

/// Tells the log which clients' tokens were refused and which line of the settings would admit them: each client once
/// a minute at the most.
#[derive(Default)]
pub(super) struct RefusedServices {
    logged: Mutex<HashMap<(String, String), Timestamp>>,
}

impl RefusedServices {
    /// Logs that a token of `client` was refused at `now`, unless that was logged a moment ago.
    pub fn log(&self, why: &NotAService, client: &str, settings: &IssuerSettings, now: Timestamp) {
        let issuer = settings.issuer.as_str();
        if !why.is_for_the_operator() || !self.is_due(issuer, client, now) {
            return;
        }
        let add = match why {
            NotAService::SignedIn => {
                "nothing: give the client's own service account a token".to_owned()
            }
            _ => verify_client_line(&settings.verify_clients, client),
        };
        tracing::warn!(issuer, client, reason = %why, add, "service token refused");
    }

    fn is_due(&self, issuer: &str, client: &str, now: Timestamp) -> bool {
        // A clock that was set back does not silence it.
        let fresh = |at: &Timestamp| *at <= now && now.since(*at) < LOGGED_EVERY;
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.retain(|_, at| fresh(at));
        let key = (issuer.to_owned(), client.to_owned());
        if logged.len() >= MOST_LOGGED || logged.contains_key(&key) {
            return false;
        }
        logged.insert(key, now);
        true
    }
}

/// The line of the settings file that names `client` next to those that are `listed`, and the flag that does the same.
pub fn verify_client_line(listed: &[String], client: &str) -> String {
    // JSON writes strings as TOML does.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let all: Vec<String> = listed
        .iter()
        .map(String::as_str)
        .chain([client])
        .map(quoted)
        .collect();
    format!(
        "verify-client = [{}] (or --verify-client {client})",
        all.join(", ")
    )
}
