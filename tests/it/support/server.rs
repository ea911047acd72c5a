//! The server, with every door in the test's hands.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use mfad::app::{App, JobPeriods, StartError};
use mfad::base::{Failure, ListenAddress, OsEntropy, Secret};
use mfad::brand::Brand;
use mfad::clients::Service;
use mfad::config::{
    IssuerConfig, KeySource, LogConfig, LogFormat, LogLevel, MasterKeySettings, Settings,
    SmtpConfig, SmtpSecurity, Supervision, UiAuth, UsageLimits,
};
use mfad::console::{self, Answer, Order, Tools};
use mfad::factor::{Desk, set_policy, unset_policy};
use mfad::policy::{self, FactorChangeProof, Key, Policy};
use mfad::server::{Listener, TlsFiles};
use mfad::words::Language;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::client::Client;
use super::clock::TestClock;
use super::fixture::Fixture;
use super::issuer::Issuer;
use super::smtp::{self, SmtpServer};

/// What browsers would see; keys are bound to it.
pub const PUBLIC_URL: &str = "https://mfa.example.com";

/// So many requests a minute that none is refused.
pub fn unlimited() -> UsageLimits {
    UsageLimits {
        account_changes_per_minute: 1_000_000,
        ..UsageLimits::default()
    }
}

/// How a server differs from the usual one.
#[derive(Default)]
pub struct Options {
    /// Without an SMTP server.
    pub no_mail: bool,
    /// Without an issuer that can be reached at the start.
    pub issuer_away: bool,
    /// Who must have what, as the settings say.
    pub policy: Policy,
    /// Routes beside its own.
    pub extra: Option<Extra>,
    /// Whether users who have a factor prove one before their factors change.
    pub factor_change_proof: FactorChangeProof,
    /// How many seconds ago somebody may have signed in who makes a change.
    pub recent_auth: Option<u64>,
    /// Seconds between two mailed codes to one person, if not 60.
    pub email_resend_after: Option<u64>,
    /// How much users may do, and how much of it is recorded.
    pub limits: UsageLimits,
    /// The clients that may be login services; any where there is none.
    pub verify_clients: Vec<String>,
    /// How people come to the settings page, if not with a token to paste.
    pub ui_auth: Option<UiAuth>,
    /// The language of whoever asks for none.
    pub language: Language,
    /// What people know the service as, if not Example.
    pub service_name: Option<String>,
    /// How the pages look.
    pub brand: Brand,
    /// How often the background jobs run, if not as [`periods`] says.
    pub periods: Option<JobPeriods>,
    /// Certificate and key, where it speaks TLS itself.
    pub tls: Option<TlsFiles>,
    /// What an earlier program left, where the server is to begin with that: the store, its moment, its issuer.
    pub begins_with: Option<Fixture>,
}

/// A notice that has to be sent again is not waited for. The search for unfinished sign-ins runs only at the start: tests
/// run it when the clock stands where they want it.
pub fn periods() -> JobPeriods {
    JobPeriods {
        outbox: Duration::from_millis(20),
        unfinished_sign_ins: Duration::from_secs(3600),
        refusals: Duration::from_secs(3600),
        ..JobPeriods::default()
    }
}

/// Makes routes that are served beside the server's own.
pub type Extra = fn(Arc<Desk>) -> Router;

pub struct Server {
    pub clock: Arc<TestClock>,
    pub issuer: Issuer,
    pub smtp: SmtpServer,
    pub address: SocketAddr,
    /// The running server's insides, for looking at what it keeps.
    pub desk: Arc<Desk>,
    /// How often the background jobs run from the next start on.
    pub periods: JobPeriods,
    settings: Settings,
    extra: Option<Extra>,
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

    /// One that takes any number of requests a minute: for races.
    pub async fn start_unlimited() -> Self {
        Server::start_with(Options {
            limits: unlimited(),
            ..Options::default()
        })
        .await
    }

    pub async fn start_with(options: Options) -> Self {
        let (clock, issuer) = match &options.begins_with {
            None => {
                let clock = TestClock::new();
                (clock.clone(), Issuer::start(clock).await)
            }
            Some(fixture) => {
                let clock = TestClock::at(fixture.moment());
                (clock.clone(), fixture.issuer(clock).await)
            }
        };
        issuer.be_away(options.issuer_away);
        let smtp = SmtpServer::start(smtp::Options {
            protection: smtp::Protection::None,
            ..Default::default()
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        if let Some(fixture) = &options.begins_with {
            fixture.unpack(&folder.path().join("data"));
        }
        let passphrase = options.begins_with.as_ref().and_then(Fixture::passphrase);
        let url: url::Url = PUBLIC_URL.parse().unwrap();
        let settings = Settings {
            listen: ListenAddress::Tcp {
                host: "127.0.0.1".to_owned(),
                port: 0,
            },
            metrics_listen: None,
            tls: options.tls,
            trusted_proxies: Vec::new(),
            public_url: url.clone(),
            rp_id: "mfa.example.com".to_owned(),
            origins: vec![url],
            data_dir: folder.path().join("data"),
            master_key: MasterKeySettings {
                file: None,
                passphrase: passphrase.map(|it| Secret::new(it.as_bytes().to_vec())),
            },
            issuer: Some(IssuerConfig {
                issuer: issuer.url.clone(),
                keys: match &options.begins_with {
                    None => KeySource::Discovery,
                    Some(_) => {
                        KeySource::JwksUrl(format!("{}/jwks", issuer.address).parse().unwrap())
                    }
                },
                audiences: vec![PUBLIC_URL.to_owned()],
                verify_scope: "mfa:verify".to_owned(),
                verify_clients: options.verify_clients,
                admin_scope: "mfa:admin".to_owned(),
                may_grant_admin: true,
            }),
            ui_auth: options.ui_auth.unwrap_or(UiAuth::Pasted),
            smtp: (!options.no_mail).then(|| SmtpConfig {
                host: "127.0.0.1".to_owned(),
                port: smtp.port(),
                security: SmtpSecurity::Plain,
                username: None,
                password: None,
                from: "Example <mfad@example.com>".to_owned(),
            }),
            ca_file: None,
            policy: options.policy,
            factor_change_proof: options.factor_change_proof,
            recent_auth: options.recent_auth,
            email_resend_after: options.email_resend_after.unwrap_or(60),
            limits: options.limits,
            copies: None,
            service_name: options.service_name.unwrap_or_else(|| "Example".to_owned()),
            language: options.language,
            brand: options.brand,
            max_connections: 512,
            log: LogConfig {
                format: LogFormat::Json,
                level: LogLevel::Info,
            },
            supervision: Supervision::default(),
        };
        let periods = options.periods.unwrap_or_else(periods);
        let (address, desk, running) = run(&settings, &clock, periods, options.extra).await;
        Server {
            clock,
            issuer,
            smtp,
            address,
            desk,
            periods,
            settings,
            extra: options.extra,
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
        let started = run(&self.settings, &self.clock, self.periods, self.extra);
        let (address, desk, running) = started.await;
        (self.address, self.desk, self.running) = (address, desk, Some(running));
    }

    /// Ends it and starts another whose settings say another policy.
    pub async fn restart_under(&mut self, policy: Policy) {
        self.settings.policy = policy;
        self.restart().await;
    }

    /// Ends it and starts another that is for another audience.
    pub async fn expect_audience(&mut self, audience: &str) {
        if let Some(issuer) = &mut self.settings.issuer {
            issuer.audiences = vec![audience.to_owned()];
        }
        self.restart().await;
    }

    /// Ends it and tries to start another whose settings say another policy, which is refused.
    pub async fn refuses(&mut self, policy: Policy) -> StartError {
        self.stop().await;
        let settings = Settings {
            policy,
            ..self.settings.clone()
        };
        let opened = App::open(&settings, self.clock.clone(), Arc::new(OsEntropy));
        opened.await.err().expect("the server starts")
    }

    /// Stores one part of the policy, as `mfad policy set` does.
    pub async fn set_policy(&self, key: Key, words: &[&str]) -> Result<Policy, Failure> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let tools = &self.desk.tools;
        set_policy(&tools.store, &tools.policy, key, words, tools.now()).await
    }

    /// Takes one part back, as `mfad policy unset` does.
    pub async fn unset_policy(&self, key: Key) -> Result<Policy, Failure> {
        let tools = &self.desk.tools;
        unset_policy(&tools.store, &tools.policy, key, tools.now()).await
    }

    /// The policy that holds.
    pub fn policy(&self) -> Policy {
        let tools = &self.desk.tools;
        let shown = tools.store.read(|read| policy::show(read, &tools.policy));
        shown.unwrap()
    }

    /// Has the clock believed, wherever it stands, as `mfad clock accept` does.
    pub async fn accept_clock(&self) {
        self.desk.tools.timekeeper.accept().await.unwrap();
    }

    /// Where the store is.
    pub fn data_dir(&self) -> &Path {
        &self.settings.data_dir
    }

    /// Somebody without a token.
    pub fn stranger(&self) -> Client {
        Client::new(self.address, None)
    }

    /// A person who has just signed in with all that they have; their token is good for an hour.
    pub fn person(&self, subject: &str) -> Client {
        let token = self.issuer.token(PUBLIC_URL, subject);
        self.bearer(token.with_second_factor().sign())
    }

    /// Anyone who knows a person's password: the token says that they showed nothing else.
    pub fn password_only(&self, subject: &str) -> Client {
        let token = self.issuer.token(PUBLIC_URL, subject);
        let token = token.with("amr", serde_json::json!(["pwd"]));
        self.bearer(token.with("auth_time", self.clock.unix()).sign())
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

    /// Registers a login service, and gives its key.
    pub async fn register(&self, service: Service) -> String {
        let tools = Tools::from(&self.desk.tools);
        let answer = console::execute(&tools, Order::ServiceAdd(service)).await;
        let Answer::Key { key, .. } = answer.unwrap() else {
            panic!("no key")
        };
        key.expose().clone()
    }

    pub fn bearer(&self, token: String) -> Client {
        Client::new(self.address, Some(token))
    }
}

async fn run(
    settings: &Settings,
    clock: &Arc<TestClock>,
    periods: JobPeriods,
    extra: Option<Extra>,
) -> (SocketAddr, Arc<Desk>, Running) {
    let app = App::open(settings, clock.clone(), Arc::new(OsEntropy))
        .await
        .unwrap()
        .with_periods(periods);
    let listener = Listener::bind(&settings.listen).await.unwrap();
    let ListenAddress::Tcp { host, port } = listener.local_addr().unwrap() else {
        panic!("not a TCP listener")
    };
    let desk = app.desk.clone();
    // The issuer may be away on purpose.
    let _ = desk.tools.verifier.prime().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let extra = extra.map_or_else(Router::new, |extra| extra(desk.clone()));
    let task = tokio::spawn(app.run(listener, extra, async move {
        // Dropped or sent: both mean the end.
        let _ = stopped.await;
    }));
    (
        SocketAddr::new(host.parse().unwrap(), port),
        desk,
        Running { stop, task },
    )
}
