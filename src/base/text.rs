//! Text that people typed and that others will read.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// `typed` as it may be kept and shown: NFC, without control characters and
/// without the marks that turn writing around (U+202A…U+202E, U+2066…U+2069,
/// U+200E, U+200F, U+061C), white space folded, at most `longest` characters.
/// `None` where nothing visible is left.
pub fn display_text(typed: &str, longest: usize) -> Option<String> {
    // Enough for any text that can end within the bound, so that a huge one costs little.
    let head: String = typed
        .chars()
        .take(longest.saturating_mul(4).max(64))
        .collect();
    let mut shown = String::new();
    let mut length = 0;
    let spaced = head
        .chars()
        .map(|c| match c.is_whitespace() || c.is_control() {
            true => ' ',
            false => c,
        });
    // First what is taken out: what stood around it may compose.
    for character in spaced.filter(|c| !is_invisible(*c)).nfc() {
        if character == ' ' && (shown.is_empty() || shown.ends_with(' ')) {
            continue;
        }
        if length == longest {
            break;
        }
        shown.push(character);
        length += 1;
    }
    let shown = shown.trim_end();
    shown
        .contains(|character| !is_blank(character))
        .then(|| shown.to_owned())
}

/// `typed` as a stranger's words stand in an email: letters, digits and single spaces, at most `longest` characters, so
/// that no program makes a link of it and it looks like no sentence of ours. Compatibility forms are the characters that
/// they stand for (NFKC), and so are full-width ones. `None` if nothing is left.
pub fn plain_text(typed: &str, longest: usize) -> Option<String> {
    let head: String = typed
        .chars()
        .take(longest.saturating_mul(4).max(64))
        .collect();
    let mut plain = String::new();
    let mut length = 0;
    for character in head.chars().filter(|c| !is_invisible(*c)).nfkc() {
        let is_seen = !is_blank(character) && !looks_like_a_mark(character);
        let said = is_seen && character.is_alphanumeric();
        if !said && (is_combining_mark(character) || is_blank(character) && character != ' ') {
            continue;
        }
        if length == longest {
            break;
        }
        match said {
            true => plain.push(character),
            false if plain.is_empty() || plain.ends_with(' ') => continue,
            false => plain.push(' '),
        }
        length += 1;
    }
    let plain = plain.trim_end();
    (!plain.is_empty()).then(|| plain.to_owned())
}

/// Letters that are drawn like punctuation: modifier letters, clicks, and the dots of Chinese and Lisu.
fn looks_like_a_mark(character: char) -> bool {
    matches!(character,
        '\u{1c0}'..='\u{1c3}' | '\u{2b0}'..='\u{2ff}' | '\u{559}' | '\u{a4f8}'..='\u{a4ff}' | '\u{a708}'..='\u{a721}'
        | '\u{a788}'..='\u{a78f}')
}

/// `text` as one line of a terminal may show it: what would steer the terminal, or is not seen, stands there as U+FFFD.
pub fn terminal_text(text: &str) -> String {
    text.replace(|c: char| c.is_control() || is_invisible(c), "\u{fffd}")
}

/// What takes up room or changes its neighbours and shows nothing of its own:
/// no text consists of these alone.
fn is_blank(character: char) -> bool {
    matches!(character,
        ' ' | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
}

fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use crate::base::fuzz::Target;

    #[test]
    fn a_terminal_is_not_steered_and_shows_that_something_was_there() {
        let shown = terminal_text("a\u{1b}[2Jb\nc\u{202e}d\u{200b} é");
        assert_eq!(shown, "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd} é");
    }

    #[test]
    fn names_lose_what_could_deceive_and_nothing_else() {
        let table = [
            ("  My\tYubiKey\r\n 5 ", Some("My YubiKey 5")),
            ("evil\u{202e}gpj.exe", Some("evilgpj.exe")),
            ("<img onerror=alert(1)>", Some("<img onerror=alert(1)>")),
            ("e\u{301}", Some("é")),
            ("e\u{200b}\u{301}", Some("é")),
            ("Ключ 🔑", Some("Ключ 🔑")),
            ("\0\u{1b}[31m", Some("[31m")),
            (" \u{200b}\n", None),
            ("\u{3164}\u{ad} \u{2800}\u{fe0f}", None),
            ("❤\u{fe0f}", Some("❤\u{fe0f}")),
            ("", None),
        ];
        for (typed, shown) in table {
            assert_eq!(display_text(typed, 64).as_deref(), shown, "{typed:?}");
        }
        assert_eq!(
            display_text(&"é".repeat(500), 64).map(|t| t.chars().count()),
            Some(64)
        );
    }

    #[test]
    fn what_a_stranger_typed_is_letters_digits_and_spaces() {
        let table = [
            ("My YubiKey 5", Some("My YubiKey 5")),
            ("http://evil.example/x?y=1", Some("http evil example x y 1")),
            ("ｅｖｉｌ．ｅｘａｍｐｌｅ", Some("evil example")),
            ("evil。example", Some("evil example")),
            ("evil\u{2024}example", Some("evil example")),
            ("evil\u{a4f8}example", Some("evil example")),
            ("evil\u{a78f}example", Some("evil example")),
            ("ⓔⓥⓘⓛ", Some("evil")),
            ("+1 (555) 010-0000", Some("1 555 010 0000")),
            ("a\u{202e}b\u{200b}c\u{ad}d", Some("abcd")),
            (
                "Call\r\nBcc: eve@evil.example",
                Some("Call Bcc eve evil example"),
            ),
            ("<b>“x”</b>", Some("b x b")),
            ("Ключ Анны", Some("Ключ Анны")),
            ("e\u{301}te\u{301}", Some("été")),
            ("x\u{338}\u{338}\u{338}y", Some("xy")),
            ("鍵 1", Some("鍵 1")),
            ("🔑", None),
            ("!\u{3164}…", None),
            ("", None),
        ];
        for (typed, plain) in table {
            assert_eq!(plain_text(typed, 64).as_deref(), plain, "{typed:?}");
        }
        for typed in ["é".repeat(500), "a.".repeat(500), ".".repeat(100) + "a"] {
            let length = plain_text(&typed, 64).map_or(0, |it| it.chars().count());
            assert!(length <= 64, "{length}");
        }
    }

    /// What is shown is what it says it is, and shown again it stays the same.
    #[test]
    fn fuzz_display_text() {
        let piece = select(
            &[
                "a",
                " ",
                "e",
                "\u{301}",
                "\u{327}",
                "\u{200b}",
                "\u{202e}",
                "\u{3164}",
                "\u{fe0f}",
                "\0",
                "\n",
                "\u{85}",
                "\u{2028}",
                "\u{1100}",
                "\u{1161}",
                "\u{11a8}",
                "\u{1f511}",
                "\u{212b}",
                "\u{2000}",
                "\u{37e}",
                "\u{345}",
                "\u{fb01}",
            ][..],
        );
        let generated = vec(piece, 0..20).prop_map(|pieces| pieces.concat().into_bytes());
        Target::new("display_text").check(generated, |input| {
            let typed = String::from_utf8_lossy(input);
            let mut any = false;
            for longest in [1, 8, 64] {
                let Some(shown) = display_text(&typed, longest) else {
                    continue;
                };
                any = true;
                assert!((1..=longest).contains(&shown.chars().count()));
                assert_eq!(
                    display_text(&shown, longest).as_deref(),
                    Some(shown.as_str())
                );
                assert_eq!(shown.nfc().collect::<String>(), shown);
                assert!(
                    !shown.chars().any(|c| c.is_control()
                        || is_invisible(c)
                        || (c != ' ' && c.is_whitespace()))
                );
                assert!(shown.trim() == shown && !shown.contains("  "));
            }
            any
        });
    }
}
