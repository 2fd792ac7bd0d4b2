//! What a document of a manifest is: its identity, and the objects that butler reads as data.

use super::{Data, ImageLine, Pattern, Position, Room};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// A Kubernetes object's identity as far as the file tells it: `Deployment/prod/app`, `Deployment//app`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    pub kind: SmolStr,
    /// As written in the object; empty where it is not.
    pub namespace: SmolStr,
    pub name: SmolStr,
}

impl ObjectId {
    /// As people write it: `Deployment/prod/app`, and without a namespace `Deployment/app`.
    pub fn shown(&self) -> String {
        match self.namespace.as_str() {
            "" => format!("{}/{}", self.kind, self.name),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// One document of a file (or one item of a `kind: List`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    pub api_version: SmolStr,
    /// `None` for a document that is no named object (Helm values, an unnamed kustomization).
    pub object: Option<ObjectId>,
    pub kind: SmolStr,
    /// Of the document's first node.
    pub position: Position,
    /// How many documents of the file before this one have the same identity; 0 for all but the second of two.
    pub occurrence: usize,
    /// `metadata.annotations`, in the order of the file. kubectl's copy of the object is left out.
    pub annotations: Vec<Annotation>,
    /// Of the kinds that kustomizations are rendered for: Flux's image objects, its Kustomizations and GitRepositories,
    /// the short values of ConfigMaps; and JSON6902 patches. What such an object says is told only after patches,
    /// namespaces and substitutions have been applied ([`FluxObject::read`]).
    pub content: Option<Arc<Data>>,
    /// Of an object of no kind that clusters know, which can only be a patch: a patch's target says what is patched,
    /// whatever the patch calls itself.
    pub patch: Option<Arc<Data>>,
    pub kustomization: Option<Box<Kustomization>>,
    /// Files and folders that this document brings along, as written: a HelmRelease's chart and its values files.
    pub brings: Vec<String>,
    /// What Flux v1 knows as the object's containers.
    pub containers: Vec<Container>,
    /// A `$patch` stands in it: it replaces or deletes what it patches.
    pub has_directives: bool,
    /// Of a patch of an object with containers that is written line by line: where it goes on.
    pub room: Option<Box<Room>>,
    /// Of a `.flux.yaml`.
    pub generator: Option<Box<Generator>>,
}

impl Document {
    /// What is kept of it as data: of an object that is rendered, or of what may patch one.
    pub fn data(&self) -> Option<&Data> {
        self.content.as_deref().or(self.patch.as_deref())
    }
}

/// A container of a workload, or an image in a HelmRelease's values, under the name that Flux v1 gives it. Lines are
/// named by the first byte of their [`ImageLine::span`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// A container's name; of values `chart-image`, a key of the values, or what an annotation calls it.
    pub name: SmolStr,
    /// The whole reference as written; `None` where a patch of a release has the tag alone.
    pub image: Option<SmolStr>,
    /// A registry in a key of its own. Not among the file's lines: it changes with the image's name only.
    pub registry: Option<Box<ImageLine>>,
    pub repository: Option<usize>,
    /// Where the tag stands in a key of its own.
    pub tag: Option<usize>,
    /// An alias or merge key brings the line that holds the tag, from another place of the document.
    pub aliased: bool,
    /// That line is brought to other fields too than the containers of this object.
    pub shared: bool,
}

impl Container {
    /// The line that holds the tag.
    pub fn tag_line(&self) -> Option<usize> {
        self.tag.or(self.repository)
    }
}

/// Flux v1's `.flux.yaml`: manifests come from commands, which butler never runs.
/// <https://fluxcd.io/legacy/flux/references/fluxyaml-config-files/>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generator {
    pub updates: Updates,
    /// The generators' commands.
    pub commands: Vec<String>,
}

/// How a `.flux.yaml` has updates written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Updates {
    /// `scanForFiles`: nothing is generated, whatever a `.flux.yaml` above says.
    InPlace,
    /// `patchUpdated`: into this file.
    PatchFile(String),
    /// `commandUpdated`: by a command.
    Command,
    /// Flux v1 refuses the file, for this reason.
    Invalid(String),
}

/// The group of Flux's image objects.
pub const IMAGE_GROUP: &str = "image.toolkit.fluxcd.io";

/// The group of an `apiVersion`; empty for the core's.
pub fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// One of an object's annotations. Dialects find theirs by their prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    pub key: String,
    /// As text, also where the file has a number, or a boolean: `yes` is `true`, unquoted.
    pub value: String,
    /// Of the value; in a block scalar, of its content.
    pub position: Position,
}

/// A Flux v2 image object (v1alpha1 to v1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FluxObject {
    ImageRepository(ImageRepositoryObject),
    ImagePolicy(ImagePolicyObject),
    ImageUpdateAutomation(ImageUpdateAutomationObject),
}

/// Flux's `ImageRepository`: <https://fluxcd.io/flux/components/image/imagerepositories/>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRepositoryObject {
    /// `spec.image`, as written.
    pub image: String,
    /// `spec.exclusionList`; `None` where unset.
    pub exclusion_list: Option<Vec<String>>,
    /// `spec.accessFrom.namespaceSelectors`, the `matchLabels` of each: the namespaces whose policies may use it.
    pub access_from: Vec<BTreeMap<String, String>>,
    pub suspend: bool,
}

/// Flux's `ImagePolicy`: <https://fluxcd.io/flux/components/image/imagepolicies/>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePolicyObject {
    /// `metadata.labels`: automations select policies by them.
    pub labels: BTreeMap<String, String>,
    /// `spec.imageRepositoryRef.name` and `.namespace`
    pub repository: String,
    pub repository_namespace: Option<String>,
    /// Of an API before v1beta1: it knows no other namespaces, nor who may use a repository.
    pub alpha: bool,
    /// `spec.filterTags.pattern` and `.extract`, empty where not given
    pub filter: Option<(String, String)>,
    /// `spec.policy.<order>` with its argument: `("semver", range)`, `("numerical", order)`, `("alphabetical", order)`;
    /// an order that is not given is `asc`.
    pub order: (String, String),
    /// `spec.digestReflectionPolicy`: `Never` (default), `IfNotPresent`, `Always`.
    pub digest_reflection: Option<String>,
    pub suspend: bool,
}

/// Flux's `ImageUpdateAutomation`: <https://fluxcd.io/flux/components/image/imageupdateautomations/>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageUpdateAutomationObject {
    /// `spec.sourceRef`: the GitRepository that is updated.
    pub source: Option<SourceRef>,
    /// `spec.update.path`
    pub path: Option<String>,
    /// `spec.git.checkout.ref.branch`; v1alpha1: `spec.checkout.branch`
    pub checkout_branch: Option<String>,
    /// `spec.git.push.branch`; v1alpha1: `spec.push.branch`
    pub push_branch: Option<String>,
    /// `spec.git.push.refspec`
    pub push_refspec: Option<String>,
    /// `spec.git.commit.messageTemplate`; v1alpha1: `spec.commit.messageTemplate`
    pub message_template: Option<String>,
    /// `spec.git.commit.messageTemplateValues`
    pub message_template_values: BTreeMap<String, String>,
    /// `spec.git.commit.author.name` and `.email`; v1alpha1: `spec.commit.authorName` and `.authorEmail`
    pub author_name: Option<String>,
    pub author_email: Option<String>,
    /// `spec.policySelector`; `None` selects every policy of the namespace.
    pub policy_selector: Option<LabelSelector>,
    pub suspend: bool,
}

/// `kind`, `name` and `namespace` of a Flux source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRef {
    pub kind: String,
    pub name: String,
    pub namespace: Option<String>,
}

/// Kubernetes' label selector: all of its terms must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    pub match_labels: BTreeMap<String, String>,
    /// `matchExpressions`: key, operator (`In`, `NotIn`, `Exists`, `DoesNotExist`), values.
    pub match_expressions: Vec<(String, String, Vec<String>)>,
}

/// A `kustomization.yaml`, read as data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kustomization {
    pub namespace: Option<String>,
    pub name_prefix: String,
    pub name_suffix: String,
    /// `resources` and `bases`, as written.
    pub resources: Vec<String>,
    pub components: Vec<String>,
    /// `patches`, `patchesStrategicMerge`, `patchesJson6902`, in the order in which kustomize applies them.
    pub patches: Vec<KustomizePatch>,
    /// Other files and folders that it reads: generators' files, values, charts, replacements.
    pub files: Vec<String>,
    pub images: Vec<KustomizeImage>,
    /// `commonLabels` and the pairs of `labels`.
    pub labels: Vec<(String, String)>,
    /// `commonAnnotations`
    pub annotations: Vec<Annotation>,
    pub config_maps: Vec<GeneratedMap>,
    /// It is a `kind: Component`: it has no objects of its own, but changes those of its includer.
    pub component: bool,
}

impl Kustomization {
    /// Files and folders whose objects are part of it, as written.
    pub fn included(&self) -> impl Iterator<Item = &String> {
        self.resources.iter().chain(&self.components)
    }

    /// The patches that are files, as written.
    pub fn patch_files(&self) -> impl Iterator<Item = &String> {
        self.patches.iter().filter_map(|patch| match &patch.source {
            PatchSource::File(file) => Some(file),
            PatchSource::Inline(_) => None,
        })
    }

    /// The documents of the others.
    pub fn inline_patches(&self) -> impl Iterator<Item = &Data> {
        self.patches.iter().flat_map(|patch| match &patch.source {
            PatchSource::Inline(documents) => documents.as_slice(),
            PatchSource::File(_) => &[],
        })
    }
}

/// A ConfigMap that a kustomization generates (`configMapGenerator`), as far as its values stand in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GeneratedMap {
    pub name: String,
    pub behavior: Behavior,
    pub literals: Vec<(String, String)>,
    /// Files bring more values.
    pub partial: bool,
}

/// What a generated ConfigMap does to one of the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behavior {
    /// There is none.
    #[default]
    Create,
    Merge,
    Replace,
}

/// A patch of a kustomization, or of a Flux Kustomization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KustomizePatch {
    pub source: PatchSource,
    pub target: Option<PatchTarget>,
    /// Of `patchesJson6902`: applied after namespaces, names and labels have been given, not before.
    pub late: bool,
    /// `options.allowNameChange`: the name in a strategic-merge patch is a new one.
    pub renames: bool,
    /// `options.allowKindChange`: so is its kind.
    pub changes_kind: bool,
}

/// Where a kustomization has a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchSource {
    /// As written.
    File(String),
    /// JSON6902 (a sequence) or strategic merge (mappings).
    Inline(Vec<Data>),
}

/// What a patch is applied to; an empty field is any. All but the selectors are regular expressions that must match
/// wholly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchTarget {
    pub group: Pattern,
    pub version: Pattern,
    pub kind: Pattern,
    pub name: Pattern,
    pub namespace: Pattern,
    pub label_selector: String,
    pub annotation_selector: String,
}

impl PatchTarget {
    /// The same, with nothing kept of its expressions.
    pub(super) fn passing(self) -> Self {
        let PatchTarget { group, version, kind, name, namespace, .. } = self;
        let [group, version, kind, name, namespace] =
            [group, version, kind, name, namespace].map(super::Pattern::passing);
        PatchTarget { group, version, kind, name, namespace, ..self }
    }
}

/// Flux's Kustomization: which folder of a repository a cluster gets, and what is changed on the way. The FluxInstance of
/// the Flux operator makes one.
/// <https://fluxcd.io/flux/components/kustomize/kustomizations/>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FluxKustomization {
    /// `spec.path`; empty is the root.
    pub path: String,
    pub source: Option<SourceRef>,
    pub target_namespace: Option<String>,
    pub name_prefix: String,
    pub name_suffix: String,
    pub patches: Vec<KustomizePatch>,
    pub components: Vec<String>,
    /// `spec.commonMetadata.labels`
    pub labels: Vec<(String, String)>,
    pub post_build: Option<PostBuild>,
}

/// `spec.postBuild`: where the values of `${…}` come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostBuild {
    pub substitute: BTreeMap<String, String>,
    /// Kind and name; a later one goes before an earlier one.
    pub substitute_from: Vec<(String, String)>,
}

/// An entry of a kustomization's `images`: <https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KustomizeImage {
    pub name: String,
    pub new_name: Option<String>,
    pub new_tag: Option<String>,
    pub digest: Option<String>,
}
