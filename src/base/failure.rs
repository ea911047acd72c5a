//! Why something was not done: one shape from the rule to the wire.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// What sort of failure: a closed set, which `http` maps to status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The request cannot be read as HTTP that we speak.
    BadRequest,
    /// A well-formed proof that is not right.
    BadProof,
    /// Nobody, or nobody that can be believed, is asking.
    Unauthenticated,
    /// Somebody known asks for what is not theirs to ask.
    Forbidden,
    /// There is no such thing, or it is somebody else's.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The request did not arrive in time.
    Timeout,
    /// Not possible in this state.
    Conflict,
    /// More bytes than we read.
    TooLarge,
    /// A longer head than we read.
    HeadTooLarge,
    /// A body of a kind that we do not read.
    UnsupportedMedia,
    /// The request does not fit its schema; carries [`Violation`]s.
    Invalid,
    /// Too often, or too often wrong; carries a time to wait.
    TooMany,
    /// Something that we depend on does not answer; carries a time to wait.
    Unavailable,
    /// Our own fault.
    Internal,
}

/// A stable word for programs, its kind, and a title for people. Each room
/// defines those that it answers with and lists them in its `CODES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// As it stands in the problem's `code`.
    pub name: &'static str,
    /// Decides the status.
    pub kind: Kind,
    /// A short, fixed summary (RFC 9457 section 3.1.3).
    pub title: &'static str,
}

/// The codes that belong to no room.
pub mod codes {
    use super::{Code, Kind};

    /// No such path, thing or person.
    pub const NOT_FOUND: Code = Code {
        name: "not_found",
        kind: Kind::NotFound,
        title: "Not found",
    };
    /// Storage, SMTP, the issuer or the kernel does not answer.
    pub const UNAVAILABLE: Code = Code {
        name: "unavailable",
        kind: Kind::Unavailable,
        title: "Temporarily unavailable",
    };
    /// A fault of this server, written to its log.
    pub const INTERNAL: Code = Code {
        name: "internal",
        kind: Kind::Internal,
        title: "Internal error",
    };
    /// The body or a parameter does not fit the schema.
    pub const INVALID: Code = Code {
        name: "invalid",
        kind: Kind::Invalid,
        title: "The request does not fit its schema",
    };

    /// The request is not HTTP as we speak it.
    pub const BAD_REQUEST: Code = Code {
        name: "bad_request",
        kind: Kind::BadRequest,
        title: "Bad request",
    };

    /// Too many requests within a while.
    pub const RATE_LIMITED: Code = Code {
        name: "rate_limited",
        kind: Kind::TooMany,
        title: "Too often",
    };

    /// All of the above.
    pub const CODES: &[Code] = &[
        NOT_FOUND,
        UNAVAILABLE,
        INTERNAL,
        INVALID,
        BAD_REQUEST,
        RATE_LIMITED,
    ];
}

/// One way in which a request does not fit its schema, in FastAPI's words.
/// Never holds the submitted value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Violation {
    /// Where: `["body", "code"]`.
    pub loc: Vec<Value>,
    /// What is wrong, for people.
    pub msg: Cow<'static, str>,
    /// What is wrong, for programs, as Pydantic 2 names it.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// Why something was not done.
///
/// `detail` is for the client and holds no secret; the source is for the log
/// and never leaves the machine.
pub struct Failure(Box<Inner>);

struct Inner {
    code: Code,
    detail: Cow<'static, str>,
    retry_after: Option<u64>,
    members: Vec<(&'static str, Value)>,
    violations: Vec<Violation>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure with its sentence for the person.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Failure(Box::new(Inner {
            code,
            detail: detail.into(),
            retry_after: None,
            members: Vec::new(),
            violations: Vec::new(),
            source: None,
        }))
    }

    /// `not_found`, in the same words for what is not there and what is somebody else's.
    pub fn not_found() -> Self {
        Failure::new(codes::NOT_FOUND, "There is nothing here under that name.")
    }

    /// A fault of ours; `source` goes to the log.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Failure::new(
            codes::INTERNAL,
            "Something went wrong on this server. Its log says more.",
        )
        .because(source)
    }

    /// The request does not fit its schema.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let mut failure = Failure::new(codes::INVALID, "The request does not fit its schema.");
        failure.0.violations = violations;
        failure
    }

    /// Adds the cause, for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds how many seconds to wait; at least 1.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds.max(1));
        self
    }

    /// Adds a member of the problem document beyond the standard ones.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.members.push((name, value.into()));
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The sentence for the client.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Seconds to wait, where waiting helps.
    pub fn wait(&self) -> Option<u64> {
        self.0.retry_after
    }

    /// Further members of the problem document.
    pub fn members(&self) -> &[(&'static str, Value)] {
        &self.0.members
    }

    /// What does not fit the schema; empty but for [`Kind::Invalid`].
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// The cause, for the log alone.
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }
}

/// Code, sentence and causes: for the log.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.name, self.0.detail)?;
        let mut cause: Option<&dyn Error> = self.0.source.as_deref().map(|e| e as &dyn Error);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|e| e as &(dyn Error + 'static))
    }
}
