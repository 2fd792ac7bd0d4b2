//! GitHub's webhooks: <https://docs.github.com/en/webhooks/webhook-events-and-payloads>. The structs take only the fields
//! that are used: many real payloads lack fields that the schemas call required.

use super::{IntakeState, NAME_LIMIT, Refusal, body};
use crate::{
    adapters::store::{Delivery, Recorded},
    engine::{
        event::{Comment, Event, RepoName},
        mac::{hmac_sha256, same},
    },
};
use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

/// How GitHub's deliveries are told from anybody else's, and butler's own doings from other people's.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Any of them signs; two while a secret is replaced.
    pub secrets: Vec<SecretString>,
    /// Check runs of this App are its own.
    pub app_id: u64,
}

/// `sha256=` and the hex HMAC-SHA256 of a body, as GitHub puts it into `X-Hub-Signature-256`.
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(mac(secret, body)))
}

fn mac(secret: &SecretString, body: &[u8]) -> [u8; 32] {
    hmac_sha256(secret.expose_secret().as_bytes(), &[body])
}

/// Whether the code is one of ours; every secret is tried in constant time.
fn authentic(sender: &Sender, code: &[u8], body: &[u8]) -> bool {
    sender.secrets.iter().any(|secret| same(&mac(secret, body), code))
}

/// The code in a signature.
fn code_of(signature: &str) -> Option<[u8; 32]> {
    hex::decode(signature.strip_prefix("sha256=")?).ok()?.try_into().ok()
}

/// The events that butler reads, and GitHub's question whether the webhook works. Of others the body is not even read.
const KINDS: [&str; 14] = [
    "ping",
    "push",
    "pull_request",
    "issue_comment",
    "pull_request_review",
    "pull_request_review_comment",
    "check_run",
    "check_suite",
    "workflow_run",
    "status",
    "merge_group",
    "deployment_status",
    "installation",
    "installation_repositories",
];

pub(super) async fn receive(State(state): State<IntakeState>, request: Request) -> Result<Response, Refusal> {
    // All that the head alone can tell comes first: anybody may send bodies.
    let headers = request.headers().clone();
    let signature = header(&headers, "x-hub-signature-256").ok_or_else(|| {
        let why = "expected the header X-Hub-Signature-256; set a webhook secret in the App's settings on GitHub";
        Refusal::new(StatusCode::UNAUTHORIZED, why)
    })?;
    let code = code_of(signature).ok_or_else(|| {
        let why = "expected X-Hub-Signature-256 to be sha256= and 64 hexadecimal digits";
        Refusal::new(StatusCode::UNAUTHORIZED, why)
    })?;
    let required = |name: &'static str| {
        header(&headers, name)
            .filter(|value| !value.is_empty() && value.len() <= NAME_LIMIT)
            .ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, format!("expected the header {name}")))
    };
    let (id, kind) = (required("x-github-delivery")?, required("x-github-event")?);
    if !KINDS.contains(&kind) {
        // No refusal: GitHub sends some to every App, and would show them as failed.
        let answer = json!({"status": "ignored", "why": no_use(kind)});
        return Ok((StatusCode::ACCEPTED, Json(answer)).into_response());
    }
    let body = body::read(request, &state.room).await?;
    if !authentic(&state.github, &code, &body) {
        let why = "X-Hub-Signature-256 is not the body's under any configured webhook secret; compare the App's \
                   webhook secret on GitHub with github.webhook-secrets in butler's settings";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, why));
    }
    let event = parse(kind, &body, state.github.app_id).map_err(|error| {
        let form = header(&headers, header::CONTENT_TYPE.as_str()).is_some_and(|t| t.contains("form-urlencoded"));
        let hint = if form { "; set the webhook's content type to application/json" } else { "" };
        Refusal::new(StatusCode::BAD_REQUEST, format!("expected the body to be JSON: {error}{hint}"))
    })?;

    let delivery = Delivery {
        sender: "github".into(),
        id: id.into(),
        event_kind: kind.into(),
        event,
        received_at: (state.clock)(),
    };
    let recorded = state.store.record(&delivery, &state.jobs(&delivery.event).await?).await?;
    let answer = match (recorded, &delivery.event) {
        (Recorded::Duplicate, _) => json!({"status": "duplicate"}),
        (Recorded::New, Event::Ignored { why }) => json!({"status": "ignored", "why": why}),
        (Recorded::New, _) => json!({"status": "recorded"}),
    };
    tracing::info!(sender = "github", delivery = id, kind, %answer, "a delivery came in");
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What an authentic body says. `app_id` is butler's own App. An event that butler has no use for, or that lacks what
/// it needs, is [`Event::Ignored`] with the reason.
///
/// # Errors
/// The body is not JSON.
pub fn parse(kind: &str, body: &[u8], app_id: u64) -> Result<Event, serde_json::Error> {
    let event = match kind {
        "push" => read::<Push>(body).map(Push::event),
        "pull_request" => read::<PullRequest>(body).map(PullRequest::event),
        "issue_comment" => read::<IssueComment>(body).map(IssueComment::event),
        "pull_request_review" | "pull_request_review_comment" => read::<Review>(body).map(Review::event),
        "check_run" | "check_suite" | "workflow_run" | "status" | "merge_group" | "deployment_status" => {
            read::<Checked>(body).map(|checked| checked.event(kind, app_id))
        }
        "installation" | "installation_repositories" => read::<Installation>(body).map(Installation::event),
        _ => read::<serde::de::IgnoredAny>(body).map(|_| ignored(no_use(kind))),
    };
    match event {
        Err(error) if error.is_data() => Ok(ignored(format!("a {kind} event without what butler needs: {error}"))),
        event => event,
    }
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body)
}

fn no_use(kind: &str) -> String {
    format!("butler has no use for {kind:?} events")
}

fn ignored(why: impl Into<String>) -> Event {
    Event::Ignored { why: why.into() }
}

#[derive(Deserialize)]
struct RepositoryField {
    full_name: RepoName,
}

#[derive(Deserialize)]
struct Push {
    repository: RepositoryField,
    #[serde(rename = "ref")]
    git_ref: String,
    after: String,
}

impl Push {
    fn event(self) -> Event {
        Event::Push { repo: self.repository.full_name, git_ref: self.git_ref, after: self.after }
    }
}

#[derive(Deserialize)]
struct PullRequest {
    action: String,
    repository: RepositoryField,
    number: u64,
    pull_request: Pull,
}

#[derive(Deserialize)]
struct Pull {
    head: RefField,
    base: RefField,
}

#[derive(Deserialize)]
struct RefField {
    #[serde(rename = "ref")]
    name: String,
}

impl PullRequest {
    fn event(self) -> Event {
        Event::Pull {
            repo: self.repository.full_name,
            number: self.number,
            action: self.action,
            head_ref: self.pull_request.head.name,
            base_ref: self.pull_request.base.name,
        }
    }
}

#[derive(Deserialize)]
struct IssueComment {
    action: String,
    repository: RepositoryField,
    issue: Issue,
    comment: CommentField,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    /// Only there where the issue is a pull request.
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct CommentField {
    id: u64,
    /// Null where the account is gone.
    user: Option<User>,
    body: String,
    created_at: Timestamp,
}

#[derive(Deserialize)]
struct User {
    login: String,
    #[serde(rename = "type")]
    kind: String,
}

impl IssueComment {
    fn event(self) -> Event {
        if self.action != "created" {
            return ignored(format!("the comment was {}; only a new comment carries commands", self.action));
        }
        let Some(author) = self.comment.user else { return ignored("the comment's author is gone") };
        if author.kind == "Bot" {
            return ignored(format!("{} is a bot; bots give no commands", author.login));
        }
        if !may_command(&self.comment.body) {
            return ignored("no line of the comment begins with a command");
        }
        Event::Comment(Comment {
            repo: self.repository.full_name,
            number: self.issue.number,
            on_pull: self.issue.pull_request.is_some(),
            id: self.comment.id,
            author: author.login,
            author_is_bot: false,
            body: self.comment.body,
            created_at: self.comment.created_at,
        })
    }
}

/// Whether a line begins with a slash: cheap, and never wrong about a command (the grammar decides later).
fn may_command(body: &str) -> bool {
    body.lines().any(|line| line.trim_start().starts_with('/'))
}

/// A review, or a comment on a line: either way the pull request's reviews are to be looked at again.
#[derive(Deserialize)]
struct Review {
    repository: RepositoryField,
    pull_request: Numbered,
}

#[derive(Deserialize)]
struct Numbered {
    number: u64,
}

impl Review {
    fn event(self) -> Event {
        Event::Review { repo: self.repository.full_name, number: self.pull_request.number }
    }
}

/// The events that say that something about a commit changed, each with the commit in a place of its own.
#[derive(Deserialize)]
struct Checked {
    repository: RepositoryField,
    action: Option<String>,
    sha: Option<String>,
    check_run: Option<Headed>,
    check_suite: Option<Headed>,
    workflow_run: Option<Headed>,
    merge_group: Option<Headed>,
    deployment: Option<Deployment>,
}

#[derive(Deserialize)]
struct Headed {
    head_sha: String,
    app: Option<App>,
}

#[derive(Deserialize)]
struct App {
    id: u64,
}

#[derive(Deserialize)]
struct Deployment {
    sha: String,
}

impl Checked {
    fn event(self, kind: &str, app_id: u64) -> Event {
        let headed = match kind {
            "check_run" => self.check_run,
            "check_suite" => self.check_suite,
            "workflow_run" => self.workflow_run,
            "merge_group" => self.merge_group,
            _ => None,
        };
        // butler concludes its checks at the end of a run: to look again because of that would never end. A person who
        // asks for one again is heard.
        let own = headed.as_ref().and_then(|h| h.app.as_ref()).is_some_and(|app| app.id == app_id);
        if own && !matches!(self.action.as_deref(), Some("rerequested" | "requested_action")) {
            return ignored(format!("the {kind} is butler's own"));
        }
        let sha = match kind {
            "status" => self.sha,
            "deployment_status" => self.deployment.map(|d| d.sha),
            _ => headed.map(|h| h.head_sha),
        };
        match sha {
            Some(sha) => Event::Status { repo: self.repository.full_name, sha },
            None => ignored(format!("a {kind} event without what butler needs: it names no commit")),
        }
    }
}

/// `installation` lists what an account gave, `installation_repositories` what changed later.
#[derive(Deserialize)]
struct Installation {
    action: String,
    #[serde(default)]
    repositories: Vec<RepositoryField>,
    #[serde(default)]
    repositories_added: Vec<RepositoryField>,
}

impl Installation {
    fn event(self) -> Event {
        let repos: Vec<_> = match self.action.as_str() {
            "created" | "unsuspend" | "new_permissions_accepted" => self.repositories,
            "added" => self.repositories_added,
            _ => Vec::new(),
        }
        .into_iter()
        .map(|repository| repository.full_name)
        .collect();
        match repos.is_empty() {
            true => ignored(format!("the installation was changed ({}) and no repository came with it", self.action)),
            false => Event::Installed { repos },
        }
    }
}

#[cfg(test)]
mod tests;
