//! A decision's steps as rows of a label and a text: the command line wraps them, a comment lists them.

use crate::engine::{
    manifest::Part,
    plan::{ExplainStep, Explanation, Held, Outcome, OutcomeResult, Place},
    policy::{Account, Ranked, Sample},
};

/// One row of an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// At most ten letters.
    pub label: &'static str,
    /// From outside in parts: to be escaped for where it is shown.
    pub text: String,
}

/// The rows that tell an explanation. What the result only repeats is said once.
pub fn rows(explanation: &Explanation) -> Vec<Row> {
    let mut told: Vec<&str> = Vec::new();
    let mut rows = Vec::new();
    for step in &explanation.steps {
        match step {
            ExplainStep::Blocked { why, .. } | ExplainStep::NoTags { why } => told.push(why),
            ExplainStep::Tags(account) if account.selected.is_none() => told.push(&account.reason),
            _ => {}
        }
        rows.extend(rows_of(step, &told));
    }
    rows
}

fn rows_of(step: &ExplainStep, told: &[&str]) -> Vec<Row> {
    let row = |label, text: String| Row { label, text };
    match step {
        ExplainStep::Line { file, position, value, part, object, path, image, marker } => {
            let part = match part {
                Part::Reference => "an image reference",
                Part::Name => "an image's name",
                Part::Tag => "a tag",
                Part::Digest => "a digest",
            };
            let value = if value.is_empty() { "nothing yet" } else { value };
            let object = object.as_ref().map(|object| format!(" in {object}")).unwrap_or_default();
            let mut rows = vec![
                row("line", format!("{file}:{}", at(*position))),
                row("value", format!("{value}, {part}")),
                row("field", format!("{path}{object}")),
            ];
            rows.extend(image.as_ref().map(|image| row("image", image.clone())));
            rows.extend(marker.as_ref().map(|marker| row("marker", format!("# {marker}"))));
            rows
        }
        ExplainStep::Finding { code, message } => vec![row("finding", format!("{code}: {message}"))],
        ExplainStep::Unfollowed => {
            vec![row("policy", "none: no marker, annotation or policy names this line".into())]
        }
        ExplainStep::Beside { file, position, part, policy } => {
            let part = if *part == Part::Digest { "digest" } else { "tag" };
            let text = format!("none for the name: the image's {part}, at {file}:{}, follows {policy}", at(*position));
            vec![row("policy", text)]
        }
        ExplainStep::Policy { key, file, position, order, digest } => {
            let mut rows = vec![row("policy", format!("{key}, defined at {file}:{}", at(*position)))];
            rows.extend((!order.is_empty()).then(|| row("order", order.clone())));
            rows.extend((*digest != "never").then(|| row("digest", format!("written too: {digest}"))));
            rows
        }
        ExplainStep::Repository { image, repository } => vec![row(
            "tags of",
            match image == repository {
                true => repository.clone(),
                false => format!("{repository} (written {image})"),
            },
        )],
        ExplainStep::Tags(account) => tags(account),
        ExplainStep::Ties => {
            let text = "each line takes, of tags of one time, the one that is written like its own";
            vec![row("ties", text.into())]
        }
        ExplainStep::NoTags { why } => vec![row("tags", format!("unknown: {why}"))],
        ExplainStep::Blocked { code, why } => vec![row("blocked", format!("{code}: {why}"))],
        ExplainStep::Outcome(outcome) => vec![row("result", result(outcome, told))],
        ExplainStep::NoLines => vec![row("lines", "none follows this policy".into())],
    }
}

fn at(position: Place) -> String {
    format!("{}:{}", position.line, position.column)
}

fn tags(account: &Account) -> Vec<Row> {
    let mut rows = vec![Row { label: "tags", text: account.considered.to_string() }];
    let mut add = |label, text| rows.push(Row { label, text });
    if account.excluded.count > 0 {
        add("excluded", sample(&account.excluded, ""));
    }
    if account.unmatched.count > 0 {
        add("filtered", sample(&account.unmatched, " not matched by the filter, nearest first"));
    }
    for left_out in &account.left_out {
        add("left out", sample(&left_out.tags, &format!(" {}", left_out.why)));
    }
    if account.eligible > 0 {
        let mut text = format!("{} may be chosen: {}", account.eligible, ranked(&account.first));
        if !account.last.is_empty() {
            let between = account.eligible > account.first.len() + account.last.len();
            let gap = if between { ", …, " } else { ", " };
            text.push_str(&format!("{gap}{}", ranked(&account.last)));
        }
        add("in order", text);
    }
    add(if account.selected.is_some() { "chosen" } else { "no tag" }, account.reason.clone());
    rows
}

/// `3 not a number: a, b, c`
fn sample(sample: &Sample, what: &str) -> String {
    let more = if sample.count > sample.names.len() { ", …" } else { "" };
    format!("{}{what}: {}{more}", sample.count, sample.names.join(", "))
}

/// `main-abc-17 (17)`: the part that is compared, where it is not the whole tag.
fn ranked(rows: &[Ranked]) -> String {
    let shown = |row: &Ranked| match row.key == row.tag {
        true => row.tag.clone(),
        false => format!("{} ({})", row.tag, row.key),
    };
    rows.iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn result(outcome: &Outcome, told: &[&str]) -> String {
    let environment = outcome.environment.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
    let place = format!("{}:{}{environment}", outcome.file, at(outcome.position));
    match &outcome.result {
        OutcomeResult::Current { value } => format!("{place}: {value} is current"),
        OutcomeResult::Changes { old, new, downgrade, written_by, differs } => {
            let old = if old.is_empty() { "nothing" } else { old };
            let note = if *downgrade { "; a downgrade: proposed in a pull request, never committed" } else { "" };
            let differs = differs.as_ref().map(|why| format!(", and what stands there differs: {why}"));
            let differs = differs.unwrap_or_default();
            let writer = written_by.as_ref().map(|by| format!("; {by} writes it, butler only watches{differs}"));
            format!("{place}: {old} -> {new}{note}{}", writer.unwrap_or_default())
        }
        OutcomeResult::Stays { code, why } if told.contains(&why.as_str()) => format!("{place}: stays, {code}"),
        OutcomeResult::Stays { code, why } => format!("{place}: stays, {code}: {why}"),
        OutcomeResult::Promoted { promotion, from, holds, stands_still } => {
            let holds = match holds {
                Held::Line { file, position, value } => format!("where {file}:{} holds {value}", at(*position)),
                Held::Nothing => "where no line corresponds to it".to_owned(),
                Held::Elsewhere { place } => format!("which is on {place} and was not read"),
            };
            let still = stands_still.as_ref().map(|why| format!("; the promotion stands still: {why}"));
            format!(
                "{place}: no policy updates it there; the promotion {promotion} carries versions from {from}, {holds}{}",
                still.unwrap_or_default()
            )
        }
        OutcomeResult::Left { external: true } => {
            format!("{place}: stays, somebody else updates this environment (`update: external`)")
        }
        OutcomeResult::Left { external: false } => {
            format!("{place}: stays, no policy updates this environment (`update: none`) and no promotion leads there")
        }
        OutcomeResult::Elsewhere => {
            format!("{place}: stays, no environment of butler.yaml holds this file")
        }
    }
}
