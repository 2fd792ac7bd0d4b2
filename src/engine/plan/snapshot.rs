//! A tree of the config repository at one commit, materialised: its entries, and the scans of the files that can matter.

use super::{Files, Skip};
use crate::engine::{
    manifest::{FileKind, ImageLine, LineId, Position, Scan, ScanFinding},
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

    /// What would be a line and is none: comments that were meant as markers and bind nothing, fields that are there
    /// twice, files that could not be read.
    pub fn faults(&self) -> impl Iterator<Item = Skip> {
        let hides_a_line = |finding: &&ScanFinding| {
            finding.code.starts_with("marker-")
                || matches!(finding.code.as_str(), "duplicate-key" | "not-utf8" | "file-too-large")
        };
        self.scans.iter().flat_map(move |(file, scan)| {
            scan.findings.iter().filter(hides_a_line).map(|finding| Skip {
                file: file.clone(),
                position: finding.position,
                code: finding.code.clone().into(),
                reason: finding.message.clone(),
                policy: None,
            })
        })
    }

    /// Symbolic links that have a manifest's name: what they lead to is read where it lies, and nowhere else.
    pub fn links(&self) -> impl Iterator<Item = Skip> {
        let links = self.entries.iter().filter(|(file, entry)| {
            entry.kind == EntryKind::Symlink && FileKind::of(file).is_some() && !self.scans.contains_key(file)
        });
        links.map(|(file, _)| Skip {
            file: file.clone(),
            position: Position { line: 1, column: 1 },
            code: "symlink".into(),
            reason: "the file is a symbolic link: what it leads to is read and edited only where it lies itself".into(),
            policy: None,
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
