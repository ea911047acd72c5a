//! What people do, each from beginning to end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::load::{Load, RETURN, Told};
use crate::support::browser::{Browser, tokens};
use crate::support::process::now;
use crate::support::{App, Authenticator, Client};

const ME: &str = "/api/v1/me/mfa";
const NOBODYS: &str = "0000-0000-0000-0000";
/// People who come again and again. Whoever has email codes keeps them for a minute and more, and comes once.
const PEOPLE: u64 = 250;
/// Another code can be mailed to somebody after so long.
const RESEND: Duration = Duration::from_secs(62);

/// Somebody with email codes.
struct Mailed {
    subject: String,
    codes: Vec<String>,
    since: Instant,
}

fn by(method: &str, code: &str) -> Value {
    json!({"method": method, "code": code})
}

fn backup_codes(confirmed: &Value) -> Vec<String> {
    serde_json::from_value(confirmed["backup_codes"].clone()).unwrap_or_default()
}

fn nth(codes: &[String], n: usize) -> Told<&str> {
    let code = codes.get(n).map(String::as_str);
    code.ok_or_else(|| "no backup code came".to_owned())
}

impl Load {
    /// Sets up an app, whose person has backup codes from then on.
    async fn with_app(&self, person: &Client) -> Told<(App, Vec<String>)> {
        let begun = person.post(&format!("{ME}/totp/enable")).await;
        let app = App::scan(&self.expect("app begun", &begun, &[200])?);
        let confirm = format!("{ME}/totp/confirm");
        let missed = person.code(&confirm, &app.wrong_code(now())).await;
        self.expect("app confirmed wrongly", &missed, &[400])?;
        let done = person.code(&confirm, &app.code(now())).await;
        let codes = backup_codes(&self.expect("app confirmed", &done, &[200])?);
        Ok((app, codes))
    }

    async fn remove_app(&self, person: &Client, code: &str) -> Told {
        let removed = person.code(&format!("{ME}/totp/disable"), code).await;
        self.expect("app removed", &removed, &[200]).map(drop)
    }

    /// Sets up an app, signs in by it, wrongly and rightly, and by backup codes, and removes it.
    pub async fn an_app(self: Arc<Self>, number: u64) -> Told {
        let subject = format!("app-{}", number % PEOPLE);
        let person = self.person(&subject);
        let (app, codes) = self.with_app(&person).await?;
        let seen = person.get(ME).await;
        self.expect("overview", &seen, &[200])?;

        let opened = self.challenge(&subject, &json!({})).await?;
        let missed = self
            .with(&opened, "/verify", &by("backup_code", NOBODYS))
            .await;
        self.expect("signed in wrongly", &missed, &[400])?;
        // The code of this step was used up when the app was set up.
        let next = app.code(now() + 30);
        let done = self.with(&opened, "/verify", &by("totp", &next)).await;
        self.expect("signed in by app", &done, &[200])?;
        let opened = self.challenge(&subject, &json!({})).await?;
        let done = self
            .with(&opened, "/verify", &by("backup_code", nth(&codes, 0)?))
            .await;
        self.expect("signed in by backup code", &done, &[200])?;
        let again = self
            .with(&opened, "/verify", &by("backup_code", nth(&codes, 0)?))
            .await;
        self.expect("answered once more", &again, &[409])?;
        self.remove_app(&person, nth(&codes, 1)?).await
    }

    /// Opens the page, signs in to it or not, looks around, signs out or not.
    pub async fn a_browser(self: Arc<Self>, number: u64) -> Told {
        let mut browser = Browser::new(self.address);
        let page = browser.go("/").await;
        self.expect("page", &page, &[200])?;
        let departure = browser.departs("/auth/login").await;
        if number.is_multiple_of(4) {
            return Ok(());
        }
        let subject = format!("browser-{}", number % PEOPLE);
        let answer = tokens(&self.site.issuer, &departure, &subject);
        let back = browser
            .comes_back(&self.site.issuer, &departure, answer)
            .await;
        self.expect("signed in to the page", &back, &[303])?;
        for _ in 0..4 {
            let seen = browser.overview().await;
            self.expect("overview by session", &seen, &[200])?;
        }
        if number.is_multiple_of(2) {
            let out = browser.ask(Method::POST, "/auth/logout").await;
            self.expect("signed out of the page", &out, &[200])?;
        }
        Ok(())
    }

    /// Sets up a security key, signs in by it, and removes it.
    pub async fn a_key(self: Arc<Self>, number: u64) -> Told {
        let subject = format!("key-{}", number % PEOPLE);
        let person = self.person(&subject);
        let mut key = Authenticator::new();
        let begin = format!("{ME}/webauthn/register/begin");
        let begun = person.post_json(&begin, &json!({"name": "key"})).await;
        let begun = self.expect("key begun", &begun, &[200])?;
        if number.is_multiple_of(5) {
            return Ok(());
        }
        let complete = format!("{ME}/webauthn/register/complete");
        let done = person.post_json(&complete, &key.register(&begun)).await;
        let done = self.expect("key set up", &done, &[200])?;

        let opened = self.challenge(&subject, &json!({})).await?;
        let options = self.with(&opened, "/webauthn", &json!({})).await;
        let options = self.expect("key asked for", &options, &[200])?;
        let answer = key.assertion(&options);
        let credential = key.seal_assertion(&options, &answer);
        let body = json!({"method": "webauthn", "credential": credential});
        let signed_in = self.with(&opened, "/verify", &body).await;
        self.expect("signed in by key", &signed_in, &[200])?;
        let device = done["device"]["device_id"].as_str().unwrap_or_default();
        let removed = person.delete(&format!("{ME}/webauthn/{device}")).await;
        self.expect("key removed", &removed, &[200]).map(drop)
    }

    /// Is sent to the prompt, and answers, gives up or goes away.
    pub async fn a_prompt(self: Arc<Self>, number: u64) -> Told {
        let subject = format!("prompt-{}", number % PEOPLE);
        let person = self.person(&subject);
        let (_, codes) = self.with_app(&person).await?;
        let returns = json!({"return_url": RETURN, "state": "xyz"});
        let opened = self.challenge(&subject, &returns).await?;
        let url = opened["prompt_url"].as_str().unwrap_or_default();
        let token = url.split_once('#').map_or("", |(_, token)| token);
        let stranger = Client::new(self.address, None);
        let page = stranger.get("/prompt/").await;
        self.expect("prompt's page", &page, &[200])?;
        let body = json!({"prompt": token});
        let shown = stranger.post_json("/api/v1/prompt/open", &body).await;
        self.expect("prompt opened", &shown, &[200])?;
        match number % 3 {
            0 => {
                let cancelled = stranger.post_json("/api/v1/prompt/cancel", &body).await;
                self.expect("prompt given up", &cancelled, &[200])?;
            }
            1 => {
                let mut answer = by("backup_code", nth(&codes, 0)?);
                answer["prompt"] = json!(token);
                let done = stranger.post_json("/api/v1/prompt/verify", &answer).await;
                self.expect("prompt answered", &done, &[200])?;
            }
            _ => {}
        }
        self.remove_app(&person, nth(&codes, 1)?).await
    }

    /// Half a request, a request whose answer nobody reads, nonsense, and silence.
    pub async fn rudeness(self: Arc<Self>, number: u64) -> Told {
        let failed = |e: std::io::Error| format!("a connection was refused: {e}");
        let mut connection = TcpStream::connect(self.address).await.map_err(failed)?;
        // The server may well hang up first.
        let _ = match number % 4 {
            0 => connection.write_all(b"GET / HTTP/1.1\r\nHost: mf").await,
            1 => {
                let head = b"GET / HTTP/1.1\r\nHost: mfa.example.com\r\n\r\n";
                connection.write_all(head).await
            }
            2 => {
                connection
                    .write_all(b"\x16\x03\x01\x02\x00\x01nonsense\r\n\r\n")
                    .await
            }
            _ => {
                let head = b"POST /api/v1/prompt/open HTTP/1.1\r\nHost: mfa.example.com\r\ncontent-length: 90\r\n\r\n{";
                let _ = connection.write_all(head).await;
                tokio::time::sleep(Duration::from_secs(2)).await;
                connection.write_all(b"\"pro").await
            }
        };
        if number.is_multiple_of(3) {
            let _ = tokio::time::timeout(Duration::from_millis(50), connection.read(&mut [0; 16]))
                .await;
        }
        Ok(())
    }

    /// People with email codes, who sign in by another one a minute later.
    pub async fn emails(self: Arc<Self>) {
        let mut waiting = VecDeque::new();
        while self.goes_on() {
            match self.an_address(self.number()).await {
                Ok(mailed) => waiting.push_back(mailed),
                Err(surprise) => self.surprised(surprise),
            }
            let is_due = |it: &Mailed| it.since.elapsed() > RESEND;
            if waiting.front().is_some_and(is_due)
                && let Some(mailed) = waiting.pop_front()
                && let Err(surprise) = self.by_mail(mailed).await
            {
                self.surprised(surprise);
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    async fn an_address(&self, number: u64) -> Told<Mailed> {
        let subject = format!("mail-{number}");
        let person = self.person(&subject);
        let begun = person.post(&format!("{ME}/email/enable")).await;
        self.expect("email begun", &begun, &[200])?;
        let code = self.mailed(&subject).await?;
        let done = person.code(&format!("{ME}/email/confirm"), &code).await;
        let done = self.expect("email confirmed", &done, &[200])?;
        Ok(Mailed {
            subject,
            codes: backup_codes(&done),
            since: Instant::now(),
        })
    }

    async fn by_mail(&self, mailed: Mailed) -> Told {
        let opened = self.challenge(&mailed.subject, &json!({})).await?;
        let sent = self.with(&opened, "/email", &json!({})).await;
        self.expect("code mailed", &sent, &[200])?;
        let code = self.mailed(&mailed.subject).await?;
        let done = self.with(&opened, "/verify", &by("email", &code)).await;
        self.expect("signed in by mail", &done, &[200])?;
        let person = self.person(&mailed.subject);
        let path = format!("{ME}/email/disable");
        let removed = person.code(&path, nth(&mailed.codes, 0)?).await;
        self.expect("email removed", &removed, &[200]).map(drop)
    }
}
