//! What `kustomize build` makes of the objects that matter here: of each folder once.

use super::{applied::Applied, layer::Layer, object::Object, sources::Sources};
use crate::engine::{
    dialect::{
        extent::{Extent, too_deep},
        kustomize::{Inclusions, folder, join},
    },
    manifest::{Behavior, GeneratedMap, Kustomization},
    snapshot::Snapshot,
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// How often objects are taken over or changed for a kustomization that nothing includes.
const WORK_MAX: usize = 200_000;

/// Builds folders, each once.
pub(super) struct Builder<'a> {
    pub snapshot: &'a Snapshot,
    pub kustomizations: &'a Inclusions<'a>,
    pub sources: Sources<'a>,
    /// The folders whose kustomizations bring such objects: nothing comes of the others.
    live: BTreeSet<&'a str>,
    built: HashMap<&'a str, Arc<Vec<Object<'a>>>>,
    extent: Extent<'a>,
    /// The folders that were not followed from without, being too deep.
    cut: BTreeSet<&'a str>,
}

impl<'a> Builder<'a> {
    pub fn new(snapshot: &'a Snapshot, kustomizations: &'a Inclusions<'a>) -> Self {
        let sources = Sources::of(snapshot, kustomizations);
        let generates = |(_, kustomization): &(&str, &Kustomization)| {
            kustomization.config_maps.iter().any(|map| sources.reads(&map.name))
        };
        let generating = kustomizations.generating().filter(generates).map(|(folder, _)| folder);
        let mut live: BTreeSet<&'a str> = generating.collect();
        let mut open: Vec<&str> = sources.paths().chain(live.iter().copied()).collect();
        while let Some(path) = open.pop() {
            for parent in kustomizations.outline.parents(path).unwrap_or_default() {
                if let Some((file, _)) = kustomizations.in_folder(folder(parent))
                    && live.insert(folder(file))
                {
                    open.push(folder(file));
                }
            }
        }
        Builder {
            snapshot,
            kustomizations,
            sources,
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

    /// Whether the folder's kustomization is part of what was built so far.
    pub fn is_built(&self, folder: &str) -> bool {
        self.built.contains_key(folder)
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

    /// Resources, then components, then what the kustomization itself does: kustomize's order.
    ///
    /// # Errors
    /// Why not all of it is done.
    pub fn collect(
        &mut self,
        file: &'a str,
        kustomization: &Kustomization,
        applied: Option<&Applied<'_, 'a>>,
        objects: &mut Vec<Object<'a>>,
    ) -> Result<(), String> {
        let layer = Layer { here: folder(file), kustomization, by: BTreeSet::from([file]), applied };
        self.extent.enter(file)?;
        let done = self.include(file, &layer, objects);
        self.extent.leave();
        done?;
        layer.transform(self.snapshot, objects);
        Ok(())
    }

    /// What a kustomization brings together, before it does anything to it.
    fn include(&mut self, file: &'a str, layer: &Layer<'_, 'a>, objects: &mut Vec<Object<'a>>) -> Result<(), String> {
        let Layer { here, kustomization, applied, by: _ } = *layer;
        for resource in &kustomization.resources {
            let Some(path) = join(here, resource) else { continue };
            match self.kustomizations.in_folder(&path) {
                Some(_) => {
                    let below = self.folder(&path);
                    self.extent.spend(file, below.len())?;
                    objects.extend(below.iter().cloned());
                }
                None => objects.extend(self.sources.objects(&path)),
            }
        }
        for map in kustomization.config_maps.iter().filter(|map| self.sources.reads(&map.name)) {
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
        Ok(())
    }

    /// Components work on the objects of whoever includes them.
    pub fn components(
        &mut self,
        here: &str,
        components: &[String],
        objects: &mut Vec<Object<'a>>,
    ) -> Result<(), String> {
        for component in components {
            if let Some((file, kustomization)) =
                join(here, component).and_then(|folder| self.kustomizations.in_folder(&folder))
            {
                self.collect(file, kustomization, None, objects)?;
            }
        }
        Ok(())
    }
}

/// Says of objects what was not done to them.
pub(super) fn tell(objects: &mut [Object<'_>], done: Result<(), String>) {
    if let Err(why) = done {
        objects.iter_mut().for_each(|object| object.problems.push(why.clone()));
    }
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
