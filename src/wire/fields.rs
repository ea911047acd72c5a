//! The members of a body's object, read one by one, so that every misfit is told.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::base::{Failure, Violation};

use super::problem::Refused;

/// A misfit at `path` in the body.
pub(super) fn violation(
    path: &[Value],
    kind: &'static str,
    msg: impl Into<Cow<'static, str>>,
) -> Violation {
    let mut loc = vec![Value::from("body")];
    loc.extend_from_slice(path);
    Violation {
        loc,
        msg: msg.into(),
        kind,
    }
}

/// The refusal of a body for one misfit.
pub(super) fn invalid(violation: Violation) -> Refused {
    Refused(Failure::invalid(vec![violation]))
}

/// The members of the body's object. Those that nobody asks for are ignored.
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    violations: Vec<Violation>,
}

impl<'a> Fields<'a> {
    /// Those of `object`.
    pub(super) fn of(object: &'a Map<String, Value>) -> Self {
        Fields {
            object,
            violations: Vec::new(),
        }
    }

    /// What was read, where all of it fits.
    pub(super) fn all_fit<T>(self, value: Option<T>) -> Result<T, Refused> {
        match value {
            Some(value) if self.violations.is_empty() => Ok(value),
            _ => Err(Refused(Failure::invalid(self.violations))),
        }
    }
}

impl Fields<'_> {
    /// A string that must be there.
    pub fn string(&mut self, name: &'static str) -> Option<String> {
        match self.object.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => self.misfit(name, "string_type", "Input should be a valid string"),
            None => self.misfit(name, "missing", "Field required"),
        }
    }

    /// A string that may be absent or null.
    pub fn optional_string(&mut self, name: &'static str) -> Option<String> {
        match self.object.get(name) {
            None | Some(Value::Null) => None,
            Some(_) => self.string(name),
        }
    }

    /// A flag that may be absent or null.
    pub fn optional_bool(&mut self, name: &'static str) -> Option<bool> {
        match self.object.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => self.misfit(name, "bool_type", "Input should be a valid boolean"),
        }
    }

    /// Words that may be absent or null: in one string, with spaces between, or as a list of strings.
    pub fn optional_words(&mut self, name: &'static str) -> Vec<String> {
        let split = |text: &String| -> Vec<String> {
            text.split_ascii_whitespace().map(str::to_owned).collect()
        };
        match self.object.get(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(text)) => split(text),
            Some(Value::Array(items)) => {
                let words: Option<Vec<String>> = items
                    .iter()
                    .map(|item| item.as_str().map(str::to_owned))
                    .collect();
                words.unwrap_or_else(|| {
                    self.misfit::<()>(name, "list_type", "Input should be a list of strings");
                    Vec::new()
                })
            }
            Some(_) => {
                self.misfit::<()>(name, "list_type", "Input should be a list of strings");
                Vec::new()
            }
        }
    }

    /// An object that may be absent or null, and its strings among those `names`; others are ignored.
    pub fn optional_strings_of<const N: usize>(
        &mut self,
        name: &'static str,
        names: [&'static str; N],
    ) -> [Option<String>; N] {
        let inner = match self.object.get(name) {
            None | Some(Value::Null) => return [const { None }; N],
            Some(Value::Object(inner)) => inner,
            Some(_) => {
                self.misfit::<()>(name, "dict_type", "Input should be a valid dictionary");
                return [const { None }; N];
            }
        };
        names.map(|member| match inner.get(member) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => {
                self.violations.push(violation(
                    &[Value::from(name), Value::from(member)],
                    "string_type",
                    "Input should be a valid string",
                ));
                None
            }
        })
    }

    /// Whether there is a member of that name that is not null.
    pub fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(|value| !value.is_null())
    }

    /// Says that a member does not fit, in a word of Pydantic's and a sentence of ours.
    pub fn misfit<T>(
        &mut self,
        name: &'static str,
        kind: &'static str,
        msg: &'static str,
    ) -> Option<T> {
        self.violations
            .push(violation(&[Value::from(name)], kind, msg));
        None
    }

    /// An object that must be there and be a `T`.
    pub fn object<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        match self.object.get(name) {
            // By way of text: the types of WebAuthn read byte strings from it in more ways.
            Some(value @ Value::Object(_)) => match serde_json::from_str(&value.to_string()) {
                Ok(read) => Some(read),
                Err(_) => self.misfit(
                    name,
                    "value_error",
                    "Input should be an object of the kind that the browser makes",
                ),
            },
            Some(_) => self.misfit(name, "dict_type", "Input should be a valid dictionary"),
            None => self.misfit(name, "missing", "Field required"),
        }
    }
}
