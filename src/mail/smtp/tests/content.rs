//! What is in a letter stays in the letter.

use std::io;

use proptest::prelude::*;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::base::MessageId;
use crate::mail::smtp_server::Received;

fn arrived_with_clean_headers(mail: &Received) {
    let mut names = mail.header_names();
    names.sort();
    assert_eq!(
        names,
        [
            "Auto-Submitted",
            "Content-Language",
            "Content-Type",
            "Date",
            "From",
            "MIME-Version",
            "Message-ID",
            "Subject",
            "To"
        ]
    );
    assert_eq!(mail.to, ["alice@example.com"]);
    let raw = String::from_utf8_lossy(&mail.raw);
    let head = raw.split("\r\n\r\n").next().unwrap();
    assert!(head.is_ascii(), "{head}");
    assert!(head.lines().all(|l| l.len() <= 998), "{head}");
}

#[tokio::test]
async fn nothing_typed_becomes_a_header_or_a_command() {
    let server = SmtpServer::start(Options::default()).await;
    let mailer = mailer(&settings(&server));
    for typed in [
        "x\r\nBcc: eve@evil.example",
        "x\nBcc: eve@evil.example\n\n<b>body</b>",
        "x\rBcc: eve@evil.example",
        "x\r\n\r\n.\r\nMAIL FROM:<eve@evil.example>",
        "x\u{2028}Bcc: eve@evil.example",
        "x\0y\u{b}z\u{85}Bcc: eve@evil.example",
        "=?utf-8?q?x=0D=0ABcc:_eve@evil.example?=",
        "Ünï cödé 🔑 Ключ",
        &"long ".repeat(500),
        &"длинно ".repeat(500),
    ] {
        let hostile = Letter {
            subject: typed.to_owned(),
            text: format!(".{typed}\n.\n..\n.\r\nQUIT\r\n{typed}"),
            html: format!("<p>{typed}</p>"),
            ..letter()
        };
        mailer.send(&hostile).await.unwrap();
        let mail = server.next_mail().await;
        arrived_with_clean_headers(&mail);
        let subject = display_text(typed, LONGEST_SUBJECT).unwrap();
        if !typed.starts_with("=?") {
            assert_eq!(mail.subject(), subject, "{typed:?}");
        }
        assert_eq!(lines(&mail.text()), lines(&hostile.text), "{typed:?}");
        assert_eq!(lines(&mail.html()), lines(&hostile.html), "{typed:?}");
    }
    let heard = server.commands();
    assert!(heard.iter().all(|c| !c.contains("evil")), "{heard:?}");
}

/// The lines of a text, however they end.
fn lines(text: &str) -> Vec<String> {
    text.replace("\r\n", "\n")
        .split(['\r', '\n'])
        .map(str::to_owned)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The library is known to panic on some text; ours never lets it see any.
    #[test]
    fn any_letter_can_be_packed(subject in ".*", text in any::<String>(), html in any::<String>()) {
        let mailer = {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _guard = runtime.enter();
            mailer(&SmtpSettings::new("localhost", 1, "mfa@example.com"))
        };
        let hostile = Letter {
            id: MessageId::draw(&OsEntropy).unwrap(),
            to: "alice@example.com".parse().unwrap(),
            language: Language::French,
            subject,
            text,
            html,
        };
        if let Ok(parcel) = mailer.0.pack(&hostile) {
            let mail = Received {
                from: String::new(),
                to: vec!["alice@example.com".to_owned()],
                raw: parcel.message,
                tls: false,
                user: None,
                connection: 0,
            };
            arrived_with_clean_headers(&mail);
            prop_assert_eq!(lines(&mail.text()), lines(&hostile.text));
        }
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Log;
    fn make_writer(&self) -> Log {
        self.clone()
    }
}

#[tokio::test]
async fn the_most_talkative_log_holds_neither_password_nor_letter() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::trace!("the log is on");
    let server = SmtpServer::start(with_login()).await;
    let mailer = mailer(&logged_in(&server, PASSWORD));
    mailer.send(&letter()).await.unwrap();
    server.misbehave(Fault::RefuseLetter("554 5.7.1 no 481516"));
    assert!(mailer.send(&letter()).await.is_err());
    let written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(written.contains("the log is on"), "{written}");
    let plain = data_encoding::BASE64.encode(format!("\0mfa\0{PASSWORD}").as_bytes());
    for secret in ["481516", "alice", PASSWORD, plain.as_str()] {
        assert!(!written.contains(secret), "{written}");
    }
}
