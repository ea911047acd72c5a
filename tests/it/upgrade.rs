//! Stores of other programs: what earlier ones wrote is good in this one, what later ones wrote is left alone.

mod addresses;
mod bounds;
mod names;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use redb::{Database, TableDefinition};
use serde_json::{Value, json};

use crate::api::email;
use crate::api::login::{answer, open_with};
use crate::api::totp::{CONFIRM, DISABLE, REPLACE, UNLOCK, overview};
use crate::api::webauthn::prove;
use crate::session;
use crate::support::browser::{Browser, SESSION};
use crate::support::process::{files_below, now, write_secret};
use crate::support::{Client, Fixture, Options, PUBLIC_URL, Process, Server};

/// Exit code of what is refused until somebody decides.
const CONFIG: i32 = 78;
/// The format that this program writes.
const FORMAT: u32 = 3;

async fn start(fixture: &Fixture) -> Server {
    Server::start_with(Options {
        begins_with: Some(fixture.clone()),
        ..session::options()
    })
    .await
}

/// Answers with a code, where any factor's will do.
async fn unlock(person: &Client, code: &str) -> crate::support::Reply {
    let body = json!({"type": "totp", "code": code});
    person.post_json(UNLOCK, &body).await
}

#[test]
fn there_are_stores_of_earlier_programs() {
    let mut names: Vec<String> = Fixture::all().into_iter().map(|it| it.name).collect();
    names.sort();
    for name in [
        "first", "services", "witness", "keys", "names", "tenants", "bounds",
    ] {
        assert!(names.iter().any(|it| it == name), "{name}: {names:?}");
    }
}

#[tokio::test]
async fn people_find_everything_of_theirs_as_it_was() {
    for fixture in Fixture::all() {
        println!("{}", fixture.name);
        let server = start(&fixture).await;
        let (alice, bob) = (server.alice(), server.bob());
        let at = server.clock.unix();
        // Bob was locked out, and still is, for as long as he was to be.
        let of_bob = fixture.app("bob");
        let locked = bob.code(DISABLE, &of_bob.code(at + 30)).await;
        let left = locked.refused(429, "locked")["retry_after"]
            .as_u64()
            .unwrap();
        assert!((1..=30).contains(&left), "{left}");

        let mine = overview(&alice).await;
        assert_eq!(mine["enabled"], true, "{mine}");
        assert_eq!(mine["backup_codes"]["remaining"], 9, "{mine}");
        let devices = mine["devices"].as_array().unwrap();
        let mut types: Vec<&str> = devices
            .iter()
            .filter_map(|it| it["type"].as_str())
            .collect();
        types.sort_unstable();
        assert_eq!(types, ["email", "totp", "webauthn"], "{mine}");
        assert!(mine.to_string().contains("Blue key"), "{mine}");

        let history = alice.get("/api/v1/me/mfa/events?limit=100").await.ok();
        let lines = history["events"].as_array().unwrap();
        let actions: Vec<&str> = lines
            .iter()
            .filter_map(|it| it["action"].as_str())
            .collect();
        let expected = [
            "factor.unlock",
            "webauthn.verify",
            "webauthn.register",
            "email.confirm",
            "totp.confirm",
        ];
        for action in expected {
            assert!(actions.contains(&action), "{action}: {actions:?}");
        }

        // What was used up is used up, and what was not can be used once.
        let app = fixture.app("alice");
        unlock(&alice, &app.code(at))
            .await
            .refused(400, "code_used");
        let (spent, unspent) = fixture.backup_codes();
        unlock(&alice, &spent).await.refused(400, "code_used");
        unlock(&alice, &unspent[0]).await.ok();
        unlock(&alice, &unspent[0]).await.refused(400, "code_used");

        // Carol ends what she began. What she had begun beside it, without a factor to prove, ends with it.
        let carol = server.person("carol");
        let mailed = fixture.facts["carol"]["mailed"].as_str().unwrap();
        carol.code(email::CONFIRM, mailed).await.ok();
        let of_carol = fixture.app("carol");
        let reply = carol.code(CONFIRM, &of_carol.code(at)).await;
        reply.refused(409, "not_pending");

        server.clock.forward(60);
        let now = server.clock.unix();
        bob.code(REPLACE, &of_bob.code(now)).await.ok();
        alice.code(REPLACE, &app.code(now)).await.ok();
        alice
            .code(REPLACE, &app.code(now))
            .await
            .refused(400, "code_used");
        let proof = prove(&alice, &mut fixture.security_key()).await;
        alice.code(REPLACE, &proof).await.ok();
        let dora = server.person("dora");
        let mailed = email::mailed_code(&server, &dora, email::SEND).await;
        dora.code(email::DISABLE, &mailed).await.ok();
    }
}

#[tokio::test]
async fn login_services_go_on_where_they_were() {
    let mut tried = 0;
    for fixture in Fixture::all() {
        let of_portal = &fixture.facts["portal"];
        let Some(key) = of_portal["key"].as_str() else {
            continue;
        };
        tried += 1;
        println!("{}", fixture.name);
        let mut server = start(&fixture).await;
        let portal = Client::new(server.address, Some(key.to_owned()));
        let at = server.clock.unix();
        let app = fixture.app("alice");

        // The session of the settings page, the policy that was stored, and what was signed.
        let mut browser = Browser::new(server.address);
        let session = fixture.facts["session"].as_str().unwrap().to_owned();
        browser.jar.insert(SESSION.to_owned(), session);
        assert_eq!(browser.session().await["signed_in"], true);
        assert_eq!(browser.overview().await.ok()["enabled"], true);
        assert_eq!(server.policy().grace_days, 14);
        let token = of_portal["verified"]["token"].as_str().unwrap();
        assert!(good(&server, token).await);

        // A sign-in that waited, with a code of a step that was used there and with one that was not.
        let waiting = &json!({"challenge_id": of_portal["waiting"]});
        let used = answer(&portal, waiting, "totp", &app.code(at + 30)).await;
        used.refused(400, "code_used");
        let (spent, unspent) = fixture.backup_codes();
        let used = answer(&portal, waiting, "backup_code", &spent).await;
        used.refused(400, "code_used");
        let verified = answer(&portal, waiting, "backup_code", &unspent[3])
            .await
            .ok();
        assert!(good(&server, verified["token"].as_str().unwrap()).await);

        // The browser that was trusted, whose token changes with each use.
        let device = of_portal["verified"]["device_token"].as_str().unwrap();
        let allowed = open_with(&portal, "alice", json!({"device_token": device})).await;
        assert_eq!(allowed["decision"], "allow", "{allowed}");

        server.clock.forward(60);
        let challenge = open_with(&portal, "alice", json!({})).await;
        let code = app.code(server.clock.unix());
        answer(&portal, &challenge, "totp", &code).await.ok();

        // And once more after a restart, when it is no store of an earlier program any more.
        server.restart().await;
        let portal = Client::new(server.address, Some(key.to_owned()));
        let challenge = open_with(&portal, "alice", json!({})).await;
        answer(&portal, &challenge, "totp", &code)
            .await
            .refused(400, "code_used");
        answer(&portal, &challenge, "backup_code", &unspent[4])
            .await
            .ok();
    }
    assert!(tried >= 2, "{tried}");
}

/// Whether whoever fetches the published keys finds `token` good.
async fn good(server: &Server, token: &str) -> bool {
    let published = server.stranger().get("/.well-known/jwks.json").await;
    let set: JwkSet = serde_json::from_str(&published.text).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let jwk = set.find(&header.kid.unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    // The machine's clock is not the server's.
    validation.validate_exp = false;
    validation.set_audience(&["portal"]);
    validation.set_issuer(&[PUBLIC_URL]);
    let key = DecodingKey::from_jwk(jwk).unwrap();
    jsonwebtoken::decode::<Value>(token, &key, &validation).is_ok()
}

/// A folder with a fixture's store in it, and what runs there.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn empty() -> Place {
        Place {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn of(fixture: &Fixture) -> Place {
        let place = Place::empty();
        fixture.unpack(&place.data());
        if let Some(passphrase) = fixture.passphrase() {
            write_secret(&place.passphrase(), passphrase.as_bytes());
        }
        place
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn passphrase(&self) -> PathBuf {
        self.folder.path().join("passphrase")
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        files_below(&self.data())
    }

    fn run(&self, arguments: &[&str]) -> Process {
        let data = self.data();
        let passphrase = self.passphrase();
        let mut words = arguments.to_vec();
        words.extend(["--data-dir", data.to_str().unwrap()]);
        if passphrase.exists() {
            words.extend(["--master-key-passphrase-file", passphrase.to_str().unwrap()]);
        }
        Process::mfad(words)
    }

    /// `check` and `serve` with an issuer that nobody asks.
    fn with_settings(&self, command: &str) -> Process {
        let jwks = self.folder.path().join("jwks.json");
        let key = r#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "test", "alg": "ES256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
        fs::write(&jwks, key).unwrap();
        let jwks = jwks.to_str().unwrap();
        let issuer = "https://id.example.com";
        let listen = ["--listen", "127.0.0.1:0"];
        let mut words = vec![command, "--public-url", PUBLIC_URL];
        words.extend(["--issuer", issuer, "--jwks-file", jwks]);
        words.extend(listen);
        words.extend(["--log-format", "json"]);
        self.run(&words)
    }

    async fn checks(&self) -> String {
        let mut process = self.with_settings("check");
        process.ends_with(0).await;
        process.stdout()
    }
}

#[tokio::test]
async fn check_tells_what_the_next_start_changes_and_changes_nothing() {
    for fixture in Fixture::all() {
        println!("{}", fixture.name);
        let place = Place::of(&fixture);
        let before = place.files();
        let told = place.checks().await;
        assert_eq!(place.checks().await, told);
        assert_eq!(place.files(), before, "{told}");
        let is = told.split("note: the store has format ").nth(1).unwrap();
        let is: u32 = is.split(',').next().unwrap().parse().unwrap();
        assert!((1..=FORMAT).contains(&is), "{told}");
        assert_eq!(told.contains("format 1 becomes 2: "), is == 1, "{told}");
        let named = told.contains("the next start changes it: it gets a name");
        assert_eq!(named, fixture.file("mfad.witness").is_none(), "{told}");

        let mut server = place.with_settings("serve");
        server.listening().await;
        let log = server.stderr();
        let changes = told
            .lines()
            .filter_map(|line| line.split_once("the next start changes it: "));
        for (_, change) in changes {
            assert!(log.contains(change), "{change}: {log}");
        }
        server.stop().await;
        let told = place.checks().await;
        let by = format!(
            "format {FORMAT}, last written by mfad {}",
            env!("CARGO_PKG_VERSION")
        );
        assert!(told.contains(&by), "{told}");
        assert!(
            told.contains("the next start changes nothing in it"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_master_key_that_an_earlier_program_handed_over_to_takes_over() {
    let mut tried = 0;
    for fixture in Fixture::all() {
        let Some(next) = fixture.file("next.key") else {
            continue;
        };
        tried += 1;
        let place = Place::of(&fixture);
        write_secret(&place.data().join("master.key"), &fs::read(next).unwrap());
        fs::remove_file(place.passphrase()).unwrap();
        let told = place.checks().await;
        assert!(
            told.contains("the new master key takes the place of"),
            "{told}"
        );
        let mut server = place.with_settings("serve");
        server.listening().await;
        let log = server.stderr();
        assert!(
            log.contains("the new master key takes the place of"),
            "{log}"
        );
        server.stop().await;
        let told = place.checks().await;
        assert!(told.contains("changes nothing in it"), "{told}");
        // The one before opens nothing any more.
        let before = fixture.file("master.key").unwrap();
        let passphrase = fixture.passphrase().unwrap();
        write_secret(&place.data().join("master.key"), &fs::read(before).unwrap());
        write_secret(&place.passphrase(), passphrase.as_bytes());
        let mut process = place.run(&["policy", "show"]);
        process.ends_with(CONFIG).await;
        assert!(
            process.stderr().contains("sealed under master key"),
            "{}",
            process.stderr()
        );
    }
    assert!(tried >= 1, "{tried}");
}

/// Has the file say another format, and who wrote it.
fn say(store: &Path, format: u32, version: &str) {
    let database = Database::open(store).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let meta: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
        let mut table = transaction.open_table(meta).unwrap();
        table
            .insert("format", format.to_be_bytes().as_slice())
            .unwrap();
        table.insert("written by", version.as_bytes()).unwrap();
    }
    transaction.commit().unwrap();
}

#[tokio::test]
async fn what_a_newer_program_wrote_is_refused_and_left_as_it_is() {
    let place = Place::of(&Fixture::of("witness"));
    say(
        &place.data().join("mfad.redb"),
        FORMAT + 1,
        "9.8.7\u{1b}[2J",
    );
    let before = place.files();
    let own = format!(
        "this is mfad {}, which knows formats up to {FORMAT}",
        env!("CARGO_PKG_VERSION")
    );
    let refused = async |mut process: Process| {
        process.ends_with(CONFIG).await;
        let said = process.stdout() + &process.stderr();
        for words in [
            "format 4 by mfad 9.8.7",
            &own,
            "hint: ",
            "install",
            "mfad restore",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(!said.contains('\u{1b}'), "{said}");
        assert_eq!(place.files(), before, "{said}");
    };
    refused(place.with_settings("serve")).await;
    refused(place.with_settings("check")).await;
    refused(place.run(&["backup", "-"])).await;
    refused(place.run(&["policy", "show"])).await;
    refused(place.run(&["restore", "--accept-rollback"])).await;
}

#[tokio::test]
async fn a_backup_of_a_newer_program_is_refused_and_nothing_is_changed() {
    let place = Place::of(&Fixture::of("witness"));
    let copy = place.folder.path().join("copy");
    let mut process = place.run(&["backup", copy.to_str().unwrap()]);
    process.ends_with(0).await;
    let whole = fs::read(&copy).unwrap();
    let before = place.files();
    let own = env!("CARGO_PKG_VERSION");
    for (old, new, told) in [
        ("\"format\":3", "\"format\":4", "in format 4 by mfad 9.9.9"),
        ("\"layout\":1", "\"layout\":3", "in format 3 by mfad 9.9.9"),
    ] {
        let mut head = whole[..600].to_vec();
        for (old, new) in [(old, new), (own, "9.9.9")] {
            let at = head.windows(old.len()).position(|it| it == old.as_bytes());
            let at = at.unwrap_or_else(|| panic!("{old} is in the head"));
            head[at..at + old.len()].copy_from_slice(new.as_bytes());
        }
        write_secret(&copy, &[&head, &whole[600..]].concat());
        let mut process = place.run(&["restore", copy.to_str().unwrap()]);
        process.ends_with(CONFIG).await;
        let said = process.stderr();
        for words in [told, &format!("this is mfad {own}"), "hint: install"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert_eq!(place.files(), before, "{said}");
    }
}

#[tokio::test]
async fn the_backup_of_an_earlier_program_comes_back() {
    let mut tried = 0;
    for fixture in Fixture::all() {
        let place = Place::of(&fixture);
        // Its own, or the one that this program makes of its store.
        let copy = match fixture.file("backup") {
            Some(path) => {
                tried += 1;
                path
            }
            None => {
                let path = place.folder.path().join("copy");
                let mut process = place.run(&["backup", path.to_str().unwrap()]);
                process.ends_with(0).await;
                path
            }
        };
        for name in ["mfad.redb", "mfad.witness"] {
            fs::remove_file(place.data().join(name)).unwrap();
        }
        let mut process = place.run(&["restore", copy.to_str().unwrap(), "--keep-backup-codes"]);
        process.ends_with(0).await;
        assert!(process.stdout().contains("epoch 2"), "{}", process.stdout());

        let server = start(&Fixture {
            moved: Some((place.data(), now() + 60)),
            ..fixture.clone()
        })
        .await;
        let alice = server.alice();
        let (spent, unspent) = fixture.backup_codes();
        let app = fixture.app("alice");
        unlock(&alice, &spent).await.refused(400, "code_used");
        unlock(&alice, &unspent[0]).await.ok();
        alice
            .code(REPLACE, &app.code(server.clock.unix()))
            .await
            .ok();
        prove(&alice, &mut fixture.security_key()).await;
        if let Some(key) = fixture.facts["portal"]["key"].as_str() {
            let portal = Client::new(server.address, Some(key.to_owned()));
            // Nobody can tell whether it was used since the copy.
            let device = &fixture.facts["portal"]["verified"]["device_token"];
            let opened = open_with(&portal, "alice", json!({"device_token": device})).await;
            assert_eq!(opened["decision"], "challenge", "{opened}");
            answer(&portal, &opened, "backup_code", &unspent[1])
                .await
                .ok();
        }
    }
    assert!(tried >= 1, "{tried}");
}

/// A program of an earlier format would misread a record of a later shape; the format in the file keeps it from that.
#[test]
fn every_new_shape_of_a_record_raises_the_format() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut raised, mut format) = (0, None);
    for (path, bytes) in files_below(&sources) {
        let text = String::from_utf8(bytes).unwrap_or_default();
        if path
            .file_name()
            .is_some_and(|name| name.to_str().unwrap().ends_with("tests.rs"))
        {
            continue;
        }
        let (text, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
        let numbers = |before: &str| -> Vec<u32> {
            let found = text.split(before).skip(1);
            let ends = found.map(|after| after.split(';').next().unwrap().parse().unwrap());
            ends.collect()
        };
        raised += numbers("const VERSION: u8 = ")
            .iter()
            .map(|it| it - 1)
            .sum::<u32>();
        format = numbers("pub const FORMAT: u32 = ").pop().or(format);
    }
    // Several may come with one format, and none without.
    assert!(raised == 0 || format.unwrap() > 1, "{raised} {format:?}");
    assert!(format.is_some());
}
