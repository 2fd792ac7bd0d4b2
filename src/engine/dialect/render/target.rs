//! Which objects a patch is for.

use super::object::Object;
use crate::engine::{
    dialect::kustomize::DEFAULT_NAMESPACE,
    manifest::{Data, PatchTarget, group_of},
};

/// Whether a patch is meant for this object: by its target, or by the kind and name that it carries.
pub(super) fn is_target(object: &Object<'_>, target: Option<&PatchTarget>, document: &Data) -> bool {
    match target {
        Some(target) => is_selected(object, target),
        None => {
            let group = group_of(document.text(&["apiVersion"]));
            let (name, namespace) = (document.text(&["metadata", "name"]), document.text(&["metadata", "namespace"]));
            (group, document.text(&["kind"])) == (object.group(), object.kind.as_str())
                && object
                    .known_as()
                    .any(|(its, known)| known == name && (namespace.is_empty() || namespace == effective(its)))
        }
    }
}

/// Whether a target is for this object: by the written namespace and name, or by the present ones.
pub(super) fn is_selected(object: &Object<'_>, target: &PatchTarget) -> bool {
    let written = object.known_as().next().unwrap_or_default();
    let known_as = [written, (&object.namespace, &object.name)];
    let version = object.api_version.rsplit('/').next().unwrap_or_default();
    target.group.matches(object.group())
        && target.version.matches(version)
        && target.kind.matches(&object.kind)
        && known_as.iter().any(|(_, name)| target.name.matches(name))
        && known_as.iter().any(|(namespace, _)| target.namespace.matches(effective(namespace)))
        && selects(&target.label_selector, object.metadata("labels"))
        && selects(&target.annotation_selector, object.metadata("annotations"))
}

/// Whether a patch without a target names this object as kustomize has it: with its version, and its namespace.
pub(super) fn is_named_by(object: &Object<'_>, document: &Data) -> bool {
    let text = |path: &[&str]| document.text(path);
    let (name, namespace) = (text(&["metadata", "name"]), effective(text(&["metadata", "namespace"])));
    (text(&["apiVersion"]), text(&["kind"])) == (object.api_version, object.kind.as_str())
        && object.known_as().any(|(its, known)| (effective(its), known) == (namespace, name))
}

/// The namespace that an object without one has to kustomize.
fn effective(namespace: &str) -> &str {
    if namespace.is_empty() { DEFAULT_NAMESPACE } else { namespace }
}

/// Kubernetes' selectors: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
fn selects(selector: &str, labels: &[(String, Data)]) -> bool {
    let label = |key: &str| labels.iter().find(|(name, _)| name == key.trim()).and_then(|(_, value)| value.as_str());
    let listed = |key: &str, list: &str| {
        let list = list.trim().trim_start_matches('(').trim_end_matches(')');
        label(key).is_some_and(|value| list.split(',').any(|item| item.trim() == value))
    };
    let mut inside = false;
    let mut terms = selector.split(|c| {
        inside = (inside || c == '(') && c != ')';
        c == ',' && !inside
    });
    terms.all(|term| {
        let term = term.trim();
        if let Some((key, list)) = term.split_once(" notin ") {
            !listed(key, list)
        } else if let Some((key, list)) = term.split_once(" in ") {
            listed(key, list)
        } else if let Some((key, value)) = term.split_once("!=") {
            label(key) != Some(value.trim())
        } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            label(key) == Some(value.trim())
        } else if let Some(key) = term.strip_prefix('!') {
            label(key).is_none()
        } else {
            term.is_empty() || label(term).is_some()
        }
    })
}
