//! From values to words: the layouts under `assets/mail` put the sentences of the reader's language in order.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Object;
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, HtmlEscape, State, UndefinedBehavior, Value,
};
use rust_embed::RustEmbed;

use super::notice::Content;
use super::values::Values;
use crate::base::{Failure, display_text};
use crate::words::{Language, fill, find, sentences};

/// Columns of a text body (RFC 5322 section 2.1.1 recommends at most 78).
const COLUMNS: usize = 72;
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
    for name in Files::iter() {
        if let Some(file) = Files::get(&name) {
            let source = String::from_utf8_lossy(&file.data).into_owned();
            environment.add_template_owned(name, source)?;
        }
    }
    Ok(environment)
}

/// The sentences of one letter: `say("news")` in a layout.
#[derive(Debug)]
struct Sentences {
    language: Language,
    letter: &'static str,
    layout: &'static str,
    values: Values,
}

impl Sentences {
    /// The sentence `name`: the letter's own, else that of all of its layout, else that of all letters.
    fn say(&self, name: &str) -> Result<String, String> {
        let places = [
            format!("mail.{}.{name}", self.letter),
            format!("mail.{}.{name}", self.layout),
            format!("mail.{name}"),
        ];
        let known = sentences(self.language);
        let key = places.iter().find(|key| known.contains_key(*key));
        let key = key.ok_or_else(|| format!("{} says no {name}", self.letter))?;
        let mut missing = None;
        let said = fill(find(self.language, key, self.values.count), |value| {
            let value = self.values.named.get(value).or_else(|| {
                missing = Some(value.to_owned());
                None
            });
            value.map(String::as_str)
        });
        match missing {
            None => Ok(said),
            Some(value) => Err(format!("{key} asks for {value}, which is not given")),
        }
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

impl Object for Sentences {
    /// Says the sentence of that name; in HTML with all of it escaped, since values are in it.
    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let misuse = |why: String| Error::new(ErrorKind::InvalidOperation, why);
        let name = args.first().and_then(Value::as_str);
        let name = name.ok_or_else(|| misuse("say what?".to_owned()))?;
        let said = self.say(name).map_err(misuse)?;
        Ok(Value::from_safe_string(match state.auto_escape() {
            AutoEscape::None => said,
            _ => HtmlEscape(&said).to_string(),
        }))
    }
}

/// Puts letters into words.
#[derive(Clone, Copy, Debug)]
pub struct Template;

impl Template {
    /// Puts `content` into the words of `language`.
    ///
    /// # Errors
    /// `internal` where there are no such sentences, or one asks for a value that is not given.
    pub fn of<C: Content>(content: &C, language: Language) -> Result<Rendered, Failure> {
        let environment = ENVIRONMENT
            .as_ref()
            .map_err(|e| Failure::internal(e.clone()))?;
        let say = Arc::new(Sentences {
            language,
            letter: C::NAME,
            layout: C::LAYOUT,
            values: content.values(language),
        });
        let subject = say.say("subject").map_err(Failure::internal)?;
        let subject = display_text(&subject, LONGEST_SUBJECT)
            .ok_or_else(|| Failure::internal(format!("the letter {} has no subject", C::NAME)))?;
        let named = say.values.named.iter();
        let mut values: BTreeMap<&str, Value> = named
            .map(|(name, value)| (*name, Value::from(value.as_str())))
            .collect();
        values.insert("language", Value::from(language.tag()));
        values.insert("news", content.news().iter().copied().collect());
        let lines = say.values.lines.iter().map(String::as_str);
        values.insert("lines", lines.collect());
        values.insert("say", Value::from_dyn_object(say));
        let render = |kind: &str| {
            environment
                .get_template(&format!("{}.{kind}", C::LAYOUT))
                .and_then(|template| template.render(&values))
                .map_err(Failure::internal)
        };
        Ok(Rendered {
            subject,
            text: flow(&render("txt")?),
            html: render("html")?,
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
