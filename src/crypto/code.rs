//! Codes that people type: how they are drawn, written, read and compared.

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::base::{Entropy, Failure};

/// Crockford's Base32: no I, L, O, U.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const BACKUP_CODE_CHARACTERS: usize = 16;
/// Longer than any code with its spaces and hyphens; what is longer is no code.
const LONGEST_TYPED: usize = 64;

/// HMAC over parts, each behind its length.
pub(super) fn tag(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut tag = [0; 32];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

/// Whether two strings of bytes are equal, in a time that tells only their lengths.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// A keyed hash of a code. Equality takes constant time.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodeHash([u8; 32]);

impl CodeHash {
    pub(super) fn new(tag: [u8; 32]) -> Self {
        CodeHash(tag)
    }

    /// The bytes, for use as the key of a table.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for CodeHash {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for CodeHash {}

impl From<CodeHash> for String {
    fn from(hash: CodeHash) -> String {
        BASE64_STANDARD_NO_PAD.encode(hash.0)
    }
}

impl TryFrom<String> for CodeHash {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = BASE64_STANDARD_NO_PAD
            .decode(text)
            .map_err(|_| "not a code hash")?;
        Ok(CodeHash(bytes.try_into().map_err(|_| "not a code hash")?))
    }
}

/// What is kept of a backup code.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BackupCodeHash(pub CodeHash);

/// A code of six decimal digits, to be mailed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct DigitCode(String);

impl DigitCode {
    /// How many digits.
    pub const DIGITS: usize = 6;

    /// A fresh code, each of the million equally likely.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, Failure> {
        Ok(DigitCode(format!("{:06}", entropy.below(1_000_000)?)))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A backup code of 80 bits: sixteen Crockford characters.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct BackupCode(String);

impl BackupCode {
    /// A fresh code.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, Failure> {
        let bytes: [u8; BACKUP_CODE_CHARACTERS] = entropy.bytes()?;
        // 32 divides 256: five bits of each byte are as random as the byte.
        Ok(BackupCode(
            bytes
                .iter()
                .filter_map(|b| CROCKFORD.get(usize::from(b & 31)))
                .map(|c| char::from(*c))
                .collect(),
        ))
    }

    /// Reads a code as people type it: either case, look-alikes folded (O is 0; I and L are 1),
    /// spaces and hyphens ignored. `None` where it cannot be one.
    pub fn read(typed: &str) -> Option<Self> {
        if typed.len() > LONGEST_TYPED {
            return None;
        }
        let mut compact = String::with_capacity(BACKUP_CODE_CHARACTERS);
        for character in typed.chars().filter(|c| !matches!(c, ' ' | '-')) {
            let character = match character.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            if !character.is_ascii() || !CROCKFORD.contains(&(character as u8)) {
                return None;
            }
            compact.push(character);
        }
        (compact.len() == BACKUP_CODE_CHARACTERS).then_some(BackupCode(compact))
    }

    /// The sixteen characters without hyphens: what is hashed.
    pub fn compact(&self) -> &str {
        &self.0
    }

    /// Four groups of four: `7K3M-Q2ZD-0V8H-AAX1`.
    pub fn grouped(&self) -> String {
        let groups: Vec<&str> = (0..4)
            .filter_map(|group| self.0.get(group * 4..group * 4 + 4))
            .collect();
        groups.join("-")
    }
}

/// What somebody typed where a code was asked for, by its shape.
pub enum TypedCode {
    /// Six ASCII digits.
    Digits(String),
    /// Sixteen Crockford characters.
    Backup(BackupCode),
}

/// Reads the digits of a typed code: spaces and hyphens are ignored, only ASCII
/// digits count, and there must be exactly six. `None` for anything else.
pub fn typed_code(typed: &str) -> Option<TypedCode> {
    if typed.len() > LONGEST_TYPED {
        return None;
    }
    let digits: String = typed.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    if digits.len() == DigitCode::DIGITS && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Some(TypedCode::Digits(digits));
    }
    BackupCode::read(typed).map(TypedCode::Backup)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::OsEntropy;
    use crate::base::fuzz::Target;
    use proptest::prelude::*;

    #[test]
    fn a_backup_code_is_read_in_every_way_that_people_type_it() {
        let code = BackupCode("10ABCDEFGHJKMNPQ".to_owned());
        assert_eq!(code.grouped(), "10AB-CDEF-GHJK-MNPQ");
        for typed in [
            "10AB-CDEF-GHJK-MNPQ",
            "10abcdefghjkmnpq",
            "  IOab cdef ghjk mnpq ",
            "lo-ab-cd-ef-gh-jk-mn-pq",
        ] {
            assert_eq!(
                BackupCode::read(typed)
                    .map(|c| c.compact().to_owned())
                    .as_deref(),
                Some(code.compact()),
                "{typed}"
            );
        }
        for typed in [
            "",
            "10AB-CDEF-GHJK-MNP",
            "10AB-CDEF-GHJK-MNPQR",
            "10AB-CDEF-GHJK-MNPU",
            "１０AB-CDEF-GHJK-MNPQ",
            "10AB\tCDEF-GHJK-MNPQ",
            "10AB-CDEF-GHJK-MNPQ\0",
        ] {
            assert!(BackupCode::read(typed).is_none(), "{typed:?}");
        }
        assert!(BackupCode::read(&"-".repeat(100_000)).is_none());
    }

    #[test]
    fn only_six_ascii_digits_are_digits() {
        for typed in ["123456", " 123 456 ", "123-456", "1 2 3 4 5 6"] {
            assert!(
                matches!(typed_code(typed), Some(TypedCode::Digits(d)) if d == "123456"),
                "{typed}"
            );
        }
        for typed in [
            "12345",
            "1234567",
            "+123456",
            "１２３４５６",
            "١٢٣٤٥٦",
            "𝟏𝟐𝟑𝟒𝟓𝟔",
            "123456\n",
            "123\u{200b}456",
            "123\u{a0}456",
            "123456\0",
            "12345a",
            "",
        ] {
            assert!(typed_code(typed).is_none(), "{typed:?}");
        }
    }

    #[test]
    fn drawn_codes_have_their_full_strength() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1_000 {
            let code = BackupCode::draw(&OsEntropy).unwrap();
            assert_eq!(code.compact().len() * 5, 80);
            assert!(
                BackupCode::read(&code.grouped())
                    .is_some_and(|read| read.compact() == code.compact())
            );
            assert!(seen.insert(code.compact().to_owned()));
            let digits = DigitCode::draw(&OsEntropy).unwrap();
            assert!(matches!(
                typed_code(digits.as_str()),
                Some(TypedCode::Digits(_))
            ));
        }
    }

    /// A code is read in the same way however it is grouped and in whatever case, and is one code.
    #[test]
    fn fuzz_typed_codes() {
        let generated = "[0-9 -]{6,9}|[0-9A-Za-z]{16}|([0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{4}[ -]?){4}"
            .prop_map(String::into_bytes);
        let target =
            Target::new("typed_codes").words(&["O", "l", "I", "U", "٣", "Ⅰ", "-", "\u{a0}"]);
        target.check(generated, |input| {
            let typed = String::from_utf8_lossy(input);
            let compact = |typed: &str| match typed_code(typed) {
                Some(TypedCode::Digits(digits)) => Some((true, digits)),
                Some(TypedCode::Backup(code)) => Some((false, code.compact().to_owned())),
                None => None,
            };
            let Some((is_digits, code)) = compact(&typed) else {
                return false;
            };
            let shape =
                |byte: u8| byte.is_ascii_digit() || (!is_digits && CROCKFORD.contains(&byte));
            assert!(code.bytes().all(shape) && code.len() == if is_digits { 6 } else { 16 });
            let same = Some((is_digits, code.clone()));
            assert_eq!(compact(&code), same);
            assert_eq!(compact(&code.to_ascii_lowercase()), same);
            let spaced: String = code.chars().flat_map(|c| [c, '-', ' ']).collect();
            assert_eq!(compact(&spaced), same);
            if let Some(read) = BackupCode::read(&typed) {
                assert!(
                    !is_digits
                        && BackupCode::read(&read.grouped())
                            .is_some_and(|again| again.compact() == read.compact())
                );
                assert_eq!(read.grouped().len(), 19);
            }
            true
        });
    }
}
