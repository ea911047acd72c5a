//! Names that users gave up.

use super::*;

const DAY: u64 = 86_400;

/// Enrolled under the name `name`, on the day `day`.
fn enrolled(subject: &str, name: &str, day: u64) -> Said {
    Said::new(subject).called(name).enrolled().after(day * DAY)
}

fn on(store: &Store, name: &str, day: u64) -> Found {
    look_up(
        store,
        ISSUER,
        NameKind::Username,
        name,
        &[],
        NOW.plus(day * DAY),
    )
}

async fn release(store: &Store, name: &'static str, issuer: Option<&'static str>) -> Option<usize> {
    let keys = store.clone();
    let ended = store.write(move |tx| release_name(tx, keys.sealer(), name, issuer));
    ended.await.ok().map(|ended| ended.len())
}

#[tokio::test]
async fn a_name_that_an_enrolled_user_gave_up_means_nobody_for_400_days() {
    let store = TestStore::create();
    let one = Found::One(enrolled("1", "Alice", 0).met(&store).await);
    // Another spelling is no other name.
    enrolled("1", "ＡＬＩＣＥ", 0).met(&store).await;
    assert_eq!(on(&store, "alice", 0), one);
    enrolled("1", "alicia", 1).met(&store).await;
    assert_eq!(on(&store, "alicia", 1), one);
    assert_eq!(on(&store, "ali\u{ad}ce", 1), Found::Barred);
    // Nor does it mean who bears it meanwhile.
    let two = Found::One(Said::new("2").called("alice").met(&store).await);
    assert_eq!(on(&store, "alice", 400), Found::Barred);
    assert_eq!(on(&store, "alice", 401), two);
    // The sweep takes the row, and nothing changes by it.
    store.sweep(NOW.plus(402 * DAY)).await.unwrap();
    assert_eq!(on(&store, "alice", 402), two);
}

#[tokio::test]
async fn who_has_no_factor_gives_nothing_up() {
    let store = TestStore::create();
    Said::new("1").called("alice").met(&store).await;
    Said::new("1").called("alicia").met(&store).await;
    assert_eq!(username(&store, "alice"), Found::Nobody);
    let two = Found::One(Said::new("2").called("alice").met(&store).await);
    assert_eq!(username(&store, "alice"), two);
}

#[tokio::test]
async fn who_takes_a_name_back_has_it_again() {
    let store = TestStore::create();
    let one = Found::One(enrolled("1", "alice", 0).met(&store).await);
    enrolled("1", "alicia", 1).met(&store).await;
    enrolled("1", "alice", 2).met(&store).await;
    assert_eq!(on(&store, "alice", 2), one);
    assert_eq!(on(&store, "alicia", 2), Found::Barred);
    // Whoever bears it as well makes it mean neither.
    Said::new("2").called("alice").met(&store).await;
    assert_eq!(on(&store, "alice", 2), Found::Several);
}

#[tokio::test]
async fn an_address_is_a_name_that_can_be_given_up() {
    let store = TestStore::create();
    let mailed = |subject, address: &str| Said::new(subject).mailed(address, Some(true)).enrolled();
    mailed("1", "alice@example.com").met(&store).await;
    mailed("1", "alicia@example.com").met(&store).await;
    assert_eq!(email(&store, "alice@EXAMPLE.com."), Found::Barred);
    // Of one sort: the user name of the same letters is another name.
    let two = Found::One(Said::new("2").called("alice@example.com").met(&store).await);
    assert_eq!(username(&store, "alice@example.com"), two);
    let contests = mailed("3", "alice@example.com").contests(&store).await;
    assert_eq!(contests.len(), 1);
    assert_eq!(contests[0].name, "alice@example.com");
}

#[tokio::test]
async fn eight_names_are_reserved_and_no_further_one_pushes_them_out() {
    let store = TestStore::create();
    for n in 0..=9 {
        enrolled("1", &format!("name{n}"), n).met(&store).await;
    }
    for n in 0..8 {
        assert_eq!(on(&store, &format!("name{n}"), 9), Found::Barred, "{n}");
    }
    assert_eq!(on(&store, "name8", 9), Found::Nobody);
}

#[tokio::test]
async fn who_takes_a_name_and_gives_it_up_again_keeps_out_nobody_who_had_it_before() {
    let store = TestStore::create();
    let bob = Found::One(enrolled("1", "bob", 0).met(&store).await);
    enrolled("2", "bo\u{200b}b", 1).met(&store).await;
    assert_eq!(on(&store, "bob", 1), Found::Several);
    enrolled("2", "mallory", 2).met(&store).await;
    assert_eq!(on(&store, "bob", 2), bob);
    // The other way round it stays reserved: it was bob's, and must not come to mean who took it.
    enrolled("2", "bob", 3).met(&store).await;
    enrolled("1", "robert", 4).met(&store).await;
    assert_eq!(on(&store, "bob", 4), Found::Barred);
}

#[tokio::test]
async fn each_bearer_of_a_reserved_name_is_news_once() {
    let store = TestStore::create();
    let one = enrolled("1", "alice", 0).met(&store).await;
    // Who bore it before is as much a bearer as who comes to it.
    Said::new("2").called("Alice").met(&store).await;
    assert!(enrolled("1", "alicia", 1).contests(&store).await.is_empty());
    for subject in ["2", "3"] {
        let said = Said::new(subject).called("ALICE").after(DAY);
        let contests = said.clone().contests(&store).await;
        assert_eq!(contests.len(), 1, "{subject}");
        assert!(contests[0].owner == one);
        assert_eq!(contests[0].name, "alice");
        assert_eq!(contests[0].until, NOW.plus(DAY + RESERVED_FOR));
        assert!(said.contests(&store).await.is_empty(), "{subject}");
    }
    // What has ended is no news.
    let late = Said::new("4").called("alice").after(500 * DAY);
    assert!(late.contests(&store).await.is_empty());
}

#[tokio::test]
async fn an_operator_ends_a_reservation_in_any_spelling_and_at_one_issuer_or_all() {
    let store = TestStore::create();
    let other = "https://other.example";
    for issuer in [ISSUER, other] {
        for name in ["alice", "alicia"] {
            enrolled("1", name, 0).at(issuer).met(&store).await;
        }
    }
    assert_eq!(release(&store, "bob", None).await, None);
    assert_eq!(release(&store, "alicia", None).await, None);
    assert_eq!(
        release(&store, "ALICE", Some("https://third.example")).await,
        None
    );
    assert_eq!(release(&store, "Ａlice", Some(other)).await, Some(1));
    let there = at(&store, other, NameKind::Username, "alice", &[]);
    assert_eq!(there, Found::Nobody);
    assert_eq!(username(&store, "alice"), Found::Barred);
    assert_eq!(release(&store, "alice", None).await, Some(1));
    assert_eq!(username(&store, "alice"), Found::Nobody);
    let two = Said::new("2").called("alice");
    assert!(two.clone().contests(&store).await.is_empty());
    let two = Found::One(two.met(&store).await);
    assert_eq!(username(&store, "alice"), two);
    // From then on it is the other user's, and stays so when the first one comes and goes.
    enrolled("1", "alice", 5).met(&store).await;
    assert_eq!(on(&store, "alice", 5), Found::Several);
    enrolled("1", "alicia", 6).met(&store).await;
    assert_eq!(on(&store, "alice", 6), two);
}
