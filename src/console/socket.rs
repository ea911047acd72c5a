//! The server's end of the socket.

use std::collections::VecDeque;
use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use crate::base::Failure;

use super::copying;
use super::execute::{Tools, execute};
use super::order::{Answer, Fault, Order, Refusal, Reply};
use super::{DEADLINE, LONGEST_ANSWER, LONGEST_ORDER, socket_path};

/// The server's own user alone.
const MODE: Mode = Mode::from_raw_mode(0o600);
/// Connections that are open at once. One more takes the place of the one that has said nothing for longest, so that
/// silent and slow ones keep nobody waiting.
const CONNECTIONS: usize = 64;
/// Orders that are carried out at once; others wait.
const AT_ONCE: usize = 8;
/// Connections that the kernel keeps for us while we take none.
const BACKLOG: i32 = 128;
/// How long what the system refuses is waited out.
const BACK_OFF: Duration = Duration::from_millis(100);
/// How long orders under way may take to finish when the server stops.
const DRAIN: Duration = Duration::from_secs(2);

/// What a connection is doing.
#[derive(Clone, Default)]
struct Phase(Arc<AtomicU8>);

impl Phase {
    /// It is to say what it wants, or to hear the answer.
    const TALKS: u8 = 0;
    /// Its order is being carried out, which is not broken off.
    const WORKS: u8 = 1;
    /// It reads a copy of the store.
    const COPIES: u8 = 2;
    /// Another has its place.
    const ENDED: u8 = 3;

    /// From one to the next. False where it was ended meanwhile.
    fn change(&self, from: u8, to: u8) -> bool {
        let changed = self
            .0
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
        changed.is_ok()
    }
}

/// A connection that is open, for whoever makes room for another.
struct Open {
    phase: Phase,
    task: AbortHandle,
}

/// Whether there is room for one more: else the oldest that waits for its other end is ended, and copies last.
fn make_room(open: &mut VecDeque<Open>) -> bool {
    open.retain(|connection| !connection.task.is_finished());
    if open.len() < CONNECTIONS {
        return true;
    }
    let ended = [Phase::TALKS, Phase::COPIES].into_iter().find_map(|phase| {
        open.iter()
            .position(|connection| connection.phase.change(phase, Phase::ENDED))
    });
    let Some(connection) = ended.and_then(|at| open.remove(at)) else {
        return false;
    };
    connection.task.abort();
    tracing::debug!("control connection closed to make room for another");
    true
}

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
        let mut open = VecDeque::new();
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = under_way.join_next() => {}
                arrived = self.listener.accept() => match arrived {
                    // As many orders as there is room for are at work: whoever comes now tries again.
                    Ok(_) if !make_room(&mut open) => {}
                    Ok((stream, _)) => {
                        let (phase, at_once) = (Phase::default(), at_once.clone());
                        let (tools, its) = (tools.borrow().clone(), phase.clone());
                        let task = under_way.spawn(async move {
                            take(stream, &tools, &its, &at_once).await;
                        });
                        open.push_back(Open { phase, task });
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

async fn take(stream: UnixStream, tools: &Tools, phase: &Phase, at_once: &Semaphore) {
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
    match timeout(DEADLINE, converse(&mut stream, tools, phase, at_once)).await {
        Ok(Ok(Next::Done)) => {}
        Ok(Ok(Next::Copy)) => {
            if !phase.change(Phase::TALKS, Phase::COPIES) {
                return;
            }
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

async fn converse(
    stream: &mut UnixStream,
    tools: &Tools,
    phase: &Phase,
    at_once: &Semaphore,
) -> io::Result<Next> {
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
        Some(Ok(order)) => match carry_out(tools, order, phase, at_once).await? {
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

/// Carries out `order` when its turn comes. From then until it is done the connection is not ended.
async fn carry_out(
    tools: &Tools,
    order: Order,
    phase: &Phase,
    at_once: &Semaphore,
) -> io::Result<Result<Answer, Failure>> {
    let turn = at_once.acquire().await.map_err(io::Error::other)?;
    if !phase.change(Phase::TALKS, Phase::WORKS) {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let done = execute(tools, order).await;
    drop(turn);
    phase.change(Phase::WORKS, Phase::TALKS);
    Ok(done)
}

fn misunderstood(why: &str) -> Refusal {
    Refusal {
        fault: Fault::Order,
        cause: format!("the running server does not understand the order: {why}"),
        hint: "restart the server, if it is of another version than this program".to_owned(),
    }
}
