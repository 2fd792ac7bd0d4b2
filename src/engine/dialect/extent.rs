//! How far kustomizations are followed. kustomize itself ends with an error where one includes itself, and not at all where
//! each of a chain includes the next one twice: what a repository says must not decide how long its reader works.

/// How deep kustomizations may include each other.
pub(super) const DEPTH_MAX: usize = 64;

/// What one builder follows.
pub(super) struct Extent<'a> {
    /// The kustomizations that are being built, the outermost first.
    open: Vec<&'a str>,
    /// How often objects were taken over or changed by a kustomization, for the outermost one that is being built.
    work: usize,
    most: usize,
    /// The same for all that were built.
    all: usize,
}

/// How many times what one may cost all may cost together: one that multiplies leaves the others enough.
const ALL: usize = 20;

impl<'a> Extent<'a> {
    /// `most`: how often objects may be taken over or changed for one that nothing else includes.
    pub fn new(most: usize) -> Self {
        Extent { open: Vec::new(), work: 0, most, all: 0 }
    }

    /// Begins with a kustomization.
    ///
    /// # Errors
    /// Why it is not followed.
    pub fn enter(&mut self, file: &'a str) -> Result<(), String> {
        if self.open.is_empty() {
            self.work = 0;
        }
        if self.open.contains(&file) {
            return Err(format!("{file} is a component of itself, which kustomize refuses: include it once"));
        }
        if self.is_deep() {
            return Err(too_deep(file));
        }
        self.spend(file, 0)?;
        self.open.push(file);
        Ok(())
    }

    /// Ends with the kustomization that was begun last.
    pub fn leave(&mut self) {
        self.open.pop();
    }

    /// Whether no kustomization below is followed.
    pub fn is_deep(&self) -> bool {
        self.open.len() >= DEPTH_MAX
    }

    /// Counts what is to be done for a kustomization, itself among it.
    ///
    /// # Errors
    /// Why it is not to be done.
    pub fn spend(&mut self, file: &str, objects: usize) -> Result<(), String> {
        self.work += 1 + objects;
        self.all += 1 + objects;
        match self.work <= self.most && self.all <= ALL * self.most {
            true => Ok(()),
            false => Err(format!(
                "kustomizations include each other so often, or so much, that {file} is not followed any more: include \
                 each once, or take the repository apart"
            )),
        }
    }

    #[cfg(test)]
    pub fn work(&self) -> usize {
        self.work
    }
}

pub(super) fn too_deep(file: &str) -> String {
    format!("{file} is included more than {DEPTH_MAX} levels deep, where kustomizations are not followed any more")
}
