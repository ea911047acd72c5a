//! Login services: registered from the command line, known by their keys.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::Method;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mfad::factor::Desk;
use mfad::wire::CallingService;
use serde_json::{Value, json};

use crate::support::process::{PROGRAM, log_lines};
use crate::support::{Options, Process, Reply, Server, Site};

const WHO: &str = "/who";
/// No user of ours.
const NOBODY: u32 = 65_534;

/// A route for login services, which says whom it takes the caller for.
fn who(desk: Arc<Desk>) -> Router {
    let answer = |caller: CallingService| async move { axum::Json(caller.service) };
    Router::new().route(WHO, get(answer)).with_state(desk)
}

/// `mfad service` for the server in this process.
async fn ordered(server: &Server, arguments: &[&str]) -> String {
    let place = ["--data-dir", server.data_dir().to_str().unwrap()];
    let mut process = Process::mfad([&["service"], arguments, &place].concat());
    process.ends_with(0).await;
    process.stdout()
}

async fn shown(server: &Server, name: &str, value: &str) -> Reply {
    let stranger = server.stranger();
    stranger
        .send(Method::GET, WHO, &[(name, value)], Bytes::new())
        .await
}

async fn is_known(server: &Server, key: &str) -> bool {
    let reply = shown(server, "authorization", &format!("Bearer {key}")).await;
    match reply.status.as_u16() {
        200 => true,
        _ => {
            reply.refused(401, "invalid_token");
            false
        }
    }
}

/// The key alone, fit for a shell.
#[track_caller]
fn key(printed: &str) -> String {
    let key = printed.strip_suffix('\n').unwrap();
    assert!(key.starts_with("mfad_sk_") && key.len() == 60, "{key}");
    key.to_owned()
}

fn listed(printed: &str) -> Vec<Value> {
    serde_json::from_str(printed).unwrap()
}

fn hint(text: &str) -> bool {
    text.contains("error: ") && text.contains("\n  hint: ")
}

#[tokio::test]
async fn a_key_works_in_all_its_spellings_and_nowhere_else() {
    let options = Options {
        extra: Some(who),
        ..Default::default()
    };
    let mut server = Server::start_with(options).await;
    let order = ["add", "radius", "--sends", "username", "--tenant", "t1"];
    let radius = key(&ordered(&server, &order).await);
    let pair = STANDARD.encode(format!("radius:{radius}"));
    let spellings = [
        ("authorization", format!("Bearer {radius}")),
        ("authorization", format!("Basic {pair}")),
        ("x-api-key", radius.clone()),
    ];
    for _ in 0..2 {
        for (name, value) in &spellings {
            let service = shown(&server, name, value).await.ok();
            assert_eq!(service["id"], "radius");
            assert_eq!(service["sends"], "username");
            assert_eq!(service["tenants"], json!(["t1"]));
        }
        server.restart().await;
    }
    for (name, value) in &spellings {
        let headers = [(*name, value.as_str())];
        let me = server.stranger();
        let reply = me
            .send(Method::GET, "/api/v1/me/mfa", &headers, Bytes::new())
            .await;
        let expected = match value.starts_with("Bearer") {
            true => "invalid_token",
            false => "unauthenticated",
        };
        reply.refused(401, expected);
    }
    for (id, shown_key) in [("radius", "mfad_sk_x"), ("nobody", radius.as_str())] {
        let pair = STANDARD.encode(format!("{id}:{shown_key}"));
        let reply = shown(&server, "authorization", &format!("Basic {pair}")).await;
        let told = reply.refused(401, "invalid_token");
        assert_eq!(told["detail"], "The service key is not accepted.");
        assert_eq!(
            reply.header("www-authenticate"),
            r#"Bearer error="invalid_token""#
        );
    }
    server.alice().get(WHO).await.refused(403, "forbidden");
    server
        .stranger()
        .get(WHO)
        .await
        .refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_token_and_a_key_are_one_service_where_the_client_is_registered() {
    let options = Options {
        extra: Some(who),
        ..Default::default()
    };
    let server = Server::start_with(options).await;
    // Nobody has registered the client, and it has few rights.
    let unknown = server.login_service().get(WHO).await.ok();
    assert_eq!(unknown["id"], "portal");
    assert_eq!(unknown["return_urls"], json!([]));

    // Its name is taken by somebody else, as far as anybody knows.
    ordered(&server, &["add", "portal"]).await;
    let refused = server.login_service().get(WHO).await;
    let told = refused.refused(403, "forbidden");
    assert!(
        told["detail"].as_str().unwrap().contains("--client-id"),
        "{told}"
    );

    ordered(&server, &["remove", "portal"]).await;
    let url = "https://portal.example.org/mfa";
    let order = ["add", "web", "--client-id", "portal", "--return-url", url];
    let web = key(&ordered(&server, &order).await);
    let by_token = server.login_service().get(WHO).await.ok();
    let by_key = server.bearer(web).get(WHO).await.ok();
    assert_eq!(by_token, by_key);
    assert_eq!(by_key["id"], "web");
    assert_eq!(by_key["return_urls"], json!([url]));
}

#[tokio::test]
async fn a_rotated_key_goes_on_for_its_overlap_and_a_removed_one_ends_at_once() {
    let options = Options {
        extra: Some(who),
        ..Default::default()
    };
    let server = Server::start_with(options).await;
    let first = key(&ordered(&server, &["add", "portal"]).await);
    let second = key(&ordered(&server, &["rotate", "portal", "--overlap", "1h"]).await);
    server.clock.forward(3599);
    assert!(is_known(&server, &first).await && is_known(&server, &second).await);
    server.clock.forward(1);
    assert!(!is_known(&server, &first).await && is_known(&server, &second).await);

    let third = key(&ordered(&server, &["rotate", "portal"]).await);
    server.clock.forward(24 * 3600 - 1);
    assert!(
        is_known(&server, &second).await,
        "24 h, where nothing else is said"
    );
    let fourth = key(&ordered(&server, &["rotate", "portal", "--overlap", "0"]).await);
    for over in [&first, &second, &third] {
        assert!(!is_known(&server, over).await);
    }
    assert!(is_known(&server, &fourth).await);
    ordered(&server, &["remove", "portal"]).await;
    assert!(!is_known(&server, &fourth).await);
}

#[tokio::test]
async fn orders_are_the_same_whether_a_server_runs_or_not() {
    let site = Site::new().await;
    let mut early = site.service(&["add", "portal"]);
    early.ends_with(78).await;
    assert!(
        early.stderr().contains("there is no store in"),
        "{}",
        early.stderr()
    );
    assert!(hint(&early.stderr()), "{}", early.stderr());
    assert!(!site.data_dir().exists(), "a store of whoever gives orders");

    let mut server = site.serve().await;
    let socket = site.data_dir().join("control.sock");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&site.data_dir()), mode(&socket)), (0o700, 0o600));
    let mut add = site.service(&["add", "portal", "--return-url", "http://localhost:3000/"]);
    add.ends_with(0).await;
    let first = key(&add.stdout());
    assert!(
        add.stderr().contains("portal is registered"),
        "{}",
        add.stderr()
    );
    assert!(!add.stderr().contains(&first));
    server.stop().await;
    assert!(!socket.exists());

    let second = key(&site.ordered(&["add", "radius", "--sends", "email"]).await);
    assert_ne!(first, second);
    let offline = listed(&site.ordered(&["list", "--json"]).await);
    let mut server = site.serve().await;
    let online = listed(&site.ordered(&["list", "--json"]).await);
    assert_eq!(offline, online);
    assert_eq!(online[0]["id"], "portal");
    assert_eq!(online[0]["return_urls"], json!(["http://localhost:3000/"]));
    assert_eq!(
        (&online[1]["id"], &online[1]["sends"]),
        (&json!("radius"), &json!("email"))
    );
    assert_eq!(online[1]["last_used_at"], Value::Null);
    assert_eq!(online[1]["unknown"], "enroll");
    let words = site.ordered(&["list"]).await;
    assert!(
        words.contains("radius\n  sends       email\n  unknown     enroll\n"),
        "{words}"
    );

    for (arguments, exit) in [
        (&["add", "portal"][..], 64),
        (&["add", "Portal"], 64),
        (&["add", "x", "--return-url", "http://example.org/"], 64),
        (&["add", "x", "--sends", "phone"], 64),
        (&["rotate", "nobody"], 64),
        (&["rotate", "portal", "--overlap", "1"], 64),
        (&["rotate", "portal", "--overlap", "91d"], 64),
        (&["remove", "nobody"], 64),
        (&["remove"], 64),
        (&["list", "--data-dir", "/nowhere"], 78),
    ] {
        let mut refused = site.service(arguments);
        refused.ends_with(exit).await;
        assert_eq!(refused.stdout(), "", "{arguments:?}");
        assert!(refused.stderr().contains("error: "), "{arguments:?}");
    }
    let log = server.stderr();
    let said = log_lines(&log).any(|line| {
        line["message"] == "a login service was registered" && line["service"] == "portal"
    });
    assert!(!said, "that was the first server");

    // A server that was killed leaves its socket, and nobody minds.
    server.kill().await;
    assert!(
        fs::symlink_metadata(&socket)
            .unwrap()
            .file_type()
            .is_socket()
    );
    site.ordered(&["remove", "radius"]).await;
    let mut server = site.serve().await;
    key(&site.ordered(&["rotate", "portal"]).await);
    let left = listed(&site.ordered(&["list", "--json"]).await);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["keys"].as_array().unwrap().len(), 2);
    let log = server.stderr();
    let told: Vec<Value> = log_lines(&log)
        .filter(|line| line["service"] == "portal")
        .collect();
    assert_eq!(told.len(), 1, "{log}");
    assert_eq!(told[0]["level"], "INFO");
    server.stop().await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn the_folder_is_found_by_flag_variable_and_file_on_either_side_of_the_order() {
    let site = Site::new().await;
    site.serve().await.stop().await;
    let data = site.data_dir();
    let data = data.to_str().unwrap();
    for arguments in [
        ["service", "list", "--data-dir", data],
        ["service", "--data-dir", data, "list"],
    ] {
        Process::mfad(arguments).ends_with(0).await;
    }
    let mut command = Command::new(PROGRAM);
    command
        .args(["service", "list"])
        .env_clear()
        .env("MFAD_DATA_DIR", data);
    Process::start(&mut command).ends_with(0).await;
    let mut command = Command::new(PROGRAM);
    command
        .args(["service", "list"])
        .env_clear()
        .env("MFAD_CONFIG", site.config_file());
    Process::start(&mut command).ends_with(0).await;

    // Another key's place is looked at, and a mistake in the file is told.
    let mut wrong = site.service(&["list", "--master-key-file", "/nowhere/key"]);
    wrong.ends_with(78).await;
    assert!(hint(&wrong.stderr()), "{}", wrong.stderr());
    fs::write(site.path("bad.toml"), "data-dirr = \"x\"\n").unwrap();
    let bad = site.path("bad.toml");
    let mut wrong = Process::mfad(["service", "list", "--config", bad.to_str().unwrap()]);
    wrong.ends_with(78).await;
    assert!(
        wrong.stderr().contains("did you mean data-dir?"),
        "{}",
        wrong.stderr()
    );
}

#[tokio::test]
async fn commands_at_once_on_one_file_wait_for_each_other() {
    let site = Site::new().await;
    site.serve().await.stop().await;
    let data = site.data_dir();
    let names = ["a", "b", "c", "d"];
    let mut adds = names.map(|id| {
        let place = ["--data-dir", data.to_str().unwrap()];
        Process::mfad([&["service", "add", id][..], &place].concat())
    });
    for add in &mut adds {
        add.ends_with(0).await;
    }
    let all = listed(&site.ordered(&["list", "--json"]).await);
    assert_eq!(all.iter().map(|one| &one["id"]).collect::<Vec<_>>(), names);
}

#[tokio::test]
async fn a_key_that_cannot_be_written_is_not_lost_in_silence() {
    let site = Site::new().await;
    site.serve().await.stop().await;
    let mut command = Command::new("sh");
    let order = r#""$0" service add portal --config "$1" > /dev/full"#;
    command
        .args(["-c", order, PROGRAM])
        .arg(site.config_file())
        .env_clear();
    let mut add = Process::start(&mut command);
    add.ends_with(74).await;
    let said = add.stderr();
    assert!(said.contains("mfad service rotate portal"), "{said}");
    assert!(hint(&said) && !said.contains("mfad_sk_"), "{said}");
    key(&site.ordered(&["rotate", "portal"]).await);
}

#[tokio::test]
async fn garbage_on_the_socket_harms_nobody() {
    let site = Site::new().await;
    let server = site.serve().await;
    let socket = site.data_dir().join("control.sock");
    for garbage in [
        b"\n".to_vec(),
        b"\x00\xff\xfe\n".to_vec(),
        b"{\"service_add\":{\"id\":\"canary-2f80\"}}\n".to_vec(),
        vec![b'['; 1 << 20],
        Vec::new(),
    ] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        // It may be cut off in the middle.
        let _ = stream.write_all(&garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!String::from_utf8_lossy(&answer).contains("canary"));
    }
    assert_eq!(site.ordered(&["list", "--json"]).await, "[]\n");
    let log = server.stderr();
    assert!(log_lines(&log).all(|line| line["level"] == "INFO"), "{log}");
    assert!(!log.contains("canary"));
}

#[tokio::test]
async fn another_users_orders_are_not_heard() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else can be had; who may order is tested beside the code.
        return;
    }
    let site = Site::new().await;
    let program = site.path("mfad");
    fs::copy(PROGRAM, &program).unwrap();
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    open(program.parent().unwrap(), 0o711);
    open(&program, 0o755);
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).env_clear().uid(NOBODY).gid(NOBODY);
        command
    };
    let data = site.data_dir();
    let list = ["service", "list", "--data-dir", data.to_str().unwrap()];
    let mut server = site.serve().await;
    let mut other = Process::start(&mut as_nobody(&list));
    other.ends_with(78).await;
    assert!(
        other.stderr().contains("run this as the server's own user"),
        "{}",
        other.stderr()
    );

    // Even where somebody has opened folder and socket to all.
    open(&data, 0o711);
    open(&data.join("control.sock"), 0o666);
    let mut other = Process::start(&mut as_nobody(&list));
    other.ends_with(75).await;
    assert_eq!(other.stdout(), "");
    server
        .says("who it was", |log| {
            log_lines(log)
                .any(|line| line["uid"] == NOBODY && line["level"] == "WARN")
                .then_some(())
        })
        .await;
    server.stop().await;

    // root's orders reach a server of another user.
    for path in [
        &data,
        &data.join("master.key"),
        &data.join("mfad.redb"),
        &data.join("mfad.witness"),
        &site.path("smtp.password"),
    ] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let config = site.config_file();
    let mut server = Process::start(&mut as_nobody(&[
        "serve",
        "--config",
        config.to_str().unwrap(),
    ]));
    server.listening().await;
    key(&site.ordered(&["add", "portal"]).await);
    let mut own = Process::start(&mut as_nobody(&[&list[..], &["--json"]].concat()));
    own.ends_with(0).await;
    assert_eq!(listed(&own.stdout())[0]["id"], "portal");
    server.stop().await;

    // Without a server root would leave files behind that the server cannot read.
    let mut root = site.service(&["add", "another"]);
    root.ends_with(78).await;
    assert!(
        root.stderr().contains("belongs to another user"),
        "{}",
        root.stderr()
    );
}

#[tokio::test]
async fn what_an_unknown_user_means_is_changed_on_the_server_and_on_its_store() {
    let site = Site::new().await;
    for running in [false, true] {
        let id = format!("radius-{running}");
        let mut server = match running {
            true => Some(site.serve().await),
            false => {
                site.serve().await.stop().await;
                None
            }
        };
        site.ordered(&["add", &id, "--sends", "username"]).await;
        let unknown = async || {
            let services = listed(&site.ordered(&["list", "--json"]).await);
            let service = services.iter().find(|it| it["id"] == id.as_str());
            service.unwrap()["unknown"].clone()
        };
        assert_eq!(unknown().await, "enroll");
        for word in ["deny", "allow", "enroll"] {
            let set = ["set", &id, "--unknown", word];
            assert_eq!(site.ordered(&set).await, "");
            assert_eq!(unknown().await, word);
            let words = site.ordered(&["list"]).await;
            assert!(
                words.contains(&format!("  unknown     {word}\n")),
                "{words}"
            );
        }
        for arguments in [
            &["set", &id, "--unknown", "ask"][..],
            &["set", &id],
            &["set", "nobody", "--unknown", "deny"],
            &["add", "x", "--unknown", "ask"],
        ] {
            let mut refused = site.service(arguments);
            refused.ends_with(64).await;
            assert!(refused.stderr().contains("error: "), "{arguments:?}");
        }
        if let Some(server) = &mut server {
            server.stop().await;
        }
    }
    let mut audit = site.run("audit");
    audit.ends_with(0).await;
    assert!(
        audit
            .stdout()
            .contains("service.set  radius-true unknown=deny")
    );
}
