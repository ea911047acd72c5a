//! Gets the keys of an issuer from where the settings say: discovery, an address, a file.

use std::error::Error;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use url::Url;

use super::keys::{KeyDocument, NoUsableKey};
use super::outbound::{DEADLINE, LONGEST_BODY, Outbound, OutboundError};
use super::provider::Provider;
use super::refusal::quote;
use super::settings::{AuthSetupError, check_address};
use crate::base::open_deciding;

/// What the issuer says of itself (OpenID Connect Discovery 1.0 section 3), as far as we use it.
#[derive(Deserialize)]
struct Discovery {
    issuer: Option<String>,
    jwks_uri: Option<Url>,
    userinfo_endpoint: Option<Url>,
}

/// What discovery gave.
pub(super) struct Discovered {
    /// Where the keys are.
    pub keys: Url,
    /// Where people's addresses are.
    pub userinfo: Option<Url>,
    /// How people sign in. That this is no use to us does not keep tokens from being judged.
    pub provider: Result<Provider, FetchError>,
}

/// How a file looked when it was read.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct FileMark {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

/// Why no keys came.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("cannot fetch {url}")]
    Fetch {
        url: String,
        #[source]
        source: OutboundError,
    },
    #[error("the discovery document is that of {0}")]
    OtherIssuer(String),
    #[error("the discovery document names no {0}")]
    Missing(&'static str),
    #[error("the discovery document cannot be read as one: {0}")]
    Shape(String),
    #[error("the discovery document does not offer {0}")]
    NotOffered(&'static str),
    #[error("the discovery document names an address that is not asked")]
    Address(#[from] AuthSetupError),
    #[error("the discovery document of an https issuer names a plain http address")]
    Downgrade,
    #[error(transparent)]
    NoKey(#[from] NoUsableKey),
    #[error("cannot read {path}")]
    File {
        path: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("the fetch was broken off")]
    BrokenOff,
}

/// The JWK set at `url`.
pub(super) async fn document(outbound: &Outbound, url: &Url) -> Result<KeyDocument, FetchError> {
    get(outbound, url).await
}

/// Where `issuer` says that its keys and its people's addresses are, and how people sign in at it.
pub(super) async fn discover(outbound: &Outbound, issuer: &str) -> Result<Discovered, FetchError> {
    let at = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let at = Url::parse(&at).map_err(|_| AuthSetupError::NoDiscovery {
        issuer: issuer.to_owned(),
    })?;
    discovered(&at, issuer, &get(outbound, &at).await?)
}

/// What the discovery document of `issuer`, which was found at `at`, says.
pub(super) fn discovered(at: &Url, issuer: &str, whole: &Value) -> Result<Discovered, FetchError> {
    let document: Discovery = read(whole)?;
    match document.issuer.as_deref() {
        Some(theirs) if theirs == issuer => {}
        Some(theirs) => return Err(FetchError::OtherIssuer(quote(theirs))),
        None => return Err(FetchError::Missing("issuer")),
    }
    let keys = document.jwks_uri.ok_or(FetchError::Missing("jwks_uri"))?;
    for url in [Some(&keys), document.userinfo_endpoint.as_ref()]
        .into_iter()
        .flatten()
    {
        check_named(at, url)?;
    }
    Ok(Discovered {
        keys,
        userinfo: document.userinfo_endpoint,
        provider: Provider::read(at, whole),
    })
}

/// A part of the discovery document.
pub(super) fn read<T: DeserializeOwned>(document: &Value) -> Result<T, FetchError> {
    T::deserialize(document).map_err(|e| FetchError::Shape(quote(&e.to_string())))
}

/// Whether an address that the document at `at` names is asked at all.
pub(super) fn check_named(at: &Url, url: &Url) -> Result<(), FetchError> {
    check_address(url)?;
    if at.scheme() == "https" && url.scheme() != "https" {
        return Err(FetchError::Downgrade);
    }
    Ok(())
}

/// The file's mark, and its JWK set unless it still looks as `known` says.
pub(super) async fn file(
    path: &Path,
    known: Option<FileMark>,
) -> Result<(FileMark, Option<KeyDocument>), FetchError> {
    tokio::time::timeout(DEADLINE, read_file(path, known))
        .await
        .unwrap_or_else(|_| Err("the disk does not answer".into()))
        .map_err(|source| FetchError::File {
            path: path.display().to_string(),
            source,
        })
}

async fn get<T: DeserializeOwned>(outbound: &Outbound, url: &Url) -> Result<T, FetchError> {
    outbound
        .get_json(url, None)
        .await
        .map_err(|source| FetchError::Fetch {
            url: without_query(url),
            source,
        })
}

async fn read_file(
    path: &Path,
    known: Option<FileMark>,
) -> Result<(FileMark, Option<KeyDocument>), Box<dyn Error + Send + Sync>> {
    // Whoever else can change it would decide whose tokens are believed.
    let owned = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || open_deciding(&owned)).await?;
    let file = tokio::fs::File::from_std(opened?);
    let metadata = file.metadata().await?;
    let mark = FileMark {
        modified: metadata.modified().ok(),
        length: metadata.len(),
        inode: metadata.ino(),
    };
    if known == Some(mark) && mark.modified.is_some() {
        return Ok((mark, None));
    }
    let limit = LONGEST_BODY as u64;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > limit {
        return Err("it is longer than a JWK set can be".into());
    }
    let document = serde_json::from_slice(&bytes).map_err(|e| {
        format!(
            "it is no JWK set (line {}, column {})",
            e.line(),
            e.column()
        )
    })?;
    Ok((mark, Some(document)))
}

/// An address for the log: a query may hold more than a name.
fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}
