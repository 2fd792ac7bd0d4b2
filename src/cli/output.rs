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

/// What a plan is printed from.
#[derive(Clone, Copy, Default)]
pub struct Shown<'a> {
    pub changes: &'a [Change],
    pub skipped: &'a [Skip],
    pub missed: &'a [Missed],
    /// How many lines hold already what was asked for, where the command asked for something.
    pub current: Option<usize>,
}

/// An argument that no line answers to.
pub struct Missed {
    /// As it was given: `--policy flux-system:app=example.com/app:1.2.3`.
    pub argument: String,
    pub reason: String,
}

/// The code of a [`Missed`] argument.
const NO_LINE: &str = "no-line";

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
    /// Null where no line was found.
    file: Option<&'a str>,
    line: Option<usize>,
    code: &'a str,
    reason: &'a str,
    policy: Option<&'a str>,
    /// The argument that no line answers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    argument: Option<&'a str>,
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

/// A warning's text as it goes to stderr.
pub fn warning(message: &str) -> String {
    format!("{YELLOW}warning{YELLOW:#}: {message}")
}

/// Prints changes and skips in the wanted format. `files` holds the bytes before and after.
pub fn plan(format: PlanFormat, shown: &Shown<'_>, files: &BTreeMap<String, (Vec<u8>, Vec<u8>)>) {
    match format {
        PlanFormat::Json => json(&Document {
            changes: shown.changes.iter().map(change_row).collect(),
            skipped: shown.skipped.iter().map(skip_row).chain(shown.missed.iter().map(missed_row)).collect(),
        }),
        PlanFormat::Diff => {
            anstream::print!("{}", diff(files));
            // A diff has no place for them, and an empty one does not speak for itself.
            for missed in shown.missed {
                anstream::eprintln!("{}", warning(&format!("{}: {}", missed.argument, missed.reason)));
            }
        }
        PlanFormat::Text => text(shown),
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
        file: Some(&skip.file),
        line: Some(skip.position.line),
        code: &skip.code,
        reason: &skip.reason,
        policy: skip.policy.as_deref(),
        argument: None,
    }
}

fn missed_row(missed: &Missed) -> SkipRow<'_> {
    let Missed { argument, reason } = missed;
    SkipRow { file: None, line: None, code: NO_LINE, reason, policy: None, argument: Some(argument) }
}

/// The unified diff of the files, as `git diff` would show it.
fn diff(files: &BTreeMap<String, (Vec<u8>, Vec<u8>)>) -> String {
    files.iter().map(|(file, (before, after))| unified(file, before, after)).collect()
}

fn text(shown: &Shown<'_>) {
    let Shown { changes, skipped, missed, current } = *shown;
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
    for missed in missed {
        anstream::println!("{BOLD}{}{BOLD:#}", missed.argument);
        anstream::println!("  {YELLOW}{NO_LINE}{YELLOW:#}: {}", missed.reason);
    }
    let lines = |n: usize| if n == 1 { "1 line".to_owned() } else { format!("{n} lines") };
    let mut summary = format!("{} would change, {} skipped", lines(changes.len()), lines(skipped.len()));
    if let Some(current) = current.filter(|current| *current > 0) {
        summary.push_str(&format!(", {} already as asked", lines(current)));
    }
    match missed.len() {
        0 => {}
        1 => summary.push_str(", 1 argument without a line"),
        n => summary.push_str(&format!(", {n} arguments without a line")),
    }
    anstream::println!("{summary}");
}
