//! Manifests: YAML with byte spans, image lines, markers, edits.
//!
//! [`scan`] reads a file once and tells what it holds; the result is cached by the blob's id, so it must depend on the
//! bytes and the [`FileKind`] alone. What it *means* (a policy's namespace may come from another file) is put together
//! by [`crate::engine::dialect`] at each plan.

mod edit;
mod line;
mod object;

pub use edit::{Edit, EditError, apply};
pub use line::{FieldPath, ImageLine, LineId, Marker, Part, Position, ScalarStyle, Step};
pub use object::{
    Document, FluxObject, ImagePolicyObject, ImageRepositoryObject, ImageUpdateAutomationObject, Kustomization,
    KustomizeImage, ObjectId,
};

use serde::{Deserialize, Serialize};

/// How a file is read, by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FileKind {
    /// `*.yaml`, `*.yml`, `Kustomization`
    Yaml,
    /// `*.json`
    Json,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    pub documents: Vec<Document>,
    pub lines: Vec<ImageLine>,
    pub findings: Vec<ScanFinding>,
    /// The file has a `sops:` block: it is never edited (any change breaks its MAC).
    pub sops: bool,
}

/// Something in a file that a person should know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanFinding {
    /// Stable, kebab-case: `marker-trailing-text`.
    pub code: String,
    pub position: Position,
    pub message: String,
}
