use std::sync::Arc;

use axum::Router;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::base::{ListenAddress, OsEntropy, SystemClock, monotonic};
use crate::config::{Exit, Settings};
use crate::server::{HandedOver, Listener};

use super::{asked_to_stop, block_on, problem, report};

/// Runs the server until it is asked to stop.
pub fn serve(settings: &Settings) -> Exit {
    // While there is one thread yet.
    let handed_over = match HandedOver::take() {
        Ok(handed_over) => handed_over,
        Err(e) => {
            let hint = "let mfad.socket have one ListenStream=, or leave it out and set --listen";
            return report(Exit::Config, &problem("socket from systemd", e, hint));
        }
    };
    block_on(async {
        let stop = asked_to_stop();
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
        let listener = match listener {
            Ok(listener) => listener,
            Err(exit) => {
                app.desk.tools.store.close().await;
                return exit;
            }
        };
        tracing::info!(listen = %address(&listener, &settings.listen), public_url = %settings.public_url, "serving");
        fetch_keys(&app);
        let reloading = tokio::spawn(reload_when_asked(&app));
        let served = app.run(listener, Router::new(), stop).await;
        reloading.abort();
        match served {
            Ok(()) => Exit::Ok,
            Err(e) => report(Exit::Io, &problem("listen", e, "look into the log")),
        }
    })
}

/// Fetches the issuer's keys anew at each SIGHUP, while requests go on. Never ends.
fn reload_when_asked(app: &App) -> impl Future<Output = ()> + use<> {
    let supervisor = app.supervisor();
    let verifier = app.desk.tools.verifier.clone();
    let caught = signal(SignalKind::hangup());
    async move {
        let mut asked = match caught {
            Ok(asked) => asked,
            Err(e) => {
                tracing::warn!(%e, "SIGHUP cannot be caught, and ends the process at once");
                return std::future::pending().await;
            }
        };
        while asked.recv().await.is_some() {
            supervisor.reloading(monotonic());
            match verifier.prime().await {
                Ok(()) => tracing::info!("the issuer's keys were read again"),
                Err(failure) => {
                    tracing::warn!(?failure, "the issuer's keys cannot be read again; the old ones hold");
                }
            }
            supervisor.ready();
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
