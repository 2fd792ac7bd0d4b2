//! Updates: for each line that follows a policy, the newest version that the policy allows, or why the line stays.

use super::{
    Change, Fact, Facts, Need, Planned, Skip, Snapshot,
    history::{History, Stays, because, heed},
    value::{change, untouchable, value_for},
};
use crate::engine::{
    config::Downgrade,
    dialect::{
        Automation, Binding, Bindings, DigestReflection, Policy, PolicyState, Unresolved, kustomize::Inclusions,
    },
    image::{Reference, Repository},
    manifest::{ImageLine, Part, Scan},
    memory::{Decline, Memory, Way, line_key},
    policy::TagPolicy,
};
use jiff::Timestamp;
use std::{cmp::Ordering, collections::BTreeSet};

/// One environment, as far as planning needs it.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub name: &'a str,
    pub contains: &'a dyn Fn(&str) -> bool,
}

/// Everything that an update is planned from.
#[derive(Clone, Copy)]
pub struct UpdateInputs<'a> {
    pub environment: Scope<'a>,
    /// The other environments on the same branch: a line that they render too is not updated for this one alone.
    pub others: &'a [Scope<'a>],
    pub branch: &'a str,
    pub snapshot: &'a Snapshot,
    pub bindings: &'a Bindings,
    pub memory: &'a Memory,
    pub facts: &'a Facts,
    pub now: Timestamp,
    pub downgrade: Downgrade,
    /// Whether marked lines in files that are no YAML (Go templates) are edited.
    pub edit_unparsed: bool,
    /// butler is the writer even where a Flux automation is active.
    pub take_over: bool,
    /// Whether there is a history to read: people's decisions stand in it. A plain folder has none.
    pub with_history: bool,
}

/// What an environment's update does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdatePlan {
    pub environment: String,
    pub changes: Vec<Change>,
    pub skipped: Vec<Skip>,
    /// Lines that a person set back since butler wrote them: to be remembered as declined, and said once.
    pub hand_edits: Vec<Decline>,
    /// How many lines hold what their policy wants already.
    pub current: usize,
}

/// Plans the update of one environment, or says what must be known first.
pub fn update(inputs: &UpdateInputs<'_>) -> Planned<UpdatePlan> {
    let mut plan = UpdatePlan { environment: inputs.environment.name.to_owned(), ..UpdatePlan::default() };
    let mut needs = BTreeSet::new();
    let inclusions = Inclusions::of(inputs.snapshot);
    for binding in &inputs.bindings.lines {
        if !(inputs.environment.contains)(&binding.file) {
            continue;
        }
        let Some((scan, line)) =
            inputs.snapshot.scans.get(&binding.file).and_then(|scan| Some((scan, scan.lines.get(binding.line)?)))
        else {
            continue;
        };
        match decide(inputs, &inclusions, binding, scan, line) {
            Ok(None) => plan.current += 1,
            Ok(Some(change)) => plan.changes.push(change),
            Err(Stays::Needs(need)) => {
                needs.insert(need);
            }
            Err(Stays::Because(code, reason)) => plan.skipped.push(skip(binding, line, code, reason)),
            Err(Stays::Declined(decline, reason)) => {
                plan.skipped.push(skip(binding, line, "declined", reason));
                plan.hand_edits.push(*decline);
            }
        }
    }
    if !needs.is_empty() {
        return Planned::Needs(needs);
    }
    let faulty = inputs.snapshot.faulty_markers();
    plan.skipped.extend(faulty.filter(|skip| (inputs.environment.contains)(&skip.file)));
    plan.skipped.sort_by(|a, b| (&a.file, a.position).cmp(&(&b.file, b.position)));
    Planned::Ready(plan)
}

fn skip(binding: &Binding, line: &ImageLine, code: &'static str, reason: String) -> Skip {
    let policy = Some(binding.key.to_string());
    Skip { file: binding.file.clone(), position: line.position, code: code.into(), reason, policy }
}

/// One line: its change, `None` where it is current, or why it stays.
fn decide(
    inputs: &UpdateInputs<'_>,
    inclusions: &Inclusions<'_>,
    binding: &Binding,
    scan: &Scan,
    line: &ImageLine,
) -> Result<Option<Change>, Stays> {
    if let Some((code, reason)) = untouchable(inputs.snapshot, &binding.file, scan) {
        return because(code, reason);
    }
    if line.unparsed && !inputs.edit_unparsed {
        return because("unparsed-file", "the file is no YAML; `dialects.unparsed-files: edit` allows marked lines");
    }
    let policy = match &binding.policy {
        Ok(policy) => policy,
        Err(Unresolved::Missing(why)) => return because("policy-unresolved", why),
        Err(Unresolved::Ambiguous(why)) => return because("policy-ambiguous", why),
    };
    let (repository, tags) = match &policy.state {
        PolicyState::Usable { repository, policy } => (repository, policy),
        PolicyState::Suspended(why) => return because("policy-suspended", why),
        PolicyState::Invalid(why) => {
            return because("policy-invalid", format!("{}:{}: {why}", policy.file, policy.position));
        }
    };
    let written_by = other_writer(inputs, &binding.file)?;

    let Some((image, reason)) = select(inputs.facts, policy, repository, tags, line)? else { return Ok(None) };
    let Some(value) = value_for(line, binding.part, &image) else {
        return because("no-digest", format!("policy {} has no digest to write", binding.key));
    };
    let Some(planned) = change(inputs.snapshot, &binding.file, scan, line, value) else { return Ok(None) };

    if let Some(hold) = inputs.memory.hold_on(inputs.environment.name, &planned.component, &Way::Update, inputs.now) {
        return because("held", hold.sentence());
    }
    if let Some(other) = shared_with(inputs, inclusions, &binding.file) {
        return because(
            "shared-line",
            format!("{other} renders this file too; give each environment a value of its own, or update both by hand"),
        );
    }
    let downgrade = goes_down(tags, line, &image) && inputs.downgrade != Downgrade::Allow;
    if downgrade && inputs.downgrade == Downgrade::Deny {
        return because(
            "downgrade",
            format!("{} is lower than {}; `updates.downgrade: deny`", planned.new, planned.old),
        );
    }
    if inputs.with_history {
        let UpdateInputs { branch, memory, facts, now, .. } = *inputs;
        heed(&History { branch, memory, facts, now, automatic: true }, &planned, &line_key(&planned.line))?;
    }
    Ok(Some(Change {
        policy: Some(binding.key.to_string()),
        image: Some(repository.clone()),
        reason,
        downgrade,
        written_by,
        ..planned
    }))
}

/// The Flux automation that writes this file, where one is active; a skip where the automations leave the file out.
fn other_writer(inputs: &UpdateInputs<'_>, file: &str) -> Result<Option<String>, Stays> {
    if inputs.bindings.automations.is_empty() {
        return Ok(None);
    }
    let over: Vec<&Automation> = inputs.bindings.automations_over(file).collect();
    if over.is_empty() {
        let paths: Vec<&str> = inputs.bindings.automations.iter().map(|automation| automation.path.as_str()).collect();
        return because("outside-update-path", format!("outside spec.update.path ({})", paths.join(", ")));
    }
    let active = over.iter().find(|automation| !automation.suspended && !inputs.take_over);
    Ok(active.map(|automation| format!("Flux: {}", automation.object)))
}

/// The image that the policy wants on this line; `None` where the line's digest is to stay.
fn select(
    facts: &Facts,
    policy: &Policy,
    repository: &Repository,
    tags: &TagPolicy,
    line: &ImageLine,
) -> Result<Option<(Reference, String)>, Stays> {
    let known = match facts.tags.get(repository) {
        None => return Err(Stays::Needs(Need::Tags(repository.clone()))),
        Some(Fact::Unavailable { why, .. }) => return because("registry-unavailable", why),
        Some(Fact::Known { value, .. }) => value,
    };
    let selection = tags.select(known);
    let Some(tag) = selection.selected else { return because("no-match", selection.reason) };
    let mut image = match Reference::parse(&policy.image) {
        Ok(image) => image,
        Err(error) => return because("policy-invalid", error.to_string()),
    };
    image.tag = Some(tag.name.clone());
    if policy.digest == DigestReflection::Never {
        return Ok(Some((image, selection.reason)));
    }
    let running = line.image.as_deref().or(Some(&line.value)).and_then(|text| Reference::parse(text).ok());
    let pinned = running.filter(|running| running.tag.as_deref() == Some(&tag.name) && running.digest.is_some());
    if pinned.is_some() && policy.digest == DigestReflection::IfNotPresent {
        return Ok(None);
    }
    image.digest = match &tag.digest {
        Some(digest) => Some(digest.clone()),
        None => match facts.digests.get(&(repository.clone(), tag.name.clone())) {
            None => return Err(Stays::Needs(Need::Digest { repository: repository.clone(), tag: tag.name.clone() })),
            Some(Fact::Unavailable { why, .. }) => return because("registry-unavailable", why),
            Some(Fact::Known { value: None, .. }) => {
                return because("no-digest", format!("{repository}:{} has no digest", tag.name));
            }
            Some(Fact::Known { value: Some(digest), .. }) => Some(digest.clone()),
        },
    };
    Ok(Some((image, selection.reason)))
}

/// Whether the new tag is lower than the one that stands there, under the policy's own order.
fn goes_down(policy: &TagPolicy, line: &ImageLine, image: &Reference) -> bool {
    let current = match line.part {
        Part::Tag => Some(line.value.clone()),
        Part::Reference => Reference::parse(&line.value).ok().and_then(|reference| reference.tag),
        Part::Name | Part::Digest => None,
    };
    match (current, &image.tag) {
        (Some(current), Some(new)) => policy.compare(new, &current) == Some(Ordering::Less),
        _ => false,
    }
}

/// Another environment of the branch that renders this file: its folder holds it, or a kustomization there includes it.
fn shared_with(inputs: &UpdateInputs<'_>, inclusions: &Inclusions<'_>, file: &str) -> Option<String> {
    if inputs.others.is_empty() {
        return None;
    }
    let renderers = inclusions.renderers(file);
    inputs.others.iter().find_map(|other| {
        let renders = (other.contains)(file) || renderers.iter().any(|kustomization| (other.contains)(kustomization));
        renders.then(|| format!("environment {}", other.name))
    })
}
