//! Who renders a file: the way back from it, through kustomizations, Flux Kustomizations and charts.

use super::{Rendering, is_below};
use crate::engine::dialect::kustomize::{folder, is_kustomization_file};
use std::collections::BTreeSet;

/// What renders a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The file itself, and every file that brings it into a cluster: kustomizations, Flux Kustomizations, HelmReleases.
    pub owners: BTreeSet<String>,
    /// The roots that it is part of.
    pub roots: BTreeSet<usize>,
}

impl Rendering {
    /// What renders `file`. A file that nothing names is rendered by itself alone.
    pub(crate) fn reach(&self, file: &str) -> Reach {
        let mut reach = Reach::default();
        let mut seen_edges = BTreeSet::new();
        let mut open = vec![file.to_owned()];
        // A kustomization is included by its folder's name.
        if self.is_kustomization(file) {
            open.push(folder(file).to_owned());
        }
        let mut seen: BTreeSet<String> = open.iter().cloned().collect();
        reach.owners.insert(file.to_owned());
        while let Some(path) = open.pop() {
            let mut visit = |path: &str| {
                if seen.insert(path.to_owned()) {
                    open.push(path.to_owned());
                }
            };
            for kustomization in self.outline.parents(&path).unwrap_or_default() {
                reach.owners.insert(kustomization.to_string());
                visit(folder(kustomization));
            }
            reach.roots.extend(self.begins.get(&path).into_iter().flatten());
            for folder_above in ancestors(&path) {
                for &edge in self.edges_of.get(folder_above).into_iter().flatten() {
                    if self.applies(folder_above, &path) {
                        self.follow(edge, &mut reach, &mut seen_edges);
                    }
                }
                for bringer in self.outline.bringers(folder_above) {
                    reach.owners.insert(bringer.to_string());
                    visit(bringer);
                }
            }
        }
        reach
    }

    /// A Flux Kustomization, and the ones that apply it in turn.
    fn follow(&self, edge: usize, reach: &mut Reach, seen: &mut BTreeSet<usize>) {
        let mut next = Some(edge);
        while let Some(number) = next.filter(|number| seen.insert(*number)) {
            let Some(edge) = self.edges.get(number) else { return };
            reach.owners.extend(edge.owners.iter().cloned());
            reach.roots.insert(edge.root);
            next = self.units.get(edge.unit).copied().flatten();
        }
    }

    fn is_kustomization(&self, file: &str) -> bool {
        self.outline.in_folder(folder(file)).is_some() && is_kustomization_file(file)
    }

    /// Whether a Flux Kustomization of this folder applies the path itself: the folder's kustomization, or, where it
    /// has none, what lies below and belongs to no kustomization in between.
    fn applies(&self, applied: &str, path: &str) -> bool {
        if path == applied {
            return true;
        }
        let mut above = folder(path);
        loop {
            if self.outline.in_folder(above).is_some() {
                return false;
            }
            if above == applied || !is_below(above, applied) {
                return above == applied;
            }
            above = folder(above);
        }
    }
}

/// The path itself, and every folder that it lies in.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| (!path.is_empty()).then(|| folder(path)))
}
