//! The image lines that follow policies. What is bound in a file is shared with the bindings that it was taken over from,
//! and with it what a plan saw of its lines.

use super::Binding;
use crate::engine::{
    manifest::Scan,
    snapshot::{Notable, Noted},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Bindings by file and line; a line may be bound more than once ([`super::conflict`]).
#[derive(Clone, Default)]
pub struct Lines(Noted<FileLines>);

/// What is bound in one file.
#[derive(Clone, Debug)]
pub(crate) struct FileLines(Arc<[Bound]>);

/// A binding, and whether its line was seen to hold what its policy wants.
#[derive(Debug)]
pub(crate) struct Bound {
    pub binding: Binding,
    pub settled: Settled,
}

/// A memory of plans, which only ever saves time: until the file or the choice changes, the line is not looked at again.
#[derive(Debug, Default)]
pub(crate) struct Settled(Mutex<Option<Seen>>);

/// Both are held, so that nothing else can have their addresses.
#[derive(Debug)]
struct Seen {
    scan: Arc<Scan>,
    choice: Arc<str>,
}

impl Settled {
    /// `choice`: the reason of the choice that stands on the line, as the memo of choices has it.
    pub fn set(&self, scan: &Arc<Scan>, choice: &Arc<str>) {
        let seen = Seen { scan: scan.clone(), choice: choice.clone() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }

    /// Whether the line was seen to hold what a choice wants, where `is_choice` knows it again.
    pub fn is_of(&self, scan: &Arc<Scan>, is_choice: impl FnOnce(&Arc<str>) -> bool) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref().is_some_and(|seen| Arc::ptr_eq(&seen.scan, scan) && is_choice(&seen.choice))
    }
}

impl Bound {
    fn new(binding: Binding) -> Self {
        Bound { binding, settled: Settled::default() }
    }
}

impl FileLines {
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.0.iter().map(|bound| &bound.binding)
    }

    /// The bindings of each line.
    pub fn by_line(&self) -> impl Iterator<Item = &[Bound]> {
        self.0.chunk_by(|a, b| a.binding.line == b.binding.line)
    }
}

/// Lines whose policy could not be told are to be looked up again, whatever changes.
impl Notable for FileLines {
    fn is_noted(&self) -> bool {
        self.bindings().any(|binding| binding.policy.is_err())
    }
}

impl Lines {
    /// In the order of files and lines.
    pub fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.0.values().flat_map(FileLines::bindings)
    }

    /// How many bindings there are.
    pub fn len(&self) -> usize {
        self.0.values().map(|lines| lines.0.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is bound in each file, in the order of the files.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Arc<str>, &FileLines)> {
        self.0.iter()
    }

    /// The files with lines whose policy could not be told.
    pub(super) fn unresolved(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.noted().map(|(file, _)| file)
    }

    /// What is bound in a file.
    pub(super) fn of(&self, file: &str) -> Option<&FileLines> {
        self.0.get(file)
    }

    /// Binds a file's lines anew; `bindings` are in the order of the lines.
    pub(super) fn set(&mut self, file: Arc<str>, bindings: Vec<Binding>) {
        match bindings.is_empty() {
            true => self.0.remove(&file),
            false => self.0.insert(file, in_file(bindings)),
        };
    }

    pub(super) fn remove(&mut self, file: &str) {
        self.0.remove(file);
    }

    /// Binds more lines, in files that may have some.
    pub(super) fn extend(&mut self, bindings: Vec<Binding>) {
        let mut by_file: BTreeMap<Arc<str>, Vec<Binding>> = BTreeMap::new();
        for binding in bindings {
            by_file.entry(binding.file.clone()).or_default().push(binding);
        }
        for (file, more) in by_file {
            let mut bindings: Vec<Binding> =
                self.of(&file).into_iter().flat_map(FileLines::bindings).cloned().collect();
            bindings.extend(more);
            bindings.sort_by_key(|binding| binding.line);
            self.set(file, bindings);
        }
    }
}

fn in_file(bindings: Vec<Binding>) -> FileLines {
    FileLines(bindings.into_iter().map(Bound::new).collect())
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// In the order of files and lines.
impl FromIterator<(Arc<str>, Vec<Binding>)> for Lines {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Vec<Binding>)>>(files: I) -> Self {
        let bound = files.into_iter().filter(|(_, bindings)| !bindings.is_empty());
        Lines(bound.map(|(file, bindings)| (file, in_file(bindings))).collect())
    }
}
