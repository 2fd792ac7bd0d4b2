//! butler's own commits of a history, with what each changed: looked through once a head, whichever files are asked for.

use super::{
    super::{ChangedPath, CommitInfo, GitError, Mirror},
    HISTORY,
};
use std::{collections::HashMap, path::PathBuf, sync::Arc};

/// Histories that are kept.
const KEPT: usize = 16;

/// A commit of butler's.
#[derive(Clone)]
pub(super) struct OwnCommit {
    pub commit: CommitInfo,
    /// What it changed beside its first parent, in path order.
    pub changes: Arc<Vec<ChangedPath>>,
}

impl OwnCommit {
    /// What it did to a file; `None` where it left its content alone.
    pub fn change_of(&self, file: &str) -> Option<&ChangedPath> {
        let at = self.changes.binary_search_by(|change| (*change.path).cmp(file)).ok()?;
        self.changes.get(at).filter(|change| change.old != change.new)
    }
}

/// The histories that were read last, the latest at the end.
#[derive(Default)]
pub(super) struct Histories(Vec<(Key, Arc<Vec<OwnCommit>>)>);

/// A mirror's folder, a head, and an email.
type Key = (PathBuf, String, String);

impl Histories {
    /// The commits whose author or committer is `email`, newest first.
    pub fn of(&mut self, mirror: &Mirror, head: &str, email: &str) -> Result<Arc<Vec<OwnCommit>>, GitError> {
        let key: Key = (mirror.dir().to_owned(), head.to_owned(), email.to_owned());
        if let Some((_, known)) = self.0.iter().find(|(known, _)| *known == key) {
            return Ok(known.clone());
        }
        let same_mirror = self.0.iter().filter(|((dir, ..), _)| *dir == key.0);
        // The head before had most of them too.
        let known: HashMap<&str, &OwnCommit> =
            same_mirror.flat_map(|(_, own)| own.iter()).map(|own| (own.commit.id.as_str(), own)).collect();
        let mut found = Vec::new();
        for commit in mirror.first_parent_history(head, HISTORY)? {
            // butler begins no history: what it wrote has a parent.
            let Some(parent) = commit.parents.first() else { continue };
            if commit.author.email != email && commit.committer.email != email {
                continue;
            }
            let changes = match known.get(commit.id.as_str()) {
                Some(known) => known.changes.clone(),
                None => Arc::new(mirror.changed_paths(parent, &commit.id)?),
            };
            found.push(OwnCommit { commit, changes });
        }
        let found = Arc::new(found);
        if self.0.len() >= KEPT {
            self.0.remove(0);
        }
        self.0.push((key, found.clone()));
        Ok(found)
    }
}
