//! Values that a policy puts into a document that is not there yet: Flux v1's patch files grow with what is updated.

use super::{Claim, Policy};
use crate::engine::manifest::{FieldPath, FileEnd, ImageLine, LineId, ObjectId, Part, Step, scalar};
use std::sync::Arc;

/// A value without a line, and the policy that it follows.
#[derive(Clone, Debug)]
pub struct Addition {
    pub field: MissingField,
    pub policy: Arc<Policy>,
    /// The environments that it holds for; empty: all of them.
    pub environments: Vec<String>,
}

/// A field whose file, or whose document in the file, has yet to be written.
#[derive(Clone, Debug)]
pub struct MissingField {
    pub file: String,
    /// How the file ends now; all zero where there is no such file.
    pub end: FileEnd,
    pub part: Part,
    pub api_version: String,
    pub object: ObjectId,
    /// The file that is patched.
    pub base: String,
    /// The line there that the field takes the place of: the value that holds until then.
    pub patched: ImageLine,
}

impl Addition {
    /// Whether it holds for an environment.
    pub fn holds_for(&self, environment: &str) -> bool {
        self.environments.is_empty() || self.environments.iter().any(|name| name == environment)
    }

    pub fn claim(&self) -> Claim<'_> {
        let Addition { field, policy, environments } = self;
        Claim { part: field.part, policy: Ok(policy), environments }
    }
}

impl MissingField {
    pub fn line_id(&self) -> LineId {
        LineId {
            file: self.file.clone(),
            object: Some(self.object.clone()),
            document: 0,
            path: self.patched.path.clone(),
        }
    }

    /// The text that puts `value` at the end of the file. `after`: the field of the same object that was put just
    /// before, whose document goes on; `first`: nothing was put into the file before.
    pub fn text(&self, value: &str, after: Option<&FieldPath>, first: bool) -> String {
        let mut lines = Vec::new();
        let mut text = String::new();
        if first && self.end.size > 0 && !self.end.newline {
            text.push_str(self.line_break());
        }
        if after.is_none() {
            let ObjectId { kind, namespace, name } = &self.object;
            lines.extend(["---".to_owned(), format!("apiVersion: {}", scalar(&self.api_version))]);
            lines.extend([format!("kind: {}", scalar(kind)), "metadata:".to_owned()]);
            lines.push(format!("  name: {}", scalar(name)));
            if !namespace.is_empty() {
                lines.push(format!("  namespace: {}", scalar(namespace)));
            }
        }
        let steps = &self.patched.path.0;
        let shared = after.map_or(0, |after| after.0.iter().zip(steps).take_while(|(a, b)| a == b).count());
        for (depth, step) in steps.iter().enumerate().skip(shared) {
            let indent = "  ".repeat(depth);
            match step {
                Step::Key(key) if depth + 1 == steps.len() => {
                    lines.push(format!("{indent}{}: {}", scalar(key), scalar(value)));
                }
                Step::Key(key) => lines.push(format!("{indent}{}:", scalar(key))),
                Step::Item { key, value } => lines.push(format!("{indent}- {}: {}", scalar(key), scalar(value))),
                Step::Index(_) => {}
            }
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
    !path.0.iter().any(|step| matches!(step, Step::Index(_))) && matches!(path.0.last(), Some(Step::Key(_)))
}
