//! `mfad pam`, as pam_exec runs it: a name in a variable, a code on standard input, an exit code.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{ChildStdin, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::support::Process;
use crate::support::process::{PROGRAM, write_secret};

const KEY: &str = "mfad_sk_kB7-canary-key-q0Xz";
const CODE: &str = "73120549";

/// What came to a server that answers as it is told.
type Requests = Arc<Mutex<Vec<(HeaderMap, String)>>>;

async fn answers_with(status: u16, body: Value) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests::default();
    let heard = Arc::clone(&requests);
    let answer = move |headers: HeaderMap, question: String| async move {
        heard.lock().unwrap().push((headers, question));
        let text = match body {
            Value::String(page) => page,
            body => body.to_string(),
        };
        let status = StatusCode::from_u16(status).unwrap();
        (status, [(header::LOCATION, "/elsewhere")], text)
    };
    let router = Router::new().route("/api/v1/mfa/verify", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, requests)
}

/// A key's file, and what the command is told.
struct Line {
    folder: TempDir,
    url: String,
    user: Option<&'static str>,
}

impl Line {
    fn to(url: &str) -> Line {
        let line = Line {
            folder: tempfile::tempdir().unwrap(),
            url: url.to_owned(),
            user: Some("alice"),
        };
        write_secret(&line.key_file(), format!("{KEY}\n").as_bytes());
        line
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("pam.key")
    }

    /// Starts it, with its input open.
    fn start(&self) -> (Process, ChildStdin) {
        let mut command = Command::new(PROGRAM);
        command
            .args(["pam", "--url", &self.url, "--key-file"])
            .arg(self.key_file())
            .env_clear();
        if let Some(user) = self.user {
            command.env("PAM_USER", user);
        }
        Process::start_to_talk_to(&mut command)
    }

    /// Types, and gives how it ended and what it said.
    async fn typed(&self, typed: &[u8]) -> (i32, String) {
        let (mut process, mut input) = self.start();
        // It may have ended before it read anything.
        let _ = input.write_all(typed);
        drop(input);
        let status = process.end().await;
        assert_eq!(process.stdout(), "");
        let words = process.stderr();
        assert!(!words.contains(CODE) && !words.contains(KEY), "{words}");
        (status.code().unwrap(), words)
    }
}

fn right() -> Value {
    json!({"verified": true, "result": true, "method": "totp"})
}

fn wrong(detail: &str) -> Value {
    json!({"verified": false, "result": false, "code": "wrong_code", "detail": detail})
}

#[tokio::test]
async fn name_and_code_are_sent_once_and_nothing_is_said_where_they_are_right() {
    let (url, requests) = answers_with(200, right()).await;
    for typed in [CODE.to_owned(), format!("{CODE}\0"), format!("{CODE}\n")] {
        let outcome = Line::to(&url).typed(typed.as_bytes()).await;
        assert_eq!(outcome, (0, String::new()));
    }
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 3);
    for (headers, body) in requests.iter() {
        assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
        assert_eq!(headers["content-type"], "application/json");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body, json!({"username": "alice", "code": CODE}));
    }
}

#[tokio::test]
async fn every_other_answer_lets_nobody_in() {
    let told = "This code is not right.";
    for (status, body, exit, sentence) in [
        (400, wrong(told), 1, told),
        (404, wrong("Nobody has that name."), 1, "Nobody has"),
        (429, wrong("Wait 30 seconds."), 1, "Wait 30 seconds."),
        (400, wrong("two\nlines\u{1b}[2J"), 1, "two lines [2J"),
        (422, json!({"detail": []}), 1, "no code"),
        (401, wrong("no"), 78, "service key"),
        (403, wrong("no"), 78, "service key"),
        (503, wrong("no"), 75, "at the moment"),
        // No server of ours.
        (200, json!({"verified": false}), 75, "none of mfad's"),
        (200, json!({"verified": "true"}), 75, "none of mfad's"),
        (200, json!({"result": true}), 75, "none of mfad's"),
        (200, json!("<html>"), 75, "none of mfad's"),
        (201, right(), 75, "none of mfad's"),
        (302, right(), 75, "none of mfad's"),
        (404, json!("Not found"), 75, "none of mfad's"),
        (500, json!({}), 75, "none of mfad's"),
    ] {
        let (url, _) = answers_with(status, body.clone()).await;
        let (code, words) = Line::to(&url).typed(CODE.as_bytes()).await;
        assert_eq!(code, exit, "{status} {body}: {words}");
        assert!(words.contains(sentence), "{status} {body}: {words}");
        assert_eq!(words.lines().count(), 1, "{words}");
    }
}

#[tokio::test]
async fn what_is_no_code_is_sent_to_nobody() {
    let (url, requests) = answers_with(200, right()).await;
    let long = [b'1'; 10_000];
    for typed in [
        &b""[..],
        b"\0",
        b"\n",
        b"\x08\n\r\x7fINCORRECT",
        b"\xff",
        &long,
    ] {
        let (code, words) = Line::to(&url).typed(typed).await;
        assert_eq!(code, 1, "{words}");
    }
    assert!(requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_there_lets_nobody_in() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (code, words) = Line::to(&url).typed(CODE.as_bytes()).await;
    assert_eq!(code, 75);
    assert!(words.contains("cannot be asked"), "{words}");
}

#[tokio::test]
async fn neither_a_silent_server_nor_an_endless_input_is_waited_for_longer_than_ten_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let line = Line::to(&format!("http://{}", listener.local_addr().unwrap()));
    let began = Instant::now();
    let (mut waiting, _input) = line.start();
    let (code, words) = line.typed(CODE.as_bytes()).await;
    assert_eq!(code, 75, "{words}");
    waiting.ends_with(75).await;
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(9) && took < Duration::from_secs(15),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_line_that_is_wrong_says_so_and_asks_nobody() {
    let (url, requests) = answers_with(200, right()).await;
    let mut open = Line::to(&url);
    fs::set_permissions(open.key_file(), fs::Permissions::from_mode(0o640)).unwrap();
    let mut nobody = Line::to(&url);
    nobody.user = None;
    let mut unnamed = Line::to(&url);
    unnamed.user = Some("");
    let several = Line::to(&url);
    write_secret(&several.key_file(), b"mfad_sk_one\nmfad_sk_two\n");
    let missing = Line::to(&url);
    fs::remove_file(missing.key_file()).unwrap();
    for (line, subject) in [
        (&open, "key-file"),
        (&several, "key-file"),
        (&missing, "key-file"),
        (&nobody, "PAM_USER"),
        (&unnamed, "PAM_USER"),
        (&Line::to("http://mfa.example.org"), "url"),
        (&Line::to("https://user:password@mfa.example.org"), "url"),
        (&Line::to("https://mfa.example.org/elsewhere"), "url"),
        (&Line::to("https://mfa.example.org/?a=b"), "url"),
        (&Line::to("mfa.example.org"), "url"),
        (&Line::to("unix:/run/mfad.sock"), "url"),
    ] {
        let (code, words) = line.typed(CODE.as_bytes()).await;
        assert_eq!(code, 78, "{words}");
        assert!(words.starts_with(&format!("error: {subject}: ")), "{words}");
        assert!(words.contains("\n  hint: "), "{words}");
        assert!(!words.contains("password@"), "{words}");
    }
    assert!(requests.lock().unwrap().is_empty());
    // All at once.
    open.user = None;
    let (_, words) = open.typed(CODE.as_bytes()).await;
    assert_eq!(words.matches("error: ").count(), 2, "{words}");
}
