//! Why a letter did not leave.

use std::borrow::Cow;
use std::error::Error as _;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;

use crate::base::{Code, Failure, Kind, codes, display_text};

/// The mail server does not take mail for this address, now or later.
pub const EMAIL_REFUSED: Code = Code {
    name: "email_refused",
    kind: Kind::Conflict,
    title: "The mail server refuses this address",
};

/// The codes of this room.
pub const CODES: &[Code] = &[EMAIL_REFUSED];

/// Seconds after which a letter that could not leave may be tried again: what
/// a restarting mail server needs, and short of a code's life.
const RETRY_AFTER: u64 = 30;
/// How much of a server's reply is repeated to the operator, in characters.
const LONGEST_REPLY: usize = 200;
/// Replies about the login (RFC 4954 section 6): they speak of us, not of the recipient.
const LOGIN_REPLIES: [u16; 4] = [530, 534, 535, 538];

/// How far a letter had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// Waiting for another letter to leave.
    Queue,
    /// Resolving the name, opening the TCP connection.
    Connect,
    /// Greeting and EHLO.
    Greeting,
    /// STARTTLS and the TLS handshake; with TLS from the first byte also the greeting.
    Tls,
    /// AUTH.
    Login,
    /// MAIL.
    Sender,
    /// RCPT.
    Recipient,
    /// DATA and what follows it.
    Letter,
}

impl Stage {
    const ALL: [Stage; 8] = [
        Stage::Queue,
        Stage::Connect,
        Stage::Greeting,
        Stage::Tls,
        Stage::Login,
        Stage::Sender,
        Stage::Recipient,
        Stage::Letter,
    ];
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Queue => "waiting for a free connection",
            Stage::Connect => "connecting",
            Stage::Greeting => "waiting for the greeting",
            Stage::Tls => "setting up TLS",
            Stage::Login => "logging in",
            Stage::Sender => "naming the sender",
            Stage::Recipient => "naming the recipient",
            Stage::Letter => "handing over the letter",
        })
    }
}

/// The stage of a dialogue, readable from outside it when its time is up.
pub(super) struct Progress(AtomicU8);

impl Progress {
    pub(super) fn new() -> Self {
        Progress(AtomicU8::new(0))
    }

    pub(super) fn reach(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Relaxed);
    }

    pub(super) fn stage(&self) -> Stage {
        Stage::ALL
            .get(usize::from(self.0.load(Ordering::Relaxed)))
            .copied()
            .unwrap_or(Stage::Queue)
    }
}

/// What went wrong at which stage, in words that hold neither the login, nor
/// the letter, nor an address, nor what the server wrote: the server may
/// repeat any of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Trouble {
    stage: Stage,
    reply: Option<u16>,
    words: Cow<'static, str>,
    /// The server's own text, for the operator who asks for it with `probe`.
    said: Option<String>,
}

impl Trouble {
    pub(super) fn new(stage: Stage, words: impl Into<Cow<'static, str>>) -> Self {
        Trouble {
            stage,
            reply: None,
            words: words.into(),
            said: None,
        }
    }

    pub(super) fn late(stage: Stage, deadline: Duration) -> Self {
        Trouble::new(
            stage,
            format!("no answer within {} ms", deadline.as_millis()),
        )
    }

    pub(super) fn smtp(stage: Stage, error: &SmtpError) -> Self {
        let text = error.source().map(ToString::to_string).unwrap_or_default();
        if let Some(code) = error.status() {
            let status = enhanced_status(&text).unwrap_or_default();
            let words = format!("the server answered {code} {status}");
            return Trouble {
                stage,
                reply: code.to_string().parse().ok(),
                words: words.trim_end().to_owned().into(),
                said: display_text(&text, LONGEST_REPLY),
            };
        }
        if error.is_response() {
            return Trouble::new(
                stage,
                "the connection ended early, or what came is not SMTP",
            );
        }
        // What is left comes from the network, TLS and the library itself; none of them know a secret.
        Trouble::new(
            stage,
            display_text(&text, LONGEST_REPLY).unwrap_or_else(|| "the connection broke".to_owned()),
        )
    }

    /// How far the letter had come.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The SMTP reply code, where there was a reply.
    pub fn reply(&self) -> Option<u16> {
        self.reply
    }

    /// The server's own words, one line. They may repeat what we sent.
    pub(super) fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }
}

/// `5.1.1` at the beginning of a reply (RFC 3463 section 2).
fn enhanced_status(text: &str) -> Option<&str> {
    let status = text.split_whitespace().next()?;
    let mut parts = status.split('.');
    let class = parts.next()?;
    let detail = [parts.next()?, parts.next()?];
    let number =
        |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    (matches!(class, "2" | "4" | "5") && detail.iter().all(number) && parts.next().is_none())
        .then_some(status)
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "while {}: {}", self.stage, self.words)
    }
}

impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a letter did not leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Trying again later may help: the server is away, slow, busy or
    /// misconfigured, or greylists. The letter may have arrived nevertheless
    /// where the connection was lost after its last byte; sent again it bears
    /// the same Message-ID.
    #[error("the mail server did not take a letter, {0}")]
    Temporary(Trouble),
    /// Trying again is of no use: the server refuses the recipient or the letter for good (5xx).
    #[error("the mail server refused a letter for good, {0}")]
    Refused(Trouble),
}

impl SendError {
    pub(super) fn from_trouble(trouble: Trouble) -> Self {
        let about_the_letter = matches!(trouble.stage, Stage::Recipient | Stage::Letter);
        match trouble.reply {
            Some(reply) if about_the_letter && reply >= 500 && !LOGIN_REPLIES.contains(&reply) => {
                SendError::Refused(trouble)
            }
            _ => SendError::Temporary(trouble),
        }
    }

    /// The cause.
    pub fn trouble(&self) -> &Trouble {
        match self {
            SendError::Temporary(trouble) | SendError::Refused(trouble) => trouble,
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Failure {
        match error {
            SendError::Temporary(_) => Failure::new(
                codes::UNAVAILABLE,
                "The mail could not be sent at the moment. Try again shortly.",
            )
            .retry_after(RETRY_AFTER),
            SendError::Refused(_) => Failure::new(
                EMAIL_REFUSED,
                "The mail server does not accept mail for this address.",
            ),
        }
        .because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(stage: Stage, reply: u16) -> SendError {
        SendError::from_trouble(Trouble {
            reply: Some(reply),
            said: Some("hunter2 123456".to_owned()),
            ..Trouble::new(stage, "the server answered")
        })
    }

    #[test]
    fn only_a_final_no_to_the_recipient_or_the_letter_is_final() {
        for (stage, reply, refused) in [
            (Stage::Recipient, 550, true),
            (Stage::Recipient, 553, true),
            (Stage::Letter, 554, true),
            (Stage::Recipient, 450, false),
            (Stage::Letter, 451, false),
            (Stage::Recipient, 530, false),
            (Stage::Login, 535, false),
            (Stage::Sender, 550, false),
            (Stage::Greeting, 554, false),
        ] {
            let error = answered(stage, reply);
            assert_eq!(matches!(error, SendError::Refused(_)), refused, "{error}");
            let shown = format!("{error} {error:?} {:?}", Failure::from(error.clone()));
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn waiting_is_asked_for_where_it_helps() {
        let failure = Failure::from(answered(Stage::Recipient, 451));
        assert_eq!(
            (failure.code(), failure.wait()),
            (codes::UNAVAILABLE, Some(30))
        );
        let failure = Failure::from(answered(Stage::Recipient, 550));
        assert_eq!((failure.code(), failure.wait()), (EMAIL_REFUSED, None));
    }

    #[test]
    fn an_enhanced_status_is_digits_alone() {
        assert_eq!(enhanced_status("5.1.1 no such user"), Some("5.1.1"));
        for text in ["", "no", "5.1", "5.1.1.1 x", "5.a.1 x", "9.1.1", "5.1.1234"] {
            assert_eq!(enhanced_status(text), None, "{text}");
        }
    }

    #[test]
    fn progress_reads_back_what_was_reached() {
        let progress = Progress::new();
        for stage in Stage::ALL {
            progress.reach(stage);
            assert_eq!(progress.stage(), stage);
        }
    }
}
