//! `butler lint`: what keeps lines from being updated, and what would surprise.

use super::{
    Failure,
    output::{self, BOLD, DIM, GREEN, RED, YELLOW, printable},
    plan::{note_nothing_followed, read_config},
    worktree::Worktree,
};
use crate::cli::output::say;
use crate::engine::{
    config,
    dialect::bind,
    lint::{Finding, Lint, Severity, findings, fix},
    manifest::{FileKind, Position, markers_elsewhere},
    snapshot::EntryKind,
};
use anstyle::Style;
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, sync::Arc};

/// What a workflow goes by.
const EXIT: &str = "Exit code 1 where there are errors or warnings; notices alone leave it 0.\n\n\
                    Each file is named as it is found from the current folder, PATH in front, in every format; from PATH \
                    where that leads out of the current folder, and within sentences.";

#[derive(clap::Args)]
#[command(after_help = EXIT)]
pub struct LintArgs {
    /// The folder or file to look at
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// Mend what is safe to mend: markers that are plainly meant as such, values that lack their quotes
    #[arg(long)]
    fix: bool,
    /// How to print it; `github` makes annotations in a workflow
    #[arg(short, long, value_enum, default_value_t)]
    output: LintFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum LintFormat {
    #[default]
    Text,
    Json,
    Github,
}

#[derive(Serialize)]
struct Document<'a> {
    findings: Vec<Row<'a>>,
    /// What `--fix` changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixed: Vec<FixedRow>,
}

#[derive(Serialize)]
struct Row<'a> {
    file: String,
    line: usize,
    column: usize,
    code: &'a str,
    severity: Severity,
    message: &'a str,
    /// Its page in butler's documentation.
    page: String,
}

#[derive(Serialize)]
struct FixedRow {
    file: String,
    line: usize,
    column: usize,
    code: String,
    before: String,
    after: String,
}

pub fn run(args: &LintArgs) -> Result<ExitCode, Failure> {
    let mut tree = Worktree::read(&args.path)?;
    let mut fixed = Vec::new();
    if args.fix {
        fixed = mend(&tree)?;
        if !fixed.is_empty() {
            tree = Worktree::read(&args.path)?;
        }
    }
    let mut found = config_findings(&tree)?;
    found.extend(misnamed(&tree));
    found.extend(elsewhere(&tree));
    let config = read_config(&tree).unwrap_or_else(|_| config::Config::whole_repository());
    let bindings = bind(&tree.snapshot, &config);
    found.extend(findings(&tree.snapshot, &bindings, &config));
    found.sort();
    found.dedup();
    // A notice says what is as it should be: it makes no workflow fail.
    let code = match found.iter().all(|finding| severity(finding) == Severity::Notice) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(1),
    };
    let prefix = tree.prefix();
    for row in &mut fixed {
        row.file.insert_str(0, &prefix);
    }
    match args.output {
        LintFormat::Json => {
            output::json(&Document { findings: found.iter().map(|finding| row(&prefix, finding)).collect(), fixed });
        }
        LintFormat::Text => text(&prefix, &found, &fixed),
        LintFormat::Github => {
            for row in &fixed {
                say!("{}", fixed_annotation(row));
            }
            for finding in &found {
                say!("{}", annotation(&prefix, finding));
            }
        }
    }
    note_nothing_followed(&tree, &bindings);
    output::note_partial(&tree, false, found.iter().map(|finding| finding.message.as_str()));
    Ok(code)
}

/// A code that the table lacks is a bug, and no reason to hide the finding.
fn severity(finding: &Finding) -> Severity {
    Lint::of(&finding.code).map_or(Severity::Error, |lint| lint.severity)
}

fn row<'a>(prefix: &str, finding: &'a Finding) -> Row<'a> {
    Row {
        severity: severity(finding),
        page: Lint::of(&finding.code).map(Lint::page).unwrap_or_default(),
        file: format!("{prefix}{}", finding.file),
        line: finding.position.line,
        column: finding.position.column,
        code: &finding.code,
        message: &finding.message,
    }
}

fn text(prefix: &str, found: &[Finding], fixed: &[FixedRow]) {
    for row in fixed {
        say!("{BOLD}{}:{}:{}{BOLD:#} {} fixed", printable(&row.file), row.line, row.column, row.code);
        for line in row.before.lines() {
            say!("  {RED}- {}{RED:#}", printable(line));
        }
        for line in row.after.lines() {
            say!("  {GREEN}+ {}{GREEN:#}", printable(line));
        }
    }
    for finding in found {
        let (severity, style) = (severity(finding), style(severity(finding)));
        let place = format!("{}{}:{}", printable(prefix), printable(&finding.file), finding.position);
        say!("{BOLD}{place}{BOLD:#} {style}{severity}{style:#} {}", finding.code);
        let message = output::wrapped(&finding.message, *output::STDOUT, 2, 2);
        say!("  {DIM}{message}{DIM:#}");
    }
    if !fixed.is_empty() {
        say!("{} fixed", fixed.len());
    }
    say!("{}", summary(found));
}

/// `3 findings: 1 error, 2 notices`
fn summary(found: &[Finding]) -> String {
    let counted = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let of = |wanted: Severity| {
        let count = found.iter().filter(|finding| severity(finding) == wanted).count();
        (count > 0).then(|| counted(count, &wanted.to_string()))
    };
    let all = counted(found.len(), "finding");
    match [Severity::Error, Severity::Warning, Severity::Notice].into_iter().filter_map(of).collect::<Vec<_>>() {
        kinds if kinds.is_empty() => all,
        kinds => format!("{all}: {}", kinds.join(", ")),
    }
}

fn style(severity: Severity) -> Style {
    match severity {
        Severity::Error => RED,
        Severity::Warning => YELLOW,
        Severity::Notice => DIM,
    }
}

/// A finding as a workflow command, which GitHub shows on the line:
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>.
fn annotation(prefix: &str, finding: &Finding) -> String {
    let (level, file) = (severity(finding).to_string(), format!("{prefix}{}", finding.file));
    command(&level, &file, finding.position, &finding.code, &finding.message)
}

/// What `--fix` changed, likewise. It stands where the finding stood: a fix above it may have moved the line.
fn fixed_annotation(row: &FixedRow) -> String {
    let signed = |sign: char, text: &str| text.lines().map(|line| format!("{sign} {line}")).collect::<Vec<_>>();
    let message = [signed('-', &row.before), signed('+', &row.after)].concat().join("\n");
    let position = Position { line: row.line, column: row.column };
    command("notice", &row.file, position, &format!("{} fixed", row.code), &message)
}

/// A workflow runs at the root of its checkout, and annotations count from there.
fn command(level: &str, file: &str, at: Position, title: &str, message: &str) -> String {
    let Position { line, column } = at;
    format!("::{level} file={},line={line},col={column},title={}::{}", property(file), property(title), data(message))
}

/// What would end a command's text, escaped as GitHub's own toolkit does.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// As [`data`], and what would end a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Mends the files in place.
fn mend(tree: &Worktree) -> Result<Vec<FixedRow>, Failure> {
    let (mut rows, mut files) = (Vec::new(), BTreeMap::new());
    for (file, scan) in &tree.snapshot.scans {
        let plain = tree.snapshot.entries.get(file).is_some_and(|entry| entry.kind == EntryKind::File);
        if !plain || scan.findings.is_empty() {
            continue;
        }
        let before = tree.bytes(file)?;
        let fixed = fix(FileKind::of(file).unwrap_or(FileKind::Yaml), &before);
        rows.extend(fixed.fixes.into_iter().map(|fix| FixedRow {
            file: file.to_string(),
            line: fix.position.line,
            column: fix.position.column,
            code: fix.code,
            before: fix.before,
            after: fix.after,
        }));
        if fixed.bytes != before {
            files.insert(file.to_string(), (before, fixed.bytes));
        }
    }
    tree.write(&files)?;
    Ok(rows)
}

/// Markers in files that are no manifests by their names. Only here, where the files lie open: a server would have to ask
/// git for every blob of the tree.
fn elsewhere(tree: &Worktree) -> Vec<Finding> {
    let unread = tree.snapshot.entries.iter().filter(|(file, entry)| {
        entry.kind == EntryKind::File && FileKind::of(file).is_none() && !tree.snapshot.scans.contains_key(file)
    });
    let first = |(file, _): (&Arc<str>, _)| {
        let markers = markers_elsewhere(file, &tree.peek(file)?);
        let position = *markers.first()?;
        let others = match markers.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more in this file)"),
        };
        let message = format!(
            "found a marker in a file that is not read{others}: markers have an effect in *.yaml, *.yml and *.json alone, \
             for Flux in *.yaml and *.yml"
        );
        Some(Finding { file: file.to_string(), position, code: "marker-in-other-file".into(), message })
    };
    unread.filter_map(first).collect()
}

/// Files that were probably meant as a butler.yaml.
fn misnamed(tree: &Worktree) -> Vec<Finding> {
    let files = config::misnamed(|file| tree.snapshot.entries.contains_key(file));
    let finding = |of: config::ConfigError| Finding {
        file: of.file,
        position: of.position,
        code: "config-misnamed".into(),
        message: of.message,
    };
    files.into_iter().map(finding).collect()
}

/// What is wrong with butler.yaml.
fn config_findings(tree: &Worktree) -> Result<Vec<Finding>, Failure> {
    let finding = |code: &str, file: &str, position, message: String| Finding {
        file: file.into(),
        position,
        code: code.into(),
        message,
    };
    let file = match config::locate(|file| tree.snapshot.entries.contains_key(file)) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(Vec::new()),
        Err(error) => return Ok(vec![finding("config-invalid", &error.file, error.position, error.message)]),
    };
    let Ok(text) = String::from_utf8(tree.bytes(file)?) else {
        let start = Position { line: 1, column: 1 };
        return Ok(vec![finding("config-invalid", file, start, "expected UTF-8 text".into())]);
    };
    Ok(match config::parse(file, &text) {
        Ok(config) => config
            .not_yet()
            .iter()
            .map(|warning| finding("config-not-available", file, warning.position, warning.message()))
            .collect(),
        Err(errors) => errors
            .into_iter()
            .map(|error| finding("config-invalid", &error.file, error.position, error.message))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_escaped() {
        let finding = |file: &str, code: &str, message: &str| Finding {
            file: file.into(),
            position: Position { line: 3, column: 7 },
            code: code.into(),
            message: message.into(),
        };
        #[rustfmt::skip]
        let cases = [
            ("", finding("a/b.yaml", "no-match", "x"), "::warning file=a/b.yaml,line=3,col=7,title=no-match::x"),
            ("apps/", finding("b.yaml", "sops", "x"), "::notice file=apps/b.yaml,line=3,col=7,title=sops::x"),
            ("", finding("a,b:c%.yaml", "policy-invalid", "50%: a,\r\n::error::b"),
                "::error file=a%2Cb%3Ac%25.yaml,line=3,col=7,title=policy-invalid::50%25: a,%0D%0A::error::b"),
        ];
        for (prefix, finding, expected) in cases {
            assert_eq!(annotation(prefix, &finding), expected);
        }
        let row = FixedRow {
            file: "apps/b.yaml".into(),
            line: 2,
            column: 9,
            code: "marker-trailing-text".into(),
            before: "tag: v1 # {} 50%".into(),
            after: "# 50%\ntag: v1 # {}".into(),
        };
        assert_eq!(
            fixed_annotation(&row),
            "::notice file=apps/b.yaml,line=2,col=9,title=marker-trailing-text fixed::- tag: v1 # {} 50%25%0A+ # \
             50%25%0A+ tag: v1 # {}"
        );
    }
}
