//! What somebody asks about: a line, a policy or an image, by the names that people have for them.

use super::{ExplainInputs, is_base_of};
use crate::engine::{
    config::nearest,
    dialect::{Binding, Bindings, Policy, PolicyKey, PolicyState},
    image::{Reference, Repository},
    manifest::{ImageLine, Scan},
    plan::promotion::image_of,
};
use std::{collections::BTreeSet, sync::Arc};

/// How many names an unknown subject is answered with.
const NAMED: usize = 5;

/// What somebody asks about, found in a repository.
#[derive(Clone, Debug)]
pub enum Subject {
    /// One line of a file; more than one image may stand on it.
    Line { file: String, line: usize },
    /// A policy, and the lines that follow it.
    Policy(Arc<Policy>),
    /// What markers call a policy, though none is defined.
    Undefined { namespace: String, name: String },
    /// Lines that run an image and follow no policy.
    Image(Repository),
}

/// The text names nothing that is here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no policy, image or line with an image here: expected NAMESPACE:NAME, IMAGE or FILE:LINE{}", self.hint())]
pub struct NotHere {
    pub text: String,
    /// What was probably meant; else some of what there is.
    pub nearest: Vec<String>,
}

/// Finds what a text names: `FILE:LINE` (or a file, for all of its image lines), `NAMESPACE:NAME`, a policy's name
/// alone, or an image with or without its tag, by the last part of its name too. A policy wins over an image of the same spelling.
///
/// # Errors
/// [`NotHere`], with what is near.
pub fn subjects(inputs: &ExplainInputs<'_>, text: &str) -> Result<Vec<Subject>, NotHere> {
    let found = lines_named(inputs, text)
        .or_else(|| some(policies_named(inputs.bindings, text)))
        .or_else(|| some(images_named(inputs, text)))
        .or_else(|| some(images_called(inputs, text)));
    found.ok_or_else(|| NotHere { text: text.to_owned(), nearest: nearest_names(inputs, text) })
}

fn some(found: Vec<Subject>) -> Option<Vec<Subject>> {
    (!found.is_empty()).then_some(found)
}

/// Lines that hold an image, or a finding that says why they are seen as none; and where a value is to be put in, which a
/// plan names by a line too. The file may be yet to come.
fn places(inputs: &ExplainInputs<'_>, file: &str) -> BTreeSet<usize> {
    let scan = inputs.snapshot.scans.get(file);
    let lines = scan.into_iter().flat_map(|scan| scan.lines.iter().map(|line| line.position.line));
    let findings = scan.into_iter().flat_map(|scan| scan.findings.iter().map(|finding| finding.position.line));
    let added = inputs.bindings.additions.iter().map(|addition| &addition.field).filter(|field| field.file == file);
    lines.chain(findings).chain(added.map(|field| field.position().line)).collect()
}

fn lines_named(inputs: &ExplainInputs<'_>, text: &str) -> Option<Vec<Subject>> {
    let text = text.strip_prefix("./").unwrap_or(text);
    let subject = |file: &str, line: usize| Subject::Line { file: file.to_owned(), line };
    let whole = places(inputs, text);
    if !whole.is_empty() || inputs.snapshot.scans.contains_key(text) {
        return some(whole.into_iter().map(|line| subject(text, line)).collect());
    }
    let (file, line) = file_and_line(text)?;
    places(inputs, file).contains(&line).then(|| vec![subject(file, line)])
}

/// `a/b.yaml:12`, `a/b.yaml:12:7`
fn file_and_line(text: &str) -> Option<(&str, usize)> {
    let (rest, last) = text.rsplit_once(':')?;
    let last: usize = last.parse().ok()?;
    match rest.rsplit_once(':') {
        Some((file, line)) if line.parse::<usize>().is_ok() => Some((file, line.parse().ok()?)),
        _ => Some((rest, last)),
    }
}

fn policies_named(bindings: &Bindings, text: &str) -> Vec<Subject> {
    let is = |key: &PolicyKey| key.to_string() == text || (key.name == text && !key.is_native());
    let mut found: Vec<Subject> =
        bindings.policies.iter().filter(|policy| is(&policy.key)).cloned().map(Subject::Policy).collect();
    let undefined: BTreeSet<_> =
        bindings.lines.iter().filter(|line| line.policy.is_err() && is(line.key())).map(Binding::key).collect();
    found.extend(
        undefined
            .into_iter()
            .map(|key| Subject::Undefined { namespace: key.namespace.clone(), name: key.name.clone() }),
    );
    found
}

fn images_named(inputs: &ExplainInputs<'_>, text: &str) -> Vec<Subject> {
    match Reference::parse(text) {
        Ok(reference) => of_image(inputs, reference.repository),
        Err(_) => Vec::new(),
    }
}

/// By the last part of an image's name, with or without a tag: `app` for `registry.example.com/team/app`.
fn images_called(inputs: &ExplainInputs<'_>, text: &str) -> Vec<Subject> {
    let name = text.split(':').next().unwrap_or(text);
    let policies = inputs.bindings.policies.iter().filter_map(|policy| repository_of(policy));
    let lines = inputs.snapshot.lines().filter_map(|(_, _, line)| image_of(line));
    let called = policies.chain(lines).filter(|image| image.path().rsplit('/').next() == Some(name));
    let images: BTreeSet<Repository> = called.collect();
    images.into_iter().flat_map(|image| of_image(inputs, image)).collect()
}

/// The policies of an image, and its lines without one.
fn of_image(inputs: &ExplainInputs<'_>, image: Repository) -> Vec<Subject> {
    let follows = |policy: &&Arc<Policy>| repository_of(policy).is_some_and(|repository| repository == image);
    let mut found: Vec<Subject> =
        inputs.bindings.policies.iter().filter(follows).cloned().map(Subject::Policy).collect();
    if free_lines(inputs, &image).next().is_some() {
        found.push(Subject::Image(image));
    }
    found
}

/// Lines that run the image and follow no policy.
pub(super) fn free_lines<'a>(
    inputs: &ExplainInputs<'a>,
    image: &'a Repository,
) -> impl Iterator<Item = (&'a str, &'a Scan, &'a ImageLine)> {
    let lines = &inputs.bindings.lines;
    let bases = lines.iter().filter_map(|binding| binding.base.as_ref()).map(|base| (&*base.file, base.line));
    let bound: BTreeSet<(&str, usize)> =
        lines.iter().map(|binding| (&*binding.file, binding.line)).chain(bases).collect();
    let added = |file: &str, line: &ImageLine| {
        inputs.bindings.additions.iter().any(|addition| is_base_of(addition, file, line))
    };
    // butler.yaml names images and runs none.
    let scans = inputs.snapshot.scans.iter().filter(|(file, _)| ***file != *inputs.config.file);
    scans.flat_map(move |(file, scan)| {
        let free: Vec<_> = scan
            .lines
            .iter()
            .enumerate()
            .filter(|(index, line)| !bound.contains(&(&**file, *index)) && image_of(line).as_ref() == Some(image))
            .filter(|(_, line)| !added(file, line))
            .map(|(_, line)| (&**file, scan.as_ref(), line))
            .collect();
        free
    })
}

fn repository_of(policy: &Policy) -> Option<Repository> {
    match &policy.state {
        PolicyState::Usable { repository, .. } => Some(repository.clone()),
        _ => Repository::parse(&policy.image).ok(),
    }
}

fn nearest_names(inputs: &ExplainInputs<'_>, text: &str) -> Vec<String> {
    let (file, asked) = file_and_line(text).unwrap_or((text, 0));
    let file = file.strip_prefix("./").unwrap_or(file);
    let mut lines: Vec<usize> = places(inputs, file).into_iter().collect();
    if !lines.is_empty() || inputs.snapshot.scans.contains_key(file) {
        lines.sort_by_key(|line| line.abs_diff(asked));
        lines.truncate(NAMED);
        lines.sort_unstable();
        return lines.into_iter().map(|line| format!("{file}:{line}")).collect();
    }
    if inputs.snapshot.entries.contains_key(file) {
        return Vec::new();
    }
    let mut names: BTreeSet<String> = inputs.bindings.policies.iter().map(|policy| policy.key.to_string()).collect();
    names.extend(inputs.bindings.policies.iter().filter_map(|policy| Some(repository_of(policy)?.to_string())));
    let files = inputs.snapshot.scans.iter().filter(|(_, scan)| !scan.lines.is_empty()).map(|(file, _)| &**file);
    let known = names.iter().map(String::as_str).chain(files);
    // The name alone may be what was mistyped: `flux-sytem:app`, `ap`.
    let by_name = inputs.bindings.policies.iter().find(|policy| {
        let name = text.rsplit(':').next().unwrap_or(text);
        policy.key.name == name || nearest(name, [policy.key.name.as_str()]).is_some()
    });
    match nearest(file, known).map(str::to_owned).or_else(|| by_name.map(|policy| policy.key.to_string())) {
        Some(near) => vec![near],
        None => names.into_iter().take(NAMED).collect(),
    }
}

impl NotHere {
    /// The nearest names, to be put behind a sentence.
    pub fn hint(&self) -> String {
        match self.nearest.as_slice() {
            [] => String::new(),
            [one] => format!("; did you mean {one}?"),
            several => format!("; there are {}", several.join(", ")),
        }
    }
}
