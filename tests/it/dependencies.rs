//! The packages that mfad is built from: their licences, advisories about them,
//! packages that must not be used, and packages in several versions. `Cargo.lock`
//! is compared with lists that stand next to the tests, so no tool is compiled and
//! no network is needed.
//!
//! `tests/dependencies/advisories.toml` is a snapshot of what the RustSec advisory
//! database says of our packages. `tests/dependencies/refresh` writes it again from
//! the current database: run it after adding a dependency, and before a release.

mod advisories;
mod bans;
mod duplicates;
mod licences;
mod lock;
mod versions;

use std::process::Command;

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a subcommand of cargo on this package, without network.
fn cargo(subcommand: &str, arguments: &[&str]) -> String {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let mut all = vec![subcommand, "--locked", "--offline"];
    all.extend(["--manifest-path", manifest]);
    all.extend(arguments);
    output(env!("CARGO"), &all)
}

/// The target triple of this machine: only its packages need to be there.
fn host() -> String {
    let version = output("rustc", &["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap().to_owned()
}
