//! Stores that earlier programs filled, and what is known of them (`tests/fixtures/README.md`).

use std::fs::{self, DirBuilder};
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use flate2::read::GzDecoder;
use serde_json::Value;

use super::authenticator::Authenticator;
use super::clock::TestClock;
use super::issuer::Issuer;
use super::process::write_secret;
use super::totp::App;

/// One of them.
#[derive(Clone, Debug)]
pub struct Fixture {
    pub name: String,
    /// What is in it, as whoever filled it knows.
    pub facts: Value,
    /// Where its store is by now, and at what moment, in seconds since 1970.
    pub moved: Option<(PathBuf, u64)>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stores")
}

impl Fixture {
    /// All that there are.
    pub fn all() -> Vec<Fixture> {
        let entries = fs::read_dir(folder()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.map(|name| Fixture::of(&name)).collect()
    }

    pub fn of(name: &str) -> Fixture {
        let facts = fs::read(folder().join(name).join("facts.json")).unwrap();
        Fixture {
            name: name.to_owned(),
            facts: serde_json::from_slice(&facts).unwrap(),
            moved: None,
        }
    }

    /// When its program ended, or the moment of where it is by now; in seconds since 1970.
    pub fn moment(&self) -> u64 {
        let ended_at = self.facts["ended_at"].as_u64().unwrap();
        self.moved.as_ref().map_or(ended_at, |(_, at)| *at)
    }

    /// What its master key is sealed with, where it is.
    pub fn passphrase(&self) -> Option<&str> {
        self.facts["passphrase"].as_str()
    }

    /// A file beside the store; `None` where the program made none.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        let path = folder().join(&self.name).join(name);
        path.exists().then_some(path)
    }

    /// Puts everything where a server looks for it.
    pub fn unpack(&self, data: &Path) {
        DirBuilder::new().mode(0o700).create(data).unwrap();
        if let Some((from, _)) = &self.moved {
            for name in ["mfad.redb", "master.key", "mfad.witness"] {
                write_secret(&data.join(name), &fs::read(from.join(name)).unwrap());
            }
            return;
        }
        let packed = fs::File::open(self.file("mfad.redb.gz").unwrap()).unwrap();
        let mut store = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut store).unwrap();
        write_secret(&data.join("mfad.redb"), &store);
        for name in ["master.key", "mfad.witness"] {
            if let Some(path) = self.file(name) {
                write_secret(&data.join(name), &fs::read(path).unwrap());
            }
        }
    }

    /// The issuer that its people come from.
    pub async fn issuer(&self, clock: Arc<TestClock>) -> Issuer {
        let is = &self.facts["issuer"];
        let key = BASE64.decode(is["pkcs8"].as_str().unwrap().as_bytes());
        let name = is["url"].as_str().unwrap().to_owned();
        Issuer::start_as(clock, Some(name), &key.unwrap()).await
    }

    /// Somebody's app.
    pub fn app(&self, person: &str) -> App {
        App::scan(&self.facts[person]["app"])
    }

    /// The security key of Alice.
    pub fn security_key(&self) -> Authenticator {
        let key = &self.facts["alice"]["key"];
        let text = |name: &str| key[name].as_str().unwrap().as_bytes().to_vec();
        let id = BASE64URL_NOPAD.decode(&text("credential_id")).unwrap();
        let counter = key["counter"].as_u64().unwrap();
        let pkcs8 = BASE64.decode(&text("pkcs8")).unwrap();
        Authenticator::known(&pkcs8, id, counter.try_into().unwrap())
    }

    /// The backup codes of Alice: the one that was used, and those that were not.
    pub fn backup_codes(&self) -> (String, Vec<String>) {
        let codes = &self.facts["alice"]["backup_codes"];
        let unspent = serde_json::from_value(codes["unspent"].clone()).unwrap();
        (codes["spent"].as_str().unwrap().to_owned(), unspent)
    }
}
