//! TLS by the server itself: a certificate and a key from files, which are read again when they change.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::base::Timestamp;

/// The one protocol that is spoken (RFC 7301).
const HTTP_1_1: &[u8] = b"http/1.1";

/// Why certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of the files cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One of the files does not hold what it should.
    #[error("{} holds {lacking}", path.display())]
    Misfit {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        lacking: String,
    },
    /// The key is another one's.
    #[error("the key in {} does not belong to the certificate in {}: {source}", key.display(), certificate.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What the library says.
        source: rustls::Error,
    },
}

/// Where certificate and key stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the server's certificate, then those between it and an authority that browsers know.
    pub certificate: PathBuf,
    /// PEM: its private key (PKCS #8, PKCS #1 or SEC 1), without a passphrase.
    pub key: PathBuf,
}

/// Speaks TLS 1.2 and 1.3. Clones share the certificate.
#[derive(Clone)]
pub struct Tls(Arc<ArcSwap<Pair>>);

/// What is used, and where it was read.
struct Pair {
    files: TlsFiles,
    /// Of the files before they were read: whatever is written later is noticed.
    stamps: Stamps,
    config: Arc<ServerConfig>,
}

/// What tells both files from their next versions.
type Stamps = [Option<(SystemTime, u64, u64)>; 2];

impl Pair {
    fn read(files: TlsFiles) -> Result<Self, TlsError> {
        let stamps = stamps(&files);
        let config = Arc::new(config(&files)?);
        Ok(Pair {
            files,
            stamps,
            config,
        })
    }
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// Where they cannot be used.
    pub fn read(files: TlsFiles) -> Result<Self, TlsError> {
        Ok(Tls(Arc::new(ArcSwap::from_pointee(Pair::read(files)?))))
    }

    /// Uses what `other` uses, for connections from now on.
    pub fn replace(&self, other: Tls) {
        self.0.store(other.0.load_full());
    }

    /// Looks every `period` whether either file has changed, and then reads certificate and key again. Never ends.
    pub async fn keep_fresh(&self, period: Duration) {
        let mut seen = self.0.load().stamps;
        loop {
            tokio::time::sleep(period).await;
            let files = self.0.load().files.clone();
            let now = stamps(&files);
            if now == seen {
                continue;
            }
            // Looked at once for each state of the files; one of the two may not have been written yet.
            seen = now;
            let certificate = files.certificate.display().to_string();
            match Tls::read(files).map(|read| self.replace(read)) {
                Ok(()) => tracing::info!(certificate, "the TLS certificate was read again"),
                Err(error) => {
                    tracing::error!(%error, "the TLS certificate changed and cannot be used; the one from before goes on");
                }
            }
        }
    }

    /// Shakes hands with a client. Its time is not bounded here.
    pub(super) async fn accept(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.0.load().config.clone());
        acceptor.accept(socket).await
    }
}

/// Whether the first certificate of the PEM file `certificate` is for the host `host`. Whether anybody trusts it
/// is not looked at.
///
/// # Errors
/// As [`Tls::read`]; what is no host name is no certificate's.
pub fn is_for_host(certificate: &Path, host: &str) -> Result<bool, TlsError> {
    let chain = certificates(certificate)?;
    let misfit = |lacking: String| TlsError::Misfit {
        path: certificate.to_owned(),
        lacking,
    };
    let first = chain
        .first()
        .ok_or_else(|| misfit("no certificate".to_owned()))?;
    let parsed = ParsedCertificate::try_from(first)
        .map_err(|e| misfit(format!("a certificate that cannot be read: {e}")))?;
    let Ok(name) = ServerName::try_from(host) else {
        return Ok(false);
    };
    Ok(rustls::client::verify_server_name(&parsed, &name).is_ok())
}

/// From when until when the first certificate of the PEM file `certificate` is good, both included.
///
/// # Errors
/// As [`Tls::read`].
pub fn validity(certificate: &Path) -> Result<(Timestamp, Timestamp), TlsError> {
    let misfit = |lacking: String| TlsError::Misfit {
        path: certificate.to_owned(),
        lacking,
    };
    let chain = certificates(certificate)?;
    let first = chain
        .first()
        .ok_or_else(|| misfit("no certificate".to_owned()))?;
    let (_, read) = x509_parser::parse_x509_certificate(first)
        .map_err(|e| misfit(format!("a certificate that cannot be read: {e}")))?;
    let moment = |at: x509_parser::time::ASN1Time| {
        Timestamp::from_unix(u64::try_from(at.timestamp()).unwrap_or_default())
    };
    let validity = read.validity();
    Ok((moment(validity.not_before), moment(validity.not_after)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let misfit = |lacking: String| TlsError::Misfit {
        path: path.to_owned(),
        lacking,
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|e| misfit(format!("a broken certificate: {e}")))?;
    match chain.is_empty() {
        true => Err(misfit("no certificate in PEM".to_owned())),
        false => Ok(chain),
    }
}

fn config(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|_| TlsError::Misfit {
        path: files.key.clone(),
        // What the library says could quote the file.
        lacking: "no private key in PEM without a passphrase".to_owned(),
    })?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let pair = |source| TlsError::Pair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(pair)?;
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(config)
}

/// Wiped when it is dropped, since it may be the key.
fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, TlsError> {
    crate::base::open_regular(path)
        .and_then(|mut file| {
            // Room for all of it at once, or growing would leave copies of a key behind.
            let length = usize::try_from(file.metadata()?.len()).unwrap_or_default();
            let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(length.saturating_add(1)));
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        })
        .map_err(|source| TlsError::Unreadable {
            path: path.to_owned(),
            source,
        })
}

/// What tells a file from its next version, also where it is a link that was set anew.
fn stamps(files: &TlsFiles) -> Stamps {
    use std::os::unix::fs::MetadataExt;
    [&files.certificate, &files.key].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
    })
}
