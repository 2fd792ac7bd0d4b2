//! How a repository says "automate this". Each dialect turns a snapshot into bindings: (policy, image line).

mod addition;
mod annotations;
mod flux_v1;
mod flux_v2;
mod holding;
pub(crate) mod kustomize;
mod native;
mod outline;
mod render;

pub use addition::Addition;

use super::{
    config::Config,
    image::Repository,
    manifest::{LabelSelector, Part, Position},
    plan::{Settled, Snapshot},
    policy::TagPolicy,
};
use kustomize::Inclusions;
use outline::Outline;
use render::Rendering;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::Arc,
};

/// A policy's name as markers write it: `namespace:name`. What Flux v1's annotations say of a container has the name
/// `kind/object:container`, a policy of butler.yaml the namespace `butler.yaml` and the image's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyKey {
    pub namespace: String,
    pub name: String,
}

/// When a policy's digest is written beside its tag (Flux: `spec.digestReflectionPolicy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestReflection {
    #[default]
    Never,
    IfNotPresent,
    Always,
}

/// A policy that somebody wrote into the repository, with all that keeps it from being followed.
#[derive(Clone, Debug)]
pub struct Policy {
    pub key: PolicyKey,
    /// The file and place that define it.
    pub file: String,
    pub position: Position,
    /// The image's name as its author wrote it.
    pub image: String,
    pub state: PolicyState,
    pub digest: DigestReflection,
    /// The clusters' roots that have it so ([`Bindings::disagreement`]); none where that is not known.
    pub(crate) roots: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
pub enum PolicyState {
    Usable {
        repository: Repository,
        policy: Arc<TagPolicy>,
    },
    /// Suspended, or its repository is.
    Suspended(String),
    /// Somebody wants it to stay as it is (`locked`, `ignored`), or it is followed in a way that butler has not
    /// (`command-updated`); the code is that of the skipped line.
    Blocked {
        code: &'static str,
        why: String,
    },
    /// It cannot be; the reason says where and what to do.
    Invalid(String),
}

/// A marker's policy that could not be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    pub key: PolicyKey,
    /// The skipped line's: `policy-unresolved` where nothing has that name, `policy-ambiguous` where several definitions
    /// differ.
    pub code: &'static str,
    /// A sentence that names near ones, or the definitions' files.
    pub why: String,
}

/// Who else writes, or says where and how: Flux's `ImageUpdateAutomation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Automation {
    /// `ImageUpdateAutomation/flux-system/flux-system`
    pub object: String,
    pub namespace: String,
    pub name: String,
    pub file: String,
    pub position: Position,
    /// The folder that it confines itself to; empty is the whole repository.
    pub path: String,
    pub suspended: bool,
    /// The branches that it checks out and pushes to; empty where the repository does not tell.
    pub branches: Vec<String>,
    pub commit: CommitStyle,
    /// Which policies of its namespace it follows; `None` is all.
    pub selector: Option<LabelSelector>,
}

/// How an automation's commits look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitStyle {
    /// `messageTemplate`, a Go template; `None` is butler's own message.
    pub template: Option<String>,
    /// `messageTemplateValues`
    pub values: BTreeMap<String, String>,
    /// Name and email.
    pub author: Option<(String, String)>,
}

/// An image line that follows a policy.
#[derive(Clone, Debug)]
pub struct Binding {
    /// As the snapshot holds the path.
    pub file: Arc<str>,
    /// Index into the file's [`crate::engine::manifest::Scan::lines`].
    pub line: usize,
    pub part: Part,
    pub policy: Result<Arc<Policy>, Unresolved>,
    /// Indexes into [`Bindings::automations`]: those that follow this line's policy, in this file. `None` for dialects
    /// that know no automations.
    pub automations: Option<Arc<[usize]>>,
    /// The environments that it holds for; empty: all of them.
    pub environments: Vec<String>,
}

/// What a snapshot's files mean together.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    /// By file and line; a line may be bound more than once ([`conflict`]).
    pub lines: Vec<Binding>,
    /// Values that their policy puts into a document that is not there yet.
    pub additions: Vec<Addition>,
    pub policies: Vec<Arc<Policy>>,
    pub automations: Vec<Automation>,
    pub problems: Vec<Problem>,
    pub(crate) settled: Arc<Settled>,
    /// What clusters get of the repository.
    rendering: Arc<Rendering>,
    /// A `.flux.yaml` is there: what its generators build, images included, decides what is bound.
    generated: bool,
}

/// A finding about a policy or an automation itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable, kebab-case.
    pub code: &'static str,
    pub file: String,
    pub position: Position,
    pub message: String,
}

/// Puts together what the files of a snapshot mean, with the policies and settings of butler.yaml.
pub fn bind(snapshot: &Snapshot, config: &Config) -> Bindings {
    bind_outlined(snapshot, Arc::new(Outline::of(snapshot)), config)
}

/// `outline`: what the snapshot's files say.
fn bind_outlined(snapshot: &Snapshot, outline: Arc<Outline>, config: &Config) -> Bindings {
    let included = Inclusions::with(outline, snapshot);
    let annotated = annotations::read(snapshot, &included, config);
    let mut bindings = flux_v2::bind(snapshot, &included, &annotated.policies);
    bindings.problems.extend(annotated.problems);
    flux_v1::bind(snapshot, &included, &mut bindings);
    native::bind(snapshot, config, &mut bindings);
    bindings.lines.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    let doubles = bindings.lines.chunk_by(|a, b| (&a.file, a.line) == (&b.file, b.line));
    let conflicts: Vec<Problem> = doubles.filter_map(|bound| conflicting(snapshot, bound)).collect();
    bindings.problems.extend(conflicts);
    bindings
}

/// What is wrong with several bindings of one line, in any environment.
fn conflicting(snapshot: &Snapshot, bound: &[Binding]) -> Option<Problem> {
    let (first, others) = bound.split_first()?;
    let why = others.iter().zip(bound).find_map(|(other, before)| {
        let together = before.environments.is_empty()
            || other.environments.is_empty()
            || before.environments.iter().any(|name| other.environments.contains(name));
        if together { conflict(&[before, other]) } else { None }
    })?;
    let line = snapshot.scans.get(&first.file)?.lines.get(first.line)?;
    Some(Problem { code: "policy-conflict", file: first.file.to_string(), position: line.position, message: why })
}

/// Why the bindings of one line cannot all be followed; `None` where they want the same.
pub fn conflict(bound: &[&Binding]) -> Option<String> {
    let (first, others) = bound.split_first()?;
    let other = others.iter().find(|other| !first.agrees(other))?;
    Some(format!(
        "{} and {} both want this value, and differ: {}; {}. Remove one of the two",
        first.key(),
        other.key(),
        first.describe(),
        other.describe()
    ))
}

impl Binding {
    /// The name of the policy that it follows, or would.
    pub fn key(&self) -> &PolicyKey {
        match &self.policy {
            Ok(policy) => &policy.key,
            Err(unresolved) => &unresolved.key,
        }
    }

    /// Whether it holds for an environment.
    pub fn holds_for(&self, environment: &str) -> bool {
        self.environments.is_empty() || self.environments.iter().any(|name| name == environment)
    }

    fn agrees(&self, other: &Binding) -> bool {
        match (&self.policy, &other.policy) {
            (Ok(a), Ok(b)) => self.part == other.part && (Arc::ptr_eq(a, b) || a.state.agrees(&b.state)),
            _ => false,
        }
    }

    fn describe(&self) -> String {
        match &self.policy {
            Ok(policy) => match &policy.state {
                PolicyState::Usable { repository, policy } => format!("{} of {repository}", policy.describe()),
                PolicyState::Suspended(why) | PolicyState::Blocked { why, .. } | PolicyState::Invalid(why) => {
                    format!("{} stays: {why}", policy.key)
                }
            },
            Err(unresolved) => unresolved.why.clone(),
        }
    }
}

impl PolicyState {
    fn agrees(&self, other: &PolicyState) -> bool {
        match (self, other) {
            (
                PolicyState::Usable { repository, policy },
                PolicyState::Usable { repository: other_repository, policy: other_policy },
            ) => repository == other_repository && policy.describe() == other_policy.describe(),
            // They stay for one reason, in whatever environment.
            (PolicyState::Blocked { code, .. }, PolicyState::Blocked { code: other, .. }) => code == other,
            _ => false,
        }
    }
}

impl Bindings {
    /// The image repositories that some line follows: whose registry events matter here.
    pub fn images(&self) -> impl Iterator<Item = &Repository> {
        let lines = self.lines.iter().filter_map(|line| line.policy.as_ref().ok());
        lines.chain(self.additions.iter().map(|addition| &addition.policy)).filter_map(|policy| match &policy.state {
            PolicyState::Usable { repository, .. } => Some(repository),
            _ => None,
        })
    }

    /// The file itself, and every file that brings it into a cluster: kustomizations, Flux Kustomizations, HelmReleases.
    pub fn renderers(&self, file: &str) -> BTreeSet<String> {
        self.rendering.reach(file).owners
    }

    /// Another policy of this name that some cluster which renders `file` follows instead.
    pub fn disagreement(&self, policy: &Arc<Policy>, file: &str) -> Option<&Policy> {
        let same_name = |other: &&Arc<Policy>| other.key == policy.key && !Arc::ptr_eq(other, policy);
        let mut others = self.policies.iter().filter(same_name).peekable();
        others.peek()?;
        let roots = self.rendering.reach(file).roots;
        others.find(|other| !other.roots.is_disjoint(&roots)).map(AsRef::as_ref)
    }

    /// Automations by the folder they write, looked up for one file.
    pub fn automations_over<'a>(&'a self, file: &'a str) -> impl Iterator<Item = &'a Automation> {
        self.automations.iter().filter(move |automation| automation.covers(file))
    }
}

impl Automation {
    /// Whether it writes, or builds on, this branch; an empty one is any.
    pub fn is_of_branch(&self, branch: &str) -> bool {
        branch.is_empty() || self.branches.is_empty() || self.branches.iter().any(|own| own == branch)
    }

    /// Whether `file` lies under the automation's path.
    pub fn covers(&self, file: &str) -> bool {
        self.path.is_empty()
            || file == self.path
            || file.strip_prefix(&self.path).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl fmt::Display for PolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.name)
    }
}

impl FromStr for PolicyKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains(':') => {
                Ok(PolicyKey { namespace: namespace.into(), name: name.into() })
            }
            _ => Err(format!("expected a policy as NAMESPACE:NAME, found {text:?}")),
        }
    }
}

#[cfg(test)]
mod planned;
#[cfg(test)]
mod tests;
