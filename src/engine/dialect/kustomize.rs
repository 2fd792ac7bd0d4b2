//! Which kustomizations include which files.

use crate::engine::{manifest::Kustomization, plan::Snapshot};
use std::collections::{BTreeSet, HashMap};

/// Where Kubernetes puts an object that names no namespace.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// The kustomizations of a snapshot, and what they include.
pub(crate) struct Inclusions<'a> {
    /// By folder.
    folders: HashMap<&'a str, (&'a str, &'a Kustomization)>,
    /// Those folders, sorted.
    sorted: Vec<&'a str>,
    /// By included path (a file, or a folder with a kustomization): the kustomizations' files that name it, sorted.
    parents: HashMap<String, Vec<&'a str>>,
}

impl<'a> Inclusions<'a> {
    pub(crate) fn of(snapshot: &'a Snapshot) -> Self {
        let mut found = Inclusions { folders: HashMap::new(), sorted: Vec::new(), parents: HashMap::new() };
        for (file, scan) in &snapshot.scans {
            for kustomization in scan.documents.iter().filter_map(|document| document.kustomization.as_ref()) {
                // Only these names are kustomizations to kustomize; others are somebody's templates.
                if !is_kustomization_file(file) {
                    continue;
                }
                found.folders.entry(folder(file)).or_insert((file, kustomization));
                let parts = kustomization.resources.iter().chain(&kustomization.components);
                for included in parts.chain(kustomization.patch_files()).chain(&kustomization.files) {
                    let Some(included) = join(folder(file), included) else { continue };
                    let parents = found.parents.entry(included).or_default();
                    // The files come in order.
                    if parents.last() != Some(&file.as_str()) {
                        parents.push(file);
                    }
                }
            }
        }
        found.sorted = found.folders.keys().copied().collect();
        found.sorted.sort_unstable();
        found
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
                        let given = self.in_folder(folder(kustomization)).and_then(|(_, k)| k.namespace.as_deref());
                        open.push((folder(kustomization), given.unwrap_or(namespace)));
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

    /// The kustomization of a folder, with its file.
    pub(super) fn in_folder(&self, folder: &str) -> Option<(&'a str, &'a Kustomization)> {
        self.folders.get(folder).copied()
    }

    /// All folders with a kustomization.
    pub(super) fn folders(&self) -> impl Iterator<Item = (&'a str, &'a Kustomization)> {
        self.known(&self.sorted)
    }

    /// The folders with a kustomization whose path begins like this one, it among them.
    pub(super) fn folders_from(&self, path: &str) -> impl Iterator<Item = (&'a str, &'a Kustomization)> {
        self.known(beginning_with(&self.sorted, path, |folder| folder))
    }

    fn known(&self, folders: &[&'a str]) -> impl Iterator<Item = (&'a str, &'a Kustomization)> {
        folders.iter().filter_map(|folder| Some((*folder, self.folders.get(folder)?.1)))
    }

    /// Every included path, with the kustomizations' files that name it.
    pub(super) fn all_parents(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &'a str>)> {
        self.parents.iter().map(|(path, files)| (path.as_str(), files.iter().copied()))
    }

    /// The files that kustomizations name as patches.
    pub(super) fn patches(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (folder, kustomization) in self.folders() {
            found.extend(kustomization.patch_files().filter_map(|file| join(folder, file)));
        }
        found
    }

    /// Whether some kustomization names this path.
    pub(super) fn includes(&self, path: &str) -> bool {
        self.parents.contains_key(path)
    }
}

/// Of items in the order of their paths, those whose path begins with `start`: what lies below a folder is among them.
pub(super) fn beginning_with<'s, T>(sorted: &'s [T], start: &str, path: impl Fn(&T) -> &str) -> &'s [T] {
    let from = &sorted[sorted.partition_point(|item| path(item) < start)..];
    &from[..from.partition_point(|item| path(item).starts_with(start))]
}

fn is_kustomization_file(file: &str) -> bool {
    matches!(file.rsplit('/').next(), Some("kustomization.yaml" | "kustomization.yml" | "Kustomization"))
}

/// The folder of a file; empty for the root.
pub(super) fn folder(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Whether `path` is `folder`, or lies below it.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Resolves `relative` against `folder`, as kustomize does with local paths; `None` where it leads out of the repository.
pub(super) fn join(folder: &str, relative: &str) -> Option<String> {
    let plain = |path: &str| path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if plain(relative) && plain(folder) {
        return Some([folder, relative].join("/"));
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn paths_stay_inside() {
        #[rustfmt::skip]
        let cases = [
            ("a", "b.yaml", Some("a/b.yaml")), ("", "b.yaml", Some("b.yaml")), ("a/b", "../c", Some("a/c")),
            ("a", "./b/../c", Some("a/c")), ("a", "..", Some("")), ("a", "/b", Some("a/b")),
            ("a", "../..", None), ("", "..", None), ("a", "../../a/b", None), ("a/b", "../../../b", None),
        ];
        for (folder, relative, expected) in cases {
            assert_eq!(join(folder, relative).as_deref(), expected, "{folder} {relative}");
        }
    }
}
