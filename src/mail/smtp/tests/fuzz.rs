//! Whatever a mail server may say.

use proptest::prelude::*;
use proptest::sample::select;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::base::fuzz::Target;

/// What no message of ours repeats.
const MARKER: &str = "s3cret-m4rker";

/// Says one reply after the other, each when it has heard something or a moment has passed.
async fn say(listener: &TcpListener, replies: &[&[u8]]) {
    let Ok((mut stream, _)) = listener.accept().await else {
        return;
    };
    for reply in replies {
        if stream.write_all(reply).await.is_err() {
            return;
        }
        let mut heard = [0; 4096];
        let _ = timeout(Duration::from_millis(8), stream.read(&mut heard)).await;
    }
}

/// A letter has left only if the server took it, a refusal for good is the server's own word, and what it says is
/// repeated to nobody but the operator who asks for it.
/// What a server says in the course of one email: greeting, EHLO, MAIL, RCPT, DATA, the email.
fn conversations() -> impl Strategy<Value = Vec<u8>> {
    let greeting = select(
        &[
            "220 mail ESMTP\r\n",
            "220-a\r\n220 b\r\n",
            "554 5.7.1 s3cret-m4rker\r\n",
            "421 \r\n",
            "HTTP/1.1 400 Bad\r\n",
        ][..],
    );
    let hello = select(
        &[
            "250-mail\r\n250-SIZE\r\n250 8BITMIME\r\n",
            "250 mail\r\n",
            "502 no\r\n",
            "250-endless\r\n",
        ][..],
    );
    let reply = || {
        select(
            &[
                "250 2.1.0 ok\r\n",
                "250 ok\r\n",
                "550 5.1.1 s3cret-m4rker\r\n",
                "451 4.7.1 later\r\n",
                "535 5.7.8 no\r\n",
                "999 x\r\n",
            ][..],
        )
    };
    let data = select(&["354 go\r\n", "554 no\r\n", "250 what\r\n"][..]);
    (greeting, hello, reply(), reply(), data, reply())
        .prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f].join("\0").into_bytes())
}

#[test]
fn fuzz_smtp_replies() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let settings = SmtpSettings {
        security: Security::None,
        deadline: Duration::from_millis(300),
        ..SmtpSettings::new(
            "localhost",
            listener.local_addr().unwrap().port(),
            "mfa@example.com",
        )
    };
    let letter = letter();
    let words = [
        "250 ",
        "250-",
        "5",
        "\r\n",
        "550 5.7.1 ",
        "354 ",
        "\u{1b}[31m",
        "s3cret-m4rker",
    ];
    Target::new("smtp_replies")
        .words(&words)
        .cases(250)
        .check(conversations(), |input| {
            let replies: Vec<&[u8]> = input.split(|byte| *byte == 0).take(12).collect();
            let outcome = runtime.block_on(async {
                let mailer = mailer(&settings);
                let (sending, saying) = (mailer.send(&letter), say(&listener, &replies));
                tokio::pin!(sending);
                tokio::select! {
                    sent = &mut sending => return sent,
                    () = saying => {}
                }
                sending.await
            });
            let Err(error) = outcome else {
                // Each step has its own yes: greeting, EHLO, MAIL, RCPT, DATA, the letter.
                let text = String::from_utf8_lossy(input);
                let lines = |kind: char| {
                    text.split(['\n', '\0'])
                        .filter(|line| line.starts_with(kind))
                        .count()
                };
                assert!(
                    lines('2') >= 5 && lines('3') >= 1,
                    "{}",
                    input.escape_ascii()
                );
                return true;
            };
            assert_discreet(&error);
            let told = format!("{error} {error:?}");
            assert!(
                !told.contains(MARKER) && !told.chars().any(char::is_control),
                "{told:?}"
            );
            let text = String::from_utf8_lossy(input);
            let trouble = error.trouble();
            if let Some(said) = trouble.said() {
                assert!(said.chars().count() <= 200 && !said.chars().any(char::is_control));
            }
            if let Some(reply) = trouble.reply() {
                assert!(text.contains(&reply.to_string()), "{reply}");
            }
            if let SendError::Refused(trouble) = &error {
                assert!(
                    matches!(trouble.reply(), Some(500..)) && trouble.stage() >= Stage::Recipient
                );
            }
            false
        });
}
