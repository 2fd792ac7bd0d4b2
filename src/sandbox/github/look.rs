//! Looking inside: what a test compares with what it expected.

use super::{
    git::{CommitInfo, FileChange},
    setup::Github,
    state::{CheckRun, Comment, Issue, Repo, Status},
};
use std::{collections::BTreeMap, path::PathBuf};

impl Github {
    fn look<T>(&self, repo: &str, look: impl FnOnce(&Repo) -> T) -> Option<T> {
        let name = repo.parse().ok()?;
        self.shared().state().repos.get(&name).map(look)
    }

    /// The bare repository's folder.
    pub fn git_dir(&self, repo: &str) -> Option<PathBuf> {
        self.look(repo, |repo| repo.git.dir().to_owned())
    }

    /// Every ref with its commit; `refs/pull` as well.
    pub fn refs(&self, repo: &str) -> BTreeMap<String, String> {
        self.look(repo, |repo| repo.git.refs().unwrap_or_default()).unwrap_or_default()
    }

    /// The tip of a branch.
    pub fn branch(&self, repo: &str, branch: &str) -> Option<String> {
        self.look(repo, |repo| repo.git.branch(branch))?
    }

    /// A file's text at a commit, branch or ref.
    pub fn file(&self, repo: &str, at: &str, path: &str) -> Option<String> {
        let bytes = self.look(repo, |repo| repo.git.read(&repo.git.resolve(at)?, path))??;
        String::from_utf8(bytes).ok()
    }

    /// Every commit that a commit, branch or ref reaches, oldest first.
    pub fn history(&self, repo: &str, at: &str) -> Vec<CommitInfo> {
        let history = self.look(repo, |repo| {
            let ids = repo.git.between(None, &repo.git.resolve(at)?).ok()?;
            ids.iter().map(|id| repo.git.info(id).ok()).collect()
        });
        history.flatten().unwrap_or_default()
    }

    /// An issue or a pull request.
    pub fn issue(&self, repo: &str, number: u64) -> Option<Issue> {
        self.look(repo, |repo| repo.issues.get(&number).cloned())?
    }

    /// Every pull request, open and closed, oldest first; each has [`Issue::pull`].
    pub fn pulls(&self, repo: &str) -> Vec<Issue> {
        self.look(repo, |repo| repo.pulls().map(|(issue, _)| issue.clone()).collect()).unwrap_or_default()
    }

    /// What a pull request changes.
    pub fn changes(&self, repo: &str, number: u64) -> Vec<FileChange> {
        let changes = self.look(repo, |repo| {
            let pull = repo.issues.get(&number)?.pull.as_ref()?;
            repo.git.changes(&pull.base_sha, &pull.head_sha).ok()
        });
        changes.flatten().unwrap_or_default()
    }

    /// Comments on an issue or pull request, oldest first.
    pub fn comments(&self, repo: &str, number: u64) -> Vec<Comment> {
        let on = |repo: &Repo| repo.comments.values().filter(|comment| comment.number == number).cloned().collect();
        self.look(repo, on).unwrap_or_default()
    }

    /// Check runs on a commit, oldest first.
    pub fn checks(&self, repo: &str, sha: &str) -> Vec<CheckRun> {
        let on = |repo: &Repo| repo.checks.values().filter(|check| check.head_sha == sha).cloned().collect();
        self.look(repo, on).unwrap_or_default()
    }

    /// Commit statuses, oldest first.
    pub fn statuses(&self, repo: &str, sha: &str) -> Vec<Status> {
        let on = |repo: &Repo| repo.statuses.iter().filter(|status| status.sha == sha).cloned().collect();
        self.look(repo, on).unwrap_or_default()
    }
}
