//! A server that is kept busy for minutes, and looked at.
//!
//! It is the program itself with its own settings, a mail server and an issuer around it. Many clients set up and
//! remove factors, sign in rightly and wrongly by every factor there is, look at the page, open prompts and leave
//! them, write half a request and go; meanwhile settings are read again, copies are made and `/metrics` is read. Then
//! it is left alone, and at last started again after more than a year, when all that expires has expired.

mod load;
mod stories;
mod watch;

#[path = "../it/support/mod.rs"]
mod support;

use std::env;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mfad::base::{Clock, OsEntropy, SystemClock};
use mfad::store::{self, MasterKeyPlace, Record, Tx};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use support::browser::CLIENT_ID;
use support::process::{PROGRAM, log_lines};
use support::{Client, Process, Site};
use tokio::time::Instant;

use load::Load;
use watch::{Judge, MB, Sample, Watch};

/// How far the clock is turned at the end: further than the audit is kept.
const LATER: &str = "+410d";
/// The load before the load that is measured.
const WARM_UP: Duration = Duration::from_secs(120);
/// How long all may take that needs no load: idle connections, a sweep, a compaction. What a minute has written is
/// swept within another.
const PATIENCE: Duration = Duration::from_secs(150);
/// The store's file of a server that has nobody's rows but those who came by, at the most.
const FILE_AT_LAST: u64 = 8 * MB;
/// Rows of a kilobyte that are there at first: more than the store's cache of 16 MiB takes.
const SEEDED: u64 = 30_000;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let minutes = match &arguments[..] {
        [minutes] => minutes.parse().ok().filter(|minutes: &f64| *minutes > 0.0),
        _ => None,
    };
    let Some(minutes) = minutes else {
        eprintln!("use tests/soak/run");
        std::process::exit(64);
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if !runtime.block_on(soak(Duration::from_secs_f64(minutes * 60.0))) {
        std::process::exit(1);
    }
}

/// The server, which ends with this.
struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// With a clock that is so far ahead, where one is given.
    async fn start(site: &Site, address: SocketAddr, log: &str, ahead: Option<&str>) -> Server {
        let log = site.path(log);
        let mut command = Command::new(PROGRAM);
        command
            .args(["serve", "--config"])
            .arg(site.config_file())
            .env_clear()
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        if let Some(ahead) = ahead {
            command
                .env("LD_PRELOAD", faketime())
                .env("FAKETIME", ahead)
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        let child = command.spawn().unwrap();
        let server = Server { child, log };
        let alive = || {
            let client = Client::new(address, None);
            async move {
                let path = "/healthz";
                let reply = client.try_send(axum::http::Method::GET, path, &[], Default::default());
                reply.await.is_ok_and(|reply| reply.status == 200)
            }
        };
        let begun = Instant::now();
        while !alive().await {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{}",
                server.said()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The lines of its log that say that.
    fn lines(&self, message: &str) -> usize {
        log_lines(&self.said())
            .filter(|line| line["message"] == message)
            .count()
    }

    fn faults(&self) -> Vec<String> {
        let said = self.said();
        let faults = said
            .lines()
            .filter(|line| line.contains(r#""level":"ERROR""#) || line.contains("panicked"));
        faults.map(str::to_owned).collect()
    }

    async fn stop(&mut self) -> bool {
        self.signal(Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn faketime() -> PathBuf {
    [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib",
    ]
    .into_iter()
    .map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1"))
    .find(|path| path.exists())
    .expect("faketime is installed")
}

fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap()
}

/// What an earlier time has left. It expires long before the end.
#[derive(Serialize, Deserialize)]
struct Left(String);

impl Record for Left {
    type Key = u64;
    const TABLE: &'static str = "left";
}

/// Makes a store that is larger than its cache. Else the cache would fill all the while, and who could tell that
/// from memory that is lost?
async fn seed(folder: &Path) {
    let key = MasterKeyPlace::own(folder.join("master.key"));
    let store = store::open(folder, &key, Arc::new(OsEntropy)).unwrap();
    let until = SystemClock.now().plus(100 * 86_400);
    for part in 0..SEEDED / 1_000 {
        let put = move |tx: &mut Tx<'_>| {
            let mut rows = part * 1_000..(part + 1) * 1_000;
            rows.try_for_each(|row| tx.put_until(&row, &Left("x".repeat(1_000)), until))
        };
        store.write(put).await.unwrap();
    }
    store.close().await;
}

/// Waits until that is so.
async fn until(patience: Duration, mut so: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !so() {
        if begun.elapsed() > patience {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    true
}

async fn soak(length: Duration) -> bool {
    let mut site = Site::new().await;
    let (address, watched) = (free_address(), free_address());
    let copies = site.path("copies");
    fs::create_dir(&copies).unwrap();
    site.set("listen", address.to_string());
    site.set("metrics-listen", watched.to_string());
    site.set("client-id", CLIENT_ID);
    site.set("backup-dir", copies.to_str().unwrap());
    site.config_file();
    let site = Arc::new(site);
    let file = site.data_dir().join("mfad.redb");

    seed(&site.data_dir()).await;
    let mut server = Server::start(&site, address, "busy.log", None).await;
    let load = Load::new(site.clone(), address, watched).await;
    // What is made once is made before anything is measured, and caches and the allocator's arenas are full.
    eprintln!("{:.0} s of load, not measured", WARM_UP.as_secs_f64());
    load.run_for(WARM_UP, || {}).await;
    until(PATIENCE, || {
        Sample::take(server.pid(), &file).descriptors <= watch::AT_REST
    })
    .await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let before = Sample::take(server.pid(), &file);

    eprintln!("{:.0} s of load", length.as_secs_f64());
    let watch = Watch::begin(server.pid(), &file);
    let reload = || server.signal(Signal::HUP);
    load.run_for(length, reload).await;
    let samples = watch.end().await;
    let peak = samples.iter().map(|it| it.file).max().unwrap_or_default();
    eprintln!("left alone");
    let rests = |it: Sample| it.descriptors <= before.descriptors && it.threads <= before.threads;
    until(PATIENCE, || rests(Sample::take(server.pid(), &file))).await;
    let after = Sample::take(server.pid(), &file);
    let counted = Client::new(watched, None).get("/metrics").await.text;
    let reloads = server.lines("the settings were read again and are in effect");
    let mut faults = server.faults();
    let mut ends_well = server.stop().await;

    eprintln!("a clock at {LATER}");
    let mut server = Server::start(&site, address, "later.log", Some(LATER)).await;
    let data = site.data_dir();
    let mut accepted = Process::mfad(["clock", "accept", "--data-dir", data.to_str().unwrap()]);
    accepted.ends_with(0).await;
    ends_well &= server.stop().await;
    server = Server::start(&site, address, "later.log", Some(LATER)).await;
    let size = || fs::metadata(&file).map_or(u64::MAX, |file| file.len());
    let small = until(PATIENCE + length, || size() <= FILE_AT_LAST).await;
    let compacted = server.lines("the store's file was compacted");
    let at_last = size();
    // No fault of the server's: it is not the time that the issuer and the mail server have.
    ends_well &= server.stop().await;
    faults.extend(
        server
            .faults()
            .into_iter()
            .filter(|line| line.contains("panicked")),
    );

    load.print(length, &counted);
    let mut judge = Judge::new(&samples, before, after);
    judge.growth();
    judge.says(
        "file: while busy, then 410 days later",
        format!(
            "{:.1} MB, then {:.1} MB",
            peak as f64 / MB as f64,
            at_last as f64 / MB as f64
        ),
        small && (compacted > 0 || peak <= FILE_AT_LAST),
    );
    judge.says("settings read again", reloads.to_string(), reloads > 0);
    let kept = fs::read_dir(&copies).unwrap().count();
    judge.says("copies kept", kept.to_string(), kept > 0);
    let surprises = load.surprises();
    judge.says(
        "answers that nobody expected",
        surprises.len().to_string(),
        surprises.is_empty(),
    );
    judge.says(
        "faults in the log",
        faults.len().to_string(),
        faults.is_empty(),
    );
    judge.says("ends when it is told to", ends_well.to_string(), ends_well);
    for line in surprises.iter().chain(&faults).take(10) {
        println!("    {line}");
    }
    judge.is_well()
}
