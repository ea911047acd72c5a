//! Whoever lacks the right cannot tell who there is and what they have.

use mfad::policy::Key;
use serde_json::{Value, json};

use super::super::{email, totp, webauthn};
use super::{VERIFY, Visible, member, one_call, visible};
use crate::support::{App, Authenticator, Client, PUBLIC_URL, Server};
use tokio::task::JoinSet;

/// Of the right shape, and nobody's.
const WRONG_BACKUP: &str = "0000-0000-0000-0000";
/// In none of the codes of the first minutes, but once in two hundred thousand runs.
const WRONG_TOTP: &str = "000000";
const DAY: u64 = 86_400;

/// A server with one person of each kind, and how a service of the tenant `acme` would name them.
struct Town {
    server: Server,
    app: App,
    classes: Vec<(&'static str, Value)>,
}

async fn town() -> Town {
    let server = Server::start().await;
    let person = |name: &str| member(&server, "acme", name, &format!("{name}-name"));
    let (app, _) = totp::enrol(&server, &person("app")).await;
    person("plain").post(totp::ENABLE).await.ok();
    email::enrol(&server, &person("mail")).await;
    webauthn::enrol(&person("key"), &Authenticator::new()).await;
    person("plain-2").post(totp::ENABLE).await.ok();
    for name in ["stranger", "stranger-2"] {
        let stranger = member(&server, "umbrella", name, &format!("{name}-name"));
        totp::enrol(&server, &stranger).await;
    }
    let classes = vec![
        ("with an app", json!({"subject": "app"})),
        ("unknown subject", json!({"subject": "unknown"})),
        ("unknown name", json!({"username": "unknown-name"})),
        ("without a factor", json!({"subject": "plain"})),
        (
            "without a factor, by name",
            json!({"username": "plain-2-name"}),
        ),
        ("another tenant's", json!({"subject": "stranger"})),
        (
            "another tenant's, by name",
            json!({"username": "stranger-2-name"}),
        ),
        ("with mail alone", json!({"subject": "mail"})),
        ("with a key alone", json!({"username": "key-name"})),
    ];
    Town {
        server,
        app,
        classes,
    }
}

impl Town {
    /// A service that may ask about people of `acme`, with a token that is fresh for the clock.
    fn asker(&self) -> Client {
        let token = self
            .server
            .issuer
            .token(PUBLIC_URL, "portal")
            .with("client_id", "portal")
            .with("tenant_id", "acme")
            .with("scope", "mfa:verify");
        self.server.bearer(token.sign())
    }

    /// What each class is answered, all asked about at one moment.
    async fn seen(&self, portal: &Client, code: &str) -> Vec<Visible> {
        let mut asking = JoinSet::new();
        for (number, (_, whom)) in self.classes.iter().enumerate() {
            let (portal, mut body) = (portal.clone(), whom.clone());
            body["code"] = json!(code);
            asking.spawn(async move { (number, portal.post_json(VERIFY, &body).await) });
        }
        let mut replies = asking.join_all().await;
        replies.sort_by_key(|(number, _)| *number);
        replies.iter().map(|(_, reply)| visible(reply)).collect()
    }

    /// That all classes saw the same; gives its status.
    #[track_caller]
    fn same(&self, seen: &[Visible], what: &str) -> u16 {
        for (number, (class, _)) in self.classes.iter().enumerate() {
            assert_eq!(seen[number], seen[0], "{what}: {class}");
        }
        seen[0].0
    }
}

#[tokio::test]
async fn nobody_is_told_apart_by_what_twelve_wrong_codes_are_answered_with() {
    let town = town().await;
    let server = &town.server;
    let mut statuses = Vec::new();
    // Once at a time, before and at the end of each wait, after a day, and after a month without a try.
    let steps = [
        0,
        0,
        0,
        0,
        0,
        0,
        29,
        1,
        0,
        59,
        1,
        0,
        120,
        240,
        480,
        DAY,
        0,
        30 * DAY,
        0,
        0,
    ];
    for (attempt, wait) in steps.into_iter().enumerate() {
        server.clock.forward(wait);
        let tools = &server.desk.tools;
        tools.store.sweep(tools.now()).await.unwrap();
        let portal = town.asker();
        let wrong = town.app.wrong_code(server.clock.unix());
        let seen = town.seen(&portal, &wrong).await;
        statuses.push(town.same(&seen, &format!("try {attempt}")));
    }
    assert_eq!(
        statuses,
        [
            400, 400, 400, 400, 400, 429, 429, 400, 429, 429, 400, 429, 400, 400, 400, 400, 429,
            400, 429, 429
        ]
    );
}

#[tokio::test]
async fn nobody_is_told_apart_by_answers_of_other_shapes() {
    let town = town().await;
    let portal = town.asker();
    let long = "1".repeat(10_000);
    for (attempt, code) in [
        WRONG_BACKUP,
        WRONG_BACKUP,
        "",
        "12345",
        "prf_aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "x",
        WRONG_BACKUP,
        long.as_str(),
        "1234567",
        WRONG_BACKUP,
    ]
    .into_iter()
    .enumerate()
    {
        let seen = town.seen(&portal, code).await;
        let status = town.same(&seen, &format!("try {attempt}"));
        let locked = attempt > 7 && code != WRONG_BACKUP;
        assert_eq!(status, if locked { 429 } else { 400 }, "{attempt}");
    }
}

#[tokio::test]
async fn the_spellings_of_a_name_are_one_person_be_there_such_a_person_or_not() {
    let town = town().await;
    let portal = town.server.login_service();
    let mut seen = Vec::new();
    for names in [
        ["app-name", "APP-NAME", "App-name"],
        ["unknown-name", "UNKNOWN-NAME", "Unknown-name"],
        ["stranger-name", "STRANGER-NAME", "Stranger-name"],
        ["\u{e9}va", "e\u{301}VA", "\u{c9}va"],
    ] {
        let mut replies = Vec::new();
        for attempt in 0..8 {
            let body = json!({"username": names[attempt % 3], "code": WRONG_TOTP});
            replies.push(visible(&portal.post_json(VERIFY, &body).await));
        }
        seen.push(replies);
    }
    assert_eq!((seen[0][4].0, seen[0][5].0), (400, 429));
    assert!(seen.iter().all(|replies| *replies == seen[0]));
}

#[tokio::test]
async fn the_hundredth_miss_disables_what_nobody_has_as_well() {
    let town = town().await;
    let server = &town.server;
    let mut last = 0;
    for _ in 0..102 {
        let portal = town.asker();
        let wrong = town.app.wrong_code(server.clock.unix());
        let seen = town.seen(&portal, &wrong).await;
        last = town.same(&seen, "a miss");
        server.clock.forward(3600);
    }
    assert_eq!(last, 409);
}

#[tokio::test]
async fn what_policy_does_not_take_looks_like_a_wrong_code() {
    let town = town().await;
    let server = &town.server;
    server
        .set_policy(Key::AllowFactor, &["webauthn"])
        .await
        .unwrap();
    let portal = server.login_service();
    let right = town.app.code(server.clock.unix());
    let mut forbidden = Vec::new();
    let mut unknown = Vec::new();
    for _ in 0..7 {
        forbidden.push(visible(&one_call(&portal, "app", &right).await));
        unknown.push(visible(&one_call(&portal, "nobody", &right).await));
    }
    assert_eq!(forbidden, unknown);
    assert_eq!((forbidden[4].0, forbidden[5].0), (400, 429));
}

#[tokio::test]
async fn a_right_code_in_a_lock_looks_like_any_answer_of_nobody_in_a_lock() {
    let town = town().await;
    let server = &town.server;
    let portal = server.login_service();
    let wrong = town.app.wrong_code(server.clock.unix());
    for _ in 0..5 {
        for subject in ["app", "nobody"] {
            one_call(&portal, subject, &wrong)
                .await
                .refused(400, "wrong_code");
        }
    }
    let right = town.app.code(server.clock.unix());
    let expected = visible(&one_call(&portal, "nobody", &wrong).await);
    assert_eq!(expected.0, 429);
    for code in [&right, &wrong] {
        assert_eq!(visible(&one_call(&portal, "app", code).await), expected);
    }
}
