//! What a merge has to look like.

use super::{
    error::{GitError, Local, missing, oid},
    mirror::Mirror,
};

impl Mirror {
    /// Whether a commit has two parents and holds just what merging the second into the first gives, without a conflict:
    /// nobody put anything of their own into it. Who committed it is not looked at, since anybody can write any name.
    ///
    /// Where git itself would have merged otherwise (renames can be told in several ways), the answer is no.
    pub fn is_plain_merge(&self, commit: &str) -> Result<bool, GitError> {
        self.local(|repository| {
            let id = oid(commit)?;
            let commit = repository.find_commit(id).map_err(missing("commit", id))?;
            if commit.parent_count() != 2 {
                return Ok(false);
            }
            let (ours, theirs) = (commit.parent(0)?, commit.parent(1)?);
            let mut merged = repository.merge_commits(&ours, &theirs, None)?;
            if merged.has_conflicts() {
                return Ok(false);
            }
            Ok::<_, Local>(merged.write_tree_to(repository)? == commit.tree_id())
        })
    }
}
