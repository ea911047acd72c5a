//! One challenge, one answer; one key, one counter.

use serde_json::json;

use super::{BEGIN, COMPLETE, VERIFY, VERIFY_BEGIN, devices, enrol, path_of, prove};
use crate::support::{Authenticator, Client, Server};

/// Sends the same body a hundred times at once, and gives the statuses.
async fn a_hundred_times(
    person: &Client,
    path: &'static str,
    body: &serde_json::Value,
) -> Vec<u16> {
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (person, body) = (person.clone(), body.clone());
        crowd.spawn(async move { person.post_json(path, &body).await.status.as_u16() });
    }
    let mut statuses = crowd.join_all().await;
    statuses.sort_unstable();
    statuses
}

#[tokio::test]
async fn an_answer_is_taken_once_however_many_send_it_at_once() {
    let server = Server::start_unlimited().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    let once: Vec<u16> = [vec![200], vec![404; 99]].concat();
    let begun = alice.post(BEGIN).await.ok();
    let body = key.register(&begun);
    assert_eq!(a_hundred_times(&alice, COMPLETE, &body).await, once);
    alice
        .post_json(COMPLETE, &body)
        .await
        .refused(404, "not_found");
    assert_eq!(devices(&alice).await.len(), 1);
    let begun = alice.post(VERIFY_BEGIN).await.ok();
    let body = key.verify(&begun);
    assert_eq!(a_hundred_times(&alice, VERIFY, &body).await, once);
    alice
        .post_json(VERIFY, &body)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn a_ceremony_ends_after_five_minutes() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    let begun = alice.post(BEGIN).await.ok();
    server.clock.forward(299);
    alice.post_json(COMPLETE, &key.register(&begun)).await.ok();
    let (begun, late) = (
        alice.post(VERIFY_BEGIN).await.ok(),
        alice.post(VERIFY_BEGIN).await.ok(),
    );
    let registration = alice.post(BEGIN).await.ok();
    server.clock.forward(299);
    alice.post_json(VERIFY, &key.verify(&begun)).await.ok();
    server.clock.forward(1);
    let late = key.verify(&late);
    alice
        .post_json(VERIFY, &late)
        .await
        .refused(400, "code_expired");
    alice
        .post_json(VERIFY, &late)
        .await
        .refused(404, "not_found");
    let body = Authenticator::new().register(&registration);
    alice
        .post_json(COMPLETE, &body)
        .await
        .refused(400, "code_expired");
    assert_eq!(devices(&alice).await.len(), 1);
    // A clock that steps back brings no spent challenge to life again.
    server.clock.back(120);
    alice
        .post_json(VERIFY, &late)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn a_failed_answer_cannot_be_mended() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator::new();
    let begun = alice.post(BEGIN).await.ok();
    let mut bent = key.registration(&begun);
    bent.client_data["origin"] = json!("https://evil.example");
    let mut body = key.register(&begun);
    let honest = body.clone();
    body["credential"] = key.seal_registration(&begun, &bent);
    alice
        .post_json(COMPLETE, &body)
        .await
        .refused(400, "webauthn_failed");
    alice
        .post_json(COMPLETE, &honest)
        .await
        .refused(404, "not_found");
    enrol(&alice, &key).await;
    let begun = alice.post(VERIFY_BEGIN).await.ok();
    let honest = key.verify(&begun);
    let mut body = honest.clone();
    body["credential"]["response"]["signature"] = json!("AAAA");
    alice
        .post_json(VERIFY, &body)
        .await
        .refused(400, "webauthn_failed");
    alice
        .post_json(VERIFY, &honest)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn of_two_ceremonies_side_by_side_the_lower_counter_comes_too_late() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut key = Authenticator {
        counter: 10,
        ..Authenticator::new()
    };
    enrol(&alice, &key).await;
    let (first, second) = (
        alice.post(VERIFY_BEGIN).await.ok(),
        alice.post(VERIFY_BEGIN).await.ok(),
    );
    let lower = key.verify(&first);
    let higher = key.verify(&second);
    alice.post_json(VERIFY, &higher).await.ok();
    let before = devices(&alice).await;
    server.clock.forward(1);
    alice
        .post_json(VERIFY, &lower)
        .await
        .refused(400, "webauthn_failed");
    assert_eq!(devices(&alice).await, before);
    // In order, both are good; the same counter twice is not.
    let (first, second, third) = (
        alice.post(VERIFY_BEGIN).await.ok(),
        alice.post(VERIFY_BEGIN).await.ok(),
        alice.post(VERIFY_BEGIN).await.ok(),
    );
    alice.post_json(VERIFY, &key.verify(&first)).await.ok();
    alice.post_json(VERIFY, &key.verify(&second)).await.ok();
    key.counter -= 1;
    alice
        .post_json(VERIFY, &key.verify(&third))
        .await
        .refused(400, "webauthn_failed");
}

#[tokio::test]
async fn a_key_that_was_removed_meanwhile_proves_nothing() {
    let server = Server::start().await;
    let alice = server.alice();
    let (mut gone, mut stays) = (Authenticator::new(), Authenticator::new());
    let device = enrol(&alice, &gone).await;
    enrol(&alice, &stays).await;
    let begun = alice.post(VERIFY_BEGIN).await.ok();
    alice.delete(&path_of(&device)).await.ok();
    alice
        .post_json(VERIFY, &gone.verify(&begun))
        .await
        .refused(400, "webauthn_failed");
    let begun = alice.post(VERIFY_BEGIN).await.ok();
    alice
        .post_json(VERIFY, &gone.verify(&begun))
        .await
        .refused(400, "webauthn_failed");
    // Registered anew it is another device, which no older ceremony proves by its old key pair.
    prove(&alice, &mut stays).await;
    enrol(&alice, &gone).await;
    prove(&alice, &mut gone).await;
}

#[tokio::test]
async fn two_registrations_side_by_side_do_not_double_a_key() {
    let server = Server::start().await;
    let (alice, bob) = (server.alice(), server.bob());
    for person in [&alice, &bob] {
        enrol(person, &Authenticator::new()).await;
    }
    let key = Authenticator::new();
    let mut crowd = tokio::task::JoinSet::new();
    for person in [&alice, &alice, &alice, &bob, &bob, &bob] {
        let begun = person.post(BEGIN).await.ok();
        let (person, body) = (person.clone(), key.register(&begun));
        crowd.spawn(async move { person.post_json(COMPLETE, &body).await });
    }
    let replies = crowd.join_all().await;
    assert_eq!(
        replies.iter().filter(|reply| reply.status == 200).count(),
        1
    );
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        reply.refused(409, "key_known");
    }
    assert_eq!(devices(&alice).await.len() + devices(&bob).await.len(), 3);
}

#[tokio::test]
async fn of_eight_first_keys_at_once_one_comes_to_be_and_brings_the_backup_codes() {
    let server = Server::start().await;
    let alice = server.alice();
    let mut bodies = Vec::new();
    for _ in 0..8 {
        let begun = alice.post(BEGIN).await.ok();
        bodies.push(Authenticator::new().register(&begun));
    }
    let mut crowd = tokio::task::JoinSet::new();
    for body in bodies {
        let alice = alice.clone();
        crowd.spawn(async move { alice.post_json(COMPLETE, &body).await });
    }
    // Seven were begun without a proof, and there is a factor to prove by then.
    let replies = crowd.join_all().await;
    let (done, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|it| it.status == 200);
    assert_eq!((done.len(), refused.len()), (1, 7));
    assert!(done[0].json()["backup_codes"].is_array());
    for reply in refused {
        reply.refused(404, "not_found");
    }
    assert_eq!(devices(&alice).await.len(), 1);
}
