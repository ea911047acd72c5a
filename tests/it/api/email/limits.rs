use super::{
    CONFIRM, DISABLE, ENABLE, SEND, code_mail, enrol, mailed_code, overview, with_address,
};
use crate::api::login;
use crate::support::smtp::Fault;
use crate::support::{Options, Reply, Server};

fn wait(reply: &Reply) -> u64 {
    reply.refused(429, "rate_limited")["retry_after"]
        .as_u64()
        .unwrap()
}

#[tokio::test]
async fn another_code_waits_a_minute_keeps_the_device_and_voids_the_first() {
    let server = Server::start().await;
    let alice = server.alice();
    let first = mailed_code(&server, &alice, ENABLE).await;
    let device = overview(&alice).await["devices"][0]["device_id"].clone();
    assert_eq!(wait(&alice.post(ENABLE).await), 60);
    server.clock.forward(59);
    assert_eq!(wait(&alice.post(ENABLE).await), 1);
    server.clock.forward(1);
    let resent = alice.post(ENABLE).await.ok();
    assert_eq!(resent["device_id"], device);
    assert_eq!(resent["expires_at"], "2026-11-24T12:11:00Z");
    let second = code_mail(&server).await.code().unwrap();
    if first != second {
        alice.code(CONFIRM, &first).await.refused(400, "wrong_code");
    }
    let confirmed = alice.code(CONFIRM, &second).await.ok();
    assert_eq!(confirmed["device"]["device_id"], device);
}

#[tokio::test]
async fn the_wait_is_what_the_settings_say_and_both_answers_tell_it() {
    let server = Server::start_with(Options {
        email_resend_after: Some(5),
        ..Options::default()
    })
    .await;
    let alice = server.alice();
    for _ in 0..5 {
        assert_eq!(alice.post(ENABLE).await.ok()["resend_after"], 5);
        let early = alice.post(ENABLE).await;
        assert_eq!(early.refused(429, "rate_limited")["resend_after"], 5);
        if server.smtp.mails().len() < 5 {
            assert_eq!(wait(&early), 5);
        }
        server.clock.forward(5);
    }
    // Who waits longer than that has asked for too many.
    let sixth = alice.post(ENABLE).await;
    assert_eq!(sixth.refused(429, "rate_limited")["resend_after"], 5);
    assert_eq!(wait(&sixth), 3600 - 5 * 5);
}

#[tokio::test]
async fn five_codes_an_hour_and_not_six() {
    let server = Server::start().await;
    let alice = server.alice();
    for _ in 0..5 {
        mailed_code(&server, &alice, ENABLE).await;
        server.clock.forward(60);
    }
    assert_eq!(wait(&alice.post(ENABLE).await), 3600 - 5 * 60);
    server.clock.forward(3600 - 5 * 60);
    mailed_code(&server, &server.alice(), ENABLE).await;
    assert_eq!(server.smtp.mails().len(), 6);
}

#[tokio::test]
async fn turning_off_and_on_again_buys_no_further_mails() {
    let server = Server::start().await;
    let alice = server.alice();
    let codes = enrol(&server, &alice).await;
    mailed_code(&server, &alice, SEND).await;
    assert_eq!(wait(&alice.post(SEND).await), 60);
    alice.code(DISABLE, &codes[0]).await.ok();
    assert_eq!(wait(&alice.post(ENABLE).await), 60);
}

#[tokio::test]
async fn a_hundred_requests_at_once_send_one_mail() {
    let server = Server::start_unlimited().await;
    let alice = server.alice();
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let alice = alice.clone();
        crowd.spawn(async move { alice.post(ENABLE).await });
    }
    let replies = crowd.join_all().await;
    assert_eq!(
        replies.iter().filter(|reply| reply.status == 200).count(),
        1
    );
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert!((1..=60).contains(&wait(reply)));
    }
    assert_eq!(server.smtp.mails().len(), 1);
    assert_eq!(
        overview(&alice).await["devices"].as_array().unwrap().len(),
        1
    );
    let code = code_mail(&server).await.code().unwrap();
    alice.code(CONFIRM, &code).await.ok();
}

#[tokio::test]
async fn an_address_gets_ten_mails_an_hour_however_many_accounts_name_it() {
    let server = Server::start().await;
    let mut crowd = tokio::task::JoinSet::new();
    let spellings = [
        "victim@example.com",
        "Victim@Example.com",
        "VICTIM@example.COM",
    ];
    for n in 0..30 {
        let somebody = with_address(&server, &format!("somebody-{n}"), spellings[n % 3]);
        crowd.spawn(async move { somebody.post(ENABLE).await });
    }
    let replies = crowd.join_all().await;
    assert_eq!(
        replies.iter().filter(|reply| reply.status == 200).count(),
        10
    );
    assert_eq!(server.smtp.mails().len(), 10);
    let further = with_address(&server, "further", "victim@example.com");
    assert_eq!(wait(&further.post(ENABLE).await), 3600);
    mailed_code(&server, &server.alice(), ENABLE).await;
    assert_eq!(server.smtp.mails().len(), 11);
    server.clock.forward(3600);
    let further = with_address(&server, "further", "victim@example.com");
    mailed_code(&server, &further, ENABLE).await;
}

#[tokio::test]
async fn a_mail_that_did_not_leave_counts_for_nobody() {
    let server = Server::start().await;
    let somebody = |n: usize| with_address(&server, &format!("somebody-{n}"), "shared@example.com");
    server
        .smtp
        .misbehave(Fault::RefuseRecipient("451 4.7.1 later"));
    for n in 0..12 {
        let refused = somebody(n).post(ENABLE).await;
        refused.refused(503, "unavailable");
    }
    server.smtp.misbehave(Fault::None);
    for n in 0..10 {
        somebody(n).post(ENABLE).await.ok();
    }
    assert_eq!(wait(&somebody(10).post(ENABLE).await), 3600);
}

#[tokio::test]
async fn a_code_for_one_service_keeps_none_from_another_nor_from_the_settings_page() {
    let server = Server::start().await;
    let alice = server.alice();
    enrol(&server, &alice).await;
    let services = ["one", "two", "three", "four"].map(|name| login::service(&server, name));
    for service in &services {
        let opened = login::open(service, "alice").await;
        service.post(&login::of(&opened, "/email")).await.ok();
        // At the same service another one waits a minute, whichever sign-in asks, and says that there is none to type.
        let other = login::open(service, "alice").await;
        let early = service.post(&login::of(&other, "/email")).await;
        assert_eq!(wait(&early), 60);
        assert_eq!(early.json()["code_live"], false);
        let early = service.post(&login::of(&opened, "/email")).await;
        assert_eq!(wait(&early), 60);
        assert_eq!(early.json()["code_live"], true);
    }
    alice.post(SEND).await.ok();
    // When the time is up the new sign-in gets its own code.
    server.clock.forward(60);
    let opened = login::open(&services[0], "alice").await;
    services[0].post(&login::of(&opened, "/email")).await.ok();
    let mut code = String::new();
    for _ in 0..6 {
        code = code_mail(&server).await.code().unwrap();
    }
    login::answer(&services[0], &opened, "email", &code)
        .await
        .ok();
}

#[tokio::test]
async fn all_services_together_have_a_ceiling_which_takes_nothing_from_the_settings_page() {
    let server = Server::start().await;
    let alice = server.alice();
    enrol(&server, &alice).await;
    let mut mailed = 0;
    for round in 0..6 {
        for name in ["one", "two", "three"] {
            let service = login::service(&server, name);
            let opened = login::open(&service, "alice").await;
            let reply = service.post(&login::of(&opened, "/email")).await;
            match reply.status.as_u16() {
                200 => mailed += 1,
                _ => assert!(wait(&reply) > 60 && mailed == 10, "{round}: {}", reply.text),
            }
        }
        server.clock.forward(60);
    }
    assert_eq!(mailed, 10);
    for _ in 0..3 {
        mailed_code(&server, &server.alice(), SEND).await;
        server.clock.forward(60);
    }
    // One service alone cannot use it up.
    server.clock.forward(3600);
    let one = login::service(&server, "one");
    for _ in 0..5 {
        let opened = login::open(&one, "alice").await;
        one.post(&login::of(&opened, "/email")).await.ok();
        server.clock.forward(60);
    }
    let opened = login::open(&one, "alice").await;
    wait(&one.post(&login::of(&opened, "/email")).await);
    let two = login::service(&server, "two");
    let opened = login::open(&two, "alice").await;
    two.post(&login::of(&opened, "/email")).await.ok();
}

#[tokio::test]
async fn a_code_for_something_else_is_none_for_the_set_up() {
    let server = Server::start().await;
    let alice = server.alice();
    let codes = enrol(&server, &alice).await;
    mailed_code(&server, &alice, SEND).await;
    alice.code(DISABLE, &codes[0]).await.ok();
    let early = alice.post(ENABLE).await;
    assert_eq!(wait(&early), 60);
    assert_eq!(early.json()["code_live"], false);
    server.clock.forward(60);
    mailed_code(&server, &alice, ENABLE).await;
    assert_eq!(alice.post(ENABLE).await.json()["code_live"], true);
}
