//! YAML as it stands in the file: a small tree over [`granit_parser`] in which every node knows its bytes.
//!
//! The tree is for reading *and* for editing by span; it resolves nothing: no types (`1.10` is the text `1.10`), no
//! aliases (one that expands to a gigabyte costs a few bytes here), no merge keys, no duplicate keys. What aliases and
//! merge keys mean, [`Document::meant`] tells, within limits. JSON is read by
//! the same parser.
//!
//! A document that is no YAML never stops the others: it is kept with its [`SyntaxError`] and without a root.

mod parse;
mod position;
mod resolve;

pub use parse::{DEPTH_LIMIT, NODE_LIMIT, parse};
pub use position::LineIndex;
#[cfg(test)]
pub use resolve::{ALIAS_DEPTH, ALIAS_NODES};

use std::{borrow::Cow, ops::Range};

/// What [`parse`] makes of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream<'a> {
    pub documents: Vec<Document<'a>>,
    /// In the order of their bytes. Those of documents with an error are those that stand before it.
    pub comments: Vec<Comment<'a>>,
}

/// One document of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document<'a> {
    /// From its `---` (or its first byte) to the start of the next document or the end of the file.
    pub span: Range<usize>,
    /// `None` where the document does not parse.
    pub root: Option<Node<'a>>,
    pub error: Option<SyntaxError>,
    pub has_aliases: bool,
}

impl<'a> Document<'a> {
    /// The root with its aliases resolved.
    pub fn meant(&self) -> Option<Cow<'_, Node<'a>>> {
        let root = self.root.as_ref()?;
        Some(if self.has_aliases { Cow::Owned(root.resolved()) } else { Cow::Borrowed(root) })
    }
}

/// Why a document does not parse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// Byte offset in the file.
    pub offset: usize,
    pub message: String,
}

/// A comment from its `#` to the end of its line, without the line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment<'a> {
    pub span: Range<usize>,
    pub text: &'a str,
}

/// A node with its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<'a> {
    /// Scalars and aliases: the node's bytes, quotes included, anchor and tag not; of a block scalar only the content;
    /// empty where a null is not written. Block collections: from the first key or item to the end of the last.
    pub span: Range<usize>,
    /// `name` for `&name`.
    pub anchor: Option<&'a str>,
    /// The tag as resolved: `!vault`, `tag:yaml.org,2002:str`.
    pub tag: Option<Box<str>>,
    pub kind: NodeKind<'a>,
}

/// What a node is, with what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind<'a> {
    /// The value after escapes and folding.
    Scalar {
        value: Cow<'a, str>,
        style: Style,
    },
    /// In the order of the file, duplicates included. Keys may be any node.
    Mapping(Vec<(Node<'a>, Node<'a>)>),
    Sequence(Vec<Node<'a>>),
    /// The name, without `*`; its target is not looked for.
    Alias(&'a str),
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

impl<'a> Node<'a> {
    /// The value of a mapping's first entry with this key; `None` for everything else.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.entries().iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// The value at the end of a path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&Node<'a>> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// A scalar's text, whatever type it would have; `None` for a null that is not written.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar { value, .. } if !self.is_unwritten() => Some(value),
            _ => None,
        }
    }

    /// A scalar that YAML reads as null: nothing, `~` or `null`, unquoted.
    pub fn is_null(&self) -> bool {
        match &self.kind {
            NodeKind::Scalar { value, style: Style::Plain } => {
                self.is_unwritten() || matches!(&**value, "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// The entries of a mapping; none for everything else.
    pub fn entries(&self) -> &[(Node<'a>, Node<'a>)] {
        match &self.kind {
            NodeKind::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a sequence; none for everything else.
    pub fn items(&self) -> &[Node<'a>] {
        match &self.kind {
            NodeKind::Sequence(items) => items,
            _ => &[],
        }
    }

    /// "a mapping", "a sequence", "a string", … for messages that say what was found.
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            NodeKind::Mapping(_) => "a mapping",
            NodeKind::Sequence(_) => "a sequence",
            NodeKind::Alias(_) => "an alias",
            NodeKind::Scalar { .. } if self.is_null() => "nothing",
            NodeKind::Scalar { style: Style::Plain, value } if !super::is_string(value) => "a number, boolean or date",
            NodeKind::Scalar { .. } => "a string",
        }
    }

    /// granit reads a null that is not written as `~` with an empty span; a written scalar is never empty, save for
    /// block scalars without content.
    fn is_unwritten(&self) -> bool {
        self.span.is_empty() && matches!(self.kind, NodeKind::Scalar { style: Style::Plain, .. })
    }
}

#[cfg(test)]
mod tests;
