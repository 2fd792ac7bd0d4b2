//! Replies to slash-commands: one comment for each comment that holds commands, edited as work goes on.

use super::{
    code,
    hold::held,
    status::{Board, status},
};
use crate::engine::{
    command::{Permission, VERBS},
    memory::{Decision, Hold, Merged, Outcome, Reach, circumstances, scope_in_words},
};
use std::collections::BTreeMap;

/// Where a promotion (or an update by pull request) stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub head: String,
    /// The source; `None` for an update.
    pub from: Option<String>,
    pub to: String,
    /// `#3 is open: app 1.2.3 -> 1.2.4`, `nothing to promote`, …: a sentence without its full stop, already escaped.
    pub sentence: String,
    /// The `/merge` that waits.
    pub merging: Option<Merging>,
    /// What was merged last.
    pub merged: Option<Merged>,
}

/// A `/merge` that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merging {
    /// The pull request's number.
    pub number: u64,
    pub by: String,
}

/// What replies are written from: the repository as it stands.
#[derive(Clone, Debug, Default)]
pub struct Situation<'a> {
    /// Updates first, then promotions as butler.yaml has them.
    pub standings: &'a [Standing],
    pub board: Board<'a>,
    /// The permission that each command takes here.
    pub needed: BTreeMap<&'a str, Permission>,
}

/// The reply to a comment's commands.
pub fn reply(decisions: &[Decision], situation: &Situation<'_>) -> String {
    let mut text = String::new();
    for decision in decisions {
        if decisions.len() > 1 {
            text.push_str(&format!("{}\n\n", code(&decision.line)));
        }
        text.push_str(&answer(&decision.outcome, situation));
        text.push('\n');
    }
    text
}

/// The reply to commands that butler could not get to. The next event has it tried again, and the reply edited.
pub fn given_up(why: &str) -> String {
    format!(
        "Not done yet: butler could not go on: {}. Whatever happens next in this repository, such as a push or a comment, \
         has it tried again; this comment is not forgotten.\n",
        code(why)
    )
}

fn answer(outcome: &Outcome, situation: &Situation<'_>) -> String {
    match outcome {
        Outcome::Promoting { heads } => lines(heads, situation),
        Outcome::Merging { head, number } => merging(of(head, situation), *number),
        Outcome::AlreadyMerged { commit, by } => {
            let by = by.as_ref().map(|by| format!(", by {}", code(by))).unwrap_or_default();
            format!("Already merged as {commit}{by}.\n")
        }
        Outcome::Holding { hold, here } => held(hold, *here),
        Outcome::GoingOn { scope, holds, declined, heads } => resumed(scope, holds, declined, heads, situation),
        Outcome::Status => status(situation.standings, &situation.board),
        Outcome::Help { permission } => help(*permission, &situation.needed),
        Outcome::Refused { why } => {
            let stop = if why.ends_with(['.', '?', '!']) { "" } else { "." };
            format!("Not done: {why}{stop}\n")
        }
        Outcome::OfAnotherVersion => "Decided by another version of butler.\n".into(),
    }
}

fn of<'a>(head: &str, situation: &Situation<'a>) -> Option<&'a Standing> {
    situation.standings.iter().find(|standing| standing.head == head)
}

fn lines(heads: &[String], situation: &Situation<'_>) -> String {
    let line_of = |head: &String| match of(head, situation) {
        Some(standing) => line(standing),
        None => format!("- {}: no longer in butler.yaml.\n", code(head)),
    };
    heads.iter().map(line_of).collect()
}

/// The answer to `/merge` on pull request `number`.
fn merging(standing: Option<&Standing>, number: u64) -> String {
    match standing {
        Some(Standing { merged: Some(merged), .. }) if merged.number == number => {
            format!("Merged as {}.\n", merged.commit)
        }
        Some(Standing { merging: Some(merging), sentence, .. }) if merging.number == number => {
            format!("Merging as soon as it may be: {sentence}.\n")
        }
        Some(standing) => format!("Not merged: {}.\n", standing.sentence),
        None => "Not merged: nothing is left to merge here.\n".into(),
    }
}

/// What ended, and what applies now.
fn resumed(scope: &Reach, holds: &[Hold], declined: &[String], heads: &[String], situation: &Situation<'_>) -> String {
    let mut text = format!("Resumed: {}.\n\n", scope_in_words(scope));
    for hold in holds {
        text.push_str(&format!("- No longer held: {}, {}.\n", scope_in_words(&hold.scope), circumstances(hold)));
    }
    for value in declined {
        text.push_str(&format!("- No longer declined: {}.\n", code(value)));
    }
    let now: Vec<&Standing> = heads.iter().filter_map(|head| of(head, situation)).collect();
    if !now.is_empty() {
        text.push_str("\nNow:\n\n");
        text.extend(now.into_iter().map(line));
    }
    text
}

/// A list item: where a promotion or an update stands, and whose `/merge` it has.
pub(super) fn line(standing: &Standing) -> String {
    let what = match &standing.from {
        Some(from) => format!("{} → {}", code(from), code(&standing.to)),
        None => format!("update of {}", code(&standing.to)),
    };
    let merge = match &standing.merging {
        Some(merging) => {
            format!(". The `/merge` of {} on #{} is done as soon as it may be", code(&merging.by), merging.number)
        }
        None => String::new(),
    };
    format!("- {what}: {}{merge}.\n", standing.sentence)
}

/// The commands, and which of them this person may give.
fn help(permission: Option<Permission>, needed: &BTreeMap<&str, Permission>) -> String {
    let mut text = String::from("| command | does | takes |\n| --- | --- | --- |\n");
    for verb in VERBS.iter().filter(|verb| verb.available) {
        let takes = needed.get(verb.name).copied().unwrap_or(verb.permission);
        let may = if permission.is_some_and(|has| has >= takes) { "" } else { " (not you)" };
        text.push_str(&format!("| {} | {} | {takes}{may} |\n", code(&format!("/{}", verb.usage)), verb.does));
    }
    text.push_str(
        "\nOn other pull requests and issues, begin with `/butler`: `/butler status`. `<when>` is `2h`, `3d`, \
         `2026-12-24` or `2026-12-24T18:00Z`.\n",
    );
    text
}
