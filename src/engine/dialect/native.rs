//! Policies of butler.yaml (`images`): every line for that image in the environments' paths, without markers.

use super::{Addition, Binding, Bindings, DigestReflection, Policy, PolicyKey, PolicyState, Problem};
use crate::engine::{
    config::{Config, Environment, ImagePolicy, NativeOrder, Order as End},
    image::{Reference, Repository},
    manifest::{ImageLine, Part},
    plan::Snapshot,
    policy::{Direction, Order, TagPolicy},
};
use std::{collections::BTreeSet, sync::Arc};

/// The namespace of these policies' keys, and the file that problems are told of.
const FILE: &str = "butler.yaml";

pub(super) fn bind(snapshot: &Snapshot, config: &Config, bindings: &mut Bindings) {
    if config.images.is_empty() {
        return;
    }
    let natives: Vec<Native<'_>> =
        config.images.iter().filter_map(|image| Native::new(image, config, bindings)).collect();
    for native in &natives {
        bindings.policies.push(native.tags.clone());
    }
    patches(snapshot, &natives, bindings);
    for (file, scan) in &snapshot.scans {
        let here: Vec<&Native<'_>> = natives.iter().filter(|native| native.reaches(file)).collect();
        if here.is_empty() {
            continue;
        }
        for (index, line) in scan.lines.iter().enumerate() {
            let Some(image) = image_of(line) else { continue };
            for native in here.iter().filter(|native| native.repository == image.repository) {
                let policy = if image.digest.is_some() { &native.digests } else { &native.tags };
                bindings.lines.push(native.binding(file, index, line.part, policy));
            }
        }
    }
}

/// Tags that Flux v1 writes into a patch file: which image they are of, only the object tells that is patched.
fn patches(snapshot: &Snapshot, natives: &[Native<'_>], bindings: &mut Bindings) {
    let meant = |file: &str, policy: &Policy| {
        let image = Repository::parse(&policy.image).ok();
        let follows = |native: &&Native<'_>| image.as_ref() == Some(&native.repository) && native.reaches(file);
        natives.iter().filter(follows).collect::<Vec<_>>()
    };
    let mut lines = Vec::new();
    for Binding { file, line: index, policy, .. } in &bindings.lines {
        let Some(line) = snapshot.scans.get(file).and_then(|scan| scan.lines.get(*index)) else { continue };
        if let (None, Part::Tag, None, Ok(policy)) = (&line.image, line.part, &line.marker, policy) {
            let natives = meant(file, policy);
            lines.extend(natives.into_iter().map(|native| native.binding(file, *index, line.part, &native.tags)));
        }
    }
    bindings.lines.extend(lines);
    let mut additions = Vec::new();
    for Addition { field, policy, .. } in &bindings.additions {
        additions.extend(meant(&field.file, policy).into_iter().map(|native| Addition {
            field: field.clone(),
            policy: native.tags.clone(),
            environments: native.names.clone(),
        }));
    }
    bindings.additions.extend(additions);
}

struct Native<'c> {
    repository: Repository,
    environments: Vec<&'c Environment>,
    /// As the file has them: empty for all.
    names: Vec<String>,
    tags: Arc<Policy>,
    /// For lines that pin a digest: it goes with the tag.
    digests: Arc<Policy>,
}

impl<'c> Native<'c> {
    fn new(image: &ImagePolicy, config: &'c Config, bindings: &mut Bindings) -> Option<Self> {
        let names: Vec<String> = image.environments.iter().map(|name| name.value.clone()).collect();
        let environments =
            config.environments.iter().filter(|environment| names.is_empty() || names.contains(&environment.name));
        let environments = environments.filter(|environment| environment.repository.is_none());
        let repository = match Repository::parse(&image.image.value) {
            Ok(repository) => repository,
            Err(error) => {
                bindings.problems.push(Problem {
                    code: "policy-invalid",
                    file: FILE.to_owned(),
                    position: image.image.position,
                    message: error.to_string(),
                });
                return None;
            }
        };
        let state = match compile(image) {
            Ok(policy) => PolicyState::Usable { repository: repository.clone(), policy: Arc::new(policy) },
            Err(why) => {
                bindings.problems.push(Problem {
                    code: "policy-invalid",
                    file: FILE.to_owned(),
                    position: image.image.position,
                    message: format!("{}: {why}", image.image.value),
                });
                PolicyState::Invalid(why)
            }
        };
        let tags = Policy {
            key: PolicyKey { namespace: FILE.to_owned(), name: image.image.value.clone() },
            file: FILE.to_owned(),
            position: image.image.position,
            image: image.image.value.clone(),
            state,
            digest: DigestReflection::Never,
            roots: BTreeSet::new(),
        };
        let digests = Policy { digest: DigestReflection::Always, ..tags.clone() };
        let (tags, digests) = (Arc::new(tags), Arc::new(digests));
        Some(Native { repository, environments: environments.collect(), names, tags, digests })
    }

    fn binding(&self, file: &Arc<str>, line: usize, part: Part, policy: &Arc<Policy>) -> Binding {
        Binding {
            file: file.clone(),
            line,
            part,
            policy: Ok(policy.clone()),
            automations: None,
            environments: self.names.clone(),
        }
    }

    fn reaches(&self, file: &str) -> bool {
        self.environments.iter().any(|environment| environment.contains(file))
    }
}

fn compile(image: &ImagePolicy) -> Result<TagPolicy, String> {
    let native = &image.policy;
    let direction = |end: &End| match end {
        End::Ascending => Direction::Ascending,
        End::Descending => Direction::Descending,
    };
    let order = match &native.order {
        NativeOrder::Semver(range) => Order::Semver { range: range.value.clone(), three_part: true },
        NativeOrder::Numerical(order) => Order::Numerical(direction(order)),
        NativeOrder::Alphabetical(order) => Order::Alphabetical(direction(order)),
        NativeOrder::Newest => Order::Newest,
    };
    let extract = native.extract.as_ref().map_or("", |extract| &extract.value);
    let filter = native.filter.as_ref().map(|filter| (filter.value.as_str(), extract));
    let exclude = native.exclude.iter().map(|pattern| pattern.value.clone()).collect();
    let policy = TagPolicy::new(order, filter, Some(exclude)).map_err(|error| error.to_string())?;
    Ok(policy.without_attached())
}

/// The image that a line is about, where the line holds a version of it. A name alone is not touched: its tag stands
/// elsewhere, in a kustomization or a chart.
fn image_of(line: &ImageLine) -> Option<Reference> {
    let image = Reference::parse(line.image.as_deref().unwrap_or(&line.value)).ok()?;
    match line.part {
        Part::Tag | Part::Digest => line.image.is_some().then_some(image),
        Part::Reference => (image.tag.is_some() || image.digest.is_some()).then_some(image),
        Part::Name => None,
    }
}
