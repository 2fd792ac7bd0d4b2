//! Objects that butler reads as data: Flux's image objects and kustomizations.

use super::{
    FluxObject, ImagePolicyObject, ImageRepositoryObject, ImageUpdateAutomationObject, InlinePatch, Kustomization,
    KustomizeImage, LabelSelector, SourceRef,
    yaml::{Node, NodeKind},
};
use std::collections::BTreeMap;

/// A field that is missing or of the wrong type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invalid {
    /// Byte offset of what was found; of the object where something is missing.
    pub offset: usize,
    pub message: String,
}

type Read<T> = Result<T, Invalid>;

/// Reads an object of the group `image.toolkit.fluxcd.io`, whatever its version; `None` for other kinds.
pub(super) fn flux(kind: &str, object: &Node<'_>) -> Option<Read<FluxObject>> {
    let fields = Fields { object, path: String::new(), node: Some(object) };
    match kind {
        "ImageRepository" => Some(repository(&fields).map(FluxObject::ImageRepository)),
        "ImagePolicy" => Some(policy(&fields).map(FluxObject::ImagePolicy)),
        "ImageUpdateAutomation" => Some(automation(&fields).map(FluxObject::ImageUpdateAutomation)),
        _ => None,
    }
}

fn repository(object: &Fields<'_>) -> Read<ImageRepositoryObject> {
    let spec = object.mapping("spec")?;
    Ok(ImageRepositoryObject {
        image: spec.required("image")?,
        exclusion_list: spec.strings("exclusionList")?,
        suspend: spec.boolean("suspend")?,
    })
}

fn policy(object: &Fields<'_>) -> Read<ImagePolicyObject> {
    let spec = object.mapping("spec")?;
    let reference = spec.mapping("imageRepositoryRef")?;
    let filter = spec.mapping("filterTags")?;
    let pattern = filter.string("pattern")?;
    let choice = spec.mapping("policy")?;
    let order = if choice.has("semver") {
        ("semver".into(), choice.mapping("semver")?.required("range")?)
    } else if let Some(order) = ["alphabetical", "numerical"].into_iter().find(|order| choice.has(order)) {
        (order.into(), choice.mapping(order)?.string("order")?.unwrap_or_else(|| "asc".into()))
    } else {
        return Err(choice.missing("one of semver, alphabetical, numerical"));
    };
    Ok(ImagePolicyObject {
        labels: object.mapping("metadata")?.map("labels")?,
        repository: reference.required("name")?,
        repository_namespace: reference.string("namespace")?,
        filter: pattern.map(|pattern| Ok((pattern, filter.string("extract")?.unwrap_or_default()))).transpose()?,
        order,
        digest_reflection: spec.string("digestReflectionPolicy")?,
        suspend: spec.boolean("suspend")?,
    })
}

fn automation(object: &Fields<'_>) -> Read<ImageUpdateAutomationObject> {
    let spec = object.mapping("spec")?;
    let git = spec.mapping("git")?;
    // v1alpha1 had the fields of `git` one level up, and the author's in one.
    let (git, alpha) = if git.node.is_some() { (git, false) } else { (spec.clone(), true) };
    let (checkout, push, commit) = (git.mapping("checkout")?, git.mapping("push")?, git.mapping("commit")?);
    let author = commit.mapping("author")?;
    let source = spec.mapping("sourceRef")?;
    let selector = spec.mapping("policySelector")?;
    Ok(ImageUpdateAutomationObject {
        source: match source.node {
            Some(_) => Some(SourceRef {
                kind: source.string("kind")?.unwrap_or_else(|| "GitRepository".into()),
                name: source.required("name")?,
                namespace: source.string("namespace")?,
            }),
            None => None,
        },
        path: spec.mapping("update")?.string("path")?,
        checkout_branch: if alpha { checkout.string("branch")? } else { checkout.mapping("ref")?.string("branch")? },
        push_branch: push.string("branch")?,
        push_refspec: push.string("refspec")?,
        message_template: commit.string("messageTemplate")?,
        message_template_values: commit.map("messageTemplateValues")?,
        author_name: if alpha { commit.string("authorName")? } else { author.string("name")? },
        author_email: if alpha { commit.string("authorEmail")? } else { author.string("email")? },
        policy_selector: match selector.node {
            Some(_) => Some(label_selector(&selector)?),
            None => None,
        },
        suspend: spec.boolean("suspend")?,
    })
}

fn label_selector(selector: &Fields<'_>) -> Read<LabelSelector> {
    let expression = |term: Fields<'_>| {
        Ok((term.required("key")?, term.required("operator")?, term.strings("values")?.unwrap_or_default()))
    };
    Ok(LabelSelector {
        match_labels: selector.map("matchLabels")?,
        match_expressions: selector.mappings("matchExpressions")?.into_iter().map(expression).collect::<Read<_>>()?,
    })
}

/// Reads a kustomization. What is not understood is left out: kustomize itself says what is wrong with it.
pub(super) fn kustomization(object: &Node<'_>) -> Kustomization {
    let text = |node: &Node<'_>, key: &str| node.get(key).and_then(Node::as_str).map(String::from);
    let list = |key: &str| object.get(key).map(Node::items).unwrap_or_default();
    let strings = |key: &str| list(key).iter().filter_map(Node::as_str).map(String::from).collect::<Vec<_>>();
    let mut kustomization = Kustomization { namespace: text(object, "namespace"), ..Kustomization::default() };
    for key in ["resources", "bases", "components"] {
        kustomization.resources.extend(strings(key));
    }
    // An item of patchesStrategicMerge may be the patch itself.
    for patch in strings("patchesStrategicMerge") {
        if patch.contains('\n') {
            kustomization.inline_patches.push(InlinePatch { text: patch, ..InlinePatch::default() });
        } else {
            kustomization.patches.push(patch);
        }
    }
    for item in ["patches", "patchesJson6902"].into_iter().flat_map(list) {
        kustomization.patches.extend(text(item, "path"));
        if let Some(patch) = text(item, "patch") {
            let target = |key: &str| item.at(&["target", key]).and_then(Node::as_str).unwrap_or_default().to_string();
            kustomization.inline_patches.push(InlinePatch { kind: target("kind"), name: target("name"), text: patch });
        }
    }
    kustomization.images = list("images")
        .iter()
        .filter_map(|image| {
            Some(KustomizeImage {
                name: text(image, "name")?,
                new_name: text(image, "newName"),
                new_tag: text(image, "newTag"),
                digest: text(image, "digest"),
            })
        })
        .collect();
    kustomization
}

/// A mapping of an object, which may be missing, and how to get there.
#[derive(Clone)]
struct Fields<'n> {
    object: &'n Node<'n>,
    path: String,
    node: Option<&'n Node<'n>>,
}

impl<'n> Fields<'n> {
    /// A field's value; a null counts as missing, as it does for Kubernetes.
    fn get(&self, key: &str) -> Option<&'n Node<'n>> {
        self.node?.get(key).filter(|node| !node.is_null())
    }

    fn has(&self, key: &str) -> bool {
        // `numerical: {}` and `numerical:` both choose it.
        self.node.is_some_and(|node| node.get(key).is_some())
    }

    fn join(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }

    fn missing(&self, what: &str) -> Invalid {
        let offset = self.node.unwrap_or(self.object).span.start;
        let place = if self.path.is_empty() { String::new() } else { format!(" in {}", self.path) };
        Invalid { offset, message: format!("expected {what}{place}, found nothing") }
    }

    fn wrong(&self, key: &str, expected: &str, found: &Node<'_>) -> Invalid {
        let message = format!("expected {expected} at {}, found {}", self.join(key), found.describe());
        Invalid { offset: found.span.start, message }
    }

    fn mapping(&self, key: &str) -> Read<Fields<'n>> {
        match self.get(key) {
            Some(node) if !matches!(node.kind, NodeKind::Mapping(_)) => Err(self.wrong(key, "a mapping", node)),
            node => Ok(Fields { object: self.object, path: self.join(key), node }),
        }
    }

    fn mappings(&self, key: &str) -> Read<Vec<Fields<'n>>> {
        let items = self.sequence(key)?.unwrap_or_default();
        let item =
            |(i, node)| Fields { object: self.object, path: format!("{}[{i}]", self.join(key)), node: Some(node) };
        Ok(items.iter().enumerate().map(item).collect())
    }

    fn sequence(&self, key: &str) -> Read<Option<&'n [Node<'n>]>> {
        match self.get(key) {
            None => Ok(None),
            Some(Node { kind: NodeKind::Sequence(items), .. }) => Ok(Some(items)),
            Some(node) => Err(self.wrong(key, "a sequence", node)),
        }
    }

    fn string(&self, key: &str) -> Read<Option<String>> {
        self.get(key).map(|node| self.text(key, node)).transpose()
    }

    fn text(&self, key: &str, node: &Node<'_>) -> Read<String> {
        match node.as_str() {
            Some(text) if node.describe() == "a string" => Ok(text.into()),
            _ => Err(self.wrong(key, "a string", node)),
        }
    }

    fn required(&self, key: &str) -> Read<String> {
        self.string(key)?.ok_or_else(|| self.missing(key))
    }

    fn strings(&self, key: &str) -> Read<Option<Vec<String>>> {
        let items = self.sequence(key)?;
        items.map(|items| items.iter().map(|item| self.text(key, item)).collect()).transpose()
    }

    fn map(&self, key: &str) -> Read<BTreeMap<String, String>> {
        let fields = self.mapping(key)?;
        let entries = fields.node.map(Node::entries).unwrap_or_default();
        let entry = |(name, value): &(Node<'_>, Node<'_>)| {
            let name = name.as_str().unwrap_or_default();
            Ok((name.to_string(), fields.text(name, value)?))
        };
        entries.iter().map(entry).collect()
    }

    fn boolean(&self, key: &str) -> Read<bool> {
        match self.get(key) {
            None => Ok(false),
            Some(node) => match node.as_str() {
                // The spellings of YAML 1.1, which kubectl reads; a quoted one is a string to it.
                Some("true" | "True" | "TRUE" | "yes" | "on") if node.describe() != "a string" => Ok(true),
                Some("false" | "False" | "FALSE" | "no" | "off") if node.describe() != "a string" => Ok(false),
                _ => Err(self.wrong(key, "true or false", node)),
            },
        }
    }
}
