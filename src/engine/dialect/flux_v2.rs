//! Flux v2: `ImageRepository`, `ImagePolicy` and `ImageUpdateAutomation` objects read from the repository itself, and
//! `$imagepolicy` markers. No cluster is asked: an object's namespace may come from a kustomization that includes it.

use super::{
    Automation, Binding, Bindings, Definitions, DigestReflection, Policy, PolicyKey, PolicyState, Problem, Unresolved,
    kustomize::{Inclusions, join},
};
use crate::engine::{
    image::Repository,
    manifest::{Document, FluxObject, ImagePolicyObject, ImageRepositoryObject},
    plan::Snapshot,
    policy::{Direction, Order, TagPolicy},
};
use std::{collections::BTreeMap, sync::Arc};

struct RepositoryDefinition<'a> {
    file: &'a str,
    object: &'a ImageRepositoryObject,
}

/// `annotated`: policies from elsewhere that markers may follow too.
pub(super) fn bind(snapshot: &Snapshot, annotated: &[Arc<Policy>]) -> Bindings {
    let included = Inclusions::of(snapshot);
    let mut repositories: BTreeMap<PolicyKey, Vec<RepositoryDefinition<'_>>> = BTreeMap::new();
    let mut bindings = Bindings::default();

    for (file, document, flux) in flux_objects(snapshot) {
        let Some(id) = &document.object else { continue };
        match flux {
            FluxObject::ImageRepository(object) => {
                for namespace in included.namespaces(file, &id.namespace) {
                    let key = PolicyKey { namespace, name: id.name.clone() };
                    repositories.entry(key).or_default().push(RepositoryDefinition { file, object });
                }
            }
            FluxObject::ImageUpdateAutomation(object) => bindings.automations.push(Automation {
                object: id.to_string(),
                file: file.to_owned(),
                path: known_part(object.path.as_deref().unwrap_or("")),
                suspended: object.suspend,
            }),
            FluxObject::ImagePolicy(_) => {}
        }
    }

    let mut definitions = Definitions::new();
    for policy in annotated {
        definitions.entry(policy.key.clone()).or_default().push(policy.clone());
        bindings.policies.push(policy.clone());
    }
    for (file, document, flux) in flux_objects(snapshot) {
        let (Some(id), FluxObject::ImagePolicy(object)) = (&document.object, flux) else { continue };
        for namespace in included.namespaces(file, &id.namespace) {
            let key = PolicyKey { namespace, name: id.name.clone() };
            let policy = Arc::new(define(&key, file, document, object, &repositories));
            if let PolicyState::Invalid(why) = &policy.state {
                bindings.problems.push(Problem {
                    code: "policy-invalid",
                    file: file.to_owned(),
                    position: document.position,
                    message: format!("policy {key}: {why}"),
                });
            }
            definitions.entry(key).or_default().push(policy.clone());
            bindings.policies.push(policy);
        }
    }

    for (file, scan) in &snapshot.scans {
        for (index, line) in scan.lines.iter().enumerate() {
            let Some(marker) = &line.marker else { continue };
            let key = PolicyKey { namespace: marker.namespace.clone(), name: marker.policy.clone() };
            bindings.lines.push(Binding {
                file: file.clone(),
                line: index,
                part: marker.part,
                policy: resolve(&key, file, &definitions),
                key,
                environments: Vec::new(),
            });
        }
    }
    bindings
}

fn flux_objects(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &Document, &FluxObject)> {
    snapshot.scans.iter().flat_map(|(file, scan)| {
        scan.documents.iter().filter_map(move |document| Some((file.as_str(), document, document.flux.as_ref()?)))
    })
}

/// Reads a policy object: its repository, its filter and order, or why it cannot be followed.
fn define(
    key: &PolicyKey,
    file: &str,
    document: &Document,
    object: &ImagePolicyObject,
    repositories: &BTreeMap<PolicyKey, Vec<RepositoryDefinition<'_>>>,
) -> Policy {
    let repository_key = PolicyKey {
        namespace: object.repository_namespace.clone().unwrap_or_else(|| key.namespace.clone()),
        name: object.repository.clone(),
    };
    let repository = repositories
        .get(&repository_key)
        .and_then(|found| found.iter().max_by_key(|definition| shared_folders(definition.file, file)));
    let digest = match object.digest_reflection.as_deref() {
        Some("Always") => DigestReflection::Always,
        Some("IfNotPresent") => DigestReflection::IfNotPresent,
        _ => DigestReflection::Never,
    };
    let state = match repository {
        _ if object.suspend => PolicyState::Suspended(format!("ImagePolicy {key} is suspended")),
        None => PolicyState::Invalid(format!(
            "no ImageRepository {repository_key} in this repository; add it, or correct spec.imageRepositoryRef"
        )),
        Some(definition) if definition.object.suspend => {
            PolicyState::Suspended(format!("ImageRepository {repository_key} is suspended"))
        }
        Some(definition) => match compile(object, definition.object) {
            Ok((repository, policy)) => PolicyState::Usable { repository, policy: Arc::new(policy) },
            Err(why) => PolicyState::Invalid(why),
        },
    };
    Policy {
        key: key.clone(),
        file: file.to_owned(),
        position: document.position,
        image: repository.map(|definition| definition.object.image.clone()).unwrap_or_default(),
        state,
        digest,
    }
}

fn compile(policy: &ImagePolicyObject, source: &ImageRepositoryObject) -> Result<(Repository, TagPolicy), String> {
    let repository = Repository::parse(&source.image).map_err(|error| error.to_string())?;
    let (kind, argument) = &policy.order;
    let direction = || argument.parse::<Direction>().map_err(|error| error.to_string());
    let order = match kind.as_str() {
        "semver" => Order::Semver { range: argument.clone(), three_part: true },
        "numerical" => Order::Numerical(direction()?),
        "alphabetical" => Order::Alphabetical(direction()?),
        other => return Err(format!("expected spec.policy to be semver, numerical or alphabetical, found {other:?}")),
    };
    let filter = policy.filter.as_ref().map(|(pattern, extract)| (pattern.as_str(), extract.as_str()));
    let policy = TagPolicy::new(order, filter, source.exclusion_list.clone()).map_err(|error| error.to_string())?;
    Ok((repository, policy))
}

/// The definition that a marker in `file` means. A fleet repository may define one key once a cluster: then the
/// definition nearest in the folder tree is meant, as each cluster's automation reads its own cluster's policies.
fn resolve(key: &PolicyKey, file: &str, definitions: &Definitions) -> Result<Arc<Policy>, Unresolved> {
    let Some(found) = definitions.get(key) else {
        let near: Vec<String> = definitions
            .values()
            .flatten()
            .filter(|policy| policy.key.name == key.name)
            .map(|policy| format!("{} in {}", policy.key, policy.file))
            .collect();
        return Err(Unresolved::Missing(match near.is_empty() {
            true => format!("no ImagePolicy {key} in this repository"),
            false => format!("no ImagePolicy {key} in this repository; there is {}", near.join(", ")),
        }));
    };
    let nearest = found.iter().map(|policy| shared_folders(&policy.file, file)).max().unwrap_or(0);
    let mut candidates = found.iter().filter(|policy| shared_folders(&policy.file, file) == nearest);
    match (candidates.next(), candidates.next()) {
        (Some(policy), None) => Ok(policy.clone()),
        (Some(first), Some(second)) => Err(Unresolved::Ambiguous(format!(
            "ImagePolicy {key} is defined in {} and in {}, equally near to this file",
            first.file, second.file
        ))),
        (None, _) => Err(Unresolved::Missing(format!("no ImagePolicy {key} in this repository"))),
    }
}

/// How many leading folders two files share.
fn shared_folders(a: &str, b: &str) -> usize {
    let folders = |file: &str| file.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
    let (a, b) = (folders(a), folders(b));
    a.split('/').zip(b.split('/')).take_while(|(a, b)| a == b && !a.is_empty()).count()
}

/// An automation's path as far as the repository tells it: what stands below a `${…}` that is filled in elsewhere may be
/// anywhere, so the automation counts for all of it.
fn known_part(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').take_while(|segment| !segment.contains("${")).collect();
    join("", &segments.join("/"))
}
