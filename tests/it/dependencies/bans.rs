//! Packages that must not be used, each with the reason, and where packages come
//! from.

use super::lock::{Lock, Package};
use super::{cargo, host};

const BANNED: [(&str, &str); 16] = [
    // One implementation of TLS and cryptography to trust, and to keep up to date.
    ("openssl", "TLS is rustls with aws-lc-rs"),
    (
        "openssl-sys",
        "TLS is rustls with aws-lc-rs, and the binary is static",
    ),
    ("native-tls", "TLS is rustls with aws-lc-rs"),
    ("ring", "cryptography is aws-lc-rs"),
    (
        "rustls-native-certs",
        "webpki-roots: certificate authorities are compiled in",
    ),
    (
        "rustls-platform-verifier",
        "webpki-roots: certificate authorities are compiled in",
    ),
    // One package for each purpose.
    ("chrono", "dates are those of time"),
    ("jiff", "dates are those of time"),
    ("async-std", "the runtime is Tokio"),
    ("reqwest", "the HTTP client is the one of hyper-util"),
    ("image", "QR codes are drawn by qrcodegen and png"),
    (
        "libsqlite3-sys",
        "the store is redb, and aws-lc is the only library in C",
    ),
    // Packages that are no longer maintained.
    ("rustls-pemfile", "rustls-pki-types reads PEM"),
    ("serde_cbor", "serde_cbor_2 reads CBOR"),
    ("serde_yaml", "settings are TOML"),
    // What a build would need.
    (
        "bindgen",
        "it needs libclang, and aws-lc-sys brings its bindings",
    ),
];

/// Banned packages that are in `Cargo.lock` for an optional feature of another
/// package. The feature is off, so they are not compiled.
const NOT_COMPILED: [(&str, &str); 3] = [
    ("ring", "rustls-webpki can use it instead of aws-lc-rs"),
    ("chrono", "serde_with has a feature for its types"),
    ("jiff", "serde_with has a feature for its types"),
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Compares packages with the bans. `compiled` has the names of those that are
/// built for this machine, including those of the tests.
fn banned(lock: &Lock, compiled: &[&str]) -> Vec<String> {
    let names = lock.names();
    let mut problems = Vec::new();
    for (name, reason) in BANNED {
        let is_allowed = NOT_COMPILED.iter().any(|(one, _)| *one == name);
        if compiled.contains(&name) {
            problems.push(format!("{name} is compiled, and must not be: {reason}"));
        } else if names.contains(name) && !is_allowed {
            problems.push(format!(
                "{name} is in Cargo.lock, and must not be: {reason}"
            ));
        } else if !names.contains(name) && is_allowed {
            problems.push(format!(
                "{name} is not in Cargo.lock: remove it from NOT_COMPILED"
            ));
        }
    }
    problems
}

/// The packages that are neither ours nor from crates.io, where a published version
/// never changes.
fn foreign(lock: &Lock) -> Vec<&Package> {
    let is_foreign = |package: &&Package| match package.source.as_deref() {
        Some(source) => source != CRATES_IO,
        None => package.name != "mfad",
    };
    lock.packages.iter().filter(is_foreign).collect()
}

#[test]
fn no_banned_package_is_here() {
    let target = host();
    let arguments = ["--target", &target, "--prefix=none", "--format={p}"];
    let tree = cargo("tree", &arguments);
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let compiled: Vec<&str> = names.collect();
    assert!(compiled.contains(&"rustls") && compiled.contains(&"tempfile"));
    let banned = banned(&Lock::committed(), &compiled);
    assert!(banned.is_empty(), "{banned:#?}");
}

#[test]
fn every_package_that_is_not_compiled_is_banned() {
    for (name, reason) in NOT_COMPILED {
        assert!(!reason.is_empty());
        assert!(BANNED.iter().any(|(banned, _)| *banned == name), "{name}");
    }
}

#[test]
fn every_package_comes_from_crates_io() {
    let lock = Lock::committed();
    let foreign = foreign(&lock);
    assert!(foreign.is_empty(), "{foreign:#?}");
}

fn lock(packages: &[(&str, &str)]) -> Lock {
    let entries = packages.iter().map(|(name, source)| {
        format!("[[package]]\nname = {name:?}\nversion = \"1.0.0\"\nsource = {source:?}\n")
    });
    Lock::parse(&entries.collect::<String>())
}

#[test]
fn a_banned_package_is_found_in_the_lock_file_and_among_what_is_compiled() {
    let [ring, chrono, jiff] = NOT_COMPILED.map(|(name, _)| (name, CRATES_IO));
    let usual = lock(&[ring, chrono, jiff]);
    assert!(banned(&usual, &["rustls"]).is_empty());
    assert_eq!(
        banned(&usual, &["rustls", "ring"]),
        ["ring is compiled, and must not be: cryptography is aws-lc-rs"]
    );
    assert_eq!(
        banned(&lock(&[ring, chrono, jiff, ("reqwest", CRATES_IO)]), &[]),
        ["reqwest is in Cargo.lock, and must not be: the HTTP client is the one of hyper-util"]
    );
    assert_eq!(
        banned(&lock(&[chrono, jiff]), &[]),
        ["ring is not in Cargo.lock: remove it from NOT_COMPILED"]
    );
}

#[test]
fn a_package_from_elsewhere_is_found() {
    let lock = lock(&[
        ("one", CRATES_IO),
        ("two", "git+https://git.example/two#0123456789"),
        ("three", "registry+https://registry.example/index"),
    ]);
    let names: Vec<&str> = foreign(&lock).iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["two", "three"]);
    let vendored = Lock::parse("[[package]]\nname = \"four\"\nversion = \"1.0.0\"\n");
    assert_eq!(foreign(&vendored).len(), 1);
}
