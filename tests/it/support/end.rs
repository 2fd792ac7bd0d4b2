//! Where everything came to: what two ways to the same end are compared by.

use super::world::REPO;
use butler::sandbox::github::Github;
use std::collections::{BTreeMap, BTreeSet};

/// The tag that a stage's manifest runs on a branch; empty where there is no such branch.
pub fn tag_of(github: &Github, branch: &str, stage: &str) -> String {
    let text = github.file(REPO, branch, &format!("deploy/{stage}/app.yaml")).unwrap_or_default();
    let line = text.lines().find(|line| line.trim_start().starts_with("image:")).unwrap_or_default();
    line.split('#').next().unwrap_or_default().trim().rsplit(':').next().unwrap_or_default().to_owned()
}

/// Everything that people can see in the end.
#[derive(Debug, PartialEq, Eq)]
pub struct End {
    pub tags: [String; 3],
    /// The subjects of the main branch, oldest first.
    pub log: Vec<String>,
    pub branches: BTreeSet<String>,
    /// Title, head, whether it is open, whether it was merged.
    pub pulls: Vec<(String, String, bool, bool)>,
    /// butler's comments by pull request.
    pub said: Vec<(u64, String)>,
    /// butler's reactions to people's comments.
    pub reactions: BTreeSet<String>,
    pub checks: BTreeSet<String>,
    /// What butler remembers that would hold something back.
    pub declines: usize,
    pub holds: usize,
}

impl End {
    pub fn of(github: &Github, registry: &str) -> End {
        let own = github.app_login();
        let memory = github.file(REPO, "refs/butler/state", "memory.json").unwrap_or_default();
        let memory: serde_json::Value = serde_json::from_str(&memory).unwrap_or_default();
        let count = |field: &str| memory[field].as_array().map_or(0, Vec::len);
        let comments: Vec<_> = github.pulls(REPO).iter().flat_map(|pull| github.comments(REPO, pull.number)).collect();
        let short = regex::Regex::new(r"\b[0-9a-f]{7,40}\b").unwrap();
        let shown =
            |text: &str| short.replace_all(text.split("<!--").next().unwrap_or_default(), "COMMIT").trim().to_owned();
        End {
            tags: ["development", "staging", "production"].map(|stage| tag_of(github, "main", stage)),
            log: github
                .history(REPO, "main")
                .iter()
                .map(|commit| commit.message.lines().next().unwrap_or_default().replace(registry, "REGISTRY"))
                .collect(),
            branches: github.refs(REPO).into_keys().filter(|name| name.starts_with("refs/heads/")).collect(),
            pulls: github
                .pulls(REPO)
                .into_iter()
                .map(|issue| {
                    let pull = issue.pull.unwrap();
                    (issue.title, pull.head_ref, issue.open, pull.merged.is_some())
                })
                .collect(),
            said: comments.iter().filter(|c| c.author == own).map(|c| (c.number, shown(&c.body))).collect(),
            reactions: comments
                .iter()
                .flat_map(|comment| comment.reactions.iter().map(|reaction| reaction.content.clone()))
                .collect(),
            checks: github
                .history(REPO, "main")
                .iter()
                .flat_map(|commit| github.checks(REPO, &commit.id))
                .map(|check| check.name)
                .collect(),
            declines: count("declines"),
            holds: count("holds"),
        }
    }
}

/// Everything of butler's that is there more than once though it is meant to be there once; empty where all is well.
pub fn doubled(github: &Github) -> Vec<String> {
    let mut seen = BTreeMap::<String, usize>::new();
    let mut saw = |what: String| *seen.entry(what).or_default() += 1;
    let own = github.app_login();
    let history = github.history(REPO, "main");
    for commit in &history {
        let subject = commit.message.lines().next().unwrap_or_default();
        match commit.parents.as_slice() {
            // One version comes to one place once, and one head is merged once.
            [_, head] => saw(format!("merge of {head}")),
            _ if commit.message.contains("\nButler-Plan: ") => saw(format!("commit {subject}")),
            _ => {}
        }
    }
    for issue in github.pulls(REPO) {
        if let Some(pull) = issue.pull.filter(|_| issue.open) {
            saw(format!("open pull request {} -> {}", pull.head_ref, pull.base_ref));
        }
        for comment in github.comments(REPO, issue.number) {
            if comment.author == own {
                saw(format!("comment {} on #{}", comment.body.lines().last().unwrap_or_default(), issue.number));
            }
            for reaction in comment.reactions {
                saw(format!("reaction {} of {} to {}", reaction.content, reaction.author, comment.id));
            }
        }
    }
    for commit in &history {
        for check in github.checks(REPO, &commit.id) {
            saw(format!("check {} {} on {}", check.name, check.external_id, commit.id));
        }
    }
    seen.into_iter().filter(|(_, count)| *count > 1).map(|(what, count)| format!("{what}: {count} times")).collect()
}
