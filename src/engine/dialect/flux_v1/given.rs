//! Annotations of Flux v1, put over each other: of an object, of patches, of kustomizations.

use super::ANNOTATION_PREFIXES;
use crate::engine::manifest::Annotation;
use std::collections::HashMap;

/// An annotation of Flux v1, and the file that has it.
#[derive(Clone, Debug)]
pub(super) struct Given<'a> {
    pub file: &'a str,
    pub annotation: Annotation,
}

/// Those of an object. Of one key the last one counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Annotations<'a> {
    /// By key, each with how many were put before it.
    by_key: HashMap<String, (usize, Given<'a>)>,
    count: usize,
}

impl<'a> Annotations<'a> {
    /// Puts annotations over these; those of the same key give way.
    pub fn put(&mut self, file: &'a str, annotations: &[Annotation]) {
        for annotation in annotations {
            if ANNOTATION_PREFIXES.iter().any(|prefix| annotation.key.starts_with(prefix)) {
                let given = Given { file, annotation: annotation.clone() };
                self.by_key.insert(annotation.key.clone(), (self.count, given));
                self.count += 1;
            }
        }
    }

    pub fn remove(&mut self, key: &str) {
        self.by_key.remove(key);
    }

    pub fn clear(&mut self) {
        self.by_key.clear();
    }

    /// In the order in which they were put.
    pub fn in_order(&self) -> Vec<&Given<'a>> {
        let mut given: Vec<&(usize, Given<'a>)> = self.by_key.values().collect();
        given.sort_unstable_by_key(|(before, _)| *before);
        given.into_iter().map(|(_, given)| given).collect()
    }
}
