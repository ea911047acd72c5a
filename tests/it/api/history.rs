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

#[tokio::test]
async fn every_change_and_every_refusal_is_one_line() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut expected = Vec::new();
    let mut note = |reply: &Reply, action, reason: Option<&str>, factor, device: Value| {
        expected.insert(
            0,
            json!({
                "at": rfc3339(server.clock.unix()), "action": action, "reason": reason, "factor": factor, "service": null,
                "outcome": if reason.is_some() { "refused" } else { "done" },
                "device_id": device, "ip": "127.0.0.1", "request_id": reply.header("x-request-id"),
            }),
        );
    };
    let (none, totp, backup) = (Value::Null, json!("totp"), json!("backup_code"));

    let reply = alice.code(CONFIRM, "000000").await;
    note(
        &reply,
        "totp.confirm",
        Some("not_pending"),
        none.clone(),
        none.clone(),
    );
    let reply = alice.code(DISABLE, "000000").await;
    note(
        &reply,
        "totp.disable",
        Some("not_enabled"),
        none.clone(),
        none.clone(),
    );
    let reply = alice.post(ENABLE).await;
    let app = App::scan(&reply.ok());
    let device = json!(app.device_id);
    note(&reply, "totp.enable", None, none.clone(), device.clone());
    let reply = alice
        .code(CONFIRM, &app.wrong_code(server.clock.unix()))
        .await;
    note(
        &reply,
        "totp.confirm",
        Some("wrong_code"),
        none.clone(),
        device.clone(),
    );
    let reply = alice.code(CONFIRM, &app.code(server.clock.unix())).await;
    let codes: Vec<String> = serde_json::from_value(reply.ok()["backup_codes"].clone()).unwrap();
    note(&reply, "totp.confirm", None, none.clone(), device.clone());
    let reply = alice.post(ENABLE).await;
    note(
        &reply,
        "totp.enable",
        Some("already_enabled"),
        none.clone(),
        none.clone(),
    );
    server.clock.next_step();
    let reply = alice.code(REGENERATE, &app.code(server.clock.unix())).await;
    let renewed: Vec<String> = serde_json::from_value(reply.ok()["backup_codes"].clone()).unwrap();
    note(
        &reply,
        "backup_codes.regenerate",
        None,
        totp.clone(),
        none.clone(),
    );
    let reply = alice.code(REGENERATE, &codes[0]).await;
    note(
        &reply,
        "backup_codes.regenerate",
        Some("wrong_code"),
        none.clone(),
        none.clone(),
    );
    let reply = alice.code(REPLACE, &codes[0]).await;
    note(
        &reply,
        "totp.replace",
        Some("wrong_code"),
        backup.clone(),
        none.clone(),
    );
    for _ in 0..5 {
        let reply = alice
            .code(DISABLE, &app.wrong_code(server.clock.unix()))
            .await;
        note(
            &reply,
            "totp.disable",
            Some("wrong_code"),
            totp.clone(),
            none.clone(),
        );
    }
    let reply = alice.code(DISABLE, &app.code(server.clock.unix())).await;
    note(
        &reply,
        "totp.disable",
        Some("locked"),
        totp.clone(),
        none.clone(),
    );
    let body = json!({"type": "totp", "code": renewed[0]});
    let reply = alice.post_json(UNLOCK, &body).await;
    reply.ok();
    note(
        &reply,
        "factor.unlock",
        None,
        backup.clone(),
        device.clone(),
    );
    server.clock.next_step();
    let reply = alice.code(REPLACE, &app.code(server.clock.unix())).await;
    let new = App::scan(&reply.ok());
    note(&reply, "totp.replace", None, totp, json!(new.device_id));
    let reply = alice.code(DISABLE, &renewed[1]).await;
    reply.ok();
    note(&reply, "totp.disable", None, backup, device);

    // Reading, and what no person is behind or fits no schema, leaves no line.
    overview(&alice).await;
    alice.post_json(DISABLE, &json!({"code": 1})).await.misfit();
    alice.get(&format!("{EVENTS}?limit=0")).await.misfit();
    server
        .stranger()
        .post(ENABLE)
        .await
        .refused(401, "unauthenticated");
    server
        .login_service()
        .post(ENABLE)
        .await
        .refused(403, "forbidden");

    let mut events = all(&alice).await;
    let mut last = u64::MAX;
    for event in &mut events {
        assert_eq!(
            names(event),
            [
                "action",
                "at",
                "device_id",
                "factor",
                "id",
                "ip",
                "outcome",
                "reason",
                "request_id",
                "service"
            ]
        );
        let id = event.as_object_mut().unwrap().remove("id").unwrap();
        let id = id.as_u64().unwrap();
        assert!(id < last);
        last = id;
    }
    assert_eq!(events, expected);
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
