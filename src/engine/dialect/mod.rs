//! How a repository says "automate this". Each dialect turns a snapshot into bindings: (policy, image line).

mod addition;
mod annotations;
mod extent;
mod flux_v1;
mod flux_v2;
mod holding;
pub(crate) mod kustomize;
mod lines;
mod native;
mod outline;
mod render;

pub use addition::{Addition, MissingField, Spot};
pub(crate) use flux_v1::{Generated, GeneratedTag, Target, locked};
pub use flux_v1::{PolicyChange, PolicyChangeError, is_release as is_flux_v1_release, with_policies};
pub(crate) use lines::Bound;
pub use lines::Lines;

use super::{
    config::Config,
    image::Repository,
    manifest::{LabelSelector, Part, Position},
    policy::TagPolicy,
    snapshot::Snapshot,
};
use kustomize::Inclusions;
use lines::FileLines;
use outline::Outline;
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

impl DigestReflection {
    /// As butler.yaml and outputs spell it.
    pub fn word(self) -> &'static str {
        match self {
            DigestReflection::Never => "never",
            DigestReflection::IfNotPresent => "if-not-present",
            DigestReflection::Always => "always",
        }
    }
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

/// Whether a policy can be followed, or what keeps it from that.
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
    /// The line of a generated object that this line of its patch file takes the place of.
    pub base: Option<Box<BaseLine>>,
    pub policy: Result<Arc<Policy>, Box<Unresolved>>,
    /// Indexes into [`Bindings::automations`]: those that follow this line's policy, in this file. `None` for dialects
    /// that know no automations.
    pub automations: Option<Arc<[usize]>>,
    /// The environments that it holds for; empty: all of them.
    pub environments: Arc<[String]>,
}

/// A line whose value is written elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseLine {
    /// As the snapshot holds the path.
    pub file: Arc<str>,
    /// Index into the file's [`crate::engine::manifest::Scan::lines`].
    pub line: usize,
}

/// What a snapshot's files mean together.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    pub lines: Lines,
    /// Those of them that markers bind.
    marked: Lines,
    /// By file and field: values that their policy puts into a document that is not there yet.
    pub additions: Vec<Addition>,
    pub policies: Vec<Arc<Policy>>,
    /// How many of them markers may follow: those come first.
    markable: usize,
    pub automations: Vec<Automation>,
    pub problems: Vec<Problem>,
    /// What the files say.
    outline: Arc<Outline>,
    /// What clusters get of the repository.
    objects: Arc<flux_v2::Objects>,
    /// A `.flux.yaml` is there: what its generators build, images included, decides what is bound.
    generated: bool,
}

/// A finding about a policy or an automation itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Problem {
    /// Stable, kebab-case.
    pub code: &'static str,
    pub file: String,
    pub position: Position,
    pub message: String,
}

/// Puts together what the files of a snapshot mean, with the policies and settings of butler.yaml.
pub fn bind(snapshot: &Snapshot, config: &Config) -> Bindings {
    bind_after(snapshot, Arc::new(Outline::of(snapshot)), config, None)
}

/// `outline`: what the snapshot's files say. `earlier`: what may be taken over.
fn bind_after(
    snapshot: &Snapshot,
    outline: Arc<Outline>,
    config: &Config,
    earlier: Option<&holding::Earlier<'_>>,
) -> Bindings {
    let included = Inclusions::with(outline, snapshot);
    let annotated = annotations::read(snapshot, &included, config);
    let mut bindings = flux_v2::bind(snapshot, &included, &annotated.policies, earlier);
    bindings.problems.extend(annotated.problems);
    let mut unmarked = Vec::new();
    flux_v1::bind(snapshot, &included, &mut bindings, &mut unmarked);
    native::bind(snapshot, config, &mut bindings, &mut unmarked);
    // Markers alone bind each line once.
    let shared: BTreeSet<Arc<str>> = unmarked.iter().map(|binding| binding.file.clone()).collect();
    bindings.lines.clone_from(&bindings.marked);
    bindings.lines.extend(unmarked);
    bindings.additions.sort_by_cached_key(|addition| addition.field.line_id());
    let lines = shared.iter().filter_map(|file| bindings.lines.of(file)).flat_map(FileLines::by_line);
    let lines = lines.filter_map(|bound| {
        let message = conflicting(bound, |bound| bound.binding.claim())?;
        let first = &bound.first()?.binding;
        let position = snapshot.scans.get(&first.file)?.lines.get(first.line)?.position;
        Some(Problem { code: "policy-conflict", file: first.file.to_string(), position, message })
    });
    let additions = bindings.additions.chunk_by(|a, b| a.field.line_id() == b.field.line_id());
    let additions = additions.filter_map(|bound| {
        let message = conflicting(bound, Addition::claim)?;
        let MissingField { base, patched, .. } = &bound.first()?.field;
        Some(Problem { code: "policy-conflict", file: base.clone(), position: patched.position, message })
    });
    let conflicts: Vec<Problem> = lines.chain(additions).collect();
    bindings.problems.extend(conflicts);
    bindings
}

/// What is wrong with what is bound to one value, in any environment.
fn conflicting<B>(bound: &[B], claim: impl Fn(&B) -> Claim<'_>) -> Option<String> {
    if bound.len() < 2 {
        return None;
    }
    let named: BTreeSet<&str> = bound.iter().flat_map(|bound| claim(bound).environments).map(String::as_str).collect();
    // An environment that nothing names has what holds for all.
    let environments = std::iter::once(None).chain(named.into_iter().map(Some));
    environments.into_iter().find_map(|environment| {
        let holds = |claim: &Claim<'_>| {
            claim.environments.is_empty() || claim.environments.iter().any(|name| Some(name.as_str()) == environment)
        };
        conflict(bound.iter().map(&claim).filter(holds))
    })
}

/// Why the claims to one value cannot all be followed; `None` where they want the same.
pub fn conflict<'a>(claims: impl IntoIterator<Item = Claim<'a>>) -> Option<String> {
    let mut claims = claims.into_iter();
    let first = claims.next()?;
    let other = claims.find(|other| !first.agrees(other))?;
    Some(format!(
        "{} and {} both want this value, and differ: {}; {}. Remove one of the two",
        first.key(),
        other.key(),
        first.beside(&other),
        other.beside(&first)
    ))
}

/// What a policy wants of a value, there or still missing.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    part: Part,
    policy: Result<&'a Arc<Policy>, &'a Unresolved>,
    environments: &'a [String],
}

impl Binding {
    /// The name of the policy that it follows, or would.
    pub fn key(&self) -> &PolicyKey {
        self.claim().key()
    }

    /// Whether it holds for an environment.
    pub fn holds_for(&self, environment: &str) -> bool {
        self.environments.is_empty() || self.environments.iter().any(|name| name == environment)
    }

    /// The policy that it follows, or why it cannot be told.
    pub fn policy(&self) -> Result<&Arc<Policy>, &Unresolved> {
        self.policy.as_ref().map_err(AsRef::as_ref)
    }

    /// What it wants of its line.
    pub fn claim(&self) -> Claim<'_> {
        Claim { part: self.part, policy: self.policy(), environments: &self.environments }
    }
}

impl<'a> Claim<'a> {
    fn key(&self) -> &'a PolicyKey {
        match self.policy {
            Ok(policy) => &policy.key,
            Err(unresolved) => &unresolved.key,
        }
    }

    fn agrees(&self, other: &Claim<'_>) -> bool {
        match (self.policy, other.policy) {
            (Ok(a), Ok(b)) => {
                self.part == other.part
                    && (Arc::ptr_eq(a, b) || (a.state.agrees(&b.state) && (a.digest == b.digest || !self.has_digest())))
            }
            _ => false,
        }
    }

    /// Whether a digest may be part of the value.
    fn has_digest(&self) -> bool {
        matches!(self.part, Part::Reference | Part::Digest)
    }

    /// What it wants, told apart from what another wants.
    fn beside(&self, other: &Claim<'_>) -> String {
        let policy = match self.policy {
            Ok(policy) => policy,
            Err(unresolved) => return unresolved.why.clone(),
        };
        let (repository, tags) = match &policy.state {
            PolicyState::Usable { repository, policy } => (repository, policy),
            PolicyState::Suspended(why) | PolicyState::Blocked { why, .. } | PolicyState::Invalid(why) => {
                return format!("{} stays: {why}", policy.key);
            }
        };
        let mut more = Vec::new();
        if let Ok(other) = other.policy
            && let PolicyState::Usable { policy: other_tags, .. } = &other.state
        {
            if !tags.exclusions().eq(other_tags.exclusions()) {
                let patterns: Vec<String> = tags.exclusions().map(|pattern| format!("`{pattern}`")).collect();
                more.push(format!("without tags like {}", patterns.join(", ")));
            }
            if policy.digest != other.digest && self.has_digest() {
                more.push(format!("digest: {}", policy.digest.word()));
            }
        }
        let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join("; ")) };
        format!("{} of {repository}{more}", tags.describe())
    }
}

impl Policy {
    /// Whether nothing tells the two apart. The memo makes one policy of equal definitions.
    fn is_same_as(&self, other: &Policy) -> bool {
        let Policy { key, file, position, image, state, digest, roots } = self;
        let same_state = match (state, &other.state) {
            (PolicyState::Usable { repository: a, policy }, PolicyState::Usable { repository: b, policy: other }) => {
                a == b && Arc::ptr_eq(policy, other)
            }
            (PolicyState::Suspended(why), PolicyState::Suspended(other))
            | (PolicyState::Invalid(why), PolicyState::Invalid(other)) => why == other,
            _ => false,
        };
        same_state
            && (key, file, position, image) == (&other.key, &other.file, &other.position, &other.image)
            && (digest, roots) == (&other.digest, &other.roots)
    }

    /// Whether it is followed as Flux v1's annotations say.
    pub(crate) fn is_flux_v1(&self) -> bool {
        matches!(&self.state, PolicyState::Usable { policy, .. } if policy.is_flux_v1())
    }

    /// Whether the two want the same on every line.
    pub(crate) fn means_as(&self, other: &Policy) -> bool {
        self.state.agrees(&other.state) && (&self.image, self.digest) == (&other.image, other.digest)
    }
}

impl PolicyState {
    /// Whether the two choose the same image, or none for one reason.
    fn agrees(&self, other: &PolicyState) -> bool {
        match (self, other) {
            (
                PolicyState::Usable { repository, policy },
                PolicyState::Usable { repository: other_repository, policy: other_policy },
            ) => repository == other_repository && (Arc::ptr_eq(policy, other_policy) || policy == other_policy),
            // They stay for one reason, in whatever environment.
            (PolicyState::Blocked { code, .. }, PolicyState::Blocked { code: other, .. }) => code == other,
            _ => false,
        }
    }
}

impl Bindings {
    /// These, with some of their lines and values.
    pub(crate) fn only(&self, line: impl Fn(&Binding) -> bool, addition: impl Fn(&Addition) -> bool) -> Bindings {
        let mut lines = Lines::default();
        lines.extend(self.lines.iter().filter(|binding| line(binding)).cloned().collect());
        Bindings {
            lines,
            marked: Lines::default(),
            additions: self.additions.iter().filter(|added| addition(added)).cloned().collect(),
            policies: self.policies.clone(),
            markable: self.markable,
            automations: self.automations.clone(),
            problems: self.problems.clone(),
            outline: self.outline.clone(),
            objects: self.objects.clone(),
            generated: self.generated,
        }
    }

    /// The image repositories that some line follows: whose registry events matter here.
    pub fn images(&self) -> impl Iterator<Item = &Repository> {
        let lines = self.lines.iter().filter_map(|line| line.policy.as_ref().ok());
        lines.chain(self.additions.iter().map(|addition| &addition.policy)).filter_map(|policy| match &policy.state {
            PolicyState::Usable { repository, .. } => Some(repository),
            _ => None,
        })
    }

    /// Why no automation of a branch reaches a file: there are some, and all of them confine themselves to other folders.
    pub fn outside_update_paths(&self, branch: &str, file: &str) -> Option<String> {
        let of_branch = || self.automations.iter().filter(|automation| automation.is_of_branch(branch));
        if of_branch().next().is_none() || of_branch().any(|automation| automation.covers(file)) {
            return None;
        }
        let paths: BTreeSet<&str> = of_branch().map(|automation| automation.path.as_str()).collect();
        let paths = paths.into_iter().collect::<Vec<_>>().join(", ");
        Some(format!("no ImageUpdateAutomation covers this file: spec.update.path is {paths}"))
    }

    /// Why no automation of a branch follows a policy in a file, though some cover the file. `following`: those that do,
    /// of any branch.
    pub(crate) fn unselected(&self, branch: &str, file: &str, key: &PolicyKey, following: &[usize]) -> Option<String> {
        let is_of_branch = |number: &usize| self.automations.get(*number).is_some_and(|it| it.is_of_branch(branch));
        if following.iter().any(is_of_branch) {
            return None;
        }
        let over =
            self.automations.iter().filter(|automation| automation.is_of_branch(branch) && automation.covers(file));
        let over: Vec<&str> = over.map(|automation| automation.object.as_str()).collect();
        let verb = if over.len() == 1 { "follows" } else { "follow" };
        (!over.is_empty()).then(|| {
            format!(
                "{} {verb} the policies of the own namespace that spec.policySelector matches; {key} is none of them",
                over.join(", ")
            )
        })
    }

    /// The file itself, and every file that brings it into a cluster: kustomizations, Flux Kustomizations, HelmReleases.
    pub fn renderers(&self, file: &str) -> BTreeSet<String> {
        self.objects.rendering.reach(file).owners
    }

    /// Another policy of this name, with another meaning, that some cluster which renders `file` follows instead.
    pub fn disagreement(&self, policy: &Policy, file: &str) -> Option<&Policy> {
        let differs = |other: &&Arc<Policy>| other.key == policy.key && !other.means_as(policy);
        let mut others = self.policies.iter().filter(differs).peekable();
        others.peek()?;
        let roots = self.objects.rendering.reach(file).roots;
        others.find(|other| !other.roots.is_disjoint(&roots)).map(AsRef::as_ref)
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

impl PolicyKey {
    /// Whether it is of a policy of butler.yaml, which is named by its image.
    pub(crate) fn is_native(&self) -> bool {
        self.namespace == native::NAMESPACE
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
mod tests;
