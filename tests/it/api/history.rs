use serde_json::{Value, json};

use super::totp::{
    CONFIRM, DISABLE, ENABLE, REGENERATE, REPLACE, UNLOCK, enrol, names, overview, rfc3339,
};
use crate::support::{App, Client, Reply, Server};

const EVENTS: &str = "/api/v1/me/mfa/events";

/// A person's whole history, the newest first.
pub async fn all(person: &Client) -> Vec<Value> {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = person
            .get(&format!("{EVENTS}?limit=100{cursor}"))
            .await
            .ok();
        events.extend(page["events"].as_array().unwrap().clone());
        match &page["next_cursor"] {
            Value::Null => return events,
            next => cursor = format!("&cursor={next}"),
        }
    }
}

/// Steps on the way, before which refusals are not written down.
const STEPS: [&str; 2] = ["totp.enable", "totp.replace"];

/// The records that a test expects of Alice, the oldest first.
struct Expected<'a> {
    server: &'a Server,
    alice: Client,
    records: Vec<Value>,
    /// Refusals that are not written down yet.
    held: Vec<Value>,
    /// How many records there were before.
    before: usize,
}

impl<'a> Expected<'a> {
    async fn from_now_on(server: &'a Server) -> Self {
        let alice = server.alice();
        Expected {
            before: all(&alice).await.len(),
            records: Vec::new(),
            held: Vec::new(),
            server,
            alice,
        }
    }

    /// Expects a record of what `reply` answers: refused for a reason, else done.
    fn note(
        &mut self,
        reply: &Reply,
        action: &str,
        reason: Option<&str>,
        factor: Option<&str>,
        device: Option<&str>,
    ) {
        let record = json!({
            "at": rfc3339(self.server.clock.unix()), "action": action, "reason": reason, "factor": factor,
            "service": null, "outcome": if reason.is_some() { "refused" } else { "done" },
            "device_id": device, "ip": "127.0.0.1", "request_id": reply.header("x-request-id"),
            "count": 1, "last_at": null, "left_out": 0,
        });
        if reason.is_none() {
            if !STEPS.contains(&action) {
                self.records.append(&mut self.held);
            }
            self.records.push(record);
            return;
        }
        let alike = |held: &&mut Value| {
            ["action", "reason", "factor", "device_id"]
                .iter()
                .all(|member| held[member] == record[member])
        };
        match self.held.iter_mut().find(alike) {
            Some(held) => {
                held["count"] = json!(held["count"].as_u64().unwrap() + 1);
                held["last_at"] = record["at"].clone();
            }
            None => self.held.push(record),
        }
    }

    /// Checks that those and no others are in the history, each with a number above that of the one before.
    async fn check(&self) {
        let mut records = [&self.records[..], &self.held].concat();
        records.reverse();
        let mut events = all(&self.alice).await;
        let mut last = u64::MAX;
        for event in &mut events {
            let id = event.as_object_mut().unwrap().remove("id").unwrap();
            let id = id.as_u64().unwrap();
            assert!(id < last);
            last = id;
        }
        events.truncate(events.len() - self.before);
        assert_eq!(events, records);
    }
}

#[tokio::test]
async fn each_step_to_an_app_and_each_refusal_on_the_way_is_one_line() {
    let server = Server::start().await;
    let mut expected = Expected::from_now_on(&server).await;
    let alice = server.alice();
    let reply = alice.code(CONFIRM, "000000").await;
    expected.note(&reply, "totp.confirm", Some("not_pending"), None, None);
    let reply = alice.code(DISABLE, "000000").await;
    expected.note(&reply, "totp.disable", Some("not_enabled"), None, None);
    let reply = alice.post(ENABLE).await;
    let app = App::scan(&reply.ok());
    let device = Some(app.device_id.as_str());
    expected.note(&reply, "totp.enable", None, None, device);
    let unix = server.clock.unix();
    let reply = alice.code(CONFIRM, &app.wrong_code(unix)).await;
    expected.note(&reply, "totp.confirm", Some("wrong_code"), None, device);
    let reply = alice.code(CONFIRM, &app.code(unix)).await;
    reply.ok();
    expected.note(&reply, "totp.confirm", None, None, device);
    let reply = alice.post(ENABLE).await;
    expected.note(&reply, "totp.enable", Some("already_enabled"), None, None);
    expected.check().await;
}

#[tokio::test]
async fn what_a_code_was_to_prove_is_one_line_that_names_the_factor_if_it_was_known() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = enrol(&server, &alice).await;
    let mut expected = Expected::from_now_on(&server).await;
    let (totp, backup) = (Some("totp"), Some("backup_code"));
    let wrong = Some("wrong_code");

    let reply = alice.code(REGENERATE, &app.code(server.clock.unix())).await;
    let renewed: Vec<String> = serde_json::from_value(reply.ok()["backup_codes"].clone()).unwrap();
    expected.note(&reply, "backup_codes.regenerate", None, totp, None);
    let reply = alice.code(REGENERATE, &codes[0]).await;
    expected.note(&reply, "backup_codes.regenerate", wrong, None, None);
    let reply = alice.code(REPLACE, &codes[0]).await;
    expected.note(&reply, "totp.replace", wrong, backup, None);
    server.clock.next_step();
    let reply = alice.code(REPLACE, &app.code(server.clock.unix())).await;
    let new = App::scan(&reply.ok()).device_id;
    expected.note(&reply, "totp.replace", None, totp, Some(&new));
    let reply = alice.code(DISABLE, &renewed[1]).await;
    reply.ok();
    let device = Some(app.device_id.as_str());
    expected.note(&reply, "totp.disable", None, backup, device);
    expected.check().await;
}

#[tokio::test]
async fn each_miss_the_lock_and_what_ends_it_are_one_line_each() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = enrol(&server, &alice).await;
    let mut expected = Expected::from_now_on(&server).await;
    let unix = server.clock.unix();
    let totp = Some("totp");
    for wrong in 1..=5 {
        let reply = alice.code(DISABLE, &app.wrong_code(unix)).await;
        expected.note(&reply, "totp.disable", Some("wrong_code"), totp, None);
        if wrong == 5 {
            expected.note(&reply, "factor.lock", None, totp, None);
        }
    }
    let reply = alice.code(DISABLE, &app.code(unix)).await;
    expected.note(&reply, "totp.disable", Some("locked"), totp, None);
    let body = json!({"type": "totp", "code": codes[0]});
    let reply = alice.post_json(UNLOCK, &body).await;
    reply.ok();
    let device = Some(app.device_id.as_str());
    expected.note(&reply, "factor.unlock", None, Some("backup_code"), device);
    expected.check().await;
}

#[tokio::test]
async fn reading_and_what_fits_no_schema_and_what_no_person_is_behind_leave_no_line() {
    let server = Server::start().await;
    let alice = server.alice();
    enrol(&server, &alice).await;
    let expected = Expected::from_now_on(&server).await;
    overview(&alice).await;
    alice.post_json(DISABLE, &json!({"code": 1})).await.misfit();
    alice.get(&format!("{EVENTS}?limit=0")).await.misfit();
    let refused = server.stranger().post(ENABLE).await;
    refused.refused(401, "unauthenticated");
    let refused = server.login_service().post(ENABLE).await;
    refused.refused(403, "forbidden");
    expected.check().await;
    assert!(expected.before > 0);
}

#[tokio::test]
async fn no_code_no_secret_and_no_address_stands_in_a_history() {
    let server = Server::start().await;
    let alice = server.alice();
    let (app, codes) = enrol(&server, &alice).await;
    let reply = alice.code(REGENERATE, &app.code(server.clock.unix())).await;
    let renewed: Vec<String> = serde_json::from_value(reply.ok()["backup_codes"].clone()).unwrap();
    alice.code(REGENERATE, &codes[0]).await;
    server.clock.next_step();
    let reply = alice.code(REPLACE, &app.code(server.clock.unix())).await;
    let new = App::scan(&reply.ok());
    alice.code(DISABLE, &renewed[1]).await.ok();

    let events = all(&alice).await;
    assert_eq!(events.len(), 6);
    let text = json!(events).to_string();
    let digits = (0..4).map(|n| app.code(server.clock.unix() - 30 * n));
    let secrets = codes
        .iter()
        .chain(&renewed)
        .flat_map(|code| [code.clone(), code.replace('-', "")])
        .chain(digits)
        .chain([
            app.secret.clone(),
            new.secret,
            "alice@example.com".to_owned(),
        ]);
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn a_history_is_read_in_pages_that_miss_nothing_and_repeat_nothing() {
    let mut server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    for number in 0..45 {
        alice.post(ENABLE).await.ok();
        if number % 3 == 0 {
            bob.post(ENABLE).await.ok();
        }
    }
    server.restart().await;
    let (alice, bob) = (server.alice(), server.bob());
    let whole = all(&alice).await;
    assert_eq!(whole.len(), 45);
    let first = alice.get(EVENTS).await.ok();
    assert_eq!(names(&first), ["events", "next_cursor"]);
    assert_eq!(first["events"], json!(whole[..20]));
    for limit in [1, 7, 15, 44, 45, 46, 100] {
        let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = alice
                .get(&format!("{EVENTS}?limit={limit}{cursor}"))
                .await
                .ok();
            let events = page["events"].as_array().unwrap();
            assert!(events.len() <= limit);
            seen.extend(events.clone());
            pages += 1;
            // What happens meanwhile is newer, and moves no page.
            if limit == 15 {
                alice
                    .code(DISABLE, "000000")
                    .await
                    .refused(409, "not_enabled");
            }
            match &page["next_cursor"] {
                Value::Null => break,
                next => cursor = format!("&cursor={next}"),
            }
        }
        let new = if limit > 15 { 3 } else { 0 };
        assert_eq!(seen[new.min(seen.len() - 45)..], whole, "{limit}");
        assert_eq!(pages, seen.len().div_ceil(limit), "{limit}");
    }
    // Somebody else's numbers open nothing of theirs.
    let his = all(&bob).await;
    assert_eq!(his.len(), 15);
    for event in &whole {
        let page = bob
            .get(&format!("{EVENTS}?cursor={}", event["id"]))
            .await
            .ok();
        for event in page["events"].as_array().unwrap() {
            assert!(his.contains(event) && !whole.contains(event));
        }
    }
    let carol = server.person("carol");
    assert_eq!(
        carol.get(EVENTS).await.ok(),
        json!({"events": [], "next_cursor": null})
    );
}

#[tokio::test]
async fn a_page_has_bounds() {
    let server = Server::start().await;
    let alice = server.alice();
    let _ = enrol(&server, &alice).await;
    let nothing = json!({"events": [], "next_cursor": null});
    for cursor in [0, 1] {
        let page = alice.get(&format!("{EVENTS}?cursor={cursor}")).await.ok();
        assert_eq!(page, nothing);
    }
    let page = alice
        .get(&format!("{EVENTS}?cursor={}", i64::MAX))
        .await
        .ok();
    assert_eq!(page["events"].as_array().unwrap().len(), 2);
    for (query, name, kind) in [
        ("limit=0", "limit", "greater_than_equal"),
        ("limit=-1", "limit", "greater_than_equal"),
        ("limit=101", "limit", "less_than_equal"),
        ("limit=18446744073709551616", "limit", "less_than_equal"),
        ("limit=", "limit", "int_parsing"),
        ("limit=canary", "limit", "int_parsing"),
        ("limit=1e1", "limit", "int_parsing"),
        ("limit=%D9%A1", "limit", "int_parsing"),
        ("limit=%ff", "limit", "int_parsing"),
        ("limit=1%00", "limit", "int_parsing"),
        ("cursor=canary", "cursor", "int_parsing"),
        ("cursor=-1", "cursor", "greater_than_equal"),
        ("cursor=", "cursor", "int_parsing"),
    ] {
        let reply = alice.get(&format!("{EVENTS}?{query}")).await;
        let detail = reply.misfit();
        assert_eq!(detail.len(), 1, "{query}");
        assert_eq!(
            (&detail[0]["loc"], &detail[0]["type"]),
            (&json!(["query", name]), &json!(kind)),
            "{query}"
        );
        assert!(!reply.text.contains("canary"));
    }
    let both = alice.get(&format!("{EVENTS}?limit=x&cursor=y")).await;
    assert_eq!(both.misfit().len(), 2);
    for query in ["", "limit=1&unknown=2", "&&", "a=b"] {
        alice.get(&format!("{EVENTS}?{query}")).await.ok();
    }
}
