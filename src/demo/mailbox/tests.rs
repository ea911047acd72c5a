use std::sync::Arc;

use lettre::message::MultiPart;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::server::{LONGEST_LINE, LONGEST_SILENCE, MOST_CONNECTIONS};
use super::session::{MOST_DISCARDED_BYTES, MOST_MAIL_BYTES, MOST_RECIPIENTS};
use super::{MOST_LETTERS, MailServer, Mailbox};
use crate::base::SystemClock;

struct Running {
    mailbox: Mailbox,
    port: u16,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn start() -> Running {
    let server = MailServer::bind(0, Arc::new(SystemClock)).await.unwrap();
    assert!(server.address().ip().is_loopback());
    let (mailbox, port) = (server.mailbox(), server.address().port());
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.serve(async {
        let _ = stopped.await;
    }));
    Running {
        mailbox,
        port,
        stop,
        task,
    }
}

struct Talk(BufReader<TcpStream>);

impl Talk {
    async fn begin(running: &Running) -> Self {
        let mut talk = Talk::connect(running).await;
        assert!(talk.reply().await.starts_with("220 "));
        talk
    }

    async fn connect(running: &Running) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", running.port))
            .await
            .unwrap();
        Talk(BufReader::new(stream))
    }

    async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
        }
    }

    async fn say(&mut self, line: &str) -> String {
        self.0
            .write_all(format!("{line}\r\n").as_bytes())
            .await
            .unwrap();
        self.reply().await
    }

    async fn address(&mut self) {
        for line in [
            "EHLO test",
            "MAIL FROM:<a@example.com>",
            "RCPT TO:<b@example.com>",
        ] {
            assert!(self.say(line).await.starts_with("250"), "{line}");
        }
        assert!(self.say("DATA").await.starts_with("354"));
    }

    /// Nothing more comes.
    async fn is_over(&mut self) {
        let mut rest = Vec::new();
        // A reset by the peer is an end too.
        let _ = self.0.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
    }
}

#[tokio::test]
async fn what_lettre_sends_is_read_as_it_was_meant() {
    let running = start().await;
    let transport: AsyncSmtpTransport<Tokio1Executor> =
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
            .port(running.port)
            .build();
    for n in 0..3 {
        let message = Message::builder()
            .from("mfad – Größe <mfad@example.com>".parse().unwrap())
            .to("Alice <alice@example.com>".parse().unwrap())
            .subject(format!("Dein Code für Straße {n}"))
            .multipart(MultiPart::alternative_plain_html(
                format!("Grüße!\n\n.12345{n}\n\n.\n..punkte\n"),
                format!("<p>99999{n}</p>"),
            ))
            .unwrap();
        transport.send(message).await.unwrap();
    }
    let letters = running.mailbox.letters();
    assert_eq!(letters.len(), 3);
    assert_eq!(letters[0].id, 3, "newest first");
    assert_eq!(letters[0].subject, "Dein Code für Straße 2");
    assert_eq!(letters[0].from, "mfad – Größe <mfad@example.com>");
    assert_eq!(letters[0].to, ["alice@example.com"]);
    assert_eq!(
        letters[0].text.replace('\r', ""),
        "Grüße!\n\n.123452\n\n.\n..punkte"
    );
    assert_eq!(letters[0].code.as_deref(), Some("123452"));
    running.stop.send(()).unwrap();
    running.task.await.unwrap();
}

#[tokio::test]
async fn commands_out_of_order_are_refused() {
    let running = start().await;
    let mut talk = Talk::begin(&running).await;
    for (line, code) in [
        ("MAIL FROM:<a@example.com>", "503"),
        ("EHLO", "501"),
        ("EHLO test", "250"),
        ("RCPT TO:<b@example.com>", "503"),
        ("DATA", "503"),
        ("MAIL FROM:a@example.com", "501"),
        ("MAIL FROM:<a@example.com> SIZE=262145", "552"),
        ("MAIL FROM:<> SIZE=10 BODY=8BITMIME", "250"),
        ("MAIL FROM:<a@example.com>", "503"),
        ("DATA", "503"),
        ("RCPT TO:<>", "501"),
        ("rcpt to:<b@example.com>", "250"),
        ("RSET", "250"),
        ("DATA", "503"),
        ("NOOP", "250"),
        ("VRFY b", "252"),
        ("STARTTLS", "502"),
        ("GARBAGE", "500"),
        ("", "500"),
        ("QUIT", "221"),
    ] {
        assert!(talk.say(line).await.starts_with(code), "{line}");
    }
    talk.is_over().await;
    assert!(running.mailbox.letters().is_empty());
}

#[tokio::test]
async fn a_mail_that_is_too_large_is_not_kept() {
    let running = start().await;
    let mut talk = Talk::begin(&running).await;
    talk.address().await;
    let line = "x".repeat(998);
    for _ in 0..=MOST_MAIL_BYTES / 1000 {
        talk.0
            .write_all(format!("{line}\r\n").as_bytes())
            .await
            .unwrap();
    }
    assert!(talk.say(".").await.starts_with("552"));
    talk.address().await;
    assert!(
        talk.say("Subject: small\r\n\r\nHello\r\n.")
            .await
            .starts_with("250")
    );
    assert_eq!(running.mailbox.letters().len(), 1);
    talk.address().await;
    for _ in 0..=MOST_DISCARDED_BYTES / 1000 {
        if talk
            .0
            .write_all(format!("{line}\r\n").as_bytes())
            .await
            .is_err()
        {
            break;
        }
    }
    let _ = talk.0.read_to_end(&mut Vec::new()).await;
    assert_eq!(running.mailbox.letters().len(), 1);
}

#[tokio::test]
async fn lines_that_are_too_long_or_end_otherwise_hang_up() {
    let running = start().await;
    for bad in [
        "N".repeat(LONGEST_LINE + 1),
        "NOOP\n".to_owned(),
        "\n".to_owned(),
    ] {
        let mut talk = Talk::begin(&running).await;
        talk.0.write_all(bad.as_bytes()).await.unwrap();
        assert!(talk.reply().await.starts_with("500"));
    }
    let mut talk = Talk::begin(&running).await;
    talk.address().await;
    // The end of a mail to a lax server, and a second mail behind it.
    talk.0
        .write_all(b"Hello\r\n\n.\nMAIL FROM:<evil@example.com>\r\n")
        .await
        .unwrap();
    assert!(talk.reply().await.starts_with("500"));
    assert!(running.mailbox.letters().is_empty());
}

#[tokio::test]
async fn recipients_and_mails_are_bounded() {
    let running = start().await;
    let mut talk = Talk::begin(&running).await;
    talk.say("EHLO test").await;
    talk.say("MAIL FROM:<a@example.com>").await;
    for n in 0..MOST_RECIPIENTS {
        assert!(
            talk.say(&format!("RCPT TO:<{n}@example.com>"))
                .await
                .starts_with("250")
        );
    }
    assert!(
        talk.say("RCPT TO:<more@example.com>")
            .await
            .starts_with("452")
    );
    for _ in 0..MOST_LETTERS + 5 {
        let now = crate::base::Timestamp::from_unix(0);
        running.mailbox.file("a@example.com", &[], b"\r\n\r\n", now);
    }
    let letters = running.mailbox.letters();
    assert_eq!(letters.len(), MOST_LETTERS);
    assert_eq!(letters.last().map(|letter| letter.id), Some(6));
}

#[tokio::test]
async fn one_conversation_too_many_is_told_to_come_back() {
    let running = start().await;
    let mut talks = Vec::new();
    for _ in 0..MOST_CONNECTIONS {
        talks.push(Talk::begin(&running).await);
    }
    let mut more = Talk::connect(&running).await;
    assert!(more.reply().await.starts_with("421"));
    let mut first = talks.remove(0);
    assert!(first.say("QUIT").await.starts_with("221"));
    first.is_over().await;
    // The place is free once the task has ended, which the peer cannot see.
    for _ in 0..1000 {
        if Talk::connect(&running)
            .await
            .reply()
            .await
            .starts_with("220")
        {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the place was never given back");
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_left() {
    let running = start().await;
    let mut talk = Talk::begin(&running).await;
    let began = tokio::time::Instant::now();
    assert!(talk.reply().await.starts_with("421"));
    assert!(began.elapsed() >= LONGEST_SILENCE);
    talk.is_over().await;
}

#[tokio::test]
async fn stopping_ends_conversations() {
    let running = start().await;
    let mut talk = Talk::begin(&running).await;
    running.stop.send(()).unwrap();
    running.task.await.unwrap();
    talk.is_over().await;
}
