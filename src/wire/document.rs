//! What the OpenAPI document says of requests and refusals in general.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder, Schema};
use utoipa::{IntoParams, IntoResponses, PartialSchema, ToSchema};

/// The header of every request that needs a caller. Optional in the schema, so
/// that its absence is a 401 and not a 422.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a parameter that the caller types read")]
pub struct AuthorizationHeader {
    /// `Bearer` and an access token.
    #[param(required = false, schema_with = string_or_null)]
    authorization: Option<String>,
}

/// The header that brings a code where a body would get lost.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a parameter that CodeHeader reads")]
pub struct CodeHeaderParam {
    /// What `code` in the body would be, for clients that send no body with DELETE. If both are there, they must be the same.
    #[param(rename = "x-mfad-code", required = false, schema_with = string_or_null)]
    x_mfad_code: Option<String>,
}

/// The headers by which a login service proves itself: either of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes parameters that the caller types read")]
pub struct ServiceHeaders {
    /// `Bearer` and a client-credentials token or a service key, or `Basic` with the service's id and key.
    #[param(required = false, schema_with = string_or_null)]
    authorization: Option<String>,
    /// A service key, instead.
    #[param(rename = "x-api-key", required = false, schema_with = string_or_null)]
    x_api_key: Option<String>,
}

fn string_or_null() -> Schema {
    let variants = AnyOfBuilder::new()
        .item(ObjectBuilder::new().schema_type(Type::String))
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .build();
    Schema::AnyOf(variants)
}

/// A refusal (RFC 9457).
#[derive(Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` is the stable word.
    #[serde(rename = "type")]
    pub kind: String,
    /// A short, fixed summary.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A plain sentence for a person.
    pub detail: String,
    /// A stable word for programs.
    pub code: String,
    /// Seconds to wait, where waiting helps.
    #[schema(required = false, nullable = false)]
    pub retry_after: Option<u64>,
}

/// `ValidationError`, as FastAPI describes it.
pub struct ValidationError;

/// `HTTPValidationError`, as FastAPI describes it.
pub struct HttpValidationError;

impl PartialSchema for ValidationError {
    fn schema() -> RefOr<Schema> {
        let string = || ObjectBuilder::new().schema_type(Type::String);
        let part = AnyOfBuilder::new()
            .item(string())
            .item(ObjectBuilder::new().schema_type(Type::Integer));
        ObjectBuilder::new()
            .title(Some("ValidationError"))
            .property(
                "loc",
                ArrayBuilder::new().title(Some("Location")).items(part),
            )
            .property("msg", string().title(Some("Message")))
            .property("type", string().title(Some("Error Type")))
            .required("loc")
            .required("msg")
            .required("type")
            .into()
    }
}

impl ToSchema for ValidationError {
    fn name() -> std::borrow::Cow<'static, str> {
        "ValidationError".into()
    }
}

impl PartialSchema for HttpValidationError {
    fn schema() -> RefOr<Schema> {
        let items = Ref::from_schema_name("ValidationError");
        ObjectBuilder::new()
            .title(Some("HTTPValidationError"))
            .property(
                "detail",
                ArrayBuilder::new().title(Some("Detail")).items(items),
            )
            .into()
    }
}

impl ToSchema for HttpValidationError {
    fn name() -> std::borrow::Cow<'static, str> {
        "HTTPValidationError".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push(("ValidationError".to_owned(), ValidationError::schema()));
    }
}

fn refusal(description: &str, media: &str, schema: &str) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .build();
    ResponseBuilder::new()
        .description(description)
        .content(media, content)
        .build()
}

fn refusals(table: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let mut responses: BTreeMap<_, _> = table
        .iter()
        .map(|(status, text)| {
            (
                (*status).to_owned(),
                RefOr::T(refusal(text, "application/problem+json", "Problem")),
            )
        })
        .collect();
    let misfit = refusal(
        "The request does not fit its schema",
        "application/json",
        "HTTPValidationError",
    );
    responses.insert("422".to_owned(), RefOr::T(misfit));
    responses
}

/// How reading can be refused.
pub struct ReadRefusals;

impl IntoResponses for ReadRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&[
            ("401", "No token, or one that does not verify"),
            ("403", "Not for this caller"),
            ("408", "The request took too long"),
            ("503", "Storage or issuer does not answer"),
        ])
    }
}

/// How a change can be refused.
pub struct ChangeRefusals;

impl IntoResponses for ChangeRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut responses = ReadRefusals::responses();
        responses.extend(refusals(&[
            ("400", "A proof that is not right"),
            ("404", "No such thing, or somebody else's"),
            ("409", "Not possible in this state"),
            ("413", "The body is larger than 64 KiB"),
            ("415", "The body is not JSON"),
            ("429", "Too often, or too often wrong"),
            ("503", "Storage, mail or issuer does not answer"),
        ]));
        responses
    }
}
