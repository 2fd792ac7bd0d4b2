//! What `plan`, `set` and `lint` print: text for people, JSON for programs, a diff. Colour only on a terminal.

use crate::engine::{
    plan::{Change, Skip},
    wording::unified,
};
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::collections::BTreeMap;

pub const BOLD: Style = Style::new().bold();
pub const DIM: Style = Style::new().dimmed();
pub const RED: Style = AnsiColor::Red.on_default();
pub const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();

/// How a plan is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PlanFormat {
    #[default]
    Text,
    Json,
    Diff,
}

/// How everything else is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Serialize)]
struct Document<'a> {
    changes: Vec<ChangeRow<'a>>,
    skipped: Vec<SkipRow<'a>>,
}

#[derive(Serialize)]
struct ChangeRow<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    old: &'a str,
    new: &'a str,
    policy: Option<&'a str>,
    image: Option<String>,
    object: Option<String>,
    reason: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    downgrade: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    written_by: Option<&'a str>,
}

#[derive(Serialize)]
struct SkipRow<'a> {
    file: &'a str,
    line: usize,
    code: &'a str,
    reason: &'a str,
    policy: Option<&'a str>,
}

/// An error's text as it goes to stderr.
pub fn error(message: &str) -> String {
    format!("{RED}error{RED:#}: {message}")
}

/// A text from outside, for a terminal: on one line, nothing in it moves the cursor or changes colours.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => safe.push(' '),
            control if control.is_control() => safe.extend(control.escape_unicode()),
            other => safe.push(other),
        }
    }
    safe
}

/// Prints changes and skips in the wanted format. `files` holds the bytes before and after.
pub fn plan(format: PlanFormat, changes: &[Change], skipped: &[Skip], files: &BTreeMap<String, (Vec<u8>, Vec<u8>)>) {
    match format {
        PlanFormat::Json => json(&Document {
            changes: changes.iter().map(change_row).collect(),
            skipped: skipped.iter().map(skip_row).collect(),
        }),
        PlanFormat::Diff => anstream::print!("{}", diff(files)),
        PlanFormat::Text => text(changes, skipped),
    }
}

/// One JSON document on stdout.
pub fn json(document: &impl Serialize) {
    match serde_json::to_string_pretty(document) {
        Ok(text) => anstream::println!("{text}"),
        Err(error) => anstream::eprintln!("{}", self::error(&error.to_string())),
    }
}

fn change_row(change: &Change) -> ChangeRow<'_> {
    ChangeRow {
        file: &change.line.file,
        line: change.position.line,
        column: change.position.column,
        old: &change.old,
        new: &change.new,
        policy: change.policy.as_deref(),
        image: change.image.as_ref().map(ToString::to_string),
        object: change.line.object.as_ref().map(ToString::to_string),
        reason: &change.reason,
        downgrade: change.downgrade,
        written_by: change.written_by.as_deref(),
    }
}

fn skip_row(skip: &Skip) -> SkipRow<'_> {
    SkipRow {
        file: &skip.file,
        line: skip.position.line,
        code: &skip.code,
        reason: &skip.reason,
        policy: skip.policy.as_deref(),
    }
}

/// The unified diff of the files, as `git diff` would show it.
fn diff(files: &BTreeMap<String, (Vec<u8>, Vec<u8>)>) -> String {
    files.iter().map(|(file, (before, after))| unified(file, before, after)).collect()
}

fn text(changes: &[Change], skipped: &[Skip]) {
    for change in changes {
        let policy = change.policy.as_deref().map(|policy| format!(" {DIM}{policy}{DIM:#}")).unwrap_or_default();
        anstream::println!("{BOLD}{}:{}{BOLD:#}{policy}", change.line.file, change.position);
        anstream::println!("  {RED}- {}{RED:#}", change.old);
        anstream::println!("  {GREEN}+ {}{GREEN:#}", change.new);
        anstream::println!("  {DIM}{}{DIM:#}", change.reason);
        if change.downgrade {
            anstream::println!(
                "  {YELLOW}a downgrade: butler proposes it in a pull request, it never commits one{YELLOW:#}"
            );
        }
        if let Some(writer) = &change.written_by {
            anstream::println!("  {YELLOW}{writer} still writes this line: butler only watches{YELLOW:#}");
        }
    }
    for skip in skipped {
        let policy = skip.policy.as_deref().map(|policy| format!(" {DIM}{policy}{DIM:#}")).unwrap_or_default();
        anstream::println!("{BOLD}{}:{}{BOLD:#}{policy}", skip.file, skip.position);
        anstream::println!("  {YELLOW}{}{YELLOW:#}: {}", skip.code, skip.reason);
    }
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    anstream::println!(
        "{} line{} would change, {} line{} skipped",
        changes.len(),
        plural(changes.len()),
        skipped.len(),
        plural(skipped.len())
    );
}
