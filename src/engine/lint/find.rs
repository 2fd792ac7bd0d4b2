//! The findings of a repository, from what its files hold and what they mean together.

use super::Finding;
use crate::engine::{
    config::Config,
    dialect::{Binding, Bindings, PolicyState, Unresolved},
    manifest::{ImageLine, Position, Scan},
    plan::is_updated,
    snapshot::Snapshot,
};

/// What is wrong with manifests, markers and policies: sorted by place, each once.
pub fn findings(snapshot: &Snapshot, bindings: &Bindings, config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, scan) in snapshot.scans.noted() {
        found.extend(scan.findings.iter().map(|of| finding(&of.code, file, of.position, &of.message)));
    }
    let here = |file: &str| {
        let mut environments = config.environments.iter().filter(|environment| environment.repository.is_none());
        environments.any(|environment| environment.contains(file))
    };
    let unread = snapshot.unread().filter(|skip| here(&skip.file));
    found.extend(unread.map(|skip| finding(&skip.code, &skip.file, skip.position, skip.reason)));
    found.extend(bindings.problems.iter().map(|of| finding(of.code, &of.file, of.position, &of.message)));
    for binding in bindings.lines.iter() {
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
        let policy = binding.key();
        push("sops", &format!("the file is encrypted with SOPS and never edited: this line does not follow {policy}"));
    }
    match binding.policy() {
        Err(Unresolved { code, why, .. }) => push(code, why),
        Ok(policy) => {
            if let PolicyState::Suspended(why) = &policy.state {
                push("policy-suspended", why);
            }
        }
    }
    // Where nothing is updated, Flux's bounds keep nothing from it.
    let updated = config.environments.iter().filter(|environment| is_updated(environment));
    for environment in
        updated.filter(|environment| binding.automations.is_some() && environment.contains(&binding.file))
    {
        let branch = environment.branch.as_deref().unwrap_or_default();
        if let Some(why) = bindings.outside_update_paths(branch, &binding.file) {
            push("outside-update-path", &why);
        }
    }
    found
}
