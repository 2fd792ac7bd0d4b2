//! What `butler set` does: given images on the lines that are named, whatever the registry says.

use super::{
    Change, Skip, Snapshot,
    additions::{Added, addition, obstacle, written_together},
    downgrade::around,
    promotion::image_of,
    value::{UNPARSED, change, container_of, item_name, object_of, untouchable, value_for},
};
use crate::engine::{
    config::Config,
    dialect::{Generated, GeneratedTag, PolicyKey, Target, kustomize::Inclusions, locked},
    image::Reference,
    manifest::{Container, ImageLine, LineId, Part, Scan},
};
use std::collections::BTreeSet;

/// What `butler set` puts on lines, whatever the registry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub on: AssignmentTarget,
    pub image: Reference,
}

/// Which lines an assignment is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssignmentTarget {
    /// The lines that carry a marker of this policy.
    Policy(PolicyKey),
    /// The lines that run the assignment's image.
    Image,
    /// The lines of an object: those of the named container, or else those that run the same image.
    Object {
        /// Where the object lands, as its file or its kustomizations tell.
        namespace: String,
        /// In any case: `deployment` is a `Deployment`.
        kind: String,
        name: String,
        container: Option<String>,
    },
}

/// Which lines, and which tags of what is generated, assignments are for.
pub(super) struct Targets<'a> {
    pub inclusions: Inclusions<'a>,
    generated: Generated<'a>,
}

impl<'a> Targets<'a> {
    pub fn of(snapshot: &'a Snapshot, assignments: &[Assignment]) -> Self {
        let inclusions = Inclusions::of(snapshot);
        let objects = assignments.iter().any(|assignment| matches!(assignment.on, AssignmentTarget::Object { .. }));
        let generated = if objects { Generated::of(snapshot, &inclusions) } else { Generated::default() };
        Targets { inclusions, generated }
    }

    /// Whether something answers to an assignment.
    pub fn answer(&self, snapshot: &Snapshot, assignment: &Assignment) -> bool {
        self.generated.tags.iter().any(|tag| assignment.is_for(tag))
            || snapshot.lines().any(|(file, scan, line)| self.means(assignment, file, scan, line))
    }

    /// Whether the line is one that the assignment is for. An object that a `.flux.yaml` builds has its tags where Flux
    /// v1 writes them, and only there.
    fn means(&self, assignment: &Assignment, file: &str, scan: &Scan, line: &ImageLine) -> bool {
        match &assignment.on {
            AssignmentTarget::Policy(key) => line
                .marker
                .as_ref()
                .is_some_and(|marker| marker.namespace == key.namespace && marker.policy == key.name),
            AssignmentTarget::Image => !Config::is_beside_manifests(file) && assignment.same_image(line),
            AssignmentTarget::Object { namespace, kind, name, container } => {
                let written = object_of(scan, line).is_some_and(|object| {
                    object.kind.eq_ignore_ascii_case(kind)
                        && object.name == *name
                        && self.inclusions.namespaces(file, &object.namespace).contains(namespace)
                });
                let meant = || match container {
                    Some(container) => is_of_container(scan, line, container),
                    None => assignment.same_image(line) || assignment.is_the_only_tag(scan, line),
                };
                let generated = || {
                    self.generated.is_base(file, line.document)
                        || (self.generated.is_patch(file)
                            && self.generated.tags.iter().any(|tag| assignment.is_for(tag)))
                };
                written && meant() && !generated()
            }
        }
    }
}

impl Assignment {
    /// Whether it is for a tag of what is generated.
    fn is_for(&self, tag: &GeneratedTag<'_>) -> bool {
        let AssignmentTarget::Object { namespace, kind, name, container } = &self.on else { return false };
        tag.kind.eq_ignore_ascii_case(kind)
            && tag.name == *name
            && tag.namespaces.contains(namespace)
            && match container {
                Some(container) => tag.container == container,
                None => self.runs(&tag.image),
            }
    }

    fn runs(&self, image: &str) -> bool {
        Reference::parse(image).is_ok_and(|image| image.repository == self.image.repository)
    }

    fn same_image(&self, line: &ImageLine) -> bool {
        image_of(line).is_some_and(|image| image == self.image.repository)
    }

    /// A patch may have a tag alone, of an image that stands in the object that it patches.
    fn is_the_only_tag(&self, scan: &Scan, line: &ImageLine) -> bool {
        let unknown = |line: &ImageLine| line.part == Part::Tag && image_of(line).is_none();
        let mut beside = scan.lines.iter().filter(|other| other.document == line.document && *other != line);
        unknown(line) && !beside.any(|other| unknown(other) || self.same_image(other))
    }
}

fn is_of_container(scan: &Scan, line: &ImageLine, name: &str) -> bool {
    let start = Some(line.span.start);
    let known = scan.documents.get(line.document).is_some_and(|document| {
        let mut named = document.containers.iter().filter(|container| container.name == name);
        named.any(|container| container.tag == start || container.repository == start)
    });
    known || line.path.0.iter().any(|step| item_name(step) == Some(name))
}

/// An image for a container whose registry stands in a key of its own: what goes into that key, and the image as the
/// other keys hold it. `None` where the registry stays.
fn split_registry<'c>(
    container: Option<&'c Container>,
    image: &Reference,
) -> Option<(&'c ImageLine, String, Reference)> {
    let container = container?;
    let registry = container.registry.as_deref()?;
    let current = container.image.as_deref().and_then(|image| Reference::parse(image).ok())?;
    if current.repository == image.repository {
        return None;
    }
    let (host, rest) = match image.name.split_once('/') {
        Some((host, rest)) if host.eq_ignore_ascii_case(image.repository.host()) => (host, rest),
        _ => (image.repository.host(), image.name.as_str()),
    };
    Some((registry, host.to_owned(), Reference { name: rest.to_owned(), ..image.clone() }))
}

/// How assignments are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssignRules {
    /// As [`super::UpdateInputs::edit_unparsed`].
    pub edit_unparsed: bool,
    /// Objects that a person locked for Flux v1 change too.
    pub force: bool,
}

impl AssignRules {
    /// The reason of a change, or why there is none, in an object that may be locked.
    fn reason(self, locked: Option<&str>) -> Result<String, (&'static str, String)> {
        match locked {
            None => Ok("set by hand".to_owned()),
            Some(why) if self.force => Ok(format!("set by hand, with --force: {why}")),
            Some(why) => Err(("locked", format!("{why}; set with --force, it changes all the same"))),
        }
    }
}

/// What assignments do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assigned {
    pub changes: Vec<Change>,
    pub skipped: Vec<Skip>,
    /// How many lines hold what was assigned already.
    pub current: usize,
}

impl Assigned {
    /// A digest that stays keeps the image that runs: then its tag and name stay too.
    fn hold_beside_digests(&mut self, digests: &BTreeSet<LineId>) {
        for change in std::mem::take(&mut self.changes) {
            if digests.contains(&around(change.line.clone())) {
                self.skipped.push(Skip {
                    file: change.line.file,
                    position: change.position,
                    code: "no-value".into(),
                    reason: "the digest beside it would still run what it is of, and the given image has none: give \
                             IMAGE:TAG@DIGEST, or take the digest out first"
                        .into(),
                    policy: change.policy,
                });
            } else {
                self.changes.push(change);
            }
        }
    }
}

/// Puts the assigned values on the lines that they name. No policy objects are needed. What no line answers to,
/// [`super::unmet`] tells. By image and by object, what Flux v1's annotations lock stays, as with `fluxctl release`; a
/// policy's markers are Flux v2's, which knows no locks.
/// <https://fluxcd.io/legacy/flux/references/fluxctl/#locking-a-workload>
pub fn assign(snapshot: &Snapshot, assignments: &[Assignment], rules: AssignRules) -> Assigned {
    let targets = Targets::of(snapshot, assignments);
    let mut assigned = Assigned::default();
    let taken = generated(snapshot, &targets, assignments, rules, &mut assigned);
    let Assigned { mut changes, mut skipped, mut current } = assigned;
    let mut digests = BTreeSet::new();
    for (file, scan, line) in snapshot.lines() {
        if taken.contains(&(file, line.span.start)) {
            continue;
        }
        let Some(assignment) = assignments.iter().find(|a| targets.means(a, file, scan, line)) else { continue };
        let (entry, part) = (snapshot.entries.get(file), line.part);
        let policy = line.marker.as_ref().map(|marker| format!("{}:{}", marker.namespace, marker.policy));
        let skip = |code: &'static str, reason| Skip {
            file: file.to_owned(),
            position: line.position,
            code: code.into(),
            reason,
            policy: policy.clone(),
        };
        let by_marker = matches!(assignment.on, AssignmentTarget::Policy(_));
        let document = scan.documents.get(line.document).filter(|_| !by_marker);
        let reason = rules.reason(document.and_then(|document| locked(file, document)).as_deref());
        let set = |line: &ImageLine, value| {
            change(entry?, file, scan, line, value).map(|change| Change {
                policy: policy.clone(),
                image: Some(assignment.image.repository.clone()),
                reason: said(reason.clone().unwrap_or_default(), &change),
                ..change
            })
        };
        let container = container_of(scan, line).filter(|_| line.marker.is_none());
        let registry = split_registry(container, &assignment.image);
        let image = registry.as_ref().map_or(&assignment.image, |(_, _, rest)| rest);
        if let Some((code, reason)) = untouchable(entry, scan) {
            skipped.push(skip(code, reason));
        } else if let Some(why) = entangled(assignments, assignment, scan, line) {
            skipped.push(skip("value-not-editable", why));
        } else if line.unparsed && !rules.edit_unparsed {
            skipped.push(skip("unparsed-file", UNPARSED.into()));
        } else if let Some(value) = value_for(line, part, image) {
            // Once, with the line that holds the tag.
            let key = registry.filter(|_| container.and_then(Container::tag_line) == Some(line.span.start));
            let key = key.map(|(key, host, _)| (ImageLine { document: line.document, ..key.clone() }, host));
            let set: Vec<Option<Change>> =
                std::iter::once(set(line, value)).chain(key.map(|(key, host)| set(&key, host))).collect();
            match &reason {
                Err((code, why)) if set.iter().any(Option::is_some) => skipped.push(skip(code, why.clone())),
                _ => {
                    current += usize::from(set.first().is_some_and(Option::is_none));
                    changes.extend(set.into_iter().flatten());
                }
            }
        } else {
            if part == Part::Digest && !line.value.is_empty() && !line.is_null() {
                digests.insert(around(scan.line_id(file, line)));
            }
            let missing = if part == Part::Digest { "digest" } else { "tag" };
            skipped.push(skip("no-value", format!("the line holds a {missing}, the given image has none")));
        }
    }
    // What was meant as a marker may have been meant for these policies.
    if assignments.iter().any(|assignment| matches!(assignment.on, AssignmentTarget::Policy(_))) {
        skipped.extend(snapshot.faults());
    }
    let mut assigned = Assigned { changes, skipped, current };
    assigned.hold_beside_digests(&digests);
    assigned
}

/// The reason of a change; a pin that goes is not passed over in silence.
fn said(reason: String, change: &Change) -> String {
    let pinned = |value: &str| value.contains("@sha");
    match pinned(&change.old) && !pinned(&change.new) {
        true => format!("{reason}; its digest goes, since the given image has none"),
        false => reason,
    }
}

/// Why a line of an object cannot change for what is assigned alone: aliases bring it to other fields.
fn entangled(assignments: &[Assignment], assignment: &Assignment, scan: &Scan, line: &ImageLine) -> Option<String> {
    let AssignmentTarget::Object { container, .. } = &assignment.on else { return None };
    let containers = &scan.documents.get(line.document)?.containers;
    let mut on_line = containers.iter().filter(|container| container.tag_line() == Some(line.span.start));
    if on_line.clone().any(|container| container.shared) {
        return Some(
            "an alias brings this value to other fields too, which would change with it: write those out".into(),
        );
    }
    let own = container.as_ref()?;
    let as_well = |other: &Container| {
        let AssignmentTarget::Object { namespace, kind, name, .. } = assignment.on.clone() else { return false };
        let on = AssignmentTarget::Object { namespace, kind, name, container: Some(other.name.to_string()) };
        assignments.iter().any(|given| given.on == on && given.image == assignment.image)
    };
    let other = on_line.find(|other| other.name != *own && !as_well(other))?;
    Some(format!("an alias brings this value to the container {} too: give the same image for both", other.name))
}

/// Puts the assigned values where Flux v1 writes those of generated objects; gives the lines that are dealt with, by file
/// and first byte.
fn generated<'a>(
    snapshot: &'a Snapshot,
    targets: &Targets<'a>,
    assignments: &[Assignment],
    rules: AssignRules,
    assigned: &mut Assigned,
) -> BTreeSet<(&'a str, usize)> {
    let mut taken = BTreeSet::new();
    let mut added: Vec<Added<'_>> = Vec::new();
    for tag in &targets.generated.tags {
        let Some(assignment) = assignments.iter().find(|assignment| assignment.is_for(tag)) else { continue };
        let reason = rules.reason(tag.locked.as_deref());
        let by_hand = |change: Change| {
            let image = Some(assignment.image.repository.clone());
            reason.clone().map(|reason| Change { image, reason, ..change })
        };
        let (file, position, outcome) = match &tag.target {
            Target::Line { file, line } => {
                let Some((scan, line)) = snapshot.scans.get(file).and_then(|scan| Some((scan, scan.lines.get(*line)?)))
                else {
                    continue;
                };
                if !taken.insert((*file, line.span.start)) {
                    continue;
                }
                let entry = snapshot.entries.get(file);
                let value = given(assignment, tag, line, untouchable(entry, scan));
                let changed = |value| entry.and_then(|entry| change(entry, file, scan, line, value));
                let outcome = value.and_then(|value| changed(value).map(by_hand).transpose());
                (*file, line.position, outcome)
            }
            Target::Field(field) => match given(assignment, tag, &field.patched, obstacle(snapshot, field)) {
                Ok(value) if value != field.patched.value => match by_hand(addition(snapshot, field, value)) {
                    Ok(change) => {
                        added.push(Added { field, change });
                        continue;
                    }
                    Err(locked) => (field.file.as_str(), field.position(), Err(locked)),
                },
                outcome => (field.file.as_str(), field.position(), outcome.map(|_| None)),
            },
            Target::Nowhere { code, why } => {
                let (file, line) = tag.base;
                let position = line.map(|line| line.position).unwrap_or_default();
                (file, position, Err((*code, why.clone())))
            }
        };
        match outcome {
            Ok(Some(change)) => assigned.changes.push(change),
            Ok(None) => assigned.current += 1,
            Err((code, reason)) => {
                let file = file.to_owned();
                assigned.skipped.push(Skip { file, position, code: code.into(), reason, policy: None });
            }
        }
    }
    assigned.changes.extend(written_together(added));
    taken
}

/// The value that a tag of what is generated takes, or why it stays.
fn given(
    assignment: &Assignment,
    tag: &GeneratedTag<'_>,
    line: &ImageLine,
    obstacle: Option<(&'static str, String)>,
) -> Result<String, (&'static str, String)> {
    if let Some(obstacle) = obstacle {
        return Err(obstacle);
    }
    if tag.part == Part::Tag && !assignment.runs(&tag.image) {
        let why = format!("a patch with the tag alone cannot take another image: {} runs there", tag.image);
        return Err(("different-image", format!("{why}; change the image's name in {}", tag.base.0)));
    }
    let missing = || ("no-value", "the line holds a tag, the given image has none".to_owned());
    value_for(line, tag.part, &assignment.image).ok_or_else(missing)
}
