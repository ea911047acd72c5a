use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::base::{Failure, Secret};
use crate::store::Record;

use super::rule::Life;

/// A signing key, found by its `kid`. The row is sealed, so the private half is a field of it.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredKey {
    /// PKCS#8 in DER, as Base64.
    pkcs8: String,
    pub life: Life,
}

impl StoredKey {
    pub fn new(pkcs8: &Secret<Vec<u8>>, life: Life) -> Self {
        StoredKey {
            pkcs8: BASE64_STANDARD.encode(pkcs8.expose()),
            life,
        }
    }

    pub fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        // The error would quote a byte of the key.
        BASE64_STANDARD
            .decode(&self.pkcs8)
            .map(Zeroizing::new)
            .map_err(|_| Failure::internal("a stored signing key is no Base64"))
    }
}

impl Drop for StoredKey {
    fn drop(&mut self) {
        self.pkcs8.zeroize();
    }
}

impl Record for StoredKey {
    type Key = String;
    const TABLE: &'static str = "signing keys";
}
