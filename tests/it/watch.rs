//! What those who watch over the server see: counts for Prometheus, and a dashboard that asks for what is there.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use crate::support::process::{log_lines, now};
use crate::support::{App, Client, Process, Site};

const ENABLE: &str = "/api/v1/me/mfa/totp/enable";
const CONFIRM: &str = "/api/v1/me/mfa/totp/confirm";

async fn watched_at(server: &Process) -> SocketAddr {
    server
        .says("where what is counted is served", |text| {
            log_lines(text)
                .find(|line| line["message"] == "serving what is counted")
                .and_then(|line| line["listen"].as_str()?.parse().ok())
        })
        .await
}

fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find(|line| {
        line.strip_prefix(series)
            .is_some_and(|rest| rest.starts_with(' '))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn what_happens_is_counted_and_names_nobody() {
    let mut site = Site::new().await;
    site.set("metrics-listen", "127.0.0.1:0");
    let mut server = site.serve().await;
    let watch = Client::new(watched_at(&server).await, None);

    let alice = site.person(server.address(), "alice-whom-no-label-names");
    let app = App::scan(&alice.post(ENABLE).await.ok());
    alice
        .code(CONFIRM, &app.wrong_code(now()))
        .await
        .refused(400, "wrong_code");
    alice.code(CONFIRM, &app.code(now())).await.ok();
    Client::new(server.address(), None)
        .get("/metrics")
        .await
        .refused(404, "not_found");

    let reply = watch.get("/metrics").await;
    assert_eq!(reply.status, 200);
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(reply.header("content-type"), media);
    let text = &reply.text;
    let of = |series: &str| value(text, series).unwrap_or_else(|| panic!("{series} in\n{text}"));
    let events = |outcome: &str, reason: &str| {
        format!(
            "mfad_events_total{{action=\"totp.confirm\",outcome=\"{outcome}\",reason=\"{reason}\",factor=\"\"}}"
        )
    };
    assert_eq!(of(&events("refused", "wrong_code")), 1.0);
    assert_eq!(of(&events("done", "")), 1.0);
    let request =
        format!("mfad_http_requests_total{{method=\"POST\",route=\"{CONFIRM}\",status=\"200\"}}");
    assert_eq!(of(&request), 1.0);
    let unmatched = "mfad_http_requests_total{method=\"GET\",route=\"-\",status=\"404\"}";
    assert_eq!(of(unmatched), 1.0);
    assert!(of("mfad_store_commit_transactions_count") >= 3.0);
    assert!(of("mfad_store_size_bytes") > 4096.0);
    assert_eq!(of("mfad_store_compactions_total"), 0.0);
    // All that /readyz tells of.
    let ready = Client::new(server.address(), None)
        .get("/readyz")
        .await
        .ok();
    for part in ready["checks"].as_object().unwrap().keys() {
        assert_eq!(of(&format!("mfad_ready{{part=\"{part}\"}}")), 1.0);
    }
    assert!(of("mfad_signing_key_age_seconds") < 60.0);
    assert!(of("mfad_data_key_age_seconds") < 60.0);
    assert!(
        !text.contains("alice") && !text.contains("127.0.0.1"),
        "{text}"
    );

    // The notice of the new app leaves by and by.
    let mailed = async {
        loop {
            let text = watch.get("/metrics").await.text;
            if value(&text, "mfad_mails_total{outcome=\"taken\"}") == Some(1.0) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), mailed)
        .await
        .expect("the mail is counted");
    server.stop().await;
}

/// The names of series in the expressions of a dashboard.
fn asked(panel: &Value, names: &mut BTreeSet<String>) {
    match panel {
        Value::Array(items) => items.iter().for_each(|item| asked(item, names)),
        Value::Object(fields) => {
            if let Some(expression) = fields.get("expr").and_then(Value::as_str) {
                let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                names.extend(
                    words
                        .filter(|word| word.starts_with("mfad_"))
                        .map(str::to_owned),
                );
            }
            fields.values().for_each(|field| asked(field, names));
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_dashboard_asks_for_what_is_counted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/grafana-dashboard.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut names = BTreeSet::new();
    asked(&dashboard["panels"], &mut names);
    assert!(names.len() > 8, "{names:?}");

    let mut site = Site::new().await;
    site.set("metrics-listen", "127.0.0.1:0");
    let mut server = site.serve().await;
    let alice = site.person(server.address(), "alice");
    alice.post(ENABLE).await.ok();
    let watch = Client::new(watched_at(&server).await, None);
    let text = watch.get("/metrics").await.text;
    let told = |name: &str| {
        let family = ["_total", "_bucket", "_count", "_sum", "_info"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        let family = family.unwrap_or(name);
        text.lines().any(|line| {
            let mut words = line.split(' ').skip(2);
            line.starts_with("# TYPE ") && words.next().is_some_and(|told| told == family)
        })
    };
    let unknown: Vec<_> = names.iter().filter(|name| !told(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?} in\n{text}");
    server.stop().await;
}
