//! The findings of a repository, from what its files hold and what they mean together.

use super::Finding;
use crate::engine::{
    config::Config,
    dialect::{Binding, Bindings, PolicyState, Unresolved},
    manifest::{ImageLine, Position, Scan},
    plan::Snapshot,
};

/// What is wrong with manifests, markers and policies: sorted by place, each once.
pub fn findings(snapshot: &Snapshot, bindings: &Bindings, config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, scan) in &snapshot.scans {
        found.extend(scan.findings.iter().map(|of| finding(&of.code, file, of.position, &of.message)));
    }
    let here = |file: &str| {
        let mut environments = config.environments.iter().filter(|environment| environment.repository.is_none());
        environments.any(|environment| environment.contains(file))
    };
    let links = snapshot.links().filter(|link| here(&link.file));
    found.extend(links.map(|link| finding(&link.code, &link.file, link.position, link.reason)));
    found.extend(bindings.problems.iter().map(|of| finding(of.code, &of.file, of.position, &of.message)));
    for binding in &bindings.lines {
        let line = snapshot.scans.get(&binding.file).and_then(|scan| Some((scan, scan.lines.get(binding.line)?)));
        if let Some((scan, line)) = line {
            found.extend(of_binding(bindings, config, binding, scan, line));
        }
    }
    found.sort();
    found.dedup();
    found
}

pub(super) fn finding(code: &str, file: &str, position: Position, message: impl Into<String>) -> Finding {
    Finding { file: file.into(), position, code: code.into(), message: message.into() }
}

/// What keeps one line from following its policy.
fn of_binding(bindings: &Bindings, config: &Config, binding: &Binding, scan: &Scan, line: &ImageLine) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut push =
        |code: &str, message: &str| found.push(finding(code, &binding.file, line.position, message.to_owned()));
    if scan.sops {
        push("sops", "the file is encrypted with SOPS and never edited: its markers have no effect");
    }
    match &binding.policy {
        Err(Unresolved { code, why, .. }) => push(code, why),
        Ok(policy) => {
            if let PolicyState::Suspended(why) = &policy.state {
                push("policy-suspended", why);
            }
        }
    }
    if binding.automations.is_some() && outside_update_paths(bindings, config, &binding.file) {
        push("outside-update-path", "no ImageUpdateAutomation's spec.update.path covers this file");
    }
    found
}

/// Whether a branch that the file is updated on has automations, none of which covers it. Where butler.yaml names no
/// branch, any automation may be of it.
fn outside_update_paths(bindings: &Bindings, config: &Config, file: &str) -> bool {
    let here =
        config.environments.iter().filter(|environment| environment.repository.is_none() && environment.contains(file));
    let mut branches: Vec<&str> = here.map(|environment| environment.branch.as_deref().unwrap_or_default()).collect();
    if branches.is_empty() {
        branches.push("");
    }
    branches.iter().any(|branch| {
        let mut of_branch = bindings.automations.iter().filter(|automation| automation.is_of_branch(branch)).peekable();
        of_branch.peek().is_some() && !of_branch.any(|automation| automation.covers(file))
    })
}
