//! What `kustomize build` makes of the objects that matter here: of each folder once.

use super::patch;
use crate::engine::{
    dialect::kustomize::{Inclusions, beginning_with, folder, join},
    manifest::{
        Data, Document, FluxKustomization, Kustomization, KustomizePatch, PatchSource, PatchTarget, Position, Scan,
        Value, group_of,
    },
    plan::Snapshot,
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// How deep components may nest.
pub(super) const COMPONENT_DEPTH: usize = 16;

/// An object as it is rendered so far.
#[derive(Clone)]
pub(super) struct Object<'a> {
    pub file: &'a str,
    pub position: Position,
    pub group: &'a str,
    pub kind: &'a str,
    /// Empty where none is written or given.
    pub namespace: String,
    pub name: String,
    /// Before prefixes and suffixes: patches know it by that name too.
    original: String,
    pub content: Arc<Data>,
    /// The files that render it with these fields: its own, or the kustomization that changed it last, and all those
    /// that include that.
    pub owners: BTreeSet<&'a str>,
    pub problems: Vec<String>,
}

impl<'a> Object<'a> {
    /// `None` for documents that are no objects that matter.
    fn of(file: &'a str, document: &'a Document) -> Option<Self> {
        let content = document.content.as_ref()?;
        let name = document.object.as_ref()?.name.clone();
        Some(Object {
            file,
            position: document.position,
            group: group_of(&document.api_version),
            kind: &document.kind,
            namespace: document.object.as_ref()?.namespace.clone(),
            original: name.clone(),
            name,
            content: content.clone(),
            owners: BTreeSet::from([file]),
            problems: Vec::new(),
        })
    }

    pub fn is_flux_kustomization(&self) -> bool {
        self.kind == "Kustomization"
    }

    fn labels(&self) -> &[(String, Data)] {
        self.content.at(&["metadata", "labels"]).map(Data::entries).unwrap_or_default()
    }

    /// Changes the content, and says by which file.
    pub fn change(&mut self, by: &BTreeSet<&'a str>, change: impl FnOnce(&mut Data)) {
        change(Arc::make_mut(&mut self.content));
        self.owners.clone_from(by);
    }
}

/// What one kustomization, or one Flux Kustomization, does to the objects below it.
pub(super) struct Transformer<'t> {
    pub patches: &'t [KustomizePatch],
    pub namespace: Option<&'t str>,
    pub name_prefix: &'t str,
    pub name_suffix: &'t str,
    pub labels: &'t [(String, String)],
}

impl<'t> From<&'t Kustomization> for Transformer<'t> {
    fn from(kustomization: &'t Kustomization) -> Self {
        Transformer {
            patches: &kustomization.patches,
            namespace: kustomization.namespace.as_deref(),
            name_prefix: &kustomization.name_prefix,
            name_suffix: &kustomization.name_suffix,
            labels: &kustomization.labels,
        }
    }
}

impl<'t> From<&'t FluxKustomization> for Transformer<'t> {
    fn from(kustomization: &'t FluxKustomization) -> Self {
        Transformer {
            patches: &kustomization.patches,
            namespace: kustomization.target_namespace.as_deref(),
            name_prefix: &kustomization.name_prefix,
            name_suffix: &kustomization.name_suffix,
            labels: &kustomization.labels,
        }
    }
}

/// Builds folders, each once.
pub(super) struct Builder<'a> {
    pub snapshot: &'a Snapshot,
    pub kustomizations: &'a Inclusions<'a>,
    /// Of the files with objects that matter, by path.
    files: HashMap<&'a str, &'a Scan>,
    /// Their paths, sorted.
    paths: Vec<&'a str>,
    variables: VariableSources<'a>,
    /// The folders whose kustomizations bring such objects: nothing comes of the others.
    live: BTreeSet<&'a str>,
    built: HashMap<&'a str, Arc<Vec<Object<'a>>>>,
}

impl<'a> Builder<'a> {
    pub fn new(snapshot: &'a Snapshot, kustomizations: &'a Inclusions<'a>) -> Self {
        let mut scans = snapshot.scans.lookup();
        let rendered = kustomizations.outline.rendered.iter();
        let rendered: Vec<(&str, &Scan)> =
            rendered.filter_map(|file| scans.get(file).map(|(file, scan)| (&**file, &**scan))).collect();
        let variables = VariableSources::of(&rendered, kustomizations);
        let matters = |scan: &Scan| scan.documents.iter().any(|document| is_object(document, &variables));
        let files: Vec<(&str, &Scan)> = rendered.into_iter().filter(|(_, scan)| matters(scan)).collect();
        let generates = |(_, kustomization): &(&str, &Kustomization)| {
            kustomization.config_maps.iter().any(|(name, _)| variables.may_be(name))
        };
        let generating = kustomizations.generating().filter(generates).map(|(folder, _)| folder);
        let mut live: BTreeSet<&'a str> = generating.collect();
        let mut open: Vec<&str> = files.iter().map(|(file, _)| *file).chain(live.iter().copied()).collect();
        while let Some(path) = open.pop() {
            for parent in kustomizations.outline.parents(path).unwrap_or_default() {
                if let Some((file, _)) = kustomizations.in_folder(folder(parent))
                    && live.insert(folder(file))
                {
                    open.push(folder(file));
                }
            }
        }
        let paths = files.iter().map(|(file, _)| *file).collect();
        let files = files.into_iter().collect();
        Builder { snapshot, kustomizations, files, paths, variables, live, built: HashMap::new() }
    }

    /// Whether objects that matter come of the folder's kustomization.
    pub fn is_live(&self, folder: &str) -> bool {
        self.live.contains(folder)
    }

    /// All such folders, in order, with their kustomizations.
    pub fn live(&self) -> Vec<(&'a str, &'a Kustomization)> {
        let found = self.live.iter().map(|folder| (*folder, self.kustomizations.in_folder(folder)));
        found.filter_map(|(folder, found)| Some((folder, found?.1))).collect()
    }

    /// The files with objects that matter, in order.
    pub fn paths(&self) -> impl Iterator<Item = &'a str> {
        self.paths.iter().copied()
    }

    /// Those whose path begins like this one.
    pub fn paths_from(&self, path: &str) -> impl Iterator<Item = &'a str> {
        beginning_with(&self.paths, path, |file| file).iter().copied()
    }

    pub fn files(&self) -> impl Iterator<Item = &'a Scan> {
        self.paths.iter().filter_map(|file| self.files.get(file).copied())
    }

    /// Whether the folder's kustomization is part of what was built so far.
    pub fn is_built(&self, folder: &str) -> bool {
        self.built.contains_key(folder)
    }

    /// The objects of a file, as written.
    pub fn file(&self, file: &str) -> Vec<Object<'a>> {
        let Some((&file, scan)) = self.files.get_key_value(file) else { return Vec::new() };
        let objects = scan.documents.iter().filter(|document| is_object(document, &self.variables));
        objects.filter_map(|document| Object::of(file, document)).collect()
    }

    /// The objects of a folder's kustomization; none where it has none.
    pub fn folder(&mut self, folder: &str) -> Arc<Vec<Object<'a>>> {
        let Some((file, kustomization)) = self.kustomizations.in_folder(folder) else { return Arc::default() };
        let folder = crate::engine::dialect::kustomize::folder(file);
        if !self.is_live(folder) {
            return Arc::default();
        }
        if let Some(built) = self.built.get(folder) {
            return built.clone();
        }
        // Kustomizations that include each other end here.
        self.built.insert(folder, Arc::default());
        let mut objects = Vec::new();
        self.collect(file, kustomization, &mut objects, COMPONENT_DEPTH);
        let built = Arc::new(objects);
        self.built.insert(folder, built.clone());
        built
    }

    /// Resources, then components, then what the kustomization itself does: kustomize's order.
    fn collect(
        &mut self,
        file: &'a str,
        kustomization: &'a Kustomization,
        objects: &mut Vec<Object<'a>>,
        depth: usize,
    ) {
        let here = folder(file);
        for resource in &kustomization.resources {
            let Some(path) = join(here, resource) else { continue };
            match self.kustomizations.in_folder(&path) {
                Some(_) => objects.extend(self.folder(&path).iter().cloned()),
                None => objects.extend(self.file(&path)),
            }
        }
        let generated_maps = kustomization.config_maps.iter().filter(|(name, _)| self.variables.may_be(name));
        objects.extend(generated_maps.map(|(name, literals)| generated(file, name, literals)));
        self.components(here, &kustomization.components, objects, depth);
        for object in objects.iter_mut() {
            object.owners.insert(file);
        }
        self.transform(&Transformer::from(kustomization), here, &BTreeSet::from([file]), objects);
    }

    /// Components work on the objects of whoever includes them.
    pub fn components(&mut self, here: &str, components: &[String], objects: &mut Vec<Object<'a>>, depth: usize) {
        for component in components {
            if let Some((file, kustomization)) =
                join(here, component).and_then(|folder| self.kustomizations.in_folder(&folder))
                && depth > 0
            {
                self.collect(file, kustomization, objects, depth - 1);
            }
        }
    }

    pub fn transform(
        &self,
        transformer: &Transformer<'_>,
        here: &str,
        by: &BTreeSet<&'a str>,
        objects: &mut [Object<'a>],
    ) {
        if objects.is_empty() {
            return;
        }
        for patch in transformer.patches {
            let from_file: Vec<&Data>;
            let documents: Vec<&Data> = match &patch.source {
                PatchSource::Inline(documents) => documents.iter().collect(),
                PatchSource::File(file) => {
                    let scan = join(here, file).and_then(|path| self.snapshot.scans.get(&path));
                    let documents = scan.map(|scan| scan.documents.as_slice()).unwrap_or_default();
                    from_file = documents.iter().filter_map(|document| document.content.as_deref()).collect();
                    from_file
                }
            };
            for document in documents {
                for object in objects.iter_mut().filter(|object| is_target(object, patch.target.as_ref(), document)) {
                    apply(object, document, by);
                }
            }
        }
        for object in objects {
            if let Some(namespace) = transformer.namespace {
                namespace.clone_into(&mut object.namespace);
            }
            if !(transformer.name_prefix.is_empty() && transformer.name_suffix.is_empty()) {
                object.name = format!("{}{}{}", transformer.name_prefix, object.name, transformer.name_suffix);
            }
            if !transformer.labels.is_empty() {
                let data = |value| Data { position: object.position, value };
                let labels = transformer.labels.iter();
                let labels = labels.map(|(key, text)| (key.clone(), data(Value::String(text.clone())))).collect();
                let labels = data(Value::Mapping(vec![("labels".into(), data(Value::Mapping(labels)))]));
                let change = data(Value::Mapping(vec![("metadata".into(), labels)]));
                patch::merge(Arc::make_mut(&mut object.content), &change);
            }
        }
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
        let written = written.filter_map(|document| document.content.as_deref());
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

/// A ConfigMap that a kustomization generates. Flux can only name one without a hash in its name.
fn generated<'a>(file: &'a str, name: &str, literals: &[(String, String)]) -> Object<'a> {
    let data = |value| Data { position: Position::default(), value };
    let values = literals.iter().map(|(key, text)| (key.clone(), data(Value::String(text.clone())))).collect();
    Object {
        file,
        position: Position::default(),
        group: "",
        kind: "ConfigMap",
        namespace: String::new(),
        original: name.to_owned(),
        name: name.to_owned(),
        content: Arc::new(data(Value::Mapping(vec![("data".into(), data(Value::Mapping(values)))]))),
        owners: BTreeSet::from([file]),
        problems: Vec::new(),
    }
}

fn apply<'a>(object: &mut Object<'a>, document: &Data, by: &BTreeSet<&'a str>) {
    match &document.value {
        Value::Sequence(operations) => {
            let mut result = Ok(());
            object.change(by, |content| result = patch::json(content, operations));
            if let Err(why) = result {
                object.problems.push(format!("a JSON6902 patch does not apply: {why}"));
            }
        }
        _ => object.change(by, |content| patch::merge(content, document)),
    }
    // A patch that names its target by a pattern may rename or move what it matches.
    if let Some(namespace) = object.content.at(&["metadata", "namespace"]).and_then(Data::as_str)
        && matches!(document.value, Value::Sequence(_))
    {
        object.namespace = namespace.to_owned();
    }
}

/// Whether a patch is meant for this object: by its target, or by the kind and name that it carries.
fn is_target(object: &Object<'_>, target: Option<&PatchTarget>, document: &Data) -> bool {
    let named = |name: &str| matches(name, &object.name) || matches(name, &object.original);
    match target {
        Some(target) => {
            matches(&target.group, object.group)
                && matches(&target.kind, object.kind)
                && named(&target.name)
                && matches(&target.namespace, &object.namespace)
                && selects(&target.label_selector, object.labels())
        }
        None => {
            let group = group_of(document.text(&["apiVersion"]));
            let (name, namespace) = (document.text(&["metadata", "name"]), document.text(&["metadata", "namespace"]));
            (group, document.text(&["kind"])) == (object.group, object.kind)
                && (name == object.name || name == object.original)
                && (namespace.is_empty() || namespace == object.namespace)
        }
    }
}

/// A target's field: empty is any, else a regular expression for the whole text.
pub(in crate::engine::dialect) fn matches(pattern: &str, text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
    if pattern.is_empty() || pattern == text {
        return true;
    }
    !pattern.chars().all(plain)
        && regex::Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|pattern| pattern.is_match(text))
}

/// `a=b,c!=d,e,!f`; other forms select nothing.
fn selects(selector: &str, labels: &[(String, Data)]) -> bool {
    let label = |key: &str| labels.iter().find(|(name, _)| name == key.trim()).and_then(|(_, value)| value.as_str());
    selector.split(',').filter(|term| !term.trim().is_empty()).all(|term| {
        if let Some((key, value)) = term.split_once("!=") {
            label(key) != Some(value.trim())
        } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            label(key) == Some(value.trim())
        } else if let Some(key) = term.trim().strip_prefix('!') {
            label(key).is_none()
        } else {
            label(term).is_some()
        }
    })
}
