//! What a branch was: its commits along the first parents, which is what the branch pointed at over time.

use super::{
    error::{GitError, Local, missing, oid},
    mirror::Mirror,
};
use crate::engine::dialect::is_flux_v1_release;
use git2::{Commit, Oid, Repository};
use jiff::Timestamp;
use std::path::Path;

/// Who a commit names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub name: String,
    pub email: String,
}

/// A commit without its files. Text that is not UTF-8 shows U+FFFD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    pub id: String,
    pub parents: Vec<String>,
    pub author: Identity,
    pub committer: Identity,
    /// When it was committed, as its committer's clock said.
    pub time: Timestamp,
    pub message: String,
}

impl CommitInfo {
    /// Whether Flux v1 released images with it; what `own` is the email of is somebody's words in butler's mouth.
    pub fn is_by_flux_v1(&self, own: &str) -> bool {
        let CommitInfo { author, committer, message, .. } = self;
        let people = [&author.name, &author.email, &committer.name, &committer.email];
        people.iter().all(|who| *who != own) && is_flux_v1_release(people.map(String::as_str), message)
    }
}

/// A commit that changed a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVersion {
    pub commit: CommitInfo,
    /// The file's blob in the first parent; `None` where it was not there.
    pub before: Option<String>,
    /// The file's blob in the commit; `None` where it was removed.
    pub after: Option<String>,
}

impl Mirror {
    /// The commits from `head` along the first parents, newest first, at most `limit`.
    pub fn first_parent_history(&self, head: &str, limit: usize) -> Result<Vec<CommitInfo>, GitError> {
        self.local(|repository| {
            let mut commits = Vec::new();
            walk(repository, head, limit, |commit, _| {
                commits.push(info(commit));
                Ok(())
            })?;
            Ok(commits)
        })
    }

    /// The commits along the first parents that changed the blob at `path`, newest first, among the newest `limit` commits. A
    /// folder, symlink or submodule at that path counts as what it is: an id.
    pub fn file_history(&self, head: &str, path: &str, limit: usize) -> Result<Vec<FileVersion>, GitError> {
        let path = Path::new(path);
        self.local(|repository| {
            let at = |commit: &Commit<'_>| -> Result<Option<Oid>, Local> {
                match commit.tree()?.get_path(path) {
                    Ok(entry) => Ok(Some(entry.id())),
                    Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
                    Err(error) => Err(error.into()),
                }
            };
            let mut versions = Vec::new();
            // What one commit had before is what the next one, its parent, has.
            let mut known: Option<Option<Oid>> = None;
            walk(repository, head, limit, |commit, parent| {
                let after = match known {
                    Some(id) => id,
                    None => at(commit)?,
                };
                let before = parent.map(at).transpose()?.flatten();
                known = Some(before);
                if before != after {
                    let hex = |id: Option<Oid>| id.map(|id| id.to_string());
                    versions.push(FileVersion { commit: info(commit), before: hex(before), after: hex(after) });
                }
                Ok(())
            })?;
            Ok(versions)
        })
    }

    /// Whether `ancestor` is `commit` or in its history, over all parents.
    pub fn is_ancestor(&self, ancestor: &str, commit: &str) -> Result<bool, GitError> {
        self.local(|repository| {
            let (ancestor, commit) = (oid(ancestor)?, oid(commit)?);
            for id in [ancestor, commit] {
                repository.find_commit(id).map_err(missing("commit", id))?;
            }
            Ok(ancestor == commit || repository.graph_descendant_of(commit, ancestor)?)
        })
    }
}

/// Visits commits with their first parents.
fn walk(
    repository: &Repository,
    head: &str,
    limit: usize,
    mut visit: impl FnMut(&Commit<'_>, Option<&Commit<'_>>) -> Result<(), Local>,
) -> Result<(), Local> {
    let id = oid(head)?;
    let mut next = Some(repository.find_commit(id).map_err(missing("commit", id))?);
    for _ in 0..limit {
        let Some(commit) = next else { break };
        next = match commit.parent_count() {
            0 => None,
            _ => Some(commit.parent(0)?),
        };
        visit(&commit, next.as_ref())?;
    }
    Ok(())
}

fn info(commit: &Commit<'_>) -> CommitInfo {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let identity = |who: git2::Signature<'_>| Identity { name: text(who.name_bytes()), email: text(who.email_bytes()) };
    CommitInfo {
        id: commit.id().to_string(),
        parents: commit.parent_ids().map(|id| id.to_string()).collect(),
        author: identity(commit.author()),
        committer: identity(commit.committer()),
        // A time beyond what jiff can hold (the year 9999) is somebody's joke; the epoch sorts it last.
        time: Timestamp::from_second(commit.time().seconds()).unwrap_or_default(),
        message: text(commit.message_bytes()),
    }
}
