//! What the service manager is told while we run.

use std::time::Duration;

use crate::config::Supervision;
use crate::server::Supervisor;
use crate::store::Store;

/// Whoever started us, as the settings say. A server that nobody hears is still a server.
pub fn supervisor(supervision: &Supervision) -> Supervisor {
    let Some(address) = &supervision.notify_socket else {
        return Supervisor::default();
    };
    Supervisor::at(address).unwrap_or_else(|error| {
        tracing::warn!(%error, "the service manager cannot be told how it goes");
        Supervisor::default()
    })
}

/// Says that we are well, twice within each `watchdog` as `sd_watchdog_enabled(3)` asks for, and only while the
/// store answers: a process whose store is stuck is of no use to anybody, and is started anew. Never ends.
pub(super) async fn feed(supervisor: Supervisor, watchdog: Option<Duration>, store: Store) {
    let Some(watchdog) = watchdog else {
        return std::future::pending().await;
    };
    loop {
        if store.answers().await {
            supervisor.alive();
        } else {
            tracing::error!("the store does not answer, so the watchdog is not fed");
        }
        tokio::time::sleep(watchdog / 2).await;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::sync::{Arc, Mutex, mpsc};

    use super::*;
    use crate::app::{key_file, open_store};
    use crate::base::OsEntropy;
    use crate::config::MasterKeySettings;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_watchdog_goes_hungry_while_the_store_is_stuck_and_when_it_is_closed() {
        const WATCHDOG: Duration = Duration::from_millis(40);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let ear = UnixDatagram::bind(&path).unwrap();
        let hears = |patience: Duration| {
            ear.set_read_timeout(Some(patience)).unwrap();
            ear.recv(&mut [0; 64]).is_ok()
        };
        let data = folder.path().join("data");
        let key = key_file(&data, &MasterKeySettings::default());
        let store = open_store(&data, &key, Arc::new(OsEntropy)).unwrap();
        let supervision = Supervision {
            notify_socket: Some(path.into()),
            watchdog: Some(WATCHDOG),
        };
        let feeding = tokio::spawn(feed(
            supervisor(&supervision),
            supervision.watchdog,
            store.clone(),
        ));
        let soon = Duration::from_secs(20);
        for _ in 0..3 {
            assert!(hears(soon));
        }

        // The writer is inside a transaction that does not end.
        let (begun, began) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        let stuck = tokio::spawn({
            let store = store.clone();
            async move {
                let stuck = store.write(move |_| {
                    let _ = begun.send(());
                    let _ = held.lock().unwrap().recv();
                    Ok(())
                });
                stuck.await
            }
        });
        began.recv_timeout(soon).unwrap();
        // What was said before that.
        while hears(WATCHDOG * 5) {}
        assert!(!hears(WATCHDOG * 5));

        release.send(()).unwrap();
        stuck.await.unwrap().unwrap();
        assert!(hears(soon));
        store.close().await;
        while hears(WATCHDOG * 5) {}
        assert!(!hears(WATCHDOG * 5));
        feeding.abort();
    }
}
