//! What login services send, read.

use std::net::IpAddr;

use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};

use crate::base::{Secret, display_text};
use crate::factor::{Answer, AssertionResponse};
use crate::wire::{Fields, FromBody};

use super::answering::How;
use super::record::Context;
use super::rule::{METHODS, Reason};
use super::whom::Named;

/// Characters of a name.
const LONGEST_NAME: usize = 255;

/// Words of `amr`, and scopes.
const MOST_WORDS: usize = 64;

/// Characters of one of them.
const LONGEST_WORD: usize = 128;

/// Characters of what is shown of a sign-in.
const LONGEST_CONTEXT: usize = 256;

/// Bytes of the service's own word.
const LONGEST_STATE: usize = 1024;

/// A person, by their subject or by a login name.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what OpenRequest::from_body reads")]
pub struct ChallengeRequest {
    /// The person's `sub` at their issuer. Either this or `username`.
    #[schema(required = false, nullable, min_length = 1, max_length = 255)]
    subject: Option<String>,
    /// The name that the service knows the person by: `preferred_username`, or `email` where it is registered so.
    #[schema(required = false, nullable, min_length = 1, max_length = 255)]
    username: Option<String>,
    /// Whose person, where more than one issuer is believed.
    #[schema(required = false, nullable)]
    issuer: Option<String>,
    /// `login` (where absent) or `step_up`.
    #[schema(required = false, schema_with = reason)]
    reason: Option<Reason>,
    /// What the service has checked already, in the words of RFC 8176: `["pwd"]`.
    #[schema(required = false, schema_with = words)]
    amr: Vec<String>,
    /// What the sign-in is to allow, for policies that ask for a factor by scope.
    #[schema(required = false, schema_with = words)]
    scope: Vec<String>,
    /// Where the person is: shown in mails and in their history.
    #[schema(required = false, nullable)]
    context: Option<ContextRequest>,
    /// What an earlier verification gave for this browser.
    #[schema(required = false, nullable)]
    device_token: Option<String>,
    /// Where the hosted page brings the person back to: one that is registered for the service.
    #[schema(required = false, nullable)]
    return_url: Option<String>,
    /// The service's own word, brought back to `return_url`: at most 1,024 bytes.
    #[schema(required = false, nullable)]
    state: Option<String>,
    /// Whether the hosted page may offer to remember the browser.
    #[schema(required = false, nullable)]
    remember: Option<bool>,
}

/// Where the person is.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what OpenRequest::from_body reads")]
struct ContextRequest {
    /// Their IP address.
    #[schema(required = false, nullable)]
    ip: Option<String>,
    /// Their browser.
    #[schema(required = false, nullable)]
    user_agent: Option<String>,
    /// What they sign in to.
    #[schema(required = false, nullable)]
    app: Option<String>,
}

fn reason() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some([Some("login"), Some("step_up"), None]))
        .build()
}

fn words() -> utoipa::openapi::schema::Array {
    ArrayBuilder::new()
        .items(ObjectBuilder::new().schema_type(Type::String))
        .build()
}

/// What a service asks, read.
pub struct OpenRequest {
    pub named: Named,
    pub issuer: Option<String>,
    pub reason: Reason,
    pub amr: Vec<String>,
    pub scope: Vec<String>,
    pub context: Context,
    pub device_token: Option<Secret<String>>,
    pub return_url: Option<String>,
    pub state: Option<String>,
    pub remember: bool,
}

impl FromBody for OpenRequest {
    const ONCE: bool = true;

    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        let named = named(fields);
        let issuer = fields.optional_string("issuer");
        let reason = match fields.optional_string("reason").as_deref() {
            None | Some("login") => Some(Reason::Login),
            Some("step_up") => Some(Reason::StepUp),
            Some(_) => fields.misfit("reason", "enum", "Input should be 'login' or 'step_up'"),
        };
        let (amr, scope) = (bounded_words(fields, "amr"), bounded_words(fields, "scope"));
        let [ip, user_agent, app] =
            fields.optional_strings_of("context", ["ip", "user_agent", "app"]);
        let ip = match ip.map(|ip| ip.parse::<IpAddr>()) {
            None => None,
            Some(Ok(ip)) => Some(ip.to_canonical()),
            Some(Err(_)) => {
                let msg = "Input should have an IPv4 or IPv6 address as its ip";
                fields.misfit("context", "ip_any_address", msg)
            }
        };
        let shown = |text: Option<String>| text.and_then(|t| display_text(&t, LONGEST_CONTEXT));
        let device_token = fields.optional_string("device_token").map(Secret::new);
        let return_url = fields.optional_string("return_url");
        let state = fields.optional_string("state");
        if state
            .as_ref()
            .is_some_and(|state| state.len() > LONGEST_STATE)
        {
            let msg = "String should have at most 1024 characters";
            fields.misfit::<()>("state", "string_too_long", msg);
        }
        let remember = fields.optional_bool("remember") == Some(true);
        Some(OpenRequest {
            named: named?,
            issuer,
            reason: reason?,
            amr,
            scope,
            context: Context {
                ip,
                user_agent: shown(user_agent),
                app: shown(app),
            },
            device_token,
            return_url,
            state,
            remember,
        })
    }
}

/// The fields that say who is meant.
const NAMES: [&str; 3] = ["subject", "username", "user"];

/// Who is meant: `subject`, `username` or, as some send it, `user`. Exactly one.
pub fn named(fields: &mut Fields<'_>) -> Option<Named> {
    let given: Vec<&'static str> = NAMES.into_iter().filter(|name| fields.has(name)).collect();
    let name = match given.as_slice() {
        [] => return fields.misfit("subject", "missing", "Field required"),
        [name] => *name,
        [_, second, ..] => {
            let msg = "Send one of subject and username";
            return fields.misfit(second, "value_error", msg);
        }
    };
    let text = fields.string(name)?;
    if text.is_empty() {
        let msg = "String should have at least 1 character";
        return fields.misfit(name, "string_too_short", msg);
    }
    if text.chars().count() > LONGEST_NAME {
        let msg = "String should have at most 255 characters";
        return fields.misfit(name, "string_too_long", msg);
    }
    Some(match name {
        "subject" => Named::Subject(text),
        "username" => Named::Username(text),
        _ => Named::AsRegistered(text),
    })
}

fn bounded_words(fields: &mut Fields<'_>, name: &'static str) -> Vec<String> {
    let words = fields.optional_words(name);
    let fits = |word: &String| {
        !word.is_empty() && word.len() <= LONGEST_WORD && word.bytes().all(|b| b.is_ascii_graphic())
    };
    if words.len() > MOST_WORDS || !words.iter().all(fits) {
        let msg = "Input should be at most 64 words of 1 to 128 ASCII characters";
        fields.misfit::<()>(name, "value_error", msg);
    }
    words
}

/// Who is meant, if that is said: the inner `None` if it is not.
fn optional_named(fields: &mut Fields<'_>) -> Option<Option<Named>> {
    match NAMES.iter().any(|name| fields.has(name)) {
        true => named(fields).map(Some),
        false => Some(None),
    }
}

/// An answer: a code, or what the browser made of the assertion. With the name of the person who is to be let in, it is
/// taken only if the challenge is about them.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what AnswerRequest::from_body reads")]
pub struct VerifyRequest {
    /// `totp`, `email`, `webauthn` or `backup_code`.
    #[schema(schema_with = method)]
    method: String,
    /// With all methods but `webauthn`.
    #[schema(required = false, nullable)]
    code: Option<String>,
    /// With `webauthn`: `AuthenticationResponseJSON`.
    #[schema(required = false, value_type = Option<Object>)]
    credential: Option<Value>,
    /// Whether the browser is to be remembered, where policy allows that.
    #[schema(required = false, nullable)]
    remember: Option<bool>,
    /// The `sub` of the person who is to be let in. One of `subject`, `username` and `user`, or none of them: if the
    /// challenge is about somebody else, the answer is 404 and costs no try.
    #[schema(required = false, nullable, min_length = 1, max_length = 255)]
    subject: Option<String>,
    /// The same by the name that the service knows the person by.
    #[schema(required = false, nullable, min_length = 1, max_length = 255)]
    username: Option<String>,
    /// The same by whatever the service is registered to send.
    #[schema(required = false, nullable, min_length = 1, max_length = 255)]
    user: Option<String>,
    /// Whose person that is; where absent, of the issuer that the challenge is about.
    #[schema(required = false, nullable)]
    issuer: Option<String>,
}

/// The schema of a method.
pub fn method() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(METHODS))
        .build()
}

/// An answer, read.
pub struct AnswerRequest {
    pub how: How,
    pub remember: bool,
}

impl FromBody for AnswerRequest {
    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        let method = fields.string("method").and_then(|method| {
            let known = METHODS.into_iter().find(|known| *known == method);
            known.or_else(|| {
                let msg = "Input should be 'totp', 'email', 'webauthn' or 'backup_code'";
                fields.misfit("method", "enum", msg)
            })
        });
        let remember = fields.optional_bool("remember") == Some(true);
        let how = match method {
            Some("webauthn") => {
                let credential = fields.object::<AssertionResponse>("credential");
                credential.map(|credential| How::Key(Box::new(credential)))
            }
            Some(kind) => fields.string("code").map(|code| How::Code {
                kind,
                code: Answer::read(&code),
            }),
            None => None,
        };
        Some(AnswerRequest {
            how: how?,
            remember,
        })
    }
}

/// An answer of a login service, read.
pub struct ServiceAnswer {
    pub answer: AnswerRequest,
    /// The person who is to be let in, if the service says so.
    pub named: Option<Named>,
    pub issuer: Option<String>,
}

impl FromBody for ServiceAnswer {
    const ONCE: bool = true;

    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        let (answer, named) = (AnswerRequest::from_body(fields), optional_named(fields));
        let issuer = fields.optional_string("issuer");
        Some(ServiceAnswer {
            answer: answer?,
            named: named?,
            issuer,
        })
    }
}
