//! The way out: letters to the mail server.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::connection::{Connection, Parcel, Server};
use super::letter::Letter;
use super::settings::{SettingsError, SmtpSettings};
use super::trouble::{Progress, SendError, Stage, Trouble};
use crate::base::{Clock, Timestamp, display_text};
use crate::metrics::{Metrics, Sent};

/// How long an unused connection is kept: a burst is served by one login, and
/// no server that waits the five minutes of RFC 5321 section 4.5.3.2.7 hangs up first.
const IDLE: Duration = Duration::from_secs(30);
/// Letters on one connection; many servers allow no more than a hundred.
const MOST_LETTERS: u32 = 50;
/// For the question whether an unused connection still lives, and for QUIT.
const SHORT: Duration = Duration::from_secs(1);
/// Characters of a subject: one line, even after encoding not far beyond what RFC 5322 section 2.1.1 allows.
const LONGEST_SUBJECT: usize = 200;

/// Sends letters, at most `concurrency` at a time, each within the deadline.
#[derive(Clone)]
pub struct Mailer(Arc<Inner>);

struct Inner {
    server: Server,
    from: Mailbox,
    /// What stands after the `@` of a Message-ID.
    domain: String,
    deadline: Duration,
    permits: Arc<Semaphore>,
    idle: Mutex<Idle>,
    clock: Arc<dyn Clock>,
    metrics: OnceLock<Metrics>,
    away: Mutex<Option<Away>>,
}

/// The mail server takes no letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away {
    /// Since when: the first letter that did not leave.
    pub since: Timestamp,
    /// How far the last one came.
    pub stage: Stage,
}

/// Connections between two letters. Together with those in use they never
/// exceed the number of permits: only the holder of a permit opens one, and
/// only when none is idle.
#[derive(Default)]
struct Idle {
    parked: Vec<Parked>,
    next: u64,
}

struct Parked {
    number: u64,
    line: Line,
}

struct Line {
    connection: Connection,
    letters: u32,
}

impl Mailer {
    /// A mailer for these settings. Connects only when there is a letter.
    ///
    /// # Errors
    /// Where the settings would send mail or a password in the clear, or cannot be used.
    pub fn new(settings: &SmtpSettings, clock: Arc<dyn Clock>) -> Result<Self, SettingsError> {
        let (from, address) = settings.sender()?;
        Ok(Mailer(Arc::new(Inner {
            server: Server::new(settings)?,
            from,
            domain: address.domain().to_owned(),
            deadline: settings.deadline,
            permits: Arc::new(Semaphore::new(
                settings.concurrency.clamp(1, Semaphore::MAX_PERMITS),
            )),
            idle: Mutex::default(),
            clock,
            metrics: OnceLock::new(),
            away: Mutex::default(),
        })))
    }

    /// Counts letters there from now on. A second call changes nothing.
    pub fn count_in(&self, metrics: &Metrics) {
        let _ = self.0.metrics.set(metrics.clone());
    }

    /// Hands the letter to the mail server. Waiting for a free connection
    /// counts towards the deadline; giving up this future closes the connection.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(&self, letter: &Letter) -> Result<(), SendError> {
        let outcome = self.hand_over(letter).await;
        self.0.note(&outcome);
        if let Some(metrics) = self.0.metrics.get() {
            metrics.mailed(match outcome {
                Ok(()) => Sent::Taken,
                Err(SendError::Temporary(_)) => Sent::Deferred,
                Err(SendError::Refused(_)) => Sent::Refused,
            });
        }
        outcome
    }

    /// Whether the mail server took the last letter, or at least spoke of it. Before the first, nobody knows better.
    ///
    /// # Errors
    /// Since when it does not.
    pub fn health(&self) -> Result<(), Away> {
        match *self.0.away() {
            Some(away) => Err(away),
            None => Ok(()),
        }
    }

    async fn hand_over(&self, letter: &Letter) -> Result<(), SendError> {
        let parcel = self
            .0
            .pack(letter)
            .map_err(|words| SendError::Temporary(Trouble::new(Stage::Letter, words)))?;
        let progress = Progress::new();
        match timeout(self.0.deadline, self.0.deliver(&parcel, &progress)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Trouble::late(progress.stage(), self.0.deadline)),
        }
        .map_err(SendError::from_trouble)
    }

    /// Connects, sets up TLS, logs in and says NOOP, for `mfad check`.
    ///
    /// # Errors
    /// What is wrong, in words for the operator, the server's own included.
    pub async fn probe(&self) -> Result<(), String> {
        let inner = &self.0;
        let progress = Progress::new();
        let dialogue = async {
            let mut connection = inner.server.connect(&progress).await?;
            connection.is_alive().await?;
            connection.quit().await;
            Ok(())
        };
        match timeout(inner.deadline, dialogue).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Trouble::late(progress.stage(), inner.deadline)),
        }
        .map_err(|trouble| inner.in_words(&trouble))
    }
}

impl Inner {
    /// Remembers whether the server is there. One that has something against an address or a letter is.
    fn note(&self, outcome: &Result<(), SendError>) {
        let stage = match outcome {
            Err(SendError::Temporary(trouble)) if trouble.stage() < Stage::Sender => {
                trouble.stage()
            }
            _ => {
                *self.away() = None;
                return;
            }
        };
        let now = self.clock.now();
        let mut away = self.away();
        let since = away.map_or(now, |away| away.since);
        *away = Some(Away { since, stage });
    }

    fn away(&self) -> MutexGuard<'_, Option<Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pack(&self, letter: &Letter) -> Result<Parcel, &'static str> {
        let unusable = "the letter has no usable address";
        let to: lettre::Address = letter.to.as_str().parse().map_err(|_| unusable)?;
        let now = UNIX_EPOCH
            .checked_add(Duration::from_secs(self.clock.now().unix()))
            .unwrap_or(UNIX_EPOCH);
        let subject =
            display_text(&letter.subject, LONGEST_SUBJECT).ok_or("the letter has no subject")?;
        let automatic = HeaderValue::new(
            // RFC 3834 section 5: no out-of-office notes in return.
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        );
        let language = HeaderValue::new(
            HeaderName::new_from_ascii_str("Content-Language"),
            letter.language.tag().to_owned(),
        );
        let message = Message::builder()
            .from(self.from.clone())
            // Never with a name: the library panics on one that holds a line break.
            .to(Mailbox::new(None, to.clone()))
            .subject(subject)
            .date(now)
            .message_id(Some(format!("<{}@{}>", letter.id, self.domain)))
            .raw_header(automatic)
            .raw_header(language)
            .multipart(MultiPart::alternative_plain_html(
                letter.text.clone(),
                letter.html.clone(),
            ))
            .map_err(|_| "the letter cannot be written as a message")?;
        Ok(Parcel {
            from: self.from.email.clone(),
            to,
            message: message.formatted(),
        })
    }

    async fn deliver(
        self: &Arc<Self>,
        parcel: &Parcel,
        progress: &Progress,
    ) -> Result<(), Trouble> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| Trouble::new(Stage::Queue, "the server is shutting down"))?;
        let mut line = match self.idle_line().await {
            Some(line) => line,
            None => Line {
                connection: self.server.connect(progress).await?,
                letters: 0,
            },
        };
        line.connection.hand_over(parcel, progress).await?;
        line.letters = line.letters.saturating_add(1);
        if line.letters < MOST_LETTERS {
            self.park(line);
        } else {
            take_leave(line, Some(permit));
        }
        Ok(())
    }

    /// A connection that was kept and still answers. Where one does not, the
    /// others are likely to be dead too, and the deadline is too short to ask each.
    async fn idle_line(&self) -> Option<Line> {
        let Parked { mut line, .. } = self.idle().parked.pop()?;
        let limit = SHORT.min(self.deadline.checked_div(4).unwrap_or(SHORT));
        match timeout(limit, line.connection.is_alive()).await {
            Ok(Ok(())) => Some(line),
            _ => {
                self.idle().parked.clear();
                None
            }
        }
    }

    fn park(self: &Arc<Self>, line: Line) {
        let mut idle = self.idle();
        let number = idle.next;
        idle.next = number.wrapping_add(1);
        idle.parked.push(Parked { number, line });
        drop(idle);
        tokio::spawn(close_when_unused(Arc::downgrade(self), number));
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_words(&self, trouble: &Trouble) -> String {
        let mut words = format!("The mail server {}: {trouble}.", self.server.name());
        if let Some(said) = trouble.said()
            && !self.tells_the_login(said)
        {
            words.push_str(&format!(" It says: “{said}”."));
        }
        let advice = match trouble.stage() {
            Stage::Queue => "",
            Stage::Connect => " Are host and port right, and does a firewall let us out?",
            Stage::Greeting => " Does the port expect TLS from the first byte (usually 465)?",
            Stage::Tls => {
                " Is the host's name the one in its certificate, is its authority known here, \
                 and is the kind of TLS the one of this port (587: STARTTLS, 465: TLS from the first byte)?"
            }
            Stage::Login => " Are user and password right, and may this user log in by password?",
            Stage::Sender | Stage::Recipient | Stage::Letter => "",
        };
        words.push_str(advice);
        words
    }

    fn tells_the_login(&self, said: &str) -> bool {
        let Some((user, password)) = self.server.login() else {
            return false;
        };
        let encode = |text: &str| data_encoding::BASE64.encode(text.as_bytes());
        [
            password.to_owned(),
            encode(password),
            encode(&format!("\0{user}\0{password}")),
        ]
        .iter()
        .any(|secret| !secret.is_empty() && said.contains(secret.as_str()))
    }
}

async fn close_when_unused(inner: Weak<Inner>, number: u64) {
    sleep(IDLE).await;
    let Some(inner) = inner.upgrade() else {
        return;
    };
    let mut idle = inner.idle();
    let found = idle.parked.iter().position(|p| p.number == number);
    let parked = found.map(|at| idle.parked.swap_remove(at));
    drop(idle);
    if let Some(parked) = parked {
        take_leave(parked.line, None);
    }
}

/// Says QUIT, aside from the letter, which is delivered already. The permit
/// comes back with the connection's end.
fn take_leave(line: Line, permit: Option<OwnedSemaphorePermit>) {
    tokio::spawn(async move {
        // A server that does not answer QUIT is left without an answer.
        let _ = timeout(SHORT, line.connection.quit()).await;
        drop(permit);
    });
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailer({})", self.0.server.name())
    }
}

#[cfg(test)]
mod tests;
