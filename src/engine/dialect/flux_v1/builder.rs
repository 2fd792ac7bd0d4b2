//! Builds the kustomizations of folders, each once, and no further than what is bounded.

use super::build::Built;
use crate::engine::{
    dialect::{
        extent::Extent,
        kustomize::{Inclusions, folder, join},
    },
    manifest::Kustomization,
    snapshot::Snapshot,
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// How often objects are taken over or changed for a kustomization that nothing includes.
const WORK_MAX: usize = 200_000;

/// What a folder's kustomization builds.
#[derive(Default)]
pub(super) struct BuiltFolder<'a> {
    pub objects: Vec<Built<'a>>,
    /// Why this is not all, and nothing of it to be relied on.
    pub fault: Option<String>,
}

/// Builds folders, each once.
pub(super) struct Builder<'k, 'a> {
    snapshot: &'a Snapshot,
    kustomizations: &'k Inclusions<'a>,
    built: HashMap<&'a str, Arc<BuiltFolder<'a>>>,
    /// The files of patches that were met.
    pub patches: BTreeSet<String>,
    extent: Extent<'a>,
}

impl<'k, 'a> Builder<'k, 'a> {
    pub fn new(snapshot: &'a Snapshot, kustomizations: &'k Inclusions<'a>) -> Self {
        Builder {
            snapshot,
            kustomizations,
            built: HashMap::new(),
            patches: BTreeSet::new(),
            extent: Extent::new(WORK_MAX),
        }
    }

    /// What a folder's kustomization builds; nothing where it has none.
    pub fn folder(&mut self, path: &str) -> Arc<BuiltFolder<'a>> {
        let Some((file, kustomization)) = self.kustomizations.in_folder(path) else { return Arc::default() };
        let here = folder(file);
        if let Some(built) = self.built.get(here) {
            return built.clone();
        }
        // Kustomizations that include each other end here.
        self.built.insert(here, Arc::default());
        let mut made = BuiltFolder::default();
        if let Err(why) = self.collect(file, kustomization, &mut made.objects) {
            let objects = std::mem::take(&mut made.objects).into_iter();
            made = BuiltFolder { objects: objects.map(|object| object.left_alone(&why)).collect(), fault: Some(why) };
        }
        let built = Arc::new(made);
        self.built.insert(here, built.clone());
        built
    }

    /// Resources, then components, then what the kustomization itself does: kustomize's order.
    ///
    /// # Errors
    /// Why not all of it is there.
    fn collect(
        &mut self,
        file: &'a str,
        kustomization: &'a Kustomization,
        objects: &mut Vec<Built<'a>>,
    ) -> Result<(), String> {
        self.extent.enter(file)?;
        let done = self.collect_open(file, kustomization, objects);
        self.extent.leave();
        done
    }

    fn collect_open(
        &mut self,
        file: &'a str,
        kustomization: &'a Kustomization,
        objects: &mut Vec<Built<'a>>,
    ) -> Result<(), String> {
        self.patches.extend(kustomization.patch_files().filter_map(|patch| join(folder(file), patch)));
        let mut fault = Ok(());
        for path in kustomization.resources.iter().filter_map(|resource| join(folder(file), resource)) {
            if self.kustomizations.in_folder(&path).is_some() {
                let below = self.folder(&path);
                self.extent.spend(file, below.objects.len())?;
                objects.extend(below.objects.iter().cloned());
                fault = fault.and(below.fault.clone().map_or(Ok(()), Err));
            } else if let Some((path, scan)) = self.snapshot.scans.get_key_value(&path) {
                self.extent.spend(file, scan.documents.len())?;
                objects.extend((0..scan.documents.len()).filter_map(|number| Built::of(path, scan, number)));
            }
        }
        fault?;
        for component in kustomization.components.iter().filter_map(|component| join(folder(file), component)) {
            if let Some((file, kustomization)) = self.kustomizations.in_folder(&component) {
                self.collect(file, kustomization, objects)?;
            }
        }
        self.extent.spend(file, objects.len())?;
        for object in objects {
            object.transform(self.snapshot, file, kustomization);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::Files;

    const OBJECT: &str = "kind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {containers: [{name: c, image: 'r.io/d:1'}]}}}\n";

    /// `count` folders, each with what `text` says of its number.
    fn folders(count: usize, text: impl Fn(usize) -> String) -> Files {
        let mut files = Files::of([("d.yaml", OBJECT)]);
        files.0.extend((0..count).map(|number| (format!("{number}/kustomization.yaml"), text(number))));
        files
    }

    /// What is built of folder 0: how many objects, how many of them are left alone, why, and how much work that was.
    fn built(files: &Files) -> (usize, usize, String, usize) {
        let snapshot = files.snapshot();
        let kustomizations = Inclusions::of(&snapshot);
        let mut builder = Builder::new(&snapshot, &kustomizations);
        let folder = builder.folder("0");
        let left_alone = folder.objects.iter().filter(|object| object.unclear.is_some()).count();
        (folder.objects.len(), left_alone, folder.fault.clone().unwrap_or_default(), builder.extent.work())
    }

    #[test]
    fn kustomizations_without_end_are_not_followed() {
        let all = |count: usize| (0..count).map(|number| format!("../{number}")).collect::<Vec<_>>().join(", ");
        let next = |number: usize| number + 1;
        #[rustfmt::skip]
        let cases = [
            ("plain", folders(1, |_| "resources: [../d.yaml]\n".into()), (1, 0), "", 6),
            ("one component twice", folders(2, |n| ["resources: [../d.yaml]\ncomponents: [../1, ../1]\n", "kind: Component\nnamePrefix: x-\n"][n].into()), (1, 0), "", 20),
            ("each includes all", folders(10, |_| format!("kind: Component\nresources: [../d.yaml]\ncomponents: [{}]\n", all(10))), (1, 1), "0/kustomization.yaml is a component of itself", 20),
            ("each includes all but itself", folders(10, |n| format!("kind: Component\nresources: [../d.yaml]\ncomponents: [{}]\n", all(10).replace(&format!("../{n}"), "../x"))), (2, 2), "0/kustomization.yaml is a component of itself", 20),
            ("components that double", folders(40, |n| format!("resources: [../d.yaml]\ncomponents: [../{0}, ../{0}]\n", next(n))), (0, 0), "kustomizations include each other so often", 2 * WORK_MAX),
            ("resources that double", folders(40, |n| format!("resources: [../d.yaml, ../{0}, ../{0}]\n", next(n))), (0, 0), "kustomizations include each other so often", 2 * WORK_MAX),
            ("many levels", folders(50, |n| format!("resources: [../d.yaml, ../{}]\n", next(n))), (50, 0), "", 5_000),
            ("very many levels", folders(20_000, |n| format!("resources: [../d.yaml, ../{}]\n", next(n))), (64, 64), "64/kustomization.yaml is included more than 64 levels deep", 5_000),
        ];
        for (what, files, (objects, left_alone), why, work) in cases {
            let found = built(&files);
            assert!(found.2.starts_with(why) && found.2.is_empty() == why.is_empty(), "{what}: {found:?}");
            assert!(found.3 <= work, "{what}: {found:?}");
            if !why.contains("so often") {
                assert_eq!((found.0, found.1), (objects, left_alone), "{what}: {found:?}");
            }
            assert!(why.is_empty() || found.0 == found.1, "{what}: nothing of it is to be relied on: {found:?}");
        }
    }
}
