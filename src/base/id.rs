//! Identifiers: opaque, URL-safe, with a prefix that says of what.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use data_encoding::{BASE32_NOPAD, Encoding, HEXLOWER, Specification};
use serde::{Deserialize, Serialize};

use super::entropy::Entropy;
use super::failure::Failure;

/// A text that is no identifier of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier of this kind")]
pub struct IdError;

/// Lower case only: an identifier has one spelling.
static BASE32_LOWER: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str(&BASE32_NOPAD.specification().symbols.to_ascii_lowercase());
    specification.encoding().unwrap_or(BASE32_NOPAD)
});

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// 128 random bits, written as the prefix and 26 lower-case Base32 characters.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// A fresh identifier.
            ///
            /// # Errors
            /// As [`Entropy::fill`].
            pub fn draw(entropy: &dyn Entropy) -> Result<Self, Failure> {
                Ok($name(entropy.bytes()?))
            }

            /// The identifier with these bits.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                $name(bytes)
            }

            /// The bits without the prefix, as kept in keys of tables.
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, BASE32_LOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let body = text.strip_prefix($prefix).ok_or(IdError)?;
                let bytes = BASE32_LOWER.decode(body.as_bytes()).map_err(|_| IdError)?;
                Ok($name(bytes.try_into().map_err(|_| IdError)?))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    )*};
}

ids! {
    /// One second factor that a person has set up or is setting up.
    DeviceId = "mfa_";
    /// One challenge that waits for its answer.
    ChallengeId = "chl_";
    /// One HTTP request, as named in `X-Request-Id`, the log and the audit.
    RequestId = "req_";
    /// One mail on its way.
    MessageId = "msg_";
    /// One browser that a person trusts.
    TrustedDeviceId = "trd_";
    /// One session of the settings page, as its user sees it: names it, and is good for nothing else.
    PublicSessionId = "ses_";
}

/// A person, as the store knows them: a keyed hash of (issuer, subject), so
/// that the keys of the tables, which are not sealed, name nobody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonKey(pub [u8; 16]);

impl PersonKey {
    /// The bytes, as kept in keys of tables.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl TryFrom<String> for PersonKey {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| IdError)?;
        Ok(PersonKey(bytes.try_into().map_err(|_| IdError)?))
    }
}

impl From<PersonKey> for String {
    fn from(key: PersonKey) -> String {
        HEXLOWER.encode(&key.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::OsEntropy;
    use crate::base::fuzz::Target;
    use proptest::prelude::*;

    #[test]
    fn an_identifier_is_read_as_it_was_written_and_in_no_other_way() {
        let id = DeviceId::draw(&OsEntropy).unwrap();
        let text = id.to_string();
        assert_eq!(text.len(), 30);
        assert_eq!(text.parse(), Ok(id));
        for wrong in [
            text.to_uppercase(),
            text.replace("mfa_", "chl_"),
            format!("{text}a"),
            text[..29].to_owned(),
            String::new(),
        ] {
            assert_eq!(wrong.parse::<DeviceId>(), Err(IdError), "{wrong}");
        }
    }

    #[test]
    fn a_person_is_not_named_by_their_key() {
        let key = PersonKey([0xab; 16]);
        let text = String::from(key);
        assert_eq!(PersonKey::try_from(text), Ok(key));
    }

    /// An identifier has one spelling and one kind.
    #[test]
    fn fuzz_identifiers() {
        let generated =
            "(mfa|chl|req|msg|trd|MFA)_[a-z2-7]{25,27}|[0-9a-f]{32}".prop_map(String::into_bytes);
        let target = Target::new("identifiers").words(&["mfa_", "chl_", "A", "=", "\u{131}"]);
        target.check(generated, |input| {
            let text = String::from_utf8_lossy(input).into_owned();
            let mut spelt: Vec<String> = Vec::new();
            spelt.extend(text.parse::<DeviceId>().map(String::from));
            spelt.extend(text.parse::<ChallengeId>().map(String::from));
            spelt.extend(text.parse::<RequestId>().map(String::from));
            spelt.extend(text.parse::<MessageId>().map(String::from));
            spelt.extend(text.parse::<TrustedDeviceId>().map(String::from));
            spelt.extend(PersonKey::try_from(text.clone()).map(String::from));
            assert!(spelt.is_empty() || spelt == [text]);
            !spelt.is_empty()
        });
    }
}
