//! Where rendering starts.

use super::{Renderer, object::Object};
use crate::engine::dialect::kustomize::{beginning_with, folder, is_below};
use std::collections::BTreeSet;

/// Where rendering starts when nothing else in the repository includes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seed<'a> {
    /// A folder's kustomization.
    Folder(&'a str),
    File(&'a str),
}

impl<'a> Seed<'a> {
    pub fn path(self) -> &'a str {
        match self {
            Seed::Folder(path) | Seed::File(path) => path,
        }
    }
}

impl<'a> Renderer<'a> {
    pub fn roots(&mut self) {
        let mut seeds: Vec<Seed<'a>> = Vec::new();
        let live = self.builder.live();
        for &(folder, kustomization) in &live {
            let file = self.kustomizations.in_folder(folder).map_or("", |(file, _)| file);
            let included = self.kustomizations.includes(folder) || self.kustomizations.includes(file);
            if !kustomization.component && !included {
                seeds.push(Seed::Folder(folder));
            }
        }
        seeds.extend(self.builder.sources.paths().filter(|file| !self.kustomizations.includes(file)).map(Seed::File));
        seeds.sort_by_key(|seed| (seed.path(), *seed));
        // What another seed's Flux Kustomization applies is no root, save where they apply each other.
        let mut claimed: BTreeSet<Seed<'a>> = BTreeSet::new();
        for &seed in &seeds {
            for object in self.objects_of(seed) {
                if let Some(folder) = self.applied_folder(&object, None) {
                    let below = beginning_with(&seeds, &folder, |seed| seed.path());
                    let below = below.iter().filter(|other| **other != seed && self.applies(&folder, **other));
                    // One that applies its own folder stays the root of it.
                    if !self.applies(&folder, seed) {
                        claimed.extend(below.copied());
                    }
                }
            }
        }
        seeds.sort_by_key(|seed| (claimed.contains(seed), *seed));
        let mut begun: Vec<(Seed<'a>, usize)> = Vec::new();
        for seed in seeds {
            if self.reached.contains_key(&seed) {
                continue;
            }
            let root = begun.len();
            begun.push((seed, root));
            self.root(seed, root);
        }
        // Kustomizations that include each other have no outermost one: each is a root.
        for (folder, kustomization) in live {
            if !kustomization.component && !self.builder.is_built(folder) {
                let root = begun.len();
                begun.push((Seed::Folder(folder), root));
                self.root(Seed::Folder(folder), root);
            }
        }
        // A root that turned out to be another's part was only found late: its own rendering is not one of a cluster.
        let dead: BTreeSet<usize> = begun
            .iter()
            .filter(|(seed, root)| self.reached.get(seed).is_some_and(|roots| roots.iter().any(|other| other > root)))
            .map(|(_, root)| *root)
            .collect();
        self.out.objects.retain(|object| !dead.contains(&object.root));
        for (seed, roots) in &self.reached {
            let alive = roots.difference(&dead).copied().collect();
            self.out.begins.insert(seed.path().to_owned(), alive);
        }
    }

    pub fn objects_of(&mut self, seed: Seed<'a>) -> Vec<Object<'a>> {
        match seed {
            Seed::Folder(folder) => self.builder.folder(folder).to_vec(),
            Seed::File(file) => self.builder.sources.objects(file),
        }
    }

    /// Whether a Flux Kustomization with this path applies the seed: its folder's kustomization; without one, all that
    /// lies below, as Flux then writes a kustomization of its own.
    pub fn applies(&self, folder_path: &str, seed: Seed<'a>) -> bool {
        if self.kustomizations.in_folder(folder_path).is_some() {
            return seed == Seed::Folder(folder_path) || matches!(seed, Seed::Folder(path) if path == folder_path);
        }
        if !is_below(seed.path(), folder_path) {
            return false;
        }
        let mut above = folder(seed.path());
        while above != folder_path {
            if self.kustomizations.in_folder(above).is_some() {
                return false;
            }
            above = folder(above);
        }
        true
    }
}
