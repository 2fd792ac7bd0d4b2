//! Replies to slash-commands: one comment, edited as work goes on.

use super::escape::code;
use crate::engine::{
    command::{Permission, VERBS},
    memory::{Decision, Outcome},
};

/// Where a promotion (or an update by pull request) stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub head: String,
    pub from: String,
    pub to: String,
    /// `#3 is open: app 1.2.3 -> 1.2.4`, `nothing to promote`, …: a sentence without its full stop, already escaped.
    pub sentence: String,
    /// The comment whose `/merge` was carried out, and the merge's commit.
    pub merged_for: Option<(u64, String)>,
}

/// The reply to a comment's commands.
pub fn reply(comment: u64, decisions: &[Decision], standings: &[Standing], holds: &[String]) -> String {
    let mut text = String::new();
    for decision in decisions {
        if decisions.len() > 1 {
            text.push_str(&format!("{}\n\n", code(&decision.line)));
        }
        text.push_str(&answer(comment, &decision.outcome, standings, holds));
        text.push('\n');
    }
    text
}

fn answer(comment: u64, outcome: &Outcome, standings: &[Standing], holds: &[String]) -> String {
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
            Some(standing) => format!("Merging as soon as it may be: {}.\n", standing.sentence),
            None => "This pull request's promotion is no longer in butler.yaml.\n".into(),
        },
        Outcome::Held { sentence } => {
            format!("Held: {}. Nothing is updated or promoted there until `/resume`.\n", code(sentence))
        }
        Outcome::Resumed { sentence } => format!("Resumed: {}.\n", code(sentence)),
        Outcome::Status => status(standings, holds),
        Outcome::Help { permission } => help(*permission),
        Outcome::Refused { why } => format!("Not done: {why}.\n"),
    }
}

fn line(standing: &Standing) -> String {
    format!("- {} → {}: {}.\n", code(&standing.from), code(&standing.to), standing.sentence)
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
fn help(permission: Option<Permission>) -> String {
    let mut text = String::from("| command | does | takes |\n| --- | --- | --- |\n");
    for verb in VERBS.iter().filter(|verb| verb.available) {
        let may = if permission.is_some_and(|has| has >= verb.permission) { "" } else { " (not you)" };
        text.push_str(&format!("| {} | {} | {}{may} |\n", code(verb.usage), verb.does, verb.permission));
    }
    text.push_str("\nOn other pull requests and issues, begin with `/butler`.\n");
    text
}
