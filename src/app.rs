//! Composition: settings become a running server.

mod supervision;

use std::convert::Infallible;
use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::audit;
use crate::auth::{self, IssuerSettings, Outbound, Verifier};
use crate::base::{Clock, Entropy, Failure, ListenAddress};
use crate::clients::Doorkeeper;
use crate::config::{
    Exit, IssuerConfig, KeySource, LogConfig, MasterKeyFile, Problem, Settings, SmtpConfig,
    SmtpSecurity, UiAuth,
};
use crate::console::{self, Console, Tools};
use crate::copies::Schedule;
use crate::crypto::MasterKeyError;
use crate::factor::{Desk, RelyingParty, let_hold};
use crate::http::{self, EdgeSettings};
use crate::login;
use crate::mail::{Mailer, Security, SmtpSettings};
use crate::metrics::Metrics;
use crate::outbox;
use crate::policy::{self, OPERATORS_SHUT_OUT};
use crate::server::{self, Limits, Listener, Routes, Supervisor, Tls, TlsError};
use crate::services::Services;
use crate::session::{Client, Sessions, Way};
use crate::signing::Signer;
use crate::store::{self, MasterKeyPlace, OpenError, Store};
use crate::timekeeper::Timekeeper;

pub use supervision::supervisor;

/// How often what has expired is removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// How often it is looked whether a copy of the store is due.
const COPY_INTERVAL: Duration = Duration::from_secs(60);
/// How long what broke waits before it begins anew.
const AFTER_PANIC: Duration = Duration::from_secs(1);
/// How many may ask at once for what is counted.
const WATCHERS: usize = 16;
/// How long new settings wait for the issuer's keys before they hold.
const PRIMING: Duration = Duration::from_secs(5);
/// Lines of the audit that one transaction removes.
const PRUNED: usize = 256;
/// The name of the master key in the data folder.
const MASTER_KEY: &str = "master.key";

/// Why the server did not start.
#[derive(Debug)]
pub struct StartError {
    /// What the process ends with.
    pub exit: Exit,
    /// What is wrong, and what to do.
    pub problem: Problem,
}

impl StartError {
    fn new(exit: Exit, subject: &str, cause: impl ToString, hint: &str) -> Self {
        let problem = Problem {
            subject: subject.to_owned(),
            cause: cause.to_string(),
            hint: hint.to_owned(),
        };
        StartError { exit, problem }
    }
}

/// Everything that runs, before it listens.
pub struct App {
    /// The tools and factors.
    pub desk: Arc<Desk>,
    limits: Limits,
    edge: EdgeSettings,
    console: Option<Console>,
    supervisor: Supervisor,
    watchdog: Option<Duration>,
    tls: Option<Tls>,
    fixed: Fixed,
    reloads: Option<mpsc::Receiver<Box<Settings>>>,
    watched_at: Option<Listener>,
}

/// What holds until the process ends, whatever the settings say later.
#[derive(PartialEq)]
struct Fixed {
    listen: ListenAddress,
    metrics_listen: Option<ListenAddress>,
    data_dir: PathBuf,
    master_key: Option<MasterKeyFile>,
    max_connections: usize,
    speaks_tls: bool,
    log: LogConfig,
}

impl Fixed {
    fn of(settings: &Settings) -> Self {
        Fixed {
            listen: settings.listen.clone(),
            metrics_listen: settings.metrics_listen.clone(),
            data_dir: settings.data_dir.clone(),
            master_key: settings.master_key.clone(),
            max_connections: settings.max_connections,
            speaks_tls: settings.tls.is_some(),
            log: settings.log,
        }
    }
}

impl App {
    /// Opens the store and makes everything ready. Nothing is fetched yet. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn open(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<App, StartError> {
        let tls = settings.tls.clone().map(Tls::read).transpose();
        let tls = tls.map_err(tls_problem)?;
        let store = open_store(
            &settings.data_dir,
            settings.master_key.as_ref(),
            entropy.clone(),
        )?;
        let signer = signer(&store, clock.clone(), entropy.clone()).await?;
        let timekeeper = match Timekeeper::open(store.clone(), clock.clone()) {
            Ok(timekeeper) => timekeeper,
            Err(failure) => {
                store.close().await;
                return Err(unreadable("clock", &failure));
            }
        };
        let metrics = Metrics::new();
        store.count_in(&metrics);
        let base = Base {
            metrics,
            store,
            signer,
            clock,
            timekeeper,
            entropy,
        };
        let (desk, edge) = match assemble(settings, &base).await {
            Ok(assembled) => assembled,
            Err(refused) => {
                base.store.close().await;
                return Err(refused);
            }
        };
        Ok(App {
            desk,
            limits: Limits {
                connections: settings.max_connections,
                ..Limits::default()
            },
            edge,
            console: console(&settings.data_dir),
            tls,
            fixed: Fixed::of(settings),
            reloads: None,
            supervisor: Supervisor::default(),
            watchdog: None,
            watched_at: None,
        })
    }

    /// Tells `supervisor` how it goes, and feeds its watchdog, where that wants to hear something within `watchdog`.
    pub fn supervised_by(mut self, supervisor: Supervisor, watchdog: Option<Duration>) -> Self {
        self.supervisor = supervisor;
        self.watchdog = watchdog;
        self
    }

    /// Takes up the settings that arrive in `reloads` while it runs. What holds until the process ends is passed
    /// over with a word in the log, and settings that cannot be taken up change nothing.
    pub fn with_reloads(mut self, reloads: mpsc::Receiver<Box<Settings>>) -> Self {
        self.reloads = Some(reloads);
        self
    }

    /// Serves what is counted on a listener of its own.
    pub fn watched_at(mut self, listener: Option<Listener>) -> Self {
        self.watched_at = listener;
        self
    }

    /// Serves on `listener` until `stop`, then drains, and closes the store. `extra` routes are served beside our own.
    ///
    /// # Errors
    /// Those of the listener.
    pub async fn run(
        self,
        listener: Listener,
        extra: Router,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let store = self.desk.tools.store.clone();
        let timekeeper = self.desk.tools.timekeeper.clone();
        let (tools, tools_now) = watch::channel(Tools::from(&self.desk.tools));
        let (stop_console, console_stopped) = oneshot::channel::<()>();
        let console = self.console.map(|console| {
            tokio::spawn(console.serve(tools_now, async move {
                // Dropped or sent: both mean the end.
                let _ = console_stopped.await;
            }))
        });
        let fed = tokio::spawn(supervision::feed(
            self.supervisor.clone(),
            self.watchdog,
            store.clone(),
        ));
        let supervisor = self.supervisor.clone();
        let stop = async move {
            stop.await;
            supervisor.stopping();
        };
        let router = http::router(self.desk.clone(), self.edge, extra.clone());
        let routes = Routes::new(router);
        let served = server::serve(
            listener,
            self.tls.clone(),
            routes.clone(),
            self.limits,
            stop,
        );
        let watched = Routes::new(http::watch_router(self.desk.clone()));
        let watch = watch_over(self.watched_at, watched.clone());
        let running = Running {
            desk: self.desk,
            routes,
            watched,
            extra,
            tools,
            tls: self.tls,
            fixed: self.fixed,
            supervisor: self.supervisor.clone(),
        };
        // Whoever connects from now on waits in the kernel's queue for no more than a moment.
        self.supervisor.ready();
        let served = tokio::select! {
            served = served => served,
            never = running.keep(self.reloads) => match never {},
            never = watch => match never {},
        };
        drop(stop_console);
        if let Some(console) = console
            && let Err(panic) = console.await
        {
            tracing::error!(%panic, "the console did not end well");
        }
        if let Err(failure) = timekeeper.write_down(true).await {
            tracing::warn!(?failure, "the time could not be written down");
        }
        // A store that is closed answers nobody.
        fed.abort();
        store.close().await;
        served
    }
}

/// What runs, and is replaced as a whole when the settings change.
struct Running {
    desk: Arc<Desk>,
    routes: Routes,
    watched: Routes,
    extra: Router,
    tools: watch::Sender<Tools>,
    tls: Option<Tls>,
    fixed: Fixed,
    supervisor: Supervisor,
}

impl Running {
    /// Does what goes on beside the requests, and takes up new settings, until it is dropped. Notices that have
    /// not left then stay in the outbox.
    async fn keep(mut self, mut reloads: Option<mpsc::Receiver<Box<Settings>>>) -> Infallible {
        loop {
            let settings = tokio::select! {
                () = background(self.desk.clone(), self.tls.clone()) => continue,
                Some(settings) = next(&mut reloads) => settings,
            };
            match self.take_up(&settings).await {
                Ok(()) => tracing::info!("the settings were read again and are in effect"),
                Err(StartError { problem, .. }) => {
                    tracing::error!(%problem, "the new settings cannot be taken up; those from before go on");
                }
            }
            self.supervisor.ready();
        }
    }

    async fn take_up(&mut self, settings: &Settings) -> Result<(), StartError> {
        if Fixed::of(settings) != self.fixed {
            tracing::warn!(
                "of the changed settings, listen, metrics-listen, data-dir, master-key-file, max-connections, log, log-format and \
                 whether TLS is spoken hold from the next start on"
            );
        }
        let tools = &self.desk.tools;
        let base = Base {
            store: tools.store.clone(),
            signer: tools.signer.clone(),
            timekeeper: self.desk.tools.timekeeper.clone(),
            clock: tools.clock.clone(),
            entropy: tools.entropy.clone(),
            metrics: tools.metrics.clone(),
        };
        let (desk, edge) = assemble(settings, &base).await?;
        if let (Some(tls), Some(files)) = (&self.tls, &settings.tls) {
            tls.reload(files.clone()).map_err(tls_problem)?;
        }
        // So that the first to ask does not wait; those who come meanwhile still meet what ran before.
        let primed = tokio::time::timeout(PRIMING, desk.tools.verifier.prime()).await;
        if !matches!(primed, Ok(Ok(()))) {
            tracing::warn!("the issuer's keys cannot be had yet; trying again");
        }
        self.routes
            .replace(http::router(desk.clone(), edge, self.extra.clone()));
        self.watched.replace(http::watch_router(desk.clone()));
        self.tools.send_replace(Tools::from(&desk.tools));
        self.desk = desk;
        Ok(())
    }
}

/// Serves what is counted, where somebody wants to know.
async fn watch_over(listener: Option<Listener>, routes: Routes) -> Infallible {
    if let Some(listener) = listener {
        let limits = Limits {
            connections: WATCHERS,
            ..Limits::default()
        };
        let served = server::serve(listener, None, routes, limits, std::future::pending());
        if let Err(error) = served.await {
            tracing::error!(%error, "what is counted is no longer served");
        }
    }
    std::future::pending().await
}

async fn next(reloads: &mut Option<mpsc::Receiver<Box<Settings>>>) -> Option<Box<Settings>> {
    reloads.as_mut()?.recv().await
}

/// What outlives a change of settings.
struct Base {
    metrics: Metrics,
    store: Store,
    signer: Signer,
    clock: Arc<dyn Clock>,
    timekeeper: Timekeeper,
    entropy: Arc<dyn Entropy>,
}

/// Everything that answers requests, over what is there already.
async fn assemble(
    settings: &Settings,
    base: &Base,
) -> Result<(Arc<Desk>, EdgeSettings), StartError> {
    let Base {
        metrics,
        store,
        signer,
        clock,
        timekeeper,
        entropy,
    } = base;
    let verifier = verifier(settings, clock.clone())?;
    let sessions = Sessions::new(
        store.clone(),
        entropy.clone(),
        verifier.clone(),
        way(settings),
    );
    let mailer = mailer(settings, clock.clone())?;
    if let Some(mailer) = &mailer {
        mailer.count_in(metrics);
    }
    let tools = Services {
        sessions,
        clients: Doorkeeper::new(store.clone()),
        store: store.clone(),
        clock: clock.clone(),
        timekeeper: timekeeper.clone(),
        copies: settings.copies.clone().map(Schedule::of),
        entropy: entropy.clone(),
        verifier,
        mailer,
        metrics: metrics.clone(),
        signer: signer.clone(),
        policy: Arc::new(settings.policy.clone()),
        recent_auth: settings.recent_auth,
        origin: settings.public_url.origin().ascii_serialization().into(),
        service_name: settings.service_name.as_str().into(),
        language: settings.language,
        brand: Arc::new(settings.brand.clone()),
    };
    let relying_party = RelyingParty {
        id: settings.rp_id.clone(),
        origins: settings.origins.clone(),
    };
    let desk = Desk::new(tools, &relying_party).map_err(|e| {
        StartError::new(
            Exit::Config,
            "rp-id",
            e,
            "set --rp-id to the host of --public-url, or leave it out",
        )
    })?;
    check_policy(&desk.tools)?;
    // The next start compares with it; this one may go on without.
    let policy = desk.tools.policy.clone();
    let held = store.write(move |tx| policy::hold(tx, &policy));
    if let Err(failure) = held.await {
        tracing::warn!(?failure, "the policy in effect could not be noted");
    }
    let edge = EdgeSettings {
        https: settings.public_url.scheme() == "https",
        trusted_proxies: settings.trusted_proxies.as_slice().into(),
        metrics: metrics.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
    };
    Ok((desk, edge))
}

/// Where orders from the command line are taken. A server without it is still a server.
fn console(data_dir: &Path) -> Option<Console> {
    match Console::open(data_dir) {
        Ok(console) => Some(console),
        Err(error) => {
            let path = console::socket_path(data_dir);
            tracing::error!(%error, path = %path.display(), "no orders from the command line can be taken");
            None
        }
    }
}

/// What goes on beside the requests, each by itself, until it is dropped.
async fn background(desk: Arc<Desk>, tls: Option<Tls>) {
    let tools = desk.tools.clone();
    let outbox = supervised("outbox", {
        let tools = tools.clone();
        move || {
            let tools = tools.clone();
            async move {
                match &tools.mailer {
                    Some(mailer) => outbox::deliver(&tools.store, mailer, &*tools.clock).await,
                    None => std::future::pending().await,
                }
            }
        }
    });
    let sweeping = supervised("sweep", {
        let tools = tools.clone();
        move || {
            let tools = tools.clone();
            async move {
                loop {
                    if let Err(failure) = sweep(&tools).await {
                        tracing::warn!(?failure, "what has expired could not be removed");
                    }
                    tokio::time::sleep(SWEEP_INTERVAL).await;
                }
            }
        }
    });
    let copying = supervised("copies", {
        let tools = tools.clone();
        move || {
            let tools = tools.clone();
            async move {
                let Some(copies) = &tools.copies else {
                    return std::future::pending().await;
                };
                loop {
                    if let Err(failure) = copies.make_due(&tools.store, tools.now()).await {
                        tracing::error!(?failure, "the copy of the store that is due was not made");
                    }
                    tokio::time::sleep(COPY_INTERVAL).await;
                }
            }
        }
    });
    let unfinished = supervised("unfinished sign-ins", move || {
        let desk = desk.clone();
        async move { login::tell_of_unfinished(&desk).await }
    });
    let keys = supervised("issuer keys", move || {
        let verifier = tools.verifier.clone();
        async move { verifier.keep_fresh().await }
    });
    let certificate = supervised("TLS certificate", move || {
        let tls = tls.clone();
        async move {
            match &tls {
                Some(tls) => tls.keep_fresh().await,
                None => std::future::pending().await,
            }
        }
    });
    tokio::join!(outbox, sweeping, copying, unfinished, keys, certificate);
}

/// Runs what never ends, and begins it anew should it panic.
async fn supervised<W: Future<Output = ()> + Send + 'static>(name: &str, work: impl Fn() -> W) {
    loop {
        // Dropped with its set, the task ends with whoever waits for it here.
        let mut running = JoinSet::new();
        running.spawn(work());
        if let Some(Err(panic)) = running.join_next().await {
            tracing::error!(name, %panic, "what runs beside the requests broke, and begins anew");
        }
        tokio::time::sleep(AFTER_PANIC).await;
    }
}

/// Removes what has expired, and lines of the audit that are older than they are kept. Signing keys
/// that were removed are let go.
async fn sweep(tools: &Services) -> Result<(), Failure> {
    tools.timekeeper.look();
    tools.timekeeper.write_down(false).await?;
    // A clock that is years ahead must not take with it what has to be remembered.
    let now = tools.timekeeper.for_sweeping();
    tools.store.sweep(now).await?;
    while tools
        .store
        .write(move |tx| audit::prune(tx, now, PRUNED))
        .await?
    {}
    tools.signer.refresh()
}

/// Where everything is kept, as the settings say. Without a `master_key`, that of the data folder is taken.
///
/// # Errors
/// [`StartError`].
pub fn open_store(
    data_dir: &Path,
    master_key: Option<&MasterKeyFile>,
    entropy: Arc<dyn Entropy>,
) -> Result<Store, StartError> {
    store::open(data_dir, &key_place(data_dir, master_key), entropy).map_err(store_problem)
}

/// Where the master key is, as the settings say.
pub fn key_place(data_dir: &Path, master_key: Option<&MasterKeyFile>) -> MasterKeyPlace {
    match master_key {
        Some(MasterKeyFile::Credential(path)) => MasterKeyPlace::Credential(path.clone()),
        Some(MasterKeyFile::Own(path)) => MasterKeyPlace::Own(path.clone()),
        None => MasterKeyPlace::Own(data_dir.join(MASTER_KEY)),
    }
}

/// What signs, with a first key where the store is new. Closes the store where there is none to be had.
async fn signer(
    store: &Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Signer, StartError> {
    match Signer::open(store.clone(), clock, entropy).await {
        Ok(signer) => Ok(signer),
        Err(failure) => {
            store.close().await;
            Err(StartError::new(
                Exit::Io,
                "signing key",
                format!("{failure:?}"),
                "check that the data folder is writable and has space",
            ))
        }
    }
}

/// Whether the policy in effect can hold: it is sound, and leaves an operator who can sign in.
fn check_policy(tools: &Services) -> Result<(), StartError> {
    const BACK: &str = "mfad policy show says where each part of it comes from; \
        change the setting, or take back what was stored with mfad policy unset";
    let checked = tools.store.read(|read| {
        let policy = policy::in_effect(read, &tools.policy)?;
        Ok(match policy.check() {
            Err(misfit) => Err(misfit.cause),
            Ok(()) => match let_hold(read, &policy) {
                Err(failure) if failure.code() == OPERATORS_SHUT_OUT => {
                    Err(failure.detail().trim_end_matches('.').to_owned())
                }
                other => Ok(other?),
            },
        })
    });
    match checked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(cause)) => Err(StartError::new(Exit::Config, "policy", cause, BACK)),
        Err(failure) => Err(unreadable("policy", &failure)),
    }
}

fn unreadable(what: &str, failure: &Failure) -> StartError {
    let hint = "restore a backup if the store is damaged";
    StartError::new(Exit::Io, what, format!("{failure:?}"), hint)
}

/// What to say of a store that cannot be opened.
pub fn store_problem(refused: OpenError) -> StartError {
    let (exit, hint) = match &refused {
        OpenError::InUse(_) => (
            Exit::Temporary,
            "another mfad is running on this store; stop it first, or choose another --data-dir",
        ),
        OpenError::Newer { .. } => (
            Exit::Config,
            "install the newer mfad again; nothing was changed",
        ),
        OpenError::MasterKeyLost { .. } => (
            Exit::Config,
            "bring the key back from where you keep it; a new one would not open what is there",
        ),
        OpenError::StoreLost { .. } => (
            Exit::Config,
            "bring a copy back with mfad restore: an empty store would leave everybody without a second factor. \
             For a new one on purpose, move master.key and mfad.witness away first",
        ),
        OpenError::Doubted { .. } => (
            Exit::Config,
            "codes that were used since may be good in it. Put the right file back; or, to go on with this one, \
             mfad restore --accept-rollback makes what may have been used void",
        ),
        OpenError::MasterKey(MasterKeyError::Io { source, .. })
            if source.kind() != io::ErrorKind::PermissionDenied =>
        {
            (
                Exit::Io,
                "check that the folder of the key exists, is writable and has space",
            )
        }
        OpenError::MasterKey(_) => (Exit::Config, "check --master-key-file: 32 bytes, mode 0600"),
        OpenError::KeyRing(_) => (
            Exit::Config,
            "give the master key that this store was made with",
        ),
        OpenError::Damaged { .. } => (
            Exit::Io,
            "restore a backup; the damaged file was left as it is",
        ),
        OpenError::Foreign { .. } => (
            Exit::Config,
            "run as the owner of the data folder, and let it hold nothing of others",
        ),
        OpenError::Io { .. } => (
            Exit::Io,
            "check that the data folder exists, is writable and has space",
        ),
        OpenError::Start(_) => (Exit::Io, "try again; the system is short of something"),
    };
    StartError::new(exit, "store", refused, hint)
}

fn tls_problem(error: TlsError) -> StartError {
    let hint = "give the full chain in PEM, and the key that belongs to its first certificate";
    StartError::new(Exit::Config, "tls-cert-file", error, hint)
}

fn outbound(ca_file: Option<&PathBuf>) -> Result<Outbound, StartError> {
    Outbound::new(ca_file.map(PathBuf::as_path)).map_err(|e| {
        StartError::new(
            Exit::Config,
            "ca-file",
            e,
            "give a PEM file with at least one certificate",
        )
    })
}

/// Who is believed, as the settings say.
///
/// # Errors
/// [`StartError`].
pub fn verifier(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Verifier, StartError> {
    let hint = "see mfad serve --help";
    let issuers = settings.issuer.iter().map(issuer).collect();
    Verifier::new(issuers, outbound(settings.ca_file.as_ref())?, clock)
        .map_err(|e| StartError::new(Exit::Config, "issuer", e, hint))
}

fn issuer(config: &IssuerConfig) -> IssuerSettings {
    let keys = match &config.keys {
        KeySource::Discovery => auth::KeySource::Discovery,
        KeySource::JwksFile(path) => auth::KeySource::File(path.clone()),
        KeySource::JwksUrl(url) => auth::KeySource::Url(url.clone()),
        KeySource::Hs256(secret) => auth::KeySource::Hs256(secret.clone()),
    };
    let mut issuer = IssuerSettings::new(config.issuer.clone(), config.audiences.clone(), keys);
    issuer.verify_scope = config.verify_scope.clone();
    issuer.verify_clients = config.verify_clients.clone();
    issuer.admin_scope = config.admin_scope.clone();
    issuer.may_grant_admin = config.may_grant_admin;
    issuer
}

/// How people come to the settings page, as the settings say.
fn way(settings: &Settings) -> Way {
    match (&settings.ui_auth, &settings.issuer) {
        (UiAuth::Pasted, _) | (UiAuth::Oidc { .. }, None) => Way::Pasted,
        (UiAuth::Proxy, _) => Way::Proxied,
        (
            UiAuth::Oidc {
                client_id,
                client_secret,
            },
            Some(issuer),
        ) => {
            // Tokens are for the client that asks for them, where nothing else is said.
            let own = issuer.audiences.contains(client_id);
            Way::Client(Client {
                issuer: issuer.issuer.clone(),
                id: client_id.clone(),
                secret: client_secret.clone(),
                audience: issuer.audiences.first().filter(|_| !own).cloned(),
                origin: settings.public_url.origin().ascii_serialization().into(),
            })
        }
    }
}

/// How mail leaves, as the settings say.
///
/// # Errors
/// [`StartError`].
pub fn mailer(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Option<Mailer>, StartError> {
    let Some(config) = &settings.smtp else {
        return Ok(None);
    };
    let mut smtp = smtp(config);
    if let Some(path) = &settings.ca_file {
        let pem = fs::read(path)
            .map_err(|e| StartError::new(Exit::Config, "ca-file", e, "make the file readable"))?;
        smtp.extra_ca_pem = Some(pem);
    }
    let mailer = Mailer::new(&smtp, clock).map_err(|e| {
        StartError::new(
            Exit::Config,
            "smtp-url",
            e,
            "see --smtp-url and --mail-from in mfad serve --help",
        )
    })?;
    Ok(Some(mailer))
}

fn smtp(config: &SmtpConfig) -> SmtpSettings {
    let mut smtp = SmtpSettings::new(config.host.clone(), config.port, config.from.clone());
    smtp.security = match config.security {
        SmtpSecurity::Tls => Security::Implicit,
        SmtpSecurity::StartTls => Security::StartTls,
        SmtpSecurity::Opportunistic => Security::Opportunistic,
        SmtpSecurity::Plain => Security::None,
    };
    smtp.username = config.username.clone();
    smtp.password = config.password.clone();
    smtp
}
