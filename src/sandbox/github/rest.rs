//! The REST API: a request, an answer, and which path is answered by what. Paths, fields and status codes are those of
//! GitHub's OpenAPI description; the test `emulator` checks them against it.

use super::{apps, auth::Caller, checks, comments, issues, merge, pulls, repos, reviews, state::State};
use crate::engine::event::RepoName;
use axum::http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// One request, read and authenticated.
#[derive(Debug)]
pub struct Call {
    pub caller: Caller,
    pub method: String,
    /// The path's segments, decoded.
    pub path: Vec<String>,
    pub query: BTreeMap<String, String>,
    /// The body; null where there is none.
    pub body: Value,
    /// The address up to the query, for links to further pages.
    pub url: String,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    /// Null: no body.
    pub body: Value,
    pub headers: Vec<(&'static str, String)>,
}

pub type Answer = Result<Reply, Reply>;

impl Reply {
    pub fn ok(body: Value) -> Self {
        Reply { status: 200, body, headers: Vec::new() }
    }
    pub fn created(body: Value) -> Self {
        Reply { status: 201, body, headers: Vec::new() }
    }
    pub fn no_content() -> Self {
        Reply { status: 204, body: Value::Null, headers: Vec::new() }
    }

    /// GitHub's error body.
    pub fn error(status: u16, message: &str) -> Self {
        let body = json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()});
        Reply { status, body, headers: Vec::new() }
    }

    pub fn not_found() -> Self {
        Reply::error(404, "Not Found")
    }

    /// An App without the permission.
    pub fn not_accessible() -> Self {
        Reply::error(403, "Resource not accessible by integration")
    }

    /// 422 with one entry in `errors`.
    pub fn invalid(resource: &str, field: &str, code: &str, message: Option<&str>) -> Self {
        let mut reply = Reply::error(422, "Validation Failed");
        let mut error = json!({"resource": resource, "field": field, "code": code});
        if let Some(message) = message {
            error["message"] = message.into();
        }
        reply.body["errors"] = json!([error]);
        reply
    }

    /// A secondary rate limit: wait so many seconds.
    pub fn slow_down(seconds: u32) -> Self {
        let mut reply = Reply::error(
            403,
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        );
        reply.headers.push(("retry-after", seconds.to_string()));
        reply
    }

    /// Whatever git said where it should not have said anything.
    pub fn git(error: git2::Error) -> Self {
        Reply::error(500, &format!("git: {error}"))
    }

    /// Adds the answer's ETag, or shortens it to 304 where the asker has it already.
    pub fn revalidate(mut self, known: Option<&str>) -> Self {
        if self.status != 200 || self.body.is_null() {
            return self;
        }
        let tag = format!("W/\"{}\"", hex::encode(Sha256::digest(self.body.to_string())));
        if known == Some(tag.as_str()) {
            self = Reply { status: 304, body: Value::Null, headers: self.headers };
        }
        self.headers.push(("etag", tag));
        self
    }

    pub fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl Call {
    /// A string of the body.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.body.get(field)?.as_str()
    }

    /// A string that the body must have.
    pub fn required(&self, resource: &str, field: &str) -> Result<&str, Reply> {
        self.text(field).ok_or_else(|| Reply::invalid(resource, field, "missing_field", None))
    }

    /// The page that was asked for: 30 items, 100 at most.
    fn page(&self) -> (usize, usize) {
        let number = |name: &str| self.query.get(name).and_then(|text| text.parse::<usize>().ok());
        (number("page").unwrap_or(1).max(1), number("per_page").unwrap_or(30).clamp(1, 100))
    }

    /// One page of items, and the `Link` header to the others
    /// (<https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api>).
    pub fn paginate(&self, items: Vec<Value>, wrap: impl FnOnce(Vec<Value>) -> Value) -> Reply {
        let (page, size) = self.page();
        let last = items.len().div_ceil(size).max(1);
        let mut links = Vec::new();
        let mut link = |number: usize, relation: &str| {
            let mut query = self.query.clone();
            query.insert("page".into(), number.to_string());
            let query =
                query.iter().fold(url::form_urlencoded::Serializer::new(String::new()), |mut out, (key, value)| {
                    out.append_pair(key, value);
                    out
                });
            let mut query = query;
            links.push(format!("<{}?{}>; rel=\"{relation}\"", self.url, query.finish()));
        };
        if page > 1 {
            link(page - 1, "prev");
        }
        if page < last {
            link(page + 1, "next");
            link(last, "last");
        }
        if page > 1 {
            link(1, "first");
        }
        let mut reply = Reply::ok(wrap(items.into_iter().skip((page - 1) * size).take(size).collect()));
        if !links.is_empty() {
            reply.headers.push(("link", links.join(", ")));
        }
        reply
    }

    /// One page of a plain list.
    pub fn list(&self, items: Vec<Value>) -> Answer {
        Ok(self.paginate(items, Value::Array))
    }
}

/// Answers a request.
pub fn route(state: &mut State, call: &Call) -> Answer {
    if let Some(until) = state.rate_limited_until
        && until > state.now()
    {
        let mut reply = Reply::error(403, "API rate limit exceeded for installation.");
        reply.headers.push(("x-ratelimit-remaining", "0".into()));
        reply.headers.push(("x-ratelimit-reset", until.as_second().to_string()));
        return Err(reply);
    }
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    match (call.method.as_str(), path.as_slice()) {
        ("GET", ["app"]) => apps::app(state, call),
        ("GET", ["app", "installations"]) => apps::installations(state, call),
        ("POST", ["app", "installations", id, "access_tokens"]) => apps::access_token(state, call, number(id)?),
        ("GET", ["app", "hook", "deliveries"]) => apps::deliveries(state, call),
        ("POST", ["app", "hook", "deliveries", id, "attempts"]) => apps::redeliver(state, call, number(id)?),
        ("GET", ["installation", "repositories"]) => apps::repositories(state, call),
        ("GET", ["users", login]) => apps::user(state, call, login),
        ("GET", ["rate_limit"]) => apps::rate_limit(state),
        (_, ["repos", owner, name, rest @ ..]) => {
            let repo: RepoName = format!("{owner}/{name}").parse().map_err(|_| Reply::not_found())?;
            repository(state, call, &repo, rest)
        }
        _ => Err(Reply::not_found()),
    }
}

fn repository(state: &mut State, call: &Call, repo: &RepoName, path: &[&str]) -> Answer {
    match (call.method.as_str(), path) {
        ("GET", []) => repos::get(state, call, repo),
        ("GET", ["installation"]) => apps::installation_of(state, call, repo),
        ("GET", ["branches", branch @ .., "protection"]) if !branch.is_empty() => {
            repos::protection(state, call, repo, &branch.join("/"))
        }
        ("GET", ["branches", branch @ ..]) if !branch.is_empty() => repos::branch(state, call, repo, &branch.join("/")),
        ("GET", ["rules", "branches", branch @ ..]) if !branch.is_empty() => {
            repos::rules(state, call, repo, &branch.join("/"))
        }
        ("GET", ["git", "ref", name @ ..]) => repos::git_ref(state, call, repo, &name.join("/")),
        ("GET", ["git", "matching-refs", name @ ..]) => repos::matching_refs(state, call, repo, &name.join("/")),
        ("DELETE", ["git", "refs", name @ ..]) => repos::delete_ref(state, call, repo, &name.join("/")),
        ("GET", ["collaborators", login, "permission"]) => repos::permission(state, call, repo, login),

        ("GET", ["commits", sha, "check-runs"]) => checks::list(state, call, repo, sha),
        ("GET", ["commits", sha, "status"]) => checks::combined_status(state, call, repo, sha),
        ("GET", ["commits", sha, "statuses"]) => checks::statuses(state, call, repo, sha),
        ("GET", ["commits", sha]) => repos::commit(state, call, repo, sha),
        ("POST", ["statuses", sha]) => checks::create_status(state, call, repo, sha),
        ("POST", ["check-runs"]) => checks::create(state, call, repo),
        ("GET", ["check-runs", id]) => checks::get(state, call, repo, number(id)?),
        ("PATCH", ["check-runs", id]) => checks::update(state, call, repo, number(id)?),

        ("GET", ["pulls"]) => pulls::list(state, call, repo),
        ("POST", ["pulls"]) => pulls::create(state, call, repo),
        ("GET", ["pulls", id]) => pulls::get(state, call, repo, number(id)?),
        ("PATCH", ["pulls", id]) => pulls::update(state, call, repo, number(id)?),
        ("GET", ["pulls", id, "merge"]) => merge::is_merged(state, call, repo, number(id)?),
        ("PUT", ["pulls", id, "merge"]) => merge::merge(state, call, repo, number(id)?),
        ("GET", ["pulls", id, "files"]) => pulls::files(state, call, repo, number(id)?),
        ("GET", ["pulls", id, "commits"]) => pulls::commits(state, call, repo, number(id)?),
        ("GET", ["pulls", id, "requested_reviewers"]) => reviews::requested(state, call, repo, number(id)?),
        ("POST", ["pulls", id, "requested_reviewers"]) => reviews::request(state, call, repo, number(id)?),
        ("GET", ["pulls", id, "reviews"]) => reviews::list(state, call, repo, number(id)?),
        ("POST", ["pulls", id, "reviews"]) => reviews::create(state, call, repo, number(id)?),

        ("GET", ["issues", "comments"]) => comments::list_all(state, call, repo),
        ("GET", ["issues", "comments", id]) => comments::get(state, call, repo, number(id)?),
        ("PATCH", ["issues", "comments", id]) => comments::update(state, call, repo, number(id)?),
        ("DELETE", ["issues", "comments", id]) => comments::delete(state, call, repo, number(id)?),
        ("GET", ["issues", "comments", id, "reactions"]) => comments::reactions(state, call, repo, number(id)?),
        ("POST", ["issues", "comments", id, "reactions"]) => comments::react(state, call, repo, number(id)?),
        ("DELETE", ["issues", "comments", id, "reactions", reaction]) => {
            comments::unreact(state, call, repo, number(id)?, number(reaction)?)
        }
        ("GET", ["issues", id]) => issues::get(state, call, repo, number(id)?),
        ("GET", ["issues", id, "comments"]) => comments::list(state, call, repo, number(id)?),
        ("POST", ["issues", id, "comments"]) => comments::create(state, call, repo, number(id)?),
        ("GET", ["issues", id, "labels"]) => issues::labels(state, call, repo, number(id)?),
        ("POST", ["issues", id, "labels"]) => issues::add_labels(state, call, repo, number(id)?),
        ("DELETE", ["issues", id, "labels", name]) => issues::remove_label(state, call, repo, number(id)?, name),
        _ => Err(Reply::not_found()),
    }
}

fn number(text: &str) -> Result<u64, Reply> {
    text.parse().map_err(|_| Reply::not_found())
}
