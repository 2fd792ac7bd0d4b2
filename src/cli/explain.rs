//! `butler explain`: one decision, step by step.

use super::{
    Failure,
    output::{self, BOLD, DIM, Format, printable},
    plan::{branch_of, note_unread_config, read_config, settle, updated},
    registries,
    tags::TagsArgs,
    worktree::Worktree,
};
use crate::cli::output::say;
use crate::engine::{
    config::UnparsedFiles,
    dialect::{Bindings, bind},
    manifest::FileKind,
    memory::Memory,
    plan::{
        ExplainInputs, ExplainStep, Explanation, Facts, NotHere, Planned, Scope, Scopes, UpdateInputs, explain,
        subjects,
    },
    snapshot::EntryKind,
    wording::rows,
};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

const FILES: &str = "Files are named from PATH, which may stand in front of FILE, as plan and lint print it.";

/// Where the text of a row begins.
const INDENT: usize = 12;

#[derive(clap::Args)]
#[command(allow_missing_positional = true, after_help = format!("{FILES}\n\n{}", registries::ASKED))]
pub struct ExplainArgs {
    /// The folder or file to look at
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// A policy (NAMESPACE:NAME), an image, a line with an image (FILE:LINE), or a file
    #[arg(value_name = "POLICY|IMAGE|FILE:LINE")]
    subject: String,
    #[command(flatten)]
    tags: TagsArgs,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Serialize)]
struct Document<'a> {
    explanations: &'a [Explanation],
}

pub fn run(args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let given = args.tags.given()?;
    let tree = Worktree::read(&args.path)?;
    let config = read_config(&tree)?;
    note_unread_config(&tree);
    let bindings = bind(&tree.snapshot, &config);
    // What grep prints in front of a line ends in a colon.
    let subject = below_path(&tree, &bindings, args.subject.trim_end_matches(':'));
    let memory = Memory::new();
    let scopes = Scopes::of(&config);
    let environments: Vec<(Scope<'_>, Vec<Scope<'_>>, &str)> = updated(&config)
        .filter_map(|environment| {
            let branch = branch_of(environment);
            let others = scopes.others(&environment.name, |other| branch_of(other) == branch);
            Some((scopes.get(&environment.name)?, others, branch))
        })
        .collect();
    let (explanations, _) = settle(&config, &bindings, given.as_ref(), |facts: &Facts, now| {
        let updates: Vec<UpdateInputs<'_>> = environments
            .iter()
            .map(|(environment, others, branch)| UpdateInputs {
                environment: *environment,
                others,
                branch,
                snapshot: &tree.snapshot,
                bindings: &bindings,
                memory: &memory,
                facts,
                now,
                downgrade: config.updates.downgrade,
                edit_unparsed: config.dialects.unparsed_files == UnparsedFiles::Edit,
                take_over: config.dialects.flux.take_over,
                with_history: false,
            })
            .collect();
        let inputs = ExplainInputs {
            snapshot: &tree.snapshot,
            bindings: &bindings,
            facts,
            config: &config,
            environments: &updates,
        };
        all(&inputs, &subject)
    })?;
    let explanations = explanations.map_err(|unknown| {
        Failure::Usage(match known_as(&tree, &subject) {
            Some(what) => format!("{what}{}", unknown.hint()),
            None => unknown.to_string(),
        })
    })?;
    match args.output {
        Format::Json => output::json(&Document { explanations: &explanations }),
        Format::Text => explanations.iter().for_each(text),
    }
    let blocked = explanations.iter().flat_map(|explanation| &explanation.steps).filter_map(|step| match step {
        ExplainStep::Blocked { why, .. } => Some(why.as_str()),
        _ => None,
    });
    output::note_partial(&tree, false, blocked);
    Ok(ExitCode::SUCCESS)
}

/// The subject as it is called below PATH: completion writes PATH in front of a file's name.
fn below_path(tree: &Worktree, bindings: &Bindings, subject: &str) -> String {
    let (file, place) = file_and_place(subject);
    if tree.snapshot.entries.contains_key(file) {
        return subject.to_owned();
    }
    // As Windows writes it, and what it shows is pasted.
    let slashes = file.replace('\\', "/");
    if slashes != file && FileKind::of(&slashes).is_some() {
        return below_path(tree, bindings, &format!("{slashes}{place}"));
    }
    // A patch file may be yet to come.
    let is_there = |file: &String| {
        tree.snapshot.entries.contains_key(file)
            || bindings.additions.iter().any(|addition| addition.field.file == *file)
    };
    let below = tree.without_path(file).filter(is_there);
    below.map_or_else(|| subject.to_owned(), |file| format!("{file}{place}"))
}

/// What a subject is that names a file or a folder and nothing to explain.
fn known_as(tree: &Worktree, subject: &str) -> Option<String> {
    let (file, place) = file_and_place(subject);
    let file = file.strip_prefix("./").unwrap_or(file);
    let Some(entry) = tree.snapshot.entries.get(file) else {
        let folder = Path::new(file).is_dir() && place.is_empty();
        return match FileKind::of(file) {
            _ if folder => Some(format!("{file} is a folder: expected a policy, an image or FILE:LINE behind it")),
            Some(_) => Some(format!("there is no file {file} {}", tree.place())),
            None => None,
        };
    };
    Some(match entry.kind {
        EntryKind::Symlink => format!("{file} is a symbolic link: expected the file that it leads to"),
        EntryKind::Misnamed => format!("{file} is no path in UTF-8: rename the file, for it is not read"),
        EntryKind::Submodule => format!("{file} is a submodule, which is not read"),
        EntryKind::File => {
            let Some(scan) = tree.snapshot.scans.get(file) else {
                return Some(format!("{file} holds no image and nothing of a policy"));
            };
            let line = place.split(':').nth(1).and_then(|line| line.parse::<usize>().ok());
            let text = tree.bytes(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
            let here = line.and_then(|line| text.lines().nth(line.checked_sub(1)?));
            match (line, here) {
                (None, _) => format!("{file} has no line with an image"),
                (Some(line), None) => {
                    format!("there is no line {line} in {file}, which has {}", text.lines().count())
                }
                (Some(line), Some(here)) if here.trim_start().starts_with('#') => {
                    format!("{file}:{line} is a comment, which has no effect")
                }
                (Some(line), Some(here)) if here.trim().is_empty() => format!("{file}:{line} is empty"),
                // What stands there may be a secret.
                (Some(line), Some(_)) => match scan.unparsed_at(line) {
                    Some(fault) => {
                        let (at, why) = (fault.position, &fault.message);
                        format!("{file}:{line} is not updated: its document is no YAML at {file}:{at}: {why}")
                    }
                    None => format!("{file}:{line} holds no image"),
                },
            }
        }
    })
}

/// `a/b.yaml:12:7` -> (`a/b.yaml`, `:12:7`)
fn file_and_place(subject: &str) -> (&str, &str) {
    let file = subject.trim_end_matches(|c: char| c == ':' || c.is_ascii_digit());
    let end = subject.get(file.len()..).and_then(|rest| rest.find(':')).map_or(subject.len(), |at| file.len() + at);
    subject.split_at(end)
}

/// Everything that the text names, explained.
fn all(inputs: &ExplainInputs<'_>, name: &str) -> Planned<Result<Vec<Explanation>, NotHere>> {
    let subjects = match subjects(inputs, name) {
        Ok(subjects) => subjects,
        Err(unknown) => return Planned::Ready(Err(unknown)),
    };
    let (mut explanations, mut needs) = (Vec::new(), BTreeSet::new());
    for subject in &subjects {
        match explain(inputs, subject) {
            Planned::Ready(explanation) => explanations.push(explanation),
            Planned::Needs(more) => needs.extend(more),
        }
    }
    if needs.is_empty() { Planned::Ready(Ok(explanations)) } else { Planned::Needs(needs) }
}

fn text(explanation: &Explanation) {
    say!("{BOLD}{}{BOLD:#}", printable(&explanation.subject));
    for row in rows(explanation) {
        let text = output::wrapped(&row.text, *output::STDOUT, INDENT, INDENT);
        say!("  {DIM}{:<10}{DIM:#}{text}", row.label);
    }
}
