//! Moving refs at the remote, each from the commit that was planned from.
//!
//! libgit2 compares with what the server advertises at connect, not with what a plan was made from: without a check of our own, a
//! branch that a person reset comes back to life, and a deleted one is made again. So the expected id is compared inside
//! `push_negotiation`, with the very advertisement whose ids go into the commands; the server then compares those with
//! its refs under its own lock. Between the two there is no gap.

use super::{
    error::{GitError, Local, Remedy, missing, oid},
    mirror::{Heads, Mirror},
};
use git2::{Direction, PushOptions, Reference, RemoteCallbacks};
use std::{cell::RefCell, collections::BTreeMap, time::Duration};

/// A ref to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefUpdate {
    /// The full name: `refs/heads/main`.
    pub name: String,
    /// The commit that the plan was made from; `None`: the ref must not exist.
    pub expected: Option<String>,
    /// The commit to move to; `None` deletes the ref.
    pub new: Option<String>,
}

/// How a push ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// Every ref is where it was meant to be.
    Pushed,
    /// A ref is not where the plan was made from: plan again.
    Moved { name: String, expected: Option<String>, found: Option<String> },
    /// The server does not want this change: a protected branch, a ruleset, a hook. Its own words.
    Protected { name: String, message: String },
    /// git cannot hold this ref while the other one is there: one's name is a folder of the other's.
    InTheWay { name: String, other: String },
    /// Nothing was changed, and it may pass.
    Retry { why: String, after: Option<Duration> },
    /// The answer was lost on its way: fetch and look before anything is repeated.
    Unknown { why: String },
}

/// What the callbacks of one push saw.
#[derive(Default)]
struct Seen {
    moved: Option<PushOutcome>,
    /// By ref, the server's refusal; `None`: done.
    results: BTreeMap<String, Option<String>>,
    /// What hooks and the server print for people.
    remarks: Vec<u8>,
}

impl Mirror {
    /// Moves refs at the remote, and here where the remote did.
    ///
    /// Nothing is sent unless all refs are as expected. The server then decides on each ref by itself (libgit2 has no atomic push):
    /// of several refusals the first one is returned, and other refs may have moved.
    ///
    /// # Errors
    /// Credentials, permissions and a commit that is not in the mirror; whatever may pass by itself is an outcome.
    pub fn push(&self, updates: &[RefUpdate]) -> Result<PushOutcome, GitError> {
        let _span = tracing::info_span!("git.push", url = self.url(), refs = updates.len()).entered();
        let _alone = self.moving();
        let specs = self.local(|repository| {
            let spec = |update: &RefUpdate| {
                if !update.name.starts_with("refs/") || !Reference::is_valid_name(&update.name) {
                    return Err(Local::Invalid(format!("expected a full ref name, found {:?}", update.name)));
                }
                update.expected.as_deref().map(oid).transpose()?;
                match &update.new {
                    Some(id) => {
                        let id = oid(id)?;
                        repository.find_commit(id).map_err(missing("commit", id))?;
                        // Forced, since the check of the expected id is stricter than libgit2's of ancestry.
                        Ok(format!("+{id}:{}", update.name))
                    }
                    None => Ok(format!(":{}", update.name)),
                }
            };
            updates.iter().map(spec).collect::<Result<Vec<_>, _>>()
        })?;

        let seen = RefCell::new(Seen::default());
        let (result, sent) = self.online_sent(|repository| {
            let mut callbacks = RemoteCallbacks::new();
            callbacks.push_negotiation(|commands| {
                seen.borrow_mut().moved = misplaced(updates, commands);
                match seen.borrow().moved {
                    Some(_) => Err(git2::Error::from_str("a ref is not where the plan was made from")),
                    None => Ok(()),
                }
            });
            callbacks.push_update_reference(|name, refusal| {
                seen.borrow_mut().results.insert(name.to_owned(), refusal.map(str::to_owned));
                Ok(())
            });
            callbacks.sideband_progress(|bytes| {
                let remarks = &mut seen.borrow_mut().remarks;
                let room = 4096_usize.saturating_sub(remarks.len());
                remarks.extend_from_slice(&bytes[..bytes.len().min(room)]);
                true
            });
            let mut options = PushOptions::new();
            options.remote_callbacks(callbacks);
            repository.remote_anonymous(self.url())?.push(&specs, Some(&mut options))
        });
        let seen = seen.into_inner();
        if let Some(moved) = seen.moved {
            return Ok(moved);
        }
        self.follow_push(updates, &seen.results);
        match result {
            Ok(()) => self.judge(updates, &seen),
            Err(error) if sent => Ok(PushOutcome::Unknown { why: error.to_string() }),
            Err(error @ (GitError::Busy { .. } | GitError::Unreachable { .. })) => {
                let after = match error.remedy() {
                    Remedy::Retry { after } => after,
                    _ => None,
                };
                Ok(PushOutcome::Retry { why: error.to_string(), after })
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the server's answer about each ref.
    fn judge(&self, updates: &[RefUpdate], seen: &Seen) -> Result<PushOutcome, GitError> {
        for update in updates {
            let name = update.name.clone();
            let refusal = match seen.results.get(&name) {
                Some(None) => continue,
                Some(Some(refusal)) => refusal,
                None => return Ok(PushOutcome::Unknown { why: format!("{}: no word about {name}", self.url()) }),
            };
            let remarks = String::from_utf8_lossy(&seen.remarks);
            let remarks = remarks.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
            let message = if remarks.is_empty() { refusal.clone() } else { format!("{refusal}: {remarks}") };
            if update.new.is_some()
                && update.expected.is_none()
                && let Ok(heads) = self.look()
                && let Some(other) = in_the_way(&name, heads.keys())
            {
                return Ok(PushOutcome::InTheWay { other: other.clone(), name });
            }
            return Ok(match refusal_kind(refusal) {
                Refusal::Unwanted => PushOutcome::Protected { name, message },
                Refusal::Passing => PushOutcome::Retry { why: format!("{name}: {message}"), after: None },
                // The ref moved between the server's listing and its lock, or something else held that lock.
                Refusal::Raced => match self.look() {
                    Ok(heads) if heads.get(&name) != update.expected.as_ref() => {
                        let found = heads.get(&name).cloned();
                        PushOutcome::Moved { name, expected: update.expected.clone(), found }
                    }
                    _ => PushOutcome::Retry { why: format!("{name}: {message}"), after: None },
                },
            });
        }
        Ok(PushOutcome::Pushed)
    }

    /// What the remote has now, without fetching anything.
    fn look(&self) -> Result<Heads, GitError> {
        self.online(|repository| {
            let mut remote = repository.remote_anonymous(self.url())?;
            let connection = remote.connect_auth(Direction::Push, None, None)?;
            Ok(connection.list()?.iter().map(|head| (head.name().to_owned(), head.oid().to_string())).collect())
        })
    }

    /// Moves the local refs along. Should that fail, the next fetch does it.
    fn follow_push(&self, updates: &[RefUpdate], results: &BTreeMap<String, Option<String>>) {
        let done = updates.iter().filter(|update| matches!(results.get(&update.name), Some(None)));
        let moved = self.local(|repository| {
            for update in done {
                match &update.new {
                    Some(id) => drop(repository.reference(&update.name, oid(id)?, true, "push")?),
                    None => match repository.find_reference(&update.name) {
                        Ok(mut reference) => reference.delete()?,
                        Err(error) if error.code() == git2::ErrorCode::NotFound => {}
                        Err(error) => return Err(error.into()),
                    },
                }
            }
            Ok(())
        });
        if let Err(error) = moved {
            tracing::warn!(%error, "pushed, but the mirror's refs do not follow before the next fetch");
        }
    }
}

/// The ref that is a folder of `name`'s, or whose folder `name` would be.
fn in_the_way<'a>(name: &str, mut refs: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let below = |folder: &str, name: &str| name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    refs.find(|other| below(other, name) || below(name, other))
}

/// The first ref that the server has elsewhere than expected.
fn misplaced(updates: &[RefUpdate], commands: &[git2::PushUpdate<'_>]) -> Option<PushOutcome> {
    updates.iter().find_map(|update| {
        let command = commands.iter().find(|command| command.dst_refname_bytes() == update.name.as_bytes());
        // No id (all zeros): the server has no such ref.
        let found = command.map(git2::PushUpdate::src).filter(|id| !id.is_zero()).map(|id| id.to_string());
        let expected = update.expected.clone().map(|id| id.to_ascii_lowercase());
        (found != expected).then(|| PushOutcome::Moved { name: update.name.clone(), expected, found })
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Raced,
    Passing,
    Unwanted,
}

/// git's words are in `builtin/receive-pack.c`; GitHub adds its own ("protected branch hook declined", "push declined due to
/// repository rule violations", "Internal Server Error").
fn refusal_kind(words: &str) -> Refusal {
    let words = words.to_ascii_lowercase();
    let says = |list: &[&str]| list.iter().any(|text| words.contains(text));
    match () {
        () if says(&["declined", "protected"]) => Refusal::Unwanted,
        () if says(&["failed to update ref", "lock", "fetch first", "non-fast-forward", "incorrect old value"])
            || says(&["already exists", "unable to resolve reference", "stale info"]) =>
        {
            Refusal::Raced
        }
        () if says(&["internal", "timeout", "timed out", "unpacker error", "try again"]) => Refusal::Passing,
        () => Refusal::Unwanted,
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal::*, refusal_kind};

    #[test]
    fn refusals() {
        for (words, expected) in [
            ("pre-receive hook declined", Unwanted),
            ("protected branch hook declined", Unwanted),
            ("push declined due to repository rule violations", Unwanted),
            ("deletion prohibited", Unwanted),
            ("failed to update ref", Raced),
            ("failed to lock", Raced),
            ("reference already exists", Raced),
            ("Internal Server Error", Passing),
            ("unpacker error", Passing),
        ] {
            assert_eq!(refusal_kind(words), expected, "{words}");
        }
    }
}
