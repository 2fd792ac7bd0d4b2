//! The check run `butler/update`: lines that are not updated although they follow a policy, and what to do about it.

use super::{
    code,
    findings::{CheckText, listed},
};
use crate::engine::{
    dialect::Problem,
    lint::{Lint, Severity},
    plan::Skip,
};
use std::borrow::Cow;

/// How many are shown.
const SHOWN: usize = 50;

/// Something that keeps a line, or an environment, from being updated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    /// A list item, already escaped.
    text: String,
    /// Somebody has to act.
    pub failing: bool,
    title: String,
    /// One of [`crate::engine::lint::LINTS`], where the finding is of that kind.
    code: Option<Cow<'static, str>>,
}

/// Whether people are told of a code, and whether they have to act on it: an error does not go away by itself.
fn failing(of: &str) -> Option<bool> {
    match Lint::of(of)?.severity {
        Severity::Error => Some(true),
        Severity::Warning => Some(false),
        // A line stays because somebody wants it so, and knows that. What butler took for a person's decision is told:
        // it may have been none.
        Severity::Notice => (of == "declined").then_some(false),
    }
}

impl Finding {
    /// A line that stays, where people should know.
    pub fn of(environment: &str, skip: &Skip) -> Option<Finding> {
        let place = format!("{}:{}", skip.file, skip.position);
        let policy = skip.policy.as_ref().map(|policy| format!(" ({})", code(policy))).unwrap_or_default();
        failing(&skip.code).map(|failing| Finding {
            text: format!("{} in {}{policy}: {}", code(&place), code(environment), code(&skip.reason)),
            failing,
            title: format!("{place}: {}", skip.reason),
            code: Some(skip.code.clone()),
        })
    }

    /// What is wrong with a policy, an automation or an annotation itself, where people should know; of a branch, where
    /// that is not the default one.
    pub fn of_problem(branch: Option<&str>, problem: &Problem) -> Option<Finding> {
        let place = format!("{}:{}", problem.file, problem.position);
        let branch = branch.map(|branch| format!(" on the branch {}", code(branch))).unwrap_or_default();
        failing(problem.code).map(|failing| Finding {
            text: format!("{}{branch}: {}", code(&place), code(&problem.message)),
            failing,
            title: format!("{place}: {}", problem.message),
            code: Some(problem.code.into()),
        })
    }

    /// Whether this tells of a problem: by its place, where a line stays, or in the reason why lines stay.
    pub fn tells(&self, problem: &Problem) -> bool {
        let place = format!("{}:{}", problem.file, problem.position);
        self.code.as_deref() == Some(problem.code) && self.title.split(": ").take(2).any(|part| part == place)
    }

    /// The branch refused a commit that butler.yaml asks for.
    pub fn protected(environment: &str, branch: &str, message: &str) -> Finding {
        Finding {
            text: format!(
                "Environment {} says `update: commit`, but {} refuses butler's push: {}. Let the App push there, or \
                 set `update: auto` or `update: pull-request`.",
                code(environment),
                code(branch),
                code(message)
            ),
            failing: true,
            title: format!("{branch} takes no direct commits"),
            code: None,
        }
    }

    /// The head branch of a pull request of butler's cannot be written.
    pub fn protected_head(head: &str, message: &str) -> Finding {
        Finding {
            text: format!(
                "The branch {} refuses butler's push: {}. Let the App push to `butler/**`; until then this pull request is \
                 not opened or refreshed.",
                code(head),
                code(message)
            ),
            failing: true,
            title: format!("{head} refuses butler's push"),
            code: None,
        }
    }

    /// The head branch of a pull request of butler's cannot be made beside another one.
    pub fn in_the_way(head: &str, other: &str) -> Finding {
        Finding {
            text: format!(
                "The branch {} cannot be made: git cannot hold it beside {}. Delete or rename that branch; until then this \
                 pull request is not opened.",
                code(head),
                code(other)
            ),
            failing: true,
            title: format!("{other} is in the way of {head}"),
            code: None,
        }
    }

    /// butler.yaml names a branch that is not there.
    pub fn no_branch(environment: &str, branch: &str) -> Finding {
        Finding {
            text: format!(
                "Environment {} is on the branch {}, which is not there. Push it, or correct `branch` in butler.yaml.",
                code(environment),
                code(branch)
            ),
            failing: true,
            title: format!("there is no branch {branch}"),
            code: None,
        }
    }
}

/// The check run's words; without findings, that all is well again.
pub fn findings(findings: &[Finding]) -> CheckText {
    let list = listed(findings.iter().map(|finding| format!("- {}\n", finding.text)), SHOWN);
    CheckText {
        title: match findings {
            [] => "every line follows its policy".into(),
            [one] => one.title.chars().take(200).collect(),
            several => format!("{} findings", several.len()),
        },
        summary: match findings {
            [] => "What was found here before is settled.\n".into(),
            _ => list,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::manifest::Position;

    fn problem(code: &'static str, file: &str) -> Problem {
        Problem { code, file: file.into(), position: Position { line: 3, column: 5 }, message: "why".into() }
    }

    /// Whether people are told, and whether the check fails.
    #[test]
    fn what_is_told_goes_by_its_severity() {
        #[rustfmt::skip]
        let cases = [
            ("policy-unresolved", Some(true)), ("policy-invalid", Some(true)), ("policy-conflict", Some(true)),
            ("patch-file-invalid", Some(true)), ("marker-wrong-kind", Some(true)), ("shared-line", Some(true)),
            ("circuit-breaker", Some(true)), ("annotation-json-invalid", Some(true)),
            ("no-match", Some(false)), ("different-image", Some(false)), ("value-not-editable", Some(false)),
            ("patch-incomplete", Some(false)), ("registry-unavailable", Some(false)), ("marker-key", Some(false)),
            ("message-template-unsupported", Some(false)), ("substitution-unresolved", Some(false)),
            // A person's decision; only the one that butler takes for one is told.
            ("declined", Some(false)), ("held", None), ("locked", None), ("policy-suspended", None), ("sops", None),
        ];
        for (of, expected) in cases {
            let skip = Skip {
                file: "a.yaml".into(),
                position: Position { line: 1, column: 2 },
                code: of.into(),
                reason: "why".into(),
                policy: None,
            };
            assert!(Lint::of(of).is_some(), "{of}");
            assert_eq!(Finding::of("dev", &skip).map(|finding| finding.failing), expected, "{of}");
            assert_eq!(
                Finding::of_problem(None, &problem(of, "a.yaml")).map(|finding| finding.failing),
                expected,
                "{of}"
            );
        }
    }

    #[test]
    fn a_problem_that_a_line_tells_is_told_once() {
        let skip = |code: &'static str, file: &str, reason: &str| Skip {
            file: file.into(),
            position: Position { line: 3, column: 5 },
            code: code.into(),
            reason: reason.into(),
            policy: None,
        };
        for (skip, expected) in [
            (skip("policy-invalid", "app.yaml", "policies.yaml:3:5: no range"), true),
            (skip("policy-invalid", "app.yaml", "others.yaml:3:5: no range"), false),
            (skip("policy-invalid", "policies.yaml", "no range"), true),
            (skip("policy-conflict", "policies.yaml", "no range"), false),
        ] {
            let told = Finding::of("dev", &skip).unwrap();
            assert_eq!(told.tells(&problem("policy-invalid", "policies.yaml")), expected, "{skip:?}");
        }
    }

    #[test]
    fn a_problem_names_a_branch_that_is_not_the_default_one() {
        let text = |branch| Finding::of_problem(branch, &problem("policy-invalid", "a.yaml")).unwrap().text;
        assert_eq!(text(None), "`a.yaml:3:5`: `why`");
        assert_eq!(text(Some("release")), "`a.yaml:3:5` on the branch `release`: `why`");
    }
}
