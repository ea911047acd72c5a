use serde_json::{Value, json};

use super::{USAGE, order, ordered, shown};
use crate::api::login::{open, wiki};
use crate::api::{email, totp, webauthn};
use crate::session::options;
use crate::support::browser::Browser;
use crate::support::{Authenticator, PUBLIC_URL, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_an_operator_needs_to_know_is_shown_and_no_secret() {
    let server = Server::start_with(options()).await;
    let alice = server.alice();
    let (app, codes) = totp::enrol(&server, &alice).await;
    alice
        .code(totp::DISABLE, &app.wrong_code(server.clock.unix()))
        .await
        .refused(400, "wrong_code");
    let wiki = wiki(&server).await;
    open(&wiki, "alice").await;
    let mut browser = Browser::new(server.address);
    browser.sign_in(&server, "alice").await;

    let seen = shown(&server, "alice").await;
    assert_eq!(seen["subject"], "alice");
    assert_eq!(seen["username"], "alice");
    assert_eq!(seen["email"], "alice@example.com");
    assert_eq!(seen["issuer"], json!(server.issuer.url));
    assert_eq!(seen["operator"], false);
    assert_eq!(seen["required"], false);
    let factor = &seen["factors"][0];
    assert_eq!(factor["type"], "totp");
    assert_eq!(factor["status"], "active");
    assert_eq!(factor["device_id"], json!(app.device_id));
    assert_eq!(seen["wrong_codes"][0]["type"], "totp");
    assert_eq!(seen["wrong_codes"][0]["wrong_codes"], 1);
    assert_eq!(seen["backup_codes"]["remaining"], 10);
    assert_eq!(seen["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(seen["sign_ins"][0]["service"], "wiki");
    let history = seen["history"].as_array().unwrap();
    // The refusal is written down when its minute is over, and until then it is shown first.
    assert_eq!(history[0]["reason"], "wrong_code");
    assert_eq!(history[1]["action"], "login.challenge");
    assert!(history.len() <= 10);

    let words = ordered(&server, &["show", "alice"]).await;
    for part in [
        "alice@example.com",
        "10 of 10 left",
        "totp  1 in a row",
        "at wiki, waits since",
        "totp.disable  refused: wrong_code",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    for text in [words, seen.to_string()] {
        assert!(!text.contains(&app.secret), "{text}");
        for code in &codes {
            assert!(!text.contains(code.as_str()), "{text}");
        }
        for word in browser.jar.values() {
            assert!(!text.contains(word.as_str()), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_email_factor_names_its_address_in_full_and_a_key_its_name() {
    let server = Server::start().await;
    email::enrol(&server, &server.alice()).await;
    let key = Authenticator::new();
    webauthn::enrol_as(&server.bob(), &key, Some("Blue\u{1b}[2J key")).await;
    let seen = shown(&server, "alice").await;
    assert_eq!(seen["factors"][0]["name"], "alice@example.com");
    let words = ordered(&server, &["show", "bob"]).await;
    assert!(words.contains("webauthn  Blue"), "{words}");
    assert!(!words.contains('\u{1b}'), "{words:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_named_by_id_subject_name_or_verified_address_and_several_are_listed() {
    let server = Server::start().await;
    let known = |subject: &'static str, name: &'static str, verified: bool| {
        let token = server
            .issuer
            .token(PUBLIC_URL, subject)
            .with("preferred_username", name)
            .with("email", format!("{name}@mail.example.com"))
            .with("email_verified", verified)
            .with("tenant_id", format!("tenant-of-{subject}"));
        server.bearer(token.sign())
    };
    for person in [
        known("s-1", "kim", true),
        known("s-2", "sam", false),
        // Whose name is the subject of another.
        known("s-3", "s-1", true),
        known("s-4", "lee", true),
        known("s-5", "lee", true),
    ] {
        person.post(totp::ENABLE).await.ok();
    }
    let id = |seen: &Value| seen["id"].as_str().unwrap().to_owned();
    let kim = shown(&server, "kim").await;
    assert_eq!(kim["subject"], "s-1");
    assert_eq!(kim["tenants"], json!(["tenant-of-s-1"]));
    for who in ["KIM", "kim@mail.example.com", &id(&kim)] {
        assert_eq!(id(&shown(&server, who).await), id(&kim), "{who}");
    }
    let issuer = server.issuer.url.clone();
    let named = ["show", "kim", "--json", "--issuer", &issuer];
    let named: Value = serde_json::from_str(&ordered(&server, &named).await).unwrap();
    assert_eq!(id(&named), id(&kim));

    // What tells them apart is listed, and the id names one of them.
    for (who, subjects) in [("s-1", ["s-1", "s-3"]), ("lee", ["s-4", "s-5"])] {
        for arguments in [
            &["show", who][..],
            &["reset", who, "--reason", "x", "--yes"],
        ] {
            let mut several = order(&server, arguments);
            several.ends_with(USAGE).await;
            assert_eq!(several.stdout(), "");
            let told = several.stderr();
            for subject in subjects {
                let tenant = format!("tenant tenant-of-{subject}");
                let apart = told.contains(&format!("subject {subject}  issuer {issuer}"));
                assert!(apart && told.contains(&tenant), "{told}");
            }
        }
    }
    let mut several = order(&server, &["show", "lee"]);
    several.ends_with(USAGE).await;
    let told = several.stderr();
    let line = told.lines().find(|line| line.contains("s-5")).unwrap();
    let one = line.rsplit_once("id ").unwrap().1;
    assert_eq!(shown(&server, one).await["subject"], "s-5");

    // An address that is not verified finds no one, nor does another issuer.
    for arguments in [
        &["show", "sam@mail.example.com"][..],
        &["show", "no\u{1b}[2Jbody"],
        &["show", ""],
        &["show", "kim", "--issuer", "https://other.example.com"],
        &["show", &id(&kim), "--issuer", "https://other.example.com"],
        &["reset", "nobody", "--reason", "x", "--yes"],
    ] {
        let mut none = order(&server, arguments);
        none.ends_with(USAGE).await;
        let told = none.stderr();
        assert!(told.contains("no user is called"), "{arguments:?}: {told}");
        assert!(!told.contains('\u{1b}'), "{told:?}");
    }
}

#[tokio::test]
async fn no_request_over_http_shows_or_resets_a_user() {
    let server = Server::start().await;
    let document = server.stranger().get("/openapi.json").await.ok();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths.keys() {
        assert!(!path.contains("reset") && !path.contains("user"), "{path}");
    }
}
