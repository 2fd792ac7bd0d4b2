//! Check runs and commit statuses.

use super::{
    auth::{Caller, Need},
    refs::maybe,
    render::node_id,
    rest::{Answer, Call, Reply},
    state::{App, CheckRun, Repo, Role, State, Status, time},
};
use crate::engine::event::RepoName;
use jiff::Timestamp;
use serde_json::{Value, json};

const READ: Need = Need::read(&["checks"]);
const WRITE: Need = Need::write(&["checks"], Role::Admin);
const READ_STATUS: Need = Need::read(&["statuses"]);

const CONCLUSIONS: [&str; 7] =
    ["success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"];

/// The commit that a path names, or 422.
fn commit(repo: &Repo, text: &str) -> Result<String, Reply> {
    repo.git.resolve(text).ok_or_else(|| Reply::error(422, &format!("No commit found for SHA: {text}")))
}

/// Only Apps write check runs.
fn as_installation(call: &Call) -> Result<(), Reply> {
    match call.caller {
        Caller::Installation(_) => Ok(()),
        _ => Err(Reply::error(403, "You must authenticate via a GitHub App.")),
    }
}

pub fn list(state: &State, call: &Call, name: &RepoName, text: &str) -> Answer {
    let repo = state.allowed(call, name, READ)?;
    let sha = commit(repo, text)?;
    let option = |field: &str| call.query.get(field).map(String::as_str);
    let mut found: Vec<&CheckRun> = repo
        .checks
        .values()
        .filter(|check| check.head_sha == sha)
        .filter(|check| option("check_name").is_none_or(|name| name == check.name))
        .filter(|check| option("status").is_none_or(|status| status == check.status))
        .filter(|check| option("app_id").is_none_or(|id| check.app == state.app.slug && id == state.app.id.to_string()))
        .collect();
    // `latest`, the default: the newest of each App and name.
    if option("filter") != Some("all") {
        let newest = |check: &&CheckRun| {
            !repo.checks.values().any(|other| {
                other.id > check.id
                    && (&other.app, &other.name, &other.head_sha) == (&check.app, &check.name, &check.head_sha)
            })
        };
        found.retain(newest);
    }
    let items: Vec<Value> = found.into_iter().rev().map(|check| state.check_json(repo, check)).collect();
    let total = items.len();
    Ok(call.paginate(items, |page| json!({"total_count": total, "check_runs": page})))
}

pub fn get(state: &State, call: &Call, name: &RepoName, id: u64) -> Answer {
    let repo = state.allowed(call, name, READ)?;
    Ok(Reply::ok(state.check_json(repo, repo.checks.get(&id).ok_or_else(Reply::not_found)?)))
}

pub fn create(state: &mut State, call: &Call, name: &RepoName) -> Answer {
    let repo = state.allowed(call, name, WRITE)?;
    as_installation(call)?;
    let title = call.required("CheckRun", "name")?.to_owned();
    let head_sha = commit(repo, call.required("CheckRun", "head_sha")?)?;
    let (id, suite, now) = (state.id(), state.id(), state.now());
    let mut check = CheckRun {
        id,
        suite,
        app: state.app.slug.clone(),
        name: title,
        head_sha,
        external_id: String::new(),
        details_url: None,
        status: "queued".into(),
        conclusion: None,
        started_at: now,
        completed_at: None,
        title: None,
        summary: None,
        text: None,
        annotations: Vec::new(),
    };
    check.fill(call, now)?;
    let done = check.status == "completed";
    state.put_check(name, check, if done { "completed" } else { "created" }, &state.app.login());
    let repo = state.repos.get(name).ok_or_else(Reply::not_found)?;
    let check = repo.checks.get(&id).ok_or_else(Reply::not_found)?;
    Ok(Reply::created(state.check_json(repo, check)))
}

pub fn update(state: &mut State, call: &Call, name: &RepoName, id: u64) -> Answer {
    let repo = state.allowed(call, name, WRITE)?;
    as_installation(call)?;
    let now = state.now();
    let mut check = repo.checks.get(&id).ok_or_else(Reply::not_found)?.clone();
    if check.app != state.app.slug {
        return Err(Reply::not_accessible());
    }
    let was_done = check.status == "completed";
    check.fill(call, now)?;
    let completed = !was_done && check.status == "completed";
    let actor = state.app.login();
    if completed {
        state.put_check(name, check, "completed", &actor);
    } else if let Some(repo) = state.repos.get_mut(name) {
        repo.checks.insert(id, check);
    }
    let repo = state.repos.get(name).ok_or_else(Reply::not_found)?;
    let check = repo.checks.get(&id).ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(state.check_json(repo, check)))
}

impl CheckRun {
    /// Takes over what a request says. A conclusion completes; completing asks for a conclusion.
    fn fill(&mut self, call: &Call, now: Timestamp) -> Result<(), Reply> {
        let invalid = |field, message| Reply::invalid("CheckRun", field, "invalid", Some(message));
        let text = |field: &str| call.text(field).map(str::to_owned);
        if let Some(name) = text("name") {
            self.name = name;
        }
        if let Some(id) = text("external_id") {
            self.external_id = id;
        }
        self.details_url = text("details_url").or(self.details_url.take());
        if let Some(status) = text("status") {
            self.status = status;
        }
        if let Some(conclusion) = text("conclusion") {
            if !CONCLUSIONS.contains(&conclusion.as_str()) {
                return Err(invalid("conclusion", "is not a known conclusion"));
            }
            self.status = "completed".into();
            self.conclusion = Some(conclusion);
            self.completed_at = text("completed_at").and_then(|at| at.parse().ok()).or(Some(now));
        }
        if self.status == "completed" && self.conclusion.is_none() {
            return Err(invalid("conclusion", "is required when status is completed"));
        }
        if self.status != "completed" {
            (self.conclusion, self.completed_at) = (None, None);
        }
        if let Some(output) = call.body.get("output").filter(|output| output.is_object()) {
            let part = |field: &str| output.get(field).and_then(Value::as_str).map(str::to_owned);
            let (Some(title), Some(summary)) = (part("title").or(self.title.clone()), part("summary")) else {
                return Err(Reply::invalid("CheckRun", "output", "missing_field", None));
            };
            // GitHub's limits: 65,535 characters each, 50 annotations a call.
            for (field, value) in [("summary", Some(&summary)), ("text", part("text").as_ref())] {
                if value.is_some_and(|value| value.chars().count() > 65_535) {
                    return Err(invalid(field, "is too long (maximum is 65535 characters)"));
                }
            }
            let annotations = output.get("annotations").and_then(Value::as_array);
            if annotations.is_some_and(|list| list.len() > 50) {
                return Err(invalid("annotations", "exceeds the maximum of 50"));
            }
            (self.title, self.summary, self.text) = (Some(title), Some(summary), part("text"));
            self.annotations.extend(annotations.into_iter().flatten().cloned());
        }
        Ok(())
    }
}

pub fn combined_status(state: &State, call: &Call, name: &RepoName, text: &str) -> Answer {
    let repo = state.allowed(call, name, READ_STATUS)?;
    let sha = commit(repo, text)?;
    // The newest of each context.
    let mut latest: Vec<&Status> = Vec::new();
    for status in repo.statuses.iter().rev().filter(|status| status.sha == sha) {
        if !latest.iter().any(|newer| newer.context == status.context) {
            latest.push(status);
        }
    }
    let any = |wanted: &[&str]| latest.iter().any(|status| wanted.contains(&status.state.as_str()));
    let combined = if any(&["failure", "error"]) {
        "failure"
    } else if latest.is_empty() || any(&["pending"]) {
        "pending"
    } else {
        "success"
    };
    let items: Vec<Value> = latest.iter().map(|status| state.status_json(repo, status)).collect();
    let (api, total) = (state.api(repo), items.len());
    Ok(call.paginate(items, |page| {
        json!({
            "state": combined, "sha": sha, "total_count": total, "statuses": page, "repository": state.repo_json(repo),
            "commit_url": format!("{api}/commits/{sha}"), "url": format!("{api}/commits/{sha}/status"),
        })
    }))
}

pub fn statuses(state: &State, call: &Call, name: &RepoName, text: &str) -> Answer {
    let repo = state.allowed(call, name, READ_STATUS)?;
    let sha = commit(repo, text)?;
    let found = repo.statuses.iter().rev().filter(|status| status.sha == sha);
    call.list(found.map(|status| state.status_json(repo, status)).collect())
}

pub fn create_status(state: &mut State, call: &Call, name: &RepoName, sha: &str) -> Answer {
    let repo = state.allowed(call, name, Need::write(&["statuses"], Role::Write))?;
    let sha = commit(repo, sha)?;
    let verdict = call.required("Status", "state")?;
    if !["error", "failure", "pending", "success"].contains(&verdict) {
        return Err(Reply::invalid("Status", "state", "inclusion", None));
    }
    let actor = state.actor(&call.caller)?;
    let context = call.text("context").unwrap_or("default");
    let id = state.status(name, &sha, context, verdict, call.text("description"), call.text("target_url"), &actor);
    let repo = state.repos.get(name).ok_or_else(Reply::not_found)?;
    let status = repo.statuses.iter().find(|status| status.id == id).ok_or_else(Reply::not_found)?;
    Ok(Reply::created(state.status_json(repo, status)))
}

impl State {
    /// Stores a check run and sends its event.
    pub fn put_check(&mut self, name: &RepoName, check: CheckRun, action: &str, actor: &str) {
        let Some(repo) = self.repos.get_mut(name) else { return };
        repo.checks.insert(check.id, check.clone());
        let Some(repo) = self.repos.get(name) else { return };
        let payload = json!({"check_run": self.check_json(repo, &check)});
        self.emit(name, "check_run", Some(action), actor, payload);
    }

    /// Adds a commit status and sends its event.
    #[allow(clippy::too_many_arguments, reason = "the fields of GitHub's request")]
    pub fn status(
        &mut self,
        name: &RepoName,
        sha: &str,
        context: &str,
        verdict: &str,
        description: Option<&str>,
        target_url: Option<&str>,
        creator: &str,
    ) -> u64 {
        let (id, created_at) = (self.id(), self.now());
        let status = Status {
            id,
            sha: sha.to_owned(),
            state: verdict.to_owned(),
            context: context.to_owned(),
            description: description.map(str::to_owned),
            target_url: target_url.map(str::to_owned),
            creator: creator.to_owned(),
            created_at,
        };
        let Some(repo) = self.repos.get_mut(name) else { return id };
        repo.statuses.push(status);
        let Some(repo) = self.repos.get(name) else { return id };
        let api = self.api(repo);
        let branches: Vec<Value> = repo
            .known_refs
            .iter()
            .filter_map(|(full, tip)| Some((full.strip_prefix("refs/heads/")?, tip)))
            .filter(|(_, tip)| repo.git.contains(tip, sha))
            .map(|(branch, tip)| {
                json!({
                    "name": branch, "commit": {"sha": tip, "url": format!("{api}/commits/{tip}")},
                    "protected": repo.protections.contains_key(branch),
                })
            })
            .collect();
        let payload = json!({
            "id": id, "sha": sha, "name": name.to_string(), "target_url": target_url, "avatar_url": null,
            "context": context, "description": description, "state": verdict,
            "commit": repo.git.info(sha).ok().map(|info| self.commit_json(repo, &info)),
            "branches": branches, "created_at": time(created_at), "updated_at": time(created_at),
        });
        self.emit(name, "status", None, creator, payload);
        id
    }

    /// `check-run`.
    pub fn check_json(&self, repo: &Repo, check: &CheckRun) -> Value {
        let url = format!("{}/check-runs/{}", self.api(repo), check.id);
        let foreign;
        let app = if check.app == self.app.slug {
            &self.app
        } else {
            // Another App, of which nothing but the name matters.
            foreign = App { id: 15_368, slug: check.app.clone(), name: check.app.clone(), ..self.app.clone() };
            &foreign
        };
        let side = |branch: &str, sha: &str| {
            let name = repo.name.name();
            json!({"ref": branch, "sha": sha, "repo": {"id": repo.id, "url": self.api(repo), "name": name}})
        };
        let pulls: Vec<Value> = repo
            .pulls()
            .filter(|(issue, pull)| issue.open && pull.head_sha == check.head_sha)
            .map(|(issue, pull)| {
                json!({
                    "id": pull.id, "number": issue.number, "url": format!("{}/pulls/{}", self.api(repo), issue.number),
                    "head": side(&pull.head_ref, &pull.head_sha), "base": side(&pull.base_ref, &pull.base_sha),
                })
            })
            .collect();
        json!({
            "id": check.id, "node_id": node_id("CR", check.id), "head_sha": check.head_sha, "name": check.name,
            "external_id": check.external_id, "url": url,
            "html_url": format!("{}/runs/{}", self.html(repo), check.id),
            "details_url": check.details_url.clone().unwrap_or_else(|| app_url(&self.base, app)),
            "status": check.status, "conclusion": check.conclusion,
            "started_at": time(check.started_at), "completed_at": maybe(check.completed_at),
            "output": {
                "title": check.title, "summary": check.summary, "text": check.text,
                "annotations_count": check.annotations.len(), "annotations_url": format!("{url}/annotations"),
            },
            "check_suite": {"id": check.suite},
            "app": self.app_json(app), "pull_requests": pulls,
        })
    }

    fn status_json(&self, repo: &Repo, status: &Status) -> Value {
        let creator = self.user_json(&status.creator);
        json!({
            "id": status.id, "node_id": node_id("SC", status.id),
            "url": format!("{}/statuses/{}", self.api(repo), status.sha), "avatar_url": creator["avatar_url"],
            "state": status.state, "description": status.description, "target_url": status.target_url,
            "context": status.context, "created_at": time(status.created_at), "updated_at": time(status.created_at),
            "creator": creator,
        })
    }
}

fn app_url(base: &str, app: &App) -> String {
    format!("{base}/apps/{}", app.slug)
}
