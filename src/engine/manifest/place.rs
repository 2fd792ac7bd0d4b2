//! Where in an object images stand: the fields that Kubernetes, kustomize and Helm charts give them.

use super::{
    Part, is_string,
    yaml::{Node, NodeKind, Style},
};

/// A place in the structure of an object, as far as images care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// No image below, save by marker.
    Other,
    Pod,
    CronJob,
    CronJobSpec,
    /// An object with `spec.template.spec`.
    Workload,
    WorkloadSpec,
    /// A pod template: its `spec` is a pod's.
    Template,
    PodTemplate,
    PodSpec,
    Containers,
    Container,
    HelmRelease,
    HelmReleaseSpec,
    PostRenderers,
    PostRenderer,
    /// Below it stands kustomize's `images`: a kustomization, Flux's `spec`, a post-renderer.
    Kustomize,
    FluxKustomization,
    Images,
    Image,
    /// Helm values, at any depth.
    Values,
    /// What stands below a key `image` (or `sidecarImage`) of Helm values.
    ImageValues,
    /// A list of JSON6902 operations.
    Patch,
    Operation,
}

/// Groups of `kind: Kustomization`.
pub(super) const KUSTOMIZE: &str = "kustomize.config.k8s.io";
pub(super) const FLUX_KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io";

impl Place {
    /// Of an object, by its kind. Strategic-merge patches look like the objects that they patch.
    pub(super) fn of_object(group: &str, kind: &str) -> Place {
        match kind {
            "Pod" => Place::Pod,
            "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet" | "ReplicationController" | "Job" => {
                Place::Workload
            }
            "CronJob" => Place::CronJob,
            "PodTemplate" => Place::PodTemplate,
            // The second is what Flux v1 called them in its first years.
            "HelmRelease" | "FluxHelmRelease" => Place::HelmRelease,
            "Kustomization" if group == FLUX_KUSTOMIZE => Place::FluxKustomization,
            "Kustomization" | "Component" if group == KUSTOMIZE => Place::Kustomize,
            _ => Place::Other,
        }
    }

    /// The place of a mapping's value.
    pub(super) fn key(self, key: &str) -> Place {
        match (self, key) {
            (Place::Pod | Place::Template, "spec") => Place::PodSpec,
            (Place::Workload, "spec") => Place::WorkloadSpec,
            (Place::WorkloadSpec | Place::PodTemplate, "template") => Place::Template,
            (Place::CronJob, "spec") => Place::CronJobSpec,
            (Place::CronJobSpec, "jobTemplate") => Place::Workload,
            (Place::PodSpec, "containers" | "initContainers" | "ephemeralContainers") => Place::Containers,
            (Place::HelmRelease, "spec") => Place::HelmReleaseSpec,
            (Place::HelmReleaseSpec, "values") => Place::Values,
            (Place::HelmReleaseSpec, "postRenderers") => Place::PostRenderers,
            (Place::PostRenderer, "kustomize") | (Place::FluxKustomization, "spec") => Place::Kustomize,
            (Place::Kustomize, "images") => Place::Images,
            (Place::Values | Place::ImageValues, "image") => Place::ImageValues,
            (Place::Values | Place::ImageValues, key) if key.ends_with("Image") => Place::ImageValues,
            (Place::Values | Place::ImageValues, _) => Place::Values,
            _ => Place::Other,
        }
    }

    /// The place of a sequence's items.
    pub(super) fn item(self) -> Place {
        match self {
            Place::Containers => Place::Container,
            Place::Images => Place::Image,
            Place::PostRenderers => Place::PostRenderer,
            Place::Patch => Place::Operation,
            Place::Values | Place::ImageValues => Place::Values,
            _ => Place::Other,
        }
    }

    /// Which fields of the mapping at this place hold an image or a part of one.
    pub(super) fn fields(self, mapping: &Node<'_>) -> Fields {
        match self {
            Place::Container => {
                Fields { image: string(mapping.get("image")).map(Into::into), parts: vec![("image", Part::Reference)] }
            }
            Place::Image => kustomize_image(mapping),
            Place::Values | Place::ImageValues => values(mapping, self == Place::ImageValues),
            Place::Operation => operation(mapping),
            _ => Fields::default(),
        }
    }
}

/// The image fields of one mapping.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// The reference that they say together, as far as they do.
    pub image: Option<String>,
    pub parts: Vec<(&'static str, Part)>,
}

impl Fields {
    pub(super) fn part(&self, key: &str) -> Option<Part> {
        self.parts.iter().find(|(field, _)| *field == key).map(|(_, part)| *part)
    }
}

/// A value that is a string to Kubernetes, and not empty. `tag: 1.10` is the number 1.1.
fn string<'n>(node: Option<&'n Node<'_>>) -> Option<&'n str> {
    match &node?.kind {
        NodeKind::Scalar { value, style } => {
            (!value.is_empty() && (*style != Style::Plain || is_string(value))).then_some(value)
        }
        _ => None,
    }
}

/// kustomize's own rule: `newTag` and `digest` replace whatever the base had, both where both are given.
/// <https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/>
fn kustomize_image(mapping: &Node<'_>) -> Fields {
    let name = string(mapping.get("newName")).or_else(|| string(mapping.get("name")));
    let image = name.map(|name| join(None, name, string(mapping.get("newTag")), string(mapping.get("digest"))));
    Fields { image, parts: vec![("newName", Part::Name), ("newTag", Part::Tag), ("digest", Part::Digest)] }
}

/// The layouts that charts use: `image: repo:tag`; `image` or `repository` beside `tag`, `digest` and `registry`.
/// `tag` alone counts below a key `image`: the rest stands in the chart.
fn values(mapping: &Node<'_>, below_image: bool) -> Fields {
    let (mut repository, mut name, mut registry, mut tag, mut digest) = (None, None, None, None, None);
    for (key, value) in mapping.entries() {
        match key.as_str() {
            Some("repository") => repository = Some(value),
            Some("image") => name = Some(value),
            Some("registry") => registry = Some(value),
            Some("tag") => tag = Some(value),
            Some("digest") => digest = Some(value),
            _ => {}
        }
    }
    // A `repository` alone is often none of images: it counts where something else says so.
    let mut parts = Vec::new();
    let (field, name) =
        match (string(repository).filter(|text| is_name(text)), string(name).filter(|text| is_name(text))) {
            (Some(text), _)
                if below_image || tag.is_some() || digest.is_some() || registry.is_some() || is_whole(text) =>
            {
                ("repository", Some(text))
            }
            (_, Some(text)) => ("image", Some(text)),
            _ => ("", None),
        };
    let registry = string(registry).filter(|text| is_name(text));
    let Some(name) = name else {
        if below_image && mapping.get("image").is_none() {
            parts.extend(tag.map(|_| ("tag", Part::Tag)));
        }
        return Fields { image: None, parts };
    };
    if is_whole(name) {
        return Fields { image: Some(join(registry, name, None, None)), parts: vec![(field, Part::Reference)] };
    }
    let bare = field == "image" && tag.is_none() && digest.is_none();
    parts.push((field, if bare { Part::Reference } else { Part::Name }));
    parts.extend(tag.map(|_| ("tag", Part::Tag)));
    parts.extend(digest.map(|_| ("digest", Part::Digest)));
    Fields { image: Some(join(registry, name, string(tag), string(digest))), parts }
}

/// `{op: replace, path: /spec/template/spec/containers/0/image, value: a:v1}` in a JSON6902 patch.
fn operation(mapping: &Node<'_>) -> Fields {
    let last = mapping.get("path").and_then(Node::as_str).and_then(|path| path.rsplit('/').next());
    let part = match last {
        Some("image") => Part::Reference,
        Some("newTag" | "tag") => Part::Tag,
        Some("newName") => Part::Name,
        Some("digest") => Part::Digest,
        _ => return Fields::default(),
    };
    let image = (part == Part::Reference).then(|| string(mapping.get("value")).map(String::from)).flatten();
    Fields { image, parts: vec![("value", part)] }
}

/// Whether a text can be an image's name, with or without a tag: no URL, no path of a file, no sentence.
fn is_name(text: &str) -> bool {
    let text = text.split_once("@sha256:").map_or(text, |(name, _)| name);
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:${}".contains(&b))
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'$')
        && !text.contains("://")
}

/// Whether a name has its tag or digest with it: `host:5000/x` has a port.
pub(super) fn is_whole(text: &str) -> bool {
    text.contains('@') || text.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

fn join(registry: Option<&str>, name: &str, tag: Option<&str>, digest: Option<&str>) -> String {
    let mut image = String::new();
    for (text, before, after) in [(registry, "", "/"), (Some(name), "", ""), (tag, ":", ""), (digest, "@", "")] {
        if let Some(text) = text {
            image.extend([before, text, after]);
        }
    }
    image
}
