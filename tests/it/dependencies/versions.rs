//! Versions and ranges of versions, as RustSec reads them: by the precedence of
//! Semantic Versioning. By Cargo's own rule a range that names no pre-release
//! contains none, and every pre-release would be affected.

use std::ops::{Bound, RangeBounds};

use serde::Deserialize;

/// A version, without what follows a `+`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    numbers: [u64; 3],
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Before(Vec<Identifier>),
    Release,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier {
    Number(u64),
    Word(String),
}

impl Version {
    /// Reads a whole version.
    pub fn parse(text: &str) -> Option<Self> {
        match partial(text)? {
            (version, 3) => Some(version),
            _ => None,
        }
    }

    /// The lowest version that begins with these numbers: a pre-release.
    fn lowest(numbers: [u64; 3]) -> Self {
        let stage = Stage::Before(vec![Identifier::Number(0)]);
        Self { numbers, stage }
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

fn identifier(text: &str) -> Option<Identifier> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if text.is_empty() || !text.bytes().all(known) {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return number(text).map(Identifier::Number);
    }
    Some(Identifier::Word(text.to_owned()))
}

/// Reads a version that may end early (`0.4`): what is missing is 0. Also returns
/// how many numbers it has.
fn partial(text: &str) -> Option<(Version, usize)> {
    let (text, _) = text.split_once('+').unwrap_or((text, ""));
    let (core, before) = match text.split_once('-') {
        Some((core, before)) => (core, Some(before)),
        None => (text, None),
    };
    let mut numbers = [0; 3];
    let mut given = 0;
    for part in core.split('.') {
        *numbers.get_mut(given)? = number(part)?;
        given += 1;
    }
    let stage = match before {
        Some(_) if given < 3 => return None,
        Some(before) => Stage::Before(before.split('.').map(identifier).collect::<Option<_>>()?),
        None => Stage::Release,
    };
    Some((Version { numbers, stage }, given))
}

type Range = (Bound<Version>, Bound<Version>);

/// A range of versions: one or several comparisons that must all hold.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(try_from = "String")]
pub struct Requirement {
    text: String,
    ranges: Vec<Range>,
}

impl Requirement {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn contains(&self, version: &Version) -> bool {
        self.ranges.iter().all(|range| range.contains(version))
    }
}

impl TryFrom<String> for Requirement {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let ranges: Option<_> = text.split(',').map(comparison).collect();
        match ranges {
            Some(ranges) => Ok(Self {
                text: text.trim().to_owned(),
                ranges,
            }),
            None => Err(format!("not a range of versions: {text:?}")),
        }
    }
}

fn comparison(text: &str) -> Option<Range> {
    use Bound::{Excluded, Included, Unbounded};

    let text = text.trim();
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let (operator, version) = text.split_at(start);
    let (version, given) = partial(version)?;
    let [major, minor, patch] = version.numbers;
    // Where the versions end that are compatible with this one.
    let next = match (operator.trim(), given, major, minor) {
        ("~" | "^" | "", 1, ..) | ("^" | "", _, 1.., _) => [major + 1, 0, 0],
        ("^" | "", 3, 0, 0) => [0, 0, patch + 1],
        ("~" | "^" | "", ..) => [major, minor + 1, 0],
        (">=", ..) => return Some((Included(version), Unbounded)),
        (">", ..) => return Some((Excluded(version), Unbounded)),
        ("<=", ..) => return Some((Unbounded, Included(version))),
        ("<", ..) => return Some((Unbounded, Excluded(version))),
        ("=", ..) => return Some((Included(version.clone()), Included(version))),
        _ => return None,
    };
    Some((Included(version), Excluded(Version::lowest(next))))
}

#[test]
fn versions_have_the_precedence_of_semantic_versioning() {
    let ascending = [
        "0.9.0",
        "0.10.0",
        "1.0.0-0",
        "1.0.0-9",
        "1.0.0-10",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0-rc1",
        "1.0.0",
        "1.0.1-x",
        "1.0.1",
    ];
    for pair in ascending.windows(2) {
        let [lower, higher] = [pair[0], pair[1]].map(|text| Version::parse(text).unwrap());
        assert!(lower < higher, "{pair:?}");
    }
    assert_eq!(
        Version::parse("1.2.2+spec-1.1.0"),
        Version::parse("1.2.2"),
        "what follows a + does not count"
    );
    for wrong in [
        "", "1", "1.2", "1.2.3.4", "1.2.x", "1.2.3-", "1..3", "v1.2.3", "1.2.-3",
    ] {
        assert_eq!(Version::parse(wrong), None, "{wrong:?}");
    }
}

#[test]
fn ranges_contain_what_they_contain_for_rustsec() {
    for (range, inside, outside) in [
        (
            ">= 1.2.3",
            "1.2.3 1.2.4 9.0.0 1.3.0-rc.1",
            "1.2.2 1.2.3-rc.1",
        ),
        ("> 1.2.3", "1.2.4-alpha", "1.2.3"),
        ("< 0.4", "0.3.9 0.4.0-rc.1", "0.4.0 0.10.0"),
        ("<= 0.2.1", "0.2.1 0.2.1-rc.1", "0.2.2-0 0.2.2"),
        ("=0.2.0", "0.2.0 0.2.0+more", "0.2.1 0.2.0-rc.1"),
        (">= 0.10.2, < 0.11.0", "0.10.2 0.10.99", "0.10.1 0.11.0"),
        ("< 0.10.0, >= 0.9.18", "0.9.18", "0.9.17 0.10.0"),
        (">= 0.4.8, < 1.0.0-0", "0.9.9", "1.0.0-0 1.0.0-rc.1 1.0.0"),
        (
            ">= 0.10.0-alpha.4",
            "0.10.0-alpha.10 0.10.0",
            "0.10.0-alpha.3",
        ),
        ("^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0-alpha 2.0.0"),
        ("^1", "1.0.0 1.9.9", "0.9.9 2.0.0"),
        ("^ 0.3.1", "0.3.1 0.3.9", "0.3.0 0.4.0-0 0.4.0"),
        ("^0.3", "0.3.0", "0.2.9 0.4.0"),
        ("^0.0.3", "0.0.3", "0.0.4-0 0.0.4 0.0.2"),
        ("^0", "0.9.9", "1.0.0"),
        ("~1.2.3", "1.2.9", "1.3.0-0 1.3.0"),
        ("~1.2", "1.2.0", "1.3.0"),
        ("~1", "1.9.9", "2.0.0"),
        ("0.13.10", "0.13.10 0.13.11", "0.13.9 0.14.0"),
    ] {
        let read = Requirement::try_from(range.to_owned()).unwrap();
        for (versions, expected) in [(inside, true), (outside, false)] {
            for version in versions.split(' ') {
                let is_inside = read.contains(&Version::parse(version).unwrap());
                assert_eq!(is_inside, expected, "{version} in {range:?}");
            }
        }
    }
}

#[test]
fn a_range_that_is_not_understood_is_an_error() {
    for wrong in [
        "",
        "*",
        "1.x",
        ">",
        "!= 1.0.0",
        ">= 1.0.0,",
        ">= 1.0.0 < 2.0.0",
        "<> 1.0",
    ] {
        assert!(
            Requirement::try_from(wrong.to_owned()).is_err(),
            "{wrong:?}"
        );
    }
}
