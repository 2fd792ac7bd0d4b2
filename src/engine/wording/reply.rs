//! Replies to slash-commands: one comment, edited as work goes on.

use super::escape::code;
use crate::engine::{
    command::{Permission, VERBS},
    memory::{Decision, Outcome},
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
    /// The comment whose `/merge` waits.
    pub merging_for: Option<u64>,
    /// The comment whose `/merge` was carried out, and the merge's commit.
    pub merged_for: Option<(u64, String)>,
}

/// The reply to a comment's commands.
///
/// `needed` is the permission that each command takes here.
pub fn reply(
    comment: u64,
    decisions: &[Decision],
    standings: &[Standing],
    holds: &[String],
    needed: &BTreeMap<&str, Permission>,
) -> String {
    let mut text = String::new();
    for decision in decisions {
        if decisions.len() > 1 {
            text.push_str(&format!("{}\n\n", code(&decision.line)));
        }
        text.push_str(&answer(comment, &decision.outcome, standings, holds, needed));
        text.push('\n');
    }
    text
}

fn answer(
    comment: u64,
    outcome: &Outcome,
    standings: &[Standing],
    holds: &[String],
    needed: &BTreeMap<&str, Permission>,
) -> String {
    let of = |head: &str| standings.iter().find(|standing| standing.head == head);
    match outcome {
        Outcome::Promoting { heads } => heads
            .iter()
            .map(|head| match of(head) {
                Some(standing) => line(standing),
                None => format!("- {}: no longer in butler.yaml.\n", code(head)),
            })
            .collect(),
        Outcome::Merging { head } => match of(head) {
            Some(Standing { merged_for: Some((asked, commit)), .. }) if *asked == comment => {
                format!("Merged as {commit}.\n")
            }
            Some(standing) if standing.merging_for == Some(comment) => {
                format!("Merging as soon as it may be: {}.\n", standing.sentence)
            }
            Some(standing) => format!("Not merged: {}.\n", standing.sentence),
            None => "Not merged: nothing is left to merge here.\n".into(),
        },
        Outcome::Held { sentence, until } => {
            let until = until.map(|until| format!("{} or ", code(&until.to_string()))).unwrap_or_default();
            format!("Held: {}. Nothing is updated or promoted there until {until}`/resume`.\n", code(sentence))
        }
        Outcome::Resumed { sentence } => format!("Resumed: {}.\n", code(sentence)),
        Outcome::Status => status(standings, holds),
        Outcome::Help { permission } => help(*permission, needed),
        Outcome::Refused { why } => {
            let stop = if why.ends_with(['.', '?', '!']) { "" } else { "." };
            format!("Not done: {why}{stop}\n")
        }
    }
}

fn line(standing: &Standing) -> String {
    let what = match &standing.from {
        Some(from) => format!("{} → {}", code(from), code(&standing.to)),
        None => format!("update of {}", code(&standing.to)),
    };
    format!("- {what}: {}.\n", standing.sentence)
}

fn status(standings: &[Standing], holds: &[String]) -> String {
    let mut text: String = standings.iter().map(line).collect();
    if standings.is_empty() {
        text.push_str("butler.yaml names no promotions.\n");
    }
    for hold in holds {
        text.push_str(&format!("- {}\n", code(hold)));
    }
    text
}

/// The commands, and which of them this person may give.
fn help(permission: Option<Permission>, needed: &BTreeMap<&str, Permission>) -> String {
    let mut text = String::from("| command | does | takes |\n| --- | --- | --- |\n");
    for verb in VERBS.iter().filter(|verb| verb.available) {
        let takes = needed.get(verb.name).copied().unwrap_or(verb.permission);
        let may = if permission.is_some_and(|has| has >= takes) { "" } else { " (not you)" };
        text.push_str(&format!("| {} | {} | {takes}{may} |\n", code(verb.usage), verb.does));
    }
    text.push_str("\nOn other pull requests and issues, begin with `/butler`.\n");
    text
}
