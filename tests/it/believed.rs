//! Whose word the program takes: tokens, files, and those who are silent on its control socket.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::time::Instant;

use crate::support::process::log_lines;
use crate::support::{Client, PUBLIC_URL, Process, Reply, Site};

const OVERVIEW: &str = "/api/v1/me/mfa";
const TAKEN_UP: &str = "the settings were read again and are in effect";
/// The exit code for settings that are wrong.
const CONFIG: i32 = 78;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Has the server read its settings again, for the `times`th time.
async fn reload(site: &Site, server: &Process, times: usize) {
    site.config_file();
    server.signal(Signal::HUP);
    server
        .says("new settings", |text| {
            let lines = log_lines(text).filter(|line| line["message"] == TAKEN_UP);
            (lines.count() >= times).then_some(())
        })
        .await;
}

async fn opens_a_challenge(server: &Process, token: &str) -> Reply {
    let asking = json!({"subject": "alice"});
    Client::new(server.address(), Some(token.to_owned()))
        .post_json("/api/v1/mfa/challenges", &asking)
        .await
}

#[tokio::test]
async fn the_log_names_the_line_that_lets_a_service_account_in_and_that_line_does() {
    let mut site = Site::new().await;
    let mut server = site.serve().await;
    let token = site.issuer.token(PUBLIC_URL, "8f14e45f");
    let token = token
        .with("scope", "mfa:verify")
        .with("preferred_username", "service-account-portal")
        .with("azp", "portal")
        .sign();
    for _ in 0..5 {
        opens_a_challenge(&server, &token)
            .await
            .refused(403, "forbidden");
    }
    let line = server
        .says("whose token it refused", |text| {
            log_lines(text).find(|line| line["message"] == "service token refused")
        })
        .await;
    assert_eq!(line["level"], "WARN", "{line}");
    assert_eq!(line["client"], "portal", "{line}");
    let add = line["add"].as_str().unwrap();
    assert_eq!(
        add,
        r#"verify-client = ["portal"] (or --verify-client portal)"#
    );
    let text = server.stderr();
    let told = log_lines(&text).filter(|line| line["message"] == "service token refused");
    assert_eq!(told.count(), 1, "once a minute for each client");
    assert!(!text.contains(&token[..40]), "no token in the log");

    site.set("verify-client", vec!["portal"]);
    reload(&site, &server, 1).await;
    let opened = opens_a_challenge(&server, &token).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    server.stop().await;
}

#[tokio::test]
async fn check_says_which_services_tokens_are_refused_and_the_line_to_add() {
    let mut site = Site::new().await;
    site.serve().await.stop().await;
    site.ordered(&["add", "portal", "--client-id", "Portal"])
        .await;
    let said = async |site: &Site| {
        let mut process = site.run("check");
        process.ends_with(0).await;
        process.stdout()
    };
    let none = said(&site).await;
    assert!(
        none.contains("warning: verify-client: none is set"),
        "{none}"
    );
    assert!(none.contains("service-account-portal"), "{none}");
    assert!(
        none.contains(r#"verify-client = ["Portal"] (or --verify-client Portal)"#),
        "{none}"
    );
    site.set("verify-client", vec!["radius"]);
    let other = said(&site).await;
    assert!(
        other.contains("does not name the client Portal of the service portal"),
        "{other}"
    );
    assert!(
        other.contains(r#"verify-client = ["radius", "Portal"]"#),
        "{other}"
    );
    site.set("verify-client", vec!["radius", "Portal"]);
    let both = said(&site).await;
    assert!(!both.contains("verify-client"), "{both}");
}

#[tokio::test]
async fn what_tokens_must_be_like_is_taken_up_on_reload() {
    let mut site = Site::new().await;
    let mut server = site.serve().await;
    let overview = async |typ: &'static str| {
        let token = site.issuer.token(PUBLIC_URL, "alice").of_type(typ).sign();
        Client::new(server.address(), Some(token))
            .get(OVERVIEW)
            .await
    };
    overview("JWT").await.ok();
    site.set("require-at-jwt", true);
    site.set("token-algorithm", vec!["ES256"]);
    site.set("hsts-include-subdomains", true);
    reload(&site, &server, 1).await;
    let overview = async |typ: &'static str| {
        let token = site.issuer.token(PUBLIC_URL, "alice").of_type(typ).sign();
        Client::new(server.address(), Some(token))
            .get(OVERVIEW)
            .await
    };
    overview("JWT").await.refused(401, "invalid_token");
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        let reply = overview(typ).await;
        reply.ok();
        let hsts = reply.header("strict-transport-security");
        assert_eq!(hsts, "max-age=31536000; includeSubDomains");
    }
    // The issuer signs by ES256: with another algorithm alone it has no key that is accepted.
    site.set("token-algorithm", vec!["EdDSA", "RS256"]);
    reload(&site, &server, 2).await;
    let token = site.issuer.token(PUBLIC_URL, "alice").sign();
    let person = Client::new(server.address(), Some(token));
    person.get(OVERVIEW).await.refused(401, "invalid_token");
    // None at all is refused, and what was before goes on.
    site.set("token-algorithm", Vec::<String>::new());
    site.config_file();
    server.signal(Signal::HUP);
    server
        .says("what is wrong", |text| {
            text.contains("the list is empty").then_some(())
        })
        .await;
    person.get(OVERVIEW).await.refused(401, "invalid_token");
    server.stop().await;
}

#[tokio::test]
async fn keys_in_a_file_that_others_can_write_are_believed_by_nobody() {
    let mut site = Site::new().await;
    let at = site
        .issuer
        .address
        .trim_start_matches("http://")
        .parse()
        .unwrap();
    let keys = Client::new(at, None).get("/jwks").await.text;
    let jwks = site.path("jwks.json");
    fs::write(&jwks, keys).unwrap();
    chmod(&jwks, 0o644);
    let link = site.path("link.json");
    symlink("jwks.json", &link).unwrap();
    site.set("jwks-file", link.to_str().unwrap());
    let mut server = site.serve().await;
    let alice = site.person(server.address(), "alice");
    alice.get(OVERVIEW).await.ok();

    chmod(&jwks, 0o666);
    server.signal(Signal::HUP);
    server
        .says("why not", |text| {
            (text.contains("those from before go on") && text.contains("written by other users"))
                .then_some(())
        })
        .await;
    alice.get(OVERVIEW).await.ok();
    server.stop().await;

    for command in ["check", "serve"] {
        let mut refused = site.run(command);
        refused.ends_with(CONFIG).await;
        let told = refused.stdout() + &refused.stderr();
        assert!(
            told.contains("jwks-file") && told.contains("chmod go-w"),
            "{told}"
        );
    }
    chmod(&jwks, 0o440);
    site.serve().await.stop().await;
}

#[tokio::test]
async fn a_link_in_the_place_of_a_file_in_the_making_leads_nowhere() {
    let site = Site::new().await;
    site.serve().await.stop().await;
    let victim = site.path("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, site.data_dir().join("mfad.witness.unfinished")).unwrap();
    site.serve().await.stop().await;
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[tokio::test]
async fn silent_connections_to_the_control_socket_keep_no_command_waiting() {
    let site = Site::new().await;
    let mut server = site.serve().await;
    let alone = Instant::now();
    site.ordered(&["list"]).await;
    let alone = alone.elapsed();
    let socket = site.data_dir().join("control.sock");
    let silent: Vec<_> = (0..200)
        .map(|_| UnixStream::connect(&socket).unwrap())
        .collect();
    let asked = Instant::now();
    site.ordered(&["list"]).await;
    let took = asked.elapsed();
    assert!(
        took < alone + Duration::from_secs(1),
        "{took:?}, and {alone:?} alone"
    );
    drop(silent);
    server.stop().await;
}
