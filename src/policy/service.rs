use super::record::{Asked, AskedUnmet, Counted, ONLY, Overrides};
use super::rule::{Policy, Source};
use super::words::{KINDS, Key, Misfit};
use crate::base::{Code, Failure, Kind, PersonKey, Timestamp};
use crate::store::{Read, Tx};

/// The words say no policy.
pub const POLICY_MISFIT: Code = Code {
    name: "policy_misfit",
    kind: Kind::Conflict,
    title: "This is no policy",
};
/// Every operator who has a factor would be left with none that counts.
pub const OPERATORS_SHUT_OUT: Code = Code {
    name: "operators_shut_out",
    kind: Kind::Conflict,
    title: "Every operator would be shut out",
};
/// Users whom the server has not met, and whose grace is kept at most.
pub const MOST_UNMET: u64 = 10_000;
/// Seconds that the beginning of their grace is kept: 400 days, so that it does not begin again.
const UNMET_KEPT: u64 = 400 * 86_400;

/// The codes of this room. They answer orders on the machine itself, and no request.
pub const CODES: &[Code] = &[POLICY_MISFIT, OPERATORS_SHUT_OUT];

/// The policy that holds: that of the settings, and over it what was stored.
///
/// # Errors
/// Those of the store; `internal` where what was stored is no policy.
pub fn in_effect(read: &dyn Read, settings: &Policy) -> Result<Policy, Failure> {
    let overrides = read.get::<Overrides>(&ONLY)?.unwrap_or_default();
    laid_over(settings, &overrides).map_err(|misfit| {
        Failure::internal(format!("the stored policy cannot be understood: {misfit}"))
    })
}

fn laid_over(settings: &Policy, overrides: &Overrides) -> Result<Policy, Misfit> {
    let mut policy = settings.clone();
    for (key, words) in &overrides.0 {
        policy.set(*key, words, Source::Stored)?;
    }
    Ok(policy)
}

/// The policy that holds, whose parts say where they come from. `Display` writes it like `mfad config`.
///
/// # Errors
/// As [`in_effect`].
pub fn show(read: &dyn Read, settings: &Policy) -> Result<Policy, Failure> {
    in_effect(read, settings)
}

/// Stores `words` for one part, over the settings: it holds at once. `may` has the last word on the policy
/// that would hold then. Gives that policy.
///
/// # Errors
/// `policy_misfit` where the words say nothing or the parts no longer fit together; those of `may`; those
/// of the store. Nothing is stored then.
pub fn set(
    tx: &mut Tx<'_>,
    settings: &Policy,
    key: Key,
    words: &[String],
    may: impl FnOnce(&dyn Read, &Policy) -> Result<(), Failure>,
) -> Result<Policy, Failure> {
    change(tx, settings, may, |overrides| {
        overrides.0.insert(key, words.to_vec());
    })
}

/// Takes back what was stored for one part: the settings hold again.
///
/// # Errors
/// As [`set`].
pub fn unset(
    tx: &mut Tx<'_>,
    settings: &Policy,
    key: Key,
    may: impl FnOnce(&dyn Read, &Policy) -> Result<(), Failure>,
) -> Result<Policy, Failure> {
    change(tx, settings, may, |overrides| {
        overrides.0.remove(&key);
    })
}

fn change(
    tx: &mut Tx<'_>,
    settings: &Policy,
    may: impl FnOnce(&dyn Read, &Policy) -> Result<(), Failure>,
    make: impl FnOnce(&mut Overrides),
) -> Result<Policy, Failure> {
    let mut overrides = tx.get::<Overrides>(&ONLY)?.unwrap_or_default();
    make(&mut overrides);
    let policy = laid_over(settings, &overrides)
        .and_then(|policy| policy.check().map(|()| policy))
        .map_err(|misfit| {
            let detail = format!("{}.", capital(&misfit.cause));
            Failure::new(POLICY_MISFIT, detail).with("hint", misfit.hint)
        })?;
    may(tx, &policy)?;
    tx.put(&ONLY, &overrides)?;
    tx.put(&ONLY, &Counted::under(&policy))?;
    Ok(policy)
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// The kinds that counted under the policy that last held here; all of them in a new store.
///
/// # Errors
/// Those of the store.
pub fn counted(read: &dyn Read) -> Result<Vec<String>, Failure> {
    Ok(match read.get::<Counted>(&ONLY)? {
        Some(Counted(kinds)) => kinds,
        None => KINDS.map(str::to_owned).to_vec(),
    })
}

/// Notes which kinds count under the policy that holds from now on. Costs a write only where it is another.
///
/// # Errors
/// Those of the store.
pub fn hold(tx: &mut Tx<'_>, settings: &Policy) -> Result<(), Failure> {
    let now = Counted::under(&in_effect(tx, settings)?);
    if tx.get::<Counted>(&ONLY)?.as_ref() != Some(&now) {
        tx.put(&ONLY, &now)?;
    }
    Ok(())
}

impl Counted {
    fn under(policy: &Policy) -> Self {
        Counted(policy.counting().into_iter().map(str::to_owned).collect())
    }
}

/// Asks a person for the factor that they do not have: notes the first time, and gives the end of their grace
/// while it runs. `None` where there is none, or it is over: they are to set up a factor now.
///
/// Of users whom the server has not met (`is_met`) there are at most 10,000 who have a grace.
///
/// # Errors
/// Those of the store.
pub fn grace_until(
    tx: &mut Tx<'_>,
    person: PersonKey,
    is_met: bool,
    policy: &Policy,
    now: Timestamp,
) -> Result<Option<Timestamp>, Failure> {
    if policy.grace_days == 0 {
        return Ok(None);
    }
    // A moment that the clock has not reached is from before it stepped back, and must not make the grace longer.
    let since = match asked_since(tx, person)?.filter(|since| *since <= now) {
        Some(since) => since,
        None if is_met => {
            tx.put(&person, &Asked { since: now })?;
            now
        }
        None if tx.count::<AskedUnmet>()? < MOST_UNMET => {
            let until = now.plus(UNMET_KEPT);
            tx.put_until(&person, &AskedUnmet { since: now }, until)?;
            now
        }
        None => return Ok(None),
    };
    Ok(policy.grace_of(since, now))
}

fn asked_since(read: &dyn Read, person: PersonKey) -> Result<Option<Timestamp>, Failure> {
    if let Some(asked) = read.get::<Asked>(&person)? {
        return Ok(Some(asked.since));
    }
    let asked = read.get::<AskedUnmet>(&person)?;
    Ok(asked.map(|asked| asked.since))
}

/// The end of the grace that runs for a person; `None` where none runs, also where they have not been asked yet.
///
/// # Errors
/// Those of the store.
pub fn grace(
    read: &dyn Read,
    person: PersonKey,
    policy: &Policy,
    now: Timestamp,
) -> Result<Option<Timestamp>, Failure> {
    let since = asked_since(read, person)?;
    Ok(since.and_then(|since| policy.grace_of(since.min(now), now)))
}
