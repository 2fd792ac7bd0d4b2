//! `/status`: what runs where since when and by what, what is on the way, what is held or declined by whom.

use super::{
    commit::version,
    escape::{code, plain, time},
    hold::hold_in_words,
    reply::{Standing, line},
};
use crate::engine::{
    memory::{Decline, Hold},
    plan::Rollout,
};
use std::collections::BTreeSet;

/// How many components the table shows: GitHub refuses comments of 65,536 characters.
const ROWS: usize = 60;
/// How many holds and how many declines are listed.
const LISTED: usize = 40;

/// What `/status` shows beside the promotions.
#[derive(Clone, Debug, Default)]
pub struct Board<'a> {
    /// In the order of butler.yaml.
    pub stages: &'a [Stage],
    /// The holds that have not run out.
    pub holds: &'a [Hold],
    /// The declines that keep something from moving now, each with its environment.
    pub declines: &'a [(String, Decline)],
}

/// What runs in an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    pub environment: String,
    pub running: Vec<Running>,
}

/// A version that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    pub rollout: Rollout,
    /// It was there before the commits that were looked at: `rollout.entered` is the latest that it can be.
    pub older: bool,
    /// The pull request that brought it, where its commit says so.
    pub pull: Option<u64>,
}

/// The pull request that a commit came by, from the words that GitHub and butler merge with: `Merge pull request #7
/// from …`, a squash's `… (#7)`, butler's `Merges #7.`
pub fn pull_of(message: &str) -> Option<u64> {
    let subject = message.lines().next().unwrap_or_default().trim_end();
    let number = |text: &str| text.parse().ok().filter(|number| *number > 0);
    let merged = subject.strip_prefix("Merge pull request #").and_then(|rest| number(rest.split(' ').next()?));
    let squashed = || number(subject.strip_suffix(')')?.rsplit_once("(#")?.1);
    let by_butler = || number(message.lines().find_map(|line| line.strip_prefix("Merges #")?.strip_suffix('.'))?);
    merged.or_else(squashed).or_else(by_butler)
}

pub(super) fn status(standings: &[Standing], board: &Board<'_>) -> String {
    let mut text = table(board.stages);
    text.push_str("**On the way**\n\n");
    match standings {
        [] => text.push_str("Nothing: butler.yaml names no promotions.\n"),
        some => text.extend(some.iter().map(line)),
    }
    if board.holds.is_empty() && board.declines.is_empty() {
        text.push_str("\nNothing is held or declined.\n");
        return text;
    }
    text.push_str("\n**Held or declined**\n\n");
    text.extend(board.holds.iter().take(LISTED).map(|hold| format!("- {}.\n", hold_in_words(hold))));
    text.extend(board.declines.iter().take(LISTED).map(|(environment, decline)| declined(environment, decline)));
    let more = board.holds.len().saturating_sub(LISTED) + board.declines.len().saturating_sub(LISTED);
    if more > 0 {
        text.push_str(&format!("- and {more} more\n"));
    }
    text
}

fn declined(environment: &str, decline: &Decline) -> String {
    let by = decline.by.as_ref().map(|by| format!(" by {}", code(by))).unwrap_or_default();
    let resume = code(&format!("/butler resume {environment}"));
    format!(
        "- {} in {} was declined{by}, seen {} ({}); a newer version or {resume} ends that.\n",
        code(&decline.value),
        code(environment),
        time(decline.at),
        plain(&decline.why)
    )
}

/// Components by environments: as a pipeline reads, from left to right.
fn table(stages: &[Stage]) -> String {
    let components: BTreeSet<&str> =
        stages.iter().flat_map(|stage| &stage.running).map(|running| running.rollout.component.as_str()).collect();
    if components.is_empty() {
        return "No environment of butler.yaml names an image yet.\n\n".into();
    }
    let heads: String = stages.iter().map(|stage| format!(" {} |", code(&stage.environment))).collect();
    let mut text = format!("| component |{heads}\n| --- |{}\n", " --- |".repeat(stages.len()));
    for component in components.iter().take(ROWS) {
        text.push_str(&format!("| {} |", code(component)));
        for stage in stages {
            let found = stage.running.iter().find(|running| running.rollout.component == *component);
            text.push_str(&found.map_or_else(|| " – |".into(), |running| format!(" {} |", cell(running))));
        }
        text.push('\n');
    }
    if components.len() > ROWS {
        text.push_str(&format!("\nand {} more components\n", components.len() - ROWS));
    }
    text.push('\n');
    text
}

fn cell(running: &Running) -> String {
    let Running { rollout, older, pull } = running;
    let since = if *older { "before" } else { "since" };
    let by = match pull {
        Some(number) => format!("#{number}"),
        None => rollout.commit.get(..7).unwrap_or(&rollout.commit).to_owned(),
    };
    let by = if *older { String::new() } else { format!(" by {by}") };
    let last_bad = rollout.verdicts.last().filter(|bad| rollout.first_healthy.is_none_or(|good| good < bad.at));
    let health = match (last_bad, rollout.first_healthy) {
        (Some(bad), _) => format!("<br>**not healthy** {}: {}", time(bad.at), plain(&bad.why)),
        (None, Some(healthy)) => format!("<br>healthy {}", time(healthy)),
        (None, None) => String::new(),
    };
    format!("**{}**<br>{since} {}{by}{health}", code(&version(&rollout.version)), time(rollout.entered))
}
