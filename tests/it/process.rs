//! The program as an operator meets it: commands, exit codes, signals, files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::process::{PROGRAM, SMTP_PASSWORD, files_below, log_lines, now, write_secret};
use crate::support::smtp::Fault;
use crate::support::{App, Client, PUBLIC_URL, Process, Site};

const OVERVIEW: &str = "/api/v1/me/mfa";
const ENABLE: &str = "/api/v1/me/mfa/totp/enable";
const CONFIRM: &str = "/api/v1/me/mfa/totp/confirm";

fn hint(text: &str) -> bool {
    text.lines().any(|line| {
        line.trim_start()
            .strip_prefix("hint: ")
            .is_some_and(|hint| !hint.is_empty())
    })
}

async fn has_an_app(person: &Client) {
    let app = App::scan(&person.post(ENABLE).await.ok());
    person.code(CONFIRM, &app.code(now())).await.ok();
}

async fn readyz(process: &Process) -> (u16, Value) {
    let reply = Client::new(process.address(), None).get("/readyz").await;
    (reply.status.as_u16(), reply.json())
}

#[tokio::test]
async fn sigterm_lets_the_request_under_way_finish_and_ends_with_0() {
    let site = Site::new().await;
    let mut server = site.serve().await;
    let alice = site.person(server.address(), "alice");
    App::scan(&alice.post(ENABLE).await.ok());

    let body = r#"{"code":"0000000"}"#;
    let mut under_way = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "POST {CONFIRM} HTTP/1.1\r\nHost: mfa.example.com\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        alice.token.as_ref().unwrap(),
        body.len(),
    );
    under_way.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    under_way.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    server.signal(Signal::TERM);
    server
        .says("the beginning of the end", |text| {
            text.contains("finishing the requests under way")
                .then_some(())
        })
        .await;
    let refused = async {
        while TcpStream::connect(server.address()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), refused)
        .await
        .expect("no further connection is taken");
    assert!(server.is_running());

    under_way.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    under_way.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("wrong_code"), "{answer}");
    server.ends_with(0).await;
}

#[tokio::test]
async fn the_store_is_one_processes_and_outlives_it() {
    let site = Site::new().await;
    let mut server = site.serve().await;
    has_an_app(&site.person(server.address(), "alice")).await;

    let mut second = site.run("serve");
    second.ends_with(75).await;
    let said = second.stderr();
    assert!(said.contains("is in use by another process"), "{said}");
    assert!(hint(&said), "{said}");
    // The first has not noticed.
    let seen = site
        .person(server.address(), "alice")
        .get(OVERVIEW)
        .await
        .ok();
    assert_eq!(seen["enabled"], true);

    server.stop().await;
    let server = site.serve().await;
    let seen = site
        .person(server.address(), "alice")
        .get(OVERVIEW)
        .await
        .ok();
    assert_eq!(seen["enabled"], true);
}

#[tokio::test]
async fn without_its_own_master_key_nothing_starts_and_nothing_is_written() {
    let site = Site::new().await;
    let mut server = site.serve().await;
    has_an_app(&site.person(server.address(), "alice")).await;
    server.stop().await;
    let key = site.data_dir().join("master.key");
    let own = fs::read(&key).unwrap();
    let names = || -> Vec<_> { files_below(&site.data_dir()).into_keys().collect() };
    let before = names();

    fs::write(&key, [7; 32]).unwrap();
    let mut wrong = site.run("serve");
    wrong.ends_with(78).await;
    assert!(hint(&wrong.stderr()), "{}", wrong.stderr());
    fs::remove_file(&key).unwrap();
    let mut lost = site.run("serve");
    lost.ends_with(78).await;
    assert!(
        lost.stderr().contains("its master key") && hint(&lost.stderr()),
        "{}",
        lost.stderr()
    );
    assert!(!key.exists(), "a new key would shut the store for good");
    write_secret(&key, &own[..31]);
    let mut short = site.run("serve");
    short.ends_with(78).await;
    assert!(short.stderr().contains("31 bytes"), "{}", short.stderr());

    assert_eq!(fs::read(&key).unwrap(), own[..31]);
    write_secret(&key, &own);
    assert_eq!(names(), before);
    let server = site.serve().await;
    let seen = site
        .person(server.address(), "alice")
        .get(OVERVIEW)
        .await
        .ok();
    assert_eq!(seen["enabled"], true);
}

#[tokio::test]
async fn all_that_is_wrong_with_the_settings_is_said_at_once() {
    let mut site = Site::new().await;
    site.set("public-url", "http://mfa.example.com");
    site.set("max-connections", 0);
    site.set("log", "loud");
    site.set(
        "smtp-url",
        format!("smtp://mfad:{SMTP_PASSWORD}@127.0.0.1:25"),
    );
    site.set("ca-file", "/nowhere/ca.pem");
    for command in ["serve", "check"] {
        let mut process = site.run(command);
        process.ends_with(78).await;
        let said = process.stderr();
        for key in [
            "public-url",
            "max-connections",
            "log",
            "smtp-url",
            "ca-file",
        ] {
            assert!(
                said.contains(&format!("error: {key} (from file ")),
                "{said}"
            );
        }
        let count = |word: &str| said.lines().filter(|line| line.contains(word)).count();
        assert_eq!(count("error: "), count("hint: "), "{said}");
        assert!(!said.contains(SMTP_PASSWORD));
    }
    assert!(!site.data_dir().exists());

    site.set("lisen", "127.0.0.1:0");
    let mut process = site.run("serve");
    process.ends_with(78).await;
    assert!(process.stderr().contains("lisen"), "{}", process.stderr());
    let mut process = Process::mfad(["serve", "--no-such-flag"]);
    process.ends_with(64).await;
}

#[tokio::test]
async fn check_says_what_does_not_answer_and_what_to_do() {
    let mut site = Site::new().await;
    let mut good = site.run("check");
    good.ends_with(0).await;
    // It makes nothing: that would belong to whoever ran the check.
    assert!(
        good.stdout().contains("note: there is no store in"),
        "{}",
        good.stdout()
    );
    for part in ["settings", "the issuer's keys", "the SMTP server"] {
        assert!(
            good.stdout().contains(&format!("ok: {part}")),
            "{}",
            good.stdout()
        );
    }

    site.issuer.be_away(true);
    let mut process = site.run("check");
    process.ends_with(75).await;
    let said = process.stdout();
    assert!(
        said.contains("failed: the issuer's keys") && hint(&said),
        "{said}"
    );
    assert!(said.contains("ok: the SMTP server"), "{said}");
    site.issuer.be_away(false);

    let password = site.path("wrong.password");
    write_secret(&password, b"another-password-5519");
    site.set("smtp-password-file", password.to_str().unwrap());
    let mut process = site.run("check");
    process.ends_with(75).await;
    let said = process.stdout() + &process.stderr();
    assert!(
        said.contains("failed: the SMTP server") && hint(&said),
        "{said}"
    );
    assert!(!said.contains("another-password-5519"), "{said}");

    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    site.set("smtp-url", format!("smtp://mfad@127.0.0.1:{port}"));
    site.set("issuer", format!("http://127.0.0.1:{port}"));
    let mut process = site.run("check");
    process.ends_with(75).await;
    let said = process.stdout();
    let failed = said.lines().filter(|line| line.starts_with("failed: "));
    assert_eq!(failed.count(), 2, "{said}");

    // A running server's store is not touched.
    let server = site.serve().await;
    let mut process = site.run("check");
    process.ends_with(75).await;
    assert!(process.stdout().contains("in use"), "{}", process.stdout());
    assert!(server.is_running());
}

#[tokio::test]
async fn check_says_whether_people_could_sign_in() {
    let mut site = Site::new().await;
    site.set("client-id", "mfad-page");
    let mut process = site.run("check");
    process.ends_with(0).await;
    let said = process.stdout();
    for words in [
        "ok: signing in to the settings page",
        "note: the issuer must send people back to https://mfa.example.com/auth/callback",
        "note: the issuer does not say that it checks PKCE",
        "note: the issuer offers no offline_access",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let methods = serde_json::json!(["S256"]);
    site.issuer
        .describes("code_challenge_methods_supported", methods);
    let scopes = serde_json::json!(["openid", "offline_access"]);
    site.issuer.describes("scopes_supported", scopes);
    let mut process = site.run("check");
    process.ends_with(0).await;
    let said = process.stdout();
    assert!(
        !said.contains("PKCE") && !said.contains("offline_access"),
        "{said}"
    );

    let none = serde_json::Value::Null;
    site.issuer.describes("authorization_endpoint", none);
    let mut process = site.run("check");
    process.ends_with(78).await;
    let said = process.stdout();
    assert!(
        said.contains("failed: signing in to the settings page")
            && said.contains("authorization_endpoint")
            && hint(&said),
        "{said}"
    );
    // Tokens are believed all the same.
    assert!(said.contains("ok: the issuer's keys"), "{said}");
    site.unset("client-id");
    let mut process = site.run("check");
    process.ends_with(0).await;
    assert!(
        !process.stdout().contains("signing in"),
        "{}",
        process.stdout()
    );
}

#[tokio::test]
async fn config_is_a_file_that_says_the_same_and_keeps_secrets_out() {
    let site = Site::new().await;
    let mut process = site.run("config");
    process.ends_with(0).await;
    let printed = process.stdout();
    assert!(!printed.contains(SMTP_PASSWORD));
    assert!(printed.contains("mfad.toml:"), "{printed}");
    let again = site.path("again.toml");
    fs::write(&again, &printed).unwrap();
    let mut process = Process::mfad(["config".as_ref(), "--config".as_ref(), again.as_os_str()]);
    process.ends_with(0).await;
    let values = |text: &str| -> toml::Table { toml::from_str(text).unwrap() };
    assert_eq!(values(&printed), values(&process.stdout()));
}

#[tokio::test]
async fn the_printed_document_is_the_served_one() {
    let site = Site::new().await;
    let server = site.serve().await;
    let mut process = Process::mfad(["openapi"]);
    process.ends_with(0).await;
    let printed: Value = serde_json::from_str(&process.stdout()).unwrap();
    let served = Client::new(server.address(), None)
        .get("/openapi.json")
        .await
        .ok();
    assert_eq!(printed, served);
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[tokio::test]
async fn the_demo_prints_one_link_works_and_leaves_nothing_behind() {
    for wide in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let mut process = Process::mfad(["demo", "--listen", wide]);
        process.ends_with(78).await;
        assert!(hint(&process.stderr()), "{}", process.stderr());
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command
        .args(["demo", "--listen", "127.0.0.1:0"])
        .env_clear()
        .env("TMPDIR", folder.path());
    let mut demo = Process::start(&mut command);
    let printed = demo
        .prints("a link", |text| {
            text.contains("Ctrl-C").then(|| text.to_owned())
        })
        .await;
    let links: Vec<&str> = printed
        .split_whitespace()
        .filter(|word| word.starts_with("http"))
        .collect();
    let [link] = links[..] else {
        panic!("{printed}")
    };
    let url: url::Url = link.parse().unwrap();
    assert_eq!((url.host_str(), url.path()), (Some("localhost"), "/demo"));
    let address = format!("127.0.0.1:{}", url.port().unwrap());
    let stranger = Client::new(address.parse().unwrap(), None);
    let page = stranger.get("/demo").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    // It has its issuer's keys before anybody brings a token.
    let ready = async {
        while stranger.get("/readyz").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(10);
    tokio::time::timeout(patience, ready).await.unwrap();
    let given = stranger
        .post_json("/demo/api/token", &json!({"persona": "alice"}))
        .await
        .ok();
    let token = given["token"].as_str().unwrap().to_owned();
    let alice = Client::new(stranger.address, Some(token));
    has_an_app(&alice).await;
    assert_eq!(alice.get(OVERVIEW).await.ok()["enabled"], true);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    demo.signal(Signal::INT);
    demo.ends_with(0).await;
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn files_are_the_owners_alone_whatever_the_umask() {
    let site = Site::new().await;
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"umask 000; exec "$0" serve --config "$1""#, PROGRAM])
        .arg(site.config_file())
        .env_clear();
    let mut server = Process::start(&mut command);
    server.listening().await;
    has_an_app(&site.person(server.address(), "alice")).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&site.data_dir()), 0o700);
    let mut names = BTreeSet::new();
    for path in files_below(&site.data_dir()).keys() {
        assert_eq!(mode(path), 0o600, "{}", path.display());
        names.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    assert_eq!(
        names,
        BTreeSet::from(["master.key", "mfad.redb", "mfad.witness"].map(str::to_owned))
    );
    assert_eq!(mode(&site.data_dir().join("control.sock")), 0o600);
}

#[tokio::test]
async fn an_issuer_that_is_away_delays_no_start_and_is_said() {
    let site = Site::new().await;
    let mut server = site.serve().await;
    let alice = site.person(server.address(), "alice");
    has_an_app(&alice).await;
    // Once its keys are known, tokens are judged without it.
    site.issuer.be_away(true);
    assert_eq!(alice.get(OVERVIEW).await.ok()["enabled"], true);
    assert_eq!(readyz(&server).await.0, 200);
    server.stop().await;

    let server = site.serve().await;
    let alice = site.person(server.address(), "alice");
    // Neither in nor out: whoever asks shall ask again.
    alice.get(OVERVIEW).await.refused(503, "unavailable");
    let (status, body) = readyz(&server).await;
    assert_eq!(status, 503);
    assert_eq!(body["ready"], false);
    let checks = json!({"storage": "ok", "issuer_keys": "failing", "clock": "ok", "history": "ok", "mail": "ok"});
    assert_eq!(body["checks"], checks);
    let reason = &body["reasons"][0];
    assert_eq!(reason["part"], "issuer_keys");
    let words = reason["words"].as_str().unwrap();
    assert!(words.contains("could not be fetched yet"), "{words}");
    assert_names_nothing(&body, &site);
    let stranger = Client::new(server.address(), None);
    assert_eq!(stranger.get("/healthz").await.text, "ok\n");
    stranger.get(OVERVIEW).await.refused(401, "unauthenticated");
}

/// Strangers read it: no address, no path, nobody's name.
fn assert_names_nothing(readiness: &Value, site: &Site) {
    let text = readiness.to_string();
    let folder = site.data_dir();
    for word in [
        "127.0.0.1",
        "localhost",
        "http",
        "alice",
        "os error",
        folder.to_str().unwrap(),
    ] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

#[tokio::test]
async fn a_mail_server_that_is_away_is_said_and_takes_nobody_out_of_rotation() {
    let site = Site::new().await;
    let server = site.serve().await;
    let alice = site.person(server.address(), "alice");
    crate::support::until("the issuer's keys are there", async || {
        readyz(&server).await.0 == 200
    })
    .await;
    let (_, body) = readyz(&server).await;
    assert_eq!(body["reasons"], json!([]), "{body}");

    site.smtp.misbehave(Fault::RefuseConnection);
    alice
        .post("/api/v1/me/mfa/email/enable")
        .await
        .refused(503, "unavailable");
    let (status, body) = readyz(&server).await;
    assert_eq!((status, &body["ready"]), (200, &json!(true)), "{body}");
    assert_eq!(body["checks"]["mail"], "degraded");
    assert_eq!(body["reasons"][0]["part"], "mail");
    let words = body["reasons"][0]["words"].as_str().unwrap();
    assert!(words.contains("letters do not leave since 20"), "{words}");
    assert_names_nothing(&body, &site);

    // One who is refused by name is no trouble of the server's.
    site.smtp
        .misbehave(Fault::RefuseRecipient("451 4.7.1 later"));
    alice
        .post("/api/v1/me/mfa/email/enable")
        .await
        .refused(503, "unavailable");
    let (status, body) = readyz(&server).await;
    assert_eq!(
        (status, &body["checks"]["mail"]),
        (200, &json!("ok")),
        "{body}"
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_and_the_store_is_released() {
    let mut site = Site::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    site.set("listen", taken.local_addr().unwrap().to_string());
    let mut process = site.run("serve");
    process.ends_with(74).await;
    assert!(hint(&process.stderr()), "{}", process.stderr());
    site.set("listen", "127.0.0.1:0");
    site.serve().await.stop().await;
}

#[tokio::test]
async fn a_token_for_another_service_is_refused_by_the_real_settings() {
    let mut site = Site::new().await;
    site.set("audience", vec!["mfa-api".to_owned()]);
    let server = site.serve().await;
    let ours = site.issuer.token("mfa-api", "alice").sign();
    let others = site.issuer.token(PUBLIC_URL, "alice").sign();
    let ask = |token| async {
        let client = Client::new(server.address(), Some(token));
        client.send(Method::GET, OVERVIEW, &[], Bytes::new()).await
    };
    ask(ours).await.ok();
    ask(others).await.refused(401, "invalid_token");
    let log = server.stderr();
    assert!(
        log_lines(&log).all(|line| line["level"] != "ERROR"),
        "{log}"
    );
}
