//! A tree of the config repository at one commit, materialised: its entries, and the scans of the files that can matter.

mod files;
mod noted;
mod shards;

pub use files::{Files, Lookup};
pub use noted::{Notable, Noted};
pub(crate) use shards::Shards;

use super::{
    manifest::{ImageLine, LineId, Scan},
    policy::Memo,
};
use std::{borrow::Cow, sync::Arc};

/// What a tree's entry is. Only plain files are ever read or edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Symlink,
    Submodule,
    /// A file whose path is no UTF-8: it is called by the path with such bytes escaped ([`shown_name`]).
    Misnamed,
}

/// A file's or a folder's name, borrowed where it is UTF-8; else with the other bytes as `\xE9`.
pub fn shown_name(name: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(name) {
        Ok(name) => Cow::Borrowed(name),
        Err(_) => {
            let escaped = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02X}")).collect::<String>();
            let parts = name.utf8_chunks().map(|chunk| format!("{}{}", chunk.valid(), escaped(chunk.invalid())));
            Cow::Owned(parts.collect())
        }
    }
}

/// A file of a tree, or what stands in a file's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The blob's id; what a scan is cached by.
    pub blob: Arc<str>,
    pub kind: EntryKind,
}

impl Notable for Entry {
    fn is_noted(&self) -> bool {
        self.kind != EntryKind::File
    }
}

impl Notable for Arc<Scan> {
    fn is_noted(&self) -> bool {
        !self.findings.is_empty()
    }
}

/// Pure data: planning never reads a file. A clone shares what it holds.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// `None` for a working tree that is no commit.
    pub commit: Option<String>,
    /// By path in the repository, `/`-separated. Noted are those that are no plain files.
    pub entries: Noted<Entry>,
    /// Of the files that passed the byte search, by path. Noted are those with findings.
    pub scans: Noted<Arc<Scan>>,
    /// What was worked out for the snapshots that this one followed, so that it need not be again.
    pub memo: Arc<Memo>,
}

impl Snapshot {
    /// Every image line of every scanned file, with its file.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &Scan, &ImageLine)> {
        self.scans.iter().flat_map(|(file, scan)| scan.lines.iter().map(move |line| (&**file, scan.as_ref(), line)))
    }

    /// The line with this identity, where the tree still has it.
    pub fn find(&self, id: &LineId) -> Option<(&Scan, &ImageLine)> {
        let scan = self.scans.get(&id.file)?;
        let line = scan.lines.iter().find(|line| scan.line_id(&id.file, line) == *id)?;
        Some((scan, line))
    }

    /// Why no file may be written at this path: it is not one of this tree's own, or leads through something that is no
    /// folder. A symbolic link may lead anywhere, and what lies in `.git` is run.
    pub fn obstacle(&self, path: &str) -> Option<String> {
        let inside = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !inside {
            return Some("it is no path inside the repository".to_owned());
        }
        if path.split('/').any(|part| part.eq_ignore_ascii_case(".git")) {
            return Some("git keeps its own files there".to_owned());
        }
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let prefixes = ends.filter_map(|end| path.get(..end));
        let kinds = prefixes.filter_map(|prefix| Some((prefix, self.entries.get(prefix)?.kind)));
        let what = |kind| match kind {
            EntryKind::File => "a file",
            EntryKind::Symlink => "a symbolic link",
            EntryKind::Submodule => "a submodule",
            EntryKind::Misnamed => "no path in UTF-8",
        };
        let mut barred = kinds.filter(|(prefix, kind)| *prefix != path || *kind != EntryKind::File);
        if let Some((prefix, kind)) = barred.next() {
            return Some(format!("{prefix} is {}", what(kind)));
        }
        let below = format!("{path}/");
        let folder = self.entries.range(&below).next().is_some_and(|(next, _)| next.starts_with(&below));
        folder.then(|| format!("{path} is a folder"))
    }

    /// The id of a file's blob; empty where there is no such file.
    pub fn blob(&self, file: &str) -> &str {
        self.entries.get(file).map_or("", |entry| &*entry.blob)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_bytes_of_names_are_shown() {
        #[rustfmt::skip]
        let cases: [(&[u8], Cow<'_, str>); 5] = [
            (b"", Cow::Borrowed("")), (b"a.yaml", Cow::Borrowed("a.yaml")),
            ("grün \u{fffd}".as_bytes(), Cow::Borrowed("grün \u{fffd}")),
            (b"caf\xe9.yaml", Cow::Owned("caf\\xE9.yaml".into())),
            (b"\xff\xfe\xc3\xbc\xc3", Cow::Owned("\\xFF\\xFEü\\xC3".into())),
        ];
        for (name, expected) in cases {
            let shown = shown_name(name);
            assert_eq!(shown, expected);
            assert_eq!(matches!(shown, Cow::Borrowed(_)), matches!(expected, Cow::Borrowed(_)), "{shown}");
        }
    }

    #[test]
    fn where_files_may_be_written() {
        let entry = |(path, kind): (&str, EntryKind)| (path.into(), Entry { blob: "".into(), kind });
        let entries = [("a/b.yaml", EntryKind::File), ("a/link", EntryKind::Symlink), ("sub", EntryKind::Submodule)];
        let snapshot = Snapshot { entries: entries.into_iter().map(entry).collect(), ..Snapshot::default() };
        #[rustfmt::skip]
        let cases = [
            ("a/b.yaml", ""), ("a/c.yaml", ""), ("new/c.yaml", ""), ("a/links/c.yaml", ""), ("a/.gitignore", ""),
            ("a/link", "a/link is a symbolic link"), ("a/link/x/y.yaml", "a/link is a symbolic link"),
            ("sub/x.yaml", "sub is a submodule"), ("a/b.yaml/c", "a/b.yaml is a file"), ("a", "a is a folder"),
            (".git/hooks/x.yaml", "git keeps its own files there"), ("a/.GIT/x", "git keeps its own files there"),
            ("../x.yaml", "it is no path inside the repository"), ("a//x", "it is no path inside the repository"),
            ("/x", "it is no path inside the repository"), ("", "it is no path inside the repository"),
        ];
        for (path, expected) in cases {
            assert_eq!(snapshot.obstacle(path).unwrap_or_default(), expected, "{path}");
        }
    }
}
