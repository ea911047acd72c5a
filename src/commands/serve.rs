use std::sync::Arc;

use axum::Router;

use crate::app::App;
use crate::base::{ListenAddress, OsEntropy, SystemClock};
use crate::config::{Exit, Settings};
use crate::server::Listener;

use super::{asked_to_stop, block_on, problem, report};

/// Runs the server until it is asked to stop.
pub fn serve(settings: &Settings) -> Exit {
    block_on(async {
        let stop = asked_to_stop();
        let app = match App::open(settings, Arc::new(SystemClock), Arc::new(OsEntropy)).await {
            Ok(app) => app,
            Err(refused) => return report(refused.exit, &refused.problem),
        };
        let listener = match listen(&settings.listen).await {
            Ok(listener) => listener,
            Err(exit) => {
                app.desk.tools.store.close().await;
                return exit;
            }
        };
        tracing::info!(listen = %address(&listener, &settings.listen), public_url = %settings.public_url, "serving");
        fetch_keys(&app);
        match app.run(listener, Router::new(), stop).await {
            Ok(()) => Exit::Ok,
            Err(e) => report(Exit::Io, &problem("listen", e, "look into the log")),
        }
    })
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
