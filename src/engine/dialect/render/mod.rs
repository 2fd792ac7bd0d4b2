//! What clusters get of a repository: kustomizations built, Flux Kustomizations followed, variables substituted.
//!
//! Only objects that say what is automated are rendered: Flux's image objects, its Kustomizations, and the ConfigMaps
//! that substitutions read. No cluster is asked: a *root* is a kustomization (or a file) that nothing in the repository
//! includes, or the Flux Kustomization that applies the folder it stands in.

mod applied;
mod build;
mod layer;
mod object;
mod patch;
mod reach;
mod roots;
mod sources;
mod substitute;
mod target;
#[cfg(test)]
mod tests;

use super::{
    kustomize::{Inclusions, beginning_with, folder, is_below, join},
    outline::Outline,
};
use crate::engine::{
    manifest::{Data, Document, FluxKustomization, IMAGE_GROUP, ObjectId, Position},
    snapshot::Snapshot,
};
use applied::Applied;
use build::Builder;
pub(crate) use object::Emptied;
use object::{Object, label};
use roots::Seed;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};
use substitute::{Unresolved, Variables, has_expressions as changes};

/// An image object as one cluster gets it.
#[derive(Clone, Debug)]
pub(crate) struct Rendered {
    pub file: String,
    pub position: Position,
    pub kind: String,
    /// Empty where none is given: Kubernetes' default.
    pub namespace: String,
    pub name: String,
    pub content: Arc<Data>,
    /// Which root renders it.
    pub root: usize,
    /// The `${…}` that stay, and whether their values are there.
    pub unresolved: BTreeMap<String, bool>,
    pub emptied: Vec<Emptied>,
    /// Patches that do not apply.
    pub problems: Vec<String>,
    /// A ConfigMap that has more values than those here.
    partial: bool,
}

/// What all roots of a repository render, and who brings what along.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rendering {
    pub objects: Vec<Rendered>,
    /// Who names and brings whom.
    pub outline: Arc<Outline>,
    edges: Vec<Edge>,
    edges_of: BTreeMap<String, Vec<usize>>,
    /// By unit: the edge that it is rendered for; none for a root's own.
    units: Vec<Option<usize>>,
    /// By path of a kustomization's folder or of a file: the roots that begin there.
    begins: BTreeMap<String, BTreeSet<usize>>,
    /// By name of a GitRepository: the repositories that clusters know by it.
    repositories: BTreeMap<String, BTreeSet<String>>,
    /// By root: the name of the source that is this repository, where that is told.
    own: BTreeMap<usize, String>,
}

/// A Flux Kustomization as it is rendered: it applies a folder.
#[derive(Clone, Debug)]
struct Edge {
    folder: String,
    /// The files that make it what it is.
    owners: BTreeSet<String>,
    /// The unit that renders the Flux Kustomization.
    unit: usize,
    root: usize,
}

impl Rendering {
    pub(crate) fn of(snapshot: &Snapshot, kustomizations: &Inclusions<'_>) -> Self {
        let builder = Builder::new(snapshot, kustomizations);
        let mut renderer = Renderer {
            snapshot,
            maps: builder.sources.documents().filter(|(_, document)| document.kind == "ConfigMap").collect(),
            builder,
            kustomizations,
            out: Rendering { outline: kustomizations.outline.clone(), ..Rendering::default() },
            reached: BTreeMap::new(),
            applied: BTreeSet::new(),
            pending: VecDeque::new(),
            rendered_maps: HashMap::new(),
        };
        renderer.sources();
        renderer.roots();
        let mut out = renderer.out;
        for (number, edge) in out.edges.iter().enumerate() {
            out.edges_of.entry(edge.folder.clone()).or_default().push(number);
        }
        out
    }
}

struct Renderer<'a> {
    snapshot: &'a Snapshot,
    kustomizations: &'a Inclusions<'a>,
    builder: Builder<'a>,
    out: Rendering,
    /// By seed: the roots that render it.
    reached: BTreeMap<Seed<'a>, BTreeSet<usize>>,
    /// Flux Kustomizations that were followed: root, file, name, folder.
    applied: BTreeSet<(usize, &'a str, String, String)>,
    /// Flux Kustomizations of the present root that are still to be followed.
    pending: VecDeque<Pending<'a>>,
    /// Indexes of the ConfigMaps among the objects rendered so far, by root and name.
    rendered_maps: HashMap<usize, HashMap<String, Vec<usize>>>,
    /// The ConfigMaps that may be read, by file.
    maps: Vec<(&'a str, &'a Document)>,
}

/// What a ConfigMap has, by key.
type Values = BTreeMap<String, String>;

/// A Flux Kustomization, the folder that it applies, and the unit that renders it.
struct Pending<'a> {
    object: Object<'a>,
    folder: String,
    unit: usize,
    /// The ConfigMaps that it reads.
    maps: Vec<String>,
}

impl<'a> Pending<'a> {
    fn of(object: Object<'a>, folder: String, unit: usize) -> Self {
        let post_build = FluxKustomization::read(&object.content).post_build.unwrap_or_default();
        let maps = post_build.substitute_from.into_iter().filter(|(kind, _)| kind == "ConfigMap");
        Pending { object, folder, unit, maps: maps.map(|(_, name)| name).collect() }
    }
}

impl<'a> Renderer<'a> {
    fn sources(&mut self) {
        for (_, document) in self.builder.sources.documents() {
            let (Some(object), Some(content)) = (&document.object, &document.content) else { continue };
            let (name, url) = match document.kind.as_str() {
                "GitRepository" => (object.name.to_string(), content.text(&["spec", "url"])),
                "FluxInstance" => {
                    let Some(source) = FluxKustomization::read(content).source else { continue };
                    (source.name, content.text(&["spec", "sync", "url"]))
                }
                _ => continue,
            };
            self.out.repositories.entry(name).or_default().insert(repository_of(url));
        }
    }

    /// The folder of this repository that a Flux Kustomization applies. `own`: the source that is this repository.
    fn applied_folder(&self, object: &Object<'a>, own: Option<&str>) -> Option<String> {
        if !object.is_flux_kustomization() {
            return None;
        }
        let spec = FluxKustomization::read(&object.content);
        // Without a source it is a patch of one.
        let source = spec.source?;
        if spec.path.contains("${") {
            return None;
        }
        let path = join("", &spec.path)?;
        if let Some(own) = own.filter(|own| *own != source.name)
            && (path.is_empty() || self.out.are_apart(own, &source.name))
        {
            return None;
        }
        let exists = path.is_empty()
            || self.snapshot.entries.range(&format!("{path}/")).next().is_some_and(|(file, _)| is_below(file, &path));
        exists.then_some(path)
    }

    fn root(&mut self, seed: Seed<'a>, root: usize) {
        let objects = self.objects_of(seed);
        // Flux's bootstrap: the folder holds the Flux Kustomization that applies it.
        let bootstrap = objects.iter().find_map(|object| {
            let folder = self.applied_folder(object, None)?;
            self.applies(&folder, seed).then(|| (object.clone(), folder))
        });
        self.reached.entry(seed).or_default().insert(root);
        let own = bootstrap.as_ref().and_then(|(object, _)| FluxKustomization::read(&object.content).source);
        let own = own.map(|source| source.name);
        if let Some(own) = &own {
            self.out.own.insert(root, own.clone());
        }
        match bootstrap {
            Some((object, folder)) => {
                // The unit renders its own Flux Kustomization.
                let unit = self.out.units.len();
                self.apply(Pending::of(object, folder, unit), root, own.as_deref());
            }
            None => {
                let unit = self.unit(None);
                self.emit(objects, unit, root, &Unresolved::new(), own.as_deref());
            }
        }
        while let Some(next) = self.next(root) {
            self.apply(next, root, own.as_deref());
        }
    }

    /// The next Flux Kustomization to follow: one whose ConfigMaps have been rendered, where there is one.
    fn next(&mut self, root: usize) -> Option<Pending<'a>> {
        let is_ready =
            |next: &Pending<'a>| next.maps.iter().all(|name| self.config_map(name, &next.object, root, &[]).is_some());
        let at = self.pending.iter().position(is_ready).unwrap_or_default();
        self.pending.remove(at)
    }

    fn unit(&mut self, edge: Option<usize>) -> usize {
        self.out.units.push(edge);
        self.out.units.len() - 1
    }

    /// Renders what a Flux Kustomization applies.
    fn apply(&mut self, next: Pending<'a>, root: usize, own: Option<&str>) {
        let Pending { object, folder: path, unit: rendered_by, maps: _ } = next;
        if !self.applied.insert((root, object.file, object.name.clone(), path.clone())) {
            return;
        }
        let edge = self.out.edges.len();
        let owners = object.owners.iter().map(|owner| (*owner).to_owned()).collect();
        self.out.edges.push(Edge { folder: path.clone(), owners, unit: rendered_by, root });
        let unit = self.unit(Some(edge));

        let spec = FluxKustomization::read(&object.content);
        let applied = Applied { spec: &spec, owners: &object.owners };
        let mut objects = match self.kustomizations.in_folder(&path) {
            Some((file, _)) => {
                self.reached.entry(Seed::Folder(folder(file))).or_default().insert(root);
                self.builder.applied(&path, &applied)
            }
            None => {
                let mut objects = self.below(&path, root);
                self.builder.generated(&path, &applied, &mut objects);
                objects
            }
        };
        let mut unresolved = Unresolved::new();
        if let Some(post_build) = &spec.post_build {
            let variables = Variables::of(post_build, |name| self.config_map(name, &object, root, &objects));
            let objects_below = objects.iter_mut().filter(|_| variables.are_there());
            for below in objects_below.filter(|below| substitutes(below) && has_expressions(below)) {
                below.emptied.extend(emptied(below, &variables, &object));
                below.change(&object.owners, |content| variables.apply(content, &mut unresolved));
            }
        }
        label(&mut objects, "labels", &spec.labels);
        self.emit(objects, unit, root, &unresolved, own);
    }

    /// All that lies below a folder without a kustomization.
    fn below(&mut self, path: &str, root: usize) -> Vec<Object<'a>> {
        let mut objects = Vec::new();
        let folders: Vec<&'a str> = self
            .kustomizations
            .folders_from(path)
            .filter(|folder| self.builder.is_live(folder) && self.applies(path, Seed::Folder(folder)))
            .collect();
        for folder in folders {
            self.reached.entry(Seed::Folder(folder)).or_default().insert(root);
            objects.extend(self.builder.folder(folder).iter().cloned());
        }
        // Flux looks for YAML alone.
        let is_yaml = |file: &&str| file.ends_with(".yaml") || file.ends_with(".yml");
        let files: Vec<&'a str> = self.builder.sources.paths_from(path).filter(is_yaml).collect();
        for file in files {
            if self.applies(path, Seed::File(file)) {
                self.reached.entry(Seed::File(file)).or_default().insert(root);
                objects.extend(self.builder.sources.objects(file));
            }
        }
        objects
    }

    /// The values of a ConfigMap that a Flux Kustomization names, and whether it has more: of the root, or of what this
    /// very Kustomization renders.
    fn config_map(
        &self,
        name: &str,
        kustomization: &Object<'a>,
        root: usize,
        objects: &[Object<'a>],
    ) -> Option<(Values, bool)> {
        let namespace = kustomization.namespace.as_str();
        let fits = |found: &str| found.is_empty() || namespace.is_empty() || found == namespace;
        let rendered = self.rendered_maps.get(&root).and_then(|maps| maps.get(name)).into_iter().flatten();
        let mut rendered = rendered.filter_map(|at| self.out.objects.get(*at));
        let here =
            objects.iter().find(|object| object.kind == "ConfigMap" && object.name == name && fits(&object.namespace));
        rendered
            .find(|object| fits(&object.namespace))
            .map(|object| (values(&object.content), object.partial))
            .or_else(|| here.map(|object| (values(&object.content), object.partial)))
            .or_else(|| {
                // Nothing tells what else the cluster gets: a root without a source of its own is a file or folder alone.
                let alone = !self.out.own.contains_key(&root);
                let nearest = || self.nearest_map(kustomization.file, |id| id.name == name && fits(&id.namespace));
                alone.then(nearest).flatten().map(|values| (values, false))
            })
    }

    /// The values of the ConfigMap that stands nearest to a file; none where several that differ do.
    fn nearest_map(&self, file: &str, is_meant: impl Fn(&ObjectId) -> bool) -> Option<Values> {
        let meant = |(_, document): &&(&str, &Document)| document.object.as_ref().is_some_and(&is_meant);
        let mut here = folder(file);
        loop {
            let below = beginning_with(&self.maps, here, |(path, _)| path).iter().filter(meant);
            let below = below.filter(|(path, _)| is_below(path, here));
            let mut found = below.filter_map(|(_, document)| document.content.as_deref().map(values));
            if let Some(first) = found.next() {
                return found.all(|other| other == first).then_some(first);
            }
            if here.is_empty() {
                return None;
            }
            here = folder(here);
        }
    }

    /// Takes what a unit renders, and follows its Flux Kustomizations.
    fn emit(&mut self, objects: Vec<Object<'a>>, unit: usize, root: usize, unresolved: &Unresolved, own: Option<&str>) {
        let (kustomizations, others): (Vec<_>, Vec<_>) =
            objects.into_iter().partition(|object| object.is_flux_kustomization());
        for object in others {
            let mut left = BTreeSet::new();
            if object.group() == IMAGE_GROUP {
                unresolved_in(&object.content, &mut left);
                let groups = object.content.text(&["spec", "filterTags", "pattern"]);
                let is_group = |name: &str| groups.contains(&format!("<{name}>"));
                left.retain(|name| unresolved.contains_key(name) || (unresolved.is_empty() && !is_group(name)));
            }
            if object.kind == "ConfigMap" {
                let maps = self.rendered_maps.entry(root).or_default().entry(object.name.clone()).or_default();
                maps.push(self.out.objects.len());
            }
            self.out.objects.push(Rendered {
                file: object.file.to_owned(),
                position: object.position,
                kind: object.kind.to_string(),
                namespace: object.namespace,
                name: object.name,
                content: object.content,
                root,
                unresolved: left
                    .into_iter()
                    .map(|of| (of.clone(), unresolved.get(&of).is_some_and(|it| *it)))
                    .collect(),
                emptied: object.emptied,
                problems: object.problems,
                partial: object.partial,
            });
        }
        for object in kustomizations {
            if let Some(folder) = self.applied_folder(&object, own) {
                self.pending.push_back(Pending::of(object, folder, unit));
            }
        }
    }
}

impl Rendering {
    /// Whether a source of a root's cluster is another repository than this one.
    pub(crate) fn is_elsewhere(&self, root: usize, source: &str) -> bool {
        self.own.get(&root).is_some_and(|own| self.are_apart(own, source))
    }

    /// Whether two sources are known to be different repositories.
    fn are_apart(&self, one: &str, other: &str) -> bool {
        let of = |name: &str| self.repositories.get(name);
        one != other && matches!((of(one), of(other)), (Some(one), Some(other)) if one.is_disjoint(other))
    }
}

fn values(config_map: &Data) -> Values {
    let entries = config_map.get("data").map(Data::entries).unwrap_or_default();
    entries.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// A repository's host and path, however its URL is spelled: `https://host/a/b.git`, `ssh://git@host/a/b`, `git@host:a/b`.
fn repository_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
    rest.trim_end_matches('/').trim_end_matches(".git").replacen(':', "/", 1).to_ascii_lowercase()
}

/// Whether substitution may change the object.
fn has_expressions(object: &Object<'_>) -> bool {
    fn below(data: &Data) -> bool {
        data.as_str().is_some_and(changes)
            || data.items().iter().any(below)
            || data.entries().iter().any(|(_, value)| below(value))
    }
    changes(&object.namespace) || changes(&object.name) || below(&object.content)
}

/// Flux leaves objects alone that say so.
fn substitutes(object: &Object<'_>) -> bool {
    const DISABLED: &str = "kustomize.toolkit.fluxcd.io/substitute";
    ["labels", "annotations"].iter().all(|place| object.content.text(&["metadata", place, DISABLED]) != "disabled")
}

/// What a policy's extract loses by the substitution of a Kustomization.
fn emptied(object: &Object<'_>, variables: &Variables, by: &Object<'_>) -> Vec<Emptied> {
    let is_policy = object.kind == "ImagePolicy" && object.group() == IMAGE_GROUP;
    let extract = object.content.at(&["spec", "filterTags", "extract"]).filter(|_| is_policy);
    let Some((extract, text)) = extract.and_then(|extract| Some((extract, extract.as_str()?))) else {
        return Vec::new();
    };
    let namespace = if by.namespace.is_empty() { String::new() } else { format!("{}/", by.namespace) };
    let by = format!("{namespace}{}", by.name);
    let emptied = |name: &str| Emptied { position: extract.position, name: name.to_owned(), by: by.clone() };
    variables.emptied(text).into_iter().map(emptied).collect()
}

/// The expressions of the `${…}` that are left.
fn unresolved_in(data: &Data, found: &mut BTreeSet<String>) {
    if let Some(text) = data.as_str() {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once("${") {
            let Some((expression, behind)) = after.split_once('}') else { break };
            found.insert(expression.to_owned());
            rest = behind;
        }
    }
    data.items().iter().for_each(|item| unresolved_in(item, found));
    data.entries().iter().for_each(|(_, value)| unresolved_in(value, found));
}
