//! What a document of a manifest is: its identity, and the objects that butler reads as data.

use super::Position;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A Kubernetes object's identity as far as the file tells it: `Deployment/prod/app`, `Deployment//app`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    pub kind: String,
    /// As written in the object; empty where it is not.
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// One document of a file (or one item of a `kind: List`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub api_version: String,
    /// `None` for a document that is no named object (Helm values, an unnamed kustomization).
    pub object: Option<ObjectId>,
    pub kind: String,
    /// Of the document's first node.
    pub position: Position,
    pub flux: Option<FluxObject>,
    pub kustomization: Option<Kustomization>,
}

/// A Flux v2 image object, read as data (v1alpha1 to v1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FluxObject {
    ImageRepository(ImageRepositoryObject),
    ImagePolicy(ImagePolicyObject),
    ImageUpdateAutomation(ImageUpdateAutomationObject),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRepositoryObject {
    /// `spec.image`, as written.
    pub image: String,
    /// `spec.exclusionList`; `None` where unset.
    pub exclusion_list: Option<Vec<String>>,
    pub suspend: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagePolicyObject {
    /// `spec.imageRepositoryRef.name` and `.namespace`
    pub repository: String,
    pub repository_namespace: Option<String>,
    /// `spec.filterTags.pattern` and `.extract`
    pub filter: Option<(String, String)>,
    /// `spec.policy.<order>` with its argument: `("semver", range)`, `("numerical", order)`, `("alphabetical", order)`.
    pub order: (String, String),
    /// `spec.digestReflectionPolicy`: `Never` (default), `IfNotPresent`, `Always`.
    pub digest_reflection: Option<String>,
    pub suspend: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageUpdateAutomationObject {
    /// `spec.update.path`
    pub path: Option<String>,
    /// `spec.git.checkout.ref.branch`
    pub checkout_branch: Option<String>,
    /// `spec.git.push.branch`
    pub push_branch: Option<String>,
    /// `spec.git.commit.messageTemplate`
    pub message_template: Option<String>,
    pub suspend: bool,
}

/// A `kustomization.yaml`, read as data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kustomization {
    pub namespace: Option<String>,
    /// `resources`, `bases`, `components`, as written.
    pub resources: Vec<String>,
    /// Files named by `patches[].path`, `patchesStrategicMerge`, `patchesJson6902[].path`.
    pub patches: Vec<String>,
    pub images: Vec<KustomizeImage>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KustomizeImage {
    pub name: String,
    pub new_name: Option<String>,
    pub new_tag: Option<String>,
    pub digest: Option<String>,
}
