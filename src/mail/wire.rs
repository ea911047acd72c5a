//! The TCP stream under an SMTP dialogue, read one line at a time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// More than any dialogue of the letters that one connection carries needs.
const MOST_RECEIVED: usize = 1024 * 1024;
const CHUNK: usize = 4096;

/// Hands out at most one line per read and a bounded number of bytes in all.
///
/// Line by line, because lettre keeps its read buffer when it turns to TLS:
/// replies that somebody on the way slips in behind the server's plain "220"
/// would be believed as if they had come encrypted. Held back here, they reach
/// the TLS handshake instead, which fails on them. Bounded, because lettre
/// looks at the length of a line only when it has all of it.
#[derive(Debug)]
pub(super) struct Wire {
    tcp: TcpStream,
    ahead: Vec<u8>,
    given: usize,
    received: usize,
}

impl Wire {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Wire {
            tcp,
            ahead: Vec::new(),
            given: 0,
            received: 0,
        }
    }

    /// Copies what is left of the present line; 0 where nothing is waiting.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> usize {
        let waiting = self.ahead.get(self.given..).unwrap_or_default();
        let line = waiting
            .iter()
            .position(|b| *b == b'\n')
            .map_or(waiting.len(), |end| end.saturating_add(1));
        let taken = line.min(buf.remaining());
        buf.put_slice(waiting.get(..taken).unwrap_or_default());
        self.given = self.given.saturating_add(taken);
        taken
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 || self.give(buf) > 0 {
            return Poll::Ready(Ok(()));
        }
        let mut chunk = [0; CHUNK];
        let mut chunk = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut chunk))?;
        self.received = self.received.saturating_add(chunk.filled().len());
        if self.received > MOST_RECEIVED {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the server sends more than a mail server has to say",
            )));
        }
        self.ahead.clear();
        self.ahead.extend_from_slice(chunk.filled());
        self.given = 0;
        self.give(buf);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.peer_addr()
    }
}
