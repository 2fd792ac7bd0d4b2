//! What follows when refs move, whoever moved them: pull requests get new heads, close or count as merged, and people are told.

use super::{
    auth::{Caller, Need},
    git::NO_COMMIT,
    state::{Access, Merged, Repo, Role, State, time},
};
use crate::engine::event::RepoName;
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl State {
    /// Looks at a repository's refs again and does what GitHub does about those that moved.
    pub fn refs_moved(&mut self, name: &RepoName, actor: &str) {
        let now = self.now();
        let Some(repo) = self.repos.get_mut(name) else { return };
        // A repository that cannot be read has not moved.
        let Ok(refs) = repo.git.refs() else { return };
        let known = std::mem::replace(&mut repo.known_refs, refs.clone());
        let moved: BTreeMap<&String, (Option<&String>, Option<&String>)> = known
            .keys()
            .chain(refs.keys())
            .map(|name| (name, (known.get(name), refs.get(name))))
            .filter(|(_, (before, after))| before != after)
            .collect();
        if moved.keys().any(|name| !name.starts_with("refs/pull/")) {
            repo.pushed_at = now;
        }
        for (full, (before, after)) in moved {
            // Other refs, such as an App's own, send no event.
            if full.starts_with("refs/heads/") || full.starts_with("refs/tags/") {
                self.emit_push(name, full, before.map(String::as_str), after.map(String::as_str), actor);
            }
            if let Some(branch) = full.strip_prefix("refs/heads/") {
                self.branch_moved(name, branch, after.map(String::as_str), actor);
            }
        }
    }

    /// Pull requests from and to a branch that moved.
    fn branch_moved(&mut self, name: &RepoName, branch: &str, tip: Option<&str>, actor: &str) {
        let now = self.now();
        let Some(repo) = self.repos.get_mut(name) else { return };
        let git = repo.git.clone();
        let mut told = Vec::new();
        for issue in repo.issues.values_mut().filter(|issue| issue.open) {
            let Some(pull) = &mut issue.pull else { continue };
            let (from, to) = (pull.head_ref == branch, pull.base_ref == branch);
            let mut closed = false;
            match tip {
                Some(tip) if from && pull.head_sha != tip => {
                    let before = std::mem::replace(&mut pull.head_sha, tip.to_owned());
                    // Kept beside the branch; failing to keep it only hides `refs/pull`.
                    let _ = git.set_ref(&pull_ref(issue.number), tip);
                    issue.updated_at = now;
                    told.push((issue.number, "synchronize", json!({"before": before, "after": tip})));
                }
                Some(tip) if to => {
                    pull.base_sha = tip.to_owned();
                    // A head that the base has is merged, however it came there.
                    if git.contains(tip, &pull.head_sha) {
                        pull.merged = Some(Merged { at: now, by: actor.to_owned(), sha: tip.to_owned() });
                        closed = true;
                    }
                }
                None if from || to => closed = true,
                _ => {}
            }
            if closed {
                issue.open = false;
                issue.closed_at = Some(now);
                issue.closed_by = Some(actor.to_owned());
                issue.updated_at = now;
                told.push((issue.number, "closed", Value::Null));
            }
        }
        let refs = repo.git.refs().unwrap_or_default();
        repo.known_refs = refs;
        for (number, action, more) in told {
            self.emit_pull(name, number, action, actor, more);
        }
    }

    fn emit_push(&self, name: &RepoName, full: &str, before: Option<&str>, after: Option<&str>, actor: &str) {
        let Some(repo) = self.repos.get(name) else { return };
        let base = match before {
            Some(before) => Some(before.to_owned()),
            // A new branch's commits are those that the default branch has not.
            None => repo.git.branch(&repo.default_branch).filter(|tip| after != Some(tip.as_str())),
        };
        let new = after.map(|after| repo.git.between(base.as_deref(), after).unwrap_or_default()).unwrap_or_default();
        let commit = |id: &str| repo.git.info(id).ok().map(|info| self.pushed_commit_json(repo, &info));
        // GitHub lists 2,048 at most.
        let commits: Vec<Value> = new.iter().take(2048).filter_map(|id| commit(id)).collect();
        let forced = matches!((before, after), (Some(before), Some(after)) if !repo.git.contains(after, before));
        let email = format!("{actor}@users.noreply.github.com");
        let short = |id: Option<&str>| id.unwrap_or(NO_COMMIT).chars().take(12).collect::<String>();
        let mut payload = json!({
            "ref": full,
            "before": before.unwrap_or(NO_COMMIT),
            "after": after.unwrap_or(NO_COMMIT),
            "created": before.is_none(),
            "deleted": after.is_none(),
            "forced": forced,
            "base_ref": null,
            "compare": format!("{}/compare/{}...{}", self.html(repo), short(before), short(after)),
            "commits": commits,
            "head_commit": after.and_then(commit),
            "pusher": {"name": actor, "email": email},
        });
        // In a push the repository's times are seconds, and its owner has a name.
        let mut repository = self.repo_json(repo);
        repository["created_at"] = repo.created_at.as_second().into();
        repository["pushed_at"] = repo.pushed_at.as_second().into();
        repository["owner"]["name"] = repo.name.owner().into();
        repository["owner"]["email"] = Value::Null;
        repository["stargazers"] = 0.into();
        repository["master_branch"] = repo.default_branch.clone().into();
        payload["repository"] = repository;
        self.emit(name, "push", None, actor, payload);
    }

    /// Sends an event of a repository where the App is installed and listens. `repository`, `sender` and `installation` are added.
    pub fn emit(&self, name: &RepoName, event: &str, action: Option<&str>, actor: &str, mut payload: Value) {
        let (Some(repo), Some(installation)) = (self.repos.get(name), self.installation_for(name)) else { return };
        if super::people::is_muted() || !self.app.events.contains(event) || installation.suspended_at.is_some() {
            return;
        }
        if let Some(action) = action {
            payload["action"] = action.into();
        }
        if payload.get("repository").is_none() {
            payload["repository"] = self.repo_json(repo);
        }
        payload["sender"] = self.user_json(actor);
        payload["installation"] =
            json!({"id": installation.id, "node_id": super::render::node_id("I", installation.id)});
        self.hooks.emit(event, action, payload, self.now());
    }

    /// `installation` events: sent to the App, not about one repository.
    pub fn emit_installation(&self, event: &str, action: &str, id: u64, actor: &str, mut payload: Value) {
        let Some(installation) = self.installations.iter().find(|installation| installation.id == id) else { return };
        if super::people::is_muted() {
            return;
        }
        payload["action"] = action.into();
        payload["installation"] = self.installation_json(installation);
        payload["sender"] = self.user_json(actor);
        self.hooks.emit(event, Some(action), payload, self.now());
    }

    /// The repositories of an installation, as its events list them.
    pub fn listed(&self, repositories: &std::collections::BTreeSet<RepoName>) -> Value {
        let entry = |name| {
            let repo: &Repo = self.repos.get(name)?;
            Some(json!({
                "id": repo.id, "node_id": super::render::node_id("R", repo.id), "name": name.name(),
                "full_name": name.to_string(), "private": repo.private,
            }))
        };
        repositories.iter().filter_map(entry).collect()
    }

    /// Which branches are closed to a pusher, told to the update hook before git runs.
    pub fn close_refs(&self, repo: &Repo, pusher: &str) -> std::io::Result<()> {
        let role = self.role(repo, pusher);
        let closed: Vec<(String, String)> = repo
            .protections
            .iter()
            .filter_map(|(branch, protection)| {
                Some((format!("refs/heads/{branch}"), protection.refuses(pusher, role)?))
            })
            .collect();
        repo.git.close_refs(pusher, &closed)
    }

    /// Who pushes or fetches, if these credentials let them: the login that acts.
    pub fn git_access(&self, caller: &Caller, name: &RepoName, write: bool) -> Result<String, super::rest::Reply> {
        let repo = self.repos.get(name).ok_or_else(super::rest::Reply::not_found)?;
        let need = Need {
            any_of: &["contents"],
            access: if write { Access::Write } else { Access::Read },
            role: if write { Role::Write } else { Role::Read },
        };
        // Git asks without credentials first, and sends them only when it is told 401.
        if matches!(caller, Caller::Anonymous) && (write || repo.private) {
            return Err(super::rest::Reply::error(401, "Requires authentication"));
        }
        self.may(caller, repo, need)?;
        Ok(self.actor(caller).unwrap_or_else(|_| "anonymous".into()))
    }
}

/// The ref that keeps a pull request's head.
pub fn pull_ref(number: u64) -> String {
    format!("refs/pull/{number}/head")
}

/// GitHub's rendering of an optional time.
pub fn maybe(at: Option<jiff::Timestamp>) -> Value {
    at.map(time).into()
}
