//! Of whom what is required, and which words say it.

use super::rule::DAY;
use super::service::MOST_UNMET;
use super::*;
use crate::base::{Failure, PersonKey, Timestamp};
use crate::store::Read;
use crate::store::testing::TestStore;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn policy(parts: &[(Key, &[&str])]) -> Policy {
    let mut policy = Policy::default();
    for (key, text) in parts {
        policy.set(*key, &words(text), Source::Setting).unwrap();
    }
    policy
}

#[test]
fn each_rule_fits_whom_it_names_and_nobody_else() {
    let scopes = words(&["openid", "mfa:admin"]);
    let nobody = Asked::default();
    let acme = Asked {
        tenants: &["other", "acme"],
        ..nobody
    };
    let admin = Asked {
        scopes: &scopes,
        ..nobody
    };
    let portal = Asked {
        service: Some("portal"),
        ..nobody
    };
    // Rules; whether they fit nobody in particular, acme, an admin, the portal.
    let table: [(&[&str], [bool; 4]); 10] = [
        (&["none"], [false; 4]),
        (&["all"], [true; 4]),
        (&["tenant:acme"], [false, true, false, false]),
        (&["tenant:ACME"], [false; 4]),
        (&["tenant:acm"], [false; 4]),
        (&["scope:mfa:admin"], [false, false, true, false]),
        (&["scope:mfa"], [false; 4]),
        (&["service:portal"], [false, false, false, true]),
        (&["service:acme", "scope:acme", "tenant:portal"], [false; 4]),
        (
            &["service:portal", "tenant:acme"],
            [false, true, false, true],
        ),
    ];
    for (rules, fits) in table {
        let policy = policy(&[(Key::RequireMfa, rules)]);
        let found = [nobody, acme, admin, portal].map(|asked| policy.requires(&asked));
        assert_eq!(found, fits, "{rules:?}");
    }
    assert!(!Policy::default().requires(&acme));
}

#[test]
fn what_may_be_set_up_and_what_counts_are_two_questions() {
    // Parts; whether totp, email, webauthn, backup codes may be set up; whether they count.
    type Row<'a> = (&'a [(Key, &'a [&'a str])], [bool; 4], [bool; 4]);
    let table: [Row<'_>; 6] = [
        (&[], [true; 4], [true, true, true, false]),
        (
            &[(Key::EmailFactor, &["recovery"])],
            [true; 4],
            [true, false, true, false],
        ),
        (
            &[(Key::EmailFactor, &["off"])],
            [true, false, true, true],
            [true, false, true, false],
        ),
        (
            &[(Key::AllowFactor, &["webauthn"])],
            [false, false, true, true],
            [false, false, true, false],
        ),
        (
            &[
                (Key::AllowFactor, &["webauthn", "totp"]),
                (Key::EmailFactor, &["on"]),
            ],
            [true, false, true, true],
            [true, false, true, false],
        ),
        (
            &[
                (Key::AllowFactor, &["email", "totp"]),
                (Key::EmailFactor, &["off"]),
            ],
            [true, false, false, true],
            [true, false, false, false],
        ),
    ];
    for (parts, allowed, counts) in table {
        let policy = policy(parts);
        let kinds = ["totp", "email", "webauthn", STAND_IN];
        assert_eq!(kinds.map(|kind| policy.allows(kind)), allowed, "{parts:?}");
        assert_eq!(kinds.map(|kind| policy.counts(kind)), counts, "{parts:?}");
        assert!(!policy.allows("palm reading") && !policy.counts("palm reading"));
        assert!(policy.check().is_ok());
    }
    for parts in [
        [(Key::AllowFactor, "email"), (Key::EmailFactor, "recovery")],
        [(Key::AllowFactor, "email"), (Key::EmailFactor, "off")],
    ] {
        let policy = policy(
            &parts
                .map(|(key, word)| (key, [word]))
                .each_ref()
                .map(|(key, word)| (*key, word.as_slice())),
        );
        assert!(policy.check().is_err(), "{policy}");
    }
}

#[test]
fn words_that_say_nothing_are_refused_and_change_nothing() {
    let long = format!("tenant:{}", "t".repeat(256));
    let many: Vec<String> = (0..65).map(|n| format!("tenant:{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let table: Vec<(Key, Vec<&str>)> = vec![
        (Key::AllowFactor, vec![]),
        (Key::AllowFactor, vec![""]),
        (Key::AllowFactor, vec!["TOTP"]),
        (Key::AllowFactor, vec!["backup_code"]),
        (Key::AllowFactor, vec!["totp", "all"]),
        (Key::AllowFactor, vec!["totp,email"]),
        (Key::RequireMfa, vec![]),
        (Key::RequireMfa, vec![""]),
        (Key::RequireMfa, vec!["everybody"]),
        (Key::RequireMfa, vec!["all", "none"]),
        (Key::RequireMfa, vec!["tenant:"]),
        (Key::RequireMfa, vec!["tenant: acme"]),
        (Key::RequireMfa, vec!["tenant:a\nb"]),
        (Key::RequireMfa, vec!["scope:a b"]),
        (Key::RequireMfa, vec!["group:admins"]),
        (Key::RequireMfa, vec![&long]),
        (Key::RequireMfa, many),
        (Key::EmailFactor, vec!["yes"]),
        (Key::EmailFactor, vec![]),
        (Key::EmailFactor, vec!["on", "off"]),
        (Key::GraceDays, vec!["366"]),
        (Key::GraceDays, vec!["-1"]),
        (Key::GraceDays, vec!["+1"]),
        (Key::GraceDays, vec!["01"]),
        (Key::GraceDays, vec!["1.5"]),
        (Key::GraceDays, vec!["٣"]),
        (Key::GraceDays, vec![]),
        (Key::TrustedDeviceDays, vec!["366"]),
        (Key::TrustedDeviceDays, vec!["18446744073709551616"]),
        (Key::TrustedDeviceDays, vec!["1", "2"]),
    ];
    for (key, text) in table {
        let mut policy = Policy::default();
        let misfit = policy
            .set(key, &words(&text), Source::Stored)
            .expect_err(&format!("{key:?} {text:?}"));
        assert!(
            !misfit.cause.is_empty() && misfit.hint.len() > 8,
            "{misfit}"
        );
        assert_eq!(policy, Policy::default(), "{text:?}");
    }
    for name in ["", "allow", "AllowFactor", "--grace-days", "grace_days"] {
        assert!(name.parse::<Key>().is_err(), "{name}");
    }
}

#[test]
fn what_is_shown_is_what_sets_it() {
    let shown = policy(&[
        (Key::AllowFactor, &["webauthn", "totp", "webauthn"]),
        (Key::RequireMfa, &["tenant:a b", "all", "tenant:a b"]),
        (Key::EmailFactor, &["recovery"]),
        (Key::GraceDays, &["365"]),
        (Key::TrustedDeviceDays, &["0"]),
    ]);
    let mut again = Policy::default();
    for key in Key::ALL {
        assert_eq!(key.name().parse(), Ok(key));
        again.set(key, &shown.words(key), Source::Setting).unwrap();
    }
    assert_eq!(again, shown);
    assert_eq!(
        shown.to_string(),
        "allow-factor = [\"totp\",\"webauthn\"]   # from: setting\n\
         require-mfa = [\"tenant:a b\",\"all\"]   # from: setting\n\
         email-factor = \"recovery\"   # from: setting\n\
         grace-days = 365   # from: setting\n\
         trusted-device-days = 0   # from: setting\n"
    );
}

#[test]
fn operators_are_shut_out_where_each_of_them_loses_the_last_factor_that_counted() {
    let all: &[&str] = &KINDS;
    let keys_only = policy(&[(Key::AllowFactor, &["webauthn"])]);
    let recovery = policy(&[(Key::EmailFactor, &["recovery"])]);
    type Row<'a> = (&'a [&'a str], &'a Policy, &'a [&'a [&'a str]], bool);
    let table: [Row<'_>; 9] = [
        (all, &keys_only, &[], false),
        (all, &keys_only, &[&[]], false),
        (all, &keys_only, &[&["totp"]], true),
        (all, &keys_only, &[&["totp"], &["email"], &[]], true),
        (all, &keys_only, &[&["totp"], &["email", "webauthn"]], false),
        (all, &recovery, &[&["email"]], true),
        (all, &recovery, &[&["email", "totp"]], false),
        // Who set up mere recovery under this very policy keeps nobody from starting it again.
        (&["totp", "webauthn"], &recovery, &[&["email"]], false),
        (all, &Policy::default(), &[&["email"]], false),
    ];
    for (counted, after, operators, refused) in table {
        let operators: Vec<Vec<&str>> = operators.iter().map(|kinds| kinds.to_vec()).collect();
        assert_eq!(
            shuts_out(counted, after, &operators),
            refused,
            "{operators:?}"
        );
    }
}

fn anything(_: &dyn Read, _: &Policy) -> Result<(), Failure> {
    Ok(())
}

#[tokio::test]
async fn what_is_stored_lies_over_the_settings_until_it_is_taken_back() {
    let store = TestStore::create();
    let settings = policy(&[(Key::GraceDays, &["7"])]);
    let in_effect = || store.read(|read| in_effect(read, &settings)).unwrap();
    assert_eq!(in_effect(), settings);
    for (key, text) in [
        (Key::RequireMfa, ["all"]),
        (Key::GraceDays, ["3"]),
        (Key::GraceDays, ["4"]),
    ] {
        let settings = settings.clone();
        let set =
            move |tx: &mut crate::store::Tx<'_>| set(tx, &settings, key, &words(&text), anything);
        store.write(set).await.unwrap();
    }
    let held = in_effect();
    assert_eq!(held.grace_days, 4);
    assert!(held.requires(&Asked::default()));
    let sources = Key::ALL.map(|key| held.source(key));
    use Source::{Default, Stored};
    assert_eq!(sources, [Default, Stored, Default, Stored, Default]);
    let before = settings.clone();
    store
        .write(move |tx| unset(tx, &before, Key::GraceDays, anything))
        .await
        .unwrap();
    assert_eq!(in_effect().grace_days, 7);
    assert_eq!(in_effect().source(Key::GraceDays), Source::Setting);
}

#[tokio::test]
async fn a_refused_change_stores_nothing() {
    let store = TestStore::create();
    let settings = Policy::default();
    let refused = |key: Key, text: &'static str, code: &'static str| {
        let (store, settings) = (store.clone(), settings.clone());
        async move {
            let outcome = store
                .write(move |tx| {
                    set(
                        tx,
                        &settings,
                        key,
                        &words(&[text]),
                        |_, policy| match policy.counts("totp") {
                            true => Ok(()),
                            false => Err(Failure::new(OPERATORS_SHUT_OUT, "No.")),
                        },
                    )
                })
                .await;
            assert_eq!(outcome.unwrap_err().code().name, code);
        }
    };
    refused(Key::GraceDays, "many", "policy_misfit").await;
    refused(Key::AllowFactor, "webauthn", "operators_shut_out").await;
    assert_eq!(store.read(|read| show(read, &settings)).unwrap(), settings);
    // Each part is good, and together they leave nothing.
    let before = settings.clone();
    store
        .write(move |tx| set(tx, &before, Key::EmailFactor, &words(&["off"]), anything))
        .await
        .unwrap();
    refused(Key::AllowFactor, "email", "policy_misfit").await;
}

#[tokio::test]
async fn grace_runs_from_the_first_time_and_not_from_the_last() {
    let store = TestStore::create();
    let (alice, bob) = (PersonKey([1; 16]), PersonKey([2; 16]));
    let start = Timestamp::from_unix(1_800_000_000);
    let days = |days: &str| policy(&[(Key::GraceDays, &[days])]);
    let ask = |person, days: Policy, now| {
        let store = store.clone();
        async move {
            let seen = store.read(|read| grace(read, person, &days, now)).unwrap();
            let given = store
                .write(move |tx| grace_until(tx, person, true, &days, now))
                .await
                .unwrap();
            (seen, given)
        }
    };
    // Without a grace nobody's is used up.
    assert_eq!(ask(alice, days("0"), start).await, (None, None));
    let start = start.plus(400 * DAY);
    let end = Some(start.plus(2 * DAY));
    assert_eq!(ask(alice, days("2"), start).await, (None, end));
    for later in [1, DAY, 2 * DAY - 1] {
        assert_eq!(ask(alice, days("2"), start.plus(later)).await, (end, end));
    }
    let over = start.plus(2 * DAY);
    assert_eq!(ask(alice, days("2"), over).await, (None, None));
    assert_eq!(ask(alice, days("0"), start.plus(1)).await, (None, None));
    let longer = Some(start.plus(3 * DAY));
    assert_eq!(ask(alice, days("3"), over).await, (longer, longer));
    let own = Some(over.plus(2 * DAY));
    assert_eq!(ask(bob, days("2"), over).await, (None, own));
    // A clock that stepped back makes no grace longer than it is.
    let back = start.minus(100 * DAY);
    let end = Some(back.plus(2 * DAY));
    assert_eq!(ask(bob, days("2"), back).await, (end, end));
    assert_eq!(ask(bob, days("2"), back.plus(2 * DAY)).await, (None, None));
}

#[tokio::test]
async fn however_many_names_are_asked_about_ten_thousand_users_that_no_one_met_have_a_grace() {
    let store = TestStore::create();
    let now = Timestamp::from_unix(1_800_000_000);
    let user = |number: u64| PersonKey([number.to_be_bytes(), [0; 8]].concat().try_into().unwrap());
    let ask = |numbers: std::ops::Range<u64>, is_met: bool| {
        let days = policy(&[(Key::GraceDays, &["2"])]);
        store.write(move |tx| {
            let mut graces = Vec::new();
            for number in numbers.clone() {
                graces.push(grace_until(tx, user(number), is_met, &days, now)?);
            }
            Ok(graces)
        })
    };
    let end = Some(now.plus(2 * DAY));
    for first in (0..MOST_UNMET).step_by(1_000) {
        let graces = ask(first..first + 1_000, false).await.unwrap();
        assert!(graces.iter().all(|grace| *grace == end));
    }
    let beyond = MOST_UNMET + 1;
    assert_eq!(ask(beyond..beyond + 1, false).await.unwrap(), [None]);
    assert_eq!(ask(7..8, false).await.unwrap(), [end]);
    // No one takes a place from a user whom the server has met.
    assert_eq!(ask(beyond..beyond + 1, true).await.unwrap(), [end]);
    store.sweep(now.plus(401 * DAY)).await.unwrap();
    assert_eq!(ask(beyond + 1..beyond + 2, false).await.unwrap(), [end]);
}

#[tokio::test]
async fn a_new_store_counts_every_kind_and_later_what_last_held() {
    let store = TestStore::create();
    let counted = || store.read(counted).unwrap();
    assert_eq!(counted(), KINDS);
    let settings = policy(&[(Key::EmailFactor, &["recovery"])]);
    store.write(move |tx| hold(tx, &settings)).await.unwrap();
    assert_eq!(counted(), ["totp", "webauthn"]);
}
