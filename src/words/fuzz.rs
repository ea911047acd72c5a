use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::Language;
use crate::base::fuzz::Target;

/// The language that a browser asks for is one that it named and did not rule out, whatever the case of what it wrote.
#[test]
fn fuzz_accept_language() {
    let tag = select(&["en", "de-CH", "fr_CA", "NL", "es", "*", "pt", "xx", ""][..]);
    let weight = select(
        &[
            "",
            ";q=0",
            ";q=0.5",
            "; q=1.0",
            ";Q=0",
            ";q=NaN",
            ";q=inf",
            ";q=-1",
            ";q=2",
            ";x=y;q=0.1",
        ][..],
    );
    let generated = vec((tag, weight), 1..5).prop_map(|ranges| {
        let ranges: Vec<String> = ranges
            .iter()
            .map(|(tag, weight)| format!("{tag}{weight}"))
            .collect();
        ranges.join(", ").into_bytes()
    });
    Target::new("accept_language")
        .words(&[";q=", "de", "-", ",", "0.", "infinity"])
        .check(generated, |input| {
            let Ok(asked) = std::str::from_utf8(input) else {
                return false;
            };
            let found = Language::preferred(asked);
            assert_eq!(found, Language::preferred(&asked.to_ascii_lowercase()));
            assert_eq!(found, Language::preferred(&asked.to_ascii_uppercase()));
            // Nothing outweighs what is asked for first without a weight (RFC 9110 section 12.4.2: 1 is the most).
            for own in Language::ALL {
                assert_eq!(
                    Language::preferred(&format!("{own},{asked}")),
                    Some(own),
                    "{asked:?}"
                );
            }
            let Some(found) = found else {
                return false;
            };
            assert_eq!(found.tag().parse(), Ok(found));
            let named = |range: &str| {
                Language::of_tag(range.split(';').next().unwrap_or_default()) == Some(found)
            };
            assert!(asked.split(',').any(named), "{asked:?}");
            true
        });
}
