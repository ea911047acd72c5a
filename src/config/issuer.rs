//! Whose tokens are believed.

use std::path::Path;

use url::Url;

use super::check::Check;
use super::settings::{IssuerConfig, KeySource};
use crate::base::is_this_machine;

/// The shortest secret for HS256, in bytes (RFC 7518 section 3.2).
const SHORTEST_SECRET: usize = 32;

impl Check<'_> {
    pub(super) fn issuer(&mut self, public_url: Option<&Url>) -> Option<IssuerConfig> {
        let args = &self.layers.args;
        let keys = self.keys();
        self.scope("verify_scope", &args.verify_scope);
        self.scope("admin_scope", &args.admin_scope);
        if args.verify_scope == args.admin_scope {
            self.wrong::<()>(
                "admin_scope",
                "it is the same as verify-scope, so that each login service would be an operator",
                "give the two scopes different names",
            );
        }
        let may_grant_admin = match args.issuer_may_grant_admin.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            other => self.wrong(
                "issuer_may_grant_admin",
                format!("{other:?} is neither true nor false"),
                "write true or false",
            ),
        };
        if args.audience.iter().any(String::is_empty) {
            self.wrong::<()>(
                "audience",
                "it is empty",
                "leave it out to use the public URL",
            );
        }
        if args.verify_client.iter().any(String::is_empty) {
            self.wrong::<()>(
                "verify_client",
                "it is empty",
                "leave it out to admit any client that has the scope",
            );
        }
        let issuer = self.issuer_name(keys.as_ref());
        let audiences = if args.audience.is_empty() {
            let own = public_url?.as_str().trim_end_matches('/').to_owned();
            vec![own]
        } else {
            args.audience.clone()
        };
        Some(IssuerConfig {
            issuer: issuer?,
            keys: keys?,
            audiences,
            verify_scope: args.verify_scope.clone(),
            verify_clients: args.verify_client.clone(),
            admin_scope: args.admin_scope.clone(),
            may_grant_admin: may_grant_admin?,
        })
    }

    fn issuer_name(&mut self, keys: Option<&KeySource>) -> Option<String> {
        let Some(issuer) = self.layers.args.issuer.clone() else {
            return self.wrong(
                "issuer",
                "nobody is named whose tokens are believed, so that nobody could sign in",
                "set --issuer to your identity provider's issuer URL; \
                 to try mfad without one, run: mfad demo",
            );
        };
        if issuer.is_empty() || issuer.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return self.wrong(
                "issuer",
                "it is empty or contains blanks",
                "copy the iss of one of its tokens",
            );
        }
        if let Some(KeySource::Discovery) = keys {
            self.trusted_url("issuer", &issuer)?;
        }
        Some(issuer)
    }

    fn keys(&mut self) -> Option<KeySource> {
        let args = &self.layers.args;
        let given = [
            ("jwks_file", args.jwks_file.is_some()),
            ("jwks_url", args.jwks_url.is_some()),
            ("hs256_secret_file", args.hs256_secret_file.is_some()),
        ];
        let given: Vec<_> = given.iter().filter(|(_, given)| *given).collect();
        if let [(first, _), (second, _), ..] = given.as_slice() {
            return self.wrong(
                second,
                format!(
                    "{} is set as well, and one issuer has one kind of key",
                    first.replace('_', "-")
                ),
                "keep one of jwks-file, jwks-url and hs256-secret-file",
            );
        }
        if let ([(only, _)], None) = (given.as_slice(), &args.issuer) {
            self.wrong::<()>(
                only,
                "it says how tokens are checked, but not whose",
                "set --issuer to the iss of those tokens",
            );
        }
        if let Some(path) = &args.jwks_file {
            let path = self.path("jwks_file", path)?;
            if let Err(error) = std::fs::File::open(&path) {
                return self.wrong(
                    "jwks_file",
                    format!("{} cannot be read: {error}", path.display()),
                    "check the path, and that this user may read it",
                );
            }
            return Some(KeySource::JwksFile(path));
        }
        if let Some(url) = &args.jwks_url {
            return self.trusted_url("jwks_url", url).map(KeySource::JwksUrl);
        }
        if let Some(path) = &args.hs256_secret_file {
            let secret = self.secret("hs256_secret_file", Path::new(path))?;
            if secret.expose().len() < SHORTEST_SECRET {
                return self.wrong(
                    "hs256_secret_file",
                    format!("the secret in {path} is shorter than {SHORTEST_SECRET} bytes"),
                    "make one with: openssl rand -base64 48",
                );
            }
            return Some(KeySource::Hs256(secret));
        }
        Some(KeySource::Discovery)
    }

    fn scope(&mut self, id: &str, scope: &str) {
        // RFC 6749 section 3.3.
        let fits = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        if scope.is_empty() || !scope.bytes().all(fits) {
            self.wrong::<()>(
                id,
                format!("{scope:?} is no single scope"),
                "use one word, such as mfa:verify",
            );
        }
    }

    /// An address that keys are fetched from: https, or http on this machine.
    pub(super) fn trusted_url(&mut self, id: &str, text: &str) -> Option<Url> {
        let Ok(url) = Url::parse(text) else {
            return self.wrong(
                id,
                "it is no URL",
                "write it as the issuer does, with https:// at its beginning",
            );
        };
        if url.password().is_some() || !url.username().is_empty() || url.fragment().is_some() {
            return self.wrong(
                id,
                "it contains a user, a password or a fragment",
                "write scheme, host and path alone",
            );
        }
        if url.scheme() == "https"
            || (url.scheme() == "http" && url.host_str().is_some_and(is_this_machine))
        {
            return Some(url);
        }
        self.wrong(
            id,
            "keys that come without https could be anybody's",
            "use its https address; http is for issuers on this machine only",
        )
    }
}
