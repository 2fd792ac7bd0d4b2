//! One attempt at a repository: what was read once, and the state that moves while it is worked on.

use super::{Held, WorkError, Worker};
use crate::{
    adapters::{
        git::{BranchState, Heads, Identity, Mirror},
        github::{AppIdentity, MergeMethod},
    },
    engine::{
        config::Config,
        event::RepoName,
        memory::Memory,
        plan::Facts,
        wording::{self, Standing, Stopped},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// The default branch's refs and everything that was read from it, at the beginning of an attempt.
pub struct Session<'a> {
    pub worker: &'a Worker,
    pub repo: &'a RepoName,
    pub held: &'a Held,
    pub mirror: Arc<Mirror>,
    /// The remote's refs: as fetched, then as moved.
    pub heads: Heads,
    pub default_branch: String,
    pub config: Arc<Config>,
    pub memory: Memory,
    /// The commit of `refs/butler/state` that `memory` was read from.
    pub memory_commit: Option<String>,
    pub identity: &'a AppIdentity,
    pub facts: Facts,
    pub branches: HashMap<String, Arc<BranchState>>,
    /// Comments that this attempt has read already.
    pub heard: BTreeSet<u64>,
    pub standings: BTreeMap<String, Standing>,
    /// butler's pull requests that are open, by head branch.
    pub pulls: BTreeMap<String, crate::adapters::github::Pull>,
    /// Pull requests that people asked to be merged: the replies to them are to be said again.
    pub restate: BTreeSet<u64>,
    /// What was declined and keeps something from moving: the environment, and the decline's sentence.
    pub declined: BTreeSet<(String, String)>,
    /// The lines that the circuit breaker stopped.
    pub stopped: BTreeSet<Stopped>,
    /// How pull requests may be merged here, the first choice first.
    pub merge_methods: Vec<MergeMethod>,
    /// What keeps lines from being updated, for the check run.
    pub findings: Vec<wording::Finding>,
    /// What became of the lines that Flux writes.
    pub agreement: wording::Agreement,
    /// Something could not be asked: look again soon.
    pub look_again: bool,
}

impl Session<'_> {
    /// Runs what blocks (libgit2, scanning) off the async threads.
    pub async fn blocking<T: Send + 'static>(
        work: impl FnOnce() -> Result<T, WorkError> + Send + 'static,
    ) -> Result<T, WorkError> {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => Err(WorkError::Bug(format!("a blocking task did not end: {error}"))),
        }
    }

    /// The commit that a branch is at.
    pub fn head(&self, branch: &str) -> Option<&String> {
        self.heads.get(&format!("refs/heads/{branch}"))
    }

    /// A branch as it is now; read once for each commit.
    pub async fn branch(&mut self, branch: &str) -> Result<Option<Arc<BranchState>>, WorkError> {
        let Some(commit) = self.head(branch).cloned() else { return Ok(None) };
        if let Some(state) = self.branches.get(branch).filter(|state| state.commit == commit) {
            return Ok(Some(state.clone()));
        }
        let (mirror, reader, name) = (self.mirror.clone(), self.worker.reader.clone(), branch.to_owned());
        let config = self.config.clone();
        let state = Self::blocking(move || Ok(reader.branch(&mirror, &name, &commit, &config)?)).await?;
        self.branches.insert(branch.to_owned(), state.clone());
        Ok(Some(state))
    }

    /// Who commits: the App; an author from butler.yaml stands beside it.
    pub fn committer(&self) -> Identity {
        Identity { name: self.identity.bot_login.clone(), email: self.identity.commit_email() }
    }

    pub fn author(&self) -> Identity {
        match &self.config.commits.author {
            Some(author) => Identity { name: author.name.clone(), email: author.email.clone() },
            None => self.committer(),
        }
    }

    /// The branch that an environment is written to.
    pub fn branch_of(&self, environment: &crate::engine::config::Environment) -> String {
        environment.branch.clone().unwrap_or_else(|| self.default_branch.clone())
    }
}
