//! From values to words: the templates under `assets/mail`.

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, Output, State, UndefinedBehavior, Value, escape_formatter};
use rust_embed::RustEmbed;
use serde::Serialize;

use super::notice::Content;
use crate::base::{Failure, display_text};

/// Columns of a text body (RFC 5322 section 2.1.1 recommends at most 78).
const COLUMNS: usize = 72;
/// Characters of one value: a name, an address, a time.
const LONGEST_VALUE: usize = 200;
/// What stands above a signature, space and all, so that mail programs fold it away (RFC 3676 section 4.3).
const SIGNATURE: &str = "-- ";
/// Characters of a subject.
const LONGEST_SUBJECT: usize = 120;

#[derive(RustEmbed)]
#[folder = "assets/mail/"]
struct Files;

static ENVIRONMENT: LazyLock<Result<Environment<'static>, String>> =
    LazyLock::new(|| environment().map_err(|e| format!("{e:#}")));

fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // A tag on a line of its own leaves no trace of that line.
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    environment.set_syntax(syntax);
    environment.set_formatter(write_value);
    for name in Files::iter() {
        if let Some(file) = Files::get(&name) {
            let source = String::from_utf8_lossy(&file.data).into_owned();
            environment.add_template_owned(name, source)?;
        }
    }
    Ok(environment)
}

/// Writes a value as one line without marks that deceive, so that no name can
/// begin a paragraph of its own; in HTML also escaped. What a template itself
/// produced (a parent's block) passes.
fn write_value(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if !value.is_safe() => {
            let line = display_text(text, LONGEST_VALUE).unwrap_or_default();
            escape_formatter(out, state, &Value::from(line))
        }
        _ => escape_formatter(out, state, value),
    }
}

/// A letter's words.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// Text of at most 72 columns, but for longer words.
    pub text: String,
    /// A whole HTML document.
    pub html: String,
}

/// The templates of all letters: a folder each, with `subject.txt`, `body.txt` and `body.html`.
#[derive(Clone, Copy, Debug)]
pub struct Template;

impl Template {
    /// Puts `content` into words.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn of<C: Content>(content: &C) -> Result<Rendered, Failure> {
        Self::render(C::TEMPLATE, content)
    }

    /// Puts `values` into the words of the letter `name`.
    ///
    /// # Errors
    /// `internal` where there is no such letter or it uses a value that is not given.
    pub fn render(name: &str, values: &impl Serialize) -> Result<Rendered, Failure> {
        let environment = ENVIRONMENT
            .as_ref()
            .map_err(|e| Failure::internal(e.clone()))?;
        let values = Value::from(Serde(values));
        let render = |file: &str| {
            environment
                .get_template(&format!("{name}/{file}"))
                .and_then(|template| template.render(&values))
                .map_err(Failure::internal)
        };
        let subject = display_text(&render("subject.txt")?, LONGEST_SUBJECT)
            .ok_or_else(|| Failure::internal(format!("the letter {name} has no subject")))?;
        Ok(Rendered {
            subject,
            text: flow(&render("body.txt")?),
            html: render("body.html")?,
        })
    }
}

/// Breaks paragraphs anew, so that long and short values both leave an even
/// text. Lines that begin with a space, and the one above the signature, stand as they are.
fn flow(text: &str) -> String {
    let mut flowed = String::new();
    // The length of the line that may be continued, 0 for none.
    let mut column = 0;
    for line in text.lines().map(str::trim_end) {
        if line == SIGNATURE.trim_end() {
            if column > 0 {
                flowed.push('\n');
                column = 0;
            }
            flowed.push_str(SIGNATURE);
            flowed.push('\n');
            continue;
        }
        if line.is_empty() || line.starts_with(' ') {
            if column > 0 {
                flowed.push('\n');
                column = 0;
            }
            if !(line.is_empty() && (flowed.is_empty() || flowed.ends_with("\n\n"))) {
                flowed.push_str(line);
                flowed.push('\n');
            }
            continue;
        }
        for word in line.split(' ').filter(|word| !word.is_empty()) {
            let length = word.chars().count();
            if column > 0 && column + 1 + length > COLUMNS {
                flowed.push('\n');
                column = 0;
            } else if column > 0 {
                flowed.push(' ');
                column += 1;
            }
            flowed.push_str(word);
            column += length;
        }
    }
    let end = flowed.trim_end().len();
    flowed.truncate(end);
    flowed.push('\n');
    flowed
}

#[cfg(test)]
mod tests;
