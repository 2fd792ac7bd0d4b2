//! What a repository is, and what its rules let the App do with a branch.

use super::{Forge, MergeMethod, call::Call, error::ForgeError};
use crate::engine::event::RepoName;
use serde::Deserialize;

/// What butler has to know of a repository before it touches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryInfo {
    pub id: u64,
    pub default_branch: String,
    pub archived: bool,
    pub fork: bool,
    pub template: bool,
    pub private: bool,
    /// How its pull requests may be merged, the first choice first. GitHub tells it only to those who may write; where it
    /// does not, everything is tried.
    pub merge_methods: Vec<MergeMethod>,
}

/// What stands between the App and a branch, as far as GitHub shows it to somebody who does not administer the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchRules {
    /// Some rule or protection applies.
    pub protected: bool,
    /// A push may be tried. False where a rule asks for more than a push can bring, and under classic protection, whose
    /// details only administrators see; the App may be exempt from either, which GitHub does not tell.
    pub direct_push: bool,
    /// By rules; classic protection does not show its number.
    pub required_approvals: u32,
    /// Names of checks, sorted.
    pub required_checks: Vec<String>,
    /// How pull requests may be merged into it, the first choice first, as far as rules say.
    pub merge_methods: Vec<MergeMethod>,
}

/// Rules that a push of one more commit to an existing branch cannot break. Whatever is not named here, and whatever
/// GitHub adds later, is taken as a reason for a pull request. Patterns (`commit_message_pattern` and its like) are named
/// because they hold for pull requests' commits alike: the push itself tells.
const HARMLESS_RULES: [&str; 12] = [
    "branch_name_pattern",
    "commit_author_email_pattern",
    "commit_message_pattern",
    "committer_email_pattern",
    "creation",
    "deletion",
    "file_extension_restriction",
    "file_path_restriction",
    "max_file_path_length",
    "max_file_size",
    "non_fast_forward",
    "required_linear_history",
];

/// <https://docs.github.com/en/rest/repos/rules#get-rules-for-a-branch>
#[derive(Deserialize)]
struct Rule {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    required_approving_review_count: Option<u32>,
    #[serde(default)]
    required_status_checks: Vec<RequiredCheck>,
    /// `merge`, `squash`, `rebase`; empty or missing: all.
    allowed_merge_methods: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RequiredCheck {
    context: String,
}

/// <https://docs.github.com/en/rest/branches/branches#get-a-branch>
#[derive(Deserialize)]
struct Branch {
    #[serde(default)]
    protected: bool,
    #[serde(default)]
    protection: Protection,
}

#[derive(Default, Deserialize)]
struct Protection {
    enabled: Option<bool>,
    #[serde(default)]
    required_status_checks: ClassicChecks,
}

#[derive(Default, Deserialize)]
struct ClassicChecks {
    #[serde(default)]
    contexts: Vec<String>,
}

fn weigh(branch: Branch, rules: Vec<Rule>) -> BranchRules {
    // `protected` also answers for rules in some versions; `protection` speaks of classic protection alone.
    let classic = branch.protection.enabled.unwrap_or(branch.protected && rules.is_empty());
    let mut checks = branch.protection.required_status_checks.contexts;
    let mut found = BranchRules {
        protected: classic || branch.protected || !rules.is_empty(),
        direct_push: !classic && rules.iter().all(|rule| HARMLESS_RULES.contains(&rule.kind.as_str())),
        required_approvals: 0,
        required_checks: Vec::new(),
        merge_methods: MergeMethod::ALL.to_vec(),
    };
    for Rule { kind, parameters } in rules {
        if kind == "required_linear_history" {
            found.merge_methods.retain(|method| *method != MergeMethod::Merge);
        }
        if let Some(allowed) = parameters.allowed_merge_methods.filter(|allowed| !allowed.is_empty()) {
            found.merge_methods.retain(|method| allowed.iter().any(|word| word == method.word()));
        }
        found.required_approvals =
            found.required_approvals.max(parameters.required_approving_review_count.unwrap_or_default());
        checks.extend(parameters.required_status_checks.into_iter().map(|check| check.context));
    }
    checks.sort();
    checks.dedup();
    found.required_checks = checks;
    found
}

impl Forge {
    pub async fn repository(&self, repo: &RepoName) -> Result<RepositoryInfo, ForgeError> {
        #[derive(Deserialize)]
        struct Answer {
            id: u64,
            default_branch: String,
            #[serde(default)]
            archived: bool,
            #[serde(default)]
            fork: bool,
            #[serde(default)]
            is_template: bool,
            #[serde(default)]
            private: bool,
            allow_merge_commit: Option<bool>,
            allow_squash_merge: Option<bool>,
            allow_rebase_merge: Option<bool>,
        }
        let answer: Answer = self.client().json(Call::look(repo, "/repos/{owner}/{repo}")).await?;
        let allows = |method: &MergeMethod| match method {
            MergeMethod::Merge => answer.allow_merge_commit,
            MergeMethod::Squash => answer.allow_squash_merge,
            MergeMethod::Rebase => answer.allow_rebase_merge,
        };
        Ok(RepositoryInfo {
            merge_methods: MergeMethod::ALL.into_iter().filter(|method| allows(method) != Some(false)).collect(),
            id: answer.id,
            default_branch: answer.default_branch,
            archived: answer.archived,
            fork: answer.fork,
            template: answer.is_template,
            private: answer.private,
        })
    }

    /// What applies to a branch. [`ForgeError::NotFound`] where there is no such branch.
    pub async fn branch_rules(&self, repo: &RepoName, branch: &str) -> Result<BranchRules, ForgeError> {
        let rules = Call::look(repo, "/repos/{owner}/{repo}/rules/branches/{branch}").value(branch);
        let head = Call::look(repo, "/repos/{owner}/{repo}/branches/{branch}").value(branch);
        let rules = async {
            match self.client().pages(rules, |page: Vec<Rule>| page).await {
                // A GitHub Enterprise Server from before rules.
                Err(ForgeError::NotFound { .. }) => Ok(Vec::new()),
                other => other,
            }
        };
        let (head, rules) = futures::try_join!(self.client().json::<Branch>(head), rules)?;
        Ok(weigh(head, rules))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_decide_whether_a_push_may_be_tried() {
        let plain = r#"{"protected":false,"protection":{"enabled":false,"required_status_checks":{"contexts":[]}}}"#;
        let classic =
            r#"{"protected":true,"protection":{"enabled":true,"required_status_checks":{"contexts":["ci"]}}}"#;
        let bare = r#"{"protected":true}"#;
        let reviews = r#"[{"type":"pull_request","parameters":{"required_approving_review_count":2}}]"#;
        let checks = r#"[{"type":"required_status_checks","parameters":{"required_status_checks":[{"context":"z"},{"context":"a"},{"context":"z"}]}}]"#;
        let harmless = r#"[{"type":"deletion"},{"type":"non_fast_forward"},{"type":"commit_message_pattern","parameters":{"pattern":"x"}}]"#;
        // (branch, rules, protected, direct push, approvals, checks)
        for (branch, rules, protected, direct, approvals, names) in [
            (plain, "[]", false, true, 0, &[][..]),
            (classic, "[]", true, false, 0, &["ci"]),
            (bare, "[]", true, false, 0, &[]),
            (bare, harmless, true, true, 0, &[]),
            (plain, harmless, true, true, 0, &[]),
            (plain, reviews, true, false, 2, &[]),
            (plain, checks, true, false, 0, &["a", "z"]),
            (classic, harmless, true, false, 0, &["ci"]),
            (plain, r#"[{"type":"update"}]"#, true, false, 0, &[]),
            (plain, r#"[{"type":"merge_queue"}]"#, true, false, 0, &[]),
            (plain, r#"[{"type":"something_new"}]"#, true, false, 0, &[]),
        ] {
            let found = weigh(serde_json::from_str(branch).unwrap(), serde_json::from_str(rules).unwrap());
            let required_checks = names.iter().map(|name| name.to_string()).collect();
            let merge_methods = MergeMethod::ALL.to_vec();
            let expected = BranchRules {
                protected,
                direct_push: direct,
                required_approvals: approvals,
                required_checks,
                merge_methods,
            };
            assert_eq!(found, expected, "{branch} {rules}");
        }
    }

    #[test]
    fn rules_name_the_ways_to_merge() {
        use MergeMethod::{Merge, Rebase, Squash};
        for (rules, expected) in [
            ("[]", &[Merge, Squash, Rebase][..]),
            (r#"[{"type":"required_linear_history"}]"#, &[Squash, Rebase]),
            (
                r#"[{"type":"pull_request","parameters":{"allowed_merge_methods":["rebase","squash"]}}]"#,
                &[Squash, Rebase],
            ),
            (
                r#"[{"type":"pull_request","parameters":{"allowed_merge_methods":["merge"]}},{"type":"required_linear_history"}]"#,
                &[],
            ),
            (r#"[{"type":"pull_request","parameters":{"allowed_merge_methods":[]}}]"#, &[Merge, Squash, Rebase]),
            (r#"[{"type":"pull_request","parameters":{}}]"#, &[Merge, Squash, Rebase]),
        ] {
            let branch = serde_json::from_str(r#"{"protected":true}"#).unwrap();
            assert_eq!(weigh(branch, serde_json::from_str(rules).unwrap()).merge_methods, expected, "{rules}");
        }
    }
}
