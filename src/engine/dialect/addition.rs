//! Values that a policy puts into a field that is not there yet: Flux v1's patch files grow with what is updated.

use super::{Claim, Policy};
use crate::engine::manifest::{FieldPath, FileEnd, ImageLine, LineId, ObjectId, Part, Position, Step, scalar};
use std::{cmp::Reverse, sync::Arc};

/// A value without a line, and the policy that it follows.
#[derive(Clone, Debug)]
pub struct Addition {
    pub field: MissingField,
    pub policy: Arc<Policy>,
    /// The environments that it holds for; empty: all of them.
    pub environments: Arc<[String]>,
}

/// A field that has yet to be written, with what it stands in: mappings, the document, the file.
#[derive(Clone, Debug)]
pub struct MissingField {
    pub file: String,
    /// How the file ends now; all zero where there is no such file.
    pub end: FileEnd,
    pub spot: Spot,
    pub part: Part,
    pub api_version: String,
    pub object: ObjectId,
    /// The file that is patched.
    pub base: String,
    /// The line there that the field takes the place of: the value that holds until then.
    pub patched: ImageLine,
    /// The files that make this value what it is: the object's own, and those of patches and kustomizations.
    pub sources: Vec<String>,
}

/// Where a field that is not there is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// Into a document of its own, behind all others.
    NewDocument,
    /// Into the object's document, behind the byte `at`: `depth` steps of its path are there, and the next is written
    /// behind `indent` spaces.
    Document { position: Position, at: usize, depth: usize, indent: usize },
}

impl Addition {
    /// Whether it holds for an environment.
    pub fn holds_for(&self, environment: &str) -> bool {
        self.environments.is_empty() || self.environments.iter().any(|name| name == environment)
    }

    /// What it wants of the value.
    pub fn claim(&self) -> Claim<'_> {
        let Addition { field, policy, environments } = self;
        Claim { part: field.part, policy: Ok(policy), environments }
    }
}

impl MissingField {
    /// The identity that its line will have.
    pub fn line_id(&self) -> LineId {
        LineId {
            file: self.file.clone(),
            object: Some(self.object.clone()),
            document: 0,
            path: self.patched.path.clone(),
        }
    }

    /// Where it is spoken of, for it has no line: in the document that it is put into, or at the start of the file.
    pub fn position(&self) -> Position {
        match self.spot {
            Spot::NewDocument => Position { line: 1, column: 1 },
            Spot::Document { position, .. } => position,
        }
    }

    /// The byte that it is put behind.
    pub fn at(&self) -> usize {
        match self.spot {
            Spot::NewDocument => self.end.size,
            Spot::Document { at, .. } => at,
        }
    }

    /// Fields of a file in the order in which they are put there. What stands deeper comes first where both are put
    /// behind one byte; new documents come last, in the order of Flux v1's own.
    pub fn order(&self) -> impl Ord {
        let depth = match self.spot {
            Spot::NewDocument => None,
            Spot::Document { depth, .. } => Some(depth),
        };
        let ObjectId { kind, namespace, name } = &self.object;
        let object = (namespace.clone(), kind.to_lowercase(), name.clone());
        (self.at(), Reverse(depth), object, self.patched.path.clone())
    }

    /// The text that puts `value` there. `before`: the field that was put there just before, which goes on where both are
    /// of one document. `opens_line`: the last line of the file has no line break yet.
    pub fn text(&self, value: &str, before: Option<&MissingField>, opens_line: bool) -> String {
        let mut lines = Vec::new();
        let together = before.filter(|before| before.object == self.object && before.spot == self.spot);
        let (depth, mut indent) = match self.spot {
            Spot::NewDocument => (0, 0),
            Spot::Document { depth, indent, .. } => (depth, indent),
        };
        if together.is_none() && self.spot == Spot::NewDocument {
            let ObjectId { kind, namespace, name } = &self.object;
            lines.extend(["---".to_owned(), format!("apiVersion: {}", scalar(&self.api_version))]);
            lines.extend([format!("kind: {}", scalar(kind)), "metadata:".to_owned()]);
            lines.push(format!("  name: {}", scalar(name)));
            if !namespace.is_empty() {
                lines.push(format!("  namespace: {}", scalar(namespace)));
            }
        }
        let steps = &self.patched.path.0;
        let same =
            |before: &MissingField| before.patched.path.0.iter().zip(steps.iter()).take_while(|(a, b)| a == b).count();
        let shared = together.map_or(depth, same);
        for (at, step) in steps.iter().enumerate().skip(depth) {
            let next = steps.get(at + 1);
            let mut put = |line: String| {
                if at >= shared {
                    lines.push(line);
                }
            };
            let spaces = " ".repeat(indent);
            match (step, next) {
                (Step::Key(key), None) => put(format!("{spaces}{}: {}", scalar(key), scalar(value))),
                (Step::Key(key), Some(_)) => put(format!("{spaces}{}:", scalar(key))),
                // Flux v1 sorts keys: an item's image stands before its name.
                (Step::Item { key: name, value: item }, Some(Step::Key(key)))
                    if at + 2 == steps.len() && key < name =>
                {
                    put(format!("{spaces}- {}: {}", scalar(key), scalar(value)));
                    put(format!("{spaces}  {}: {}", scalar(name), scalar(item)));
                    break;
                }
                (Step::Item { key, value }, _) => put(format!("{spaces}- {}: {}", scalar(key), scalar(value))),
                (Step::Index(_), _) => {}
            }
            // And it writes the items of a list below the first letter of its key.
            let list = matches!((step, next), (Step::Key(_), Some(Step::Item { .. })));
            indent += if list { 0 } else { 2 };
        }
        let mut text = String::new();
        if opens_line {
            text.push_str(self.line_break());
        }
        for line in lines {
            text.push_str(&line);
            text.push_str(self.line_break());
        }
        text
    }

    fn line_break(&self) -> &'static str {
        if self.end.crlf { "\r\n" } else { "\n" }
    }
}

/// Whether a patch can name the field: an item without a name has only its place in the list.
pub(super) fn can_be_patched(path: &FieldPath) -> bool {
    !path.0.iter().any(|step| matches!(step, Step::Index(_))) && path.key().is_some()
}
