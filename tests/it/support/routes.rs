//! The routes, as the server's own document lists them.

use axum::http::Method;
use serde_json::{Value, json};

pub struct Route {
    pub method: Method,
    /// With parameters in braces.
    pub path: String,
    pub fields: Vec<Field>,
    /// Whether there must be a body.
    pub needs_body: bool,
    /// Whether a form will do as well as JSON.
    pub takes_forms: bool,
}

/// A member of the body.
pub struct Field {
    pub name: String,
    /// Its JSON type.
    pub kind: String,
    /// Whether it must be there.
    pub required: bool,
    /// What it may be, where the document lists that.
    pub choices: Vec<Value>,
}

impl Field {
    /// A value that fits, around `text` where there is room for it.
    pub fn good(&self, text: &str) -> Value {
        match (self.choices.first(), self.kind.as_str()) {
            (Some(choice), _) => choice.clone(),
            (None, "string") => json!(text),
            (None, "boolean") => json!(true),
            (None, "array") => json!([text]),
            (None, "object") => json!({}),
            (None, kind) => panic!("{kind}"),
        }
    }
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

    /// Whether it is refused in a way that says `verified` and `result`, for clients that look at one word alone.
    pub fn verifies(&self) -> bool {
        self.path.starts_with("/api/v1/mfa/") && self.path.ends_with("/verify")
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
            let content = &operation["requestBody"]["content"];
            routes.push(Route {
                method,
                path: path.clone(),
                fields: fields(&document, &content["application/json"]["schema"]),
                needs_body: operation["requestBody"]["required"] == true,
                takes_forms: content["application/x-www-form-urlencoded"].is_object(),
            });
        }
    }
    assert!(routes.len() >= 33, "{}", routes.len());
    routes
}

fn fields(document: &Value, schema: &Value) -> Vec<Field> {
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
            Field {
                name: name.clone(),
                // An object that may be null.
                kind: kind.unwrap_or("object").to_owned(),
                required: required.contains(&Value::from(name.as_str())),
                choices: property["enum"].as_array().cloned().unwrap_or_default(),
            }
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
