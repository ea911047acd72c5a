use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::base::{ChallengeId, PersonKey, Timestamp};
use crate::store::{Key, Record};

use super::rule::{Decision, Reason};

/// One sign-in that a service asked about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Challenge {
    /// The id of the service that opened it.
    pub service: String,
    /// The tenants that the service is confined to.
    #[serde(default)]
    pub tenants: Vec<String>,
    pub person: PersonKey,
    /// Who vouches for the person.
    pub issuer: String,
    /// Their `sub` there; not known of a name that nobody here goes by.
    pub subject: Option<String>,
    pub reason: Reason,
    /// What the service had checked, in the words of RFC 8176.
    pub first: Vec<String>,
    pub context: Context,
    pub decision: Decision,
    /// How the person could answer when it was opened.
    pub methods: Vec<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub misses: u32,
    pub state: State,
    /// Where the person is brought back to, if they answer on our page.
    pub prompt: Option<Return>,
}

/// What the service said of the sign-in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Context {
    /// The person's address.
    pub ip: Option<IpAddr>,
    /// Their browser.
    pub user_agent: Option<String>,
    /// What they sign in to.
    pub app: Option<String>,
}

/// The way back from our page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Return {
    /// One of those registered for the service.
    pub url: String,
    /// The service's own word, brought back as it was given.
    pub state: Option<String>,
    /// Whether the service can keep a remembered browser's token.
    pub may_remember: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum State {
    /// It takes answers, until it expires.
    Open,
    /// It had its right answer.
    Passed(Outcome),
    /// It had too many wrong ones.
    Failed,
    /// The person gave up.
    Cancelled,
}

/// A right answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub method: String,
    pub amr: Vec<String>,
    pub acr: String,
    pub at: Timestamp,
    pub backup_codes_remaining: Option<usize>,
    /// The token of a browser that was remembered with it: the service may fetch it once more, like the result.
    pub device_token: Option<String>,
}

impl Record for Challenge {
    type Key = ChallengeId;
    const TABLE: &'static str = "challenge";
}

/// Finds a user's challenges, those of one login service together.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Live {
    pub created_at: Timestamp,
}

impl Record for Live {
    type Key = (PersonKey, AtService);
    const TABLE: &'static str = "challenge by service";
}

/// A challenge of a login service: no other service's challenges stand between those of one.
pub struct AtService {
    pub service: String,
    pub id: ChallengeId,
}

impl AtService {
    /// What the keys of `person`'s challenges at `service` begin with.
    pub fn prefix(person: PersonKey, service: &str) -> Vec<u8> {
        // The id of a service has no zero byte in it, so none is the beginning of another.
        [person.as_bytes(), service.as_bytes(), &[0]].concat()
    }
}

impl Key for AtService {
    fn encode(&self) -> Vec<u8> {
        [self.service.as_bytes(), &[0], self.id.as_bytes()].concat()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (service, id) = bytes.split_last_chunk::<16>()?;
        let service = service.strip_suffix(&[0])?.to_vec();
        Some(AtService {
            service: String::from_utf8(service).ok()?,
            id: ChallengeId::from_bytes(*id),
        })
    }
}

/// Finds a challenge by the hash of its prompt's token.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct PromptToken {
    pub challenge: ChallengeId,
}

impl Record for PromptToken {
    type Key = Vec<u8>;
    const TABLE: &'static str = "challenge by prompt";
}

/// A sign-in that its person will be told of, unless it is finished before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unfinished {
    pub person: PersonKey,
    pub service: String,
    pub app: Option<String>,
    pub ip: Option<IpAddr>,
    pub begun_at: Timestamp,
}

impl Record for Unfinished {
    /// When to tell, in seconds since 1970, and of which challenge.
    type Key = (u64, ChallengeId);
    const TABLE: &'static str = "unfinished";
}

/// When and where a person last finished a sign-in.
#[derive(Clone, Serialize, Deserialize)]
pub struct LastFinished {
    pub at: Timestamp,
    pub service: String,
    pub ip: Option<IpAddr>,
}

impl Record for LastFinished {
    type Key = PersonKey;
    const TABLE: &'static str = "finished";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_of_a_user_stand_under_the_service_and_after_no_other_one() {
        let (person, id) = (PersonKey([1; 16]), ChallengeId::from_bytes([2; 16]));
        let service = "web".to_owned();
        let key = (person, AtService { service, id }).encode();
        // As the upgrade of older stores writes it.
        assert_eq!(key, [&[1; 16][..], b"web", &[0], &[2; 16]].concat());
        assert!(key.starts_with(&AtService::prefix(person, "web")));
        assert!(!key.starts_with(&AtService::prefix(person, "we")));
        let (_, again) = <(PersonKey, AtService)>::decode(&key).unwrap();
        assert!((again.service.as_str(), again.id) == ("web", id));
    }
}
