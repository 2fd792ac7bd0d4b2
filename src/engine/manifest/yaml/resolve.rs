//! What a document means: aliases replaced by what they stand for, merge keys applied.

use super::{Node, NodeKind};
use std::collections::{HashMap, HashSet};

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
                    let key = child(self.resolve(key, depth + 1));
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
    let name = |key: &Node<'a>| key.as_str().map(str::to_owned);
    let mut known: HashSet<Option<String>> = own.iter().map(|(key, _)| name(key)).collect();
    for (_, merge) in merges {
        let sources = match merge.kind {
            NodeKind::Sequence(items) => items,
            _ => vec![merge],
        };
        for (key, value) in sources.iter().flat_map(Node::entries) {
            if known.insert(name(key)) {
                own.push((key.clone(), value.clone()));
            }
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::manifest::yaml::parse;

    /// Nodes and depth, keys included.
    fn measure(node: &Node<'_>) -> (usize, usize) {
        let pairs = node.entries().iter().flat_map(|(key, value)| [key, value]);
        let below = node.items().iter().chain(pairs).map(measure);
        below.fold((1, 1), |(nodes, depth), (more, deeper)| (nodes + more, depth.max(deeper + 1)))
    }

    #[test]
    fn bombs_in_keys_and_values_stay_harmless() {
        let levels = |n: usize, first: &str, level: &dyn Fn(&str) -> String| {
            let rest = (1..n).map(|at| format!("a{at}: &a{at} {}\n", level(&format!("*a{}", at - 1))));
            format!("a0: &a0 {first}\n{}", rest.collect::<String>())
        };
        let wide = |alias: &str| [alias; 10].join(", ");
        let cases = [
            levels(9, "x", &|alias| format!("[{}]", wide(alias))),
            levels(9, "{x: y}", &|alias| format!("{{? [{}] : x}}", wide(alias))),
            levels(9, "{x: y}", &|alias| format!("{{? {{a: [{}]}} : [{alias}]}}", wide(alias))),
            levels(300, "x", &|alias| format!("[[[[[{alias}]]]]]")),
            levels(300, "{x: y}", &|alias| format!("{{? [{alias} ] : x}}")),
        ];
        for text in cases {
            let stream = parse(&text);
            let (nodes, depth) = measure(&stream.documents[0].root.as_ref().unwrap().resolved());
            assert!(nodes < 3 * ALIAS_NODES && depth < 2 * ALIAS_DEPTH, "{nodes} nodes, {depth} deep: {text}");
        }
    }

    #[test]
    fn own_keys_go_before_merged_ones() {
        let stream = parse("a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a, z: 4}\n");
        let root = stream.documents[0].root.as_ref().unwrap().resolved();
        let b = root.get("b").unwrap();
        let shown: Vec<_> = b.entries().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(shown, [(Some("y"), Some("3")), (Some("z"), Some("4")), (Some("x"), Some("1"))]);
    }
}
