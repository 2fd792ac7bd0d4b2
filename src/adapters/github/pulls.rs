//! Pull requests: one open per head and base, adopted only where the App opened it, changed only where it differs.

use super::{
    Forge, LONGEST_BODY,
    auth::Grant,
    call::Call,
    error::{ForgeError, excerpt},
};
use crate::engine::event::RepoName;
use axum::http::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// GitHub's limit for a title, in characters.
const LONGEST_TITLE: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullState {
    Open,
    Closed,
}

/// A pull request, with what butler reads of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    pub number: u64,
    pub title: String,
    pub body: String,
    pub author: String,
    pub state: PullState,
    pub draft: bool,
    /// A closed pull request that is not merged was declined or given up.
    pub merged: bool,
    /// The commit that the merge made; only where merged.
    pub merge_sha: Option<String>,
    /// Not told in lists.
    pub merged_by: Option<String>,
    pub head_ref: String,
    pub head_sha: String,
    /// The head is a branch of this very repository. `false` for a fork, also a deleted one.
    pub head_is_here: bool,
    pub base_ref: String,
    /// `None` in lists, and while GitHub is still working it out.
    pub mergeable: Option<bool>,
    /// GitHub's word: `clean`, `blocked`, `behind`, `dirty`, `unstable`, `draft` …; `unknown` in lists.
    pub mergeable_state: String,
    pub labels: Vec<String>,
    /// Logins and team slugs whose review is asked for and not yet given.
    pub requested_reviewers: Vec<String>,
    pub created_at: Timestamp,
    pub closed_at: Option<Timestamp>,
}

/// Whether there is an open pull request for a head and a base, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullLookup {
    None,
    /// The App opened it.
    Ours(Pull),
    /// Somebody else did: it is left alone.
    Foreign(Pull),
}

/// What a pull request should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullSpec {
    /// A branch of the same repository, without `refs/heads/`.
    pub head: String,
    pub base: String,
    pub title: String,
    /// At most [`LONGEST_BODY`] characters.
    pub body: String,
    /// Added where missing; others stay.
    pub labels: Vec<String>,
    /// Asked once; who was asked and taken off again by a person is not asked again while somebody else is or has reviewed.
    pub reviewers: Vec<String>,
    /// Slugs of teams of the owning organisation.
    pub team_reviewers: Vec<String>,
    /// Only when it is opened: GitHub's REST API cannot change it afterwards.
    pub draft: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Created,
    Updated,
    Unchanged,
}

/// A pull request that is as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensured {
    pub pull: Pull,
    pub change: Change,
    /// What GitHub did not take though the pull request stands: a label, a reviewer who may not review.
    pub findings: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct PullAnswer {
    number: u64,
    title: String,
    body: Option<String>,
    user: Option<User>,
    state: String,
    #[serde(default)]
    draft: bool,
    merged_at: Option<Timestamp>,
    merge_commit_sha: Option<String>,
    merged_by: Option<User>,
    head: Side,
    base: Side,
    mergeable: Option<bool>,
    mergeable_state: Option<String>,
    #[serde(default)]
    labels: Vec<Label>,
    #[serde(default)]
    requested_reviewers: Vec<User>,
    #[serde(default)]
    requested_teams: Vec<Team>,
    created_at: Timestamp,
    closed_at: Option<Timestamp>,
}

/// `None` where it stands: the account was deleted.
#[derive(Deserialize)]
pub(super) struct User {
    pub(super) login: String,
}

#[derive(Deserialize)]
struct Team {
    slug: String,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

#[derive(Deserialize)]
struct Side {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
    repo: Option<SideRepo>,
}

#[derive(Deserialize)]
struct SideRepo {
    id: u64,
}

impl From<PullAnswer> for Pull {
    fn from(answer: PullAnswer) -> Pull {
        let merged = answer.merged_at.is_some();
        let id = |side: &Side| side.repo.as_ref().map(|repo| repo.id);
        let login = |user: Option<User>| user.map(|user| user.login);
        let teams = answer.requested_teams.into_iter().map(|team| team.slug);
        Pull {
            number: answer.number,
            title: answer.title,
            body: answer.body.unwrap_or_default(),
            author: login(answer.user).unwrap_or_default(),
            state: if answer.state == "open" { PullState::Open } else { PullState::Closed },
            draft: answer.draft,
            merged,
            // Before the merge this names a trial merge that nobody should rely on.
            merge_sha: answer.merge_commit_sha.filter(|_| merged),
            merged_by: login(answer.merged_by),
            head_is_here: id(&answer.head).is_some() && id(&answer.head) == id(&answer.base),
            head_ref: answer.head.name,
            head_sha: answer.head.sha,
            base_ref: answer.base.name,
            mergeable: answer.mergeable,
            mergeable_state: answer.mergeable_state.unwrap_or_else(|| "unknown".into()),
            labels: answer.labels.into_iter().map(|label| label.name).collect(),
            requested_reviewers: answer.requested_reviewers.into_iter().map(|user| user.login).chain(teams).collect(),
            created_at: answer.created_at,
            closed_at: answer.closed_at,
        }
    }
}

impl Forge {
    pub async fn pull(&self, repo: &RepoName, number: u64) -> Result<Pull, ForgeError> {
        let call = Call::look(repo, "/repos/{owner}/{repo}/pulls/{pull_number}").value(number);
        Ok(self.client().json::<PullAnswer>(call).await?.into())
    }

    /// The open pull request from `head` to `base`, both branches of this repository. GitHub allows one.
    pub async fn find_pull(&self, repo: &RepoName, head: &str, base: &str) -> Result<PullLookup, ForgeError> {
        let own = self.own_login().await?;
        Ok(match self.pulls(repo, head, base, "open").await?.into_iter().next() {
            None => PullLookup::None,
            Some(pull) if pull.author == own => PullLookup::Ours(pull),
            Some(pull) => PullLookup::Foreign(pull),
        })
    }

    /// The App's pull requests from `head` to `base` in every state, newest first: a closed one that was not merged is a
    /// decline.
    pub async fn last_pulls(&self, repo: &RepoName, head: &str, base: &str) -> Result<Vec<Pull>, ForgeError> {
        let own = self.own_login().await?;
        let mut pulls = self.pulls(repo, head, base, "all").await?;
        pulls.retain(|pull| pull.author == own);
        pulls.sort_by_key(|pull| std::cmp::Reverse(pull.number));
        Ok(pulls)
    }

    /// Every pull request in a `state` (`open`, `closed`, `all`) that the App opened.
    pub async fn own_pulls(&self, repo: &RepoName, state: &str) -> Result<Vec<Pull>, ForgeError> {
        let own = self.own_login().await?;
        let call = Call::look(repo, "/repos/{owner}/{repo}/pulls").query("state", state);
        let found = self.client().pages(call, |page: Vec<PullAnswer>| page).await?;
        Ok(found.into_iter().map(Pull::from).filter(|pull| pull.author == own).collect())
    }

    async fn pulls(&self, repo: &RepoName, head: &str, base: &str, state: &str) -> Result<Vec<Pull>, ForgeError> {
        let call = Call::look(repo, "/repos/{owner}/{repo}/pulls")
            .query("state", state)
            .query("head", format!("{}:{head}", repo.owner()))
            .query("base", base);
        let found = self.client().pages(call, |page: Vec<PullAnswer>| page).await?;
        // GitHub leaves a filter that it can't read out instead of refusing it.
        let wanted = |pull: &Pull| pull.head_is_here && pull.head_ref == head && pull.base_ref == base;
        Ok(found.into_iter().map(Pull::from).filter(wanted).collect())
    }

    /// Opens the pull request, or makes the one that the App opened before what it should be; an unchanged one costs no
    /// write. [`ForgeError::Refused`] where somebody else's pull request has the same head and base,
    /// [`ForgeError::Invalid`] where GitHub cannot open it (no commits between the two, a branch that is not there).
    pub async fn ensure_pull(&self, repo: &RepoName, spec: &PullSpec) -> Result<Ensured, ForgeError> {
        let route = "/repos/{owner}/{repo}/pulls";
        let create = Call::write(Method::POST, repo, route, Grant::Talk);
        check_lengths(&create, spec)?;
        let (pull, change) = match self.find_pull(repo, &spec.head, &spec.base).await? {
            PullLookup::Foreign(pull) => return Err(in_the_way(&create, &pull)),
            PullLookup::Ours(pull) => self.update_pull(repo, pull, spec).await?,
            PullLookup::None => self.create_pull(repo, create, spec).await?,
        };
        let mut ensured = Ensured { pull, change, findings: Vec::new() };
        self.ensure_labels(repo, &mut ensured, spec).await?;
        self.ensure_reviewers(repo, &mut ensured, spec).await?;
        Ok(ensured)
    }

    async fn create_pull(&self, repo: &RepoName, call: Call, spec: &PullSpec) -> Result<(Pull, Change), ForgeError> {
        #[derive(Serialize)]
        struct Body<'a> {
            title: &'a str,
            body: &'a str,
            head: &'a str,
            base: &'a str,
            draft: bool,
        }
        let PullSpec { title, body, head, base, draft, .. } = spec;
        let call = call.body(&Body { title, body, head, base, draft: *draft });
        let error = match self.client().json::<PullAnswer>(call.clone()).await {
            Ok(answer) => return Ok((answer.into(), Change::Created)),
            Err(error @ (ForgeError::Unknown { .. } | ForgeError::Invalid { .. })) => error,
            Err(error) => return Err(error),
        };
        // The answer was lost, or there is one already (422): look before anything else.
        match (self.find_pull(repo, head, base).await?, error) {
            (PullLookup::Ours(pull), ForgeError::Unknown { .. }) => {
                Ok((self.update_pull(repo, pull, spec).await?.0, Change::Created))
            }
            (PullLookup::Ours(pull), _) => self.update_pull(repo, pull, spec).await,
            (PullLookup::Foreign(pull), _) => Err(in_the_way(&call, &pull)),
            (PullLookup::None, ForgeError::Unknown { call, why }) => Err(self.client().shortly(&call, &why)),
            (PullLookup::None, error) => Err(error),
        }
    }

    async fn update_pull(&self, repo: &RepoName, pull: Pull, spec: &PullSpec) -> Result<(Pull, Change), ForgeError> {
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            title: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            body: Option<&'a str>,
        }
        let title = (pull.title.trim() != spec.title.trim()).then_some(spec.title.as_str());
        let body = (!same_text(&pull.body, &spec.body)).then_some(spec.body.as_str());
        if title.is_none() && body.is_none() {
            return Ok((pull, Change::Unchanged));
        }
        let route = "/repos/{owner}/{repo}/pulls/{pull_number}";
        let call = Call::write(Method::PATCH, repo, route, Grant::Talk).value(pull.number).body(&Body { title, body });
        match self.client().json::<PullAnswer>(call).await {
            Ok(answer) => Ok((answer.into(), Change::Updated)),
            Err(ForgeError::Unknown { call, why }) => {
                let now = self.pull(repo, pull.number).await?;
                if now.title.trim() == spec.title.trim() && same_text(&now.body, &spec.body) {
                    Ok((now, Change::Updated))
                } else {
                    Err(self.client().shortly(&call, &why))
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn ensure_labels(&self, repo: &RepoName, ensured: &mut Ensured, spec: &PullSpec) -> Result<(), ForgeError> {
        #[derive(Serialize)]
        struct Body<'a> {
            labels: Vec<&'a str>,
        }
        // Labels are compared without regard to case, as GitHub does.
        let has = |label: &str| ensured.pull.labels.iter().any(|l| l.eq_ignore_ascii_case(label));
        let labels: Vec<_> = spec.labels.iter().map(String::as_str).filter(|label| !has(label)).collect();
        if labels.is_empty() {
            return Ok(());
        }
        let route = "/repos/{owner}/{repo}/issues/{issue_number}/labels";
        let call = Call::write(Method::POST, repo, route, Grant::Talk).value(ensured.pull.number);
        // A label that is there already is not added twice.
        match self.client().json::<Vec<Label>>(call.body(&Body { labels }).repeatable()).await {
            Ok(labels) => ensured.pull.labels = labels.into_iter().map(|label| label.name).collect(),
            Err(error) => ensured.findings.push(bearable(error)?),
        }
        Ok(())
    }

    async fn ensure_reviewers(
        &self,
        repo: &RepoName,
        ensured: &mut Ensured,
        spec: &PullSpec,
    ) -> Result<(), ForgeError> {
        #[derive(Serialize)]
        struct Body<'a> {
            reviewers: &'a [String],
            team_reviewers: &'a [String],
        }
        let nobody_wanted = spec.reviewers.is_empty() && spec.team_reviewers.is_empty();
        if nobody_wanted || !ensured.pull.requested_reviewers.is_empty() {
            return Ok(());
        }
        // Who has reviewed is no longer listed as asked; asking again would bother them.
        if ensured.change != Change::Created && !self.reviews(repo, ensured.pull.number).await?.is_empty() {
            return Ok(());
        }
        let grant = if spec.team_reviewers.is_empty() { Grant::Talk } else { Grant::AskTeam };
        let route = "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers";
        let call = Call::write(Method::POST, repo, route, grant)
            .value(ensured.pull.number)
            .body(&Body { reviewers: &spec.reviewers, team_reviewers: &spec.team_reviewers });
        match self.client().json::<PullAnswer>(call).await {
            Ok(answer) => ensured.pull.requested_reviewers = Pull::from(answer).requested_reviewers,
            Err(ForgeError::Unknown { call, why }) => return Err(self.client().shortly(&call, &why)),
            Err(error) => ensured.findings.push(bearable(error)?),
        }
        Ok(())
    }

    /// Closes a pull request; one that is closed or merged already is fine.
    pub async fn close_pull(&self, repo: &RepoName, number: u64) -> Result<(), ForgeError> {
        #[derive(Serialize)]
        struct Body {
            state: &'static str,
        }
        let route = "/repos/{owner}/{repo}/pulls/{pull_number}";
        let call = Call::write(Method::PATCH, repo, route, Grant::Talk).value(number).body(&Body { state: "closed" });
        match self.client().send(call).await {
            Ok(_) => Ok(()),
            Err(error @ (ForgeError::Unknown { .. } | ForgeError::Invalid { .. })) => {
                match (self.pull(repo, number).await?.state, error) {
                    (PullState::Closed, _) => Ok(()),
                    (PullState::Open, ForgeError::Unknown { call, why }) => Err(self.client().shortly(&call, &why)),
                    (PullState::Open, error) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Who closed a pull request, where GitHub still knows.
    pub async fn closed_by(&self, repo: &RepoName, number: u64) -> Result<Option<String>, ForgeError> {
        #[derive(Deserialize)]
        struct Answer {
            closed_by: Option<User>,
        }
        let call = Call::look(repo, "/repos/{owner}/{repo}/issues/{issue_number}").value(number);
        let answer: Answer = self.client().json(call).await?;
        Ok(answer.closed_by.map(|user| user.login))
    }
}

/// A text as GitHub may give it back: other line ends, no space at the end.
pub(super) fn same_text(one: &str, other: &str) -> bool {
    let lines = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    lines(one) == lines(other)
}

/// What does not undo a pull request that stands is a finding; everything else stays an error.
fn bearable(error: ForgeError) -> Result<String, ForgeError> {
    match error {
        ForgeError::Invalid { .. } | ForgeError::Refused { .. } | ForgeError::NotFound { .. } => Ok(error.to_string()),
        other => Err(other),
    }
}

fn in_the_way(call: &Call, pull: &Pull) -> ForgeError {
    let why = format!(
        "pull request #{} by {} has the same head and base; butler adopts only its own: close it, or let it be merged",
        pull.number,
        excerpt(&pull.author),
    );
    Forge::refused_by_repository(&call.to_string(), why)
}

fn check_lengths(call: &Call, spec: &PullSpec) -> Result<(), ForgeError> {
    for (what, text, most) in [("title", &spec.title, LONGEST_TITLE), ("body", &spec.body, LONGEST_BODY)] {
        let length = text.chars().count();
        if length > most {
            let why = format!("the {what} has {length} characters; GitHub takes {most}");
            return Err(ForgeError::Bug { call: call.to_string(), why });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_only_github_changed_are_the_same() {
        for (one, other, same) in [
            ("a\nb", "a\r\nb\r\n", true),
            ("a", "a  \n\n", true),
            ("", "\n", true),
            ("a\nb", "a\n b", false),
            ("a", "b", false),
        ] {
            assert_eq!(same_text(one, other), same, "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_pull_request_is_read_with_what_lists_leave_out() {
        let json = |merged_at: &str, head_repo: &str| {
            format!(
                r#"{{"number":3,"title":"t","body":null,"user":null,"state":"closed","merged_at":{merged_at},
                "merge_commit_sha":"m","created_at":"2026-01-02T03:04:05Z","closed_at":null,"requested_teams":[{{"slug":"ops"}}],
                "head":{{"ref":"h","sha":"s","repo":{head_repo}}},"base":{{"ref":"main","sha":"b","repo":{{"id":1}}}}}}"#
            )
        };
        let read = |merged_at, repo| Pull::from(serde_json::from_str::<PullAnswer>(&json(merged_at, repo)).unwrap());
        for (merged_at, repo, merge_sha, here) in [
            ("null", r#"{"id":1}"#, None, true),
            (r#""2026-01-02T03:04:05Z""#, r#"{"id":1}"#, Some("m"), true),
            ("null", r#"{"id":2}"#, None, false),
            ("null", "null", None, false),
        ] {
            let pull = read(merged_at, repo);
            assert_eq!((pull.merge_sha.as_deref(), pull.head_is_here), (merge_sha, here), "{merged_at} {repo}");
            assert_eq!(pull.merged, merge_sha.is_some());
            assert_eq!((pull.body.as_str(), pull.requested_reviewers), ("", vec!["ops".to_owned()]));
        }
    }

    #[test]
    fn texts_beyond_githubs_limits_are_not_sent() {
        let repo = "o/r".parse().unwrap();
        let call = Call::write(Method::POST, &repo, "/repos/{owner}/{repo}/pulls", Grant::Talk);
        for (title, body, fits) in [(256, 65_536, true), (257, 0, false), (1, 65_537, false)] {
            let spec = PullSpec { title: "é".repeat(title), body: "é".repeat(body), ..PullSpec::default() };
            assert_eq!(check_lengths(&call, &spec).is_ok(), fits, "{title} {body}");
        }
    }
}
