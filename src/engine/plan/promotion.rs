//! Promotions in mode `versions`: the image versions of one environment, carried to the corresponding lines of another.
//!
//! Lines correspond when they have the same kind, name and field path; the same file below the environments' folders
//! goes first. Only the version moves: the target keeps its own spelling of the name.

use super::{
    Change, Facts, Planned, Scope, Skip, Snapshot, attribution,
    hash::plan_hash,
    history::{History, Stays, because, heed},
    value::{change, untouchable, value_for},
};
use crate::engine::{
    config::Write,
    dialect::Bindings,
    image::{Reference, Repository},
    manifest::{FieldPath, ImageLine, LineId, ObjectId, Part, Scan},
    memory::{Decline, Memory, PullRecord, Way, promotion_key},
    policy,
};
use jiff::Timestamp;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};

/// One side of an edge.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub environment: &'a str,
    pub branch: &'a str,
    pub snapshot: &'a Snapshot,
    /// The file's path below the environment's folder; `None` where the environment does not hold it.
    pub relative: &'a dyn Fn(&str) -> Option<String>,
}

/// Everything that a promotion is planned from.
#[derive(Clone, Copy)]
pub struct PromotionInputs<'a> {
    pub name: &'a str,
    pub from: Side<'a>,
    pub to: Side<'a>,
    /// The other environments on the target's branch: a line that they render too is not promoted silently.
    pub others: &'a [Scope<'a>],
    /// Of the target's snapshot.
    pub bindings: &'a Bindings,
    pub write: Write,
    /// The target follows policies of its own: lines that do are left to them.
    pub target_updates: bool,
    pub memory: &'a Memory,
    pub facts: &'a Facts,
    pub now: Timestamp,
    /// It is written without a person's word: the circuit breaker watches it.
    pub automatic: bool,
    /// Empty: everything.
    pub components: &'a [String],
}

/// What a promotion carries, and what it leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromotionPlan {
    pub name: String,
    pub from: String,
    pub to: String,
    /// The source branch's commit that was read.
    pub source: String,
    /// The target branch's commit that the edits apply to.
    pub base: String,
    pub changes: Vec<Change>,
    pub skipped: Vec<Skip>,
    /// Lines that a person set back since a promotion wrote them: to be remembered as declined.
    pub hand_edits: Vec<Decline>,
    pub hash: String,
}

/// Where a line stands, without its file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    kind: SmolStr,
    name: SmolStr,
    path: FieldPath,
}

impl Place {
    fn of(scan: &Scan, line: &ImageLine) -> Self {
        let document = scan.documents.get(line.document);
        let object = document.and_then(|document| document.object.as_ref());
        Place {
            kind: object.map_or_else(|| document.map(|d| d.kind.clone()).unwrap_or_default(), |o| o.kind.clone()),
            name: object.map(|object| object.name.clone()).unwrap_or_default(),
            path: line.path.clone(),
        }
    }
}

/// The lines of the source environment, by where they stand.
pub(super) struct Source<'a> {
    by_file: BTreeMap<(String, Place), SourceLine<'a>>,
    by_place: BTreeMap<Place, Vec<SourceLine<'a>>>,
}

/// A line, with its file.
pub(super) type SourceLine<'a> = (&'a str, &'a ImageLine);

impl<'a> Source<'a> {
    /// `relative`: as a [`Side`]'s.
    pub(super) fn of(snapshot: &'a Snapshot, relative: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut source = Source { by_file: BTreeMap::new(), by_place: BTreeMap::new() };
        for (file, scan, line) in snapshot.lines() {
            let Some(relative) = relative(file) else { continue };
            let place = Place::of(scan, line);
            source.by_place.entry(place.clone()).or_default().push((file, line));
            source.by_file.insert((relative, place), (file, line));
        }
        source
    }

    /// The line that corresponds; an unnamed place (a kustomization, Helm values) only in the same file.
    pub(super) fn corresponding(&self, relative: &str, scan: &Scan, line: &ImageLine) -> Option<SourceLine<'a>> {
        let place = Place::of(scan, line);
        let same_file = self.by_file.get(&(relative.to_owned(), place.clone())).copied();
        same_file.or_else(|| match self.by_place.get(&place).map(Vec::as_slice) {
            Some([only]) if !place.name.is_empty() => Some(*only),
            _ => None,
        })
    }
}

/// Plans one edge: which lines of the target take which version of the source; or says what must be known first.
pub fn promotion(inputs: &PromotionInputs<'_>) -> Planned<PromotionPlan> {
    let source = Source::of(inputs.from.snapshot, inputs.from.relative);
    let mut plan = PromotionPlan {
        name: inputs.name.to_owned(),
        from: inputs.from.environment.to_owned(),
        to: inputs.to.environment.to_owned(),
        source: inputs.from.snapshot.commit.clone().unwrap_or_default(),
        base: inputs.to.snapshot.commit.clone().unwrap_or_default(),
        ..PromotionPlan::default()
    };
    let mut needs = BTreeSet::new();
    for (file, scan, line) in inputs.to.snapshot.lines() {
        let Some(relative) = (inputs.to.relative)(file) else { continue };
        let Some((_, from)) = source.corresponding(&relative, scan, line) else { continue };
        match carry(inputs, file, scan, line, from) {
            Ok(change) => plan.changes.extend(change),
            Err(Stays::Needs(need)) => {
                needs.insert(need);
            }
            Err(Stays::Because(code, reason)) => plan.skipped.push(skip(file, line, code, reason)),
            Err(Stays::Declined(decline, reason)) => {
                plan.skipped.push(skip(file, line, "declined", reason));
                plan.hand_edits.push(*decline);
            }
        }
    }
    plan.hash = plan_hash(&plan.changes);
    if needs.is_empty() { Planned::Ready(plan) } else { Planned::Needs(needs) }
}

fn skip(file: &str, line: &ImageLine, code: &'static str, reason: String) -> Skip {
    Skip { file: file.to_owned(), position: line.position, code: code.into(), reason, policy: None }
}

/// The change of one target line, `None` where it holds the source's version already.
fn carry(
    inputs: &PromotionInputs<'_>,
    file: &str,
    scan: &Scan,
    line: &ImageLine,
    from: &ImageLine,
) -> Result<Option<Change>, Stays> {
    if line.part != from.part || line.part == Part::Name {
        return Ok(None);
    }
    let no_version = || Stays::Because("no-version", format!("{:?} names no version", from.value));
    let image = version_of(from).ok_or_else(no_version)?;
    let target = image_of(line);
    if let (Some(target), Some(source)) = (&target, &image.repository)
        && target != source
    {
        return because("different-image", format!("the source runs {source}, this line runs {target}"));
    }
    let mut reference = match (&image.reference, &target) {
        (Some(reference), _) => reference.clone(),
        // A bare tag or digest: the name does not matter, it is not written.
        (None, _) => Reference::parse("version").map_err(|_| no_version())?,
    };
    reference.tag = image.tag.clone();
    reference.digest = image.digest.clone();
    let value = value_for(line, line.part, &reference).ok_or_else(no_version)?;
    let entry = inputs.to.snapshot.entries.get(file);
    let Some(planned) = entry.and_then(|entry| change(entry, file, scan, line, value)) else { return Ok(None) };
    if let Some((code, reason)) = untouchable(entry, scan) {
        return because(code, reason);
    }
    if line.unparsed {
        return because("unparsed-file", "the file is no YAML; promotions leave it alone");
    }
    if inputs.target_updates && line.marker.is_some() {
        return because("follows-policy", format!("{} updates this line by its own policy", inputs.to.environment));
    }
    if !inputs.components.is_empty() && !inputs.components.contains(&planned.component) {
        // Not asked for; what was declined is still told.
        return match inputs.memory.declined(&promotion_key(inputs.name, &planned.line), &planned.new) {
            Some(decline) => because("declined", decline.sentence()),
            None => Ok(None),
        };
    }
    let way = Way::Promotion { name: inputs.name.to_owned(), from: inputs.from.environment.to_owned() };
    for environment in [inputs.to.environment, inputs.from.environment] {
        if let Some(hold) = inputs.memory.hold_on(environment, &planned.component, &way, inputs.now) {
            return because("held", hold.sentence());
        }
    }
    let PromotionInputs { memory, facts, now, automatic, .. } = *inputs;
    let environments =
        attribution::promoted(inputs, &planned, &way).map_err(|reason| Stays::Because("shared-line", reason))?;
    let history = History { branch: inputs.to.branch, memory, facts, now, automatic };
    heed(&history, &planned, &promotion_key(inputs.name, &planned.line))?;
    let downgrade = version_of(line).is_some_and(|current| lower(&image, &current));
    Ok(Some(Change {
        image: target.or(image.repository),
        reason: format!("{} runs it", inputs.from.environment),
        downgrade,
        environments,
        ..planned
    }))
}

/// Whether both are versions, and the new one is the lower: somebody put a newer one into the target by hand.
fn lower(new: &Version, current: &Version) -> bool {
    let tags = new.tag.as_deref().zip(current.tag.as_deref());
    let versions = tags.and_then(|(new, current)| policy::Version::parse(new).zip(policy::Version::parse(current)));
    versions.is_some_and(|(new, current)| new < current)
}

/// What a source line says of the version: its tag and digest, and the image where it can be told.
struct Version {
    repository: Option<Repository>,
    reference: Option<Reference>,
    tag: Option<String>,
    digest: Option<String>,
}

fn version_of(line: &ImageLine) -> Option<Version> {
    let whole = line.image.as_deref().and_then(|text| Reference::parse(text).ok());
    let (tag, digest) = match line.part {
        Part::Reference => {
            let reference = Reference::parse(&line.value).ok()?;
            (reference.tag, reference.digest)
        }
        Part::Tag => (Some(line.value.to_string()), None),
        Part::Digest => (None, Some(line.value.to_string())),
        Part::Name => return None,
    };
    let reference = match line.part {
        Part::Reference => Reference::parse(&line.value).ok(),
        _ => whole,
    };
    let empty = |text: &Option<String>| text.as_deref().is_none_or(str::is_empty);
    (!(empty(&tag) && empty(&digest))).then_some(Version {
        repository: reference.as_ref().map(|reference| reference.repository.clone()),
        reference,
        tag,
        digest,
    })
}

/// The image that a line is about, where it can be told.
pub(super) fn image_of(line: &ImageLine) -> Option<Repository> {
    let text = line.image.as_deref().or((line.part == Part::Reference).then_some(line.value.as_str()))?;
    Some(Reference::parse(text).ok()?.repository)
}

/// The component that a line belongs to: its workload or HelmRelease; else the image's own name; else its folder.
pub fn component_of(id: &LineId, line: &ImageLine) -> String {
    if let Some(ObjectId { name, kind, .. }) = &id.object
        && kind != "Kustomization"
        && kind != "ConfigMap"
    {
        return name.to_string();
    }
    let image = image_of(line).map(|image| image.path().rsplit('/').next().unwrap_or_default().to_owned());
    image.unwrap_or_else(|| {
        let folder = id.file.rsplit_once('/').map_or("", |(folder, _)| folder);
        folder.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(&id.file).to_owned()
    })
}

/// The pull request of an edge (or of an update), as GitHub has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullState {
    None,
    Open {
        number: u64,
        head: String,
        /// Somebody reviewed it, or it is being merged: nothing moves under a reviewer.
        reviewed: bool,
        mergeable: Option<bool>,
    },
    /// Somebody else opened one from this head: it is never touched.
    Foreign {
        number: u64,
    },
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullAction {
    /// As it should be.
    Keep,
    /// Write the head branch, and open or refresh the pull request.
    Write,
    /// Nothing is left to carry: close it.
    Close,
    /// A newer plan is only announced: reviewers are at work on the present one.
    Announce,
    /// A person committed to the head branch.
    Edited,
    /// The head branch has a pull request that is not butler's.
    Foreign { number: u64 },
}

/// Decides what becomes of a pull request when `hash` is the plan and `changes` how many lines it has.
pub fn decide_pull(hash: &str, changes: usize, record: Option<&PullRecord>, pull: &PullState) -> PullAction {
    match pull {
        PullState::Foreign { number } => PullAction::Foreign { number: *number },
        PullState::None if changes == 0 => PullAction::Keep,
        PullState::None => PullAction::Write,
        PullState::Open { head, reviewed, mergeable, .. } => {
            let ours = record.is_some_and(|record| record.head == *head);
            let same = record.is_some_and(|record| record.plan == hash);
            match (ours, same) {
                (false, _) => PullAction::Edited,
                (true, _) if changes == 0 => PullAction::Close,
                // One that can no longer be merged is planned again even under review.
                (true, true) if *mergeable != Some(false) => PullAction::Keep,
                (true, false) if *reviewed && *mergeable != Some(false) => PullAction::Announce,
                (true, _) => PullAction::Write,
            }
        }
    }
}
