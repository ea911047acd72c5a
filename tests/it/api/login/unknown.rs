//! Whom nobody has met, and who may be somebody under another spelling.

use axum::http::Method;
use mfad::clients::{Sends, Service, Unknown, set_unknown};
use mfad::policy::Key;
use serde_json::{Value, json};

use super::names::{enrolled, named, sending};
use super::{CHALLENGES, VERIFY, met, one_call, opened, register};
use crate::support::{Client, PUBLIC_URL, Server};

/// A service that sends user names, and what an unknown user is to it.
async fn registered(server: &Server, unknown: Option<Unknown>) -> Client {
    let id = match unknown {
        Some(unknown) => unknown.word(),
        None => "never-set",
    };
    let service = Service {
        unknown,
        ..sending(id, Sends::Username, &[])
    };
    register(server, service).await
}

/// Somebody with a second factor who goes by that name.
async fn known_as(server: &Server, subject: &str, username: &str) {
    let token = server.issuer.token(PUBLIC_URL, subject);
    let token = token.with("preferred_username", username);
    enrolled(server, &server.bearer(token.sign())).await;
}

/// What `service` is told of `name`: the decision, else the status.
async fn told(service: &Client, name: &str) -> String {
    let reply = service
        .post_json(CHALLENGES, &json!({"username": name, "amr": ["pwd"]}))
        .await;
    match reply.status.as_u16() {
        201 => opened(&reply)["decision"].as_str().unwrap().to_owned(),
        status => status.to_string(),
    }
}

/// Names that an LDAP server, a domain controller or a RADIUS server takes for that of a user, and what they mean here.
const SPELLINGS: [(&str, &str); 67] = [
    ("alice", "challenge"),
    ("Alice", "challenge"),
    ("ALICE", "challenge"),
    // Compatibility forms.
    ("ａｌｉｃｅ", "challenge"),
    ("ＡＬＩＣＥ", "challenge"),
    ("aｌice", "challenge"),
    ("ⓐⓛⓘⓒⓔ", "challenge"),
    ("𝐚𝐥𝐢𝐜𝐞", "challenge"),
    ("𝒜lice", "challenge"),
    ("ªlice", "challenge"),
    ("alⅰce", "challenge"),
    ("aliⅽe", "challenge"),
    ("ﬁnn", "challenge"),
    ("FINN", "challenge"),
    // What shows nothing.
    ("al\u{ad}ice", "challenge"),
    ("\u{ad}alice", "challenge"),
    ("al\u{200b}ice", "challenge"),
    ("al\u{200c}ice", "challenge"),
    ("al\u{200d}ice", "challenge"),
    ("alice\u{2060}", "challenge"),
    ("\u{feff}alice", "challenge"),
    ("al\u{34f}ice", "challenge"),
    ("\u{202e}alice\u{202c}", "challenge"),
    ("\u{2067}alice\u{2069}", "challenge"),
    ("alice\u{200e}", "challenge"),
    ("alice\u{61c}", "challenge"),
    ("alice\u{fe0f}", "challenge"),
    ("alice\u{e0100}", "challenge"),
    ("alice\u{e0061}\u{e007f}", "challenge"),
    ("al\u{180e}ice", "challenge"),
    ("al\u{1806}ice", "challenge"),
    ("alice\u{fffc}", "challenge"),
    ("alice\u{3164}", "challenge"),
    ("alice\u{115f}\u{1160}\u{ffa0}", "challenge"),
    ("alice\u{1d173}", "challenge"),
    ("alice\u{206a}", "challenge"),
    // Spaces.
    (" alice", "challenge"),
    ("alice ", "challenge"),
    ("alice\u{a0}", "challenge"),
    ("\u{2003}alice\u{3000}", "challenge"),
    ("alice\u{2028}", "challenge"),
    ("anna  lee", "challenge"),
    ("Anna \u{a0} Lee", "challenge"),
    ("anna\u{3000}lee", "challenge"),
    ("anna\u{2009}\u{200b}\u{2009}lee", "challenge"),
    // Case.
    ("νικος", "challenge"),
    ("ΝΙΚΟΣ", "challenge"),
    ("νικοσ", "challenge"),
    ("\u{212a}im", "challenge"),
    ("STRASSE", "challenge"),
    ("straẞe", "challenge"),
    ("e\u{301}va", "challenge"),
    ("E\u{301}VA", "challenge"),
    ("al\u{130}ce", "challenge"),
    // With more than the name.
    ("EXAMPLE\\alice", "deny"),
    ("EXAMPLE＼alice", "deny"),
    ("EXAMPLE﹨alice", "deny"),
    ("alice@example.com", "deny"),
    ("ALICE@EXAMPLE.COM", "deny"),
    ("alice＠example.com", "deny"),
    ("alice﹫corp", "deny"),
    ("al\u{ad}ice@corp.example.com", "deny"),
    // What nobody types.
    ("alice\0", "422"),
    ("alice\n", "422"),
    ("alice\u{85}", "422"),
    ("\talice", "422"),
    ("alice\u{7f}", "422"),
];

#[tokio::test]
async fn no_spelling_of_an_enrolled_name_is_let_in() {
    let server = Server::start().await;
    for (subject, name) in [
        ("s-1", "alice"),
        ("s-2", "Anna Lee"),
        ("s-3", "ΝΙΚΟΣ"),
        ("s-4", "kim"),
        ("s-5", "straße"),
        ("s-6", "finn"),
        ("s-7", "\u{c9}va"),
    ] {
        known_as(&server, subject, name).await;
    }
    let lax = registered(&server, Some(Unknown::Allow)).await;
    let strict = registered(&server, Some(Unknown::Enroll)).await;
    // Each is told the same of them, whatever it does with those whom nobody has met.
    for (name, means) in SPELLINGS {
        for service in [&lax, &strict] {
            assert_eq!(told(service, name).await, means, "{name:?}");
        }
    }
    // What no directory takes for her is somebody else, of whom nothing is known.
    for name in [
        "\u{430}lice",
        "al\u{131}ce",
        "alicea",
        "alice.",
        "al-ice",
        "alice\u{301}",
    ] {
        assert_eq!(told(&lax, name).await, "allow", "{name:?}");
        assert_eq!(told(&strict, name).await, "enroll", "{name:?}");
    }
    // Nor does one call verify anybody by a wrong code.
    for (name, means) in SPELLINGS.iter().step_by(7) {
        let body = json!({"username": name, "code": "000000"});
        let status = lax.post_json(VERIFY, &body).await.status.as_u16();
        assert!(
            [400, 422, 429].contains(&status),
            "{name:?} {means} {status}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_a_subject_or_names_two_users_is_no_one() {
    let server = Server::start().await;
    known_as(&server, "s-1", "alice").await;
    let lax = registered(&server, Some(Unknown::Allow)).await;
    for subject in ["s-1\n", "s-1\0", "\n", "\u{200b}", " "] {
        let body = json!({"subject": subject, "amr": ["pwd"]});
        let reply = lax.post_json(CHALLENGES, &body).await;
        assert_eq!(reply.status, 422, "{subject:?}: {}", reply.text);
    }
    let twice = r#"{"username": "alice", "amr": ["pwd"], "username": "nobody"}"#;
    let json_type = [("content-type", "application/json")];
    let reply = lax
        .send(Method::POST, CHALLENGES, &json_type, twice.into())
        .await;
    assert_eq!(reply.status, 422, "{}", reply.text);
}

#[tokio::test]
async fn a_user_who_is_renamed_is_known_again_when_their_page_is_open() {
    let server = Server::start().await;
    known_as(&server, "s-1", "alice").await;
    let strict = registered(&server, Some(Unknown::Enroll)).await;
    let renamed = server.issuer.token(PUBLIC_URL, "s-1");
    let renamed = server.bearer(renamed.with("preferred_username", "alicia").sign());
    assert_eq!(told(&strict, "alicia").await, "enroll");
    renamed.get("/api/v1/me/mfa").await.ok();
    assert_eq!(told(&strict, "alicia").await, "challenge");
    assert_eq!(told(&strict, "alice").await, "deny");
    // Who has never changed anything is not met by looking.
    let stranger = server.issuer.token(PUBLIC_URL, "s-9");
    let stranger = server.bearer(stranger.with("preferred_username", "zoe").sign());
    stranger.get("/api/v1/me/mfa").await.ok();
    assert_eq!(told(&strict, "zoe").await, "enroll");
}

#[tokio::test]
async fn a_name_in_two_spellings_is_ambiguous_in_each() {
    let server = Server::start().await;
    known_as(&server, "s-1", "anna lee").await;
    known_as(&server, "s-2", "anna  lee").await;
    let lax = registered(&server, Some(Unknown::Allow)).await;
    for name in ["anna lee", "anna  lee", "ANNA\u{a0}LEE"] {
        assert_eq!(told(&lax, name).await, "409", "{name:?}");
    }
}

#[tokio::test]
async fn an_address_that_is_somebodys_user_name_is_looked_up_like_any_other() {
    let server = Server::start().await;
    known_as(&server, "s-1", "alice@example.com").await;
    known_as(&server, "s-2", "EXAMPLE\\bob").await;
    let lax = registered(&server, Some(Unknown::Allow)).await;
    for name in ["Alice＠example.com", "example\\BOB"] {
        assert_eq!(told(&lax, name).await, "challenge", "{name:?}");
    }
    for name in ["alice@example.com.", "alice@example.org", "OTHER\\bob"] {
        assert_eq!(told(&lax, name).await, "deny", "{name:?}");
    }
    // An address by the rules of addresses.
    let mail = Service {
        unknown: Some(Unknown::Allow),
        ..sending("mail", Sends::Email, &[])
    };
    let mail = register(&server, mail).await;
    let token = server.issuer.token(PUBLIC_URL, "s-3");
    let token = token.with("email", "Hugo@B\u{fc}cher.example");
    enrolled(&server, &server.bearer(token.sign())).await;
    for name in [
        "hugo@b\u{fc}cher.example",
        "HUGO@BU\u{308}CHER.EXAMPLE.",
        "hugo@xn--bcher-kva.example",
        "hugo＠bücher。example",
    ] {
        assert_eq!(told(&mail, name).await, "challenge", "{name:?}");
    }
    assert_eq!(told(&mail, "hugo@bucher.example").await, "deny");
}

#[tokio::test]
async fn an_unknown_user_means_what_the_registration_says_and_no_less_than_policy() {
    let server = Server::start().await;
    met(&server.person("known")).await;
    let never_set = registered(&server, None).await;
    let allow = registered(&server, Some(Unknown::Allow)).await;
    let enroll = registered(&server, Some(Unknown::Enroll)).await;
    let deny = registered(&server, Some(Unknown::Deny)).await;
    let services = [&never_set, &allow, &enroll, &deny];
    let says = async |subject: &str| {
        let mut said = Vec::new();
        for service in services {
            let opened = named(service, "subject", subject).await;
            assert_eq!(opened["methods"], json!([]));
            assert_eq!(opened["status"], "closed");
            said.push(opened["decision"].as_str().unwrap().to_owned());
        }
        said
    };
    assert_eq!(says("new").await, ["allow", "allow", "enroll", "deny"]);
    assert_eq!(says("known").await, ["allow"; 4]);
    for rule in ["all", "none"] {
        let required = rule == "all";
        server.set_policy(Key::RequireMfa, &[rule]).await.unwrap();
        let lax = if required { "enroll" } else { "allow" };
        assert_eq!(says("new").await, [lax, lax, "enroll", "deny"], "{rule}");
    }
    // A program that nobody registered has them set up a factor.
    let portal = server.login_service();
    assert_eq!(named(&portal, "subject", "new").await["decision"], "enroll");
    // In one call, nobody is told apart.
    for service in services {
        one_call(service, "new", "123456")
            .await
            .refused(400, "wrong_code");
    }
    // It can be changed, and holds from the next request on.
    let store = &server.desk.tools.store;
    let set = store.write(|tx| set_unknown(tx, "never-set", Unknown::Deny));
    set.await.unwrap();
    let opened: Value = named(&never_set, "subject", "new").await;
    assert_eq!(opened["decision"], "deny");
}
