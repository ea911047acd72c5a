//! A real SMTP server on 127.0.0.1 that keeps what it is sent and can be told to misbehave.
//!
//! Speaks EHLO, STARTTLS, TLS from the first byte, AUTH PLAIN and LOGIN, MAIL,
//! RCPT, DATA, RSET, NOOP and QUIT, and takes pipelined commands.
#![allow(
    dead_code,
    reason = "shared by two test binaries, neither of which uses all of it"
)]

#[path = "received.rs"]
mod received;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub use received::Received;

/// How long a test waits for a mail, and for the server to see a connection end.
const PATIENCE: Duration = Duration::from_secs(20);
const LONGEST_MAIL: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    StartTls,
    Implicit,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// For `localhost` and 127.0.0.1.
    Good,
    /// For a host of another name.
    WrongName,
    /// Ran out years ago.
    Expired,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub protection: Protection,
    pub certificate: Certificate,
    /// With a user and password, MAIL needs AUTH.
    pub login: Option<(String, String)>,
    /// Offered in the reply to EHLO.
    pub mechanisms: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            protection: Protection::StartTls,
            certificate: Certificate::Good,
            login: None,
            mechanisms: "PLAIN LOGIN",
        }
    }
}

/// How the server misbehaves, from the next command or connection on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// Accepts and says nothing.
    NeverGreet,
    /// Refuses to serve: `554` as greeting.
    RefuseConnection,
    /// Answers STARTTLS and then nothing more.
    StallTls,
    /// Sends this in the clear behind the answer to STARTTLS.
    InjectBeforeTls(&'static str),
    /// This reply to AUTH.
    RefuseLogin(&'static str),
    /// This reply to MAIL.
    RefuseSender(&'static str),
    /// This reply to RCPT: `550 5.1.1 …`, `451 4.7.1 greylisted`.
    RefuseRecipient(&'static str),
    /// This reply after the letter.
    RefuseLetter(&'static str),
    /// Takes the letter, keeps it, and does not answer.
    HangAfterData,
    /// Answers DATA and hangs up on the first line of the letter.
    DropMidData,
    /// One byte of each reply at a time, so long apart.
    Slow(Duration),
    /// Replies without end, and no line break.
    Endless,
}

#[derive(Default)]
struct Shared {
    mails: Mutex<Vec<Received>>,
    unread: Mutex<VecDeque<Received>>,
    commands: Mutex<Vec<String>>,
    fault: Mutex<Fault>,
    changed: Notify,
    connections: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

pub struct SmtpServer {
    port: u16,
    ca_pem: Vec<u8>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl SmtpServer {
    pub async fn start(options: Options) -> SmtpServer {
        let (ca_pem, acceptor) = identity(options.certificate);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(accept(listener, options, acceptor, shared.clone()));
        SmtpServer {
            port,
            ca_pem,
            shared,
            task,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority that signed the server's certificate.
    pub fn ca_pem(&self) -> Vec<u8> {
        self.ca_pem.clone()
    }

    pub fn misbehave(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = fault;
    }

    /// The oldest mail that was not yet asked for; waits for it.
    pub async fn next_mail(&self) -> Received {
        self.until("a mail", |shared| shared.unread.lock().unwrap().pop_front())
            .await
    }

    /// All mails so far.
    pub fn mails(&self) -> Vec<Received> {
        self.shared.mails.lock().unwrap().clone()
    }

    /// All commands so far, the letters themselves left out.
    pub fn commands(&self) -> Vec<String> {
        self.shared.commands.lock().unwrap().clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many connections were open at once, at most.
    pub fn most_open(&self) -> usize {
        self.shared.most_open.load(Ordering::SeqCst)
    }

    /// Waits until no connection is open.
    pub async fn all_closed(&self) {
        self.until("the end of all connections", |shared| {
            (shared.open.load(Ordering::SeqCst) == 0).then_some(())
        })
        .await;
    }

    async fn until<T>(&self, what: &str, look: impl Fn(&Shared) -> Option<T>) -> T {
        let search = async {
            loop {
                let changed = self.shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(found) = look(&self.shared) {
                    return found;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(PATIENCE, search).await {
            Ok(found) => found,
            Err(_) => panic!(
                "the SMTP server waited {PATIENCE:?} for {what} in vain; it heard {:?}",
                self.commands()
            ),
        }
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn identity(certificate: Certificate) -> (Vec<u8>, TlsAcceptor) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let names = match certificate {
        Certificate::WrongName => vec!["mail.other.example".to_owned()],
        _ => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
    };
    let mut leaf = CertificateParams::new(names).unwrap();
    if certificate == Certificate::Expired {
        leaf.not_before = date_time_ymd(2019, 1, 1);
        leaf.not_after = date_time_ymd(2020, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (
        authority.pem().into_bytes(),
        TlsAcceptor::from(Arc::new(config)),
    )
}

async fn accept(
    listener: TcpListener,
    options: Options,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
) {
    // Dropped together with this task, so that no session outlives its server.
    let mut sessions = tokio::task::JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_open.fetch_max(open, Ordering::SeqCst);
        let session = Session {
            options: options.clone(),
            acceptor: acceptor.clone(),
            shared: shared.clone(),
            number,
            tls: false,
            user: None,
            envelope: Envelope::default(),
        };
        let shared = shared.clone();
        sessions.spawn(async move {
            // A client that hangs up is one of the things under test.
            let _ = session.run(tcp).await;
            shared.open.fetch_sub(1, Ordering::SeqCst);
            shared.changed.notify_waiters();
        });
        while sessions.try_join_next().is_some() {}
    }
}

trait Stream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}
type Dialogue = BufReader<Pin<Box<dyn Stream>>>;

struct Session {
    options: Options,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
    number: usize,
    tls: bool,
    user: Option<String>,
    envelope: Envelope,
}

/// From whom the next letter is and for whom, as far as it was said.
#[derive(Default)]
struct Envelope {
    from: Option<String>,
    to: Vec<String>,
}

impl Session {
    fn fault(&self) -> Fault {
        self.shared.fault.lock().unwrap().clone()
    }

    async fn run(mut self, tcp: TcpStream) -> io::Result<()> {
        let _ = tcp.set_nodelay(true);
        let mut stream: Dialogue = BufReader::new(Box::pin(tcp));
        if self.options.protection == Protection::Implicit {
            stream = self.encrypt(stream).await?;
        }
        match self.fault() {
            Fault::NeverGreet => return wait_for_end(&mut stream).await,
            Fault::RefuseConnection => {
                return self.say(&mut stream, "554 5.3.2 no service here").await;
            }
            Fault::Endless => loop {
                stream.write_all(&[b'2'; 4096]).await?;
            },
            _ => self.say(&mut stream, "220 localhost ESMTP").await?,
        }
        while let Some(line) = read_line(&mut stream).await? {
            self.shared.commands.lock().unwrap().push(line.clone());
            let verb = line.split(' ').next().unwrap_or_default().to_uppercase();
            match verb.as_str() {
                "EHLO" => {
                    self.envelope = Envelope::default();
                    let reply = self.greeting();
                    self.say(&mut stream, &reply).await?;
                }
                "STARTTLS" if self.offers_starttls() => match self.start_tls(stream).await? {
                    Some(encrypted) => stream = encrypted,
                    None => return Ok(()),
                },
                "AUTH" => self.authenticate(&mut stream, &line).await?,
                "MAIL" | "RCPT" => {
                    let reply = self.address(&verb, &line);
                    self.say(&mut stream, reply).await?;
                }
                "DATA" if !self.envelope.to.is_empty() => {
                    if !self.take_letter(&mut stream).await? {
                        return Ok(());
                    }
                }
                "RSET" => {
                    self.envelope = Envelope::default();
                    self.say(&mut stream, "250 2.0.0 ok").await?;
                }
                "NOOP" => self.say(&mut stream, "250 2.0.0 ok").await?,
                "QUIT" => return self.say(&mut stream, "221 2.0.0 bye").await,
                _ => {
                    self.say(&mut stream, "503 5.5.1 not that, or not now")
                        .await?
                }
            }
        }
        Ok(())
    }

    /// The encrypted stream; `None` if the client has left, which had no answer.
    async fn start_tls(&mut self, mut stream: Dialogue) -> io::Result<Option<Dialogue>> {
        match self.fault() {
            Fault::StallTls => {
                self.say(&mut stream, "220 go ahead").await?;
                wait_for_end(&mut stream).await?;
                return Ok(None);
            }
            Fault::InjectBeforeTls(extra) => {
                let both = format!("220 go ahead\r\n{extra}\r\n");
                stream.write_all(both.as_bytes()).await?;
                stream.flush().await?;
            }
            _ => self.say(&mut stream, "220 go ahead").await?,
        }
        self.envelope = Envelope::default();
        self.encrypt(stream).await.map(Some)
    }

    /// Notes the address of MAIL or RCPT, and gives the reply.
    fn address(&mut self, verb: &str, line: &str) -> &'static str {
        if verb == "MAIL" && self.options.login.is_some() && self.user.is_none() {
            return "530 5.7.0 authentication required";
        }
        match (verb, self.fault(), path(line)) {
            ("MAIL", Fault::RefuseSender(reply), _) => reply,
            ("RCPT", Fault::RefuseRecipient(reply), _) => reply,
            ("MAIL", _, Some(path)) if self.envelope.from.is_none() => {
                self.envelope.from = Some(path);
                "250 2.1.0 ok"
            }
            ("RCPT", _, Some(path)) if self.envelope.from.is_some() => {
                self.envelope.to.push(path);
                "250 2.1.5 ok"
            }
            _ => "503 5.5.1 not now",
        }
    }

    /// Answers DATA and keeps the letter. `false` at the end of the connection.
    async fn take_letter(&mut self, stream: &mut Dialogue) -> io::Result<bool> {
        self.say(stream, "354 end with a dot").await?;
        if self.fault() == Fault::DropMidData {
            read_line(stream).await?;
            return Ok(false);
        }
        let Some(raw) = read_letter(stream).await? else {
            return Ok(false);
        };
        let envelope = std::mem::take(&mut self.envelope);
        if let Fault::RefuseLetter(reply) = self.fault() {
            self.say(stream, reply).await?;
            return Ok(true);
        }
        self.keep(envelope, raw);
        if self.fault() == Fault::HangAfterData {
            wait_for_end(stream).await?;
            return Ok(false);
        }
        self.say(stream, "250 2.0.0 taken").await?;
        Ok(true)
    }

    fn offers_starttls(&self) -> bool {
        self.options.protection == Protection::StartTls && !self.tls
    }

    fn greeting(&self) -> String {
        let mut reply = "250-localhost\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n".to_owned();
        if self.offers_starttls() {
            reply.push_str("250-STARTTLS\r\n");
        }
        // As servers should, the password is not asked for before TLS, where there is TLS.
        if self.options.login.is_some() && !self.offers_starttls() {
            reply.push_str(&format!("250-AUTH {}\r\n", self.options.mechanisms));
        }
        reply + "250 8BITMIME"
    }

    /// Only what was not yet read goes to TLS: pipelining into STARTTLS is against RFC 3207.
    async fn encrypt(&mut self, stream: Dialogue) -> io::Result<Dialogue> {
        let tls = self.acceptor.accept(stream.into_inner()).await?;
        self.tls = true;
        Ok(BufReader::new(Box::pin(tls)))
    }

    async fn authenticate(&mut self, stream: &mut Dialogue, line: &str) -> io::Result<()> {
        if let Fault::RefuseLogin(reply) = self.fault() {
            return self.say(stream, reply).await;
        }
        let mut words = line.split(' ').skip(1);
        let mechanism = words.next().unwrap_or_default().to_uppercase();
        let initial = words.next().map(str::to_owned);
        let given = match mechanism.as_str() {
            "PLAIN" => {
                let answer = match initial {
                    Some(answer) => answer,
                    None => self.ask(stream, "").await?,
                };
                let decoded = STANDARD.decode(answer).unwrap_or_default();
                let text = String::from_utf8_lossy(&decoded).into_owned();
                let mut parts = text.splitn(3, '\0').skip(1).map(str::to_owned);
                (
                    parts.next().unwrap_or_default(),
                    parts.next().unwrap_or_default(),
                )
            }
            "LOGIN" => {
                let user = self.ask(stream, "Username:").await?;
                let password = self.ask(stream, "Password:").await?;
                let decode = |text: String| {
                    let decoded = STANDARD.decode(text).unwrap_or_default();
                    String::from_utf8_lossy(&decoded).into_owned()
                };
                (decode(user), decode(password))
            }
            _ => return self.say(stream, "504 5.5.4 no such mechanism").await,
        };
        if self.options.login.as_ref() == Some(&given) {
            self.user = Some(given.0);
            self.say(stream, "235 2.7.0 welcome").await
        } else {
            self.say(stream, "535 5.7.8 wrong user or password").await
        }
    }

    async fn ask(&self, stream: &mut Dialogue, question: &str) -> io::Result<String> {
        self.say(stream, &format!("334 {}", STANDARD.encode(question)))
            .await?;
        read_line(stream)
            .await?
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    async fn say(&self, stream: &mut Dialogue, reply: &str) -> io::Result<()> {
        let reply = format!("{reply}\r\n");
        if let Fault::Slow(pause) = self.fault() {
            for byte in reply.bytes() {
                // Slowness is the fault that was asked for.
                tokio::time::sleep(pause).await;
                stream.write_all(&[byte]).await?;
                stream.flush().await?;
            }
            return Ok(());
        }
        stream.write_all(reply.as_bytes()).await?;
        stream.flush().await
    }

    fn keep(&self, envelope: Envelope, raw: Vec<u8>) {
        let mail = Received {
            from: envelope.from.unwrap_or_default(),
            to: envelope.to,
            raw,
            tls: self.tls,
            user: self.user.clone(),
            connection: self.number,
        };
        self.shared.mails.lock().unwrap().push(mail.clone());
        self.shared.unread.lock().unwrap().push_back(mail);
        self.shared.changed.notify_waiters();
    }
}

async fn wait_for_end(stream: &mut Dialogue) -> io::Result<()> {
    let mut sink = [0; 1024];
    while stream.read(&mut sink).await? > 0 {}
    Ok(())
}

async fn read_line(stream: &mut Dialogue) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let read = stream
        .take(LONGEST_MAIL as u64)
        .read_until(b'\n', &mut line)
        .await?;
    let text = String::from_utf8_lossy(&line);
    Ok((read > 0).then(|| text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Up to the lone dot, dots unstuffed (RFC 5321 section 4.5.2). `None` where the client left.
async fn read_letter(stream: &mut Dialogue) -> io::Result<Option<Vec<u8>>> {
    let mut letter = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await? == 0 || letter.len() > LONGEST_MAIL {
            return Ok(None);
        }
        if line == b".\r\n" {
            return Ok(Some(letter));
        }
        letter.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

fn path(line: &str) -> Option<String> {
    let (_, rest) = line.split_once('<')?;
    let (path, _) = rest.split_once('>')?;
    Some(path.to_owned())
}
