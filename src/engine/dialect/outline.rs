//! Where dialects look: which files hold what, and which files name which. Told by each file alone, so it is kept while
//! the files that changed say the same of it: putting together what a snapshot means then never goes through all files.

use super::kustomize::{folder, is_kustomization_file, join};
use crate::engine::{
    manifest::{Document, Kustomization, PatchSource, Scan},
    plan::Snapshot,
};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

/// A file's path, or the path of a folder or file that is named somewhere.
type Path = Arc<str>;

/// Of one snapshot, or of several that say the same of it. All lists are in the order of the files' paths.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outline {
    /// Files with kustomizations, in the order of their folders: the first one of each.
    pub kustomizations: Vec<Path>,
    /// By folder: the place in `kustomizations`.
    folders: HashMap<Box<str>, usize>,
    /// By included path (a file, or a folder with a kustomization): the kustomizations' files that name it.
    parents: HashMap<Box<str>, Vec<Path>>,
    /// By path of a file or folder: the files whose objects bring it along (charts, values files).
    brought: HashMap<Box<str>, Vec<Path>>,
    /// Files with objects that are rendered, or with operations that change them.
    pub rendered: Vec<Path>,
    /// Files with lines that have a marker.
    pub marked: Vec<Path>,
    /// Files with annotated objects.
    pub annotated: Vec<Path>,
    /// `.flux.yaml`s.
    pub generators: Vec<Path>,
}

/// What a file has of what is listed.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Holds {
    rendered: bool,
    marked: bool,
    annotated: bool,
    generator: bool,
}

impl Holds {
    fn of(scan: &Scan) -> Self {
        let any = |has: fn(&Document) -> bool| scan.documents.iter().any(has);
        Holds {
            rendered: any(|document| document.content.is_some()),
            marked: scan.lines.iter().any(|line| line.marker.is_some()),
            annotated: any(|document| !document.annotations.is_empty()),
            generator: any(|document| document.generator.is_some()),
        }
    }
}

impl Outline {
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut outline = Outline::default();
        for (file, scan) in &snapshot.scans {
            outline.add(file, scan);
        }
        outline.kustomizations.sort_unstable_by(|a, b| folder(a).cmp(folder(b)));
        let folders = outline.kustomizations.iter().enumerate();
        outline.folders = folders.map(|(at, file)| (folder(file).into(), at)).collect();
        outline
    }

    fn add(&mut self, file: &Path, scan: &Scan) {
        let Holds { rendered, marked, annotated, generator } = Holds::of(scan);
        let lists = [
            (rendered, &mut self.rendered),
            (marked, &mut self.marked),
            (annotated, &mut self.annotated),
            (generator, &mut self.generators),
        ];
        for (_, list) in lists.into_iter().filter(|(holds, _)| *holds) {
            list.push(file.clone());
        }
        for document in &scan.documents {
            // Charts name their dependencies from their own folder, all else from the root.
            let from = if document.kind.is_empty() { folder(file) } else { "" };
            for brought in document.brings.iter().filter_map(|path| join(from, path)) {
                note(&mut self.brought, brought, file);
            }
            let Some(kustomization) = kustomization_of(file, document) else { continue };
            if let Entry::Vacant(vacant) = self.folders.entry(folder(file).into()) {
                vacant.insert(0);
                self.kustomizations.push(file.clone());
            }
            for included in named_by(kustomization).filter_map(|path| join(folder(file), path)) {
                note(&mut self.parents, included, file);
            }
        }
    }

    /// Whether a file that changed says what it said.
    pub fn says_the_same(file: &str, before: Option<&Scan>, after: Option<&Scan>) -> bool {
        let (Some(before), Some(after)) = (before, after) else { return before.is_none() && after.is_none() };
        let kustomizations = |scan: &'_ Scan| {
            let found = scan.documents.iter().filter_map(|document| kustomization_of(file, document));
            found.map(|kustomization| named_by(kustomization).map(String::from).collect()).collect::<Vec<Vec<_>>>()
        };
        let brings = |scan: &'_ Scan| {
            let documents = scan.documents.iter().filter(|document| !document.brings.is_empty());
            documents.map(|document| (document.kind.is_empty(), document.brings.clone())).collect::<Vec<_>>()
        };
        Holds::of(before) == Holds::of(after)
            && kustomizations(before) == kustomizations(after)
            && brings(before) == brings(after)
    }

    /// The place in `kustomizations` of a folder's.
    pub fn in_folder(&self, folder: &str) -> Option<usize> {
        self.folders.get(folder).copied()
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

/// Files come in order, and may name a path more than once.
fn note(map: &mut HashMap<Box<str>, Vec<Path>>, named: String, by: &Path) {
    let files = map.entry(named.into_boxed_str()).or_default();
    if files.last() != Some(by) {
        files.push(by.clone());
    }
}

/// Only files of these names are kustomizations to kustomize; others are somebody's templates.
pub(super) fn kustomization_of<'d>(file: &str, document: &'d Document) -> Option<&'d Kustomization> {
    document.kustomization.as_deref().filter(|_| is_kustomization_file(file))
}

/// Everything that a kustomization includes, or reads.
fn named_by(kustomization: &Kustomization) -> impl Iterator<Item = &str> {
    let patches = kustomization.patches.iter().filter_map(|patch| match &patch.source {
        PatchSource::File(file) => Some(file),
        PatchSource::Inline(_) => None,
    });
    let parts = kustomization.resources.iter().chain(&kustomization.components);
    parts.chain(patches).chain(&kustomization.files).map(String::as_str)
}
