//! Copies of the store, and what is good after one was brought back: nothing that was used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use axum::http::Method;
use serde_json::{Value, json};

use mfad::base::Clock;
use mfad::copies::{Plan, Schedule};

use crate::api::login::{of, open, open_with};
use crate::session::options;
use crate::support::browser::Browser;
use crate::support::process::{files_below, now, write_secret};
use crate::support::{App, Client, Process, Reply, Server, Site};

const ENABLE: &str = "/api/v1/me/mfa/totp/enable";
const CONFIRM: &str = "/api/v1/me/mfa/totp/confirm";
const CONFIRM_EMAIL: &str = "/api/v1/me/mfa/email/confirm";
const OVERVIEW: &str = "/api/v1/me/mfa";
/// Exit codes.
const USAGE: i32 = 64;
const IO: i32 = 74;
const TEMPORARY: i32 = 75;
const CONFIG: i32 = 78;

/// Runs `mfad COMMAND ARGUMENTS` on the site's store.
fn order(site: &Site, command: &str, arguments: &[&str]) -> Process {
    let config = site.config_file();
    let mut all = vec![command, "--config", config.to_str().unwrap()];
    all.extend(arguments);
    Process::mfad(all)
}

async fn backup(site: &Site, name: &str) -> String {
    let file = site.path(name).to_str().unwrap().to_owned();
    let mut process = order(site, "backup", &[&file]);
    process.ends_with(0).await;
    file
}

/// Brings a copy back, and gives what was told.
async fn restore(site: &Site, arguments: &[&str]) -> String {
    let mut process = order(site, "restore", arguments);
    process.ends_with(0).await;
    process.stdout()
}

async fn set_up(person: &Client) -> (App, Vec<String>) {
    let app = App::scan(&person.post(ENABLE).await.ok());
    let confirmed = person.code(CONFIRM, &app.code(now())).await.ok();
    let codes = serde_json::from_value(confirmed["backup_codes"].clone()).unwrap();
    (app, codes)
}

/// Answers a challenge, and has the browser trusted.
async fn answer(service: &Client, challenge: &Value, method: &str, code: &str) -> Reply {
    let body = json!({"method": method, "code": code, "remember": true});
    service.post_json(&of(challenge, "/verify"), &body).await
}

async fn at_a_new_challenge(service: &Client, method: &str, code: &str) -> Reply {
    let challenge = open(service, "alice").await;
    answer(service, &challenge, method, code).await
}

async fn mailed_code(site: &Site) -> String {
    loop {
        if let Some(code) = site.smtp.next_mail().await.code() {
            return code;
        }
    }
}

#[tokio::test]
async fn what_was_used_after_the_copy_is_not_good_when_it_is_back() {
    let site = Site::new().await;
    let mut server = site.serve().await;
    let key = site.ordered(&["add", "portal"]).await.trim().to_owned();
    let alice = site.person(server.address(), "alice");
    let portal = Client::new(server.address(), Some(key.clone()));
    let (app, codes) = set_up(&alice).await;
    alice.post("/api/v1/me/mfa/email/enable").await.ok();
    let mailed = mailed_code(&site).await;
    let remembered = at_a_new_challenge(&portal, "backup_code", &codes[0]).await;
    let device = remembered.ok()["device_token"].as_str().unwrap().to_owned();
    let waiting = open(&portal, "alice").await;
    let copy = backup(&site, "live.backup").await;

    // All of it is used once, after the copy.
    answer(&portal, &waiting, "backup_code", &codes[3])
        .await
        .ok();
    let used = app.code(now() + 30);
    at_a_new_challenge(&portal, "totp", &used).await.ok();
    at_a_new_challenge(&portal, "backup_code", &codes[1])
        .await
        .ok();
    let again = open_with(&portal, "alice", json!({"device_token": device})).await;
    assert_eq!(again["decision"], "allow", "{again}");
    let next = again["device_token"].as_str().unwrap().to_owned();
    // Last, since a new factor ends all trust.
    alice.code(CONFIRM_EMAIL, &mailed).await.ok();
    server.stop().await;

    // The disk is gone but for the key.
    for name in ["mfad.redb", "mfad.witness"] {
        fs::remove_file(site.data_dir().join(name)).unwrap();
    }
    let told = restore(&site, &[&copy]).await;
    assert!(told.contains("epoch 2"), "{told}");
    let line = format!("alice at {}: 9", site.issuer.url);
    assert!(told.contains(&line), "{line}: {told}");
    assert!(told.contains("That is 1 person."), "{told}");
    // Her id, and nothing else of hers.
    assert!(!told.contains("(alice)") && !told.contains('@'), "{told}");
    assert!(told.contains("portal"), "{told}");

    let server = site.serve().await;
    let alice = site.person(server.address(), "alice");
    let portal = Client::new(server.address(), Some(key));
    answer(&portal, &waiting, "backup_code", &codes[3])
        .await
        .refused(404, "not_found");
    alice
        .code(CONFIRM_EMAIL, &mailed)
        .await
        .refused(409, "not_pending");
    for (method, code) in [
        ("totp", &used),
        ("backup_code", &codes[1]),
        // Nobody can tell that this one was not used.
        ("backup_code", &codes[2]),
    ] {
        let refused = at_a_new_challenge(&portal, method, code).await;
        assert!(
            matches!(refused.status.as_u16(), 400 | 409),
            "{method}: {} {}",
            refused.status,
            refused.text
        );
    }
    for token in [&device, &next] {
        let opened = open_with(&portal, "alice", json!({"device_token": token})).await;
        assert_eq!(opened["decision"], "challenge", "{opened}");
    }
    let overview = alice.get(OVERVIEW).await.ok();
    assert_eq!(overview["enabled"], true);
    assert_eq!(overview["backup_codes"]["remaining"], 0);
    assert!(
        overview["backup_codes"]["voided_at"].is_string(),
        "{overview}"
    );
}

/// What the mails say that are sent after a restore.
const VOID: &str = "was restored from a backup";

/// Texts of mails of `site` until `wanted` have come that say that codes are void.
async fn void_mails(site: &Site, wanted: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < wanted {
        let text = site.smtp.next_mail().await.text().replace('\n', " ");
        if text.contains(VOID) {
            found.push(text);
        }
    }
    found
}

#[tokio::test]
async fn whoever_lost_backup_codes_hears_of_it_once_and_sees_it() {
    let site = Site::new().await;
    let mut server = site.serve().await;
    let key = site.ordered(&["add", "portal"]).await.trim().to_owned();
    let alice = site.person(server.address(), "alice");
    let (_, codes) = set_up(&alice).await;
    set_up(&site.person(server.address(), "bob")).await;
    let portal = Client::new(server.address(), Some(key));
    at_a_new_challenge(&portal, "backup_code", &codes[0])
        .await
        .ok();
    let copy = backup(&site, "copy").await;
    server.stop().await;
    for name in ["mfad.redb", "mfad.witness"] {
        fs::remove_file(site.data_dir().join(name)).unwrap();
    }
    let told = restore(&site, &[&copy]).await;
    assert!(told.contains("That is 2 people."), "{told}");

    let mut server = site.serve().await;
    for text in void_mails(&site, 2).await {
        assert!(text.contains("Make new backup codes"), "{text}");
    }
    let alice = site.person(server.address(), "alice");
    let events = alice.get("/api/v1/me/mfa/events").await.ok();
    let lines: Vec<&str> = events["events"].as_array().unwrap()[..2]
        .iter()
        .map(|line| line["action"].as_str().unwrap())
        .collect();
    assert_eq!(lines, ["backup_codes.void", "trusted_device.void"]);
    for line in &events["events"].as_array().unwrap()[..2] {
        assert_eq!(line["outcome"], "done", "{line}");
        assert!(line["ip"].is_null() && line["service"].is_null(), "{line}");
    }
    // Bob trusted no browser.
    let bob = site.person(server.address(), "bob");
    let events = bob.get("/api/v1/me/mfa/events").await.ok();
    let actions = events["events"].to_string();
    assert!(actions.contains("backup_codes.void"), "{actions}");
    assert!(!actions.contains("trusted_device.void"), "{actions}");

    // Nobody is told again at another start.
    server.stop().await;
    let server = site.serve().await;
    let alice = site.person(server.address(), "alice");
    alice.post("/api/v1/me/mfa/email/enable").await.ok();
    let mailed = mailed_code(&site).await;
    alice.code(CONFIRM_EMAIL, &mailed).await.ok();
    let added = site.smtp.next_mail().await.text();
    assert!(added.contains("was added"), "{added}");
    let all = site.smtp.mails();
    let again = all
        .iter()
        .filter(|mail| mail.text().replace('\n', " ").contains(VOID));
    assert_eq!(again.count(), 2);
}

#[tokio::test]
async fn sessions_end_with_a_restore_and_the_next_codes_are_good() {
    let mut server = Server::start_with(options()).await;
    let behind = now() - server.clock.unix();
    server.clock.forward(behind);
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    let (copy, data) = (copy.to_str().unwrap(), server.data_dir().to_owned());
    let data = data.to_str().unwrap();
    let alice = server.alice();
    let app = App::scan(&alice.post(ENABLE).await.ok());
    alice
        .code(CONFIRM, &app.code(server.clock.unix()))
        .await
        .ok();
    let mut browser = Browser::new(server.address);
    browser.sign_in(&server, "alice").await;
    browser.overview().await.ok();

    let mut made = Process::mfad(["backup", copy, "--data-dir", data]);
    made.ends_with(0).await;
    // A restart alone ends no session.
    server.restart().await;
    browser = Browser {
        jar: browser.jar.clone(),
        ..Browser::new(server.address)
    };
    browser.overview().await.ok();
    server.stop().await;
    let mut back = Process::mfad(["restore", copy, "--data-dir", data]);
    back.ends_with(0).await;
    let passed = now() - server.clock.unix();
    server.clock.forward(passed);
    server.restart().await;
    let mut browser = Browser {
        jar: browser.jar.clone(),
        ..Browser::new(server.address)
    };
    browser.overview().await.refused(401, "unauthenticated");
    assert_eq!(browser.session().await["signed_in"], false);
    assert_eq!(browser.ask(Method::GET, "/auth/session").await.status, 200);

    let alice = server.alice();
    let disable = "/api/v1/me/mfa/totp/disable";
    for ahead in [0, 30] {
        let code = app.code(server.clock.unix() + ahead);
        alice.code(disable, &code).await.refused(400, "code_used");
    }
    server.clock.forward(60);
    let code = app.code(server.clock.unix());
    alice.code(disable, &code).await.ok();
}

#[tokio::test]
async fn what_the_replaced_store_knows_to_be_used_is_void_and_the_rest_stays_good() {
    let site = Site::new().await;
    let mut server = site.serve().await;
    let key = site.ordered(&["add", "portal"]).await.trim().to_owned();
    let (_, codes) = set_up(&site.person(server.address(), "alice")).await;
    let copy = backup(&site, "copy").await;
    let portal = Client::new(server.address(), Some(key.clone()));
    at_a_new_challenge(&portal, "backup_code", &codes[0])
        .await
        .ok();
    for _ in 0..5 {
        at_a_new_challenge(&portal, "totp", "000000")
            .await
            .refused(400, "wrong_code");
    }
    at_a_new_challenge(&portal, "totp", "000000")
        .await
        .refused(429, "locked");
    server.stop().await;
    let told = restore(&site, &[&copy]).await;
    assert!(!told.contains("alice at"), "{told}");

    let mut server = site.serve().await;
    let portal = Client::new(server.address(), Some(key));
    at_a_new_challenge(&portal, "backup_code", &codes[0])
        .await
        .refused(400, "code_used");
    at_a_new_challenge(&portal, "backup_code", &codes[1])
        .await
        .ok();
    // The lock came after the copy.
    at_a_new_challenge(&portal, "totp", "000000")
        .await
        .refused(429, "locked");
    server.stop().await;

    // What stood there is beside it, and a second restore finds another name.
    restore(&site, &[&copy]).await;
    let kept = fs::read_dir(site.data_dir()).unwrap();
    let kept = kept.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_str().unwrap().contains(".before-restore-")
    });
    assert_eq!(kept.count(), 2);
}

fn without_socket(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    files_below(folder).into_iter().collect()
}

#[tokio::test]
async fn a_copy_that_is_not_whole_or_not_ours_is_refused_and_nothing_changes() {
    let site = Site::new().await;
    let mut server = site.serve().await;
    set_up(&site.person(server.address(), "alice")).await;
    let copy = backup(&site, "copy").await;
    let mode = fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);

    // Never over another file, unless that is asked for.
    let mut again = order(&site, "backup", &[&copy]);
    again.ends_with(USAGE).await;
    assert!(
        again.stderr().contains("is there already"),
        "{}",
        again.stderr()
    );
    order(&site, "backup", &[&copy, "--force"])
        .ends_with(0)
        .await;
    let mut nowhere = order(&site, "backup", &["/nowhere/at/all"]);
    nowhere.ends_with(IO).await;
    // Not under a running server.
    let mut busy = order(&site, "restore", &[&copy]);
    busy.ends_with(TEMPORARY).await;
    assert!(
        busy.stderr().contains("stop the server"),
        "{}",
        busy.stderr()
    );
    server.stop().await;

    let whole = fs::read(&copy).unwrap();
    let before = without_socket(&site.data_dir());
    let refused = async |bytes: &[u8], code: i32, words: &str| {
        let bad = site.path("bad");
        write_secret(&bad, bytes);
        let mut process = order(&site, "restore", &[bad.to_str().unwrap()]);
        process.ends_with(code).await;
        let said = process.stderr();
        assert!(said.contains(words) && said.contains("hint: "), "{said}");
        assert_eq!(without_socket(&site.data_dir()), before, "{words}");
    };
    refused(b"", USAGE, "no backup that mfad made").await;
    refused(&[7; 9000], USAGE, "no backup that mfad made").await;
    for length in [13, 40, 500, whole.len() / 2, whole.len() - 1] {
        refused(&whole[..length], IO, "cut short").await;
    }
    for place in [600, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[place] ^= 1;
        refused(&flipped, IO, "altered or damaged").await;
    }
    refused(&[&whole[..], b"x"].concat(), IO, "altered or damaged").await;
    let head_says = |old: &str, new: &str| {
        let at = whole
            .windows(old.len())
            .position(|window| window == old.as_bytes())
            .unwrap();
        let mut changed = whole.clone();
        changed[at..at + old.len()].copy_from_slice(new.as_bytes());
        changed
    };
    refused(
        &head_says("\"epoch\":1", "\"epoch\":7"),
        IO,
        "altered or damaged",
    )
    .await;
    refused(
        &head_says("\"format\":3", "\"format\":9"),
        CONFIG,
        "newer mfad",
    )
    .await;

    let key = site.data_dir().join("master.key");
    let own = fs::read(&key).unwrap();
    write_secret(&key, &[7; 32]);
    let mut other = order(&site, "restore", &[&copy]);
    other.ends_with(CONFIG).await;
    assert!(other.stderr().contains("master key"), "{}", other.stderr());
    fs::remove_file(&key).unwrap();
    let mut none = order(&site, "restore", &[&copy]);
    none.ends_with(CONFIG).await;
    assert!(!key.exists());
    write_secret(&key, &own);
    assert_eq!(without_socket(&site.data_dir()), before);

    // Over a pipe, and of a store that nobody serves.
    let mut piped = order(&site, "backup", &["-"]);
    piped.ends_with(0).await;
    assert!(piped.stdout().starts_with("mfad backup\n"));
    assert!(piped.stderr().contains("master key"), "{}", piped.stderr());
    restore(&site, &[&copy]).await;
    site.serve().await;
}

#[tokio::test]
async fn an_older_file_in_place_of_the_store_is_noticed() {
    let site = Site::new().await;
    let mut server = site.serve().await;
    let key = site.ordered(&["add", "portal"]).await.trim().to_owned();
    let (_, codes) = set_up(&site.person(server.address(), "alice")).await;
    server.stop().await;
    let data = site.data_dir();
    let (store, older) = (data.join("mfad.redb"), site.path("older.redb"));
    let witness = data.join("mfad.witness");
    fs::copy(&store, &older).unwrap();

    let mut server = site.serve().await;
    let portal = Client::new(server.address(), Some(key.clone()));
    at_a_new_challenge(&portal, "backup_code", &codes[0])
        .await
        .ok();
    server.stop().await;
    let mode = fs::metadata(&witness).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);

    let refuses = async |words: &str| {
        for command in ["serve", "check"] {
            let mut process = site.run(command);
            process.ends_with(CONFIG).await;
            let said = process.stdout() + &process.stderr();
            assert!(said.contains(words) && said.contains("hint: "), "{said}");
            assert!(said.contains("mfad restore"), "{said}");
        }
    };
    let newer = fs::read(&store).unwrap();
    let seen = fs::read(&witness).unwrap();
    fs::copy(&older, &store).unwrap();
    refuses("changes older than when it was last used here").await;
    let mut backup = order(&site, "backup", &["-"]);
    backup.ends_with(CONFIG).await;
    fs::remove_file(&witness).unwrap();
    refuses("has lost its witness").await;
    fs::write(&witness, &seen[..seen.len() - 1]).unwrap();
    refuses("damaged").await;

    // The right file comes back, and all is well.
    fs::write(&witness, &seen).unwrap();
    fs::write(&store, &newer).unwrap();
    site.serve().await.stop().await;

    // Without any file the key alone makes no new store, nor does the witness.
    fs::remove_file(&store).unwrap();
    refuses("is gone").await;
    fs::remove_file(&witness).unwrap();
    refuses("is gone").await;
    assert!(!store.exists());

    // Whoever goes on with the older one makes void what may have been used.
    fs::copy(&older, &store).unwrap();
    fs::write(&witness, &seen).unwrap();
    let told = restore(&site, &["--accept-rollback"]).await;
    assert!(told.contains("alice at") && told.contains(": 10"), "{told}");
    let server = site.serve().await;
    let portal = Client::new(server.address(), Some(key));
    at_a_new_challenge(&portal, "backup_code", &codes[0])
        .await
        .refused(400, "wrong_code");
}

/// Where the tables of records are written down, and what becomes of each after a restore.
#[test]
fn every_table_is_either_kept_or_void_after_a_restore() {
    const KEPT: [&str; 31] = [
        "asked",
        "asked unmet",
        "audit",
        "audit by day",
        "audit by person",
        "audit due",
        "backup codes",
        "clock",
        "email",
        "email quota",
        "last copy",
        "lockout",
        "notices",
        "operations",
        "operators",
        "outbox",
        "people",
        "people by name",
        "phantom failures",
        "policy",
        "policy counted",
        "reserved names",
        "service keys",
        "services",
        "services by client",
        "signing keys",
        // Of one transaction with the reset that it tells of.
        "told of a reset",
        // Made again from the history of the restore.
        "told of void codes at the next start",
        "totp",
        // Emptied row by row: whose they were stands in their histories.
        "trusted devices",
        "webauthn",
    ];
    let mut void: Vec<&str> = mfad::factor::open_tables();
    void.extend(mfad::login::OPEN_TABLES);
    void.extend(mfad::session::OPEN_TABLES);
    let mut known: Vec<String> = KEPT
        .iter()
        .chain(&void)
        .map(|it| (*it).to_owned())
        .collect();
    // Found by a key, beside the table of the keys.
    known.push("webauthn owner".to_owned());
    known.sort();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut drawn = Vec::new();
    for (path, bytes) in files_below(&sources) {
        if path.to_str().unwrap().contains("/store/") {
            continue;
        }
        let text = String::from_utf8(bytes).unwrap_or_default();
        let (text, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
        for after in text.split("const TABLE: &'static str = \"").skip(1) {
            drawn.push(after.split('"').next().unwrap().to_owned());
        }
    }
    drawn.sort();
    assert_eq!(
        drawn, known,
        "say whether a new table is void after a restore"
    );
}

#[tokio::test]
async fn copies_are_made_when_they_are_due_and_the_oldest_go() {
    const HOUR: u64 = 3600;
    let server = Server::start().await;
    let alice = server.alice();
    App::scan(&alice.post(ENABLE).await.ok());
    let folder = tempfile::tempdir().unwrap();
    let schedule = Schedule::of(Plan {
        folder: folder.path().to_owned(),
        every: 24 * HOUR,
        keep: 2,
    });
    let store = &server.desk.tools.store;
    let due = async || {
        let made = schedule.make_due(store, server.clock.now()).await;
        made.map(|made| made.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()))
    };
    let names = || {
        let names = files_below(folder.path()).into_keys();
        let names = names.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    fs::write(folder.path().join("of-others.txt"), "stays").unwrap();
    let first = due().await.unwrap().unwrap();
    assert_eq!(first, "mfad-20261124T120000Z.backup");
    server.clock.forward(24 * HOUR - 1);
    assert_eq!(due().await.unwrap(), None);
    server.clock.forward(1);
    let second = due().await.unwrap().unwrap();
    // A clock that is years ahead for a while makes one, and keeps none from being made afterwards.
    server.clock.forward(10 * 365 * 24 * HOUR);
    let ahead = due().await.unwrap().unwrap();
    assert_eq!(names(), [&second, &ahead, "of-others.txt"]);
    server.clock.back(10 * 365 * 24 * HOUR);
    assert_eq!(due().await.unwrap(), None);
    server.clock.forward(24 * HOUR);
    let third = due().await.unwrap().unwrap();
    server.clock.forward(24 * HOUR);
    let fourth = due().await.unwrap().unwrap();
    assert_eq!(names(), [&third, &fourth, &ahead, "of-others.txt"]);

    // It is said when one cannot be made, until one is.
    let kept = folder.path().to_owned();
    drop(folder);
    server.clock.forward(24 * HOUR);
    schedule
        .make_due(store, server.clock.now())
        .await
        .unwrap_err();
    assert!(schedule.trouble().unwrap().contains("No such file"));
    fs::create_dir(&kept).unwrap();
    schedule.make_due(store, server.clock.now()).await.unwrap();
    assert_eq!(schedule.trouble(), None);
    fs::remove_dir_all(&kept).unwrap();
}

#[tokio::test]
async fn a_server_makes_its_copies_by_itself_and_check_tells_of_them() {
    let mut site = Site::new().await;
    let mut process = site.run("check");
    process.ends_with(0).await;
    let folder = site.path("copies");
    fs::create_dir(&folder).unwrap();
    site.set("backup-dir", folder.to_str().unwrap());
    let mut server = site.serve().await;
    server
        .says("a copy", |log| {
            log.contains("a copy of the store was made").then_some(())
        })
        .await;
    let mut process = site.run("check");
    process.ends_with(0).await;
    let said = process.stdout();
    for words in [
        "note: store ",
        ", epoch 1",
        "note: the last backup was made ",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    server.stop().await;
    let copies = files_below(&folder);
    let (copy, _) = copies.first_key_value().unwrap();
    restore(&site, &[copy.to_str().unwrap()]).await;

    // Where it cannot, it serves all the same.
    fs::remove_dir_all(&folder).unwrap();
    let server = site.serve().await;
    server
        .says("trouble", |log| {
            log.contains("that is due was not made").then_some(())
        })
        .await;
    let mut process = site.run("check");
    process.ends_with(IO).await;
    let said = process.stdout();
    assert!(
        said.contains("failed: the backup that was due") && said.contains("epoch 2"),
        "{said}"
    );
    let ready = Client::new(server.address(), None).get("/readyz").await;
    assert_eq!(ready.status, 200, "{}", ready.text);
}
