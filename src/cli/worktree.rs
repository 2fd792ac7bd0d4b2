//! A checkout as a snapshot. PATH is the root: nothing above it is looked at, and it need not be a git repository.

use super::Failure;
use crate::engine::{
    manifest::{FileKind, is_candidate, scan},
    plan::{Change, Entry, EntryKind, Snapshot, rewritten},
};
use anyhow::Context;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Larger files hold no manifests.
const FILE_LIMIT: u64 = 10 * 1024 * 1024;

/// A folder, or a single file, that is looked at.
pub struct Worktree {
    root: PathBuf,
    pub snapshot: Snapshot,
}

impl Worktree {
    /// Reads a folder, or a single file (as YAML, whatever its name).
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let metadata = fs::metadata(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Failure::Usage(format!("expected a folder or a file, found nothing at {}", path.display()))
            }
            _ => Failure::Other(anyhow::Error::new(error).context(format!("cannot read {}", path.display()))),
        })?;
        let mut tree = Worktree { root: path.to_owned(), snapshot: Snapshot::default() };
        if metadata.is_dir() {
            tree.walk("")?;
            return Ok(tree);
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.ok_or_else(|| Failure::Usage(format!("{} is neither a file nor a folder", path.display())))?;
        tree.root = path.parent().unwrap_or(Path::new("")).to_owned();
        let kind = FileKind::of(&name).unwrap_or(FileKind::Yaml);
        tree.add_file(&name, kind)?;
        Ok(tree)
    }

    fn walk(&mut self, folder: &str) -> Result<(), Failure> {
        let here = self.root.join(folder);
        let listing = fs::read_dir(&here).with_context(|| format!("cannot list {}", here.display()))?;
        for item in listing {
            let item = item.with_context(|| format!("cannot list {}", here.display()))?;
            let name = item.file_name().to_string_lossy().into_owned();
            if name == ".git" {
                continue;
            }
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let kind = item.file_type().with_context(|| format!("cannot look at {path}"))?;
            if kind.is_dir() {
                self.walk(&path)?;
            } else if kind.is_symlink() {
                self.snapshot.entries.insert(path, Entry { blob: String::new(), kind: EntryKind::Symlink });
            } else if kind.is_file() {
                match FileKind::of(&path) {
                    Some(kind) => self.add_file(&path, kind)?,
                    None => {
                        self.snapshot.entries.insert(path, Entry { blob: String::new(), kind: EntryKind::File });
                    }
                }
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &str, kind: FileKind) -> Result<(), Failure> {
        let full = self.root.join(path);
        let size = fs::metadata(&full).with_context(|| format!("cannot read {}", full.display()))?.len();
        let mut entry = Entry { blob: String::new(), kind: EntryKind::File };
        if size <= FILE_LIMIT {
            let bytes = fs::read(&full).with_context(|| format!("cannot read {}", full.display()))?;
            entry.blob = hex::encode(Sha256::digest(&bytes));
            if is_candidate(kind, &bytes) {
                self.snapshot.scans.insert(path.to_owned(), Arc::new(scan(kind, &bytes)));
            }
        }
        self.snapshot.entries.insert(path.to_owned(), entry);
        Ok(())
    }

    /// The files that the changes touch: bytes before and after.
    pub fn rewrite(&self, changes: &[Change]) -> anyhow::Result<BTreeMap<String, (Vec<u8>, Vec<u8>)>> {
        let mut before = BTreeMap::new();
        let after = rewritten(changes, |file, _| {
            let bytes = self.bytes(file)?;
            before.insert(file.to_owned(), bytes.clone());
            anyhow::Ok(bytes)
        })?;
        Ok(after
            .into_iter()
            .map(|(file, after)| (file.clone(), (before.remove(&file).unwrap_or_default(), after)))
            .collect())
    }

    /// A file's bytes as they are now.
    pub fn bytes(&self, file: &str) -> anyhow::Result<Vec<u8>> {
        let full = self.root.join(file);
        fs::read(&full).with_context(|| format!("cannot read {}", full.display()))
    }

    /// Writes the files in place.
    pub fn write(&self, files: &BTreeMap<String, (Vec<u8>, Vec<u8>)>) -> anyhow::Result<()> {
        for (file, (_, after)) in files {
            let full = self.root.join(file);
            fs::write(&full, after).with_context(|| format!("cannot write {}", full.display()))?;
        }
        Ok(())
    }
}
