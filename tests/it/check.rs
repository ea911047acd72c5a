//! `mfad check` says what is wrong, and what to do, before somebody meets it.

use std::fs;
use std::sync::Arc;

use mfad::audit::{self, Actor, Event, Origin, RECORD_BYTES};
use mfad::base::{OsEntropy, PersonKey, RequestId, Timestamp};
use mfad::store::{self, MasterKeyPlace};
use rcgen::{CertificateParams, KeyPair};
use time::{Duration, OffsetDateTime};

use crate::support::process::{now, write_secret};
use crate::support::smtp::Fault;
use crate::support::{App, Disk, Process, Server, Site};

/// Exit codes.
const IO: i32 = 74;
const CONFIG: i32 = 78;

/// Runs `mfad check`, and gives what it says. Whatever is wrong comes with what to do.
async fn check(site: &Site, end: i32) -> String {
    let mut process = site.run("check");
    process.ends_with(end).await;
    let said = process.stdout();
    let lines: Vec<&str> = said.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        if line.starts_with("failed: ") || line.starts_with("warning: ") {
            let next = lines.get(at + 1);
            assert!(next.is_some_and(|it| it.starts_with("  hint: ")), "{said}");
        }
    }
    let failed = said.contains("failed: ");
    assert_eq!(failed, end != 0, "{said}");
    said
}

fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
}

async fn policy(site: &Site, arguments: &[&str]) {
    let config = site.config_file();
    let place = ["--config", config.to_str().unwrap()];
    let mut process = Process::mfad([&["policy"], arguments, &place].concat());
    process.ends_with(0).await;
}

/// A certificate for the site's host that is good from so many days from now until so many.
fn certify(site: &mut Site, from: i64, until: i64) {
    let mut params = CertificateParams::new(vec!["mfa.example.com".to_owned()]).unwrap();
    let now = OffsetDateTime::from_unix_timestamp(now() as i64).unwrap();
    params.not_before = now + Duration::days(from);
    params.not_after = now + Duration::days(until);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let (pem, secret) = (site.path("tls.pem"), site.path("tls.key"));
    fs::write(&pem, certificate.pem()).unwrap();
    write_secret(&secret, key.serialize_pem().as_bytes());
    site.set("tls-cert-file", pem.to_str().unwrap());
    site.set("tls-key-file", secret.to_str().unwrap());
}

#[tokio::test]
async fn a_certificate_that_is_not_good_fails_and_one_that_ends_soon_is_said() {
    let mut site = Site::new().await;
    for (from, until, end, words) in [
        (
            -30,
            -1,
            CONFIG,
            "failed: the TLS certificate: it has expired, at 20",
        ),
        (
            1,
            30,
            CONFIG,
            "failed: the TLS certificate: it is not good before 20",
        ),
        (
            -1,
            13,
            0,
            "warning: the TLS certificate: it expires soon, at 20",
        ),
        (-1, 30, 0, "ok: the TLS certificate, good until 20"),
    ] {
        certify(&mut site, from, until);
        says(&check(&site, end).await, &[words]);
    }
}

#[tokio::test]
async fn who_can_connect_around_what_protects_is_said_and_does_not_fail() {
    let mut site = Site::new().await;
    let said = check(&site, 0).await;
    assert!(!said.contains("warning: "), "{said}");
    site.set("listen", "0.0.0.0:8080");
    site.set("metrics-listen", "[::]:9464");
    site.set("trusted-proxy", vec!["10.0.0.1"]);
    let said = check(&site, 0).await;
    says(
        &said,
        &[
            "warning: listen: whoever can connect to 0.0.0.0:8080 speaks plain HTTP",
            "warning: trusted-proxy: proxies are believed, and 0.0.0.0:8080 can be reached around them",
            "warning: metrics-listen: whoever can connect to [::]:9464 reads what is counted",
        ],
    );
    assert!(!said.contains("everybody is believed"), "{said}");
    // TLS of its own keeps what is sent from others, and not others from connecting.
    certify(&mut site, -1, 30);
    site.set("trusted-proxy", vec!["0.0.0.0/0"]);
    let said = check(&site, 0).await;
    says(&said, &["warning: trusted-proxy: everybody is believed"]);
    assert!(!said.contains("plain HTTP"), "{said}");
}

#[tokio::test]
async fn a_folder_for_copies_that_cannot_take_them_fails() {
    let mut site = Site::new().await;
    let (none, file) = (site.path("none"), site.path("file"));
    fs::write(&file, "").unwrap();
    site.set("backup-dir", none.to_str().unwrap());
    says(
        &check(&site, IO).await,
        &["failed: backup-dir: ", "No such file"],
    );
    site.set("backup-dir", file.to_str().unwrap());
    says(
        &check(&site, IO).await,
        &["failed: backup-dir: ", "is no folder"],
    );
    let folder = site.path("folder");
    fs::create_dir(&folder).unwrap();
    fs::create_dir(site.data_dir()).unwrap();
    site.set("backup-dir", folder.to_str().unwrap());
    let said = check(&site, 0).await;
    says(
        &said,
        &["warning: backup-dir: ", "is on the disk of the store"],
    );
}

#[tokio::test]
async fn disks_that_are_full_or_can_only_be_read_fail() {
    let mut site = Site::new().await;
    site.without_mail();
    let copies = site.path("copies");
    fs::create_dir(&copies).unwrap();
    site.set("backup-dir", copies.to_str().unwrap());
    let mut disk = Disk::mount(&mut site, "6m").await;
    site.config_file();
    let run = r#""$mfad" check --config "$config" >&2"#;
    assert_eq!(disk.try_run(run).await, 0, "{}", disk.log());
    let said = disk.log();
    says(
        &said,
        &["warning: the disk of --data-dir: ", "ok: backup-dir "],
    );
    disk.fill().await;
    assert_eq!(disk.try_run(run).await, IO, "{}", disk.log());
    let said = disk.log().split_off(said.len());
    says(&said, &["failed: the disk of --data-dir: 0 MiB are free"]);
    disk.run(r#"rm "$disk/filler""#).await;
    let only_read = format!(
        r#"mount -t tmpfs -o ro none "{}""#,
        copies.to_str().unwrap()
    );
    disk.run(&only_read).await;
    let said = disk.log().len();
    assert_eq!(disk.try_run(run).await, IO, "{}", disk.log());
    let said = disk.log().split_off(said);
    says(
        &said,
        &["failed: backup-dir: ", "cannot be written: Read-only"],
    );
}

#[tokio::test]
async fn a_policy_that_nobody_can_satisfy_fails_whether_a_server_runs_or_not() {
    let mut site = Site::new().await;
    site.serve().await.stop().await;
    says(&check(&site, 0).await, &["ok: the policy"]);
    policy(&site, &["set", "allow-factor", "email"]).await;
    policy(
        &site,
        &["set", "require-mfa", "tenant:acme", "service:portal"],
    )
    .await;
    let said = check(&site, 0).await;
    says(
        &said,
        &["warning: the policy: require-mfa names the service portal, and none"],
    );
    site.ordered(&["add", "portal"]).await;
    let said = check(&site, 0).await;
    assert!(!said.contains("warning: the policy"), "{said}");

    site.without_mail();
    let impossible = [
        "failed: the policy: a second factor is required of tenant:acme, service:portal; codes by mail",
        "so they could not sign in",
    ];
    says(&check(&site, CONFIG).await, &impossible);
    let server = site.serve().await;
    let said = check(&site, CONFIG).await;
    says(&said, &impossible);
    says(&said, &["is in use by a running server"]);
    policy(&site, &["unset", "require-mfa"]).await;
    let said = check(&site, 0).await;
    says(
        &said,
        &[
            "warning: the policy: codes by mail",
            "nobody can set one up",
        ],
    );
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_that_wait_for_long_are_said_by_a_running_server() {
    let server = Server::start().await;
    // An hour ago.
    let behind = now() - 3600 - server.clock.unix();
    server.clock.forward(behind);
    server.smtp.misbehave(Fault::RefuseConnection);
    let alice = server.alice();
    let app = App::scan(&alice.post("/api/v1/me/mfa/totp/enable").await.ok());
    let code = app.code(server.clock.unix());
    alice.code("/api/v1/me/mfa/totp/confirm", &code).await.ok();
    let mut site = Site::new().await;
    site.set("data-dir", server.data_dir().to_str().unwrap());
    says(
        &check(&site, 0).await,
        &["warning: mail: letters wait to leave, the oldest for 1 hour"],
    );
}

#[tokio::test]
async fn that_histories_are_nearly_full_is_warned_of_whether_a_server_runs_or_not() {
    let mut site = Site::new().await;
    site.set("audit-max-mib", 1);
    let mut server = site.serve().await;
    let said = check(&site, 0).await;
    assert!(!said.contains("warning: history"), "{said}");
    server.stop().await;

    let folder = site.data_dir();
    let key = MasterKeyPlace::own(folder.join("master.key"));
    let opened = store::open(&folder, &key, Arc::new(OsEntropy)).unwrap();
    let room = (1 << 20) / RECORD_BYTES;
    let request = RequestId::draw(&OsEntropy).unwrap();
    let at = Timestamp::from_unix(now());
    let filled = opened.write(move |tx| {
        (0..room * 86 / 100).try_for_each(|_| {
            let origin = Origin { request, ip: None };
            let user = PersonKey([7; 16]);
            let event = Event::done(at, user, Actor::System, "factor.reset", origin);
            audit::record_certain(tx, event)
        })
    });
    filled.await.unwrap();
    opened.close().await;

    let words = ["warning: history", "85 %", "--audit-max-mib", "400 days"];
    says(&check(&site, 0).await, &words);
    let mut server = site.serve().await;
    says(&check(&site, 0).await, &words);
    server.stop().await;
}

#[tokio::test]
async fn that_a_password_is_enough_to_change_factors_is_warned_of_by_check_and_log() {
    const WARNING: &str = "warning: factor-change-proof";
    let mut site = Site::new().await;
    let said = check(&site, 0).await;
    assert!(!said.contains(WARNING), "{said}");
    site.set("factor-change-proof", "off");
    let said = check(&site, 0).await;
    says(&said, &[WARNING, "anyone who knows a user's password"]);
    let mut server = site.run("serve");
    server.listening().await;
    let log = server.stderr();
    let warned = log
        .lines()
        .any(|line| line.contains("factor-change-proof is off") && line.contains("WARN"));
    assert!(warned, "{log}");
    server.stop().await;
}
