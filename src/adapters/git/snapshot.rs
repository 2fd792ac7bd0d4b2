//! Reading commits: their files, and what changed between two of them.

use super::{
    error::{GitError, Local, missing, oid},
    mirror::Mirror,
};
use crate::engine::snapshot::shown_name;
use git2::{ErrorCode, ObjectType, Odb, OdbObject, Oid, Repository, Tree};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// How many blobs a thread reads before another has its turn, and how many bytes.
const READ_AT_ONCE: usize = 64;
const BYTES_AT_ONCE: usize = 1 << 20;

/// What a tree's entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    File,
    Executable,
    /// Its blob holds the target's path; not followed.
    Symlink,
    /// Its id is a commit of another repository; not followed.
    Submodule,
}

/// One file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// From the root, with `/`.
    pub path: Arc<str>,
    /// Whether that is the very path: see [`shown_name`]. Another one cannot be written to.
    pub exact: bool,
    pub id: Arc<str>,
    pub mode: Mode,
}

/// A file that differs between two commits. Either id may be none: added, or removed. Equal ids: the mode changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedPath {
    pub path: Arc<str>,
    /// As a [`TreeEntry`]'s.
    pub exact: bool,
    pub old: Option<Arc<str>>,
    pub new: Option<Arc<str>>,
    /// What it is in the newer commit; none where it was removed.
    pub mode: Option<Mode>,
}

impl Mode {
    /// Of a tree entry's file mode; `None` for a tree.
    fn of(filemode: i32) -> Option<Mode> {
        match filemode {
            0o040000 => None,
            0o100755 => Some(Mode::Executable),
            0o120000 => Some(Mode::Symlink),
            0o160000 => Some(Mode::Submodule),
            // git of long ago wrote 0100664 too.
            _ => Some(Mode::File),
        }
    }
}

impl Mirror {
    /// Every file of a commit, in path order.
    pub fn tree_entries(&self, commit: &str) -> Result<Vec<TreeEntry>, GitError> {
        // So many trees would take the room of those that pushes are compared to.
        self.apart(|repository| {
            let tree = tree_of(repository, commit)?;
            let mut entries = Vec::new();
            list(repository, &tree, &mut Place::root(), &mut |Place { path, exact }, id, mode| {
                entries.push(TreeEntry { path: path.as_str().into(), exact: *exact, id: digits(id), mode });
            })?;
            // git sorts a folder as if its name ended in `/`.
            entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            Ok(entries)
        })
    }

    /// What stands at a path of a commit; `None` for nothing, and for a folder. Nothing else of the tree is read.
    pub fn entry_at(&self, commit: &str, path: &str) -> Result<Option<TreeEntry>, GitError> {
        self.local(|repository| {
            let entry = match tree_of(repository, commit)?.get_path(Path::new(path)) {
                Ok(entry) => entry,
                Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let mode = Mode::of(entry.filemode());
            Ok(mode.map(|mode| TreeEntry { path: path.into(), exact: true, id: digits(entry.id()), mode }))
        })
    }

    /// A blob's bytes; [`GitError::TooLarge`] over `limit` bytes, before any is read.
    pub fn read_blob(&self, id: &str, limit: usize) -> Result<Vec<u8>, GitError> {
        self.local(|repository| {
            let odb = repository.odb()?;
            let object = read(&odb, id, limit)?;
            Ok(object.data().to_vec())
        })
    }

    /// Hands the blobs that `next` names to `found`, as [`Mirror::read_blob`] reads them, without a copy of the bytes. Of
    /// one that is too large, its size.
    ///
    /// `turn` is shared by threads that read the same blobs together: libgit2 locks a pack, and all its windows, for
    /// every object, so threads that read at once mostly wait for each other. They read some each in turn instead, and
    /// the others are at work on what they have read.
    pub fn each_blob<'i, T>(
        &self,
        limit: usize,
        turn: &Mutex<()>,
        mut next: impl FnMut() -> Option<(T, &'i str)>,
        mut found: impl FnMut(T, Result<&[u8], usize>),
    ) -> Result<(), GitError> {
        self.local(|repository| {
            let odb = repository.odb()?;
            let mut read_so_far = Vec::with_capacity(READ_AT_ONCE);
            let mut more = true;
            while more {
                let turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                let mut bytes = 0;
                while more && read_so_far.len() < READ_AT_ONCE && bytes < BYTES_AT_ONCE {
                    let Some((asked, id)) = next() else {
                        more = false;
                        break;
                    };
                    let object = match read(&odb, id, limit) {
                        Ok(object) => Ok(object),
                        Err(Local::TooLarge { size, .. }) => Err(size),
                        Err(error) => return Err(error),
                    };
                    bytes += object.as_ref().map_or(0, OdbObject::len);
                    read_so_far.push((asked, object));
                }
                drop(turn);
                for (asked, object) in read_so_far.drain(..) {
                    found(asked, object.as_ref().map(OdbObject::data).map_err(|size| *size));
                }
            }
            Ok(())
        })
    }

    /// The files that differ between two commits, in path order; equal subtrees are not read. A renamed file is one removed and
    /// one added.
    pub fn changed_paths(&self, old: &str, new: &str) -> Result<Vec<ChangedPath>, GitError> {
        self.local(|repository| {
            let (old, new) = (tree_of(repository, old)?, tree_of(repository, new)?);
            let mut changes = Vec::new();
            compare(repository, Some(&old), Some(&new), &mut Place::root(), &mut changes)?;
            changes.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            Ok(changes)
        })
    }
}

/// Reads a blob; its size is looked at before its bytes are.
fn read<'o>(odb: &'o Odb<'_>, id: &str, limit: usize) -> Result<OdbObject<'o>, Local> {
    let id = oid(id)?;
    let (size, kind) = odb.read_header(id).map_err(missing("blob", id))?;
    if kind != ObjectType::Blob {
        return Err(Local::Invalid(format!("expected a blob, found a {} at {id}", kind.str())));
    }
    if size > limit {
        return Err(Local::TooLarge { what: "blob", id: id.to_string(), size, limit });
    }
    Ok(odb.read(id)?)
}

/// The tree of a commit that a caller named.
pub(super) fn tree_of<'a>(repository: &'a Repository, commit: &str) -> Result<Tree<'a>, Local> {
    let id = oid(commit)?;
    Ok(repository.find_commit(id).map_err(missing("commit", id))?.tree()?)
}

/// An id as git writes it.
fn digits(id: Oid) -> Arc<str> {
    let mut digits = [0; 40];
    match hex::encode_to_slice(id.as_bytes(), &mut digits).ok().and_then(|()| std::str::from_utf8(&digits).ok()) {
        Some(digits) => digits.into(),
        None => id.to_string().into(),
    }
}

/// Where a walk through folders stands: the path, and whether that is the very one.
struct Place {
    path: String,
    exact: bool,
}

impl Place {
    fn root() -> Self {
        Place { path: String::new(), exact: true }
    }

    /// What `visit` makes of an entry of this folder.
    fn visit<T>(&mut self, name: &[u8], visit: impl FnOnce(&mut Self) -> T) -> T {
        let (folder, exact) = (self.path.len(), self.exact);
        let name = shown_name(name);
        if folder > 0 {
            self.path.push('/');
        }
        self.path.push_str(&name);
        self.exact &= matches!(name, Cow::Borrowed(_));
        let made = visit(self);
        self.path.truncate(folder);
        self.exact = exact;
        made
    }
}

fn list(
    repository: &Repository,
    tree: &Tree<'_>,
    folder: &mut Place,
    found: &mut impl FnMut(&Place, Oid, Mode),
) -> Result<(), git2::Error> {
    for entry in tree {
        folder.visit(entry.name_bytes(), |place| match Mode::of(entry.filemode()) {
            Some(mode) => {
                found(place, entry.id(), mode);
                Ok(())
            }
            None => list(repository, &repository.find_tree(entry.id())?, place, found),
        })?;
    }
    Ok(())
}

fn compare(
    repository: &Repository,
    old: Option<&Tree<'_>>,
    new: Option<&Tree<'_>>,
    folder: &mut Place,
    changes: &mut Vec<ChangedPath>,
) -> Result<(), git2::Error> {
    let [old, new] = [old, new].map(|tree| tree.into_iter().flat_map(|tree| tree.iter()).collect::<Vec<_>>());
    let mut before: BTreeMap<&[u8], (Oid, i32)> = old.iter().map(named).collect();
    let after: BTreeMap<&[u8], (Oid, i32)> = new.iter().map(named).collect();
    let mut pairs: Vec<_> = after.into_iter().map(|(name, new)| (before.remove(name), Some(new), name)).collect();
    pairs.extend(before.into_iter().map(|(name, old)| (Some(old), None, name)));
    for (old, new, name) in pairs.into_iter().filter(|(old, new, _)| old != new) {
        let file =
            |side: Option<(Oid, i32)>| side.filter(|(_, mode)| Mode::of(*mode).is_some()).map(|(id, _)| digits(id));
        let tree = |side: Option<(Oid, i32)>| {
            let folder = side.filter(|(_, mode)| Mode::of(*mode).is_none());
            folder.map(|(id, _)| repository.find_tree(id)).transpose()
        };
        let (old_tree, new_tree) = (tree(old)?, tree(new)?);
        let mode = new.and_then(|(_, mode)| Mode::of(mode));
        let (old, new) = (file(old), file(new));
        folder.visit(name, |place| -> Result<(), git2::Error> {
            if old_tree.is_some() || new_tree.is_some() {
                compare(repository, old_tree.as_ref(), new_tree.as_ref(), place, changes)?;
            }
            if old.is_some() || new.is_some() {
                let path = place.path.as_str().into();
                changes.push(ChangedPath { path, exact: place.exact, old, new, mode });
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn named<'e>(entry: &'e git2::TreeEntry<'_>) -> (&'e [u8], (Oid, i32)) {
    (entry.name_bytes(), (entry.id(), entry.filemode()))
}
