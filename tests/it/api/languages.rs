//! In which language people are written to, and who has a say in it.

use hyper::Method;
use hyper::body::Bytes;
use mfad::words::Language;
use serde_json::{Value, json};

use super::login::{RETURN, of, open_with, wiki};
use super::{email, totp};
use crate::session;
use crate::support::browser::{Browser, CLIENT_ID, PAGE, tokens};
use crate::support::smtp::Received;
use crate::support::{App, Client, Options, PUBLIC_URL, Reply, Server};

const BEGIN: &str = "/api/v1/me/mfa/totp/enable";

/// Somebody whose token names this locale.
fn speaks(server: &Server, subject: &str, locale: impl Into<Value>) -> Client {
    let token = server.issuer.token(PUBLIC_URL, subject);
    server.bearer(token.with("locale", locale).sign())
}

/// A POST from a browser.
async fn post(person: &Client, path: &str, headers: &[(&str, &str)]) -> Reply {
    person.send(Method::POST, path, headers, Bytes::new()).await
}

/// The next mail, which must be in that language and say these words.
#[track_caller]
fn is_in(mail: &Received, tag: &str, subject: &str, words: &str) {
    assert_eq!(mail.subject(), subject);
    assert_eq!(mail.headers("Content-Language"), [tag]);
    let text = mail.text().replace('\n', " ");
    assert!(text.contains(words), "{words}: {text}");
    let html = mail.html();
    assert!(html.contains(words), "{words}: {html}");
    assert!(html.contains(&format!("<html lang=\"{tag}\">")), "{html}");
    assert!(mail.raw.is_ascii(), "not every server takes more");
}

const CODE: [(&str, &str, &str); 5] = [
    (
        "en",
        "Your code for Example",
        "Here is your code to turn on",
    ),
    (
        "nl",
        "Je code voor Example",
        "Dit is je code om codes per e-mail aan te zetten",
    ),
    (
        "de",
        "Ihr Code für Example",
        "Hier ist Ihr Code, um bei Example Codes per E-Mail",
    ),
    (
        "fr",
        "Votre code pour Example",
        "Voici votre code pour activer les codes par e-mail sur Example\u{a0}:",
    ),
    (
        "es",
        "Tu código para Example",
        "Este es tu código para activar los códigos por correo",
    ),
];

#[track_caller]
fn code_is_in(mail: &Received, tag: &str) {
    let (_, subject, words) = CODE.into_iter().find(|(known, ..)| *known == tag).unwrap();
    is_in(mail, tag, subject, words);
}

/// Has a code mailed to turn on email codes, from a browser that says this, and gives the mail.
async fn ask(server: &Server, person: &Client, headers: &[(&str, &str)]) -> Received {
    post(person, email::ENABLE, headers).await.ok();
    server.clock.forward(60);
    server.smtp.next_mail().await
}

#[tokio::test]
async fn a_code_comes_in_the_language_that_the_token_names() {
    let server = Server::start().await;
    for (number, (locale, tag)) in [
        ("en-GB", "en"),
        ("nl-NL", "nl"),
        ("de_DE", "de"),
        ("FR", "fr"),
        ("es-419", "es"),
        ("pt-BR", "en"),
    ]
    .into_iter()
    .enumerate()
    {
        let person = speaks(&server, &format!("person-{number}"), locale);
        let mail = ask(&server, &person, &[]).await;
        code_is_in(&mail, tag);
        let code = mail.code().unwrap();
        person.code(email::CONFIRM, &code).await.ok();
        assert_eq!(
            server.smtp.next_mail().await.headers("Content-Language"),
            [tag]
        );
    }
    // What is no locale refuses nobody.
    let odd = speaks(&server, "odd", json!({"language": "nl"}));
    code_is_in(&ask(&server, &odd, &[]).await, "en");
}

#[tokio::test]
async fn a_choice_on_the_page_comes_before_the_token_and_that_before_the_browser() {
    let server = Server::start().await;
    let german = ("accept-language", "de-AT,de;q=0.9");
    for (headers, tag) in [
        (&[][..], "nl"),
        (&[german][..], "nl"),
        (&[("cookie", "mfad_language=fr-CA"), german], "nl"),
        (&[("cookie", "mfad_language=tlh")], "nl"),
        (&[("cookie", "mfad_language=fr; mfad_language=es")], "nl"),
        (&[("cookie", "a=b; mfad_language=fr"), german], "fr"),
        // And stays, where nothing else is chosen.
        (&[][..], "fr"),
        (&[german][..], "fr"),
    ] {
        let alice = speaks(&server, "alice", "nl");
        code_is_in(&ask(&server, &alice, headers).await, tag);
        server.clock.forward(3600);
    }
    let again = speaks(&server, "alice", "nl");
    code_is_in(
        &ask(&server, &again, &[("cookie", "mfad_language=es")]).await,
        "es",
    );
    server.clock.forward(3600);
    // A browser counts where nobody has said anything, until somebody does.
    let bob = server.bob();
    for (headers, tag) in [
        (&[][..], "en"),
        (&[german][..], "de"),
        (&[][..], "de"),
        (
            &[("accept-language", "pt"), ("accept-language", "nl;q=0.5")],
            "nl",
        ),
    ] {
        code_is_in(&ask(&server, &bob, headers).await, tag);
        server.clock.forward(700);
    }
}

#[tokio::test]
async fn whoever_says_nothing_is_written_to_in_the_language_of_the_settings() {
    let server = Server::start_with(Options {
        language: Language::Spanish,
        ..Options::default()
    })
    .await;
    code_is_in(&ask(&server, &server.alice(), &[]).await, "es");
    let bob = speaks(&server, "bob", "de");
    code_is_in(&ask(&server, &bob, &[]).await, "de");
}

#[tokio::test]
async fn a_choice_is_noted_with_whatever_is_changed_and_both_addresses_are_told_in_it() {
    let server = Server::start().await;
    let alice = speaks(&server, "alice", "nl");
    let cookie = [("cookie", "mfad_language=de")];
    let begun = post(&alice, BEGIN, &cookie).await.ok();
    let app = App::scan(&begun);
    let code = app.code(server.clock.unix());
    alice.code(totp::CONFIRM, &code).await.ok();
    let added = "Ihrem Konto bei Example wurde ein zweiter Faktor hinzugefügt: Authenticator-App.";
    let subject = "Neu in Ihrem Konto bei Example: Authenticator-App";
    let mail = server.smtp.next_mail().await;
    is_in(&mail, "de", subject, added);
    assert!(
        mail.text().contains("Zeitpunkt: 24. November 2026, 12:0"),
        "{}",
        mail.text()
    );
    let moved = server.issuer.token(PUBLIC_URL, "alice");
    let moved = server.bearer(moved.with("email", "new@example.org").sign());
    server.clock.next_step();
    let code = app.code(server.clock.unix());
    moved.code(totp::REGENERATE, &code).await.ok();
    let mut told = Vec::new();
    for _ in 0..2 {
        let mail = server.smtp.next_mail().await;
        let subject = "Neue Backup-Codes für Ihr Konto bei Example";
        is_in(
            &mail,
            "de",
            subject,
            "Für Ihr Konto bei Example wurden neue Backup-Codes",
        );
        told.extend(mail.to);
    }
    told.sort();
    assert_eq!(told, ["alice@example.com", "new@example.org"]);
}

/// A challenge for `subject` that is to be answered on our page, and the page's token.
async fn prompt(wiki: &Client, subject: &str) -> (Value, String) {
    let opened = open_with(wiki, subject, json!({"return_url": RETURN})).await;
    let url = opened["prompt_url"].as_str().unwrap();
    let token = url.split_once('#').unwrap().1.to_owned();
    (opened, token)
}

#[tokio::test]
async fn a_stranger_changes_nobodys_language() {
    let server = Server::start().await;
    let wiki = wiki(&server).await;
    let alice = speaks(&server, "alice", "fr");
    let code = ask(&server, &alice, &[]).await.code().unwrap();
    let confirmed = alice.code(email::CONFIRM, &code).await.ok();
    let backup: Vec<String> = serde_json::from_value(confirmed["backup_codes"].clone()).unwrap();
    assert_eq!(
        server.smtp.next_mail().await.headers("Content-Language"),
        ["fr"]
    );
    let strange = [
        ("content-type", "application/json"),
        ("accept-language", "de"),
        ("cookie", "mfad_language=es"),
    ];
    let send = async |client: &Client, path: &str, body: Value| {
        let body = Bytes::from(body.to_string());
        client.send(Method::POST, path, &strange, body).await
    };
    let subject = "Votre code pour Example";
    let words = "Voici votre code pour terminer la connexion à Example";
    // By a login service.
    let opened = send(
        &wiki,
        "/api/v1/mfa/challenges",
        json!({"subject": "alice", "amr": ["pwd"]}),
    )
    .await;
    let opened = opened.json();
    send(&wiki, &of(&opened, "/email"), json!({})).await.ok();
    is_in(&server.smtp.next_mail().await, "fr", subject, words);
    // At the hosted page, by whoever began the sign-in, who gets a code wrong.
    server.clock.forward(60);
    let (_, token) = prompt(&wiki, "alice").await;
    let nobody = server.stranger();
    let mine = json!({ "prompt": token });
    send(&nobody, "/api/v1/prompt/email", mine).await.ok();
    is_in(&server.smtp.next_mail().await, "fr", subject, words);
    for _ in 0..5 {
        let body = json!({"prompt": token, "method": "backup_code", "code": "0000-0000"});
        let reply = send(&nobody, "/api/v1/prompt/verify", body).await;
        assert_eq!(reply.status, 400, "{}", reply.text);
    }
    // With a code of the person's own it is she who answers, and has chosen.
    let (_, token) = prompt(&wiki, "alice").await;
    let body = json!({"prompt": token, "method": "backup_code", "code": backup[0]});
    send(&nobody, "/api/v1/prompt/verify", body).await.ok();
    let used = "Un code de secours a été utilisé sur votre compte Example";
    is_in(&server.smtp.next_mail().await, "fr", used, "Il en reste 9.");
    server.clock.forward(60);
    let opened = open_with(&wiki, "alice", json!({})).await;
    wiki.post(&of(&opened, "/email")).await.ok();
    let subject = "Tu código para Example";
    let words = "Este es tu código para terminar de iniciar sesión en Example:";
    is_in(&server.smtp.next_mail().await, "es", subject, words);
}

#[tokio::test]
async fn what_others_do_is_told_in_the_persons_own_language() {
    let server = Server::start().await;
    let wiki = wiki(&server).await;
    let alice = speaks(&server, "alice", "de-CH");
    let (app, _) = totp::enrol(&server, &alice).await;
    server.smtp.next_mail().await;
    let opened = open_with(&wiki, "alice", json!({})).await;
    let wrong = app.wrong_code(server.clock.unix());
    for _ in 0..5 {
        let body = json!({"method": "totp", "code": wrong});
        let reply = wiki.post_json(&of(&opened, "/verify"), &body).await;
        reply.refused(400, "wrong_code");
    }
    let mail = server.smtp.next_mail().await;
    let subject = "Zu viele falsche Codes für Ihr Konto bei Example";
    is_in(&mail, "de", subject, "bis zum 24. November 2026, 12:");
    server.clock.forward(190);
    mfad::login::notify_of_unfinished(&server.desk)
        .await
        .unwrap();
    let mail = server.smtp.next_mail().await;
    let subject = "Nicht abgeschlossene Anmeldung bei Ihrem Konto bei Example";
    is_in(
        &mail,
        "de",
        subject,
        "Jemand hat unter Ihrem Namen den ersten Schritt der Anmeldung",
    );
}

#[tokio::test]
async fn the_id_token_names_the_language_of_a_session_whose_access_token_does_not() {
    let server = session::server().await;
    let mut browser = Browser::new(server.address);
    let departure = browser.departs("/auth/login").await;
    let mut answer = tokens(&server.issuer, &departure, "alice");
    let id = server
        .issuer
        .token(PUBLIC_URL, "alice")
        .with("locale", "nl_NL");
    answer["id_token"] = id
        .for_client(CLIENT_ID, departure.get("nonce"))
        .sign()
        .into();
    browser.arrives(&server, &departure, answer).await;
    browser.ask(Method::POST, email::ENABLE).await.ok();
    code_is_in(&server.smtp.next_mail().await, "nl");
    server.clock.forward(60);
    let mut headers = PAGE.to_vec();
    headers.push(("cookie", "mfad_language=de"));
    browser
        .send(Method::POST, email::ENABLE, &headers, Bytes::new())
        .await
        .ok();
    code_is_in(&server.smtp.next_mail().await, "de");
}
