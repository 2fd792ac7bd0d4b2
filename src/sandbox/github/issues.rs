//! Issues and their labels. A pull request is an issue as well.

use super::{
    auth::Need,
    refs::maybe,
    render::node_id,
    rest::{Answer, Call, Reply},
    state::{Issue, Pull, Repo, Role, State, time},
};
use crate::engine::event::RepoName;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub const READ: Need = Need::read(&["issues", "pull_requests"]);
const WRITE: Need = Need::write(&["issues", "pull_requests"], Role::Triage);

/// An issue, or 404.
pub fn find(repo: &Repo, number: u64) -> Result<&Issue, Reply> {
    repo.issues.get(&number).ok_or_else(Reply::not_found)
}

pub fn get(state: &State, call: &Call, name: &RepoName, number: u64) -> Answer {
    let repo = state.allowed(call, name, READ)?;
    Ok(Reply::ok(state.issue_json(repo, find(repo, number)?)))
}

pub fn labels(state: &State, call: &Call, name: &RepoName, number: u64) -> Answer {
    let repo = state.allowed(call, name, READ)?;
    call.list(state.labels_json(repo, &find(repo, number)?.labels))
}

pub fn add_labels(state: &mut State, call: &Call, name: &RepoName, number: u64) -> Answer {
    find(state.allowed(call, name, WRITE)?, number)?;
    let actor = state.actor(&call.caller)?;
    // `{"labels": [...]}` or a plain list; of names, or of objects with a name.
    let list = call.body.get("labels").unwrap_or(&call.body).as_array().cloned().unwrap_or_default();
    for label in &list {
        if let Some(label) = label.as_str().or_else(|| label.get("name")?.as_str()) {
            state.label(name, number, label, &actor);
        }
    }
    let repo = state.repos.get(name).ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(Value::Array(state.labels_json(repo, &find(repo, number)?.labels))))
}

pub fn remove_label(state: &mut State, call: &Call, name: &RepoName, number: u64, label: &str) -> Answer {
    find(state.allowed(call, name, WRITE)?, number)?;
    let actor = state.actor(&call.caller)?;
    if !state.unlabel(name, number, label, &actor) {
        return Err(Reply::error(404, "Label does not exist"));
    }
    let repo = state.repos.get(name).ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(Value::Array(state.labels_json(repo, &find(repo, number)?.labels))))
}

impl State {
    /// Puts a label on; a label that the repository has not is made.
    pub fn label(&mut self, name: &RepoName, number: u64, label: &str, actor: &str) {
        let (id, now) = (self.id(), self.now());
        let Some(repo) = self.repos.get_mut(name) else { return };
        repo.labels.entry(label.to_owned()).or_insert(id);
        let Some(issue) = repo.issues.get_mut(&number) else { return };
        if issue.labels.insert(label.to_owned()) {
            issue.updated_at = now;
            self.emit_label(name, number, label, "labeled", actor);
        }
    }

    /// Takes a label off; whether it was on.
    pub fn unlabel(&mut self, name: &RepoName, number: u64, label: &str, actor: &str) -> bool {
        let issue = self.repos.get_mut(name).and_then(|repo| repo.issues.get_mut(&number));
        let removed = issue.is_some_and(|issue| issue.labels.remove(label));
        if removed {
            self.emit_label(name, number, label, "unlabeled", actor);
        }
        removed
    }

    fn emit_label(&self, name: &RepoName, number: u64, label: &str, action: &str, actor: &str) {
        let Some(repo) = self.repos.get(name) else { return };
        if let Some(label) = self.labels_json(repo, &BTreeSet::from([label.to_owned()])).pop() {
            self.emit_pull(name, number, action, actor, json!({"label": label}));
        }
    }

    /// Adds an issue (or a pull request's issue) under the next number.
    pub fn add_issue(
        &mut self,
        name: &RepoName,
        actor: &str,
        title: &str,
        body: Option<&str>,
        pull: Option<Pull>,
    ) -> Result<u64, Reply> {
        let (id, now) = (self.id(), self.now());
        let repo = self.repos.get_mut(name).ok_or_else(Reply::not_found)?;
        let number = repo.issues.keys().next_back().map_or(1, |last| last + 1);
        let issue = Issue {
            id,
            number,
            title: title.to_owned(),
            body: body.map(str::to_owned),
            author: actor.to_owned(),
            open: true,
            labels: BTreeSet::new(),
            created_at: now,
            updated_at: now,
            closed_at: None,
            closed_by: None,
            pull,
        };
        repo.issues.insert(number, issue);
        Ok(number)
    }

    /// Labels as objects.
    pub fn labels_json(&self, repo: &Repo, labels: &BTreeSet<String>) -> Vec<Value> {
        let label = |name: &String| {
            let id = repo.labels.get(name).copied().unwrap_or_default();
            json!({
                "id": id, "node_id": node_id("LA", id), "url": format!("{}/labels/{name}", self.api(repo)),
                "name": name, "description": null, "color": "ededed", "default": false,
            })
        };
        labels.iter().map(label).collect()
    }

    /// `issue`.
    pub fn issue_json(&self, repo: &Repo, issue: &Issue) -> Value {
        let (api, html, number) = (self.api(repo), self.html(repo), issue.number);
        let url = format!("{api}/issues/{number}");
        let page = if issue.pull.is_some() { "pull" } else { "issues" };
        let mut json = json!({
            "id": issue.id, "node_id": node_id("I", issue.id), "number": number, "url": url, "repository_url": api,
            "labels_url": format!("{url}/labels{{/name}}"), "comments_url": format!("{url}/comments"),
            "events_url": format!("{url}/events"), "timeline_url": format!("{url}/timeline"),
            "html_url": format!("{html}/{page}/{number}"),
            "title": issue.title, "body": issue.body, "user": self.user_json(&issue.author),
            "labels": self.labels_json(repo, &issue.labels),
            "state": if issue.open { "open" } else { "closed" }, "state_reason": null,
            "locked": false, "active_lock_reason": null, "milestone": null, "assignee": null, "assignees": [],
            "comments": repo.comments.values().filter(|comment| comment.number == number).count(),
            "created_at": time(issue.created_at), "updated_at": time(issue.updated_at),
            "closed_at": maybe(issue.closed_at), "closed_by": issue.closed_by.as_ref().map(|login| self.user_json(login)),
            "author_association": self.association(repo, &issue.author),
            "reactions": super::comments::reactions_json(&format!("{url}/reactions"), &[]),
            "performed_via_github_app": null,
        });
        if let Some(pull) = &issue.pull {
            json["draft"] = pull.draft.into();
            json["pull_request"] = json!({
                "url": format!("{api}/pulls/{number}"), "html_url": format!("{html}/pull/{number}"),
                "diff_url": format!("{html}/pull/{number}.diff"), "patch_url": format!("{html}/pull/{number}.patch"),
                "merged_at": maybe(pull.merged.as_ref().map(|merged| merged.at)),
            });
        }
        json
    }
}
