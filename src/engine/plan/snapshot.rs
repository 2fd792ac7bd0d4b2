//! A tree of the config repository at one commit, materialised: its entries, and the scans of the files that can matter.

use super::{Files, Skip};
use crate::engine::{
    manifest::{ImageLine, LineId, Scan},
    policy::Memo,
};
use std::sync::Arc;

/// What a tree's entry is. Only plain files are ever read or edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Symlink,
    Submodule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The blob's id; what a scan is cached by.
    pub blob: String,
    pub kind: EntryKind,
}

/// Pure data: planning never reads a file. A clone shares what it holds.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// `None` for a working tree that is no commit.
    pub commit: Option<String>,
    /// By path in the repository, `/`-separated.
    pub entries: Files<Entry>,
    /// Of the files that passed the byte search, by path.
    pub scans: Files<Arc<Scan>>,
    /// What was worked out for the snapshots that this one followed, so that it need not be again.
    pub memo: Arc<Memo>,
}

impl Snapshot {
    /// Every image line of every scanned file, with its file.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &Scan, &ImageLine)> {
        self.scans
            .iter()
            .flat_map(|(file, scan)| scan.lines.iter().map(move |line| (file.as_str(), scan.as_ref(), line)))
    }

    /// The comments that were meant as markers and bind nothing.
    pub fn faulty_markers(&self) -> impl Iterator<Item = Skip> {
        self.scans.iter().flat_map(|(file, scan)| {
            scan.findings.iter().filter(|finding| finding.code.starts_with("marker-")).map(|finding| Skip {
                file: file.clone(),
                position: finding.position,
                code: finding.code.clone().into(),
                reason: finding.message.clone(),
                policy: None,
            })
        })
    }

    /// The line with this identity, where the tree still has it.
    pub fn find(&self, id: &LineId) -> Option<(&Scan, &ImageLine)> {
        let scan = self.scans.get(&id.file)?;
        let line = scan.lines.iter().find(|line| scan.line_id(&id.file, line) == *id)?;
        Some((scan, line))
    }

    /// The id of a file's blob; empty where there is no such file.
    pub fn blob(&self, file: &str) -> &str {
        self.entries.get(file).map_or("", |entry| entry.blob.as_str())
    }
}
