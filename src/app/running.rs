//! What runs, and what of it new settings replace.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::{mpsc, watch};

use super::background::background;
use super::parts::tls_problem;
use super::{Base, JobPeriods, StartError, assemble};
use crate::audit::{self, Operation};
use crate::base::ListenAddress;
use crate::config::{LogConfig, MasterKeySettings, Settings};
use crate::console::Tools;
use crate::factor::Desk;
use crate::http;
use crate::server::{self, Limits, Listener, Routes, Supervisor, Tls};

/// How many may ask at once for what is counted.
const WATCHERS: usize = 16;
/// How long new settings wait for the issuer's keys before they hold.
const PRIMING: Duration = Duration::from_secs(5);

/// What holds until the process ends, whatever the settings say later.
#[derive(PartialEq)]
pub(super) struct Fixed {
    listen: ListenAddress,
    metrics_listen: Option<ListenAddress>,
    data_dir: PathBuf,
    master_key: MasterKeySettings,
    max_connections: usize,
    speaks_tls: bool,
    log: LogConfig,
}

impl Fixed {
    pub(super) fn of(settings: &Settings) -> Self {
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
/// What runs, and is replaced as a whole when the settings change.
pub(super) struct Running {
    pub(super) desk: Arc<Desk>,
    pub(super) routes: Routes,
    pub(super) watched: Routes,
    pub(super) extra: Router,
    pub(super) tools: watch::Sender<Tools>,
    pub(super) tls: Option<Tls>,
    pub(super) fixed: Fixed,
    pub(super) supervisor: Supervisor,
    pub(super) periods: JobPeriods,
}

impl Running {
    /// Does what goes on beside the requests, and takes up new settings, until it is dropped. Notices that have
    /// not left then stay in the outbox.
    pub(super) async fn keep(
        mut self,
        mut reloads: Option<mpsc::Receiver<Box<Settings>>>,
    ) -> Infallible {
        loop {
            let settings = tokio::select! {
                () = background(self.desk.clone(), self.tls.clone(), self.periods) => continue,
                Some(settings) = next(&mut reloads) => settings,
            };
            match self.take_up(&settings).await {
                Ok(()) => {
                    tracing::info!("the settings were read again and are in effect");
                    self.note_reload().await;
                }
                Err(StartError { problem, .. }) => {
                    tracing::error!(%problem, "the new settings cannot be taken up; those from before go on");
                }
            }
            self.supervisor.ready();
        }
    }

    /// Settings hold whether or not the disk takes the line that says so.
    async fn note_reload(&self) {
        let tools = &self.desk.tools;
        let line = Operation::new(tools.now(), "settings.reload", None);
        let written = tools.store.write(move |tx| audit::note(tx, &line)).await;
        if let Err(failure) = written {
            tracing::warn!(
                ?failure,
                "that the settings were read again is not in the audit"
            );
        }
    }

    async fn take_up(&mut self, settings: &Settings) -> Result<(), StartError> {
        if Fixed::of(settings) != self.fixed {
            tracing::warn!(
                "of the changed settings, listen, metrics-listen, data-dir, those of the master key, max-connections, log, \
                 log-format and whether TLS is spoken hold from the next start on"
            );
        }
        let tools = &self.desk.tools;
        let base = Base {
            store: tools.store.clone(),
            signer: tools.signer.clone(),
            timekeeper: tools.timekeeper.clone(),
            clock: tools.clock.clone(),
            entropy: tools.entropy.clone(),
            metrics: tools.metrics.clone(),
            sessions: Some(tools.sessions.clone()),
        };
        // All that can fail comes before anything is replaced.
        let certificate = settings.tls.clone().map(Tls::read).transpose();
        let certificate = certificate.map_err(tls_problem)?;
        let (desk, edge) = assemble(settings, &base).await?;
        if let (Some(tls), Some(certificate)) = (&self.tls, certificate) {
            tls.replace(certificate);
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
pub(super) async fn watch_over(listener: Option<Listener>, routes: Routes) -> Infallible {
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
