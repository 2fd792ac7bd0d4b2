//! Pull requests: what moves first (mail and phones cut the rest), then why, the diff, and what people can say.

use super::{
    code,
    commit::{subject, version, versions},
    fenced,
};
use crate::engine::plan::{Change, PromotionPlan, Skip, UpdatePlan, plan_hash};
use std::collections::{BTreeMap, BTreeSet};

/// GitHub refuses bodies of 65,536 characters.
const BODY_LIMIT: usize = 60_000;
const TITLE_LIMIT: usize = 240;
const SKIPS_SHOWN: usize = 20;

/// A pull request's title and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullText {
    pub title: String,
    pub body: String,
}

/// The pull request of a promotion. `diff` is the unified diff of all files; `announcement` a newer plan that waits.
pub fn promotion_pull(plan: &PromotionPlan, diff: &str, requested_by: Option<&str>) -> PullText {
    let mut body = shared(plan);
    body.push_str(&format!("Carries what {} runs to {}.\n\n", code(&plan.from), code(&plan.to)));
    body.push_str(&table(&plan.changes));
    body.push_str(&notes(&plan.changes));
    body.push_str(&format!(
        "\nFrom {} at {}, planned on {}{}.\n",
        code(&plan.from),
        code(short(&plan.source)),
        code(short(&plan.base)),
        requested_by.map(|by| format!(", asked for by {}", code(by))).unwrap_or_default()
    ));
    body.push_str(&left_out(&plan.skipped));
    let commands = "\n`/merge` merges it when it may be merged, `/hold` stops it, `/status` says where things stand, \
                    `/help` lists the rest. Closing it declines these versions.\n";
    finish(subject(&plan.to, &plan.changes), body, diff, commands, &plan.hash)
}

/// What the lines change that other environments render, too.
fn shared(plan: &PromotionPlan) -> String {
    let mut lines: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for change in &plan.changes {
        for environment in change.environments.iter().filter(|name| **name != plan.to) {
            let line = format!("{}:{}", change.line.file, change.position.line);
            lines.entry(environment).or_default().insert(code(&line));
        }
    }
    let note = |(environment, lines): (&str, BTreeSet<String>)| {
        let lines: Vec<String> = lines.into_iter().collect();
        format!(
            "> **Changes {0} too**: {0} renders {1}. butler does not merge this by itself.\n\n",
            code(environment),
            lines.join(", ")
        )
    };
    lines.into_iter().map(note).collect()
}

/// The pull request of an update that may not be committed directly.
pub fn update_pull(plan: &UpdatePlan, changes: &[Change], diff: &str, why: &str) -> PullText {
    let mut body = format!("Updates {}. {why}\n\n", code(&plan.environment));
    body.push_str(&table(changes));
    body.push_str(&notes(changes));
    let commands =
        "\nMerging it is all there is to do. Closing it declines these versions; a newer one opens another.\n";
    let title = super::commit::update_commit(plan, changes).lines().next().unwrap_or_default().to_owned();
    finish(title, body, diff, commands, &plan_hash(changes))
}

fn table(changes: &[Change]) -> String {
    let mut rows = String::from("| component | image | from | to |\n| --- | --- | --- | --- |\n");
    let mut seen: Vec<String> = Vec::new();
    for change in changes {
        let image = change.image.as_ref().map(|image| code(&image.to_string())).unwrap_or_default();
        let row = format!(
            "| {} | {image} | {} | {} |\n",
            code(&change.component),
            code(&version(&change.old)),
            code(&version(&change.new))
        );
        if !seen.contains(&row) {
            rows.push_str(&row);
            seen.push(row);
        }
    }
    rows
}

/// What a reviewer must not miss.
fn notes(changes: &[Change]) -> String {
    let mut notes = String::new();
    for change in changes {
        let line = format!("{}:{}", change.line.file, change.position.line);
        if change.downgrade {
            notes.push_str(&format!(
                "\n> **Downgrade**: {} goes {} ({}), since {}.\n",
                code(&change.component),
                code(&versions(change)),
                code(&line),
                code(&change.reason)
            ));
        } else if major(&change.old, &change.new) {
            notes.push_str(&format!(
                "\n> **Major version**: {} goes {}.\n",
                code(&change.component),
                code(&versions(change))
            ));
        }
    }
    notes
}

/// Whether both are versions, and the first number differs.
fn major(old: &str, new: &str) -> bool {
    let first = |value: &str| {
        let version = version(value);
        let version = version.strip_prefix('v').unwrap_or(&version).to_owned();
        semver::Version::parse(&version).ok().map(|version| version.major)
    };
    matches!((first(old), first(new)), (Some(old), Some(new)) if old != new)
}

fn left_out(skipped: &[Skip]) -> String {
    if skipped.is_empty() {
        return String::new();
    }
    let mut text = String::from("\nNot carried:\n");
    for skip in skipped.iter().take(SKIPS_SHOWN) {
        text.push_str(&format!(
            "- {}: {}\n",
            code(&format!("{}:{}", skip.file, skip.position.line)),
            code(&skip.reason)
        ));
    }
    if skipped.len() > SKIPS_SHOWN {
        text.push_str(&format!("- and {} more\n", skipped.len() - SKIPS_SHOWN));
    }
    text
}

fn finish(title: String, mut body: String, diff: &str, commands: &str, hash: &str) -> PullText {
    let tail = format!("{commands}\n<!-- butler:plan:{hash} -->\n");
    let block = format!("\n<details><summary>Diff</summary>\n\n{}\n</details>\n", fenced("diff", diff));
    if body.len() > BODY_LIMIT {
        body = cut(&body, BODY_LIMIT);
        body.push_str("\n\n… cut: the list is longer than GitHub shows.\n");
    } else if body.len() + block.len() <= BODY_LIMIT {
        body.push_str(&block);
    } else {
        body.push_str("\nThe diff is too long for this text: see *Files changed*.\n");
    }
    body.push_str(&tail);
    PullText { title: cut(&title, TITLE_LIMIT), body }
}

/// At most `limit` bytes, ending at a line's end where there is one.
fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    let head = &text[..end];
    head.rfind('\n').map_or(head, |newline| &head[..newline]).to_owned()
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// `app 1.2.3 -> 1.2.4, api 2.0.0 -> 2.1.0`: what moves, in one line.
pub fn summary(changes: &[Change]) -> String {
    const SHOWN: usize = 5;
    let mut seen: Vec<String> = Vec::new();
    for change in changes {
        let text = code(&format!("{} {}", change.component, versions(change)));
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    let more = seen.len().saturating_sub(SHOWN);
    seen.truncate(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", seen.join(", "))
}

/// Said when butler closes a pull request of its own.
pub fn nothing_left() -> String {
    "Nothing is left to carry: the target has these versions, or they were declined.\n".into()
}

/// Said when butler closes a pull request that butler.yaml has no place for any more.
pub fn no_longer_wanted(head: &str) -> String {
    format!(
        "Closed: butler.yaml has no promotion or update for {} any more. No version is declined by that.\n",
        code(head)
    )
}

/// Said on one that a person committed to.
pub fn left_to_people(head: &str) -> String {
    format!(
        "butler.yaml has no promotion or update for {} any more. It holds a commit that butler does not know as its own, \
         so this pull request is left to you: merge it, or close it.\n",
        code(head)
    )
}

/// Said when something newer waits behind a pull request that people are reviewing.
pub fn newer_plan(summary: &str) -> String {
    format!(
        "There is something newer: {summary}. This pull request stays as it is while it is under review or waits to be merged.\n"
    )
}

/// Said when a person committed to butler's head branch, or the memory of what butler put there is gone.
pub fn edited(head: &str) -> String {
    format!(
        "{} holds a commit that butler does not know as its own, so it leaves this pull request alone. Merge it, or \
         close it and delete the branch: butler then opens a new one.\n",
        code(head)
    )
}
