//! Which kustomizations include which files, and what that gives their objects.

use crate::engine::plan::Snapshot;
use std::collections::{BTreeMap, BTreeSet};

/// Where Kubernetes puts an object that names no namespace.
const DEFAULT_NAMESPACE: &str = "default";

/// The kustomizations of a snapshot, and what they include.
pub(crate) struct Inclusions<'a> {
    /// By included path (a file, or a folder with a kustomization): the kustomizations' files that name it.
    parents: BTreeMap<String, BTreeSet<&'a str>>,
    /// By the kustomization's file.
    namespaces: BTreeMap<&'a str, Option<&'a str>>,
}

impl<'a> Inclusions<'a> {
    pub(crate) fn of(snapshot: &'a Snapshot) -> Self {
        let mut inclusions = Inclusions { parents: BTreeMap::new(), namespaces: BTreeMap::new() };
        for (file, scan) in &snapshot.scans {
            for kustomization in scan.documents.iter().filter_map(|document| document.kustomization.as_ref()) {
                inclusions.namespaces.insert(file, kustomization.namespace.as_deref());
                for included in kustomization.resources.iter().chain(&kustomization.patches) {
                    inclusions.parents.entry(join(folder(file), included)).or_default().insert(file);
                }
            }
        }
        inclusions
    }

    /// The namespaces that an object of `file` lands in. kustomize's `namespace:` replaces the written one, and the
    /// outermost kustomization has the last word.
    pub(crate) fn namespaces(&self, file: &str, written: &str) -> BTreeSet<String> {
        let own = if written.is_empty() { DEFAULT_NAMESPACE } else { written };
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<(&str, &str)> = vec![(file, own)];
        while let Some((path, namespace)) = open.pop() {
            if !seen.insert((path, namespace)) {
                continue;
            }
            match self.parents.get(path) {
                Some(parents) => {
                    for &kustomization in parents {
                        let given = self.namespaces.get(kustomization).copied().flatten().unwrap_or(namespace);
                        open.push((folder(kustomization), given));
                    }
                }
                None => {
                    found.insert(namespace.to_owned());
                }
            }
        }
        // Kustomizations that include each other have no outermost one.
        if found.is_empty() {
            found.insert(own.to_owned());
        }
        found
    }

    /// The files of all kustomizations that include `file`, directly or through others.
    pub(crate) fn renderers(&self, file: &str) -> BTreeSet<&'a str> {
        let mut found: BTreeSet<&'a str> = BTreeSet::new();
        let mut open: Vec<&str> = vec![file];
        // A kustomization is included by its folder's name.
        if self.namespaces.contains_key(file) {
            open.push(folder(file));
        }
        while let Some(path) = open.pop() {
            for &kustomization in self.parents.get(path).into_iter().flatten() {
                if found.insert(kustomization) {
                    open.push(folder(kustomization));
                }
            }
        }
        found
    }
}

fn folder(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Resolves `relative` against `folder`, as kustomize does with local paths.
pub(crate) fn join(folder: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
