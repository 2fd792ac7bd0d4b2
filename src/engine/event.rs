//! What happened, from whatever sender. An event never says what to do, only what to look at again.

use super::image::Repository;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A repository on GitHub: `owner/name`. Compared without regard to case, as GitHub does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoName {
    owner: String,
    name: String,
}

/// Why a text is no repository name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a repository as owner/name, found {0:?}")]
pub struct RepoNameError(pub String);

impl RepoName {
    /// The user or organisation.
    pub fn owner(&self) -> &str {
        &self.owner
    }
    /// Without the owner.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for RepoName {
    type Err = RepoNameError;

    /// GitHub's own limits: letters, digits, `-`, `_` and `.`; neither part may be `.` or `..`. Folded to lower case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = |part: &str| {
            !part.is_empty()
                && part.len() <= 100
                && part != "."
                && part != ".."
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        match text.split_once('/') {
            Some((owner, name)) if valid(owner) && valid(name) => {
                Ok(RepoName { owner: owner.to_ascii_lowercase(), name: name.to_ascii_lowercase() })
            }
            _ => Err(RepoNameError(text.chars().take(200).collect())),
        }
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl TryFrom<String> for RepoName {
    type Error = RepoNameError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RepoName> for String {
    fn from(name: RepoName) -> String {
        name.to_string()
    }
}

/// A comment or a review's text on a pull request: where slash-commands come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    pub repo: RepoName,
    /// The pull request's (or issue's) number.
    pub number: u64,
    pub on_pull: bool,
    /// GitHub's id of the comment, unique over the whole site.
    pub id: u64,
    pub author: String,
    pub author_is_bot: bool,
    pub body: String,
    pub created_at: Timestamp,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A ref moved. `after` is all zeros where it was deleted.
    Push {
        repo: RepoName,
        git_ref: String,
        after: String,
    },
    /// A pull request was opened, changed, closed or merged.
    Pull {
        repo: RepoName,
        number: u64,
        action: String,
        head_ref: String,
        base_ref: String,
    },
    /// A new comment. Edits and deletions are [`Event::Ignored`].
    Comment(Comment),
    Review {
        repo: RepoName,
        number: u64,
    },
    /// A check or a commit status changed.
    Status {
        repo: RepoName,
        sha: String,
    },
    /// An image was pushed. The tag is a hint: the registry is asked before anything is written.
    Image {
        repository: Repository,
        tag: Option<String>,
    },
    /// The App was given these config repositories.
    Installed {
        repos: Vec<RepoName>,
    },
    /// Authentic, and of no consequence.
    Ignored {
        why: String,
    },
}
