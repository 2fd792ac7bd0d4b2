//! The value that a line takes for a new image: whole reference, name, tag or digest, in the author's spelling.

use super::{Change, Skip, Snapshot, promotion::image_of};
use crate::engine::{
    dialect::{PolicyKey, kustomize::Inclusions},
    image::{Reference, Repository},
    manifest::{ImageLine, ObjectId, Part, Scan, Step},
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
        let same_image = || image_of(line).is_some_and(|image| image == self.image.repository);
        match &self.on {
            AssignmentTarget::Policy(key) => line
                .marker
                .as_ref()
                .is_some_and(|marker| marker.namespace == key.namespace && marker.policy == key.name),
            AssignmentTarget::Image => same_image(),
            AssignmentTarget::Object { namespace, kind, name, container } => {
                object_of(scan, line).is_some_and(|object| {
                    object.kind.eq_ignore_ascii_case(kind)
                        && object.name == *name
                        && inclusions.namespaces(file, &object.namespace).contains(namespace)
                }) && match container {
                    Some(container) => line.path.0.iter().any(|step| item_name(step) == Some(container.as_str())),
                    None => same_image(),
                }
            }
        }
    }
}

/// The object that a line stands in.
pub(super) fn object_of<'s>(scan: &'s Scan, line: &ImageLine) -> Option<&'s ObjectId> {
    scan.documents.get(line.document)?.object.as_ref()
}

/// The name of the container, or other list item, that a line belongs to.
pub(super) fn container_of(line: &ImageLine) -> Option<&str> {
    line.path.0.iter().rev().find_map(item_name)
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
/// The name keeps its author's spelling where it means the same repository.
pub fn value_for(line: &ImageLine, part: Part, image: &Reference) -> Option<String> {
    match part {
        Part::Tag => image.tag.clone(),
        Part::Digest => image.digest.clone(),
        Part::Name => {
            let same = Repository::parse(&line.value).is_ok_and(|current| current == image.repository);
            Some(if same { line.value.clone() } else { image.name.clone() })
        }
        Part::Reference => {
            let written = Reference::parse(&line.value).ok().filter(|current| current.repository == image.repository);
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

/// Puts the assigned values on the lines that they name. No policy objects are needed. What no line answers to,
/// [`super::unmet`] tells.
pub fn assign(snapshot: &Snapshot, assignments: &[Assignment]) -> Assigned {
    let Assigned { mut changes, mut skipped, mut current } = Assigned::default();
    let inclusions = Inclusions::of(snapshot);
    for (file, scan, line) in snapshot.lines() {
        let Some(assignment) = assignments.iter().find(|a| a.means(&inclusions, file, scan, line)) else { continue };
        let part = line.part;
        let policy = line.marker.as_ref().map(|marker| format!("{}:{}", marker.namespace, marker.policy));
        let skip = |code: &'static str, reason| Skip {
            file: file.to_owned(),
            position: line.position,
            code: code.into(),
            reason,
            policy: policy.clone(),
        };
        if let Some((code, reason)) = untouchable(snapshot, file, scan) {
            skipped.push(skip(code, reason));
        } else if let Some(value) = value_for(line, part, &assignment.image) {
            match change(snapshot, file, scan, line, value) {
                Some(change) => changes.push(Change {
                    policy: policy.clone(),
                    image: Some(assignment.image.repository.clone()),
                    reason: "set by hand".into(),
                    ..change
                }),
                None => current += 1,
            }
        } else {
            let missing = if part == Part::Digest { "digest" } else { "tag" };
            skipped.push(skip("no-value", format!("the line holds a {missing}, the given image has none")));
        }
    }
    // What was meant as a marker may have been meant for these policies.
    if assignments.iter().any(|assignment| matches!(assignment.on, AssignmentTarget::Policy(_))) {
        skipped.extend(snapshot.faulty_markers());
    }
    Assigned { changes, skipped, current }
}

/// Files whose bytes are never changed, whatever they follow.
pub(super) fn untouchable(snapshot: &Snapshot, file: &str, scan: &Scan) -> Option<(&'static str, String)> {
    if scan.sops {
        return Some(("sops", "the file is encrypted with SOPS; any change would break its MAC".into()));
    }
    match snapshot.entries.get(file).map(|entry| entry.kind) {
        Some(super::EntryKind::File) => None,
        _ => Some(("symlink", "the file is a symbolic link; butler edits only the file itself".into())),
    }
}

/// The change of one line to `value`; `None` where it holds that already.
pub(super) fn change(snapshot: &Snapshot, file: &str, scan: &Scan, line: &ImageLine, value: String) -> Option<Change> {
    let id = scan.line_id(file, line);
    let edit = line.edit(id.clone(), snapshot.blob(file), &value)?;
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
        written_by: None,
    })
}
