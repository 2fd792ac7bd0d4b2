//! The words of `hold` and `resume`: what is held, for how long, and why.

use super::Verb;
use crate::engine::config::{duration, nearest};
use jiff::{Timestamp, civil, tz::TimeZone};

/// Splits a hold's words at `until`, which must come before the reason: third word at the latest.
pub(super) fn hold(words: &[&str]) -> Result<Verb, String> {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let Some(at) = words.iter().take(3).position(|word| word.eq_ignore_ascii_case("until")) else {
        return Ok(Verb::Hold { words: owned(words), until: None, reason: None });
    };
    match &words[at + 1..] {
        [] => Err("expected a time after \"until\", found nothing".into()),
        [when, reason @ ..] => Ok(Verb::Hold {
            words: owned(&words[..at]),
            until: Some((*when).to_owned()),
            reason: (!reason.is_empty()).then(|| reason.join(" ")),
        }),
    }
}

/// What a hold's words name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// `None`: every component.
    pub component: Option<String>,
    /// `None`: every environment.
    pub environment: Option<String>,
    /// The word `all` said that everything is meant, wherever it was said.
    pub all: bool,
    /// The words that name neither: the reason of a hold; of a `resume`, words that nobody knows.
    pub rest: Vec<String>,
}

/// Sorts the words of `hold` or `resume`: at most one component and one environment in either order, or `all`, then the
/// rest. A word that names both is the environment, unless an environment follows it. A first unknown word that is a slip or
/// the beginning of a known name is an error, and so is a lone one: `hold prod` does not hold everything for the reason
/// "prod". The error is that word.
pub fn resolve_hold<'w>(words: &'w [String], environments: &[&str], components: &[&str]) -> Result<Held, &'w str> {
    let is_environment = |word: &String| environments.contains(&word.as_str());
    let mut held = Held::default();
    let mut rest = words;
    while let [word, after @ ..] = rest {
        let is_component = components.contains(&word.as_str());
        let an_environment_follows = after.first().is_some_and(is_environment);
        if is_component && held.component.is_none() && (!is_environment(word) || an_environment_follows) {
            held.component = Some(word.clone());
        } else if is_environment(word) && held.environment.is_none() {
            held.environment = Some(word.clone());
        } else {
            break;
        }
        rest = after;
    }
    if held == Held::default()
        && let [word, after @ ..] = rest
        && word.eq_ignore_ascii_case("all")
    {
        return Ok(Held { all: true, rest: after.to_vec(), ..held });
    }
    held.rest = rest.to_vec();
    let unnamed = held.component.is_none() || held.environment.is_none();
    if let Some(word) = rest.first().filter(|_| unnamed) {
        let known = environments.iter().filter(|_| held.environment.is_none());
        let known: Vec<&str> = known.chain(components.iter().filter(|_| held.component.is_none())).copied().collect();
        if words.len() == 1 || near(word, &known).is_some() {
            return Err(word);
        }
    }
    Ok(held)
}

/// The name that a word was meant to be: a slip of it, or its first letters, three at least.
pub fn near<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let begins = |name: &&&str| word.chars().count() >= 3 && name.to_lowercase().starts_with(&word.to_lowercase());
    nearest(word, known.iter().copied()).or_else(|| known.iter().find(begins).copied())
}

/// When a hold ends: a duration from `now` (`2h`, `3d`), a date (`2026-12-24`: its first moment, UTC) or a time with
/// its offset (`2026-12-24T18:00Z`). It must lie ahead.
pub fn until(when: &str, now: Timestamp) -> Result<Timestamp, String> {
    let expected = "expected a duration (2h, 3d), a date (2026-12-24) or a time (2026-12-24T18:00Z)";
    let end = match duration(when) {
        Some(duration) => now.checked_add(duration).ok(),
        None => when.parse().ok().or_else(|| {
            // A time without its offset would be read as a date, and its hour be lost.
            let date: civil::Date = when.parse().ok().filter(|_| when.len() == "2026-12-24".len())?;
            date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
        }),
    };
    match end {
        Some(end) if end > now => Ok(end),
        Some(end) => Err(format!("{end} is not ahead: it is {now}")),
        None => Err(format!("{expected}, found {:?}", when.chars().take(80).collect::<String>())),
    }
}
