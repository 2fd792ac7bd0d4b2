//! Merging: whether a pull request can be, and doing it: as a merge commit, squashed or rebased, as the repository allows.

use super::{
    auth::Need,
    git::Person,
    pulls::{self, find},
    rest::{Answer, Call, Reply},
    state::{Issue, Merged, Protection, Pull, Repo, Role, State, Verdict},
};
use crate::engine::event::RepoName;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How a pull request becomes part of its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    Merge,
    Squash,
    Rebase,
}

impl Method {
    pub const ALL: [Method; 3] = [Method::Merge, Method::Squash, Method::Rebase];

    /// As the API names it.
    pub fn word(self) -> &'static str {
        match self {
            Method::Merge => "merge",
            Method::Squash => "squash",
            Method::Rebase => "rebase",
        }
    }

    /// GitHub's sentence where the repository does not allow it.
    fn refusal(self) -> &'static str {
        match self {
            Method::Merge => "Merge commits are not allowed on this repository.",
            Method::Squash => "Squash merges are not allowed on this repository.",
            Method::Rebase => "Rebase merges are not allowed on this repository.",
        }
    }
}

pub fn is_merged(state: &State, call: &Call, name: &RepoName, number: u64) -> Answer {
    let repo = state.allowed(call, name, pulls::READ)?;
    match find(repo, number)?.1.merged {
        Some(_) => Ok(Reply::no_content()),
        None => Err(Reply::not_found()),
    }
}

pub fn merge(state: &mut State, call: &Call, name: &RepoName, number: u64) -> Answer {
    let repo = state.allowed(call, name, Need::write(&["contents"], Role::Write))?;
    find(repo, number)?;
    let actor = state.actor(&call.caller)?;
    let word = call.text("merge_method").unwrap_or(Method::Merge.word());
    let method = Method::ALL.into_iter().find(|method| method.word() == word);
    let method = method.ok_or_else(|| Reply::error(422, "Invalid merge method"))?;
    let title = call.text("commit_title");
    let message = call.text("commit_message");
    let sha = state.merge_pull(name, number, &actor, method, call.text("sha"), title, message)?;
    Ok(Reply::ok(json!({"sha": sha, "merged": true, "message": "Pull Request successfully merged"})))
}

impl State {
    /// `mergeable` and `mergeable_state`.
    pub fn mergeability(&self, repo: &Repo, issue: &Issue, pull: &Pull) -> (Value, &'static str) {
        if !issue.open || pull.mergeable_unknown > 0 {
            return (Value::Null, "unknown");
        }
        let tree = repo.git.branch(&pull.base_ref).and_then(|base| repo.git.merged_tree(&base, &pull.head_sha).ok()?);
        if tree.is_none() {
            return (false.into(), "dirty");
        }
        let protection = repo.protections.get(&pull.base_ref);
        let state = if pull.draft {
            "draft"
        } else if let Some(Blocked { behind, .. }) = protection.and_then(|rules| self.blocked(repo, pull, rules)) {
            if behind { "behind" } else { "blocked" }
        } else if self.verdicts(repo, &pull.head_sha).values().any(|green| !green) {
            "unstable"
        } else {
            "clean"
        };
        (true.into(), state)
    }

    /// Every check run and commit status on a commit by name, and whether the newest of that name is green.
    fn verdicts(&self, repo: &Repo, sha: &str) -> BTreeMap<String, bool> {
        let mut verdicts = BTreeMap::new();
        for status in repo.statuses.iter().filter(|status| status.sha == sha) {
            verdicts.insert(status.context.clone(), status.state == "success");
        }
        for check in repo.checks.values().filter(|check| check.head_sha == sha) {
            let green = matches!(check.conclusion.as_deref(), Some("success" | "neutral" | "skipped"));
            verdicts.insert(check.name.clone(), green);
        }
        verdicts
    }

    /// Why protection keeps a pull request from being merged.
    fn blocked(&self, repo: &Repo, pull: &Pull, rules: &Protection) -> Option<Blocked> {
        let blocked = |why: String| Some(Blocked { why, behind: false });
        // The newest verdict of each person with write access counts; comments do not change one.
        let mut latest: BTreeMap<&str, Verdict> = BTreeMap::new();
        for review in pull.reviews.iter().filter(|review| review.verdict != Verdict::Commented) {
            if self.role(repo, &review.author) >= Some(Role::Write) {
                latest.insert(&review.author, review.verdict);
            }
        }
        if let Some(wanted) = rules.required_reviews {
            if latest.values().any(|verdict| *verdict == Verdict::ChangesRequested) {
                return blocked("Changes were requested by a reviewer with write access.".into());
            }
            let approvals = latest.values().filter(|verdict| **verdict == Verdict::Approved).count();
            if approvals < wanted as usize {
                let noun = if wanted == 1 { "review is" } else { "reviews are" };
                return blocked(format!("At least {wanted} approving {noun} required by reviewers with write access."));
            }
        }
        let verdicts = self.verdicts(repo, &pull.head_sha);
        for check in &rules.required_checks {
            match verdicts.get(check) {
                Some(true) => {}
                Some(false) => return blocked(format!("Required status check \"{check}\" is failing.")),
                None => return blocked(format!("Required status check \"{check}\" is expected.")),
            }
        }
        let base = repo.git.branch(&pull.base_ref)?;
        (rules.strict && !repo.git.contains(&pull.head_sha, &base)).then(|| Blocked {
            why: "Head branch is out of date. Review and try the merge again.".into(),
            behind: true,
        })
    }

    /// Merges, with GitHub's refusals: 405 where it cannot be merged, 409 where the head is not `sha`.
    #[allow(clippy::too_many_arguments, reason = "the fields of GitHub's request")]
    pub fn merge_pull(
        &mut self,
        name: &RepoName,
        number: u64,
        actor: &str,
        method: Method,
        sha: Option<&str>,
        title: Option<&str>,
        message: Option<&str>,
    ) -> Result<String, Reply> {
        let now = self.now();
        let repo = self.repos.get(name).ok_or_else(Reply::not_found)?;
        let (issue, pull) = find(repo, number)?;
        let refused = |why: &str| Reply::error(405, why);
        if !issue.open || pull.merged.is_some() {
            return Err(refused("Pull Request is not mergeable"));
        }
        if pull.draft {
            return Err(refused("Pull Request is still a draft"));
        }
        if sha.is_some_and(|sha| sha != pull.head_sha) {
            return Err(Reply::error(409, "Head branch was modified. Review and try the merge again."));
        }
        if !repo.merge_methods.contains(&method) {
            return Err(refused(method.refusal()));
        }
        let base = repo.git.branch(&pull.base_ref).ok_or_else(|| refused("Base branch does not exist"))?;
        let Some(tree) = repo.git.merged_tree(&base, &pull.head_sha).map_err(Reply::git)? else {
            return Err(refused("Pull Request is not mergeable"));
        };
        if let Some(rules) = repo.protections.get(&pull.base_ref) {
            let admin = self.role(repo, actor) == Some(Role::Admin) && !rules.enforce_admins;
            if !admin && let Some(Blocked { why, .. }) = self.blocked(repo, pull, rules) {
                return Err(refused(&why));
            }
        }
        let account = self.account(actor);
        let author = Person {
            name: actor.to_owned(),
            email: format!("{}+{actor}@users.noreply.github.com", account.map_or(0, |account| account.id)),
            at: now,
        };
        let commits = || repo.git.between(Some(&base), &pull.head_sha).map_err(Reply::git);
        let commit = |default_title: String, default_message: String, parents: &[&str]| {
            let title = title.map_or(default_title, str::to_owned);
            let body = message.map_or(default_message, str::to_owned);
            let text = if body.is_empty() { title } else { format!("{title}\n\n{body}") };
            repo.git.commit_tree(&tree, parents, &text, &author).map_err(Reply::git)
        };
        let merged = match method {
            Method::Merge => {
                let title = format!("Merge pull request #{number} from {}/{}", name.owner(), pull.head_ref);
                commit(title, issue.title.clone(), &[&base, &pull.head_sha])?
            }
            Method::Squash => {
                let ids = commits()?;
                let subjects =
                    ids.iter().filter_map(|id| Some(format!("* {}", repo.git.info(id).ok()?.message.trim())));
                let message = subjects.collect::<Vec<_>>().join("\n\n");
                commit(format!("{} (#{number})", issue.title), message, &[&base])?
            }
            Method::Rebase => {
                let rebased = repo.git.rebase(&base, &commits()?, &author).map_err(Reply::git)?;
                rebased.ok_or_else(|| refused("This branch can't be rebased"))?
            }
        };
        let (base_ref, head_ref) = (pull.base_ref.clone(), pull.head_ref.clone());
        repo.git
            .move_ref(&format!("refs/heads/{base_ref}"), &merged, Some(&base))
            .map_err(|_| refused("Base branch was modified. Review and try the merge again."))?;

        let mut delete_branch = false;
        if let Some(repo) = self.repos.get_mut(name) {
            delete_branch = repo.delete_branch_on_merge;
            if let Some(issue) = repo.issues.get_mut(&number) {
                (issue.open, issue.closed_at, issue.updated_at) = (false, Some(now), now);
                issue.closed_by = Some(actor.to_owned());
                if let Some(pull) = &mut issue.pull {
                    pull.merged = Some(Merged { at: now, by: actor.to_owned(), sha: merged.clone() });
                }
            }
        }
        self.emit_pull(name, number, "closed", actor, Value::Null);
        self.refs_moved(name, actor);
        if delete_branch && let Some(repo) = self.repos.get(name) {
            // A head that is gone already needs no deleting.
            let _ = repo.git.delete_ref(&format!("refs/heads/{head_ref}"));
            self.refs_moved(name, actor);
        }
        Ok(merged)
    }
}

/// Why protection keeps a pull request from being merged.
struct Blocked {
    why: String,
    /// Only because the head is not up to date.
    behind: bool,
}
