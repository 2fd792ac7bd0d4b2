//! A checkout as a snapshot. PATH is the root: no file above it is read, and it need not be a git repository.

use super::Failure;
use crate::engine::{
    config,
    manifest::{FileKind, SIZE_LIMIT, is_candidate, scan, too_large},
    plan::{Change, rewritten},
    snapshot::{Entry, EntryKind, Snapshot, shown_name},
};
use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// A folder, or a single file, that is looked at.
pub struct Worktree {
    root: PathBuf,
    /// As it was given.
    path: PathBuf,
    pub snapshot: Snapshot,
}

impl Worktree {
    /// Reads a folder, or a single file (as YAML, whatever its name).
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Failure::Usage(format!("expected a folder or a file, found nothing at {}", path.display()))
            }
            _ => Failure::Other(anyhow::Error::new(error).context(format!("cannot read {}", path.display()))),
        };
        let metadata = fs::metadata(path).map_err(failed)?;
        let mut tree = Worktree { root: path.to_owned(), path: path.to_owned(), snapshot: Snapshot::default() };
        if metadata.is_dir() {
            tree.walk(path, "", true)?;
            return Ok(tree);
        }
        let name = path.file_name();
        let name = name.ok_or_else(|| Failure::Usage(format!("{} is neither a file nor a folder", path.display())))?;
        tree.root = path.parent().unwrap_or(Path::new("")).to_owned();
        let name = match shown_name(name.as_encoded_bytes()) {
            Cow::Borrowed(name) => name.to_owned(),
            Cow::Owned(shown) => {
                tree.add_entry(shown, EntryKind::Misnamed);
                return Ok(tree);
            }
        };
        let kind = FileKind::of(&name).unwrap_or(FileKind::Yaml);
        tree.add_file(&name, kind)?;
        // A folder may be given by a link; a file is shown, and never written through one.
        if fs::symlink_metadata(path).map_err(failed)?.is_symlink() {
            tree.add_entry(name, EntryKind::Symlink);
        }
        Ok(tree)
    }

    /// What a sentence such as "there is no policy in this repository" must be read with: that only a part of a git
    /// checkout was looked at. `None` where that was all of it, there is no checkout, or a butler.yaml says that PATH is a
    /// repository's top, wherever it lies. `.git` is looked for above PATH for this note alone.
    pub fn partial(&self) -> Option<String> {
        if !matches!(config::locate(|file| self.snapshot.entries.contains_key(file)), Ok(None)) {
            return None;
        }
        let path = fs::canonicalize(&self.path).ok()?;
        let top = path.ancestors().find(|folder| folder.join(".git").exists())?;
        let what = match path.is_dir() {
            true if top == path => return None,
            true => format!("only the files below {} are", self.path.display()),
            false => format!("only {} is", self.path.display()),
        };
        Some(format!("{what} read: what is elsewhere in the git checkout is not known"))
    }

    /// That a butler.yaml lies above PATH in its git checkout, which counts only where PATH is its folder. `None` where
    /// PATH has one of its own.
    pub fn config_above(&self) -> Option<String> {
        if !matches!(config::locate(|file| self.snapshot.entries.contains_key(file)), Ok(None)) {
            return None;
        }
        let path = fs::canonicalize(&self.path).ok()?;
        let top = path.ancestors().find(|folder| folder.join(".git").exists())?;
        let config_of = |folder: &Path| config::locate(|file| folder.join(file).is_file()).unwrap_or(None);
        let mut above = path.ancestors().skip(1).take_while(|folder| folder.starts_with(top));
        let (folder, file) = above.find_map(|folder| Some((folder, config_of(folder)?)))?;
        Some(format!(
            "{} is not read, since it is not below {}: give {} as PATH for it to count",
            folder.join(file).display(),
            self.path.display(),
            folder.display()
        ))
    }

    /// What stands before a file's name for it to be found from the current folder: `docs/example/` where that is PATH,
    /// nothing where PATH is the current folder. Nothing either where PATH leads out of it: no patch can, and whoever
    /// gives such a PATH knows the files from there.
    pub fn prefix(&self) -> String {
        let leads_on = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        let root = match self.root.components().all(leads_on) {
            true => self.root.clone(),
            false => {
                let (full, here) = (fs::canonicalize(&self.root), fs::canonicalize("."));
                let below =
                    full.ok().zip(here.ok()).and_then(|(full, here)| full.strip_prefix(here).ok().map(Path::to_owned));
                below.unwrap_or_default()
            }
        };
        let path: PathBuf = root.components().filter(|part| *part != Component::CurDir).collect();
        match path.to_string_lossy() {
            path if path.is_empty() => String::new(),
            path => format!("{path}/"),
        }
    }

    /// A name with PATH in front, as a shell completes it, without: `docs/example/a.yaml` below `docs/example` is
    /// `a.yaml`. `None` where it is not below PATH.
    pub fn without_path(&self, name: &str) -> Option<String> {
        let name = Path::new(name);
        // The file itself may be a link.
        let above = |path: &Path| match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => fs::canonicalize(parent),
            _ => fs::canonicalize("."),
        };
        let root = match self.root == self.path {
            true => fs::canonicalize(&self.root),
            false => above(&self.path),
        };
        let full = above(name).ok()?.join(name.file_name()?);
        full.strip_prefix(root.ok()?).ok()?.to_str().map(str::to_owned)
    }

    /// Where files are looked for, in a sentence.
    pub fn place(&self) -> String {
        let how = if self.root == self.path { "below" } else { "beside" };
        format!("{how} {}", self.path.display())
    }

    /// `folder`: what `here` is called below the root; `exact`: whether that is its very path.
    fn walk(&mut self, here: &Path, folder: &str, exact: bool) -> Result<(), Failure> {
        let listing = fs::read_dir(here).with_context(|| format!("cannot list {}", here.display()))?;
        for item in listing {
            let item = item.with_context(|| format!("cannot list {}", here.display()))?;
            let name = item.file_name();
            if name == ".git" {
                continue;
            }
            let name = shown_name(name.as_encoded_bytes());
            let exact = exact && matches!(name, Cow::Borrowed(_));
            let path = if folder.is_empty() { name.into_owned() } else { format!("{folder}/{name}") };
            let kind = item.file_type().with_context(|| format!("cannot look at {path}"))?;
            if kind.is_dir() {
                self.walk(&item.path(), &path, exact)?;
            } else if kind.is_symlink() {
                self.add_entry(path, EntryKind::Symlink);
            } else if kind.is_file() {
                match FileKind::of(&path) {
                    _ if !exact => self.add_entry(path, EntryKind::Misnamed),
                    Some(kind) => self.add_file(&path, kind)?,
                    None => self.add_entry(path, EntryKind::File),
                }
            }
        }
        Ok(())
    }

    /// What is there and is not read.
    fn add_entry(&mut self, path: String, kind: EntryKind) {
        self.snapshot.entries.insert(path.into(), Entry { blob: "".into(), kind });
    }

    fn add_file(&mut self, path: &str, kind: FileKind) -> Result<(), Failure> {
        let full = self.root.join(path);
        let size = fs::metadata(&full).with_context(|| format!("cannot read {}", full.display()))?.len();
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > SIZE_LIMIT {
            self.add_entry(path.to_owned(), EntryKind::File);
            self.snapshot.scans.insert(path.into(), Arc::new(too_large(size)));
            return Ok(());
        }
        let bytes = fs::read(&full).with_context(|| format!("cannot read {}", full.display()))?;
        let entry = Entry { blob: hex::encode(Sha256::digest(&bytes)).into(), kind: EntryKind::File };
        self.snapshot.entries.insert(path.into(), entry);
        if is_candidate(kind, &bytes) {
            self.snapshot.scans.insert(path.into(), Arc::new(scan(kind, &bytes)));
        }
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

    /// The bytes of a file that nothing depends on: `None` where it is too large to be written by hand, or cannot be read.
    pub fn peek(&self, file: &str) -> Option<Vec<u8>> {
        const LIMIT: u64 = 1 << 20;
        let full = self.root.join(file);
        fs::metadata(&full).ok().filter(|metadata| metadata.len() <= LIMIT)?;
        fs::read(full).ok()
    }

    /// Writes the files in place. No link is followed below the root, and nothing is written into `.git`.
    pub fn write(&self, files: &BTreeMap<String, (Vec<u8>, Vec<u8>)>) -> anyhow::Result<()> {
        for (file, (_, after)) in files {
            self.put(file, after).with_context(|| format!("cannot write {}", self.root.join(file).display()))?;
        }
        Ok(())
    }

    fn put(&self, file: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let outside = |part: &str| matches!(part, "" | "." | "..") || part.eq_ignore_ascii_case(".git");
        if file.split('/').any(outside) {
            bail!("it is no path for files of the repository");
        }
        let (folders, name) = file.rsplit_once('/').map_or((None, file), |(folders, name)| (Some(folders), name));
        let mut here = self.root.clone();
        for folder in folders.into_iter().flat_map(|folders| folders.split('/')) {
            here.push(folder);
            match fs::symlink_metadata(&here) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => bail!("expected a folder at {}, found a link or a file", here.display()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(&here)?,
                Err(error) => return Err(error.into()),
            }
        }
        let full = here.join(name);
        let permissions = match fs::symlink_metadata(&full) {
            Ok(found) if found.is_file() => Some(found.permissions()),
            Ok(_) => bail!("expected a file, found a link or a folder"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        // A new file that takes the old one's place: neither step follows a link that somebody puts there meanwhile.
        let beside = here.join(format!(".{name}.butler-{}", std::process::id()));
        let mut new = fs::OpenOptions::new().write(true).create_new(true).open(&beside)?;
        let written = new.write_all(bytes).and_then(|()| match permissions {
            Some(permissions) => new.set_permissions(permissions),
            None => Ok(()),
        });
        if let Err(error) = written.and_then(|()| fs::rename(&beside, &full)) {
            // What failed is told; the remains are of no use.
            fs::remove_file(&beside).ok();
            return Err(error.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_files_of_the_folder_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let (root, out) = (folder.path().join("root"), folder.path().join("out"));
        fs::create_dir_all(root.join("a")).unwrap();
        fs::create_dir_all(&out).unwrap();
        fs::write(out.join("x.yaml"), "kept").unwrap();
        symlink(&out, root.join("a/link")).unwrap();
        symlink(out.join("x.yaml"), root.join("a/file.yaml")).unwrap();
        fs::write(root.join("a/tool.yaml"), "old").unwrap();
        fs::set_permissions(root.join("a/tool.yaml"), fs::Permissions::from_mode(0o755)).unwrap();
        let tree = Worktree { root: root.clone(), path: root.clone(), snapshot: Snapshot::default() };
        let write = |file: &str| tree.write(&BTreeMap::from([(file.to_owned(), (Vec::new(), b"new".to_vec()))]));
        for file in ["a/link/y.yaml", "a/file.yaml", ".git/hooks/x", "a/.GIT/x", "../out/y.yaml", "/y.yaml", "a", ""] {
            assert!(write(file).is_err(), "{file}");
        }
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(out.join("x.yaml")).unwrap(), "kept");
        for file in ["a/tool.yaml", "b/c/new.yaml"] {
            write(file).unwrap();
            assert_eq!(fs::read_to_string(root.join(file)).unwrap(), "new", "{file}");
        }
        assert_eq!(fs::metadata(root.join("a/tool.yaml")).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_dir(root.join("a")).unwrap().count(), 3, "nothing is left beside them");
    }
}
