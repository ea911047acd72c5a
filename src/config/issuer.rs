//! Whose tokens are believed.

use std::path::Path;

use clap::Args;
use url::Url;

use super::args::{BOOLEAN, NUMBER};
use super::check::Check;
use super::files;
use super::layers::is_handed_over;
use super::settings::{IssuerConfig, KeySource};
use crate::auth::{RSA_BITS, SigningAlgorithm};
use crate::base::is_this_machine;

/// The shortest secret for HS256, in bytes (RFC 7518 section 3.2).
const SHORTEST_SECRET: usize = 32;

/// How the issuer's tokens may be signed, and what they must say that they are.
#[derive(Args)]
pub(super) struct TokenArgs {
    /// An algorithm that the issuer may sign access tokens, and the ID tokens of the settings page, with: RS256, PS256, ES256, ES384 or EdDSA; all where none is named. Repeatable
    #[arg(
        long,
        value_name = "ALG",
        env = "MFAD_TOKEN_ALGORITHM",
        hide_env_values = true
    )]
    token_algorithm: Vec<String>,

    /// The fewest bits, 2048 to 8192, of an RSA key that tokens are checked with
    #[arg(
        long,
        value_name = NUMBER,
        env = "MFAD_RSA_MIN_BITS",
        hide_env_values = true,
        default_value = "2048"
    )]
    rsa_min_bits: String,

    /// Whether access tokens must say typ at+jwt in their header, as RFC 9068 has it; with false, JWT or no typ will do as well
    #[arg(
        long,
        value_name = BOOLEAN,
        env = "MFAD_REQUIRE_AT_JWT",
        hide_env_values = true,
        default_value = "false"
    )]
    require_at_jwt: String,
}

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
        let may_grant_admin = self.boolean("issuer_may_grant_admin", &args.issuer_may_grant_admin);
        let algorithms = self.token_algorithms(keys.as_ref());
        let rsa_min_bits = self.rsa_min_bits(&args.tokens.rsa_min_bits);
        let require_at_jwt = self.boolean("require_at_jwt", &args.tokens.require_at_jwt);
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
                "leave it out to admit any client whose tokens have the scope and a mark that users cannot choose",
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
            algorithms: algorithms?,
            rsa_min_bits: rsa_min_bits?,
            require_at_jwt: require_at_jwt?,
        })
    }

    /// How tokens may be signed: all that need no shared secret, where nothing is said.
    fn token_algorithms(&mut self, keys: Option<&KeySource>) -> Option<Vec<SigningAlgorithm>> {
        const ID: &str = "token_algorithm";
        let layers = self.layers;
        let listed = &layers.args.tokens.token_algorithm;
        let public = SigningAlgorithm::PUBLIC;
        let names: Vec<_> = public.iter().map(|it| it.name()).collect();
        let names = names.join(", ");
        let is_set = layers.sources.contains_key(ID);
        if is_set && listed.is_empty() {
            let hint =
                format!("name some of {names}, or leave the setting out to accept all of them");
            return self.wrong(
                ID,
                "the list is empty, so that no token would be accepted",
                hint,
            );
        }
        if is_set && matches!(keys, Some(KeySource::Hs256(_))) {
            return self.wrong(
                ID,
                "with hs256-secret-file, HS256 is the only algorithm",
                "leave the setting out, or use the issuer's public keys in place of the secret",
            );
        }
        let mut accepted = Vec::new();
        for name in listed {
            match public.iter().find(|it| it.name() == name) {
                Some(algorithm) if accepted.contains(algorithm) => {}
                Some(algorithm) => accepted.push(*algorithm),
                None => {
                    let cause =
                        format!("{name:?} is no algorithm that is accepted with public keys");
                    return self.wrong(ID, cause, format!("use {names}"));
                }
            }
        }
        Some(match listed.is_empty() {
            true => public.to_vec(),
            false => accepted,
        })
    }

    fn rsa_min_bits(&mut self, text: &str) -> Option<usize> {
        match text.parse() {
            Ok(bits) if RSA_BITS.contains(&bits) => Some(bits),
            _ => self.wrong(
                "rsa_min_bits",
                format!("{text:?} is no number from 2048 to 8192"),
                "use 2048, 3072 or 4096; to accept no RSA at all, name the others with token-algorithm",
            ),
        }
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
            if let Err(refused) = files::deciding(&path) {
                return self.wrong("jwks_file", refused.cause, refused.hint);
            }
            return Some(KeySource::JwksFile(path));
        }
        if let Some(url) = &args.jwks_url {
            return self.trusted_url("jwks_url", url).map(KeySource::JwksUrl);
        }
        if let Some(path) = &args.hs256_secret_file {
            let secret = self.secret("hs256_secret_file", Path::new(path))?;
            if !is_handed_over(Path::new(path), self.layers.credentials.as_deref())
                && let Err(refused) = files::deciding(Path::new(path))
            {
                return self.wrong("hs256_secret_file", refused.cause, refused.hint);
            }
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
