//! The command's end of the socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::copying;
use super::order::{Answer, Order, Refusal, Reply};
use super::{DEADLINE, LONGEST_ANSWER, LONGEST_ORDER, socket_path};

/// How much longer than the server itself we wait for it.
const GRACE: Duration = Duration::from_secs(2);

/// Why nothing came of an order.
#[derive(Debug, thiserror::Error)]
pub enum Undone {
    /// No server takes orders there.
    #[error("no server runs there")]
    NoServer,
    /// The server's answer is no.
    #[error("{}", .0.cause)]
    Refused(Refusal),
    /// The order is longer than a server reads; it was not sent.
    #[error("the order is longer than 64 KiB")]
    TooLong,
    /// It was not heard, or its answer did not arrive.
    #[error("the running server did not answer: {0}")]
    Broken(io::Error),
}

/// Gives `order` to the server that has the data folder `folder`, and waits for its answer for 12 s.
///
/// # Errors
/// [`Undone`].
pub async fn send(folder: &Path, order: &Order) -> Result<Answer, Undone> {
    let mut line = serde_json::to_vec(order).map_err(|e| Undone::Broken(e.into()))?;
    line.push(b'\n');
    if line.len() > LONGEST_ORDER {
        return Err(Undone::TooLong);
    }
    let answered = timeout(DEADLINE + GRACE, async {
        let mut stream = connect(folder).await?;
        converse(&mut stream, &line).await
    });
    match answered.await {
        Ok(Ok(Reply::Answer(answer))) => Ok(answer),
        Ok(Ok(Reply::Refusal(refusal))) => Err(Undone::Refused(refusal)),
        Ok(Err(undone)) => Err(undone),
        Err(_) => Err(Undone::Broken(io::ErrorKind::TimedOut.into())),
    }
}

/// Has the server that has the data folder `folder` make a copy of its store, and gives it to `out` piece by piece.
/// Whether it is whole, the copy itself says.
///
/// # Errors
/// [`Undone`]; `Broken` also where `out` fails.
pub async fn fetch_copy(
    folder: &Path,
    out: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
) -> Result<(), Undone> {
    let mut line = serde_json::to_vec(&Order::Backup).map_err(|e| Undone::Broken(e.into()))?;
    line.push(b'\n');
    let begun = timeout(DEADLINE + GRACE, async {
        let mut stream = connect(folder).await?;
        stream.write_all(&line).await.map_err(Undone::Broken)?;
        let mut read = Vec::new();
        loop {
            if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
                let rest = read.split_off(end + 1);
                return Ok((stream, read, rest));
            }
            let more = stream.read_buf(&mut read).await.map_err(Undone::Broken)?;
            if more == 0 || read.len() > LONGEST_ANSWER {
                return Err(broke_off());
            }
        }
    });
    let (mut stream, line, rest) = match begun.await {
        Ok(begun) => begun?,
        Err(_) => return Err(Undone::Broken(io::ErrorKind::TimedOut.into())),
    };
    match serde_json::from_slice(&line) {
        Ok(Reply::Answer(Answer::Copy)) => copying::take(&mut stream, &rest, out)
            .await
            .map_err(Undone::Broken),
        Ok(Reply::Refusal(refusal)) => Err(Undone::Refused(refusal)),
        _ => Err(broke_off()),
    }
}

async fn connect(folder: &Path) -> Result<UnixStream, Undone> {
    let stream = UnixStream::connect(socket_path(folder)).await;
    stream.map_err(|error| match error.kind() {
        // A path that no socket can have is one that no server listens on.
        io::ErrorKind::NotFound
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::InvalidInput => Undone::NoServer,
        _ => Undone::Broken(error),
    })
}

fn broke_off() -> Undone {
    let kind = io::ErrorKind::UnexpectedEof;
    Undone::Broken(io::Error::new(kind, "it broke off in the middle"))
}

async fn converse(stream: &mut UnixStream, line: &[u8]) -> Result<Reply, Undone> {
    stream.write_all(line).await.map_err(Undone::Broken)?;
    let mut answer = Zeroizing::new(Vec::new());
    let longest = LONGEST_ANSWER as u64;
    stream
        .take(longest)
        .read_to_end(&mut answer)
        .await
        .map_err(Undone::Broken)?;
    let line = answer.strip_suffix(b"\n");
    line.and_then(|line| serde_json::from_slice(line).ok())
        .ok_or_else(broke_off)
}
