//! Snapshots of the mirror's commits, and what its history says of butler's own writes. Scans are cached by blob.

use super::WorkError;
use crate::{
    adapters::git::{Mirror, Mode},
    engine::{
        config::Config,
        dialect::{Bindings, bind},
        manifest::{FileKind, Scan, is_candidate, scan},
        plan::{Entry, EntryKind, Observation, OwnWrite, Snapshot, versions},
        wording::pull_of,
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

/// Larger files hold no manifests.
const FILE_LIMIT: usize = 10 * 1024 * 1024;
/// Scans kept; beyond it the cache starts anew.
const SCANS_KEPT: usize = 200_000;
/// How many commits of a branch are searched for butler's own.
const HISTORY: usize = 300;

/// What files hold, by their blob's id. `None`: a file without interest.
#[derive(Default)]
pub struct ScanCache(Mutex<HashMap<(String, FileKind), Option<Arc<Scan>>>>);

/// A branch as it was planned from: its commit, and what its files mean together.
pub struct BranchState {
    pub commit: String,
    pub snapshot: Snapshot,
    pub bindings: Bindings,
}

/// What an environment's files said over time.
pub struct Past {
    /// At the first-parent commits that changed one of them, oldest first.
    pub observations: Vec<Observation>,
    /// The pull requests that those commits came by, where they say so.
    pub pulls: BTreeMap<String, u64>,
    /// The commit of the first observation, where the search ended before the branch's beginning: what it says was there
    /// before.
    pub beyond: Option<String>,
}

impl ScanCache {
    fn scan(&self, mirror: &Mirror, blob: &str, kind: FileKind) -> Result<Option<Arc<Scan>>, WorkError> {
        let key = (blob.to_owned(), kind);
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let found = match mirror.read_blob(blob, FILE_LIMIT) {
            Ok(bytes) if is_candidate(kind, &bytes) => Some(Arc::new(scan(kind, &bytes))),
            Ok(_) | Err(crate::adapters::git::GitError::TooLarge { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= SCANS_KEPT {
            cache.clear();
        }
        cache.insert(key, found.clone());
        Ok(found)
    }

    /// Reads a commit. Only blobs that were never seen are read and parsed.
    pub fn branch(&self, mirror: &Mirror, commit: &str, config: &Config) -> Result<BranchState, WorkError> {
        let mut snapshot = Snapshot { commit: Some(commit.to_owned()), ..Snapshot::default() };
        for entry in mirror.tree_entries(commit)? {
            let kind = match entry.mode {
                Mode::File | Mode::Executable => EntryKind::File,
                Mode::Symlink => EntryKind::Symlink,
                Mode::Submodule => EntryKind::Submodule,
            };
            if kind == EntryKind::File
                && let Some(file_kind) = FileKind::of(&entry.path)
                && let Some(scan) = self.scan(mirror, &entry.id, file_kind)?
            {
                snapshot.scans.insert(entry.path.clone(), scan);
            }
            snapshot.entries.insert(entry.path, Entry { blob: entry.id, kind });
        }
        let bindings = bind(&snapshot, config);
        Ok(BranchState { commit: commit.to_owned(), snapshot, bindings })
    }

    /// butler's own commits that changed a file, newest first: those whose author or committer is `email`.
    pub fn own_writes(&self, mirror: &Mirror, head: &str, file: &str, email: &str) -> Result<Vec<OwnWrite>, WorkError> {
        let Some(kind) = FileKind::of(file) else { return Ok(Vec::new()) };
        let empty = Arc::new(Scan::default());
        let mut writes = Vec::new();
        for version in mirror.file_history(head, file, HISTORY)? {
            let by_butler = version.commit.author.email == email || version.commit.committer.email == email;
            if !by_butler {
                continue;
            }
            let read = |blob: &Option<String>| match blob {
                Some(blob) => Ok::<_, WorkError>(self.scan(mirror, blob, kind)?.unwrap_or_else(|| empty.clone())),
                None => Ok(empty.clone()),
            };
            writes.push(OwnWrite {
                commit: version.commit.id.clone(),
                at: version.commit.time,
                before: read(&version.before)?,
                after: read(&version.after)?,
            });
        }
        Ok(writes)
    }

    /// What an environment's files said over the newest commits of its branch.
    pub fn past(
        &self,
        mirror: &Mirror,
        state: &BranchState,
        contains: impl Fn(&str) -> bool,
    ) -> Result<Past, WorkError> {
        let scans = state.snapshot.scans.iter().filter(|(file, _)| contains(file));
        let mut files: BTreeMap<String, Arc<Scan>> = scans.map(|(file, scan)| (file.clone(), scan.clone())).collect();
        let observe = |files: &BTreeMap<String, Arc<Scan>>, commit: &str, at| Observation {
            commit: commit.to_owned(),
            at,
            versions: versions(files.iter().map(|(file, scan)| (file.as_str(), scan.as_ref()))),
        };
        let mut past = Past { observations: Vec::new(), pulls: BTreeMap::new(), beyond: None };
        let commits = mirror.first_parent_history(&state.commit, HISTORY)?;
        for commit in &commits {
            let changes = match commit.parents.first() {
                None => None,
                Some(parent) => {
                    let changes = mirror.changed_paths(parent, &commit.id)?.into_iter();
                    let kind = |path: &str| FileKind::of(path).filter(|_| contains(path));
                    Some(changes.filter_map(|change| Some((kind(&change.path)?, change))).collect::<Vec<_>>())
                }
            };
            if changes.as_ref().is_some_and(Vec::is_empty) {
                continue;
            }
            past.observations.push(observe(&files, &commit.id, commit.time));
            past.pulls.extend(pull_of(&commit.message).map(|number| (commit.id.clone(), number)));
            for (kind, change) in changes.into_iter().flatten() {
                let before = change.old.map(|blob| self.scan(mirror, &blob, kind)).transpose()?.flatten();
                match before {
                    Some(scan) => files.insert(change.path, scan),
                    None => files.remove(&change.path),
                };
            }
        }
        if let Some(oldest) = commits.last()
            && let Some(parent) = oldest.parents.first()
        {
            past.observations.push(observe(&files, parent, oldest.time));
            past.beyond = Some(parent.clone());
        }
        past.observations.reverse();
        Ok(past)
    }
}
