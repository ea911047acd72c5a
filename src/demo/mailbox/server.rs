//! The port behind the mailbox.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Mailbox;
use super::session::{FILED, GREETING, Session, Step};
use crate::base::{Clock, Failure};

/// How many conversations are held at once; further ones are told to come back.
pub const MOST_CONNECTIONS: usize = 16;
/// The longest line, with its CRLF, in bytes.
pub const LONGEST_LINE: usize = 4096;
/// How long a conversation may pause.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(30);
/// How long a conversation may take in all, however it trickles.
pub const LONGEST_CONVERSATION: Duration = Duration::from_secs(600);
/// How long to rest when the kernel gives no connection (no descriptors, as a rule).
const REST: Duration = Duration::from_millis(100);

const BUSY: &[u8] = b"421 4.3.2 Too many conversations, come back later\r\n";
const CLOSING: &[u8] = b"421 4.4.2 Too long a silence\r\n";
const BAD_LINE: &[u8] = b"500 5.5.2 Lines end in CRLF and have at most 4096 bytes\r\n";

/// An open port on loopback that files what it is sent.
pub struct MailServer {
    listener: TcpListener,
    address: SocketAddr,
    mailbox: Mailbox,
    clock: Arc<dyn Clock>,
}

impl MailServer {
    /// Opens `port` of 127.0.0.1; 0 lets the system pick one.
    ///
    /// # Errors
    /// `internal` where the port is not to be had.
    pub async fn bind(port: u16, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(Failure::internal)?;
        Ok(MailServer {
            address: listener.local_addr().map_err(Failure::internal)?,
            listener,
            mailbox: Mailbox::default(),
            clock,
        })
    }

    /// Where mail is taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has arrived.
    pub fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }

    /// Takes mail until `stop` is done; conversations under way then end too.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let mut conversations = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                Some(_) = conversations.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(REST).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                turn_away(&stream);
                continue;
            };
            let (mailbox, clock) = (self.mailbox.clone(), Arc::clone(&self.clock));
            conversations.spawn(async move {
                let _place = place;
                let talk = converse(stream, &mailbox, clock.as_ref());
                // A peer that leaves in the middle is its own affair.
                let _ = timeout(LONGEST_CONVERSATION, talk).await;
            });
        }
        conversations.shutdown().await;
    }
}

fn turn_away(stream: &TcpStream) {
    // Without waiting: one who does not read must not hold up the others.
    let _ = stream.try_write(BUSY);
}

async fn converse(
    mut stream: TcpStream,
    mailbox: &Mailbox,
    clock: &dyn Clock,
) -> std::io::Result<()> {
    // A reply is one small packet, and the peer waits for it.
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::with_capacity(LONGEST_LINE, reader);
    let mut session = Session::new();
    let mut line = Vec::with_capacity(256);
    say(&mut writer, GREETING.as_bytes()).await?;
    loop {
        match timeout(LONGEST_SILENCE, read_line(&mut reader, &mut line)).await {
            Err(_) => return say(&mut writer, CLOSING).await,
            Ok(Line::End) => return Ok(()),
            Ok(Line::Bad) => return say(&mut writer, BAD_LINE).await,
            Ok(Line::Whole) => {}
        }
        match session.line(&line) {
            Step::Silent => {}
            Step::Say(reply) => say(&mut writer, reply.as_bytes()).await?,
            Step::HangUp(reply) => return say(&mut writer, reply.as_bytes()).await,
            Step::File(mail) => {
                let id = mailbox.file(&mail.from, &mail.to, &mail.raw, clock.now());
                tracing::debug!(id, bytes = mail.raw.len(), "the demo mailbox filed a mail");
                say(&mut writer, FILED.as_bytes()).await?;
            }
        }
    }
}

async fn say(writer: &mut (impl AsyncWrite + Unpin), reply: &[u8]) -> std::io::Result<()> {
    timeout(LONGEST_SILENCE, writer.write_all(reply))
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

enum Line {
    Whole,
    /// Too long, or ended by a bare LF: what one server takes for the end of a
    /// mail and another does not lets mails be smuggled.
    Bad,
    /// The peer has gone.
    End,
}

/// Reads one line into `line`, without its CRLF.
async fn read_line(reader: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> Line {
    line.clear();
    loop {
        let Ok(waiting) = reader.fill_buf().await else {
            return Line::End;
        };
        if waiting.is_empty() {
            return Line::End;
        }
        let end = waiting.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(waiting.len(), |end| end + 1);
        line.extend(waiting.iter().take(taken));
        reader.consume(taken);
        if line.len() > LONGEST_LINE {
            return Line::Bad;
        }
        if end.is_some() {
            let whole = line.strip_suffix(b"\r\n").map(<[u8]>::len);
            return match whole {
                Some(length) => {
                    line.truncate(length);
                    Line::Whole
                }
                None => Line::Bad,
            };
        }
    }
}
