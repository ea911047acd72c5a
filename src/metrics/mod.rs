//! What is counted, for those who watch over the server. No name of a person, a service or an address is ever a
//! label: all of them come from short lists that stand in the sources.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// The media type of [`Metrics::text`] (OpenMetrics 1.0).
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of what takes time, in seconds: 0.5 ms to 16 s, each twice the one before.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 16))
}

/// Bounds of how many transactions share a commit: 1 to 512.
fn batches() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 10))
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Event {
    action: String,
    outcome: &'static str,
    reason: String,
    factor: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Mail {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Part {
    part: &'static str,
}

type Durations = Family<Route, Histogram, fn() -> Histogram>;

/// What became of a letter that was handed to the mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was taken.
    Taken,
    /// It was not, and may be tried again.
    Deferred,
    /// It never will be.
    Refused,
}

impl Sent {
    fn word(self) -> &'static str {
        match self {
            Sent::Taken => "taken",
            Sent::Deferred => "deferred",
            Sent::Refused => "refused",
        }
    }
}

/// What is looked up when somebody asks, and not counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Now {
    /// Bytes of the store's file.
    pub store_bytes: u64,
    /// Letters that wait to leave.
    pub outbox: u64,
    /// Each part of the server that can be amiss, and whether it works.
    pub parts: Vec<(&'static str, bool)>,
    /// How long ago, in seconds, the key that signs results was published; `None` where none signs.
    pub signing_key_age: Option<u64>,
    /// How long ago, in seconds, the key that seals the store was drawn; `None` while nobody has noted it.
    pub data_key_age: Option<u64>,
}

/// The counts. Clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Counts>);

struct Counts {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Durations,
    events: Family<Event, Counter>,
    mails: Family<Mail, Counter>,
    batches: Histogram,
    commits: Histogram,
    mismatches: Counter,
    failures: Counter,
    compactions: Counter,
    store_bytes: Gauge<u64, AtomicU64>,
    outbox: Gauge<u64, AtomicU64>,
    ready: Family<Part, Gauge<u64, AtomicU64>>,
    key_age: Gauge<u64, AtomicU64>,
    data_key_age: Gauge<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Counts from zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("mfad");
        let counts = Counts {
            requests: Family::default(),
            durations: Family::new_with_constructor(seconds),
            events: Family::default(),
            mails: Family::default(),
            batches: batches(),
            commits: seconds(),
            mismatches: Counter::default(),
            failures: Counter::default(),
            compactions: Counter::default(),
            store_bytes: Gauge::default(),
            outbox: Gauge::default(),
            ready: Family::default(),
            key_age: Gauge::default(),
            data_key_age: Gauge::default(),
            registry: Registry::default(),
        };
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that runs", version);
        registry.register(
            "http_requests",
            "Requests that were answered, by route and status",
            counts.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "How long requests took, by route",
            Unit::Seconds,
            counts.durations.clone(),
        );
        registry.register(
            "events",
            "Changes and verifications, done or refused, as the audit has them; factor is what proved the person",
            counts.events.clone(),
        );
        registry.register(
            "challenge_name_mismatches",
            "Answers to a challenge in the name of a user whom it is not about, each refused",
            counts.mismatches.clone(),
        );
        registry.register(
            "mails",
            "Letters handed to the mail server, each try counted",
            counts.mails.clone(),
        );
        registry.register(
            "store_commit_transactions",
            "How many transactions shared a commit",
            counts.batches.clone(),
        );
        registry.register_with_unit(
            "store_commit_duration",
            "How long commits took, their transactions included",
            Unit::Seconds,
            counts.commits.clone(),
        );
        registry.register(
            "store_failures",
            "Commits that the disk did not take",
            counts.failures.clone(),
        );
        registry.register(
            "store_compactions",
            "Times that the store's file was written anew because less than half of it was needed",
            counts.compactions.clone(),
        );
        registry.register_with_unit(
            "store_size",
            "The file of the store",
            Unit::Bytes,
            counts.store_bytes.clone(),
        );
        registry.register(
            "outbox_letters",
            "Letters that wait to leave",
            counts.outbox.clone(),
        );
        registry.register(
            "ready",
            "1 for each part that works, 0 for one that does not",
            counts.ready.clone(),
        );
        registry.register_with_unit(
            "signing_key_age",
            "Since when the key that signs results is published",
            Unit::Seconds,
            counts.key_age.clone(),
        );
        registry.register_with_unit(
            "data_key_age",
            "Since when the key that seals the store seals",
            Unit::Seconds,
            counts.data_key_age.clone(),
        );
        // From the start, so that the first of a kind is a rise.
        for sent in [Sent::Taken, Sent::Deferred, Sent::Refused] {
            let outcome = sent.word();
            counts.mails.get_or_create(&Mail { outcome }).inc_by(0);
        }
        Metrics(Arc::new(Counts { registry, ..counts }))
    }

    /// A request was answered. `route` is the pattern that it matched, never its path.
    pub fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let request = Request {
            method: known_method(method).to_owned(),
            route: route.to_owned(),
            status,
        };
        self.0.requests.get_or_create(&request).inc();
        let route = Route {
            route: route.to_owned(),
        };
        let took = took.as_secs_f64();
        self.0.durations.get_or_create(&route).observe(took);
    }

    /// Something was done, or refused for `reason`, and is on disk. `factor` is the kind that proved the person.
    pub fn happened(&self, action: &str, reason: Option<&str>, factor: Option<&'static str>) {
        let event = Event {
            action: action.to_owned(),
            outcome: if reason.is_some() { "refused" } else { "done" },
            reason: reason.unwrap_or_default().to_owned(),
            factor: factor.unwrap_or_default(),
        };
        self.0.events.get_or_create(&event).inc();
    }

    /// Counts an answer to a challenge in the name of a user whom the challenge is not about.
    pub fn mismatched(&self) {
        self.0.mismatches.inc();
    }

    /// A letter was handed to the mail server.
    pub fn mailed(&self, sent: Sent) {
        let outcome = sent.word();
        self.0.mails.get_or_create(&Mail { outcome }).inc();
    }

    /// So many transactions were committed together.
    pub fn committed(&self, transactions: usize, took: Duration) {
        self.0.batches.observe(transactions as f64);
        self.0.commits.observe(took.as_secs_f64());
    }

    /// A commit failed.
    pub fn not_committed(&self) {
        self.0.failures.inc();
    }

    /// The store's file was compacted.
    pub fn compacted(&self) {
        self.0.compactions.inc();
    }

    /// All of it, in the text format of OpenMetrics, with what is so `now`.
    ///
    /// # Errors
    /// None that a string gives.
    pub fn text(&self, now: &Now) -> Result<String, fmt::Error> {
        let counts = &*self.0;
        counts.store_bytes.set(now.store_bytes);
        counts.outbox.set(now.outbox);
        counts.key_age.set(now.signing_key_age.unwrap_or_default());
        counts
            .data_key_age
            .set(now.data_key_age.unwrap_or_default());
        for (part, works) in now.parts.iter().copied() {
            let works = u64::from(works);
            counts.ready.get_or_create(&Part { part }).set(works);
        }
        let mut text = String::new();
        encode(&mut text, &counts.registry)?;
        Ok(text)
    }
}

/// A method that HTTP knows (RFC 9110 section 9), since clients can write any word.
fn known_method(method: &str) -> &str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    match KNOWN.contains(&method) {
        true => method,
        false => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_by_their_labels_and_no_client_makes_new_ones() {
        let metrics = Metrics::new();
        let took = Duration::from_millis(3);
        metrics.answered("GET", "/api/v1/me/mfa", 200, took);
        for odd in ["BREW", "brew", "X\"\n"] {
            metrics.answered(odd, "-", 405, took);
        }
        metrics.happened("login.verify", Some("wrong_code"), None);
        metrics.happened("login.verify", None, Some("totp"));
        metrics.mismatched();
        metrics.mailed(Sent::Deferred);
        metrics.committed(3, took);
        metrics.not_committed();
        metrics.compacted();
        let now = Now {
            store_bytes: 4096,
            parts: vec![("storage", true), ("issuer_keys", false)],
            signing_key_age: Some(7),
            data_key_age: Some(8),
            ..Now::default()
        };
        let text = metrics.text(&now).unwrap();
        for line in [
            "mfad_http_requests_total{method=\"GET\",route=\"/api/v1/me/mfa\",status=\"200\"} 1",
            "mfad_http_requests_total{method=\"other\",route=\"-\",status=\"405\"} 3",
            "mfad_events_total{action=\"login.verify\",outcome=\"refused\",reason=\"wrong_code\",factor=\"\"} 1",
            "mfad_events_total{action=\"login.verify\",outcome=\"done\",reason=\"\",factor=\"totp\"} 1",
            "mfad_challenge_name_mismatches_total 1",
            "mfad_mails_total{outcome=\"deferred\"} 1",
            "mfad_store_commit_transactions_bucket{le=\"4.0\"} 1",
            "mfad_store_failures_total 1",
            "mfad_store_compactions_total 1",
            "mfad_store_size_bytes 4096",
            "mfad_ready{part=\"storage\"} 1",
            "mfad_ready{part=\"issuer_keys\"} 0",
            "mfad_signing_key_age_seconds 7",
            "mfad_data_key_age_seconds 8",
        ] {
            assert!(text.lines().any(|has| has == line), "{line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
