//! Check runs of butler's own, which converge by their external id, and what all checks of a commit say.

use super::{Forge, auth::Grant, call::Call, error::ForgeError};
use crate::engine::event::RepoName;
use axum::http::Method;
use serde::{Deserialize, Serialize};

/// GitHub's limit for a check run's summary and text, in characters; counted in bytes here, which never is less.
const LONGEST_TEXT: usize = 65_535;
const CUT: &str = "\n\n… (cut: GitHub takes no more)";
/// What GitHub takes in one call; further ones are added by an update.
const ANNOTATIONS_A_CALL: usize = 50;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    Success,
    Failure,
    Neutral,
    ActionRequired,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AnnotationLevel {
    Notice,
    Warning,
    Failure,
}

/// A sentence on lines of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Annotation {
    pub path: String,
    /// From 1.
    pub start_line: u64,
    pub end_line: u64,
    #[serde(rename = "annotation_level")]
    pub level: AnnotationLevel,
    pub message: String,
}

/// A check run that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRun {
    /// As people see it and rules require it: `butler/config`.
    pub name: String,
    /// What makes two runs on a commit the same one.
    pub external_id: String,
    pub conclusion: Conclusion,
    pub title: String,
    /// Markdown; cut where it is too long for GitHub, as is `text`.
    pub summary: String,
    pub text: String,
    pub annotations: Vec<Annotation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    Pending,
    Success,
    Failure,
    /// Neutral or skipped: holds nothing up.
    Neutral,
}

/// One check run or commit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub state: CheckState,
}

/// What was checked on a commit, in order of name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitChecks {
    pub checks: Vec<Check>,
}

impl CommitChecks {
    /// Whether a check or status of that name is there, and holds nothing up.
    pub fn succeeded(&self, name: &str) -> bool {
        let mut named = self.checks.iter().filter(|check| check.name == name).peekable();
        named.peek().is_some() && named.all(|check| matches!(check.state, CheckState::Success | CheckState::Neutral))
    }
}

#[derive(Deserialize)]
struct RunPage {
    check_runs: Vec<RunAnswer>,
}

#[derive(Deserialize)]
struct RunAnswer {
    id: u64,
    name: String,
    external_id: Option<String>,
    status: String,
    conclusion: Option<String>,
    output: Option<OutputAnswer>,
    app: Option<AppAnswer>,
}

#[derive(Deserialize)]
struct AppAnswer {
    id: u64,
}

#[derive(Deserialize)]
struct OutputAnswer {
    title: Option<String>,
    summary: Option<String>,
    text: Option<String>,
    #[serde(default)]
    annotations_count: usize,
}

#[derive(Serialize)]
struct Body<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_sha: Option<&'a str>,
    external_id: &'a str,
    status: &'static str,
    conclusion: Conclusion,
    output: Output<'a>,
}

#[derive(Serialize)]
struct Output<'a> {
    title: &'a str,
    summary: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    annotations: &'a [Annotation],
}

/// Cut at a character, with a word about it.
fn cut(text: &str) -> String {
    if text.len() <= LONGEST_TEXT {
        return text.to_owned();
    }
    let mut end = LONGEST_TEXT - CUT.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{CUT}", &text[..end])
}

/// What to do about a run that is there already.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Leave,
    Update(u64),
    /// Annotations can be added to a run and never taken away: a new run takes the old one's place.
    Replace,
}

fn step(there: &RunAnswer, wanted: &CheckRun) -> Step {
    let output = there.output.as_ref();
    let same = |found: Option<&String>, wanted: &str| found.map_or("", |text| text.trim_end()) == wanted.trim_end();
    let annotated = output.map_or(0, |output| output.annotations_count);
    let conclusion = serde_json::to_value(wanted.conclusion).ok();
    let unchanged = there.status == "completed"
        && there.conclusion.as_deref() == conclusion.as_ref().and_then(|c| c.as_str())
        && same(output.and_then(|o| o.title.as_ref()), &wanted.title)
        && same(output.and_then(|o| o.summary.as_ref()), &wanted.summary)
        && same(output.and_then(|o| o.text.as_ref()), &wanted.text)
        && annotated == wanted.annotations.len();
    match (unchanged, annotated) {
        (true, _) => Step::Leave,
        (false, 0) => Step::Update(there.id),
        (false, _) => Step::Replace,
    }
}

impl Forge {
    /// Makes butler's check run with this name and external id on a commit say this; one that says it already is left
    /// alone. The newest run of a name is the one that GitHub shows and that rules look at.
    pub async fn conclude(&self, repo: &RepoName, sha: &str, run: &CheckRun) -> Result<(), ForgeError> {
        let run = CheckRun { summary: cut(&run.summary), text: cut(&run.text), ..run.clone() };
        match self.converge(repo, sha, &run).await {
            // An update is absolute and a creation is looked for: coming again is safe.
            Err(ForgeError::Unknown { call, why }) => match self.own_run(repo, sha, &run).await? {
                Some(there) if step(&there, &run) == Step::Leave => Ok(()),
                _ => Err(self.client().shortly(&call, &why)),
            },
            other => other,
        }
    }

    async fn converge(&self, repo: &RepoName, sha: &str, run: &CheckRun) -> Result<(), ForgeError> {
        #[derive(Deserialize)]
        struct Created {
            id: u64,
        }
        let step = self.own_run(repo, sha, run).await?.map_or(Step::Replace, |there| step(&there, run));
        let mut batches = run.annotations.chunks(ANNOTATIONS_A_CALL);
        let body = |head_sha, annotations| Body {
            name: &run.name,
            head_sha,
            external_id: &run.external_id,
            status: "completed",
            conclusion: run.conclusion,
            output: Output { title: &run.title, summary: &run.summary, text: &run.text, annotations },
        };
        let update = |id: u64, annotations| {
            let route = "/repos/{owner}/{repo}/check-runs/{check_run_id}";
            Call::write(Method::PATCH, repo, route, Grant::Check).value(id).body(&body(None, annotations))
        };
        let first = batches.next().unwrap_or_default();
        let id = match step {
            Step::Leave => return Ok(()),
            Step::Update(id) => {
                self.client().send(update(id, first)).await?;
                id
            }
            Step::Replace => {
                let call = Call::write(Method::POST, repo, "/repos/{owner}/{repo}/check-runs", Grant::Check);
                self.client().json::<Created>(call.body(&body(Some(sha), first))).await?.id
            }
        };
        for batch in batches {
            self.client().send(update(id, batch)).await?;
        }
        Ok(())
    }

    /// The newest of butler's runs with this name and external id.
    async fn own_run(&self, repo: &RepoName, sha: &str, run: &CheckRun) -> Result<Option<RunAnswer>, ForgeError> {
        let app = self.app().await?.id;
        let call = Call::look(repo, "/repos/{owner}/{repo}/commits/{ref}/check-runs")
            .value(sha)
            .query("check_name", &run.name)
            .query("app_id", app.to_string())
            .query("filter", "all");
        let found = self.client().pages(call, |page: RunPage| page.check_runs).await?;
        let ours = |there: &RunAnswer| {
            there.app.as_ref().is_some_and(|a| a.id == app)
                && there.name == run.name
                && there.external_id.as_deref() == Some(run.external_id.as_str())
        };
        Ok(found.into_iter().filter(ours).max_by_key(|there| there.id))
    }

    /// All check runs (the newest of each name) and commit statuses of a commit.
    pub async fn checks(&self, repo: &RepoName, sha: &str) -> Result<CommitChecks, ForgeError> {
        #[derive(Deserialize)]
        struct StatusPage {
            statuses: Vec<StatusAnswer>,
        }
        #[derive(Deserialize)]
        struct StatusAnswer {
            context: String,
            state: String,
        }
        let runs =
            Call::look(repo, "/repos/{owner}/{repo}/commits/{ref}/check-runs").value(sha).query("filter", "latest");
        let statuses = Call::look(repo, "/repos/{owner}/{repo}/commits/{ref}/status").value(sha);
        let (runs, statuses) = futures::try_join!(
            self.client().pages(runs, |page: RunPage| page.check_runs),
            self.client().pages(statuses, |page: StatusPage| page.statuses),
        )?;
        let runs = runs
            .into_iter()
            .map(|run| Check { state: run_state(&run.status, run.conclusion.as_deref()), name: run.name });
        let statuses = statuses.into_iter().map(|s| Check { name: s.context, state: status_state(&s.state) });
        let mut checks: Vec<_> = runs.chain(statuses).collect();
        checks.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(CommitChecks { checks })
    }
}

/// <https://docs.github.com/en/rest/checks/runs>: whatever is neither done well nor left out counts as failed.
fn run_state(status: &str, conclusion: Option<&str>) -> CheckState {
    match (status, conclusion) {
        ("completed", Some("success")) => CheckState::Success,
        ("completed", Some("neutral" | "skipped")) => CheckState::Neutral,
        ("completed", _) => CheckState::Failure,
        _ => CheckState::Pending,
    }
}

fn status_state(state: &str) -> CheckState {
    match state {
        "success" => CheckState::Success,
        "pending" => CheckState::Pending,
        _ => CheckState::Failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_character() {
        for (text, length) in [
            ("é".repeat(10), 20),
            ("x".repeat(65_535), 65_535),
            ("x".repeat(65_536), 65_535),
            (format!("x{}", "é".repeat(40_000)), 65_534),
        ] {
            let shown = cut(&text);
            assert!(shown.len() <= LONGEST_TEXT);
            assert!(shown.len().abs_diff(length) <= 1, "{} {length}", shown.len());
            assert_eq!(shown.ends_with(CUT), text.len() > LONGEST_TEXT);
        }
    }

    #[test]
    fn states_of_runs_and_statuses() {
        use CheckState::{Failure, Neutral, Pending, Success};
        for (status, conclusion, state) in [
            ("queued", None, Pending),
            ("in_progress", None, Pending),
            ("waiting", None, Pending),
            ("completed", Some("success"), Success),
            ("completed", Some("neutral"), Neutral),
            ("completed", Some("skipped"), Neutral),
            ("completed", Some("cancelled"), Failure),
            ("completed", Some("timed_out"), Failure),
            ("completed", Some("action_required"), Failure),
            ("completed", Some("stale"), Failure),
            ("completed", None, Failure),
        ] {
            assert_eq!(run_state(status, conclusion), state, "{status} {conclusion:?}");
        }
        for (word, state) in [("success", Success), ("pending", Pending), ("failure", Failure), ("error", Failure)] {
            assert_eq!(status_state(word), state, "{word}");
        }
    }

    #[test]
    fn a_run_is_left_updated_or_replaced() {
        let annotation = Annotation {
            path: "butler.yaml".into(),
            start_line: 1,
            end_line: 1,
            level: AnnotationLevel::Failure,
            message: "m".into(),
        };
        let wanted = |summary: &str, annotations: usize| CheckRun {
            name: "butler/config".into(),
            external_id: "x".into(),
            conclusion: Conclusion::ActionRequired,
            title: "t".into(),
            summary: summary.into(),
            text: String::new(),
            annotations: vec![annotation.clone(); annotations],
        };
        let there = |status: &str, conclusion: &str, annotations: usize| -> RunAnswer {
            serde_json::from_value(serde_json::json!({
                "id": 5, "name": "butler/config", "external_id": "x", "status": status, "conclusion": conclusion,
                "output": { "title": "t", "summary": "s\n", "text": null, "annotations_count": annotations },
            }))
            .unwrap()
        };
        for (there, wanted, expected) in [
            (there("completed", "action_required", 0), wanted("s", 0), Step::Leave),
            (there("completed", "action_required", 2), wanted("s", 2), Step::Leave),
            (there("completed", "action_required", 0), wanted("other", 0), Step::Update(5)),
            (there("completed", "success", 0), wanted("s", 0), Step::Update(5)),
            (there("in_progress", "action_required", 0), wanted("s", 0), Step::Update(5)),
            (there("completed", "action_required", 0), wanted("s", 1), Step::Update(5)),
            (there("completed", "action_required", 50), wanted("s", 60), Step::Replace),
            (there("completed", "success", 1), wanted("s", 1), Step::Replace),
        ] {
            assert_eq!(step(&there, &wanted), expected);
        }
    }
}
