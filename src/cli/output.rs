//! What `plan`, `set` and `lint` print: text for people, JSON for programs, a diff. Colour only on a terminal.

use super::worktree::Worktree;
use crate::engine::{
    plan::{Change, NOT_UPDATED, Shadowed, Skip},
    wording::unified,
};
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    fmt::{self, Display},
    io::{self, IsTerminal},
    sync::LazyLock,
};
use terminal_size::{Width, terminal_size_of};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

pub const BOLD: Style = Style::new().bold();
pub const DIM: Style = Style::new().dimmed();
pub const RED: Style = AnsiColor::Red.on_default();
pub const GREEN: Style = AnsiColor::Green.on_default();
pub const YELLOW: Style = AnsiColor::Yellow.on_default();

/// Columns of a line; `None` for one without end: in a pipe, where grep finds whole sentences. COLUMNS wins, as it does
/// for `--help`.
pub static STDOUT: LazyLock<Option<usize>> = LazyLock::new(|| columns(terminal_size_of(io::stdout())));
pub static STDERR: LazyLock<Option<usize>> = LazyLock::new(|| columns(terminal_size_of(io::stderr())));

fn columns<H>(terminal: Option<(Width, H)>) -> Option<usize> {
    let wanted = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    wanted.or_else(|| terminal.map(|(Width(columns), _)| columns.into())).filter(|columns| *columns > 0)
}

/// A text from outside, [`printable`], in lines that fit. `before`: the columns that are taken in front of it; `indent`:
/// those to leave in front of the lines that follow. A word that is longer than a line stands whole: it is a name to be copied.
pub fn wrapped(text: &str, width: Option<usize>, before: usize, indent: usize) -> String {
    let text = printable(text);
    let Some(width) = width else { return text };
    let (first, following) = (" ".repeat(before), " ".repeat(indent));
    let options = Options::new(width)
        .initial_indent(&first)
        .subsequent_indent(&following)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .break_words(false);
    textwrap::fill(&text, options).get(before..).unwrap_or_default().to_owned()
}

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

/// Said by the commands that name files.
pub const NAMES: &str = "Each file is named as it is found from the current folder, PATH in front, in every format: \
                         that is where `git apply` takes a diff. Where PATH leads out of the current folder files are \
                         named from PATH, and a diff is applied there. Within sentences files are named from PATH.";

/// What a plan is printed from.
#[derive(Clone, Copy, Default)]
pub struct Shown<'a> {
    pub changes: &'a [Change],
    pub skipped: &'a [Skip],
    pub missed: &'a [Missed],
    /// How many lines hold already what was asked for, where the command asked for something.
    pub current: Option<usize>,
    /// How many lines hold what Flux and butler agree on, where Flux writes them.
    pub agree: usize,
    /// The files were changed.
    pub written: bool,
    /// [`Worktree::prefix`].
    pub prefix: &'a str,
}

/// Codes whose reasons are an image's, whichever line it is: what a registry answered is told once.
const OF_THE_IMAGE: [&str; 2] = ["registry-unavailable", "not-given"];

/// Whether `--write` writes a change: not what Flux still writes, nor a downgrade, which takes a person's word.
pub fn is_written(change: &Change) -> bool {
    change.shadowed.is_none() && !change.downgrade
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
    file: String,
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
    /// Those that render the line, where there are several.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    environments: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    written_by: Option<&'a str>,
    /// Why what stands there is not only behind, where somebody else writes the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    differs: Option<&'a str>,
}

#[derive(Serialize)]
struct SkipRow<'a> {
    /// Null where no line was found.
    file: Option<String>,
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
    format!("{RED}error{RED:#}: {}", said(message, "error: ".len()))
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

/// A text of several lines, for a terminal: as [`printable`], its lines and tabs kept.
fn for_terminal(text: &str) -> String {
    text.split('\n')
        .map(|line| line.split('\t').map(printable).collect::<Vec<_>>().join("\t"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A warning's text as it goes to stderr.
pub fn warning(message: &str) -> String {
    format!("{YELLOW}warning{YELLOW:#}: {}", said(message, "warning: ".len()))
}

/// A note's text as it goes to stderr.
pub fn note(message: &str) -> String {
    format!("{BOLD}note{BOLD:#}: {}", said(message, "note: ".len()))
}

/// A message for stderr, its lines wrapped.
fn said(message: &str, before: usize) -> String {
    let lines = message.split('\n').enumerate();
    lines.map(|(n, line)| wrapped(line, *STDERR, if n == 0 { before } else { 0 }, 2)).collect::<Vec<_>>().join("\n")
}

/// Says on stderr that only a part of the checkout was read, where that matters, or one of the texts calls something
/// missing "in this repository".
pub fn note_partial<'a>(tree: &Worktree, matters: bool, mut texts: impl Iterator<Item = &'a str>) {
    if (matters || texts.any(|text| text.contains(" in this repository")))
        && let Some(partial) = tree.partial()
    {
        anstream::eprintln!("{}", note(&partial));
    }
}

/// Writes to stdout. Where nobody reads on (`butler lint | head`) there is nothing left to do; where it cannot be written,
/// that is a failure, and no panic as with [`std::println`].
pub fn print(text: fmt::Arguments<'_>) {
    use std::io::Write;
    if let Err(problem) = anstream::stdout().write_fmt(text) {
        if problem.kind() == io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        anstream::eprintln!("{}", error(&format!("cannot write to stdout: {problem}")));
        std::process::exit(3);
    }
}

/// A line on stdout, as [`print`].
macro_rules! say {
    () => { $crate::cli::output::print(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::output::print(format_args!("{}\n", format_args!($($text)*))) };
}
pub(crate) use say;

/// Prints changes and skips in the wanted format. `files` holds the bytes before and after what is (or would be) written.
pub fn plan(format: PlanFormat, shown: &Shown<'_>, files: &BTreeMap<String, (Vec<u8>, Vec<u8>)>) {
    match format {
        PlanFormat::Json => json(&Document {
            changes: shown.changes.iter().map(|change| change_row(shown, change)).collect(),
            skipped: shown
                .skipped
                .iter()
                .map(|skip| skip_row(shown, skip))
                .chain(shown.missed.iter().map(missed_row))
                .collect(),
        }),
        PlanFormat::Diff => {
            // In a pipe it is for a program, byte for byte.
            let diff = diff(shown, files);
            let diff = if std::io::stdout().is_terminal() { for_terminal(&diff) } else { diff };
            print(format_args!("{diff}"));
            // A diff has no place for what follows, and an empty one does not speak for itself.
            if files.is_empty() && shown.missed.is_empty() {
                anstream::eprintln!("{}", note(&format!("no diff: {}", summary(shown))));
            }
            for missed in shown.missed {
                anstream::eprintln!("{}", warning(&format!("{}: {}", missed.argument, missed.reason)));
            }
        }
        PlanFormat::Text => print(format_args!("{}", text(shown, *STDOUT))),
    }
}

/// One JSON document on stdout.
pub fn json(document: &impl Serialize) {
    match serde_json::to_string_pretty(document) {
        Ok(text) => say!("{text}"),
        Err(error) => anstream::eprintln!("{}", self::error(&error.to_string())),
    }
}

fn change_row<'a>(shown: &Shown<'_>, change: &'a Change) -> ChangeRow<'a> {
    ChangeRow {
        file: format!("{}{}", shown.prefix, change.line.file),
        line: change.position.line,
        column: change.position.column,
        old: &change.old,
        new: &change.new,
        policy: change.policy.as_deref(),
        image: change.image.as_ref().map(ToString::to_string),
        object: change.line.object.as_ref().map(ToString::to_string),
        reason: &change.reason,
        downgrade: change.downgrade,
        environments: &change.environments,
        written_by: change.shadowed.as_ref().map(|shadowed| &*shadowed.by),
        differs: change.shadowed.as_ref().and_then(Shadowed::differs),
    }
}

fn skip_row<'a>(shown: &Shown<'_>, skip: &'a Skip) -> SkipRow<'a> {
    SkipRow {
        file: Some(format!("{}{}", shown.prefix, skip.file)),
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
fn diff(shown: &Shown<'_>, files: &BTreeMap<String, (Vec<u8>, Vec<u8>)>) -> String {
    let name = |file: &str| format!("{}{file}", shown.prefix);
    files.iter().map(|(file, (before, after))| unified(&name(file), before, after)).collect()
}

/// A plan for people. All that comes from the repository goes through [`printable`].
fn text(shown: &Shown<'_>, width: Option<usize>) -> String {
    let Shown { changes, skipped, missed, prefix, .. } = *shown;
    let mut text = String::new();
    let heading = |file: &str, position: &dyn Display, policy: Option<&str>| {
        let policy = policy.map(|policy| format!(" {DIM}{}{DIM:#}", printable(policy))).unwrap_or_default();
        format!("{BOLD}{}{}:{position}{BOLD:#}{policy}\n", printable(prefix), printable(file))
    };
    for change in changes {
        text += &heading(&change.line.file, &change.position, change.policy.as_deref());
        text += &format!("  {RED}- {}{RED:#}\n", printable(&change.old));
        text += &format!("  {GREEN}+ {}{GREEN:#}\n", printable(&change.new));
        let mut add = |style: Style, said: &str| text += &format!("  {style}{}{style:#}\n", wrapped(said, width, 2, 2));
        add(DIM, &change.reason);
        if !change.environments.is_empty() {
            add(DIM, &format!("one value for the environments {}", change.environments.join(", ")));
        }
        if change.downgrade {
            add(
                YELLOW,
                "a downgrade, or not known to be none: butler proposes it in a pull request, it never commits one",
            );
        }
        if let Some(shadowed) = &change.shadowed {
            add(YELLOW, &format!("{} still writes this line: butler only watches", shadowed.by));
            if let Some(why) = shadowed.differs() {
                add(YELLOW, &format!("what stands there differs from what butler would have put there: {why}"));
            }
        }
    }
    let why = |code: &str, reason: &str| {
        format!("  {YELLOW}{code}{YELLOW:#}: {}\n", wrapped(reason, width, code.len() + 4, 2))
    };
    let mut of_images: HashMap<(&str, &str), Vec<&Skip>> = HashMap::new();
    for skip in skipped.iter().filter(|skip| OF_THE_IMAGE.contains(&&*skip.code)) {
        of_images.entry((&skip.code, &skip.reason)).or_default().push(skip);
    }
    for skip in skipped {
        let lines = match OF_THE_IMAGE.contains(&&*skip.code) {
            // With the first of them, all.
            true => of_images.remove(&(&*skip.code, &*skip.reason)).unwrap_or_default(),
            false => vec![skip],
        };
        for skip in &lines {
            text += &heading(&skip.file, &skip.position, skip.policy.as_deref());
        }
        if !lines.is_empty() {
            text += &why(&skip.code, &skip.reason);
        }
    }
    for missed in missed {
        text += &format!("{BOLD}{}{BOLD:#}\n", printable(&missed.argument));
        text += &why(NO_LINE, &missed.reason);
    }
    text + &wrapped(&summary(shown), width, 0, 2) + "\n"
}

/// `2 lines changed, 2 left to Flux (1 differs), 5 agree with Flux, 1 downgrade only shown, 0 lines skipped`
fn summary(shown: &Shown<'_>) -> String {
    let Shown { changes, skipped, missed, current, agree, written, .. } = *shown;
    let counted = |n: usize, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
    let ours = changes.iter().filter(|change| is_written(change)).count();
    let shadowed = || changes.iter().filter_map(|change| change.shadowed.as_ref());
    let watched = shadowed().count();
    let differ = shadowed().filter(|shadowed| shadowed.differs().is_some()).count();
    let mut parts = vec![format!("{} {}", counted(ours, "line"), if written { "changed" } else { "would change" })];
    let verb = |n: usize, verb: &str| format!("{n} {verb}{}", if n == 1 { "s" } else { "" });
    if watched > 0 {
        let differ = if differ > 0 { format!(" ({})", verb(differ, "differ")) } else { String::new() };
        parts.push(format!("{watched} left to Flux{differ}"));
    }
    if agree > 0 {
        parts.push(format!("{} with Flux", verb(agree, "agree")));
    }
    if changes.len() > ours + watched {
        parts.push(format!("{} only shown", counted(changes.len() - ours - watched, "downgrade")));
    }
    let environments = skipped.iter().filter(|skip| skip.code == NOT_UPDATED).count();
    parts.push(format!("{} skipped", counted(skipped.len() - environments, "line")));
    if environments > 0 {
        parts.push(format!("{} not updated by policy", counted(environments, "environment")));
    }
    if let Some(current) = current.filter(|current| *current > 0) {
        parts.push(format!("{} already as asked", counted(current, "line")));
    }
    if !missed.is_empty() {
        parts.push(format!("{} without a line", counted(missed.len(), "argument")));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{
        manifest::{Edit, FieldPath, LineId, Position},
        plan::Stands,
    };

    fn hostile(field: &str) -> String {
        format!("{field}\n::error::x\u{1b}[2J\u{9b}1m")
    }

    fn change(written_by: Option<(&str, Stands)>, downgrade: bool) -> Change {
        let line = LineId { file: hostile("file"), object: None, document: 0, path: FieldPath::default() };
        Change {
            edit: Edit { blob: "".into(), span: 0..0, old: String::new(), new: String::new() },
            line,
            position: Position { line: 1, column: 2 },
            old: hostile("old"),
            new: hostile("new"),
            policy: Some(hostile("policy")),
            component: String::new(),
            image: None,
            reason: hostile("reason"),
            downgrade,
            environments: vec![hostile("dev"), hostile("prod")],
            automation: None,
            shadowed: written_by.map(|(by, stands)| Shadowed { by: hostile(by), stands }),
        }
    }

    /// Nothing from the repository begins a line, moves the cursor or changes colours.
    #[test]
    fn texts_from_outside_cannot_steer_a_terminal() {
        let skip = Skip {
            file: hostile("file"),
            position: Position { line: 3, column: 4 },
            code: "no-match".into(),
            reason: hostile("reason"),
            policy: Some(hostile("policy")),
        };
        let missed = Missed { argument: hostile("argument"), reason: hostile("reason") };
        let (changes, skipped, missed) =
            ([change(Some(("Flux", Stands::Differs(hostile("why")))), true)], [skip], [missed]);
        let shown = Shown { changes: &changes, skipped: &skipped, missed: &missed, ..Shown::default() };
        let text = anstream::adapter::strip_str(&text(&shown, None)).to_string();
        let starts: Vec<&str> =
            text.lines().map(|line| line.split(' ').find(|word| !word.is_empty()).unwrap()).collect();
        assert_eq!(
            starts,
            ["file", "-", "+", "reason", "one", "a", "Flux", "what", "file", "no-match:", "argument", "no-line:", "0"],
            "{text}"
        );
        let plain = self::text(&shown, Some(40));
        for style in [BOLD, DIM, RED, GREEN, YELLOW] {
            assert!(plain.contains(&style.to_string()));
        }
        let ours = [BOLD, DIM, RED, GREEN, YELLOW]
            .iter()
            .fold(plain, |text, style| text.replace(&format!("{style}"), "").replace(&format!("{style:#}"), ""));
        assert!(!ours.contains(['\u{1b}', '\u{9b}']), "{ours:?}");
        for said in [error(&hostile("x")), warning(&hostile("x")), for_terminal(&hostile("x"))] {
            assert!(!said.contains("\u{1b}[2J") && !said.contains('\u{9b}'), "{said:?}");
        }
    }

    #[test]
    fn texts_are_wrapped_at_spaces() {
        #[rustfmt::skip]
        let cases = [
            ("one two three", None, 2, 2, "one two three"),
            ("one two three", Some(9), 2, 2, "one two\n  three"),
            ("one two three", Some(9), 6, 1, "one\n two\n three"),
            ("a very-long-word b", Some(9), 0, 2, "a\n  very-long-word\n  b"),
            ("größe 漢字 größe", Some(10), 0, 0, "größe 漢字\ngröße"),
            ("", Some(9), 4, 2, ""),
            ("a\nb\u{1b}[2J", Some(80), 0, 0, "a b\\u{1b}[2J"),
        ];
        for (text, width, before, indent, expected) in cases {
            assert_eq!(wrapped(text, width, before, indent), expected, "{text:?}");
        }
    }

    /// (written by Flux, downgrade) of each change, how many lines agree with Flux, written, the summary
    #[test]
    fn summaries_say_what_is_written() {
        // A downgrade of Flux's lines: what stands there is newer.
        let (ours, flux, down, differs) = ((false, false), (true, false), (false, true), (true, true));
        #[rustfmt::skip]
        let cases: [(&[(bool, bool)], usize, bool, &str); 6] = [
            (&[], 0, false, "0 lines would change, 0 lines skipped"),
            (&[ours], 0, false, "1 line would change, 0 lines skipped"),
            (&[ours, ours], 0, true, "2 lines changed, 0 lines skipped"),
            (&[ours, flux, ours, down], 0, true, "2 lines changed, 1 left to Flux, 1 downgrade only shown, 0 lines skipped"),
            (&[flux, differs, down, down], 1, false, "0 lines would change, 2 left to Flux (1 differs), 1 agrees with Flux, 2 downgrades only shown, 0 lines skipped"),
            (&[differs, differs], 3, false, "0 lines would change, 2 left to Flux (2 differ), 3 agree with Flux, 0 lines skipped"),
        ];
        for (changes, agree, written, expected) in cases {
            let stands = |down| if down { Stands::Differs(String::new()) } else { Stands::Waits { since: None } };
            let changes: Vec<Change> =
                changes.iter().map(|(flux, down)| change(flux.then(|| ("Flux", stands(*down))), *down)).collect();
            assert_eq!(summary(&Shown { changes: &changes, agree, written, ..Shown::default() }), expected);
        }
    }
}
