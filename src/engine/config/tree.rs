//! One YAML document as a tree whose nodes know where they stand. Aliases are replaced by what they name and merge
//! keys (`<<`) by the entries that they bring, so that readers see plain mappings.

use crate::engine::manifest::{
    Position, is_string,
    yaml::{self, LineIndex, NodeKind, Style},
};
use std::{borrow::Cow, collections::HashMap};

/// How many nodes a document may hold once its aliases are replaced.
pub(crate) const NODES: usize = 20_000;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub position: Position,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Written without quotes and tag: may be a boolean, a number or nothing.
    Plain(String),
    /// Quoted, a block scalar, or tagged `!!str`: always a string.
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub name: String,
    pub position: Position,
}

impl Node {
    /// The entries of a mapping.
    pub fn entries(&self) -> Option<&[(Key, Node)]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// How many nodes it holds, itself included.
    pub fn size(&self) -> usize {
        match &self.value {
            Value::Plain(_) | Value::Text(_) => 1,
            Value::List(items) => items.iter().map(Node::size).sum::<usize>() + 1,
            Value::Map(entries) => entries.iter().map(|(_, node)| node.size() + 1).sum::<usize>() + 1,
        }
    }

    /// These defaults with another node laid over them: its keys win, mappings are merged, all else is replaced.
    pub fn under(&self, over: &Node) -> Node {
        let (Value::Map(defaults), Value::Map(given)) = (&self.value, &over.value) else { return over.clone() };
        let default = |name: &str| defaults.iter().find(|(key, _)| key.name == name);
        let given_entries = given.iter().map(|(key, node)| match default(&key.name) {
            Some((_, default)) => (key.clone(), default.under(node)),
            None => (key.clone(), node.clone()),
        });
        let rest = defaults.iter().filter(|(key, _)| given.iter().all(|(known, _)| known.name != key.name));
        let entries = given_entries.chain(rest.cloned()).collect();
        Node { position: over.position, value: Value::Map(entries) }
    }

    /// Says for people what the node is: "a list", "the number 3", "nothing".
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Map(_) => "a mapping".into(),
            Value::List(_) => "a list".into(),
            Value::Text(text) => format!("the string {}", quoted(text)),
            Value::Plain(text) => match plain(text) {
                Plain::Nothing => "nothing".into(),
                Plain::Boolean(value) => format!("the boolean {value}"),
                Plain::Number => format!("the number {}", shortened(text)),
                Plain::Text | Plain::Ambiguous => quoted(text),
            },
        }
    }
}

/// What a scalar without quotes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    Nothing,
    Boolean(bool),
    Number,
    /// A string to some readers of YAML, and something else to others: `on`, `2026-12-24`.
    Ambiguous,
    Text,
}

pub(crate) fn plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Plain::Nothing,
        "true" | "True" | "TRUE" => Plain::Boolean(true),
        "false" | "False" | "FALSE" => Plain::Boolean(false),
        text if is_string(text) => Plain::Text,
        text if text.parse::<f64>().is_ok() || text.starts_with("0x") || text.starts_with("0o") => Plain::Number,
        _ => Plain::Ambiguous,
    }
}

/// A value as a message shows it: in quotes, escaped, not too long.
pub(crate) fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text))
}

fn shortened(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// What was found in the text: the tree, if there is one, and every fault that the tree could be built around.
pub(crate) struct Document {
    pub root: Option<Node>,
    pub faults: Vec<Fault>,
}

type Fault = (Position, String);

/// Reads the one document of a text.
pub(crate) fn read(text: &str) -> Document {
    let stream = yaml::parse(text);
    let mut resolver =
        Resolver { lines: LineIndex::new(text.as_bytes()), anchors: HashMap::new(), nodes: 0, faults: Vec::new() };
    let Some(first) = stream.documents.first() else { return Document { root: None, faults: Vec::new() } };
    if let Some(error) = &first.error {
        resolver.fault(error.offset, format!("no valid YAML: {error}"));
    } else if let Some(second) = stream.documents.get(1) {
        let message = "expected one YAML document, found a second one: put everything into the first";
        resolver.fault(second.span.start, message);
    }
    let root = first.root.as_ref().and_then(|root| match resolver.node(root) {
        Ok((node, _)) => Some(node),
        Err(fault) => {
            resolver.faults.push(fault);
            None
        }
    });
    Document { root, faults: resolver.faults }
}

/// Puts values for aliases and merge keys.
struct Resolver<'t> {
    lines: LineIndex,
    /// A finished node with the number of nodes in it; `None` while it is being read.
    anchors: HashMap<&'t str, Option<(Node, usize)>>,
    nodes: usize,
    faults: Vec<Fault>,
}

impl<'t> Resolver<'t> {
    fn fault(&mut self, offset: usize, message: impl Into<String>) {
        self.faults.push((self.lines.position(offset), message.into()));
    }

    /// A node without aliases, and how many nodes are in it. In the document's order, so that an alias finds the last
    /// anchor of its name before it.
    fn node(&mut self, node: &yaml::Node<'t>) -> Result<(Node, usize), Fault> {
        let position = self.lines.position(node.span.start);
        if let NodeKind::Alias(name) = node.kind {
            return self.alias(name, position);
        }
        self.count(1, position)?;
        let before = self.nodes;
        if let Some(anchor) = node.anchor {
            self.anchors.insert(anchor, None);
        }
        let is_text = self.is_text(node);
        let value = match &node.kind {
            NodeKind::Scalar { value, style: Style::Plain } if !is_text => Value::Plain(value.to_string()),
            NodeKind::Scalar { value, .. } => Value::Text(value.to_string()),
            NodeKind::Sequence(items) => {
                let items = items.iter().map(|item| self.node(item).map(|(item, _)| item));
                Value::List(items.collect::<Result<_, Fault>>()?)
            }
            NodeKind::Mapping(entries) => Value::Map(self.mapping(entries)?),
            NodeKind::Alias(name) => return self.alias(name, position),
        };
        let size = self.nodes - before + 1;
        let resolved = Node { position, value };
        if let Some(anchor) = node.anchor {
            self.anchors.insert(anchor, Some((resolved.clone(), size)));
        }
        Ok((resolved, size))
    }

    fn count(&mut self, nodes: usize, position: Position) -> Result<(), Fault> {
        self.nodes += nodes;
        if self.nodes > NODES {
            return Err((position, format!("more than {NODES} values, counting each use of an alias")));
        }
        Ok(())
    }

    fn alias(&mut self, name: &str, position: Position) -> Result<(Node, usize), Fault> {
        match self.anchors.get(name) {
            Some(Some((node, size))) => {
                let (node, size) = (node.clone(), *size);
                self.count(size, position)?;
                Ok((node, size))
            }
            Some(None) => Err((position, format!("the alias *{name} stands inside the very value that it names"))),
            None => Err((position, format!("the alias *{name} has no anchor &{name} before it"))),
        }
    }

    /// Whether a tag makes a string of the node. Tags that YAML gives its own kinds of nodes change nothing.
    fn is_text(&mut self, node: &yaml::Node<'t>) -> bool {
        let Some(tag) = node.tag.as_deref() else { return false };
        let kind = tag.strip_prefix("tag:yaml.org,2002:").or_else(|| tag.strip_prefix("!!"));
        match (kind, &node.kind) {
            (Some("str"), NodeKind::Scalar { .. }) => true,
            (Some("map"), NodeKind::Mapping(_)) | (Some("seq"), NodeKind::Sequence(_)) => false,
            _ => {
                self.fault(node.span.start, format!("the tag {} has no meaning here: leave it out", quoted(tag)));
                false
            }
        }
    }

    fn mapping(&mut self, pairs: &[(yaml::Node<'t>, yaml::Node<'t>)]) -> Result<Vec<(Key, Node)>, Fault> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut merges = Vec::new();
        for (key, value) in pairs {
            let (key, _) = self.node(key)?;
            let (value, _) = self.node(value)?;
            let name = match key.value {
                Value::Plain(name) if name == "<<" => {
                    merges.push(value);
                    continue;
                }
                Value::Plain(name) | Value::Text(name) => name,
                Value::List(_) | Value::Map(_) => {
                    let message = format!("expected a word as key, found {}", key.describe());
                    self.faults.push((key.position, message));
                    continue;
                }
            };
            match entries.iter().find(|(known, _)| known.name == name) {
                Some((first, _)) => {
                    let message = format!("duplicate key {}; it is first given at {}", quoted(&name), first.position);
                    self.faults.push((key.position, message));
                }
                None => entries.push((Key { name, position: key.position }, value)),
            }
        }
        for merge in merges {
            self.merge(&mut entries, merge);
        }
        Ok(entries)
    }

    /// `<<`: what the mapping gives itself wins, then the earlier of several merged mappings
    /// (<https://yaml.org/type/merge.html>).
    fn merge(&mut self, entries: &mut Vec<(Key, Node)>, merged: Node) {
        match merged.value {
            Value::Map(brought) => {
                for (key, value) in brought {
                    if entries.iter().all(|(known, _)| known.name != key.name) {
                        entries.push((key, value));
                    }
                }
            }
            Value::List(items) if items.iter().all(|item| item.entries().is_some()) => {
                for item in items {
                    self.merge(entries, item);
                }
            }
            _ => {
                let message = format!("<<: expected a mapping or a list of mappings, found {}", merged.describe());
                self.faults.push((merged.position, message));
            }
        }
    }
}
