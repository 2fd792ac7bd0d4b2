//! What `refs/butler/state` holds: people's decisions, and what butler did about them. It is a file of JSON, one commit
//! a change, signed (see [`seal`]); never an authority by itself.

mod decide;
mod hold;
mod seal;
mod words;

pub use decide::{Decision, Intent, Outcome, Request};
pub use hold::{Hold, Reach, Way};
pub use seal::{Key, SealError, seal, verify};
pub use words::{circumstances, hold_in_words, scope_in_words};

use super::manifest::LineId;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The ref that holds the memory, in the config repository.
pub const MEMORY_REF: &str = "refs/butler/state";
/// The file in its tree.
pub const MEMORY_FILE: &str = "memory.json";
/// What came of commands is kept for the newest so many: for their replies.
const DECISIONS_KEPT: usize = 500;
/// That a comment was decided is remembered for so long; longer than anything can bring it again: GitHub lets people
/// redeliver for three days (<https://docs.github.com/en/webhooks/testing-and-troubleshooting-webhooks/redelivering-webhooks>).
const DECIDED_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Everything that butler remembers about a config repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub version: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declines: Vec<Decline>,
    /// By head branch: promotions, and updates that go by pull request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pulls: BTreeMap<String, PullRecord>,
    /// How a version fared in an environment, by `environment/component/version`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub health: BTreeMap<String, Health>,
    /// Comments whose commands were decided, by the comment's id, with what came of them: the newest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub commands: BTreeMap<u64, Vec<Decision>>,
    /// When a comment's commands were decided, by the comment's id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub decided: BTreeMap<u64, Timestamp>,
    /// Until here `decided` is forgotten: comments made until then are taken as decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<Timestamp>,
}

/// A version that a person turned down, for a line or for an edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    /// A line's identity ([`line_key`]) for updates, `promotion:<name>:<line>` for promotions.
    pub what: String,
    /// The value that is not written again.
    pub value: String,
    /// How it was turned down: `set back by hand after 1a2b3c4`, `#12 was closed`.
    pub why: String,
    /// Who did it, where that is known: a login, or a commit's author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    pub at: Timestamp,
    /// `/resume` or `/promote` ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

/// What butler did with one head branch and its pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRecord {
    /// The promotion's name, or `update:<environment>`.
    pub edge: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The commit that butler last put on the head branch. Anything else there is a person's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub head: String,
    /// Where the head branch stood when butler decided to put `head` there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The plan's hash.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub plan: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub base: String,
    /// The values that the pull request proposes, by line: what is declined when it is closed unmerged.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// The values that merged pull requests brought, by line: who sets one back declines it. People merge as themselves,
    /// so the branch's history does not tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub landed: BTreeMap<String, Landed>,
    /// Somebody asked for it (`open: command`, or to bring it back).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<Requested>,
    /// Somebody said `/merge`, of this plan and this head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<MergeIntent>,
    /// What butler merged for whom, last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merged>,
    /// The number of the last pull request of this head that ended, so that its end is noticed once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
}

/// A value that a merged pull request brought to a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landed {
    pub value: String,
    /// The pull request's number.
    pub number: u64,
    /// When butler knew of the merge.
    pub at: Timestamp,
}

/// How a version fared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// A soak counts from here, unless a bad verdict followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_healthy: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bad: Vec<Verdict>,
}

/// A version was seen to fare badly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub at: Timestamp,
    pub why: String,
}

/// A promotion that somebody asked for by a comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    pub by: String,
    pub comment: u64,
    pub at: Timestamp,
    /// Empty: all components.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
}

/// A merge that somebody asked for by a comment, of what the pull request's head and plan were then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeIntent {
    pub by: String,
    pub comment: u64,
    pub plan: String,
    pub head: String,
    pub at: Timestamp,
}

/// A merge that a person asked for and butler did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    pub number: u64,
    /// The comment that asked for it.
    pub comment: u64,
    /// Its author; empty where nobody had to ask.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// The merge's commit.
    pub commit: String,
}

/// A line's identity as a key: `apps/dev/app.yaml#Deployment//app#spec…containers[name=app].image`.
pub fn line_key(line: &LineId) -> String {
    let object = match (&line.object, line.document) {
        (None, document) => format!("document {document}"),
        (Some(object), 0) => object.to_string(),
        // The same object once more in one file.
        (Some(object), occurrence) => format!("{object}[{occurrence}]"),
    };
    format!("{}#{object}#{}", line.file, line.path)
}

fn health_key(environment: &str, component: &str, version: &str) -> String {
    format!("{environment}/{component}/{version}")
}

/// A promotion's line as a key of [`Decline::what`].
pub fn promotion_key(promotion: &str, line: &LineId) -> String {
    format!("promotion:{promotion}:{}", line_key(line))
}

/// The file of the line that a key of [`Decline::what`] names.
pub fn line_file(what: &str) -> &str {
    // No promotion's name holds a colon; a file's may.
    let line = what.strip_prefix("promotion:").and_then(|rest| rest.split_once(':')).map_or(what, |(_, line)| line);
    line.split_once('#').map_or(line, |(file, _)| file)
}

impl Memory {
    /// Nothing is remembered yet.
    pub fn new() -> Self {
        Memory { version: 1, ..Memory::default() }
    }

    /// Reads the file's bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The file's bytes: stable, so that the same memory is the same blob.
    pub fn encode(&self) -> Vec<u8> {
        // Maps with string or integer keys and plain fields: serialising them cannot fail.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The holds that have not run out.
    pub fn holds_at(&self, now: Timestamp) -> impl Iterator<Item = &Hold> {
        self.holds.iter().filter(move |hold| hold.lasts(now))
    }

    /// The hold that stops a component in an environment now, on the way by which it would get there.
    pub fn hold_on(&self, environment: &str, component: &str, way: &Way, now: Timestamp) -> Option<&Hold> {
        self.holds_at(now).find(|hold| {
            let Reach { component: held, environment: place, way: by } = &hold.scope;
            place.as_deref().is_none_or(|place| place == environment)
                && held.as_deref().is_none_or(|held| held == component)
                && by.as_ref().is_none_or(|by| by == way)
        })
    }

    /// Whether this value was declined for what goes by that name ([`Decline::what`]), and still is.
    pub fn declined(&self, what: &str, value: &str) -> Option<&Decline> {
        self.declines.iter().find(|decline| decline.what == what && decline.value == value && decline.ended.is_none())
    }

    /// Whether a person took back the decline of this value after it was written at `written`.
    pub fn decline_ended(&self, what: &str, value: &str, written: Timestamp) -> bool {
        self.declines.iter().any(|decline| {
            decline.what == what && decline.value == value && decline.ended.is_some_and(|ended| ended > written)
        })
    }

    /// The value that a merged pull request of butler's brought last.
    pub fn landed(&self, what: &str) -> Option<&Landed> {
        self.pulls.values().filter_map(|record| record.landed.get(what)).max_by_key(|landed| landed.at)
    }

    /// Remembers a decline; the same one is remembered once.
    pub fn decline(&mut self, decline: Decline) {
        self.declines.retain(|known| !(known.what == decline.what && known.value == decline.value));
        self.declines.push(decline);
    }

    /// How a version fared in an environment, as far as anybody saw.
    pub fn health_of(&self, environment: &str, component: &str, version: &str) -> Option<&Health> {
        self.health.get(&health_key(environment, component, version))
    }

    /// Remembers that a version was seen healthy (the first time counts) or not.
    pub fn saw_health(
        &mut self,
        environment: &str,
        component: &str,
        version: &str,
        healthy: bool,
        at: Timestamp,
        why: &str,
    ) {
        let health = self.health.entry(health_key(environment, component, version)).or_default();
        match healthy {
            true => health.first_healthy = health.first_healthy.or(Some(at)),
            false => health.bad.push(Verdict { at, why: why.to_owned() }),
        }
    }

    /// Whether the commands of a comment that was made then were decided. One that comes late is decided however many
    /// newer ones were, as long as it is no older than [`DECIDED_KEPT`] before the latest.
    pub fn decided(&self, comment: u64, made: Timestamp) -> bool {
        self.decided.contains_key(&comment)
            || self.commands.contains_key(&comment)
            || self.forgotten.is_some_and(|until| made <= until)
    }

    /// Remembers that a comment's commands were decided now, and forgets what no longer matters.
    pub fn remember_command(&mut self, comment: u64, decisions: Vec<Decision>, now: Timestamp) {
        self.decided.insert(comment, now);
        self.commands.insert(comment, decisions);
        while self.commands.len() > DECISIONS_KEPT {
            self.commands.pop_first();
        }
        // A comment is made before it is decided: the time of the last that is forgotten covers them all.
        let old = |at: Timestamp| now.duration_since(at) > DECIDED_KEPT;
        let forgotten = self.decided.values().copied().filter(|at| old(*at)).max();
        self.forgotten = self.forgotten.max(forgotten);
        self.decided.retain(|_, at| !old(*at));
    }
}

impl Decline {
    /// Why a line stays, and what ends it.
    pub fn sentence(&self) -> String {
        format!("{} was declined ({}); a newer version, /resume or /promote ends that", self.value, self.why)
    }
}

#[cfg(test)]
mod tests;
