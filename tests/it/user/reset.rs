use std::io::Write;
use std::process::Command;

use mfad::outbox;
use mfad::policy::Key;
use serde_json::{Value, json};

use super::{USAGE, on_site, order, ordered, reset, shown};
use crate::api::login::{answer, of, one_call, open, open_with, wiki};
use crate::api::{email, totp, webauthn};
use crate::session::options;
use crate::support::browser::Browser;
use crate::support::process::{PROGRAM, now};
use crate::support::{App, Authenticator, Client, PUBLIC_URL, Process, Server, Site};

/// Signs in at `service` and has the browser trusted.
async fn trust(server: &Server, service: &Client, subject: &str, app: &App) -> String {
    let opened = open(service, subject).await;
    let code = app.code(server.clock.unix());
    let body = json!({"method": "totp", "code": code, "remember": true});
    let verified = service.post_json(&of(&opened, "/verify"), &body).await.ok();
    server.clock.next_step();
    verified["device_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_reset_stands_in_the_history_and_leaves_nothing_to_show() {
    let server = Server::start_with(options()).await;
    let alice = server.alice();
    let (app, _) = totp::enrol(&server, &alice).await;
    let wiki = wiki(&server).await;
    trust(&server, &wiki, "alice", &app).await;
    let mut session = Browser::new(server.address);
    session.sign_in(&server, "alice").await;
    open(&wiki, "alice").await;
    reset(&server, "alice").await;
    let seen = shown(&server, "alice").await;
    for part in ["factors", "wrong_codes", "trusted_devices", "sessions"] {
        assert_eq!(seen[part], json!([]), "{part}: {seen}");
    }
    let events = alice.get("/api/v1/me/mfa/events").await.ok();
    let events = events["events"].as_array().unwrap();
    let line = events
        .iter()
        .find(|line| line["action"] == "factor.reset")
        .unwrap();
    assert_eq!(line["outcome"], "done");
    assert!(line["ip"].is_null() && line["service"].is_null(), "{line}");
    assert!(!line.to_string().contains("lost phone"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stood_for_an_app_is_good_no_longer_and_other_users_keep_theirs() {
    let server = Server::start_with(options()).await;
    let (alice, bob) = (server.alice(), server.bob());
    let (app, codes) = totp::enrol(&server, &alice).await;
    let (bobs_app, bobs_codes) = totp::enrol(&server, &bob).await;
    let wiki = wiki(&server).await;
    let trusted = trust(&server, &wiki, "alice", &app).await;
    let bobs_trusted = trust(&server, &wiki, "bob", &bobs_app).await;
    let mut session = Browser::new(server.address);
    session.sign_in(&server, "alice").await;
    session.overview().await.ok();
    let mut bobs_session = Browser::new(server.address);
    bobs_session.sign_in(&server, "bob").await;
    let waiting = open(&wiki, "alice").await;
    let more = json!({"return_url": crate::api::login::RETURN});
    let prompt = open_with(&wiki, "alice", more).await;
    let token = prompt["prompt_url"].as_str().unwrap();
    let token = token.rsplit_once('#').unwrap().1.to_owned();
    let bobs_waiting = open(&wiki, "bob").await;

    let told = reset(&server, "alice").await;
    for part in [
        "Removed from alice: 1 authenticator app, 10 unused backup codes",
        "1 trusted browser, 1 session, 2 sign-ins under way",
        "From now on the password alone is enough to sign in as alice, until they set up a factor",
        "alice@example.com",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }

    // The sign-ins that waited have failed, and take neither an old code nor a backup code.
    for (method, code) in [
        ("totp", app.code(server.clock.unix())),
        ("backup_code", codes[0].clone()),
    ] {
        for challenge in [&waiting, &prompt] {
            answer(&wiki, challenge, method, &code)
                .await
                .refused(409, "challenge_closed");
        }
        let body = json!({"prompt": token, "method": method, "code": code});
        let stranger = server.stranger();
        stranger
            .post_json("/api/v1/prompt/verify", &body)
            .await
            .refused(409, "challenge_closed");
    }
    let failed = wiki.get(&of(&waiting, "")).await.ok();
    assert_eq!(failed["status"], "failed", "{failed}");
    // Nothing is asked for at the next one, whether the trusted browser comes or not: no factor is there.
    let next = open_with(&wiki, "alice", json!({"device_token": trusted})).await;
    assert_eq!(next["decision"], "allow");
    assert!(next.get("device_token").is_none(), "{next}");
    for code in [&app.code(server.clock.unix()), &codes[1]] {
        let refused = one_call(&wiki, "alice", code).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
    }
    assert_eq!(session.overview().await.status, 401);
    let overview = totp::overview(&alice).await;
    assert_eq!(overview["enabled"], false);
    assert_eq!(overview["devices"], json!([]));
    assert!(overview["backup_codes"].is_null());
    // Trust in a browser from before is not good beside a new factor either.
    let (new_app, new_codes) = totp::enrol(&server, &alice).await;
    assert_eq!(new_codes.len(), 10);
    let next = open_with(&wiki, "alice", json!({"device_token": trusted})).await;
    assert_eq!(next["decision"], "challenge");
    let old = app.code(server.clock.unix());
    answer(&wiki, &next, "totp", &old)
        .await
        .refused(400, "wrong_code");
    answer(&wiki, &next, "backup_code", &codes[2])
        .await
        .refused(400, "wrong_code");
    let new = new_app.code(server.clock.unix());
    answer(&wiki, &next, "totp", &new).await.ok();

    // Bob has all of his.
    bobs_session.overview().await.ok();
    let code = bobs_app.code(server.clock.unix());
    answer(&wiki, &bobs_waiting, "totp", &code).await.ok();
    let next = open_with(&wiki, "bob", json!({"device_token": bobs_trusted})).await;
    assert_eq!(next["decision"], "allow");
    let again = open(&wiki, "bob").await;
    answer(&wiki, &again, "backup_code", &bobs_codes[0])
        .await
        .ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_their_proofs_and_what_a_browser_was_answering_end() {
    let server = Server::start().await;
    let dave = server.person("dave");
    let mut key = Authenticator::new();
    webauthn::enrol(&dave, &key).await;
    let wiki = wiki(&server).await;
    let proof = webauthn::prove(&dave, &mut key).await;
    let own = dave.post(webauthn::VERIFY_BEGIN).await.ok();
    let waiting = open(&wiki, "dave").await;
    let begun = wiki.post(&of(&waiting, "/webauthn")).await.ok();
    reset(&server, "dave").await;

    let body = json!({"method": "webauthn", "credential": key.verify(&begun)["credential"]});
    let refused = wiki.post_json(&of(&waiting, "/verify"), &body).await;
    assert!(!refused.status.is_success(), "{}", refused.text);
    let refused = dave.post_json(webauthn::VERIFY, &key.verify(&own)).await;
    assert!(!refused.status.is_success(), "{}", refused.text);
    let (_, codes) = totp::enrol(&server, &dave).await;
    assert_eq!(codes.len(), 10);
    dave.code(totp::DISABLE, &proof)
        .await
        .refused(400, "wrong_code");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn set_ups_under_way_and_mailed_codes_end() {
    let server = Server::start().await;
    let (carol, erin) = (server.person("carol"), server.person("erin"));
    let app = App::scan(&carol.post(totp::ENABLE).await.ok());
    let mailed = email::mailed_code(&server, &carol, email::ENABLE).await;
    let key = Authenticator::new();
    let begun = carol
        .post_json(webauthn::BEGIN, &json!({"name": null}))
        .await
        .ok();
    email::enrol(&server, &erin).await;
    let wiki = wiki(&server).await;
    let waiting = open(&wiki, "erin").await;
    wiki.post(&of(&waiting, "/email")).await.ok();
    let at_sign_in = email::code_mail(&server).await.code().unwrap();
    let told = reset(&server, "carol").await;
    assert!(told.contains("3 set-ups under way"), "{told}");
    reset(&server, "erin").await;

    carol
        .code(totp::CONFIRM, &app.code(server.clock.unix()))
        .await
        .refused(409, "not_pending");
    carol
        .code(email::CONFIRM, &mailed)
        .await
        .refused(409, "not_pending");
    let refused = carol
        .post_json(webauthn::COMPLETE, &key.register(&begun))
        .await;
    assert!(!refused.status.is_success(), "{}", refused.text);
    assert_eq!(totp::overview(&carol).await["enabled"], false);
    answer(&wiki, &waiting, "email", &at_sign_in)
        .await
        .refused(409, "challenge_closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_ends_and_the_user_is_told_at_all_addresses_however_much_was_mailed() {
    let server = Server::start().await;
    email::enrol(&server, &server.alice()).await;
    // Her issuer knows another address since, and the mailbox of the factor is told too.
    let token = server.issuer.token(PUBLIC_URL, "alice");
    let alice = server.bearer(token.with("email", "alice@new.example.com").sign());
    let wrong = async || alice.code(email::DISABLE, "000000").await;
    for _ in 0..5 {
        wrong().await;
    }
    let tools = server.desk.tools.clone();
    let user = tools.keys().person(&server.issuer.url, "alice");
    let now = tools.now();
    let filled = tools.store.write(move |tx| {
        let mut hour = outbox::Hour::of(tx, user, now)?;
        while hour.admit(true, &[]) != outbox::Admission::Withheld {}
        hour.keep(tx, user)
    });
    filled.await.unwrap();
    reset(&server, "alice").await;
    let mut told = Vec::new();
    while told.len() < 2 {
        let mail = server.smtp.next_mail().await;
        if mail.subject() == "Your second factors at Example were reset" {
            let text = mail.text().replace('\n', " ");
            assert!(
                text.contains("An operator of Example removed all"),
                "{text}"
            );
            assert!(!text.contains("lost phone"), "{text}");
            told.extend(mail.to);
        }
    }
    told.sort();
    assert_eq!(told, ["alice@example.com", "alice@new.example.com"]);
    assert_eq!(shown(&server, "alice").await["wrong_codes"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_operator_with_a_factor_is_reset_with_a_warning() {
    let mut server = Server::start().await;
    let operator = |subject| {
        let token = server.issuer.token(PUBLIC_URL, subject);
        server.bearer(token.with("scope", "openid mfa:admin").sign())
    };
    let (root, second) = (operator("root"), operator("second"));
    totp::enrol(&server, &root).await;
    totp::enrol(&server, &second).await;
    server.set_policy(Key::RequireMfa, &["all"]).await.unwrap();
    for (who, warned) in [("root", false), ("second", true), ("second", false)] {
        let mut process = order(&server, &["reset", who, "--reason", "lost", "--yes"]);
        process.ends_with(0).await;
        let (out, err) = (process.stdout(), process.stderr());
        let warning = err.contains("no operator is left who has a second factor that counts");
        assert_eq!(warning, warned, "{who}: {err}");
        assert!(out.contains("which the policy requires"), "{out}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_asked_for_in_full_or_nothing_is_changed() {
    let server = Server::start().await;
    totp::enrol(&server, &server.alice()).await;
    let long = "é".repeat(201);
    for arguments in [
        &["reset", "alice", "--yes"][..],
        &["reset", "alice", "--yes", "--reason", ""],
        &["reset", "alice", "--yes", "--reason", " \u{200b}\n"],
        &["reset", "alice", "--yes", "--reason", &long],
        // No terminal to confirm it on.
        &["reset", "alice", "--reason", "lost"],
        &["reset", "--yes", "--reason", "lost"],
    ] {
        let mut process = order(&server, arguments);
        process.ends_with(USAGE).await;
        assert_eq!(process.stdout(), "", "{arguments:?}");
    }
    let dry = ordered(&server, &["reset", "alice", "--dry-run"]).await;
    assert!(dry.contains("1 authenticator app"), "{dry}");
    assert!(dry.contains("Nothing was changed."), "{dry}");
    let dry = ["reset", "alice", "--dry-run", "--yes", "--reason", "lost"];
    ordered(&server, &dry).await;
    assert_eq!(totp::overview(&server.alice()).await["enabled"], true);
    ordered(
        &server,
        &[
            "reset",
            "alice",
            "--yes",
            "--reason",
            "lost\nphone\u{1b}[2J, INC-4711",
        ],
    )
    .await;
    let place = ["--data-dir", server.data_dir().to_str().unwrap()];
    let mut audit = Process::mfad([&["audit", "--json"][..], &place].concat());
    audit.ends_with(0).await;
    let lines: Value = serde_json::from_str(&audit.stdout()).unwrap();
    let resets = lines.as_array().unwrap().iter();
    let resets: Vec<&Value> = resets
        .filter(|line| line["action"] == "user.reset")
        .collect();
    assert_eq!(resets.len(), 1, "{lines}");
    assert_eq!(resets[0]["reason"], "lost phone [2J, INC-4711");
    let about = format!("alice at {}", server.issuer.url);
    assert_eq!(resets[0]["about"], json!(about));
}

/// Has a user reset on a terminal, by util-linux' `script`: `name` is typed when it is asked for.
async fn typed(site: &Site, name: &str) -> (String, i32) {
    let config = site.config_file();
    let config = config.display();
    let line = format!("{PROGRAM} user reset alice --reason lost --config {config}");
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    let (mut process, mut keyboard) = Process::start_to_talk_to(&mut script);
    let asked = |said: &str| said.contains("type alice: ").then_some(());
    process.prints("the question", asked).await;
    writeln!(keyboard, "{name}").unwrap();
    let ended = process.end().await;
    (process.stdout(), ended.code().unwrap())
}

#[tokio::test]
async fn without_a_server_it_works_on_the_store_and_the_user_is_told_at_the_next_start() {
    let site = Site::new().await;
    let mut server = site.serve().await;
    let alice = site.person(server.address(), "alice");
    let app = App::scan(&alice.post(totp::ENABLE).await.ok());
    alice.code(totp::CONFIRM, &app.code(now())).await.ok();
    server.stop().await;

    // With no settings but the folder, too.
    let data = site.data_dir();
    let data = [
        "user",
        "show",
        "alice",
        "--data-dir",
        data.to_str().unwrap(),
    ];
    let mut process = Process::mfad(data);
    process.ends_with(0).await;
    assert!(process.stdout().contains("totp"), "{}", process.stdout());

    let (said, exit) = typed(&site, "bob").await;
    assert_eq!(exit, USAGE, "{said}");
    assert!(said.contains("nothing was changed"), "{said}");
    let (said, exit) = typed(&site, "alice").await;
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("From now on the password alone"), "{said}");
    let mut process = on_site(&site, &["show", "alice"]);
    process.ends_with(0).await;
    assert!(
        process.stdout().contains("factor.reset  by system"),
        "{}",
        process.stdout()
    );

    for start in 0..2 {
        let mut server = site.serve().await;
        let alice = site.person(server.address(), "alice");
        let overview = totp::overview(&alice).await;
        assert_eq!(overview["enabled"], start == 1, "{overview}");
        if start == 0 {
            while !site.smtp.next_mail().await.subject().contains("were reset") {}
            let app = App::scan(&alice.post(totp::ENABLE).await.ok());
            alice.code(totp::CONFIRM, &app.code(now())).await.ok();
        } else {
            // A user is told once: of another start nothing comes but what is new.
            alice.post(email::ENABLE).await.ok();
            while site.smtp.next_mail().await.code().is_none() {}
        }
        server.stop().await;
    }
    let mails = site.smtp.mails();
    let resets = mails
        .iter()
        .filter(|mail| mail.subject().contains("were reset"));
    assert_eq!(resets.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_told_where_the_factor_was_confirmed_however_often_another_address_is_named() {
    let server = Server::start().await;
    totp::enrol(&server, &server.alice()).await;
    for number in 0..20 {
        let token = server.issuer.token(PUBLIC_URL, "alice");
        let token = token.with("email", format!("n{number}@evil.example"));
        totp::overview(&server.bearer(token.sign())).await;
    }
    reset(&server, "alice").await;
    loop {
        let mail = server.smtp.next_mail().await;
        let subject = mail.subject();
        if subject == "Your second factors at Example were reset"
            && mail.to == ["alice@example.com"]
        {
            return;
        }
    }
}
