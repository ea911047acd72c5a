//! How many requests a second, beside a handler that does nothing but answer.
//!
//! Three things are measured, interleaved, on loopback, with the load's generator on the same machine:
//! - `bare`: axum on hyper as it comes, answering with a JSON text as long as the overview's;
//! - `overview`: `GET /api/v1/me/mfa`, a token's signature and one consistent read;
//! - `verify`: `POST /api/v1/me/mfa/totp/disable` with a backup code that is wrong. The token is checked, the code
//!   is hashed and compared with all ten, the miss is counted and written into the audit, and the answer waits
//!   until the disk has it (many share a commit). No lock ever answers instead, since nobody guesses 80 bits, so
//!   each request costs the whole way.
//!
//! mfad runs with its default settings and logs each request, to nowhere. Tokens are signed with ES256, whose
//! check costs nearly three times that of RS256.

#[path = "../it/support/mod.rs"]
mod support;

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use serde_json::json;
use support::process::{PROGRAM, now};
use support::{App, Client, Site};

const CONNECTIONS: [u32; 3] = [1, 16, 64];
/// Different people, so that no single row is the measure.
const PEOPLE: usize = 256;
const OVERVIEW: &str = "/api/v1/me/mfa";
const DISABLE: &str = "/api/v1/me/mfa/totp/disable";
/// Of the right shape, and nobody's.
const WRONG: &str = "0000-0000-0000-0000";

/// What one run of wrk says.
#[derive(Clone, Copy)]
struct Figures {
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
}

struct Target {
    name: &'static str,
    url: String,
    script: Option<std::path::PathBuf>,
    /// Whether all answers are refusals, or none is.
    refused: bool,
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
        [seconds, runs] => {
            runtime.block_on(measure(seconds.parse().unwrap(), runs.parse().unwrap()));
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

async fn measure(seconds: u32, runs: usize) {
    let mut site = Site::new().await;
    site.without_mail();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    site.set("listen", address.to_string());
    let mut mfad = Command::new(PROGRAM);
    mfad.args(["serve", "--config"])
        .arg(site.config_file())
        .env_clear()
        .stderr(Stdio::null());
    let mfad = Guard(mfad.spawn().unwrap());
    ready(address).await;

    let mut tokens = Vec::new();
    let mut length = 0;
    for n in 0..PEOPLE {
        let person = site.person(address, &format!("person-{n}"));
        let app = App::scan(&person.post("/api/v1/me/mfa/totp/enable").await.ok());
        let confirm = "/api/v1/me/mfa/totp/confirm";
        person.code(confirm, &app.code(now())).await.ok();
        person.code(DISABLE, WRONG).await.refused(400, "wrong_code");
        length = person.get(OVERVIEW).await.text.len();
        tokens.push(person.token.unwrap());
    }
    let mut bare = Command::new(env::current_exe().unwrap())
        .args(["bare", &length.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .map(Guard)
        .unwrap();
    let mut said = String::new();
    let out = bare.0.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut said).unwrap();

    let script = |name: &str, request: String| {
        let path = site.path(name);
        let tokens: String = tokens
            .iter()
            .map(|token| format!("\"{token}\",\n"))
            .collect();
        fs::write(
            &path,
            format!("local tokens = {{\n{tokens}}}\nlocal n = math.random(#tokens)\n{request}"),
        )
        .unwrap();
        Some(path)
    };
    let next = "n = n % #tokens + 1";
    let head = r#"["Authorization"] = "Bearer " .. tokens[n]"#;
    let body = json!({"code": WRONG});
    let targets = [
        Target {
            name: "bare",
            url: format!("http://{}/", said.trim()),
            script: None,
            refused: false,
        },
        Target {
            name: "overview",
            url: format!("http://{address}/"),
            script: script(
                "overview.lua",
                format!(
                    "request = function() {next}; return wrk.format(\"GET\", \"{OVERVIEW}\", {{{head}}}) end"
                ),
            ),
            refused: false,
        },
        Target {
            name: "verify",
            url: format!("http://{address}/"),
            script: script(
                "verify.lua",
                format!(
                    "request = function() {next}; return wrk.format(\"POST\", \"{DISABLE}\", \
                     {{{head}, [\"Content-Type\"] = \"application/json\"}}, '{body}') end"
                ),
            ),
            refused: true,
        },
    ];

    let mut figures = vec![Vec::new(); CONNECTIONS.len() * targets.len()];
    for _ in 0..runs {
        for (c, connections) in CONNECTIONS.iter().enumerate() {
            for (t, target) in targets.iter().enumerate() {
                figures[c * targets.len() + t].push(wrk(target, *connections, seconds));
            }
        }
    }
    println!(
        "medians of {runs} runs of {seconds} s, interleaved; answers of {length} bytes; {PEOPLE} people\n"
    );
    println!("| connections | what | requests/s | of bare | p50 ms | p99 ms |");
    println!("| ---: | --- | ---: | ---: | ---: | ---: |");
    for (c, connections) in CONNECTIONS.iter().enumerate() {
        let of_bare = median(&figures[c * targets.len()], |f| f.rate);
        for (t, target) in targets.iter().enumerate() {
            let found = &figures[c * targets.len() + t];
            let rate = median(found, |f| f.rate);
            println!(
                "| {connections} | {} | {rate:.0} | {:.0} % | {:.2} | {:.2} |",
                target.name,
                100.0 * rate / of_bare,
                median(found, |f| f.p50_ms),
                median(found, |f| f.p99_ms),
            );
        }
    }
    let status = fs::read_to_string(format!("/proc/{}/status", mfad.0.id())).unwrap();
    let memory = status
        .lines()
        .filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
    println!("\nmfad's memory: {}", memory.collect::<Vec<_>>().join(", "));
}

async fn ready(address: SocketAddr) {
    let client = Client::new(address, None);
    let asked = async || {
        client
            .try_send(
                axum::http::Method::GET,
                "/readyz",
                &[],
                axum::body::Bytes::new(),
            )
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

fn wrk(target: &Target, connections: u32, seconds: u32) -> Figures {
    let mut wrk = Command::new("wrk");
    wrk.args(["--latency", "-t", &connections.min(2).to_string()])
        .args(["-c", &connections.to_string(), "-d", &format!("{seconds}s")]);
    if let Some(script) = &target.script {
        wrk.arg("-s").arg(script);
    }
    let output = wrk.arg(&target.url).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let after = |word: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(word));
        line.map(|rest| rest.trim().to_owned())
    };
    let answers: u64 = said
        .lines()
        .find(|line| line.contains(" requests in "))
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or_else(|| panic!("{said}"));
    let refused = after("Non-2xx or 3xx responses:").map_or(0, |n| n.parse().unwrap());
    let expected = if target.refused { answers } else { 0 };
    assert_eq!(refused, expected, "{}: {said}", target.name);
    assert!(!said.contains("Socket errors"), "{said}");
    Figures {
        rate: after("Requests/sec:").unwrap().parse().unwrap(),
        p50_ms: milliseconds(&after("50%").unwrap()),
        p99_ms: milliseconds(&after("99%").unwrap()),
    }
}

/// `870.00us`, `1.20ms`, `2.00s`.
fn milliseconds(text: &str) -> f64 {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[number.len()..] {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1_000.0,
        unit => panic!("{unit}"),
    };
    number.parse::<f64>().unwrap() * factor
}

fn median(figures: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = figures.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
