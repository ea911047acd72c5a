//! The program under a service manager: what it says of itself, and when.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::process::PROGRAM;
use crate::support::{Client, Process, Site};

/// How long anything may take that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A service manager's ear.
struct Ear(UnixDatagram);

impl Ear {
    /// The next words that are no feeding of the watchdog.
    fn hears(&self) -> String {
        loop {
            let words = self.next(PATIENCE).expect("nothing was said");
            if words != "WATCHDOG=1\n" {
                return words;
            }
        }
    }

    fn next(&self, patience: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(patience)).unwrap();
        let mut bytes = [0; 1024];
        match self.0.recv(&mut bytes) {
            Ok(length) => Some(String::from_utf8(bytes[..length].to_vec()).unwrap()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// `mfad serve` as a service manager starts it, with these variables besides.
fn supervised(site: &Site, variables: &[(&str, &str)]) -> (Ear, Process) {
    let path = site.path("notify");
    let ear = Ear(UnixDatagram::bind(&path).unwrap());
    let mut command = Command::new(PROGRAM);
    command
        .arg("serve")
        .arg("--config")
        .arg(site.config_file())
        .env_clear()
        .env("NOTIFY_SOCKET", &path)
        .envs(variables.iter().copied());
    (ear, Process::start(&mut command))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_says_when_it_answers_when_it_reloads_and_when_it_ends() {
    let site = Site::new().await;
    let (ear, mut server) = supervised(&site, &[("WATCHDOG_USEC", "200000")]);
    assert!(ear.hears().starts_with("READY=1\n"));
    let address = server.listening().await;
    let healthy = Client::new(address, None).get("/healthz").await;
    assert_eq!(healthy.status.as_u16(), 200);
    for _ in 0..3 {
        assert_eq!(ear.next(PATIENCE).as_deref(), Some("WATCHDOG=1\n"));
    }

    server.signal(Signal::HUP);
    let reloading = ear.hears();
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert!(ear.hears().starts_with("READY=1\n"));
    let healthy = Client::new(address, None).get("/healthz").await;
    assert_eq!(healthy.status.as_u16(), 200);

    server.signal(Signal::TERM);
    assert!(ear.hears().starts_with("STOPPING=1\n"));
    server.ends_with(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watchdog_of_another_process_is_not_fed_and_a_start_in_vain_is_no_readiness() {
    let mut site = Site::new().await;
    let anothers = [("WATCHDOG_USEC", "50000"), ("WATCHDOG_PID", "1")];
    let (ear, mut server) = supervised(&site, &anothers);
    assert!(ear.hears().starts_with("READY=1\n"));
    let address = server.listening().await;
    // The store has answered the watchdog, if one is fed, before it takes this.
    let alice = site.person(address, "alice");
    alice.post("/api/v1/me/mfa/totp/enable").await.ok();
    server.stop().await;
    let last = ear.next(PATIENCE).unwrap_or_default();
    assert!(last.starts_with("STOPPING=1\n"), "{last}");
    assert_eq!(ear.next(Duration::from_millis(1)), None);

    std::fs::remove_file(site.path("notify")).unwrap();
    site.set("issuer", "nonsense");
    let (ear, mut refused) = supervised(&site, &[]);
    refused.ends_with(78).await;
    assert_eq!(ear.next(Duration::from_millis(1)), None);
}
