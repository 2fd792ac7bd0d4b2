//! Snapshots of the mirror's commits, and what its history says of butler's own writes. Scans are cached by blob.

use super::WorkError;
use crate::{
    adapters::git::{Mirror, Mode},
    engine::{
        config::Config,
        dialect::{Bindings, bind},
        manifest::{FileKind, Scan, is_candidate, scan},
        plan::{Entry, EntryKind, OwnWrite, Snapshot},
    },
};
use std::{
    collections::HashMap,
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
}
