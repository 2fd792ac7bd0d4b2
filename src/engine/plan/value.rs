//! The value that a line takes for a new image: whole reference, name, tag or digest, in the author's spelling.

use super::{Change, Entry, EntryKind, Skip, Snapshot, promotion::image_of};
use crate::engine::{
    dialect::{PolicyKey, kustomize::Inclusions},
    image::{Reference, Repository},
    manifest::{Container, ImageLine, ObjectId, Part, Scan, Step},
};

/// What `butler set` puts on lines, whatever the registry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub on: AssignmentTarget,
    pub image: Reference,
}

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

impl Assignment {
    /// Whether the line is one that the assignment is for.
    pub(super) fn means(&self, inclusions: &Inclusions<'_>, file: &str, scan: &Scan, line: &ImageLine) -> bool {
        match &self.on {
            AssignmentTarget::Policy(key) => line
                .marker
                .as_ref()
                .is_some_and(|marker| marker.namespace == key.namespace && marker.policy == key.name),
            AssignmentTarget::Image => self.same_image(line),
            AssignmentTarget::Object { namespace, kind, name, container } => {
                object_of(scan, line).is_some_and(|object| {
                    object.kind.eq_ignore_ascii_case(kind)
                        && object.name == *name
                        && inclusions.namespaces(file, &object.namespace).contains(namespace)
                }) && match container {
                    Some(container) => is_of_container(scan, line, container),
                    None => self.same_image(line) || self.is_the_only_tag(scan, line),
                }
            }
        }
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

/// The container that a line is part of, as Flux v1 counts them.
fn container_of<'s>(scan: &'s Scan, line: &ImageLine) -> Option<&'s Container> {
    let start = Some(line.span.start);
    let containers = &scan.documents.get(line.document)?.containers;
    containers.iter().find(|container| container.tag == start || container.repository == start)
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

/// The object that a line stands in.
pub(super) fn object_of<'s>(scan: &'s Scan, line: &ImageLine) -> Option<&'s ObjectId> {
    scan.documents.get(line.document)?.object.as_ref()
}

/// The name of the container, or other list item, that a line belongs to.
pub(super) fn container_name<'s>(scan: &'s Scan, line: &'s ImageLine) -> Option<&'s str> {
    let named = container_of(scan, line).map(|container| container.name.as_str());
    named.or_else(|| line.path.0.iter().rev().find_map(item_name))
}

fn item_name(step: &Step) -> Option<&str> {
    match step {
        Step::Item { key, value } if key == "name" => Some(value),
        _ => None,
    }
}

/// The new value for a line that holds `part`, when `image` is to run. `None`: the part cannot be told (a digest that
/// the image has not).
///
/// The name keeps its author's spelling where it means the same repository. Without a marker a line may hold only the
/// rest of a name whose registry has a key of its own.
pub fn value_for(line: &ImageLine, part: Part, image: &Reference) -> Option<String> {
    let split = line.marker.is_none() && image_of(line).is_some_and(|whole| whole == image.repository);
    match part {
        Part::Tag => image.tag.clone(),
        Part::Digest => image.digest.clone(),
        Part::Name => {
            let same = split || Repository::parse(&line.value).is_ok_and(|current| current == image.repository);
            Some(if same { line.value.clone() } else { image.name.clone() })
        }
        Part::Reference => {
            let written =
                Reference::parse(&line.value).ok().filter(|current| split || current.repository == image.repository);
            let name = written.map_or(image.name.clone(), |current| current.name);
            let tag = image.tag.as_deref().map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = image.digest.as_deref().map(|digest| format!("@{digest}")).unwrap_or_default();
            Some(format!("{name}{tag}{digest}"))
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

/// Why a marked line of a file that is no YAML stays.
pub(super) const UNPARSED: &str = "the file is no YAML, and butler.yaml says `dialects.unparsed-files: skip`";

/// Puts the assigned values on the lines that they name. No policy objects are needed. What no line answers to,
/// [`super::unmet`] tells. `edit_unparsed`: as [`super::UpdateInputs::edit_unparsed`].
pub fn assign(snapshot: &Snapshot, assignments: &[Assignment], edit_unparsed: bool) -> Assigned {
    let Assigned { mut changes, mut skipped, mut current } = Assigned::default();
    let inclusions = Inclusions::of(snapshot);
    for (file, scan, line) in snapshot.lines() {
        let Some(assignment) = assignments.iter().find(|a| a.means(&inclusions, file, scan, line)) else { continue };
        let (entry, part) = (snapshot.entries.get(file), line.part);
        let policy = line.marker.as_ref().map(|marker| format!("{}:{}", marker.namespace, marker.policy));
        let skip = |code: &'static str, reason| Skip {
            file: file.to_owned(),
            position: line.position,
            code: code.into(),
            reason,
            policy: policy.clone(),
        };
        let set = |line: &ImageLine, value| {
            change(entry?, file, scan, line, value).map(|change| Change {
                policy: policy.clone(),
                image: Some(assignment.image.repository.clone()),
                reason: "set by hand".into(),
                ..change
            })
        };
        let container = container_of(scan, line).filter(|_| line.marker.is_none());
        let registry = split_registry(container, &assignment.image);
        let image = registry.as_ref().map_or(&assignment.image, |(_, _, rest)| rest);
        if let Some((code, reason)) = untouchable(entry, scan) {
            skipped.push(skip(code, reason));
        } else if line.unparsed && !edit_unparsed {
            skipped.push(skip("unparsed-file", UNPARSED.into()));
        } else if let Some(value) = value_for(line, part, image) {
            match set(line, value) {
                Some(change) => changes.push(change),
                None => current += 1,
            }
            // Once, with the line that holds the tag.
            if let Some((key, host, _)) = registry
                && container.and_then(Container::tag_line) == Some(line.span.start)
            {
                let key = ImageLine { document: line.document, ..key.clone() };
                changes.extend(set(&key, host));
            }
        } else {
            let missing = if part == Part::Digest { "digest" } else { "tag" };
            skipped.push(skip("no-value", format!("the line holds a {missing}, the given image has none")));
        }
    }
    // What was meant as a marker may have been meant for these policies.
    if assignments.iter().any(|assignment| matches!(assignment.on, AssignmentTarget::Policy(_))) {
        skipped.extend(snapshot.faults());
    }
    Assigned { changes, skipped, current }
}

/// Files whose bytes are never changed, whatever they follow.
pub(super) fn untouchable(entry: Option<&Entry>, scan: &Scan) -> Option<(&'static str, String)> {
    encrypted(scan).or_else(|| match entry.map(|entry| entry.kind) {
        Some(EntryKind::File) => None,
        _ => Some(("symlink", "the file is a symbolic link; butler edits only the file itself".into())),
    })
}

/// The same, as far as the file's own bytes tell.
pub(super) fn encrypted(scan: &Scan) -> Option<(&'static str, String)> {
    scan.sops.then(|| ("sops", "the file is encrypted with SOPS; any change would break its MAC".into()))
}

/// The change of one line to `value`; `None` where it holds that already.
pub(super) fn change(entry: &Entry, file: &str, scan: &Scan, line: &ImageLine, value: String) -> Option<Change> {
    if line.value == value {
        return None;
    }
    let id = scan.line_id(file, line);
    let edit = line.edit(&entry.blob, &value)?;
    Some(Change {
        component: super::component_of(&id, line),
        line: id,
        position: line.position,
        edit,
        old: line.value.clone(),
        new: value,
        policy: None,
        image: None,
        reason: String::new(),
        downgrade: false,
        environments: Vec::new(),
        automation: None,
        written_by: None,
    })
}
