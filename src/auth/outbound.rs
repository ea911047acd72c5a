//! The one HTTP client: for issuers, for `mfad pam`, and for nothing that a request names.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, crypto};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::settings::check_address;

/// From the first packet to the last byte of the answer.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// The longest body that is read.
pub const LONGEST_BODY: usize = 512 * 1024;

/// The longest head of an answer that is read.
const LONGEST_HEAD: usize = 64 * 1024;

/// Connections kept open to one host, and for how long.
const IDLE_CONNECTIONS: usize = 4;
const IDLE_TIME: Duration = Duration::from_secs(30);

/// Asks other servers. Follows no redirect, knows no proxy, speaks https (http
/// only within this machine), and never waits longer than its deadline,
/// [`DEADLINE`] where no other is set.
#[derive(Clone)]
pub struct Outbound {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    deadline: Duration,
}

/// What came back, whatever its status.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The body, read as JSON.
    ///
    /// # Errors
    /// [`OutboundError::NotJson`], which says where but not what: the body may hold tokens.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, OutboundError> {
        serde_json::from_slice(&self.body).map_err(|e| OutboundError::NotJson {
            what: if e.is_data() {
                "it has another shape"
            } else {
                "it is not JSON"
            },
            line: e.line(),
            column: e.column(),
        })
    }
}

impl Outbound {
    /// A client that trusts Mozilla's roots and, where given, the PEM certificates in `extra_ca`.
    ///
    /// # Errors
    /// [`OutboundError::Ca`] where that file cannot be read or holds no certificate.
    pub fn new(extra_ca: Option<&Path>) -> Result<Self, OutboundError> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(path) = extra_ca {
            add_certificates(&mut roots, path).map_err(|source| OutboundError::Ca {
                path: path.to_owned(),
                source,
            })?;
        }
        let tls =
            ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|e| OutboundError::Tls(e.into()))?
                .with_root_certificates(roots)
                .with_no_client_auth();

        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(DEADLINE));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_max_buf_size(LONGEST_HEAD)
            .build(connector);
        Ok(Outbound {
            client,
            deadline: DEADLINE,
        })
    }

    /// The same with another deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Fetches JSON, showing `bearer` where one is given.
    ///
    /// # Errors
    /// Any [`OutboundError`]; every status but 200 is one.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        url: &Url,
        bearer: Option<&str>,
    ) -> Result<T, OutboundError> {
        let answer = self
            .send(Method::GET, url, bearer.map(shown), None, Bytes::new())
            .await?;
        if answer.status != 200 {
            return Err(OutboundError::Status(answer.status));
        }
        answer.json()
    }

    /// Posts a form, showing a client's id and secret where they are given (RFC 6749 section 2.3.1), and gives
    /// back what came, whatever its status: a token endpoint explains itself in the body of a 400 (section 5.2).
    ///
    /// # Errors
    /// Where nothing came back that could be read.
    pub async fn post_form(
        &self,
        url: &Url,
        client: Option<(&str, &str)>,
        fields: &[(&str, &str)],
    ) -> Result<Answer, OutboundError> {
        let authorization = client.map(|(id, secret)| {
            let encoded =
                |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = Zeroizing::new(format!("{}:{}", encoded(id), encoded(secret)));
            Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())))
        });
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.send(
            Method::POST,
            url,
            authorization,
            Some("application/x-www-form-urlencoded"),
            Bytes::from(form),
        )
        .await
    }

    /// Posts JSON, showing `bearer`, and gives back what came, whatever its status.
    ///
    /// # Errors
    /// Where nothing came back that could be read.
    pub async fn post_json(
        &self,
        url: &Url,
        bearer: &str,
        body: &impl Serialize,
    ) -> Result<Answer, OutboundError> {
        let body = serde_json::to_vec(body).map_err(|_| OutboundError::Address)?;
        self.send(
            Method::POST,
            url,
            Some(shown(bearer)),
            Some("application/json"),
            Bytes::from(body),
        )
        .await
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        authorization: Option<Zeroizing<String>>,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<Answer, OutboundError> {
        check_address(url).map_err(|_| OutboundError::Address)?;
        let mut request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("mfad/", env!("CARGO_PKG_VERSION")));
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        if let Some(text) = authorization {
            let mut value = HeaderValue::from_str(&text).map_err(|_| OutboundError::Address)?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|_| OutboundError::Address)?;

        tokio::time::timeout(self.deadline, async {
            let response = self
                .client
                .request(request)
                .await
                .map_err(|e| OutboundError::Line(e.into()))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), LONGEST_BODY)
                .collect()
                .await
                .map_err(|e| {
                    if e.is::<LengthLimitError>() {
                        OutboundError::TooLarge
                    } else {
                        OutboundError::Line(e)
                    }
                })?;
            Ok(Answer {
                status,
                body: Zeroizing::new(body.to_bytes().to_vec()),
            })
        })
        .await
        .map_err(|_| OutboundError::Timeout(self.deadline))?
    }
}

/// What shows a bearer token (RFC 6750 section 2.1).
fn shown(bearer: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("Bearer {bearer}"))
}

fn add_certificates(
    roots: &mut RootCertStore,
    path: &Path,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut found = 0usize;
    for certificate in CertificateDer::pem_file_iter(path)? {
        roots.add(certificate?)?;
        found += 1;
    }
    if found == 0 {
        return Err("there is no certificate in it".into());
    }
    Ok(())
}

/// Why another server gave us nothing. Never holds a body, a token or an address's query.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The file of further certificates is of no use.
    #[error("cannot read certificates from {}", path.display())]
    Ca {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// TLS cannot be set up at all.
    #[error("cannot set up TLS")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
    /// Plain http to another machine, or a request that cannot be written.
    #[error("the address is not one that we ask")]
    Address,
    /// No connection, or it broke.
    #[error("the connection failed")]
    Line(#[source] Box<dyn Error + Send + Sync>),
    /// Too slow.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    /// A redirect, an error, anything but 200.
    #[error("the answer was HTTP status {0}")]
    Status(u16),
    /// More than [`LONGEST_BODY`].
    #[error("the answer was longer than {LONGEST_BODY} bytes")]
    TooLarge,
    /// An HTML page, most often.
    #[error("the answer cannot be used: {what} (line {line}, column {column})")]
    NotJson {
        /// Broken, or of another shape.
        what: &'static str,
        /// Where it stops to fit.
        line: usize,
        /// Where in that line.
        column: usize,
    },
}
