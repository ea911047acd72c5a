//! One browser, its copies, and everybody else.

use super::record::Kept;
use super::rule::Token;
use super::*;
use crate::base::{OsEntropy, PersonKey, Timestamp, TrustedDeviceId};
use crate::store::testing::{ALL_ROWS, TestStore};

const ALICE: PersonKey = PersonKey([1; 16]);
const BOB: PersonKey = PersonKey([2; 16]);
const START: Timestamp = Timestamp::from_unix(1_800_000_000);
const DAY: u64 = 86_400;
const DAYS: u64 = 30;

/// The browsers that are trusted.
struct Devices {
    store: TestStore,
}

/// What came of a token, by name, and the next one.
type Outcome = (&'static str, String);

impl Devices {
    fn new() -> Self {
        let store = TestStore::create();
        Devices { store }
    }

    async fn remember_until(&self, person: PersonKey, days: u64, now: Timestamp) -> String {
        let keys = self.store.clone();
        let token = self
            .store
            .write(move |tx| remember(tx, keys.sealer(), &OsEntropy, person, "shop", days, now))
            .await
            .unwrap();
        token.expose().clone()
    }

    async fn remember(&self) -> String {
        self.remember_until(ALICE, DAYS, START).await
    }

    async fn check_as(
        &self,
        person: PersonKey,
        service: &'static str,
        token: &str,
        days: u64,
        now: Timestamp,
    ) -> Outcome {
        let (keys, token) = (self.store.clone(), token.to_owned());
        let trust = self
            .store
            .write(move |tx| {
                check(
                    tx,
                    keys.sealer(),
                    &OsEntropy,
                    person,
                    service,
                    &token,
                    days,
                    now,
                )
            })
            .await
            .unwrap();
        match trust {
            Trust::Trusted { device_token } => ("trusted", device_token.expose().clone()),
            Trust::Unknown => ("unknown", String::new()),
            Trust::Copied => ("copied", String::new()),
        }
    }

    async fn check(&self, token: &str, now: Timestamp) -> Outcome {
        self.check_as(ALICE, "shop", token, DAYS, now).await
    }

    fn list(&self, person: PersonKey, now: Timestamp) -> Vec<TrustedDevice> {
        self.store.read(|read| list(read, person, now)).unwrap()
    }
}

#[tokio::test]
async fn a_token_is_good_once_and_gives_the_next() {
    let devices = Devices::new();
    let mut token = devices.remember().await;
    for turn in 0..12 {
        assert!(
            token.starts_with("mfad_td_") && token.len() == 60,
            "{token}"
        );
        let body = &token[8..];
        assert!(body.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')));
        let now = START.plus(turn * 60);
        let (outcome, next) = devices.check(&token, now).await;
        assert_eq!(outcome, "trusted");
        assert_ne!(next, token);
        assert_eq!(devices.list(ALICE, now)[0].last_used_at, Some(now));
        token = next;
    }
}

#[tokio::test]
async fn two_tabs_at_once_are_no_alarm_and_no_way_in() {
    let devices = Devices::new();
    let token = devices.remember().await;
    let (_, next) = devices.check(&token, START).await;
    for seconds in [0, 1, 9] {
        let again = devices.check(&token, START.plus(seconds)).await;
        assert_eq!(again.0, "unknown", "{seconds}");
    }
    assert_eq!(devices.check(&next, START.plus(9)).await.0, "trusted");
}

#[tokio::test]
async fn a_copied_token_ends_the_device_however_often_either_holder_has_used_it() {
    // Earlier versions remembered eight tokens.
    for uses in [1, 8, 9, 100] {
        for seconds in [10, 60, DAY] {
            let devices = Devices::new();
            let (stolen, other) = (devices.remember().await, devices.remember().await);
            // To the server, owner and thief are alike: one goes on with the token, the other comes with it later.
            let mut current = stolen.clone();
            let mut former = Vec::new();
            for _ in 0..uses {
                let (outcome, next) = devices.check(&current, START).await;
                assert_eq!(outcome, "trusted");
                former.push(std::mem::replace(&mut current, next));
            }
            let now = START.plus(seconds);
            let outcome = devices.check(&stolen, now).await.0;
            assert_eq!(outcome, "copied", "{uses} uses, {seconds} s later");
            // The device is gone, for both holders.
            for token in former.iter().chain([&current]) {
                assert_eq!(devices.check(token, now).await.0, "unknown");
            }
            // Another browser of the same person goes on.
            assert_eq!(devices.check(&other, now).await.0, "trusted");
            assert_eq!(devices.list(ALICE, now).len(), 1);
        }
    }
}

#[tokio::test]
async fn only_the_token_before_the_current_one_is_excused_for_ten_seconds() {
    for (age, outcome) in [(1, "unknown"), (2, "copied"), (9, "copied")] {
        let devices = Devices::new();
        let mut tokens = vec![devices.remember().await];
        for turn in 0..10 {
            tokens.push(devices.check(&tokens[turn], START).await.1);
        }
        let brought = &tokens[10 - age];
        assert_eq!(
            devices.check(brought, START.plus(9)).await.0,
            outcome,
            "{age}"
        );
    }
}

#[tokio::test]
async fn a_token_that_only_names_the_device_is_a_copy() {
    let devices = Devices::new();
    let token = devices.remember().await;
    let device = Token::read(&token).unwrap().device;
    let forged = Token::draw(device, &OsEntropy).unwrap();
    let forged = forged.to_text().expose().clone();
    // At another service, or for another person, it names nothing.
    for (person, service) in [(BOB, "shop"), (ALICE, "bank")] {
        let outcome = devices
            .check_as(person, service, &forged, DAYS, START)
            .await;
        assert_eq!(outcome.0, "unknown");
    }
    assert_eq!(devices.check(&forged, START).await.0, "copied");
    assert_eq!(devices.check(&token, START).await.0, "unknown");
    assert!(devices.list(ALICE, START).is_empty());
}

#[tokio::test]
async fn once_the_trust_has_ended_a_copy_ends_nothing_more() {
    let devices = Devices::new();
    let stolen = devices.remember().await;
    let second = devices.check(&stolen, START).await.1;
    devices.check(&second, START).await;
    for (days, now) in [(DAYS, START.plus(30 * DAY)), (7, START.plus(7 * DAY))] {
        let outcome = devices.check_as(ALICE, "shop", &stolen, days, now).await;
        assert_eq!(outcome.0, "unknown", "{days}");
    }
}

#[tokio::test]
async fn a_row_of_an_earlier_version_is_read_and_its_oldest_token_is_a_copy() {
    let devices = Devices::new();
    let mut tokens = vec![devices.remember().await];
    let mut hashes = Vec::new();
    let device = Token::read(&tokens[0]).unwrap().device;
    let row = async |devices: &Devices| {
        let read = devices
            .store
            .read(|read| read.get::<Kept>(&(ALICE, device)));
        serde_json::to_value(read.unwrap().unwrap()).unwrap()
    };
    for turn in 0..9 {
        hashes.insert(0, row(&devices).await["current"].clone());
        tokens.push(devices.check(&tokens[turn], START).await.1);
    }
    // Earlier versions kept eight.
    let mut old = row(&devices).await;
    old["former"] = hashes[..8].into();
    let write = |old: &serde_json::Value| {
        let old = old.clone();
        devices.store.write(move |tx| {
            let old: Kept = serde_json::from_value(old.clone()).unwrap();
            tx.put_until(&(ALICE, device), &old, old.expires_at)
        })
    };
    write(&old).await.unwrap();
    assert_eq!(devices.check(&tokens[8], START).await.0, "unknown");
    assert_eq!(devices.check(&tokens[9], START).await.0, "trusted");
    for brought in [0, 1, 7] {
        write(&old).await.unwrap();
        let outcome = devices.check(&tokens[brought], START.plus(9)).await.0;
        assert_eq!(outcome, "copied", "{brought}");
    }
}

#[tokio::test]
async fn what_is_no_token_does_no_harm() {
    let devices = Devices::new();
    let token = devices.remember().await;
    let nobodys = Token::draw(TrustedDeviceId::draw(&OsEntropy).unwrap(), &OsEntropy).unwrap();
    let strange = [
        String::new(),
        "mfad_td_".to_owned(),
        nobodys.to_text().expose().clone(),
        token.to_uppercase(),
        format!("{token}a"),
        token[..59].to_owned(),
        token.replace("mfad_td_", "mfad_sk_"),
        // Bits that no spelling of the token has.
        format!("{}b", &token[..59]),
        "mfad_td_é".repeat(10),
        "a".repeat(100_000),
    ];
    for text in strange {
        let outcome = devices.check(&text, START.plus(3600)).await.0;
        assert_eq!(outcome, "unknown", "{}", &text[..text.len().min(70)]);
    }
    assert_eq!(devices.check(&token, START.plus(3600)).await.0, "trusted");
}

#[tokio::test]
async fn a_token_is_good_for_its_person_and_its_service_alone() {
    let devices = Devices::new();
    let token = devices.remember().await;
    devices.remember_until(BOB, DAYS, START).await;
    for (person, service) in [
        (BOB, "shop"),
        (ALICE, "bank"),
        (ALICE, ""),
        (ALICE, "Shop"),
        (BOB, "bank"),
    ] {
        let outcome = devices.check_as(person, service, &token, DAYS, START).await;
        assert_eq!(outcome.0, "unknown", "{service}");
    }
    assert_eq!(devices.check(&token, START).await.0, "trusted");
}

#[tokio::test]
async fn trust_ends_when_it_was_to_end_however_much_it_is_used() {
    let devices = Devices::new();
    let mut token = devices.remember().await;
    for day in 1..30 {
        let (outcome, next) = devices.check(&token, START.plus(day * DAY)).await;
        assert_eq!(outcome, "trusted", "{day}");
        token = next;
    }
    let end = START.plus(30 * DAY);
    assert_eq!(devices.list(ALICE, end.minus(1))[0].expires_at, end);
    assert_eq!(devices.check(&token, end).await.0, "unknown");
    // A longer policy does not bring it back.
    let longer = devices.check_as(ALICE, "shop", &token, 365, end).await;
    assert_eq!(longer.0, "unknown");
    assert!(devices.list(ALICE, end).is_empty());
    devices.store.sweep(end).await.unwrap();
    let rows = devices.store.read(|read| read.list::<Kept>(&ALL_ROWS));
    assert!(rows.unwrap().is_empty());
}

#[tokio::test]
async fn a_shorter_policy_ends_trust_that_was_given_for_longer() {
    let devices = Devices::new();
    let token = devices.remember().await;
    let now = START.plus(7 * DAY);
    for days in [0, 1, 7] {
        let outcome = devices.check_as(ALICE, "shop", &token, days, now).await;
        assert_eq!(outcome.0, "unknown", "{days}");
    }
    assert_eq!(devices.list(ALICE, now)[0].end(7), now);
    let outcome = devices.check_as(ALICE, "shop", &token, 8, now).await;
    assert_eq!(outcome.0, "trusted");
    let keys = devices.store.clone();
    let forbidden = devices
        .store
        .write(move |tx| remember(tx, keys.sealer(), &OsEntropy, ALICE, "shop", 0, now))
        .await;
    assert_eq!(forbidden.unwrap_err().code().name, "internal");
}

#[tokio::test]
async fn of_more_than_twenty_the_oldest_goes_and_what_has_ended_before_it() {
    let devices = Devices::new();
    let short = devices.remember_until(ALICE, 1, START.plus(5)).await;
    let mut tokens = Vec::new();
    for number in 0..20 {
        let now = START.plus(2 * DAY + number);
        if number == 19 {
            assert_eq!(devices.list(ALICE, now).len(), 19);
        }
        tokens.push(devices.remember_until(ALICE, DAYS, now).await);
    }
    let now = START.plus(3 * DAY);
    assert_eq!(devices.check(&short, now).await.0, "unknown");
    assert_eq!(devices.list(ALICE, now).len(), 20);
    tokens.push(devices.remember_until(ALICE, DAYS, now).await);
    let bobs = devices.remember_until(BOB, DAYS, now).await;
    assert_eq!(devices.list(ALICE, now).len(), 20);
    assert_eq!(devices.check(&tokens[0], now).await.0, "unknown");
    for token in &tokens[1..] {
        assert_eq!(devices.check(token, now).await.0, "trusted");
    }
    let outcome = devices.check_as(BOB, "shop", &bobs, DAYS, now).await;
    assert_eq!(outcome.0, "trusted");
}

#[tokio::test]
async fn devices_are_shown_with_what_they_call_themselves_and_can_be_taken_back() {
    let devices = Devices::new();
    let long = format!("Mozilla/5.0\u{202e} \n{}", "x".repeat(300));
    let mut tokens = Vec::new();
    for (number, agent) in [Some(long), None, Some("\u{200b}".to_owned())]
        .into_iter()
        .enumerate()
    {
        let keys = devices.store.clone();
        let token = devices
            .store
            .write(move |tx| {
                let new = New {
                    person: ALICE,
                    service_id: "shop",
                    user_agent: agent.as_deref(),
                    days: DAYS,
                    now: START.plus(number as u64),
                };
                remember_as(tx, keys.sealer(), &OsEntropy, &new)
            })
            .await
            .unwrap();
        tokens.push(token.expose().clone());
    }
    let bobs = devices.remember_until(BOB, DAYS, START).await;
    let listed = devices.list(ALICE, START);
    let agents: Vec<Option<&str>> = listed.iter().map(|d| d.user_agent.as_deref()).collect();
    let shown = agents[2].unwrap();
    assert!(shown.starts_with("Mozilla/5.0 xxx"), "{shown}");
    assert_eq!(shown.chars().count(), 128);
    assert_eq!(agents[..2], [None, None]);
    assert_eq!(listed[2].created_at, START);

    let id = listed[2].id;
    let revoke_as = |person, id| {
        let store = devices.store.clone();
        async move { store.write(move |tx| revoke(tx, person, id)).await.unwrap() }
    };
    assert!(!revoke_as(BOB, id).await);
    assert!(revoke_as(ALICE, id).await);
    assert!(!revoke_as(ALICE, id).await);
    assert_eq!(devices.check(&tokens[0], START).await.0, "unknown");
    devices
        .store
        .write(|tx| forget_all(tx, ALICE))
        .await
        .unwrap();
    for token in &tokens {
        assert_eq!(devices.check(token, START).await.0, "unknown");
    }
    let outcome = devices.check_as(BOB, "shop", &bobs, DAYS, START).await;
    assert_eq!(outcome.0, "trusted");
}

/// A token has one spelling.
#[test]
fn fuzz_device_tokens() {
    use proptest::prelude::*;
    let generated = "mfad_(td|sk)_[a-z2-7]{51,53}".prop_map(String::into_bytes);
    let target =
        crate::base::fuzz::Target::new("device_tokens").words(&["mfad_td_", "a", "A", "1", "="]);
    let token = Token::draw(
        crate::base::TrustedDeviceId::from_bytes([3; 16]),
        &OsEntropy,
    )
    .unwrap();
    target
        .seed(token.to_text().expose().as_str())
        .check(generated, |input| {
            let text = String::from_utf8_lossy(input);
            let Some(read) = Token::read(&text) else {
                return false;
            };
            assert_eq!(*read.to_text().expose(), text);
            let again = Token::read(&text).unwrap();
            assert!(again.device == read.device && *again.secret_text() == *read.secret_text());
            true
        });
}
