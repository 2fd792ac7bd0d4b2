//! Updates: for each line that follows a policy, the newest version that the policy allows, or why the line stays.

use super::{
    Change, Entry, Facts, Planned, Scope, Skip, Snapshot,
    additions::{Added, Moving, addition, obstacle, with_tag_of, written_together},
    attribution,
    downgrade::Lower,
    history::{History, Stays, because, heed},
    shadow::{Shadowed, flux_v1, stands},
    value::{UNPARSED, change, encrypted, untouchable},
    wanted::{Choices, Step, Wanted, kept, wanted},
    writers::Writers,
};
use crate::engine::{
    config::Downgrade,
    dialect::{Addition, Binding, Bindings, Policy, PolicyKey, Unresolved, conflict},
    manifest::{ImageLine, Position, Scan},
    memory::{Decline, Memory, Way, line_key},
    snapshot::Lookup,
};
use jiff::Timestamp;
use std::{cell::RefCell, collections::BTreeSet, sync::Arc};

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
    let planning = Planning {
        inputs,
        choices: Choices::new(inputs),
        writers: Writers::new(inputs, flux_v1),
        entries: RefCell::new(inputs.snapshot.entries.lookup()),
    };
    let Planning { choices, writers, .. } = &planning;
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
            if let [bound] = bound
                && choices.is_settled(bound, scan)
                && bound.binding.holds_for(inputs.environment.name)
                && writers.automation(&bound.binding).is_ok()
            {
                plan.current += 1;
                plan.agree += usize::from(writers.other(&bound.binding).is_some());
                continue;
            }
            holding.clear();
            holding.extend(bound.iter().map(|bound| &bound.binding));
            holding.retain(|binding| binding.holds_for(inputs.environment.name));
            let Some(binding) = holding.first() else { continue };
            let Some(line) = scan.lines.get(binding.line) else { continue };
            let outcome = match (conflict(holding.iter().map(|binding| binding.claim())), encrypted(scan)) {
                (Some(why), _) => because("policy-conflict", why),
                (None, Some((code, reason))) => because(code, reason),
                (None, None) => decide(&planning, binding, scan, line),
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
            let watched = writers.other(binding).is_some();
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
            None => decide_addition(&planning, addition, &moving),
        };
        let (field, key) = (&addition.field, &addition.policy.key);
        match outcome {
            Ok(Some(change)) => added.push(Added { field, change }),
            outcome => {
                let watched = writers.flux_v1.is_some();
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

/// What the lines of one plan share.
struct Planning<'a> {
    inputs: &'a UpdateInputs<'a>,
    choices: Choices<'a>,
    writers: Writers<'a>,
    /// Lines are looked at in the order of their files.
    entries: RefCell<Lookup<'a, Entry>>,
}

/// One line: its change, `None` where it is current, or why it stays.
fn decide(planning: &Planning<'_>, binding: &Binding, scan: &Scan, line: &ImageLine) -> Result<Option<Change>, Stays> {
    let Planning { inputs, choices, writers, entries } = planning;
    if line.unparsed && !inputs.edit_unparsed {
        return because("unparsed-file", UNPARSED);
    }
    let policy = match binding.policy() {
        Ok(policy) => policy,
        Err(Unresolved { code, why, .. }) => return because(code, why),
    };
    let automation = writers.automation(binding)?;
    let Some(wanted) = wanted(choices, policy, binding.part, line)? else { return Ok(None) };
    let entry = entries.borrow_mut().get(&binding.file).map(|(_, entry)| entry);
    if let Some((code, reason)) = untouchable(entry, scan) {
        return because(code, reason);
    }
    let planned = entry.and_then(|entry| change(entry, &binding.file, scan, line, wanted.value.clone()));
    let Some(planned) = planned else {
        return because("value-not-editable", format!("{:?} cannot be written there", wanted.value));
    };
    let follows = |environment: &str| binding.holds_for(environment);
    let shadowed = writers
        .other(binding)
        .map(|by| Shadowed { by: by.concat(), stands: stands(&wanted.choice(), binding.part, line) });
    let change = permitted(inputs, policy, &follows, wanted, planned)?;
    Ok(Some(Change { automation, shadowed, ..change }))
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
fn decide_addition(planning: &Planning<'_>, added: &Addition, moving: &Moving<'_>) -> Result<Option<Change>, Stays> {
    let Planning { inputs, choices, writers, .. } = planning;
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
    let shadowed = writers
        .flux_v1
        .as_ref()
        .map(|by| Shadowed { by: by.clone(), stands: stands(&wanted.choice(), field.part, &field.patched) });
    let mut change = permitted(inputs, &added.policy, &follows, wanted, planned)?;
    if let Some((file, _)) = moved.filter(|_| change.old == change.new) {
        change.reason = format!("{}; {file} has it until now, and changes", change.reason);
    }
    Ok(Some(Change { shadowed, ..change }))
}
