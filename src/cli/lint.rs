//! `butler lint`: what keeps lines from being updated, and what would surprise.

use super::{
    Failure,
    output::{self, BOLD, DIM, Format},
    plan::read_config,
    worktree::Worktree,
};
use crate::engine::{
    config,
    dialect::{Bindings, PolicyState, Unresolved, bind},
    manifest::Position,
};
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode};

#[derive(clap::Args)]
pub struct LintArgs {
    /// The folder or file to look at
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Something that a person should look at.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    line: usize,
    column: usize,
    /// Stable, kebab-case.
    code: String,
    message: String,
}

#[derive(Serialize)]
struct Document {
    findings: Vec<Finding>,
}

pub fn run(args: &LintArgs) -> Result<ExitCode, Failure> {
    let tree = Worktree::read(&args.path)?;
    let mut findings = config_findings(&tree)?;
    let config = read_config(&tree).unwrap_or_else(|_| config::Config::whole_repository());
    findings.extend(repository_findings(&tree, &bind(&tree.snapshot, &config)));
    findings.sort();
    findings.dedup();
    let code = if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) };
    match args.output {
        Format::Json => output::json(&Document { findings }),
        Format::Text => {
            for finding in &findings {
                anstream::println!(
                    "{BOLD}{}:{}:{}{BOLD:#} {}",
                    finding.file,
                    finding.line,
                    finding.column,
                    finding.code
                );
                anstream::println!("  {DIM}{}{DIM:#}", finding.message);
            }
            let plural = if findings.len() == 1 { "" } else { "s" };
            anstream::println!("{} finding{plural}", findings.len());
        }
    }
    Ok(code)
}

fn finding(code: &str, file: &str, position: Position, message: impl Into<String>) -> Finding {
    Finding {
        code: code.into(),
        file: file.into(),
        line: position.line,
        column: position.column,
        message: message.into(),
    }
}

/// What is wrong with butler.yaml.
fn config_findings(tree: &Worktree) -> Result<Vec<Finding>, Failure> {
    let file = match config::locate(|file| tree.snapshot.entries.contains_key(file)) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(Vec::new()),
        Err(error) => return Ok(vec![finding("config-invalid", &error.file, error.position, error.message)]),
    };
    let Ok(text) = String::from_utf8(tree.bytes(file)?) else {
        return Ok(vec![finding("config-invalid", file, Position { line: 1, column: 1 }, "expected UTF-8 text")]);
    };
    Ok(match config::parse(file, &text) {
        Ok(config) => config
            .not_yet()
            .iter()
            .map(|warning| finding("config-not-available", file, warning.position, warning.to_string()))
            .collect(),
        Err(errors) => errors
            .into_iter()
            .map(|error| finding("config-invalid", &error.file, error.position, error.message))
            .collect(),
    })
}

/// What is wrong with manifests, markers and policies.
fn repository_findings(tree: &Worktree, bindings: &Bindings) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, scan) in &tree.snapshot.scans {
        findings.extend(scan.findings.iter().map(|found| finding(&found.code, file, found.position, &found.message)));
    }
    for problem in &bindings.problems {
        findings.push(finding(problem.code, &problem.file, problem.position, &problem.message));
    }
    for binding in &bindings.lines {
        let Some((scan, line)) =
            tree.snapshot.scans.get(&binding.file).and_then(|scan| Some((scan, scan.lines.get(binding.line)?)))
        else {
            continue;
        };
        let mut push =
            |code: &str, message: String| findings.push(finding(code, &binding.file, line.position, message));
        if scan.sops {
            push("sops", "the file is encrypted with SOPS and never edited: its markers have no effect".into());
        }
        match &binding.policy {
            Err(Unresolved::Missing(why)) => push("policy-unresolved", why.clone()),
            Err(Unresolved::Ambiguous(why)) => push("policy-ambiguous", why.clone()),
            Ok(policy) => {
                if let PolicyState::Suspended(why) = &policy.state {
                    push("policy-suspended", why.clone());
                }
            }
        }
        if !bindings.automations.is_empty() && bindings.automations_over(&binding.file).next().is_none() {
            push("outside-update-path", "no ImageUpdateAutomation's spec.update.path covers this file".into());
        }
    }
    findings
}
