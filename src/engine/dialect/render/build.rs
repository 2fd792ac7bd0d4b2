//! What `kustomize build` makes of the objects that matter here: of each folder once.

use super::patch;
use crate::engine::{
    dialect::{
        extent::{Extent, too_deep},
        kustomize::{DEFAULT_NAMESPACE, Inclusions, beginning_with, folder, join, refusal},
    },
    manifest::{
        Behavior, Data, Document, FluxKustomization, GeneratedMap, Kustomization, KustomizePatch, PatchSource,
        PatchTarget, Position, Scan, Value, group_of,
    },
    snapshot::Snapshot,
};
use smol_str::SmolStr;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// How often objects are taken over or changed for a kustomization that nothing includes.
const WORK_MAX: usize = 200_000;

/// An object as it is rendered so far.
#[derive(Clone)]
pub(super) struct Object<'a> {
    pub file: &'a str,
    pub position: Position,
    api_version: &'a str,
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
    /// A ConfigMap that has more values than those here.
    pub partial: bool,
}

impl<'a> Object<'a> {
    /// `None` for documents that are no objects that matter.
    fn of(file: &'a str, document: &'a Document) -> Option<Self> {
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
            partial: false,
        })
    }

    /// A ConfigMap that a kustomization generates. Flux can only name one without a hash in its name.
    fn generated(file: &'a str, map: &GeneratedMap) -> Self {
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
            partial: map.partial,
        }
    }

    pub fn group(&self) -> &'a str {
        group_of(self.api_version)
    }

    pub fn is_flux_kustomization(&self) -> bool {
        matches!(self.kind.as_str(), "Kustomization" | "FluxInstance")
    }

    fn metadata(&self, key: &str) -> &[(String, Data)] {
        self.content.at(&["metadata", key]).map(Data::entries).unwrap_or_default()
    }

    /// Every namespace and name that it has or had.
    fn known_as(&self) -> impl Iterator<Item = (&str, &str)> {
        let former = self.former.iter().map(|(namespace, name)| (namespace.as_str(), name.as_str()));
        former.chain([(self.namespace.as_str(), self.name.as_str())])
    }

    fn call(&mut self, namespace: String, name: String) {
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

    fn merge(&mut self, change: &Data) {
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

/// What a Flux Kustomization writes into the kustomization of the folder that it applies, and the files that make it
/// what it is.
pub(super) struct Applied<'o, 'a> {
    pub spec: &'o FluxKustomization,
    pub owners: &'o BTreeSet<&'a str>,
}

impl Applied<'_, '_> {
    fn changes_nothing(&self) -> bool {
        let FluxKustomization { target_namespace, name_prefix, name_suffix, patches, components, .. } = self.spec;
        target_namespace.is_none()
            && name_prefix.is_empty()
            && name_suffix.is_empty()
            && patches.is_empty()
            && components.is_empty()
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
    extent: Extent<'a>,
    /// The folders that were not followed from without, being too deep.
    cut: BTreeSet<&'a str>,
}

impl<'a> Builder<'a> {
    pub fn new(snapshot: &'a Snapshot, kustomizations: &'a Inclusions<'a>) -> Self {
        let mut scans = snapshot.scans.lookup();
        let rendered = kustomizations.outline.rendered.keys();
        let rendered: Vec<(&str, &Scan)> =
            rendered.filter_map(|file| scans.get(file).map(|(file, scan)| (&**file, &**scan))).collect();
        let variables = VariableSources::of(&rendered, kustomizations);
        let matters = |scan: &Scan| scan.documents.iter().any(|document| is_object(document, &variables));
        let files: Vec<(&str, &Scan)> = rendered.into_iter().filter(|(_, scan)| matters(scan)).collect();
        let generates = |(_, kustomization): &(&str, &Kustomization)| {
            kustomization.config_maps.iter().any(|map| variables.may_be(&map.name))
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
        Builder {
            snapshot,
            kustomizations,
            files,
            paths,
            variables,
            live,
            built: HashMap::new(),
            extent: Extent::new(WORK_MAX),
            cut: BTreeSet::new(),
        }
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

    /// Their objects that matter, each with its file.
    pub fn documents(&self) -> impl Iterator<Item = (&'a str, &'a Document)> {
        let files = self.paths.iter().filter_map(|file| self.files.get_key_value(file));
        let documents = files.flat_map(|(file, scan)| scan.documents.iter().map(|document| (*file, document)));
        documents.filter(|(_, document)| is_object(document, &self.variables))
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
        if self.extent.is_deep() {
            self.cut.insert(folder);
            return Arc::default();
        }
        // Kustomizations that include each other end here.
        self.built.insert(folder, Arc::default());
        let mut objects = Vec::new();
        let done = self.collect(file, kustomization, None, &mut objects);
        tell(&mut objects, done);
        if self.cut.contains(folder) {
            tell(&mut objects, Err(too_deep(file)));
        }
        let built = Arc::new(objects);
        self.built.insert(folder, built.clone());
        built
    }

    /// The objects of a folder's kustomization into which Flux has written what a Flux Kustomization says.
    pub fn applied(&mut self, path: &str, applied: &Applied<'_, 'a>) -> Vec<Object<'a>> {
        let built = self.folder(path);
        let mut objects = Vec::new();
        match self.kustomizations.in_folder(path) {
            Some((file, kustomization)) if !applied.changes_nothing() => {
                let done = self.collect(file, kustomization, Some(applied), &mut objects);
                tell(&mut objects, done);
            }
            _ => objects.extend(built.iter().cloned()),
        }
        objects
    }

    /// The same where Flux writes the folder's kustomization itself, with these resources.
    pub fn generated(&mut self, path: &str, applied: &Applied<'_, 'a>, objects: &mut Vec<Object<'a>>) {
        let done = self.components(path, &applied.spec.components, objects);
        tell(objects, done);
        self.transform(path, &Kustomization::default(), &BTreeSet::new(), Some(applied), objects);
    }

    /// Resources, then components, then what the kustomization itself does: kustomize's order.
    ///
    /// # Errors
    /// Why not all of it is done.
    fn collect(
        &mut self,
        file: &'a str,
        kustomization: &Kustomization,
        applied: Option<&Applied<'_, 'a>>,
        objects: &mut Vec<Object<'a>>,
    ) -> Result<(), String> {
        self.extent.enter(file)?;
        let done = self.collect_open(file, kustomization, applied, objects);
        self.extent.leave();
        done
    }

    fn collect_open(
        &mut self,
        file: &'a str,
        kustomization: &Kustomization,
        applied: Option<&Applied<'_, 'a>>,
        objects: &mut Vec<Object<'a>>,
    ) -> Result<(), String> {
        let here = folder(file);
        for resource in &kustomization.resources {
            let Some(path) = join(here, resource) else { continue };
            match self.kustomizations.in_folder(&path) {
                Some(_) => {
                    let below = self.folder(&path);
                    self.extent.spend(file, below.len())?;
                    objects.extend(below.iter().cloned());
                }
                None => objects.extend(self.file(&path)),
            }
        }
        for map in kustomization.config_maps.iter().filter(|map| self.variables.may_be(&map.name)) {
            generate(file, map, objects);
        }
        self.components(here, &kustomization.components, objects)?;
        if let Some(applied) = applied {
            self.components(here, &applied.spec.components, objects)?;
        }
        self.extent.spend(file, objects.len())?;
        for object in objects.iter_mut() {
            object.owners.insert(file);
        }
        self.transform(here, kustomization, &BTreeSet::from([file]), applied, objects);
        Ok(())
    }

    /// Components work on the objects of whoever includes them.
    fn components(&mut self, here: &str, components: &[String], objects: &mut Vec<Object<'a>>) -> Result<(), String> {
        for component in components {
            if let Some((file, kustomization)) =
                join(here, component).and_then(|folder| self.kustomizations.in_folder(&folder))
            {
                self.collect(file, kustomization, None, objects)?;
            }
        }
        Ok(())
    }

    /// What a kustomization does to the objects below it, in kustomize's order.
    fn transform(
        &self,
        here: &str,
        kustomization: &Kustomization,
        by: &BTreeSet<&'a str>,
        applied: Option<&Applied<'_, 'a>>,
        objects: &mut Vec<Object<'a>>,
    ) {
        let patch = |late: bool, objects: &mut Vec<Object<'a>>| {
            let own = kustomization.patches.iter().map(|patch| (patch, by));
            let added = applied.iter().flat_map(|it| it.spec.patches.iter().map(|patch| (patch, it.owners)));
            for (patch, by) in own.chain(added).filter(|(patch, _)| patch.late == late) {
                self.patch(patch, here, by, objects);
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

    /// What a patch says, as far as it may be for objects that matter.
    ///
    /// # Errors
    /// Why that is not known of one that is for whatever its target selects: files are kept by what they call themselves.
    fn documents_of<'p>(&self, patch: &'p KustomizePatch, here: &str) -> Result<Vec<&'p Data>, String>
    where
        'a: 'p,
    {
        let file = match &patch.source {
            PatchSource::Inline(documents) => return Ok(documents.iter().collect()),
            PatchSource::File(file) => file,
        };
        let path = join(here, file).unwrap_or_default();
        let scan = self.snapshot.scans.get(&path);
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

    fn patch(&self, patch: &KustomizePatch, here: &str, by: &BTreeSet<&'a str>, objects: &mut Vec<Object<'a>>) {
        let documents = self.documents_of(patch, here);
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
                apply(object, document, patch, by);
            }
            // `$patch: delete`
            objects.retain(|object| !object.content.entries().is_empty());
        }
    }
}

/// What kustomize merges of these into a target's objects.
///
/// # Errors
/// Why it refuses.
fn mergeable(documents: &[&Data]) -> Result<(), String> {
    let merged = documents.iter().filter(|document| !matches!(document.value, Value::Sequence(_)));
    let named = merged.map(|document| (document.text(&["kind"]), document.text(&["metadata", "name"])));
    refusal(named).map_or(Ok(()), |why| Err(why.to_owned()))
}

/// Says of objects what was not done to them.
fn tell(objects: &mut [Object<'_>], done: Result<(), String>) {
    if let Err(why) = done {
        objects.iter_mut().for_each(|object| object.problems.push(why.clone()));
    }
}

/// Gives all objects these labels or annotations.
pub(super) fn label(objects: &mut [Object<'_>], place: &str, pairs: &[(String, String)]) {
    if pairs.is_empty() {
        return;
    }
    let change = mapping([("metadata", mapping([(place, texts(pairs))]))]);
    objects.iter_mut().for_each(|object| object.merge(&change));
}

/// Puts a generated ConfigMap among the objects, or its values into the one that it merges with or replaces.
fn generate<'a>(file: &'a str, map: &GeneratedMap, objects: &mut Vec<Object<'a>>) {
    let generated = Object::generated(file, map);
    let is_same = |object: &&mut Object<'a>| {
        object.kind == generated.kind && object.known_as().any(|(_, name)| name == generated.name)
    };
    let known = match map.behavior {
        Behavior::Create => None,
        Behavior::Merge | Behavior::Replace => objects.iter_mut().find(is_same),
    };
    match known {
        None => objects.push(generated),
        Some(known) => {
            known.partial = map.partial || (known.partial && map.behavior == Behavior::Merge);
            match map.behavior {
                Behavior::Replace => known.content = generated.content,
                Behavior::Merge | Behavior::Create => known.merge(&generated.content),
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

fn apply<'a>(object: &mut Object<'a>, document: &Data, patch: &KustomizePatch, by: &BTreeSet<&'a str>) {
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

/// Whether a patch is meant for this object: by its target, or by the kind and name that it carries.
fn is_target(object: &Object<'_>, target: Option<&PatchTarget>, document: &Data) -> bool {
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
fn is_selected(object: &Object<'_>, target: &PatchTarget) -> bool {
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
fn is_named_by(object: &Object<'_>, document: &Data) -> bool {
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
