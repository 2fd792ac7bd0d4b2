//! Moving branches: edits become a commit, the commit goes up by compare-and-swap.

use super::{WorkError, session::Session};
use crate::{
    adapters::git::{CommitMeta, FileChange, GitError, Identity, PushOutcome, RefUpdate},
    engine::{
        manifest::EditError,
        plan::{Change, rewritten},
        wording::unified,
    },
};

/// Files that butler edits are never larger.
const FILE_LIMIT: usize = 10 * 1024 * 1024;

/// What became of a push.
#[derive(Debug)]
pub enum Published {
    Done {
        commit: String,
    },
    /// The server does not take it from butler.
    Protected {
        message: String,
        /// The branch that stands where this one's folder would be, or below it, where that is the reason.
        in_the_way: Option<String>,
    },
}

impl From<EditError> for WorkError {
    /// The bytes are read by the very blob that was planned on, so a misfit is a fault in the planner.
    fn from(error: EditError) -> Self {
        WorkError::Bug(error.to_string())
    }
}

impl Session<'_> {
    /// Makes a commit of the changes on top of `base`; returns its id and the unified diff. No ref moves.
    pub async fn commit(&self, base: &str, changes: &[Change], message: &str) -> Result<(String, String), WorkError> {
        self.commit_as(self.author(), base, changes, message).await
    }

    /// The same, in somebody's name. The committer is always the App: by that it knows its own commits.
    pub async fn commit_as(
        &self,
        author: Identity,
        base: &str,
        changes: &[Change],
        message: &str,
    ) -> Result<(String, String), WorkError> {
        let meta = CommitMeta {
            author,
            committer: self.committer(),
            time: self.worker.clock.now(),
            message: message.to_owned(),
            more_parents: Vec::new(),
        };
        let (mirror, base, changes) = (self.mirror.clone(), base.to_owned(), changes.to_vec());
        Self::blocking(move || {
            let mut before = std::collections::BTreeMap::new();
            let files = rewritten(&changes, |file, blob| {
                let bytes = mirror.read_blob(blob, FILE_LIMIT).map_err(WorkError::from)?;
                before.insert(file.to_owned(), bytes.clone());
                Ok::<_, WorkError>(bytes)
            })?;
            let diff = files
                .iter()
                .map(|(file, after)| unified(file, before.get(file).map_or(&[][..], Vec::as_slice), after))
                .collect();
            let edits: Vec<FileChange> =
                files.into_iter().map(|(path, bytes)| FileChange { path, new_bytes: Some(bytes) }).collect();
            Ok((mirror.commit_edits(&base, &edits, &meta)?, diff))
        })
        .await
    }

    /// To be asked just before a branch moves, by push or by merge: that no command came in that was not heard, and that
    /// the lease still holds.
    pub async fn last_word(&self) -> Result<(), WorkError> {
        let inbox = self.worker.store.inbox(self.repo).await?;
        if inbox.iter().any(|comment| !self.heard.contains(&comment.id)) {
            return Err(WorkError::Again("a command came in meanwhile".into()));
        }
        self.held.confirm(&self.worker.store, &self.worker.clock, self.worker.options.lease).await
    }

    /// Moves a branch from `expected` to `new` (`None`: must not exist, or goes away).
    ///
    /// Commands that came in meanwhile go first: a `/hold` said a moment ago holds.
    pub async fn move_branch(
        &mut self,
        branch: &str,
        expected: Option<String>,
        new: Option<String>,
    ) -> Result<Published, WorkError> {
        self.last_word().await?;
        let name = format!("refs/heads/{branch}");
        let update = RefUpdate { name: name.clone(), expected, new: new.clone() };
        let mirror = self.mirror.clone();
        let outcome = Self::blocking(move || mirror.push(&[update]).map_err(|error: GitError| error.into())).await?;
        match outcome {
            PushOutcome::Pushed => {
                match &new {
                    Some(commit) => self.heads.insert(name, commit.clone()),
                    None => self.heads.remove(&name),
                };
                Ok(Published::Done { commit: new.unwrap_or_default() })
            }
            PushOutcome::Protected { message, .. } => Ok(Published::Protected { message, in_the_way: None }),
            PushOutcome::InTheWay { name, other } => {
                let other = other.strip_prefix("refs/heads/").unwrap_or(&other).to_owned();
                let message = format!("git cannot hold {name} beside {other}");
                Ok(Published::Protected { message, in_the_way: Some(other) })
            }
            PushOutcome::Moved { name, .. } => Err(WorkError::Again(format!("{name} moved while it was planned"))),
            PushOutcome::Unknown { why } => Err(WorkError::Again(format!("the push's answer was lost: {why}"))),
            PushOutcome::Retry { why, after } => Err(WorkError::Retry {
                at: after
                    .and_then(|after| jiff::SignedDuration::try_from(after).ok())
                    .and_then(|after| self.worker.clock.now().checked_add(after).ok()),
                why,
            }),
        }
    }
}
