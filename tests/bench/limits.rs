//! How many requests a second, next to a handler that does nothing but answer.
//!
//! Four things are measured, interleaved, on loopback, with the load's generator on the same machine:
//! - `bare`: axum on hyper as it comes, answering with a JSON text as long as the overview's;
//! - `overview`: `GET /api/v1/me/mfa`, a token's signature and one consistent read;
//! - `one call`: `POST /api/v1/mfa/verify` with the right code of an authenticator app. Each request is about another
//!   user, whose code is accepted, used up and written into the audit before the answer leaves;
//! - `challenge`: `POST …/challenges/{id}/verify` with the right code, of challenges that were opened before the clock
//!   starts.
//!
//! A code is right once, so each request is about another user, and the next time they are asked about it is by the code
//! of a later time step. There are several times as many users as requests, so that runs seldom wait for new codes. A
//! refusal ends the measurement: what is counted was accepted.
//!
//! mfad runs with its default settings and logs each request, to nowhere. Tokens are signed with ES256; login services
//! ask by service keys. With another build's program, both run next to each other, take turns, and are compared: by the
//! time that a request takes, and by the processor's time that the server spends on it, which a busy machine does not
//! stretch.

mod load;
#[path = "../it/support/mod.rs"]
mod support;

use std::collections::VecDeque;
use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use load::{Figures, ask, request};
use serde_json::{Value, json};
use support::process::{PROGRAM, now};
use support::{App, Client, Site};
use tokio::task::JoinSet;
use tokio::time::Instant;

const CONNECTIONS: [usize; 3] = [1, 16, 64];
const OVERVIEW: &str = "/api/v1/me/mfa";
const CHALLENGES: &str = "/api/v1/mfa/challenges";
const VERIFY: &str = "/api/v1/mfa/verify";
/// What is measured of each program.
const KINDS: [Kind; 3] = [Kind::Overview, Kind::OneCall, Kind::Challenge];
/// Users for each request of a run.
const USERS: usize = 4;
/// Users that are set up at once.
const AT_ONCE: usize = 64;
/// Seconds of a time step.
const PERIOD: u64 = 30;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Overview,
    OneCall,
    Challenge,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Kind::Overview => "overview",
            Kind::OneCall => "one call",
            Kind::Challenge => "challenge",
        }
    }
}

/// Ends with the guard.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match &arguments[..] {
        [word, length] if word == "bare" => runtime.block_on(bare(length.parse().unwrap())),
        [requests, runs, others @ ..] if others.len() < 2 => {
            let programs: Vec<PathBuf> = [PROGRAM.into()]
                .into_iter()
                .chain(others.iter().map(PathBuf::from))
                .collect();
            let (requests, runs) = (requests.parse().unwrap(), runs.parse().unwrap());
            runtime.block_on(measure(requests, runs, &programs));
        }
        _ => eprintln!("use tests/bench/run"),
    }
}

/// Says where it listens, and answers everything with so many bytes of JSON.
async fn bare(length: usize) {
    let body: &'static str = format!("\"{}\"", "x".repeat(length.saturating_sub(2))).leak();
    let answer = get(async move || ([(CONTENT_TYPE, "application/json")], body));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, Router::new().route("/", answer))
        .await
        .unwrap();
}

/// Somebody with an app, and the latest time step of which a code was used.
struct User {
    subject: String,
    bearer: String,
    app: App,
    last: u64,
}

/// A running mfad, its users, and the service that asks about them.
struct Side {
    name: String,
    address: SocketAddr,
    key: String,
    users: Vec<User>,
    mfad: Guard,
    _site: Site,
}

impl Side {
    async fn start(program: &Path, users: usize) -> Side {
        let mut site = Site::new().await;
        site.without_mail();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        site.set("listen", address.to_string());
        let config = site.config_file();
        let mut mfad = Command::new(program);
        mfad.args(["serve", "--config"])
            .arg(&config)
            .env_clear()
            .stderr(Stdio::null());
        let mfad = Guard(mfad.spawn().unwrap());
        ready(address).await;
        let mut add = Command::new(program);
        add.args(["service", "add", "portal", "--config"])
            .arg(&config)
            .env_clear();
        let added = add.output().unwrap();
        assert!(added.status.success(), "{added:?}");
        let key = String::from_utf8(added.stdout).unwrap().trim().to_owned();
        let mut enrolled = Vec::new();
        let mut left: VecDeque<usize> = (0..users).collect();
        while !left.is_empty() {
            let mut together = JoinSet::new();
            for number in left.drain(..AT_ONCE.min(left.len())) {
                let subject = format!("user-{number}");
                together.spawn(enrol(site.person(address, &subject), subject));
            }
            enrolled.extend(together.join_all().await);
        }
        Side {
            name: program.display().to_string(),
            address,
            key,
            users: enrolled,
            mfad,
            _site: site,
        }
    }

    /// So many requests, each about another user: those come first who have not been asked about for the longest time.
    async fn requests(&mut self, kind: Kind, count: usize) -> Vec<Bytes> {
        self.users.sort_by_key(|user| user.last);
        let mut requests = Vec::new();
        if kind == Kind::Overview {
            for user in self.users.iter().take(count) {
                requests.push(request("GET", OVERVIEW, &user.bearer, None));
            }
            return requests;
        }
        let mut ids = match kind {
            Kind::Challenge => self.open(count).await,
            _ => VecDeque::new(),
        };
        for user in self.users.iter_mut().take(count) {
            let step = (user.last + 1).max(now() / PERIOD);
            // Codes of the step to come are taken, as from a phone that is fast.
            while step > now() / PERIOD + 1 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            user.last = step;
            let code = user.app.code(step * PERIOD);
            let (path, body) = match ids.pop_front() {
                Some(id) => (
                    format!("{CHALLENGES}/{id}/verify"),
                    json!({"method": "totp", "code": code}),
                ),
                None => (
                    VERIFY.to_owned(),
                    json!({"subject": user.subject, "code": code}),
                ),
            };
            requests.push(request("POST", &path, &self.key, Some(body)));
        }
        requests
    }

    /// Seconds of the processors that the server has had, in steps of 10 ms.
    fn processor(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.mfad.0.id())).unwrap();
        let (_, after_name) = stat.rsplit_once(") ").unwrap();
        let ticks = |field: &str| field.parse::<f64>().unwrap();
        let fields: Vec<&str> = after_name.split(' ').collect();
        (ticks(fields[11]) + ticks(fields[12])) / 100.0
    }

    /// Opens a challenge for each of the users who come next, and gives their ids.
    async fn open(&self, count: usize) -> VecDeque<String> {
        let bodies = self.users.iter().take(count).map(|user| {
            let body = json!({"subject": user.subject, "amr": ["pwd"]});
            request("POST", CHALLENGES, &self.key, Some(body))
        });
        let (_, answers) = ask(self.address, bodies.collect(), AT_ONCE).await;
        let ids = answers.into_iter().map(|(_, body)| {
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["decision"], "challenge", "{body}");
            body["challenge_id"].as_str().unwrap().to_owned()
        });
        ids.collect()
    }
}

async fn enrol(person: Client, subject: String) -> User {
    let app = App::scan(&person.post("/api/v1/me/mfa/totp/enable").await.ok());
    let confirm = "/api/v1/me/mfa/totp/confirm";
    // By the code of the step before, so that those of this one and the next are left. The step may end meanwhile.
    let last = loop {
        let last = now() / PERIOD - 1;
        let reply = person.code(confirm, &app.code(last * PERIOD)).await;
        if reply.status == 200 {
            break last;
        }
        reply.refused(400, "wrong_code");
    };
    User {
        subject,
        bearer: person.token.unwrap(),
        app,
        last,
    }
}

async fn measure(requests: usize, runs: usize, programs: &[PathBuf]) {
    let (began, users) = (Instant::now(), requests * USERS);
    let mut sides = Vec::new();
    for program in programs {
        sides.push(Side::start(program, users).await);
    }
    let one = &sides[0].users[0];
    let shown = Client::new(sides[0].address, Some(one.bearer.clone()));
    let length = shown.get(OVERVIEW).await.text.len();
    let (bare, _bare) = start_bare(length);
    println!("{users} users set up in {} s", began.elapsed().as_secs());

    // Rates of the bare handler; then for each side and kind.
    let rows = 1 + sides.len() * KINDS.len();
    let mut figures = vec![Vec::new(); CONNECTIONS.len() * rows];
    let mut spent = vec![(0.0, 0); sides.len() * KINDS.len()];
    for run in 0..runs {
        for (c, connections) in CONNECTIONS.into_iter().enumerate() {
            let count = if connections == 1 {
                requests / 4
            } else {
                requests
            };
            let plain = request("GET", "/", "", None);
            let (found, _) = ask(bare, vec![plain; count], connections).await;
            figures[c * rows].push(found);
            for (k, kind) in KINDS.into_iter().enumerate() {
                // Neither side is always the first.
                let mut order: Vec<usize> = (0..sides.len()).collect();
                order.rotate_left((run + c + k) % sides.len());
                for s in order {
                    let side = &mut sides[s];
                    let asked = side.requests(kind, count).await;
                    let before = side.processor();
                    let (found, _) = ask(side.address, asked, connections).await;
                    let (seconds, requests) = &mut spent[s * KINDS.len() + k];
                    *seconds += side.processor() - before;
                    *requests += count;
                    figures[c * rows + 1 + s * KINDS.len() + k].push(found);
                }
            }
        }
    }
    println!(
        "medians of {runs} runs of {requests} requests (over one connection: a quarter), interleaved; answers of {length} bytes"
    );
    for (s, side) in sides.iter().enumerate() {
        println!("\n{}\n", side.name);
        println!("| connections | what | requests/s | of bare | p50 ms | p99 ms |");
        println!("| ---: | --- | ---: | ---: | ---: | ---: |");
        for (c, connections) in CONNECTIONS.iter().enumerate() {
            let of_bare = &figures[c * rows];
            let row = |words: &str, found: &[Figures]| {
                let rates = found.iter().zip(of_bare).map(|(f, b)| f.rate / b.rate);
                println!(
                    "| {connections} | {words} | {:.0} | {:.1} % | {:.2} | {:.2} |",
                    median(found.iter().map(|f| f.rate)),
                    100.0 * median(rates),
                    median(found.iter().map(|f| f.p50_ms)),
                    median(found.iter().map(|f| f.p99_ms)),
                );
            };
            row("bare", of_bare);
            for (k, kind) in KINDS.into_iter().enumerate() {
                row(kind.words(), &figures[c * rows + 1 + s * KINDS.len() + k]);
            }
        }
        let status = fs::read_to_string(format!("/proc/{}/status", side.mfad.0.id())).unwrap();
        let memory = status
            .lines()
            .filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
        println!("\nmemory: {}", memory.collect::<Vec<_>>().join(", "));
    }
    println!("\n| program | what | processor's time for one request, µs |\n| --- | --- | ---: |");
    for (s, side) in sides.iter().enumerate() {
        for (k, kind) in KINDS.into_iter().enumerate() {
            let (seconds, requests) = spent[s * KINDS.len() + k];
            let each = 1e6 * seconds / requests as f64;
            println!("| {} | {} | {each:.0} |", side.name, kind.words());
        }
    }
    if sides.len() == 2 {
        println!("\nTime for one request, the first program's by the second's, run by run:\n");
        println!("| connections | what | median | smallest | largest |");
        println!("| ---: | --- | ---: | ---: | ---: |");
        for (c, connections) in CONNECTIONS.iter().enumerate() {
            for (k, kind) in KINDS.into_iter().enumerate() {
                let of = |s: usize| &figures[c * rows + 1 + s * KINDS.len() + k];
                let pairs = of(0).iter().zip(of(1));
                let mut ratios: Vec<f64> =
                    pairs.map(|(one, other)| other.rate / one.rate).collect();
                ratios.sort_by(f64::total_cmp);
                println!(
                    "| {connections} | {} | {:.3} | {:.3} | {:.3} |",
                    kind.words(),
                    median(ratios.iter().copied()),
                    ratios[0],
                    ratios[ratios.len() - 1],
                );
            }
        }
    }
}

fn start_bare(length: usize) -> (SocketAddr, Guard) {
    let mut bare = Command::new(env::current_exe().unwrap())
        .args(["bare", &length.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .map(Guard)
        .unwrap();
    let mut said = String::new();
    let out = bare.0.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut said).unwrap();
    (said.trim().parse().unwrap(), bare)
}

async fn ready(address: SocketAddr) {
    let client = Client::new(address, None);
    let asked = async || {
        client
            .try_send(Method::GET, "/readyz", &[], Bytes::new())
            .await
    };
    for _ in 0..200 {
        if asked().await.is_ok_and(|reply| reply.status == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("mfad does not get ready");
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
