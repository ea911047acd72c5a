//! How connections reach the server: by TLS of its own, and through proxies that it believes.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use mfad::app::JobPeriods;
use mfad::server::TlsFiles;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::process::{log_lines, write_secret};
use crate::support::{Options, PUBLIC_URL, Process, Server, Site, periods, until};

const HOST: &str = "mfa.example.com";
const ENABLE: &str = "/api/v1/me/mfa/totp/enable";
/// How long a test waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// An authority that clients know, and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes a certificate for `host` and its key where the site's settings say.
    fn certify(&self, site: &Site, host: &str) {
        let files = TlsFiles {
            certificate: site.path("tls.pem"),
            key: site.path("tls.key"),
        };
        self.write(&files, host);
    }

    fn write(&self, files: &TlsFiles, host: &str) {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &self.0).unwrap();
        fs::write(&files.certificate, leaf.pem()).unwrap();
        write_secret(&files.key, key.serialize_pem().as_bytes());
    }

    fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        self.client(&[&TLS12, &TLS13]).connect(name, tcp).await
    }
}

/// A site that speaks TLS with a certificate for its public URL.
async fn site(authority: &Authority) -> Site {
    let mut site = Site::new().await;
    authority.certify(&site, HOST);
    let (certificate, key) = (site.path("tls.pem"), site.path("tls.key"));
    site.set("tls-cert-file", certificate.to_str().unwrap());
    site.set("tls-key-file", key.to_str().unwrap());
    site
}

/// Asks on an open connection, and gives the status and the answer.
async fn ask(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), more: &str) -> String {
    let head = format!("GET /healthz HTTP/1.1\r\nHost: {HOST}\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 4096];
    let read = timeout(PATIENCE, stream.read(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer[..read.unwrap()]).into_owned()
}

#[tokio::test]
async fn the_server_speaks_tls_by_itself() {
    let authority = Authority::new();
    let site = site(&authority).await;
    let server = site.serve().await;
    for version in [&TLS12, &TLS13] {
        let tcp = TcpStream::connect(server.address()).await.unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let mut stream = authority
            .client(&[version])
            .connect(name, tcp)
            .await
            .unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        let answer = ask(&mut stream, "").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("strict-transport-security: "), "{answer}");
    }
    // Who speaks no TLS is not answered, and is not kept.
    let mut plain = TcpStream::connect(server.address()).await.unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, plain.read_to_end(&mut rest)).await;
    assert!(ended.is_ok() && !rest.starts_with(b"HTTP"), "{rest:?}");
    // Nor is who says nothing.
    let mut silent = TcpStream::connect(server.address()).await.unwrap();
    let ended = timeout(PATIENCE, silent.read_to_end(&mut Vec::new())).await;
    ended.expect("a silent connection is closed").unwrap();
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_sighup_on_and_a_broken_one_never() {
    let (old, new) = (Authority::new(), Authority::new());
    let site = site(&old).await;
    let mut server = site.serve().await;
    let mut open = old.connect(server.address()).await.unwrap();
    assert!(ask(&mut open, "").await.starts_with("HTTP/1.1 200 "));

    let certificate = fs::read(site.path("tls.pem")).unwrap();
    fs::write(site.path("tls.pem"), "not a certificate").unwrap();
    server.signal(Signal::HUP);
    server
        .says("that the certificate is no good", |text| {
            text.contains("tls.pem holds no certificate in PEM")
                .then_some(())
        })
        .await;
    fs::write(site.path("tls.pem"), certificate).unwrap();
    old.connect(server.address()).await.unwrap();

    new.certify(&site, HOST);
    server.signal(Signal::HUP);
    taken_up(&server, 1).await;
    new.connect(server.address()).await.unwrap();
    old.connect(server.address())
        .await
        .expect_err("the old one");
    let answer = ask(&mut open, "").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 "),
        "an open connection stays: {answer}"
    );
    drop(open);
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_that_is_renewed_is_read_again_without_being_asked() {
    let (old, new) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        certificate: folder.path().join("tls.pem"),
        key: folder.path().join("tls.key"),
    };
    old.write(&files, HOST);
    let server = Server::start_with(Options {
        tls: Some(files.clone()),
        periods: Some(JobPeriods {
            certificate: Duration::from_millis(20),
            ..periods()
        }),
        ..Options::default()
    })
    .await;
    old.connect(server.address).await.unwrap();
    new.write(&files, HOST);
    until("the new certificate is shown", async || {
        new.connect(server.address).await.is_ok()
    })
    .await;
    old.connect(server.address).await.expect_err("the old one");
}

/// Waits until so many sets of new settings hold.
async fn taken_up(server: &Process, times: usize) {
    let heard = |text: &str| {
        let lines = log_lines(text);
        let taken = lines
            .filter(|line| line["message"] == "the settings were read again and are in effect");
        (taken.count() >= times).then_some(())
    };
    server.says("new settings", heard).await;
}

#[tokio::test]
async fn what_cannot_be_used_for_tls_is_refused_in_words() {
    let authority = Authority::new();
    let mut site = site(&authority).await;
    authority.certify(&site, "other.example.com");
    wrong(&site, "the certificate is not for mfa.example.com").await;
    authority.certify(&site, HOST);
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(site.path("tls.key"), open).unwrap();
    wrong(&site, "can be read by other users").await;
    let other = KeyPair::generate().unwrap().serialize_pem();
    write_secret(&site.path("tls.key"), other.as_bytes());
    wrong(&site, "does not belong to the certificate").await;
    write_secret(&site.path("tls.key"), b"canary-of-a-key");
    wrong(&site, "no private key in PEM").await;
    authority.certify(&site, HOST);
    site.set("public-url", "http://localhost:8080");
    wrong(&site, "browsers see https").await;
    site.set("public-url", PUBLIC_URL);
    site.unset("tls-key-file");
    wrong(&site, "its key is missing").await;
    let group = fs::Permissions::from_mode(0o640);
    fs::set_permissions(site.path("tls.key"), group).unwrap();
    site.set("tls-key-file", site.path("tls.key").to_str().unwrap());
    site.set("listen", format!("unix:{}", site.path("s").display()));
    wrong(&site, "a Unix socket speaks no TLS").await;
}

async fn wrong(site: &Site, words: &str) {
    let mut process = site.run("serve");
    process.ends_with(78).await;
    let said = process.stderr();
    assert!(said.contains(words) && said.contains("hint: "), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[tokio::test]
async fn only_a_believed_proxy_says_where_a_request_came_from() {
    let mut site = Site::new().await;
    let socket = site.path("mfad.sock");
    for (trusted, seen) in [(None, None), (Some("unix"), Some("203.0.113.9"))] {
        site.set("listen", format!("unix:{}", socket.display()));
        match trusted {
            Some(proxy) => site.set("trusted-proxy", vec![proxy]),
            None => site.unset("trusted-proxy"),
        }
        let mut server = site.run("serve");
        server
            .says("a listener", |text| {
                text.contains("\"serving\"").then_some(())
            })
            .await;
        let token = site.issuer.token(PUBLIC_URL, "alice").sign();
        let ask = async |method: &str, path: &str| {
            let mut stream = UnixStream::connect(&socket).await.unwrap();
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
                 X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\nContent-Length: 0\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
            read.unwrap().unwrap();
            answer
        };
        let enabled = ask("POST", ENABLE).await;
        assert!(enabled.starts_with("HTTP/1.1 200 "), "{enabled}");
        // Its line may be read a moment after its answer.
        let log = server.says("its line", |text| {
            let line = log_lines(text).find(|line| line["span"]["path"] == ENABLE);
            line.map(|line| line.to_string())
        });
        let log = log.await;
        match seen {
            Some(address) => assert!(log.contains(address), "{log}"),
            None => assert!(
                !log.contains("203.0.113.9") && !log.contains("198.51.100.1"),
                "{log}"
            ),
        }
        server.stop().await;
    }
}
