//! Flux v1: annotations of workloads and HelmReleases, under both of its prefixes, and `.flux.yaml`.
//! <https://fluxcd.io/legacy/flux/references/automated-image-update/>,
//! <https://fluxcd.io/legacy/flux/references/fluxyaml-config-files/>

mod annotate;
mod build;
mod builder;
mod filters;
mod generated;
mod given;
mod release;
mod target;

pub use annotate::{PolicyChange, PolicyChangeError, with_policies};
pub use release::is_release;
pub(crate) use target::{Generated, GeneratedTag, Target};

use super::{
    Addition, BaseLine, Binding, Bindings, DigestReflection, Policy, PolicyKey, PolicyState, Problem,
    kustomize::Inclusions,
};
use crate::engine::{
    image::{Reference, ReferenceError},
    manifest::{Container, Document, ObjectId, Part, Position, Scan},
    policy::{Memo, Order},
    snapshot::Snapshot,
};
use build::Built;
use filters::Patches;
use generated::{Reach, Scope, Scopes};
use given::{Annotations, Given};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};
use target::Tag;

/// The older prefix comes first: where both say something, the newer one has the last word.
const PREFIXES: [&str; 2] = ["flux.weave.works/", "fluxcd.io/"];
const FILTER_PREFIX: &str = "filter.fluxcd.io/";
/// All of Flux v1's own.
const ANNOTATION_PREFIXES: [&str; 3] = [PREFIXES[0], PREFIXES[1], FILTER_PREFIX];
/// What holds for a container without a pattern.
const ANY_TAG: &str = "glob:*";

/// What an object's annotations say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rules {
    /// Values by Flux v1's name of the policy (`automated`, `tag.app`, `locked_msg`), with file and place.
    policies: BTreeMap<String, (String, String, Position)>,
    problems: Vec<(&'static str, String, Position, String)>,
}

impl Rules {
    /// In the order in which they are put over each other.
    fn read(annotations: &Annotations<'_>) -> Self {
        let annotations = annotations.in_order();
        let mut rules = Rules::default();
        let mut known: BTreeMap<String, (usize, &Given<'_>)> = BTreeMap::new();
        for prefix in ANNOTATION_PREFIXES {
            for (at, found) in annotations.iter().copied().enumerate() {
                let Given { file, annotation } = found;
                let Some(name) = annotation.key.strip_prefix(prefix).filter(|name| !name.is_empty()) else { continue };
                let name = if prefix == FILTER_PREFIX { format!("tag.{name}") } else { name.to_owned() };
                let given = (annotation.value.clone(), (*file).to_owned(), annotation.position);
                rules.policies.insert(name.clone(), given);
                let Some((before_at, before)) = known.insert(name.clone(), (at, found)) else { continue };
                // What is put over a base with the newer prefix counts, as was meant; with the older one it does not.
                let meant = before.file != *file && before_at < at;
                if before.annotation.value != annotation.value && !meant {
                    let message = format!(
                        "{name} is {:?} in {} and {:?} in {} of {file}:{}: the latter counts; remove the other",
                        before.annotation.value,
                        before.annotation.key,
                        annotation.value,
                        annotation.key,
                        annotation.position
                    );
                    let file = before.file.to_owned();
                    rules.problems.push(("flux1-annotations-differ", file, before.annotation.position, message));
                }
            }
        }
        for name in ["automated", "ignore", "locked"] {
            // What is ignored in the cluster alone is updated in the repository.
            let known = |value: &str| matches!(value, "true" | "false") || (name, value) == ("ignore", "sync_only");
            if let Some((value, file, position)) = rules.policies.get(name)
                && !known(value)
            {
                let message =
                    format!("expected {name} to be \"true\", found {value:?}, which is not: it has no effect");
                rules.problems.push(("flux1-not-true", file.clone(), *position, message));
            }
        }
        rules
    }

    fn has(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.policies.get(name).map(|(value, ..)| value.as_str())
    }

    /// The pattern of a container's tags, with its place where it is given.
    fn pattern(&self, container: &str) -> (&str, Option<(&str, Position)>) {
        self.policies
            .get(&format!("tag.{container}"))
            .map_or((ANY_TAG, None), |(pattern, file, position)| (pattern, Some((file, *position))))
    }

    /// Why an automated object is left alone all the same.
    fn stays(&self) -> Option<(&'static str, String)> {
        if self.has("ignore") {
            return Some(("ignored", "the object is annotated with ignore: \"true\"".to_owned()));
        }
        self.locked().map(|why| ("locked", why))
    }

    /// Who locked it, and why, as far as that is told.
    fn locked(&self) -> Option<String> {
        let text = |name: &str| self.get(name).map(str::trim).filter(|text| !text.is_empty());
        self.has("locked").then(|| {
            let user = text("locked_user").map(|user| format!(" by {user}")).unwrap_or_default();
            let message = text("locked_msg").map(|message| format!(": {message}")).unwrap_or_default();
            format!("locked{user}{message}")
        })
    }
}

/// Who locked an object as it is written, automated or not.
pub(crate) fn locked(file: &str, document: &Document) -> Option<String> {
    if document.annotations.is_empty() {
        return None;
    }
    let mut annotations = Annotations::default();
    annotations.put(file, &document.annotations);
    Rules::read(&annotations).locked()
}

/// `lines`: where what is bound is put.
pub(super) fn bind(snapshot: &Snapshot, included: &Inclusions<'_>, bindings: &mut Bindings, lines: &mut Vec<Binding>) {
    let before = bindings.problems.len();
    bind_all(snapshot, included, bindings, lines);
    // A finding is told once, however many environments have it.
    let mut told = HashSet::new();
    let found = bindings.problems.split_off(before);
    bindings.problems.extend(found.into_iter().filter(|problem| told.insert(problem.clone())));
}

fn bind_all(snapshot: &Snapshot, included: &Inclusions<'_>, bindings: &mut Bindings, lines: &mut Vec<Binding>) {
    let scopes = Scopes::of(snapshot, included, bindings);
    let builds = scopes.build(snapshot, included);
    // Patches can automate what does not say so itself, where somebody builds them.
    let all: Vec<&Arc<str>> = match scopes.is_empty() {
        true => included.outline.annotated.keys().collect(),
        false => snapshot.scans.keys().collect(),
    };
    if all.is_empty() {
        return;
    }
    let mut patches = included.patches();
    patches.extend(scopes.patches().map(str::to_owned));
    let named = Patches::new(snapshot, included, &patches);
    let mut scans = snapshot.scans.lookup();
    for (file, scan) in all.into_iter().filter_map(|file| scans.get(file)) {
        // A patch is no object of its own.
        if patches.contains(&**file) {
            continue;
        }
        for base in (0..scan.documents.len()).filter_map(|number| Built::of(file, scan, number)) {
            match scopes.over(&base, &builds) {
                Reach::Direct => {
                    Object { built: base, patches: &named, memo: &snapshot.memo }
                        .bind(None, snapshot, included, bindings, lines);
                }
                Reach::Rendered(over) => {
                    for (scope, built) in over {
                        Object { built, patches: &named, memo: &snapshot.memo }.bind(
                            Some(scope),
                            snapshot,
                            included,
                            bindings,
                            lines,
                        );
                    }
                }
                Reach::LeftOut(scope) => {
                    if Rules::read(&base.annotations).has("automated") {
                        let name = base.document.object.as_ref().map(ObjectId::shown).unwrap_or_default();
                        bindings.problems.push(Problem {
                            code: "flux1-not-rendered",
                            file: file.to_string(),
                            position: base.document.position,
                            message: format!("{name} is automated, but {} does not build it: it stays", scope.file),
                        });
                    }
                }
            }
        }
    }
}

/// An object with containers, as one `.flux.yaml` builds it.
struct Object<'a> {
    built: Built<'a>,
    patches: &'a Patches<'a>,
    memo: &'a Memo,
}

impl<'a> Object<'a> {
    fn bind(
        &self,
        scope: Option<&'a Scope>,
        snapshot: &'a Snapshot,
        included: &Inclusions<'_>,
        bindings: &mut Bindings,
        lines: &mut Vec<Binding>,
    ) {
        let file = self.built.file;
        let Some(id) = self.built.id() else { return };
        let patched = self.built.patched_by(scope, snapshot);
        let mut annotations = self.built.annotations.clone();
        if let Some(patched) = &patched {
            annotations.put(patched.file, &patched.document.annotations);
        }
        let rules = Rules::read(&annotations);
        for (code, file, position, message) in &rules.problems {
            let (file, message) = (file.clone(), format!("{}: {message}", id.shown()));
            bindings.problems.push(Problem { code, file, position: *position, message });
        }
        for (file, position, why) in filters::of_no_container(&self.built, patched.as_ref(), &rules, self.patches) {
            let message = format!("{}: {why}", id.shown());
            bindings.problems.push(Problem { code: "container-unknown", file, position, message });
        }
        if !rules.has("automated") {
            return;
        }
        if let Some(problem) = scope.and_then(|scope| scope.problem.clone()) {
            bindings.problems.push(problem);
        }
        for Tag { container, image, own, part, target } in self.built.tags(scope, patched.as_ref(), snapshot) {
            // What a patch file says of the image counts.
            let current = match &target {
                Target::Line { file: other, line } if *other != file => {
                    let Some(line) = snapshot.scans.get(other).and_then(|scan| scan.lines.get(*line)) else { continue };
                    match part {
                        Part::Tag => Reference::parse(image).map(|image| Reference {
                            tag: Some(line.value.to_string()),
                            digest: None,
                            ..image
                        }),
                        _ => Reference::parse(&line.value),
                    }
                }
                _ => Reference::parse(image),
            };
            let key = self.key(container, scope, included);
            let policy = Arc::new(self.policy(&key, container, &rules, current, &target, bindings));
            bindings.policies.push(policy.clone());
            let bound = |file: &str, line, base| Binding {
                file: file.into(),
                line,
                part,
                base,
                policy: Ok(policy.clone()),
                automations: None,
                environments: Arc::default(),
            };
            match (target, own) {
                (Target::Line { file: written, line }, own) => {
                    let base = own.filter(|_| written != file);
                    let base = base.map(|line| Box::new(BaseLine { file: file.into(), line }));
                    lines.push(bound(written, line, base));
                }
                (Target::Field(field), _) => {
                    let policy = policy.clone();
                    bindings.additions.push(Addition { field: *field, policy, environments: Arc::default() });
                }
                // Said at the line that would be patched.
                (Target::Nowhere { .. }, Some(line)) => lines.push(bound(file, line, None)),
                (Target::Nowhere { .. }, None) => {}
            }
        }
    }

    /// As Flux v1 names it: `default:helmrelease/radix-operator:chart-image`.
    fn key(&self, container: &Container, scope: Option<&Scope>, included: &Inclusions<'_>) -> PolicyKey {
        let Built { document, name, .. } = &self.built;
        let namespace = self.built.namespaces(scope, included).into_iter().next().unwrap_or_default();
        PolicyKey { namespace, name: format!("{}/{name}:{}", document.kind.to_lowercase(), container.name) }
    }

    fn policy(
        &self,
        key: &PolicyKey,
        container: &Container,
        rules: &Rules,
        current: Result<Reference, ReferenceError>,
        target: &Target<'_>,
        bindings: &mut Bindings,
    ) -> Policy {
        let (pattern, place) = rules.pattern(&container.name);
        let (file, position) = place.unwrap_or((self.built.file, self.built.document.position));
        let mut problem = |code, message: String| {
            bindings.problems.push(Problem { code, file: file.to_owned(), position, message });
        };
        let mut image = String::new();
        let state = match current {
            Err(error) => {
                problem("policy-invalid", format!("{key}: {error}"));
                PolicyState::Invalid(error.to_string())
            }
            Ok(current) => {
                image.clone_from(&current.name);
                match self.memo.policy(Order::Flux1(pattern.to_owned()), None, None) {
                    Err(error) => PolicyState::Invalid(error.to_string()),
                    Ok(policy) => {
                        if let Some(fault) = policy.fault() {
                            let message =
                                format!("{key}: {pattern:?} matches nothing: {fault}; Flux v1 takes every tag for it");
                            problem("flux1-pattern-invalid", message);
                        }
                        if policy.has_stray_space() {
                            let glob = pattern.strip_prefix("glob:").unwrap_or(pattern).trim();
                            let message = format!(
                                "{key}: {pattern:?} has a space that belongs to the glob, and no tag has one, so that it \
                                 matches nothing, as in Flux v1; write \"glob:{glob}\""
                            );
                            problem("flux1-pattern-space", message);
                        }
                        if current.digest.is_some() {
                            let why = "the image is pinned by a digest, which Flux v1 does not know".to_owned();
                            PolicyState::Blocked { code: "pinned-by-digest", why }
                        } else {
                            PolicyState::Usable { repository: current.repository, policy }
                        }
                    }
                }
            }
        };
        let state = match (rules.stays(), target) {
            (Some((code, why)), _) => PolicyState::Blocked { code, why },
            (None, Target::Nowhere { code, why }) => {
                problem(code, format!("{key}: {why}"));
                PolicyState::Blocked { code, why: why.clone() }
            }
            (None, _) => state,
        };
        Policy {
            key: key.clone(),
            file: file.to_owned(),
            position,
            image,
            state,
            digest: DigestReflection::Never,
            roots: BTreeSet::new(),
        }
    }
}

/// The line whose value begins at a byte.
fn line_at(scan: &Scan, start: usize) -> Option<usize> {
    scan.lines.binary_search_by_key(&start, |line| line.span.start).ok()
}
