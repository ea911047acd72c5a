//! A security key in software, written from the WebAuthn specification, whose
//! every answer a test can bend before it is signed.

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_cbor_2::Value as Cbor;
use serde_json::{Value, json};

use super::server::PUBLIC_URL;

/// User present.
pub const UP: u8 = 0x01;
/// User verified.
pub const UV: u8 = 0x04;
/// Backup eligible.
pub const BE: u8 = 0x08;
/// Backed up.
pub const BS: u8 = 0x10;
/// Attested credential data follows.
const AT: u8 = 0x40;

pub struct Authenticator {
    pub pair: EcdsaKeyPair,
    pub credential_id: Vec<u8>,
    pub aaguid: [u8; 16],
    pub counter: u32,
    pub flags: u8,
    pub transports: Vec<&'static str>,
}

/// An answer to a registration, before it is sealed into JSON.
pub struct Registration {
    pub client_data: Value,
    pub credential_id: Vec<u8>,
}

/// An answer to a proof, before it is signed.
pub struct Assertion {
    pub client_data: Value,
    pub flags: u8,
    pub counter: u32,
    pub credential_id: Vec<u8>,
    pub user_handle: Option<Vec<u8>>,
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

impl Authenticator {
    pub fn new() -> Self {
        let mut credential_id = vec![0; 32];
        aws_lc_rs::rand::fill(&mut credential_id).unwrap();
        Authenticator {
            pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            credential_id,
            aaguid: [0; 16],
            counter: 0,
            flags: UP,
            transports: vec!["usb"],
        }
    }

    /// One that was made before: its key (PKCS #8), its name and how often it was used.
    pub fn known(pkcs8: &[u8], credential_id: Vec<u8>, counter: u32) -> Self {
        Authenticator {
            pair: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8).unwrap(),
            credential_id,
            counter,
            ..Authenticator::new()
        }
    }

    /// A synced passkey: backed up, without a counter.
    pub fn passkey() -> Self {
        Authenticator {
            flags: UP | UV | BE | BS,
            transports: vec!["internal", "hybrid"],
            ..Authenticator::new()
        }
    }

    /// The honest answer to `register/begin`.
    pub fn registration(&self, begun: &Value) -> Registration {
        let options = &begun["publicKey"];
        Registration {
            client_data: json!({
                "type": "webauthn.create", "challenge": options["challenge"], "origin": PUBLIC_URL, "crossOrigin": false,
            }),
            credential_id: self.credential_id.clone(),
        }
    }

    /// `RegistrationResponseJSON`.
    pub fn seal_registration(&self, begun: &Value, answer: &Registration) -> Value {
        let mut data = self.authenticator_data(
            begun["publicKey"]["rp"]["id"].as_str().unwrap(),
            self.flags | AT,
            self.counter,
        );
        data.extend(self.aaguid);
        data.extend(
            u16::try_from(answer.credential_id.len())
                .unwrap()
                .to_be_bytes(),
        );
        data.extend(&answer.credential_id);
        data.extend(self.cose_key());
        let attestation = Cbor::Map(
            [
                (Cbor::Text("fmt".into()), Cbor::Text("none".into())),
                (Cbor::Text("attStmt".into()), Cbor::Map(Default::default())),
                (Cbor::Text("authData".into()), Cbor::Bytes(data)),
            ]
            .into(),
        );
        json!({
            "id": b64(&answer.credential_id), "rawId": b64(&answer.credential_id), "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": b64(answer.client_data.to_string().as_bytes()),
                "attestationObject": b64(&serde_cbor_2::to_vec(&attestation).unwrap()),
                "transports": self.transports,
            },
        })
    }

    /// `register/complete`'s body, honest.
    pub fn register(&self, begun: &Value) -> Value {
        let credential = self.seal_registration(begun, &self.registration(begun));
        json!({"device_id": begun["device_id"], "challenge_id": begun["challenge_id"], "credential": credential})
    }

    /// The honest answer to `verify/begin`; the counter moves on.
    pub fn assertion(&mut self, begun: &Value) -> Assertion {
        if self.flags & BS == 0 {
            self.counter += 1;
        }
        let options = &begun["publicKey"];
        Assertion {
            client_data: json!({
                "type": "webauthn.get", "challenge": options["challenge"], "origin": PUBLIC_URL, "crossOrigin": false,
            }),
            flags: self.flags,
            counter: self.counter,
            credential_id: self.credential_id.clone(),
            user_handle: None,
        }
    }

    /// `AuthenticationResponseJSON`, signed.
    pub fn seal_assertion(&self, begun: &Value, answer: &Assertion) -> Value {
        let rp_id = begun["publicKey"]["rpId"].as_str().unwrap();
        let data = self.authenticator_data(rp_id, answer.flags, answer.counter);
        let client_data = answer.client_data.to_string();
        let signed = [data.clone(), sha256(client_data.as_bytes())].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        json!({
            "id": b64(&answer.credential_id), "rawId": b64(&answer.credential_id), "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": b64(client_data.as_bytes()),
                "authenticatorData": b64(&data),
                "signature": b64(signature.as_ref()),
                "userHandle": answer.user_handle.as_deref().map(b64),
            },
        })
    }

    /// `verify/complete`'s body, honest.
    pub fn verify(&mut self, begun: &Value) -> Value {
        let answer = self.assertion(begun);
        json!({"challenge_id": begun["challenge_id"], "credential": self.seal_assertion(begun, &answer)})
    }

    fn authenticator_data(&self, rp_id: &str, flags: u8, counter: u32) -> Vec<u8> {
        let mut data = sha256(rp_id.as_bytes());
        data.push(flags);
        data.extend(counter.to_be_bytes());
        data
    }

    /// ES256 on P-256 (RFC 9053 section 2.1).
    fn cose_key(&self) -> Vec<u8> {
        let point = self.pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let key = Cbor::Map(
            [
                (Cbor::Integer(1), Cbor::Integer(2)),
                (Cbor::Integer(3), Cbor::Integer(-7)),
                (Cbor::Integer(-1), Cbor::Integer(1)),
                (Cbor::Integer(-2), Cbor::Bytes(x.to_vec())),
                (Cbor::Integer(-3), Cbor::Bytes(y.to_vec())),
            ]
            .into(),
        );
        serde_cbor_2::to_vec(&key).unwrap()
    }
}
