use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{App, Client, PUBLIC_URL, Server, at_once, code_at, tally};

pub const ENABLE: &str = "/api/v1/me/mfa/totp/enable";
pub const CONFIRM: &str = "/api/v1/me/mfa/totp/confirm";
pub const DISABLE: &str = "/api/v1/me/mfa/totp/disable";
pub const REPLACE: &str = "/api/v1/me/mfa/totp/replace";
pub const REGENERATE: &str = "/api/v1/me/mfa/backup-codes/regenerate";
pub const UNLOCK: &str = "/api/v1/me/mfa/unlock";

/// Sets up an app, and gives it with the backup codes that came.
pub async fn enrol(server: &Server, person: &Client) -> (App, Vec<String>) {
    let app = App::scan(&person.post(ENABLE).await.ok());
    let confirmed = person
        .code(CONFIRM, &app.code(server.clock.unix()))
        .await
        .ok();
    let codes = serde_json::from_value(confirmed["backup_codes"].clone()).unwrap_or_default();
    server.clock.next_step();
    (app, codes)
}

pub async fn overview(person: &Client) -> Value {
    person.get("/api/v1/me/mfa").await.ok()
}

/// The names of an object's members, sorted.
#[track_caller]
pub fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}

/// As the server writes moments.
pub fn rfc3339(unix: u64) -> String {
    mfad::base::Timestamp::from_unix(unix).to_string()
}

/// What a camera sees in `data:image/png;base64,…`.
fn scan(data_uri: &str) -> String {
    let image = data_uri.strip_prefix("data:image/png;base64,").unwrap();
    let image = STANDARD.decode(image).unwrap();
    let mut decoder = png::Decoder::new(std::io::Cursor::new(image));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(frame.color_type, png::ColorType::Grayscale);
    let (width, height) = (frame.width as usize, frame.height as usize);
    let mut image =
        rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * width + x]);
    let grids = image.detect_grids();
    assert_eq!(grids.len(), 1);
    grids[0].decode().unwrap().1
}

#[track_caller]
fn assert_setup(setup: &Value, now: u64, label: &str) {
    assert_eq!(
        names(setup),
        [
            "algorithm",
            "device_id",
            "digits",
            "expires_at",
            "otpauth_uri",
            "period",
            "qr_code",
            "secret"
        ]
    );
    let secret = setup["secret"].as_str().unwrap();
    assert!(
        secret.len() == 32
            && secret
                .bytes()
                .all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7')),
        "{secret}"
    );
    assert!(setup["device_id"].as_str().unwrap().starts_with("mfa_"));
    assert_eq!(
        (&setup["algorithm"], &setup["digits"], &setup["period"]),
        (&json!("SHA1"), &json!(6), &json!(30))
    );
    assert_eq!(setup["expires_at"], rfc3339(now + 900));
    let uri = setup["otpauth_uri"].as_str().unwrap();
    assert_eq!(scan(setup["qr_code"].as_str().unwrap()), uri);
    let uri = url::Url::parse(uri).unwrap();
    assert_eq!((uri.scheme(), uri.host_str()), ("otpauth", Some("totp")));
    assert_eq!(
        percent_encoding::percent_decode_str(uri.path())
            .decode_utf8()
            .unwrap(),
        format!("/{label}")
    );
    let mut pairs: Vec<(String, String)> = uri.query_pairs().into_owned().collect();
    pairs.sort();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        pairs,
        [
            pair("algorithm", "SHA1"),
            pair("digits", "6"),
            pair("issuer", "Example"),
            pair("period", "30"),
            pair("secret", secret)
        ]
    );
}

#[tokio::test]
async fn an_app_is_set_up_replaced_and_turned_off_in_the_contracts_words() {
    let server = Server::start().await;
    let alice = server.alice();
    let policy = json!({"required": false, "allowed": ["totp", "email", "webauthn"]});
    let nothing =
        json!({"enabled": false, "devices": [], "backup_codes": null, "policy": policy.clone()});
    assert_eq!(overview(&alice).await, nothing);
    let begun = server.clock.unix();
    let setup = alice.post(ENABLE).await.ok();
    assert_setup(&setup, begun, "Example:alice");
    let pending = json!({
        "device_id": setup["device_id"], "type": "totp", "name": "Authenticator app", "status": "pending",
        "created_at": rfc3339(begun), "last_used_at": null, "expires_at": rfc3339(begun + 900),
    });
    let expected = json!({"enabled": false, "devices": [pending], "backup_codes": null, "policy": policy.clone()});
    assert_eq!(overview(&alice).await, expected);

    server.clock.forward(60);
    let made = server.clock.unix();
    let app = App::scan(&setup);
    let confirmed = alice.code(CONFIRM, &app.code(made)).await.ok();
    let mut device = json!({
        "device_id": setup["device_id"], "type": "totp", "name": "Authenticator app", "status": "active",
        "created_at": rfc3339(made), "last_used_at": null,
    });
    assert_eq!(names(&confirmed), ["backup_codes", "device", "enabled"]);
    assert_eq!(
        (&confirmed["enabled"], &confirmed["device"]),
        (&json!(true), &device)
    );
    assert_eq!(confirmed["backup_codes"].as_array().unwrap().len(), 10);
    let left = json!({"total": 10, "remaining": 10, "created_at": rfc3339(made)});
    let expected = json!({"enabled": true, "devices": [device.clone()], "backup_codes": left.clone(), "policy": policy.clone()});
    assert_eq!(overview(&alice).await, expected);

    server.clock.next_step();
    let used = server.clock.unix();
    let setup = alice.code(REPLACE, &app.code(used)).await.ok();
    assert_setup(&setup, used, "Example:alice");
    device["last_used_at"] = json!(rfc3339(used));
    let pending = json!({
        "device_id": setup["device_id"], "type": "totp", "name": "Authenticator app", "status": "pending",
        "created_at": rfc3339(used), "last_used_at": null, "expires_at": rfc3339(used + 900),
    });
    let expected = json!({"enabled": true, "devices": [device, pending], "backup_codes": left, "policy": policy});
    assert_eq!(overview(&alice).await, expected);

    server.clock.next_step();
    let disabled = alice
        .code(DISABLE, &app.code(server.clock.unix()))
        .await
        .ok();
    assert_eq!(disabled, json!({"enabled": false}));
    // The pending app and the backup codes went with it.
    assert_eq!(overview(&alice).await, nothing);
}

#[tokio::test]
async fn whatever_a_person_is_called_their_uri_says_that_and_no_more() {
    let server = Server::start().await;
    for (name, label) in [
        (
            "a:b/c?secret=AAAA&issuer=Evil#d%41",
            "Example:a-b/c?secret=AAAA&issuer=Evil#d%41",
        ),
        (
            "Zoë Müller-Łukasz <script>",
            "Example:Zoë Müller-Łukasz <script>",
        ),
        ("\u{202e}ecila\u{200b}", "Example:ecila"),
        (&*"🔑".repeat(255), &*format!("Example:{}", "🔑".repeat(64))),
    ] {
        let token = server.issuer.token(PUBLIC_URL, "odd");
        let odd = server.bearer(token.with("preferred_username", name).sign());
        assert_setup(&odd.post(ENABLE).await.ok(), server.clock.unix(), label);
    }
    let token = server.issuer.token(PUBLIC_URL, "subject-7");
    let unnamed = server.bearer(
        token
            .with("preferred_username", Value::Null)
            .with("email", Value::Null)
            .sign(),
    );
    assert_setup(
        &unnamed.post(ENABLE).await.ok(),
        server.clock.unix(),
        "Example:subject-7",
    );
}

#[tokio::test]
async fn a_code_is_accepted_once_wherever_it_is_sent() {
    let mut server = Server::start().await;
    let alice = server.alice();
    let (app, _) = enrol(&server, &alice).await;
    let now = server.clock.unix();
    // The code of the confirmation is still within the window.
    alice
        .code(DISABLE, &app.code(now - 30))
        .await
        .refused(400, "wrong_code");
    let code = app.code(now);
    alice.code(REPLACE, &code).await.ok();
    for path in [DISABLE, REGENERATE, REPLACE] {
        alice.code(path, &code).await.refused(400, "wrong_code");
    }
    alice
        .post_json(UNLOCK, &json!({"type": "totp", "code": code}))
        .await
        .refused(400, "wrong_code");
    server.clock.next_step();
    server.restart().await;
    let alice = server.alice();
    // Four misses stand: a restart gave none back, and forgot no step.
    alice.code(DISABLE, &code).await.refused(400, "wrong_code");
    alice
        .code(DISABLE, &app.code(server.clock.unix()))
        .await
        .refused(429, "locked");
    assert_eq!(overview(&alice).await["enabled"], true);
}

#[tokio::test]
async fn older_codes_die_with_a_newer_one_and_no_step_of_the_clock_brings_them_back() {
    let mut server = Server::start().await;
    let alice = server.alice();
    let (app, _) = enrol(&server, &alice).await;
    let now = server.clock.unix();
    // A phone that is half a minute fast.
    alice.code(REPLACE, &app.code(now + 30)).await.ok();
    for age in [0, 30] {
        alice
            .code(REPLACE, &app.code(now - age))
            .await
            .refused(400, "wrong_code");
    }
    server.clock.back(60);
    let alice = server.alice();
    for step in [now - 60, now - 30] {
        alice
            .code(REPLACE, &app.code(step))
            .await
            .refused(400, "wrong_code");
    }
    server.clock.forward(60);
    server.restart().await;
    let alice = server.alice();
    // The accepted step comes round by the clock.
    server.clock.forward(30);
    server.clock.forward(30);
    alice.code(REPLACE, &app.code(now + 60)).await.ok();
    // Two steps away is too far, on either side.
    for step in [now, now + 120] {
        alice
            .code(REPLACE, &app.code(step))
            .await
            .refused(400, "wrong_code");
    }
}

/// A spelling, and whether the documented normalisation (spaces and hyphens) makes a code of it.
fn spellings(code: &str) -> Vec<(String, bool)> {
    let (left, right) = code.split_at(3);
    let wide = |zero: u32| -> String {
        code.chars()
            .map(|c| char::from_u32(zero + c.to_digit(10).unwrap()).unwrap())
            .collect()
    };
    let one_wide = format!(
        "{}{}",
        char::from_u32(0xff10 + code[..1].parse::<u32>().unwrap()).unwrap(),
        &code[1..]
    );
    let good = [
        code.to_owned(),
        format!("{left} {right}"),
        format!("{left}-{right}"),
        format!(" {code}"),
        format!("{code} "),
        format!("-{code}-"),
        format!("{left} - {right}"),
        code.chars().map(|c| format!("{c} ")).collect(),
        code.chars().map(|c| format!("-{c}")).collect(),
        format!("{}{code}", " ".repeat(58)),
    ];
    let bad = [
        format!("+{code}"),
        format!("{code}\n"),
        format!("\n{code}"),
        format!("{code}\r\n"),
        format!("{code}\t"),
        format!("{left}\t{right}"),
        format!("{code}\0"),
        format!("\0{code}"),
        format!("{left}\0{right}"),
        format!("{left}\u{a0}{right}"),
        format!("{left}\u{2009}{right}"),
        format!("{left}\u{200b}{right}"),
        format!("\u{feff}{code}"),
        format!("{left}\u{2010}{right}"),
        format!("{left}\u{2013}{right}"),
        format!("{left}\u{2212}{right}"),
        format!("{left}.{right}"),
        format!("{left},{right}"),
        format!("{left}_{right}"),
        format!("0{code}"),
        format!("{code}0"),
        format!("{code}.0"),
        format!("{code}e0"),
        format!("0x{code}"),
        wide(0xff10),
        wide(0x0660),
        wide(0x06f0),
        wide(0x0966),
        wide(0x1d7ce),
        one_wide,
        format!("{}{code}", " ".repeat(59)),
    ];
    let good = good.map(|spelling| (spelling, true));
    good.into_iter()
        .chain(bad.map(|spelling| (spelling, false)))
        .collect()
}

#[tokio::test]
async fn no_spelling_makes_a_second_code_of_one() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = enrol(&server, &alice).await;
    let count = spellings("000000").len();
    assert!(count >= 40);
    for number in 0..count {
        let code = app.code(server.clock.unix());
        let (spelling, good) = spellings(&code).swap_remove(number);
        let first = alice.code(REPLACE, &spelling).await;
        let plain = alice.code(REPLACE, &code).await;
        match good {
            true => {
                first.ok();
                plain.refused(400, "wrong_code");
            }
            false => {
                // Counted, and the code itself is not used up by it.
                assert_eq!(
                    first.refused(400, "wrong_code")["tries_left"],
                    4,
                    "{spelling:?}"
                );
                plain.ok();
            }
        }
        alice
            .code(REPLACE, &spelling)
            .await
            .refused(400, "wrong_code");
        server.clock.next_step();
        // Old misses must not lock what comes next.
        alice
            .code(REPLACE, &app.code(server.clock.unix()))
            .await
            .ok();
        server.clock.next_step();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_submissions_of_one_right_code_one_is_accepted() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = enrol(&server, &alice).await;
    let code = app.code(server.clock.unix());
    let replies = at_once(&alice, 1_000, move |alice, number| {
        let code = code.clone();
        async move {
            match number % 3 {
                0 => alice.code(REPLACE, &code).await,
                1 => alice.code(REGENERATE, &code).await,
                _ => {
                    alice
                        .post_json(UNLOCK, &json!({"type": "totp", "code": code}))
                        .await
                }
            }
        }
    })
    .await;
    let expected = [("200", 1), ("locked", 994), ("wrong_code", 5)];
    assert_eq!(tally(&replies), expected.map(|(w, n)| (w.into(), n)).into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_set_up_is_confirmed_once_however_many_confirm_it() {
    let server = Server::start().await;
    let alice = server.alice();
    let app = App::scan(&alice.post(ENABLE).await.ok());
    let code = app.code(server.clock.unix());
    let replies = at_once(&alice, 100, move |alice, _| {
        let code = code.clone();
        async move { alice.code(CONFIRM, &code).await }
    })
    .await;
    let expected = [("200", 1), ("not_pending", 99)];
    assert_eq!(tally(&replies), expected.map(|(w, n)| (w.into(), n)).into());
}

#[tokio::test]
async fn of_two_set_ups_the_latest_counts_and_an_active_app_is_never_touched() {
    let server = Server::start().await;
    let alice = server.alice();
    let first = App::scan(&alice.post(ENABLE).await.ok());
    let second = App::scan(&alice.post(ENABLE).await.ok());
    assert_ne!(first.secret, second.secret);
    assert_ne!(first.device_id, second.device_id);
    assert_eq!(
        overview(&alice).await["devices"].as_array().unwrap().len(),
        1
    );
    let now = server.clock.unix();
    alice
        .code(CONFIRM, &first.code(now))
        .await
        .refused(400, "wrong_code");
    alice.code(CONFIRM, &second.code(now)).await.ok();
    alice
        .code(CONFIRM, &second.code(now + 30))
        .await
        .refused(409, "not_pending");
    let before = overview(&alice).await;
    alice.post(ENABLE).await.refused(409, "already_enabled");
    assert_eq!(overview(&alice).await, before);
    server.clock.next_step();
    alice
        .code(REPLACE, &second.code(server.clock.unix()))
        .await
        .ok();
}

#[tokio::test]
async fn a_set_up_waits_for_fifteen_minutes_and_no_longer() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    for person in [&alice, &bob] {
        person
            .code(CONFIRM, "123456")
            .await
            .refused(409, "not_pending");
        person
            .code(DISABLE, "123456")
            .await
            .refused(409, "not_enabled");
        person
            .code(REPLACE, "123456")
            .await
            .refused(409, "not_enabled");
    }
    let (early, late) = (
        App::scan(&alice.post(ENABLE).await.ok()),
        App::scan(&bob.post(ENABLE).await.ok()),
    );
    server.clock.forward(899);
    alice
        .code(CONFIRM, &early.code(server.clock.unix()))
        .await
        .ok();
    server.clock.forward(1);
    assert_eq!(overview(&bob).await["devices"], json!([]));
    let code = late.code(server.clock.unix());
    bob.code(CONFIRM, &code).await.refused(409, "not_pending");
    // Nor does it come back with the clock.
    bob.post(ENABLE).await.ok();
    server.clock.back(60);
    let bob = server.bob();
    bob.code(CONFIRM, &late.code(server.clock.unix()))
        .await
        .refused(400, "wrong_code");
}

#[tokio::test]
async fn the_old_app_is_good_until_the_new_one_is_confirmed_and_then_it_is_dead() {
    let server = Server::start().await;
    let alice = server.alice();
    let (old, codes) = enrol(&server, &alice).await;
    alice
        .code(REPLACE, "000000")
        .await
        .refused(400, "wrong_code");
    let abandoned = App::scan(
        &alice
            .code(REPLACE, &old.code(server.clock.unix()))
            .await
            .ok(),
    );
    server.clock.forward(900);
    let new = App::scan(
        &alice
            .code(REPLACE, &old.code(server.clock.unix()))
            .await
            .ok(),
    );
    server.clock.next_step();
    // Neither the pending app nor the abandoned one proves anything yet, and the old one confirms nothing.
    let now = server.clock.unix();
    for (path, app) in [
        (DISABLE, &new),
        (DISABLE, &abandoned),
        (CONFIRM, &old),
        (CONFIRM, &abandoned),
    ] {
        alice
            .code(path, &app.code(now))
            .await
            .refused(400, "wrong_code");
    }
    alice.code(REGENERATE, &old.code(now)).await.ok();
    let new = {
        // A wrong confirmation left the pending app where it was.
        let confirmed = alice.code(CONFIRM, &new.code(now)).await.ok();
        assert_eq!(confirmed["backup_codes"], Value::Null);
        assert_eq!(confirmed["device"]["device_id"], json!(new.device_id));
        new
    };
    server.clock.next_step();
    let now = server.clock.unix();
    alice
        .code(DISABLE, &old.code(now))
        .await
        .refused(400, "wrong_code");
    // Nor does a backup code of the set before the last.
    alice
        .code(DISABLE, &codes[0])
        .await
        .refused(400, "wrong_code");
    let seen = overview(&alice).await;
    assert_eq!(seen["devices"].as_array().unwrap().len(), 1);
    assert_eq!(seen["backup_codes"]["remaining"], 10);
    alice.code(DISABLE, &new.code(now)).await.ok();
}

#[tokio::test]
async fn a_new_start_has_a_new_secret_and_the_old_one_opens_nothing() {
    let server = Server::start().await;
    let alice = server.alice();
    let (old, _) = enrol(&server, &alice).await;
    alice
        .code(DISABLE, &old.code(server.clock.unix()))
        .await
        .ok();
    alice
        .code(DISABLE, &old.code(server.clock.unix() + 30))
        .await
        .refused(409, "not_enabled");
    let (new, codes) = enrol(&server, &alice).await;
    assert_ne!(old.secret, new.secret);
    assert_ne!(old.device_id, new.device_id);
    assert_eq!(codes.len(), 10);
    alice
        .code(DISABLE, &old.code(server.clock.unix()))
        .await
        .refused(400, "wrong_code");
}

#[tokio::test]
async fn only_a_confirmation_tells_how_far_a_clock_is_off() {
    let server = Server::start().await;
    let alice = server.alice();
    // One code in a million stands twice within two hours; then the nearer time would be named.
    let unambiguous = |app: &App| {
        let now = server.clock.unix();
        let codes: BTreeSet<String> = (0..=240).map(|n| app.code(now - 3600 + 30 * n)).collect();
        codes.len() == 241
    };
    let app = loop {
        let app = App::scan(&alice.post(ENABLE).await.ok());
        if unambiguous(&app) {
            break app;
        }
    };
    let now = i64::try_from(server.clock.unix()).unwrap();
    let code_off_by = |seconds: i64| app.code(u64::try_from(now + seconds).unwrap());
    for seconds in [60, -60, 3600, -3600] {
        let refusal = alice.code(CONFIRM, &code_off_by(seconds)).await;
        assert_eq!(
            refusal.refused(400, "wrong_code")["clock_offset_seconds"],
            seconds
        );
    }
    let refusal = alice
        .code(CONFIRM, &app.wrong_code(server.clock.unix()))
        .await
        .refused(400, "wrong_code");
    assert_eq!(refusal.get("clock_offset_seconds"), None);
    // Nor during a lock, where a right answer would be told apart.
    let refusal = alice.code(CONFIRM, &code_off_by(300)).await;
    assert_eq!(
        refusal.refused(429, "locked").get("clock_offset_seconds"),
        None
    );
    server.clock.forward(60);
    alice
        .code(CONFIRM, &app.code(server.clock.unix()))
        .await
        .ok();
    server.clock.next_step();
    let late = code_at(&app.secret, server.clock.unix() - 300);
    for body in [
        alice.code(DISABLE, &late).await,
        alice.code(REPLACE, &late).await,
        alice.code(REGENERATE, &late).await,
        alice
            .post_json(UNLOCK, &json!({"type": "totp", "code": late}))
            .await,
    ] {
        let body = body.refused(400, "wrong_code");
        assert_eq!(body.get("clock_offset_seconds"), None);
    }
}

#[tokio::test]
async fn nobody_reaches_the_app_of_another() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    let pending = App::scan(&bob.post(ENABLE).await.ok());
    alice
        .code(CONFIRM, &pending.code(server.clock.unix()))
        .await
        .refused(409, "not_pending");
    let (hers, codes) = enrol(&server, &alice).await;
    let before = overview(&alice).await;
    bob.post(ENABLE).await.ok();
    let (his, _) = enrol(&server, &bob).await;
    assert_eq!(overview(&alice).await, before);
    let now = server.clock.unix();
    alice
        .code(DISABLE, &his.code(now))
        .await
        .refused(400, "wrong_code");
    bob.code(DISABLE, &hers.code(now))
        .await
        .refused(400, "wrong_code");
    bob.code(DISABLE, &codes[0])
        .await
        .refused(400, "wrong_code");
    bob.code(DISABLE, &his.code(now)).await.ok();
    assert_eq!(overview(&alice).await, before);
    // The same name at another issuer, or another spelling of it, is somebody else.
    for other in ["Alice", "alice ", "alice\u{200b}"] {
        let other = server.person(other);
        assert_eq!(overview(&other).await["enabled"], false);
    }
    alice.code(DISABLE, &codes[0]).await.ok();
}
