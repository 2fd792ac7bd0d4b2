//! Updates: for each line that follows a policy, the newest version that the policy allows, or why the line stays.

use super::{
    Change, Entry, Fact, Facts, Need, Planned, Scope, Skip, Snapshot,
    additions::{Added, Moving, addition, obstacle, with_tag_of, written_together},
    attribution,
    downgrade::Lower,
    history::{History, Stays, because, heed},
    shadow::{Choice, Shadowed, flux_v1, stands},
    times::with_times,
    value::{UNPARSED, change, encrypted, untouchable, value_for},
};
use crate::engine::{
    config::Downgrade,
    dialect::{
        Addition, Automation, Binding, Bindings, Bound, DigestReflection, Policy, PolicyKey, PolicyState, Unresolved,
        conflict,
    },
    image::{Reference, Repository, Tag},
    manifest::{ImageLine, Part, Position, Scan},
    memory::{Decline, Memory, Way, line_key},
    policy::TagPolicy,
    snapshot::Lookup,
};
use jiff::Timestamp;
use std::{
    cell::RefCell,
    cmp::Ordering,
    collections::{BTreeSet, HashMap, VecDeque},
    rc::Rc,
    sync::Arc,
};

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
    /// How many of them somebody else writes: there butler agrees.
    pub agree: usize,
    /// How many lines that somebody else writes are among the skipped ones: nothing is known of what butler would write.
    pub uncompared: usize,
}

/// Plans the update of one environment, or says what must be known first.
pub fn update(inputs: &UpdateInputs<'_>) -> Planned<UpdatePlan> {
    let mut plan = UpdatePlan { environment: inputs.environment.name.to_owned(), ..UpdatePlan::default() };
    let mut needs = BTreeSet::new();
    let flux_v1 = flux_v1(inputs).unwrap_or_else(|need| {
        needs.insert(need);
        None
    });
    let choices = Choices::new(inputs, flux_v1);
    let ours = |file: &str| (inputs.environment.contains)(file);
    let mut sort = |outcome, watched: bool, file: &str, position, key: &PolicyKey, plan: &mut UpdatePlan| {
        match &outcome {
            Ok(None) => plan.agree += usize::from(watched),
            Ok(Some(_)) => {}
            Err(_) => plan.uncompared += usize::from(watched),
        }
        match outcome {
            Ok(None) => plan.current += 1,
            Ok(Some(change)) => plan.changes.push(change),
            Err(Stays::Needs(need)) => {
                needs.insert(need);
            }
            Err(Stays::Because(code, reason)) => plan.skipped.push(skip(file, position, key, code, reason)),
            Err(Stays::Declined(edit, reason)) => {
                plan.skipped.push(skip(file, position, key, "declined", reason));
                plan.hand_edits.push(*edit);
            }
        }
    };
    // Files are bound in their order.
    let mut scans = inputs.snapshot.scans.lookup();
    let mut holding: Vec<&Binding> = Vec::new();
    let mut lower = Lower::default();
    for (file, lines) in inputs.bindings.lines.files().filter(|(file, _)| ours(file)) {
        let Some((_, scan)) = scans.get(file) else { continue };
        for bound in lines.by_line() {
            holding.clear();
            holding.extend(bound.iter().map(|bound| &bound.binding));
            holding.retain(|binding| binding.holds_for(inputs.environment.name));
            let Some(binding) = holding.first() else { continue };
            if let [bound] = bound
                && choices.is_settled(bound, scan)
            {
                plan.current += 1;
                plan.agree += usize::from(choices.other_writer(binding).is_some());
                continue;
            }
            let Some(line) = scan.lines.get(binding.line) else { continue };
            let outcome = match (conflict(holding.iter().map(|binding| binding.claim())), encrypted(scan)) {
                (Some(why), _) => because("policy-conflict", why),
                (None, Some((code, reason))) => because(code, reason),
                (None, None) => decide(&choices, binding, scan, line),
            };
            if let ([bound], Ok(None)) = (bound, &outcome) {
                choices.settle(bound, scan, line);
            }
            let is_lower = match &outcome {
                Ok(change) => change.as_ref().is_some_and(|change| change.downgrade),
                Err(stays) => matches!(stays, Stays::Because("downgrade", _)),
            };
            if is_lower {
                lower.note(scan.line_id(file, line), binding.key());
            }
            let watched = choices.other_writer(binding).is_some();
            sort(outcome, watched, file, line.position, binding.key(), &mut plan);
        }
    }
    lower.hold(&mut plan, inputs.downgrade == Downgrade::Deny);
    let mut added: Vec<Added<'_>> = Vec::new();
    let changes = std::mem::take(&mut plan.changes);
    let moving = Moving::of(if inputs.bindings.additions.is_empty() { &[] } else { &changes });
    for bound in inputs.bindings.additions.chunk_by(|a, b| a.field.line_id() == b.field.line_id()) {
        let bound: Vec<&Addition> = bound.iter().filter(|added| added.holds_for(inputs.environment.name)).collect();
        let Some(addition) = bound.first().filter(|addition| ours(&addition.field.file)) else { continue };
        let outcome = match conflict(bound.iter().map(|addition| addition.claim())) {
            Some(why) => because("policy-conflict", why),
            None => decide_addition(&choices, addition, &moving),
        };
        let (field, key) = (&addition.field, &addition.policy.key);
        match outcome {
            Ok(Some(change)) => added.push(Added { field, change }),
            outcome => {
                let watched = choices.flux_v1.is_some();
                sort(outcome, watched, &field.file, field.position(), key, &mut plan);
            }
        }
    }
    if !needs.is_empty() {
        return Planned::Needs(needs);
    }
    plan.changes = changes;
    plan.changes.extend(written_together(added));
    let others = inputs.snapshot.faults().chain(inputs.snapshot.unread());
    plan.skipped.extend(others.filter(|skip| (inputs.environment.contains)(&skip.file)));
    plan.skipped.sort_by(|a, b| (&a.file, a.position).cmp(&(&b.file, b.position)));
    Planned::Ready(plan)
}

fn skip(file: &str, position: Position, key: &PolicyKey, code: &'static str, reason: String) -> Skip {
    Skip { file: file.to_owned(), position, code: code.into(), reason, policy: Some(key.to_string()) }
}

/// One line: its change, `None` where it is current, or why it stays.
fn decide(choices: &Choices<'_>, binding: &Binding, scan: &Scan, line: &ImageLine) -> Result<Option<Change>, Stays> {
    let inputs = choices.inputs;
    if line.unparsed && !inputs.edit_unparsed {
        return because("unparsed-file", UNPARSED);
    }
    let policy = match binding.policy() {
        Ok(policy) => policy,
        Err(Unresolved { code, why, .. }) => return because(code, why),
    };
    let automation = automation(inputs, binding)?;
    let Some(wanted) = wanted(choices, policy, binding.part, line)? else { return Ok(None) };
    let entry = choices.entries.borrow_mut().get(&binding.file).map(|(_, entry)| entry);
    if let Some((code, reason)) = untouchable(entry, scan) {
        return because(code, reason);
    }
    let planned = entry.and_then(|entry| change(entry, &binding.file, scan, line, wanted.value.clone()));
    let Some(planned) = planned else { return Ok(None) };
    let follows = |environment: &str| binding.holds_for(environment);
    let shadowed = choices
        .other_writer(binding)
        .map(|by| Shadowed { by: by.concat(), stands: stands(&wanted.choice(), binding.part, line) });
    let change = permitted(inputs, policy, &follows, wanted, planned)?;
    Ok(Some(Change { automation, shadowed, ..change }))
}

/// What a policy wants on a line.
struct Wanted {
    policy: Arc<TagPolicy>,
    chosen: Rc<Chosen>,
    value: String,
    step: Step,
}

/// Which way a change goes, by the policy's own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Or sideways, or from what the order does not compare.
    Up,
    Down,
    /// The order goes by time, and that of what stands there is not known.
    Unknown,
}

impl Step {
    fn of(chosen_beside_current: Option<Ordering>) -> Self {
        if chosen_beside_current == Some(Ordering::Less) { Step::Down } else { Step::Up }
    }
}

impl Wanted {
    fn choice(&self) -> Choice<'_> {
        let Wanted { policy, chosen, step, .. } = self;
        Choice { policy, repository: &chosen.image.repository, tag: &chosen.tag, lower: *step == Step::Down }
    }
}

/// The value that a policy wants; `None` where what stands there is to stay.
fn wanted(choices: &Choices<'_>, policy: &Arc<Policy>, part: Part, line: &ImageLine) -> Result<Option<Wanted>, Stays> {
    let (repository, tags) = match &policy.state {
        PolicyState::Usable { repository, policy } => (repository, policy),
        PolicyState::Suspended(why) => return because("policy-suspended", why),
        PolicyState::Blocked { code, why } => return because(code, why),
        PolicyState::Invalid(why) => {
            return because("policy-invalid", format!("{}:{}: {why}", policy.file, policy.position));
        }
    };
    let alike = goes_by_value(policy, tags, line);
    if alike {
        let chosen = choices.of(policy, repository, tags)?;
        if let Some(becomes) = chosen.replacements.get(part, &line.value) {
            return Ok(becomes.map(|(value, step)| Wanted { policy: tags.clone(), chosen, value, step }));
        }
    }
    let Some(Selected { chosen, digest, step }) = select(choices, policy, repository, tags, line)? else {
        return Ok(None);
    };
    let value = match digest {
        None => value_for(line, part, &chosen.image),
        digest => value_for(line, part, &Reference { digest, ..chosen.image.clone() }),
    };
    let Some(value) = value else {
        return because("no-digest", format!("policy {} has no digest to write", policy.key));
    };
    let becomes = (value != line.value).then_some((value, step));
    if alike {
        chosen.replacements.put(part, &line.value, becomes.clone());
    }
    Ok(becomes.map(|(value, step)| Wanted { policy: tags.clone(), chosen, value, step }))
}

/// Whether what is put there depends on the policy's choice and the value alone: not so where there is no marker, or where
/// digests or times count.
fn goes_by_value(policy: &Policy, tags: &TagPolicy, line: &ImageLine) -> bool {
    line.marker.is_some() && policy.digest == DigestReflection::Never && !tags.by_time()
}

/// A planned change, unless something keeps it from being made. `follows`: the environments for which the policy holds.
fn permitted(
    inputs: &UpdateInputs<'_>,
    policy: &Arc<Policy>,
    follows: &dyn Fn(&str) -> bool,
    wanted: Wanted,
    planned: Change,
) -> Result<Change, Stays> {
    if let Some(hold) = inputs.memory.hold_on(inputs.environment.name, &planned.component, &Way::Update, inputs.now) {
        return because("held", hold.sentence());
    }
    let environments = attribution::shared(inputs, &planned, policy, follows)
        .map_err(|reason| Stays::Because("shared-line", reason))?;
    let downgrade = wanted.step != Step::Up && inputs.downgrade != Downgrade::Allow;
    if downgrade && inputs.downgrade == Downgrade::Deny {
        let is = if wanted.step == Step::Down { "is lower than" } else { "cannot be told to be newer than" };
        return because("downgrade", format!("{} {is} {}; `updates.downgrade: deny`", planned.new, planned.old));
    }
    if inputs.with_history {
        let UpdateInputs { branch, memory, facts, now, .. } = *inputs;
        heed(&History { branch, memory, facts, now, automatic: true }, &planned, &line_key(&planned.line))?;
    }
    Ok(Change {
        policy: Some(wanted.chosen.key.clone()),
        image: Some(wanted.chosen.image.repository.clone()),
        reason: wanted.chosen.reason.to_string(),
        downgrade,
        environments,
        ..planned
    })
}

/// A value that is not written yet. `moving`: what changes of what holds until then.
fn decide_addition(choices: &Choices<'_>, added: &Addition, moving: &Moving<'_>) -> Result<Option<Change>, Stays> {
    let inputs = choices.inputs;
    let field = &added.field;
    if let Some((code, reason)) = obstacle(inputs.snapshot, field) {
        return because(code, reason);
    }
    let moved = moving.of_field(field);
    let found = match (wanted(choices, &added.policy, field.part, &field.patched), moved) {
        // What runs is what is wanted, and no longer is with what another policy makes of that.
        (Ok(None), Some(_)) => kept(choices, added)?,
        // Nor does it keep from it then.
        (Err(Stays::Because(code, why)), Some((_, value))) => match with_tag_of(&field.patched, value) {
            Some(line) => wanted(choices, &added.policy, field.part, &line)?,
            None => return Err(Stays::Because(code, why)),
        },
        (found, _) => found?,
    };
    let Some(wanted) = found else { return Ok(None) };
    let planned = addition(inputs.snapshot, field, wanted.value.clone());
    let follows = |environment: &str| added.holds_for(environment);
    let shadowed = choices
        .flux_v1
        .as_ref()
        .map(|by| Shadowed { by: by.clone(), stands: stands(&wanted.choice(), field.part, &field.patched) });
    let mut change = permitted(inputs, &added.policy, &follows, wanted, planned)?;
    if let Some((file, _)) = moved.filter(|_| change.old == change.new) {
        change.reason = format!("{}; {file} has it until now, and changes", change.reason);
    }
    Ok(Some(Change { shadowed, ..change }))
}

/// What a policy wants where it holds already.
fn kept(choices: &Choices<'_>, added: &Addition) -> Result<Option<Wanted>, Stays> {
    let (policy, line) = (&added.policy, &added.field.patched);
    let PolicyState::Usable { repository, policy: tags } = &policy.state else { return Ok(None) };
    let selected = select(choices, policy, repository, tags, line)?;
    Ok(selected.map(|Selected { chosen, .. }| Wanted {
        policy: tags.clone(),
        chosen,
        value: line.value.to_string(),
        step: Step::Up,
    }))
}

/// The Flux automation whose rules the line is written by; a skip where the branch has automations and all of them
/// leave the line out. One that is active goes first: it writes.
fn automation(inputs: &UpdateInputs<'_>, binding: &Binding) -> Result<Option<usize>, Stays> {
    let Some(following) = &binding.automations else { return Ok(None) };
    let all = &inputs.bindings.automations;
    let of_branch = |automation: &Automation| automation.is_of_branch(inputs.branch);
    let here = || all.iter().filter(|automation| of_branch(automation));
    if here().next().is_none() {
        return Ok(None);
    }
    let following = || following.iter().copied().filter(|number| all.get(*number).is_some_and(of_branch));
    let active = following().find(|number| all.get(*number).is_some_and(|automation| !automation.suspended));
    if let Some(number) = active.or_else(|| following().next()) {
        return Ok(Some(number));
    }
    if let Some(why) = inputs.bindings.outside_update_paths(inputs.branch, &binding.file) {
        return because("outside-update-path", why);
    }
    let over: Vec<&str> = here()
        .filter(|automation| automation.covers(&binding.file))
        .map(|automation| automation.object.as_str())
        .collect();
    because(
        "not-selected",
        format!(
            "{} follow(s) the policies of the own namespace that spec.policySelector matches; {} is none of them",
            over.join(", "),
            binding.key()
        ),
    )
}

/// What the lines of one plan share: a policy's choice is made once, when a line asks for it first.
struct Choices<'a> {
    inputs: &'a UpdateInputs<'a>,
    /// Flux v1, where it still writes.
    flux_v1: Option<String>,
    made: RefCell<HashMap<*const Policy, Made>>,
    /// The one that was asked for last: lines that stand together mostly follow one policy.
    last: RefCell<Option<(*const Policy, Made)>>,
    /// Lines are looked at in the order of their files.
    entries: RefCell<Lookup<'a, Entry>>,
}

type Made = Result<Rc<Chosen>, Stays>;

/// What a policy chose.
struct Chosen {
    /// The policy's name.
    key: String,
    /// The policy's image with the tag.
    image: Reference,
    tag: Tag,
    reason: Arc<str>,
    replacements: Replacements,
}

/// What the marked values that were met last are replaced by: the next line most often holds one of them.
#[derive(Default)]
struct Replacements(RefCell<VecDeque<(Part, String, Becomes)>>);

/// The new value, and which way it goes; `None` for a value that stays.
type Becomes = Option<(String, Step)>;

impl Replacements {
    /// More than a repository has spellings and versions of one image, as a rule.
    const KEPT: usize = 8;

    fn get(&self, part: Part, value: &str) -> Option<Becomes> {
        let known = self.0.borrow();
        known.iter().find(|known| known.0 == part && known.1 == value).map(|(_, _, becomes)| becomes.clone())
    }

    fn put(&self, part: Part, value: &str, becomes: Becomes) {
        let mut known = self.0.borrow_mut();
        known.truncate(Self::KEPT - 1);
        known.push_front((part, value.to_owned(), becomes));
    }
}

impl Chosen {
    fn new(policy: &Policy, tag: &Tag, reason: Arc<str>) -> Result<Rc<Self>, Stays> {
        let mut image = match Reference::parse(&policy.image) {
            Ok(image) => image,
            Err(error) => return because("policy-invalid", error.to_string()),
        };
        image.tag = Some(tag.name.clone());
        Ok(Rc::new(Chosen {
            key: policy.key.to_string(),
            image,
            tag: tag.clone(),
            reason,
            replacements: Replacements::default(),
        }))
    }
}

impl<'a> Choices<'a> {
    fn new(inputs: &'a UpdateInputs<'a>, flux_v1: Option<String>) -> Self {
        let entries = RefCell::new(inputs.snapshot.entries.lookup());
        Choices { inputs, flux_v1, made: RefCell::default(), last: RefCell::default(), entries }
    }

    /// The choice of a policy whose order does not look at what stands on a line.
    fn of(&self, policy: &Arc<Policy>, repository: &Repository, tags: &Arc<TagPolicy>) -> Made {
        let key = Arc::as_ptr(policy);
        if let Some((_, made)) = self.last.borrow().as_ref().filter(|(last, _)| *last == key) {
            return made.clone();
        }
        let choose = || {
            let known = known_tags(self.inputs.facts, repository)?;
            let choice = self.inputs.snapshot.memo.select(tags, known);
            match choice.selected.and_then(|index| known.get(index)) {
                Some(tag) => Chosen::new(policy, tag, choice.reason),
                None => because("no-match", &*choice.reason),
            }
        };
        let made = self.made.borrow_mut().entry(key).or_insert_with(choose).clone();
        *self.last.borrow_mut() = Some((key, made.clone()));
        made
    }
}

impl Choices<'_> {
    /// Who writes a line in butler's place, where butler was not told to take over: an automation of Flux that is not
    /// suspended, or Flux v1.
    fn other_writer(&self, binding: &Binding) -> Option<[&str; 2]> {
        let UpdateInputs { bindings, branch, take_over, .. } = *self.inputs;
        match &binding.automations {
            Some(following) if !take_over => {
                let mut following = following.iter().filter_map(|number| bindings.automations.get(*number));
                let by = following.find(|by| !by.suspended && by.is_of_branch(branch))?;
                Some(["Flux: ", &by.object])
            }
            None if binding.policy.as_ref().is_ok_and(|policy| policy.is_flux_v1()) => {
                self.flux_v1.as_deref().map(|by| ["", by])
            }
            _ => None,
        }
    }

    /// Whether the line is known to hold what its policy wants.
    fn is_settled(&self, Bound { binding, settled }: &Bound, scan: &Arc<Scan>) -> bool {
        let Ok(policy) = &binding.policy else { return false };
        let PolicyState::Usable { repository, policy: tags } = &policy.state else { return false };
        // The choice is the same where the policy wants its digest now.
        policy.digest == DigestReflection::Never
            && settled.is_of(scan, |choice| {
                self.of(policy, repository, tags).is_ok_and(|chosen| Arc::ptr_eq(&chosen.reason, choice))
            })
            && automation(self.inputs, binding).is_ok()
    }

    /// Remembers a line that holds what its policy wants.
    fn settle(&self, Bound { binding, settled }: &Bound, scan: &Arc<Scan>, line: &ImageLine) {
        let Ok(policy) = &binding.policy else { return };
        let PolicyState::Usable { repository, policy: tags } = &policy.state else { return };
        // Whether such a line is edited is a setting.
        if goes_by_value(policy, tags, line)
            && !line.unparsed
            && let Ok(chosen) = self.of(policy, repository, tags)
        {
            settled.set(scan, &chosen.reason);
        }
    }
}

fn known_tags<'f>(facts: &'f Facts, repository: &Repository) -> Result<&'f Arc<Vec<Tag>>, Stays> {
    match facts.tags.get(repository).map(Fact::told) {
        None => Err(Stays::Needs(Need::Tags(repository.clone()))),
        Some(Err((code, why))) => because(code, why),
        Some(Ok(tags)) => Ok(tags),
    }
}

/// What a policy wants on a line.
struct Selected {
    chosen: Rc<Chosen>,
    /// To be written with the tag.
    digest: Option<String>,
    step: Step,
}

/// The image that the policy wants on this line; `None` where the line's digest is to stay.
fn select(
    choices: &Choices<'_>,
    policy: &Arc<Policy>,
    repository: &Repository,
    tags: &Arc<TagPolicy>,
    line: &ImageLine,
) -> Result<Option<Selected>, Stays> {
    let facts = choices.inputs.facts;
    let current = current_tag(line);
    let (chosen, step) = match tags.by_time() {
        true => select_by_time(facts, policy, repository, tags, current)?,
        false => {
            let chosen = choices.of(policy, repository, tags)?;
            let other = current.filter(|current| *current != chosen.tag.name);
            let step = Step::of(other.and_then(|current| tags.compare(&chosen.tag.name, current)));
            (chosen, step)
        }
    };
    if policy.digest == DigestReflection::Never {
        return Ok(Some(Selected { chosen, digest: None, step }));
    }
    let tag = &chosen.tag;
    let running = line.image.as_deref().or(Some(&line.value)).and_then(|text| Reference::parse(text).ok());
    let pinned = running.filter(|running| running.tag.as_deref() == Some(&tag.name) && running.digest.is_some());
    if pinned.is_some() && policy.digest == DigestReflection::IfNotPresent {
        return Ok(None);
    }
    let digest = match &tag.digest {
        Some(digest) => Some(digest.clone()),
        None => match facts.digests.get(&(repository.clone(), tag.name.clone())).map(Fact::told) {
            None => return Err(Stays::Needs(Need::Digest { repository: repository.clone(), tag: tag.name.clone() })),
            Some(Err((code, why))) => return because(code, why),
            Some(Ok(None)) => {
                return because("no-digest", format!("{repository}:{} has no digest", tag.name));
            }
            Some(Ok(Some(digest))) => Some(digest.clone()),
        },
    };
    Ok(Some(Selected { chosen, digest, step }))
}

/// The choice of a policy by time: what stands on the line decides between tags of one time. What cannot be told to be
/// older than the choice (its tag is gone from the registry, or has no time) counts as newer: after a retention run or an
/// outage the newest tag that is left may be years old.
fn select_by_time(
    facts: &Facts,
    policy: &Policy,
    repository: &Repository,
    tags: &TagPolicy,
    current: Option<&str>,
) -> Result<(Rc<Chosen>, Step), Stays> {
    let known = known_tags(facts, repository)?;
    let known = with_times(facts, repository, tags, known, current)?;
    let selection = tags.select_beside(&known, current);
    let Some(tag) = selection.selected else { return because("no-match", selection.reason) };
    let running = current.and_then(|current| known.iter().find(|tag| tag.name == current));
    if tags.wants_every_time() && current != Some(&tag.name) {
        let timeless = |tag: &Tag| tag.pushed_at.is_none() && tag.created_at.is_none();
        match running {
            _ if timeless(tag) => {
                return because("no-time", format!("{repository}:{} tells no time of its creation", tag.name));
            }
            Some(running) if !timeless(running) => {}
            _ => {
                let current = current.unwrap_or("no tag");
                let why = format!(
                    "what stands there ({current}) has no time of creation in the registry, so {} cannot be told to be \
                     newer",
                    tag.name
                );
                return because("no-time", why);
            }
        }
    }
    let Some(current) = current.filter(|current| *current != tag.name) else {
        return Ok((Chosen::new(policy, tag, selection.reason.into())?, Step::Up));
    };
    let order = running.and_then(|running| tags.compare_tags(tag, running));
    let (step, reason) = match (order, running) {
        (Some(_), _) => (Step::of(order), selection.reason),
        (None, Some(_)) => (Step::Unknown, format!("{}; when {current} was built is not known", selection.reason)),
        (None, None) => (Step::Unknown, format!("{}; {current} is not in the registry", selection.reason)),
    };
    Ok((Chosen::new(policy, tag, reason.into())?, step))
}

/// The tag that stands on a line.
pub(super) fn current_tag(line: &ImageLine) -> Option<&str> {
    match line.part {
        // Nothing stands there yet.
        Part::Tag if line.is_null() || line.value.is_empty() => None,
        Part::Tag => Some(&line.value),
        Part::Reference => tag_of(&line.value),
        Part::Name | Part::Digest => None,
    }
}

/// The tag of a reference, without its digest.
pub(super) fn tag_of(text: &str) -> Option<&str> {
    let name = Reference::parse(text).ok()?.name;
    text.get(name.len()..)?.strip_prefix(':')?.split('@').next()
}
