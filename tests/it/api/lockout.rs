use serde_json::{Value, json};

use super::totp::{CONFIRM, DISABLE, ENABLE, REGENERATE, REPLACE, UNLOCK, enrol, names, overview};
use crate::support::{App, Authenticator, Client, Reply, Server, at_once, tally};

const EMAIL_ENABLE: &str = "/api/v1/me/mfa/email/enable";
const EMAIL_CONFIRM: &str = "/api/v1/me/mfa/email/confirm";
const EMAIL_DISABLE: &str = "/api/v1/me/mfa/email/disable";

/// One wrong answer that is judged.
async fn miss(server: &Server, person: &Client, app: &App) {
    person
        .code(DISABLE, &app.wrong_code(server.clock.unix()))
        .await
        .refused(400, "wrong_code");
}

/// Misses until nothing but a wait helps.
async fn lock(server: &Server, person: &Client, app: &App) {
    for _ in 0..5 {
        miss(server, person, app).await;
    }
}

async fn unlock(person: &Client, kind: &str, code: &str) -> Reply {
    person
        .post_json(UNLOCK, &json!({"type": kind, "code": code}))
        .await
}

/// All that a client could tell two refusals apart by, but for what names the request and the moment.
fn visible(reply: &Reply) -> (u16, Vec<(String, String)>, &str) {
    let mut headers: Vec<(String, String)> = reply
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (reply.status.as_u16(), headers, &reply.text)
}

/// Turns email codes on beside what is there.
async fn enrol_email(server: &Server, person: &Client) {
    person.post(EMAIL_ENABLE).await.ok();
    let code = mailed_code(server).await;
    person.code(EMAIL_CONFIRM, &code).await.ok();
}

async fn mailed_code(server: &Server) -> String {
    loop {
        let mail = server.smtp.next_mail().await;
        if mail.subject() == "Your code for Example" {
            return mail.code().unwrap();
        }
    }
}

#[tokio::test]
async fn the_fifth_miss_locks_for_half_a_minute_and_says_so() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = enrol(&server, &alice).await;
    let wrong = app.wrong_code(server.clock.unix());
    for left in [4, 3, 2, 1, 0] {
        let body = alice.code(DISABLE, &wrong).await;
        assert_eq!(body.refused(400, "wrong_code")["tries_left"], left);
    }
    let locked = alice.code(DISABLE, &wrong).await;
    let body = locked.refused(429, "locked");
    assert_eq!(locked.header("retry-after"), "30");
    assert_eq!(
        names(&body),
        ["code", "detail", "retry_after", "status", "title", "type"]
    );
    // The wait runs down; knocking does not lengthen it.
    server.clock.forward(29);
    let locked = alice.code(REGENERATE, &wrong).await;
    assert_eq!(locked.refused(429, "locked")["retry_after"], 1);
    server.clock.forward(1);
    alice
        .code(REPLACE, &app.code(server.clock.unix()))
        .await
        .ok();
}

#[tokio::test]
async fn a_lock_tells_nothing_of_the_answer_and_does_not_use_it_up() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = enrol(&server, &alice).await;
    lock(&server, &alice, &app).await;
    let now = server.clock.unix();
    let (right, wrong) = (app.code(now), app.wrong_code(now));
    for path in [DISABLE, REPLACE, REGENERATE] {
        let answers = [
            alice.code(path, &right).await,
            alice.code(path, &wrong).await,
            alice.code(path, "").await,
            alice.code(path, "nonsense").await,
        ];
        for answer in &answers {
            answer.refused(429, "locked");
            assert_eq!(visible(answer), visible(&answers[0]));
        }
    }
    let answers = [
        unlock(&alice, "totp", &right).await,
        unlock(&alice, "totp", &wrong).await,
    ];
    for answer in &answers {
        answer.refused(429, "locked");
        assert_eq!(visible(answer), visible(&answers[0]));
    }
    // The very code that was refused is good when the lock ends.
    server.clock.forward(30);
    alice.code(REPLACE, &right).await.ok();
}

#[tokio::test]
async fn each_further_miss_doubles_the_wait_until_a_right_code_forgets_them() {
    let mut server = Server::start().await;
    let alice = server.alice();
    let (app, _) = enrol(&server, &alice).await;
    lock(&server, &alice, &app).await;
    for wait in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] {
        let person = server.alice();
        let right = app.code(server.clock.unix());
        let locked = person.code(DISABLE, &right).await;
        assert_eq!(locked.refused(429, "locked")["retry_after"], wait);
        server.clock.forward(wait - 1);
        let person = server.alice();
        let right = app.code(server.clock.unix());
        let locked = person.code(DISABLE, &right).await;
        assert_eq!(locked.refused(429, "locked")["retry_after"], 1);
        server.clock.forward(1);
        if wait == 240 {
            server.restart().await;
        }
        // The end of a wait gives one try, not five.
        miss(&server, &server.alice(), &app).await;
    }
    server.clock.forward(3600);
    let alice = server.alice();
    alice
        .code(REPLACE, &app.code(server.clock.unix()))
        .await
        .ok();
    lock(&server, &alice, &app).await;
    let locked = alice.code(DISABLE, "000000").await;
    assert_eq!(locked.refused(429, "locked")["retry_after"], 30);
}

#[tokio::test]
async fn a_restart_gives_no_tries_back() {
    let mut server = Server::start().await;
    let (app, _) = enrol(&server, &server.alice()).await;
    for _ in 0..4 {
        miss(&server, &server.alice(), &app).await;
        server.restart().await;
    }
    miss(&server, &server.alice(), &app).await;
    server.restart().await;
    let alice = server.alice();
    let right = app.code(server.clock.unix());
    let locked = alice.code(DISABLE, &right).await;
    assert_eq!(locked.refused(429, "locked")["retry_after"], 30);
}

#[tokio::test]
async fn a_clock_that_steps_back_ends_no_lock_and_makes_none_longer_than_an_hour() {
    let server = Server::start().await;
    let (app, _) = enrol(&server, &server.alice()).await;
    lock(&server, &server.alice(), &app).await;
    server.clock.back(86_400);
    server.accept_clock().await;
    let alice = server.alice();
    let right = app.code(server.clock.unix());
    let locked = alice.code(DISABLE, &right).await;
    assert_eq!(locked.refused(429, "locked")["retry_after"], 3600);
}

/// Misses a hundred times, so that nothing but another factor helps.
async fn disable(server: &Server, app: &App) {
    for number in 1..=100 {
        miss(server, &server.alice(), app).await;
        if number >= 5 {
            server.clock.forward(3600);
        }
    }
}

#[tokio::test]
async fn the_first_lock_and_the_hundredth_miss_are_each_mailed_once() {
    let server = Server::start().await;
    let (app, _) = enrol(&server, &server.alice()).await;
    disable(&server, &app).await;
    let mut subjects = Vec::new();
    while subjects.len() < 3 {
        subjects.push(server.smtp.next_mail().await.subject());
    }
    assert_eq!(
        subjects,
        [
            "New authenticator app on your Example account",
            "Too many wrong codes on your Example account",
            "Disabled on your Example account: authenticator app",
        ]
    );
}

#[tokio::test]
async fn after_the_hundredth_miss_no_answer_counts_whatever_it_is_and_however_long_one_waits() {
    let mut server = Server::start().await;
    let (app, _) = enrol(&server, &server.alice()).await;
    disable(&server, &app).await;
    for _ in 0..2 {
        let alice = server.alice();
        let answers = [
            alice.code(DISABLE, &app.code(server.clock.unix())).await,
            alice.code(DISABLE, "000000").await,
            unlock(&alice, "totp", &app.code(server.clock.unix())).await,
        ];
        for answer in &answers {
            answer.refused(409, "factor_disabled");
            assert_eq!(visible(answer), visible(&answers[0]));
        }
        let seen = overview(&alice).await;
        assert_eq!(seen["devices"][0]["type"], "totp");
        assert_eq!(seen["devices"][0]["status"], "disabled");
        // Whoever guesses a hundred times has not got rid of the second factor.
        assert_eq!(seen["enabled"], true);
        alice.post(ENABLE).await.refused(409, "already_enabled");
        server.clock.forward(30 * 86_400);
        server.restart().await;
    }
}

#[tokio::test]
async fn a_backup_code_brings_a_disabled_app_back_and_a_wrong_one_does_not() {
    let server = Server::start().await;
    let (app, codes) = enrol(&server, &server.alice()).await;
    disable(&server, &app).await;
    let alice = server.alice();
    for wrong in ["0000-0000-0000-0000", "prf_aaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        let refused = unlock(&alice, "totp", wrong).await;
        refused.refused(400, "wrong_code");
    }
    let unlocked = unlock(&alice, "totp", &codes[0]).await.ok();
    assert_eq!(unlocked, json!({"unlocked": true}));
    assert_eq!(overview(&alice).await["devices"][0]["status"], "active");
    let right = app.code(server.clock.unix());
    alice.code(REPLACE, &right).await.ok();
}

#[tokio::test]
async fn the_proof_of_a_key_ends_a_lock_once() {
    const KEYS: &str = "/api/v1/me/mfa/webauthn";
    let server = Server::start().await;
    let alice = server.alice();
    let (app, _) = enrol(&server, &alice).await;
    let mut key = Authenticator::new();
    let begun = alice.post(&format!("{KEYS}/register/begin")).await.ok();
    let complete = format!("{KEYS}/register/complete");
    let registered = alice.post_json(&complete, &key.register(&begun)).await;
    registered.ok();

    lock(&server, &alice, &app).await;
    let begun = alice.post(&format!("{KEYS}/verify/begin")).await.ok();
    let complete = format!("{KEYS}/verify/complete");
    let proof = alice.post_json(&complete, &key.verify(&begun)).await.ok();
    let proof = proof["code"].as_str().unwrap();
    unlock(&alice, "totp", proof).await.ok();
    let again = unlock(&alice, "totp", proof).await;
    again.refused(400, "wrong_code");
    let right = app.code(server.clock.unix());
    alice.code(DISABLE, &right).await.ok();
}

#[tokio::test]
async fn a_disabled_app_gives_way_to_a_new_one_against_another_proof() {
    let server = Server::start().await;
    let (app, codes) = enrol(&server, &server.alice()).await;
    disable(&server, &app).await;
    let alice = server.alice();
    alice
        .code(REPLACE, &app.code(server.clock.unix()))
        .await
        .refused(409, "factor_disabled");
    let new = App::scan(&alice.code(REPLACE, &codes[0]).await.ok());
    alice
        .code(CONFIRM, &app.code(server.clock.unix()))
        .await
        .refused(400, "wrong_code");
    alice
        .code(CONFIRM, &new.code(server.clock.unix()))
        .await
        .ok();
    assert_eq!(overview(&alice).await["devices"][0]["status"], "active");
    server.clock.next_step();
    alice
        .code(DISABLE, &new.code(server.clock.unix()))
        .await
        .ok();
}

#[tokio::test]
async fn a_right_answer_clears_its_own_misses_alone() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = enrol(&server, &alice).await;
    alice.post(EMAIL_ENABLE).await.ok();
    let mailed = mailed_code(&server).await;
    let other = |code: &str| format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000);
    for _ in 0..4 {
        miss(&server, &alice, &app).await;
        alice
            .code(EMAIL_CONFIRM, &other(&mailed))
            .await
            .refused(400, "wrong_code");
    }
    // A backup code forgets no miss of the app's.
    alice.code(REPLACE, &codes[0]).await.ok();
    let body = alice.code(DISABLE, "000000").await;
    assert_eq!(body.refused(400, "wrong_code")["tries_left"], 0);
    server.clock.forward(30);
    // Nor does the app forget those of the mailed code.
    alice
        .code(REPLACE, &app.code(server.clock.unix()))
        .await
        .ok();
    let body = alice.code(EMAIL_CONFIRM, &other(&mailed)).await;
    assert_eq!(body.refused(400, "wrong_code")["tries_left"], 0);
    let right = alice.code(EMAIL_CONFIRM, &mailed).await;
    right.refused(400, "code_expired");
    // The app has all five again.
    lock(&server, &alice, &app).await;
}

#[tokio::test]
async fn setting_up_and_tearing_down_buys_no_tries() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = enrol(&server, &alice).await;
    for _ in 0..3 {
        miss(&server, &alice, &app).await;
    }
    // Refused changes, set-ups, other pages and another token of the same person give nothing back, nor take anything.
    alice.post(ENABLE).await.refused(409, "already_enabled");
    let new = App::scan(&alice.code(REPLACE, &codes[0]).await.ok());
    alice
        .code(CONFIRM, &new.wrong_code(server.clock.unix()))
        .await
        .refused(400, "wrong_code");
    for left in [1, 0] {
        let body = server.alice().code(DISABLE, "000000").await;
        assert_eq!(body.refused(400, "wrong_code")["tries_left"], left);
    }
    let locked = alice.code(REPLACE, &app.code(server.clock.unix())).await;
    locked.refused(429, "locked");
}

#[tokio::test]
async fn unlocking_names_a_factor_that_is_there_and_can_be_locked() {
    let server = Server::start().await;
    let alice = server.alice();
    unlock(&alice, "totp", "000000")
        .await
        .refused(409, "not_enabled");
    let (_, codes) = enrol(&server, &alice).await;
    unlock(&alice, "email", &codes[0])
        .await
        .refused(409, "not_enabled");
    for kind in ["webauthn", "backup_code", "", "TOTP", "totp ", "canary"] {
        let detail = unlock(&alice, kind, &codes[0]).await.misfit();
        assert_eq!(
            detail,
            [
                json!({"loc": ["body", "type"], "msg": "Input should be 'totp' or 'email'", "type": "enum"})
            ]
        );
    }
    // None of these used the code up.
    unlock(&alice, "totp", &codes[0]).await.ok();
}

#[tokio::test]
async fn a_locked_mailed_code_is_brought_back_by_the_app() {
    let server = Server::start().await;
    let alice = server.alice();
    enrol_email(&server, &alice).await;
    let wrong = |n: usize| format!("{n:06}");
    server.clock.forward(60);
    alice.post("/api/v1/me/mfa/email/send").await.ok();
    let mailed = mailed_code(&server).await;
    for number in (0..6).filter(|n| wrong(*n) != mailed).take(5) {
        alice
            .code(EMAIL_DISABLE, &wrong(number))
            .await
            .refused(400, "wrong_code");
    }
    unlock(&alice, "email", &mailed)
        .await
        .refused(429, "locked");
    let (app, _) = enrol(&server, &alice).await;
    unlock(&alice, "email", &app.code(server.clock.unix()))
        .await
        .ok();
    server.clock.next_step();
    alice
        .code(EMAIL_DISABLE, &app.code(server.clock.unix()))
        .await
        .ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_guesses_at_once_five_are_judged() {
    let mut server = Server::start_unlimited().await;
    let (alice, bob) = (server.alice(), server.bob());
    let (app, _) = enrol(&server, &alice).await;
    let (his, _) = enrol(&server, &bob).await;
    enrol_email(&server, &alice).await;
    let wrong = app.wrong_code(server.clock.unix());
    for (round, count) in [(1, 1_000), (2, 200)] {
        let (alice, wrong) = (server.alice(), wrong.clone());
        let replies = at_once(&alice, count, move |alice, number| {
            let wrong = wrong.clone();
            async move {
                match number % 5 {
                    0 => alice.code(DISABLE, &wrong).await,
                    1 => alice.code(REPLACE, &wrong).await,
                    2 => alice.code(REGENERATE, &wrong).await,
                    3 => alice.code(EMAIL_DISABLE, &wrong).await,
                    _ => unlock(&alice, "totp", &wrong).await,
                }
            }
        })
        .await;
        let expected = match round {
            1 => [("locked", 995), ("wrong_code", 5)].as_slice(),
            _ => &[("locked", 200)],
        };
        let expected = expected.iter().map(|(w, n)| ((*w).to_owned(), *n));
        assert_eq!(tally(&replies), expected.collect());
        server.restart().await;
    }
    let alice = server.alice();
    let events = super::history::all(&alice).await;
    let with = |reason: &str| {
        let events = events.iter();
        let alike = events.filter(|event| event["reason"] == reason);
        alike
            .filter_map(|event| event["count"].as_u64())
            .sum::<u64>()
    };
    assert_eq!((with("wrong_code"), with("locked")), (5, 1_195));
    let bob = server.bob();
    bob.code(REPLACE, &his.code(server.clock.unix())).await.ok();
    // Five were counted: the next miss is the sixth.
    server.clock.forward(30);
    let alice = server.alice();
    miss(&server, &alice, &app).await;
    let locked = alice.code(DISABLE, &wrong).await;
    assert_eq!(locked.refused(429, "locked")["retry_after"], 60);
    let locks: Vec<Value> = super::history::all(&bob)
        .await
        .into_iter()
        .filter(|event| event["outcome"] == "refused")
        .collect();
    assert_eq!(locks, Vec::<Value>::new());
}
