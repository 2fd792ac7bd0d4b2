//! The findings of a repository, from what its files hold and what they mean together.

use super::Finding;
use crate::engine::{
    config::{Config, Environment, PathPattern, nearest},
    dialect::{Binding, Bindings, PolicyState, Unresolved},
    manifest::{ImageLine, Position, Scan},
    plan::is_updated,
    snapshot::Snapshot,
};
use std::collections::BTreeSet;

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
    found.extend(missing_paths(snapshot, config));
    found.sort();
    found.dedup();
    found
}

/// Paths of environments at which nothing is. Those of other repositories are not looked at; nor those of a branch that
/// nothing tells to be the one that was read: butler.yaml names it for no environment whose files are here.
fn missing_paths(snapshot: &Snapshot, config: &Config) -> Vec<Finding> {
    // A single file was read.
    if snapshot.entries.keys().all(|file| **file == *config.file) {
        return Vec::new();
    }
    let is_there = |path: &PathPattern| snapshot.entries.keys().any(|file| path.contains(file));
    let local = || config.environments.iter().filter(|environment| environment.repository.is_none());
    let missing: Vec<(&Environment, &PathPattern)> = local()
        .flat_map(|environment| environment.paths.iter().map(move |path| (environment, path)))
        .filter(|(_, path)| !is_there(path))
        .collect();
    let is_missing = |environment: &Environment, path: &PathPattern| {
        missing.iter().any(|(other, of)| other.name == environment.name && *of == path)
    };
    let read = |branch: &Option<String>| {
        let there = |environment: &Environment| environment.paths.iter().any(|path| !is_missing(environment, path));
        branch.is_none() || local().any(|environment| environment.branch == *branch && there(environment))
    };
    let told = missing.iter().filter(|(environment, _)| read(&environment.branch));
    told.map(|(environment, path)| {
        let hint = nearest_path(snapshot, path).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        let message = format!("environment {:?}: nothing is at its path {path}{hint}", environment.name);
        finding("environment-path-missing", &config.file, environment.position, message)
    })
    .collect()
}

/// What a path probably means: the first folder of it that is not there, spelt otherwise.
fn nearest_path(snapshot: &Snapshot, path: &PathPattern) -> Option<String> {
    let wanted = path.folder();
    let ends = wanted.match_indices('/').map(|(at, _)| at).chain([wanted.len()]);
    let is_there = |folder: &str| {
        let below = format!("{folder}/");
        snapshot.entries.range(&below).next().is_some_and(|(file, _)| file.starts_with(&below))
    };
    let end = ends.into_iter().find(|end| wanted.get(..*end).is_some_and(|folder| !is_there(folder)))?;
    let (folder, rest) = wanted.split_at_checked(end)?;
    let (above, name) = folder.rsplit_once('/').map_or(("", folder), |(above, name)| (above, name));
    let start = if above.is_empty() { String::new() } else { format!("{above}/") };
    let files = snapshot.entries.range(&start).take_while(|(file, _)| file.starts_with(&start));
    let folders: BTreeSet<&str> =
        files.filter_map(|(file, _)| Some(file.get(start.len()..)?.split_once('/')?.0)).collect();
    let near = format!("{start}{}{rest}", nearest(name, folders)?);
    let glob = path.as_str().strip_prefix(wanted).unwrap_or_default();
    is_there(&near).then(|| format!("{near}{glob}"))
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
        // A policy that is not there is told so.
        let following = binding.automations.as_deref().filter(|_| binding.policy().is_ok());
        let unselected =
            following.and_then(|following| bindings.unselected(branch, &binding.file, binding.key(), following));
        if let Some(why) = unselected {
            push("not-selected", &why);
        }
    }
    found
}
