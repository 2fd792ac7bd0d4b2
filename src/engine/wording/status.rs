//! `/status`: what runs where since when and by what, what is on the way, what is held or declined by whom.

use super::{
    code,
    commit::version,
    plain,
    reply::{Standing, line},
    time,
};
use crate::engine::{
    memory::{Decline, Hold, hold_in_words},
    plan::Rollout,
};
use std::collections::BTreeSet;

/// How many components the table shows: GitHub refuses comments of 65,536 characters.
const ROWS: usize = 60;
/// How many holds, how many declines and how many stopped lines are listed.
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
    /// The lines that the circuit breaker stopped.
    pub stopped: &'a [Stopped],
}

/// A line that butler changed too often lately.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stopped {
    pub environment: String,
    pub component: String,
    /// `file:line:column`.
    pub place: String,
    /// Since when, and when it goes on. Not Markdown.
    pub reason: String,
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
    if board.holds.is_empty() && board.declines.is_empty() && board.stopped.is_empty() {
        text.push_str("\nNothing is held or declined.\n");
        return text;
    }
    text.push_str("\n**Held or declined**\n\n");
    text.extend(board.holds.iter().take(LISTED).map(|hold| format!("- {}.\n", hold_in_words(hold))));
    text.extend(board.declines.iter().take(LISTED).map(|(environment, decline)| declined(environment, decline)));
    text.extend(board.stopped.iter().take(LISTED).map(stopped));
    let left_out = [board.holds.len(), board.declines.len(), board.stopped.len()].map(|all| all.saturating_sub(LISTED));
    let more: usize = left_out.iter().sum();
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

fn stopped(stopped: &Stopped) -> String {
    let Stopped { environment, component, place, reason } = stopped;
    format!(
        "- {} in {} ({}) is stopped by the circuit breaker: {}.\n",
        code(component),
        code(environment),
        code(place),
        code(reason)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::memory::{Reach, Verdict};
    use jiff::Timestamp;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_772_442_000 + minute * 60).unwrap()
    }

    fn running(component: &str, version: &str) -> Running {
        let rollout = Rollout {
            component: component.into(),
            version: version.into(),
            commit: "0123456789abcdef".into(),
            entered: at(0),
            left: None,
            first_healthy: None,
            verdicts: Vec::new(),
        };
        Running { rollout, older: false, pull: None }
    }

    #[test]
    fn the_pull_request_that_a_commit_came_by() {
        for (message, expected) in [
            ("Merge pull request #7 from acme/next\n\nUpdate app", Some(7)),
            ("Update app (#7)", Some(7)),
            ("Update app (#7)\n\n* Merges #8.", Some(7)),
            ("promote(staging): app 1 -> 2\n\nMerges #7.\n\nButler-Plan: x\n", Some(7)),
            ("Update app", None),
            ("Update app (#x)", None),
            ("See #7", None),
            ("Update app (#0)", None),
            ("Merge pull request #99999999999999999999 from x", None),
            ("", None),
        ] {
            assert_eq!(pull_of(message), expected, "{message:?}");
        }
    }

    #[test]
    fn a_cell_says_version_since_and_by_what() {
        let app = || running("app", "1.1.0");
        let with = |change: fn(&mut Running)| {
            let mut app = app();
            change(&mut app);
            app
        };
        let bad = |minute| Verdict { at: at(minute), why: "crash loop | @ann".into() };
        let mut fell_ill = app();
        fell_ill.rollout.first_healthy = Some(at(5));
        fell_ill.rollout.verdicts = vec![bad(1), bad(9)];
        let mut recovered = fell_ill.clone();
        recovered.rollout.first_healthy = Some(at(10));
        for (running, expected) in [
            (app(), "**`1.1.0`**<br>since 2026-03-02 09:00 UTC by 0123456"),
            (with(|app| app.pull = Some(7)), "**`1.1.0`**<br>since 2026-03-02 09:00 UTC by #7"),
            (with(|app| app.older = true), "**`1.1.0`**<br>before 2026-03-02 09:00 UTC"),
            (recovered, "**`1.1.0`**<br>since 2026-03-02 09:00 UTC by 0123456<br>healthy 2026-03-02 09:10 UTC"),
            (
                fell_ill,
                "**`1.1.0`**<br>since 2026-03-02 09:00 UTC by 0123456<br>**not healthy** 2026-03-02 09:09 UTC: crash loop \\| @\u{200d}ann",
            ),
        ] {
            assert_eq!(cell(&running), expected);
        }
    }

    #[test]
    fn a_table_has_a_row_for_each_component_and_says_what_it_leaves_out() {
        let stage = |environment: &str, running: Vec<Running>| Stage { environment: environment.into(), running };
        let stages =
            [stage("dev", vec![running("app", "2"), running("web", "1")]), stage("prod", vec![running("app", "1")])];
        let text = table(&stages);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows[..2], ["| component | `dev` | `prod` |", "| --- | --- | --- |"]);
        assert!(rows[2].starts_with("| `app` | **`2`**") && rows[2].contains(" | **`1`**"), "{text}");
        assert!(rows[3].starts_with("| `web` | **`1`**") && rows[3].ends_with(" | – |"), "{text}");
        assert_eq!(table(&[stage("dev", Vec::new())]), "No environment of butler.yaml names an image yet.\n\n");
        let many = (0..2_000).map(|i| running(&format!("component-{i}"), "1")).collect();
        let text = table(&[stage("dev", many)]);
        assert!(text.len() < 20_000 && text.contains("and 1940 more components"), "{}", text.len());
    }

    #[test]
    fn what_is_held_and_declined_is_told_with_who_and_what_ends_it() {
        let scope = Reach { environment: Some("prod".into()), ..Reach::default() };
        let hold = Hold { scope, until: None, reason: "fair".into(), by: "ann".into(), at: at(0) };
        let decline = Decline {
            what: "x".into(),
            value: "app:2".into(),
            why: "#7 was closed".into(),
            by: Some("bob".into()),
            at: at(1),
            ended: None,
        };
        let (holds, declines) = ([hold], [("prod".to_owned(), decline)]);
        let text = status(&[], &Board { holds: &holds, declines: &declines, ..Board::default() });
        for part in [
            "- everything in `prod` is held by `ann` since 2026-03-02 09:00 UTC (fair); `/butler resume prod` ends that.\n",
            "- `app:2` in `prod` was declined by `bob`, seen 2026-03-02 09:01 UTC (#\u{200d}7 was closed); a newer version or `/butler resume prod` ends that.\n",
        ] {
            assert!(text.contains(part), "{part:?} in {text:?}");
        }
        assert!(status(&[], &Board::default()).ends_with("Nothing is held or declined.\n"));
    }
}
