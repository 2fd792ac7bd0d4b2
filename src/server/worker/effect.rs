//! Effects: what people see, made so by jobs of their own. Each is safe to repeat.

use super::{WorkError, Worker, said};
use crate::{
    adapters::{
        github::{CheckRun, Conclusion, Reaction},
        store::JobRequest,
    },
    engine::{event::RepoName, wording::CheckText},
};
use serde::{Deserialize, Serialize};

/// One thing that is to be so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "effect")]
pub enum Effect {
    /// A comment of butler's, found again by its key.
    Say {
        number: u64,
        key: String,
        body: String,
    },
    React {
        comment: u64,
        reaction: Reaction,
    },
    Check {
        sha: String,
        name: String,
        conclusion: Conclusion,
        title: String,
        summary: String,
    },
}

impl Effect {
    /// A check run on a commit.
    pub fn check(sha: &str, name: &str, conclusion: Conclusion, text: CheckText) -> Self {
        Effect::Check { sha: sha.into(), name: name.into(), conclusion, title: text.title, summary: text.summary }
    }

    /// The job that brings it about. A later effect of the same id replaces one that still waits.
    pub fn job(&self, repo: &RepoName) -> Result<JobRequest, WorkError> {
        let id = match self {
            Effect::Say { number, key, .. } => format!("say:{number}:{key}"),
            Effect::React { comment, reaction } => format!("react:{comment}:{reaction:?}"),
            Effect::Check { sha, name, .. } => format!("check:{name}:{sha}"),
        };
        let payload = serde_json::to_value(self).map_err(|error| WorkError::Bug(error.to_string()))?;
        Ok(JobRequest::effect(repo.clone(), id, payload))
    }
}

impl Worker {
    /// Brings an effect about.
    pub(super) async fn make(&self, repo: &RepoName, effect: Effect) -> Result<(), WorkError> {
        match effect {
            Effect::Say { number, key, body } => {
                self.forge.say(repo, number, &key, &body).await?;
                said::note(&self.store, repo, number, &key, &body, self.clock.now()).await?;
            }
            Effect::React { comment, reaction } => self.forge.react(repo, comment, reaction).await?,
            Effect::Check { sha, name, conclusion, title, summary } => {
                let check = CheckRun {
                    external_id: format!("{name}:{sha}"),
                    name,
                    conclusion,
                    title,
                    summary,
                    text: String::new(),
                    annotations: Vec::new(),
                };
                self.forge.conclude(repo, &sha, &check).await?;
            }
        }
        Ok(())
    }
}
