//! Answers that are bent before they are signed.

use serde_json::{Value, json};

use super::{BEGIN, COMPLETE, VERIFY, VERIFY_BEGIN, devices};
use crate::support::{Assertion, Authenticator, Client};

/// Whether a proof bent by `bend` passes; the record of a refused one must stay as it was.
pub async fn proof_bent(
    person: &Client,
    key: &mut Authenticator,
    bend: impl FnOnce(&mut Value, &mut Assertion),
) -> bool {
    let before = devices(person).await;
    let mut begun = person.post(VERIFY_BEGIN).await.ok();
    let mut answer = key.assertion(&begun);
    bend(&mut begun, &mut answer);
    let body = json!({"challenge_id": begun["challenge_id"], "credential": key.seal_assertion(&begun, &answer)});
    let reply = person.post_json(VERIFY, &body).await;
    if reply.status == 200 {
        return true;
    }
    reply.refused(400, "webauthn_failed");
    assert!(
        !reply.text.contains("evil") && !reply.text.contains("origin"),
        "{}",
        reply.text
    );
    assert_eq!(devices(person).await, before);
    // It was looked at once.
    person
        .post_json(VERIFY, &body)
        .await
        .refused(404, "not_found");
    false
}

/// Whether a registration bent by `bend` passes.
pub async fn registration_bent(
    person: &Client,
    key: &Authenticator,
    bend: impl FnOnce(&mut Value, &mut Value),
) -> bool {
    let mut begun = person.post(BEGIN).await.ok();
    let mut answer = key.registration(&begun);
    bend(&mut begun, &mut answer.client_data);
    let body = json!({
        "device_id": begun["device_id"], "challenge_id": begun["challenge_id"],
        "credential": key.seal_registration(&begun, &answer),
    });
    let reply = person.post_json(COMPLETE, &body).await;
    if reply.status == 200 {
        return true;
    }
    reply.refused(400, "webauthn_failed");
    assert!(devices(person).await.is_empty());
    person
        .post_json(COMPLETE, &body)
        .await
        .refused(404, "not_found");
    false
}
