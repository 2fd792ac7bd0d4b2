//! The check run `butler/update`: lines that are not updated although they follow a policy, and what to do about it.

use super::{escape::code, findings::CheckText};
use crate::engine::plan::Skip;
use sha2::{Digest, Sha256};

/// Findings that somebody has to act on; the rest passes by itself or by a newer version.
const FAILING: &[&str] =
    &["policy-unresolved", "policy-ambiguous", "policy-invalid", "marker-wrong-kind", "shared-line", "circuit-breaker"];
/// Findings that are worth a word.
const WORTH_A_WORD: &[&str] = &["no-match", "no-digest", "registry-unavailable", "downgrade", "declined"];
/// How many are shown.
const SHOWN: usize = 50;

/// Something that keeps a line, or an environment, from being updated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A list item, already escaped.
    text: String,
    /// Somebody has to act.
    pub failing: bool,
    title: String,
}

impl Finding {
    /// A line that stays, where people should know.
    pub fn of(environment: &str, skip: &Skip) -> Option<Finding> {
        let failing = FAILING.contains(&skip.code.as_ref());
        let place = format!("{}:{}", skip.file, skip.position);
        let policy = skip.policy.as_ref().map(|policy| format!(" ({})", code(policy))).unwrap_or_default();
        // A comment that was meant as a marker binds nothing: its author believes otherwise.
        let worth_a_word = WORTH_A_WORD.contains(&skip.code.as_ref()) || skip.code.starts_with("marker-");
        (failing || worth_a_word).then(|| Finding {
            text: format!("{} in {}{policy}: {}", code(&place), code(environment), code(&skip.reason)),
            failing,
            title: format!("{place}: {}", skip.reason),
        })
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
        }
    }
}

/// The check run's words; without findings, that all is well again.
pub fn findings(findings: &[Finding]) -> CheckText {
    let list: String = findings.iter().take(SHOWN).map(|finding| format!("- {}\n", finding.text)).collect();
    let more = findings.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("- and {more} more\n") } else { String::new() };
    CheckText {
        title: match findings {
            [] => "every line follows its policy".into(),
            [one] => one.title.chars().take(200).collect(),
            several => format!("{} findings", several.len()),
        },
        summary: match findings {
            [] => "What was found here before is settled.\n".into(),
            _ => format!("{list}{more}"),
        },
    }
}

/// The same findings have the same fingerprint.
pub fn fingerprint(findings: &[Finding]) -> String {
    let mut hasher = Sha256::new();
    for finding in findings {
        hasher.update(finding.text.as_bytes());
        hasher.update([0]);
    }
    hex::encode(hasher.finalize())
}
