//! A used code in other spellings.

use super::super::totp;
use super::{answer, one_call, open};
use crate::support::Server;

/// Forty ways to write six digits that somebody might take for another code.
fn spellings(code: &str) -> Vec<String> {
    let (a, b) = code.split_at(3);
    let between = |inside: &str| format!("{a}{inside}{b}");
    let full_width: String = code
        .chars()
        .filter_map(|c| char::from_u32(c as u32 - '0' as u32 + 0xff10))
        .collect();
    let arabic: String = code
        .chars()
        .filter_map(|c| char::from_u32(c as u32 - '0' as u32 + 0x0660))
        .collect();
    let superscript_first = code.replacen(&code[..1], "\u{2070}", 1);
    let mut all = vec![code.to_owned(), full_width, arabic, superscript_first];
    for inside in [
        " ", "  ", "-", "--", " - ", "\t", "\n", "\r\n", "\0", "+", ".", ",", "_", "\u{a0}",
        "\u{200b}", "\u{200d}", "\u{2060}", "\u{feff}", "\u{2009}", "\u{2011}", "\u{2212}",
        "\u{ad}", "\u{301}", "\u{202e}",
    ] {
        all.push(between(inside));
    }
    for (before, after) in [
        (" ", ""),
        ("", " "),
        ("", "\n"),
        ("", "\r\n"),
        ("\u{feff}", ""),
        ("", "\u{200b}"),
        ("+", ""),
        ("", "\0"),
        ("0", ""),
        ("", "0"),
        ("-", "-"),
        ("'", "'"),
    ] {
        all.push(format!("{before}{code}{after}"));
    }
    all
}

#[tokio::test]
async fn a_used_code_is_refused_in_forty_spellings() {
    let server = Server::start().await;
    let portal = server.login_service();
    let mut tried = 0;
    // Four a person, since the fifth miss would lock, and a lock would answer instead.
    for group in 0..10 {
        let subject = format!("person-{group}");
        let (app, _) = totp::enrol(&server, &server.person(&subject)).await;
        let code = app.code(server.clock.unix());
        let all = spellings(&code);
        assert_eq!(all.len(), 40);
        one_call(&portal, &subject, &code).await.ok();
        for spelling in &all[group * 4..][..4] {
            // Blanks and hyphens make no other code of it.
            let read = spelling.replace([' ', '-'], "");
            let in_words = if read == code {
                "code_used"
            } else {
                "wrong_code"
            };
            if tried % 2 == 0 {
                let opened = open(&portal, &subject).await;
                let reply = answer(&portal, &opened, "totp", spelling).await;
                reply.refused(400, in_words);
            } else {
                let reply = one_call(&portal, &subject, spelling).await;
                reply.refused(400, "wrong_code");
            }
            tried += 1;
        }
    }
    assert_eq!(tried, 40);
}

#[tokio::test]
async fn spaces_and_hyphens_spell_the_same_code_and_nothing_else_does() {
    let server = Server::start().await;
    let (app, _) = totp::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    for spelled in [
        |a: &str, b: &str| format!("{a} {b}"),
        |a: &str, b: &str| format!("{a}-{b}"),
        |a: &str, b: &str| format!(" {a} - {b} "),
    ] {
        server.clock.next_step();
        let code = app.code(server.clock.unix());
        let (a, b) = code.split_at(3);
        one_call(&portal, "alice", &spelled(a, b)).await.ok();
        one_call(&portal, "alice", &code)
            .await
            .refused(400, "wrong_code");
    }
    // Fresh codes in spellings that are none are misses, and use up no step.
    for (number, odd) in ["\u{200b}", "\n", "\0", "+"].iter().enumerate() {
        server.clock.next_step();
        let code = app.code(server.clock.unix());
        let (a, b) = code.split_at(3);
        let reply = one_call(&portal, "alice", &format!("{a}{odd}{b}")).await;
        reply.refused(400, "wrong_code");
        one_call(&portal, "alice", &code).await.ok();
        assert!(number < 4);
    }
}

#[tokio::test]
async fn a_spent_backup_code_is_refused_in_all_its_spellings() {
    let server = Server::start().await;
    let (_, codes) = totp::enrol(&server, &server.alice()).await;
    let portal = server.login_service();
    let code = &codes[0];
    one_call(&portal, "alice", &code.to_lowercase()).await.ok();
    let plain = code.replace('-', "");
    for spelling in [
        code.clone(),
        code.to_lowercase(),
        plain.clone(),
        plain.to_lowercase(),
        plain.replace('0', "O").replace('1', "l"),
        plain.replace('0', "o").replace('1', "I"),
        format!(" {code} "),
        plain.chars().map(|c| format!("{c} ")).collect(),
        format!("{code}\n"),
        format!("{code}\0"),
        format!("{plain}\u{200b}"),
    ] {
        one_call(&portal, "alice", &spelling)
            .await
            .refused(400, "wrong_code");
    }
}
