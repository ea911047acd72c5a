use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::app::{App, supervisor};
use crate::base::{ListenAddress, OsEntropy, SystemClock, monotonic};
use crate::config::{Exit, Problems, Settings};
use crate::server::{HandedOver, Listener, Supervisor};

use super::{asked_to_stop, block_on, problem, report};

/// Runs the server until it is asked to stop. On SIGHUP `again` reads the settings anew.
pub fn serve(settings: &Settings, again: impl Fn() -> Result<Box<Settings>, Problems>) -> Exit {
    // While there is one thread yet.
    let handed_over = match HandedOver::take() {
        Ok(handed_over) => handed_over,
        Err(e) => {
            let hint = "let mfad.socket have one ListenStream=, or leave it out and set --listen";
            return report(Exit::Config, &problem("socket from systemd", e, hint));
        }
    };
    let supervisor = supervisor(&settings.supervision);
    block_on(async {
        let stop = asked_to_stop();
        let (reload, reloads) = mpsc::channel(1);
        let reloading = reload_when_asked(reload, again, supervisor.clone());
        let app = match App::open(settings, Arc::new(SystemClock), Arc::new(OsEntropy)).await {
            Ok(app) => app,
            Err(refused) => return report(refused.exit, &refused.problem),
        };
        let listener = match handed_over {
            Some(socket) => Listener::adopt(socket).map_err(|e| {
                let hint = "try again; the system is short of something";
                report(Exit::Io, &problem("socket from systemd", e, hint))
            }),
            None => listen(&settings.listen).await,
        };
        let listeners = match listener {
            Ok(listener) => watched(settings).await.map(|watched| (listener, watched)),
            Err(exit) => Err(exit),
        };
        let (listener, watched_at) = match listeners {
            Ok(listeners) => listeners,
            Err(exit) => {
                app.desk.tools.store.close().await;
                return exit;
            }
        };
        if let (Some(listener), Some(wanted)) = (&watched_at, &settings.metrics_listen) {
            tracing::info!(listen = %address(listener, wanted), "serving what is counted");
        }
        tracing::info!(listen = %address(&listener, &settings.listen), public_url = %settings.public_url, "serving");
        fetch_keys(&app);
        let served = app
            .watched_at(watched_at)
            .supervised_by(supervisor, settings.supervision.watchdog)
            .with_reloads(reloads)
            .run(listener, Router::new(), stop);
        let served = tokio::select! {
            served = served => served,
            never = reloading => match never {},
        };
        match served {
            Ok(()) => Exit::Ok,
            Err(e) => report(Exit::Io, &problem("listen", e, "look into the log")),
        }
    })
}

/// Reads the settings again whenever somebody sends SIGHUP, which is caught from this call on.
fn reload_when_asked(
    reload: mpsc::Sender<Box<Settings>>,
    again: impl Fn() -> Result<Box<Settings>, Problems>,
    supervisor: Supervisor,
) -> impl Future<Output = Infallible> {
    let caught = signal(SignalKind::hangup());
    async move {
        let mut signals = match caught {
            Ok(signals) => signals,
            Err(e) => {
                tracing::warn!(%e, "SIGHUP cannot be caught, and ends the process");
                return std::future::pending().await;
            }
        };
        loop {
            if signals.recv().await.is_none() {
                return std::future::pending().await;
            }
            supervisor.reloading(monotonic());
            match again() {
                // Refused only where the server is ending. Who takes them up says that it is ready again.
                Ok(settings) => drop(reload.send(settings).await),
                Err(problems) => {
                    tracing::error!(%problems, "the settings were read again and are wrong; those from before go on");
                    supervisor.ready();
                }
            }
        }
    }
}

/// Fetches the issuer's keys while we listen already: an issuer that is away must not keep us from starting.
pub(super) fn fetch_keys(app: &App) {
    let verifier = app.desk.tools.verifier.clone();
    tokio::spawn(async move {
        if let Err(failure) = verifier.prime().await {
            tracing::warn!(
                ?failure,
                "the issuer's keys cannot be had yet; trying again"
            );
        }
    });
}

/// The listener for those who watch over the server, where there shall be one.
async fn watched(settings: &Settings) -> Result<Option<Listener>, Exit> {
    match &settings.metrics_listen {
        Some(wanted) => listen(wanted).await.map(Some),
        None => Ok(None),
    }
}

/// Opens the listener, or says why not.
pub(super) async fn listen(wanted: &ListenAddress) -> Result<Listener, Exit> {
    Listener::bind(wanted).await.map_err(|e| {
        let hint = "choose a free address with --listen, or stop what has it";
        report(Exit::Io, &problem("listen", format!("{wanted}: {e}"), hint))
    })
}

/// Where it listens in fact, which differs where port 0 was asked for.
pub(super) fn address(listener: &Listener, wanted: &ListenAddress) -> ListenAddress {
    listener.local_addr().unwrap_or_else(|_| wanted.clone())
}
