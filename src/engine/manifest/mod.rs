//! Manifests: YAML with byte spans, image lines, markers, edits.
//!
//! [`scan`] reads a file once and tells what it holds; the result is cached by the blob's id, so it must depend on the
//! bytes and the [`FileKind`] alone. What it *means* (a policy's namespace may come from another file) is put together
//! by [`crate::engine::dialect`] at each plan.
//!
//! An *image line* is found by the field that it stands in ([`Place`](place::Place)) or by a marker on its line. It
//! knows the bytes of its value, and nothing else of the file ever changes: an [`Edit`] replaces those bytes.

mod annotate;
mod brings;
mod containers;
mod data;
mod edit;
mod elsewhere;
mod file;
mod holds;
mod kustomization;
mod line;
mod marker;
mod mismatch;
mod misspelt;
mod object;
mod only_patch;
mod pattern;
mod place;
mod plain;
mod read;
mod repeated;
mod replaced;
mod room;
mod scan;
mod sites;
mod unparsed;
pub mod yaml;

pub use annotate::{AnnotateError, annotate};
pub use data::{Data, Value};
pub use edit::{Edit, EditError, apply};
pub use elsewhere::markers_elsewhere;
pub use file::{FileKind, is_candidate};
pub use holds::Holds;
pub use line::{FieldPath, ImageLine, LineId, Marker, Part, Position, ScalarStyle, Step};
pub(crate) use marker::correction;
pub(crate) use mismatch::part_of_key;
pub use object::{
    Annotation, Behavior, Container, Document, FluxKustomization, FluxObject, GeneratedMap, Generator, IMAGE_GROUP,
    ImagePolicyObject, ImageRepositoryObject, ImageUpdateAutomationObject, Kustomization, KustomizeImage,
    KustomizePatch, LabelSelector, ObjectId, PatchSource, PatchTarget, PostBuild, SourceRef, Updates, group_of,
};
pub use pattern::Pattern;
pub(crate) use plain::scalar;
pub use plain::{is_plain_string, is_string};
pub use read::InvalidObject;
pub use room::Room;
pub use scan::{SIZE_LIMIT, scan, too_large};

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    pub documents: Vec<Document>,
    /// In the order of their bytes; no two have the same document and path.
    pub lines: Vec<ImageLine>,
    pub findings: Vec<ScanFinding>,
    /// The file has a `sops:` block: it is never edited (any change breaks its MAC).
    pub sops: bool,
    pub end: FileEnd,
    pub holds: Holds,
}

/// How a file ends: where something may be put behind it, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileEnd {
    /// In bytes.
    pub size: usize,
    /// Whether the last line has a line break.
    pub newline: bool,
    /// Whether lines end with CRLF.
    pub crlf: bool,
}

impl Scan {
    /// What is said of the document that a line of the file lies in, where it is no YAML.
    pub fn unparsed_at(&self, line: usize) -> Option<&ScanFinding> {
        let after = self.documents.partition_point(|document| document.position.line <= line);
        let start = self.documents.get(after.checked_sub(1)?)?.position;
        let end = self.documents.get(after).map(|document| document.position);
        let within = |at: Position| at >= start && end.is_none_or(|end| at < end);
        self.findings.iter().find(|finding| finding.is_of_unparsed() && within(finding.position))
    }

    /// The identity of one of this scan's lines, in the file of that path.
    pub fn line_id(&self, file: &str, line: &ImageLine) -> LineId {
        let document = self.documents.get(line.document);
        let object = document.and_then(|document| document.object.clone());
        let number = match (&object, document) {
            (Some(_), Some(document)) => document.occurrence,
            _ => line.document,
        };
        LineId { file: file.into(), object, document: number, path: line.path.clone() }
    }
}

/// Something in a file that a person should know of.
///
/// | code | what |
/// |---|---|
/// | `not-utf8`, `file-too-large` | the file was not read |
/// | `unparsed-file` | a document is no YAML |
/// | `yaml-invalid` | likewise, in a file that is no template, with a marker or annotation in the document |
/// | `marker-not-json`, `marker-trailing-text`, `marker-leading-text`, `marker-reference`, `marker-key` | the comment is no marker, though its author believes so |
/// | `marker-above-value` | on a line of its own |
/// | `marker-on-mapping`, `marker-on-block-scalar`, `marker-in-flow-sequence`, `marker-on-alias`, `marker-on-multiline-value`, `marker-on-escaped-value`, `marker-on-tagged-value`, `marker-without-value`, `marker-ambiguous` | not behind one scalar on its line |
/// | `marker-in-block-scalar` | in a text that looks like YAML |
/// | `marker-in-unparsed-file` | in a document that is no YAML, not behind a plain value |
/// | `marker-wrong-kind` | it would write a reference into a tag, or over more than a part of an image |
/// | `value-not-a-string` | an unquoted value, of an image's field or behind a marker, is a number, boolean or date: `newTag: 1.10` |
/// | `image-replaced` | kustomize puts another image there by a replacement or transformer |
/// | `annotation-unknown` | an annotation under Flux v1's prefixes that nothing reads: `fluxcd.io/automted` |
/// | `duplicate-key` | a field is there twice; which one counts depends on the reader |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanFinding {
    /// Stable, kebab-case: `marker-trailing-text`.
    pub code: String,
    pub position: Position,
    pub message: String,
}

impl ScanFinding {
    /// Whether it says that a document is no YAML.
    pub fn is_of_unparsed(&self) -> bool {
        matches!(self.code.as_str(), "unparsed-file" | "yaml-invalid")
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
