//! The value that a line takes for a new image: whole reference, name, tag or digest, in the author's spelling.

use super::{Change, Skip, Snapshot};
use crate::engine::{
    image::{Reference, Repository},
    manifest::{ImageLine, Part, Scan, Step},
};

/// A marker asks for a part of a reference that its field cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the field `{field}` takes {takes}, the marker asks for {asks}; write {corrected} in the marker")]
pub struct WrongKind {
    pub field: String,
    pub takes: &'static str,
    pub asks: &'static str,
    pub corrected: &'static str,
}

/// What `butler set` puts on lines, whatever the registry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub on: AssignmentTarget,
    pub image: Reference,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssignmentTarget {
    /// The lines that carry a marker of this policy.
    Policy(crate::engine::dialect::PolicyKey),
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

/// Refuses a marker whose part the field cannot take: a full reference on a `tag:`, a bare tag on an `image:`.
pub fn check_kind(line: &ImageLine, part: Part) -> Result<(), WrongKind> {
    let Some(Step::Key(field)) = line.path.0.last() else { return Ok(()) };
    let (takes, allowed, corrected): (_, &[Part], _) = match field.as_str() {
        "tag" | "newTag" => ("a tag", &[Part::Tag], "`:tag` after the policy's name"),
        "digest" => ("a digest", &[Part::Digest], "`:digest` after the policy's name"),
        "newName" => ("a name", &[Part::Name], "`:name` after the policy's name"),
        "image" => ("a reference or a name", &[Part::Reference, Part::Name], "the policy's name alone"),
        _ => return Ok(()),
    };
    if allowed.contains(&part) {
        return Ok(());
    }
    let asks = match part {
        Part::Reference => "a whole reference",
        Part::Name => "a name",
        Part::Tag => "a tag",
        Part::Digest => "a digest",
    };
    Err(WrongKind { field: field.clone(), takes, asks, corrected })
}

/// Puts the assigned values on the lines that they name. No policy objects are needed.
pub fn assign(snapshot: &Snapshot, assignments: &[Assignment]) -> (Vec<Change>, Vec<Skip>) {
    let (mut changes, mut skipped) = (Vec::new(), Vec::new());
    for (file, scan, line) in snapshot.lines() {
        let Some((assignment, part, policy)) = assignments.iter().find_map(|assignment| match &assignment.on {
            AssignmentTarget::Policy(key) => line
                .marker
                .as_ref()
                .filter(|marker| marker.namespace == key.namespace && marker.policy == key.name)
                .map(|marker| (assignment, marker.part, key.to_string())),
        }) else {
            continue;
        };
        let skip = |code, reason| Skip {
            file: file.to_owned(),
            position: line.position,
            code,
            reason,
            policy: Some(policy.clone()),
        };
        if let Some((code, reason)) = untouchable(snapshot, file, scan) {
            skipped.push(skip(code, reason));
        } else if let Err(wrong) = check_kind(line, part) {
            skipped.push(skip("wrong-kind", wrong.to_string()));
        } else if let Some(value) = value_for(line, part, &assignment.image) {
            changes.extend(change(snapshot, file, scan, line, value).map(|change| Change {
                policy: Some(policy.clone()),
                image: Some(assignment.image.repository.clone()),
                reason: "set by hand".into(),
                ..change
            }));
        } else {
            let missing = if part == Part::Digest { "digest" } else { "tag" };
            skipped.push(skip("no-value", format!("the line holds a {missing}, the given image has none")));
        }
    }
    (changes, skipped)
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
        environments: Vec::new(),
        automation: None,
        written_by: None,
    })
}
