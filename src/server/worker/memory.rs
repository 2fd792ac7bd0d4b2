//! butler's memory in the repository: read and believed, or not; written by compare-and-swap.

use super::{Held, WorkError, session::Session};
use crate::{
    adapters::git::{CommitMeta, Heads, Mirror, PushOutcome, RefUpdate},
    engine::{
        memory::{Key, MEMORY_FILE, MEMORY_REF, Memory, SealError, seal, verify},
        wording::MemoryTrouble,
    },
};
use std::collections::BTreeMap;

/// The file that holds the memory is never larger.
const MEMORY_LIMIT: usize = 16 * 1024 * 1024;
/// How far back a branch is searched for butler's own commits.
const OWN_HISTORY: usize = 200;

/// What stands at the ref.
pub enum Found {
    /// No ref, and no sign that there ever was one.
    Absent,
    Memory {
        commit: String,
        memory: Box<Memory>,
    },
}

/// Reads the memory, and decides whether it is to be believed. `seen` is the tip that this database saw last.
pub fn read(
    mirror: &Mirror,
    heads: &Heads,
    keys: &[Key],
    repository: &str,
    seen: Option<&str>,
) -> Result<Result<Found, MemoryTrouble>, WorkError> {
    let Some(tip) = heads.get(MEMORY_REF) else {
        return Ok(match seen {
            Some(seen) => Err(MemoryTrouble::Vanished { last_seen: Some(seen.to_owned()) }),
            None => Ok(Found::Absent),
        });
    };
    let Some(commit) = mirror.first_parent_history(tip, 1)?.into_iter().next() else {
        return Ok(Err(MemoryTrouble::Seal(SealError::Missing)));
    };
    let entry = mirror.tree_entries(tip)?.into_iter().find(|entry| *entry.path == *MEMORY_FILE);
    let Some(entry) = entry else {
        return Ok(Err(MemoryTrouble::Unreadable(format!("there is no {MEMORY_FILE}"))));
    };
    let bytes = mirror.read_blob(&entry.id, MEMORY_LIMIT)?;
    let parent = commit.parents.first().map(String::as_str);
    if let Err(error) = verify(keys, repository, parent, &bytes, &commit.message) {
        return Ok(Err(error.into()));
    }
    if let Some(seen) = seen
        && seen != tip
        && !mirror.is_ancestor(seen, tip).unwrap_or(false)
    {
        return Ok(Err(MemoryTrouble::Rewound { last_seen: seen.to_owned() }));
    }
    Ok(match Memory::decode(&bytes) {
        Ok(memory) => Ok(Found::Memory { commit: tip.clone(), memory: Box::new(memory) }),
        Err(error) => Err(MemoryTrouble::Unreadable(error.to_string())),
    })
}

/// Whether any of the branches holds a commit of butler's own: then there was a memory once. The trailer is asked for
/// too, so that the sample commits that an operator makes with the bot's address do not count.
pub fn has_own_commits(mirror: &Mirror, heads: &Heads, branches: &[String], email: &str) -> Result<bool, WorkError> {
    for branch in branches {
        let Some(head) = heads.get(&format!("refs/heads/{branch}")) else { continue };
        let own = mirror
            .first_parent_history(head, OWN_HISTORY)?
            .iter()
            .any(|commit| commit.committer.email == email && commit.message.contains("\nButler-Plan: "));
        if own {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Session<'_> {
    /// Writes `memory` as the next state, if it differs from what is there. `summary` is the commit's subject.
    ///
    /// On a lost race nothing is written, and the attempt begins again: the decision is made anew, never its result
    /// carried over.
    pub async fn remember(&mut self, memory: Memory, summary: &str) -> Result<(), WorkError> {
        if memory == self.memory && self.memory_commit.is_some() {
            return Ok(());
        }
        let key = self.worker.keys.first().ok_or_else(|| WorkError::Bug("no key to seal the memory with".into()))?;
        self.held.confirm(&self.worker.store, &self.worker.clock, self.worker.options.lease).await?;
        let bytes = memory.encode();
        let parent = self.memory_commit.clone();
        let trailer = seal(key, &self.repo.to_string(), parent.as_deref(), &bytes);
        let subject: String = summary.chars().map(|c| if c.is_control() { ' ' } else { c }).take(100).collect();
        let meta = CommitMeta {
            author: self.committer(),
            committer: self.committer(),
            time: self.worker.clock.now(),
            message: format!("{subject}\n\n{trailer}\n"),
            more_parents: Vec::new(),
        };
        let mirror = self.mirror.clone();
        let (commit, outcome) = Self::blocking(move || {
            let files = BTreeMap::from([(MEMORY_FILE.to_owned(), bytes)]);
            let commit = mirror.commit_files(parent.as_deref(), &files, &meta)?;
            let update = RefUpdate { name: MEMORY_REF.into(), expected: parent, new: Some(commit.clone()) };
            let outcome = mirror.push(&[update])?;
            Ok((commit, outcome))
        })
        .await?;
        match outcome {
            PushOutcome::Pushed => {}
            PushOutcome::Moved { .. } => return Err(WorkError::Again("butler's memory moved".into())),
            PushOutcome::Unknown { why } => return Err(WorkError::Again(format!("butler's memory: {why}"))),
            PushOutcome::Protected { message, .. } => {
                return Err(WorkError::Fix(format!("{MEMORY_REF} cannot be written: {message}")));
            }
            PushOutcome::InTheWay { other, .. } => {
                return Err(WorkError::Fix(format!("{MEMORY_REF} cannot be written beside {other}: delete that ref")));
            }
            PushOutcome::Retry { why, .. } => return Err(WorkError::Retry { at: None, why }),
        }
        note_seen(self.held, self, &commit).await?;
        self.heads.insert(MEMORY_REF.into(), commit.clone());
        self.memory_commit = Some(commit);
        self.memory = memory;
        Ok(())
    }
}

async fn note_seen(held: &Held, session: &Session<'_>, commit: &str) -> Result<(), WorkError> {
    let lease = held.lease().await;
    Ok(session.worker.store.set_seen_state(&lease, commit, session.worker.clock.now()).await?)
}
