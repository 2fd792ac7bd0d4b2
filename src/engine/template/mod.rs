//! Go templates, as far as commit messages of real repositories use them.
//!
//! A subset of <https://pkg.go.dev/text/template>: fields, variables, pipelines, `if`, `range`, `with`, `break`,
//! `continue`, trim markers, the predefined functions and some of Sprig's. `define`, `template` and `block` are not
//! there. What is not understood is an error with its place in the template; nothing here panics, and output, steps and
//! nesting are limited.

mod data;
mod exec;
mod format;
mod functions;
mod lex;
mod parse;
mod sprig;
#[cfg(test)]
mod tests;
mod value;

pub use data::{Commit, CommitChange};
use parse::Node;
use std::fmt;

/// The longest template that is read, in bytes.
pub const TEMPLATE_LIMIT: usize = 16 << 10;
/// The longest text that a template makes, in bytes.
pub const OUTPUT_LIMIT: usize = 32 << 10;
/// How many nodes one rendering visits: nested ranges multiply.
const STEP_LIMIT: usize = 50_000;
/// How deep blocks and parentheses may nest.
const DEPTH_LIMIT: usize = 50;

/// A template that was read.
#[derive(Clone, Debug)]
pub struct Template {
    nodes: Vec<Node>,
}

/// What a template has that is not understood, or why it cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct TemplateError {
    pub place: Place,
    pub message: String,
}

/// A place in the template, from 1; the column in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateError`] for what Go refuses, and for what is not supported here.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        if text.len() > TEMPLATE_LIMIT {
            let message = format!("expected at most {TEMPLATE_LIMIT} bytes, found {}", text.len());
            return Err(TemplateError { place: Place { line: 1, column: 1 }, message });
        }
        Ok(Template { nodes: parse::parse(text)? })
    }

    /// The message of a commit.
    ///
    /// # Errors
    /// [`TemplateError`] for fields that are not there, values of the wrong type, and more than the limits.
    pub fn render(&self, commit: &Commit) -> Result<String, TemplateError> {
        exec::render(&self.nodes, &commit.value())
    }

    /// What is wrong with a `messageTemplate`, as findings' codes and sentences: tried on a commit with one change.
    pub fn lint(text: &str) -> Vec<(&'static str, String)> {
        const UNSUPPORTED: &str = "message-template-unsupported";
        let instead =
            |error: TemplateError| vec![(UNSUPPORTED, format!("{error}; butler's own commit message is used instead"))];
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(error) => return instead(error),
        };
        if let Err(error) = template.render(&Commit::example()) {
            return instead(error);
        }
        let updated = |fields: &[String]| fields.first().is_some_and(|name| name == "Updated");
        let result = |fields: &[String]| fields.iter().any(|name| name == "ImageResult");
        let uses = [
            (".Updated", "`.Changed`", parse::first_use(&template.nodes, updated)),
            (".Changed.ImageResult", "`.Changed.Changes`", parse::first_use(&template.nodes, result)),
        ];
        let removed = uses.into_iter().filter_map(|(field, instead, place)| {
            let message = format!(
                "{}: `{field}` was removed from Flux (image-automation-controller 1.0), which stops at it; it still \
                 works here; {instead} takes its place",
                place?
            );
            Some(("message-template-removed-field", message))
        });
        removed.collect()
    }
}
