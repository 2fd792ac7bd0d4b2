//! The kustomizations of a snapshot, with what they include.

use super::outline::{Outline, kustomization_of};
use crate::engine::{
    manifest::{Data, Kustomization, Value},
    snapshot::Snapshot,
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// Where Kubernetes puts an object that names no namespace.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// Why kustomize refuses what is to be merged into a target's objects. `patches`: the kind and name of each
/// strategic-merge patch of one entry; a list of JSON6902 operations is none.
///
/// Tried with kustomize 5 (api v0.20.1).
pub(super) fn refusal<'p>(patches: impl IntoIterator<Item = (&'p str, &'p str)>) -> Option<&'static str> {
    let mut patches = patches.into_iter();
    let (kind, name) = patches.next()?;
    if patches.next().is_some() {
        return Some(
            "kustomize takes no more than one strategic-merge patch for a target: give each an entry of its own",
        );
    }
    (kind.is_empty() || name.is_empty()).then_some(
        "kustomize takes no strategic-merge patch without a kind and a name: give it any, the target says what is patched",
    )
}

/// The kind and name of each strategic-merge patch among these.
pub(super) fn merged<'p>(patches: impl IntoIterator<Item = &'p Data>) -> impl Iterator<Item = (&'p str, &'p str)> {
    let merged = patches.into_iter().filter(|patch| !matches!(patch.value, Value::Sequence(_)));
    merged.map(|patch| (patch.text(&["kind"]), patch.text(&["metadata", "name"])))
}

/// The kustomizations of a snapshot, and what they include. Each is looked up where it is asked for.
pub(crate) struct Inclusions<'a> {
    pub(super) outline: Arc<Outline>,
    snapshot: &'a Snapshot,
}

impl<'a> Inclusions<'a> {
    pub(crate) fn of(snapshot: &'a Snapshot) -> Self {
        Inclusions::with(Arc::new(Outline::of(snapshot)), snapshot)
    }

    /// `outline`: what the snapshot's files say.
    pub(super) fn with(outline: Arc<Outline>, snapshot: &'a Snapshot) -> Self {
        Inclusions { outline, snapshot }
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
            match self.outline.parents(path) {
                Some(parents) => {
                    for kustomization in parents {
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
        self.in_file(self.outline.in_folder(folder)?)
    }

    fn in_file(&self, file: &str) -> Option<(&'a str, &'a Kustomization)> {
        let (file, scan) = self.snapshot.scans.get_key_value(file)?;
        let found = scan.documents.iter().find_map(|document| kustomization_of(file, document))?;
        Some((&**file, found))
    }

    /// The kustomizations that generate ConfigMaps, with their folders.
    pub(super) fn generating(&self) -> impl Iterator<Item = (&'a str, &'a Kustomization)> {
        self.outline.generating.keys().filter_map(|file| self.in_file(file)).map(|(file, found)| (folder(file), found))
    }

    /// The kustomizations with patches of their own, and not in files.
    pub(super) fn patching(&self) -> impl Iterator<Item = &'a Kustomization> {
        self.outline.patching.keys().filter_map(|file| self.in_file(file)).map(|(_, found)| found)
    }

    /// The folders with a kustomization whose path begins like this one, it among them.
    pub(super) fn folders_from(&self, path: &str) -> impl Iterator<Item = &'a str> {
        self.outline
            .kustomizations_from(path)
            .filter_map(|file| Some(folder(self.snapshot.scans.get_key_value(file)?.0)))
    }

    /// The files that kustomizations name as patches.
    pub(super) fn patches(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (file, kustomization) in self.outline.kustomizations().filter_map(|file| self.in_file(file)) {
            found.extend(kustomization.patch_files().filter_map(|patch| join(folder(file), patch)));
        }
        found
    }

    /// What the kustomization of a folder names as resources and components, it itself, and what these name in turn.
    pub(super) fn names_below(&self, folder: &str) -> HashSet<String> {
        let mut names = HashSet::from([folder.to_owned()]);
        let mut open = vec![folder.to_owned()];
        while let Some(path) = open.pop() {
            let Some((file, kustomization)) = self.in_folder(&path) else { continue };
            for name in kustomization.included() {
                let Some(path) = join(self::folder(file), name) else { continue };
                if names.insert(path.clone()) {
                    open.push(path);
                }
            }
        }
        names
    }

    /// The kustomization's file that leaves a file out: that of its folder; else the nearest above, where that names
    /// something beside the file.
    pub(super) fn left_out_by(&self, file: &str, folders: &mut NamedFolders<'a>) -> Option<&'a str> {
        if self.includes(file) || is_kustomization_file(file) {
            return None;
        }
        let own = folder(file);
        let above = folders_above(file).find(|above| self.outline.in_folder(above).is_some())?;
        let (kustomization, found) = self.in_folder(above)?;
        let named = || {
            let paths = found.included().filter_map(|name| join(above, name));
            paths.map(|path| self::folder(&path).to_owned()).collect()
        };
        let covers = above == own || folders.entry(kustomization).or_insert_with(named).contains(own);
        covers.then_some(kustomization)
    }

    /// Whether some kustomization names this path.
    pub(super) fn includes(&self, path: &str) -> bool {
        self.outline.parents(path).is_some()
    }
}

/// By a kustomization's file: the folders that it names something in.
pub(super) type NamedFolders<'a> = HashMap<&'a str, HashSet<String>>;

/// The folder of a path, and every folder that this lies in.
fn folders_above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(folder(path)), |above| (!above.is_empty()).then(|| folder(above)))
}

/// Of items in the order of their paths, those whose path begins with `start`: what lies below a folder is among them.
pub(super) fn beginning_with<'s, T>(sorted: &'s [T], start: &str, path: impl Fn(&T) -> &str) -> &'s [T] {
    let from = &sorted[sorted.partition_point(|item| path(item) < start)..];
    &from[..from.partition_point(|item| path(item).starts_with(start))]
}

/// What kustomize calls its files; in the order of their bytes, as everywhere: of several in a folder the first counts.
pub(super) const KUSTOMIZATION_FILES: [&str; 3] = ["Kustomization", "kustomization.yaml", "kustomization.yml"];

pub(super) fn is_kustomization_file(file: &str) -> bool {
    file.rsplit('/').next().is_some_and(|name| KUSTOMIZATION_FILES.contains(&name))
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
    let plain =
        |path: &str| path.as_bytes().split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."));
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
