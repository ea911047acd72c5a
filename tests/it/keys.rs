//! The key that seals the store, rotated under a running server; the master key, sealed with a passphrase, and replaced.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{ChildStdin, Command};

use serde_json::Value;

use crate::support::process::{PROGRAM, files_below, now, write_secret};
use crate::support::{App, Client, Process, Site};

const ENABLE: &str = "/api/v1/me/mfa/totp/enable";
const CONFIRM: &str = "/api/v1/me/mfa/totp/confirm";
const OVERVIEW: &str = "/api/v1/me/mfa";
/// Exit codes.
const USAGE: i32 = 64;
const IO: i32 = 74;
const TEMPORARY: i32 = 75;
const CONFIG: i32 = 78;
const PASSPHRASE: &str = "kB7-canary-master-key-passphrase-q0Xz";

fn order(site: &Site, arguments: &[&str]) -> Process {
    let config = site.config_file();
    Process::mfad([arguments, &["--config", config.to_str().unwrap()]].concat())
}

/// What that command prints; it must end well.
async fn told(site: &Site, arguments: &[&str]) -> String {
    let mut process = order(site, arguments);
    process.ends_with(0).await;
    process.stdout()
}

/// What it says that it is refused for.
async fn refused(site: &Site, arguments: &[&str], exit: i32) -> String {
    let mut process = order(site, arguments);
    process.ends_with(exit).await;
    assert_eq!(process.stdout(), "");
    process.stderr()
}

async fn set_up(person: &Client) -> Vec<String> {
    let app = App::scan(&person.post(ENABLE).await.ok());
    let confirmed = person.code(CONFIRM, &app.code(now())).await.ok();
    serde_json::from_value(confirmed["backup_codes"].clone()).unwrap()
}

async fn is_enrolled(person: &Client) {
    let overview = person.get(OVERVIEW).await.ok();
    assert_eq!(overview["devices"][0]["type"], "totp", "{overview}");
}

async fn keys(site: &Site) -> Value {
    let listed = told(site, &["data-key", "list", "--json"]).await;
    serde_json::from_str(&listed).unwrap()
}

#[tokio::test]
async fn the_data_key_is_rotated_under_a_running_server_and_copies_of_both_come_back() {
    let site = Site::new().await;
    let mut server = site.serve().await;
    let alice = site.person(server.address(), "alice");
    set_up(&alice).await;
    let (before, after) = (site.path("before"), site.path("after"));
    told(&site, &["backup", before.to_str().unwrap()]).await;

    let rotated = told(&site, &["data-key", "rotate"]).await;
    assert!(rotated.starts_with("2  seals, since "), "{rotated}");
    is_enrolled(&alice).await;
    // Beside everything else, in time.
    let listed = loop {
        let listed = keys(&site).await;
        if listed["keys"].as_array().unwrap().len() == 1 {
            break listed;
        }
    };
    assert_eq!(listed["keys"][0]["key"], 2);
    assert_eq!(listed["keys"][0]["seals"], true);
    assert!(listed["resealed_rows"].as_u64().unwrap() > 5, "{listed}");
    is_enrolled(&alice).await;
    set_up(&site.person(server.address(), "bob")).await;
    told(&site, &["backup", after.to_str().unwrap()]).await;
    server.kill().await;

    let mut server = site.serve().await;
    for person in ["alice", "bob"] {
        is_enrolled(&site.person(server.address(), person)).await;
    }
    server.stop().await;
    // Without a server it is all done when the command ends.
    let rotated = told(&site, &["data-key", "rotate"]).await;
    assert_eq!(rotated.lines().count(), 1, "{rotated}");
    assert!(rotated.starts_with("3  seals, since "), "{rotated}");

    for (copy, people) in [(before, &["alice"][..]), (after, &["alice", "bob"])] {
        told(&site, &["restore", copy.to_str().unwrap()]).await;
        let mut server = site.serve().await;
        for person in people {
            is_enrolled(&site.person(server.address(), person)).await;
        }
        server.stop().await;
    }
}

fn key_file(site: &Site) -> Vec<u8> {
    fs::read(site.data_dir().join("master.key")).unwrap()
}

fn hold(path: &Path, text: &str) -> String {
    write_secret(path, text.as_bytes());
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_master_key_that_is_sealed_opens_nothing_without_its_passphrase() {
    let mut site = Site::new().await;
    site.serve().await.stop().await;
    let plain = key_file(&site);
    let shown = told(&site, &["master-key", "show"]).await;
    assert!(shown.contains("  not sealed, in "), "{shown}");
    let name = shown.split("  ").next().unwrap().to_owned();

    // Nothing is done with what is no passphrase, nor without a terminal to ask on.
    let file = hold(&site.path("passphrase"), PASSPHRASE);
    let protect = ["master-key", "protect", "--new-passphrase-file"];
    for short in ["", "fourteen bytes"] {
        let short = hold(&site.path("short"), short);
        let arguments = [&protect[..], &[short.as_str()]].concat();
        refused(&site, &arguments, CONFIG).await;
    }
    let why = refused(&site, &["master-key", "protect"], CONFIG).await;
    assert!(why.contains("cannot be asked for"), "{why}");
    assert_eq!(key_file(&site), plain);

    let shown = told(&site, &[&protect[..], &[file.as_str()]].concat()).await;
    assert!(shown.starts_with(&name), "{shown}");
    assert!(shown.contains("  sealed with a passphrase, in "), "{shown}");
    assert_eq!(told(&site, &["master-key", "show"]).await, shown);
    let sealed = key_file(&site);
    assert!(!sealed.windows(32).any(|bytes| bytes == plain));

    // Nobody gives it, somebody gives another, and at last the right one.
    let why = refused(&site, &["serve"], CONFIG).await;
    assert!(
        why.contains("sealed with a passphrase, and none is given"),
        "{why}"
    );
    assert!(why.contains("--master-key-passphrase-file"), "{why}");
    let wrong = hold(&site.path("wrong"), "another one altogether");
    site.set("master-key-passphrase-file", wrong);
    for command in [&["serve"][..], &["check"], &["service", "list"]] {
        let mut process = order(&site, command);
        process.ends_with(CONFIG).await;
        let said = process.stdout() + &process.stderr();
        assert!(said.contains("the passphrase does not open"), "{said}");
    }
    site.set("master-key-passphrase-file", file.as_str());
    told(&site, &["service", "list"]).await;
    let mut server = site.serve().await;
    set_up(&site.person(server.address(), "alice")).await;
    let copy = site.path("copy").to_str().unwrap().to_owned();
    told(&site, &["backup", &copy]).await;
    server.stop().await;
    told(&site, &["restore", &copy]).await;
    assert_eq!(key_file(&site), sealed);

    // Another passphrase, and none again; whoever then still gives one believes what is not so.
    let other = hold(&site.path("other"), "another one altogether");
    told(&site, &[&protect[..], &[other.as_str()]].concat()).await;
    refused(&site, &["master-key", "unprotect"], CONFIG).await;
    site.set("master-key-passphrase-file", other);
    told(&site, &["master-key", "unprotect"]).await;
    assert_eq!(key_file(&site), plain);
    let why = refused(&site, &["serve"], CONFIG).await;
    assert!(
        why.contains("is not sealed, though a passphrase is given"),
        "{why}"
    );
    // What the settings say is what it is sealed with.
    told(&site, &["master-key", "protect"]).await;
    let mut server = site.serve().await;
    is_enrolled(&site.person(server.address(), "alice")).await;
    server.stop().await;
    for (path, bytes) in files_below(&site.data_dir()) {
        let found = bytes
            .windows(PASSPHRASE.len())
            .any(|it| it == PASSPHRASE.as_bytes());
        assert!(!found, "{}", path.display());
    }
}

#[tokio::test]
async fn a_new_store_is_sealed_from_its_first_moment() {
    let mut site = Site::new().await;
    let short = hold(&site.path("short"), "short");
    site.set("master-key-passphrase-file", short);
    let why = refused(&site, &["serve"], CONFIG).await;
    assert!(why.contains("15 to 1024 bytes"), "{why}");
    let file = hold(&site.path("passphrase"), PASSPHRASE);
    site.set("master-key-passphrase-file", file);
    let mut server = site.serve().await;
    let shown = told(&site, &["master-key", "show"]).await;
    assert!(shown.contains("sealed with a passphrase"), "{shown}");
    let listed = told(&site, &["data-key", "list"]).await;
    assert!(listed.starts_with("1  seals, since "), "{listed}");
    server.stop().await;
    refused(&site, &["data-key", "revoke"], USAGE).await;
}

#[tokio::test]
async fn a_new_master_key_takes_over_at_the_next_start_and_the_one_before_opens_what_is_older() {
    let mut site = Site::new().await;
    let mut server = site.serve().await;
    set_up(&site.person(server.address(), "alice")).await;
    let copy = site.path("copy").to_str().unwrap().to_owned();
    told(&site, &["backup", &copy]).await;
    let plain = key_file(&site);
    let shown = told(&site, &["master-key", "show"]).await;
    let before = shown.split("  ").next().unwrap().to_owned();

    let rotated = told(&site, &["master-key", "rotate"]).await;
    assert!(rotated.contains(&before), "{rotated}");
    assert!(!rotated.starts_with(&before), "{rotated}");
    let kept = site.data_dir().join(format!("master.key.{before}"));
    assert_eq!(fs::read(&kept).unwrap(), plain);
    let new = key_file(&site);
    assert_ne!(new, plain);
    // The server goes on, with all that it does to its keys.
    told(&site, &["data-key", "rotate"]).await;
    is_enrolled(&site.person(server.address(), "alice")).await;
    // A second one would be handed what the store was never sealed under.
    let why = refused(&site, &["master-key", "rotate"], USAGE).await;
    assert!(why.contains("restart it"), "{why}");
    assert_eq!(key_file(&site), new);
    // Whoever looks hears of it, and of a key that would open nothing.
    let looked = told(&site, &["check"]).await;
    assert!(
        looked.contains("note: the next start takes master key"),
        "{looked}"
    );
    write_secret(&site.data_dir().join("master.key"), &[7; 32]);
    let mut looked = order(&site, &["check"]);
    looked.ends_with(CONFIG).await;
    let said = looked.stdout();
    assert!(said.contains(&format!("sealed under {before}")), "{said}");
    write_secret(&site.data_dir().join("master.key"), &new);
    server.stop().await;

    let looked = told(&site, &["check"]).await;
    assert!(
        looked.contains(&format!("takes the place of {before}")),
        "{looked}"
    );
    let mut server = site.serve().await;
    is_enrolled(&site.person(server.address(), "alice")).await;
    server.stop().await;
    site.set("master-key-file", kept.to_str().unwrap());
    let why = refused(&site, &["serve"], CONFIG).await;
    assert!(why.contains("sealed under master key"), "{why}");
    // A backup from before opens with the key before, and the store with it.
    // Nobody can read what the witness had seen, so that its epoch is far behind.
    let restored = told(&site, &["restore", &copy]).await;
    assert!(
        restored.contains("The store is in epoch 1001"),
        "{restored}"
    );
    let mut server = site.serve().await;
    is_enrolled(&site.person(server.address(), "alice")).await;

    // For a key that is kept elsewhere, and sealed.
    server.stop().await;
    let passphrase = hold(&site.path("passphrase"), PASSPHRASE);
    site.set("master-key-passphrase-file", passphrase.as_str());
    told(&site, &["master-key", "protect"]).await;
    let into = site.path("new.key").to_str().unwrap().to_owned();
    let told_of = told(&site, &["master-key", "rotate", "--into", &into]).await;
    assert!(told_of.contains("sealed with a passphrase"), "{told_of}");
    let why = refused(&site, &["master-key", "rotate", "--into", &into], USAGE).await;
    assert!(why.contains("is there already"), "{why}");
    refused(
        &site,
        &["master-key", "rotate", "--into", "/no/such/key"],
        IO,
    )
    .await;
    // Both open it, the old one until the new one has.
    site.serve().await.stop().await;
    site.set("master-key-file", into.as_str());
    let mut server = site.serve().await;
    is_enrolled(&site.person(server.address(), "alice")).await;
    server.stop().await;
    site.set("master-key-file", kept.to_str().unwrap());
    refused(&site, &["serve"], CONFIG).await;
    site.set("master-key-file", into.as_str());
    let lines = told(&site, &["audit"]).await;
    assert_eq!(lines.matches("master_key.rotate").count(), 1, "{lines}");
}

/// Runs `mfad ARGUMENTS` on a terminal of its own, by util-linux' `script`, and gives the keyboard too.
fn begin(site: &Site, arguments: &str) -> (Process, ChildStdin) {
    let config = site.config_file();
    let line = format!("{PROGRAM} {arguments} --config {}", config.display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    Process::start_to_talk_to(&mut script)
}

/// Runs `mfad ARGUMENTS` on a terminal: each answer is typed when its prompt is there. Gives all that stood on the terminal, and how it ended.
async fn typed(site: &Site, arguments: &str, answers: &[(&str, &str)]) -> (String, i32) {
    let (mut process, mut keyboard) = begin(site, arguments);
    for (number, (prompt, answer)) in answers.iter().enumerate() {
        let asked = |said: &str| (said.matches(": ").count() > number).then_some(());
        process.prints(prompt, asked).await;
        assert!(process.stdout().contains(prompt), "{}", process.stdout());
        keyboard
            .write_all(format!("{answer}\n").as_bytes())
            .unwrap();
    }
    let ended = process.end().await;
    (process.stdout(), ended.code().unwrap())
}

#[tokio::test]
async fn on_a_terminal_the_passphrase_is_asked_for_and_not_shown() {
    const ASKED: &str = "Passphrase of the master key";
    const NEW: &str = "New passphrase: ";
    const AGAIN: &str = "The same again: ";
    let site = Site::new().await;
    site.serve().await.stop().await;
    let other = "another one altogether";
    let twice = [(NEW, PASSPHRASE), (AGAIN, PASSPHRASE)];
    let (said, exit) = typed(&site, "master-key protect", &twice).await;
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("sealed with a passphrase"), "{said}");
    assert!(!said.contains(PASSPHRASE), "{said}");
    let (said, exit) = typed(&site, "data-key rotate", &[(ASKED, PASSPHRASE)]).await;
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("2  seals, since "), "{said}");
    assert!(!said.contains(PASSPHRASE), "{said}");
    let (said, exit) = typed(&site, "data-key list", &[(ASKED, other)]).await;
    assert_eq!(exit, CONFIG, "{said}");
    // Whoever interrupts changes nothing, and finds the terminal as it was.
    let (said, exit) = typed(&site, "master-key protect", &[(ASKED, "\u{3}")]).await;
    assert_eq!(exit, TEMPORARY, "{said}");
    assert!(said.contains("nobody gave its passphrase"), "{said}");
    // While one command waits for somebody, no other changes the key behind its back.
    let (mut waiting, mut keyboard) = begin(&site, "master-key protect");
    let asked = |said: &str| said.contains(ASKED).then_some(());
    waiting.prints(ASKED, asked).await;
    let why = refused(&site, &["master-key", "unprotect"], TEMPORARY).await;
    assert!(why.contains("being changed by another command"), "{why}");
    keyboard.write_all(b"\x03").unwrap();
    assert_eq!(waiting.end().await.code(), Some(TEMPORARY));
    let answers = [(ASKED, PASSPHRASE), (NEW, other), (AGAIN, PASSPHRASE)];
    let (said, exit) = typed(&site, "master-key protect", &answers).await;
    assert_eq!(exit, USAGE, "{said}");
    assert!(said.contains("two passphrases"), "{said}");
}
