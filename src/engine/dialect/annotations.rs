//! Policies in annotations of the `app.lilly.com` style (the prefix is a setting): `flux.simple.<policy>` with an
//! account, a repository and a pattern, or `flux.v2.repos` and `flux.v2.policies` with Flux v2's objects as JSON.
//! Markers follow them as `<namespace>:<policy>`.

mod json;

use super::{DigestReflection, Policy, PolicyKey, PolicyState, Problem, kustomize::Inclusions};
use crate::engine::{
    config::{Config, Registry, nearest},
    image::{Reference, Repository, ecr_host, ecr_region},
    manifest::{Annotation, Position},
    policy::{Direction, Memo, Order, PolicyError, TagPolicy, flux1::glob_as_regexp},
    snapshot::Snapshot,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The prefix where butler.yaml gives none.
const DEFAULT_PREFIX: &str = "app.lilly.com";

/// What is read behind `<prefix>/flux.`, beside `simple.<policy>`.
const NAMES: [&str; 3] = ["automated", "v2.repos", "v2.policies"];
const SIMPLE: &str = "simple.";

#[derive(Default)]
pub(super) struct Annotated {
    pub policies: Vec<Arc<Policy>>,
    pub problems: Vec<Problem>,
}

pub(super) fn read(snapshot: &Snapshot, included: &Inclusions<'_>, config: &Config) -> Annotated {
    let prefix = config.dialects.annotations_prefix.as_deref().unwrap_or(DEFAULT_PREFIX);
    let mut reader = Reader { snapshot, region: configured_region(config), annotated: Annotated::default() };
    let mut scans = snapshot.scans.lookup();
    for (file, scan) in included.outline.annotated.keys().filter_map(|file| scans.get(file)) {
        for document in &scan.documents {
            let Some(object) = &document.object else { continue };
            let own: Vec<(&str, &Annotation)> = document
                .annotations
                .iter()
                .filter_map(|a| Some((a.key.strip_prefix(prefix)?.strip_prefix("/flux.")?, a)))
                .collect();
            if own.is_empty() {
                continue;
            }
            for namespace in included.namespaces(file, &object.namespace) {
                let place = Place { file, namespace: &namespace, annotations: &own };
                reader.simple(&place);
                reader.custom(&place);
                reader.unknown(&place, prefix);
            }
        }
    }
    reader.annotated
}

/// The region of ECR that butler.yaml names.
fn configured_region(config: &Config) -> Option<String> {
    config.registries.iter().find_map(|registry| match registry {
        Registry::Ecr(ecr) => ecr.region.clone(),
        Registry::Host(_) => None,
    })
}

/// An object with annotations of this style, in one namespace that it lands in.
struct Place<'a> {
    file: &'a str,
    namespace: &'a str,
    /// By their names behind `<prefix>/flux.`.
    annotations: &'a [(&'a str, &'a Annotation)],
}

impl Place<'_> {
    fn key(&self, name: &str) -> PolicyKey {
        PolicyKey { namespace: self.namespace.to_owned(), name: name.to_owned() }
    }

    fn get(&self, name: &str) -> Option<&Annotation> {
        self.annotations.iter().find(|(key, _)| *key == name).map(|(_, annotation)| *annotation)
    }

    /// Why the object's policies are not followed.
    fn off(&self) -> Option<String> {
        let found = self.get("automated").map(|annotation| annotation.value.as_str());
        (found != Some("true")).then(|| match found {
            None => "the object is not annotated with flux.automated: \"true\"".to_owned(),
            Some(other) => format!("the object is annotated with flux.automated: {other:?}, not \"true\""),
        })
    }
}

struct Reader<'a> {
    snapshot: &'a Snapshot,
    region: Option<String>,
    annotated: Annotated,
}

impl Reader<'_> {
    fn problem(&mut self, code: &'static str, place: &Place<'_>, position: Position, message: String) {
        let problem = Problem { code, file: place.file.to_owned(), position, message };
        // An object may land in several namespaces.
        if !self.annotated.problems.contains(&problem) {
            self.annotated.problems.push(problem);
        }
    }

    fn define(
        &mut self,
        place: &Place<'_>,
        name: &str,
        position: Position,
        image: String,
        compiled: Result<(Repository, Arc<TagPolicy>), String>,
    ) {
        let key = place.key(name);
        let state = match compiled {
            Err(why) => {
                self.problem("policy-invalid", place, position, format!("policy {key}: {why}"));
                PolicyState::Invalid(why)
            }
            Ok((repository, policy)) => match place.off() {
                Some(why) => PolicyState::Suspended(why),
                None => PolicyState::Usable { repository, policy },
            },
        };
        self.add(place, key, position, image, state);
    }

    /// A policy that cannot be, for a reason that is told already.
    fn invalid(&mut self, place: &Place<'_>, name: &str, position: Position, why: &str) {
        self.add(place, place.key(name), position, String::new(), PolicyState::Invalid(why.to_owned()));
    }

    fn add(&mut self, place: &Place<'_>, key: PolicyKey, position: Position, image: String, state: PolicyState) {
        self.annotated.policies.push(Arc::new(Policy {
            key,
            file: place.file.to_owned(),
            position,
            image,
            state,
            digest: DigestReflection::Never,
            roots: BTreeSet::new(),
        }));
    }

    /// Names behind `flux.` that nothing reads.
    fn unknown(&mut self, place: &Place<'_>, prefix: &str) {
        for (name, annotation) in place.annotations {
            if NAMES.contains(name) || name.strip_prefix(SIMPLE).is_some_and(|policy| !policy.is_empty()) {
                continue;
            }
            let first = name.split('.').next().unwrap_or(name);
            let hint = match (nearest(name, NAMES), nearest(first, [SIMPLE.trim_end_matches('.')])) {
                (Some(near), _) => format!("did you mean {prefix}/flux.{near}?"),
                (None, Some(_)) => format!("did you mean {prefix}/flux.{SIMPLE}POLICY?"),
                (None, None) => format!("known there: {}, {SIMPLE}POLICY", NAMES.join(", ")),
            };
            let message = format!("found {prefix}/flux.{name}, which butler does not read; {hint}");
            self.problem("annotation-unknown", place, annotation.position, message);
        }
    }

    /// `flux.simple.<policy>: "<account>;<repository>;glob:<pattern>"`
    fn simple(&mut self, place: &Place<'_>) {
        for (name, annotation) in place.annotations {
            let Some(name) = name.strip_prefix(SIMPLE).filter(|name| !name.is_empty()) else { continue };
            let (position, key) = (annotation.position, place.key(name));
            let parts: Vec<&str> = annotation.value.splitn(3, ';').map(str::trim).collect();
            let [account, path, pattern] = parts.as_slice() else {
                let why = format!("expected \"<account>;<repository>;glob:<pattern>\", found {:?}", annotation.value);
                self.define(place, name, position, String::new(), Err(why));
                continue;
            };
            let pattern = pattern.strip_prefix("glob:").unwrap_or(pattern);
            let (policy, reading) = simple_policy(&self.snapshot.memo, pattern);
            if let Some((code, message)) = reading {
                self.problem(code, place, position, format!("policy {key}: {message}"));
            }
            let region = self.region_of(place, &key);
            let image = region.and_then(|region| {
                if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(format!("expected an AWS account of 12 digits, found {account:?}"));
                }
                Ok(format!("{}/{path}", ecr_host(account, &region)))
            });
            let compiled = match (&image, policy) {
                (Err(why), _) => Err(why.clone()),
                (_, Err(error)) => Err(error.to_string()),
                (Ok(image), Ok(policy)) => {
                    Repository::parse(image).map(|repository| (repository, policy)).map_err(|error| error.to_string())
                }
            };
            self.define(place, name, position, image.unwrap_or_default(), compiled);
        }
    }

    /// The region: that of butler.yaml, else that of the lines that follow the policy.
    fn region_of(&self, place: &Place<'_>, key: &PolicyKey) -> Result<String, String> {
        if let Some(region) = &self.region {
            return Ok(region.clone());
        }
        let (mut near, mut far) = (BTreeSet::new(), BTreeSet::new());
        for (file, _, line) in self.snapshot.lines() {
            let follows = line.marker.as_ref().is_some_and(|m| m.namespace == key.namespace && m.policy == key.name);
            let image = line.image.as_deref().unwrap_or(&line.value);
            if let (true, Ok(image)) = (follows, Reference::parse(image))
                && let Some(region) = ecr_region(image.repository.host())
            {
                if file == place.file { &mut near } else { &mut far }.insert(region.to_owned());
            }
        }
        let found = if near.is_empty() { far } else { near };
        let names: Vec<String> = found.into_iter().collect();
        match names.as_slice() {
            [region] => Ok(region.clone()),
            [] => Err(
                "no line that follows it names an ECR region; give one in butler.yaml: registries: [{provider: aws, \
                       region: …}]"
                    .to_owned(),
            ),
            several => Err(format!(
                "the lines that follow it name several ECR regions ({}); give one in butler.yaml: registries: [{{provider: \
                 aws, region: …}}]",
                several.join(", ")
            )),
        }
    }

    /// `flux.v2.repos` and `flux.v2.policies`
    fn custom(&mut self, place: &Place<'_>) {
        let (repos, policies) = (place.get("v2.repos"), place.get("v2.policies"));
        let Some(annotation) = policies.or(repos) else { return };
        // What cannot be read is told, once.
        let Some(repos) = repos.map_or(Some(Vec::new()), |found| self.json::<Vec<json::Repo>>(place, found)) else {
            let why = "flux.v2.repos, which has its image, cannot be read";
            let policies = policies.and_then(|found| self.json::<Vec<json::Policy>>(place, found)).unwrap_or_default();
            for policy in policies {
                self.invalid(place, &policy.name, annotation.position, why);
            }
            return;
        };
        let Some(policies) = policies.map_or(Some(Vec::new()), |found| self.json::<Vec<json::Policy>>(place, found))
        else {
            for name in repos.iter().flat_map(|repo| &repo.policies) {
                self.invalid(place, name, annotation.position, "flux.v2.policies cannot be read");
            }
            return;
        };
        let mut sources: BTreeMap<&str, Vec<&json::Repo>> = BTreeMap::new();
        for repo in &repos {
            for policy in &repo.policies {
                sources.entry(policy).or_default().push(repo);
            }
        }
        for policy in &policies {
            let found = sources.remove(policy.name.as_str()).unwrap_or_default();
            let (image, compiled) = match found.as_slice() {
                [repo] => (repo.image.clone(), compile(&self.snapshot.memo, policy, repo)),
                [] => (String::new(), Err("no entry of flux.v2.repos lists it under policies".to_owned())),
                [first, second, ..] => (
                    String::new(),
                    Err(format!("{} and {} of flux.v2.repos both list it: one has to", first.name, second.name)),
                ),
            };
            self.define(place, &policy.name, annotation.position, image, compiled);
        }
        for name in sources.into_keys() {
            let message = format!("flux.v2.repos lists the policy {name:?}, which flux.v2.policies does not define");
            self.problem("policy-invalid", place, annotation.position, message);
        }
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self, place: &Place<'_>, annotation: &Annotation) -> Option<T> {
        match json::read(&annotation.value) {
            Ok(value) => Some(value),
            Err(error) => {
                let position = error.position_in(annotation);
                let message = format!("{}: expected JSON as documented: {}", annotation.key, error.why);
                self.problem("annotation-json-invalid", place, position, message);
                None
            }
        }
    }
}

type Reading = Option<(&'static str, String)>;

/// What is called a glob there is a regular expression, unanchored; one that is none is a glob after all.
fn simple_policy(memo: &Memo, pattern: &str) -> (Result<Arc<TagPolicy>, PolicyError>, Reading) {
    match memo.policy(Order::Newest, Some((pattern, "")), None) {
        Ok(policy) => {
            let plain = pattern.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            let message = format!(
                "`glob:{pattern}` is read as a regular expression that may match anywhere in a tag, as this kind of \
                 annotation always was; write ^ and $ for the whole tag"
            );
            (Ok(policy), (!plain).then_some(("pattern-is-regexp", message)))
        }
        Err(error) => {
            let message = format!(
                "`glob:{pattern}` is read as a glob, in which * is any text: it is no regular expression ({})",
                error.why
            );
            (memo.policy(Order::Newest, Some((&glob_as_regexp(pattern), "")), None), Some(("pattern-is-glob", message)))
        }
    }
}

fn compile(memo: &Memo, policy: &json::Policy, repo: &json::Repo) -> Result<(Repository, Arc<TagPolicy>), String> {
    let repository = Repository::parse(&repo.image).map_err(|error| error.to_string())?;
    let direction = |order: &Option<json::Directed>| {
        let order = order.as_ref().and_then(|directed| directed.order.as_deref()).unwrap_or_default();
        order.parse::<Direction>().map_err(|error| error.to_string())
    };
    let given = &policy.policy;
    let order = match (&given.semver, &given.numerical, &given.alphabetical) {
        // The time of the push stands in place of the tag's text.
        _ if repo.inject_created_at => Order::Newest,
        (Some(semver), None, None) => Order::Semver { range: semver.range.clone(), three_part: true },
        (None, numerical @ Some(_), None) => Order::Numerical(direction(numerical)?),
        (None, None, alphabetical @ Some(_)) => Order::Alphabetical(direction(alphabetical)?),
        _ => return Err("expected one of semver, numerical, alphabetical under \"policy\"".to_owned()),
    };
    let filter = policy.filter_tags.as_ref().map(|filter| {
        let extract = filter.extract.as_deref().unwrap_or_default();
        (filter.pattern.as_str(), if repo.inject_created_at { "" } else { extract })
    });
    let policy = memo.policy(order, filter, None).map_err(|error| error.to_string())?;
    Ok((repository, policy))
}
