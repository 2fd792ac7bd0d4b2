//! Commits as snapshots. A blob is read and parsed once, whichever commits and paths have it; a commit that follows one
//! that was read costs what changed between the two.

mod cache;
mod own;
mod past;
mod pool;

use super::{ChangedPath, GitError, Mirror, Mode};
use crate::engine::{
    config::Config,
    dialect::{Bindings, bind},
    manifest::{FileKind, SIZE_LIMIT, Scan, is_candidate, scan, too_large},
    plan::OwnWrite,
    snapshot::{Entry, EntryKind, Snapshot},
};
use cache::{Recent, ScanCache, weight};
use own::Histories;
pub use past::Past;
use pool::Pool;
use std::{
    collections::{HashMap, hash_map::Entry as MapEntry},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// How many commits of a branch are looked through.
const HISTORY: usize = 300;

/// A branch as it was planned from: its commit, and what its files mean together.
pub struct BranchState {
    pub commit: String,
    /// What the files' meaning depends on beside them.
    pub config: Arc<Config>,
    pub snapshot: Snapshot,
    pub bindings: Arc<Bindings>,
}

/// How much was done so far; what was known already does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Blobs read from a mirror.
    pub read: u64,
    /// Of those, the ones that passed the byte search and were parsed.
    pub parsed: u64,
}

/// Reads commits of any mirrors; to be shared by everything that reads. Its memory is bounded, see [`cache`].
#[derive(Default)]
pub struct Reader {
    scans: Mutex<ScanCache>,
    branches: Mutex<Recent>,
    histories: Mutex<Histories>,
    pool: Pool,
    read: AtomicU64,
    parsed: AtomicU64,
}

/// A file to be read: where it is, and what it is.
struct Wanted {
    path: Arc<str>,
    blob: Arc<str>,
    kind: FileKind,
}

impl Reader {
    /// Reads a commit that `branch` points at. What was read of the branch before is the start: only what differs is
    /// looked at.
    pub fn branch(
        &self,
        mirror: &Mirror,
        branch: &str,
        commit: &str,
        config: &Arc<Config>,
    ) -> Result<Arc<BranchState>, GitError> {
        let key: (PathBuf, String) = (mirror.dir().to_owned(), branch.to_owned());
        let before = lock(&self.branches).get(&key);
        let mut followed = None;
        let snapshot = match before {
            Some(state) if state.commit == commit && state.config == *config => return Ok(state),
            Some(state) if state.commit == commit => state.snapshot.clone(),
            Some(state) => match mirror.changed_paths(&state.commit, commit) {
                Ok(changes) => {
                    let files: Vec<Arc<str>> = changes.iter().map(|change| change.path.clone()).collect();
                    let snapshot = self.follow(mirror, &state.snapshot, changes)?;
                    let (files, configs) = (files.iter().map(|file| &**file), (&*state.config, &**config));
                    followed = Some(state.bindings.follow(&state.snapshot, &snapshot, files, configs));
                    snapshot
                }
                // The old commit may be gone, with a mirror that was made anew.
                Err(GitError::Missing { .. }) => self.whole(mirror, commit)?,
                Err(error) => return Err(error),
            },
            None => self.whole(mirror, commit)?,
        };
        let snapshot = Snapshot { commit: Some(commit.to_owned()), ..snapshot };
        let bindings = followed.unwrap_or_else(|| Arc::new(bind(&snapshot, config)));
        let state = Arc::new(BranchState { commit: commit.to_owned(), config: config.clone(), snapshot, bindings });
        lock(&self.branches).put(key, state.clone());
        Ok(state)
    }

    /// butler's own commits that changed a file, newest first: those whose author or committer is `email`.
    pub fn own_writes(&self, mirror: &Mirror, head: &str, file: &str, email: &str) -> Result<Vec<OwnWrite>, GitError> {
        let Some(kind) = FileKind::of(file) else { return Ok(Vec::new()) };
        let empty = Arc::new(Scan::default());
        let mut writes = Vec::new();
        let own = lock(&self.histories).of(mirror, head, email)?;
        for commit in own.iter() {
            let Some(change) = commit.change_of(file) else { continue };
            let read = |blob: &Option<Arc<str>>| {
                let Some(blob) = blob.clone() else { return Ok(empty.clone()) };
                let mut scans = self.scans(mirror, &[Wanted { path: file.into(), blob, kind }])?;
                Ok::<_, GitError>(scans.pop().map_or_else(|| empty.clone(), |(_, scan)| scan))
            };
            writes.push(OwnWrite {
                commit: commit.commit.id.clone(),
                at: commit.commit.time,
                before: read(&change.old)?,
                after: read(&change.new)?,
            });
        }
        Ok(writes)
    }

    /// What was done since this reader was made.
    pub fn work(&self) -> Work {
        Work { read: self.read.load(Ordering::Relaxed), parsed: self.parsed.load(Ordering::Relaxed) }
    }

    /// A commit, read from nothing but what is known of its blobs.
    fn whole(&self, mirror: &Mirror, commit: &str) -> Result<Snapshot, GitError> {
        let mut entries: Vec<(Arc<str>, Entry)> = mirror
            .tree_entries(commit)?
            .into_iter()
            .map(|file| (file.path, entry(file.id, file.mode, file.exact)))
            .collect();
        // Of several entries for a path the last one stays: the file that has that very path.
        if entries.iter().any(|(_, entry)| entry.kind == EntryKind::Misnamed) {
            entries.sort_by_key(|(_, entry)| entry.kind != EntryKind::Misnamed);
        }
        let wanted: Vec<_> = entries.iter().filter_map(|(path, entry)| wants(path, entry)).collect();
        let scans = self.scans(mirror, &wanted)?.into_iter().collect();
        Ok(Snapshot { entries: entries.into_iter().collect(), scans, ..Snapshot::default() })
    }

    /// A snapshot, changed as a commit was.
    fn follow(&self, mirror: &Mirror, before: &Snapshot, changes: Vec<ChangedPath>) -> Result<Snapshot, GitError> {
        let mut snapshot = before.clone();
        let mut entries = Vec::new();
        // A file that is only shown as another one's path gives way to that one.
        let is_named = |snapshot: &Snapshot, path: &str| {
            snapshot.entries.get(path).is_some_and(|entry| entry.kind != EntryKind::Misnamed)
        };
        for mut change in changes {
            if !change.exact && is_named(&snapshot, &change.path) {
                continue;
            }
            // One path stays one place in memory: those are told apart without a look at their letters.
            if let Some((path, _)) = snapshot.entries.get_key_value(&change.path) {
                change.path = path.clone();
            }
            snapshot.scans.remove(&change.path);
            match (change.new, change.mode) {
                (Some(blob), Some(mode)) => entries.push((change.path, entry(blob, mode, change.exact))),
                _ => {
                    snapshot.entries.remove(&change.path);
                }
            }
        }
        let wanted: Vec<_> = entries.iter().filter_map(|(path, entry)| wants(path, entry)).collect();
        for (path, scan) in self.scans(mirror, &wanted)? {
            snapshot.scans.insert(path, scan);
        }
        for (path, entry) in entries {
            if entry.kind != EntryKind::Misnamed || !is_named(&snapshot, &path) {
                snapshot.entries.insert(path, entry);
            }
        }
        Ok(snapshot)
    }

    /// What files hold, in the order given; files without interest are left out. Those that are not known are read and
    /// parsed, on several threads where they are many.
    fn scans(&self, mirror: &Mirror, wanted: &[Wanted]) -> Result<Vec<(Arc<str>, Arc<Scan>)>, GitError> {
        let mut known: Vec<Option<Option<Arc<Scan>>>> = {
            let mut cache = lock(&self.scans);
            wanted.iter().map(|file| cache.get(&file.blob, file.kind)).collect()
        };
        // The first file of each blob is read for all of them.
        let (mut unknown, mut same) = (Vec::new(), Vec::new());
        let mut first_of = HashMap::new();
        for (at, file) in wanted.iter().enumerate().filter(|(at, _)| known[*at].is_none()) {
            match first_of.entry((&*file.blob, file.kind)) {
                MapEntry::Vacant(free) => {
                    free.insert(at);
                    unknown.push(at);
                }
                MapEntry::Occupied(first) => same.push((at, *first.get())),
            }
        }
        let turn = Mutex::new(());
        let found = self.pool.each(&unknown, |next| {
            let mut found = Vec::new();
            let (mut read, mut parsed) = (0, 0);
            let result = mirror.each_blob(
                SIZE_LIMIT,
                &turn,
                || next().map(|at| (*at, &*wanted[*at].blob)),
                |at, bytes| {
                    read += 1;
                    let kind = wanted[at].kind;
                    let scan = match bytes {
                        Ok(bytes) if is_candidate(kind, bytes) => {
                            parsed += 1;
                            Some(scan(kind, bytes))
                        }
                        Ok(_) => None,
                        Err(size) => Some(too_large(size)),
                    };
                    let weight = weight(scan.as_ref());
                    found.push((at, scan.map(Arc::new), weight));
                },
            );
            self.read.fetch_add(read, Ordering::Relaxed);
            self.parsed.fetch_add(parsed, Ordering::Relaxed);
            result.map(|()| found)
        });
        let mut failure = None;
        let mut cache = lock(&self.scans);
        cache.reserve(unknown.len());
        for found in found {
            // What the others read is kept for the next attempt.
            let found = found.unwrap_or_else(|error| {
                failure = Some(error);
                Vec::new()
            });
            for (at, scan, weight) in found {
                cache.put(&wanted[at].blob, wanted[at].kind, scan.clone(), weight);
                known[at] = Some(scan);
            }
        }
        drop(cache);
        if let Some(error) = failure {
            return Err(error);
        }
        for (at, first) in same {
            known[at] = known[first].clone();
        }
        let scans = wanted.iter().zip(known);
        Ok(scans.filter_map(|(file, scan)| Some((file.path.clone(), scan.flatten()?))).collect())
    }
}

fn entry(blob: Arc<str>, mode: Mode, exact: bool) -> Entry {
    let kind = match mode {
        Mode::File | Mode::Executable if exact => EntryKind::File,
        Mode::File | Mode::Executable => EntryKind::Misnamed,
        Mode::Symlink => EntryKind::Symlink,
        Mode::Submodule => EntryKind::Submodule,
    };
    Entry { blob, kind }
}

fn wants(path: &Arc<str>, entry: &Entry) -> Option<Wanted> {
    let kind = FileKind::of(path).filter(|_| entry.kind == EntryKind::File)?;
    Some(Wanted { path: path.clone(), blob: entry.blob.clone(), kind })
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
