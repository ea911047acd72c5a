//! What goes on beside the requests.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::JobPeriods;
use crate::audit;
use crate::base::Failure;
use crate::factor::{self, Desk};
use crate::login;
use crate::outbox;
use crate::server::Tls;
use crate::services::Services;
use crate::store::Resealed;

/// Lines of the audit that one transaction removes.
const PRUNED: usize = 256;

/// What goes on beside the requests, each by itself, until it is dropped.
pub(super) async fn background(desk: Arc<Desk>, tls: Option<Tls>, periods: JobPeriods) {
    let tools = desk.tools.clone();
    let outbox = supervised("outbox", periods.restart, {
        let tools = tools.clone();
        move || {
            let tools = tools.clone();
            async move {
                match &tools.mailer {
                    Some(mailer) => {
                        outbox::deliver(&tools.store, mailer, &*tools.clock, periods.outbox).await
                    }
                    None => std::future::pending().await,
                }
            }
        }
    });
    let sweeping = supervised("sweep", periods.restart, {
        let tools = tools.clone();
        move || {
            let tools = tools.clone();
            async move {
                loop {
                    if let Err(failure) = sweep(&tools).await {
                        tracing::warn!(?failure, "what has expired could not be removed");
                    }
                    tokio::time::sleep(periods.sweep).await;
                }
            }
        }
    });
    let copying = supervised("copies", periods.restart, {
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
                    tokio::time::sleep(periods.backup).await;
                }
            }
        }
    });
    let restored = supervised("void backup codes", periods.restart, {
        let desk = desk.clone();
        move || {
            let desk = desk.clone();
            async move { factor::tell_of_void_codes(&desk, periods.retry).await }
        }
    });
    let resets = supervised("notices of resets", periods.restart, {
        let desk = desk.clone();
        move || {
            let desk = desk.clone();
            async move { factor::keep_notifying_of_resets(&desk, periods.retry).await }
        }
    });
    let sealing = supervised("data keys", periods.restart, {
        let tools = tools.clone();
        move || {
            let tools = tools.clone();
            async move { seal_anew(&tools, periods.retry).await }
        }
    });
    let unfinished = supervised("unfinished sign-ins", periods.restart, move || {
        let desk = desk.clone();
        async move { login::keep_notifying_of_unfinished(&desk, periods.unfinished_sign_ins).await }
    });
    let refusals = supervised("refusals of a minute", periods.restart, {
        let tools = tools.clone();
        move || {
            let tools = tools.clone();
            async move {
                loop {
                    let (limits, now) = (tools.audit_limits, tools.now());
                    let held = audit::record_held_refusals(&tools.store, limits, now);
                    if let Err(failure) = held.await {
                        tracing::warn!(?failure, "refusals not recorded");
                    }
                    tokio::time::sleep(periods.refusals).await;
                }
            }
        }
    });
    let keys = supervised("issuer keys", periods.restart, move || {
        let verifier = tools.verifier.clone();
        async move {
            verifier
                .keep_fresh(periods.issuer_refresh, periods.issuer_retry)
                .await
        }
    });
    let certificate = supervised("TLS certificate", periods.restart, move || {
        let tls = tls.clone();
        async move {
            match &tls {
                Some(tls) => tls.keep_fresh(periods.certificate).await,
                None => std::future::pending().await,
            }
        }
    });
    tokio::join!(
        outbox,
        sweeping,
        copying,
        restored,
        resets,
        sealing,
        unfinished,
        refusals,
        keys,
        certificate
    );
}

/// Seals what earlier data keys sealed under the newest, at the start and whenever there is a new one. After a
/// failure it tries again in `retry`.
async fn seal_anew(tools: &Services, retry: Duration) {
    loop {
        let sealed = async {
            tools.store.date_data_key(tools.now()).await?;
            tools.store.reseal().await
        };
        match sealed.await {
            Ok(None) => tools.store.new_data_key().await,
            Ok(Some(Resealed {
                rows,
                unreadable: 0,
            })) => {
                tracing::info!(
                    rows,
                    "the store is sealed under its new data key, and the earlier one is gone"
                );
            }
            Ok(Some(Resealed { rows, unreadable })) => {
                tracing::error!(
                    rows,
                    unreadable,
                    "damaged rows keep an earlier data key in use"
                );
                tools.store.new_data_key().await;
            }
            Err(failure) => {
                tracing::warn!(
                    ?failure,
                    "the store is not yet sealed under its new data key"
                );
                tokio::time::sleep(retry).await;
            }
        }
    }
}

/// Runs what never ends; if it panics, starts it again in `restart`.
async fn supervised<W: Future<Output = ()> + Send + 'static>(
    name: &str,
    restart: Duration,
    work: impl Fn() -> W,
) {
    loop {
        // Dropped with its set, the task ends with whoever waits for it here.
        let mut running = JoinSet::new();
        running.spawn(work());
        if let Some(Err(panic)) = running.join_next().await {
            tracing::error!(name, %panic, "what runs beside the requests broke, and begins anew");
        }
        tokio::time::sleep(restart).await;
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
    let limits = tools.audit_limits;
    while tools
        .store
        .write(move |tx| audit::prune(tx, &limits, now, PRUNED))
        .await?
    {}
    tools.signer.refresh()
}
