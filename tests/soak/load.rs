//! Many clients at once, and what they were answered.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::process::{Process, now};
use crate::support::{Client, PUBLIC_URL, Reply, Site};

/// Where prompts bring people back to.
pub const RETURN: &str = "https://wiki.example.com/cb?from=mfad";
/// Settings are read again so often, a copy is made and the counts are read.
const RELOADS: Duration = Duration::from_secs(15);
const COPIES: Duration = Duration::from_secs(45);
const SCRAPES: Duration = Duration::from_secs(3);
/// How long a mail may take to arrive.
const MAIL: Duration = Duration::from_secs(30);

/// What went otherwise than it should have.
pub type Told<T = ()> = Result<T, String>;

/// All that clients share.
pub struct Load {
    pub site: Arc<Site>,
    pub address: SocketAddr,
    watched: SocketAddr,
    /// A registered login service.
    pub wiki: Client,
    over: AtomicBool,
    next: AtomicU64,
    answers: Mutex<BTreeMap<String, u64>>,
    surprises: Mutex<Vec<String>>,
    /// Good for hours, and shown for as long: the server knows tokens that it has seen.
    tokens: Mutex<HashMap<String, String>>,
    /// The last code that was mailed to each address.
    codes: Mutex<HashMap<String, String>>,
}

impl Load {
    pub async fn new(site: Arc<Site>, address: SocketAddr, watched: SocketAddr) -> Arc<Load> {
        let key = site.ordered(&["add", "wiki", "--return-url", RETURN]).await;
        Arc::new(Load {
            wiki: Client::new(address, Some(key.trim().to_owned())),
            site,
            address,
            watched,
            over: AtomicBool::new(false),
            next: AtomicU64::new(0),
            answers: Mutex::default(),
            surprises: Mutex::default(),
            tokens: Mutex::default(),
            codes: Mutex::default(),
        })
    }

    /// Lives all stories at once for so long; `reload` is done every now and then.
    pub async fn run_for(self: &Arc<Self>, length: Duration, reload: impl Fn()) {
        self.over.store(false, Ordering::Relaxed);
        let mut clients = JoinSet::new();
        for _ in 0..4 {
            clients.spawn(self.clone().repeat(300, Load::an_app));
            clients.spawn(self.clone().repeat(500, Load::a_browser));
        }
        for _ in 0..2 {
            clients.spawn(self.clone().repeat(500, Load::a_key));
            clients.spawn(self.clone().repeat(500, Load::a_prompt));
            clients.spawn(self.clone().repeat(100, Load::rudeness));
        }
        clients.spawn(self.clone().emails());
        clients.spawn(self.clone().operators());
        let mailbox = tokio::spawn(self.clone().mailbox());
        let begun = Instant::now();
        let mut reloaded = begun;
        while begun.elapsed() < length {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if reloaded.elapsed() >= RELOADS {
                reload();
                reloaded = Instant::now();
            }
        }
        self.over.store(true, Ordering::Relaxed);
        while let Some(ended) = clients.join_next().await {
            if let Err(panic) = ended {
                self.surprised(format!("a client panicked: {panic}"));
            }
        }
        mailbox.abort();
    }

    pub fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    async fn repeat<F>(self: Arc<Self>, pause: u64, story: fn(Arc<Load>, u64) -> F)
    where
        F: Future<Output = Told>,
    {
        while self.goes_on() {
            if let Err(surprise) = story(self.clone(), self.number()).await {
                self.surprised(surprise);
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Another one each time.
    pub fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub fn surprised(&self, what: String) {
        self.surprises.lock().unwrap().push(what);
    }

    pub fn surprises(&self) -> Vec<String> {
        self.surprises.lock().unwrap().clone()
    }

    /// Counts an answer, which has to be one of those.
    pub fn expect(&self, what: &str, reply: &Reply, statuses: &[u16]) -> Told<Value> {
        let status = reply.status.as_u16();
        let line = format!("{what}: {status}");
        *self.answers.lock().unwrap().entry(line).or_default() += 1;
        match statuses.contains(&status) {
            true => Ok(serde_json::from_str(&reply.text).unwrap_or_default()),
            false => Err(format!("{what}: {status} {}", reply.text)),
        }
    }

    /// Somebody, with a connection of their own.
    pub fn person(&self, subject: &str) -> Client {
        let mut tokens = self.tokens.lock().unwrap();
        let token = tokens.entry(subject.to_owned()).or_insert_with(|| {
            let token = self.site.issuer.token(PUBLIC_URL, subject);
            // Those who have a factor signed in with it.
            let token = token.with("amr", serde_json::json!(["pwd", "mfa"]));
            let token = token.with("auth_time", now());
            token.with("exp", now() + 3 * 3600).sign()
        });
        Client::new(self.address, Some(token.clone()))
    }

    /// Opens a challenge for somebody.
    pub async fn challenge(&self, subject: &str, more: &Value) -> Told<Value> {
        let mut asking = json!({"subject": subject, "amr": ["pwd"]});
        if let (Some(asking), Some(more)) = (asking.as_object_mut(), more.as_object()) {
            asking.extend(more.clone());
        }
        let reply = self.wiki.post_json("/api/v1/mfa/challenges", &asking).await;
        self.expect("challenge opened", &reply, &[201])
    }

    /// Does something with a challenge.
    pub async fn with(&self, challenge: &Value, rest: &str, body: &Value) -> Reply {
        let id = challenge["challenge_id"].as_str().unwrap_or_default();
        let path = format!("/api/v1/mfa/challenges/{id}{rest}");
        self.wiki.post_json(&path, body).await
    }

    /// The code that was mailed to somebody.
    pub async fn mailed(&self, subject: &str) -> Told<String> {
        let begun = Instant::now();
        let address = format!("{subject}@example.com");
        while begun.elapsed() < MAIL {
            if let Some(code) = self.codes.lock().unwrap().remove(&address) {
                return Ok(code);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(format!("no mail for {subject}"))
    }

    async fn mailbox(self: Arc<Self>) {
        loop {
            let mail = self.site.smtp.next_mail().await;
            let to = mail.headers("To").concat();
            let address = to.trim_matches(['<', '>']).to_owned();
            if let Some(code) = mail
                .code()
                .filter(|_| mail.subject().starts_with("Your code"))
            {
                self.codes.lock().unwrap().insert(address, code);
            }
        }
    }

    /// Whoever watches over the server, and keeps copies of it.
    async fn operators(self: Arc<Self>) {
        let watch = Client::new(self.watched, None);
        let data = self.site.data_dir();
        let (mut copied, mut copies) = (None::<Instant>, 0);
        while self.goes_on() {
            let reply = watch.get("/metrics").await;
            let ready = Client::new(self.address, None).get("/readyz").await;
            for (what, reply) in [("metrics read", reply), ("readyz", ready)] {
                if let Err(surprise) = self.expect(what, &reply, &[200]) {
                    self.surprised(surprise);
                }
            }
            if copied.is_none_or(|at| at.elapsed() >= COPIES) {
                copied = Some(Instant::now());
                copies += 1;
                let copy = self.site.path(&format!("copy-{copies}"));
                let words = ["backup", copy.to_str().unwrap(), "--data-dir"];
                let words = words.into_iter().chain(data.to_str());
                Process::mfad(words).ends_with(0).await;
                std::fs::remove_file(copy).unwrap();
            }
            tokio::time::sleep(SCRAPES).await;
        }
    }

    /// What was asked and answered.
    pub fn print(&self, length: Duration, counted: &str) {
        println!("{:<44}{:>10}{:>12}", "answer", "times", "a second");
        for (what, times) in &*self.answers.lock().unwrap() {
            let rate = *times as f64 / length.as_secs_f64();
            println!("{what:<44}{times:>10}{rate:>12.1}");
        }
        let interesting = [
            "mfad_store_commit_transactions_sum",
            "mfad_store_commit_transactions_count",
            "mfad_mails_total",
            "mfad_outbox_letters",
        ];
        println!("\nby the server's own count");
        for line in counted
            .lines()
            .filter(|line| interesting.iter().any(|it| line.starts_with(it)))
        {
            println!("    {line}");
        }
    }
}
