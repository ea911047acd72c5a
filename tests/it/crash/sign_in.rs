//! Sign-ins at a login service, across the server's death.

use std::sync::Mutex;

use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Value, json};

use super::{Doubt, Ledger};
use crate::support::Client;

const CHALLENGES: &str = "/api/v1/mfa/challenges";
/// Wrong answers that a challenge takes.
const TRIES: u64 = 5;

/// A challenge, as the service was told of it.
pub struct SignIn {
    path: String,
    misses: u64,
    verified: bool,
}

fn wrong() -> Value {
    json!({"method": "backup_code", "code": "0000-0000-0000-0000"})
}

/// One sign-in is answered wrongly and stays open, the next one wrongly and then rightly, with `code`.
pub async fn live(service: &Client, ledger: &Mutex<Ledger>, code: &str) -> Option<()> {
    let note = |doubt| ledger.lock().unwrap().doubtful = Some(doubt);
    let answered = |write: &dyn Fn(&mut Ledger)| {
        let mut ledger = ledger.lock().unwrap();
        write(&mut ledger);
        ledger.doubtful = None;
    };
    let ask = async |path: &str, body: Value, status: u16| -> Option<Value> {
        let json = [("content-type", "application/json")];
        let body = Bytes::from(body.to_string());
        let reply = service.try_send(Method::POST, path, &json, body).await;
        let reply = reply.ok()?;
        assert_eq!(reply.status, status, "{path}: {}", reply.text);
        Some(reply.json())
    };
    let subject = ledger.lock().unwrap().subject.clone();
    let mut verify = String::new();
    for misses in [2, 1] {
        note(Doubt::Open);
        let asking = json!({"subject": subject, "amr": ["pwd"]});
        let opened = ask(CHALLENGES, asking, 201).await?;
        let path = format!("{CHALLENGES}/{}", opened["challenge_id"].as_str().unwrap());
        verify = format!("{path}/verify");
        answered(&|ledger| {
            ledger.sign_ins.push(SignIn {
                path: path.clone(),
                misses: 0,
                verified: false,
            });
        });
        for miss in 0..misses {
            note(Doubt::Miss);
            let told = ask(&verify, wrong(), 400).await?;
            assert_eq!(told["tries_left"], TRIES - 1 - miss, "{told}");
            answered(&|ledger| ledger.sign_ins.last_mut().unwrap().misses += 1);
        }
    }
    note(Doubt::Verify(code.to_owned()));
    let right = json!({"method": "backup_code", "code": code});
    ask(&verify, right, 200).await?;
    answered(&|ledger| {
        ledger.sign_ins.last_mut().unwrap().verified = true;
        ledger.codes.retain(|left| left != code);
        ledger.spent.push(code.to_owned());
    });
    Some(())
}

/// Compares what the service was told with what the server says after its death; and says whether the last sign-in
/// is verified.
pub async fn compare(service: &Client, ledger: &Ledger) -> bool {
    let subject = &ledger.subject;
    let mut last_verified = false;
    for (n, sign_in) in ledger.sign_ins.iter().enumerate() {
        let last = n + 1 == ledger.sign_ins.len();
        let found = service.get(&sign_in.path).await.ok();
        let verified = found["status"] == "verified";
        let context = format!("{subject}: {found}");
        let in_doubt = last && matches!(ledger.doubtful, Some(Doubt::Verify(_)));
        assert!(verified == sign_in.verified || in_doubt, "{context}");
        last_verified = verified;
        let verify = format!("{}/verify", sign_in.path);
        if verified {
            assert_eq!(found["method"], "backup_code", "{context}");
            assert!(found["token"].is_string(), "{context}");
            // Not even by what would be right.
            for code in ledger.codes.iter().take(1).chain(&ledger.spent) {
                let answer = json!({"method": "backup_code", "code": code});
                let again = service.post_json(&verify, &answer).await;
                again.refused(409, "challenge_closed");
            }
            continue;
        }
        assert_eq!(found["status"], "pending", "{context}");
        // A spent code is good nowhere. It is known as used, and no try, as long as its set is there; what was answered
        // wrongly before was one.
        let code = ledger.spent.first().unwrap();
        let answer = json!({"method": "backup_code", "code": code});
        let told = service.post_json(&verify, &answer).await;
        let set_may_be_gone = !ledger.void.is_empty()
            || matches!(ledger.doubtful, Some(Doubt::Regenerate(_) | Doubt::Disable));
        let tried = set_may_be_gone && told.json()["code"] == "wrong_code";
        told.refused(400, if tried { "wrong_code" } else { "code_used" });
        let told = service.post_json(&verify, &wrong()).await;
        let left = told.refused(400, "wrong_code")["tries_left"]
            .as_u64()
            .unwrap();
        let expected = TRIES - sign_in.misses - 1 - u64::from(tried);
        let one_more = last && matches!(ledger.doubtful, Some(Doubt::Miss));
        assert!(
            left == expected || one_more && left + 1 == expected,
            "{context}: {left} tries left instead of {expected}"
        );
    }
    last_verified
}
