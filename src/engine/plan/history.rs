//! What people did to a line since butler last wrote it, and how often butler wrote it lately.

use super::{Change, Fact, Facts, Need, OwnWrite};
use crate::engine::{
    manifest::{LineId, Scan},
    memory::{Decline, Memory},
    wording::time,
};
use jiff::{SignedDuration, Timestamp};

/// More automatic changes of one line than this within [`BREAKER_WINDOW`] park it.
const BREAKER_CHANGES: usize = 6;
const BREAKER_WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// Why a line is not changed (yet).
#[derive(Clone)]
pub(super) enum Stays {
    Needs(Need),
    Because(&'static str, String),
    /// A person replaced the value that butler wrote: that value is declined for the line.
    Declined(Box<Decline>, String),
}

pub(super) fn because<T>(code: &'static str, reason: impl Into<String>) -> Result<T, Stays> {
    Err(Stays::Because(code, reason.into()))
}

/// What tells of a branch's past.
#[derive(Clone, Copy)]
pub(super) struct History<'a> {
    pub branch: &'a str,
    pub memory: &'a Memory,
    pub facts: &'a Facts,
    pub now: Timestamp,
    /// The change needs nobody's word: the circuit breaker watches it.
    pub automatic: bool,
}

/// Lets a change pass, unless a person declined it or undid it, or it would be one too many. `what` is the line's name
/// in the memory.
pub(super) fn heed(history: &History<'_>, planned: &Change, what: &str) -> Result<(), Stays> {
    let memory = history.memory;
    if let Some(decline) = memory.declined(what, &planned.new) {
        return because("declined", decline.sentence());
    }
    let set_back = |after: String| {
        // In the words in which it will be remembered: people are told once.
        let decline = Decline {
            what: what.to_owned(),
            value: planned.new.clone(),
            why: format!("set back by hand after {after}"),
            by: None,
            at: history.now,
            ended: None,
        };
        let reason = decline.sentence();
        Err(Stays::Declined(Box::new(decline), reason))
    };
    let stands = |written: Timestamp| !memory.decline_ended(what, &planned.new, written);
    // Only the value that butler wrote last can have been replaced by somebody else.
    if let Some(landed) = memory.landed(what).filter(|landed| landed.value == planned.new && stands(landed.at)) {
        return set_back(format!("#{}", landed.number));
    }
    let key = (history.branch.to_owned(), planned.line.file.clone());
    let writes = match history.facts.own_writes.get(&key) {
        None => return Err(Stays::Needs(Need::OwnWrites { branch: key.0, file: key.1 })),
        Some(Fact::Unavailable { why, .. } | Fact::NotGiven { why }) => return because("history-unavailable", why),
        Some(Fact::Known { value, .. }) => value,
    };
    let mut of_line = writes.iter().filter_map(|write| Some((write, written(write, &planned.line)?)));
    let lately = of_line.clone().map(|(write, _)| write.at);
    if history.automatic
        && let Some(reason) = tripped(lately.collect(), history.now)
    {
        return because("circuit-breaker", reason);
    }
    match of_line.next() {
        Some((write, value)) if value == planned.new && stands(write.at) => {
            set_back(write.commit.get(..7).unwrap_or(&write.commit).to_owned())
        }
        _ => Ok(()),
    }
}

/// Why the circuit breaker keeps a line from being changed, and when it lets go; told the changes of the line. The words
/// are the same until then, so that they are told once.
fn tripped(mut changes: Vec<Timestamp>, now: Timestamp) -> Option<String> {
    changes.retain(|at| now.duration_since(*at) < BREAKER_WINDOW);
    changes.sort_unstable();
    let first = changes.len().checked_sub(BREAKER_CHANGES)?;
    let (since, oldest_that_counts) = (changes.first()?, changes.get(first)?);
    let on = oldest_that_counts.saturating_add(BREAKER_WINDOW).unwrap_or(Timestamp::MAX);
    Some(format!(
        "{} automatic changes of this line within an hour, since {}; it goes on by itself at {} (do builds commit, or \
         commits build?)",
        changes.len(),
        time(*since),
        time(on)
    ))
}

/// The value that a commit gave to a line, where it changed it.
fn written(write: &OwnWrite, line: &LineId) -> Option<String> {
    let value = |scan: &Scan| {
        scan.lines
            .iter()
            .find(|candidate| scan.line_id(&line.file, candidate) == *line)
            .map(|found| found.value.to_string())
    };
    let after = value(&write.after)?;
    (value(&write.before).as_ref() != Some(&after)).then_some(after)
}
