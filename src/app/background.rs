//! What goes on beside the requests.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::audit;
use crate::base::Failure;
use crate::factor::{self, Desk};
use crate::login;
use crate::outbox;
use crate::server::Tls;
use crate::services::Services;
use crate::store::Resealed;

/// How often what has expired is removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// How often it is looked whether a copy of the store is due.
const COPY_INTERVAL: Duration = Duration::from_secs(60);
/// How long after a failure sealing anew is tried again.
const RESEAL_AGAIN: Duration = Duration::from_secs(10);
/// How long what broke waits before it begins anew.
const AFTER_PANIC: Duration = Duration::from_secs(1);
/// Lines of the audit that one transaction removes.
const PRUNED: usize = 256;

/// What goes on beside the requests, each by itself, until it is dropped.
pub(super) async fn background(desk: Arc<Desk>, tls: Option<Tls>) {
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
    let restored = supervised("void backup codes", {
        let desk = desk.clone();
        move || {
            let desk = desk.clone();
            async move { factor::tell_of_void_codes(&desk).await }
        }
    });
    let resets = supervised("notices of resets", {
        let desk = desk.clone();
        move || {
            let desk = desk.clone();
            async move { factor::tell_of_resets(&desk).await }
        }
    });
    let sealing = supervised("data keys", {
        let tools = tools.clone();
        move || {
            let tools = tools.clone();
            async move { seal_anew(&tools).await }
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
    tokio::join!(
        outbox,
        sweeping,
        copying,
        restored,
        resets,
        sealing,
        unfinished,
        keys,
        certificate
    );
}

/// Seals what earlier data keys sealed under the newest, at the start and whenever there is a new one.
async fn seal_anew(tools: &Services) {
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
                tokio::time::sleep(RESEAL_AGAIN).await;
            }
        }
    }
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
