//! Where a user is notified, however often the issuer names another address.

use super::*;
use crate::people::{MOST_FORMER, NOTIFIED_FOR, addresses, record_enrollment, record_former};

const OWN: &str = "alice@example.com";

fn said(address: &str) -> Said {
    Said::new("1").mailed(address, Some(true))
}

async fn enroll(store: &Store, person: PersonKey, mailbox: Option<&str>, at: Timestamp) {
    let mailbox = mailbox.map(|it| it.parse().unwrap());
    let record = store.write(move |tx| record_enrollment(tx, person, mailbox.clone(), at));
    record.await.unwrap();
}

fn notified(store: &Store, person: PersonKey, at: Timestamp) -> Vec<String> {
    let all = store.read(|read| addresses(read, person, at)).unwrap();
    all.iter().map(|it| it.as_str().to_owned()).collect()
}

fn numbered(number: usize) -> String {
    format!("n{number}@evil.example")
}

#[tokio::test]
async fn the_address_of_the_latest_factor_is_notified_however_often_another_is_named() {
    for changes in [1, 2, 7, 8, 20, 100] {
        let store = TestStore::create();
        let person = said(OWN).met(&store).await;
        enroll(&store, person, None, NOW).await;
        for number in 1..=changes {
            said(&numbered(number)).enrolled().met(&store).await;
        }
        let told = notified(&store, person, NOW);
        assert!(told.contains(&OWN.to_owned()), "{changes}: {told:?}");
        assert!(told.contains(&numbered(changes)), "{changes}: {told:?}");
        let former = (changes - 1).min(MOST_FORMER);
        assert_eq!(told.len(), former + 2, "{changes}: {told:?}");
        // It does not end with time, as the others do.
        let later = notified(&store, person, NOW.plus(NOTIFIED_FOR));
        let mut both = vec![OWN.to_owned(), numbered(changes)];
        both.sort();
        assert_eq!(later, both, "{changes}");
    }
}

#[tokio::test]
async fn a_thiefs_own_factor_does_not_take_the_owner_out_within_30_days() {
    let store = TestStore::create();
    let person = said(OWN).met(&store).await;
    enroll(&store, person, None, NOW).await;
    said(&numbered(1)).enrolled().met(&store).await;
    enroll(&store, person, None, NOW).await;
    // Back and forth, so that the owner's address is a former one again, and then away from it.
    for number in 0..40 {
        said(OWN).enrolled().met(&store).await;
        said(&numbered(number)).enrolled().met(&store).await;
    }
    let soon = NOW.plus(NOTIFIED_FOR - 1);
    assert!(notified(&store, person, soon).contains(&OWN.to_owned()));
    assert!(!notified(&store, person, NOW.plus(NOTIFIED_FOR)).contains(&OWN.to_owned()));
}

#[tokio::test]
async fn of_former_addresses_without_a_factor_the_seven_latest_are_notified_for_30_days_each() {
    let store = TestStore::create();
    let mut person = said(&numbered(0)).met(&store).await;
    for day in 1..=9 {
        let mut said = said(&numbered(day));
        said.at = NOW.plus(day as u64 * 86_400);
        person = said.met(&store).await;
    }
    let last = NOW.plus(9 * 86_400);
    let expected = |from: usize| (from..=9).map(numbered).collect::<Vec<_>>();
    assert_eq!(notified(&store, person, last), expected(2));
    // The third was replaced on the fourth day.
    let ends = NOW.plus(4 * 86_400 + NOTIFIED_FOR);
    assert_eq!(
        notified(&store, person, Timestamp::from_unix(ends.unix() - 1)),
        expected(3)
    );
    assert_eq!(notified(&store, person, ends), expected(4));
}

#[tokio::test]
async fn two_addresses_that_take_turns_are_two() {
    let store = TestStore::create();
    let person = said(OWN).met(&store).await;
    for number in 0..20 {
        said(["eve@evil.example", OWN][number % 2])
            .met(&store)
            .await;
    }
    assert_eq!(notified(&store, person, NOW), [OWN, "eve@evil.example"]);
}

#[tokio::test]
async fn an_unverified_address_and_a_token_without_one_change_nothing() {
    let store = TestStore::create();
    let person = said(OWN).met(&store).await;
    enroll(&store, person, None, NOW).await;
    let eve = Said::new("1").mailed("eve@evil.example", Some(false));
    eve.enrolled().met(&store).await;
    Said::new("1").enrolled().met(&store).await;
    assert_eq!(notified(&store, person, NOW), [OWN]);
}

#[tokio::test]
async fn a_user_who_enrolled_before_an_address_was_known_is_notified_at_the_first() {
    let store = TestStore::create();
    let person = Said::new("1").met(&store).await;
    enroll(&store, person, None, NOW).await;
    said(OWN).enrolled().met(&store).await;
    for number in 0..20 {
        said(&numbered(number)).enrolled().met(&store).await;
    }
    assert!(notified(&store, person, NOW).contains(&OWN.to_owned()));
}

#[tokio::test]
async fn a_mailbox_for_codes_is_notified_like_the_address_and_for_30_days_after_it() {
    let store = TestStore::create();
    let person = said(OWN).met(&store).await;
    enroll(&store, person, Some("codes@example.org"), NOW).await;
    let removed = NOW.plus(86_400);
    let record = store
        .write(move |tx| record_former(tx, person, "codes@example.org".parse().unwrap(), removed));
    record.await.unwrap();
    enroll(&store, person, None, removed).await;
    let both = [OWN, "codes@example.org"];
    let ends = removed.plus(NOTIFIED_FOR);
    let last = Timestamp::from_unix(ends.unix() - 1);
    assert_eq!(notified(&store, person, last), both);
    assert_eq!(notified(&store, person, ends), [OWN]);
}
