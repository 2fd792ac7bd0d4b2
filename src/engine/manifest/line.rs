//! Image lines: where in a file a value stands that says which image runs.

use super::ObjectId;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::{fmt, ops::Range, sync::Arc};

/// A place in a file for people: from 1, the column in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// One step from a document's root to a field. List items are named by a key where they have one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Step {
    Key(SmolStr),
    /// `containers[name=app]`
    Item {
        key: SmolStr,
        value: SmolStr,
    },
    Index(usize),
}

/// A field's path: `spec.template.spec.containers[name=app].image`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FieldPath(pub Arc<[Step]>);

impl FieldPath {
    /// The key that the field stands behind, where it is no item of a list.
    pub fn key(&self) -> Option<&str> {
        match self.0.last()? {
            Step::Key(key) => Some(key),
            Step::Item { .. } | Step::Index(_) => None,
        }
    }
}

/// A line's identity: it stays the same when lines move within the file, or other fields change. Not its number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LineId {
    /// Path in the repository, `/`-separated.
    pub file: String,
    /// The object that the field stands in; for documents that are no objects, `None`.
    pub object: Option<ObjectId>,
    /// Index into [`super::Scan::documents`] when the object is unnamed; else 0, or the number of objects before it
    /// that have the same identity in the same file.
    pub document: usize,
    pub path: FieldPath,
}

/// Which part of a reference a value holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// `name:tag`, `name@digest`, `name:tag@digest` or a bare name.
    Reference,
    Name,
    Tag,
    Digest,
}

/// How a value is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScalarStyle {
    Plain,
    SingleQuoted,
    DoubleQuoted,
}

/// `# {"$imagepolicy": "ns:policy[:tag|:name|:digest]"}`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Marker {
    pub namespace: SmolStr,
    pub policy: SmolStr,
    /// What the marker's suffix says: none is [`Part::Reference`].
    pub part: Part,
}

/// A scalar that says which image runs, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLine {
    /// Index into [`super::Scan::documents`].
    pub document: usize,
    pub path: FieldPath,
    /// Of the value's first byte (inside the quotes).
    pub position: Position,
    /// The content's bytes, without quotes; equal to the value (a quoted value with escapes is no image line). Empty
    /// and just behind the colon where there is a marker but no value yet (`tag: # {…}`).
    pub span: Range<usize>,
    pub value: SmolStr,
    pub style: ScalarStyle,
    /// What the value holds, by the field it stands in (`image`, `newTag`, …); with a marker, by the marker.
    pub part: Part,
    /// The whole reference that this value is part of, where siblings tell it (`repository` + `tag`; kustomize `name`
    /// or `newName` + `newTag`): as Kubernetes would run it. Without a tag where the file tells none, or one that is
    /// no string.
    pub image: Option<String>,
    pub marker: Option<Marker>,
    /// Found line by line in a document that is no YAML: only a setting lets such lines be edited.
    pub unparsed: bool,
}

impl ImageLine {
    /// Whether nothing stands there yet, written out: `~`, `null`.
    pub fn is_null(&self) -> bool {
        self.style == ScalarStyle::Plain && matches!(self.value.as_str(), "~" | "null" | "Null" | "NULL")
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if i == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item { key, value } => write!(f, "[{key}={value}]")?,
                Step::Index(n) => write!(f, "[{n}]")?,
            }
        }
        Ok(())
    }
}
