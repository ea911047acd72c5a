//! What is known of an issuer before it is asked.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use url::Url;

use crate::base::{Secret, is_this_machine};

/// The fewest bytes of an HS256 secret: the length of its hash (RFC 7518 section 3.2).
pub const SHORTEST_SECRET: usize = 32;

/// The scope that makes a service's own token a login service's.
pub const VERIFY_SCOPE: &str = "mfa:verify";

/// The scope that makes a person an operator.
pub const ADMIN_SCOPE: &str = "mfa:admin";

/// The sizes of RSA keys in bits: smaller ones are weak, and larger ones are a way to keep the server busy.
pub const RSA_BITS: RangeInclusive<usize> = 2048..=8192;

/// How a token may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SigningAlgorithm {
    /// RSA PKCS#1 v1.5 with SHA-256, keys of 2048 to 8192 bits.
    Rs256,
    /// RSA PSS with SHA-256, keys of 2048 to 8192 bits.
    Ps256,
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
    /// Ed25519.
    EdDsa,
    /// HMAC with SHA-256: for [`KeySource::Hs256`] alone.
    Hs256,
}

impl SigningAlgorithm {
    /// All that need no shared secret.
    pub const PUBLIC: &[SigningAlgorithm] = &[
        SigningAlgorithm::Rs256,
        SigningAlgorithm::Ps256,
        SigningAlgorithm::Es256,
        SigningAlgorithm::Es384,
        SigningAlgorithm::EdDsa,
    ];

    /// As `alg` names it (RFC 7518 section 3.1, RFC 8037 section 3.1).
    pub const fn name(self) -> &'static str {
        match self {
            SigningAlgorithm::Rs256 => "RS256",
            SigningAlgorithm::Ps256 => "PS256",
            SigningAlgorithm::Es256 => "ES256",
            SigningAlgorithm::Es384 => "ES384",
            SigningAlgorithm::EdDsa => "EdDSA",
            SigningAlgorithm::Hs256 => "HS256",
        }
    }

    /// The algorithm of that exact name; `None` for `none` and all that we do not speak.
    pub fn named(name: &str) -> Option<Self> {
        [SigningAlgorithm::Hs256]
            .iter()
            .chain(Self::PUBLIC)
            .copied()
            .find(|algorithm| algorithm.name() == name)
    }

    pub(super) const fn for_jwt(self) -> jsonwebtoken::Algorithm {
        match self {
            SigningAlgorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            SigningAlgorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
            SigningAlgorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            SigningAlgorithm::Es384 => jsonwebtoken::Algorithm::ES384,
            SigningAlgorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            SigningAlgorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
        }
    }
}

/// Where the keys of an issuer come from. A shared secret never stands beside public keys.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// The issuer's `.well-known/openid-configuration` names them.
    Discovery,
    /// A JWK set at this address.
    Url(Url),
    /// A JWK set in this file, read anew when it changes.
    File(PathBuf),
    /// One shared secret of at least [`SHORTEST_SECRET`] bytes.
    Hs256(Secret<Vec<u8>>),
}

/// One issuer whose tokens are believed.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// The exact `iss`, compared byte by byte.
    pub issuer: String,
    /// Which `aud` name us; one of them must be in the token.
    pub audience: Vec<String>,
    /// Where the keys come from.
    pub keys: KeySource,
    /// How tokens may be signed; not looked at for a shared secret.
    pub algorithms: Vec<SigningAlgorithm>,
    /// The fewest bits of an RSA key, within [`RSA_BITS`].
    pub rsa_min_bits: usize,
    /// Whether `typ` must be `at+jwt` (RFC 9068 section 4). Many issuers send `JWT`.
    pub strict_type: bool,
    /// The scope of login services.
    pub verify_scope: String,
    /// The clients that may be login services; empty admits any whose tokens carry the scope and a mark that users
    /// cannot choose.
    pub verify_clients: Vec<String>,
    /// The scope of operators.
    pub admin_scope: String,
    /// Whether this issuer may make operators.
    pub may_grant_admin: bool,
    /// Where to ask for a person's address, if not where discovery says.
    pub userinfo: Option<Url>,
}

impl IssuerSettings {
    /// An issuer with the usual scopes, all public algorithms, and no right to make operators.
    pub fn new(issuer: impl Into<String>, audience: Vec<String>, keys: KeySource) -> Self {
        IssuerSettings {
            issuer: issuer.into(),
            audience,
            keys,
            algorithms: SigningAlgorithm::PUBLIC.to_vec(),
            rsa_min_bits: *RSA_BITS.start(),
            strict_type: false,
            verify_scope: VERIFY_SCOPE.to_owned(),
            verify_clients: Vec::new(),
            admin_scope: ADMIN_SCOPE.to_owned(),
            may_grant_admin: false,
            userinfo: None,
        }
    }

    /// Whether tokens can be judged by these settings at all.
    pub(super) fn check(&self) -> Result<(), AuthSetupError> {
        if self.issuer.is_empty() {
            return Err(AuthSetupError::NoIssuer);
        }
        let issuer = self.issuer.clone();
        if self.audience.is_empty() || self.audience.iter().any(String::is_empty) {
            return Err(AuthSetupError::NoAudience { issuer });
        }
        for scope in [&self.verify_scope, &self.admin_scope] {
            if scope.is_empty() || scope.contains(char::is_whitespace) {
                return Err(AuthSetupError::Scope { issuer });
            }
        }
        match &self.keys {
            KeySource::Discovery => {
                let url = Url::parse(&self.issuer).map_err(|_| AuthSetupError::NoDiscovery {
                    issuer: issuer.clone(),
                })?;
                check_address(&url)?;
                if url.query().is_some() {
                    return Err(AuthSetupError::NoDiscovery { issuer });
                }
            }
            KeySource::Url(url) => check_address(url)?,
            KeySource::File(_) => {}
            KeySource::Hs256(secret) if secret.expose().len() < SHORTEST_SECRET => {
                return Err(AuthSetupError::ShortSecret {
                    issuer,
                    length: secret.expose().len(),
                });
            }
            KeySource::Hs256(_) => {}
        }
        if !matches!(self.keys, KeySource::Hs256(_))
            && (self.algorithms.is_empty() || self.algorithms.contains(&SigningAlgorithm::Hs256))
        {
            return Err(AuthSetupError::Algorithms { issuer });
        }
        if !RSA_BITS.contains(&self.rsa_min_bits) {
            return Err(AuthSetupError::RsaBits { issuer });
        }
        self.userinfo.as_ref().map_or(Ok(()), check_address)
    }
}

/// All issuers together: at least one, none twice.
pub(super) fn check_all(issuers: &[IssuerSettings]) -> Result<(), AuthSetupError> {
    if issuers.is_empty() {
        return Err(AuthSetupError::NoIssuer);
    }
    let mut seen = HashSet::new();
    for settings in issuers {
        settings.check()?;
        if !seen.insert(settings.issuer.as_str()) {
            return Err(AuthSetupError::Twice {
                issuer: settings.issuer.clone(),
            });
        }
    }
    Ok(())
}

/// Whether `url` may be asked for anything that decides who is calling: https,
/// or http where the words never leave this machine.
///
/// # Errors
/// [`AuthSetupError::Address`] otherwise, and for an address that holds a password.
pub fn check_address(url: &Url) -> Result<(), AuthSetupError> {
    let on_this_machine = url.host_str().is_some_and(is_this_machine);
    let allowed = match url.scheme() {
        "https" => url.host().is_some(),
        "http" => on_this_machine,
        _ => false,
    };
    if allowed && url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    Err(AuthSetupError::Address {
        url: shown.to_string(),
    })
}

/// Why tokens cannot be judged with these settings.
#[derive(Debug, thiserror::Error)]
pub enum AuthSetupError {
    /// Nobody is believed.
    #[error("no issuer is set, so nobody could sign in")]
    NoIssuer,
    /// The same issuer with two sets of keys.
    #[error("the issuer {issuer} is set twice")]
    Twice {
        /// Which.
        issuer: String,
    },
    /// Any token of the issuer, for whomever it was made, would pass.
    #[error("the issuer {issuer} has no audience, so tokens made for others would pass")]
    NoAudience {
        /// Which.
        issuer: String,
    },
    /// A scope that no token can hold.
    #[error("a scope of the issuer {issuer} is empty or holds a space")]
    Scope {
        /// Which.
        issuer: String,
    },
    /// Discovery needs an address.
    #[error("the issuer {issuer} is no address without a query, so its keys cannot be discovered")]
    NoDiscovery {
        /// Which.
        issuer: String,
    },
    /// The secret can be guessed.
    #[error("the HS256 secret of the issuer {issuer} has {length} bytes, but needs at least 32")]
    ShortSecret {
        /// Which.
        issuer: String,
        /// How many bytes it has.
        length: usize,
    },
    /// No algorithm, or HS256 beside public keys.
    #[error(
        "the issuer {issuer} needs at least one public-key algorithm, and HS256 only with a secret"
    )]
    Algorithms {
        /// Which.
        issuer: String,
    },
    /// Weak keys would be accepted, or none at all.
    #[error("the smallest RSA key of the issuer {issuer} must have 2048 to 8192 bits")]
    RsaBits {
        /// Which.
        issuer: String,
    },
    /// Whoever is on the line could answer for the issuer.
    #[error("{url} must be https (http only for localhost) and hold no password")]
    Address {
        /// The address, without password and query.
        url: String,
    },
}
