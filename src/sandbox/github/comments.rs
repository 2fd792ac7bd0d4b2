//! Comments on issues and pull requests, and reactions to them.

use super::{
    auth::{Caller, Need},
    issues::{self, READ},
    render::node_id,
    rest::{Answer, Call, Reply},
    state::{Comment, Reaction, Repo, Role, State, time},
};
use crate::engine::event::RepoName;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Whoever may read may comment.
const WRITE: Need = Need::write(&["issues", "pull_requests"], Role::Read);
/// Other people's comments are theirs.
const MODERATE: Role = Role::Write;

/// The reactions that GitHub knows.
const REACTIONS: [&str; 8] = ["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"];

fn find(repo: &Repo, id: u64) -> Result<&Comment, Reply> {
    repo.comments.get(&id).ok_or_else(Reply::not_found)
}

fn since(call: &Call) -> Result<Option<Timestamp>, Reply> {
    let parse = |text: &String| text.parse().map_err(|_| Reply::invalid("IssueComment", "since", "invalid", None));
    call.query.get("since").map(parse).transpose()
}

pub fn list(state: &State, call: &Call, name: &RepoName, number: u64) -> Answer {
    let repo = state.allowed(call, name, READ)?;
    issues::find(repo, number)?;
    let since = since(call)?;
    let found = repo
        .comments
        .values()
        .filter(|comment| comment.number == number && since.is_none_or(|since| comment.updated_at >= since));
    call.list(found.map(|comment| state.comment_json(repo, comment)).collect())
}

/// Every comment of a repository, by id unless sorted.
pub fn list_all(state: &State, call: &Call, name: &RepoName) -> Answer {
    let repo = state.allowed(call, name, READ)?;
    let since = since(call)?;
    let mut found: Vec<&Comment> =
        repo.comments.values().filter(|comment| since.is_none_or(|since| comment.updated_at >= since)).collect();
    let option = |field: &str| call.query.get(field).map(String::as_str);
    match option("sort") {
        Some("updated") => found.sort_by_key(|comment| comment.updated_at),
        Some(_) => found.sort_by_key(|comment| comment.created_at),
        None => {}
    }
    // The direction is ignored without a sort.
    if option("sort").is_some() && option("direction") != Some("asc") {
        found.reverse();
    }
    call.list(found.into_iter().map(|comment| state.comment_json(repo, comment)).collect())
}

pub fn get(state: &State, call: &Call, name: &RepoName, id: u64) -> Answer {
    let repo = state.allowed(call, name, READ)?;
    Ok(Reply::ok(state.comment_json(repo, find(repo, id)?)))
}

pub fn create(state: &mut State, call: &Call, name: &RepoName, number: u64) -> Answer {
    issues::find(state.allowed(call, name, WRITE)?, number)?;
    let body = call.required("IssueComment", "body")?;
    let actor = state.actor(&call.caller)?;
    let id = state.comment(name, number, &actor, body)?;
    let repo = state.repos.get(name).ok_or_else(Reply::not_found)?;
    Ok(Reply::created(state.comment_json(repo, find(repo, id)?)))
}

/// The actor, if they may change the comment.
fn editor(state: &State, call: &Call, name: &RepoName, id: u64) -> Result<String, Reply> {
    state.allowed(call, name, WRITE)?;
    let actor = state.actor(&call.caller)?;
    if !matches!(call.caller, Caller::Installation(_)) {
        state.may_edit(name, id, &actor)?;
    }
    Ok(actor)
}

pub fn update(state: &mut State, call: &Call, name: &RepoName, id: u64) -> Answer {
    let actor = editor(state, call, name, id)?;
    let body = call.required("IssueComment", "body")?;
    state.edit_comment(name, id, &actor, body)?;
    let repo = state.repos.get(name).ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(state.comment_json(repo, find(repo, id)?)))
}

pub fn delete(state: &mut State, call: &Call, name: &RepoName, id: u64) -> Answer {
    let actor = editor(state, call, name, id)?;
    state.delete_comment(name, id, &actor)?;
    Ok(Reply::no_content())
}

pub fn reactions(state: &State, call: &Call, name: &RepoName, id: u64) -> Answer {
    let repo = state.allowed(call, name, READ)?;
    let wanted = call.query.get("content");
    let found = find(repo, id)?.reactions.iter().filter(|reaction| wanted.is_none_or(|w| *w == reaction.content));
    call.list(found.map(|reaction| state.reaction_json(reaction)).collect())
}

/// A second reaction of the same kind by the same account is the first one, answered with 200.
pub fn react(state: &mut State, call: &Call, name: &RepoName, id: u64) -> Answer {
    find(state.allowed(call, name, WRITE)?, id)?;
    let content = call.required("Reaction", "content")?;
    if !REACTIONS.contains(&content) {
        return Err(Reply::invalid("Reaction", "content", "invalid", None));
    }
    let actor = state.actor(&call.caller)?;
    let (new_id, created_at) = (state.id(), state.now());
    let comment = state.repos.get_mut(name).and_then(|repo| repo.comments.get_mut(&id)).ok_or_else(Reply::not_found)?;
    if let Some(old) = comment.reactions.iter().find(|r| r.author == actor && r.content == content).cloned() {
        return Ok(Reply::ok(state.reaction_json(&old)));
    }
    let reaction = Reaction { id: new_id, author: actor, content: content.to_owned(), created_at };
    comment.reactions.push(reaction.clone());
    Ok(Reply::created(state.reaction_json(&reaction)))
}

pub fn unreact(state: &mut State, call: &Call, name: &RepoName, id: u64, reaction: u64) -> Answer {
    find(state.allowed(call, name, WRITE)?, id)?;
    let actor = state.actor(&call.caller)?;
    let comment = state.repos.get_mut(name).and_then(|repo| repo.comments.get_mut(&id)).ok_or_else(Reply::not_found)?;
    let before = comment.reactions.len();
    comment.reactions.retain(|r| r.id != reaction || r.author != actor);
    if comment.reactions.len() == before { Err(Reply::not_found()) } else { Ok(Reply::no_content()) }
}

impl State {
    /// Says something on an issue or a pull request.
    pub fn comment(&mut self, name: &RepoName, number: u64, actor: &str, body: &str) -> Result<u64, Reply> {
        if body.trim().is_empty() {
            return Err(Reply::invalid("IssueComment", "body", "custom", Some("body cannot be blank")));
        }
        // GitHub's limit.
        if body.chars().count() > 65_536 {
            let message = "body is too long (maximum is 65536 characters)";
            return Err(Reply::invalid("IssueComment", "body", "custom", Some(message)));
        }
        let (id, now) = (self.id(), self.now());
        let repo = self.repos.get_mut(name).ok_or_else(Reply::not_found)?;
        let issue = repo.issues.get_mut(&number).ok_or_else(Reply::not_found)?;
        issue.updated_at = now;
        let (author, body) = (actor.to_owned(), body.to_owned());
        let comment = Comment { id, number, author, body, created_at: now, updated_at: now, reactions: Vec::new() };
        repo.comments.insert(id, comment);
        self.emit_comment(name, id, "created", actor, json!({}));
        Ok(id)
    }

    /// Refuses those who neither wrote a comment nor may change other people's.
    pub fn may_edit(&self, name: &RepoName, id: u64, actor: &str) -> Result<(), Reply> {
        let repo = self.repos.get(name).ok_or_else(Reply::not_found)?;
        let own = find(repo, id)?.author.eq_ignore_ascii_case(actor);
        if own || self.role(repo, actor) >= Some(MODERATE) {
            Ok(())
        } else {
            Err(Reply::error(403, "Must have admin rights to Repository."))
        }
    }

    /// Changes what a comment says.
    pub fn edit_comment(&mut self, name: &RepoName, id: u64, actor: &str, body: &str) -> Result<(), Reply> {
        let now = self.now();
        let repo = self.repos.get_mut(name).ok_or_else(Reply::not_found)?;
        let comment = repo.comments.get_mut(&id).ok_or_else(Reply::not_found)?;
        let before = std::mem::replace(&mut comment.body, body.to_owned());
        comment.updated_at = now;
        self.emit_comment(name, id, "edited", actor, json!({"changes": {"body": {"from": before}}}));
        Ok(())
    }

    /// Removes a comment.
    pub fn delete_comment(&mut self, name: &RepoName, id: u64, actor: &str) -> Result<(), Reply> {
        // Told first: the event shows what is gone.
        self.emit_comment(name, id, "deleted", actor, json!({}));
        let repo = self.repos.get_mut(name).ok_or_else(Reply::not_found)?;
        repo.comments.remove(&id).map(drop).ok_or_else(Reply::not_found)
    }

    fn emit_comment(&self, name: &RepoName, id: u64, action: &str, actor: &str, mut payload: Value) {
        let Some(repo) = self.repos.get(name) else { return };
        let Some(comment) = repo.comments.get(&id) else { return };
        let Some(issue) = repo.issues.get(&comment.number) else { return };
        payload["issue"] = self.issue_json(repo, issue);
        payload["comment"] = self.comment_json(repo, comment);
        self.emit(name, "issue_comment", Some(action), actor, payload);
    }

    /// `issue-comment`.
    pub fn comment_json(&self, repo: &Repo, comment: &Comment) -> Value {
        let issue = repo.issues.get(&comment.number);
        let page = if issue.is_some_and(|issue| issue.pull.is_some()) { "pull" } else { "issues" };
        let url = format!("{}/issues/comments/{}", self.api(repo), comment.id);
        let by_app = comment.author == self.app.login();
        json!({
            "id": comment.id, "node_id": node_id("IC", comment.id), "url": url,
            "html_url": format!("{}/{page}/{}#issuecomment-{}", self.html(repo), comment.number, comment.id),
            "issue_url": format!("{}/issues/{}", self.api(repo), comment.number),
            "user": self.user_json(&comment.author), "body": comment.body,
            "created_at": time(comment.created_at), "updated_at": time(comment.updated_at),
            "author_association": self.association(repo, &comment.author),
            "reactions": reactions_json(&format!("{url}/reactions"), &comment.reactions),
            "performed_via_github_app": if by_app { self.app_json(&self.app) } else { Value::Null },
        })
    }

    fn reaction_json(&self, reaction: &Reaction) -> Value {
        json!({
            "id": reaction.id, "node_id": node_id("REA", reaction.id), "user": self.user_json(&reaction.author),
            "content": reaction.content, "created_at": time(reaction.created_at),
        })
    }
}

/// `reaction-rollup`.
pub fn reactions_json(url: &str, reactions: &[Reaction]) -> Value {
    let mut json = json!({"url": url, "total_count": reactions.len()});
    for content in REACTIONS {
        json[content] = reactions.iter().filter(|reaction| reaction.content == content).count().into();
    }
    json
}
