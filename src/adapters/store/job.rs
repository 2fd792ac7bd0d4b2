//! Jobs: what is stale, when it is looked at, and who may look.

use super::sqlite::micros;
use crate::engine::event::RepoName;
use jiff::Timestamp;
use serde_json::Value;
use std::{fmt, str::FromStr, time::Duration};

/// A job parks after this many tries that failed.
pub const MAX_TRIES: u32 = 10;

/// What is stale. Two requests for one key are one job; two workers never hold the same key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobKey {
    /// A config repository is to be reconciled.
    Repository(RepoName),
    /// One thing that people see, such as one comment, is to be made so. The id is the effect's own, unique in the
    /// repository; the latest payload wins.
    Effect { repo: RepoName, id: String },
    /// Everything is to be compared with GitHub.
    Sweep,
}

/// A [`JobKey`] without its object: what a worker says it can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobKind {
    Repository,
    Effect,
    Sweep,
}

/// Why a text is no job key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a job as repository:OWNER/NAME, effect:OWNER/NAME:ID or sweep, found {text:?}: {why}")]
pub struct JobKeyError {
    text: String,
    why: String,
}

impl JobKey {
    pub fn kind(&self) -> JobKind {
        match self {
            JobKey::Repository(_) => JobKind::Repository,
            JobKey::Effect { .. } => JobKind::Effect,
            JobKey::Sweep => JobKind::Sweep,
        }
    }
}

impl JobKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            JobKind::Repository => "repository",
            JobKind::Effect => "effect",
            JobKind::Sweep => "sweep",
        }
    }

    /// How long a job lets others go first. Jobs are taken by due time plus patience: what people wait for comes first,
    /// and yet a sweep that has been due for a minute is not starved by a stream of effects.
    fn patience(self) -> Duration {
        Duration::from_secs(match self {
            JobKind::Effect => 0,
            JobKind::Repository => 10,
            JobKind::Sweep => 60,
        })
    }
}

/// The form in the database, in logs and on the command line.
impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobKey::Repository(repo) => write!(f, "repository:{repo}"),
            JobKey::Effect { repo, id } => write!(f, "effect:{repo}:{id}"),
            JobKey::Sweep => f.write_str("sweep"),
        }
    }
}

impl FromStr for JobKey {
    type Err = JobKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: String| JobKeyError { text: text.chars().take(200).collect(), why };
        let repo = |name: &str| name.parse::<RepoName>().map_err(|e| wrong(e.to_string()));
        match text.split_once(':') {
            None if text == "sweep" => Ok(JobKey::Sweep),
            Some(("repository", name)) => Ok(JobKey::Repository(repo(name)?)),
            Some(("effect", rest)) => {
                // A repository's name holds no colon, an effect's id may.
                let (name, id) = rest.split_once(':').ok_or_else(|| wrong("no id".into()))?;
                Ok(JobKey::Effect { repo: repo(name)?, id: id.into() })
            }
            _ => Err(wrong("no such kind".into())),
        }
    }
}

/// How requests for one key are gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debounce {
    /// A job waits until nothing has asked for it for so long,
    pub quiet: Duration,
    /// but no longer than this after it was first asked for, so that a steady stream cannot starve it.
    pub at_most: Duration,
}

impl Debounce {
    pub const NONE: Debounce = Debounce { quiet: Duration::ZERO, at_most: Duration::ZERO };
}

/// Asks for a job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRequest {
    pub(super) key: JobKey,
    pub(super) payload: Option<Value>,
    pub(super) debounce: Debounce,
    pub(super) patience: Duration,
}

impl JobRequest {
    /// A job that is due when the debounce says so.
    pub fn new(key: JobKey, debounce: Debounce) -> Self {
        let patience = key.kind().patience();
        JobRequest { key, payload: None, debounce, patience }
    }

    /// A job that a person waits for: due at once, before others, and what else asks for it does not make it later.
    pub fn urgent(key: JobKey) -> Self {
        JobRequest { key, payload: None, debounce: Debounce::NONE, patience: Duration::ZERO }
    }

    /// An effect and what it needs; due at once.
    pub fn effect(repo: RepoName, id: impl Into<String>, payload: Value) -> Self {
        JobRequest { payload: Some(payload), ..Self::urgent(JobKey::Effect { repo, id: id.into() }) }
    }

    pub fn key(&self) -> &JobKey {
        &self.key
    }
}

/// When a job is due; microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    pub due: i64,
    /// The latest that further requests may move `due` to.
    pub latest: i64,
    pub patience: i64,
}

impl Schedule {
    /// What a request makes of the schedule of a job that waits already, if one does.
    pub(super) fn merged(waiting: Option<Schedule>, request: &JobRequest, now: Timestamp) -> Schedule {
        let after = |wait| micros(now).saturating_add(micros_of(wait));
        let latest = after(request.debounce.at_most);
        let latest = waiting.map_or(latest, |w| w.latest.min(latest));
        let patience = micros_of(request.patience);
        Schedule {
            due: after(request.debounce.quiet).min(latest),
            latest,
            patience: waiting.map_or(patience, |w| w.patience.min(patience)),
        }
    }
}

pub(super) fn micros_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The right to do one job, and for a repository's job the right to write that repository. It comes only from
/// [`super::Store::lease`], cannot be copied, and ends with [`super::Store::finish`] or [`super::Store::hand_back`]. One
/// that is dropped runs out by itself.
#[derive(Debug)]
pub struct Lease {
    pub(super) key: JobKey,
    pub(super) token: i64,
    pub(super) until: Timestamp,
}

impl Lease {
    pub fn key(&self) -> &JobKey {
        &self.key
    }

    /// The config repository that may be written under this lease; none for effects and sweeps.
    pub fn repository(&self) -> Option<&RepoName> {
        match &self.key {
            JobKey::Repository(repo) => Some(repo),
            JobKey::Effect { .. } | JobKey::Sweep => None,
        }
    }

    /// Grows with every lease that this database gives out: of two holders of one key, the higher one is right.
    pub fn fencing_token(&self) -> u64 {
        self.token.cast_unsigned()
    }

    /// When it runs out unless it is renewed.
    pub fn until(&self) -> Timestamp {
        self.until
    }
}

/// A job that is this worker's to do.
#[derive(Debug)]
pub struct LeasedJob {
    pub lease: Lease,
    pub key: JobKey,
    pub payload: Option<Value>,
    /// How many tries failed before this one.
    pub attempts: u32,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done; look again at that time even if nothing happens until then.
    Done { again_at: Option<Timestamp> },
    /// Try again, not before that time (see [`backoff`]; a server's `Retry-After` goes before it).
    Retry { at: Timestamp, why: String },
    /// Somebody must change something first. Parked until the next event.
    Blocked { finding: String },
    /// A fault of butler's own. Parked until the next event.
    Bug { why: String },
}

/// A job that waits for a person or an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    pub key: JobKey,
    pub parked_for: ParkedFor,
    pub why: String,
    pub attempts: u32,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParkedFor {
    /// [`MAX_TRIES`] tries failed.
    Tries,
    /// [`Outcome::Blocked`]
    Blocked,
    /// [`Outcome::Bug`]
    Bug,
}

impl ParkedFor {
    pub(super) fn name(self) -> &'static str {
        match self {
            ParkedFor::Tries => "tries",
            ParkedFor::Blocked => "blocked",
            ParkedFor::Bug => "bug",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        [ParkedFor::Tries, ParkedFor::Blocked, ParkedFor::Bug].into_iter().find(|p| p.name() == name)
    }
}

/// How much is left to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// May be taken now, leases that ran out included.
    pub ready: u64,
    /// Wait for their time: debounce, retry, or a time to look again.
    pub later: u64,
    pub running: u64,
    pub parked: u64,
    /// Comments that are not decided.
    pub inbox: u64,
}

/// How long to wait after so many failed tries (1 = the first): 2 s doubled each time up to ten minutes, of which the
/// second half is scaled by `jitter` (0 to 1, random), so that what failed together does not come back together.
pub fn backoff(attempts: u32, jitter: f64) -> Duration {
    let full =
        Duration::from_secs(2).saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(Duration::from_secs(600));
    let jitter = if jitter.is_nan() { 1.0 } else { jitter.clamp(0.0, 1.0) };
    full / 2 + (full / 2).mul_f64(jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (requests as (second, quiet, at most), when it is due)
    #[test]
    fn debounce() {
        type Request = (i64, u64, u64);
        let table: &[(&[Request], i64)] = &[
            (&[(0, 10, 120)], 10),
            (&[(0, 10, 120), (4, 10, 120)], 14),
            // A steady stream waits no longer than at_most after the first.
            (&[(0, 10, 25), (8, 10, 25), (16, 10, 25), (24, 10, 25)], 25),
            (&[(0, 0, 0)], 0),
            // A person's command brings it forward, and what follows does not put it off again.
            (&[(0, 10, 120), (3, 0, 0)], 3),
            (&[(0, 10, 120), (3, 0, 0), (4, 10, 120)], 3),
            // The shortest longest wait holds.
            (&[(0, 10, 120), (5, 10, 12), (14, 10, 120)], 17),
            // A quiet time above the longest wait is cut.
            (&[(0, 60, 20)], 20),
        ];
        for (requests, due) in table {
            let mut schedule = None;
            for &(at, quiet, at_most) in *requests {
                let (quiet, at_most) = (Duration::from_secs(quiet), Duration::from_secs(at_most));
                let request = JobRequest::new(JobKey::Sweep, Debounce { quiet, at_most });
                schedule = Some(Schedule::merged(schedule, &request, Timestamp::from_second(at).unwrap()));
            }
            assert_eq!(schedule.unwrap().due, due * 1_000_000, "{requests:?}");
        }
    }

    #[test]
    fn keys_survive_their_text_form() {
        for text in ["repository:acme/config", "effect:acme/config:comment:12:reply", "effect:a/b:", "sweep"] {
            assert_eq!(text.parse::<JobKey>().unwrap().to_string(), text);
        }
        for text in
            ["", "sweeps", "repository:acme", "effect:acme/config", "effect:acme:1", "pull:acme/config", "tags:"]
        {
            let error = text.parse::<JobKey>().unwrap_err().to_string();
            assert!(error.starts_with("expected a job as repository:OWNER/NAME"), "{error}");
        }
    }

    /// (failed tries, jitter, seconds)
    #[test]
    fn backing_off() {
        for (attempts, jitter, seconds) in [
            (0, 1.0, 2.0),
            (1, 0.0, 1.0),
            (1, 1.0, 2.0),
            (2, 0.5, 3.0),
            (9, 1.0, 512.0),
            (10, 1.0, 600.0),
            (u32::MAX, 0.0, 300.0),
            (1, 7.0, 2.0),
            (1, f64::NAN, 2.0),
        ] {
            assert_eq!(backoff(attempts, jitter).as_secs_f64(), seconds, "{attempts} {jitter}");
        }
    }
}
