//! RFC 6238 once more, apart from the server's own: HMAC-SHA-1 and the
//! truncation of RFC 4226 section 5.3.

use aws_lc_rs::hmac;
use serde_json::Value;

/// The six digits of a Base32 secret at a moment.
pub fn code_at(secret: &str, unix: u64) -> String {
    let key = data_encoding::BASE32_NOPAD
        .decode(secret.as_bytes())
        .unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let tag = hmac::sign(&key, &(unix / 30).to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[19] & 0xf);
    let number = u32::from_be_bytes(tag[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

#[test]
fn the_tests_own_codes_are_those_of_rfc_6238() {
    let secret = data_encoding::BASE32_NOPAD.encode(b"12345678901234567890");
    assert_eq!(code_at(&secret, 59), "287082");
    assert_eq!(code_at(&secret, 20_000_000_000), "353130");
}

/// A person's authenticator app.
pub struct App {
    pub secret: String,
    pub device_id: String,
}

impl App {
    /// Scans what `totp/enable` answered.
    pub fn scan(setup: &Value) -> Self {
        let text = |name: &str| setup[name].as_str().unwrap().to_owned();
        App {
            secret: text("secret"),
            device_id: text("device_id"),
        }
    }

    pub fn code(&self, unix: u64) -> String {
        code_at(&self.secret, unix)
    }

    /// Six digits that no step near `unix` has.
    pub fn wrong_code(&self, unix: u64) -> String {
        let near: Vec<String> = (0..=240)
            .map(|n| self.code((unix + 30 * 120).saturating_sub(30 * n)))
            .collect();
        (0..1_000_000)
            .map(|n| format!("{n:06}"))
            .find(|code| !near.contains(code))
            .unwrap()
    }
}
