//! The server's end of the socket.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use super::copying;
use super::execute::{Tools, execute};
use super::order::{Answer, Fault, Order, Refusal, Reply};
use super::{DEADLINE, LONGEST_ANSWER, LONGEST_ORDER, socket_path};

/// The server's own user alone.
const MODE: Mode = Mode::from_raw_mode(0o600);
/// Connections that are served at once; others wait.
const CONNECTIONS: usize = 8;
/// Connections that the kernel keeps for us while we take none.
const BACKLOG: i32 = 8;
/// How long what the system refuses is waited out.
const BACK_OFF: Duration = Duration::from_millis(100);
/// How long orders under way may take to finish when the server stops.
const DRAIN: Duration = Duration::from_secs(2);

/// A place where orders are taken. Its file goes with it.
pub struct Console {
    listener: UnixListener,
    path: PathBuf,
    file: Option<(u64, u64)>,
}

impl Console {
    /// Opens the socket in the data folder `folder`, in place of one that a dead server left: whoever has
    /// the store open, as the caller must, is the only server there is. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// Where there is something of that name that is no socket, or the system refuses.
    pub fn open(folder: &Path) -> io::Result<Console> {
        let path = socket_path(folder);
        remove_stale(&path)?;
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path)?)?;
        // Nobody can connect before `listen`, so nobody meets the mode that the umask left.
        rustix::fs::chmod(&path, MODE)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(Console {
            listener: UnixListener::from_std(socket.into())?,
            file: identity(&path),
            path,
        })
    }

    /// Carries out orders until `stop`, with the tools of the moment; those under way are finished, within 2 s.
    pub async fn serve(self, tools: watch::Receiver<Tools>, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut under_way = JoinSet::new();
        loop {
            let full = under_way.len() >= CONNECTIONS;
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = under_way.join_next() => {}
                arrived = self.listener.accept(), if !full => match arrived {
                    Ok((stream, _)) => {
                        let tools = tools.borrow().clone();
                        under_way.spawn(async move { take(stream, &tools).await });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "an order could not be taken");
                        sleep(BACK_OFF).await;
                    }
                },
            }
        }
        drop(self);
        let _ = timeout(DRAIN, async {
            while under_way.join_next().await.is_some() {}
        })
        .await;
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Another server may have put its own there since.
        if self.file.is_some() && identity(&self.path) == self.file {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(file) if file.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file of that name that is not a socket, and it is not ours to remove",
        )),
    }
}

/// Whether a process of the user `peer` may give orders to one of the user `own`.
pub(super) fn may_order(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

async fn take(stream: UnixStream, tools: &Tools) {
    let own = rustix::process::geteuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if may_order(peer.uid(), own) => {}
        Ok(peer) => {
            tracing::warn!(uid = peer.uid(), "somebody else's order was not heard");
            return;
        }
        Err(error) => {
            tracing::warn!(%error, "nobody knows whose order it is, so it was not heard");
            return;
        }
    }
    let mut stream = stream;
    match timeout(DEADLINE, converse(&mut stream, tools)).await {
        Ok(Ok(Next::Done)) => {}
        Ok(Ok(Next::Copy)) => {
            let now = tools.clock.now();
            if let Err(error) = copying::give(&tools.store, now, &mut stream).await {
                tracing::warn!(%error, "a copy of the store was not made");
            }
        }
        Ok(Err(error)) => tracing::debug!(%error, "an order broke off"),
        Err(_) => tracing::debug!("an order took too long"),
    }
}

/// What comes behind the answer.
enum Next {
    Done,
    Copy,
}

async fn converse(stream: &mut UnixStream, tools: &Tools) -> io::Result<Next> {
    let (reading, mut writing) = stream.split();
    let mut line = Vec::new();
    let longest = LONGEST_ORDER as u64;
    let read = BufReader::new(reading.take(longest))
        .read_until(b'\n', &mut line)
        .await?;
    let reply = match line
        .strip_suffix(b"\n")
        .map(serde_json::from_slice::<Order>)
    {
        Some(Ok(order)) => match execute(tools, order).await {
            Ok(answer) => Reply::Answer(answer),
            Err(failure) => {
                let refusal = Refusal::from(&failure);
                match refusal.fault {
                    Fault::Order => tracing::debug!(?failure, "an order was refused"),
                    _ => tracing::warn!(?failure, "an order could not be carried out"),
                }
                Reply::Refusal(refusal)
            }
        },
        None if read == LONGEST_ORDER => Reply::Refusal(misunderstood("it is longer than 64 KiB")),
        // Whoever went away without an order hears nothing.
        None => return Ok(Next::Done),
        // The error could quote what was sent.
        Some(Err(_)) => Reply::Refusal(misunderstood("it is none that it knows")),
    };
    // Room for a key's answer at once, or growing would leave copies of it behind.
    let mut line = Zeroizing::new(Vec::with_capacity(1024));
    serde_json::to_writer(&mut *line, &reply)?;
    if line.len() >= LONGEST_ANSWER {
        return Err(io::Error::other("the answer is too long"));
    }
    line.push(b'\n');
    writing.write_all(&line).await?;
    if matches!(reply, Reply::Answer(Answer::Copy)) {
        return Ok(Next::Copy);
    }
    writing.shutdown().await?;
    Ok(Next::Done)
}

fn misunderstood(why: &str) -> Refusal {
    Refusal {
        fault: Fault::Order,
        cause: format!("the running server does not understand the order: {why}"),
        hint: "restart the server, if it is of another version than this program".to_owned(),
    }
}
