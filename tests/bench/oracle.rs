//! Whether the time that an answer takes tells who there is, and what they have.
//!
//! A service asks about people in one call, in rounds: each round asks once about somebody of every class, in
//! an order that is drawn anew. The classes are kept alike in all that is not to be told apart: all are names of
//! one length, and each name is asked about equally often. Two tables come of it:
//! - `open`: each answer is a miss that is judged, and answered with 400. Every name is asked about four times,
//!   so that no lock answers instead;
//! - `locked`: each answer is refused during a lock, with 429.
//!
//! For every class: the median, and how far it is from that of the unknown; Welch's t of its mean against that
//! of the unknown of its sort, over the fastest nine tenths of each (the rest is the disk's and the scheduler's), and the
//! largest t among all pairs. Two halves of one class are compared as well: the noise floor.

#[path = "../it/support/mod.rs"]
mod support;

use std::env;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Value, json};
use support::process::{PROGRAM, now};
use support::{App, Authenticator, Client, PUBLIC_URL, Site};
use tokio::task::JoinSet;
use tokio::time::Instant;

const VERIFY: &str = "/api/v1/mfa/verify";
/// Tries at one name that no lock answers.
const FREE: usize = 4;
/// Of the right shape, and nobody's.
const WRONG_BACKUP: &str = "0000-0000-0000-0000";

/// Ends with the guard.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Somebody whom the service asks about.
#[derive(Clone, Copy, PartialEq)]
enum Class {
    Unknown,
    /// The same once more: what two samples of one thing differ by.
    UnknownAgain,
    WithoutFactor,
    WithApp,
    WithMail,
    WithKey,
    OtherTenant,
    Removed,
    UnknownBackup,
    AppBackup,
    UnknownByName,
    AppByName,
}

impl Class {
    const ALL: [Class; 12] = [
        Class::Unknown,
        Class::UnknownAgain,
        Class::WithoutFactor,
        Class::WithApp,
        Class::WithMail,
        Class::WithKey,
        Class::OtherTenant,
        Class::Removed,
        Class::UnknownBackup,
        Class::AppBackup,
        Class::UnknownByName,
        Class::AppByName,
    ];

    fn words(self) -> &'static str {
        match self {
            Class::Unknown => "unknown",
            Class::UnknownAgain => "unknown, once more",
            Class::WithoutFactor => "known, without a factor",
            Class::WithApp => "with an app, wrong code",
            Class::WithMail => "with mail alone",
            Class::WithKey => "with a key alone",
            Class::OtherTenant => "another tenant's, with an app",
            Class::Removed => "whose app was removed",
            Class::UnknownBackup => "unknown, backup code",
            Class::AppBackup => "with an app, wrong backup code",
            Class::UnknownByName => "unknown, by name",
            Class::AppByName => "with an app, by name",
        }
    }

    fn name(self, number: usize) -> String {
        format!("person-{:02}-{number:05}", self as usize)
    }

    /// Those that are asked about in other words take other times, which tells nothing: each is held against the
    /// unknown of its own sort.
    fn unknown(self) -> Class {
        match self {
            Class::UnknownBackup | Class::AppBackup => Class::UnknownBackup,
            Class::UnknownByName | Class::AppByName => Class::UnknownByName,
            _ => Class::Unknown,
        }
    }

    /// What is asked about the one of that number.
    fn question(self, number: usize) -> Bytes {
        let field = match self.unknown() {
            Class::UnknownByName => "username",
            _ => "subject",
        };
        let asked: Value = json!({field: self.name(number), "code": self.code()});
        Bytes::from(asked.to_string())
    }

    fn code(self) -> &'static str {
        match self {
            Class::UnknownBackup | Class::AppBackup => WRONG_BACKUP,
            // A right one once in 300,000 requests, which is told and left out.
            _ => "000000",
        }
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match &arguments[..] {
        [people, connections] => runtime.block_on(measure(
            people.parse().unwrap(),
            connections.parse().unwrap(),
        )),
        _ => eprintln!("use tests/bench/tell-apart"),
    }
}

async fn measure(people: usize, connections: usize) {
    let mut site = Site::new().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    site.set("listen", address.to_string());
    let mut mfad = Command::new(PROGRAM);
    mfad.args(["serve", "--config"])
        .arg(site.config_file())
        .env_clear()
        .stderr(Stdio::null());
    let _mfad = Guard(mfad.spawn().unwrap());
    ready(address).await;
    let key = site.ordered(&["add", "radius", "--tenant", "acme"]).await;
    let radius = Client::new(address, Some(key.trim().to_owned()));

    let start = Instant::now();
    for class in Class::ALL {
        for number in 0..people {
            settle(&site, address, class, &class.name(number)).await;
        }
    }
    quiet(&site).await;
    println!(
        "{people} people of each class, settled in {} s; {connections} connections; load average {}",
        start.elapsed().as_secs(),
        std::fs::read_to_string("/proc/loadavg").unwrap().trim(),
    );

    for number in 0..500 {
        ask(&radius, Class::Unknown.question(people + number)).await;
    }
    let mut workers = JoinSet::new();
    for worker in 0..connections {
        let radius = Client::new(address, radius.token.clone());
        let share: Vec<usize> = (worker..people).step_by(connections).collect();
        workers.spawn(work(radius, share, now() ^ ((worker as u64 + 1) << 40)));
    }
    let mut all = Samples::default();
    for samples in workers.join_all().await {
        all.take(samples);
    }
    table("open: judged, 400", &all.open);
    table(
        "the fifth miss, which locks, and of which the owner is told",
        &all.fifth,
    );
    table(
        "locked: refused unread, 429 (backup codes are never locked)",
        &all.locked,
    );
}

/// Microseconds, by class.
struct Samples {
    open: Vec<Vec<f64>>,
    fifth: Vec<Vec<f64>>,
    locked: Vec<Vec<f64>>,
}

impl Default for Samples {
    fn default() -> Self {
        let none = || vec![Vec::new(); Class::ALL.len()];
        Samples {
            open: none(),
            fifth: none(),
            locked: none(),
        }
    }
}

impl Samples {
    fn take(&mut self, other: Samples) {
        for (mine, theirs) in [
            (&mut self.open, other.open),
            (&mut self.fifth, other.fifth),
            (&mut self.locked, other.locked),
        ] {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                mine.extend(theirs);
            }
        }
    }
}

/// Asks about the people of these numbers, one after the other, and in each round about one of every class.
async fn work(radius: Client, people: Vec<usize>, seed: u64) -> Samples {
    let mut samples = Samples::default();
    let mut order: Vec<usize> = (0..Class::ALL.len()).collect();
    let mut dice = Dice(seed);
    ask(&radius, Class::Unknown.question(99_999)).await;
    for attempt in 0..FREE {
        for number in &people {
            dice.shuffle(&mut order);
            for at in &order {
                let class = Class::ALL[*at];
                let (status, took) = ask(&radius, class.question(*number)).await;
                if status == 400 {
                    samples.open[*at].push(took);
                } else {
                    println!("{}: {status} at try {attempt}", class.words());
                }
            }
        }
    }
    for number in &people {
        dice.shuffle(&mut order);
        for at in &order {
            let class = Class::ALL[*at];
            let (_, took) = ask(&radius, class.question(*number)).await;
            samples.fifth[*at].push(took);
        }
        for _ in 0..FREE {
            dice.shuffle(&mut order);
            for at in &order {
                let class = Class::ALL[*at];
                let (status, took) = ask(&radius, class.question(*number)).await;
                let expected = if class.code() == WRONG_BACKUP {
                    400
                } else {
                    429
                };
                if status == expected {
                    samples.locked[*at].push(took);
                }
            }
        }
    }
    samples
}

/// Makes somebody of that class.
async fn settle(site: &Site, address: SocketAddr, class: Class, name: &str) {
    let tenant = match class {
        _ if class == class.unknown() || class == Class::UnknownAgain => return,
        Class::OtherTenant => "umbrella",
        _ => "acme",
    };
    let token = site.issuer.token(PUBLIC_URL, name);
    let token = token.with("tenant_id", tenant).sign();
    let person = Client::new(address, Some(token));
    match class {
        Class::WithMail => {
            person.post("/api/v1/me/mfa/email/enable").await.ok();
            let code = loop {
                let mail = site.smtp.next_mail().await;
                if mail.subject().starts_with("Your code") {
                    break mail.code().unwrap();
                }
            };
            person
                .code("/api/v1/me/mfa/email/confirm", &code)
                .await
                .ok();
        }
        Class::WithKey => {
            let begin = "/api/v1/me/mfa/webauthn/register/begin";
            let begun = person.post(begin).await.ok();
            let complete = "/api/v1/me/mfa/webauthn/register/complete";
            let answer = Authenticator::new().register(&begun);
            person.post_json(complete, &answer).await.ok();
        }
        Class::WithoutFactor => {
            person.post("/api/v1/me/mfa/totp/enable").await.ok();
        }
        _ => {
            let app = App::scan(&person.post("/api/v1/me/mfa/totp/enable").await.ok());
            let confirm = "/api/v1/me/mfa/totp/confirm";
            person.code(confirm, &app.code(now() - 30)).await.ok();
            if class == Class::Removed {
                let disable = "/api/v1/me/mfa/totp/disable";
                person.code(disable, &app.code(now())).await.ok();
            }
        }
    }
}

/// Asks about somebody; gives the status, and how many microseconds it took.
async fn ask(service: &Client, body: Bytes) -> (u16, f64) {
    let headers = [("content-type", "application/json")];
    let began = Instant::now();
    let reply = service.send(Method::POST, VERIFY, &headers, body).await;
    let took = began.elapsed().as_secs_f64() * 1e6;
    (reply.status.as_u16(), took)
}

/// What a sample comes to.
struct Moments {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    fn of(samples: &[f64]) -> Moments {
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let squares = samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        Moments {
            count,
            mean,
            variance: squares / (count - 1.0),
        }
    }

    /// Welch's t: how many standard errors two means are apart.
    fn t(&self, other: &Moments) -> f64 {
        let error = self.variance / self.count + other.variance / other.count;
        (self.mean - other.mean) / error.sqrt()
    }
}

/// Sorted, without the slowest tenth.
fn cropped(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.truncate(sorted.len() * 9 / 10);
    sorted
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn table(title: &str, samples: &[Vec<f64>]) {
    let moments: Vec<Moments> = samples.iter().map(|s| Moments::of(&cropped(s))).collect();
    println!("\n## {title}\n");
    println!("| class | answers | median µs | off | mean of 90 % µs | t against unknown |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for (number, class) in Class::ALL.iter().enumerate() {
        let middle = median(&samples[number]);
        let unknown = median(&samples[class.unknown() as usize]);
        println!(
            "| {} | {} | {middle:.1} | {:+.2} % | {:.1} | {:+.2} |",
            class.words(),
            samples[number].len(),
            100.0 * (middle - unknown) / unknown,
            moments[number].mean,
            moments[number].t(&moments[class.unknown() as usize]),
        );
    }
    let mut largest = (0.0, 0, 0);
    for one in 0..moments.len() {
        for other in 0..one {
            if Class::ALL[one].unknown() != Class::ALL[other].unknown() {
                continue;
            }
            let t = moments[one].t(&moments[other]).abs();
            if t > largest.0 {
                largest = (t, one, other);
            }
        }
    }
    println!(
        "\nlargest t of all pairs of a sort: {:.2} ({} / {})",
        largest.0,
        Class::ALL[largest.1].words(),
        Class::ALL[largest.2].words(),
    );
}

/// An order that follows no pattern: xorshift, which is random enough for that.
struct Dice(u64);

impl Dice {
    fn shuffle(&mut self, items: &mut [usize]) {
        for last in (1..items.len()).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            items.swap(last, (self.0 % (last as u64 + 1)) as usize);
        }
    }
}

/// Waits until no more mails come.
async fn quiet(site: &Site) {
    let mut last = usize::MAX;
    while last != site.smtp.mails().len() {
        last = site.smtp.mails().len();
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
}

async fn ready(address: SocketAddr) {
    let client = Client::new(address, None);
    let asked = async || {
        client
            .try_send(Method::GET, "/readyz", &[], Bytes::new())
            .await
    };
    for _ in 0..200 {
        if asked().await.is_ok_and(|reply| reply.status == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("mfad does not get ready");
}
