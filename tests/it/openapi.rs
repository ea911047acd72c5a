//! The OpenAPI document against the text of the reference that it must agree with.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

const SEED: &str = include_str!("openapi/seed.txt");

/// One endpoint of the reference.
#[derive(Debug, Default)]
struct Endpoint {
    method: String,
    path: String,
    title: String,
    description: String,
    parameters: Vec<Row>,
    body: bool,
    responses: BTreeMap<String, String>,
}

/// One schema of the reference.
#[derive(Debug, Default)]
struct Schema {
    name: String,
    description: String,
    fields: Vec<Row>,
}

/// A parameter or field: `place` is empty for fields.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    name: String,
    place: String,
    required: bool,
    kind: String,
}

fn endpoint(line: &str) -> Option<Endpoint> {
    let (method, path) = line.strip_suffix('#')?.split_once(' ')?;
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method);
    (known && path.starts_with('/')).then(|| Endpoint {
        method: method.to_lowercase(),
        path: path.to_owned(),
        ..Endpoint::default()
    })
}

fn endpoints() -> Vec<Endpoint> {
    let mut found: Vec<Endpoint> = Vec::new();
    let mut section = "";
    for line in SEED.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line == "Schemas#" {
            break;
        }
        if let Some(endpoint) = endpoint(line) {
            found.push(endpoint);
            section = "";
            continue;
        }
        let Some(last) = found.last_mut() else {
            continue;
        };
        match (section, line) {
            (_, "Parameters:" | "Request body:" | "Responses:") => section = line,
            ("", title) if last.title.is_empty() => last.title = title.to_owned(),
            ("", text) => last.description.push_str(text),
            ("Parameters:", "Name In Required Type Description") => {}
            ("Parameters:", row) => {
                let words: Vec<&str> = row.splitn(4, ' ').collect();
                let [name, place, required, kind] = words[..] else {
                    panic!("{row}")
                };
                last.parameters.push(Row {
                    name: name.to_owned(),
                    place: place.to_owned(),
                    required: required == "yes",
                    kind: kind.to_owned(),
                });
            }
            ("Request body:", text) => last.body = text == "Required.",
            ("Responses:", "Status Body") => {}
            ("Responses:", row) => {
                let (status, body) = row.split_once(' ').unwrap();
                last.responses.insert(status.to_owned(), body.to_owned());
            }
            _ => panic!("{section} {line}"),
        }
    }
    found
}

fn schemas() -> Vec<Schema> {
    let (_, text) = SEED.split_once("Schemas#").unwrap();
    let mut found: Vec<Schema> = Vec::new();
    let mut in_fields = false;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_suffix('#') {
            found.push(Schema {
                name: name.to_owned(),
                ..Schema::default()
            });
            in_fields = false;
        } else if line == "Field Type Required Description" {
            in_fields = true;
        } else if let (Some(last), true) = (found.last_mut(), in_fields) {
            let (name, rest) = line.split_once(' ').unwrap();
            let (kind, required) = rest.rsplit_once(' ').unwrap();
            last.fields.push(Row {
                name: name.to_owned(),
                place: String::new(),
                required: required == "yes",
                kind: kind.to_owned(),
            });
        } else if let Some(last) = found.last_mut() {
            line.clone_into(&mut last.description);
        }
    }
    found
}

/// A schema in the words of the reference: `array of string | integer`.
fn in_words(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return name.rsplit_once('/').unwrap().1.to_owned();
    }
    if let Some(variants) = schema["anyOf"].as_array() {
        let words: Vec<String> = variants.iter().map(in_words).collect();
        return words.join(" | ");
    }
    match schema["type"].as_str() {
        Some("array") => format!("array of {}", in_words(&schema["items"])),
        Some(kind) => kind.to_owned(),
        None => panic!("{schema}"),
    }
}

fn document() -> Value {
    serde_json::to_value(mfad::http::document()).unwrap()
}

/// The schema that a `$ref` names, or the schema itself.
fn resolve<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(name) => document.pointer(name.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

fn text<'d>(value: &'d Value, name: &str) -> &'d str {
    value[name].as_str().unwrap_or("")
}

#[test]
fn the_reference_is_read_whole() {
    assert!(SEED.contains("11 endpoints"));
    assert_eq!(endpoints().len(), 11);
    assert_eq!(schemas().len(), 8);
    let bodies = endpoints().iter().filter(|endpoint| endpoint.body).count();
    assert_eq!(bodies, SEED.matches("Request body:").count());
}

#[test]
fn every_endpoint_is_as_the_reference_says() {
    let document = document();
    assert!(text(&document, "openapi").starts_with("3.1."));
    for endpoint in endpoints() {
        let name = format!("{} {}", endpoint.method, endpoint.path);
        let operation = &document["paths"][&endpoint.path][&endpoint.method];
        assert!(operation.is_object(), "{name} is missing");
        assert_eq!(operation["summary"], endpoint.title, "{name}");
        assert!(
            text(operation, "description").contains(&endpoint.description),
            "{name}: {}",
            operation["description"]
        );

        let of = |parameter: &Value| Row {
            name: text(parameter, "name").to_owned(),
            place: text(parameter, "in").to_owned(),
            required: parameter["required"] == true,
            kind: in_words(&parameter["schema"]),
        };
        let parameters = operation["parameters"].as_array().unwrap();
        let parameters: BTreeSet<Row> = parameters.iter().map(of).collect();
        let wanted: BTreeSet<Row> = endpoint.parameters.into_iter().collect();
        let missing: Vec<_> = wanted.difference(&parameters).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
        // What we add must not break a client that was written against the reference.
        let added = parameters.difference(&wanted);
        let demanded: Vec<_> = added.filter(|row| row.required).collect();
        assert!(demanded.is_empty(), "{name}: {demanded:?}");

        let body = &operation["requestBody"];
        assert_eq!(body["required"] == true, endpoint.body, "{name}: {body}");
        if endpoint.body {
            assert!(body["content"]["application/json"].is_object(), "{name}");
        }

        for (status, words) in endpoint.responses {
            let content = &operation["responses"][&status]["content"]["application/json"];
            let schema = &content["schema"];
            let found = match words.strip_prefix("application/json → ") {
                Some(_) => in_words(resolve(&document, schema)),
                None => in_words(schema),
            };
            let wanted = words.replace("application/json", "");
            assert_eq!(found, wanted.trim_start_matches(" → "), "{name}: {status}");
        }
    }
}

#[test]
fn every_schema_of_the_reference_is_there_with_its_fields() {
    let document = document();
    for wanted in schemas() {
        let name = &wanted.name;
        let schema = &document["components"]["schemas"][name];
        assert_eq!(schema["type"], "object", "{name}");
        assert!(
            text(schema, "description").contains(&wanted.description),
            "{name}: {schema}"
        );
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let properties = schema["properties"].as_object().unwrap();
        for field in wanted.fields {
            let found = Row {
                kind: in_words(&properties[&field.name]),
                required: required.contains(&json!(field.name)),
                name: field.name.clone(),
                place: String::new(),
            };
            assert_eq!(found, field, "{name}");
        }
    }
}

/// What we add must not break a client that was written against the reference.
#[test]
fn nothing_beyond_the_reference_is_demanded() {
    let document = document();
    for wanted in schemas() {
        let schema = &document["components"]["schemas"][&wanted.name];
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let known: Vec<Value> = wanted.fields.iter().map(|f| json!(f.name)).collect();
        for name in required {
            assert!(known.contains(&name), "{}: {name}", wanted.name);
        }
    }
    for endpoint in endpoints() {
        let operation = &document["paths"][&endpoint.path][&endpoint.method];
        if !endpoint.body {
            assert_ne!(
                operation["requestBody"]["required"], true,
                "{}",
                endpoint.path
            );
        }
    }
}

#[test]
fn no_two_operations_share_a_name() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = text(operation, "operationId");
            assert!(
                !name.is_empty() && names.insert(name),
                "{method} {path}: {name}"
            );
        }
    }
}
