//! The RustSec advisory database: a folder for each package, with a file of
//! Markdown for each advisory, which begins with its facts in TOML.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::snapshot::{Advisory, Informational};
use crate::dependencies::versions::Requirement;

#[derive(Deserialize)]
struct FrontMatter {
    advisory: Head,
    versions: Versions,
}

#[derive(Deserialize)]
struct Head {
    id: String,
    package: String,
    informational: Option<Informational>,
    withdrawn: Option<String>,
}

#[derive(Deserialize)]
struct Versions {
    #[serde(default)]
    patched: Vec<Requirement>,
    #[serde(default)]
    unaffected: Vec<Requirement>,
}

/// Reads what a database says of some packages.
///
/// # Errors
///
/// A sentence that names the file, if something in it is not understood.
pub fn read(folder: &Path, names: &BTreeSet<String>) -> Result<Vec<Advisory>, String> {
    let crates = folder.join("crates");
    if !crates.is_dir() {
        return Err(format!("{}: not an advisory database", folder.display()));
    }
    let mut advisories = Vec::new();
    for name in names {
        // No folder: nothing is known of this package.
        let Ok(files) = fs::read_dir(crates.join(name)) else {
            continue;
        };
        for file in files {
            let path = file.map_err(|error| error.to_string())?.path();
            let text = fs::read_to_string(&path).map_err(|error| error.to_string());
            let advisory = text.and_then(|text| parse(&text));
            let advisory = advisory.map_err(|error| format!("{}: {error}", path.display()))?;
            advisories.extend(advisory.filter(|advisory| advisory.package == *name));
        }
    }
    Ok(advisories)
}

/// Reads one advisory; a withdrawn one is none.
fn parse(text: &str) -> Result<Option<Advisory>, String> {
    let facts = text
        .strip_prefix("```toml\n")
        .and_then(|rest| rest.split_once("\n```"))
        .map(|(facts, _)| facts)
        .ok_or("does not begin with its facts")?;
    let FrontMatter { advisory, versions } =
        toml::from_str(facts).map_err(|error| error.to_string())?;
    let Head {
        id,
        package,
        informational,
        withdrawn,
    } = advisory;
    Ok(withdrawn.is_none().then_some(Advisory {
        id,
        package,
        informational,
        patched: versions.patched,
        unaffected: versions.unaffected,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dependencies::advisories::snapshot::Snapshot;

    fn advisory(id: &str, more: &str, versions: &str) -> String {
        format!(
            "```toml\n[advisory]\nid = {id:?}\npackage = \"some\"\ndate = \"2020-01-31\"\n{more}\n\
             [affected]\nos = [\"windows\"]\n\n[versions]\n{versions}\n```\n\n# A title\n\nWords.\n"
        )
    }

    #[test]
    fn a_database_becomes_a_snapshot_of_the_packages_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let put = |package: &str, id: &str, text: &str| {
            let place = folder.path().join("crates").join(package);
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join(format!("{id}.md")), text).unwrap();
        };
        let versions = "patched = [\">= 1.0.2, < 2.0.0\", \">=2.0.2 \"]\nunaffected = [\"< 1.0\"]";
        let second = advisory("RUSTSEC-2020-0002", "", versions);
        let first = advisory(
            "RUSTSEC-2020-0001",
            "informational = \"unsound\"",
            "patched = []",
        );
        let withdrawn = advisory("RUSTSEC-2020-0003", "withdrawn = \"2021-01-31\"", "");
        put("some", "RUSTSEC-2020-0002", &second);
        put("some", "RUSTSEC-2020-0001", &first);
        put("some", "RUSTSEC-2020-0003", &withdrawn);
        put("strange", "RUSTSEC-2020-0004", "not looked at");

        let names = BTreeSet::from(["other".to_owned(), "some".to_owned()]);
        let snapshot = Snapshot {
            database: "2026-01-31".to_owned(),
            advisories: read(folder.path(), &names).unwrap(),
            covers: names,
        };
        let text = snapshot.to_text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                r#"database = "2026-01-31""#,
                "covers = [",
                r#"    "other","#,
                r#"    "some","#,
                "]",
                "advisories = [",
                r#"    { id = "RUSTSEC-2020-0001", package = "some", informational = "unsound", patched = [], unaffected = [] },"#,
                r#"    { id = "RUSTSEC-2020-0002", package = "some", patched = [">= 1.0.2, < 2.0.0", ">=2.0.2"], unaffected = ["< 1.0"] },"#,
                "]",
            ]
        );
        assert_eq!(Snapshot::parse(&text).unwrap().to_text(), text);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for (text, reason) in [
            (advisory("x", "", "patched = [\"1.x\"]"), "1.x"),
            (advisory("x", "informational = \"rude\"", ""), "rude"),
            (
                advisory("x", "", "").replace("package", "packet"),
                "package",
            ),
            ("# A title\n".to_owned(), "facts"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        assert!(parse(&advisory("x", "", "")).unwrap().is_some());
        let empty = tempfile::tempdir().unwrap();
        assert!(read(empty.path(), &BTreeSet::new()).is_err());
    }
}
