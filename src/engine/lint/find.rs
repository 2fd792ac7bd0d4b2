//! The findings of a repository, from what its files hold and what they mean together.

use super::Finding;
use crate::engine::{
    dialect::{Binding, Bindings, PolicyState, Unresolved},
    manifest::{ImageLine, Position, Scan},
    plan::Snapshot,
};

/// What is wrong with manifests, markers and policies: sorted by place, each once.
pub fn findings(snapshot: &Snapshot, bindings: &Bindings) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, scan) in &snapshot.scans {
        found.extend(scan.findings.iter().map(|of| finding(&of.code, file, of.position, &of.message)));
    }
    found.extend(bindings.problems.iter().map(|of| finding(of.code, &of.file, of.position, &of.message)));
    for binding in &bindings.lines {
        let line = snapshot.scans.get(&binding.file).and_then(|scan| Some((scan, scan.lines.get(binding.line)?)));
        if let Some((scan, line)) = line {
            found.extend(of_binding(bindings, binding, scan, line));
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
fn of_binding(bindings: &Bindings, binding: &Binding, scan: &Scan, line: &ImageLine) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut push =
        |code: &str, message: &str| found.push(finding(code, &binding.file, line.position, message.to_owned()));
    if scan.sops {
        push("sops", "the file is encrypted with SOPS and never edited: its markers have no effect");
    }
    match &binding.policy {
        Err(Unresolved::Missing(why)) => push("policy-unresolved", why),
        Err(Unresolved::Ambiguous(why)) => push("policy-ambiguous", why),
        Ok(policy) => {
            if let PolicyState::Suspended(why) = &policy.state {
                push("policy-suspended", why);
            }
        }
    }
    if !bindings.automations.is_empty() && bindings.automations_over(&binding.file).next().is_none() {
        push("outside-update-path", "no ImageUpdateAutomation's spec.update.path covers this file");
    }
    found
}
