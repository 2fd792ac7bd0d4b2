//! Flux v2: `ImageRepository`, `ImagePolicy` and `ImageUpdateAutomation` objects read from the repository itself, as
//! clusters get them ([`Rendering`]), and `$imagepolicy` markers.

use super::{
    Automation, Binding, Bindings, CommitStyle, DigestReflection, Lines, Policy, PolicyKey, PolicyState, Problem,
    Unresolved,
    holding::{Earlier, Kept},
    kustomize::{DEFAULT_NAMESPACE, Inclusions, NamedFolders, folder, is_below, join},
    render::{Emptied, Rendered, Rendering},
};
use crate::engine::{
    image::Repository,
    manifest::{
        FluxObject, IMAGE_GROUP, ImagePolicyObject, ImageRepositoryObject, ImageUpdateAutomationObject, LabelSelector,
        Position, Scan, group_of,
    },
    policy::{Direction, Memo, Order, TagPolicy},
    snapshot::Snapshot,
    template::Template,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, btree_map::Entry},
    sync::Arc,
};

/// An ImageRepository of one root.
struct Source {
    file: String,
    position: Position,
    root: usize,
    object: ImageRepositoryObject,
}

/// A policy as some roots have it.
#[derive(Debug)]
struct Definition {
    object: ImagePolicyObject,
    source: Option<ImageRepositoryObject>,
    policy: Arc<Policy>,
}

impl Definition {
    /// All that tells what the policy allows.
    fn says(&self) -> impl PartialEq + '_ {
        let ImagePolicyObject { filter, order, digest_reflection, suspend, .. } = &self.object;
        let source = self.source.as_ref().map(|source| (&source.exclusion_list, source.suspend));
        let denied = matches!(self.policy.state, PolicyState::Invalid(_));
        (filter, order, digest_reflection, *suspend, source, denied, self.policy.image.as_str())
    }
}

/// An automation, and the roots that have it.
#[derive(Debug)]
struct Writer {
    automation: Automation,
    roots: BTreeSet<usize>,
}

/// `annotated`: policies from elsewhere that markers may follow too.
pub(super) fn bind(
    snapshot: &Snapshot,
    included: &Inclusions<'_>,
    annotated: &[Arc<Policy>],
    earlier: Option<&Earlier<'_>>,
) -> Bindings {
    let objects = earlier.and_then(|earlier| earlier.objects(snapshot));
    let objects = objects.unwrap_or_else(|| Arc::new(Objects::of(snapshot, included)));
    // Indexes into definitions count here too; what has none comes after them.
    let defined = objects.definitions.iter().map(|definition| definition.policy.clone());
    let mut policies: Vec<Arc<Policy>> = defined.chain(annotated.iter().cloned()).collect();
    let automations: Vec<Automation> = objects.writers.iter().map(|writer| writer.automation.clone()).collect();
    let kept = earlier.and_then(|earlier| earlier.kept(&mut policies, &automations));
    let mut by_name: HashMap<Name<'_>, Vec<usize>> = HashMap::new();
    for (number, policy) in policies.iter().enumerate() {
        by_name.entry((&policy.key.namespace, &policy.key.name)).or_default().push(number);
    }
    let resolver = Resolver { objects: &objects, policies: &policies, by_name };
    let mut scans = snapshot.scans.lookup();
    // Most lines of a repository are written by the same ones.
    let mut writers: Arc<[usize]> = Arc::default();
    let marked = &included.outline.marked;
    let mut bind = |file: &str| {
        let (file, scan) = scans.get(file).filter(|(file, _)| marked.contains_key(file))?;
        Some((file.clone(), resolver.bindings(file, scan, &mut writers)))
    };
    let lines = match kept {
        None => marked.keys().filter_map(|file| bind(file)).collect(),
        Some(Kept { mut lines, again }) => {
            for file in again {
                match bind(&file) {
                    Some((file, bindings)) => lines.set(file, bindings),
                    None => lines.remove(&file),
                }
            }
            lines
        }
    };
    let problems = objects.problems_beside(&lines);
    let outline = included.outline.clone();
    let markable = policies.len();
    Bindings { marked: lines, policies, markable, automations, problems, outline, objects, ..Bindings::default() }
}

/// What Flux's objects of a repository say, as its clusters get them.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub rendering: Rendering,
    definitions: Vec<Definition>,
    writers: Vec<Writer>,
    problems: Problems,
    left_out: BTreeMap<String, LeftOut>,
}

/// A file that its kustomization does not include, and nothing else brings into a cluster.
#[derive(Debug)]
struct LeftOut {
    notice: Problem,
    /// The policies in it.
    policies: BTreeSet<PolicyKey>,
}

/// Several roots may have one problem: it is said once.
type Problems = BTreeMap<(String, Position, String), Problem>;

impl Objects {
    fn of(snapshot: &Snapshot, included: &Inclusions<'_>) -> Self {
        let rendering = Rendering::of(snapshot, included);
        let mut reading = Reading::default();
        let mut folders = NamedFolders::new();
        for object in &rendering.objects {
            reading.read(snapshot, &rendering, object);
            if is_image_object(object)
                && let Some(kustomization) = included.left_out_by(&object.file, &mut folders)
            {
                reading.left_out(&rendering, kustomization, object);
            }
        }
        reading.define(&snapshot.memo);
        let Reading { definitions, writers, problems, left_out, .. } = reading;
        let left_out = left_out.into_iter().filter_map(|(file, left_out)| Some((file, left_out?))).collect();
        Objects { rendering, definitions, writers, problems, left_out }
    }

    /// What is wrong with the objects. Those of a file that is left out mean nothing to anybody, save where a marker names
    /// a policy in it. `lines`: what markers bind.
    fn problems_beside(&self, lines: &Lines) -> Vec<Problem> {
        let mut left_out: BTreeMap<&str, &LeftOut> =
            self.left_out.iter().map(|(file, left_out)| (file.as_str(), left_out)).collect();
        if left_out.values().any(|it| !it.policies.is_empty()) {
            let named: HashSet<&PolicyKey> = lines.iter().map(Binding::key).collect();
            left_out.retain(|_, it| it.policies.iter().all(|key| !named.contains(key)));
        }
        let notices = left_out.values().map(|it| &it.notice);
        let told = self.problems.values().filter(|problem| !left_out.contains_key(problem.file.as_str()));
        told.chain(notices).cloned().collect()
    }

    /// Whether some automation is confined to this path.
    pub fn is_update_path(&self, path: &str) -> bool {
        self.writers.iter().any(|writer| writer.automation.path == path)
    }
}

/// What was read of the rendered objects so far.
#[derive(Default)]
struct Reading<'r> {
    sources: BTreeMap<PolicyKey, Vec<Source>>,
    policies: Vec<(PolicyKey, &'r Rendered, ImagePolicyObject)>,
    definitions: Vec<Definition>,
    writers: Vec<Writer>,
    problems: Problems,
    /// Nothing for files that something else brings.
    left_out: BTreeMap<String, Option<LeftOut>>,
}

impl<'r> Reading<'r> {
    fn read(&mut self, snapshot: &Snapshot, rendering: &Rendering, object: &'r Rendered) {
        let Some(read) = is_image_object(object).then(|| FluxObject::read(&object.kind, &object.content)).flatten()
        else {
            return;
        };
        let kind = &object.kind;
        for why in &object.problems {
            self.problem("patch-failed", object, format!("{kind} {}: {why}", object.name));
        }
        for why in unresolved(object) {
            self.problem("substitution-unresolved", object, format!("{kind} {}: {why}", object.name));
        }
        for Emptied { position, name, by } in &object.emptied {
            let message = format!(
                "ImagePolicy {}: `${{{name}}}` is emptied by Kustomization {by}, whose postBuild gives it no value, so \
                 that the extract is without it; write `${name}` or `$${{{name}}}`",
                object.name
            );
            self.put(Problem { code: "extract-emptied", file: object.file.clone(), position: *position, message });
        }
        let key = key_of(object);
        match read {
            Ok(FluxObject::ImageRepository(source)) => {
                let source =
                    Source { file: object.file.clone(), position: object.position, root: object.root, object: source };
                self.sources.entry(key).or_default().push(source);
            }
            Ok(FluxObject::ImagePolicy(policy)) => {
                self.tell_refused(object);
                self.policies.push((key, object, policy));
            }
            // What another repository is written by is no business of this one.
            Ok(FluxObject::ImageUpdateAutomation(ImageUpdateAutomationObject { source: Some(source), .. }))
                if rendering.is_elsewhere(object.root, &source.name) => {}
            Ok(FluxObject::ImageUpdateAutomation(automation)) => {
                self.tell_refused(object);
                self.automation(snapshot, &key, object, automation);
            }
            Err(invalid) => {
                let problem = Problem {
                    code: "flux-object-invalid",
                    file: object.file.clone(),
                    position: invalid.position,
                    message: format!("{kind} {}: {invalid}", object.name),
                };
                self.put(problem);
            }
        }
    }

    /// What Flux does not take as it stands here may be completed where it is not seen: it counts all the same.
    fn tell_refused(&mut self, object: &Rendered) {
        if let Some(refused) = FluxObject::refused(&object.kind, &object.content) {
            let message = format!("{} {}: {refused}: Flux takes no such object", object.kind, object.name);
            let (file, position) = (object.file.clone(), refused.position);
            self.put(Problem { code: "flux-object-refused", file, position, message });
        }
    }

    /// An object of a file that a kustomization does not include.
    fn left_out(&mut self, rendering: &Rendering, kustomization: &str, object: &Rendered) {
        let left_out = match self.left_out.entry(object.file.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let message = format!(
                    "{kustomization} does not list this file: no cluster gets what it defines; list it, or remove it"
                );
                let (file, position) = (object.file.clone(), object.position);
                let notice = Problem { code: "file-not-included", file, position, message };
                // Only it itself brings it: no kustomization, Flux Kustomization or chart.
                let is_alone = rendering.reach(&object.file).owners.len() == 1;
                new.insert(is_alone.then(|| LeftOut { notice, policies: BTreeSet::new() }))
            }
        };
        let Some(left_out) = left_out else { return };
        if object.kind == "ImagePolicy" {
            left_out.policies.insert(key_of(object));
        }
    }

    fn automation(
        &mut self,
        snapshot: &Snapshot,
        key: &PolicyKey,
        object: &Rendered,
        read: ImageUpdateAutomationObject,
    ) {
        let path = known_part(read.path.as_deref().unwrap_or_default());
        let in_tree = |path: &str| {
            let below = snapshot.entries.range(&format!("{path}/")).next();
            snapshot.entries.contains_key(path) || below.is_some_and(|(file, _)| is_below(file, path))
        };
        if !path.is_empty() && !in_tree(&path) {
            let message = format!(
                "ImageUpdateAutomation {}: spec.update.path is {path}, and there is no such folder: it updates nothing",
                object.name
            );
            self.problem("update-path-missing", object, message);
        }
        // What is checked out without a branch is what the GitRepository says, which another repository may define.
        let branches = match (read.checkout_branch, read.push_branch, read.push_refspec) {
            (Some(checkout), push, None) => {
                let branches: Vec<String> = std::iter::once(checkout).chain(push).collect();
                if branches.iter().any(|branch| branch.contains("${")) { Vec::new() } else { branches }
            }
            _ => Vec::new(),
        };
        if let Some(template) = &read.message_template {
            for (code, why) in Template::lint(template) {
                self.problem(code, object, format!("ImageUpdateAutomation {}: messageTemplate: {why}", object.name));
            }
        }
        let expressions = read.policy_selector.iter().flat_map(|selector| &selector.match_expressions);
        for (_, operator, _) in expressions.filter(|(_, operator, _)| !OPERATORS.contains(&operator.as_str())) {
            let message = format!(
                "ImageUpdateAutomation {}: expected spec.policySelector.matchExpressions' operator to be {}, found \
                 {operator:?}: it selects no policy",
                object.name,
                OPERATORS.join(", ")
            );
            self.problem("flux-object-invalid", object, message);
        }
        let automation = Automation {
            object: format!("ImageUpdateAutomation/{}/{}", key.namespace, key.name),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            file: object.file.clone(),
            position: object.position,
            path,
            suspended: read.suspend,
            branches,
            commit: CommitStyle {
                template: read.message_template.filter(|template| !template.is_empty()),
                values: read.message_template_values,
                author: read.author_email.map(|email| (read.author_name.unwrap_or_default(), email)),
            },
            selector: read.policy_selector,
        };
        match self.writers.iter_mut().find(|writer| writer.automation == automation) {
            Some(writer) => drop(writer.roots.insert(object.root)),
            None => self.writers.push(Writer { automation, roots: BTreeSet::from([object.root]) }),
        }
    }

    /// Puts policies and their repositories together.
    fn define(&mut self, memo: &Memo) {
        let mut by_key: HashMap<PolicyKey, Vec<usize>> = HashMap::new();
        for (key, object, read) in std::mem::take(&mut self.policies) {
            let namespace = read.repository_namespace.clone().unwrap_or_else(|| key.namespace.clone());
            let repository = PolicyKey { namespace, name: read.repository.clone() };
            let found = self.source(&repository, object);
            let source = found.map(|source| source.object.clone());
            let same =
                |known: &Definition| known.policy.file == object.file && known.object == read && known.source == source;
            let of_key = by_key.entry(key.clone()).or_default();
            if let Some(&number) = of_key.iter().find(|number| same(&self.definitions[**number])) {
                Arc::make_mut(&mut self.definitions[number].policy).roots.insert(object.root);
                continue;
            }
            of_key.push(self.definitions.len());
            let mut policy = define(memo, &key, object, &read, &repository, found);
            // What a cluster makes of it is not known then: a patch may have suspended it.
            if let Some(why) = object.problems.first() {
                policy.state = PolicyState::Blocked { code: "patch-failed", why: why.clone() };
            }
            if let PolicyState::Invalid(why) = &policy.state {
                self.problem("policy-invalid", object, format!("policy {key}: {why}"));
            }
            if let PolicyState::Usable { policy: tags, .. } = &policy.state
                && object.unresolved.is_empty()
                && let Some(why) = tags.never_matches()
            {
                self.problem("extract-unknown-group", object, format!("policy {key}: {why}"));
            }
            self.definitions.push(Definition { object: read, source, policy: Arc::new(policy) });
        }
    }

    /// The ImageRepository that a policy names: of its own cluster, else the nearest in the folder tree.
    fn source(&self, key: &PolicyKey, policy: &Rendered) -> Option<&Source> {
        let nearness = |source: &&Source| (source.root == policy.root, shared_folders(&source.file, &policy.file));
        self.sources.get(key)?.iter().max_by_key(nearness)
    }

    fn problem(&mut self, code: &'static str, object: &Rendered, message: String) {
        self.put(Problem { code, file: object.file.clone(), position: object.position, message });
    }

    fn put(&mut self, problem: Problem) {
        self.problems.insert((problem.file.clone(), problem.position, problem.message.clone()), problem);
    }
}

fn is_image_object(object: &Rendered) -> bool {
    group_of(object.content.text(&["apiVersion"])) == IMAGE_GROUP
}

/// What the object is named by.
fn key_of(object: &Rendered) -> PolicyKey {
    let namespace = match object.namespace.as_str() {
        "" => DEFAULT_NAMESPACE,
        namespace => namespace,
    };
    PolicyKey { namespace: namespace.to_owned(), name: object.name.clone() }
}

/// What is said of the `${…}` that stay in an object.
fn unresolved(object: &Rendered) -> impl Iterator<Item = String> {
    let expressions = |given: bool| -> Vec<String> {
        let those = object.unresolved.iter().filter(|(_, is_given)| **is_given == given);
        those.map(|(expression, _)| format!("${{{expression}}}")).collect()
    };
    let (unknown, unsupported) = (expressions(false), expressions(true));
    let verb = if unknown.len() == 1 { "stands" } else { "stand" };
    let unknown = (!unknown.is_empty()).then(|| {
        format!(
            "the repository does not tell what {} {verb} for: what depends on it is not guessed; give the value in a \
             Kustomization's spec.postBuild.substitute, or in a ConfigMap that its substituteFrom names",
            unknown.join(", ")
        )
    });
    let unsupported = (!unsupported.is_empty()).then(|| {
        format!(
            "the value for {} is there, and butler does not evaluate what is done with it: what depends on it is not \
             guessed; give a name its own value in spec.postBuild.substitute, and write that name alone",
            unsupported.join(", ")
        )
    });
    [unknown, unsupported].into_iter().flatten()
}

/// A policy: its repository, its filter and order, or why it cannot be followed.
fn define(
    memo: &Memo,
    key: &PolicyKey,
    object: &Rendered,
    read: &ImagePolicyObject,
    repository: &PolicyKey,
    source: Option<&Source>,
) -> Policy {
    let digest = match read.digest_reflection.as_deref() {
        Some("Always") => DigestReflection::Always,
        Some("IfNotPresent") => DigestReflection::IfNotPresent,
        _ => DigestReflection::Never,
    };
    let state = match source {
        _ if read.suspend => PolicyState::Suspended(format!("ImagePolicy {key} is suspended")),
        None => PolicyState::Invalid(format!(
            "no ImageRepository {repository} in this repository; add it, or correct spec.imageRepositoryRef"
        )),
        Some(source) if !read.alpha && is_denied(&key.namespace, &repository.namespace, &source.object) => {
            let Source { file, position, .. } = source;
            PolicyState::Invalid(format!(
                "ImageRepository {repository} ({file}:{position}) is of another namespace and does not allow policies of \
                 {namespace}: Flux gives them none of its tags; add matchLabels {{kubernetes.io/metadata.name: \
                 {namespace}}} to its spec.accessFrom.namespaceSelectors, or an ImageRepository to {namespace}",
                namespace = key.namespace
            ))
        }
        Some(source) if source.object.suspend => {
            PolicyState::Suspended(format!("ImageRepository {repository} is suspended"))
        }
        Some(source) => match compile(memo, read, &source.object) {
            Ok((repository, policy)) => PolicyState::Usable { repository, policy },
            Err(why) => PolicyState::Invalid(why),
        },
    };
    Policy {
        key: key.clone(),
        file: object.file.clone(),
        position: object.position,
        image: source.map(|source| source.object.image.clone()).unwrap_or_default(),
        state,
        digest,
        roots: BTreeSet::from([object.root]),
    }
}

/// Whether Flux is known to deny a repository to the policies of another namespace: HasAccessToRef in
/// <https://github.com/fluxcd/pkg/blob/main/runtime/acl/authorization.go>. Of a namespace's labels the name is known,
/// which Kubernetes gives to each; what else a selector asks for its owner has opened.
fn is_denied(namespace: &str, of_repository: &str, repository: &ImageRepositoryObject) -> bool {
    const NAME: &str = "kubernetes.io/metadata.name";
    let is_known = |text: &str| !text.contains("${");
    let excludes = |selector: &BTreeMap<String, String>| {
        selector.get(NAME).is_some_and(|name| is_known(name) && name != namespace)
    };
    namespace != of_repository
        && is_known(namespace)
        && is_known(of_repository)
        && repository.access_from.iter().all(excludes)
}

fn compile(
    memo: &Memo,
    policy: &ImagePolicyObject,
    source: &ImageRepositoryObject,
) -> Result<(Repository, Arc<TagPolicy>), String> {
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
    let policy = memo.policy(order, filter, source.exclusion_list.clone()).map_err(|error| error.to_string())?;
    Ok((repository, policy))
}

/// A policy's namespace and name, as in [`PolicyKey`].
type Name<'n> = (&'n str, &'n str);

/// What markers mean.
struct Resolver<'r> {
    objects: &'r Objects,
    policies: &'r [Arc<Policy>],
    by_name: HashMap<Name<'r>, Vec<usize>>,
}

impl Resolver<'_> {
    /// What the markers of a file bind. `writers`: the automations of the line before.
    fn bindings(&self, file: &Arc<str>, scan: &Scan, writers: &mut Arc<[usize]>) -> Vec<Binding> {
        let marked = scan.lines.iter().enumerate().filter_map(|(index, line)| Some((index, line.marker.as_ref()?)));
        let bound = marked.map(|(line, marker)| {
            let name = (marker.namespace.as_str(), marker.policy.as_str());
            if !self.automations(name, file).eq(writers.iter().copied()) {
                *writers = self.automations(name, file).collect();
            }
            Binding {
                file: file.clone(),
                line,
                part: marker.part,
                base: None,
                policy: self.resolve(name, file, writers).map_err(Box::new),
                automations: Some(writers.clone()),
                environments: Arc::default(),
            }
        });
        bound.collect()
    }

    /// The automations that write this policy's markers in `file`: of its namespace, over that path, and selecting it.
    fn automations<'n>(&'n self, name: Name<'n>, file: &'n str) -> impl Iterator<Item = usize> + 'n {
        let defined = self.by_name.get(&name).map(Vec::as_slice).unwrap_or_default();
        let selects = |writer: &Writer| match &writer.automation.selector {
            None => true,
            Some(selector) => defined
                .iter()
                .filter_map(|number| self.objects.definitions.get(*number))
                .any(|definition| selects(selector, &definition.object.labels)),
        };
        let follows = move |writer: &Writer| {
            writer.automation.namespace == name.0 && writer.automation.covers(file) && selects(writer)
        };
        self.objects.writers.iter().enumerate().filter(move |(_, writer)| follows(writer)).map(|(number, _)| number)
    }

    /// The definition that a marker in `file` means. A fleet repository may define one key once a cluster; then the one
    /// is meant that the cluster has whose automation writes the file, else that of a cluster which renders it, else the
    /// nearest in the folder tree.
    fn resolve(&self, name: Name<'_>, file: &str, automations: &[usize]) -> Result<Arc<Policy>, Unresolved> {
        let Some(found) = self.by_name.get(&name) else { return Err(self.missing(name)) };
        if let [only] = found.as_slice() {
            return Ok(self.policies[*only].clone());
        }
        let of_roots = |roots: &BTreeSet<usize>| -> Vec<usize> {
            let is_there = |number: &usize| self.policies.get(*number).is_some_and(|p| !p.roots.is_disjoint(roots));
            found.iter().copied().filter(is_there).collect()
        };
        let writers = automations.iter().filter_map(|number| self.objects.writers.get(*number));
        let mut candidates = of_roots(&writers.flat_map(|writer| writer.roots.iter().copied()).collect());
        if candidates.is_empty() {
            candidates = of_roots(&self.objects.rendering.reach(file).roots);
        }
        if candidates.is_empty() {
            candidates.clone_from(found);
        }
        let near = |number: &usize| self.policies.get(*number).map_or(0, |policy| shared_folders(&policy.file, file));
        let nearest = candidates.iter().map(near).max().unwrap_or(0);
        candidates.retain(|number| near(number) == nearest);
        // Labels say who follows a policy, not what it is.
        let same = |a: usize, b: usize| match (self.objects.definitions.get(a), self.objects.definitions.get(b)) {
            (Some(a), Some(b)) => a.says() == b.says(),
            _ => self.policies[a].means_as(&self.policies[b]),
        };
        match candidates.as_slice() {
            [first, rest @ ..] => match rest.iter().find(|other| !same(**other, *first)) {
                None => Ok(self.policies[*first].clone()),
                Some(other) => Err(Unresolved {
                    key: self.policies[*first].key.clone(),
                    code: "policy-ambiguous",
                    why: self.ambiguous(file, *first, *other),
                }),
            },
            [] => Err(self.missing(name)),
        }
    }

    fn ambiguous(&self, file: &str, first: usize, other: usize) -> String {
        let (first, other) = (&self.policies[first], &self.policies[other]);
        let key = &first.key;
        if first.file == other.file {
            let roots = self.objects.rendering.reach(file).roots;
            let who = match first.roots.is_disjoint(&roots) {
                true => "clusters, and none of them is seen to render this file",
                false => "clusters that all render this file",
            };
            return format!(
                "ImagePolicy {key} of {} is patched differently for {who}; let an ImageUpdateAutomation's \
                 spec.update.path tell them apart, or give the policies names of their own",
                first.file
            );
        }
        format!("ImagePolicy {key} is defined in {} and in {}, equally near to this file", first.file, other.file)
    }

    fn missing(&self, (namespace, name): Name<'_>) -> Unresolved {
        let key = PolicyKey { namespace: namespace.to_owned(), name: name.to_owned() };
        let near: BTreeSet<String> = self
            .policies
            .iter()
            .filter(|policy| policy.key.name == key.name)
            .map(|policy| format!("{} in {}", policy.key, policy.file))
            .collect();
        let why = match near.is_empty() {
            true => format!("no ImagePolicy {key} in this repository"),
            false => {
                let near: Vec<String> = near.into_iter().collect();
                format!("no ImagePolicy {key} in this repository; there is {}", near.join(", "))
            }
        };
        Unresolved { key, code: "policy-unresolved", why }
    }
}

/// What Kubernetes' label selection knows.
const OPERATORS: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];

/// Kubernetes' label selection.
fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let term = |(key, operator, values): &(String, String, Vec<String>)| match operator.as_str() {
        "In" => labels.get(key).is_some_and(|value| values.contains(value)),
        "NotIn" => labels.get(key).is_none_or(|value| !values.contains(value)),
        "Exists" => labels.contains_key(key),
        "DoesNotExist" => !labels.contains_key(key),
        _ => false,
    };
    selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().all(term)
}

/// How many leading folders two files share.
fn shared_folders(a: &str, b: &str) -> usize {
    folder(a).split('/').zip(folder(b).split('/')).take_while(|(a, b)| a == b && !a.is_empty()).count()
}

/// An automation's path as far as the repository tells it: what stands below a `${…}` that is filled in elsewhere may be
/// anywhere, so the automation counts for all of it. One that leads out of the repository stays as written: nothing is there.
fn known_part(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').take_while(|segment| !segment.contains("${")).collect();
    join("", &segments.join("/")).unwrap_or_else(|| path.to_owned())
}
