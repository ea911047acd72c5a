//! The program itself as a child process, and what stands around it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use mfad::base::{Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

use super::client::Client;
use super::clock::TestClock;
use super::issuer::Issuer;
use super::server::PUBLIC_URL;
use super::smtp::{self, SmtpServer};

/// How long a process may take to say or do what a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_mfad");
/// The password for the SMTP server, as nothing else on earth is called.
pub const SMTP_PASSWORD: &str = "kB7-canary-smtp-password-q0Xz";

/// A configuration file with all that it names: an issuer, an SMTP server that wants TLS and a
/// password, a folder. Time is the machine's own, since a child process has no other.
pub struct Site {
    pub issuer: Issuer,
    pub smtp: SmtpServer,
    folder: TempDir,
    settings: BTreeMap<String, toml::Value>,
}

impl Site {
    pub async fn new() -> Site {
        let issuer = Issuer::start(TestClock::of_the_machine()).await;
        let smtp = SmtpServer::start(smtp::Options {
            login: Some(("mfad".to_owned(), SMTP_PASSWORD.to_owned())),
            ..Default::default()
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let mut site = Site {
            issuer,
            smtp,
            folder,
            settings: BTreeMap::new(),
        };
        let (password, ca) = (site.path("smtp.password"), site.path("ca.pem"));
        write_secret(&password, SMTP_PASSWORD.as_bytes());
        fs::write(&ca, site.smtp.ca_pem()).unwrap();
        let smtp_url = format!("smtp://mfad@127.0.0.1:{}?tls=required", site.smtp.port());
        let (issuer, data) = (site.issuer.url.clone(), site.data_dir());
        site.set("listen", "127.0.0.1:0");
        site.set("public-url", PUBLIC_URL);
        site.set("data-dir", data.to_str().unwrap());
        site.set("issuer", issuer);
        site.set("smtp-url", smtp_url);
        site.set("smtp-password-file", password.to_str().unwrap());
        site.set("mail-from", "Example <mfad@example.com>");
        site.set("ca-file", ca.to_str().unwrap());
        site.set("service-name", "Example");
        site
    }

    /// Says a setting anew.
    pub fn set(&mut self, key: &str, value: impl Into<toml::Value>) {
        self.settings.insert(key.to_owned(), value.into());
    }

    /// Leaves a setting out.
    pub fn unset(&mut self, key: &str) {
        self.settings.remove(key);
    }

    /// Leaves out all that is about mail.
    pub fn without_mail(&mut self) {
        for key in ["smtp-url", "smtp-password-file", "mail-from"] {
            self.unset(key);
        }
    }

    /// A file of the site's own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// Writes the configuration file, and says where it is.
    pub fn config_file(&self) -> PathBuf {
        let path = self.path("mfad.toml");
        fs::write(&path, toml::to_string(&self.settings).unwrap()).unwrap();
        path
    }

    /// Starts `mfad COMMAND --config FILE`.
    pub fn run(&self, command: &str) -> Process {
        let config = self.config_file();
        Process::mfad([OsStr::new(command), "--config".as_ref(), config.as_ref()])
    }

    /// Starts `mfad service ARGUMENTS --config FILE`.
    pub fn service(&self, arguments: &[&str]) -> Process {
        let config = self.config_file();
        let order = ["service"].iter().chain(arguments).map(OsStr::new);
        Process::mfad(order.chain([OsStr::new("--config"), config.as_ref()]))
    }

    /// The same, and what it prints; it must end well.
    pub async fn ordered(&self, arguments: &[&str]) -> String {
        let mut process = self.service(arguments);
        process.ends_with(0).await;
        process.stdout()
    }

    /// Starts the server and waits until it listens.
    pub async fn serve(&self) -> Process {
        let mut process = self.run("serve");
        process.listening().await;
        process
    }

    /// Somebody with an ordinary token for the server at that address.
    pub fn person(&self, address: SocketAddr, subject: &str) -> Client {
        let token = self.issuer.token(PUBLIC_URL, subject);
        Client::new(address, Some(token.with_second_factor().sign()))
    }
}

/// Writes a file that its owner alone can read.
pub fn write_secret(path: &Path, secret: &[u8]) {
    fs::write(path, secret).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Seconds since 1970, as child processes see them.
pub fn now() -> u64 {
    SystemClock.now().unix()
}

/// A child process whose words are kept. Dropped, it is killed.
pub struct Process {
    pub pid: Pid,
    stdout: watch::Receiver<String>,
    stderr: watch::Receiver<String>,
    ended: watch::Receiver<Option<ExitStatus>>,
    address: Option<SocketAddr>,
    /// How often a server has begun to listen in it.
    starts: usize,
}

impl Process {
    /// `mfad` with these arguments and no variables but those it is given.
    pub fn mfad(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Process {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env_clear();
        Process::start(&mut command)
    }

    pub fn start(command: &mut Command) -> Process {
        Process::start_listening_to(command, Stdio::null()).0
    }

    /// Starts what listens to what is written for it.
    pub fn start_to_talk_to(command: &mut Command) -> (Process, ChildStdin) {
        let (process, words) = Process::start_listening_to(command, Stdio::piped());
        (process, words.unwrap())
    }

    fn start_listening_to(command: &mut Command, stdin: Stdio) -> (Process, Option<ChildStdin>) {
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&child);
        let words = child.stdin.take();
        let (stdout, out) = listen(child.stdout.take().unwrap());
        let (stderr, err) = listen(child.stderr.take().unwrap());
        let (end, ended) = watch::channel(None);
        thread::spawn(move || {
            let status = child.wait().unwrap();
            // Its last words before the news of its end.
            let _ = (out.join(), err.join());
            end.send_replace(Some(status));
        });
        let process = Process {
            pid,
            stdout,
            stderr,
            ended,
            address: None,
            starts: 0,
        };
        (process, words)
    }

    /// All that it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.borrow().clone()
    }

    /// All that it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.borrow().clone()
    }

    /// Waits until standard error holds what `look` looks for.
    pub async fn says<T>(&self, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
        self.heard(&self.stderr, what, look).await
    }

    /// The same for standard output.
    pub async fn prints<T>(&self, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
        self.heard(&self.stdout, what, look).await
    }

    async fn heard<T>(
        &self,
        words: &watch::Receiver<String>,
        what: &str,
        look: impl Fn(&str) -> Option<T>,
    ) -> T {
        let mut words = words.clone();
        let heard = timeout(PATIENCE, words.wait_for(|text| look(text).is_some())).await;
        match heard {
            Ok(Ok(text)) => look(&text).unwrap(),
            _ => panic!(
                "waited for {what} in vain: {}{}",
                self.stdout(),
                self.stderr()
            ),
        }
    }

    /// Waits until it listens, the next time, and says where.
    pub async fn listening(&mut self) -> SocketAddr {
        let address = self
            .says("a listener", |text| {
                log_lines(text)
                    .filter(|line| line["message"] == "serving")
                    .nth(self.starts)
                    .and_then(|line| line["listen"].as_str()?.parse().ok())
            })
            .await;
        self.address = Some(address);
        self.starts += 1;
        address
    }

    /// Where it listens, once [`Process::listening`] has heard it.
    pub fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        // It may have ended by itself.
        let _ = kill_process(self.pid, signal);
    }

    pub fn is_running(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> ExitStatus {
        let mut ended = self.ended.clone();
        let ended = timeout(PATIENCE, ended.wait_for(Option::is_some)).await;
        match ended.map(|status| *status.unwrap()) {
            Ok(status) => status.unwrap(),
            Err(_) => panic!("it does not end: {}", self.stderr()),
        }
    }

    /// Waits for its end, and checks what it ends with.
    #[track_caller]
    pub fn ends_with(&mut self, code: i32) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let status = self.end().await;
            let words = format!("{caller}: {status}: {}{}", self.stdout(), self.stderr());
            assert_eq!(status.code(), Some(code), "{words}");
        }
    }

    /// Asks it to end as systemd does, and waits.
    pub async fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.ends_with(0).await;
    }

    /// Ends it without warning, and waits.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.end().await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            self.signal(Signal::KILL);
        }
    }
}

fn listen(
    mut pipe: impl Read + Send + 'static,
) -> (watch::Receiver<String>, thread::JoinHandle<()>) {
    let (words, heard) = watch::channel(String::new());
    let listener = thread::spawn(move || {
        let mut bytes = [0; 8192];
        while let Ok(length @ 1..) = pipe.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..length]);
            words.send_modify(|words| words.push_str(&text));
        }
    });
    (heard, listener)
}

/// The whole lines of a log in JSON.
pub fn log_lines(text: &str) -> impl Iterator<Item = Value> + '_ {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
}

/// Every regular file below a folder, with what it holds.
pub fn files_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if path.is_file() {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}
