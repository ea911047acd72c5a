//! The settings, checked: plain values that other rooms' types are made from.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::audit::AuditLimits;
use crate::base::{ListenAddress, Secret};
use crate::brand::Brand;
use crate::copies::Plan;
use crate::policy::{FactorChangeProof, Policy};
use crate::server::{TlsFiles, TrustedProxy};
use crate::words::Language;

/// All that `mfad serve` is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen. A socket from systemd wins over it.
    pub listen: ListenAddress,
    /// Where what is counted is served, over plain HTTP; `None` where nobody wants to know.
    pub metrics_listen: Option<ListenAddress>,
    /// Certificate and key, where the server speaks TLS itself.
    pub tls: Option<TlsFiles>,
    /// Proxies in front that are believed on where a request came from.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// What browsers see: scheme, host and port alone; its path is `/`.
    pub public_url: Url,
    /// The WebAuthn RP ID: the host of each origin or a parent domain of it.
    pub rp_id: String,
    /// Whose pages may use security keys; the first is that of `public_url`.
    pub origins: Vec<Url>,
    /// The folder of the store and, unless `master_key` names another place, of the key.
    pub data_dir: PathBuf,
    /// The master key.
    pub master_key: MasterKeySettings,
    /// Whose tokens are believed. `mfad serve` never goes without.
    pub issuer: Option<IssuerConfig>,
    /// How people come to the settings page.
    pub ui_auth: UiAuth,
    /// How mail leaves; without it no codes are mailed.
    pub smtp: Option<SmtpConfig>,
    /// Further roots (PEM, at least one certificate) for issuer and SMTP server.
    pub ca_file: Option<PathBuf>,
    /// Who must have which factor. What is stored lies over it.
    pub policy: Policy,
    /// Whether users who have a factor prove one before their factors change.
    pub factor_change_proof: FactorChangeProof,
    /// How long ago, in seconds, somebody may have signed in who changes their factors without a code, 60 to
    /// 86,400; `None` where it does not matter.
    pub recent_auth: Option<u64>,
    /// Seconds between two mailed codes to one person, 5 to 600.
    pub email_resend_after: u64,
    /// How much users may do, and how much of it is recorded.
    pub limits: UsageLimits,
    /// 1 to 64 visible characters without a colon.
    pub service_name: String,
    /// The language of pages and mails for whoever asks for none of ours.
    pub language: Language,
    /// Which copies of the store are made by themselves; `None` for none.
    pub copies: Option<Plan>,
    /// How the pages look, where they point to for help, and whom mails name.
    pub brand: Brand,
    /// How many connections are served at once, 1 to 65,536.
    pub max_connections: usize,
    /// How the log is written.
    pub log: LogConfig,
    /// Who started the server, where that is somebody who wants to hear of it.
    pub supervision: Supervision,
}

/// What a service manager says of itself to whom it starts: `sd_notify(3)`, `sd_watchdog_enabled(3)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supervision {
    /// Where it listens (`NOTIFY_SOCKET`): a path, or `@` and a name.
    pub notify_socket: Option<OsString>,
    /// After how long a silence it ends us (`WATCHDOG_USEC`). Never zero, and there only where `notify_socket` is.
    pub watchdog: Option<Duration>,
}

/// Where a server's store is, for whoever gives it orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The folder of the store and, unless `master_key` names another place, of the key.
    pub data_dir: PathBuf,
    /// The master key.
    pub master_key: MasterKeySettings,
    /// Who must have which factor, as file and variables say.
    pub policy: Policy,
    /// The issuer that users belong to, if file or variables say it.
    pub issuer: Option<String>,
}

/// The master key, as the settings say.
#[derive(Clone, Debug, Default)]
pub struct MasterKeySettings {
    /// Where it is, if not in the data folder.
    pub file: Option<MasterKeyFile>,
    /// What it is sealed with; `None` where nobody has said.
    pub passphrase: Option<Secret<Vec<u8>>>,
}

impl PartialEq for MasterKeySettings {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |it: &Self| it.passphrase.as_ref().map(|it| it.expose().clone());
        self.file == other.file && bytes(self) == bytes(other)
    }
}

impl Eq for MasterKeySettings {}

/// Where the master key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterKeyFile {
    /// A file of ours, which may not exist yet.
    Own(PathBuf),
    /// A credential that systemd handed over: guarded by its folder, and made by nobody but systemd.
    Credential(PathBuf),
}

/// Whose tokens are believed, and how far.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// Exactly as in `iss`. A URL, where keys come by discovery.
    pub issuer: String,
    /// What signatures are checked with.
    pub keys: KeySource,
    /// Accepted `aud`; never empty.
    pub audiences: Vec<String>,
    /// The scope of login services.
    pub verify_scope: String,
    /// The clients that may be login services by their own tokens; empty for any that has the scope.
    pub verify_clients: Vec<String>,
    /// The scope of operators.
    pub admin_scope: String,
    /// Whether the issuer's tokens can make anybody an operator.
    pub may_grant_admin: bool,
}

/// How people come to the settings page.
#[derive(Clone, Debug)]
pub enum UiAuth {
    /// They paste an access token.
    Pasted,
    /// A proxy in front adds one to each request.
    Proxy,
    /// They sign in at the issuer, whose keys come by discovery.
    Oidc {
        /// The page's client there.
        client_id: String,
        /// Its secret; `None` for a public client.
        client_secret: Option<Secret<String>>,
    },
}

/// What signatures are checked with.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// The issuer's discovery document says where its keys are.
    Discovery,
    /// A JWKS in a file, which is there.
    JwksFile(PathBuf),
    /// A JWKS at an address: https, or http on this machine.
    JwksUrl(Url),
    /// A shared secret of at least 32 bytes.
    Hs256(Secret<Vec<u8>>),
}

/// How mail leaves.
#[derive(Clone, Debug)]
pub struct SmtpConfig {
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What the connection is protected by.
    pub security: SmtpSecurity,
    /// Whom to log in as; `None` without a login.
    pub username: Option<String>,
    /// There exactly where `username` is.
    pub password: Option<Secret<String>>,
    /// `address` or `name <address>`.
    pub from: String,
}

/// What a connection to the SMTP server is protected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte (`smtps:`).
    Tls,
    /// STARTTLS, or nothing is sent.
    StartTls,
    /// STARTTLS where it is offered. Never with a login.
    Opportunistic,
    /// None; this machine only.
    Plain,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// In which shape.
    pub format: LogFormat,
    /// The least grave that is written.
    pub level: LogLevel,
}

/// In which shape the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs, an object a line.
    Json,
}

/// The least grave that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What went wrong.
    Error,
    /// And what is odd.
    Warn,
    /// And what happens.
    Info,
    /// And how.
    Debug,
    /// And every step.
    Trace,
}

/// How much users may do, and how much of it is recorded.
#[derive(Clone, Copy, Debug)]
pub struct UsageLimits {
    /// Requests a minute that change an account, with one token or in one session, 10 to 1,000,000.
    pub account_changes_per_minute: u32,
    /// How much is recorded.
    pub audit: AuditLimits,
}

impl Default for UsageLimits {
    fn default() -> Self {
        UsageLimits {
            account_changes_per_minute: 60,
            audit: AuditLimits::default(),
        }
    }
}

/// What `mfad demo` is told.
#[derive(Clone, Debug)]
pub struct DemoSettings {
    /// A TCP address that only this machine reaches.
    pub listen: ListenAddress,
    /// A folder to keep; without it a temporary one.
    pub data_dir: Option<PathBuf>,
    /// Seconds between two mailed codes to one person, 5 to 600.
    pub email_resend_after: u64,
    /// How much users may do, and how much of it is recorded.
    pub limits: UsageLimits,
    /// How the pages look, where they point to for help, and whom mails name.
    pub brand: Brand,
    /// How the log is written.
    pub log: LogConfig,
}

/// All that `mfad pam` is told.
#[derive(Clone, Debug)]
pub struct PamSettings {
    /// Where the one-call form is asked: https, or http on this machine.
    pub verify: Url,
    /// The service key: visible ASCII.
    pub key: Secret<String>,
    /// Further roots (PEM, at least one certificate) for the server.
    pub ca_file: Option<PathBuf>,
    /// Who wants in, as the machine calls them. Never empty.
    pub user: String,
}
