//! A connection's bytes, handed to hyper one judged message at a time.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::Limits;
use super::head::{Body, Refusal, Scanner, judge};

/// How much is taken from the socket at a time.
const CHUNK: usize = 8 * 1024;
/// How much of what a refused client still sends is taken and thrown away, so
/// that the answer is not lost in the reset that closing on unread bytes causes.
const LINGER_BYTES: usize = 2 * 1024 * 1024;

/// What hyper reads in place of a message that is refused: it parses, and the
/// service answers it with the refusal instead of handing it on.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nHost: refused\r\n\r\n";

/// What the service must do with the request that hyper has just read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Hand it on.
    Serve {
        /// Whether the connection ends with it.
        last: bool,
    },
    /// Answer it with the refusal and close.
    Refuse(Refusal),
}

/// What is known of a connection by its three parts: the stream, the service
/// and the one that watches the clock. All run in one task, so the lock never waits.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    verdict: Option<Verdict>,
    in_flight: usize,
    quiet_since: Instant,
    head_since: Option<Instant>,
    stalled_since: Option<Instant>,
    lingering_since: Option<Instant>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Shared(Arc::new(Mutex::new(State {
            verdict: None,
            in_flight: 0,
            quiet_since: Instant::now(),
            head_since: None,
            stalled_since: None,
            lingering_since: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The verdict on the head that hyper has just read; each can be taken once.
    pub(super) fn take_verdict(&self) -> Option<Verdict> {
        self.lock().verdict.take()
    }

    /// Says that a request is being answered, until the guard goes.
    pub(super) fn in_flight(&self) -> InFlight {
        self.lock().in_flight += 1;
        InFlight(self.clone())
    }

    /// When this connection has to go unless something happens; `None` while a
    /// request is being answered, for which others set the time.
    pub(super) fn deadline(&self, limits: &Limits, crowded: bool) -> Option<Instant> {
        let state = self.lock();
        if let Some(since) = state.lingering_since {
            return Some(since + limits.linger);
        }
        if let Some(since) = state.stalled_since {
            return Some(since + limits.stalled_write);
        }
        if state.in_flight > 0 {
            return None;
        }
        Some(match state.head_since {
            // A head may have begun to arrive behind a request that took long.
            Some(since) => since.max(state.quiet_since) + limits.head,
            None if crowded => state.quiet_since + limits.idle.min(limits.head),
            None => state.quiet_since + limits.idle,
        })
    }
}

/// Held by the request that is being answered, then by its response's body.
pub(super) struct InFlight(Shared);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.quiet_since = Instant::now();
    }
}

/// Where in the stream of messages the next byte belongs.
enum Position {
    /// Before the end of a head.
    Head,
    /// The head at the front is judged; so many of its bytes are still to be handed over.
    Judged { left: usize, then: Body },
    /// In a body of which so many bytes are missing.
    Body(u64),
    /// In chunks; the connection ends with them, so where they end is of no matter here.
    Chunks,
    /// Behind a refused message: nothing more is read.
    Refused,
}

/// The stream that hyper reads: whole heads that were judged, and their bodies.
pub(super) struct Judged<S> {
    socket: S,
    shared: Shared,
    longest_head: usize,
    received: Vec<u8>,
    scanner: Scanner,
    position: Position,
    closed: bool,
    discarded: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Judged<S> {
    pub(super) fn new(socket: S, shared: Shared, longest_head: usize) -> Self {
        Judged {
            socket,
            shared,
            longest_head,
            received: Vec::new(),
            scanner: Scanner::default(),
            position: Position::Head,
            closed: false,
            discarded: 0,
        }
    }

    /// Takes more from the socket; 0 at its end.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::<u8>::uninit(); CHUNK];
        let mut space = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut space))?;
        let received = space.filled();
        self.received.extend_from_slice(received);
        self.closed = received.is_empty();
        Poll::Ready(Ok(received.len()))
    }

    /// Reads until a whole head is at the front and judged. `false` at the end of the stream.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            // RFC 9112 section 2.2: an empty line before a request is passed over.
            while self.scanner.is_fresh() && self.received.starts_with(b"\r\n") {
                self.received.drain(..2);
            }
            let found = if self.received == b"\r" {
                Ok(None)
            } else {
                self.scanner.scan(&self.received, self.longest_head)
            };
            let judged = match found {
                Ok(Some(length)) => {
                    let head = self.received.get(..length).unwrap_or_default();
                    judge(head).map(|then| Position::Judged { left: length, then })
                }
                Ok(None) => {
                    self.note_head();
                    if ready!(self.poll_receive(cx))? == 0 {
                        return Poll::Ready(Ok(false));
                    }
                    continue;
                }
                Err(refusal) => Err(refusal),
            };
            self.scanner = Scanner::default();
            let mut state = self.shared.lock();
            state.head_since = None;
            match judged {
                Ok(position) => {
                    let last = matches!(
                        position,
                        Position::Judged {
                            then: Body::Chunked,
                            ..
                        }
                    );
                    state.verdict = Some(Verdict::Serve { last });
                    self.position = position;
                }
                Err(refusal) => {
                    tracing::debug!(?refusal, "a request was refused before it was read");
                    state.verdict = Some(Verdict::Refuse(refusal));
                    self.position = Position::Refused;
                }
            }
            return Poll::Ready(Ok(true));
        }
    }

    /// Notes whether a head has begun.
    fn note_head(&self) {
        let mut state = self.shared.lock();
        if self.received.is_empty() {
            state.head_since = None;
        } else {
            state.head_since.get_or_insert_with(Instant::now);
        }
    }

    /// Hands over at most `most` of what was received, and says how much.
    fn hand_over(&mut self, to: &mut ReadBufCursor<'_>, most: u64) -> usize {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let length = most.min(to.remaining()).min(self.received.len());
        to.put_slice(self.received.get(..length).unwrap_or_default());
        self.received.drain(..length);
        length
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> hyper::rt::Read for Judged<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut to: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if to.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            match this.position {
                Position::Head => {
                    if this.closed || !ready!(this.poll_head(cx))? {
                        return Poll::Ready(Ok(()));
                    }
                    if matches!(this.position, Position::Refused) {
                        this.received.clear();
                        to.put_slice(STAND_IN);
                        return Poll::Ready(Ok(()));
                    }
                }
                Position::Judged { left, then } => {
                    let handed = this.hand_over(&mut to, left as u64);
                    let left = left.saturating_sub(handed);
                    this.position = match then {
                        _ if left > 0 => Position::Judged { left, then },
                        Body::Length(0) => Position::Head,
                        Body::Length(length) => Position::Body(length),
                        Body::Chunked => Position::Chunks,
                    };
                    return Poll::Ready(Ok(()));
                }
                Position::Body(_) | Position::Chunks if this.received.is_empty() => {
                    if this.closed || ready!(this.poll_receive(cx))? == 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
                Position::Body(left) => {
                    let left = left.saturating_sub(this.hand_over(&mut to, left) as u64);
                    this.position = match left {
                        0 => Position::Head,
                        _ => Position::Body(left),
                    };
                    return Poll::Ready(Ok(()));
                }
                Position::Chunks => {
                    this.hand_over(&mut to, u64::MAX);
                    return Poll::Ready(Ok(()));
                }
                // Writing the answer is what goes on from here.
                Position::Refused => return Poll::Pending,
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Judged<S> {
    /// Notes whether the client takes what we write.
    fn note_write(&self, result: &Poll<io::Result<usize>>) {
        let mut state = self.shared.lock();
        match result {
            Poll::Pending => {
                state.stalled_since.get_or_insert_with(Instant::now);
            }
            Poll::Ready(_) => state.stalled_since = None,
        }
    }

    /// Whether the client may be sending something that nobody has read.
    fn has_unread(&self) -> bool {
        !self.closed && !matches!(self.position, Position::Head)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> hyper::rt::Write for Judged<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.note_write(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write_vectored(cx, bytes);
        self.note_write(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
        while this.has_unread() && this.discarded < LINGER_BYTES {
            this.shared
                .lock()
                .lingering_since
                .get_or_insert_with(Instant::now);
            this.received.clear();
            let discarded = ready!(this.poll_receive(cx))?;
            this.discarded = this.discarded.saturating_add(discarded);
        }
        Poll::Ready(Ok(()))
    }
}
