//! What can be ordered, and what is answered.

use serde::{Deserialize, Serialize};

use crate::audit::Operation;
use crate::base::{Failure, Kind, PersonKey, Secret, Timestamp};
use crate::clients::{Registered, Service, Unknown};
use crate::crypto::{DataKey, KeyId};
use crate::people::Survey;
use crate::policy;
use crate::signing::PublishedKey;

use super::user::{UserIdentity, UserReset, UserView};

/// Something to be done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Register a login service: [`Answer::Key`].
    ServiceAdd(Service),
    /// Say what an unknown user is to a login service: [`Answer::Done`].
    ServiceSet {
        /// Which.
        id: String,
        /// What.
        unknown: Unknown,
    },
    /// End what reserves a name that somebody gave up: [`Answer::Released`].
    ReleaseName {
        /// The name, however it is spelled.
        name: String,
        /// At which issuer; at all where none is named.
        issuer: Option<String>,
    },
    /// Look through the users: [`Answer::Survey`].
    Survey,
    /// Tell of the services beyond a name: [`Answer::Services`].
    ServiceList {
        /// The last one that is known already.
        past: Option<String>,
    },
    /// Give a service another key: [`Answer::Key`].
    ServiceRotate {
        /// Which.
        id: String,
        /// Seconds that its old key stays good.
        overlap: u64,
    },
    /// Strike a service off: [`Answer::Done`].
    ServiceRemove {
        /// Which.
        id: String,
    },
    /// Tell the policy that holds: [`Answer::Policy`].
    PolicyShow,
    /// Store one part of the policy over the settings: [`Answer::Policy`].
    PolicySet {
        /// Which.
        key: policy::Key,
        /// What it is to be.
        words: Vec<String>,
    },
    /// Tell of the keys that sign results: [`Answer::SigningKeys`].
    SigningKeyList,
    /// Make a new key that signs results: [`Answer::SigningKeys`].
    SigningKeyRotate,
    /// Tell of the keys that seal the store: [`Answer::DataKeys`].
    DataKeyList,
    /// Make a new key that seals the store: [`Answer::DataKeys`].
    DataKeyRotate,
    /// Keep the master key for the one that shall take its place: [`Answer::Done`].
    MasterKeyHandOver {
        /// The key that is to go, which must be the one that the store is sealed under.
        from: KeyId,
        /// The one that shall take its place.
        to: KeyId,
        /// The key that is to go, sealed for the other one; in Base64.
        handed: String,
    },
    /// Give a copy of the store: [`Answer::Copy`], and the copy behind it.
    Backup,
    /// Tell of the store and its copies: [`Answer::Status`].
    Status,
    /// Believe the clock as it is: [`Answer::Done`].
    ClockAccept,
    /// Tell what was done to the server, the newest first: [`Answer::Operations`].
    Operations {
        /// Lines at the most.
        limit: usize,
    },
    /// Show a user: [`Answer::User`], or [`Answer::Users`] if it is not exactly one.
    UserShow {
        /// Subject, user name, verified email address, or id.
        who: String,
        /// The issuer that the user belongs to; `None` for those that the server knows.
        issuer: Option<String>,
    },
    /// Remove all second factors of a user: [`Answer::UserReset`].
    UserReset {
        /// The user; not a name, which may be another's by now.
        user: PersonKey,
        /// Why.
        reason: String,
    },
    /// Let the settings say one part of the policy again: [`Answer::Policy`].
    PolicyUnset {
        /// Which.
        key: policy::Key,
    },
}

/// What comes of an order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is done.
    Done,
    /// A service's new key, which nobody can tell again.
    Key {
        /// The key.
        #[serde(with = "shown_once")]
        key: Secret<String>,
        /// Until when the earlier one is good, where one is.
        old_until: Option<Timestamp>,
    },
    /// Services in the order of their names.
    Services {
        /// Some of them.
        services: Vec<Registered>,
        /// Whether there are more beyond the last.
        more: bool,
    },
    /// For whom the name was reserved: subjects, each with its issuer.
    Released(Vec<(String, String)>),
    /// What operators should know of the users.
    Survey(Survey),
    /// The policy that holds now, part by part.
    Policy(Vec<policy::Part>),
    /// How the store is.
    Status(Status),
    /// What was done to the server, each line with its number.
    Operations(Vec<(u64, Operation)>),
    /// A user.
    User(Box<UserView>),
    /// The users whom a name fits: none, or more than one; of many, the first.
    Users(Vec<UserIdentity>),
    /// What was removed from a user.
    UserReset(Box<UserReset>),
    /// A copy of the store comes behind this line.
    Copy,
    /// The keys that sign results, the signing one first.
    SigningKeys(Vec<PublishedKey>),
    /// The keys that seal the store.
    DataKeys {
        /// The oldest first; the last one seals.
        keys: Vec<DataKey>,
        /// Rows that were sealed anew since the store was opened.
        resealed: u64,
    },
}

/// How a store is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Names the store, in hexadecimal.
    pub store: String,
    /// One more for each copy that was brought back.
    pub epoch: u64,
    /// When the last copy was made; `None` where there was none yet.
    pub last_copy: Option<Timestamp>,
    /// What is wrong with the clock, in words.
    pub clock: Option<String>,
    /// Why the last copy that was due was not made, in words.
    pub copies: Option<String>,
    /// The master key that the store is sealed under; `None` where the server is of a version that does not say.
    #[serde(default)]
    pub master_key: Option<KeyId>,
    /// Those that may take its place with the next start.
    #[serde(default)]
    pub successors: Vec<KeyId>,
    /// When the letter was written that has waited the longest; `None` where none waits.
    #[serde(default)]
    pub oldest_letter: Option<Timestamp>,
    /// Bytes of the records in users' histories.
    #[serde(default)]
    pub history_bytes: u64,
}

/// Why an order was not carried out, for the person who gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Whose fault it is.
    pub fault: Fault,
    /// What is wrong.
    pub cause: String,
    /// What to do.
    pub hint: String,
}

/// Whose fault it is that an order was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The order cannot be carried out as it is.
    Order,
    /// It may go well later.
    Passing,
    /// The server's, whose log says more.
    Server,
}

impl From<&Failure> for Refusal {
    fn from(failure: &Failure) -> Self {
        let (fault, usual) = match failure.code().kind {
            Kind::Internal => (Fault::Server, "look into the log of the server"),
            Kind::Unavailable | Kind::TooMany | Kind::Timeout => (
                Fault::Passing,
                "try again; if it stays so, look into the log of the server",
            ),
            _ => (Fault::Order, "see mfad --help"),
        };
        let told = failure.members().iter().find(|(name, _)| *name == "hint");
        let hint = told.and_then(|(_, hint)| hint.as_str());
        Refusal {
            fault,
            cause: failure.detail().trim_end_matches('.').to_owned(),
            hint: hint.unwrap_or(usual).to_owned(),
        }
    }
}

/// One line of the server's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    Answer(Answer),
    Refusal(Refusal),
}

/// The one way of a secret over the socket.
mod shown_once {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::base::Secret;

    pub fn serialize<S: Serializer>(key: &Secret<String>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(key.expose())
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Secret<String>, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}
