//! A decision, step by step: what a line is, which policy it follows, what becomes of each tag, what is written or what
//! is in the way. The decision itself is [`update`]'s; nothing is decided here a second time.

mod subject;
mod told;

pub use subject::{NotHere, Subject, subjects};

use super::{Facts, Held, Planned, Snapshot, UpdateInputs};
use crate::engine::{
    config::Config,
    dialect::{Addition, Bindings, Policy},
    manifest::{ImageLine, Part, Position},
    policy::Account,
};
use serde::Serialize;
use std::sync::Arc;
use subject::free_lines;
use told::Told;

/// What explaining reads.
#[derive(Clone, Copy)]
pub struct ExplainInputs<'a> {
    pub snapshot: &'a Snapshot,
    pub bindings: &'a Bindings,
    pub facts: &'a Facts,
    pub config: &'a Config,
    /// The environments that butler updates; each decides for the lines of its own files.
    pub environments: &'a [UpdateInputs<'a>],
}

/// The answer to one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `apps/app.yaml:12` or `flux-system:app`
    pub subject: String,
    pub steps: Vec<ExplainStep>,
}

/// One step of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum ExplainStep {
    /// What stands in the file.
    Line {
        file: String,
        position: Place,
        value: String,
        part: Part,
        /// `Deployment/prod/app`
        object: Option<String>,
        path: String,
        /// The whole reference that the value is part of.
        image: Option<String>,
        marker: Option<String>,
    },
    /// A finding about this line.
    Finding { code: String, message: String },
    /// Nothing says what this line should follow.
    Unfollowed,
    /// Nothing changes the name that stands on this line; the image's tag or digest, on another one, follows a policy.
    Beside { file: String, position: Place, part: Part, policy: String },
    /// The policy, and where it is defined.
    Policy {
        key: String,
        file: String,
        position: Place,
        /// Empty where it is not usable.
        order: String,
        digest: &'static str,
    },
    /// Where the tags come from.
    Repository { image: String, repository: String },
    /// What becomes of each tag.
    Tags(Account),
    /// The order leaves several tags, and each line takes the one that is written like its own: not all the same.
    Ties,
    /// The tags cannot be told.
    NoTags { why: String },
    /// What keeps a policy from being followed.
    Blocked { code: &'static str, why: String },
    /// What an update makes of a line now.
    Outcome(Outcome),
    /// No line follows the policy.
    NoLines,
}

/// What becomes of a line in one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    pub file: String,
    pub position: Place,
    pub environment: Option<String>,
    #[serde(flatten)]
    pub result: OutcomeResult,
}

/// What an environment's update makes of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum OutcomeResult {
    /// The line holds what its policy wants.
    Current {
        value: String,
    },
    Changes {
        old: String,
        new: String,
        downgrade: bool,
        /// Who writes it, where it is not butler.
        written_by: Option<String>,
        /// Why what stands there is not only behind, where somebody else writes the line.
        #[serde(skip_serializing_if = "Option::is_none")]
        differs: Option<String>,
    },
    Stays {
        code: String,
        why: String,
    },
    /// No policy changes it in this environment, a promotion does.
    Promoted {
        promotion: String,
        from: String,
        holds: Held,
        /// Why this version of butler does not follow it.
        stands_still: Option<String>,
    },
    /// Neither a policy nor a promotion changes it in this environment.
    Left {
        /// Somebody else does.
        external: bool,
    },
    /// No environment of butler.yaml holds the file.
    Elsewhere,
}

/// A [`Position`], for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl From<Position> for Place {
    fn from(position: Position) -> Self {
        Place { line: position.line, column: position.column }
    }
}

/// Explains one subject, or says what must be known first.
pub fn explain(inputs: &ExplainInputs<'_>, subject: &Subject) -> Planned<Explanation> {
    let mut told = Told::new(inputs);
    let name = match subject {
        Subject::Line { file, line } => {
            told.line(file, *line);
            format!("{file}:{line}")
        }
        Subject::Policy(policy) => {
            told.defined(policy);
            policy.key.to_string()
        }
        Subject::Undefined { namespace, name } => {
            told.undefined(namespace, name);
            format!("{namespace}:{name}")
        }
        Subject::Image(image) => {
            for (file, scan, line) in free_lines(inputs, image) {
                told.free(file, scan, line);
            }
            image.to_string()
        }
    };
    told.explanation(name)
}

/// Whether two are one definition: a policy of butler.yaml has a twin for the lines that pin a digest; two patches of
/// one ImagePolicy are different policies.
fn is_same(a: &Arc<Policy>, b: &Arc<Policy>) -> bool {
    let place = |policy: &Policy| (policy.key.clone(), policy.file.clone(), policy.position);
    Arc::ptr_eq(a, b) || (place(a) == place(b) && a.roots == b.roots)
}

/// Whether a value is to be put in the place of a line.
fn is_base_of(addition: &Addition, file: &str, line: &ImageLine) -> bool {
    let field = &addition.field;
    field.base == file && field.patched.path == line.path && field.patched.position == line.position
}
