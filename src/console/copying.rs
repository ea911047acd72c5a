//! A copy of the store, over the socket: behind the line of the answer the copy itself, to its end.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::base::{Failure, Timestamp};
use crate::copies::{self, LastCopy};
use crate::store::{CopyError, Store};

/// Pieces that wait for whoever reads them.
const AHEAD: usize = 4;
/// How long one piece may take: whoever stops reading would keep a snapshot, and the file growing.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// Makes a copy of `store` as of `now` and writes it to `to`, the last piece within 30 s of the one before.
///
/// # Errors
/// [`CopyError`], where it is not whole.
pub(super) async fn give(
    store: &Store,
    now: Timestamp,
    to: &mut UnixStream,
) -> Result<(), CopyError> {
    let (pieces, mut made) = mpsc::channel::<Vec<u8>>(AHEAD);
    let copied = {
        let store = store.clone();
        // The disk is waited for elsewhere than where requests are answered.
        tokio::task::spawn_blocking(move || {
            store.copy(now, &mut |piece| {
                let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
                pieces.blocking_send(piece).map_err(gone)
            })
        })
    };
    while let Some(piece) = made.recv().await {
        match timeout(PATIENCE, to.write_all(&piece)).await {
            Ok(written) => written?,
            Err(_) => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        }
    }
    let rows = copied
        .await
        .map_err(|panic| CopyError::Store(Failure::internal(panic)))??;
    to.shutdown().await?;
    remember(store, now, rows).await;
    Ok(())
}

/// Notes a copy that is whole. Without the note it is one all the same.
pub async fn remember(store: &Store, made_at: Timestamp, rows: u64) {
    let copy = LastCopy { made_at, rows };
    match store.write(move |tx| copies::note(tx, copy)).await {
        Ok(()) => tracing::info!(%made_at, rows, "a copy of the store was made"),
        Err(failure) => tracing::warn!(?failure, "a copy of the store was made, and not noted"),
    }
}

/// Hands what comes from a server to `out`, to its end.
pub(super) async fn take(
    from: &mut UnixStream,
    begun: &[u8],
    out: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
) -> io::Result<()> {
    out(begun)?;
    let mut piece = vec![0; PIECE];
    loop {
        let read = match timeout(PATIENCE, from.read(&mut piece)).await {
            Ok(read) => read?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        match piece.get(..read) {
            Some([]) | None => return Ok(()),
            Some(bytes) => out(bytes)?,
        }
    }
}
