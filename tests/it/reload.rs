//! New settings on SIGHUP: all of them or none, and no request is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::Signal;

use crate::support::process::log_lines;
use crate::support::{App, Client, Process, Site};

const OVERVIEW: &str = "/api/v1/me/mfa";
const ENABLE: &str = "/api/v1/me/mfa/totp/enable";
const TAKEN_UP: &str = "the settings were read again and are in effect";

async fn reloaded(server: &Process, times: usize) {
    server
        .says("new settings", |text| {
            let lines = log_lines(text).filter(|line| line["message"] == TAKEN_UP);
            (lines.count() >= times).then_some(())
        })
        .await;
}

async fn label(person: &Client) -> String {
    let enabled = person.post(ENABLE).await.ok();
    App::scan(&enabled);
    enabled["otpauth_uri"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn sighup_brings_new_settings_and_wrong_ones_change_nothing() {
    let mut site = Site::new().await;
    let mut server = site.serve().await;
    let alice = site.person(server.address(), "alice");
    assert!(label(&alice).await.contains("Example"));

    site.set("service-name", "Changed");
    site.set("require-mfa", vec!["all"]);
    site.config_file();
    server.signal(Signal::HUP);
    reloaded(&server, 1).await;
    assert!(label(&alice).await.contains("Changed"));
    let overview = alice.get(OVERVIEW).await.ok();
    assert_eq!(overview["policy"]["required"], true, "{overview}");

    site.set("service-name", "No: good");
    site.config_file();
    server.signal(Signal::HUP);
    server
        .says("what is wrong", |text| {
            (text.contains("those from before go on") && text.contains("service-name"))
                .then_some(())
        })
        .await;
    assert!(label(&alice).await.contains("Changed"));

    // What needs a new start is said, and the rest holds.
    site.set("service-name", "Third");
    site.set("max-connections", 7);
    site.config_file();
    server.signal(Signal::HUP);
    reloaded(&server, 2).await;
    assert!(label(&alice).await.contains("Third"));
    assert!(server.stderr().contains("hold from the next start on"));
    server.stop().await;
}

#[tokio::test]
async fn no_request_is_lost_while_settings_change() {
    let site = Site::new().await;
    let mut server = site.serve().await;
    let over = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let person = site.person(server.address(), &format!("person-{number}"));
            let (over, asked) = (over.clone(), asked.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    person.post(ENABLE).await.ok();
                    person.get(OVERVIEW).await.ok();
                    asked.fetch_add(2, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for times in 1..=10 {
        server.signal(Signal::HUP);
        reloaded(&server, times).await;
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("every request is answered");
    }
    assert!(asked.load(Ordering::Relaxed) > 100, "{asked:?}");
    server.stop().await;
}
