//! `butler explain`: one decision, step by step.

use super::{
    Failure,
    output::{self, BOLD, DIM, Format, printable},
    plan::{branch_of, read_config, settle, updated},
    registries,
    tags::TagsArgs,
    worktree::Worktree,
};
use crate::engine::{
    config::UnparsedFiles,
    dialect::bind,
    manifest::FileKind,
    memory::Memory,
    plan::{
        ExplainInputs, ExplainStep, Explanation, Facts, NotHere, Planned, Scope, Scopes, UpdateInputs, explain,
        subjects,
    },
    wording::rows,
};
use serde::Serialize;
use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

/// Columns of a line, and where the text of a row begins.
const WIDTH: usize = 80;
const INDENT: usize = 12;

#[derive(clap::Args)]
#[command(allow_missing_positional = true, after_help = registries::ASKED)]
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
    let bindings = bind(&tree.snapshot, &config);
    let subject = below_path(&tree, &args.subject);
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
        let inputs = ExplainInputs { snapshot: &tree.snapshot, bindings: &bindings, facts, environments: &updates };
        all(&inputs, &subject)
    })?;
    let explanations = explanations.map_err(|unknown| {
        Failure::Usage(match missing_file(&tree, &subject) {
            Some(file) => format!("there is no file {file} {}: {unknown}", tree.place()),
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
    output::note_partial(&tree, blocked);
    Ok(ExitCode::SUCCESS)
}

/// The subject as it is called below PATH: completion writes PATH in front of a file's name.
fn below_path(tree: &Worktree, subject: &str) -> String {
    let (file, place) = file_and_place(subject);
    if tree.snapshot.entries.contains_key(file) {
        return subject.to_owned();
    }
    tree.without_path(file).map_or_else(|| subject.to_owned(), |file| format!("{file}{place}"))
}

/// The file that a subject names by its extension, where there is none.
fn missing_file<'a>(tree: &Worktree, subject: &'a str) -> Option<&'a str> {
    let (file, _) = file_and_place(subject);
    let file = file.strip_prefix("./").unwrap_or(file);
    (FileKind::of(file).is_some() && !tree.snapshot.entries.contains_key(file)).then_some(file)
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
    anstream::println!("{BOLD}{}{BOLD:#}", printable(&explanation.subject));
    for row in rows(explanation) {
        let mut label = row.label;
        for line in wrap(&printable(&row.text), WIDTH - INDENT) {
            anstream::println!("  {DIM}{label:<10}{DIM:#}{line}");
            label = "";
        }
    }
}

/// Breaks a text at spaces; a word that is longer than a line stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if used + 1 + length <= width => {
                line.push(' ');
                line.push_str(word);
                used += 1 + length;
            }
            _ => {
                lines.push(word.to_owned());
                used = length;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn text_is_wrapped_at_spaces() {
        let cases: [(&str, &[&str]); 4] = [
            ("", &[""]),
            ("short", &["short"]),
            ("one two three", &["one two", "three"]),
            ("a verylongword b", &["a", "verylongword", "b"]),
        ];
        for (text, lines) in cases {
            assert_eq!(wrap(text, 9), lines, "{text:?}");
        }
    }
}
