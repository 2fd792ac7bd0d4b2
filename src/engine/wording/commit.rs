//! Commit messages: a standard subject, a list where there are several, and trailers for people and other tools.

use crate::engine::{
    dialect::{Automation, Bindings},
    escape::BREAK,
    image::Reference,
    manifest::Part,
    plan::{Change, PromotionPlan, UpdatePlan, plan_hash},
    snapshot::Snapshot,
    template::{Commit, CommitChange, Template},
};
use std::collections::{BTreeMap, BTreeSet};

/// How many changes a commit's body lists.
const LISTED: usize = 50;

/// The message of an update's commit.
pub fn update_commit(plan: &UpdatePlan, changes: &[Change]) -> String {
    let subject = update_subject(&plan.environment, changes);
    message(&subject, &list(changes), &trailers(changes, &[("Butler-Plan", plan_hash(changes))]))
}

/// One commit of an update: what one ImageUpdateAutomation would have committed, or what no automation speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateCommit {
    pub changes: Vec<Change>,
    pub message: String,
    /// Name and email, where the automation gives them.
    pub author: Option<(String, String)>,
}

/// The commits of an update: one for each automation, in its own words and name, and one for all else. A template that
/// cannot be rendered gives way to butler's own message; `butler lint` says so.
pub fn update_commits(
    plan: &UpdatePlan,
    snapshot: &Snapshot,
    bindings: &Bindings,
    changes: &[Change],
) -> Vec<UpdateCommit> {
    let mut groups: BTreeMap<Option<usize>, Vec<Change>> = BTreeMap::new();
    for change in changes {
        groups.entry(change.automation).or_default().push(change.clone());
    }
    let commit = |(number, changes): (Option<usize>, Vec<Change>)| {
        let automation = number.and_then(|number| bindings.automations.get(number));
        let rendered = automation.and_then(|automation| render(automation, snapshot, bindings, &changes));
        let message = match rendered {
            Some(text) => {
                format!("{text}\n\n{}", trailers(&changes, &[("Butler-Plan", plan_hash(&changes))]))
            }
            None => update_commit(plan, &changes),
        };
        UpdateCommit { message, author: automation.and_then(|automation| automation.commit.author.clone()), changes }
    };
    groups.into_iter().map(commit).collect()
}

/// The automation's message for these changes; `None` where it has no template, or one that does not work.
fn render(automation: &Automation, snapshot: &Snapshot, bindings: &Bindings, changes: &[Change]) -> Option<String> {
    let template = Template::parse(automation.commit.template.as_deref()?).ok()?;
    let commit = Commit {
        automation: (automation.namespace.clone(), automation.name.clone()),
        values: automation.commit.values.clone(),
        changes: changes.iter().map(|change| described(snapshot, bindings, change)).collect(),
    };
    let message = template.render(&commit).ok()?;
    let message: String = message.chars().filter(|c| *c == '\n' || *c == '\t' || !c.is_control()).collect();
    let message = message.trim();
    (!message.is_empty()).then(|| message.to_owned())
}

/// A change as Flux tells it to templates.
fn described(snapshot: &Snapshot, bindings: &Bindings, change: &Change) -> CommitChange {
    let found = snapshot.find(&change.line);
    let document = found.and_then(|(scan, line)| scan.documents.get(line.document));
    let part = found.and_then(|(_, line)| Some(line.marker.as_ref()?.part)).unwrap_or(Part::Reference);
    let suffix = match part {
        Part::Reference => "",
        Part::Name => ":name",
        Part::Tag => ":tag",
        Part::Digest => ":digest",
    };
    let policy = change.policy.as_deref().unwrap_or_default();
    let named = bindings.policies.iter().find(|known| known.key.to_string() == policy);
    let name = named.map(|policy| policy.image.clone()).filter(|image| !image.is_empty());
    let name = name.or_else(|| change.image.as_ref().map(ToString::to_string)).unwrap_or_default();
    let image = match part {
        Part::Reference => change.new.clone(),
        Part::Tag => format!("{name}:{}", change.new),
        Part::Digest => format!("{name}@{}", change.new),
        Part::Name => change.new.clone(),
    };
    let object = change.line.object.clone();
    CommitChange {
        file: change.line.file.clone(),
        api_version: document.map(|document| document.api_version.to_string()).unwrap_or_default(),
        kind: document.map(|document| document.kind.to_string()).unwrap_or_default(),
        namespace: object.as_ref().map(|object| object.namespace.to_string()).unwrap_or_default(),
        name: object.map(|object| object.name.to_string()).unwrap_or_default(),
        old: change.old.clone(),
        new: change.new.clone(),
        setter: format!("{policy}{suffix}"),
        image,
    }
}

/// The message of a promotion's commit.
pub fn promotion_commit(plan: &PromotionPlan, requested_by: Option<&str>) -> String {
    let mut own = vec![
        ("Butler-Promotion", plan.name.clone()),
        ("Butler-Source-Commit", plan.source.clone()),
        ("Butler-Base-Commit", plan.base.clone()),
        ("Butler-Plan", plan.hash.clone()),
    ];
    own.extend(requested_by.map(|by| ("Butler-Requested-By", by.to_owned())));
    message(&subject(&plan.to, &plan.changes), &list(&plan.changes), &trailers(&plan.changes, &own))
}

/// A promotion's subject and its pull request's title: `promote(<to>): <component> <old> -> <new>`, several = a count.
pub fn subject(to: &str, changes: &[Change]) -> String {
    one_line(&match distinct(changes, |change| format!("{} {}", change.component, versions(change))).as_slice() {
        [one] => format!("promote({to}): {one}"),
        several => format!("promote({to}): {} changes", several.len()),
    })
}

fn update_subject(environment: &str, changes: &[Change]) -> String {
    let one = |change: &Change| {
        let image = change.image.as_ref().map(ToString::to_string).unwrap_or_default();
        match &change.policy {
            Some(policy) => format!("{policy} {image} {}", versions(change)),
            None => format!("{image} {}", versions(change)),
        }
    };
    match distinct(changes, one).as_slice() {
        [one] => format!("update({environment}): {one}"),
        several => format!("update({environment}): {} images", several.len()),
    }
}

/// `1.2.3 -> 1.2.4`: tags where there are tags, else the values as they stand.
pub(super) fn versions(change: &Change) -> String {
    format!("{} -> {}", version(&change.old), version(&change.new))
}

/// The tag of a reference, a short digest, or the value itself.
pub(super) fn version(value: &str) -> String {
    let short =
        |digest: &str| digest.split_once(':').map_or(digest, |(_, hex)| hex).chars().take(12).collect::<String>();
    if value.starts_with("sha256:") {
        return short(value);
    }
    match Reference::parse(value) {
        Ok(Reference { tag: Some(tag), .. }) => tag,
        Ok(Reference { digest: Some(digest), .. }) => short(&digest),
        _ if value.is_empty() => "(none)".into(),
        _ => value.into(),
    }
}

fn distinct(changes: &[Change], text: impl Fn(&Change) -> String) -> Vec<String> {
    let mut seen = BTreeSet::new();
    changes.iter().map(text).filter(|text| seen.insert(text.clone())).collect()
}

fn list(changes: &[Change]) -> String {
    if changes.len() < 2 {
        return String::new();
    }
    let mut rows: Vec<String> = changes
        .iter()
        .take(LISTED)
        .map(|change| one_line(&format!("- {}:{} {}", change.line.file, change.position.line, versions(change))) + "\n")
        .collect();
    if changes.len() > LISTED {
        rows.push(format!("- and {} more\n", changes.len() - LISTED));
    }
    rows.concat()
}

fn trailers(changes: &[Change], own: &[(&str, String)]) -> String {
    let mut rows: Vec<String> = Vec::new();
    let mut push = |key: &str, value: &str| {
        let row = format!("{key}: {}\n", one_line(value));
        if !rows.contains(&row) && rows.len() < LISTED * 3 {
            rows.push(row);
        }
    };
    for change in changes {
        if let Some(policy) = &change.policy {
            push("Butler-Policy", policy);
        }
        if let Some(image) = &change.image {
            push("Butler-Image", &format!("{image}:{}", version(&change.new)));
        }
        if let Some(object) = &change.line.object {
            push("Butler-Object", &object.to_string());
        }
    }
    for (key, value) in own {
        push(key, value);
    }
    rows.concat()
}

/// A subject, a row and a trailer are one line each: what comes from outside (a file's name too) cannot add another. Nor
/// can it mention somebody, or close an issue: GitHub reads commit messages for both.
fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(if c.is_control() { ' ' } else { c });
        let reference = match c {
            '@' => chars.peek().is_some_and(|next| next.is_alphanumeric()),
            '#' => chars.peek().is_some_and(char::is_ascii_digit),
            '-' => {
                let word = out.rsplit(|c: char| !c.is_alphanumeric()).nth(1).unwrap_or_default();
                word.eq_ignore_ascii_case("GH") && chars.peek().is_some_and(char::is_ascii_digit)
            }
            _ => false,
        };
        if reference {
            out.push(BREAK);
        }
    }
    out
}

fn message(subject: &str, list: &str, trailers: &str) -> String {
    let subject = one_line(subject);
    match list.is_empty() {
        true => format!("{subject}\n\n{trailers}"),
        false => format!("{subject}\n\n{list}\n{trailers}"),
    }
}
