//! `Cargo.lock`, as far as the checks need it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// Absent for what is in this repository.
    pub source: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Lock {
    #[serde(rename = "package")]
    pub packages: Vec<Package>,
}

impl Lock {
    pub fn parse(text: &str) -> Self {
        toml::from_str(text).unwrap()
    }

    /// The lock file of this repository.
    pub fn committed() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
        let lock = Self::parse(&fs::read_to_string(path).unwrap());
        assert!(lock.packages.len() > 100, "Cargo.lock was not understood");
        lock
    }

    /// The packages of others.
    pub fn dependencies(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| package.source.is_some())
    }

    /// The names of the packages of others, each once.
    pub fn names(&self) -> BTreeSet<&str> {
        let names = self.dependencies().map(|package| package.name.as_str());
        names.collect()
    }
}
