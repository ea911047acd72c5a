//! One conversation of SMTP as a pure state machine: a line in, a reply out
//! (RFC 5321 section 4).

/// The most that a mail may have, headers and all, in bytes.
pub const MOST_MAIL_BYTES: usize = 256 * 1024;
/// The most that is read and thrown away of a mail that is too large, in bytes.
pub const MOST_DISCARDED_BYTES: usize = 1024 * 1024;
/// RFC 5321 section 4.5.3.1.8 asks for room for at least this many.
pub const MOST_RECIPIENTS: usize = 100;
/// How many mails one connection may bring.
pub const MOST_MAILS: usize = 1000;
const LONGEST_ADDRESS: usize = 320;

/// What to do after a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Read on, there is nothing to say.
    Silent,
    /// Say this.
    Say(&'static str),
    /// Say this and hang up.
    HangUp(&'static str),
    /// A mail is complete: file it, then say that it is.
    File(Envelope),
}

/// A mail and for whom.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    pub from: String,
    pub to: Vec<String>,
    pub raw: Vec<u8>,
}

#[derive(Debug)]
enum State {
    /// Nobody has said hello.
    New,
    /// No mail is under way.
    Ready,
    /// MAIL, and perhaps RCPT, have been said.
    Addressing(Envelope),
    /// Lines are the mail's; the number counts all bytes, kept or not.
    Data(Envelope, usize),
}

/// What the server knows of a conversation.
#[derive(Debug)]
pub struct Session {
    state: State,
    mails: usize,
}

/// What is said first.
pub const GREETING: &str = "220 localhost mfad demo mailbox ESMTP\r\n";
/// What is said when a mail has been filed.
pub const FILED: &str = "250 2.0.0 Filed\r\n";

const OK: &str = "250 2.0.0 OK\r\n";
const BAD_SEQUENCE: &str = "503 5.5.1 Not now\r\n";
const BAD_SYNTAX: &str = "501 5.5.4 That cannot be read\r\n";
const TOO_LARGE: &str = "552 5.3.4 That is more than this mailbox takes\r\n";
const HELLO: &str = "250-localhost\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
     250-ENHANCEDSTATUSCODES\r\n250 SIZE 262144\r\n";

impl Session {
    /// A conversation that has just been greeted.
    pub fn new() -> Self {
        Session {
            state: State::New,
            mails: 0,
        }
    }

    /// Takes one line without its CRLF.
    pub fn line(&mut self, line: &[u8]) -> Step {
        if matches!(self.state, State::Data(..)) {
            self.data(line)
        } else {
            self.command(line)
        }
    }

    fn command(&mut self, line: &[u8]) -> Step {
        let Ok(line) = std::str::from_utf8(line) else {
            return Step::Say(BAD_SYNTAX);
        };
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" if !rest.trim().is_empty() => self.hello(HELLO),
            "HELO" if !rest.trim().is_empty() => self.hello("250 localhost\r\n"),
            "EHLO" | "HELO" => Step::Say(BAD_SYNTAX),
            "MAIL" => self.mail(rest),
            "RCPT" => self.rcpt(rest),
            "DATA" => self.start_data(),
            "RSET" => {
                if !matches!(self.state, State::New) {
                    self.state = State::Ready;
                }
                Step::Say(OK)
            }
            "NOOP" => Step::Say(OK),
            "VRFY" => Step::Say("252 2.5.0 Everybody has a box here\r\n"),
            "QUIT" => Step::HangUp("221 2.0.0 Bye\r\n"),
            "STARTTLS" | "AUTH" => {
                Step::Say("502 5.5.1 This mailbox has neither TLS nor passwords\r\n")
            }
            _ => Step::Say("500 5.5.1 No such command\r\n"),
        }
    }

    fn hello(&mut self, reply: &'static str) -> Step {
        self.state = State::Ready;
        Step::Say(reply)
    }

    fn mail(&mut self, rest: &str) -> Step {
        if !matches!(self.state, State::Ready) {
            return Step::Say(BAD_SEQUENCE);
        }
        if self.mails >= MOST_MAILS {
            return Step::HangUp("421 4.7.0 Enough for one connection\r\n");
        }
        let Some((from, parameters)) = path(rest, "FROM:") else {
            return Step::Say(BAD_SYNTAX);
        };
        let announced = parameters
            .split(' ')
            .filter_map(|p| p.split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case("SIZE"))
            .and_then(|(_, size)| size.parse::<usize>().ok());
        if announced.is_some_and(|size| size > MOST_MAIL_BYTES) {
            return Step::Say(TOO_LARGE);
        }
        self.state = State::Addressing(Envelope {
            from: from.to_owned(),
            ..Envelope::default()
        });
        Step::Say(OK)
    }

    fn rcpt(&mut self, rest: &str) -> Step {
        let State::Addressing(envelope) = &mut self.state else {
            return Step::Say(BAD_SEQUENCE);
        };
        match path(rest, "TO:") {
            Some(("", _)) | None => Step::Say(BAD_SYNTAX),
            Some(_) if envelope.to.len() >= MOST_RECIPIENTS => {
                Step::Say("452 4.5.3 Too many recipients\r\n")
            }
            Some((to, _)) => {
                envelope.to.push(to.to_owned());
                Step::Say(OK)
            }
        }
    }

    fn start_data(&mut self) -> Step {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Addressing(envelope) if !envelope.to.is_empty() => {
                self.state = State::Data(envelope, 0);
                Step::Say("354 Go on, and end with a dot\r\n")
            }
            other => {
                self.state = other;
                Step::Say(BAD_SEQUENCE)
            }
        }
    }

    fn data(&mut self, line: &[u8]) -> Step {
        let State::Data(envelope, seen) = &mut self.state else {
            return Step::Say(BAD_SEQUENCE);
        };
        if line == b"." {
            let (envelope, fits) = (std::mem::take(envelope), *seen <= MOST_MAIL_BYTES);
            self.state = State::Ready;
            self.mails += 1;
            return if fits {
                Step::File(envelope)
            } else {
                Step::Say(TOO_LARGE)
            };
        }
        // A dot at the start was doubled by the sender (RFC 5321 section 4.5.2).
        let line = line.strip_prefix(b".").unwrap_or(line);
        *seen = seen.saturating_add(line.len() + 2);
        if *seen > MOST_DISCARDED_BYTES {
            return Step::HangUp("421 4.3.4 That is far more than this mailbox takes\r\n");
        }
        if *seen <= MOST_MAIL_BYTES {
            envelope.raw.extend_from_slice(line);
            envelope.raw.extend_from_slice(b"\r\n");
        } else {
            envelope.raw = Vec::new();
        }
        Step::Silent
    }
}

/// The address between the brackets after `keyword`, and what follows it.
fn path<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let (head, tail) = rest.split_at_checked(keyword.len())?;
    let tail = head
        .eq_ignore_ascii_case(keyword)
        .then(|| tail.trim_start())?;
    let (address, parameters) = tail.strip_prefix('<')?.split_once('>')?;
    let readable = address.len() <= LONGEST_ADDRESS && !address.chars().any(char::is_control);
    readable.then(|| (address, parameters.trim()))
}
