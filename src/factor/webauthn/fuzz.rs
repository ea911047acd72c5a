//! What browsers and keys say.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use webauthn_rs::prelude::{PublicKeyCredential, RegisterPublicKeyCredential, Url, Uuid};

use super::models;
use super::relying_party::{RelyingParty, SecurityKeys};
use super::rule::{Purpose, check_client_data, check_name};
use crate::base::fuzz::{Target, json_object, stands_twice};

const ORIGIN: &str = "https://mfa.example.com";

fn b64(bytes: &[u8]) -> String {
    data_encoding::BASE64URL_NOPAD.encode(bytes)
}

/// Nothing is accepted that was not made on a page of ours, for this purpose, in no one's frame.
#[test]
fn fuzz_client_data() {
    let values = select(
        &[
            "\"webauthn.create\"",
            "\"webauthn.get\"",
            "\"https://mfa.example.com\"",
            "\"https://mfa.example.com/\"",
            "\"https://evil.example\"",
            "\"https:\\/\\/mfa.example.com\"",
            "true",
            "false",
        ][..],
    );
    let members: &[&str] = &["type", "origin", "crossOrigin", "topOrigin", "challenge"];
    let more = json_object(members, values.prop_map(str::to_owned));
    let generated = more.prop_map(|more| {
        let good = format!(
            "{{\"type\":\"webauthn.create\",\"origin\":{ORIGIN:?},{}",
            &more[1..]
        );
        good.replace(",}", "}").into_bytes()
    });
    let origins = [ORIGIN.to_owned()];
    let target = Target::new("client_data").words(&[
        "\"crossOrigin\":true,",
        "\"topOrigin\":",
        "/",
        ":443",
        "webauthn.get",
    ]);
    target.check(generated, |json| {
        let create = check_client_data(json, Purpose::Create, &origins);
        let get = check_client_data(json, Purpose::Get, &origins);
        assert!(create.is_err() || get.is_err());
        if create.is_err() {
            return false;
        }
        let text = std::str::from_utf8(json).unwrap();
        assert!(!members[..4].iter().any(|name| stands_twice(text, name)));
        // Members that nobody reads may hold numbers and escapes that no value has.
        let Ok(said) = serde_json::from_slice::<Value>(json) else {
            return true;
        };
        assert_eq!(
            (said["type"].as_str(), said["origin"].as_str()),
            (Some("webauthn.create"), Some(ORIGIN))
        );
        assert!(matches!(
            said.get("crossOrigin"),
            None | Some(Value::Null | Value::Bool(false))
        ));
        assert!(said["topOrigin"].is_null());
        true
    });
}

/// A new key is what this very ceremony asked for.
#[test]
fn fuzz_registrations() {
    let party = RelyingParty {
        id: "mfa.example.com".to_owned(),
        origins: vec![Url::parse(ORIGIN).unwrap()],
    };
    let keys = SecurityKeys::new(&party, "Example").unwrap();
    let handle = Uuid::from_u128(7);
    let begun = keys
        .webauthn
        .start_securitykey_registration(handle, "alice", "alice", None, None, None);
    let (options, state) = begun.unwrap();
    let challenge = serde_json::to_value(&options).unwrap()["publicKey"]["challenge"].clone();
    let id = [3; 16];
    let answer = |challenge: &Value| {
        let client_data =
            json!({"type": "webauthn.create", "origin": ORIGIN, "challenge": challenge});
        json!({
            "id": b64(&id), "rawId": b64(&id), "type": "public-key", "extensions": {},
            "response": {
                "attestationObject": b64(&attestation(&id)),
                "clientDataJSON": b64(client_data.to_string().as_bytes()),
                "transports": ["usb"],
            },
        })
        .to_string()
    };
    let other = answer(&json!(b64(&[1; 32])));
    // Without JSON around it, so that changes reach what the key says.
    let target = Target::new("registrations")
        .seed(answer(&challenge))
        .seed(other);
    let target = target.words(&[
        "\"none\"",
        "oWNmbXRkbm9uZQ",
        "_____w",
        "\"usb\"",
        "AAAA",
        "\"rawId\":",
    ]);
    let members: &[&str] = &["id", "rawId", "type", "response", "extensions"];
    let values = select(
        &[
            "\"AQ\"",
            "\"public-key\"",
            "{\"attestationObject\":\"oA\",\"clientDataJSON\":\"e30\"}",
        ][..],
    );
    let generated =
        json_object(members, values.prop_map(str::to_owned)).prop_map(String::into_bytes);
    target.check(generated, |input| {
        let _ = serde_json::from_slice::<PublicKeyCredential>(input);
        let Ok(read) = serde_json::from_slice::<RegisterPublicKeyCredential>(input) else {
            return false;
        };
        let model = models::aaguid(&read.response.attestation_object);
        let Ok(key) = keys.webauthn.finish_securitykey_registration(&read, &state) else {
            return false;
        };
        let said: Value = serde_json::from_slice(&read.response.client_data_json).unwrap();
        assert_eq!(said["challenge"], challenge);
        let named = check_name(&read.type_, &read.id, &read.raw_id, key.cred_id());
        assert!(named.is_err() || read.id == b64(key.cred_id()));
        assert!(model.is_none_or(|model| !model.is_nil()));
        true
    });
}

/// What keys send beside their answers names a model or none, whatever it is, and however deep.
#[test]
fn fuzz_attestations() {
    let generated = proptest::collection::vec(any::<u8>(), 0..40).prop_map(|tail| {
        let mut head = vec![0xa1, 0x68];
        head.extend(b"authData");
        [head, tail].concat()
    });
    let target = Target::new("attestations")
        .words(&["\u{1f}", "hauthData", "X\u{50}"])
        .seed(attestation(&[3; 16]));
    target.check(generated, |object| {
        let Some(aaguid) = models::aaguid(object) else {
            return false;
        };
        let bytes = aaguid.as_bytes();
        assert!(!aaguid.is_nil() && object.windows(16).any(|window| window == bytes));
        let _ = models::name(&aaguid);
        true
    });
}

/// What a key with the credential `id` says of itself, without anybody's word for it.
fn attestation(id: &[u8; 16]) -> Vec<u8> {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
        .unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
    let point = pair.public_key().as_ref();
    let party = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"mfa.example.com");
    let mut data = party.as_ref().to_vec();
    // Somebody is present, and a key follows; no counter; a model.
    data.push(0x41);
    data.extend([0; 4]);
    data.extend([7; 16]);
    data.extend(16u16.to_be_bytes());
    data.extend(id);
    // RFC 9053 section 7.1.1: EC2, ES256, P-256, x and y.
    data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
    data.extend(&point[1..33]);
    data.extend([0x22, 0x58, 0x20]);
    data.extend(&point[33..]);
    let mut object = vec![0xa3, 0x63];
    object.extend(b"fmt");
    object.push(0x64);
    object.extend(b"none");
    object.push(0x67);
    object.extend(b"attStmt");
    object.extend([0xa0, 0x68]);
    object.extend(b"authData");
    object.extend([0x58, u8::try_from(data.len()).unwrap()]);
    object.extend(data);
    object
}
