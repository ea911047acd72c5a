//! Secrets that no output, no file and no view of the process may hold.

mod session;
mod sign_in;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

use axum::body::Bytes;
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::process::{PROGRAM, SMTP_PASSWORD, files_below, now};
use crate::support::{App, Authenticator, Client, Process, Reply, Site};

/// No user of ours: what a server of theirs leaves open, they alone may read.
const NOBODY: u32 = 65_534;

/// What must not be found, by what it is.
#[derive(Default)]
struct Canaries(BTreeMap<String, Vec<u8>>);

impl Canaries {
    fn add(&mut self, what: &str, secret: impl AsRef<[u8]>) {
        self.0.insert(what.to_owned(), secret.as_ref().to_vec());
    }

    fn text(&mut self, what: &str, value: &Value) {
        self.add(what, value.as_str().unwrap());
    }

    fn codes(&mut self, what: &str, codes: &Value) -> Vec<String> {
        let codes: Vec<String> = serde_json::from_value(codes.clone()).unwrap();
        assert_eq!(codes.len(), 10);
        for (n, code) in codes.iter().enumerate() {
            self.add(&format!("{what} {n}"), code);
            self.add(&format!("{what} {n}, ungrouped"), code.replace('-', ""));
        }
        codes
    }

    /// The names of those that `bytes` hold in any face.
    fn found_in(&self, bytes: &[u8]) -> Vec<&str> {
        let found = |secret: &Vec<u8>| faces(secret).iter().any(|face| holds(bytes, face));
        self.0
            .iter()
            .filter(|(_, secret)| found(secret))
            .map(|(what, _)| what.as_str())
            .collect()
    }
}

/// As it is, in hexadecimal, and in the Base64 of whatever it stands in.
fn faces(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = data_encoding::HEXLOWER.encode(secret);
    let mut faces = vec![secret.to_vec(), hex.to_uppercase().into(), hex.into()];
    for before in 0..3 {
        let padded = [vec![0; before], secret.to_vec()].concat();
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = engine.encode(&padded);
            // What shares a character with its neighbours depends on them.
            let from = (before * 8).div_ceil(6);
            let to = padded.len() * 8 / 6;
            faces.push(text.as_bytes()[from..to].to_vec());
        }
    }
    faces
}

/// Six digits may be a part of a longer number by chance, so they count where they stand alone.
fn holds(bytes: &[u8], face: &[u8]) -> bool {
    let digits = face.iter().all(u8::is_ascii_digit) && face.len() < 12;
    let neighbour = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'.')
    };
    bytes.windows(face.len()).enumerate().any(|(at, window)| {
        window == face
            && !(digits && (neighbour(at.checked_sub(1)) || neighbour(Some(at + face.len()))))
    })
}

#[test]
fn a_secret_is_found_in_every_face_it_may_have() {
    let mut canaries = Canaries::default();
    canaries.add("one", "JBSWY3DPEHPK3PXP");
    canaries.add("six", "492039");
    for before in ["", "x", "xy", "xyz"] {
        let text = format!("{before}JBSWY3DPEHPK3PXP and more");
        for face in [
            text.clone(),
            STANDARD_NO_PAD.encode(&text),
            URL_SAFE_NO_PAD.encode(&text),
            data_encoding::HEXLOWER.encode(text.as_bytes()),
        ] {
            assert_eq!(canaries.found_in(face.as_bytes()), ["one"], "{face}");
        }
    }
    assert_eq!(canaries.found_in(b"{\"code\":\"492039\"}"), ["six"]);
    assert!(canaries.found_in(b"12:00:00.492039Z 1492039").is_empty());
}

/// Walks through everything that has a secret, and gives them all.
async fn walk(site: &Site, server: &Process) -> Canaries {
    let mut canaries = Canaries::default();
    let alice = site.person(server.address(), "alice");
    let token = alice.token.clone().unwrap();
    canaries.add("the token's signature", token.rsplit_once('.').unwrap().1);
    canaries.add("the token's claims", token.split('.').nth(1).unwrap());
    canaries.add("the SMTP password", SMTP_PASSWORD);
    canaries.add("the address", "alice@example.com");

    let setup = alice.post("/api/v1/me/mfa/totp/enable").await.ok();
    let app = App::scan(&setup);
    canaries.add("the TOTP secret", &app.secret);
    let raw = data_encoding::BASE32_NOPAD.decode(app.secret.as_bytes());
    canaries.add("the TOTP secret's bytes", raw.unwrap());
    let wrong = app.wrong_code(now());
    let confirm = async |code: &str| alice.code("/api/v1/me/mfa/totp/confirm", code).await;
    confirm(&wrong).await.refused(400, "wrong_code");
    let code = app.code(now());
    let confirmed = confirm(&code).await.ok();
    let backup = canaries.codes("backup code", &confirmed["backup_codes"]);
    canaries.add("a wrong code", wrong);
    canaries.add("a TOTP code", code);

    alice.post("/api/v1/me/mfa/email/enable").await.ok();
    let mailed = loop {
        if let Some(code) = site.smtp.next_mail().await.code() {
            break code;
        }
    };
    let code = alice.code("/api/v1/me/mfa/email/confirm", &mailed).await;
    code.ok();
    canaries.add("the mailed code", mailed);

    let begun = alice.post("/api/v1/me/mfa/webauthn/register/begin").await;
    let begun = begun.ok();
    canaries.text("the WebAuthn challenge", &begun["publicKey"]["challenge"]);
    let mut key = Authenticator::new();
    let post = async |path: &str, body: &Value| -> Reply { alice.post_json(path, body).await };
    post(
        "/api/v1/me/mfa/webauthn/register/complete",
        &key.register(&begun),
    )
    .await
    .ok();
    let begun = alice.post("/api/v1/me/mfa/webauthn/verify/begin").await;
    let answer = key.verify(&begun.ok());
    let proved = post("/api/v1/me/mfa/webauthn/verify/complete", &answer).await;
    let proof = proved.ok();
    canaries.text("the proof", &proof["code"]);
    let code = proof["code"].as_str().unwrap();
    let fresh = alice
        .code("/api/v1/me/mfa/backup-codes/regenerate", code)
        .await;
    let fresh = canaries.codes("new backup code", &fresh.ok()["backup_codes"]);

    let replace = "/api/v1/me/mfa/totp/replace";
    let void = alice.code(replace, &backup[0]).await;
    void.refused(400, "wrong_code");
    let second = App::scan(&alice.code(replace, &fresh[0]).await.ok());
    canaries.add("the second TOTP secret", &second.secret);

    // What is wrong in shape, and what is in the wrong place.
    let odd = json!({"code": {"nested": "canary-nested-33f1"}, "canary-name-77ab": 1});
    post(replace, &odd).await.misfit();
    let path = "/api/v1/me/mfa/webauthn/canary-path-90cd?code=canary-query-12ef";
    alice.delete(path).await.refused(404, "not_found");
    let forged = format!(
        "{}.canary-signature-4d5e",
        token.rsplit_once('.').unwrap().0
    );
    let forger = Client::new(server.address(), Some(forged));
    forger
        .get("/api/v1/me/mfa")
        .await
        .refused(401, "invalid_token");
    for text in [
        "nested-33f1",
        "name-77ab",
        "path-90cd",
        "query-12ef",
        "signature-4d5e",
    ] {
        canaries.add(text, format!("canary-{text}"));
    }
    alice.get("/api/v1/me/mfa/events").await.ok();
    canaries
}

/// Gives a login service keys, shows them where they are good for nothing, and gives the last.
async fn service_keys(site: &Site, server: &Process, canaries: &mut Canaries) -> String {
    let stranger = Client::new(server.address(), None);
    let mut last = String::new();
    let add = ["add", "portal", "--return-url", sign_in::RETURN];
    for order in [&add[..], &["rotate", "portal"]] {
        let key = site.ordered(order).await;
        let key = key.trim_end();
        assert!(key.starts_with("mfad_sk_"), "{key}");
        let basic = STANDARD_NO_PAD.encode(format!("portal:{key}"));
        for header in [
            ("authorization", format!("Bearer {key}")),
            ("authorization", format!("Basic {basic}")),
            ("x-api-key", key.to_owned()),
        ] {
            let headers = [(header.0, header.1.as_str())];
            let asked = stranger.send(Method::GET, "/api/v1/me/mfa", &headers, Bytes::new());
            assert_eq!(asked.await.status, 401);
        }
        canaries.add(&format!("the key of {order:?}"), &key["mfad_sk_".len()..]);
        key.clone_into(&mut last);
    }
    let listed = site.ordered(&["list", "--json"]).await;
    assert_eq!(canaries.found_in(listed.as_bytes()), [""; 0], "{listed}");
    last
}

#[tokio::test]
async fn no_secret_is_in_the_log_the_store_or_the_view_of_the_process() {
    let mut site = Site::new().await;
    site.set("log", "trace");
    session::keep_secret(&mut site);
    // The keys that sign results are there from the first start on, and can be looked at before the next.
    site.serve().await.stop().await;
    let mut keys = Canaries::default();
    sign_in::signing_keys(&site.data_dir(), &mut keys).await;
    let mut server = site.serve().await;
    let mut canaries = walk(&site, &server).await;
    canaries.0.extend(keys.0);
    let portal = service_keys(&site, &server, &mut canaries).await;
    sign_in::walk(&site, &server, &portal, &mut canaries).await;
    session::walk(&site, &server, &mut canaries).await;
    let key = site.data_dir().join("master.key");
    canaries.add("the master key", fs::read(&key).unwrap());

    let proc = format!("/proc/{}", server.pid.as_raw_nonzero());
    for view in ["environ", "cmdline"] {
        match fs::read(format!("{proc}/{view}")) {
            Ok(seen) => assert_eq!(canaries.found_in(&seen), [""; 0], "{view}"),
            // An undumpable process keeps them from its own user altogether.
            Err(e) => assert_eq!(e.kind(), io::ErrorKind::PermissionDenied, "{view}"),
        }
    }
    // While it runs, and after it has ended.
    for _ in 0..2 {
        for (path, bytes) in files_below(&site.data_dir()) {
            if path != key {
                assert_eq!(canaries.found_in(&bytes), [""; 0], "{}", path.display());
            }
        }
        if server.is_running() {
            server.stop().await;
        }
    }
    let said = server.stdout() + &server.stderr();
    assert!(said.contains("TRACE") || said.contains("DEBUG"), "{said}");
    assert_eq!(canaries.found_in(said.as_bytes()), [""; 0], "{said}");
}

#[tokio::test]
async fn the_process_cannot_be_dumped_nor_read_by_its_own_user() {
    let site = Site::new().await;
    let root = rustix::process::geteuid().is_root();
    let mut command = Command::new(PROGRAM);
    if root {
        // What belongs to root says nothing of who may read it, so it runs as somebody else.
        let program = site.path("mfad");
        fs::copy(PROGRAM, &program).unwrap();
        let open = |path: &OsStr, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let folder = program.parent().unwrap();
        open(folder.as_ref(), 0o711);
        open(program.as_ref(), 0o755);
        fs::create_dir(site.data_dir()).unwrap();
        for path in [site.data_dir(), site.path("smtp.password")] {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        command = Command::new(program);
        command.uid(NOBODY).gid(NOBODY);
    }
    command.args(["serve", "--config"]).arg(site.config_file());
    let mut server = Process::start(command.env_clear());
    server.listening().await;

    let proc = format!("/proc/{}", server.pid.as_raw_nonzero());
    let limits = fs::read_to_string(format!("{proc}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let numbers: Vec<&str> = core.unwrap().split_whitespace().skip(4).collect();
    assert_eq!(numbers, ["0", "0", "bytes"]);
    // The kernel takes the memory of an undumpable process away from its own user.
    let user = match root {
        true => NOBODY,
        false => rustix::process::geteuid().as_raw(),
    };
    for view in ["mem", "environ", "maps"] {
        let owner = fs::metadata(format!("{proc}/{view}")).unwrap().uid();
        assert_ne!(owner, user, "{view}");
    }
    server.signal(Signal::ABORT);
    let end = server.end().await;
    assert_eq!(end.signal(), Some(Signal::ABORT.as_raw()));
    assert!(!end.core_dumped());
}
