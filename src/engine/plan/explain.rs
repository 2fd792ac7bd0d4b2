//! A decision, step by step: what a line is, which policy it follows, what becomes of each tag, what is written or what
//! is in the way. The decision itself is [`update`]'s; nothing is decided here a second time.

use super::{
    Change, Fact, Facts, Held, Need, Planned, Snapshot, UpdateInputs, UpdatePlan, history::Stays, promoted::Sources,
    promotion::image_of, times::with_times, update, update::current_tag,
};
use crate::engine::{
    config::{Config, nearest},
    dialect::{Addition, Binding, Bindings, DigestReflection, Policy, PolicyKey, PolicyState, Unresolved},
    image::{Reference, Repository},
    manifest::{ImageLine, Part, Position, Scan},
    policy::Account,
};
use serde::Serialize;
use std::{collections::BTreeSet, sync::Arc};

/// How many names an unknown subject is answered with.
const NAMED: usize = 5;

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

/// What somebody asks about, found in a repository.
#[derive(Clone, Debug)]
pub enum Subject {
    /// One line of a file; more than one image may stand on it.
    Line { file: String, line: usize },
    /// A policy, and the lines that follow it.
    Policy(Arc<Policy>),
    /// What markers call a policy, though none is defined.
    Undefined { namespace: String, name: String },
    /// Lines that run an image and follow no policy.
    Image(Repository),
}

/// The text names nothing that is here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no policy, image or line with an image here: expected NAMESPACE:NAME, IMAGE or FILE:LINE{}", self.hint())]
pub struct NotHere {
    pub text: String,
    /// What was probably meant; else some of what there is.
    pub nearest: Vec<String>,
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

/// Finds what a text names: `FILE:LINE` (or a file, for all of its image lines), `NAMESPACE:NAME`, a policy's name
/// alone, or an image with or without its tag, by the last part of its name too. A policy wins over an image of the same spelling.
///
/// # Errors
/// [`NotHere`], with what is near.
pub fn subjects(inputs: &ExplainInputs<'_>, text: &str) -> Result<Vec<Subject>, NotHere> {
    let found = lines_named(inputs.snapshot, text)
        .or_else(|| some(policies_named(inputs.bindings, text)))
        .or_else(|| some(images_named(inputs, text)))
        .or_else(|| some(images_called(inputs, text)));
    found.ok_or_else(|| NotHere { text: text.to_owned(), nearest: nearest_names(inputs, text) })
}

fn some(found: Vec<Subject>) -> Option<Vec<Subject>> {
    (!found.is_empty()).then_some(found)
}

/// Lines that hold an image, or a finding that says why they are seen as none.
fn places(scan: &Scan) -> BTreeSet<usize> {
    let lines = scan.lines.iter().map(|line| line.position.line);
    lines.chain(scan.findings.iter().map(|finding| finding.position.line)).collect()
}

fn lines_named(snapshot: &Snapshot, text: &str) -> Option<Vec<Subject>> {
    let text = text.strip_prefix("./").unwrap_or(text);
    let subject = |file: &str, line: usize| Subject::Line { file: file.to_owned(), line };
    if let Some(scan) = snapshot.scans.get(text) {
        return some(places(scan).into_iter().map(|line| subject(text, line)).collect());
    }
    let (file, line) = file_and_line(text)?;
    let scan = snapshot.scans.get(file)?;
    places(scan).contains(&line).then(|| vec![subject(file, line)])
}

/// `a/b.yaml:12`, `a/b.yaml:12:7`
fn file_and_line(text: &str) -> Option<(&str, usize)> {
    let (rest, last) = text.rsplit_once(':')?;
    let last: usize = last.parse().ok()?;
    match rest.rsplit_once(':') {
        Some((file, line)) if line.parse::<usize>().is_ok() => Some((file, line.parse().ok()?)),
        _ => Some((rest, last)),
    }
}

fn policies_named(bindings: &Bindings, text: &str) -> Vec<Subject> {
    let is = |key: &PolicyKey| key.to_string() == text || key.name == text;
    let mut found: Vec<Subject> =
        bindings.policies.iter().filter(|policy| is(&policy.key)).cloned().map(Subject::Policy).collect();
    let undefined: BTreeSet<_> =
        bindings.lines.iter().filter(|line| line.policy.is_err() && is(line.key())).map(Binding::key).collect();
    found.extend(
        undefined
            .into_iter()
            .map(|key| Subject::Undefined { namespace: key.namespace.clone(), name: key.name.clone() }),
    );
    found
}

fn images_named(inputs: &ExplainInputs<'_>, text: &str) -> Vec<Subject> {
    match Reference::parse(text) {
        Ok(reference) => of_image(inputs, reference.repository),
        Err(_) => Vec::new(),
    }
}

/// By the last part of an image's name, with or without a tag: `app` for `registry.example.com/team/app`.
fn images_called(inputs: &ExplainInputs<'_>, text: &str) -> Vec<Subject> {
    let name = text.split(':').next().unwrap_or(text);
    let policies = inputs.bindings.policies.iter().filter_map(|policy| repository_of(policy));
    let lines = inputs.snapshot.lines().filter_map(|(_, _, line)| image_of(line));
    let called = policies.chain(lines).filter(|image| image.path().rsplit('/').next() == Some(name));
    let images: BTreeSet<Repository> = called.collect();
    images.into_iter().flat_map(|image| of_image(inputs, image)).collect()
}

/// The policies of an image, and its lines without one.
fn of_image(inputs: &ExplainInputs<'_>, image: Repository) -> Vec<Subject> {
    let follows = |policy: &&Arc<Policy>| repository_of(policy).is_some_and(|repository| repository == image);
    let mut found: Vec<Subject> =
        inputs.bindings.policies.iter().filter(follows).cloned().map(Subject::Policy).collect();
    if free_lines(inputs, &image).next().is_some() {
        found.push(Subject::Image(image));
    }
    found
}

/// Lines that run the image and follow no policy.
fn free_lines<'a>(
    inputs: &ExplainInputs<'a>,
    image: &'a Repository,
) -> impl Iterator<Item = (&'a str, &'a Scan, &'a ImageLine)> {
    let bound: BTreeSet<(&str, usize)> =
        inputs.bindings.lines.iter().map(|binding| (&*binding.file, binding.line)).collect();
    inputs.snapshot.scans.iter().flat_map(move |(file, scan)| {
        let free: Vec<_> = scan
            .lines
            .iter()
            .enumerate()
            .filter(|(index, line)| !bound.contains(&(&**file, *index)) && image_of(line).as_ref() == Some(image))
            .map(|(_, line)| (&**file, scan.as_ref(), line))
            .collect();
        free
    })
}

fn repository_of(policy: &Policy) -> Option<Repository> {
    match &policy.state {
        PolicyState::Usable { repository, .. } => Some(repository.clone()),
        _ => Repository::parse(&policy.image).ok(),
    }
}

fn nearest_names(inputs: &ExplainInputs<'_>, text: &str) -> Vec<String> {
    let (file, asked) = file_and_line(text).unwrap_or((text, 0));
    let file = file.strip_prefix("./").unwrap_or(file);
    if let Some(scan) = inputs.snapshot.scans.get(file) {
        let mut lines: Vec<usize> = places(scan).into_iter().collect();
        lines.sort_by_key(|line| line.abs_diff(asked));
        lines.truncate(NAMED);
        lines.sort_unstable();
        return lines.into_iter().map(|line| format!("{file}:{line}")).collect();
    }
    if inputs.snapshot.entries.contains_key(file) {
        return Vec::new();
    }
    let mut names: BTreeSet<String> = inputs.bindings.policies.iter().map(|policy| policy.key.to_string()).collect();
    names.extend(inputs.bindings.policies.iter().filter_map(|policy| Some(repository_of(policy)?.to_string())));
    let files = inputs.snapshot.scans.iter().filter(|(_, scan)| !scan.lines.is_empty()).map(|(file, _)| &**file);
    let known = names.iter().map(String::as_str).chain(files);
    // The name alone may be what was mistyped: `flux-sytem:app`, `ap`.
    let by_name = inputs.bindings.policies.iter().find(|policy| {
        let name = text.rsplit(':').next().unwrap_or(text);
        policy.key.name == name || nearest(name, [policy.key.name.as_str()]).is_some()
    });
    match nearest(file, known).map(str::to_owned).or_else(|| by_name.map(|policy| policy.key.to_string())) {
        Some(near) => vec![near],
        None => names.into_iter().take(NAMED).collect(),
    }
}

impl NotHere {
    /// The nearest names, to be put behind a sentence.
    pub fn hint(&self) -> String {
        match self.nearest.as_slice() {
            [] => String::new(),
            [one] => format!("; did you mean {one}?"),
            several => format!("; there are {}", several.join(", ")),
        }
    }
}

/// Explains one subject, or says what must be known first.
pub fn explain(inputs: &ExplainInputs<'_>, subject: &Subject) -> Planned<Explanation> {
    let mut told = Told { inputs, steps: Vec::new(), needs: BTreeSet::new(), sources: Sources::default() };
    let name = match subject {
        Subject::Line { file, line } => {
            told.line(file, *line);
            format!("{file}:{line}")
        }
        Subject::Policy(policy) => {
            let is_it = |followed: &Arc<Policy>| is_same(followed, policy);
            told.policy(policy, &told.currents(is_it));
            told.followers(|binding| binding.policy.as_ref().is_ok_and(is_it), is_it);
            policy.key.to_string()
        }
        Subject::Undefined { namespace, name } => {
            let means = |binding: &Binding| {
                binding
                    .policy
                    .as_ref()
                    .is_err_and(|Unresolved { key, .. }| key.namespace == *namespace && key.name == *name)
            };
            if let Some(binding) = inputs.bindings.lines.iter().find(|binding| means(binding)) {
                told.unresolved(binding);
            }
            told.followers(means, |_| false);
            format!("{namespace}:{name}")
        }
        Subject::Image(image) => {
            for (file, scan, line) in free_lines(inputs, image) {
                told.steps.push(line_step(file, scan, line));
                told.unfollowed(file, scan, line);
            }
            image.to_string()
        }
    };
    match told.needs.is_empty() {
        true => Planned::Ready(Explanation { subject: name, steps: told.steps }),
        false => Planned::Needs(told.needs),
    }
}

struct Told<'i, 'a> {
    inputs: &'i ExplainInputs<'a>,
    steps: Vec<ExplainStep>,
    needs: BTreeSet<Need>,
    sources: Sources<'a>,
}

impl<'a> Told<'_, 'a> {
    fn line(&mut self, file: &str, number: usize) {
        let Some(scan) = self.inputs.snapshot.scans.get(file) else { return };
        for finding in scan.findings.iter().filter(|finding| finding.position.line == number) {
            self.steps.push(ExplainStep::Finding { code: finding.code.clone(), message: finding.message.clone() });
        }
        for (index, line) in scan.lines.iter().enumerate().filter(|(_, line)| line.position.line == number) {
            self.steps.push(line_step(file, scan, line));
            let bound: Vec<&Binding> =
                self.inputs.bindings.lines.iter().filter(|b| *b.file == *file && b.line == index).collect();
            let patched = |addition: &&Addition| {
                addition.field.base == file
                    && addition.field.patched.path == line.path
                    && addition.field.patched.position == line.position
            };
            let added: Vec<&Addition> = self.inputs.bindings.additions.iter().filter(patched).collect();
            if bound.is_empty() && added.is_empty() {
                self.unfollowed(file, scan, line);
            }
            for binding in bound {
                match &binding.policy {
                    Ok(policy) => self.policy(policy, &[current_tag(line).map(String::from)]),
                    Err(_) => self.unresolved(binding),
                }
                self.outcomes(&[binding], &[]);
            }
            for addition in added {
                self.policy(&addition.policy, &[current_tag(line).map(String::from)]);
                self.outcomes(&[], &[addition]);
            }
        }
    }

    /// A line that follows no policy; a promotion may have it.
    fn unfollowed(&mut self, file: &str, scan: &Scan, line: &ImageLine) {
        self.steps.push(ExplainStep::Unfollowed);
        self.promoted((file, scan, line), true);
    }

    /// What becomes of a line where policies do not update it; whether there is such an environment.
    fn promoted(&mut self, (file, scan, line): (&str, &Scan, &ImageLine), unfollowed: bool) -> bool {
        let inputs: &ExplainInputs<'a> = self.inputs;
        let found = self.sources.promoted((inputs.config, inputs.snapshot), (file, scan, line), unfollowed);
        let any = !found.is_empty();
        self.steps.extend(found.into_iter().map(|(environment, result)| {
            let environment = Some(environment).filter(|name| !name.is_empty());
            ExplainStep::Outcome(Outcome { file: file.to_owned(), position: line.position.into(), environment, result })
        }));
        any
    }

    fn unresolved(&mut self, binding: &Binding) {
        let (code, why) = match &binding.policy {
            Err(Unresolved { code, why, .. }) => (*code, why),
            Ok(_) => return,
        };
        self.steps.push(ExplainStep::Blocked { code, why: why.clone() });
    }

    /// What stands on the lines that follow a policy, each once.
    fn currents(&self, is_it: impl Fn(&Arc<Policy>) -> bool) -> Vec<Option<String>> {
        let Bindings { lines, additions, .. } = self.inputs.bindings;
        let follows = |binding: &&Binding| binding.policy.as_ref().is_ok_and(&is_it);
        let bound = lines
            .iter()
            .filter(follows)
            .filter_map(|binding| self.inputs.snapshot.scans.get(&binding.file)?.lines.get(binding.line));
        let added = additions.iter().filter(|addition| is_it(&addition.policy)).map(|addition| &addition.field.patched);
        let tags: BTreeSet<Option<String>> =
            bound.chain(added).map(|line| current_tag(line).map(String::from)).collect();
        tags.into_iter().collect()
    }

    /// `currents`: what stands on the lines that are asked about.
    fn policy(&mut self, policy: &Policy, currents: &[Option<String>]) {
        let order = match &policy.state {
            PolicyState::Usable { policy, .. } => policy.describe(),
            PolicyState::Suspended(_) | PolicyState::Blocked { .. } | PolicyState::Invalid(_) => String::new(),
        };
        self.steps.push(ExplainStep::Policy {
            key: policy.key.to_string(),
            file: policy.file.clone(),
            position: policy.position.into(),
            order,
            digest: match policy.digest {
                DigestReflection::Never => "never",
                DigestReflection::IfNotPresent => "if-not-present",
                DigestReflection::Always => "always",
            },
        });
        let (repository, tags) = match &policy.state {
            PolicyState::Usable { repository, policy } => (repository, policy),
            PolicyState::Suspended(why) => {
                return self.steps.push(ExplainStep::Blocked { code: "policy-suspended", why: why.clone() });
            }
            PolicyState::Blocked { code, why } => {
                return self.steps.push(ExplainStep::Blocked { code, why: why.clone() });
            }
            PolicyState::Invalid(why) => {
                return self.steps.push(ExplainStep::Blocked { code: "policy-invalid", why: why.clone() });
            }
        };
        let (image, named) = (policy.image.clone(), repository.to_string());
        self.steps.push(ExplainStep::Repository { image, repository: named });
        match self.inputs.facts.tags.get(repository) {
            None => {
                self.needs.insert(Need::Tags(repository.clone()));
            }
            Some(Fact::Unavailable { why, .. }) => self.steps.push(ExplainStep::NoTags { why: why.clone() }),
            Some(Fact::Known { value, .. }) => {
                let account = |current: Option<&str>| match tags.by_time() {
                    false => Ok(tags.account(value, current)),
                    true => with_times(self.inputs.facts, repository, tags, value, current)
                        .map(|timed| tags.account(&timed, current)),
                };
                // Without an order by time, what stands there decides nothing.
                let currents = if tags.by_time() { currents } else { &[] };
                let told = match currents {
                    [] => account(None).map(|account| (account, false)),
                    [one] => account(one.as_deref()).map(|account| (account, false)),
                    several => several
                        .iter()
                        .map(|current| account(current.as_deref()))
                        .collect::<Result<Vec<Account>, Stays>>()
                        .and_then(|accounts| {
                            let differ = accounts.windows(2).any(|pair| pair[0].selected != pair[1].selected);
                            let alike = accounts.into_iter().next().filter(|_| !differ);
                            Ok((alike.map_or_else(|| account(None), Ok)?, differ))
                        }),
                };
                match told {
                    Ok((account, ties)) => {
                        self.steps.push(ExplainStep::Tags(account));
                        self.steps.extend(ties.then_some(ExplainStep::Ties));
                    }
                    Err(Stays::Needs(need)) => drop(self.needs.insert(need)),
                    Err(Stays::Because(_, why)) => self.steps.push(ExplainStep::NoTags { why }),
                    Err(Stays::Declined(..)) => {}
                }
            }
        }
    }

    fn followers(&mut self, follows: impl Fn(&Binding) -> bool, adds: impl Fn(&Arc<Policy>) -> bool) {
        let Bindings { lines, additions, .. } = self.inputs.bindings;
        let lines: Vec<&Binding> = lines.iter().filter(|binding| follows(binding)).collect();
        let additions: Vec<&Addition> = additions.iter().filter(|addition| adds(&addition.policy)).collect();
        if lines.is_empty() && additions.is_empty() {
            self.steps.push(ExplainStep::NoLines);
        }
        self.outcomes(&lines, &additions);
    }

    /// What the environments' updates make of these lines, and of values that have no line yet.
    fn outcomes(&mut self, lines: &[&Binding], additions: &[&Addition]) {
        let mut only = self.inputs.bindings.clone();
        only.lines = lines.iter().map(|&binding| binding.clone()).collect();
        only.additions = additions.iter().map(|&addition| addition.clone()).collect();
        let mut plans = Vec::new();
        for environment in self.inputs.environments {
            match update(&UpdateInputs { bindings: &only, ..*environment }) {
                Planned::Ready(plan) => plans.push((environment, plan)),
                Planned::Needs(needs) => self.needs.extend(needs),
            }
        }
        for binding in lines {
            let Some(scan) = self.inputs.snapshot.scans.get(&binding.file) else { continue };
            let Some(line) = scan.lines.get(binding.line) else { continue };
            let place = |change: &Change| change.position == line.position;
            self.outcome(&plans, (&binding.file, scan, line), binding.key(), place);
        }
        for addition in additions {
            let place = |change: &Change| change.line == addition.field.line_id();
            let (field, key, empty) = (&addition.field, &addition.policy.key, Scan::default());
            self.outcome(&plans, (&field.file, &empty, &field.patched), key, place);
        }
    }

    /// What became of a line of a file. `is_its`: whether one of the file's changes is that line's.
    fn outcome(
        &mut self,
        plans: &[(&UpdateInputs<'_>, UpdatePlan)],
        (file, scan, line): (&str, &Scan, &ImageLine),
        key: &PolicyKey,
        is_its: impl Fn(&Change) -> bool,
    ) {
        let outcome = |environment, result| {
            let position = line.position.into();
            ExplainStep::Outcome(Outcome { file: file.to_owned(), position, environment, result })
        };
        let mut covered = false;
        for (environment, plan) in plans {
            if !(environment.environment.contains)(file) {
                continue;
            }
            covered = true;
            let change = plan.changes.iter().find(|change| change.line.file == file && is_its(change));
            let policy = Some(key.to_string());
            let skip = plan
                .skipped
                .iter()
                .find(|skip| skip.file == file && skip.position == line.position && skip.policy == policy);
            let result = match (change, skip) {
                (Some(change), _) => OutcomeResult::Changes {
                    old: change.old.clone(),
                    new: change.new.clone(),
                    downgrade: change.downgrade,
                    written_by: change.shadowed.as_ref().map(|shadowed| shadowed.by.clone()),
                    differs: change.shadowed.as_ref().and_then(|shadowed| shadowed.differs()).map(str::to_owned),
                },
                (None, Some(skip)) => OutcomeResult::Stays { code: skip.code.to_string(), why: skip.reason.clone() },
                (None, None) => OutcomeResult::Current { value: line.value.clone() },
            };
            self.steps.push(outcome(Some(plan.environment.clone()).filter(|name| !name.is_empty()), result));
        }
        if !self.needs.is_empty() {
            return;
        }
        covered |= self.promoted((file, scan, line), false);
        if !covered {
            self.steps.push(outcome(None, OutcomeResult::Elsewhere));
        }
    }
}

/// Whether two are one definition: a policy of butler.yaml has a twin for the lines that pin a digest; two patches of
/// one ImagePolicy are different policies.
fn is_same(a: &Arc<Policy>, b: &Arc<Policy>) -> bool {
    let place = |policy: &Policy| (policy.key.clone(), policy.file.clone(), policy.position);
    Arc::ptr_eq(a, b) || (place(a) == place(b) && a.roots == b.roots)
}

fn line_step(file: &str, scan: &Scan, line: &ImageLine) -> ExplainStep {
    let object = scan.line_id(file, line).object;
    ExplainStep::Line {
        file: file.to_owned(),
        position: line.position.into(),
        value: line.value.clone(),
        part: line.part,
        object: object.map(|object| object.to_string()),
        path: line.path.to_string(),
        image: line.image.clone().filter(|image| *image != line.value),
        marker: line.marker.as_ref().map(ToString::to_string),
    }
}
