//! The addresses that we are willing to write to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Host;

/// RFC 5321 section 4.5.3.1.3: a path holds 256 octets, two of them brackets.
const LONGEST: usize = 254;
/// RFC 5321 section 4.5.3.1.1.
const LONGEST_LOCAL_PART: usize = 64;
/// RFC 1035 section 2.3.4.
const LONGEST_LABEL: usize = 63;

/// A text that is no address we would write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an email address that mail can be sent to")]
pub struct AddressError;

/// A mailbox on the internet: `local@domain`, narrower than RFC 5321 allows.
///
/// Refused are quoted local parts, IP literals, source routes (`%`, `!`), a
/// leading `-` (which a mail program may take for an option), domains of one
/// label, and local parts beyond ASCII: SMTPUTF8 is not spoken. An
/// internationalised domain is kept in its ASCII form, in lower case; the
/// local part is kept as it is, since only its server may fold it.
///
/// `Debug` shows the masked form; there is no `Display`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    whole: String,
    /// Length of the local part.
    at: usize,
}

impl Address {
    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.whole
    }

    /// What stands before the `@`.
    pub fn local_part(&self) -> &str {
        self.whole.get(..self.at).unwrap_or_default()
    }

    /// What stands after the `@`: ASCII, lower case.
    pub fn domain(&self) -> &str {
        self.whole
            .get(self.at.saturating_add(1)..)
            .unwrap_or_default()
    }

    /// `a•••@example.com`: enough for its owner to know it again.
    pub fn masked(&self) -> String {
        let first = self.whole.chars().next().unwrap_or('•');
        format!("{first}•••@{}", self.domain())
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > LONGEST {
            return Err(AddressError);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError)?;
        if !is_local_part(local) {
            return Err(AddressError);
        }
        let domain = ascii_domain(domain).ok_or(AddressError)?;
        let whole = format!("{local}@{domain}");
        // The library that speaks SMTP has the last word, so that no letter fails on its address.
        let fits = whole.len() <= LONGEST && whole.parse::<lettre::Address>().is_ok();
        fits.then_some(Address {
            whole,
            at: local.len(),
        })
        .ok_or(AddressError)
    }
}

/// RFC 5322 section 3.2.3 `dot-atom`, without `%` and `!` and no leading `-`.
fn is_local_part(local: &str) -> bool {
    (1..=LONGEST_LOCAL_PART).contains(&local.len())
        && !local.starts_with('-')
        && local.split('.').all(|atom| {
            !atom.is_empty()
                && atom
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"#$&'*+-/=?^_`{|}~".contains(&b))
        })
}

/// The domain in its ASCII form and lower case; `None` for one label, an IP address and what is no host name.
fn ascii_domain(domain: &str) -> Option<String> {
    // The URL parser would decode these, and two spellings of a domain are one too many.
    if domain.contains(['%', '[']) {
        return None;
    }
    let Ok(Host::Domain(domain)) = Host::parse(domain) else {
        return None;
    };
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    (domain.contains('.') && domain.split('.').all(is_label)).then_some(domain)
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fuzz::Target;
    use proptest::prelude::*;

    #[test]
    fn ordinary_addresses_are_taken() {
        for (typed, kept, masked) in [
            ("alice@example.com", "alice@example.com", "a•••@example.com"),
            ("a@b.example", "a@b.example", "a•••@b.example"),
            (
                "Bob.O'Neil+mfa@EXAMPLE.com",
                "Bob.O'Neil+mfa@example.com",
                "B•••@example.com",
            ),
            (
                "jo@bücher.example",
                "jo@xn--bcher-kva.example",
                "j•••@xn--bcher-kva.example",
            ),
            ("a-b_c@x-y.co.uk", "a-b_c@x-y.co.uk", "a•••@x-y.co.uk"),
        ] {
            let address: Address = typed.parse().unwrap();
            assert_eq!(address.as_str(), kept);
            assert_eq!(address.masked(), masked);
            assert_eq!(format!("{address:?}"), masked);
            assert_eq!(
                format!("{}@{}", address.local_part(), address.domain()),
                kept
            );
            let json = serde_json::to_string(&address).unwrap();
            assert_eq!(serde_json::from_str::<Address>(&json).unwrap(), address);
        }
    }

    #[test]
    fn addresses_that_could_carry_more_than_an_address_are_refused() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long_label = format!("a@{}.com", "b".repeat(64));
        let long = format!("{}@{}com", "a".repeat(64), "example.".repeat(30));
        for typed in [
            "",
            "@",
            "a",
            "a@",
            "@example.com",
            "a@@example.com",
            "a@b@example.com",
            "a@example.com\r\nRCPT TO:<eve@evil.example>",
            "a\r\n@example.com",
            "a@example.com\n",
            "a@exa\tmple.com",
            "a b@example.com",
            " a@example.com",
            "a@example.com ",
            "a\0@example.com",
            "\"a b\"@example.com",
            "\"a\"@example.com",
            "-oQ/tmp@example.com",
            "-x@example.com",
            ".a@example.com",
            "a.@example.com",
            "a..b@example.com",
            "a@[127.0.0.1]",
            "a@[IPv6:::1]",
            "a@127.0.0.1",
            "a@0x7f.1",
            "a@2130706433",
            "a@localhost",
            "a@example.com.",
            "a@.example.com",
            "a@-example.com",
            "a@example-.com",
            "a@exa_mple.com",
            "a@exa%6dple.com",
            "a%evil.example@example.com",
            "evil!a@example.com",
            "<a@example.com>",
            "Alice <a@example.com>",
            "a@example.com,b@example.com",
            "a@example.com>",
            "ä@example.com",
            "a\u{202e}b@example.com",
            long_local.as_str(),
            long_label.as_str(),
            long.as_str(),
        ] {
            assert_eq!(typed.parse::<Address>(), Err(AddressError), "{typed:?}");
        }
    }

    /// What is taken is one mailbox, in one spelling, and nothing of it can be read as a command or another address.
    #[test]
    fn fuzz_email_addresses() {
        let generated = "[A-Za-z0-9.+_'%!\"-]{0,12}@[a-zA-Z0-9.äßİ。\u{ad}_-]{0,12}\\.(com|example|xn--p1ai|рф|1|0x7f)"
            .prop_map(String::into_bytes);
        let target = Target::new("email_addresses").words(&[
            "@",
            ".",
            "xn--",
            "。",
            "\u{ad}",
            "＠",
            "<",
            ">",
            "[127.0.0.1]",
        ]);
        target.check(generated, |input| {
            let text = String::from_utf8_lossy(input);
            let Ok(address) = text.parse::<Address>() else {
                return false;
            };
            let whole = address.as_str();
            assert_eq!(whole.parse(), Ok(address.clone()));
            assert!(whole.len() <= LONGEST && whole.bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(
                !whole.contains(['<', '>', '"', ',', ';', ':', '\\', '(', ')'])
                    && !whole.starts_with('-')
            );
            assert_eq!(whole.matches('@').count(), 1);
            assert_eq!(text.split('@').next(), Some(address.local_part()));
            assert_eq!(address.domain(), address.domain().to_ascii_lowercase());
            // The domain alone has another case, the local part is somebody else's in another.
            let upper = format!(
                "{}@{}",
                address.local_part(),
                address.domain().to_ascii_uppercase()
            );
            assert_eq!(upper.parse(), Ok(address.clone()));
            let masked: Vec<char> = address.masked().chars().collect();
            assert_eq!(masked[1..4], ['•'; 3]);
            true
        });
    }
}
