//! One question to a running server, asked by PAM: whether the code that somebody typed is right.

use std::io::{self, Read};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::auth::{Answer, Outbound, OutboundError};
use crate::base::display_text;
use crate::config::{Exit, PamSettings};

use super::keep_secrets_out_of_dumps;

/// From the start to the verdict: whoever logs in waits no longer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Bytes of a code at the most. All that the server takes are shorter.
const LONGEST_CODE: usize = 256;

/// Characters of the server's own words that are passed on.
const LONGEST_DETAIL: usize = 200;

#[derive(Serialize)]
struct Question<'a> {
    username: &'a str,
    code: &'a str,
}

/// How it went, with a sentence unless all is well. No sentence holds the code or the key.
type Verdict = Result<(), (Exit, String)>;

/// Asks about the code on standard input. Says nothing where it is right, and a sentence on
/// standard error where it is not or nobody can tell.
pub fn pam(settings: &PamSettings) -> Exit {
    keep_secrets_out_of_dumps();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("mfad pam: {error}");
            return Exit::Temporary;
        }
    };
    let verdict = runtime.block_on(async {
        tokio::time::timeout(DEADLINE, ask(settings))
            .await
            .unwrap_or_else(|_| Err((Exit::Temporary, format!("no verdict within {DEADLINE:?}"))))
    });
    // A name that does not resolve, or an input that never ends, shall not hold up the end.
    runtime.shutdown_background();
    match verdict {
        Ok(()) => Exit::Ok,
        Err((exit, sentence)) => {
            eprintln!("mfad pam: {sentence}");
            exit
        }
    }
}

async fn ask(settings: &PamSettings) -> Verdict {
    let typed = tokio::task::spawn_blocking(|| read(io::stdin().lock()))
        .await
        .map_err(|error| (Exit::Temporary, error.to_string()))?
        .map_err(|error| (Exit::Io, format!("the code cannot be read: {error}")))?;
    let code = code(&typed).map_err(|sentence| (Exit::Refused, sentence.to_owned()))?;
    let question = Question {
        username: &settings.user,
        code,
    };
    let outbound = Outbound::new(settings.ca_file.as_deref())
        .map_err(|error| (Exit::Config, in_full(&error)))?
        .with_deadline(DEADLINE);
    let answer = outbound
        .post_json(&settings.verify, settings.key.expose(), &question)
        .await
        .map_err(|error| {
            let sentence = format!("the server cannot be asked: {}", in_full(&error));
            (Exit::Temporary, sentence)
        })?;
    verdict(&answer)
}

/// What was typed, and never much more than the longest code.
fn read(input: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for all of it at once, or growing would leave copies behind.
    let most = LONGEST_CODE + 2;
    let mut typed = Zeroizing::new(Vec::with_capacity(most));
    input.take(most as u64).read_to_end(&mut typed)?;
    Ok(typed)
}

/// The code in what pam_exec hands over, which may end in a zero byte, or in a new line where a shell wrote it.
fn code(typed: &[u8]) -> Result<&str, &'static str> {
    let typed = typed
        .strip_suffix(b"\0")
        .or_else(|| typed.strip_suffix(b"\n"))
        .unwrap_or(typed);
    if typed.is_empty() {
        return Err("no code was typed; pam_exec.so needs expose_authtok");
    }
    if typed.len() > LONGEST_CODE {
        return Err("what was typed is longer than any code");
    }
    match std::str::from_utf8(typed) {
        // sshd gives "\b\n\r\x7fINCORRECT" for people who may not come in whatever they type: no miss of theirs.
        Ok(code) if !code.contains(char::is_control) => Ok(code),
        _ => Err("what was typed is no code"),
    }
}

fn verdict(answer: &Answer) -> Verdict {
    let body: Value = answer.json().unwrap_or(Value::Null);
    let verified = body.get("verified").and_then(Value::as_bool);
    match (answer.status, verified) {
        (200, Some(true)) => Ok(()),
        (401 | 403, _) => Err((
            Exit::Config,
            "the server does not take the service key".to_owned(),
        )),
        // The one refusal whose shape is not the server's own.
        (422, _) => Err((Exit::Refused, "what was typed is no code".to_owned())),
        (400..=499, Some(false)) => {
            let detail = body.get("detail").and_then(Value::as_str);
            let detail = detail.and_then(|detail| display_text(detail, LONGEST_DETAIL));
            let sentence = detail.unwrap_or_else(|| "the code is not right".to_owned());
            Err((Exit::Refused, sentence))
        }
        (503, _) => Err((
            Exit::Temporary,
            "the server cannot verify anything at the moment".to_owned(),
        )),
        (status, _) => Err((
            Exit::Temporary,
            format!("the answer is none of mfad's (HTTP status {status}): check --url"),
        )),
    }
}

/// The error with its causes.
fn in_full(error: &OutboundError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fuzz::Target;
    use proptest::prelude::*;

    #[test]
    fn one_end_is_taken_off_and_nothing_else() {
        for (typed, expected) in [
            ("123456", "123456"),
            ("123456\0", "123456"),
            ("123456\n", "123456"),
            (" 123 456 ", " 123 456 "),
        ] {
            assert_eq!(code(typed.as_bytes()), Ok(expected));
        }
    }

    #[test]
    fn what_cannot_be_a_code_asks_nobody() {
        let long = [b'1'; LONGEST_CODE + 1];
        for typed in [
            &b""[..],
            b"\0",
            b"\n",
            b"123456\0\0",
            b"123456\n\n",
            b"12\n34",
            b"\x08\n\r\x7fINCORRECT",
            b"\xff\xfe",
            &long,
        ] {
            assert!(code(typed).is_err(), "{typed:?}");
        }
        assert!(code(&long[1..]).is_ok());
    }

    #[test]
    fn an_endless_input_is_read_a_little_way() {
        let typed = read(io::repeat(b'1')).unwrap();
        assert!(typed.len() <= LONGEST_CODE + 2);
        assert!(code(&typed).is_err());
    }

    /// What is asked about is what was typed, but for one end that PAM or a shell put there.
    #[test]
    fn fuzz_pam_input() {
        let generated = "[0-9A-Za-z -]{0,20}(\0|\n|\r\n|)".prop_map(String::into_bytes);
        let target =
            Target::new("pam_input").words(&["\0", "\n", "\r", "\x08", "\u{85}", "\u{7f}"]);
        target.check(generated, |typed| {
            let read = read(typed).unwrap();
            assert!(typed.starts_with(&read) && read.len() <= LONGEST_CODE + 2);
            let Ok(code) = code(&read) else {
                return false;
            };
            let end = typed.strip_prefix(code.as_bytes()).unwrap();
            assert!(matches!(end, b"" | b"\0" | b"\n"), "{end:?}");
            assert!((1..=LONGEST_CODE).contains(&code.len()) && !code.contains(char::is_control));
            true
        });
    }
}
