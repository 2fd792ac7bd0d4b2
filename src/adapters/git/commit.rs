//! Writing commits straight into the object database: no working tree, and only the trees that are touched.

use super::{
    error::{GitError, Local, missing, oid, said},
    history::Identity,
    mirror::Mirror,
    snapshot::tree_of,
};
use git2::{Oid, Repository, Signature, Time, Tree};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A file's new content. A file that exists keeps its mode; a new one is a plain file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// From the root, with `/`.
    pub path: String,
    /// `None` removes the file.
    pub new_bytes: Option<Vec<u8>>,
}

/// What a commit says besides its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitMeta {
    pub author: Identity,
    pub committer: Identity,
    /// Both of authoring and of committing, to the second, in UTC.
    pub time: Timestamp,
    /// Ends in one newline, whatever is given.
    pub message: String,
    /// Commits that this one merges, after the one it is based on.
    pub more_parents: Vec<String>,
}

const FILE: i32 = 0o100644;
const FOLDER: i32 = 0o040000;

impl Mirror {
    /// Makes a commit on top of `base` in which only these files differ, and returns its id. No ref moves: see
    /// [`Mirror::push`]. The same input gives the same id.
    ///
    /// Refused as [`GitError::Invalid`]: a path that is empty, absolute or leaves the tree; one that is named twice; one
    /// that is, or leads through, a symlink, submodule or file; the removal of what is not there.
    pub fn commit_edits(&self, base: &str, changes: &[FileChange], meta: &CommitMeta) -> Result<String, GitError> {
        self.local(|repository| {
            let tree = edit(repository, Some(&tree_of(repository, base)?), &Edits::of(changes)?, "")?;
            write(repository, tree, Some(base), meta)
        })
    }

    /// Makes a commit that holds exactly these files, on top of `parent` or as a first commit, and returns its id.
    pub fn commit_files(
        &self,
        parent: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        meta: &CommitMeta,
    ) -> Result<String, GitError> {
        let change =
            |(path, bytes): (&String, &Vec<u8>)| FileChange { path: path.clone(), new_bytes: Some(bytes.clone()) };
        let changes: Vec<_> = files.iter().map(change).collect();
        self.local(|repository| {
            let tree = edit(repository, None, &Edits::of(&changes)?, "")?;
            write(repository, tree, parent, meta)
        })
    }
}

/// Changes by folder, as the trees are.
#[derive(Default)]
struct Edits<'a> {
    files: BTreeMap<&'a str, Option<&'a [u8]>>,
    folders: BTreeMap<&'a str, Edits<'a>>,
}

impl<'a> Edits<'a> {
    fn of(changes: &'a [FileChange]) -> Result<Self, Local> {
        let mut root = Edits::default();
        for FileChange { path, new_bytes } in changes {
            let refuse = |why: &str| Err(Local::Invalid(format!("cannot write {path:?}: {why}")));
            // git refuses `.git` in any case, as do file systems that would make it one.
            let bad = |part: &str| part.is_empty() || part == "." || part == ".." || part.eq_ignore_ascii_case(".git");
            if path.split('/').any(bad) || path.contains(['\0', '\u{FFFD}']) {
                return refuse("it is no path inside the repository");
            }
            let (folders, name) = path.rsplit_once('/').map_or((None, path.as_str()), |(f, name)| (Some(f), name));
            let mut edits = &mut root;
            for folder in folders.into_iter().flat_map(|folders| folders.split('/')) {
                edits = edits.folders.entry(folder).or_default();
            }
            if edits.files.insert(name, new_bytes.as_deref()).is_some() {
                return refuse("it is named twice");
            }
        }
        Ok(root)
    }
}

/// Writes the tree that `tree` becomes; `None` where nothing is left, since git keeps no empty folders.
fn edit(
    repository: &Repository,
    tree: Option<&Tree<'_>>,
    edits: &Edits<'_>,
    folder: &str,
) -> Result<Option<Oid>, Local> {
    let refuse = |name: &str, why: &str| Err(Local::Invalid(format!("cannot write {folder}{name}: {why}")));
    let mut builder = repository.treebuilder(tree)?;
    let mode = |name: &str| tree.and_then(|tree| tree.get_name(name)).map(|entry| entry.filemode());
    for (name, bytes) in &edits.files {
        if edits.folders.contains_key(name) {
            return refuse(name, "it is both a file and a folder");
        }
        match (mode(name), bytes) {
            (Some(FOLDER), _) => return refuse(name, "it is a folder"),
            (Some(0o120000), Some(_)) => return refuse(name, "it is a symlink"),
            (Some(0o160000), _) => return refuse(name, "it is a submodule"),
            (None, None) => return refuse(name, "there is no such file to remove"),
            (Some(_), None) => builder.remove(name)?,
            (before, Some(bytes)) => {
                let id = repository.blob(bytes)?;
                builder.insert(name, id, if before == Some(0o100755) { 0o100755 } else { FILE })?;
            }
        }
    }
    for (name, edits) in &edits.folders {
        let before = match tree.and_then(|tree| tree.get_name(name)) {
            Some(entry) if entry.filemode() != FOLDER => return refuse(name, "it is no folder"),
            Some(entry) => Some(repository.find_tree(entry.id())?),
            None => None,
        };
        match edit(repository, before.as_ref(), edits, &format!("{folder}{name}/"))? {
            Some(id) => drop(builder.insert(name, id, FOLDER)?),
            None => builder.remove(name)?,
        }
    }
    Ok(if builder.is_empty() { None } else { Some(builder.write()?) })
}

fn write(repository: &Repository, tree: Option<Oid>, parent: Option<&str>, meta: &CommitMeta) -> Result<String, Local> {
    let tree = match tree {
        Some(tree) => tree,
        None => repository.treebuilder(None)?.write()?,
    };
    let time = Time::new(meta.time.as_second(), 0);
    let sign = |who: &Identity| {
        Signature::new(&who.name, &who.email, &time).map_err(|error| {
            Local::Invalid(format!("cannot commit as {:?} <{:?}>: {}", who.name, who.email, said(&error)))
        })
    };
    let (author, committer) = (sign(&meta.author)?, sign(&meta.committer)?);
    if meta.message.contains('\0') {
        return Err(Local::Invalid("a commit's message cannot hold a NUL".to_owned()));
    }
    let message = format!("{}\n", meta.message.trim_end());
    let mut parents = Vec::new();
    for id in parent.into_iter().chain(meta.more_parents.iter().map(String::as_str)) {
        let id = oid(id)?;
        parents.push(repository.find_commit(id).map_err(missing("commit", id))?);
    }
    let parents: Vec<_> = parents.iter().collect();
    let id = repository.commit(None, &author, &committer, &message, &repository.find_tree(tree)?, &parents)?;
    Ok(id.to_string())
}
