//! Which files have objects that matter.

use super::object::Object;
use crate::engine::{
    dialect::kustomize::{Inclusions, beginning_with},
    manifest::{Data, Document, Kustomization, Scan, Value},
    snapshot::Snapshot,
};
use std::collections::{BTreeSet, HashMap};

/// The files with objects that matter.
pub(super) struct Sources<'a> {
    /// By path.
    files: HashMap<&'a str, &'a Scan>,
    /// Their paths, sorted.
    paths: Vec<&'a str>,
    variables: VariableSources<'a>,
}

impl<'a> Sources<'a> {
    pub fn of(snapshot: &'a Snapshot, kustomizations: &Inclusions<'a>) -> Self {
        let mut scans = snapshot.scans.lookup();
        let rendered = kustomizations.outline.rendered.keys();
        let rendered: Vec<(&str, &Scan)> =
            rendered.filter_map(|file| scans.get(file).map(|(file, scan)| (&**file, &**scan))).collect();
        let variables = VariableSources::of(&rendered, kustomizations);
        let matters = |scan: &Scan| scan.documents.iter().any(|document| is_object(document, &variables));
        let files: Vec<(&str, &Scan)> = rendered.into_iter().filter(|(_, scan)| matters(scan)).collect();
        let paths = files.iter().map(|(file, _)| *file).collect();
        Sources { files: files.into_iter().collect(), paths, variables }
    }

    /// Whether a ConfigMap of this name may be read.
    pub fn reads(&self, name: &str) -> bool {
        self.variables.may_be(name)
    }

    /// The files with objects that matter, in order.
    pub fn paths(&self) -> impl Iterator<Item = &'a str> {
        self.paths.iter().copied()
    }

    /// Those whose path begins like this one.
    pub fn paths_from(&self, path: &str) -> impl Iterator<Item = &'a str> {
        beginning_with(&self.paths, path, |file| file).iter().copied()
    }

    /// Their objects that matter, each with its file.
    pub fn documents(&self) -> impl Iterator<Item = (&'a str, &'a Document)> {
        let files = self.paths.iter().filter_map(|file| self.files.get_key_value(file));
        let documents = files.flat_map(|(file, scan)| scan.documents.iter().map(|document| (*file, document)));
        documents.filter(|(_, document)| is_object(document, &self.variables))
    }

    /// The objects of a file, as written.
    pub fn objects(&self, file: &str) -> Vec<Object<'a>> {
        let Some((&file, scan)) = self.files.get_key_value(file) else { return Vec::new() };
        let objects = scan.documents.iter().filter(|document| is_object(document, &self.variables));
        objects.filter_map(|document| Object::of(file, document)).collect()
    }
}

/// The ConfigMaps that substitutions read: all others say nothing of what is automated.
struct VariableSources<'a> {
    /// `None`: any.
    names: Option<BTreeSet<&'a str>>,
}

impl<'a> VariableSources<'a> {
    /// What Flux Kustomizations name, and patches of them.
    fn of(rendered: &[(&'a str, &'a Scan)], kustomizations: &Inclusions<'a>) -> Self {
        let documents = rendered.iter().flat_map(|(_, scan)| &scan.documents);
        let written = documents.filter(|document| document.kind != "ConfigMap");
        let written = written.filter_map(Document::data);
        let inline = kustomizations.patching().flat_map(Kustomization::inline_patches);
        let mut names = BTreeSet::new();
        let told = written.chain(inline).all(|data| Self::collect(data, &mut names));
        VariableSources { names: told.then_some(names) }
    }

    /// Puts the names below `data` into `names`; `false` where there may be others.
    fn collect(data: &'a Data, names: &mut BTreeSet<&'a str>) -> bool {
        const FIELD: &str = "substituteFrom";
        let name = |item: &'a Data| item.get("name").and_then(Data::as_str).filter(|name| !name.contains("${"));
        match &data.value {
            // The path of a JSON6902 operation, or a patch in a text.
            Value::String(text) => !text.contains(FIELD),
            Value::Sequence(items) => items.iter().all(|item| Self::collect(item, names)),
            Value::Mapping(entries) => entries.iter().all(|(key, value)| match key == FIELD {
                true => value.items().iter().all(|item| name(item).map(|name| names.insert(name)).is_some()),
                false => Self::collect(value, names),
            }),
            Value::Null | Value::Other(_) | Value::Alias => true,
        }
    }

    /// Whether a ConfigMap of this name may be read, under whatever prefix and suffix it gets.
    fn may_be(&self, name: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted.contains(name)))
    }
}

/// Whether a document is an object that matters.
fn is_object(document: &Document, variables: &VariableSources<'_>) -> bool {
    let named = document.object.as_ref().filter(|_| document.content.is_some());
    named.is_some_and(|object| document.kind != "ConfigMap" || variables.may_be(&object.name))
}
