//! What we link is under licences that we can keep: an allow-list, with a
//! reason for each that is not plain.

use serde_json::Value;

use super::{cargo, host};

/// Licences that ask for a notice at the most.
const PLAIN: [&str; 8] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

/// Other licences, for these packages alone.
const ODD: [(&str, &[&str]); 2] = [
    // Copyleft by file: we change none of these files, and their source is in the registry.
    (
        "MPL-2.0",
        &[
            "crypto-glue",
            "webauthn-attestation-ca",
            "webauthn-rs",
            "webauthn-rs-core",
            "webauthn-rs-proto",
        ],
    ),
    // A licence for data: Mozilla's list of certificate authorities.
    ("CDLA-Permissive-2.0", &["webpki-roots"]),
];

/// Whether an SPDX expression can be kept with what is allowed to `package`.
fn is_kept(expression: &str, package: &str) -> bool {
    // `/` is how `OR` was once written.
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = words.as_slice();
    let kept = any(&mut words, package);
    kept && words.is_empty()
}

fn any(words: &mut &[&str], package: &str) -> bool {
    let mut kept = all(words, package);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        kept |= all(words, package);
    }
    kept
}

fn all(words: &mut &[&str], package: &str) -> bool {
    let mut kept = one(words, package);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        kept &= one(words, package);
    }
    kept
}

fn one(words: &mut &[&str], package: &str) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let kept = any(words, package);
            if let [")", rest @ ..] = *words {
                *words = rest;
            }
            kept
        }
        [licence, rest @ ..] => {
            *words = rest;
            // An exception only adds to what is allowed.
            if let ["WITH", _, rest @ ..] = *words {
                *words = rest;
            }
            PLAIN.contains(licence)
                || ODD
                    .iter()
                    .any(|(odd, packages)| odd == licence && packages.contains(&package))
        }
        [] => false,
    }
}

#[test]
fn every_dependency_is_under_a_licence_that_we_can_keep() {
    let platform = format!("--filter-platform={}", host());
    let metadata = cargo("metadata", &["--format-version=1", &platform]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100);
    let strange: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            let name = package["name"].as_str().unwrap_or_default();
            let licence = package["license"].as_str().unwrap_or_default();
            (!is_kept(licence, name)).then(|| format!("{name}: {licence:?}"))
        })
        .collect();
    assert!(strange.is_empty(), "{strange:#?}");
    for (licence, names) in ODD {
        for name in names {
            let asks = |package: &Value| {
                package["name"] == *name
                    && package["license"]
                        .as_str()
                        .is_some_and(|all| all.contains(licence))
            };
            assert!(
                packages.iter().any(asks),
                "{name} is not under {licence}: remove it from ODD"
            );
        }
    }
}

#[test]
fn expressions_are_read_as_written() {
    for (expression, kept) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("MIT OR GPL-3.0-only", true),
        ("MIT AND GPL-3.0-only", false),
        ("Unlicense/MIT", true),
        ("(MIT OR GPL-3.0-only) AND ISC", true),
        ("GPL-2.0-only WITH Classpath-exception-2.0 OR MIT", true),
        ("MPL-2.0", false),
        ("", false),
    ] {
        assert_eq!(is_kept(expression, "some"), kept, "{expression}");
    }
    assert!(is_kept("MPL-2.0", "webauthn-rs"));
}
