//! What a policy says, and what follows from it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::words::{EMAIL, EmailUse, KINDS, Key, Misfit, Rule, STAND_IN};
use crate::base::Timestamp;

/// The most days of a grace and of trust.
const MOST_DAYS: u64 = 365;
/// The most rules that say of whom a factor is required.
const MOST_RULES: usize = 64;
/// Seconds of a day.
pub const DAY: u64 = 86_400;

/// Who must have what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Kinds that may be set up, in the order of [`KINDS`], each once.
    allowed: Vec<&'static str>,
    /// Of whom a second factor is required: of whoever one of these fits.
    required: Vec<Rule>,
    /// What codes by mail are good for.
    pub email: EmailUse,
    /// Days for which somebody without the factor that is required of them may go on, from when they were first asked; 0 to 365.
    pub grace_days: u64,
    /// Days for which a browser is trusted, 0 to 365; 0 where none is.
    pub trusted_device_days: u64,
    sources: [Source; Key::ALL.len()],
}

/// Which layer a part of a policy comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Nobody said otherwise.
    #[default]
    Default,
    /// A flag, a variable or the file.
    Setting,
    /// `mfad policy set`.
    Stored,
}

impl Source {
    /// `default`, `setting` or `stored`.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Default => "default",
            Source::Setting => "setting",
            Source::Stored => "stored",
        }
    }
}

/// Everything may be set up, nothing is required.
impl Default for Policy {
    fn default() -> Self {
        Policy {
            allowed: KINDS.to_vec(),
            required: Vec::new(),
            email: EmailUse::On,
            grace_days: 0,
            trusted_device_days: 30,
            sources: Default::default(),
        }
    }
}

/// Whom a question is about, as far as rules look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// The tenants that they are of.
    pub tenants: &'a [&'a str],
    /// The scopes of their token.
    pub scopes: &'a [String],
    /// The service that they sign in to; `None` on the settings page.
    pub service: Option<&'a str>,
}

impl Policy {
    /// Whether a second factor is required of whoever is asked about.
    pub fn requires(&self, asked: &Asked<'_>) -> bool {
        self.required.iter().any(|rule| match rule {
            Rule::All => true,
            Rule::Tenant(id) => asked.tenants.contains(&id.as_str()),
            Rule::Scope(name) => asked.scopes.contains(name),
            Rule::Service(id) => asked.service == Some(id.as_str()),
        })
    }

    /// Whether a factor of this kind may be set up. Backup codes always may.
    pub fn allows(&self, kind: &str) -> bool {
        match kind {
            STAND_IN => true,
            EMAIL if self.email == EmailUse::Off => false,
            kind => self.allowed.contains(&kind),
        }
    }

    /// Whether a factor of this kind is one that is asked for: it alone answers a sign-in, and satisfies
    /// who requires one. Backup codes are not; they stand in for one that is.
    pub fn counts(&self, kind: &str) -> bool {
        let proves_alone = match kind {
            STAND_IN => false,
            EMAIL => self.email == EmailUse::On,
            _ => true,
        };
        proves_alone && self.allows(kind)
    }

    /// The kinds that count.
    pub fn counting(&self) -> Vec<&'static str> {
        KINDS.into_iter().filter(|kind| self.counts(kind)).collect()
    }

    /// When the grace of somebody ends who was first asked for a factor at `asked_since`; `None` where it is over.
    pub fn grace_of(&self, asked_since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let end = asked_since.plus(self.grace_days.saturating_mul(DAY));
        (now < end).then_some(end)
    }

    /// The part of that name, in the words that set it.
    pub fn words(&self, key: Key) -> Vec<String> {
        match key {
            Key::AllowFactor => self.allowed.iter().map(|kind| (*kind).to_owned()).collect(),
            Key::RequireMfa => self.required.iter().map(Rule::to_string).collect(),
            Key::EmailFactor => vec![self.email.as_str().to_owned()],
            Key::GraceDays => vec![self.grace_days.to_string()],
            Key::TrustedDeviceDays => vec![self.trusted_device_days.to_string()],
        }
    }

    /// Which layer the part of that name comes from.
    pub fn source(&self, key: Key) -> Source {
        self.sources
            .get(key as usize)
            .copied()
            .unwrap_or(Source::Default)
    }

    /// All parts, in the order of the settings.
    pub fn parts(&self) -> Vec<Part> {
        let part = |key| Part {
            key,
            words: self.words(key),
            source: self.source(key),
        };
        Key::ALL.map(part).to_vec()
    }

    /// Sets one part. Several words are a list where the part is one.
    ///
    /// # Errors
    /// What is wrong with the words; nothing has changed.
    pub fn set(&mut self, key: Key, words: &[String], source: Source) -> Result<(), Misfit> {
        match key {
            Key::AllowFactor => self.allowed = kinds(words)?,
            Key::RequireMfa => self.required = rules(words)?,
            Key::EmailFactor => self.email = one(key, words)?.parse()?,
            Key::GraceDays => self.grace_days = days(one(key, words)?)?,
            Key::TrustedDeviceDays => self.trusted_device_days = days(one(key, words)?)?,
        }
        if let Some(place) = self.sources.get_mut(key as usize) {
            *place = source;
        }
        Ok(())
    }

    /// Whether the parts make sense together.
    ///
    /// # Errors
    /// Where no kind is left that could be the factor that is asked for.
    pub fn check(&self) -> Result<(), Misfit> {
        match self.counting().is_empty() {
            false => Ok(()),
            true => Err(Misfit::new(
                "no kind of factor is left that answers a sign-in",
                "allow totp or webauthn, or let email-factor be on",
            )),
        }
    }
}

/// In the words of the settings, a line each with its source.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts()
            .iter()
            .try_for_each(|part| writeln!(f, "{part}"))
    }
}

/// One part of a policy, to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which.
    pub key: Key,
    /// What it is, in the words that set it.
    pub words: Vec<String>,
    /// Which layer it comes from.
    pub source: Source,
}

impl Part {
    /// What it is, as it stands in a file of settings: a list, a text or a number.
    pub fn value(&self) -> Value {
        let text = || self.words.concat();
        match self.key {
            Key::AllowFactor | Key::RequireMfa => Value::from(self.words.clone()),
            Key::EmailFactor => Value::from(text()),
            Key::GraceDays | Key::TrustedDeviceDays => {
                text().parse::<u64>().map_or(Value::Null, Value::from)
            }
        }
    }
}

/// As a line of a file of settings, with its source.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, source) = (self.key.name(), self.source.as_str());
        write!(f, "{key} = {}   # from: {source}", self.value())
    }
}

fn kinds(words: &[String]) -> Result<Vec<&'static str>, Misfit> {
    if words == ["all"] {
        return Ok(KINDS.to_vec());
    }
    let named: Vec<&str> = words
        .iter()
        .map(|word| super::words::kind(word))
        .collect::<Result<_, _>>()?;
    if named.is_empty() {
        return Err(Misfit::new(
            "no kind of factor is named",
            format!("use {}, or all", KINDS.join(", ")),
        ));
    }
    Ok(KINDS
        .into_iter()
        .filter(|kind| named.contains(kind))
        .collect())
}

fn rules(words: &[String]) -> Result<Vec<Rule>, Misfit> {
    let mut rules: Vec<Rule> = Vec::new();
    if words == ["none"] {
        return Ok(rules);
    }
    if words.is_empty() {
        return Err(Misfit::new(
            "it is not said of whom",
            "use none to require it of nobody",
        ));
    }
    for word in words {
        let rule = word.parse()?;
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    match rules.len() <= MOST_RULES {
        true => Ok(rules),
        false => Err(Misfit::new(
            format!("there are more than {MOST_RULES} rules"),
            "let one tenant or scope stand for several, or use all",
        )),
    }
}

fn one(key: Key, words: &[String]) -> Result<&str, Misfit> {
    match words {
        [word] => Ok(word),
        _ => Err(Misfit::new(
            format!("{} takes one value", key.name()),
            "name exactly one",
        )),
    }
}

fn days(word: &str) -> Result<u64, Misfit> {
    // The number's own spelling alone: `+5` and `007` are mistakes for something else.
    match word.parse::<u64>() {
        Ok(days) if days <= MOST_DAYS && days.to_string() == word => Ok(days),
        _ => Err(Misfit::new(
            format!("{word:?} is no number of days from 0 to {MOST_DAYS}"),
            "use a whole number, such as 30",
        )),
    }
}

/// Whether `after` would shut out every operator: of each there are the kinds of the factors that they have.
/// Somebody whose factors counted for nothing before loses nothing.
pub fn shuts_out(counted: &[&str], after: &Policy, operators: &[Vec<&str>]) -> bool {
    let mut stood = operators
        .iter()
        .filter(|kinds| kinds.iter().any(|kind| counted.contains(kind)))
        .peekable();
    stood.peek().is_some() && stood.all(|kinds| !kinds.iter().any(|kind| after.counts(kind)))
}
