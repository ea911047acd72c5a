//! Request bodies: JSON, bounded, and every misfit reported at once in the
//! words of FastAPI and Pydantic 2. What was submitted is never echoed.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::base::{Failure, codes};

use super::LONGEST_BODY;
use super::fields::{Fields, invalid, violation};
use super::problem::{Refused, TIMEOUT, TOO_LARGE, UNSUPPORTED_MEDIA};

/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// A request body, read.
pub struct Body<T>(pub T);

/// What a request body is read into.
pub trait FromBody: Sized {
    /// Whether a request may come without a body.
    const OPTIONAL: bool = false;

    /// Whether it is for scripts: a form (`application/x-www-form-urlencoded`) will do as well.
    const FORM: bool = false;

    /// Whether a name that stands twice is refused. Who pastes what was typed into a body unescaped would otherwise
    /// let a code of `1&user=mallory` name another user.
    const ONCE: bool = Self::FORM;

    /// Takes what it needs out of `fields`, which remembers what does not fit.
    /// `None` where something needed is missing.
    fn from_body(fields: &mut Fields<'_>) -> Option<Self>;
}

/// A code, as many requests bring one.
#[derive(Debug)]
pub struct CodeRequest {
    /// A code from the authenticator app, a mailed code, a backup code, or a proof made by a security key.
    pub code: String,
}

impl FromBody for CodeRequest {
    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        Some(CodeRequest {
            code: fields.string("code")?,
        })
    }
}

/// A request that may bring a code.
#[derive(Debug, ToSchema)]
pub struct OptionalCode {
    /// A code from the authenticator app, a mailed code, a backup code, or a proof made by a security key. Needed if the user has a factor, unless the token shows a sign-in with a second factor in the last 12 hours, or the session of the settings page a proof in the last 10 minutes.
    #[schema(required = false, nullable)]
    pub code: Option<String>,
}

impl FromBody for OptionalCode {
    const OPTIONAL: bool = true;

    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        Some(OptionalCode {
            code: fields.optional_string("code"),
        })
    }
}

/// Requests that need no body take none, null, or any object.
pub struct Nothing;

impl FromBody for Nothing {
    const OPTIONAL: bool = true;

    fn from_body(_: &mut Fields<'_>) -> Option<Self> {
        Some(Nothing)
    }
}

/// Names schemas of the OpenAPI document that are all read as a [`CodeRequest`].
macro_rules! code_requests {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(utoipa::ToSchema)]
        #[expect(dead_code, reason = "describes a body that CodeRequest reads")]
        struct $name {
            /// A code from the authenticator app, a mailed code, a backup code, or a proof made by a security key.
            code: String,
        }
    )*};
}
pub(crate) use code_requests;

impl<S: Send + Sync, T: FromBody> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        let content_type = request.headers().get(CONTENT_TYPE);
        let is_json = content_type.map(|value| is_json(value.as_bytes()));
        let is_form = T::FORM && content_type.is_some_and(|value| is_form(value.as_bytes()));
        let bytes = read(request).await?;
        if is_form {
            return from_fields(&form(&bytes).map_err(twice)?).map(Body);
        }
        if bytes.is_empty() && (T::OPTIONAL || is_json != Some(false)) {
            return match T::from_body(&mut Fields::of(&Map::new())) {
                Some(value) if T::OPTIONAL => Ok(Body(value)),
                _ => Err(invalid(violation(&[], "missing", "Field required"))),
            };
        }
        if is_json != Some(true) {
            let detail = "Send the body as JSON, with the header Content-Type: application/json.";
            return Err(Refused(Failure::new(UNSUPPORTED_MEDIA, detail)));
        }
        parse(&bytes).map(Body)
    }
}

fn parse<T: FromBody>(bytes: &[u8]) -> Result<T, Refused> {
    if T::ONCE
        && let Ok(Members(Err(name))) = serde_json::from_slice(bytes)
    {
        return Err(twice(name));
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        let at = byte_offset(bytes, error.line(), error.column());
        invalid(violation(
            &[Value::from(at)],
            "json_invalid",
            "JSON decode error",
        ))
    })?;
    let object = match value {
        Value::Object(object) => object,
        Value::Null if T::OPTIONAL => Map::new(),
        _ => {
            let msg = "Input should be a valid dictionary or object to extract fields from";
            return Err(invalid(violation(&[], "model_attributes_type", msg)));
        }
    };
    from_fields(&object)
}

fn from_fields<T: FromBody>(object: &Map<String, Value>) -> Result<T, Refused> {
    let mut fields = Fields::of(object);
    let value = T::from_body(&mut fields);
    fields.all_fit(value)
}

/// The fields of a form, all strings; or the name that stands twice.
fn form(bytes: &[u8]) -> Result<Map<String, Value>, Twice> {
    let mut fields = Map::new();
    for (name, value) in url::form_urlencoded::parse(bytes) {
        let value = Value::String(value.into_owned());
        if fields.insert(name.clone().into_owned(), value).is_some() {
            return Err(Twice);
        }
    }
    Ok(fields)
}

/// A name stands twice in a body.
struct Twice;

fn twice(_: Twice) -> Refused {
    invalid(violation(&[], "value_error", "A field stands twice"))
}

/// Whether each member of a JSON object has a name of its own.
struct Members(Result<(), Twice>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members, A::Error> {
                let mut names = BTreeSet::new();
                let mut members = Members(Ok(()));
                while let Some((name, IgnoredAny)) = object.next_entry::<String, IgnoredAny>()? {
                    if !names.insert(name) {
                        members = Members(Err(Twice));
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

async fn read(request: Request) -> Result<Bytes, Refused> {
    let collected = tokio::time::timeout(
        BODY_DEADLINE,
        Limited::new(request.into_body(), LONGEST_BODY).collect(),
    )
    .await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(e)) if e.is::<LengthLimitError>() => Err(Refused(Failure::new(
            TOO_LARGE,
            "The body is longer than 64 KiB.",
        ))),
        Ok(Err(e)) => Err(Refused(
            Failure::new(codes::BAD_REQUEST, "The body did not arrive whole.").because(e),
        )),
        Err(_) => Err(Refused(Failure::new(
            TIMEOUT,
            "The body took longer than 10 seconds to arrive.",
        ))),
    }
}

/// The media type without its parameters, in lower case.
fn essence(content_type: &[u8]) -> Vec<u8> {
    let essence = content_type.split(|byte| *byte == b';').next();
    essence
        .unwrap_or_default()
        .trim_ascii()
        .to_ascii_lowercase()
}

fn is_form(content_type: &[u8]) -> bool {
    essence(content_type) == b"application/x-www-form-urlencoded"
}

/// `application/json`, or a suffix of it.
fn is_json(content_type: &[u8]) -> bool {
    let essence = essence(content_type);
    essence == b"application/json"
        || (essence.starts_with(b"application/") && essence.ends_with(b"+json"))
}

fn byte_offset(bytes: &[u8], line: usize, column: usize) -> usize {
    let before: usize = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .take(line.saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    before + column.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug)]
    struct Two;

    impl FromBody for Two {
        fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
            let (a, b) = (fields.string("a"), fields.object::<Map<String, Value>>("b"));
            fields.optional_string("c");
            a.and(b).map(|_| Two)
        }
    }

    #[test]
    fn null_is_no_body() {
        assert!(parse::<Nothing>(b"null").is_ok());
        assert!(parse::<Nothing>(b"[]").is_err());
    }

    fn detail(body: &[u8]) -> Value {
        json!(parse::<Two>(body).unwrap_err().0.violations())
    }

    #[test]
    fn every_misfit_is_told_at_once_in_pydantics_words_and_nothing_is_echoed() {
        assert!(parse::<Two>(br#"{"a":"x","b":{},"c":null,"d":[1]}"#).is_ok());
        assert_eq!(
            detail(br#"{"a":4711,"c":["canary"]}"#),
            json!([
                {"loc": ["body", "a"], "msg": "Input should be a valid string", "type": "string_type"},
                {"loc": ["body", "b"], "msg": "Field required", "type": "missing"},
                {"loc": ["body", "c"], "msg": "Input should be a valid string", "type": "string_type"},
            ])
        );
        for (body, kind) in [
            (&b"[]"[..], "model_attributes_type"),
            (b"null", "model_attributes_type"),
            (b"{\"a\":\"x\"", "json_invalid"),
            (b"\xff", "json_invalid"),
            (b"\xef\xbb\xbf{}", "json_invalid"),
            (br#"{"a":"\ud800","b":{}}"#, "json_invalid"),
            (b"{\"a\":NaN}", "json_invalid"),
        ] {
            assert_eq!(
                detail(body)[0]["type"],
                kind,
                "{}",
                String::from_utf8_lossy(body)
            );
        }
        let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(detail(deep.as_bytes())[0]["type"], "json_invalid");
        assert_eq!(detail(b"{\n  \"a\": x}")[0]["loc"], json!(["body", 9]));
    }

    #[test]
    fn only_json_is_json() {
        for yes in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/problem+json",
        ] {
            assert!(is_json(yes.as_bytes()), "{yes}");
        }
        for no in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "text/json",
            "application/jsonx",
            "",
        ] {
            assert!(!is_json(no.as_bytes()), "{no}");
        }
    }
}
