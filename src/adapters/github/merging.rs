//! Merging a pull request once, at the head that was judged. <https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request>

use super::{Forge, Pull, PullState, auth::Grant, call::Call, error::ForgeError};
use crate::engine::event::RepoName;
use axum::http::Method;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeMethod {
    Merge,
    Squash,
    Rebase,
}

impl MergeMethod {
    /// In the order in which butler likes them: a merge commit keeps what was judged, a squash its message, a rebase only
    /// its commits.
    pub const ALL: [MergeMethod; 3] = [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase];

    /// GitHub's word for it.
    pub fn word(self) -> &'static str {
        match self {
            MergeMethod::Merge => "merge",
            MergeMethod::Squash => "squash",
            MergeMethod::Rebase => "rebase",
        }
    }
}

/// How a merge ended. Only [`MergeOutcome::Merged`] and [`MergeOutcome::AlreadyMerged`] changed the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeOutcome {
    /// `sha` is the base's new commit.
    Merged { sha: String },
    /// Somebody merged it before.
    AlreadyMerged { sha: String },
    /// The head is another commit than the one that was judged: judge again.
    HeadMoved,
    /// The base moved while GitHub merged: try again.
    BaseMoved,
    /// The repository does not merge in this way; another may do. `why` is GitHub's sentence.
    MethodRefused { why: String },
    /// Rules, conflicts, or it was closed. `why` is GitHub's sentence.
    NotMergeable { why: String },
}

/// What the pull request shows after a merge that did not simply succeed. `said` is GitHub's refusal; without one the
/// answer was lost. `None`: nothing was done, and time may change that.
fn after(pull: &Pull, expected_head: &str, own_login: &str, said: Option<&str>) -> Option<MergeOutcome> {
    if pull.merged {
        let sha = pull.merge_sha.clone().unwrap_or_default();
        let ours = said.is_none() && pull.head_sha == expected_head && pull.merged_by.as_deref() == Some(own_login);
        return Some(if ours { MergeOutcome::Merged { sha } } else { MergeOutcome::AlreadyMerged { sha } });
    }
    if pull.state == PullState::Closed {
        return Some(MergeOutcome::NotMergeable { why: "it was closed without being merged".into() });
    }
    if pull.head_sha != expected_head {
        return Some(MergeOutcome::HeadMoved);
    }
    let said = said?;
    let lower = said.to_ascii_lowercase();
    if lower.contains("base branch was modified") {
        return Some(MergeOutcome::BaseMoved);
    }
    if lower.contains("head branch was modified") {
        // What was just read may be older than that.
        return Some(MergeOutcome::HeadMoved);
    }
    // "Merge commits are not allowed on this repository.", and the like for squashes and rebases.
    if lower.contains("not allowed on this repository") {
        return Some(MergeOutcome::MethodRefused { why: said.to_owned() });
    }
    // GitHub refuses while it still works out whether there are conflicts, with the words that it has for conflicts.
    let undecided = pull.mergeable.is_none() && lower.contains("not mergeable");
    (!undecided && !lower.contains("in progress")).then(|| MergeOutcome::NotMergeable { why: said.to_owned() })
}

impl Forge {
    /// Merges pull request `number` if its head still is `expected_head_sha`. Safe to repeat: where an answer was lost or a
    /// refusal is ambiguous the pull request is looked at.
    pub async fn merge(
        &self,
        repo: &RepoName,
        number: u64,
        expected_head_sha: &str,
        method: MergeMethod,
        title: &str,
        message: &str,
    ) -> Result<MergeOutcome, ForgeError> {
        #[derive(Serialize)]
        struct Body<'a> {
            sha: &'a str,
            merge_method: MergeMethod,
            commit_title: &'a str,
            commit_message: &'a str,
        }
        #[derive(Deserialize)]
        struct Answer {
            sha: String,
        }
        let body = Body { sha: expected_head_sha, merge_method: method, commit_title: title, commit_message: message };
        let route = "/repos/{owner}/{repo}/pulls/{pull_number}/merge";
        let call = Call::write(Method::PUT, repo, route, Grant::Merge).value(number).body(&body);
        let (call, said, why) = match self.client().json::<Answer>(call).await {
            Ok(Answer { sha }) => return Ok(MergeOutcome::Merged { sha }),
            Err(ForgeError::Unknown { call, why }) => (call, None, why),
            Err(ForgeError::Invalid { call, message }) => (call, Some(message.clone()), message),
            Err(error) => return Err(error),
        };
        let own = self.own_login().await?;
        let pull = self.pull(repo, number).await?;
        after(&pull, expected_head_sha, &own, said.as_deref()).ok_or_else(|| self.client().shortly(&call, &why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pull_request_shows_after_a_merge_that_did_not_simply_succeed() {
        let merged = |sha: &str| Some(MergeOutcome::Merged { sha: sha.into() });
        let already = |sha: &str| Some(MergeOutcome::AlreadyMerged { sha: sha.into() });
        let not = |why: &str| Some(MergeOutcome::NotMergeable { why: why.into() });
        let closed = "it was closed without being merged";
        let base = "Base branch was modified. Review and try the merge again.";
        let conflict = "Pull Request is not mergeable";
        let method = "Squash merges are not allowed on this repository.";
        let refused = Some(MergeOutcome::MethodRefused { why: method.into() });
        let review = "At least 1 approving review is required by reviewers with write access.";
        let head = "Head branch was modified. Review and try the merge again.";
        // (merged by, open, head, mergeable, said, outcome); the head that was judged is "h"
        for (merged_by, open, head_sha, mergeable, said, outcome) in [
            (Some("butler[bot]"), false, "h", None, None, merged("m")),
            (Some("ann"), false, "h", None, None, already("m")),
            (Some("butler[bot]"), false, "other", None, None, already("m")),
            (Some("butler[bot]"), false, "h", None, Some(conflict), already("m")),
            (None, false, "h", None, None, not(closed)),
            (None, false, "h", None, Some(conflict), not(closed)),
            (None, true, "other", Some(true), Some(head), Some(MergeOutcome::HeadMoved)),
            (None, true, "other", None, None, Some(MergeOutcome::HeadMoved)),
            (None, true, "h", Some(true), Some(head), Some(MergeOutcome::HeadMoved)),
            (None, true, "h", Some(true), Some(base), Some(MergeOutcome::BaseMoved)),
            (None, true, "h", Some(false), Some(conflict), not(conflict)),
            (None, true, "h", None, Some(conflict), None),
            (None, true, "h", None, Some(review), not(review)),
            (None, true, "h", None, Some(method), refused),
            (None, true, "other", None, Some(method), Some(MergeOutcome::HeadMoved)),
            (None, true, "h", Some(true), Some("Merge already in progress"), None),
            (None, true, "h", Some(true), None, None),
        ] {
            let merged_at = merged_by.map(|_| "2026-01-01T00:00:00Z");
            let pull = serde_json::json!({
                "number": 1, "title": "", "state": if open { "open" } else { "closed" }, "merged_at": merged_at,
                "merge_commit_sha": "m", "merged_by": merged_by.map(|login| serde_json::json!({ "login": login })),
                "mergeable": mergeable, "created_at": "2026-01-01T00:00:00Z",
                "head": { "ref": "x", "sha": head_sha }, "base": { "ref": "main", "sha": "b" },
            });
            let pull: super::super::pulls::PullAnswer = serde_json::from_value(pull).unwrap();
            let found = after(&pull.into(), "h", "butler[bot]", said);
            assert_eq!(found, outcome, "{merged_by:?} {open} {head_sha} {mergeable:?} {said:?}");
        }
    }
}
