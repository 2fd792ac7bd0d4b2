//! Tag filters for containers that an object does not have: they have no effect, and the real ones take every tag.

use super::{Rules, build::Built, target::Patched};
use crate::engine::{
    config::nearest,
    dialect::kustomize::Inclusions,
    manifest::{Data, Kustomization, Position},
    snapshot::Snapshot,
};
use std::{
    cell::OnceCell,
    collections::{BTreeSet, HashSet},
};

/// How Flux v1 names the policy of a container.
const CONTAINER: &str = "tag.";
/// How many containers a sentence names.
const NAMED: usize = 5;
/// With more containers, or more such filters, the object was generated: no slip of the pen is looked for.
const COMPARED: usize = 16;

/// What the patches of a repository name: a container that one of them brings is there once it is built.
pub(super) struct Patches<'a> {
    snapshot: &'a Snapshot,
    included: &'a Inclusions<'a>,
    files: &'a BTreeSet<String>,
    names: OnceCell<HashSet<&'a str>>,
}

impl<'a> Patches<'a> {
    /// `files`: those that patch something.
    pub fn new(snapshot: &'a Snapshot, included: &'a Inclusions<'a>, files: &'a BTreeSet<String>) -> Self {
        Patches { snapshot, included, files, names: OnceCell::new() }
    }

    fn name(&self, container: &str) -> bool {
        self.names.get_or_init(|| self.all_names()).contains(container)
    }

    fn all_names(&self) -> HashSet<&'a str> {
        let mut names = HashSet::new();
        let scans = self.files.iter().filter_map(|file| self.snapshot.scans.get(file));
        for document in scans.flat_map(|scan| &scan.documents) {
            names.extend(document.containers.iter().map(|container| container.name.as_str()));
            document.data().into_iter().for_each(|data| words(data, &mut names));
        }
        let inline = self.included.patching().flat_map(Kustomization::inline_patches);
        inline.for_each(|data| words(data, &mut names));
        names
    }
}

/// Every key and text: a container is called by one of them.
fn words<'a>(data: &'a Data, found: &mut HashSet<&'a str>) {
    found.extend(data.as_str());
    data.items().iter().for_each(|item| words(item, found));
    for (key, value) in data.entries() {
        found.insert(key);
        words(value, found);
    }
}

/// The filters of an object that are for none of its containers: file, place and a sentence.
pub(super) fn of_no_container(
    built: &Built<'_>,
    patched: Option<&Patched<'_>>,
    rules: &Rules,
    patches: &Patches<'_>,
) -> Vec<(String, Position, String)> {
    let filters = rules.policies.iter().filter_map(|(name, given)| Some((name.strip_prefix(CONTAINER)?, given)));
    let own = || built.document.containers.iter().map(|container| container.name.as_str());
    let of_patch = patched.into_iter().flat_map(|patched| &patched.document.containers);
    let known: HashSet<&str> = own().chain(of_patch.map(|container| container.name.as_str())).collect();
    let is_unknown = |name: &str| !name.is_empty() && !known.contains(name) && !patches.name(name);
    let unknown: Vec<_> = filters.filter(|(name, _)| is_unknown(name)).collect();
    // What a build makes of the object is not known then.
    if unknown.is_empty() || built.unclear.is_some() {
        return Vec::new();
    }
    let (all, free): (BTreeSet<&str>, BTreeSet<&str>) =
        (own().collect(), own().filter(|name| rules.pattern(name).1.is_none()).collect());
    let there = match all.len() {
        1 => format!("there is {}", named(&all)),
        _ => format!("there are {}", named(&all)),
    };
    let effect = match free.len() {
        0 => String::new(),
        _ if !rules.has("automated") => String::new(),
        1 => format!(", and {} takes every tag", named(&free)),
        _ => format!(", and {} take every tag", named(&free)),
    };
    let told = all.len() <= COMPARED && unknown.len() <= COMPARED;
    let sentence = |name: &str| {
        // `filter.fluxcd.io/tag.app`
        let bare = name.strip_prefix(CONTAINER).filter(|bare| all.contains(bare));
        let near = || nearest(name, free.iter().copied());
        let near = bare.or_else(|| if told { near() } else { None });
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        format!("no container `{name}` here; {there}: the filter has no effect{effect}{hint}")
    };
    unknown.into_iter().map(|(name, (_, file, position))| (file.clone(), *position, sentence(name))).collect()
}

/// `a`, `b` and 3 more
fn named(names: &BTreeSet<&str>) -> String {
    let first: Vec<String> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
