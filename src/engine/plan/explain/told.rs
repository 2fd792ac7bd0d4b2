//! What is told of lines and policies, in the order in which it is decided.

use super::{ExplainInputs, ExplainStep, Explanation, Outcome, OutcomeResult, is_base_of, is_same};
use crate::engine::{
    dialect::{Addition, Binding, Bindings, MissingField, Policy, PolicyState, Unresolved},
    manifest::{ImageLine, Part, Scan},
    plan::{
        Change, Fact, Need, Planned, UpdateInputs, UpdatePlan, history::Stays, promoted::Sources, times::with_times,
        update, wanted::current_tag,
    },
    policy::Account,
};
use std::{collections::BTreeSet, sync::Arc};

pub(super) struct Told<'i, 'a> {
    inputs: &'i ExplainInputs<'a>,
    steps: Vec<ExplainStep>,
    needs: BTreeSet<Need>,
    sources: Sources<'a>,
}

/// What is bound to the lines that are asked about.
#[derive(Clone, Default)]
struct Bound<'a> {
    lines: Vec<&'a Binding>,
    additions: Vec<&'a Addition>,
}

impl<'a> Bound<'a> {
    fn of(bindings: &'a Bindings, line: impl Fn(&Binding) -> bool, addition: impl Fn(&Addition) -> bool) -> Bound<'a> {
        Bound {
            lines: bindings.lines.iter().filter(|binding| line(binding)).collect(),
            additions: bindings.additions.iter().filter(|added| addition(added)).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.additions.is_empty()
    }

    /// The policies, each once.
    fn policies(&self) -> Vec<&'a Arc<Policy>> {
        let lines = self.lines.iter().filter_map(|binding| binding.policy.as_ref().ok());
        let mut policies: Vec<&Arc<Policy>> = Vec::new();
        for policy in lines.chain(self.additions.iter().map(|addition| &addition.policy)) {
            if !policies.iter().any(|known| is_same(known, policy) && known.means_as(policy)) {
                policies.push(policy);
            }
        }
        policies
    }
}

impl<'i, 'a> Told<'i, 'a> {
    pub fn new(inputs: &'i ExplainInputs<'a>) -> Self {
        Told { inputs, steps: Vec::new(), needs: BTreeSet::new(), sources: Sources::default() }
    }

    pub fn explanation(self, subject: String) -> Planned<Explanation> {
        match self.needs.is_empty() {
            true => Planned::Ready(Explanation { subject, steps: self.steps }),
            false => Planned::Needs(self.needs),
        }
    }

    /// What stands on a line of a file.
    pub fn line(&mut self, file: &str, number: usize) {
        if let Some(scan) = self.inputs.snapshot.scans.get(file) {
            self.written(file, scan, number);
        }
        // What is to be put in there. Several values are at the start of a file that is not there yet.
        let here = |addition: &Addition| addition.field.file == file && addition.field.position().line == number;
        let mut fields: Vec<&MissingField> = Vec::new();
        for field in self.inputs.bindings.additions.iter().filter(|added| here(added)).map(|added| &added.field) {
            if !fields.iter().any(|known| known.line_id() == field.line_id()) {
                fields.push(field);
            }
        }
        for field in fields {
            let id = field.line_id();
            let bound = Bound::of(self.inputs.bindings, |_| false, |addition| addition.field.line_id() == id);
            self.steps.push(added_step(field));
            for policy in bound.policies() {
                self.policy(policy, &bound);
            }
            self.outcomes(&bound);
        }
    }

    fn written(&mut self, file: &str, scan: &Scan, number: usize) {
        for finding in scan.findings.iter().filter(|finding| finding.position.line == number) {
            self.steps.push(ExplainStep::Finding { code: finding.code.clone(), message: finding.message.clone() });
        }
        // A line that is seen all the same tells nothing of what is around it.
        if let Some(finding) = scan.unparsed_at(number).filter(|finding| finding.position.line != number) {
            let message = format!("{file}:{}: {}", finding.position, finding.message);
            self.steps.push(ExplainStep::Finding { code: finding.code.clone(), message });
        }
        for (index, line) in scan.lines.iter().enumerate().filter(|(_, line)| line.position.line == number) {
            // What is bound to the line, and to what is written in its place.
            let is_it = |of: &str, number: usize| of == file && number == index;
            let bound = Bound::of(
                self.inputs.bindings,
                |binding| {
                    let base = binding.base.as_ref();
                    is_it(&binding.file, binding.line) || base.is_some_and(|base| is_it(&base.file, base.line))
                },
                |addition| is_base_of(addition, file, line),
            );
            if bound.is_empty() {
                self.free(file, scan, line);
                continue;
            }
            self.steps.push(line_step(file, scan, line));
            for policy in bound.policies() {
                self.policy(policy, &bound);
            }
            for binding in &bound.lines {
                self.unresolved(binding);
            }
            self.outcomes(&bound);
        }
    }

    /// A policy that is there, and what follows it.
    pub fn defined(&mut self, policy: &Arc<Policy>) {
        let is_it = |followed: &Arc<Policy>| is_same(followed, policy);
        let bound = Bound::of(
            self.inputs.bindings,
            |binding| binding.policy.as_ref().is_ok_and(is_it),
            |addition| is_it(&addition.policy),
        );
        self.policy(policy, &bound);
        self.followers(&bound);
    }

    /// A policy that is not there, and the lines that name it.
    pub fn undefined(&mut self, namespace: &str, name: &str) {
        let is_it = |unresolved: &Unresolved| unresolved.key.namespace == namespace && unresolved.key.name == name;
        let bound = Bound::of(self.inputs.bindings, |binding| binding.policy().is_err_and(is_it), |_| false);
        if let Some(binding) = bound.lines.first() {
            self.unresolved(binding);
        }
        self.followers(&bound);
    }

    /// A line that follows no policy; a promotion may have it.
    pub fn free(&mut self, file: &str, scan: &Scan, line: &ImageLine) {
        self.steps.push(line_step(file, scan, line));
        let beside = self.beside(file, scan, line);
        self.steps.push(beside.unwrap_or(ExplainStep::Unfollowed));
        self.promoted((file, scan, line), true);
    }

    /// Where a policy puts the tag of an image, or its digest, whose name alone stands on a line.
    fn beside(&self, file: &str, scan: &Scan, line: &ImageLine) -> Option<ExplainStep> {
        if line.part != Part::Name {
            return None;
        }
        let containers = &scan.documents.get(line.document)?.containers;
        let own = containers.iter().find(|container| container.repository == Some(line.span.start));
        let tag = own.and_then(|container| container.tag);
        let above = |line: &ImageLine| line.path.0.split_last().map(|(_, above)| above.to_vec());
        let of_the_image = |other: &ImageLine| {
            let sibling = matches!(other.part, Part::Tag | Part::Digest) && above(other) == above(line);
            other.document == line.document && (tag == Some(other.span.start) || sibling)
        };
        let Bindings { lines, additions, .. } = self.inputs.bindings;
        let beside = scan.lines.iter().enumerate().filter(|(_, other)| of_the_image(other));
        beside.into_iter().find_map(|(index, other)| {
            let is_it = |of: &str, number: usize| of == file && number == index;
            let binding = lines.iter().find(|binding| {
                let base = binding.base.as_ref();
                is_it(&binding.file, binding.line) || base.is_some_and(|base| is_it(&base.file, base.line))
            });
            let added = || additions.iter().find(|addition| is_base_of(addition, file, other));
            let key = binding.map(Binding::key).or_else(|| added().map(|addition| &addition.policy.key))?;
            Some(ExplainStep::Beside {
                file: file.to_owned(),
                position: other.position.into(),
                part: other.part,
                policy: key.to_string(),
            })
        })
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
        if let Err(Unresolved { code, why, .. }) = binding.policy() {
            self.steps.push(ExplainStep::Blocked { code, why: why.clone() });
        }
    }

    /// What stands on the lines that follow a policy, each once.
    fn currents(&self, policy: &Arc<Policy>, bound: &Bound<'_>) -> Vec<Option<String>> {
        let is_it = |followed: &Arc<Policy>| is_same(followed, policy);
        let lines = bound.lines.iter().filter(|binding| binding.policy.as_ref().is_ok_and(is_it));
        let lines = lines.filter_map(|binding| self.inputs.snapshot.scans.get(&binding.file)?.lines.get(binding.line));
        let added = bound.additions.iter().filter(|addition| is_it(&addition.policy));
        let added = added.map(|addition| &addition.field.patched);
        let tags: BTreeSet<Option<String>> =
            lines.chain(added).map(|line| current_tag(line).map(String::from)).collect();
        tags.into_iter().collect()
    }

    /// A policy, and what it makes of the tags for the lines that are asked about.
    fn policy(&mut self, policy: &Arc<Policy>, bound: &Bound<'_>) {
        let order = match &policy.state {
            PolicyState::Usable { policy, .. } => policy.describe(),
            PolicyState::Suspended(_) | PolicyState::Blocked { .. } | PolicyState::Invalid(_) => String::new(),
        };
        self.steps.push(ExplainStep::Policy {
            key: policy.key.to_string(),
            file: policy.file.clone(),
            position: policy.position.into(),
            order,
            digest: policy.digest.word(),
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
        match self.inputs.facts.tags.get(repository).map(Fact::told) {
            None => {
                self.needs.insert(Need::Tags(repository.clone()));
            }
            Some(Err((_, why))) => self.steps.push(ExplainStep::NoTags { why: why.to_owned() }),
            Some(Ok(value)) => {
                let account = |current: Option<&str>| match tags.by_time() {
                    false => Ok(tags.account(value, current)),
                    true => with_times(self.inputs.facts, repository, tags, value, current)
                        .map(|timed| tags.account(&timed, current)),
                };
                // Without an order by time, what stands there decides nothing.
                let currents = if tags.by_time() { self.currents(policy, bound) } else { Vec::new() };
                let told = match currents.as_slice() {
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

    fn followers(&mut self, bound: &Bound<'_>) {
        if bound.is_empty() {
            self.steps.push(ExplainStep::NoLines);
        }
        self.outcomes(bound);
    }

    /// What the environments' updates make of these lines, and of values that have no line yet: once, whatever else is
    /// bound to them.
    fn outcomes(&mut self, bound: &Bound<'_>) {
        let lines: BTreeSet<_> = bound.lines.iter().map(|binding| (&binding.file, binding.line)).collect();
        let fields: BTreeSet<_> = bound.additions.iter().map(|addition| addition.field.line_id()).collect();
        let asked = self.inputs.bindings.only(
            |binding| lines.contains(&(&binding.file, binding.line)),
            |addition| fields.contains(&addition.field.line_id()),
        );
        let mut plans = Vec::new();
        for environment in self.inputs.environments {
            match update(&UpdateInputs { bindings: &asked, ..*environment }) {
                Planned::Ready(plan) => plans.push((environment, plan)),
                Planned::Needs(needs) => self.needs.extend(needs),
            }
        }
        for (file, lines) in asked.lines.files() {
            let Some(scan) = self.inputs.snapshot.scans.get(file) else { continue };
            for bound in lines.by_line() {
                let line = bound.first().and_then(|bound| scan.lines.get(bound.binding.line));
                let Some(line) = line else { continue };
                let keys: Vec<String> = bound.iter().map(|bound| bound.binding.key().to_string()).collect();
                self.outcome(&plans, (file, scan, line), &keys, |change| change.position == line.position);
            }
        }
        for bound in asked.additions.chunk_by(|a, b| a.field.line_id() == b.field.line_id()) {
            let Some(Addition { field, .. }) = bound.first() else { continue };
            let keys: Vec<String> = bound.iter().map(|addition| addition.policy.key.to_string()).collect();
            let line = ImageLine { position: field.position(), ..field.patched.clone() };
            let id = field.line_id();
            self.outcome(&plans, (&field.file, &Scan::default(), &line), &keys, |change| change.line == id);
        }
    }

    /// What became of a line of a file, to which policies of these names are bound. `is_its`: whether one of the file's
    /// changes is that line's.
    fn outcome(
        &mut self,
        plans: &[(&UpdateInputs<'_>, UpdatePlan)],
        (file, scan, line): (&str, &Scan, &ImageLine),
        keys: &[String],
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
            // Several stay at the start of a file that is not there yet.
            let skip = plan.skipped.iter().find(|skip| {
                let of_line = skip.file == file && skip.position == line.position;
                of_line && skip.policy.as_ref().is_some_and(|policy| keys.contains(policy))
            });
            let result = match (change, skip) {
                (Some(change), _) => OutcomeResult::Changes {
                    old: change.old.clone(),
                    new: change.new.clone(),
                    downgrade: change.downgrade,
                    written_by: change.shadowed.as_ref().map(|shadowed| shadowed.by.clone()),
                    differs: change.shadowed.as_ref().and_then(|shadowed| shadowed.differs()).map(str::to_owned),
                },
                (None, Some(skip)) => OutcomeResult::Stays { code: skip.code.to_string(), why: skip.reason.clone() },
                (None, None) => OutcomeResult::Current { value: line.value.to_string() },
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

/// A value that has no line yet, and what runs in its place.
fn added_step(field: &MissingField) -> ExplainStep {
    let runs = field.patched.image.clone().unwrap_or_else(|| field.patched.value.to_string());
    ExplainStep::Line {
        file: field.file.clone(),
        position: field.position().into(),
        value: String::new(),
        part: field.part,
        object: Some(field.object.to_string()),
        path: field.patched.path.to_string(),
        image: Some(runs),
        marker: None,
    }
}

fn line_step(file: &str, scan: &Scan, line: &ImageLine) -> ExplainStep {
    let object = scan.line_id(file, line).object;
    ExplainStep::Line {
        file: file.to_owned(),
        position: line.position.into(),
        value: line.value.to_string(),
        part: line.part,
        object: object.map(|object| object.to_string()),
        path: line.path.to_string(),
        image: line.image.clone().filter(|image| *image != line.value),
        marker: line.marker.as_ref().map(ToString::to_string),
    }
}
