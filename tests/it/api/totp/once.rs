//! A code, and every other form of it, is accepted once.

use serde_json::json;

use super::{CONFIRM, DISABLE, ENABLE, REGENERATE, REPLACE, UNLOCK, enrol, overview};
use crate::support::{App, Server, at_once, tally};

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
        .refused(400, "code_used");
    let code = app.code(now);
    alice.code(REPLACE, &code).await.ok();
    for path in [DISABLE, REGENERATE, REPLACE] {
        alice.code(path, &code).await.refused(400, "code_used");
    }
    alice
        .post_json(UNLOCK, &json!({"type": "totp", "code": code}))
        .await
        .refused(400, "code_used");
    let wrong = app.wrong_code(now);
    for _ in 0..4 {
        alice.code(DISABLE, &wrong).await.refused(400, "wrong_code");
    }
    server.clock.next_step();
    server.restart().await;
    let alice = server.alice();
    // Four misses stand: a restart gave none back, and forgot no step.
    alice.code(DISABLE, &code).await.refused(400, "code_used");
    alice.code(DISABLE, &wrong).await.refused(400, "wrong_code");
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
            .refused(400, "code_used");
    }
    server.clock.back(60);
    let alice = server.alice();
    for step in [now - 60, now - 30] {
        alice
            .code(REPLACE, &app.code(step))
            .await
            .refused(400, "code_used");
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
                plain.refused(400, "code_used");
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
        let again = if good { "code_used" } else { "wrong_code" };
        alice.code(REPLACE, &spelling).await.refused(400, again);
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
    let server = Server::start_unlimited().await;
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
    let expected = [("200", 1), ("code_used", 999)];
    assert_eq!(tally(&replies), expected.map(|(w, n)| (w.into(), n)).into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_set_up_is_confirmed_once_however_many_confirm_it() {
    let server = Server::start_unlimited().await;
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
