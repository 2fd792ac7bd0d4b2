//! (skeleton: helper fills)

use serde::{Deserialize, Serialize};
use std::fmt;

/// An image repository in its normalised form: `docker.io/library/nginx` for `nginx`. Compared by that form only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository {
    host: String,
    path: String,
}

/// An image reference, with the spelling that its author used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The name as written, without tag and digest: `nginx`.
    pub name: String,
    pub repository: Repository,
    pub tag: Option<String>,
    /// `sha256:…`
    pub digest: Option<String>,
}

/// Why a text is no image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image reference: {why}")]
pub struct ReferenceError {
    pub text: String,
    pub why: String,
}

impl Repository {
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        Reference::parse(text).map(|r| r.repository)
    }
    /// `docker.io`, `localhost:5000`
    pub fn host(&self) -> &str {
        &self.host
    }
    /// `library/nginx`
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Reference {
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        Err(ReferenceError { text: text.into(), why: "skeleton".into() })
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl TryFrom<String> for Repository {
    type Error = ReferenceError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Repository::parse(&text)
    }
}

impl From<Repository> for String {
    fn from(repository: Repository) -> String {
        repository.to_string()
    }
}
