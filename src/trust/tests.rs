//! One browser, its copies, and everybody else.

use super::record::Kept;
use super::rule::Token;
use super::*;
use crate::base::{OsEntropy, PersonKey, Timestamp};
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
async fn a_used_up_token_gives_its_copy_away_and_ends_the_device() {
    // How often the token is used before it is brought again, and when after the last use.
    for (uses, seconds) in [(1, 10), (1, 86_400), (2, 0), (2, 60), (8, 0), (8, 60)] {
        let devices = Devices::new();
        let (first, other) = (devices.remember().await, devices.remember().await);
        let mut token = first.clone();
        for _ in 0..uses {
            token = devices.check(&token, START).await.1;
        }
        let now = START.plus(seconds);
        assert_eq!(
            devices.check(&first, now).await.0,
            "copied",
            "{uses} {seconds}"
        );
        // For the copy and for the owner alike.
        for token in [&first, &token] {
            assert_eq!(devices.check(token, now).await.0, "unknown");
        }
        // Another browser of the same person goes on.
        assert_eq!(devices.check(&other, now).await.0, "trusted");
        assert_eq!(devices.list(ALICE, now).len(), 1);
    }
}

#[tokio::test]
async fn a_guess_does_no_harm_to_the_device_that_it_names() {
    let devices = Devices::new();
    let token = devices.remember().await;
    let mut older = token.clone();
    let mut current = token.clone();
    for _ in 0..9 {
        current = devices.check(&current, START).await.1;
    }
    let device = Token::read(&token).unwrap().device;
    let guess = Token::draw(device, &OsEntropy).unwrap();
    let guess = guess.to_text().expose().clone();
    let now = START.plus(3600);
    let strange = [
        String::new(),
        "mfad_td_".to_owned(),
        guess,
        current.to_uppercase(),
        current.replace("mfad_td_", "MFAD_TD_"),
        format!("{current}a"),
        format!(" {current}"),
        current[..59].to_owned(),
        current.replace("mfad_td_", "mfad_sk_"),
        // Bits that no spelling of the token has.
        format!("{}b", &current[..59]),
        // So old that it is not remembered.
        std::mem::take(&mut older),
        "mfad_td_é".repeat(10),
        "a".repeat(100_000),
    ];
    for text in strange {
        let outcome = devices.check(&text, now).await.0;
        assert_eq!(outcome, "unknown", "{}", &text[..text.len().min(70)]);
    }
    assert_eq!(devices.check(&current, now).await.0, "trusted");
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
