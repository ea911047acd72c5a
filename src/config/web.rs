//! What browsers see: the public URL, origins and the domain that keys are bound to.

use std::net::IpAddr;

use url::{Host, Url};

use super::check::Check;

const USE_A_NAME: &str =
    "use a name such as https://mfa.example.org, or http://localhost:8080 on this machine alone";

/// What is wrong with a value, and what to do.
pub(super) struct Refused {
    pub(super) cause: String,
    pub(super) hint: String,
}

pub(super) fn refused(cause: impl Into<String>, hint: impl Into<String>) -> Refused {
    Refused {
        cause: cause.into(),
        hint: hint.into(),
    }
}

fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// A web origin whose pages can use security keys.
fn origin(text: &str) -> Result<Url, Refused> {
    let url = Url::parse(text).map_err(|error| {
        refused(
            format!("it is no URL: {error}"),
            "write https:// and the host name",
        )
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused(
            "it contains a user or a password",
            "write scheme and host name alone",
        ));
    }
    match (url.scheme(), url.host()) {
        (_, Some(Host::Ipv4(_) | Host::Ipv6(_))) => {
            return Err(refused(
                format!(
                    "{text} has an IP address, and browsers use security keys with host names only"
                ),
                USE_A_NAME,
            ));
        }
        ("https", Some(_)) => {}
        ("http", Some(Host::Domain(name))) if is_localhost(name) => {}
        _ => {
            return Err(refused(
                format!(
                    "{text} is neither https nor http://localhost, and browsers use security keys nowhere else"
                ),
                USE_A_NAME,
            ));
        }
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(refused(
            format!("{text} has more than scheme, host and port"),
            "leave out what follows the host; mfad has a host name of its own",
        ));
    }
    Ok(url)
}

impl Check<'_> {
    pub(super) fn public_url(&mut self, text: &str) -> Option<Url> {
        match origin(text) {
            Ok(url) => Some(url),
            Err(refused) => self.wrong("public_url", refused.cause, refused.hint),
        }
    }

    /// The public URL's origin and those listed, each once.
    pub(super) fn origins(&mut self, public_url: Option<&Url>, listed: &[String]) -> Vec<Url> {
        let mut origins: Vec<Url> = public_url.cloned().into_iter().collect();
        for text in listed {
            match origin(text) {
                Ok(url) if origins.contains(&url) => {}
                Ok(url) => origins.push(url),
                Err(refused) => {
                    self.wrong::<()>("origin", refused.cause, refused.hint);
                }
            }
        }
        origins
    }

    /// WebAuthn level 3, section 5.1.2: a domain, equal to or a suffix of the origin's.
    pub(super) fn rp_id(
        &mut self,
        public_url: Option<&Url>,
        origins: &[Url],
        given: Option<&str>,
    ) -> Option<String> {
        let rp_id = match given {
            Some(given) => given.to_ascii_lowercase(),
            None => public_url?.host_str()?.to_owned(),
        };
        if rp_id.parse::<IpAddr>().is_ok() {
            return self.wrong(
                "rp_id",
                format!("{rp_id} is an IP address, and security keys are bound to domains"),
                "use the host name of the public URL, or a parent domain of it",
            );
        }
        let same = Host::parse(&rp_id).is_ok_and(|host| host.to_string() == rp_id);
        if !same || !(rp_id.contains('.') || is_localhost(&rp_id)) {
            return self.wrong(
                "rp_id",
                format!("{rp_id:?} is no domain that security keys can be bound to"),
                "write the host name alone, such as example.org, without scheme and port",
            );
        }
        let parent = format!(".{rp_id}");
        let strange = origins
            .iter()
            .filter_map(Url::host_str)
            .find(|host| *host != rp_id && !host.ends_with(&parent));
        match strange {
            Some(host) => self.wrong(
                "rp_id",
                format!("the origin at {host} could not use keys that are bound to {rp_id}"),
                "use a domain that the hosts of the public URL and of all origins share",
            ),
            None => Some(rp_id),
        }
    }
}
