//! A disk that is full, read-only or taken away: no answer is a lie, and it heals by itself.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use mfad::base::OsEntropy;
use mfad::store::{self, MasterKeyPlace, Record, Tx};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::process::now;
use crate::support::{App, Client, Disk, Reply, Site, until};

const OVERVIEW: &str = "/api/v1/me/mfa";
const ENABLE: &str = "/api/v1/me/mfa/totp/enable";
const CONFIRM: &str = "/api/v1/me/mfa/totp/confirm";
const DISABLE: &str = "/api/v1/me/mfa/totp/disable";
/// Changes that fit on a disk which is full at the most: what the file has to spare.
const MOST_ON_A_FULL_DISK: usize = 3_000;

/// People, and the devices that they were told of.
#[derive(Default)]
struct Told(BTreeMap<String, String>);

impl Told {
    /// Somebody new begins a set-up. What they are told is written down.
    async fn begin(&mut self, site: &Site, address: SocketAddr) -> Reply {
        let subject = format!("person-{}", self.0.len());
        let reply = site.person(address, &subject).post(ENABLE).await;
        if reply.status == 200 {
            let device = reply.json()["device_id"].as_str().unwrap().to_owned();
            self.0.insert(subject, device);
        }
        reply
    }

    /// What everybody was told is there.
    async fn is_kept(&self, site: &Site, address: SocketAddr) {
        for (subject, device) in &self.0 {
            let seen = site.person(address, subject).get(OVERVIEW).await.ok();
            assert_eq!(seen["devices"][0]["device_id"], *device, "{subject}");
        }
    }
}

/// What a server says that is not ready because of its store.
async fn why_not(address: SocketAddr) -> String {
    let reply = Client::new(address, None).get("/readyz").await;
    let reason = &reply.json()["reasons"][0];
    assert_eq!(reason["part"], "storage");
    let words = reason["words"].as_str().unwrap().to_owned();
    assert!(!words.contains('/') && !reason["hint"].as_str().unwrap().is_empty());
    words
}

async fn readyz(address: SocketAddr) -> (u16, Value) {
    let reply = Client::new(address, None).get("/readyz").await;
    (
        reply.status.as_u16(),
        reply.json()["checks"]["storage"].clone(),
    )
}

/// Somebody whose app is set up, with a backup code.
async fn enrolled(person: &Client) -> String {
    let app = App::scan(&person.post(ENABLE).await.ok());
    let confirmed = person.code(CONFIRM, &app.code(now())).await.ok();
    confirmed["backup_codes"][0].as_str().unwrap().to_owned()
}

/// Waits until the server says that it is ready.
async fn heals(address: SocketAddr) {
    until("the server heals by itself", async || {
        readyz(address).await.0 == 200
    })
    .await;
}

#[tokio::test]
async fn a_full_disk_refuses_changes_loses_none_and_heals_when_there_is_room() {
    let mut site = Site::new().await;
    site.without_mail();
    let mut disk = Disk::mount(&mut site, "4m").await;
    let address = disk.serve().await;
    let alice = site.person(address, "alice");
    let backup = enrolled(&alice).await;
    let mut told = Told::default();
    told.begin(&site, address).await.ok();

    disk.fill().await;
    let refused = loop {
        let reply = told.begin(&site, address).await;
        if reply.status != 200 {
            break reply;
        }
        assert!(told.0.len() < MOST_ON_A_FULL_DISK);
    };
    refused.refused(503, "unavailable");
    assert_eq!(readyz(address).await, (503, json!("failing")));
    let words = why_not(address).await;
    assert!(words.contains("the disk is full"), "{words}");
    alice
        .code(DISABLE, &backup)
        .await
        .refused(503, "unavailable");
    assert_eq!(alice.get(OVERVIEW).await.ok()["enabled"], true);
    let stranger = Client::new(address, None);
    assert_eq!(stranger.get("/healthz").await.text, "ok\n");
    stranger.get("/openapi.json").await.ok();
    told.is_kept(&site, address).await;
    // It does not call itself well while nothing has changed, however often it tries again: each change makes it.
    for _ in 0..20 {
        let reply = told.begin(&site, address).await;
        reply.refused(503, "unavailable");
        assert_eq!(readyz(address).await, (503, json!("failing")));
    }

    // Refused means not done: the code is still good, and good once.
    disk.run(r#"rm "$disk/filler""#).await;
    heals(address).await;
    alice.code(DISABLE, &backup).await.ok();
    told.begin(&site, address).await.ok();
    told.is_kept(&site, address).await;
    disk.run(r#"kill -0 "$server""#).await;

    disk.stop().await;
    let address = disk.serve().await;
    told.is_kept(&site, address).await;
    assert_eq!(
        site.person(address, "alice").get(OVERVIEW).await.ok()["enabled"],
        false
    );
    assert!(!disk.log().contains("panic"), "{}", disk.log());
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_start_is_said_and_nothing_is_left_half_made() {
    let mut site = Site::new().await;
    site.without_mail();
    let mut disk = Disk::mount(&mut site, "4m").await;
    disk.fill().await;
    let mut refused = 0;
    // Room for nothing, then for the key, then for a part of the store.
    for pages in [0, 1, 1, 1, 2, 4, 8, 16, 32, 64] {
        disk.run(&format!(
            r#"truncate -s -$(({pages} * 4096)) "$disk/filler""#
        ))
        .await;
        let said = disk.log().len();
        // One that starts is ended at once; only the one after it is to be found by its word.
        let briefly = r#"{ timeout --preserve-status 2 "$mfad" serve --config "$config"; echo "$?" >"$disk.end"; } 2>&1 | sed "s/serving/served/" >&2; (exit "$(cat "$disk.end")")"#;
        match disk.try_run(briefly).await {
            74 => refused += 1,
            0 => break,
            end => panic!("{end}: {}", disk.log()),
        }
        assert!(disk.log()[said..].contains("hint: "), "{}", disk.log());
    }
    assert!(refused > 2, "{}", disk.log());
    disk.run(r#"rm "$disk/filler""#).await;
    let address = disk.serve().await;
    enrolled(&site.person(address, "alice")).await;
    assert!(!disk.log().contains("panic"), "{}", disk.log());
}

#[tokio::test]
async fn a_disk_that_turns_read_only_refuses_and_heals_when_it_can_be_written() {
    let mut site = Site::new().await;
    site.without_mail();
    let mut disk = Disk::mount(&mut site, "4m").await;
    let address = disk.serve().await;
    let alice = site.person(address, "alice");
    enrolled(&alice).await;
    let mut told = Told::default();
    told.begin(&site, address).await.ok();

    // The kernel makes no file system read-only on which a file is open to be written, so an error that
    // has the server open its file anew comes first, and the file is out of sight until then.
    disk.fill().await;
    disk.run(r#"mount -t tmpfs none "$disk/data""#).await;
    while told.begin(&site, address).await.status == 200 {}
    disk.says("the store cannot be opened again").await;
    disk.run(r#"umount "$disk/data" && mount -o remount,ro none "$disk""#)
        .await;

    told.begin(&site, address).await.refused(503, "unavailable");
    assert_eq!(readyz(address).await, (503, json!("failing")));
    let words = why_not(address).await;
    assert!(words.contains("can only be read"), "{words}");
    let stranger = Client::new(address, None);
    assert_eq!(stranger.get("/healthz").await.text, "ok\n");

    disk.run(r#"mount -o remount,rw none "$disk" && rm "$disk/filler""#)
        .await;
    heals(address).await;
    told.begin(&site, address).await.ok();
    told.is_kept(&site, address).await;
    disk.stop().await;

    // And one that is read-only at the start is said.
    disk.run(r#"mount -o remount,ro none "$disk""#).await;
    let start = r#""$mfad" serve --config "$config""#;
    assert_eq!(disk.try_run(start).await, 74, "{}", disk.log());
    assert!(disk.log().contains("hint: "), "{}", disk.log());
    disk.run(r#"mount -o remount,rw none "$disk""#).await;
    let address = disk.serve().await;
    told.is_kept(&site, address).await;
    assert!(!disk.log().contains("panic"), "{}", disk.log());
}

#[tokio::test]
async fn a_file_that_is_moved_or_closed_to_us_under_way_does_no_harm() {
    let mut site = Site::new().await;
    site.without_mail();
    let mut server = site.serve().await;
    let address = server.address();
    let alice = site.person(address, "alice");
    enrolled(&alice).await;
    let mut told = Told::default();
    let file = site.data_dir().join("mfad.redb");
    let away = site.path("away.redb");
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();

    mode(0o000);
    told.begin(&site, address).await.ok();
    mode(0o600);
    fs::rename(&file, &away).unwrap();
    told.begin(&site, address).await.ok();
    assert_eq!(alice.get(OVERVIEW).await.ok()["enabled"], true);
    fs::rename(&away, &file).unwrap();
    told.begin(&site, address).await.ok();
    server.stop().await;
    assert!(!server.stderr().contains("panic"), "{}", server.stderr());

    let server = site.serve().await;
    told.is_kept(&site, server.address()).await;
}

/// What nobody needs any more.
#[derive(Serialize, Deserialize)]
struct Gone(String);

impl Record for Gone {
    type Key = u64;
    const TABLE: &'static str = "gone";
}

/// A store in `folder` that holds hardly anything, in a file of many megabytes.
async fn roomy(folder: &Path) {
    let key = MasterKeyPlace::own(folder.join("master.key"));
    let opened = store::open(folder, &key, Arc::new(OsEntropy)).unwrap();
    let put = |tx: &mut Tx<'_>| (0..12_000).try_for_each(|n| tx.put(&n, &Gone("x".repeat(1_000))));
    opened.write(put).await.unwrap();
    let remove = |tx: &mut Tx<'_>| {
        (0..12_000).for_each(|n| tx.delete::<Gone>(&n));
        Ok(())
    };
    opened.write(remove).await.unwrap();
    opened.close().await;
}

#[tokio::test]
async fn a_file_that_is_mostly_room_becomes_small_as_soon_as_the_disk_has_room_for_that() {
    const COMPACTED: &str = "the store's file was compacted";
    let mut site = Site::new().await;
    site.without_mail();
    let mut disk = Disk::mount(&mut site, "64m").await;
    let bloated = site.path("bloated");
    roomy(&bloated).await;
    let size = fs::metadata(bloated.join("mfad.redb")).unwrap().len();
    assert!(size > 8 << 20, "{size}");
    disk.run(&format!(r#"cp -a "{}" "$disk/data""#, bloated.display()))
        .await;
    disk.fill().await;

    let address = disk.serve().await;
    let mut told = Told::default();
    told.begin(&site, address).await.ok();
    disk.says("the store's file cannot be compacted").await;
    told.begin(&site, address).await.ok();
    told.is_kept(&site, address).await;
    disk.run(&format!(
        r#"[ "$(stat -c %s "$disk/data/mfad.redb")" -ge {size} ]"#
    ))
    .await;
    assert!(!disk.log().contains(COMPACTED), "{}", disk.log());
    disk.stop().await;

    disk.run(r#"rm "$disk/filler""#).await;
    let address = disk.serve().await;
    let alice = site.person(address, "alice");
    let backup = enrolled(&alice).await;
    disk.says(COMPACTED).await;
    disk.run(r#"[ "$(stat -c %s "$disk/data/mfad.redb")" -lt 1000000 ]"#)
        .await;
    told.begin(&site, address).await.ok();
    told.is_kept(&site, address).await;
    // No warning: what was answered before and after it is on disk under the new name.
    disk.run(r#"kill -KILL "$server"; wait "$server"; true"#)
        .await;
    let address = disk.serve().await;
    told.is_kept(&site, address).await;
    let alice = site.person(address, "alice");
    alice.code(DISABLE, &backup).await.ok();
    disk.run(r#"ls -A "$disk/data" >&2; [ ! -e "$disk/data/mfad.compacting" ]"#)
        .await;
    disk.stop().await;
    assert!(!disk.log().contains("panic"), "{}", disk.log());
}
