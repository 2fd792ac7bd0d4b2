//! People at work: what they do through the web page or with git, as verbs. Their roles hold.

use super::{
    auth::{Caller, Need},
    git::{Bare, File},
    merge::Method,
    rest::Reply,
    setup::Github,
    state::{Repo, Role, State, Verdict},
};
use crate::engine::event::RepoName;
use std::cell::Cell;

thread_local! {
    static MUTED: Cell<u32> = const { Cell::new(0) };
}

/// Whether events of this thread are lost.
pub fn is_muted() -> bool {
    MUTED.get() > 0
}

/// Loses every event that `act` causes on this thread.
pub fn muted<T>(act: impl FnOnce() -> T) -> T {
    /// Ends the silence also where `act` panics.
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            MUTED.set(MUTED.get() - 1);
        }
    }
    MUTED.set(MUTED.get() + 1);
    let _guard = Guard;
    act()
}

/// What GitHub says where somebody may not, or cannot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{login} in {repo}: {status} {message}")]
pub struct Refused {
    pub login: String,
    pub repo: String,
    pub status: u16,
    pub message: String,
}

/// Somebody with an account.
#[derive(Clone, Debug)]
pub struct Person {
    github: Github,
    login: String,
}

type Done<T> = Result<T, Refused>;

impl Person {
    pub(super) fn new(github: Github, login: &str) -> Self {
        Person { github, login: login.to_owned() }
    }

    pub fn login(&self) -> &str {
        &self.login
    }

    /// A token for REST and git.
    pub fn token(&self) -> String {
        let token = format!("ghp_{}", uuid::Uuid::new_v4().simple());
        self.github.shared().state().person_tokens.insert(token.clone(), self.login.clone());
        token
    }

    /// Does something with the state, if the role allows.
    fn act<T>(
        &self,
        repo: &str,
        role: Role,
        act: impl FnOnce(&mut State, &RepoName, &str) -> Result<T, Reply>,
    ) -> Done<T> {
        let refused = |reply: Reply| {
            let errors = reply.body.pointer("/errors/0/message").and_then(|message| message.as_str());
            let message = errors.or_else(|| reply.body.get("message")?.as_str()).unwrap_or_default().to_owned();
            Refused { login: self.login.clone(), repo: repo.to_owned(), status: reply.status, message }
        };
        let name: RepoName = repo.parse().map_err(|_| refused(Reply::not_found()))?;
        let mut state = self.github.shared().state();
        let found = state.repos.get(&name).ok_or_else(|| refused(Reply::not_found()))?;
        let need = Need { role, ..Need::read(&[]) };
        state.may(&Caller::Person(self.login.clone()), found, need).map_err(refused)?;
        act(&mut state, &name, &self.login).map_err(refused)
    }

    /// Opens a pull request; its number.
    pub fn opens(&self, repo: &str, head: &str, base: &str, title: &str) -> Done<u64> {
        self.act(repo, Role::Write, |state, name, me| state.open_pull(name, me, head, base, title, None, false))
    }

    /// Opens an issue that is no pull request; its number.
    pub fn opens_issue(&self, repo: &str, title: &str) -> Done<u64> {
        self.act(repo, Role::Read, |state, name, me| state.add_issue(name, me, title, None, None))
    }

    /// Comments on an issue or pull request; the comment's id.
    pub fn comments(&self, repo: &str, number: u64, body: &str) -> Done<u64> {
        self.act(repo, Role::Read, |state, name, me| state.comment(name, number, me, body))
    }

    pub fn edits_comment(&self, repo: &str, id: u64, body: &str) -> Done<()> {
        self.act(repo, Role::Read, |state, name, me| {
            state.may_edit(name, id, me)?;
            state.edit_comment(name, id, me, body)
        })
    }

    pub fn deletes_comment(&self, repo: &str, id: u64) -> Done<()> {
        self.act(repo, Role::Read, |state, name, me| {
            state.may_edit(name, id, me)?;
            state.delete_comment(name, id, me)
        })
    }

    /// Reviews the present head; the review's id.
    pub fn reviews(&self, repo: &str, number: u64, verdict: Verdict, body: &str) -> Done<u64> {
        self.act(repo, Role::Read, |state, name, me| state.review(name, number, me, verdict, body))
    }

    pub fn approves(&self, repo: &str, number: u64) -> Done<u64> {
        self.reviews(repo, number, Verdict::Approved, "")
    }

    pub fn dismisses(&self, repo: &str, number: u64, review: u64) -> Done<()> {
        self.act(repo, Role::Write, |state, name, me| state.dismiss_review(name, number, review, me))
    }

    pub fn closes(&self, repo: &str, number: u64) -> Done<()> {
        self.act(repo, Role::Triage, |state, name, me| {
            state.set_open(name, number, false, me);
            Ok(())
        })
    }

    pub fn reopens(&self, repo: &str, number: u64) -> Done<()> {
        self.act(repo, Role::Triage, |state, name, me| {
            state.set_open(name, number, true, me);
            Ok(())
        })
    }

    /// Turns a pull request to another base branch.
    pub fn retargets(&self, repo: &str, number: u64, base: &str) -> Done<()> {
        self.act(repo, Role::Write, |state, name, me| state.edit_pull(name, number, me, [None, None, Some(base)]))
    }

    /// Merges with a merge commit; its id.
    pub fn merges(&self, repo: &str, number: u64) -> Done<String> {
        self.merges_by(repo, number, Method::Merge)
    }

    pub fn merges_by(&self, repo: &str, number: u64, method: Method) -> Done<String> {
        self.act(repo, Role::Write, |state, name, me| state.merge_pull(name, number, me, method, None, None, None))
    }

    /// Presses "Update branch": merges the base into the head; the new head.
    pub fn updates_branch(&self, repo: &str, number: u64) -> Done<String> {
        self.act(repo, Role::Write, |state, name, me| {
            let repo = repository(state, name)?;
            let pull = repo.issues.get(&number).and_then(|issue| issue.pull.as_ref()).ok_or_else(Reply::not_found)?;
            let base = repo.git.branch(&pull.base_ref).ok_or_else(Reply::not_found)?;
            let conflict = || Reply::error(422, "merge conflict between base and head");
            let tree = repo.git.merged_tree(&pull.head_sha, &base).map_err(Reply::git)?.ok_or_else(conflict)?;
            let id = state.account(me).map_or(0, |account| account.id);
            let author = super::git::Person {
                name: me.to_owned(),
                email: format!("{id}+{me}@users.noreply.github.com"),
                at: state.now(),
            };
            let text = format!("Merge branch '{}' into {}", pull.base_ref, pull.head_ref);
            let merged = repo.git.commit_tree(&tree, &[&pull.head_sha, &base], &text, &author).map_err(Reply::git)?;
            repo.git.set_ref(&format!("refs/heads/{}", pull.head_ref), &merged).map_err(Reply::git)?;
            state.refs_moved(name, me);
            Ok(merged)
        })
    }

    pub fn labels(&self, repo: &str, number: u64, label: &str) -> Done<()> {
        self.act(repo, Role::Triage, |state, name, me| {
            state.label(name, number, label, me);
            Ok(())
        })
    }

    pub fn unlabels(&self, repo: &str, number: u64, label: &str) -> Done<()> {
        self.act(repo, Role::Triage, |state, name, me| {
            state.unlabel(name, number, label, me);
            Ok(())
        })
    }

    /// Commits files on top of a branch (`None` deletes a file) and pushes; the commit. A branch that is not there starts at
    /// the default branch.
    pub fn pushes(&self, repo: &str, branch: &str, message: &str, files: &[(&str, Option<&str>)]) -> Done<String> {
        self.changes_branch(repo, branch, |git, tip, author| {
            let files: Vec<File<'_>> = files.iter().map(|(path, text)| (*path, text.map(str::as_bytes))).collect();
            git.commit(tip, &files, message, author).map_err(Reply::git)
        })
    }

    /// Undoes a commit with another on top of a branch, as `git revert` does; the new commit.
    pub fn reverts(&self, repo: &str, branch: &str, commit: &str) -> Done<String> {
        self.changes_branch(repo, branch, |git, tip, author| {
            git.revert(tip.unwrap_or(commit), commit, author).map_err(Reply::git)
        })
    }

    /// Makes a branch at a commit, or forces it there.
    pub fn resets(&self, repo: &str, branch: &str, commit: &str) -> Done<()> {
        self.changes_branch(repo, branch, |_, _, _| Ok(commit.to_owned())).map(drop)
    }

    pub fn deletes_branch(&self, repo: &str, branch: &str) -> Done<()> {
        self.deletes_ref(repo, &format!("refs/heads/{branch}"))
    }

    /// Deletes any ref, also those that no page shows.
    pub fn deletes_ref(&self, repo: &str, full: &str) -> Done<()> {
        self.act(repo, Role::Write, |state, name, me| {
            repository(state, name)?.git.delete_ref(full).map_err(Reply::git)?;
            state.refs_moved(name, me);
            Ok(())
        })
    }

    /// Points any ref at a commit.
    pub fn sets_ref(&self, repo: &str, full: &str, commit: &str) -> Done<()> {
        self.act(repo, Role::Write, |state, name, me| {
            repository(state, name)?.git.set_ref(full, commit).map_err(Reply::git)?;
            state.refs_moved(name, me);
            Ok(())
        })
    }

    fn changes_branch(
        &self,
        repo: &str,
        branch: &str,
        make: impl FnOnce(&Bare, Option<&str>, &super::git::Person) -> Result<String, Reply>,
    ) -> Done<String> {
        self.act(repo, Role::Write, |state, name, me| {
            let repo = repository(state, name)?;
            let role = state.role(repo, me);
            if let Some(why) = repo.protections.get(branch).and_then(|protection| protection.refuses(me, role)) {
                let full = format!("GH006: Protected branch update failed for refs/heads/{branch}. {why}");
                return Err(Reply::error(403, &full));
            }
            let id = state.account(me).map_or(0, |account| account.id);
            let author = super::git::Person {
                name: me.to_owned(),
                email: format!("{id}+{me}@users.noreply.github.com"),
                at: state.now(),
            };
            let tip = repo.git.branch(branch).or_else(|| repo.git.branch(&repo.default_branch));
            let commit = make(&repo.git, tip.as_deref(), &author)?;
            repo.git.set_ref(&format!("refs/heads/{branch}"), &commit).map_err(Reply::git)?;
            state.refs_moved(name, me);
            Ok(commit)
        })
    }
}

fn repository<'a>(state: &'a State, name: &RepoName) -> Result<&'a Repo, Reply> {
    state.repos.get(name).ok_or_else(Reply::not_found)
}
