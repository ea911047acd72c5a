//! No package is used in a version that an advisory affects, except where there is
//! a reason. The advisories are those of the snapshot, which has to cover every
//! package.

mod database;
mod snapshot;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use mfad::base::{Clock as _, SystemClock, Timestamp};

use self::snapshot::{Advisory, Snapshot};
use super::lock::Lock;
use super::versions::Version;

/// Advisories that affect a version that we use, but not mfad.
const EXCEPTIONS: [Exception; 1] = [Exception {
    id: "RUSTSEC-2023-0071",
    package: "rsa",
    reason: "The advisory is about private keys. webauthn-rs has public keys only: those of \
             authenticators and of their manufacturers, by which it verifies signatures.",
}];

/// From this age of the snapshot on, the test asks for a refresh. It does not fail
/// for that: a build of tomorrow gives what the one of today gave.
const OLD_DAYS: u64 = 90;

struct Exception {
    id: &'static str,
    package: &'static str,
    reason: &'static str,
}

/// Compares packages with advisories, and exceptions with both. Each line says what
/// to do.
fn problems(lock: &Lock, snapshot: &Snapshot, exceptions: &[Exception]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut used = BTreeSet::new();
    for package in lock.dependencies() {
        let (name, version) = (&package.name, &package.version);
        if !snapshot.covers.contains(name) {
            problems.push(format!(
                "{name} is not covered by the snapshot of advisories: run tests/dependencies/refresh"
            ));
        }
        let read = Version::parse(version).unwrap();
        let affects = |advisory: &&Advisory| advisory.package == *name && advisory.affects(&read);
        for advisory in snapshot.advisories.iter().filter(affects) {
            let excepts = |one: &Exception| one.id == advisory.id && one.package == *name;
            match exceptions.iter().position(excepts) {
                Some(exception) => {
                    used.insert(exception);
                }
                None => problems.push(format!("{name} {version}: {}", advisory.advice())),
            }
        }
    }
    for (place, exception) in exceptions.iter().enumerate() {
        let Exception {
            id,
            package,
            reason,
        } = exception;
        if !used.contains(&place) {
            problems.push(format!(
                "{id} affects no version of {package} that is used: remove it from EXCEPTIONS"
            ));
        }
        if reason.is_empty() {
            problems.push(format!("{id} has no reason in EXCEPTIONS"));
        }
    }
    problems
}

#[test]
fn no_advisory_affects_a_version_that_is_used() {
    let snapshot = Snapshot::committed();
    let age = snapshot.age_days(SystemClock.now());
    if age > OLD_DAYS {
        // `eprintln` would be shown only if the test fails.
        writeln!(
            io::stderr(),
            "note: the snapshot of advisories is {age} days old: run tests/dependencies/refresh"
        )
        .unwrap();
    }
    let problems = problems(&Lock::committed(), &snapshot, &EXCEPTIONS);
    assert!(problems.is_empty(), "{problems:#?}");
}

/// The next refresh shows nothing but news. `tests/dependencies/refresh` names a
/// database in `ADVISORY_DATABASE`: then this writes the snapshot first.
#[test]
fn the_snapshot_is_in_the_form_in_which_it_is_written() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(snapshot::PATH);
    if let Some(folder) = env::var_os("ADVISORY_DATABASE") {
        let lock = Lock::committed();
        let names: BTreeSet<String> = lock.names().into_iter().map(str::to_owned).collect();
        let snapshot = Snapshot {
            database: env::var("ADVISORY_DATABASE_DATE").unwrap(),
            advisories: database::read(Path::new(&folder), &names).unwrap(),
            covers: names,
        };
        fs::write(&path, snapshot.to_text()).unwrap();
    }
    let text = fs::read_to_string(&path).unwrap();
    let form = Snapshot::parse(&text).unwrap().to_text();
    let different = text
        .lines()
        .zip(form.lines())
        .find(|(is, ought)| is != ought);
    assert_eq!(different, None);
    assert_eq!(text.len(), form.len());
}

const SNAPSHOT: &str = r#"
database = "2026-01-31"
covers = ["branchy", "fine", "gone", "left"]
advisories = [
    { id = "RUSTSEC-2020-0001", package = "branchy", patched = [">= 1.4.2, < 1.5.0", ">= 1.5.3"], unaffected = ["< 1.2.0"] },
    { id = "RUSTSEC-2020-0002", package = "left", informational = "unmaintained", patched = [], unaffected = [] },
    { id = "RUSTSEC-2020-0003", package = "gone", patched = [], unaffected = ["< 0.3.0"] },
]
"#;

/// Compares packages (`name version`) with the snapshot above and exceptions for IDs
/// and packages.
fn report(packages: &[&str], exceptions: &[(&'static str, &'static str)]) -> Vec<String> {
    let entries = packages.iter().map(|package| {
        let (name, version) = package.split_once(' ').unwrap();
        format!("[[package]]\nname = {name:?}\nversion = {version:?}\nsource = \"registry\"\n")
    });
    let lock = Lock::parse(&entries.collect::<String>());
    let exceptions: Vec<Exception> = exceptions
        .iter()
        .map(|(id, package)| Exception {
            id,
            package,
            reason: "There is one.",
        })
        .collect();
    problems(&lock, &Snapshot::parse(SNAPSHOT).unwrap(), &exceptions)
}

#[test]
fn a_patch_counts_in_its_own_branch() {
    for (version, is_fine) in [
        ("1.1.9", true),
        ("1.2.0", false),
        ("1.4.1", false),
        ("1.4.2", true),
        ("1.5.0", false),
        ("1.5.2", false),
        ("1.5.3-rc.1", false),
        ("1.5.3", true),
        ("1.6.0-rc.1", true),
        ("2.0.0+build", true),
    ] {
        let report = report(&[&format!("branchy {version}")], &[]);
        assert_eq!(report.is_empty(), is_fine, "{version}: {report:?}");
    }
}

#[test]
fn the_report_names_the_advisory_and_says_what_to_do() {
    assert_eq!(
        report(&["branchy 1.5.0", "fine 1.0.0", "left 1.0.0"], &[]),
        [
            "branchy 1.5.0: RUSTSEC-2020-0001 (vulnerability): update it to >= 1.4.2, < 1.5.0 or \
             >= 1.5.3, or add it with a reason to EXCEPTIONS",
            "left 1.0.0: RUSTSEC-2020-0002 (unmaintained): no version is patched, so replace it, \
             or add it with a reason to EXCEPTIONS",
        ]
    );
}

#[test]
fn every_version_of_a_package_is_compared() {
    let report = report(&["branchy 1.1.0", "branchy 1.3.0", "branchy 1.5.3"], &[]);
    assert_eq!(report.len(), 1);
    assert!(report[0].starts_with("branchy 1.3.0: RUSTSEC-2020-0001 "));
}

#[test]
fn a_package_that_the_snapshot_does_not_cover_asks_for_a_refresh() {
    assert_eq!(
        report(&["new 1.0.0"], &[]),
        ["new is not covered by the snapshot of advisories: run tests/dependencies/refresh"]
    );
}

#[test]
fn an_exception_is_for_one_advisory_about_one_package_and_only_while_it_is_needed() {
    let gone = ("RUSTSEC-2020-0003", "gone");
    assert!(report(&["gone 0.3.0"], &[gone]).is_empty());
    let stale =
        "RUSTSEC-2020-0003 affects no version of gone that is used: remove it from EXCEPTIONS";
    assert_eq!(report(&["gone 0.2.9"], &[gone]), [stale]);
    assert_eq!(report(&["fine 1.0.0"], &[gone]), [stale]);
    let report = report(&["gone 0.3.0"], &[("RUSTSEC-2020-0003", "fine")]);
    assert_eq!(report.len(), 2, "{report:?}");
}

#[test]
fn the_committed_snapshot_knows_old_versions_of_rustls() {
    let snapshot = Snapshot::committed();
    for (version, is_fine) in [
        ("0.20.9", false),
        ("0.21.10", false),
        ("0.21.12", true),
        ("0.22.3", false),
        ("0.22.4", true),
        ("0.23.4", false),
    ] {
        let lock = Lock::parse(&format!(
            "[[package]]\nname = \"rustls\"\nversion = {version:?}\nsource = \"registry\"\n"
        ));
        let problems = problems(&lock, &snapshot, &[]);
        let found = problems
            .iter()
            .any(|line| line.contains("RUSTSEC-2024-0336"));
        assert_eq!(!found, is_fine, "{version}: {problems:?}");
    }
}

#[test]
fn the_age_of_the_snapshot_is_counted_in_days() {
    let snapshot = Snapshot::parse(SNAPSHOT).unwrap();
    // 2026-01-31T00:00:00Z.
    let day = 1_769_817_600;
    for (now, days) in [(day, 0), (day + 86_399, 0), (day + 91 * 86_400, 91), (0, 0)] {
        assert_eq!(snapshot.age_days(Timestamp::from_unix(now)), days, "{now}");
    }
}
