//! What a plan may know of the world. It gets what is there and says what it still needs; it never asks by itself.

use crate::engine::{
    image::{Repository, Tag},
    manifest::Scan,
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Something that had to be asked of the outside. Absent means not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    Known {
        value: T,
        as_of: Timestamp,
    },
    Unavailable {
        why: String,
        retry_at: Option<Timestamp>,
    },
    /// Nobody was asked: what there is was given by hand, without this.
    NotGiven {
        why: String,
    },
}

impl<T> Fact<T> {
    /// What a registry told; else the code and the reason of what keeps it from being known.
    pub fn told(&self) -> Result<&T, (&'static str, &str)> {
        match self {
            Fact::Known { value, .. } => Ok(value),
            Fact::Unavailable { why, .. } => Err(("registry-unavailable", why)),
            Fact::NotGiven { why } => Err(("not-given", why)),
        }
    }
}

/// A question that a plan cannot go on without.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// All tags of an image repository, sorted byte-descending.
    Tags(Repository),
    /// The digest that a tag stands for.
    Digest { repository: Repository, tag: String },
    /// When the images that these tags stand for were created: of the tags that a policy by time may choose from.
    Times { repository: Repository, tags: Vec<String> },
    /// butler's own commits that changed a file, on a branch's first-parent history.
    OwnWrites { branch: String, file: String },
    /// The newest release that Flux v1 committed, on a branch's first-parent history.
    FluxV1 { branch: String },
}

/// A commit of butler's own that changed a file.
#[derive(Clone, Debug)]
pub struct OwnWrite {
    pub commit: String,
    pub at: Timestamp,
    /// What the file held before and after it.
    pub before: Arc<Scan>,
    pub after: Arc<Scan>,
}

/// A commit by somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignCommit {
    pub commit: String,
    pub at: Timestamp,
}

/// Everything asked so far. Facts only grow within an attempt.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub tags: BTreeMap<Repository, Fact<Arc<Vec<Tag>>>>,
    pub digests: BTreeMap<(Repository, String), Fact<Option<String>>>,
    /// By repository and tag; `None` for an image that tells no time.
    pub times: BTreeMap<Repository, BTreeMap<String, Fact<Option<Timestamp>>>>,
    /// By branch and file, newest first.
    pub own_writes: BTreeMap<(String, String), Fact<Arc<Vec<OwnWrite>>>>,
    /// By branch; `None` where Flux v1 has committed nothing lately.
    pub flux_v1: BTreeMap<String, Fact<Option<ForeignCommit>>>,
}

/// A plan, or the questions to answer before there can be one.
#[derive(Clone, Debug)]
pub enum Planned<T> {
    Ready(T),
    Needs(BTreeSet<Need>),
}
