//! Tag policies: filter, then order, then one tag (or a reason why none). (skeleton: helper fills)

mod number;
mod range;
mod version;

use crate::engine::image::Tag;

/// Which end of an order is chosen. Ascending chooses the last, descending the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    #[default]
    Ascending,
    Descending,
}

/// A policy that compiled. (skeleton)
#[derive(Clone, Debug)]
pub struct TagPolicy {}

/// Why a policy cannot be: which part, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part} {text:?}: {why}{}", at.map(|at| format!(" (at byte {at})")).unwrap_or_default())]
pub struct PolicyError {
    /// `semver range`, `filter pattern`, `extract`, `exclude pattern`, `order`
    pub part: &'static str,
    pub text: String,
    pub why: String,
    /// Byte offset in `text`, from 0, where it can be told.
    pub at: Option<usize>,
}

/// What a policy chose from a list of tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection<'a> {
    /// `None` is a state with a reason, never an error.
    pub selected: Option<&'a Tag>,
    /// How many tags were looked at.
    pub considered: usize,
    /// How many passed filter, exclusions and the order's own condition (a version in range, a number, …).
    pub matched: usize,
    /// A sentence for people: "0 of 412 tags match `^release-`; nearest: …".
    pub reason: String,
}

impl TagPolicy {
    /// Chooses one of `tags`; ties go by the order given (see ENGINE: readers sort byte-descending first).
    pub fn select<'a>(&self, tags: &'a [Tag]) -> Selection<'a> {
        Selection { selected: None, considered: tags.len(), matched: 0, reason: String::new() }
    }
}
