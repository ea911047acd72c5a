//! Composition: settings become a running server.

mod background;
mod parts;
mod periods;
mod running;
mod supervision;
mod terminal;

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::{mpsc, oneshot, watch};

use crate::base::{Clock, Entropy, RateLimit};
use crate::clients::Doorkeeper;
use crate::config::{Exit, Problem, Settings};
use crate::console::{self, Console, Tools};
use crate::copies::Schedule;
use crate::factor::{Desk, RelyingParty};
use crate::http::{self, EdgeSettings};
use crate::metrics::Metrics;
use crate::policy::{self, FactorChangeProof};
use crate::server::{self, Limits, Listener, Routes, Supervisor, Tls};
use crate::services::Services;
use crate::session::Sessions;
use crate::signing::Signer;
use crate::store::Store;
use crate::timekeeper::Timekeeper;

use parts::{check_policy, signer, tls_problem, unreadable, warn_of_unset_services, way};
use running::{Fixed, Running, watch_over};

pub use parts::{
    key_file, key_place, mailer, master_key_hint, open_store, rehearse, store_problem, verifier,
};
pub use periods::JobPeriods;
pub use supervision::supervisor;
pub use terminal::ask;

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
    periods: JobPeriods,
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
        let key = key_place(&settings.data_dir, &settings.master_key)?;
        let store = open_store(&settings.data_dir, &key, entropy.clone())?;
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
            sessions: None,
        };
        let (desk, edge) = match assemble(settings, &base).await {
            Ok(assembled) => assembled,
            Err(refused) => {
                base.store.close().await;
                return Err(refused);
            }
        };
        if let Err(failure) = warn_of_unset_services(&base.store, base.clock.now()) {
            tracing::warn!(?failure, "login services could not be read");
        }
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
            periods: JobPeriods::default(),
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

    /// Runs the background jobs at these periods instead of the usual ones.
    pub fn with_periods(mut self, periods: JobPeriods) -> Self {
        self.periods = periods;
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
            periods: self.periods,
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

/// What outlives a change of settings.
struct Base {
    metrics: Metrics,
    store: Store,
    signer: Signer,
    clock: Arc<dyn Clock>,
    timekeeper: Timekeeper,
    entropy: Arc<dyn Entropy>,
    /// Those from before, whose renewals may be under way.
    sessions: Option<Sessions>,
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
        sessions,
    } = base;
    let verifier = verifier(settings, clock.clone())?;
    let way = way(settings);
    let sessions = match sessions {
        Some(before) => before.with(verifier.clone(), way),
        None => Sessions::new(store.clone(), entropy.clone(), verifier.clone(), way),
    };
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
        factor_change_proof: settings.factor_change_proof,
        recent_auth: settings.recent_auth,
        audit_limits: settings.limits.audit,
        account_limit: Arc::new(RateLimit::new(settings.limits.account_changes_per_minute)),
        phantom_failures: Arc::default(),
        email_resend_after: settings.email_resend_after,
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
    if settings.factor_change_proof == FactorChangeProof::Off {
        tracing::warn!(
            "factor-change-proof is off: anyone who knows a user's password can add a factor and sign in with it"
        );
    }
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
