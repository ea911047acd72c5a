//! What models of keys are called, by their AAGUID.

use std::collections::HashMap;
use std::sync::LazyLock;

use webauthn_rs::prelude::Uuid;

/// Compiled in; a damaged table would name no key, which a test would notice.
static MODELS: LazyLock<HashMap<Uuid, String>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../assets/webauthn/models.json")).unwrap_or_default()
});

/// Where the AAGUID stands in the authenticator data (WebAuthn Level 3 section 6.1):
/// after the RP ID's hash, the flags and the counter.
const AAGUID_AT: std::ops::Range<usize> = 37..53;

/// The AAGUID in an attestation object; `None` where it is all zeroes, as from keys that do not say.
pub fn aaguid(attestation_object: &[u8]) -> Option<Uuid> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Attestation {
        auth_data: serde_cbor_2::Value,
    }
    let attestation: Attestation = serde_cbor_2::from_slice(attestation_object).ok()?;
    let serde_cbor_2::Value::Bytes(data) = attestation.auth_data else {
        return None;
    };
    Uuid::from_slice(data.get(AAGUID_AT)?)
        .ok()
        .filter(|aaguid| !aaguid.is_nil())
}

/// What the model is called.
pub fn name(aaguid: &Uuid) -> Option<&'static str> {
    MODELS.get(aaguid).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_models_have_their_names() {
        assert!(MODELS.len() > 80);
        for (aaguid, model) in [
            ("ee882879-721c-4913-9775-3dfcce97072a", "YubiKey 5"),
            (
                "42b4fb4a-2866-43b2-9bf7-6c6669c2e5d3",
                "Google Titan Security Key v2",
            ),
            ("fbfc3007-154e-4ecc-8c0b-6e020557d7bd", "iCloud Keychain"),
        ] {
            assert_eq!(name(&aaguid.parse().unwrap()), Some(model));
        }
        assert_eq!(name(&Uuid::nil()), None);
    }

    #[test]
    fn what_is_no_attestation_has_no_model() {
        for bytes in [
            &b""[..],
            b"\xff",
            b"\xa0",
            b"\xa1hauthData\x01",
            b"\xa1hauthDataC\x01\x02\x03",
        ] {
            assert_eq!(aaguid(bytes), None);
        }
    }
}
