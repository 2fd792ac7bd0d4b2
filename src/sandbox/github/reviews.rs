//! Reviews of pull requests, and who was asked for one.

use super::{
    auth::Need,
    pulls::{self, find},
    render::node_id,
    rest::{Answer, Call, Reply},
    state::Role,
    state::{Repo, Review, State, Verdict, time},
};
use crate::engine::event::RepoName;
use serde_json::{Value, json};

pub fn list(state: &State, call: &Call, name: &RepoName, number: u64) -> Answer {
    let repo = state.allowed(call, name, pulls::READ)?;
    let (_, pull) = find(repo, number)?;
    call.list(pull.reviews.iter().map(|review| state.review_json(repo, number, review)).collect())
}

pub fn create(state: &mut State, call: &Call, name: &RepoName, number: u64) -> Answer {
    state.allowed(call, name, Need::write(&["pull_requests"], Role::Read))?;
    let actor = state.actor(&call.caller)?;
    let verdict = match call.text("event") {
        Some("APPROVE") => Verdict::Approved,
        Some("REQUEST_CHANGES") => Verdict::ChangesRequested,
        Some("COMMENT") => Verdict::Commented,
        // GitHub keeps a review without an event as pending; nothing here submits one later.
        _ => return Err(Reply::invalid("PullRequestReview", "event", "missing_field", None)),
    };
    let id = state.review(name, number, &actor, verdict, call.text("body").unwrap_or_default())?;
    let repo = state.repos.get(name).ok_or_else(Reply::not_found)?;
    let (_, pull) = find(repo, number)?;
    let review = pull.reviews.iter().find(|review| review.id == id).ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(state.review_json(repo, number, review)))
}

pub fn requested(state: &State, call: &Call, name: &RepoName, number: u64) -> Answer {
    let repo = state.allowed(call, name, pulls::READ)?;
    let (_, pull) = find(repo, number)?;
    let users: Vec<Value> = pull.requested_reviewers.iter().map(|login| state.user_json(login)).collect();
    Ok(Reply::ok(json!({"users": users, "teams": []})))
}

pub fn request(state: &mut State, call: &Call, name: &RepoName, number: u64) -> Answer {
    let repo = state.allowed(call, name, pulls::WRITE)?;
    let (issue, _) = find(repo, number)?;
    let logins: Vec<String> = call
        .body
        .get("reviewers")
        .and_then(Value::as_array)
        .map_or_else(Vec::new, |list| list.iter().filter_map(|login| login.as_str().map(str::to_owned)).collect());
    for login in &logins {
        if login.eq_ignore_ascii_case(&issue.author) {
            return Err(Reply::error(422, "Review cannot be requested from pull request author."));
        }
        if !repo.roles.contains_key(&login.to_ascii_lowercase()) && !login.eq_ignore_ascii_case(name.owner()) {
            return Err(Reply::error(
                422,
                "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the repository.",
            ));
        }
    }
    let actor = state.actor(&call.caller)?;
    for login in logins {
        if let Some(pull) = state.repos.get_mut(name).and_then(|repo| repo.issues.get_mut(&number)?.pull.as_mut()) {
            pull.requested_reviewers.insert(login.clone());
        }
        let more = json!({"requested_reviewer": state.user_json(&login)});
        state.emit_pull(name, number, "review_requested", &actor, more);
    }
    let repo = state.repos.get(name).ok_or_else(Reply::not_found)?;
    let (issue, pull) = find(repo, number)?;
    Ok(Reply::created(state.pull_json(repo, issue, pull)))
}

impl State {
    /// Submits a review of the present head; nobody approves their own pull request.
    pub fn review(
        &mut self,
        name: &RepoName,
        number: u64,
        actor: &str,
        verdict: Verdict,
        body: &str,
    ) -> Result<u64, Reply> {
        let (id, now) = (self.id(), self.now());
        let repo = self.repos.get_mut(name).ok_or_else(Reply::not_found)?;
        let issue = repo.issues.get_mut(&number).ok_or_else(Reply::not_found)?;
        let own = issue.author.eq_ignore_ascii_case(actor);
        let pull = issue.pull.as_mut().ok_or_else(Reply::not_found)?;
        match verdict {
            Verdict::Approved if own => {
                return Err(Reply::error(422, "Can not approve your own pull request"));
            }
            Verdict::ChangesRequested if own => {
                return Err(Reply::error(422, "Can not request changes on your own pull request"));
            }
            Verdict::ChangesRequested | Verdict::Commented if body.is_empty() => {
                return Err(Reply::error(422, "Body can't be blank"));
            }
            _ => {}
        }
        pull.requested_reviewers.retain(|login| !login.eq_ignore_ascii_case(actor));
        pull.reviews.push(Review {
            id,
            author: actor.to_owned(),
            verdict,
            body: body.to_owned(),
            commit: pull.head_sha.clone(),
            submitted_at: now,
        });
        issue.updated_at = now;
        self.emit_review(name, number, id, "submitted", actor);
        Ok(id)
    }

    /// Takes a verdict back.
    pub fn dismiss_review(&mut self, name: &RepoName, number: u64, id: u64, actor: &str) -> Result<(), Reply> {
        let repo = self.repos.get_mut(name).ok_or_else(Reply::not_found)?;
        let pull = repo.issues.get_mut(&number).and_then(|issue| issue.pull.as_mut()).ok_or_else(Reply::not_found)?;
        let review = pull.reviews.iter_mut().find(|review| review.id == id).ok_or_else(Reply::not_found)?;
        review.verdict = Verdict::Dismissed;
        self.emit_review(name, number, id, "dismissed", actor);
        Ok(())
    }

    fn emit_review(&self, name: &RepoName, number: u64, id: u64, action: &str, actor: &str) {
        let Some(repo) = self.repos.get(name) else { return };
        let Ok((issue, pull)) = find(repo, number) else { return };
        let Some(review) = pull.reviews.iter().find(|review| review.id == id) else { return };
        let mut json = self.review_json(repo, number, review);
        // In events the verdict is in lower case and an empty text is null; in answers neither.
        json["state"] = review.verdict.name().to_ascii_lowercase().into();
        if review.body.is_empty() {
            json["body"] = Value::Null;
        }
        let payload = json!({"review": json, "pull_request": self.pull_json(repo, issue, pull)});
        self.emit(name, "pull_request_review", Some(action), actor, payload);
    }

    /// `pull-request-review`.
    pub fn review_json(&self, repo: &Repo, number: u64, review: &Review) -> Value {
        let html = format!("{}/pull/{number}#pullrequestreview-{}", self.html(repo), review.id);
        let pull = format!("{}/pulls/{number}", self.api(repo));
        json!({
            "id": review.id, "node_id": node_id("PRR", review.id), "user": self.user_json(&review.author),
            "body": review.body, "state": review.verdict.name(), "commit_id": review.commit,
            "html_url": html, "pull_request_url": pull, "submitted_at": time(review.submitted_at),
            "author_association": self.association(repo, &review.author),
            "_links": {"html": {"href": html}, "pull_request": {"href": pull}},
        })
    }
}
