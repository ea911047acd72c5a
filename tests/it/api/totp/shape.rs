//! The contract's words.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{CONFIRM, DISABLE, ENABLE, REPLACE, names, overview, rfc3339};
use crate::support::{App, PUBLIC_URL, Server};

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
    let policy = json!({
        "required": false, "allowed": ["totp", "email", "webauthn"], "email": "on",
        "grace_until": null, "trusted_device_days": 30,
    });
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
