//! What ran before: a branch's files over its newest commits.

use super::{
    super::{GitError, Mirror},
    BranchState, HISTORY, Reader, Wanted,
};
use crate::engine::{
    manifest::{FileKind, Scan},
    plan::{Observation, versions},
    wording::pull_of,
};
use std::{collections::BTreeMap, sync::Arc};

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

impl Reader {
    /// What an environment's files said over the newest commits of its branch.
    pub fn past(
        &self,
        mirror: &Mirror,
        state: &BranchState,
        contains: impl Fn(&str) -> bool,
    ) -> Result<Past, GitError> {
        let scans = state.snapshot.scans.iter().filter(|(file, _)| contains(file));
        let mut files: BTreeMap<Arc<str>, Arc<Scan>> = scans.map(|(file, scan)| (file.clone(), scan.clone())).collect();
        let observe = |files: &BTreeMap<Arc<str>, Arc<Scan>>, commit: &str, at| Observation {
            commit: commit.to_owned(),
            at,
            versions: versions(files.iter().map(|(file, scan)| (&**file, scan.as_ref()))),
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
                let wanted = change.old.map(|blob| Wanted { path: change.path.clone(), blob, kind });
                match self.scans(mirror, wanted.as_slice())?.pop() {
                    Some((path, scan)) => files.insert(path, scan),
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
