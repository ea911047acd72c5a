use aws_lc_rs::digest;
use data_encoding::BASE64URL_NOPAD;
use url::form_urlencoded;

use crate::base::{Entropy, Failure, Secret};
use crate::crypto::{CodeHash, Sealer};

/// The longest path that a sign-in leads back to, in bytes.
const LONGEST_RETURN: usize = 512;

/// The longest code that is taken back, in bytes.
const LONGEST_CODE: usize = 4 * 1024;

/// Where a sign-in leads that was begun nowhere in particular.
pub const HOME: &str = "/";

/// 256 random bits, as a browser holds them: 43 characters of Base64url, in one spelling.
pub struct Handle(Secret<String>);

impl Handle {
    /// A fresh one.
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, Failure> {
        let bits: [u8; 32] = entropy.bytes()?;
        Ok(Handle(Secret::new(BASE64URL_NOPAD.encode(&bits))))
    }

    /// The one that is written so; `None` for all that could not have been drawn.
    pub fn read(text: &str) -> Option<Self> {
        let bits = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        (bits.len() == 32).then(|| Handle(Secret::new(text.to_owned())))
    }

    /// As the browser holds it.
    pub fn text(&self) -> &Secret<String> {
        &self.0
    }

    /// What is kept of it, where it is used as a `role`.
    pub fn hash(&self, keys: &Sealer, role: &str) -> CodeHash {
        keys.code_hash(&[role.as_bytes()], self.0.expose())
    }
}

/// What goes out for a verifier (RFC 7636 section 4.2).
pub fn challenge(verifier: &str) -> String {
    BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref())
}

/// The path of this origin that `asked` is, or `/`. Whatever a browser, or a proxy on the way, could read as
/// another host's is none: no scheme, no `//` anywhere, no backslash, no dot segment, none of these encoded, no
/// blanks or control characters, and nothing beyond ASCII. Nor is the sign-in itself.
pub fn return_path(asked: &str) -> &str {
    if is_path(asked) { asked } else { HOME }
}

fn is_path(asked: &str) -> bool {
    let path = asked.split(['?', '#']).next().unwrap_or_default();
    let encoded = path.to_ascii_lowercase();
    // What RFC 3986 leaves out, browsers write in another way, or as another character.
    let plain = |b: u8| b.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&b);
    asked.len() <= LONGEST_RETURN
        && asked.bytes().all(plain)
        && path.starts_with('/')
        && !path.contains("//")
        // Encoded, these become what they stand for at the first proxy that decodes.
        && !["%2f", "%5c", "%2e", "%25", "%0", "%1", "%7f"]
            .iter()
            .any(|bad| encoded.contains(bad))
        && !path.split('/').any(|part| part == "." || part == "..")
        && path != "/auth"
        && !path.starts_with("/auth/")
}

/// What the issuer sends a browser back with (RFC 6749 section 4.1.2, RFC 9207).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Returned {
    pub state: Option<String>,
    pub code: Option<Secrecy>,
    pub iss: Option<String>,
    pub error: Option<String>,
}

/// A word that is good for something.
#[derive(PartialEq, Eq)]
pub struct Secrecy(pub String);

impl std::fmt::Debug for Secrecy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

impl Returned {
    /// `None` where a parameter stands twice, or is longer than any: of two the issuer may have meant either.
    pub fn read(query: &str) -> Option<Self> {
        let mut returned = Returned::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "state" => &mut returned.state,
                "iss" => &mut returned.iss,
                "error" => &mut returned.error,
                "code" => {
                    if returned.code.is_some() || value.len() > LONGEST_CODE {
                        return None;
                    }
                    returned.code = Some(Secrecy(value.into_owned()));
                    continue;
                }
                _ => continue,
            };
            if place.is_some() || value.len() > LONGEST_RETURN {
                return None;
            }
            *place = Some(value.into_owned());
        }
        Some(returned)
    }
}

/// An error of the issuer, as it may stand in the log: its words are the issuer's, or whoever made the link's.
pub fn error_word(error: &str) -> &str {
    let fits = |b: u8| b.is_ascii_lowercase() || b == b'_';
    let known = !error.is_empty() && error.len() <= 64 && error.bytes().all(fits);
    if known { error } else { "(unreadable)" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::OsEntropy;
    use crate::base::fuzz::Target;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;
    use url::Url;

    #[test]
    fn a_sign_in_leads_back_to_a_path_of_this_origin_and_nowhere_else() {
        for path in [
            "/",
            "/#keys",
            "/settings?tab=keys&x=%20y",
            "/a/b.c/d-e_f~g:@!$&'()*+,;=",
            "/a?next=https://evil.example//x",
            "/authors",
            "/console",
        ] {
            assert_eq!(return_path(path), path);
        }
        for path in [
            "",
            "settings",
            "https://evil.example/",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/a\\b",
            "/\t/evil.example",
            "/\n/evil.example",
            "/a\r\nSet-Cookie: x=y",
            "/%0d%0aSet-Cookie:%20x=y",
            "/%09/evil.example",
            "/%2fevil.example",
            "/%2Fevil.example",
            "/%5cevil.example",
            "/%5Cevil.example",
            "/%252fevil.example",
            "%2f%2fevil.example",
            "/..//evil.example",
            "/.//evil.example",
            "/a/../b",
            "/a/./b",
            "/%2e%2e/b",
            "/a//b",
            "/ /evil.example",
            " /",
            "/é",
            "/／evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "/<script>",
            "/\"onload=",
            "http:/evil.example",
            "?x",
            "#x",
            "/{a}",
            "/a?b|c",
            "/auth",
            "/auth/login",
            "/auth/login?fresh=1",
            "/auth/callback?code=x",
        ] {
            assert_eq!(return_path(path), "/", "{path:?}");
        }
        let long = format!("/{}", "a".repeat(LONGEST_RETURN));
        assert_eq!(return_path(&long), "/");
    }

    #[test]
    fn a_handle_has_256_bits_and_one_spelling() {
        let handle = Handle::draw(&OsEntropy).unwrap();
        let text = handle.text().expose().clone();
        assert_eq!(text.len(), 43);
        assert!(Handle::read(&text).is_some());
        let other = Handle::draw(&OsEntropy).unwrap();
        assert_ne!(other.text().expose(), &text);
        for wrong in [
            String::new(),
            text[1..].to_owned(),
            format!("{text}A"),
            format!("{text}="),
            // Its last character has bits to spare.
            format!("{}B", &text[..42]),
            "é".repeat(22),
        ] {
            assert!(Handle::read(&wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636 appendix B.
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn what_stands_twice_is_not_taken() {
        let read =
            Returned::read("code=a%2Bb&state=s&iss=https%3A%2F%2Fi&session_state=x").unwrap();
        assert_eq!(read.code.unwrap().0, "a+b");
        assert_eq!(read.state.as_deref(), Some("s"));
        assert_eq!(read.iss.as_deref(), Some("https://i"));
        assert_eq!(Returned::read(""), Some(Returned::default()));
        for name in ["code", "state", "iss", "error"] {
            assert_eq!(Returned::read(&format!("{name}=a&{name}=a")), None);
            let long = "a".repeat(LONGEST_CODE + 1);
            assert_eq!(Returned::read(&format!("{name}={long}")), None);
        }
    }

    #[test]
    fn of_an_error_only_a_plain_word_is_repeated() {
        assert_eq!(error_word("access_denied"), "access_denied");
        for text in ["", "<b>", "Access denied", "a\nb", &"a".repeat(65)] {
            assert_eq!(error_word(text), "(unreadable)");
        }
    }

    /// A sign-in leads to a page of this origin, which every reader of the address takes for the same.
    #[test]
    fn fuzz_return_paths() {
        let piece = select(
            &[
                "/",
                "a",
                "settings",
                "?",
                "#",
                "=",
                "&",
                "..",
                ".",
                ";",
                ":",
                "@",
                "%41",
                "%2F",
                "//evil.example",
                "auth",
                "https:",
            ][..],
        );
        let generated =
            vec(piece, 0..6).prop_map(|pieces| format!("/{}", pieces.concat()).into_bytes());
        let target = Target::new("return_paths").words(&[
            "/",
            "//",
            "\\",
            "/.",
            "%2e",
            "%5C",
            "/auth",
            "@evil.example",
            "\t",
        ]);
        target.check(generated, |input| {
            let asked = String::from_utf8_lossy(input);
            let path = return_path(&asked);
            assert!(path == asked || path == HOME);
            let base = Url::parse("https://mfa.example/auth/callback?x#y").unwrap();
            let url = base.join(path).unwrap();
            assert_eq!(url.origin(), base.origin());
            // Nothing in it is left out or written in another way.
            let whole = url.as_str().strip_prefix("https://mfa.example").unwrap();
            assert_eq!(whole.replace("%27", "'"), path.replace("%27", "'"));
            assert!(
                !url.path().starts_with("/auth/")
                    && url.path() != "/auth"
                    && !url.path().contains("//")
            );
            path == asked && path != HOME
        });
    }

    /// What an issuer sends back says each thing once.
    #[test]
    fn fuzz_returned() {
        let name = select(
            &[
                "state",
                "code",
                "iss",
                "error",
                "session_state",
                "%63ode",
                "CODE",
            ][..],
        );
        let value = select(
            &[
                "",
                "abc",
                "a+b",
                "%26code=x",
                "%ff",
                "https%3A%2F%2Fissuer.example",
            ][..],
        );
        let generated = vec((name, value), 0..6).prop_map(|pairs| {
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            pairs.join("&").into_bytes()
        });
        Target::new("returned")
            .words(&["&", "code=", "state=", "=", "+"])
            .check(generated, |input| {
                let query = String::from_utf8_lossy(input);
                let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
                let of = |name: &str| {
                    pairs
                        .iter()
                        .filter(|(one, _)| one == name)
                        .map(|(_, value)| value.to_string())
                        .collect()
                };
                let Some(read) = Returned::read(&query) else {
                    return false;
                };
                let all: [(&str, Option<String>); 4] = [
                    ("state", read.state),
                    ("code", read.code.map(|code| code.0)),
                    ("iss", read.iss),
                    ("error", read.error),
                ];
                for (name, value) in all {
                    let sent: Vec<String> = of(name);
                    assert_eq!(sent, value.iter().cloned().collect::<Vec<_>>());
                    let word = value.as_deref().map_or("(unreadable)", error_word);
                    assert!(
                        word == "(unreadable)"
                            || word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
                    );
                }
                true
            });
    }

    /// What a browser holds has one spelling.
    #[test]
    fn fuzz_handles() {
        let generated = "[A-Za-z0-9_-]{42,44}".prop_map(String::into_bytes);
        Target::new("handles")
            .words(&["A", "=", "+", "B"])
            .check(generated, |input| {
                let text = String::from_utf8_lossy(input);
                let Some(handle) = Handle::read(&text) else {
                    return false;
                };
                let bits = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
                assert_eq!(*handle.text().expose(), BASE64URL_NOPAD.encode(&bits));
                assert!(handle.text().expose() == &*text && bits.len() == 32);
                true
            });
    }
}
