//! Where dialects look: which files hold what, and which files name which. Told by each file alone, so it is kept while
//! the files that changed say the same of it: putting together what a snapshot means then never goes through all files.

use super::kustomize::{KUSTOMIZATION_FILES, folder, is_kustomization_file, join};
use crate::engine::{
    manifest::{Document, Holds, Kustomization, Scan},
    snapshot::{Files, Shards, Snapshot},
};
use std::sync::Arc;

/// A file's path, or the path of a folder or file that is named somewhere.
type Path = Arc<str>;

/// Files, each once.
type Paths = Files<()>;

/// Of one snapshot, or of several that say the same of it. All lists are in the order of the files' paths; a clone shares
/// what it does not change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outline {
    /// By folder, in order: the file of its kustomization, which is the first one there.
    kustomizations: Files<Path>,
    /// The same, to be looked up.
    folders: Shards<Path>,
    /// Those that generate ConfigMaps.
    pub generating: Paths,
    /// Those with inline patches.
    pub patching: Paths,
    /// By included path (a file, or a folder with a kustomization): the kustomizations' files that name it.
    parents: Shards<Vec<Path>>,
    /// By path of a file or folder: the files whose objects bring it along (charts, values files).
    brought: Shards<Vec<Path>>,
    /// Files with objects that are rendered, or with patches that change them.
    pub rendered: Paths,
    /// Files with lines that have a marker.
    pub marked: Paths,
    /// Files with annotated objects.
    pub annotated: Paths,
    /// `.flux.yaml`s.
    pub generators: Paths,
}

impl Outline {
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut outline = Outline::default();
        for (file, scan) in &snapshot.scans {
            outline.add(file, scan);
        }
        outline.kustomizations = outline.folders.iter().map(|(folder, file)| (folder.into(), file.clone())).collect();
        outline
    }

    /// The outline of `after`, where this is that of `before`, and the two differ in `changed` files at most.
    pub fn follow<'p>(
        self: &Arc<Self>,
        before: &Snapshot,
        after: &Snapshot,
        changed: impl Iterator<Item = &'p str>,
    ) -> Arc<Self> {
        let mut outline = self.clone();
        for file in changed {
            let (old, new) = (before.scans.get(file), after.scans.get(file));
            if !says_the_same(file, old.map(AsRef::as_ref), new.map(AsRef::as_ref)) {
                let outline = Arc::make_mut(&mut outline);
                if let Some(scan) = old {
                    outline.remove(file, scan);
                }
                if let Some((file, scan)) = after.scans.get_key_value(file) {
                    outline.add(file, scan);
                }
                outline.settle(folder(file), after);
            }
        }
        outline
    }

    /// The lists that name a file for what it holds.
    fn lists(&mut self, scan: &Scan) -> impl Iterator<Item = &mut Paths> {
        let Holds { rendered, marked, annotated, generator, generates, patches, .. } = scan.holds;
        let lists = [
            (rendered, &mut self.rendered),
            (marked, &mut self.marked),
            (annotated, &mut self.annotated),
            (generator, &mut self.generators),
            (generates, &mut self.generating),
            (patches, &mut self.patching),
        ];
        lists.into_iter().filter(|(holds, _)| *holds).map(|(_, list)| list)
    }

    fn add(&mut self, file: &Path, scan: &Scan) {
        self.lists(scan).for_each(|list| {
            list.insert(file.clone(), ());
        });
        if !scan.holds.kustomization && !scan.holds.brings {
            return;
        }
        for document in &scan.documents {
            brought_by(file, document).for_each(|brought| insert(&mut self.brought, brought, file));
            let Some(kustomization) = kustomization_of(file, document) else { continue };
            if self.folders.get(folder(file)).is_none() {
                self.folders.insert(folder(file), file.clone());
            }
            included_by(file, kustomization).for_each(|included| insert(&mut self.parents, included, file));
        }
    }

    fn remove(&mut self, file: &str, scan: &Scan) {
        self.lists(scan).for_each(|list| {
            list.remove(file);
        });
        for document in &scan.documents {
            brought_by(file, document).for_each(|brought| remove(&mut self.brought, &brought, file));
            if let Some(kustomization) = kustomization_of(file, document) {
                included_by(file, kustomization).for_each(|included| remove(&mut self.parents, &included, file));
            }
        }
    }

    /// Finds out anew which file holds a folder's kustomization.
    fn settle(&mut self, of: &str, snapshot: &Snapshot) {
        let found = KUSTOMIZATION_FILES.iter().find_map(|name| {
            let (file, scan) = snapshot.scans.get_key_value(&join(of, name)?)?;
            scan.documents.iter().any(|document| kustomization_of(file, document).is_some()).then_some(file)
        });
        match found {
            Some(file) => {
                self.kustomizations.insert(of.into(), file.clone());
                self.folders.insert(of, file.clone());
            }
            None => {
                self.kustomizations.remove(of);
                self.folders.remove(of);
            }
        }
    }

    /// The files of all folders' kustomizations, in the order of the folders.
    pub fn kustomizations(&self) -> impl Iterator<Item = &Path> {
        self.kustomizations.values()
    }

    /// Those of the folders whose path begins like this one.
    pub fn kustomizations_from(&self, path: &str) -> impl Iterator<Item = &Path> {
        self.kustomizations.range(path).take_while(move |(folder, _)| folder.starts_with(path)).map(|(_, file)| file)
    }

    /// The file of a folder's kustomization.
    pub fn in_folder(&self, folder: &str) -> Option<&Path> {
        self.folders.get(folder)
    }

    /// The kustomizations' files that name a path; `None` where none does.
    pub fn parents(&self, path: &str) -> Option<&[Path]> {
        self.parents.get(path).map(Vec::as_slice)
    }

    /// The files whose objects bring a path along.
    pub fn bringers(&self, path: &str) -> &[Path] {
        self.brought.get(path).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Whether a file that changed says what it said.
fn says_the_same(file: &str, before: Option<&Scan>, after: Option<&Scan>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return before.is_none() && after.is_none() };
    let kustomizations = |scan: &'_ Scan| {
        let found = scan.documents.iter().filter_map(|document| kustomization_of(file, document));
        found.map(|kustomization| named_by(kustomization).map(String::from).collect()).collect::<Vec<Vec<_>>>()
    };
    let brings = |scan: &'_ Scan| {
        let documents = scan.documents.iter().filter(|document| !document.brings.is_empty());
        documents.map(|document| (document.kind.is_empty(), document.brings.clone())).collect::<Vec<_>>()
    };
    before.holds == after.holds && kustomizations(before) == kustomizations(after) && brings(before) == brings(after)
}

/// Lists are in order, and name a file once.
fn insert(lists: &mut Shards<Vec<Path>>, named: String, file: &Path) {
    let insert = |list: &mut Vec<Path>| {
        if let Err(at) = list.binary_search(file) {
            // Mostly the only one.
            if list.is_empty() {
                list.reserve_exact(1);
            }
            list.insert(at, file.clone());
        }
    };
    lists.change(named, insert, |_| true);
}

fn remove(lists: &mut Shards<Vec<Path>>, named: &str, file: &str) {
    let remove = |list: &mut Vec<Path>| {
        if let Ok(at) = list.binary_search_by(|other| (**other).cmp(file)) {
            list.remove(at);
        }
    };
    lists.change(named, remove, |list| !list.is_empty());
}

/// What the objects of a document bring along.
fn brought_by<'d>(file: &'d str, document: &'d Document) -> impl Iterator<Item = String> + 'd {
    // Charts name their dependencies from their own folder, all else from the root.
    let from = if document.kind.is_empty() { folder(file) } else { "" };
    document.brings.iter().filter_map(move |path| join(from, path))
}

/// What a kustomization includes, as paths of the repository.
fn included_by<'d>(file: &'d str, kustomization: &'d Kustomization) -> impl Iterator<Item = String> + 'd {
    named_by(kustomization).filter_map(move |path| join(folder(file), path))
}

/// Only files of these names are kustomizations to kustomize; others are somebody's templates.
pub(super) fn kustomization_of<'d>(file: &str, document: &'d Document) -> Option<&'d Kustomization> {
    document.kustomization.as_deref().filter(|_| is_kustomization_file(file))
}

/// Everything that a kustomization includes, or reads.
fn named_by(kustomization: &Kustomization) -> impl Iterator<Item = &str> {
    let read = kustomization.patch_files().chain(&kustomization.files);
    kustomization.included().chain(read).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::Files;
    use proptest::prelude::*;

    const PATHS: [&str; 8] = [
        "a.yaml",
        "a/Kustomization",
        "a/app.yaml",
        "a/kustomization.yaml",
        "a/kustomization.yml",
        "b/.flux.yaml",
        "b/kustomization.yaml",
        "kustomization.yaml",
    ];
    const TEXTS: [&str; 9] = [
        "",
        "kind: Namespace\n",
        "resources: [app.yaml, ../a.yaml, ../a, app.yaml]\n",
        "resources: [../a]\n---\nresources: [../a, ../b]\n",
        "patches: [{patch: '{kind: A}'}]\nconfigMapGenerator: [{name: a, literals: [a=b]}]\n",
        "image: a:1 # {\"$imagepolicy\": \"a:b\"}\n",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: a, annotations: {a: b}}\n",
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: a}\nspec: {chart: {spec: {chart: ./a, sourceRef: {kind: GitRepository, name: a}}}}\n",
        "version: 1\npatchUpdated: {generators: [{command: kustomize build .}], patchFile: a.yaml}\n",
    ];

    proptest! {
        /// However files change, what is said of them is what would be said by looking at all.
        #[test]
        fn follows_as_it_would_be_made_anew(
            start in proptest::collection::vec(0..TEXTS.len(), PATHS.len()),
            changes in proptest::collection::vec((0..PATHS.len(), 0..TEXTS.len()), 1..12),
        ) {
            let put = |files: &mut Files, path: usize, text: usize| match TEXTS[text] {
                "" => drop(files.0.remove(PATHS[path])),
                text => drop(files.0.insert(PATHS[path].to_owned(), text.to_owned())),
            };
            let mut files = Files::default();
            start.iter().enumerate().for_each(|(path, text)| put(&mut files, path, *text));
            let mut before = files.snapshot();
            let mut outline = Arc::new(Outline::of(&before));
            for change in changes.chunks(2) {
                change.iter().for_each(|(path, text)| put(&mut files, *path, *text));
                let after = files.snapshot();
                outline = outline.follow(&before, &after, change.iter().map(|(path, _)| PATHS[*path]));
                prop_assert_eq!(&*outline, &Outline::of(&after));
                before = after;
            }
        }
    }
}
