//! Orders about the policy, from the command line.

use serde_json::{Value, json};

use crate::support::{Process, Server, Site};

/// `mfad policy` for the server in this process.
fn order(server: &Server, arguments: &[&str]) -> Process {
    let place = ["--data-dir", server.data_dir().to_str().unwrap()];
    Process::mfad([&["policy"], arguments, &place].concat())
}

/// The same, and what it prints; it must end well.
async fn ordered(server: &Server, arguments: &[&str]) -> String {
    let mut process = order(server, arguments);
    process.ends_with(0).await;
    process.stdout()
}

async fn allowed(server: &Server) -> Value {
    let overview = server.alice().get("/api/v1/me/mfa").await.ok();
    overview["policy"]["allowed"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ordered_holds_at_once_on_a_running_server() {
    let mut server = Server::start().await;
    let defaults = "allow-factor = [\"totp\",\"email\",\"webauthn\"]   # from: default\n\
         require-mfa = []   # from: default\n\
         email-factor = \"on\"   # from: default\n\
         grace-days = 0   # from: default\n\
         trusted-device-days = 30   # from: default\n";
    assert_eq!(ordered(&server, &[]).await, defaults);
    assert_eq!(ordered(&server, &["show"]).await, defaults);
    let set = ["set", "allow-factor", "webauthn", "totp"];
    assert_eq!(
        ordered(&server, &set).await,
        "allow-factor = [\"totp\",\"webauthn\"]   # from: stored\n"
    );
    assert_eq!(allowed(&server).await, json!(["totp", "webauthn"]));
    ordered(&server, &["set", "require-mfa", "tenant:a b", "all"]).await;
    server.restart().await;
    assert_eq!(allowed(&server).await, json!(["totp", "webauthn"]));
    let shown: Value = serde_json::from_str(&ordered(&server, &["show", "--json"]).await).unwrap();
    assert_eq!(
        shown,
        json!({
            "allow-factor": {"value": ["totp", "webauthn"], "from": "stored"},
            "require-mfa": {"value": ["tenant:a b", "all"], "from": "stored"},
            "email-factor": {"value": "on", "from": "default"},
            "grace-days": {"value": 0, "from": "default"},
            "trusted-device-days": {"value": 30, "from": "default"},
        })
    );
    ordered(&server, &["unset", "require-mfa"]).await;
    let unset = ordered(&server, &["unset", "allow-factor"]).await;
    assert_eq!(unset.lines().next(), defaults.lines().next());
    // What is not stored is taken back as well.
    ordered(&server, &["unset", "allow-factor"]).await;
    assert_eq!(ordered(&server, &[]).await, defaults);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_hold_is_refused_with_a_hint_and_changes_nothing() {
    let server = Server::start().await;
    let before = ordered(&server, &[]).await;
    for arguments in [
        &["set"][..],
        &["set", "allow-factor"],
        &["set", "allow-factor", "sms"],
        &["set", "allow-factor", "totp,email"],
        &["set", "allow-factors", "totp"],
        &["set", "require-mfa", "everybody"],
        &["set", "grace-days", "400"],
        &["set", "grace-days", "1", "2"],
        &["set", "grace-days", "-1"],
        &["unset"],
        &["unset", "grace_days"],
        &["forget"],
    ] {
        let mut process = order(&server, arguments);
        process.ends_with(64).await;
        assert_eq!(process.stdout(), "", "{arguments:?}");
        let told = process.stderr();
        assert!(told.contains("error: "), "{arguments:?}: {told}");
    }
    let mut process = order(&server, &["set", "email-factor", "maybe"]);
    process.ends_with(64).await;
    let told = process.stderr();
    assert_eq!(
        told,
        "error: policy: \"maybe\" is no use of email codes\n  hint: use on, recovery or off\n"
    );
    assert_eq!(ordered(&server, &[]).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_orders_work_on_its_store_under_its_settings() {
    let mut site = Site::new().await;
    site.set("grace-days", 7);
    let order = |site: &Site, arguments: &[&str]| {
        let config = site.config_file();
        let place = ["--config", config.to_str().unwrap()];
        Process::mfad([&["policy"], arguments, &place].concat())
    };
    // A store that is not there is not made.
    order(&site, &[]).ends_with(78).await;
    site.serve().await.stop().await;
    let mut shown = order(&site, &[]);
    shown.ends_with(0).await;
    let lines = shown.stdout();
    assert!(
        lines.contains("grace-days = 7   # from: setting\n"),
        "{lines}"
    );
    order(&site, &["set", "email-factor", "off"])
        .ends_with(0)
        .await;
    // With the settings it would leave nothing.
    site.set("allow-factor", vec!["email".to_owned()]);
    let mut refused = site.run("serve");
    refused.ends_with(78).await;
    let told = refused.stderr();
    assert!(
        told.contains("error: policy: ") && told.contains("mfad policy unset"),
        "{told}"
    );
    order(&site, &["unset", "email-factor"]).ends_with(0).await;
    let mut server = site.serve().await;
    let alice = site.person(server.address(), "alice");
    let overview = alice.get("/api/v1/me/mfa").await.ok();
    assert_eq!(overview["policy"]["allowed"], json!(["email"]));
    server.stop().await;

    site.set("grace-days", 999);
    order(&site, &[]).ends_with(78).await;
}
