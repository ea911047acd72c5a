//! The routes, as the server's own document lists them.

use axum::http::Method;
use serde_json::Value;

pub struct Route {
    pub method: Method,
    /// With parameters in braces.
    pub path: String,
    /// Of the body: name, JSON type, whether it must be there.
    pub fields: Vec<(String, String, bool)>,
}

impl Route {
    /// `POST /api/v1/me/mfa/totp/enable`
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// With `id` for every parameter.
    pub fn path_with(&self, id: &str) -> String {
        let parts = self.path.split('/').map(|part| match part.chars().next() {
            Some('{') => id,
            _ => part,
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// Whether the body may be left out.
    pub fn needs_body(&self) -> bool {
        self.fields.iter().any(|(_, _, required)| *required)
    }

    /// Whether a body is read at all.
    pub fn reads_body(&self) -> bool {
        let asks = matches!(self.method, Method::POST | Method::PATCH | Method::PUT);
        asks || !self.fields.is_empty()
    }
}

/// Every route of the document.
pub fn routes() -> Vec<Route> {
    let document: Value = serde_json::from_str(&mfad::http::document_json().unwrap()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else {
                continue;
            };
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            routes.push(Route {
                method,
                path: path.clone(),
                fields: fields(&document, schema),
            });
        }
    }
    assert!(routes.len() >= 19, "{}", routes.len());
    routes
}

fn fields(document: &Value, schema: &Value) -> Vec<(String, String, bool)> {
    let Some(name) = find_ref(schema) else {
        return Vec::new();
    };
    let schema = &document["components"]["schemas"][name];
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let properties = schema["properties"].as_object().unwrap();
    properties
        .iter()
        .map(|(name, property)| {
            let kind = match &property["type"] {
                Value::Array(kinds) => kinds[0].as_str(),
                kind => kind.as_str(),
            };
            (
                name.clone(),
                // An object that may be null.
                kind.unwrap_or("object").to_owned(),
                required.contains(&Value::from(name.as_str())),
            )
        })
        .collect()
}

/// The schema's name, where it stands alone or beside null.
fn find_ref(schema: &Value) -> Option<&str> {
    match schema {
        Value::Object(members) => match members.get("$ref") {
            Some(reference) => reference.as_str()?.rsplit('/').next(),
            None => members.values().find_map(find_ref),
        },
        Value::Array(items) => items.iter().find_map(find_ref),
        _ => None,
    }
}
