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

/// Sends the keep-alive twice within each `watchdog`, as `sd_watchdog_enabled(3)` asks for. Never ends.
pub(super) async fn feed(supervisor: Supervisor, watchdog: Option<Duration>, store: Store) {
    let Some(watchdog) = watchdog else {
        return std::future::pending().await;
    };
    loop {
        keep_alive(&supervisor, &store).await;
        tokio::time::sleep(watchdog / 2).await;
    }
}

/// Sends one keep-alive, and only if the store answers: a process whose store is stuck is of no use to anybody, and the
/// service manager should restart it.
async fn keep_alive(supervisor: &Supervisor, store: &Store) {
    if store.answers().await {
        supervisor.alive();
    } else {
        tracing::error!("the store does not answer, so the watchdog is not fed");
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::net::UnixDatagram;
    use std::sync::{Arc, Mutex, mpsc};
    use std::task::Poll;

    use super::*;
    use crate::app::{key_file, open_store};
    use crate::base::OsEntropy;
    use crate::config::MasterKeySettings;

    /// How many messages have arrived since the last call.
    fn arrived(socket: &UnixDatagram) -> usize {
        let mut messages = 0;
        loop {
            match socket.recv(&mut [0; 64]) {
                Ok(_) => messages += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return messages,
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[tokio::test]
    async fn no_keep_alive_leaves_while_the_store_is_stuck_or_after_it_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let supervisor = supervisor(&Supervision {
            notify_socket: Some(path.into()),
            watchdog: None,
        });
        let data = folder.path().join("data");
        let key = key_file(&data, &MasterKeySettings::default());
        let store = open_store(&data, &key, Arc::new(OsEntropy)).unwrap();
        keep_alive(&supervisor, &store).await;
        assert_eq!(arrived(&socket), 1);

        // The writer is inside a transaction that does not end.
        let (entered, has_entered) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let stuck = tokio::spawn({
            let store = store.clone();
            async move {
                let stuck = store.write(move |_| {
                    let _ = entered.send(());
                    let _ = released.lock().unwrap().recv();
                    Ok(())
                });
                stuck.await
            }
        });
        while has_entered.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let mut waiting = Box::pin(keep_alive(&supervisor, &store));
        let polled = std::future::poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context)));
        assert!(polled.await.is_pending());
        assert_eq!(arrived(&socket), 0);

        release.send(()).unwrap();
        stuck.await.unwrap().unwrap();
        waiting.await;
        assert_eq!(arrived(&socket), 1);
        store.close().await;
        keep_alive(&supervisor, &store).await;
        assert_eq!(arrived(&socket), 0);
    }
}
