//! The form in which names of people are compared.
//!
//! A directory that lets somebody in under a name compares it more laxly than to the letter (RFC 4518), and a name that
//! it takes for somebody's must be theirs here too.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;

/// Passes after which a form stands. Two are enough for all of Unicode 17, as a test shows.
const PASSES: usize = 4;

/// The sign that stands before the domain of an address, in all its widths.
const AT: [char; 3] = ['@', '\u{ff20}', '\u{fe6b}'];

/// `name` as it is compared: compatibility forms composed (NFKC), case folded in full, without what shows nothing, each
/// run of spaces one space and none at either end (RFC 4518 section 2). The form of a form is itself.
///
/// `None` where the name holds control characters, or nothing is left of it.
pub fn prepared_name(name: &str) -> Option<String> {
    if name.chars().any(char::is_control) {
        return None;
    }
    if name.is_ascii() {
        return prepared_ascii(name);
    }
    let mut form = name.to_owned();
    // What is removed or folded may let its neighbours compose.
    for _ in 0..PASSES {
        let next = pass(&form);
        if next == form {
            break;
        }
        form = next;
    }
    (!form.is_empty()).then_some(form)
}

/// The same of ASCII, which most names are: there is nothing to compose, nothing that does not show, and one kind of space.
fn prepared_ascii(name: &str) -> Option<String> {
    let mut form = String::with_capacity(name.len());
    for word in name.split(' ').filter(|word| !word.is_empty()) {
        if !form.is_empty() {
            form.push(' ');
        }
        form.push_str(word);
    }
    form.make_ascii_lowercase();
    (!form.is_empty()).then_some(form)
}

/// A mail address as it is compared: like a name, its domain in ASCII (IDNA) and without a dot at its end.
///
/// `None` as for [`prepared_name`].
pub fn prepared_address(address: &str) -> Option<String> {
    let form = prepared_name(address)?;
    let Some((local, domain)) = address.rsplit_once(AT) else {
        return Some(form);
    };
    // IDNA maps letters in a way of its own: ß and ss are two domains. A domain that could be none is compared like a name.
    let in_ascii = |domain: &str| {
        let ascii = idna::domain_to_ascii(domain).ok();
        ascii.filter(|ascii| !ascii.is_empty())
    };
    let domain = in_ascii(domain.trim_matches(is_blank)).unwrap_or_else(|| {
        let domain = prepared_name(domain).unwrap_or_default();
        in_ascii(&domain).unwrap_or(domain)
    });
    let local = prepared_name(local).unwrap_or_default();
    Some(format!("{local}@{}", domain.trim_end_matches('.')))
}

fn pass(form: &str) -> String {
    // Marks in their order first: one of them folds to a letter (U+0345).
    let shown: String = form.chars().filter(|c| !is_ignored(*c)).nfkd().collect();
    let folded = UniCase::unicode(shown).to_folded_case();
    let mut next = String::with_capacity(folded.len());
    for character in folded.nfkc() {
        // The dot above is part of i: directories fold the capital of Turkish, which has one, to a plain i.
        if character == '\u{307}' && next.ends_with('i') {
            continue;
        }
        match is_space(character) {
            true if next.is_empty() || next.ends_with(' ') => {}
            true => next.push(' '),
            false => next.push(character),
        }
    }
    next.truncate(next.trim_end_matches(' ').len());
    next
}

/// What takes no part in a comparison: what Unicode says can be ignored, and what RFC 4518 section 2.2 maps to nothing.
fn is_ignored(character: char) -> bool {
    let format = || CodePointMapData::<GeneralCategory>::new().get(character);
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
        || matches!(character, '\u{1806}' | '\u{fffc}')
        || format() == GeneralCategory::Format
}

fn is_blank(character: char) -> bool {
    is_space(character) || is_ignored(character)
}

fn is_space(character: char) -> bool {
    matches!(
        CodePointMapData::<GeneralCategory>::new().get(character),
        GeneralCategory::SpaceSeparator
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(table: &[(&str, Option<&str>)], of: fn(&str) -> Option<String>) {
        for (name, form) in table {
            assert_eq!(
                of(name).as_deref(),
                *form,
                "{name:?} {}",
                name.escape_unicode()
            );
        }
    }

    #[test]
    fn names_are_compared_as_directories_do() {
        let table = [
            ("Alice", Some("alice")),
            ("ａｌｉｃｅ", Some("alice")),
            ("𝒶𝓁𝒾𝒸ℯ", Some("alice")),
            ("Ⓐlice", Some("alice")),
            ("al\u{ad}ice", Some("alice")),
            ("al\u{200b}ice", Some("alice")),
            ("\u{202e}alice\u{202c}", Some("alice")),
            ("alice\u{fe0f}", Some("alice")),
            ("alice\u{e0061}", Some("alice")),
            ("\u{3164}alice\u{ffa0}", Some("alice")),
            ("al\u{1806}ice\u{fffc}", Some("alice")),
            ("alice\u{fff9}", Some("alice")),
            (" alice ", Some("alice")),
            ("alice\u{a0}", Some("alice")),
            ("\u{2003}alice\u{2029}", Some("alice")),
            ("anna  lee", Some("anna lee")),
            ("anna\u{3000}\u{2009}lee", Some("anna lee")),
            ("anna \u{200b} lee", Some("anna lee")),
            ("e\u{301}va", Some("\u{e9}va")),
            ("E\u{34f}\u{301}VA", Some("\u{e9}va")),
            ("\u{3b1}\u{345}\u{301}", Some("\u{3ac}\u{3b9}")),
            ("\u{1fb4}", Some("\u{3ac}\u{3b9}")),
            ("a\u{323}\u{307}", Some("\u{1ea1}\u{307}")),
            ("a\u{307}\u{323}", Some("\u{1ea1}\u{307}")),
            ("ﬁnn", Some("finn")),
            ("ΝΙΚΟΣ", Some("νικοσ")),
            ("νικος", Some("νικοσ")),
            ("STRAẞE", Some("strasse")),
            ("straße", Some("strasse")),
            ("Ki\u{17f}a", Some("kisa")),
            ("\u{212a}im", Some("kim")),
            ("İpek", Some("ipek")),
            ("al\u{130}ce", Some("alice")),
            ("ИВАН", Some("иван")),
            ("\u{1c90}", Some("\u{10d0}")),
            ("\u{ab70}", Some("\u{13a0}")),
            ("DOM＼Alice", Some("dom\\alice")),
            ("DOM﹨Alice", Some("dom\\alice")),
            ("alice＠corp", Some("alice@corp")),
            ("alice﹫corp", Some("alice@corp")),
            // Other letters, however alike: Cyrillic, and i without its dot.
            ("\u{430}lice", Some("\u{430}lice")),
            ("al\u{131}ce", Some("al\u{131}ce")),
            ("alice.", Some("alice.")),
            ("ali\nce", None),
            ("alice\0", None),
            ("alice\u{7f}", None),
            ("alice\u{85}", None),
            ("", None),
            (" \u{3000}", None),
            ("\u{ad}\u{200d}", None),
        ];
        forms(&table, prepared_name);
    }

    #[test]
    fn addresses_are_compared_with_their_domains_in_ascii() {
        let table = [
            ("Alice@Example.COM", Some("alice@example.com")),
            ("alice@example.com.", Some("alice@example.com")),
            ("alice＠example。com", Some("alice@example.com")),
            ("hugo@Bücher.example", Some("hugo@xn--bcher-kva.example")),
            (
                "hugo@BU\u{308}CHER.example.",
                Some("hugo@xn--bcher-kva.example"),
            ),
            (
                "hugo@XN--bcher-kva.example",
                Some("hugo@xn--bcher-kva.example"),
            ),
            // Two domains, which only case folding takes for one.
            ("hugo@straße.example", Some("hugo@xn--strae-oqa.example")),
            ("hugo@strasse.example", Some("hugo@strasse.example")),
            ("ni@βόλος.example", Some("ni@xn--nxasmm1c.example")),
            ("ni@ΒΌΛΟΣ.example", Some("ni@xn--nxasmq6b.example")),
            ("\"a@b\"@example.com", Some("\"a@b\"@example.com")),
            ("a_b@under_score.example", Some("a_b@under_score.example")),
            ("alice", Some("alice")),
            ("alice@xn--", Some("alice@xn--")),
            ("alice@exa\tmple.com", None),
        ];
        forms(&table, prepared_address);
    }

    /// All that is not an ideograph, a composed Hangul syllable or for private use.
    fn characters() -> impl Iterator<Item = char> {
        let blocks = [
            '\0'..='\u{33ff}',
            '\u{a000}'..='\u{abff}',
            '\u{d7b0}'..='\u{d7ff}',
        ];
        let beyond = [
            '\u{f900}'..='\u{16fff}',
            '\u{1b000}'..='\u{1ffff}',
            '\u{2f800}'..='\u{2fa1f}',
        ];
        let tags = ['\u{e0000}'..='\u{e0fff}'];
        blocks.into_iter().chain(beyond).chain(tags).flatten()
    }

    #[test]
    fn ascii_has_the_form_that_all_of_unicode_has() {
        for first in ' '..='~' {
            for second in ' '..='~' {
                let name = format!("{first} {second}  X{first}{second} ");
                let form = prepared_name(&name).unwrap();
                assert_eq!(pass(&name), form, "{name:?}");
                assert_eq!(pass(&form), form, "{name:?}");
            }
        }
    }

    /// Alone, and among letters that it may combine with.
    #[test]
    fn the_form_of_a_form_is_itself() {
        for character in characters() {
            let texts = [
                format!("{character}"),
                format!("a{character}\u{301}\u{345}b {character}"),
                format!("\u{1100}{character}\u{1161}\u{ad}\u{323}"),
            ];
            for text in texts {
                let Some(form) = prepared_name(&text) else {
                    continue;
                };
                assert_eq!(pass(&form), form, "{}", text.escape_unicode());
                if text.len() < 5 {
                    let address = prepared_address(&format!("{text}@{text}.example"));
                    let again = address.as_deref().and_then(prepared_address);
                    assert_eq!(again, address, "{}", text.escape_unicode());
                }
            }
        }
    }

    /// What differs in case alone is one name, in whichever way the standard library turns it.
    #[test]
    fn case_makes_no_difference_to_any_letter() {
        for character in characters() {
            let one = prepared_name(&format!("x{character}"));
            for other in [
                character.to_lowercase().collect::<String>(),
                character.to_uppercase().collect::<String>(),
            ] {
                // The dotted capital I of Turkish and what it is lower case of are no pair.
                if character == '\u{131}' {
                    continue;
                }
                let other = prepared_name(&format!("x{other}"));
                assert_eq!(one, other, "{}", character.escape_unicode());
            }
        }
    }
}
