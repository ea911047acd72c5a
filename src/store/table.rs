//! Typed rows: how keys and records become bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::base::{
    ChallengeId, DeviceId, Failure, MessageId, PersonKey, Timestamp, TrustedDeviceId,
};

/// A key of a table. Its bytes sort as the keys do.
pub trait Key: Sized {
    /// The bytes.
    fn encode(&self) -> Vec<u8>;
    /// The key again; `None` where the bytes are no such key.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// One kind of row.
///
/// A record that changes its shape raises `VERSION` and reads what older
/// versions wrote in `upgrade`; a file that holds a newer record than this
/// program knows is refused when it is opened, by the format number in the
/// file, which is raised with every `VERSION`.
pub trait Record: Serialize + DeserializeOwned {
    /// What the rows are found by.
    type Key: Key;
    /// The table's name; never changes, since values are sealed to it.
    const TABLE: &'static str;
    /// The shape of the record, from 1.
    const VERSION: u8 = 1;
    /// Reads the JSON that an older `version` wrote.
    fn upgrade(_version: u8, _json: &[u8]) -> Option<Self> {
        None
    }
}

/// An opened row: version byte, expiry, JSON.
pub(super) type Row = Zeroizing<Vec<u8>>;

/// Expiry of rows that stay until somebody removes them.
pub(super) const NEVER: u64 = u64::MAX;

pub(super) fn encode_row<R: Record>(
    record: &R,
    expires: Option<Timestamp>,
) -> Result<Row, Failure> {
    let mut row = Zeroizing::new(Vec::with_capacity(256));
    row.push(R::VERSION);
    row.extend(expires.map_or(NEVER, Timestamp::unix).to_be_bytes());
    serde_json::to_writer(&mut *row, record).map_err(Failure::internal)?;
    Ok(row)
}

pub(super) fn decode_row<R: Record>(row: &[u8]) -> Result<R, Failure> {
    let unreadable = |why: String| {
        Failure::internal(format!("a row of table {} cannot be read: {why}", R::TABLE))
    };
    let (version, rest) = row
        .split_first()
        .ok_or_else(|| unreadable("it is empty".to_owned()))?;
    let json = rest
        .get(8..)
        .ok_or_else(|| unreadable("it is cut short".to_owned()))?;
    if *version == R::VERSION {
        // The error would quote the value, so only its place is told.
        return serde_json::from_slice(json)
            .map_err(|e| unreadable(format!("{:?} error at byte {}", e.classify(), e.column())));
    }
    R::upgrade(*version, json)
        .ok_or_else(|| unreadable(format!("its version {version} is not known")))
}

pub(super) fn expiry_of(row: &[u8]) -> Option<u64> {
    let (bytes, _) = row.get(1..)?.split_first_chunk::<8>()?;
    Some(u64::from_be_bytes(*bytes))
}

impl Key for u64 {
    fn encode(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    }
}

impl Key for Vec<u8> {
    fn encode(&self) -> Vec<u8> {
        self.clone()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }
}

impl Key for String {
    fn encode(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        String::from_utf8(bytes.to_vec()).ok()
    }
}

/// In the order of the number: when something is due, say.
impl<B: Key> Key for (u64, B) {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.0.encode();
        bytes.extend(self.1.encode());
        bytes
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        Some((u64::from_be_bytes(*number), B::decode(rest)?))
    }
}

impl Key for PersonKey {
    fn encode(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(PersonKey(bytes.try_into().ok()?))
    }
}

macro_rules! id_keys {
    ($($id:ty),*) => {$(
        impl Key for $id {
            fn encode(&self) -> Vec<u8> {
                self.as_bytes().to_vec()
            }
            fn decode(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}

id_keys!(DeviceId, ChallengeId, MessageId, TrustedDeviceId);

/// A person's rows stand together, in the order of the second part.
impl<B: Key> Key for (PersonKey, B) {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.0.encode();
        bytes.extend(self.1.encode());
        bytes
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (person, rest) = bytes.split_first_chunk::<16>()?;
        Some((PersonKey(*person), B::decode(rest)?))
    }
}
