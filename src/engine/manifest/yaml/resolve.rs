//! What a document means: aliases replaced by what they stand for, merge keys applied.

use super::{Node, NodeKind};
use std::collections::HashMap;

/// How many nodes of a document may be put in by its aliases, and kept for them: more than any object has, and little
/// enough that aliases of aliases of aliases cost nothing.
pub const ALIAS_NODES: usize = 20_000;

/// How deep a value may be that an alias puts in, counted from the document's root. Manifests nest less deep.
pub const ALIAS_DEPTH: usize = 64;

impl<'a> Node<'a> {
    /// The tree in which each alias is what it stands for: the last anchor of its name before it, with that one's bytes.
    /// An alias stays where it has no anchor, or one whose value is too large.
    pub fn resolved(&self) -> Node<'a> {
        Resolver { anchors: HashMap::new(), left: ALIAS_NODES }.resolve(self, 0).node
    }
}

/// Goes through the nodes in the document's order.
struct Resolver<'a> {
    anchors: HashMap<&'a str, Resolved<'a>>,
    /// Of [`ALIAS_NODES`].
    left: usize,
}

#[derive(Clone)]
struct Resolved<'a> {
    node: Node<'a>,
    nodes: usize,
    depth: usize,
}

impl<'a> Resolver<'a> {
    fn resolve(&mut self, node: &Node<'a>, depth: usize) -> Resolved<'a> {
        let (mut nodes, mut below) = (1, 0);
        let mut child = |resolved: Resolved<'a>| {
            nodes += resolved.nodes;
            below = below.max(resolved.depth);
            resolved.node
        };
        let mut resolved = match &node.kind {
            NodeKind::Scalar { .. } => node.clone(),
            NodeKind::Sequence(items) => {
                let items = items.iter().map(|item| child(self.resolve(item, depth + 1))).collect();
                Node { kind: NodeKind::Sequence(items), ..node.without_content() }
            }
            NodeKind::Mapping(entries) => {
                let entry = |(key, value): &(Node<'a>, Node<'a>)| {
                    let key = self.resolve(key, depth + 1).node;
                    (key, child(self.resolve(value, depth + 1)))
                };
                let entries = merged(entries.iter().map(entry).collect());
                Node { kind: NodeKind::Mapping(entries), ..node.without_content() }
            }
            NodeKind::Alias(name) => match self.anchors.get(name) {
                Some(meant) if meant.nodes <= self.left && depth + meant.depth <= ALIAS_DEPTH => {
                    self.left -= meant.nodes;
                    child(meant.clone())
                }
                _ => node.clone(),
            },
        };
        resolved.anchor = None;
        let resolved = Resolved { node: resolved, nodes, depth: below + 1 };
        if let Some(name) = node.anchor {
            self.anchors.remove(name);
            if nodes <= self.left {
                self.left -= nodes;
                self.anchors.insert(name, resolved.clone());
            }
        }
        resolved
    }
}

impl<'a> Node<'a> {
    /// Its place, anchor and tag.
    fn without_content(&self) -> Node<'a> {
        Node {
            span: self.span.clone(),
            anchor: self.anchor,
            tag: self.tag.clone(),
            kind: NodeKind::Sequence(Vec::new()),
        }
    }
}

/// A mapping's entries with those of its merge keys (`<<: *defaults`), which give way to its own.
/// <https://yaml.org/type/merge.html>
fn merged<'a>(entries: Vec<(Node<'a>, Node<'a>)>) -> Vec<(Node<'a>, Node<'a>)> {
    let is_merge = |(key, value): &(Node<'a>, Node<'a>)| {
        key.as_str() == Some("<<") && (matches!(value.kind, NodeKind::Mapping(_)) || !value.items().is_empty())
    };
    if !entries.iter().any(is_merge) {
        return entries;
    }
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_merge);
    for (_, merge) in merges {
        let sources = match merge.kind {
            NodeKind::Sequence(items) => items,
            _ => vec![merge],
        };
        for (key, value) in sources.iter().flat_map(Node::entries) {
            if !own.iter().any(|(known, _)| known.as_str() == key.as_str()) {
                own.push((key.clone(), value.clone()));
            }
        }
    }
    own
}
