//! Objects as they are rendered.

use super::patch;
use crate::engine::manifest::{Data, Document, GeneratedMap, Position, Value, group_of};
use smol_str::SmolStr;
use std::{collections::BTreeSet, sync::Arc};

/// A group of a policy's pattern that its extract names as `${name}`, and that a Kustomization's substitution empties.
#[derive(Clone, Debug)]
pub(crate) struct Emptied {
    pub position: Position,
    pub name: String,
    /// The Kustomization: `flux-system/apps`.
    pub by: String,
}

/// An object as it is rendered so far.
#[derive(Clone)]
pub(super) struct Object<'a> {
    pub file: &'a str,
    pub position: Position,
    pub api_version: &'a str,
    pub kind: SmolStr,
    /// Empty where none is written or given.
    pub namespace: String,
    pub name: String,
    /// The namespaces and names that it had before, the written ones first: patches know it by them too.
    former: Vec<(String, String)>,
    /// Its own `metadata.namespace` and `name` may be former ones.
    pub content: Arc<Data>,
    /// The files that render it with these fields: its own, or the kustomization that changed it last, and all those
    /// that include that.
    pub owners: BTreeSet<&'a str>,
    pub problems: Vec<String>,
    /// What its extract names and substitution empties.
    pub emptied: Vec<Emptied>,
    /// A ConfigMap that has more values than those here.
    pub partial: bool,
}

impl<'a> Object<'a> {
    /// `None` for documents that are no objects that matter.
    pub fn of(file: &'a str, document: &'a Document) -> Option<Self> {
        let content = document.content.as_ref()?;
        let object = document.object.as_ref()?;
        Some(Object {
            file,
            position: document.position,
            api_version: &document.api_version,
            kind: document.kind.clone(),
            namespace: object.namespace.to_string(),
            name: object.name.to_string(),
            former: Vec::new(),
            content: content.clone(),
            owners: BTreeSet::from([file]),
            problems: Vec::new(),
            emptied: Vec::new(),
            partial: false,
        })
    }

    /// A ConfigMap that a kustomization generates. Flux can only name one without a hash in its name.
    pub fn generated(file: &'a str, map: &GeneratedMap) -> Self {
        Object {
            file,
            position: Position::default(),
            api_version: "v1",
            kind: SmolStr::new_static("ConfigMap"),
            namespace: String::new(),
            name: map.name.clone(),
            former: Vec::new(),
            content: Arc::new(mapping([("data", texts(&map.literals))])),
            owners: BTreeSet::from([file]),
            problems: Vec::new(),
            emptied: Vec::new(),
            partial: map.partial,
        }
    }

    pub fn group(&self) -> &'a str {
        group_of(self.api_version)
    }

    pub fn is_flux_kustomization(&self) -> bool {
        matches!(self.kind.as_str(), "Kustomization" | "FluxInstance")
    }

    pub fn metadata(&self, key: &str) -> &[(String, Data)] {
        self.content.at(&["metadata", key]).map(Data::entries).unwrap_or_default()
    }

    /// Every namespace and name that it has or had.
    pub fn known_as(&self) -> impl Iterator<Item = (&str, &str)> {
        let former = self.former.iter().map(|(namespace, name)| (namespace.as_str(), name.as_str()));
        former.chain([(self.namespace.as_str(), self.name.as_str())])
    }

    pub fn call(&mut self, namespace: String, name: String) {
        if (&namespace, &name) != (&self.namespace, &self.name) {
            let former = (std::mem::replace(&mut self.namespace, namespace), std::mem::replace(&mut self.name, name));
            self.former.push(former);
        }
    }

    /// Changes the content, and says by which file. A namespace or name that is changed there is the object's.
    pub fn change<T>(&mut self, by: &BTreeSet<&'a str>, change: impl FnOnce(&mut Data) -> T) -> T {
        let mut called = vec![("name".to_owned(), self.name.clone())];
        if !self.namespace.is_empty() {
            called.push(("namespace".to_owned(), self.namespace.clone()));
        }
        self.merge(&mapping([("metadata", texts(&called))]));
        let changed = change(Arc::make_mut(&mut self.content));
        self.owners.clone_from(by);
        let text = |key| self.content.text(&["metadata", key]).to_owned();
        self.call(text("namespace"), text("name"));
        changed
    }

    pub fn merge(&mut self, change: &Data) {
        patch::merge(Arc::make_mut(&mut self.content), change);
    }
}

fn mapping<const N: usize>(entries: [(&str, Data); N]) -> Data {
    let entries = entries.map(|(key, value)| (key.to_owned(), value)).into();
    Data { position: Position::default(), value: Value::Mapping(entries) }
}

fn texts(entries: &[(String, String)]) -> Data {
    let text = |text: &String| Data { position: Position::default(), value: Value::String(text.clone()) };
    let entries = entries.iter().map(|(key, value)| (key.clone(), text(value))).collect();
    Data { position: Position::default(), value: Value::Mapping(entries) }
}

/// Gives all objects these labels or annotations.
pub(super) fn label(objects: &mut [Object<'_>], place: &str, pairs: &[(String, String)]) {
    if pairs.is_empty() {
        return;
    }
    let change = mapping([("metadata", mapping([(place, texts(pairs))]))]);
    objects.iter_mut().for_each(|object| object.merge(&change));
}
