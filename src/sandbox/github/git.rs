//! A repository's commits and refs, in a real bare repository. Everything here blocks; repositories are small.

use git2::{Delta, DiffOptions, MergeOptions, Oid, Patch, Repository, Signature, Sort, Time, build::TreeUpdateBuilder};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
};

/// All zeros: "no commit" in a push's `before` and `after`.
pub const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// Refuses what GitHub refuses: the server writes, for each pusher, the refs that are closed to it (`closed/<login>`, a line
/// `<ref> <reason>` each) and names the pusher in `REMOTE_USER`.
const UPDATE_HOOK: &str = r#"#!/bin/sh
reason=$(sed -n "s|^$1 ||p" "$GIT_DIR/closed/$REMOTE_USER" 2>/dev/null)
test -z "$reason" && exit 0
echo "error: GH006: Protected branch update failed for $1." >&2
echo "error: $reason" >&2
exit 1
"#;

/// A bare repository's folder.
#[derive(Clone, Debug)]
pub struct Bare {
    dir: PathBuf,
}

/// One file of a change: its path, and its bytes or `None` to delete it.
pub type File<'a> = (&'a str, Option<&'a [u8]>);

#[derive(Clone, Debug)]
pub struct CommitInfo {
    pub id: String,
    pub tree: String,
    pub parents: Vec<String>,
    pub message: String,
    pub author: Person,
    pub committer: Person,
}

#[derive(Clone, Debug)]
pub struct Person {
    pub name: String,
    pub email: String,
    pub at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct FileChange {
    pub path: String,
    pub previous_path: Option<String>,
    pub blob: String,
    pub status: &'static str,
    pub additions: usize,
    pub deletions: usize,
    pub patch: String,
}

type Result<T> = std::result::Result<T, git2::Error>;

impl Bare {
    /// Makes an empty repository.
    pub fn init(dir: PathBuf, default_branch: &str) -> Result<Self> {
        let mut options = git2::RepositoryInitOptions::new();
        options.bare(true).mkpath(true).initial_head(default_branch).external_template(false);
        let repository = Repository::init_opts(&dir, &options)?;
        let mut config = repository.config()?;
        for (key, value) in [
            ("http.receivepack", "true"),
            ("uploadpack.allowAnySHA1InWant", "true"),
            // GitHub keeps pull requests' refs to itself.
            ("receive.hideRefs", "refs/pull"),
            // Reflogs would keep what a test believes gone.
            ("core.logAllRefUpdates", "false"),
            // A background repack would race with the end of a test.
            ("gc.auto", "0"),
            ("receive.autogc", "false"),
        ] {
            config.set_str(key, value)?;
        }
        write_hook(&dir).map_err(|error| git2::Error::from_str(&format!("the update hook: {error}")))?;
        Ok(Bare { dir })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn open(&self) -> Result<Repository> {
        Repository::open_bare(&self.dir)
    }

    /// Says which refs are closed to a pusher, and why; read by the update hook.
    pub fn close_refs(&self, pusher: &str, closed: &[(String, String)]) -> std::io::Result<()> {
        let folder = self.dir.join("closed");
        std::fs::create_dir_all(&folder)?;
        let lines: String = closed.iter().map(|(name, reason)| format!("{name} {reason}\n")).collect();
        std::fs::write(folder.join(pusher), lines)
    }

    /// Every ref with its commit.
    pub fn refs(&self) -> Result<BTreeMap<String, String>> {
        let repository = self.open()?;
        let mut found = BTreeMap::new();
        for reference in repository.references()? {
            let reference = reference?;
            if let (Ok(name), Some(id)) = (reference.name(), reference.target()) {
                found.insert(name.to_owned(), id.to_string());
            }
        }
        Ok(found)
    }

    /// The commit that a ref points at.
    pub fn find_ref(&self, name: &str) -> Option<String> {
        let repository = self.open().ok()?;
        repository.find_reference(name).ok()?.target().map(|id| id.to_string())
    }

    /// The tip of a branch.
    pub fn branch(&self, name: &str) -> Option<String> {
        self.find_ref(&format!("refs/heads/{name}"))
    }

    /// A commit by id (whole or short), branch or tag.
    pub fn resolve(&self, text: &str) -> Option<String> {
        let repository = self.open().ok()?;
        let named = ["refs/heads/", "refs/tags/", "refs/", ""]
            .iter()
            .find_map(|prefix| repository.find_reference(&format!("{prefix}{text}")).ok()?.peel_to_commit().ok());
        let commit = named.or_else(|| repository.find_commit_by_prefix(text).ok());
        commit.map(|commit| commit.id().to_string())
    }

    /// Moves a ref that stands at `expected` (`None`: is not there); an error where it stands elsewhere.
    pub fn move_ref(&self, name: &str, new: &str, expected: Option<&str>) -> Result<()> {
        let repository = self.open()?;
        let new = Oid::from_str(new)?;
        match expected {
            Some(expected) => {
                let expected = Oid::from_str(expected)?;
                repository.reference_matching(name, new, true, expected, "").map(drop)
            }
            None => repository.reference(name, new, false, "").map(drop),
        }
    }

    /// Sets a ref wherever it stands.
    pub fn set_ref(&self, name: &str, new: &str) -> Result<()> {
        self.open()?.reference(name, Oid::from_str(new)?, true, "").map(drop)
    }

    pub fn delete_ref(&self, name: &str) -> Result<()> {
        self.open()?.find_reference(name)?.delete()
    }

    /// Commits files on top of `parent` (`None`: a first commit); moves no ref.
    pub fn commit(&self, parent: Option<&str>, files: &[File<'_>], message: &str, author: &Person) -> Result<String> {
        let repository = self.open()?;
        let parent = parent.map(|id| repository.find_commit(Oid::from_str(id)?)).transpose()?;
        let base = match &parent {
            Some(parent) => parent.tree()?,
            None => repository.find_tree(repository.treebuilder(None)?.write()?)?,
        };
        let mut update = TreeUpdateBuilder::new();
        for (path, bytes) in files {
            match bytes {
                Some(bytes) => update.upsert(*path, repository.blob(bytes)?, git2::FileMode::Blob),
                None => update.remove(*path),
            };
        }
        let tree = repository.find_tree(update.create_updated(&repository, &base)?)?;
        let signature = author.signature()?;
        let parents: Vec<_> = parent.iter().collect();
        Ok(repository.commit(None, &signature, &signature, message, &tree, &parents)?.to_string())
    }

    /// The bytes of a file at a commit.
    pub fn read(&self, commit: &str, path: &str) -> Option<Vec<u8>> {
        let repository = self.open().ok()?;
        let tree = repository.find_commit(Oid::from_str(commit).ok()?).ok()?.tree().ok()?;
        let entry = tree.get_path(Path::new(path)).ok()?;
        Some(repository.find_blob(entry.id()).ok()?.content().to_vec())
    }

    pub fn info(&self, commit: &str) -> Result<CommitInfo> {
        let repository = self.open()?;
        let commit = repository.find_commit(Oid::from_str(commit)?)?;
        Ok(CommitInfo {
            id: commit.id().to_string(),
            tree: commit.tree_id().to_string(),
            parents: commit.parent_ids().map(|id| id.to_string()).collect(),
            message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
            author: Person::of(&commit.author()),
            committer: Person::of(&commit.committer()),
        })
    }

    pub fn contains(&self, tip: &str, commit: &str) -> bool {
        let reaches = || {
            let (tip, commit) = (Oid::from_str(tip)?, Oid::from_str(commit)?);
            Ok::<_, git2::Error>(tip == commit || self.open()?.graph_descendant_of(tip, commit)?)
        };
        reaches().unwrap_or(false)
    }

    /// The commits that `tip` has and `base` (`None`: nothing) has not, oldest first.
    pub fn between(&self, base: Option<&str>, tip: &str) -> Result<Vec<String>> {
        let repository = self.open()?;
        let mut walk = repository.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
        walk.push(Oid::from_str(tip)?)?;
        if let Some(base) = base {
            walk.hide(Oid::from_str(base)?)?;
        }
        walk.map(|id| id.map(|id| id.to_string())).collect()
    }

    /// What a pull request changes: from where the two histories part to the head, as GitHub's "Files changed".
    pub fn changes(&self, base: &str, head: &str) -> Result<Vec<FileChange>> {
        let repository = self.open()?;
        let (base, head) = (Oid::from_str(base)?, Oid::from_str(head)?);
        let old = match repository.merge_base(base, head) {
            Ok(fork) => Some(repository.find_commit(fork)?.tree()?),
            Err(_) => None,
        };
        let new = repository.find_commit(head)?.tree()?;
        let mut diff = repository.diff_tree_to_tree(old.as_ref(), Some(&new), Some(&mut DiffOptions::new()))?;
        diff.find_similar(None)?;
        let mut changes = Vec::new();
        for index in 0..diff.deltas().len() {
            let Some(delta) = diff.get_delta(index) else { continue };
            let path =
                |file: git2::DiffFile<'_>| file.path().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
            let (old_path, new_path) = (path(delta.old_file()), path(delta.new_file()));
            let status = match delta.status() {
                Delta::Added => "added",
                Delta::Deleted => "removed",
                Delta::Renamed => "renamed",
                _ => "modified",
            };
            let mut change = FileChange {
                previous_path: (status == "renamed").then_some(old_path),
                path: new_path,
                blob: (if status == "removed" { delta.old_file() } else { delta.new_file() }).id().to_string(),
                status,
                additions: 0,
                deletions: 0,
                patch: String::new(),
            };
            if let Some(mut patch) = Patch::from_diff(&diff, index)? {
                (_, change.additions, change.deletions) = patch.line_stats()?;
                let text = String::from_utf8_lossy(&patch.to_buf()?).into_owned();
                // GitHub's `patch` begins with the first hunk.
                change.patch = text.find("@@").map(|at| text[at..].trim_end().to_owned()).unwrap_or_default();
            }
            changes.push(change);
        }
        Ok(changes)
    }

    /// The tree of merging the two commits; `None` where they conflict.
    pub fn merged_tree(&self, base: &str, head: &str) -> Result<Option<String>> {
        let repository = self.open()?;
        let base = repository.find_commit(Oid::from_str(base)?)?;
        let head = repository.find_commit(Oid::from_str(head)?)?;
        let mut index = repository.merge_commits(&base, &head, Some(&MergeOptions::new()))?;
        if index.has_conflicts() {
            return Ok(None);
        }
        index.write_tree_to(&repository).map(|tree| Some(tree.to_string()))
    }

    /// Undoes `commit` on top of `tip` (a merge is undone towards its first parent); moves no ref.
    pub fn revert(&self, tip: &str, commit: &str, author: &Person) -> Result<String> {
        let repository = self.open()?;
        let tip = repository.find_commit(Oid::from_str(tip)?)?;
        let undone = repository.find_commit(Oid::from_str(commit)?)?;
        let mainline = u32::from(undone.parent_count() > 1);
        let mut index = repository.revert_commit(&undone, &tip, mainline, None)?;
        let tree = repository.find_tree(index.write_tree_to(&repository)?)?;
        let subject = String::from_utf8_lossy(undone.message_bytes()).lines().next().unwrap_or_default().to_owned();
        let message = format!("Revert \"{subject}\"\n\nThis reverts commit {commit}.\n");
        let signature = author.signature()?;
        Ok(repository.commit(None, &signature, &signature, &message, &tree, &[&tip])?.to_string())
    }

    /// Puts commits on top of `onto`, one after the other, as GitHub rebases: authors stay, `by` commits. `None` where one
    /// conflicts, or is a merge; moves no ref.
    pub fn rebase(&self, onto: &str, commits: &[String], by: &Person) -> Result<Option<String>> {
        let repository = self.open()?;
        let mut tip = repository.find_commit(Oid::from_str(onto)?)?;
        for id in commits {
            let commit = repository.find_commit(Oid::from_str(id)?)?;
            if commit.parent_count() > 1 {
                return Ok(None);
            }
            let mut index = repository.cherrypick_commit(&commit, &tip, 0, None)?;
            if index.has_conflicts() {
                return Ok(None);
            }
            let tree = repository.find_tree(index.write_tree_to(&repository)?)?;
            let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
            let id = repository.commit(None, &commit.author(), &by.signature()?, &message, &tree, &[&tip])?;
            tip = repository.find_commit(id)?;
        }
        Ok(Some(tip.id().to_string()))
    }

    /// A commit of a tree as GitHub makes it when it merges; moves no ref.
    pub fn commit_tree(&self, tree: &str, parents: &[&str], message: &str, author: &Person) -> Result<String> {
        let repository = self.open()?;
        let tree = repository.find_tree(Oid::from_str(tree)?)?;
        let parents =
            parents.iter().map(|id| repository.find_commit(Oid::from_str(id)?)).collect::<Result<Vec<_>>>()?;
        let github = Person { name: "GitHub".into(), email: "noreply@github.com".into(), at: author.at };
        let parents: Vec<_> = parents.iter().collect();
        let id = repository.commit(None, &author.signature()?, &github.signature()?, message, &tree, &parents)?;
        Ok(id.to_string())
    }
}

impl Person {
    fn signature(&self) -> Result<Signature<'static>> {
        Signature::new(&self.name, &self.email, &Time::new(self.at.as_second(), 0))
    }

    fn of(signature: &Signature<'_>) -> Self {
        Person {
            name: String::from_utf8_lossy(signature.name_bytes()).into_owned(),
            email: String::from_utf8_lossy(signature.email_bytes()).into_owned(),
            at: Timestamp::from_second(signature.when().seconds()).unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }
}

fn write_hook(dir: &Path) -> std::io::Result<()> {
    let path = dir.join("hooks/update");
    std::fs::create_dir_all(dir.join("hooks"))?;
    let mut file = std::fs::File::create(&path)?;
    file.write_all(UPDATE_HOOK.as_bytes())?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(())
}
