//! Flux v1: annotations of workloads and HelmReleases, under both of its prefixes, and `.flux.yaml`.
//! <https://fluxcd.io/legacy/flux/references/automated-image-update/>,
//! <https://fluxcd.io/legacy/flux/references/fluxyaml-config-files/>

mod generated;

use super::{
    Addition, Binding, Bindings, DigestReflection, Policy, PolicyKey, PolicyState, Problem, addition::can_be_patched,
    kustomize::Inclusions,
};
use crate::engine::{
    image::Reference,
    manifest::{Annotation, Container, Document, FileEnd, ObjectId, Part, Position, Scan},
    plan::Snapshot,
    policy::{Memo, Order},
};
use generated::{Reach, Scope, Scopes};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The older prefix comes first: where both say something, the newer one has the last word.
const PREFIXES: [&str; 2] = ["flux.weave.works/", "fluxcd.io/"];
const FILTER_PREFIX: &str = "filter.fluxcd.io/";
/// What holds for a container without a pattern.
const ANY_TAG: &str = "glob:*";

/// What an object's annotations say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// Values by Flux v1's name of the policy: `automated`, `tag.app`, `locked_msg`.
    policies: BTreeMap<String, (String, Position)>,
    problems: Vec<(&'static str, Position, String)>,
}

impl Rules {
    /// `patched`: annotations of a patch, which replace those of the same name.
    pub(super) fn read(annotations: &[Annotation], patched: &[Annotation]) -> Self {
        let mut rules = Rules::default();
        for prefix in PREFIXES.into_iter().chain([FILTER_PREFIX]) {
            for annotation in annotations.iter().chain(patched) {
                let Some(name) = annotation.key.strip_prefix(prefix).filter(|name| !name.is_empty()) else { continue };
                let name = if prefix == FILTER_PREFIX { format!("tag.{name}") } else { name.to_owned() };
                let given = (annotation.value.clone(), annotation.position);
                if let Some((before, _)) = rules.policies.insert(name.clone(), given)
                    && before != annotation.value
                {
                    let message = format!(
                        "{name} is {before:?} under an older prefix and {:?} in {}: the latter counts; remove the other",
                        annotation.value, annotation.key
                    );
                    rules.problems.push(("flux1-annotations-differ", annotation.position, message));
                }
            }
        }
        for name in ["automated", "ignore", "locked"] {
            if let Some((value, position)) = rules.policies.get(name)
                && !["true", "false"].contains(&value.as_str())
            {
                let message =
                    format!("expected {name} to be \"true\", found {value:?}, which is not: it has no effect");
                rules.problems.push(("flux1-not-true", *position, message));
            }
        }
        rules
    }

    fn has(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.policies.get(name).map(|(value, _)| value.as_str())
    }

    /// The pattern of a container's tags, with its place where it is given.
    fn pattern(&self, container: &str) -> (&str, Option<Position>) {
        self.policies
            .get(&format!("tag.{container}"))
            .map_or((ANY_TAG, None), |(pattern, position)| (pattern, Some(*position)))
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
    let scopes = Scopes::of(snapshot, bindings);
    for (file, scan) in &snapshot.scans {
        if scopes.is_patch(file) {
            continue;
        }
        for (number, document) in scan.documents.iter().enumerate() {
            let Some(object) = &document.object else { continue };
            if document.containers.is_empty() {
                continue;
            }
            let base = Object { file, scan, document, number, object, memo: &snapshot.memo };
            match scopes.over(file, bindings) {
                Reach::Direct => base.bind(None, snapshot, included, bindings),
                Reach::Rendered(scopes) => {
                    for scope in scopes {
                        base.bind(Some(scope), snapshot, included, bindings);
                    }
                }
                Reach::LeftOut(scope) => {
                    if Rules::read(&document.annotations, &[]).has("automated") {
                        bindings.problems.push(Problem {
                            code: "flux1-not-rendered",
                            file: file.clone(),
                            position: document.position,
                            message: format!("{object} is automated, but {} does not build it: it stays", scope.file),
                        });
                    }
                }
            }
        }
    }
}

/// An object with containers.
struct Object<'a> {
    file: &'a str,
    scan: &'a Scan,
    document: &'a Document,
    number: usize,
    object: &'a ObjectId,
    memo: &'a Memo,
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
        let patch = scope.and_then(|scope| scope.patch.as_deref());
        let patched = patch.and_then(|file| self.patched_in(file, snapshot));
        let annotations = patched.as_ref().map_or(&[][..], |patched| &patched.document.annotations);
        let rules = Rules::read(&self.document.annotations, annotations);
        for (code, position, message) in &rules.problems {
            let (file, message) = (self.file.to_owned(), format!("{}: {message}", self.object));
            bindings.problems.push(Problem { code, file, position: *position, message });
        }
        if !rules.has("automated") {
            return;
        }
        for container in &self.document.containers {
            let Some(image) = &container.image else { continue };
            let own = container.tag_line().and_then(|start| line_at(self.scan, start));
            let part = if container.tag.is_some() { Part::Tag } else { Part::Reference };
            let target = match (own, scope) {
                (None, _) => Target::Nowhere {
                    code: "value-not-editable",
                    why: format!("the tag of {image} is not written as one plain or quoted value"),
                },
                (Some(line), None) => Target::Line { file: self.file, line },
                (Some(line), Some(scope)) => self.target(line, scope, patched.as_ref(), snapshot),
            };
            // What a patch says of the image counts.
            let current = match &target {
                Target::Line { file, line } if *file != self.file => {
                    let Some(line) = snapshot.scans.get(file).and_then(|scan| scan.lines.get(*line)) else { continue };
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
            let key = self.key(container, included);
            let policy = self.policy(&key, container, &rules, current, &target, bindings);
            let policy = Arc::new(policy);
            bindings.policies.push(policy.clone());
            match (target, own) {
                (Target::Line { file, line }, _) => bindings.lines.push(Binding {
                    file: file.to_owned(),
                    line,
                    part,
                    policy: Ok(policy),
                    key,
                    automations: None,
                    environments: Vec::new(),
                }),
                (Target::Addition { file, end }, Some(line)) => bindings.additions.push(Addition {
                    file: file.to_owned(),
                    end,
                    key,
                    policy,
                    part,
                    api_version: self.document.api_version.clone(),
                    object: self.object.clone(),
                    patched: self.scan.lines[line].clone(),
                }),
                // Said at the line that would be patched.
                (_, Some(line)) => bindings.lines.push(Binding {
                    file: self.file.to_owned(),
                    line,
                    part,
                    policy: Ok(policy),
                    key,
                    automations: None,
                    environments: Vec::new(),
                }),
                (_, None) => {}
            }
        }
    }

    /// The patch of this object, in a patch file.
    fn patched_in(&self, file: &'a str, snapshot: &'a Snapshot) -> Option<Object<'a>> {
        let scan = snapshot.scans.get(file)?;
        let namespace = |object: &ObjectId| match object.namespace.as_str() {
            "" => "default".to_owned(),
            namespace => namespace.to_owned(),
        };
        scan.documents.iter().enumerate().find_map(|(number, document)| {
            let object = document.object.as_ref()?;
            let same = object.kind == self.object.kind
                && object.name == self.object.name
                && namespace(object) == namespace(self.object);
            same.then_some(Object { file, scan, document, number, object, memo: self.memo })
        })
    }

    /// Where the value of one of this object's lines is written when a `.flux.yaml` stands above it.
    fn target(&self, line: usize, scope: &'a Scope, patched: Option<&Object<'a>>, snapshot: &Snapshot) -> Target<'a> {
        let path = &self.scan.lines[line].path;
        let Some(patch) = scope.patch.as_deref() else {
            let why = format!("{} updates by a command, and butler runs none: use patchUpdated", scope.file);
            return Target::Nowhere { code: "command-updated", why };
        };
        if let Some(why) = &scope.obstacle {
            let why = format!("{} sends updates to {patch}: {why}", scope.file);
            return Target::Nowhere { code: "patch-file-invalid", why };
        }
        if let Some(patched) = patched {
            let same = |candidate: &crate::engine::manifest::ImageLine| {
                candidate.document == patched.number && candidate.path == *path
            };
            return match patched.scan.lines.iter().position(same) {
                Some(line) => Target::Line { file: patched.file, line },
                None => Target::Nowhere {
                    code: "patch-incomplete",
                    why: format!("{patch} has {} without {path}: add that field to it", patched.object),
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
                why: format!("{patch} holds something else than objects: write the patch of {} there", self.object),
            },
        }
    }

    /// As Flux v1 names it: `default:helmrelease/radix-operator:chart-image`.
    fn key(&self, container: &Container, included: &Inclusions<'_>) -> PolicyKey {
        let namespaces = included.namespaces(self.file, &self.object.namespace);
        PolicyKey {
            namespace: namespaces.into_iter().next().unwrap_or_default(),
            name: format!("{}/{}:{}", self.object.kind.to_lowercase(), self.object.name, container.name),
        }
    }

    fn policy(
        &self,
        key: &PolicyKey,
        container: &Container,
        rules: &Rules,
        current: Result<Reference, crate::engine::image::ReferenceError>,
        target: &Target<'_>,
        bindings: &mut Bindings,
    ) -> Policy {
        let (pattern, position) = rules.pattern(&container.name);
        let position = position.unwrap_or(self.document.position);
        let mut problem = |code, message: String| {
            bindings.problems.push(Problem { code, file: self.file.to_owned(), position, message });
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
            file: self.file.to_owned(),
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
