//! What the browser says it did (`clientDataJSON`), checked to the letter
//! (WebAuthn Level 3 sections 7.1 and 7.2). webauthn-rs compares parsed URLs
//! and passes over embedding, so an origin with a path, or an answer made
//! within a foreign frame, would get by.

use serde::Deserialize;

/// Seconds that a ceremony may take.
pub const CEREMONY_TTL: u64 = 5 * 60;
/// Seconds that a proof by key is good for.
pub const PROOF_TTL: u64 = 60;
/// Keys of one person.
pub const MOST_KEYS: usize = 20;
/// Bytes of a credential's id (section 7.1, step 25).
pub const LONGEST_ID: usize = 1023;
/// Characters of a key's name.
pub const LONGEST_NAME: usize = 64;

/// Why an answer does not hold, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It is not JSON, or lacks what it must hold.
    #[error("clientDataJSON cannot be read")]
    Unreadable,
    /// It was made for another purpose.
    #[error("clientDataJSON is of another type")]
    Type,
    /// It was made on a page that is not ours.
    #[error("the answer was made on another origin")]
    Origin,
    /// It was made in a frame of another page.
    #[error("the answer was made in a frame of another origin")]
    Embedded,
    /// The key belongs to another account.
    #[error("the user handle is another person's")]
    UserHandle,
    /// It names another credential than the one that answered, or none.
    #[error("the answer is not of the credential that it names")]
    Name,
    /// The id is longer than any may be.
    #[error("the credential id is longer than {LONGEST_ID} bytes")]
    LongId,
    /// The id is empty, and would name any credential.
    #[error("the credential id is empty")]
    NoId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    origin: String,
    #[serde(default)]
    cross_origin: Option<bool>,
    #[serde(default)]
    top_origin: Option<String>,
}

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A new key.
    Create,
    /// A proof by a known one.
    Get,
}

/// Checks what the browser says it did.
///
/// # Errors
/// [`Misfit`].
pub fn check_client_data(json: &[u8], purpose: Purpose, origins: &[String]) -> Result<(), Misfit> {
    // The parser does not look into what nobody reads.
    let json = std::str::from_utf8(json).map_err(|_| Misfit::Unreadable)?;
    let data: ClientData = serde_json::from_str(json).map_err(|_| Misfit::Unreadable)?;
    let expected = match purpose {
        Purpose::Create => "webauthn.create",
        Purpose::Get => "webauthn.get",
    };
    if data.r#type != expected {
        return Err(Misfit::Type);
    }
    if !origins.contains(&data.origin) {
        return Err(Misfit::Origin);
    }
    if data.cross_origin == Some(true) || data.top_origin.is_some() {
        return Err(Misfit::Embedded);
    }
    Ok(())
}

/// Checks that what stands around an answer names the credential that gave it (section 5.1: `id` is `rawId`, encoded).
///
/// # Errors
/// [`Misfit::Name`].
pub fn check_name(kind: &str, id: &str, raw_id: &[u8], answered: &[u8]) -> Result<(), Misfit> {
    let named = raw_id == answered && data_encoding::BASE64URL_NOPAD.encode(answered) == id;
    if kind == "public-key" && named {
        Ok(())
    } else {
        Err(Misfit::Name)
    }
}

/// Checks the id of a credential.
///
/// # Errors
/// [`Misfit::LongId`], [`Misfit::NoId`].
pub fn check_id(id: &[u8]) -> Result<(), Misfit> {
    match id.len() {
        0 => Err(Misfit::NoId),
        1..=LONGEST_ID => Ok(()),
        _ => Err(Misfit::LongId),
    }
}

/// Checks the user handle that an authenticator sent, if it sent one.
///
/// # Errors
/// [`Misfit::UserHandle`].
pub fn check_user_handle(sent: Option<&[u8]>, ours: &[u8]) -> Result<(), Misfit> {
    match sent {
        Some(sent) if !sent.is_empty() && sent != ours => Err(Misfit::UserHandle),
        _ => Ok(()),
    }
}

/// Whether a signature counter may follow the stored one (section 7.2, step 22): greater,
/// or both zero, as keys without a counter send it.
pub fn counter_advances(stored: u32, sent: u32) -> bool {
    sent > stored || (sent == 0 && stored == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(data: serde_json::Value) -> Result<(), Misfit> {
        let origins = [
            "https://mfa.example.com".to_owned(),
            "http://localhost:8080".to_owned(),
        ];
        check_client_data(data.to_string().as_bytes(), Purpose::Get, &origins)
    }

    #[test]
    fn only_our_own_pages_in_no_frame_are_believed() {
        let ours = json!({"type": "webauthn.get", "challenge": "x", "origin": "https://mfa.example.com", "crossOrigin": false});
        assert_eq!(check(ours.clone()), Ok(()));
        let with = |name: &str, value: serde_json::Value| {
            let mut data = ours.clone();
            data[name] = value;
            check(data)
        };
        for origin in [
            "https://mfa.example.com:8443",
            "http://mfa.example.com",
            "https://evil.mfa.example.com",
            "https://mfa.example.com.evil",
            "https://badmfa.example.com",
            "https://evil@mfa.example.com",
            "https://mfa.example.com/evil",
            "https://MFA.example.com",
            "https://mfa.example.com/",
            "null",
            "",
        ] {
            assert_eq!(
                with("origin", json!(origin)),
                Err(Misfit::Origin),
                "{origin}"
            );
        }
        assert_eq!(with("type", json!("webauthn.create")), Err(Misfit::Type));
        assert_eq!(with("crossOrigin", json!(true)), Err(Misfit::Embedded));
        assert_eq!(
            with("topOrigin", json!("https://evil.example")),
            Err(Misfit::Embedded)
        );
        assert_eq!(with("origin", json!(4)), Err(Misfit::Unreadable));
        let twice = br#"{"type":"webauthn.get","origin":"https://evil","origin":"https://mfa.example.com"}"#;
        let origins = ["https://mfa.example.com".to_owned()];
        assert_eq!(
            check_client_data(twice, Purpose::Get, &origins),
            Err(Misfit::Unreadable)
        );
        let no_text =
            b"{\"type\":\"webauthn.get\",\"origin\":\"https://mfa.example.com\",\"x\":\"\xff\"}";
        assert_eq!(
            check_client_data(no_text, Purpose::Get, &origins),
            Err(Misfit::Unreadable)
        );
    }

    #[test]
    fn a_counter_must_grow_unless_the_key_has_none() {
        for (stored, sent, fine) in [
            (0, 0, true),
            (0, 1, true),
            (5, 6, true),
            (5, 5, false),
            (5, 4, false),
            (5, 0, false),
        ] {
            assert_eq!(counter_advances(stored, sent), fine, "{stored} {sent}");
        }
    }

    #[test]
    fn an_answer_names_the_credential_that_gave_it() {
        let check = |kind, id, raw_id: &[u8]| check_name(kind, id, raw_id, b"key");
        assert_eq!(check("public-key", "a2V5", b"key"), Ok(()));
        for (kind, id, raw_id) in [
            ("password", "a2V5", b"key"),
            ("public-key", "a2V4", b"key"),
            ("public-key", "", b"key"),
            ("public-key", "a2V5", b"kez"),
        ] {
            assert_eq!(check(kind, id, raw_id), Err(Misfit::Name), "{kind} {id}");
        }
    }

    #[test]
    fn a_foreign_handle_and_an_endless_or_empty_id_are_refused() {
        assert_eq!(check_user_handle(None, b"alice"), Ok(()));
        assert_eq!(check_user_handle(Some(b""), b"alice"), Ok(()));
        assert_eq!(check_user_handle(Some(b"alice"), b"alice"), Ok(()));
        assert_eq!(
            check_user_handle(Some(b"bob"), b"alice"),
            Err(Misfit::UserHandle)
        );
        assert_eq!(check_id(&[]), Err(Misfit::NoId));
        assert_eq!(check_id(&[0]), Ok(()));
        assert_eq!(check_id(&[0; LONGEST_ID]), Ok(()));
        assert_eq!(check_id(&[0; LONGEST_ID + 1]), Err(Misfit::LongId));
    }
}
