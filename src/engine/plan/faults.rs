//! What a snapshot has that looks like a line and is none, and what was not read: skipped, with the reason.

use super::{EntryKind, Skip, Snapshot};
use crate::engine::manifest::{FileKind, Position, ScanFinding};

impl Snapshot {
    /// What would be a line and is none: comments that were meant as markers and bind nothing, fields that are there
    /// twice, files that could not be read, or are no YAML and speak to butler.
    pub fn faults(&self) -> impl Iterator<Item = Skip> {
        let hides_a_line = |finding: &&ScanFinding| {
            finding.code.starts_with("marker-")
                || matches!(finding.code.as_str(), "duplicate-key" | "file-too-large" | "not-utf8" | "yaml-invalid")
        };
        self.scans.noted().flat_map(move |(file, scan)| {
            scan.findings.iter().filter(hides_a_line).map(|finding| Skip {
                file: file.to_string(),
                position: finding.position,
                code: finding.code.clone().into(),
                reason: finding.message.clone(),
                policy: None,
            })
        })
    }

    /// What has a manifest's name and is not read: symbolic links (what they lead to is read where it lies, and nowhere
    /// else), and files that edits could not name.
    pub fn unread(&self) -> impl Iterator<Item = Skip> {
        let why = |kind| match kind {
            EntryKind::File | EntryKind::Submodule => None,
            EntryKind::Symlink => Some((
                "symlink",
                "the file is a symbolic link: what it leads to is read and edited only where it lies itself",
            )),
            EntryKind::Misnamed => Some((
                "path-not-utf8",
                "expected a path in UTF-8, found other bytes (shown as \\xNN): the file is skipped; rename it",
            )),
        };
        self.entries.noted().filter_map(move |(file, entry)| {
            let (code, reason) = why(entry.kind)?;
            if FileKind::of(file).is_none() || self.scans.contains_key(file) {
                return None;
            }
            Some(Skip {
                file: file.to_string(),
                position: Position { line: 1, column: 1 },
                code: code.into(),
                reason: reason.into(),
                policy: None,
            })
        })
    }
}
