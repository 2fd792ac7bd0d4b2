//! Policies of butler.yaml (`images`): every line for that image in the environments' paths, without markers.

use super::{Addition, BaseLine, Binding, Bindings, DigestReflection, Policy, PolicyKey, PolicyState};
use crate::engine::{
    config::{Config, Environment, ImagePolicy},
    image::{Reference, Repository},
    manifest::{ImageLine, Part},
    snapshot::Snapshot,
};
use std::{collections::BTreeSet, sync::Arc};

/// The namespace of these policies' keys, wherever the file lies.
pub(super) const NAMESPACE: &str = "butler.yaml";

/// `lines`: what annotations bind, and where what is bound is put.
pub(super) fn bind(snapshot: &Snapshot, config: &Config, bindings: &mut Bindings, lines: &mut Vec<Binding>) {
    if config.images.is_empty() {
        return;
    }
    let natives: Vec<Native<'_>> = config.images.iter().map(|image| Native::new(image, config)).collect();
    for native in &natives {
        bindings.policies.push(native.tags.clone());
    }
    patches(snapshot, &natives, bindings, lines);
    for (file, scan) in &snapshot.scans {
        let here: Vec<&Native<'_>> = natives.iter().filter(|native| native.reaches(file)).collect();
        if here.is_empty() {
            continue;
        }
        for (index, line) in scan.lines.iter().enumerate() {
            let Some(image) = image_of(line) else { continue };
            for native in here.iter().filter(|native| *native.repository == image.repository) {
                let policy = if image.digest.is_some() { &native.digests } else { &native.tags };
                lines.push(native.binding(file, index, line.part, None, policy));
            }
        }
    }
}

/// Tags that Flux v1 writes into a patch file: which image they are of, only the object tells that is patched.
fn patches(snapshot: &Snapshot, natives: &[Native<'_>], bindings: &mut Bindings, lines: &mut Vec<Binding>) {
    let meant = |file: &str, policy: &Policy| {
        let image = Repository::parse(&policy.image).ok();
        let follows = |native: &&Native<'_>| image.as_ref() == Some(native.repository) && native.reaches(file);
        natives.iter().filter(follows).collect::<Vec<_>>()
    };
    let mut bound = Vec::new();
    for Binding { file, line: index, base, policy, .. } in &*lines {
        let Some(line) = snapshot.scans.get(file).and_then(|scan| scan.lines.get(*index)) else { continue };
        if let (None, Part::Tag, None, Ok(policy)) = (&line.image, line.part, &line.marker, policy) {
            let natives = meant(file, policy);
            let bind = |native: &Native<'_>| native.binding(file, *index, line.part, base.clone(), &native.tags);
            bound.extend(natives.into_iter().map(bind));
        }
    }
    lines.extend(bound);
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
    repository: &'c Repository,
    environments: Vec<&'c Environment>,
    /// As the file has them: empty for all.
    names: Arc<[String]>,
    tags: Arc<Policy>,
    /// For lines that pin a digest: it goes with the tag.
    digests: Arc<Policy>,
}

impl<'c> Native<'c> {
    fn new(image: &'c ImagePolicy, config: &'c Config) -> Self {
        let names: Arc<[String]> = image.environments.iter().map(|name| name.value.clone()).collect();
        let environments =
            config.environments.iter().filter(|environment| names.is_empty() || names.contains(&environment.name));
        let environments = environments.filter(|environment| environment.repository.is_none());
        let ImagePolicy { image, repository, tags, .. } = image;
        let tags = Policy {
            key: PolicyKey { namespace: NAMESPACE.to_owned(), name: image.value.clone() },
            file: config.file.clone(),
            position: image.position,
            image: image.value.clone(),
            state: PolicyState::Usable { repository: repository.clone(), policy: tags.clone() },
            digest: DigestReflection::Never,
            roots: BTreeSet::new(),
        };
        let digests = Policy { digest: DigestReflection::Always, ..tags.clone() };
        let (tags, digests) = (Arc::new(tags), Arc::new(digests));
        Native { repository, environments: environments.collect(), names, tags, digests }
    }

    fn binding(
        &self,
        file: &Arc<str>,
        line: usize,
        part: Part,
        base: Option<Box<BaseLine>>,
        policy: &Arc<Policy>,
    ) -> Binding {
        Binding {
            file: file.clone(),
            line,
            part,
            base,
            policy: Ok(policy.clone()),
            automations: None,
            environments: self.names.clone(),
        }
    }

    fn reaches(&self, file: &str) -> bool {
        !Config::is_beside_manifests(file) && self.environments.iter().any(|environment| environment.contains(file))
    }
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
