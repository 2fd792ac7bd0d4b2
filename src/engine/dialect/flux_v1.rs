//! Flux v1: annotations of workloads and HelmReleases, under both of its prefixes, and `.flux.yaml`.
//! <https://fluxcd.io/legacy/flux/references/automated-image-update/>,
//! <https://fluxcd.io/legacy/flux/references/fluxyaml-config-files/>

mod build;
mod generated;

use super::{
    Addition, Binding, Bindings, DigestReflection, Policy, PolicyKey, PolicyState, Problem,
    addition::can_be_patched,
    kustomize::{DEFAULT_NAMESPACE, Inclusions},
};
use crate::engine::{
    image::{Reference, ReferenceError},
    manifest::{Container, Document, FileEnd, ImageLine, ObjectId, Part, Position, Scan},
    plan::Snapshot,
    policy::{Memo, Order},
};
use build::{Built, Given, annotate};
use generated::{Reach, Scope, Scopes};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

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
    fn read(annotations: &[Given<'_>]) -> Self {
        let mut rules = Rules::default();
        for prefix in ANNOTATION_PREFIXES {
            for Given { file, annotation } in annotations {
                let Some(name) = annotation.key.strip_prefix(prefix).filter(|name| !name.is_empty()) else { continue };
                let name = if prefix == FILTER_PREFIX { format!("tag.{name}") } else { name.to_owned() };
                let given = (annotation.value.clone(), (*file).to_owned(), annotation.position);
                if let Some((before, ..)) = rules.policies.insert(name.clone(), given)
                    && before != annotation.value
                {
                    let message = format!(
                        "{name} is {before:?} under an older prefix and {:?} in {}: the latter counts; remove the other",
                        annotation.value, annotation.key
                    );
                    let place = ((*file).to_owned(), annotation.position);
                    rules.problems.push(("flux1-annotations-differ", place.0, place.1, message));
                }
            }
        }
        for name in ["automated", "ignore", "locked"] {
            if let Some((value, file, position)) = rules.policies.get(name)
                && !["true", "false"].contains(&value.as_str())
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
        let text = |name: &str| self.get(name).map(str::trim).filter(|text| !text.is_empty());
        self.has("locked").then(|| {
            let user = text("locked_user").map(|user| format!(" by {user}")).unwrap_or_default();
            let message = text("locked_msg").map(|message| format!(": {message}")).unwrap_or_default();
            ("locked", format!("locked{user}{message}"))
        })
    }
}

pub(super) fn bind(snapshot: &Snapshot, included: &Inclusions<'_>, bindings: &mut Bindings) {
    let scopes = Scopes::of(snapshot, included, bindings);
    let builds = scopes.build(snapshot, included);
    // Patches can automate what does not say so itself, where somebody builds them.
    let all: Vec<&Arc<str>> = match scopes.is_empty() {
        true => included.outline.annotated.iter().collect(),
        false => snapshot.scans.keys().collect(),
    };
    let patches = included.patches();
    let mut scans = snapshot.scans.lookup();
    for (file, scan) in all.into_iter().filter_map(|file| scans.get(file)) {
        // A patch is no object of its own.
        if scopes.is_patch(file) || patches.contains(&**file) {
            continue;
        }
        for base in (0..scan.documents.len()).filter_map(|number| Built::of(file, scan, number)) {
            match scopes.over(&base, &builds) {
                Reach::Direct => Object { built: base, memo: &snapshot.memo }.bind(None, snapshot, included, bindings),
                Reach::Rendered(over) => {
                    for (scope, built) in over {
                        Object { built, memo: &snapshot.memo }.bind(Some(scope), snapshot, included, bindings);
                    }
                }
                Reach::LeftOut(scope) => {
                    if Rules::read(&base.annotations).has("automated") {
                        let name = base.document.object.as_ref().map(ToString::to_string).unwrap_or_default();
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
    memo: &'a Memo,
}

/// The patch of an object in a patch file.
struct Patched<'a> {
    file: &'a str,
    scan: &'a Scan,
    number: usize,
    document: &'a Document,
}

/// Where a container's tag is written.
enum Target<'a> {
    Line { file: &'a str, line: usize },
    Addition { file: &'a str, end: FileEnd },
    Nowhere { code: &'static str, why: String },
}

impl<'a> Object<'a> {
    fn bind(
        &self,
        scope: Option<&'a Scope>,
        snapshot: &'a Snapshot,
        included: &Inclusions<'_>,
        bindings: &mut Bindings,
    ) {
        let Built { file, scan, document, images, unclear, .. } = &self.built;
        let Some(id) = self.id() else { return };
        let patch = scope.and_then(|scope| scope.patch.as_deref());
        let patched = patch.and_then(|file| self.patched_in(file, snapshot));
        let mut annotations = self.built.annotations.clone();
        if let Some(patched) = &patched {
            annotate(&mut annotations, patched.file, &patched.document.annotations);
        }
        let rules = Rules::read(&annotations);
        for (code, file, position, message) in &rules.problems {
            let (file, message) = (file.clone(), format!("{id}: {message}"));
            report(bindings, Problem { code, file, position: *position, message });
        }
        if !rules.has("automated") {
            return;
        }
        for (container, image) in document.containers.iter().zip(images) {
            let Some(image) = image else { continue };
            let own = container.tag_line().and_then(|start| line_at(scan, start));
            let part = if container.tag.is_some() { Part::Tag } else { Part::Reference };
            let target = match (own, scope, unclear) {
                (None, ..) => Target::Nowhere {
                    code: "value-not-editable",
                    why: format!("the tag of {image} is not written as one plain or quoted value"),
                },
                (Some(line), None, _) => Target::Line { file, line },
                (Some(_), Some(_), Some(why)) => {
                    Target::Nowhere { code: "flux1-patch-unclear", why: format!("{id}: {why}") }
                }
                (Some(line), Some(scope), None) => self.target(line, scope, patched.as_ref(), snapshot),
            };
            // What a patch file says of the image counts.
            let current = match &target {
                Target::Line { file: other, line } if other != file => {
                    let Some(line) = snapshot.scans.get(other).and_then(|scan| scan.lines.get(*line)) else { continue };
                    match part {
                        Part::Tag => Reference::parse(image).map(|image| Reference {
                            tag: Some(line.value.clone()),
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
            let bound = |file: &str, line| Binding {
                file: file.into(),
                line,
                part,
                policy: Ok(policy.clone()),
                automations: None,
                environments: Vec::new(),
            };
            match (target, own) {
                (Target::Line { file, line }, _) => bindings.lines.push(bound(file, line)),
                (Target::Addition { file, end }, Some(line)) => bindings.additions.push(Addition {
                    file: file.to_owned(),
                    end,
                    policy: policy.clone(),
                    part,
                    api_version: document.api_version.clone(),
                    object: id.clone(),
                    patched: running(&scan.lines[line], part, image),
                }),
                // Said at the line that would be patched.
                (_, Some(line)) => bindings.lines.push(bound(file, line)),
                (_, None) => {}
            }
        }
    }

    /// The object as it is built.
    fn id(&self) -> Option<ObjectId> {
        let kind = self.built.document.object.as_ref()?.kind.clone();
        Some(ObjectId { kind, namespace: self.built.namespace.clone(), name: self.built.name.clone() })
    }

    /// The patch of this object, in a patch file. One that names no namespace is meant for any.
    fn patched_in<'s>(&self, file: &'s str, snapshot: &'s Snapshot) -> Option<Patched<'s>> {
        let scan = snapshot.scans.get(file)?;
        let own = self.id()?;
        let namespace = |object: &ObjectId| match object.namespace.as_str() {
            "" => DEFAULT_NAMESPACE.to_owned(),
            namespace => namespace.to_owned(),
        };
        let named = |of: &dyn Fn(&ObjectId) -> bool| {
            scan.documents.iter().enumerate().find_map(|(number, document)| {
                let object = document.object.as_ref()?;
                let same = object.kind == own.kind && object.name == own.name && of(object);
                same.then_some(Patched { file, scan, number, document })
            })
        };
        named(&|object| namespace(object) == namespace(&own)).or_else(|| named(&|object| object.namespace.is_empty()))
    }

    /// Where the value of one of this object's lines is written when a `.flux.yaml` stands above it.
    fn target<'s>(
        &self,
        line: usize,
        scope: &'s Scope,
        patched: Option<&Patched<'s>>,
        snapshot: &'s Snapshot,
    ) -> Target<'s> {
        let path = &self.built.scan.lines[line].path;
        let Some(patch) = scope.patch.as_deref() else {
            let why = format!("{} updates by a command, and butler runs none: use patchUpdated", scope.file);
            return Target::Nowhere { code: "command-updated", why };
        };
        if let Some(why) = &scope.obstacle {
            let why = format!("{} sends updates to {patch}: {why}", scope.file);
            return Target::Nowhere { code: "patch-file-invalid", why };
        }
        let object = self.id().map(|id| id.to_string()).unwrap_or_default();
        if let Some(patched) = patched {
            let same = |candidate: &ImageLine| candidate.document == patched.number && candidate.path == *path;
            return match patched.scan.lines.iter().position(same) {
                Some(line) => Target::Line { file: patched.file, line },
                None => Target::Nowhere {
                    code: "patch-incomplete",
                    why: format!("{patch} has {object} without {path}: add that field to it"),
                },
            };
        }
        if !can_be_patched(path) {
            let why = format!("{path} has no name that a patch could give: name the list's items");
            return Target::Nowhere { code: "patch-incomplete", why };
        }
        match (snapshot.entries.get(patch), snapshot.scans.get(patch)) {
            (None, _) => Target::Addition { file: patch, end: FileEnd::default() },
            (Some(_), Some(scan)) if scan.documents.iter().all(|document| document.object.is_some()) => {
                Target::Addition { file: patch, end: scan.end }
            }
            _ => Target::Nowhere {
                code: "patch-incomplete",
                why: format!("{patch} holds something else than objects: write the patch of {object} there"),
            },
        }
    }

    /// As Flux v1 names it: `default:helmrelease/radix-operator:chart-image`.
    fn key(&self, container: &Container, scope: Option<&Scope>, included: &Inclusions<'_>) -> PolicyKey {
        let Built { file, document, namespace, name, .. } = &self.built;
        let namespace = match (scope.is_some_and(Scope::builds), namespace.as_str()) {
            (true, "") => DEFAULT_NAMESPACE.to_owned(),
            (true, namespace) => namespace.to_owned(),
            (false, written) => included.namespaces(file, written).into_iter().next().unwrap_or_default(),
        };
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
            report(bindings, Problem { code, file: file.to_owned(), position, message });
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

/// A line with what runs in its place once it is built.
fn running(line: &ImageLine, part: Part, image: &str) -> ImageLine {
    let mut line = line.clone();
    match part {
        Part::Tag => {
            if let Some(tag) = Reference::parse(image).ok().and_then(|image| image.tag) {
                line.value = tag;
            }
        }
        _ => image.clone_into(&mut line.value),
    }
    line
}

/// A finding is told once, however many environments have it.
fn report(bindings: &mut Bindings, problem: Problem) {
    if !bindings.problems.contains(&problem) {
        bindings.problems.push(problem);
    }
}

/// The line whose value begins at a byte.
fn line_at(scan: &Scan, start: usize) -> Option<usize> {
    scan.lines.binary_search_by_key(&start, |line| line.span.start).ok()
}
