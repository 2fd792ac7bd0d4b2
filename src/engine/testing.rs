//! Snapshots from small texts, for tests.

use super::{
    manifest::{FileKind, LineId, is_candidate, scan},
    plan::{Change, rewritten},
    snapshot::{Entry, EntryKind, Snapshot},
};
use proptest::test_runner::Config as ProptestConfig;
use std::{collections::BTreeMap, sync::Arc};

/// A repository in memory: its files' texts by path.
#[derive(Clone, Debug, Default)]
pub struct Files(pub BTreeMap<String, String>);

impl Files {
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Files(files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect())
    }

    /// The same with other files, or other texts.
    pub fn with<'a>(mut self, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.0.extend(files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())));
        self
    }

    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot { commit: Some("c0ffee".into()), ..Snapshot::default() };
        for (path, text) in &self.0 {
            // Any id will do that differs where the text does.
            snapshot.entries.insert(path.as_str().into(), Entry { blob: text.as_str().into(), kind: EntryKind::File });
            if let Some(kind) = FileKind::of(path).filter(|kind| is_candidate(*kind, text.as_bytes())) {
                snapshot.scans.insert(path.as_str().into(), Arc::new(scan(kind, text.as_bytes())));
            }
        }
        snapshot
    }

    /// The files after these changes.
    pub fn after(&self, changes: &[Change]) -> Self {
        let read = |file: &str, blob: &str| -> Result<_, crate::engine::manifest::EditError> {
            assert_eq!(self.0[file], blob, "{file} was planned on another text");
            Ok(self.0[file].clone().into_bytes())
        };
        let written = rewritten(changes, read).unwrap();
        let mut after = self.clone();
        after.0.extend(written.into_iter().map(|(file, bytes)| (file, String::from_utf8(bytes).unwrap())));
        after
    }
}

/// As many cases of a property, or more where `PROPTEST_CASES` asks for them.
pub fn at_least(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(cases), ..default }
}

/// The identity of a file's only image line.
pub fn only_line(snapshot: &Snapshot, file: &str) -> LineId {
    let scan = snapshot.scans.get(file).unwrap();
    let [line] = &scan.lines[..] else { panic!("one line in {file}: {:?}", scan.lines) };
    scan.line_id(file, line)
}
