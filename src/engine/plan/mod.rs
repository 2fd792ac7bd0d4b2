//! What changes and why, or what is still needed to tell. Pure: the server, `butler plan`, a pull request's check run
//! and the tests all call the very same functions.

mod additions;
mod annotate;
mod assign;
mod attribution;
mod downgrade;
mod explain;
mod facts;
mod faults;
mod hash;
mod history;
mod promoted;
mod promotion;
mod rollout;
mod scope;
mod shadow;
mod times;
mod unmet;
mod update;
mod value;
mod wanted;
mod writers;

pub use annotate::annotatable;
pub use assign::{AssignRules, Assigned, Assignment, AssignmentTarget, assign};
pub use explain::{
    ExplainInputs, ExplainStep, Explanation, NotHere, Outcome, OutcomeResult, Place, Subject, explain, subjects,
};
pub use facts::{Fact, Facts, ForeignCommit, Need, OwnWrite, Planned};
pub use hash::plan_hash;
pub use promoted::Held;
pub use promotion::{
    PromotionInputs, PromotionPlan, PullAction, PullState, Side, component_of, decide_pull, promotion,
};
pub use rollout::{Observation, Rollout, rollouts, versions};
pub use scope::{NOT_UPDATED, Scope, Scopes, is_updated, not_updated};
pub use shadow::{Shadowed, Stands};
pub use unmet::unmet;
pub use update::{UpdateInputs, UpdatePlan, update};

use super::{
    image::Repository,
    manifest::{Edit, EditError, LineId, Position, apply},
    snapshot::{Entry, EntryKind, Snapshot},
};
use std::{borrow::Cow, collections::BTreeMap};

/// One line that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub line: LineId,
    pub position: Position,
    pub edit: Edit,
    /// The scalar's value before and after.
    pub old: String,
    pub new: String,
    /// The policy that the line follows (`ns:name`), for updates.
    pub policy: Option<String>,
    /// What moves as one: the workload or release that the line belongs to.
    pub component: String,
    /// The image that the line is about, where the file or the policy tells.
    pub image: Option<Repository>,
    /// A sentence: why this value.
    pub reason: String,
    /// The new version is lower than the old one under the policy's order.
    pub downgrade: bool,
    /// The environments that render the line, where there are more than the one that is updated: they agree on it.
    pub environments: Vec<String>,
    /// Index into [`crate::engine::dialect::Bindings::automations`]: the ImageUpdateAutomation whose commits these are,
    /// whoever writes them.
    pub automation: Option<usize>,
    /// Somebody else writes this line: planned and compared, never written.
    pub shadowed: Option<Shadowed>,
}

/// A line that follows a policy, or could be promoted, and does not change: why not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Skip {
    pub file: String,
    pub position: Position,
    /// Stable, kebab-case: `no-match`, `policy-unresolved`, …; of a faulty marker, its finding's.
    pub code: Cow<'static, str>,
    pub reason: String,
    pub policy: Option<String>,
}

/// The edits of some changes, by file.
pub fn edits_by_file<'a>(changes: impl IntoIterator<Item = &'a Change>) -> BTreeMap<String, Vec<Edit>> {
    let mut files: BTreeMap<String, Vec<Edit>> = BTreeMap::new();
    for change in changes {
        files.entry(change.line.file.clone()).or_default().push(change.edit.clone());
    }
    files
}

/// The new bytes of every file that `changes` touch. `read` gives a file's bytes as they were planned on; it is not asked
/// for files that a change creates.
pub fn rewritten<'a, E: From<EditError>>(
    changes: impl IntoIterator<Item = &'a Change>,
    mut read: impl FnMut(&str, &str) -> Result<Vec<u8>, E>,
) -> Result<BTreeMap<String, Vec<u8>>, E> {
    let mut files = BTreeMap::new();
    for (file, edits) in edits_by_file(changes) {
        let blob = edits.first().map_or("", |edit| &*edit.blob);
        // A file that is not there yet.
        let bytes = if blob.is_empty() { Vec::new() } else { read(&file, blob)? };
        files.insert(file, apply(&bytes, &edits)?);
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
