//! What a file has of what dialects look for, told once when it is read: of thousands of files a look at each one's
//! documents takes longer than all that follows from it.

use super::{Document, Scan};

/// Whether there is any of a kind in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// Objects that are rendered, or patches that change them.
    pub rendered: bool,
    /// Lines with a marker.
    pub marked: bool,
    /// Annotated objects.
    pub annotated: bool,
    /// A `.flux.yaml`'s generator.
    pub generator: bool,
    /// A kustomization.
    pub kustomization: bool,
    /// One that generates ConfigMaps.
    pub generates: bool,
    /// One with inline patches.
    pub patches: bool,
    /// Objects that bring along other files.
    pub brings: bool,
}

impl Holds {
    pub(super) fn of(scan: &Scan) -> Self {
        let marked = scan.lines.iter().any(|line| line.marker.is_some());
        scan.documents.iter().fold(Holds { marked, ..Holds::default() }, |holds, document| holds.or(document))
    }

    fn or(self, document: &Document) -> Self {
        let kustomization = document.kustomization.as_deref();
        Holds {
            rendered: self.rendered || document.data().is_some(),
            annotated: self.annotated || !document.annotations.is_empty(),
            generator: self.generator || document.generator.is_some(),
            kustomization: self.kustomization || kustomization.is_some(),
            generates: self.generates || kustomization.is_some_and(|it| !it.config_maps.is_empty()),
            patches: self.patches || kustomization.is_some_and(|it| it.inline_patches().next().is_some()),
            brings: self.brings || !document.brings.is_empty(),
            ..self
        }
    }
}
