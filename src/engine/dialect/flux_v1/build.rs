//! What `kustomize build` makes of the objects that Flux v1 updates: their namespace, name, annotations and images.
//!
//! Only these are followed, from what scans hold anyway; no object is rendered as a whole. Where a patch does more to
//! them than can be told so, the object says so and is left alone ([`Built::unclear`]).

use super::{given::Annotations, line_at};
use crate::engine::{
    dialect::kustomize::{folder, join, merged, refusal},
    image::Reference,
    manifest::{
        Annotation, Container, Data, Document, FieldPath, Kustomization, KustomizeImage, KustomizePatch, PatchSource,
        PatchTarget, Scan, Step, Value, group_of,
    },
    snapshot::Snapshot,
};
use std::{collections::BTreeSet, sync::Arc};

/// An object with containers, as far as it is built.
#[derive(Clone)]
pub(super) struct Built<'a> {
    pub file: &'a str,
    pub scan: &'a Scan,
    pub number: usize,
    pub document: &'a Document,
    /// Empty where none is written or given.
    pub namespace: String,
    pub name: String,
    pub annotations: Annotations<'a>,
    /// The whole references that the document's containers run, in its order.
    pub images: Vec<Option<String>>,
    /// The files that say what these are.
    pub sources: BTreeSet<&'a str>,
    /// A change that cannot be followed.
    pub unclear: Option<String>,
}

impl<'a> Built<'a> {
    /// As written; `None` for what has no containers.
    pub fn of(file: &'a str, scan: &'a Scan, number: usize) -> Option<Self> {
        let document = scan.documents.get(number)?;
        let object = document.object.as_ref()?;
        if document.containers.is_empty() {
            return None;
        }
        let mut annotations = Annotations::default();
        annotations.put(file, &document.annotations);
        Some(Built {
            file,
            scan,
            number,
            document,
            namespace: object.namespace.to_string(),
            name: object.name.to_string(),
            annotations,
            images: document
                .containers
                .iter()
                .map(|container| container.image.as_ref().map(ToString::to_string))
                .collect(),
            sources: BTreeSet::from([file]),
            unclear: None,
        })
    }

    /// What a kustomization does to it, in kustomize's order.
    pub fn transform(&mut self, snapshot: &'a Snapshot, file: &'a str, kustomization: &'a Kustomization) {
        for patch in &kustomization.patches {
            match &patch.source {
                PatchSource::Inline(documents) => {
                    self.refuse(file, patch, merged(documents));
                    for document in documents {
                        self.apply(file, patch, document);
                    }
                }
                PatchSource::File(path) => {
                    let Some(path) = join(folder(file), path) else { continue };
                    let Some((path, scan)) = snapshot.scans.get_key_value(&path) else { continue };
                    let is_list = |data: &&Arc<Data>| matches!(data.value, Value::Sequence(_));
                    let operations = |document: &'a Document| document.content.as_ref().filter(is_list);
                    let merged = scan.documents.iter().filter(|document| operations(document).is_none());
                    self.refuse(path, patch, merged.map(|document| (document.kind.as_str(), name_of(document))));
                    for (number, document) in scan.documents.iter().enumerate() {
                        // What is written for no kind in particular has no lines or containers.
                        match operations(document).or(document.patch.as_ref()) {
                            Some(data) => self.apply(path, patch, data),
                            None => self.merge_file(path, scan, number, document, patch),
                        }
                    }
                }
            }
        }
        if let Some(namespace) = &kustomization.namespace {
            self.namespace.clone_from(namespace);
        }
        self.name = format!("{}{}{}", kustomization.name_prefix, self.name, kustomization.name_suffix);
        self.annotations.put(file, &kustomization.annotations);
        // kustomize looks for images in lists of containers.
        if self.document.kind != "HelmRelease" {
            for image in self.images.iter_mut().flatten() {
                let Ok(parsed) = Reference::parse(image) else { continue };
                if let Some(change) = kustomization.images.iter().find(|change| change.name == parsed.name) {
                    *image = renamed(&parsed, change);
                    self.sources.insert(file);
                }
            }
        }
    }

    fn is_target(
        &self,
        target: Option<&PatchTarget>,
        api_version: &str,
        kind: &str,
        name: &str,
        namespace: &str,
    ) -> bool {
        let object = self.document.object.as_ref();
        let written = object.map_or(("", ""), |object| (object.name.as_str(), object.namespace.as_str()));
        match target {
            // Labels are not read here: one that selects by them may mean this object.
            Some(target) => {
                target.group.matches(group_of(&self.document.api_version))
                    && target.kind.matches(&self.document.kind)
                    && (target.name.matches(&self.name) || target.name.matches(written.0))
                    && (target.namespace.matches(&self.namespace) || target.namespace.matches(written.1))
            }
            None => {
                (group_of(api_version), kind) == (group_of(&self.document.api_version), self.document.kind.as_str())
                    && [self.name.as_str(), written.0].contains(&name)
                    && (namespace.is_empty() || [self.namespace.as_str(), written.1].contains(&namespace))
            }
        }
    }

    /// Where kustomize takes no such patch for the target: `merged` as in [`refusal`].
    fn refuse<'p>(&mut self, file: &str, patch: &KustomizePatch, merged: impl Iterator<Item = (&'p str, &'p str)>) {
        if patch.target.is_some()
            && self.is_target(patch.target.as_ref(), "", "", "", "")
            && let Some(why) = refusal(merged)
        {
            self.unclear_by(file, why);
        }
    }

    /// A strategic-merge patch from a file, by what its scan holds.
    fn merge_file(
        &mut self,
        file: &'a str,
        scan: &'a Scan,
        number: usize,
        document: &'a Document,
        patch: &KustomizePatch,
    ) {
        let namespace = document.object.as_ref().map_or("", |object| object.namespace.as_str());
        let (target, name) = (patch.target.as_ref(), name_of(document));
        if !self.is_target(target, &document.api_version, &document.kind, name, namespace) {
            return;
        }
        if patch.renames {
            name.clone_into(&mut self.name);
        }
        if document.has_directives || target.is_some_and(|target| !target.label_selector.is_empty()) {
            self.unclear_by(file, "it has a `$patch` directive, or selects by labels");
        }
        self.annotations.put(file, &document.annotations);
        let line = |path: &FieldPath| scan.lines.iter().find(|line| line.document == number && line.path == *path);
        for (at, container) in self.document.containers.iter().enumerate() {
            let mut found = false;
            for (key, path) in paths(self.scan, container) {
                if let Some(line) = line(&path) {
                    found = true;
                    self.set(file, at, key, &line.value);
                }
            }
            if !found && document.containers.iter().any(|other| other.name == container.name) {
                self.unclear_by(file, &format!("it writes the image of {} in another way", container.name));
            }
        }
    }

    /// A patch as data.
    fn apply(&mut self, file: &'a str, patch: &KustomizePatch, document: &Data) {
        let text = |path: &[&str]| document.text(path);
        let (name, namespace) = (text(&["metadata", "name"]), text(&["metadata", "namespace"]));
        if !self.is_target(patch.target.as_ref(), text(&["apiVersion"]), text(&["kind"]), name, namespace) {
            return;
        }
        if patch.target.as_ref().is_some_and(|target| !target.label_selector.is_empty()) {
            self.unclear_by(file, "it selects by labels");
        }
        match &document.value {
            Value::Sequence(operations) => operations.iter().for_each(|operation| self.operate(file, operation)),
            _ => {
                if patch.renames {
                    name.clone_into(&mut self.name);
                }
                self.merge(file, document);
            }
        }
    }

    fn merge(&mut self, file: &'a str, patch: &Data) {
        if has_directive(patch) {
            self.unclear_by(file, "it has a `$patch` directive");
        }
        match patch.at(&["metadata", "annotations"]) {
            Some(annotations) if annotations.is_null() => self.annotations.clear(),
            annotations => {
                for (key, value) in annotations.map(Data::entries).unwrap_or_default() {
                    self.annotation(file, key, Some(value));
                }
            }
        }
        for (at, container) in self.document.containers.iter().enumerate() {
            for (key, path) in paths(self.scan, container) {
                match value_at(patch, &path.0) {
                    Ok(Some(value)) => self.set(file, at, key, &value),
                    Ok(None) => {}
                    Err(()) => self.unclear_by(file, &format!("it replaces what {path} stands in")),
                }
            }
        }
    }

    /// An operation of a JSON6902 patch.
    fn operate(&mut self, file: &'a str, operation: &Data) {
        let kind = operation.text(&["op"]);
        if kind == "test" {
            return;
        }
        let given = operation.get("value").filter(|_| matches!(kind, "add" | "replace"));
        let pointer = |key: &str| -> Vec<String> {
            let steps = operation.text(&[key]).split('/').skip(1);
            steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
        };
        let (path, from) = (pointer("path"), pointer("from"));
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        match (&steps[..], given) {
            (["metadata", "annotations"], _) if matches!(kind, "add" | "replace" | "remove") => {
                self.annotations.clear();
                for (key, value) in given.map(Data::entries).unwrap_or_default() {
                    self.annotation(file, key, Some(value));
                }
                return;
            }
            (["metadata", "annotations", key], _) if matches!(kind, "add" | "replace" | "remove") => {
                return self.annotation(file, key, given);
            }
            (["metadata", "name"], Some(value)) => {
                return value.as_str().unwrap_or_default().clone_into(&mut self.name);
            }
            (["metadata", "namespace"], Some(value)) => {
                return value.as_str().unwrap_or_default().clone_into(&mut self.namespace);
            }
            ([] | ["metadata"] | ["metadata", "annotations", ..], _) => {
                self.unclear_by(file, &format!("{kind} of /{}", path.join("/")));
            }
            _ => {}
        }
        for (at, container) in self.document.containers.iter().enumerate() {
            for (key, field) in paths(self.scan, container) {
                // Most operations are about something else: which item it is costs a look at all.
                let concerns = |pointer: &[String]| overlaps(pointer, &field, None);
                if !concerns(&path) && !concerns(&from) {
                    continue;
                }
                let index = self.index_of(&field);
                if overlaps(&path, &field, index) {
                    match given.and_then(Data::as_str).filter(|_| path.len() == field.0.len()) {
                        Some(value) => self.set(file, at, key, value),
                        None => self.unclear_by(file, &format!("{kind} of /{}", path.join("/"))),
                    }
                } else if !from.is_empty() && kind == "move" && overlaps(&from, &field, index) {
                    self.unclear_by(file, &format!("move of /{}", from.join("/")));
                }
            }
        }
    }

    /// The place of a field's list item among the items that hold images.
    fn index_of(&self, field: &FieldPath) -> Option<usize> {
        let list = |path: &FieldPath| -> Option<Vec<Step>> {
            let at = path.0.iter().position(|step| matches!(step, Step::Item { .. }))?;
            path.0.get(..at).map(<[Step]>::to_vec)
        };
        let own = list(field)?;
        let mut before = self.document.containers.iter().flat_map(|container| paths(self.scan, container));
        let lines = self.document.containers.iter().filter_map(Container::tag_line);
        let mut same: Vec<usize> = lines
            .filter(|start| {
                let line = line_at(self.scan, *start).and_then(|line| self.scan.lines.get(line));
                line.is_some_and(|line| list(&line.path).as_ref() == Some(&own))
            })
            .collect();
        same.sort_unstable();
        let start = before.find_map(|(_, path)| {
            let line = self.scan.lines.iter().find(|line| line.document == self.number && line.path == path)?;
            (path == *field).then_some(line.span.start)
        })?;
        same.iter().position(|other| *other == start)
    }

    fn annotation(&mut self, file: &'a str, key: &str, value: Option<&Data>) {
        match value.filter(|value| !value.is_null()) {
            None => self.annotations.remove(key),
            Some(value) => match value.as_str() {
                Some(text) => {
                    let annotation = Annotation { key: key.into(), value: text.into(), position: value.position };
                    self.annotations.put(file, &[annotation]);
                }
                None => self.unclear_by(file, &format!("the annotation {key} is no text")),
            },
        }
    }

    /// Sets what one of a container's keys holds.
    fn set(&mut self, file: &'a str, at: usize, key: Key, value: &str) {
        let Some(container) = self.document.containers.get(at) else { return };
        let Some(Some(image)) = self.images.get(at) else { return };
        let new = match (key, Reference::parse(image)) {
            (Key::Whole, _) => Some(value.to_owned()),
            (Key::Tag, Ok(image)) => Some(format!("{}:{value}", image.name)),
            (Key::Name, Ok(image)) if container.registry.is_none() => {
                Some(image.tag.map_or(value.to_owned(), |tag| format!("{value}:{tag}")))
            }
            _ => None,
        };
        match new {
            Some(_) => {
                self.images[at] = new;
                self.sources.insert(file);
            }
            None => self.unclear_by(file, &format!("it changes the image of {}", container.name)),
        }
    }

    /// The same as what is not to be touched, for this reason.
    pub fn left_alone(self, why: &str) -> Self {
        Built { unclear: Some(why.to_owned()), ..self }
    }

    fn unclear_by(&mut self, file: &str, why: &str) {
        self.unclear.get_or_insert_with(|| format!("a patch in {file} cannot be followed: {why}"));
    }
}

/// What a patch calls itself.
fn name_of(document: &Document) -> &str {
    document.object.as_ref().map_or("", |object| object.name.as_str())
}

/// What a line of a container holds.
#[derive(Clone, Copy)]
enum Key {
    Whole,
    Name,
    Tag,
}

/// Where a container's image is written.
fn paths(scan: &Scan, container: &Container) -> Vec<(Key, FieldPath)> {
    let path = |start: Option<usize>| Some(scan.lines.get(line_at(scan, start?)?)?.path.clone());
    let name = if container.tag.is_some() { Key::Name } else { Key::Whole };
    let repository = path(container.repository).map(|path| (name, path));
    repository.into_iter().chain(path(container.tag).map(|path| (Key::Tag, path))).collect()
}

/// The text at a field's place in a patch; none where the patch does not reach it.
///
/// # Errors
/// Where the patch has something else at the place, or above it.
fn value_at(patch: &Data, path: &[Step]) -> Result<Option<String>, ()> {
    let Some((step, rest)) = path.split_first() else { return patch.as_str().map(|text| Some(text.into())).ok_or(()) };
    let next = match (step, &patch.value) {
        (Step::Key(key), Value::Mapping(_)) => patch.get(key),
        (Step::Item { key, value }, Value::Sequence(items)) => items.iter().find(|item| item.text(&[key]) == value),
        _ => return Err(()),
    };
    next.map_or(Ok(None), |next| value_at(next, rest))
}

fn has_directive(data: &Data) -> bool {
    data.entries().iter().any(|(key, value)| key.starts_with("$patch") || has_directive(value))
        || data.items().iter().any(has_directive)
}

/// Whether a JSON pointer leads to the field or to something that it stands in. `index`: the place of the field's item.
fn overlaps(pointer: &[String], field: &FieldPath, index: Option<usize>) -> bool {
    pointer.len() <= field.0.len()
        && pointer.iter().zip(field.0.iter()).all(|(step, own)| match own {
            Step::Key(key) => key == step,
            Step::Item { .. } => step.parse::<usize>().is_ok_and(|at| index.is_none_or(|index| index == at)),
            Step::Index(own) => step.parse() == Ok(*own),
        })
}

/// An image after a kustomization's `images`.
fn renamed(image: &Reference, change: &KustomizeImage) -> String {
    let name = change.new_name.as_ref().unwrap_or(&image.name);
    let put = |sign: &str, text: Option<&String>| text.map(|text| format!("{sign}{text}")).unwrap_or_default();
    // A new tag takes the place of tag and digest.
    let (tag, digest) = match (&change.new_tag, &change.digest) {
        (None, None) => (image.tag.as_ref(), image.digest.as_ref()),
        (tag, digest) => (tag.as_ref(), digest.as_ref()),
    };
    format!("{name}{}{}", put(":", tag), put("@", digest))
}
