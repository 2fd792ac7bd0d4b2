//! What happened in a sandbox between two looks at it, for a second terminal that waited: commits, merges, answers, what
//! was synced, pull requests.

use super::{
    card::StageCard,
    visitor::{CommentPage, CommitPage, PullPage, VisitError, Visitor},
    walk::{short, visible},
};
use std::collections::BTreeMap;

/// Further back than this a branch's new commits are not read.
const COMMITS: usize = 50;

/// One thing that happened, and what more there is to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    pub what: String,
    pub details: Vec<String>,
}

/// How things stood at one time.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// Tips by name.
    branches: BTreeMap<String, String>,
    /// Newest first.
    pulls: Vec<PullPage>,
    /// Oldest first.
    comments: Vec<CommentPage>,
    stages: Vec<StageCard>,
}

impl Scene {
    /// Looks at everything once.
    pub async fn look(visitor: &mut Visitor) -> Result<Scene, VisitError> {
        Ok(Scene {
            branches: visitor.branches().await?,
            pulls: visitor.pulls().await?,
            comments: visitor.all_comments().await?,
            stages: visitor.look_again().await?.stages.clone(),
        })
    }

    /// What happened until `after`, as the walk would tell it. `said` is the comment of whoever looks.
    pub async fn until(&self, after: &Scene, visitor: &Visitor, said: Option<u64>) -> Result<Vec<News>, VisitError> {
        let mut commits = Vec::new();
        for (branch, tip) in &after.branches {
            // Heads of pull requests are told with these.
            if after.pulls.iter().any(|pull| pull.head.branch == *branch) {
                continue;
            }
            let Some(known) = self.branches.get(branch).filter(|known| *known != tip) else { continue };
            let (mut new, mut next) = (Vec::new(), Some(tip.clone()));
            while let Some(sha) = next.filter(|sha| sha != known && new.len() < COMMITS) {
                let commit = visitor.commit(&sha).await?;
                next = commit.parents.first().map(|parent| parent.sha.clone());
                new.push((branch.clone(), commit));
            }
            commits.extend(new.into_iter().rev());
        }
        Ok(self.news(after, &commits, said))
    }

    /// As [`Scene::until`], with the new commits of the base branches, oldest first.
    fn news(&self, after: &Scene, commits: &[(String, CommitPage)], said: Option<u64>) -> Vec<News> {
        let mut news = Vec::new();
        for (branch, commit) in commits {
            let who = commit.commit.author.name.trim_end_matches("[bot]");
            let merged = after.pulls.iter().find(|pull| pull.merge_commit_sha.as_deref() == Some(commit.sha.as_str()));
            let what = match merged {
                Some(pull) => format!("{who} merged #{} as {}", pull.number, short(&commit.sha)),
                None => format!("{who} committed {} to {branch}", short(&commit.sha)),
            };
            let lines = commit.commit.message.lines().filter(|line| !line.is_empty());
            news.push(News { what, details: lines.map(str::to_owned).collect() });
        }
        for comment in &after.comments {
            let known = self.comments.iter().find(|known| known.id == comment.id);
            if Some(comment.id) == said || known.is_some_and(|known| known.body == comment.body) {
                continue;
            }
            let did = if known.is_some() { "edited a comment" } else { "commented" };
            let on = comment.number().map(|number| format!(" on #{number}")).unwrap_or_default();
            let who = comment.user.login.trim_end_matches("[bot]");
            let details = visible(&comment.body).lines().map(str::to_owned).collect();
            news.push(News { what: format!("{who} {did}{on}"), details });
        }
        for stage in &after.stages {
            let known = self.stages.iter().find(|known| known.name == stage.name);
            let tag = stage.tag.as_deref().unwrap_or("nothing yet");
            if known.is_some_and(|known| known.trouble == stage.trouble && known.tag == stage.tag) {
                continue;
            }
            news.push(match &stage.trouble {
                Some(trouble) => {
                    News { what: format!("{} was not synced", stage.name), details: vec![trouble.clone()] }
                }
                None => News { what: format!("the sync wrote {}: it runs {tag}", stage.name), details: Vec::new() },
            });
        }
        for pull in after.pulls.iter().rev() {
            let known = self.pulls.iter().find(|known| known.number == pull.number);
            let did = match known {
                None => {
                    let who = pull.user.login.trim_end_matches("[bot]");
                    let what = format!("{who} opened pull request #{}", pull.number);
                    news.push(News { what, details: vec![pull.title.clone(), pull.html_url.clone()] });
                    continue;
                }
                Some(known) if known.standing() != pull.standing() => match pull.standing() {
                    // Told with its commit.
                    "merged" => continue,
                    "closed" => "was closed",
                    _ => "was opened again",
                },
                Some(known) if (&known.title, &known.head.sha) != (&pull.title, &pull.head.sha) => "was updated",
                Some(_) => continue,
            };
            let details = vec![pull.title.clone(), pull.html_url.clone()];
            news.push(News { what: format!("pull request #{} {did}", pull.number), details });
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pull(number: u64, state: &str, sha: &str, merged: Option<&str>) -> Value {
        json!({
            "number": number, "title": format!("Title {number}"), "user": {"login": "butler[bot]"}, "body": null,
            "state": state, "merged_at": merged.map(|_| "2026-01-01T00:00:00Z"), "merge_commit_sha": merged,
            "html_url": format!("http://h/pull/{number}"),
            "head": {"ref": "next", "sha": sha}, "base": {"ref": "main", "sha": "0"},
        })
    }

    fn comment(id: u64, login: &str, body: &str) -> Value {
        json!({"id": id, "user": {"login": login}, "body": body, "html_url": "http://h/pull/3#issuecomment-1"})
    }

    fn stage(tag: &str, trouble: Option<&str>) -> Value {
        json!({"name": "dev", "tag": tag, "commit": "c", "trouble": trouble})
    }

    fn commit(sha: &str, author: &str, message: &str) -> Value {
        json!({"sha": sha, "commit": {"message": message, "author": {"name": author}}, "parents": []})
    }

    /// A scene of pull requests, comments and stages.
    fn scene([pulls, comments, stages]: [Value; 3]) -> Scene {
        Scene {
            branches: BTreeMap::new(),
            pulls: serde_json::from_value(pulls).unwrap(),
            comments: serde_json::from_value(comments).unwrap(),
            stages: serde_json::from_value(stages).unwrap(),
        }
    }

    /// (before, after, new commits on main, what is told)
    #[test]
    fn what_is_told() {
        let none = || [json!([]), json!([]), json!([])];
        let with = |pulls, comments, stages| [pulls, comments, stages];
        let cases: Vec<([Value; 3], [Value; 3], Value, &[&str])> = vec![
            (none(), none(), json!([]), &[]),
            (
                none(),
                none(),
                json!([commit("0123456789", "butler[bot]", "Update app\n\nButler-Plan: x\n")]),
                &["butler committed 0123456 to main|Update app|Butler-Plan: x"],
            ),
            (
                with(json!([pull(3, "open", "a", None)]), json!([]), json!([])),
                with(json!([pull(3, "closed", "a", Some("0123456789"))]), json!([]), json!([])),
                json!([commit("0123456789", "butler[bot]", "Title 3")]),
                &["butler merged #3 as 0123456|Title 3"],
            ),
            (
                with(
                    json!([pull(3, "open", "a", None), pull(2, "closed", "a", None), pull(1, "open", "a", None)]),
                    json!([]),
                    json!([]),
                ),
                with(
                    json!([
                        pull(4, "open", "a", None),
                        pull(3, "open", "b", None),
                        pull(2, "open", "a", None),
                        pull(1, "closed", "a", None)
                    ]),
                    json!([]),
                    json!([]),
                ),
                json!([]),
                &[
                    "pull request #1 was closed|Title 1|http://h/pull/1",
                    "pull request #2 was opened again|Title 2|http://h/pull/2",
                    "pull request #3 was updated|Title 3|http://h/pull/3",
                    "butler opened pull request #4|Title 4|http://h/pull/4",
                ],
            ),
            (
                with(json!([]), json!([comment(1, "ann", "a"), comment(2, "butler[bot]", "b")]), json!([])),
                with(
                    json!([]),
                    json!([
                        comment(1, "ann", "a"),
                        comment(2, "butler[bot]", "c"),
                        comment(7, "ann", "mine"),
                        comment(8, "butler[bot]", "<!-- x -->\nd"),
                    ]),
                    json!([]),
                ),
                json!([]),
                &["butler edited a comment on #3|c", "butler commented on #3|d"],
            ),
            (
                with(json!([]), json!([]), json!([stage("1.0.0", None)])),
                with(json!([]), json!([]), json!([stage("1.1.0", None)])),
                json!([]),
                &["the sync wrote dev: it runs 1.1.0"],
            ),
            (
                with(json!([]), json!([]), json!([stage("1.0.0", None)])),
                with(json!([]), json!([]), json!([stage("1.0.0", Some("no such path"))])),
                json!([]),
                &["dev was not synced|no such path"],
            ),
        ];
        for (before, after, commits, expected) in cases {
            let commits: Vec<CommitPage> = serde_json::from_value(commits).unwrap();
            let commits: Vec<_> = commits.into_iter().map(|commit| ("main".to_owned(), commit)).collect();
            let news = scene(before).news(&scene(after), &commits, Some(7));
            let told: Vec<String> =
                news.into_iter().map(|News { what, details }| [vec![what], details].concat().join("|")).collect();
            assert_eq!(told, expected);
        }
    }
}
