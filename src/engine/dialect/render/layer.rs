//! What one kustomization does to the objects below it.

use super::{
    applied::Applied,
    object::{Object, label},
    patch,
    target::{is_named_by, is_selected, is_target},
};
use crate::engine::{
    dialect::kustomize::{join, merged, refusal},
    manifest::{Data, Document, FluxKustomization, Kustomization, KustomizePatch, PatchSource, Value},
    snapshot::Snapshot,
};
use std::{collections::BTreeSet, sync::Arc};

/// A kustomization in its place.
pub(super) struct Layer<'o, 'a> {
    /// Its folder.
    pub here: &'o str,
    pub kustomization: &'o Kustomization,
    /// The files that say what it does.
    pub by: BTreeSet<&'a str>,
    /// What Flux has written into it.
    pub applied: Option<&'o Applied<'o, 'a>>,
}

impl<'a> Layer<'_, 'a> {
    /// What it does, in kustomize's order.
    pub fn transform(&self, snapshot: &'a Snapshot, objects: &mut Vec<Object<'a>>) {
        let Layer { here, kustomization, by, applied } = self;
        let patch = |late: bool, objects: &mut Vec<Object<'a>>| {
            let own = kustomization.patches.iter().map(|patch| (patch, by));
            let added = applied.iter().flat_map(|it| it.spec.patches.iter().map(|patch| (patch, it.owners)));
            for (patch, by) in own.chain(added).filter(|(patch, _)| patch.late == late) {
                apply(patch, snapshot, here, by, objects);
            }
        };
        patch(false, objects);
        let given = |own: &'_ String, of: fn(&FluxKustomization) -> &String| {
            let given = applied.map(|it| of(it.spec)).filter(|given| !given.is_empty());
            given.unwrap_or(own).clone()
        };
        let namespace = applied.and_then(|it| it.spec.target_namespace.as_ref()).or(kustomization.namespace.as_ref());
        let prefix = given(&kustomization.name_prefix, |spec| &spec.name_prefix);
        let suffix = given(&kustomization.name_suffix, |spec| &spec.name_suffix);
        for object in objects.iter_mut() {
            let namespace = namespace.unwrap_or(&object.namespace).clone();
            object.call(namespace, format!("{prefix}{}{suffix}", object.name));
        }
        let annotations = kustomization.annotations.iter();
        let annotations: Vec<_> =
            annotations.map(|annotation| (annotation.key.clone(), annotation.value.clone())).collect();
        label(objects, "labels", &kustomization.labels);
        label(objects, "annotations", &annotations);
        patch(true, objects);
    }
}

/// What a patch says, as far as it may be for objects that matter.
///
/// # Errors
/// Why that is not known of one that is for whatever its target selects: files are kept by what they call themselves.
fn documents_of<'p>(patch: &'p KustomizePatch, snapshot: &'p Snapshot, here: &str) -> Result<Vec<&'p Data>, String> {
    let file = match &patch.source {
        PatchSource::Inline(documents) => return Ok(documents.iter().collect()),
        PatchSource::File(file) => file,
    };
    let path = join(here, file).unwrap_or_default();
    let scan = snapshot.scans.get(&path);
    if patch.target.is_none() {
        let documents = scan.into_iter().flat_map(|scan| &scan.documents);
        return Ok(documents.filter_map(|document| document.content.as_deref()).collect());
    }
    scan.and_then(|scan| scan.documents.iter().map(Document::data).collect()).ok_or_else(|| {
        format!(
            "its patch {path} is not there, is for another kind by its own words, or has no kind and name at all: \
             give the patch the kind of what it patches, and a name"
        )
    })
}

/// Applies a patch to the objects that it is meant for.
fn apply<'a>(
    patch: &KustomizePatch,
    snapshot: &Snapshot,
    here: &str,
    by: &BTreeSet<&'a str>,
    objects: &mut Vec<Object<'a>>,
) {
    let documents = documents_of(patch, snapshot, here);
    if let Some(target) = &patch.target
        && let Err(why) = documents.as_ref().map_err(Clone::clone).and_then(|documents| mergeable(documents))
    {
        let selected = objects.iter_mut().filter(|object| is_selected(object, target));
        selected.for_each(|object| object.problems.push(why.clone()));
        return;
    }
    for document in documents.unwrap_or_default() {
        // What a patch leaves out is taken for any only where nothing goes by what it says.
        let exact = patch.target.is_none() && objects.iter().any(|object| is_named_by(object, document));
        let is_meant = |object: &&mut Object<'a>| match exact {
            true => is_named_by(object, document),
            false => is_target(object, patch.target.as_ref(), document),
        };
        for object in objects.iter_mut().filter(is_meant) {
            change(object, document, patch, by);
        }
        // `$patch: delete`
        objects.retain(|object| !object.content.entries().is_empty());
    }
}

/// What kustomize merges of these into a target's objects.
///
/// # Errors
/// Why it refuses.
fn mergeable(documents: &[&Data]) -> Result<(), String> {
    refusal(merged(documents.iter().copied())).map_or(Ok(()), |why| Err(why.to_owned()))
}

fn change<'a>(object: &mut Object<'a>, document: &Data, patch: &KustomizePatch, by: &BTreeSet<&'a str>) {
    if let Value::Sequence(operations) = &document.value {
        if let Err(why) = object.change(by, |content| patch::json(content, operations)) {
            object.problems.push(format!("a JSON6902 patch does not apply: {why}"));
        }
        return;
    }
    // The namespace and name of a strategic-merge patch say what it is meant for.
    let (kind, name) = (document.text(&["kind"]), document.text(&["metadata", "name"]));
    let called = match patch.renames && !name.is_empty() {
        true => (object.namespace.clone(), name.to_owned()),
        false => (object.namespace.clone(), object.name.clone()),
    };
    if patch.changes_kind && !kind.is_empty() {
        object.kind = kind.into();
    }
    // The group and version stay in any case.
    let mut change = document.clone();
    if let Value::Mapping(entries) = &mut change.value {
        entries.retain(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind"));
    }
    patch::merge(Arc::make_mut(&mut object.content), &change);
    object.owners.clone_from(by);
    object.call(called.0, called.1);
}
