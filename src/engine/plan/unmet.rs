//! What an assignment asked for and no line answers to: said apart from a line that holds the value already.

use super::{
    Assignment, AssignmentTarget, Snapshot,
    assign::Targets,
    promotion::image_of,
    value::{container_name, object_of},
};
use crate::engine::{
    config::nearest,
    dialect::kustomize::Inclusions,
    manifest::{ImageLine, Scan},
};
use std::collections::BTreeSet;

/// The assignments that no line answers to, by their index, each with why: what was looked for, and the nearest thing
/// that is there.
pub fn unmet(snapshot: &Snapshot, assignments: &[Assignment]) -> Vec<(usize, String)> {
    let targets = Targets::of(snapshot, assignments);
    assignments
        .iter()
        .enumerate()
        .filter(|(_, assignment)| !targets.answer(snapshot, assignment))
        .map(|(index, assignment)| (index, reason(snapshot, &targets.inclusions, assignment)))
        .collect()
}

fn reason(snapshot: &Snapshot, inclusions: &Inclusions<'_>, assignment: &Assignment) -> String {
    match &assignment.on {
        AssignmentTarget::Policy(key) => {
            let markers = snapshot.lines().filter_map(|(_, _, line)| line.marker.as_ref());
            let known: BTreeSet<_> = markers.map(|marker| format!("{}:{}", marker.namespace, marker.policy)).collect();
            if known.is_empty() {
                return format!(
                    "no line carries a marker of the policy {key}, nor of another: name the lines by image or object"
                );
            }
            let hint = hint(&key.to_string(), &known, |known| known.split(':').next_back() == Some(key.name.as_str()));
            format!("no line carries a marker of the policy {key}{hint}")
        }
        AssignmentTarget::Image => {
            let wanted = assignment.image.repository.to_string();
            let known = snapshot.lines().filter_map(|(_, _, line)| image_of(line)).map(|image| image.to_string());
            let name = |image: &str| image.rsplit('/').next().unwrap_or_default().to_owned();
            let hint = hint(&wanted, &known.collect(), |known| name(known) == name(&wanted));
            format!("no line runs the image {wanted}{hint}")
        }
        AssignmentTarget::Object { namespace, kind, name, container } => {
            let mut known = BTreeSet::new();
            let mut here: Vec<(&Scan, &ImageLine)> = Vec::new();
            for (file, scan, line) in snapshot.lines() {
                let Some(object) = object_of(scan, line) else { continue };
                let namespaces = inclusions.namespaces(file, &object.namespace);
                if object.name == *name && object.kind.eq_ignore_ascii_case(kind) && namespaces.contains(namespace) {
                    here.push((scan, line));
                }
                known.extend(namespaces.iter().map(|namespace| format!("{namespace}:{}/{}", object.kind, object.name)));
            }
            if here.is_empty() {
                let wanted = format!("{namespace}:{kind}/{name}");
                let hint = hint(&wanted, &known, |known| known.split('/').next_back() == Some(name.as_str()));
                return format!("no line stands in an object {wanted}{hint}");
            }
            let containers: BTreeSet<&str> =
                here.iter().filter_map(|(scan, line)| container_name(scan, line)).collect();
            let there = match containers.is_empty() {
                true => "none of its lines belongs to a container".to_owned(),
                false => format!("it has {}", containers.into_iter().collect::<Vec<_>>().join(", ")),
            };
            match container {
                Some(container) => format!("{namespace}:{kind}/{name} has no container {container}; {there}"),
                None => {
                    let image = &assignment.image.repository;
                    format!("{namespace}:{kind}/{name} runs no {image}; name the container to put it there: {there}")
                }
            }
        }
    }
}

/// How many names a hint holds.
const NAMED: usize = 5;

/// `; did you mean …?`: the nearest spelling, or else the only one that is alike in what counts; else some of those that
/// there are.
fn hint(wanted: &str, known: &BTreeSet<String>, alike: impl Fn(&str) -> bool) -> String {
    let near = nearest(wanted, known.iter().map(String::as_str)).or_else(|| {
        let mut same = known.iter().filter(|known| alike(known));
        same.next().filter(|_| same.next().is_none()).map(String::as_str)
    });
    match (near, known.len().saturating_sub(NAMED)) {
        (Some(near), _) => format!("; did you mean {near}?"),
        (None, _) if known.is_empty() => "; none is known here".to_owned(),
        (None, more) => {
            let names = known.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("; there {} {names}{more}", if known.len() == 1 { "is" } else { "are" })
        }
    }
}
