//! The server, with every door in the test's hands.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use mfad::app::App;
use mfad::base::{ListenAddress, OsEntropy};
use mfad::config::{
    IssuerConfig, KeySource, LogConfig, LogFormat, LogLevel, Settings, SmtpConfig, SmtpSecurity,
};
use mfad::factor::Desk;
use mfad::policy::Policy;
use mfad::server::Listener;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::client::Client;
use super::clock::TestClock;
use super::issuer::Issuer;
use super::smtp::{self, SmtpServer};

/// What browsers would see; keys are bound to it.
pub const PUBLIC_URL: &str = "https://mfa.example.com";

/// How a server differs from the usual one.
#[derive(Default)]
pub struct Options {
    /// Without an SMTP server.
    pub no_mail: bool,
    /// Without an issuer that can be reached at the start.
    pub issuer_away: bool,
    /// How many seconds ago somebody may have signed in who makes a change.
    pub recent_auth: Option<u64>,
}

pub struct Server {
    pub clock: Arc<TestClock>,
    pub issuer: Issuer,
    pub smtp: SmtpServer,
    pub address: SocketAddr,
    /// The running server's insides, for looking at what it keeps.
    pub desk: Arc<Desk>,
    settings: Settings,
    folder: TempDir,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub async fn start() -> Self {
        Server::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> Self {
        let clock = TestClock::new();
        let issuer = Issuer::start(clock.clone()).await;
        issuer.be_away(options.issuer_away);
        let smtp = SmtpServer::start(smtp::Options {
            protection: smtp::Protection::None,
            ..Default::default()
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let url: url::Url = PUBLIC_URL.parse().unwrap();
        let settings = Settings {
            listen: ListenAddress::Tcp {
                host: "127.0.0.1".to_owned(),
                port: 0,
            },
            public_url: url.clone(),
            rp_id: "mfa.example.com".to_owned(),
            origins: vec![url],
            data_dir: folder.path().join("data"),
            master_key: None,
            issuer: Some(IssuerConfig {
                issuer: issuer.url.clone(),
                keys: KeySource::Discovery,
                audiences: vec![PUBLIC_URL.to_owned()],
                client_id: None,
                verify_scope: "mfa:verify".to_owned(),
                admin_scope: "mfa:admin".to_owned(),
                may_grant_admin: true,
            }),
            smtp: (!options.no_mail).then(|| SmtpConfig {
                host: "127.0.0.1".to_owned(),
                port: smtp.port(),
                security: SmtpSecurity::Plain,
                username: None,
                password: None,
                from: "Example <mfad@example.com>".to_owned(),
            }),
            ca_file: None,
            policy: Policy::default(),
            recent_auth: options.recent_auth,
            service_name: "Example".to_owned(),
            max_connections: 512,
            log: LogConfig {
                format: LogFormat::Json,
                level: LogLevel::Info,
            },
        };
        let (address, desk, running) = run(&settings, &clock).await;
        Server {
            clock,
            issuer,
            smtp,
            address,
            desk,
            settings,
            folder,
            running: Some(running),
        }
    }

    /// Ends the server as SIGTERM does.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            drop(running.stop);
            running.task.await.unwrap().unwrap();
        }
    }

    /// Ends it and starts another on the same store.
    pub async fn restart(&mut self) {
        self.stop().await;
        let (address, desk, running) = run(&self.settings, &self.clock).await;
        (self.address, self.desk, self.running) = (address, desk, Some(running));
    }

    /// Where the store is.
    pub fn data_dir(&self) -> &Path {
        &self.settings.data_dir
    }

    /// Somebody without a token.
    pub fn stranger(&self) -> Client {
        Client::new(self.address, None)
    }

    /// A person with an ordinary token, good for an hour.
    pub fn person(&self, subject: &str) -> Client {
        self.bearer(self.issuer.token(PUBLIC_URL, subject).sign())
    }

    pub fn alice(&self) -> Client {
        self.person("alice")
    }

    pub fn bob(&self) -> Client {
        self.person("bob")
    }

    /// A login service's own token.
    pub fn login_service(&self) -> Client {
        let token = self
            .issuer
            .token(PUBLIC_URL, "portal")
            .with("client_id", "portal")
            .with("scope", "mfa:verify");
        self.bearer(token.sign())
    }

    pub fn bearer(&self, token: String) -> Client {
        Client::new(self.address, Some(token))
    }
}

async fn run(settings: &Settings, clock: &Arc<TestClock>) -> (SocketAddr, Arc<Desk>, Running) {
    let app = App::open(settings, clock.clone(), Arc::new(OsEntropy))
        .await
        .unwrap();
    let listener = Listener::bind(&settings.listen).await.unwrap();
    let ListenAddress::Tcp { host, port } = listener.local_addr().unwrap() else {
        panic!("not a TCP listener")
    };
    let desk = app.desk.clone();
    // The issuer may be away on purpose.
    let _ = desk.tools.verifier.prime().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(app.run(listener, Router::new(), async move {
        // Dropped or sent: both mean the end.
        let _ = stopped.await;
    }));
    (
        SocketAddr::new(host.parse().unwrap(), port),
        desk,
        Running { stop, task },
    )
}
