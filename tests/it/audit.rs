//! What was done to the server itself has lines of its own, and says nothing of people.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Client, Process, Site};

async fn order(site: &Site, arguments: &[&str]) -> String {
    let config = site.config_file();
    let place = ["--config", config.to_str().unwrap()];
    let mut process = Process::mfad([arguments, &place].concat());
    process.ends_with(0).await;
    process.stdout()
}

/// Actions, and what they were about, the oldest first.
async fn done(site: &Site) -> Vec<(String, String)> {
    let told: Value = serde_json::from_str(&order(site, &["audit", "--json"]).await).unwrap();
    let lines = told.as_array().unwrap().iter().rev();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    lines
        .map(|line| (text(&line["action"]), text(&line["about"])))
        .collect()
}

#[tokio::test]
async fn what_operators_and_the_server_do_is_told_by_a_server_and_without_one() {
    let mut site = Site::new().await;
    let mut server = site.serve().await;
    let key = site.ordered(&["add", "portal"]).await;
    site.ordered(&["rotate", "portal"]).await;
    order(
        &site,
        &[
            "policy",
            "set",
            "require-mfa",
            "tenant:acme",
            "service:portal",
        ],
    )
    .await;
    order(&site, &["policy", "unset", "require-mfa"]).await;
    order(&site, &["data-key", "rotate"]).await;
    order(&site, &["clock", "accept"]).await;
    // Refused: nothing is done.
    let mut again = site.service(&["add", "portal"]);
    again.ends_with(64).await;
    site.set("service-name", "Another");
    site.config_file();
    server.signal(Signal::HUP);
    server
        .says("the reload", |log| {
            log.contains("read again and are in effect").then_some(())
        })
        .await;
    let copy = site.path("copy").to_str().unwrap().to_owned();
    // A reload's line follows what it tells of.
    let told = async {
        while !done(&site)
            .await
            .iter()
            .any(|(action, _)| action == "settings.reload")
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), told)
        .await
        .expect("the reload is told of");
    order(&site, &["backup", &copy]).await;
    let alice = site.person(server.address(), "alice");
    alice.post("/api/v1/me/mfa/totp/enable").await.ok();
    let events = alice.get("/api/v1/me/mfa/events").await.ok();
    // None of it is hers.
    let hers = events["events"].as_array().unwrap();
    assert_eq!(hers.len(), 1, "{events}");
    assert_eq!(hers[0]["action"], "totp.enable");
    let stranger = Client::new(server.address(), None);
    assert_eq!(stranger.get("/healthz").await.status, 200);
    server.stop().await;

    order(&site, &["restore", &copy]).await;
    site.ordered(&["remove", "portal"]).await;
    let lines = done(&site).await;
    let actions: Vec<&str> = lines.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "service.add",
            "service.rotate",
            "policy.set",
            "policy.unset",
            "data_key.rotate",
            "clock.accept",
            "settings.reload",
            "store.restore",
            "service.remove",
        ]
    );
    assert_eq!(lines[0].1, "portal");
    assert_eq!(lines[2].1, "require-mfa = tenant:acme service:portal");
    assert!(lines[7].1.contains("epoch 2"), "{}", lines[7].1);
    let told = order(&site, &["audit"]).await;
    assert!(
        !told.contains(key.trim()) && !told.contains("alice"),
        "{told}"
    );
    let newest = told.lines().next().unwrap();
    assert!(newest.ends_with("Z  service.remove  portal"), "{newest}");
    let one = order(&site, &["audit", "--limit", "1"]).await;
    assert_eq!(one.lines().count(), 1);
    let mut none = Process::mfad(["audit", "--limit", "0"]);
    none.ends_with(64).await;
    fs::remove_file(&copy).unwrap();
}
