use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::app::App;
use crate::base::{ListenAddress, OsEntropy, SystemClock};
use crate::config::{Exit, Problems, Settings};
use crate::server::Listener;

use super::{asked_to_stop, block_on, problem, report};

/// Runs the server until it is asked to stop. On SIGHUP `again` reads the settings anew.
pub fn serve(settings: &Settings, again: impl Fn() -> Result<Box<Settings>, Problems>) -> Exit {
    block_on(async {
        let stop = asked_to_stop();
        let (reload, reloads) = mpsc::channel(1);
        let reloading = reload_when_asked(reload, again);
        let app = match App::open(settings, Arc::new(SystemClock), Arc::new(OsEntropy)).await {
            Ok(app) => app,
            Err(refused) => return report(refused.exit, &refused.problem),
        };
        let listeners = listeners(settings).await;
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
        let served =
            app.watched_at(watched_at)
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
            match again() {
                // Refused only where the server is ending.
                Ok(settings) => drop(reload.send(settings).await),
                Err(problems) => {
                    tracing::error!(%problems, "the settings were read again and are wrong; those from before go on");
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

/// The listener, and the one for those who watch over the server.
async fn listeners(settings: &Settings) -> Result<(Listener, Option<Listener>), Exit> {
    let listener = listen(&settings.listen).await?;
    let watched_at = match &settings.metrics_listen {
        Some(wanted) => Some(listen(wanted).await?),
        None => None,
    };
    Ok((listener, watched_at))
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
