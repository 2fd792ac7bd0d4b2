//! What a Flux Kustomization adds to the folder that it applies.

use super::{
    build::{Builder, tell},
    layer::Layer,
    object::Object,
};
use crate::engine::manifest::{FluxKustomization, Kustomization};
use std::collections::BTreeSet;

/// What a Flux Kustomization writes into the kustomization of the folder that it applies, and the files that make it
/// what it is.
pub(super) struct Applied<'o, 'a> {
    pub spec: &'o FluxKustomization,
    pub owners: &'o BTreeSet<&'a str>,
}

impl Applied<'_, '_> {
    fn changes_nothing(&self) -> bool {
        let FluxKustomization { target_namespace, name_prefix, name_suffix, patches, components, .. } = self.spec;
        target_namespace.is_none()
            && name_prefix.is_empty()
            && name_suffix.is_empty()
            && patches.is_empty()
            && components.is_empty()
    }
}

impl<'a> Builder<'a> {
    /// The objects of a folder's kustomization into which Flux has written what a Flux Kustomization says.
    pub fn applied(&mut self, path: &str, applied: &Applied<'_, 'a>) -> Vec<Object<'a>> {
        let built = self.folder(path);
        let mut objects = Vec::new();
        match self.kustomizations.in_folder(path) {
            Some((file, kustomization)) if !applied.changes_nothing() => {
                let done = self.collect(file, kustomization, Some(applied), &mut objects);
                tell(&mut objects, done);
            }
            _ => objects.extend(built.iter().cloned()),
        }
        objects
    }

    /// The same where Flux writes the folder's kustomization itself, with these resources.
    pub fn generated(&mut self, path: &str, applied: &Applied<'_, 'a>, objects: &mut Vec<Object<'a>>) {
        let done = self.components(path, &applied.spec.components, objects);
        tell(objects, done);
        let kustomization = Kustomization::default();
        let layer = Layer { here: path, kustomization: &kustomization, by: BTreeSet::new(), applied: Some(applied) };
        layer.transform(self.snapshot, objects);
    }
}
