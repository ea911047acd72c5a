//! Whom names mean after the upgrade to format 2, and what it asks of operators.

use serde_json::{Value, json};

use super::{Place, start};
use crate::api::login::answer;
use crate::support::{App, Client, Fixture};

/// Opens a challenge for whom a service calls so, and gives the decision, else the code of the refusal.
async fn decision(service: &Client, user: &str) -> String {
    let asking = json!({"user": user, "amr": ["pwd"]});
    let reply = service
        .post_json("/api/v1/mfa/challenges", &asking)
        .await
        .json();
    let word = reply.get("decision").or(reply.get("code"));
    word.and_then(Value::as_str).unwrap().to_owned()
}

#[tokio::test]
async fn names_that_directories_take_for_one_are_one_after_the_upgrade() {
    let fixture = Fixture::of("names");
    let server = start(&fixture).await;
    let service = |name: &str| {
        let key = fixture.facts["services"][name].as_str().unwrap();
        Client::new(server.address, Some(key.to_owned()))
    };
    let (radius, webmail, acme) = (service("radius"), service("webmail"), service("acme"));
    for (service, user, means) in [
        (&radius, "alice", "challenge"),
        (&radius, "ａｌｉｃｅ", "challenge"),
        (&radius, "EXAMPLE\\alice", "deny"),
        (&radius, "νικος", "challenge"),
        (&radius, "ΝΙΚΟΣ", "challenge"),
        // Two until now.
        (&radius, "Anna Lee", "ambiguous_name"),
        (&radius, "anna  lee", "ambiguous_name"),
        // Registered before it could be said.
        (&radius, "stranger", "allow"),
        (&webmail, "alice@EXAMPLE.com.", "challenge"),
        (&webmail, "hugo@b\u{fc}cher.example", "challenge"),
        (&webmail, "HUGO@xn--bcher-kva.example", "challenge"),
        (&webmail, "stranger@example.com", "deny"),
        // Of its tenant, of none and with a factor, and known to nobody.
        (&acme, "gina", "challenge"),
        (&acme, "alice", "deny"),
        (&acme, "stranger", "allow"),
    ] {
        assert_eq!(decision(service, user).await, means, "{user:?}");
    }
    // What users had is theirs.
    let challenge = decision_of(&acme, "gina").await;
    let app = App::scan(&fixture.facts["apps"]["gina"]);
    server.clock.forward(60);
    let code = app.code(server.clock.unix());
    answer(&acme, &challenge, "totp", &code).await.ok();
}

#[tokio::test]
async fn names_that_were_given_up_and_tenants_are_as_they_were() {
    let mut tried = 0;
    for fixture in Fixture::all() {
        let Some(name) = fixture.facts["given_up"]["name"].as_str() else {
            continue;
        };
        tried += 1;
        let instead = fixture.facts["given_up"]["instead"].as_str().unwrap();
        let server = start(&fixture).await;
        let service = |name: &str| {
            let key = fixture.facts["services"][name].as_str().unwrap();
            Client::new(server.address, Some(key.to_owned()))
        };
        for (id, user, means) in [
            ("radius", name, "deny"),
            ("radius", instead, "challenge"),
            ("radius", "stranger", "enroll"),
            ("webmail", "stranger", "deny"),
            ("acme", "gina", "challenge"),
            ("acme", "alice", "deny"),
        ] {
            assert_eq!(decision(&service(id), user).await, means, "{id} {user}");
        }
    }
    assert!(tried >= 1, "{tried}");
}

async fn decision_of(service: &Client, user: &str) -> Value {
    let asking = json!({"user": user, "amr": ["pwd"]});
    let reply = service.post_json("/api/v1/mfa/challenges", &asking);
    crate::api::login::opened(&reply.await)
}

#[tokio::test]
async fn check_announces_what_the_upgrade_asks_of_operators() {
    let place = Place::of(&Fixture::of("names"));
    let announced = [
        "\"Anna Lee\", \"anna  lee\" are one name of 2 users",
        "the service portal lets in users whom this server has never met since it was registered before --unknown",
        "the service radius lets in users whom this server has never met since it was registered before --unknown, \
         which is not set, and it sends names",
        "the service webmail lets in users",
        "the service acme lets in users",
        "hint: mfad service set radius --unknown enroll",
        "users with a second factor who were seen in no tenant, and whom acme therefore refuses: ",
    ];
    let told = place.checks().await;
    for words in announced {
        assert!(told.contains(words), "{words}: {told}");
    }
    let mut server = place.with_settings("serve");
    server.listening().await;
    let log = server.stderr();
    for id in ["portal", "radius", "webmail", "acme"] {
        let named = format!("\"service\":\"{id}\"");
        let line = log.lines().find(|line| line.contains(&named)).unwrap();
        assert!(line.contains("lets unknown users in"), "{line}");
    }
    server.stop().await;
    // Also after the upgrade, until it is done.
    for id in ["portal", "radius", "webmail", "acme"] {
        let mut set = place.run(&["service", "set", id, "--unknown", "enroll"]);
        set.ends_with(0).await;
        let told = place.checks().await;
        let named = format!("the service {id} lets in users");
        assert!(!told.contains(&named), "{told}");
        assert!(told.contains(announced[0]), "{told}");
    }
}
