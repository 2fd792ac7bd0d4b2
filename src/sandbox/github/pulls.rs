//! Pull requests: list, open, read, change; their files and commits.

use super::{
    auth::Need,
    git::FileChange,
    refs::{maybe, pull_ref},
    render::node_id,
    rest::{Answer, Call, Reply},
    state::{Issue, Pull, Repo, Role, State, time},
};
use crate::engine::event::RepoName;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub const READ: Need = Need::read(&["pull_requests"]);
pub const WRITE: Need = Need::write(&["pull_requests"], Role::Write);

/// A pull request with its issue, or 404.
pub fn find(repo: &Repo, number: u64) -> Result<(&Issue, &Pull), Reply> {
    let issue = repo.issues.get(&number).ok_or_else(Reply::not_found)?;
    Ok((issue, issue.pull.as_ref().ok_or_else(Reply::not_found)?))
}

pub fn list(state: &State, call: &Call, name: &RepoName) -> Answer {
    let repo = state.allowed(call, name, READ)?;
    let filter = |field: &str| call.query.get(field).map(String::as_str);
    let wanted = filter("state").unwrap_or("open");
    // A head is given as `owner:branch`; GitHub ignores one without an owner.
    let head = filter("head").and_then(|head| head.split_once(':'));
    let mut found: Vec<(&Issue, &Pull)> = repo
        .pulls()
        .filter(|(issue, _)| wanted == "all" || issue.open == (wanted == "open"))
        .filter(|(_, pull)| filter("base").is_none_or(|base| pull.base_ref == base))
        .filter(|(_, pull)| {
            head.is_none_or(|(owner, branch)| owner.eq_ignore_ascii_case(name.owner()) && pull.head_ref == branch)
        })
        .collect();
    if filter("sort") == Some("updated") {
        found.sort_by_key(|(issue, _)| issue.updated_at);
    }
    // Newest first, unless sorted by something else.
    let ascending = filter("direction").map_or(filter("sort").is_some_and(|sort| sort != "created"), |d| d == "asc");
    if !ascending {
        found.reverse();
    }
    call.list(found.into_iter().map(|(issue, pull)| state.pull_json(repo, issue, pull)).collect())
}

pub fn create(state: &mut State, call: &Call, name: &RepoName) -> Answer {
    state.allowed(call, name, WRITE)?;
    let head = call.required("PullRequest", "head")?;
    let base = call.required("PullRequest", "base")?;
    let title = call.required("PullRequest", "title")?;
    let draft = call.body.get("draft").and_then(Value::as_bool).unwrap_or_default();
    let actor = state.actor(&call.caller)?;
    let number = state.open_pull(name, &actor, head, base, title, call.text("body"), draft)?;
    let repo = state.repos.get(name).ok_or_else(Reply::not_found)?;
    let (issue, pull) = find(repo, number)?;
    Ok(Reply::created(state.full_pull_json(repo, issue, pull)))
}

pub fn get(state: &mut State, call: &Call, name: &RepoName, number: u64) -> Answer {
    let repo = state.allowed(call, name, READ)?;
    let (issue, pull) = find(repo, number)?;
    let json = state.full_pull_json(repo, issue, pull);
    // A look makes GitHub compute it.
    if let Some(pull) = state.repos.get_mut(name).and_then(|repo| repo.issues.get_mut(&number)?.pull.as_mut()) {
        pull.mergeable_unknown = pull.mergeable_unknown.saturating_sub(1);
    }
    Ok(Reply::ok(json))
}

pub fn update(state: &mut State, call: &Call, name: &RepoName, number: u64) -> Answer {
    let repo = state.allowed(call, name, WRITE)?;
    let (issue, pull) = find(repo, number)?;
    let actor = state.actor(&call.caller)?;
    let reopened = !issue.open && call.text("state") == Some("open");
    if reopened && (pull.merged.is_some() || repo.git.branch(&pull.head_ref).is_none()) {
        return Err(Reply::invalid("PullRequest", "state", "invalid", Some("state cannot be changed.")));
    }
    let head_sha = if reopened { repo.git.branch(&pull.head_ref) } else { None };
    state.edit_pull(name, number, &actor, [call.text("title"), call.text("body"), call.text("base")])?;
    let issue = state.repos.get_mut(name).and_then(|repo| repo.issues.get_mut(&number));
    if let (Some(pull), Some(sha)) = (issue.and_then(|issue| issue.pull.as_mut()), head_sha) {
        pull.head_sha = sha;
    }
    match call.text("state") {
        Some("closed") => state.set_open(name, number, false, &actor),
        Some("open") => state.set_open(name, number, true, &actor),
        _ => {}
    }
    let repo = state.repos.get(name).ok_or_else(Reply::not_found)?;
    let (issue, pull) = find(repo, number)?;
    Ok(Reply::ok(state.full_pull_json(repo, issue, pull)))
}

pub fn files(state: &State, call: &Call, name: &RepoName, number: u64) -> Answer {
    let repo = state.allowed(call, name, READ)?;
    let (_, pull) = find(repo, number)?;
    let changes = repo.git.changes(&pull.base_sha, &pull.head_sha).map_err(Reply::git)?;
    call.list(changes.iter().map(|change| state.file_json(repo, &pull.head_sha, change)).collect())
}

pub fn commits(state: &State, call: &Call, name: &RepoName, number: u64) -> Answer {
    let repo = state.allowed(call, name, READ)?;
    let (_, pull) = find(repo, number)?;
    let ids = repo.git.between(Some(&pull.base_sha), &pull.head_sha).map_err(Reply::git)?;
    call.list(ids.iter().filter_map(|id| Some(state.commit_json(repo, &repo.git.info(id).ok()?))).collect())
}

impl State {
    /// Opens a pull request, with GitHub's refusals: branches that are not there, nothing to merge, one that is open already.
    #[allow(clippy::too_many_arguments, reason = "the fields of GitHub's form")]
    pub fn open_pull(
        &mut self,
        name: &RepoName,
        actor: &str,
        head: &str,
        base: &str,
        title: &str,
        body: Option<&str>,
        draft: bool,
    ) -> Result<u64, Reply> {
        let repo = self.repos.get(name).ok_or_else(Reply::not_found)?;
        let head_ref = match head.split_once(':') {
            Some((owner, branch)) if owner.eq_ignore_ascii_case(name.owner()) => branch,
            Some(_) => return Err(Reply::invalid("PullRequest", "head", "invalid", None)),
            None => head,
        };
        let invalid = |field| Reply::invalid("PullRequest", field, "invalid", None);
        let head_sha = repo.git.branch(head_ref).ok_or_else(|| invalid("head"))?;
        let base_sha = repo.git.branch(base).ok_or_else(|| invalid("base"))?;
        let refused = |message: String| {
            let mut reply = Reply::error(422, "Validation Failed");
            reply.body["errors"] = json!([{"resource": "PullRequest", "code": "custom", "message": message}]);
            reply
        };
        if repo.pulls().any(|(issue, pull)| issue.open && pull.head_ref == head_ref && pull.base_ref == base) {
            return Err(refused(format!("A pull request already exists for {}:{head_ref}.", name.owner())));
        }
        if repo.git.contains(&base_sha, &head_sha) {
            return Err(refused(format!("No commits between {base} and {head_ref}")));
        }
        let pull = Pull {
            id: self.id(),
            head_ref: head_ref.to_owned(),
            head_sha: head_sha.clone(),
            base_ref: base.to_owned(),
            base_sha,
            draft,
            merged: None,
            reviews: Vec::new(),
            requested_reviewers: BTreeSet::new(),
            mergeable_unknown: 0,
        };
        let number = self.add_issue(name, actor, title, body, Some(pull))?;
        if let Some(repo) = self.repos.get_mut(name) {
            repo.git.set_ref(&pull_ref(number), &head_sha).map_err(Reply::git)?;
        }
        self.emit_pull(name, number, "opened", actor, Value::Null);
        Ok(number)
    }

    /// Changes a pull request's title, body and base; what is `None` stays.
    pub fn edit_pull(
        &mut self,
        name: &RepoName,
        number: u64,
        actor: &str,
        [title, body, base]: [Option<&str>; 3],
    ) -> Result<(), Reply> {
        let now = self.now();
        let repo = self.repos.get_mut(name).ok_or_else(Reply::not_found)?;
        let base = match base {
            Some(base) => {
                let invalid = || Reply::invalid("PullRequest", "base", "invalid", None);
                Some((base, repo.git.branch(base).ok_or_else(invalid)?))
            }
            None => None,
        };
        let issue = repo.issues.get_mut(&number).ok_or_else(Reply::not_found)?;
        let mut changes = json!({});
        if let Some(title) = title.filter(|title| *title != issue.title) {
            changes["title"] = json!({"from": issue.title});
            issue.title = title.to_owned();
        }
        if let Some(body) = body.filter(|body| Some(*body) != issue.body.as_deref()) {
            changes["body"] = json!({"from": issue.body.clone().unwrap_or_default()});
            issue.body = Some(body.to_owned());
        }
        if let (Some(pull), Some((base, sha))) = (&mut issue.pull, base)
            && pull.base_ref != base
        {
            changes["base"] = json!({"ref": {"from": pull.base_ref}, "sha": {"from": pull.base_sha}});
            (pull.base_ref, pull.base_sha) = (base.to_owned(), sha);
        }
        issue.updated_at = now;
        if changes.as_object().is_some_and(|changes| !changes.is_empty()) {
            self.emit_pull(name, number, "edited", actor, json!({"changes": changes}));
        }
        Ok(())
    }

    /// Opens or closes an issue or a pull request; nothing where it is so already.
    pub fn set_open(&mut self, name: &RepoName, number: u64, open: bool, actor: &str) {
        let now = self.now();
        let Some(issue) = self.repos.get_mut(name).and_then(|repo| repo.issues.get_mut(&number)) else { return };
        if issue.open == open {
            return;
        }
        (issue.open, issue.updated_at) = (open, now);
        issue.closed_at = (!open).then_some(now);
        issue.closed_by = (!open).then(|| actor.to_owned());
        if issue.pull.is_some() {
            self.emit_pull(name, number, if open { "reopened" } else { "closed" }, actor, Value::Null);
        }
    }

    /// Sends `pull_request`; `more` are fields that only this action has.
    pub fn emit_pull(&self, name: &RepoName, number: u64, action: &str, actor: &str, more: Value) {
        let Some(repo) = self.repos.get(name) else { return };
        let Ok((issue, pull)) = find(repo, number) else { return };
        let mut payload = json!({"number": number, "pull_request": self.full_pull_json(repo, issue, pull)});
        if let (Some(payload), Value::Object(more)) = (payload.as_object_mut(), more) {
            payload.extend(more);
        }
        self.emit(name, "pull_request", Some(action), actor, payload);
    }

    /// `pull-request-simple`.
    pub fn pull_json(&self, repo: &Repo, issue: &Issue, pull: &Pull) -> Value {
        let (api, html, number) = (self.api(repo), self.html(repo), issue.number);
        let (url, page) = (format!("{api}/pulls/{number}"), format!("{html}/pull/{number}"));
        let side = |branch: &str, sha: &str| {
            json!({
                "label": format!("{}:{branch}", repo.name.owner()), "ref": branch, "sha": sha,
                "user": self.user_json(repo.name.owner()), "repo": self.repo_json(repo),
            })
        };
        let link = |suffix: &str| json!({"href": format!("{url}{suffix}")});
        let comments = format!("{api}/issues/{number}/comments");
        let statuses = format!("{api}/statuses/{}", pull.head_sha);
        let mut json = json!({
            "id": pull.id, "node_id": node_id("PR", pull.id), "number": number, "url": url, "html_url": page,
            "diff_url": format!("{page}.diff"), "patch_url": format!("{page}.patch"),
            "issue_url": format!("{api}/issues/{number}"),
            "commits_url": format!("{url}/commits"), "comments_url": comments, "statuses_url": statuses,
            "review_comments_url": format!("{url}/comments"),
            "review_comment_url": format!("{api}/pulls/comments{{/number}}"),
            "state": if issue.open { "open" } else { "closed" },
            "locked": false, "active_lock_reason": null, "draft": pull.draft,
            "title": issue.title, "body": issue.body, "user": self.user_json(&issue.author),
            "labels": self.labels_json(repo, &issue.labels),
            "milestone": null, "assignee": null, "assignees": [], "auto_merge": null,
            "requested_reviewers": pull.requested_reviewers.iter().map(|login| self.user_json(login)).collect::<Vec<_>>(),
            "requested_teams": [],
            "author_association": self.association(repo, &issue.author),
            "created_at": time(issue.created_at), "updated_at": time(issue.updated_at),
            "closed_at": maybe(issue.closed_at), "merged_at": maybe(pull.merged.as_ref().map(|merged| merged.at)),
            "merge_commit_sha": pull.merged.as_ref().map(|merged| merged.sha.clone()),
        });
        json["head"] = side(&pull.head_ref, &pull.head_sha);
        json["base"] = side(&pull.base_ref, &pull.base_sha);
        json["_links"] = json!({
            "self": link(""), "html": {"href": page}, "issue": {"href": format!("{api}/issues/{number}")},
            "comments": {"href": comments}, "review_comments": link("/comments"),
            "review_comment": {"href": format!("{api}/pulls/comments{{/number}}")},
            "commits": link("/commits"), "statuses": {"href": statuses},
        });
        json
    }

    /// `pull-request`: with whether it can be merged, and its size.
    pub fn full_pull_json(&self, repo: &Repo, issue: &Issue, pull: &Pull) -> Value {
        let mut json = self.pull_json(repo, issue, pull);
        let (mergeable, mergeable_state) = self.mergeability(repo, issue, pull);
        let changes = repo.git.changes(&pull.base_sha, &pull.head_sha).unwrap_or_default();
        let more = json!({
            "merged": pull.merged.is_some(),
            "merged_by": pull.merged.as_ref().map(|merged| self.user_json(&merged.by)),
            "mergeable": mergeable, "mergeable_state": mergeable_state, "rebaseable": mergeable,
            "maintainer_can_modify": false,
            "comments": repo.comments.values().filter(|comment| comment.number == issue.number).count(),
            "review_comments": 0,
            "commits": repo.git.between(Some(&pull.base_sha), &pull.head_sha).map_or(0, |ids| ids.len()),
            "additions": changes.iter().map(|change| change.additions).sum::<usize>(),
            "deletions": changes.iter().map(|change| change.deletions).sum::<usize>(),
            "changed_files": changes.len(),
        });
        if let (Some(json), Value::Object(more)) = (json.as_object_mut(), more) {
            json.extend(more);
        }
        json
    }

    /// `diff-entry`.
    pub fn file_json(&self, repo: &Repo, commit: &str, change: &FileChange) -> Value {
        let (html, path) = (self.html(repo), &change.path);
        let mut json = json!({
            "sha": change.blob, "filename": path, "status": change.status, "additions": change.additions,
            "deletions": change.deletions, "changes": change.additions + change.deletions,
            "blob_url": format!("{html}/blob/{commit}/{path}"), "raw_url": format!("{html}/raw/{commit}/{path}"),
            "contents_url": format!("{}/contents/{path}?ref={commit}", self.api(repo)), "patch": change.patch,
        });
        if let Some(previous) = &change.previous_path {
            json["previous_filename"] = previous.clone().into();
        }
        json
    }
}
