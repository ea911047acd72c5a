use std::collections::BTreeMap;
use std::time::Duration;

use crate::auth::{Email, Person};
use crate::base::{PersonKey, Timestamp};
use crate::store::testing::TestStore;
use crate::store::{Record, Store};

use super::record::{Bearer, Operator, Reserved};
use super::{
    Contest, Fit, Found, Lookup, MOST_BEARERS, NameKind, Profile, RESERVED_FOR, Wish, find, meet,
    operators, release_name, survey,
};

mod addresses;
mod languages;
mod orders;
mod reserved;
mod shared;

const NOW: Timestamp = Timestamp::from_unix(1_795_521_600);
const ISSUER: &str = "https://issuer.example";

/// What a token says of its person.
#[derive(Clone)]
struct Said {
    person: Person,
    /// Whether they have a second factor.
    enrolled: bool,
    at: Timestamp,
}

impl Said {
    fn new(subject: &str) -> Self {
        let person = Person {
            issuer: ISSUER.to_owned(),
            subject: subject.to_owned(),
            tenant: None,
            email: None,
            username: None,
            name: None,
            language: None,
            client: None,
            scopes: Vec::new(),
            operator: false,
            auth_time: None,
            amr: Vec::new(),
            acr: None,
            expires: NOW.plus(3600),
        };
        Said {
            person,
            enrolled: false,
            at: NOW,
        }
    }

    fn enrolled(mut self) -> Self {
        self.enrolled = true;
        self
    }

    fn after(mut self, seconds: u64) -> Self {
        self.at = NOW.plus(seconds);
        self
    }

    fn at(mut self, issuer: &str) -> Self {
        self.person.issuer = issuer.to_owned();
        self
    }

    fn of(mut self, tenant: &str) -> Self {
        self.person.tenant = Some(tenant.to_owned());
        self
    }

    fn called(mut self, username: &str) -> Self {
        self.person.username = Some(username.to_owned());
        self
    }

    fn mailed(mut self, address: &str, verified: Option<bool>) -> Self {
        self.person.email = Some(Email {
            address: address.to_owned(),
            verified,
        });
        self
    }

    fn operator(mut self, operator: bool) -> Self {
        self.person.operator = operator;
        self
    }

    async fn met(self, store: &Store) -> PersonKey {
        let key = store
            .sealer()
            .person(&self.person.issuer, &self.person.subject);
        self.contests(store).await;
        key
    }

    /// Meets them, and gives the names of theirs that others gave up.
    async fn contests(self, store: &Store) -> Vec<Contest> {
        let Said {
            person,
            enrolled,
            at,
        } = self;
        let key = store.sealer().person(&person.issuer, &person.subject);
        let keys = store.clone();
        store
            .write(move |tx| {
                let enrolled = |_: &dyn crate::store::Read, _| Ok(enrolled);
                meet(
                    tx,
                    keys.sealer(),
                    key,
                    &person,
                    Wish::default(),
                    &enrolled,
                    at,
                )
            })
            .await
            .unwrap()
            .contests
    }
}

fn named(store: &Store, kind: NameKind, name: &str, tenants: &[Option<&str>]) -> Found {
    at(store, ISSUER, kind, name, tenants)
}

/// Among people of `tenants`; all where there are none. Those of others are barred, those of none ignored, unless
/// `None` is among them.
fn at(store: &Store, issuer: &str, kind: NameKind, name: &str, tenants: &[Option<&str>]) -> Found {
    look_up(store, issuer, kind, name, tenants, NOW)
}

fn look_up(
    store: &Store,
    issuer: &str,
    kind: NameKind,
    name: &str,
    tenants: &[Option<&str>],
    now: Timestamp,
) -> Found {
    let fit = |_: PersonKey, profile: &Profile| {
        let own = profile.tenants(now);
        let meant = tenants.is_empty()
            || own.iter().any(|own| tenants.contains(&Some(*own)))
            || (own.is_empty() && tenants.contains(&None));
        Ok(match meant {
            true => Fit::Meant,
            false if own.is_empty() => Fit::Ignored,
            false => Fit::Barred,
        })
    };
    let lookup = Lookup {
        kind,
        issuer,
        name,
        now,
    };
    store
        .read(|read| find(read, store.sealer(), &lookup, &fit))
        .unwrap()
}

fn username(store: &Store, name: &str) -> Found {
    named(store, NameKind::Username, name, &[])
}

fn email(store: &Store, name: &str) -> Found {
    named(store, NameKind::Email, name, &[])
}

#[tokio::test]
async fn a_person_is_found_by_their_names_however_they_are_written() {
    let store = TestStore::create();
    let said = Said::new("1")
        .called("É.Müller")
        .mailed("E.Mueller@Example.com", Some(true));
    let one = Found::One(said.met(&store).await);
    for name in [
        "É.Müller",
        "é.müller",
        "E\u{301}.MU\u{308}LLER",
        "é.müller ",
        " é.müller",
        "é．ｍüller\u{200b}",
    ] {
        assert_eq!(username(&store, name), one, "{name}");
        assert_eq!(email(&store, name), Found::Nobody, "{name}");
    }
    for name in ["E.Mueller@Example.com", "e.mueller@EXAMPLE.COM"] {
        assert_eq!(email(&store, name), one, "{name}");
        assert_eq!(username(&store, name), Found::Nobody, "{name}");
    }
    for name in [
        "",
        "1",
        "e.muller",
        "é.müller\0",
        "é.müller\n",
        "é.mülle",
        "é.müllerr",
    ] {
        assert_eq!(username(&store, name), Found::Nobody, "{name:?}");
    }
    let huge = "a".repeat(1_000_000);
    assert_eq!(username(&store, &huge), Found::Nobody);
}

#[tokio::test]
async fn among_those_who_bear_a_name_in_several_spellings_none_bears_it_better() {
    let store = TestStore::create();
    let one = Found::One(Said::new("1").called("anna lee").met(&store).await);
    assert_eq!(username(&store, "Anna  Lee"), one);
    Said::new("2").called("anna  lee").met(&store).await;
    for name in ["anna lee", "anna  lee", "ANNA\u{3000}LEE"] {
        assert_eq!(username(&store, name), Found::Several, "{name:?}");
    }
    let spelled = store
        .read(|read| survey(read, 10, &|_, _| Ok(true), NOW))
        .unwrap();
    assert_eq!((spelled.twin_names, spelled.were_apart), (1, 1));
    assert_eq!(spelled.twins[0].bearers, 2);
    assert_eq!(
        Vec::from_iter(&spelled.twins[0].spellings),
        ["anna  lee", "anna lee"]
    );
    assert_eq!(spelled.in_no_tenant, 2);
    // Nobody is found by what cannot be compared.
    Said::new("3").called("al\tice").met(&store).await;
    for name in ["al\tice", "al ice", "alice"] {
        assert_eq!(username(&store, name), Found::Nobody, "{name:?}");
    }
}

#[tokio::test]
async fn two_of_one_name_are_told_apart_by_their_tenants_alone() {
    let store = TestStore::create();
    let a = Found::One(Said::new("1").called("kim").of("a").met(&store).await);
    let b = Found::One(Said::new("2").called("KIM").of("b").met(&store).await);
    let none = Found::One(Said::new("3").called("Kim").met(&store).await);
    let table: [(&[Option<&str>], Found); 7] = [
        (&[], Found::Several),
        (&[Some("a")], a),
        (&[Some("b")], b),
        (&[None], none),
        (&[Some("c")], Found::Barred),
        (&[Some("a"), Some("b")], Found::Several),
        (&[Some("a"), Some("c")], a),
    ];
    for (tenants, found) in table {
        let said = named(&store, NameKind::Username, "kim", tenants);
        assert_eq!(said, found, "{tenants:?}");
    }
    // Another of the same tenant.
    Said::new("4").called("kim").of("a").met(&store).await;
    for (tenant, found) in [("a", Found::Several), ("b", b)] {
        let said = named(&store, NameKind::Username, "kim", &[Some(tenant)]);
        assert_eq!(said, found, "{tenant}");
    }
    // Who is seen in another tenant as well bears their name in both.
    Said::new("4").called("kim").of("b").met(&store).await;
    for (tenant, found) in [("a", Found::Several), ("b", Found::Several)] {
        let said = named(&store, NameKind::Username, "kim", &[Some(tenant)]);
        assert_eq!(said, found, "{tenant}");
    }
}

#[tokio::test]
async fn the_same_name_at_another_issuer_is_another_persons() {
    let store = TestStore::create();
    let other = "https://other.example";
    let said = |issuer| {
        let said = Said::new("1").called("kim");
        said.mailed("kim@example.com", Some(true)).at(issuer)
    };
    let here = Found::One(said(ISSUER).met(&store).await);
    let there = Found::One(said(other).met(&store).await);
    assert_ne!(here, there);
    for (kind, name) in [
        (NameKind::Username, "kim"),
        (NameKind::Email, "kim@example.com"),
    ] {
        assert_eq!(at(&store, ISSUER, kind, name, &[]), here);
        assert_eq!(at(&store, other, kind, name, &[]), there);
        let third = "https://third.example";
        assert_eq!(at(&store, third, kind, name, &[]), Found::Nobody);
    }
}

#[tokio::test]
async fn a_changed_name_leaves_nothing_behind() {
    let store = TestStore::create();
    let person = Said::new("1")
        .called("old")
        .mailed("old@x.example", Some(true));
    let one = Found::One(person.met(&store).await);
    Said::new("1")
        .called("new")
        .mailed("new@x.example", Some(true))
        .met(&store)
        .await;
    assert_eq!(username(&store, "old"), Found::Nobody);
    assert_eq!(email(&store, "old@x.example"), Found::Nobody);
    assert_eq!(username(&store, "new"), one);
    assert_eq!(email(&store, "new@x.example"), one);
    // The old name is free for others.
    let two = Found::One(Said::new("2").called("old").met(&store).await);
    assert_eq!(username(&store, "old"), two);
    // Another spelling is no other name, a token without the claims takes none away, one with
    // a name that nobody is found by does.
    Said::new("1").called("NEW").met(&store).await;
    Said::new("1").met(&store).await;
    assert_eq!(username(&store, "new"), one);
    assert_eq!(email(&store, "new@x.example"), one);
    Said::new("1").called("new\n").met(&store).await;
    assert_eq!(username(&store, "new"), Found::Nobody);
}

#[tokio::test]
async fn only_the_issuer_makes_an_address_a_name() {
    let address = "kim@example.com";
    let other = "kim@other.example";
    let (yes, no, silent) = (Some(true), Some(false), None);
    // What was said, one token after the other, and whether the first address finds the person then.
    type Tokens<'a> = &'a [(&'a str, Option<bool>)];
    let table: [(Tokens<'_>, bool); 10] = [
        (&[(address, yes)], true),
        (&[(address, no)], false),
        (&[(address, silent)], false),
        (&[(address, no), (address, yes)], true),
        (&[(address, yes), (address, silent)], true),
        (&[(address, yes), ("KIM@example.com", silent)], true),
        (&[(address, yes), (address, no)], false),
        (&[(address, yes), (other, yes)], false),
        // Whose the old one is now, nobody has said.
        (&[(address, yes), (other, silent)], false),
        (&[(address, yes), (other, no)], false),
    ];
    for (tokens, found) in table {
        let store = TestStore::create();
        let mut person = None;
        for (address, verified) in tokens {
            let said = Said::new("1").mailed(address, *verified);
            person = Some(said.met(&store).await);
        }
        let expected = match (found, person) {
            (true, Some(person)) => Found::One(person),
            _ => Found::Nobody,
        };
        assert_eq!(email(&store, address), expected, "{tokens:?}");
    }
}

#[tokio::test]
async fn a_claimed_address_takes_nobodys_place_nor_makes_theirs_doubtful() {
    let store = TestStore::create();
    let address = "victim@example.com";
    let victim = Said::new("1").mailed(address, Some(true));
    let victim = Found::One(victim.met(&store).await);
    for (subject, verified) in [("2", Some(false)), ("3", None)] {
        let attacker = Said::new(subject).mailed(address, verified);
        attacker.called(address).met(&store).await;
        assert_eq!(email(&store, address), victim);
    }
}

#[tokio::test]
async fn a_name_of_more_people_than_are_looked_at_means_nobody_until_enough_have_left() {
    let store = TestStore::create();
    let subjects: Vec<String> = (0..=MOST_BEARERS).map(|n| format!("p{n}")).collect();
    let mut people = BTreeMap::new();
    for subject in &subjects {
        let said = Said::new(subject).called("admin").of(subject);
        people.insert(subject, Found::One(said.met(&store).await));
    }
    let of = |subject: &str| named(&store, NameKind::Username, "admin", &[Some(subject)]);
    let some = || subjects.iter().step_by(100);
    for subject in some() {
        assert_eq!(of(subject), Found::Several, "{subject}");
    }
    // One has left, and as many are there as are looked at.
    let renamed = Said::new("p3").called("other").of("p3");
    renamed.met(&store).await;
    for subject in some() {
        assert_eq!(of(subject), people[subject], "{subject}");
    }
    assert_eq!(of("p3"), Found::Barred);
}

#[tokio::test]
async fn a_row_counts_only_where_the_profile_says_the_same() {
    let store = TestStore::create();
    let person = Said::new("1").called("kim").met(&store).await;
    assert_eq!(username(&store, "kim"), Found::One(person));
    store
        .write(move |tx| {
            let known = tx.get::<Profile>(&person)?.unwrap();
            let names = super::record::Names::default();
            tx.put(&person, &Profile { names, ..known })
        })
        .await
        .unwrap();
    assert_eq!(username(&store, "kim"), Found::Nobody);
    Said::new("1").called("kim").met(&store).await;
    assert_eq!(username(&store, "kim"), Found::One(person));
    let forgotten = store.write(move |tx| {
        tx.delete::<Profile>(&person);
        Ok(())
    });
    forgotten.await.unwrap();
    assert_eq!(username(&store, "kim"), Found::Nobody);
}

#[tokio::test]
async fn people_who_were_met_before_there_were_names_are_entered_when_they_are_met_again() {
    let old = serde_json::json!({
        "issuer": ISSUER, "subject": "1", "tenants": [], "username": "kim", "email": "kim@example.com",
        "met_at": NOW.unix(),
    });
    let old: Profile = serde_json::from_value(old).unwrap();
    let store = TestStore::create();
    let person = store.sealer().person(ISSUER, "1");
    let put = store.write(move |tx| tx.put(&person, &old));
    put.await.unwrap();
    assert_eq!(username(&store, "kim"), Found::Nobody);
    let said = Said::new("1").called("kim");
    said.mailed("kim@example.com", Some(true)).met(&store).await;
    assert_eq!(username(&store, "kim"), Found::One(person));
    assert_eq!(email(&store, "kim@example.com"), Found::One(person));
}

#[tokio::test]
async fn who_says_nothing_new_costs_no_write() {
    let store = TestStore::create();
    let said = Said::new("1")
        .called("Kim")
        .of("a")
        .mailed("kim@example.com", Some(true))
        .operator(true);
    said.clone().met(&store).await;
    let tables = [
        Profile::TABLE,
        Bearer::TABLE,
        Reserved::TABLE,
        Operator::TABLE,
    ];
    let news = tables.map(|table| store.watch(table));
    said.clone().met(&store).await;
    let mut without = said;
    without.person.username = None;
    without.person.email = None;
    without.person.tenant = None;
    without.met(&store).await;
    for (table, news) in tables.iter().zip(news) {
        let waited = tokio::time::timeout(Duration::ZERO, news.notified()).await;
        assert!(waited.is_err(), "{table} was written");
    }
}

#[tokio::test]
async fn operators_are_those_whose_token_lately_said_so_and_a_token_without_the_scope_takes_nothing_back()
 {
    let store = TestStore::create();
    let list = |limit| store.read(|read| operators(read, limit)).unwrap();
    assert_eq!(list(10).len(), 0);
    let mut made = Vec::new();
    for subject in ["1", "2", "3"] {
        made.push(Said::new(subject).operator(true).met(&store).await);
    }
    Said::new("4").met(&store).await;
    made.sort();
    assert!(list(10) == made);
    assert!(list(2) == made[..2]);
    Said::new("1").met(&store).await;
    assert!(list(10) == made);
}
