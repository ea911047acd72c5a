//! What a login service may be, and what it may do.

use url::Url;

use crate::auth::LoginService;
use crate::base::{Failure, Timestamp, is_this_machine};

use super::BAD_SERVICE;
use super::record::{KeptKey, Sends, Service, Unknown};

/// Characters of a service's name at the most.
pub const LONGEST_ID: usize = 63;
/// Return URLs of a service at the most.
pub const MOST_URLS: usize = 20;
/// Bytes of a return URL at the most.
pub const LONGEST_URL: usize = 2048;
/// Tenants of a service at the most.
pub const MOST_TENANTS: usize = 50;
/// Seconds that an old key may go on beside a new one at the most: 90 days.
pub const LONGEST_OVERLAP: u64 = 90 * 86_400;
/// Bytes of a tenant's or a client's name at the most.
const LONGEST_NAME: usize = 255;

impl Service {
    /// A client that nobody has registered: it speaks of people by their `sub`, of its own tenant
    /// alone where its token has one, and sends nobody anywhere.
    pub fn of_token(token: &LoginService) -> Service {
        Service {
            id: token.client.clone(),
            sends: Sends::Subject,
            tenants: token.tenant.iter().cloned().collect(),
            return_urls: Vec::new(),
            client_id: Some(token.client.clone()),
            issuer: Some(token.issuer.clone()),
            unknown: Some(Unknown::Enroll),
        }
    }

    /// What a user is to it whom this server has never met.
    pub fn unknown(&self) -> Unknown {
        self.unknown.unwrap_or(Unknown::Allow)
    }

    /// Whether it asks about people of some tenants alone.
    pub fn is_confined(&self) -> bool {
        !self.tenants.is_empty()
    }

    /// Whether it may ask about somebody who is of these `tenants`.
    pub fn may_ask_about(&self, tenants: &[&str]) -> bool {
        let is_own = |tenant: &&str| self.tenants.iter().any(|own| own == tenant);
        !self.is_confined() || tenants.iter().any(is_own)
    }

    /// Whether people may be sent back to `url`: one that is registered, to the letter.
    pub fn returns_to(&self, url: &str) -> bool {
        self.return_urls.iter().any(|own| own == url)
    }

    /// Whether this can be registered.
    ///
    /// # Errors
    /// `bad_service`, in words for whoever registers it.
    pub fn check(&self) -> Result<(), Failure> {
        if !is_id(&self.id) {
            return Err(bad(
                format!("{:?} is no name for a service", self.id),
                "use up to 63 small letters, digits, dots, hyphens and underscores, the first a letter or digit",
            ));
        }
        if self.tenants.len() > MOST_TENANTS || !self.tenants.iter().all(|name| is_name(name)) {
            return Err(bad(
                format!(
                    "a tenant's name is empty, too long or unprintable, or there are more than {MOST_TENANTS}"
                ),
                "write tenants as in the tenant_id of people's tokens",
            ));
        }
        if self.client_id.as_ref().is_some_and(|id| !is_name(id)) {
            return Err(bad(
                "the client id is empty, too long or unprintable".to_owned(),
                "write it as in the client_id of the service's own tokens",
            ));
        }
        if self
            .issuer
            .as_ref()
            .is_some_and(|issuer| !is_issuer(issuer))
        {
            return Err(bad(
                "the issuer is empty, too long or contains blanks".to_owned(),
                "copy the iss of one of its tokens",
            ));
        }
        if self.return_urls.len() > MOST_URLS {
            return Err(bad(
                format!("there are more than {MOST_URLS} return URLs"),
                "register another service for the others",
            ));
        }
        self.return_urls.iter().try_for_each(|url| return_url(url))
    }
}

fn bad(why: String, hint: &'static str) -> Failure {
    Failure::new(BAD_SERVICE, why).with("hint", hint)
}

fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    id.len() <= LONGEST_ID
        && id.bytes().next().is_some_and(plain)
        && id
            .bytes()
            .all(|byte| plain(byte) || matches!(byte, b'.' | b'_' | b'-'))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control)
}

fn is_issuer(issuer: &str) -> bool {
    let blank = |c: char| c.is_control() || c.is_whitespace();
    !issuer.is_empty() && issuer.len() <= LONGEST_URL && !issuer.contains(blank)
}

/// Whether people may be sent to `text`. It is compared and sent as it is written, so nothing in it
/// may be read in two ways.
fn return_url(text: &str) -> Result<(), Failure> {
    let refused = |why: &str, hint| Err(bad(format!("the return URL {text:?} {why}"), hint));
    if text.len() > LONGEST_URL {
        return Err(bad(
            format!("a return URL is longer than {LONGEST_URL} bytes"),
            "register a shorter one; the server adds its own parameters to it",
        ));
    }
    // A parser overlooks blanks and turns backslashes around; browsers and we need not agree on how.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['\\', '"', '<', '>']) {
        return refused(
            "holds blanks, a backslash, quotes, brackets or letters beyond ASCII",
            "escape them as in %20, and write the host name in its xn-- form",
        );
    }
    let Ok(url) = Url::parse(text) else {
        return refused("is no URL", "write it as in https://portal.example.org/mfa");
    };
    let authority = text
        .split_once("://")
        .map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let this_machine = url.host_str().is_some_and(is_this_machine);
    // Other spellings of a host or a port, such as `127.1`, are read in one way here and in another elsewhere.
    let plain = authority.is_some_and(|authority| {
        let host = url.host_str().unwrap_or_default();
        let rest = authority.to_ascii_lowercase();
        match rest.strip_prefix(host) {
            Some("") => true,
            Some(port) => port
                .strip_prefix(':')
                .and_then(|digits| {
                    digits
                        .parse::<u16>()
                        .ok()
                        .filter(|n| n.to_string() == digits)
                })
                .is_some(),
            None => false,
        }
    });
    match (url.scheme(), authority) {
        (_, Some(authority)) if authority.contains('@') => refused(
            "holds a user or a password",
            "write scheme, host and path alone",
        ),
        _ if text.contains('#') => refused(
            "holds a fragment",
            "leave out what follows the #; servers do not see it",
        ),
        ("https" | "http", Some(authority)) if !authority.is_empty() && !plain => refused(
            "writes its host or port in an unusual way",
            "write the host as browsers show it, and the port without leading zeros",
        ),
        ("https", Some(authority)) if !authority.is_empty() => Ok(()),
        ("http", Some(authority)) if !authority.is_empty() && this_machine => Ok(()),
        _ => refused(
            "is neither https nor http on this machine",
            "use its https address; http is for localhost alone",
        ),
    }
}

/// The key that stays beside a new one at `now`, and those that end. For `overlap` seconds one of the
/// old keys goes on, of which `keys` has the newest first: the newest that was ever used. One that
/// nobody used (its answer was lost, and another drawn) does not push the one in use out.
pub(super) fn retire(
    keys: Vec<KeptKey>,
    overlap: u64,
    now: Timestamp,
) -> (Option<KeptKey>, Vec<KeptKey>) {
    let (mut live, mut ended): (Vec<_>, Vec<_>) =
        keys.into_iter().partition(|key| key.is_live(now));
    live.reverse();
    live.sort_by_key(|key| key.last_used_at.is_some());
    let staying = (overlap > 0)
        .then(|| live.pop())
        .flatten()
        .map(|key| KeptKey {
            expires_at: Some(now.plus(overlap)),
            ..key
        });
    ended.append(&mut live);
    (staying, ended)
}
