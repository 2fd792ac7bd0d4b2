//! Parts of manifests as data: what kustomize's patches and Flux's substitutions work on before an object means anything.

use super::{
    Position,
    yaml::{self, LineIndex, Node, NodeKind, Style},
};
use std::collections::HashMap;

/// A value, and where its author wrote it: in the file of the object, or in that of a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    pub position: Position,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    /// A text that YAML 1.1 reads as a string.
    String(String),
    /// A number, boolean or date, as written.
    Other(String),
    Sequence(Vec<Data>),
    /// In the order of the file.
    Mapping(Vec<(String, Data)>),
    /// An alias without an anchor, or one whose value is too large.
    Alias,
}

/// How many nodes of a document may be put in by its aliases, and kept for them: more than any object has, and little
/// enough that aliases of aliases of aliases cost nothing.
const ALIAS_NODES: usize = 20_000;

/// How deep a value may be that an alias puts in, counted from the document's root. Manifests nest less deep.
const ALIAS_DEPTH: usize = 64;

/// Reads nodes as data, in the document's order: an alias means the last anchor of its name before it.
struct Reader<'r, 'a> {
    index: &'r LineIndex,
    anchors: HashMap<&'a str, Read>,
    /// Of [`ALIAS_NODES`].
    left: usize,
}

#[derive(Clone)]
struct Read {
    data: Data,
    nodes: usize,
    depth: usize,
}

impl<'a> Reader<'_, 'a> {
    fn read(&mut self, node: &Node<'a>, depth: usize) -> Read {
        let (mut nodes, mut below) = (1, 0);
        let mut child = |read: Read| {
            nodes += read.nodes;
            below = below.max(read.depth);
            read.data
        };
        let value = match &node.kind {
            _ if node.is_null() => Value::Null,
            NodeKind::Scalar { value, .. } if node.describe() == "a string" => Value::String(value.to_string()),
            NodeKind::Scalar { value, style } => match style {
                Style::Plain => Value::Other(value.to_string()),
                _ => Value::String(value.to_string()),
            },
            NodeKind::Sequence(items) => {
                Value::Sequence(items.iter().map(|item| child(self.read(item, depth + 1))).collect())
            }
            NodeKind::Mapping(entries) => {
                let entry = |(key, value): &(Node<'a>, Node<'a>)| {
                    Some((key.as_str()?.to_owned(), child(self.read(value, depth + 1))))
                };
                Value::Mapping(merged(entries.iter().filter_map(entry).collect()))
            }
            NodeKind::Alias(name) => match self.anchors.get(name) {
                Some(meant) if meant.nodes <= self.left && depth + meant.depth <= ALIAS_DEPTH => {
                    self.left -= meant.nodes;
                    child(meant.clone()).value
                }
                _ => Value::Alias,
            },
        };
        let data = Data { position: self.index.position(node.span.start), value };
        let read = Read { data, nodes, depth: below + 1 };
        if let Some(name) = node.anchor {
            self.anchors.remove(name);
            if nodes <= self.left {
                self.left -= nodes;
                self.anchors.insert(name, read.clone());
            }
        }
        read
    }
}

/// A mapping's entries with those of its merge keys (`<<: *defaults`), which give way to its own.
/// <https://yaml.org/type/merge.html>
fn merged(entries: Vec<(String, Data)>) -> Vec<(String, Data)> {
    let is_merge = |(key, value): &(String, Data)| {
        key == "<<" && (matches!(value.value, Value::Mapping(_)) || !value.items().is_empty())
    };
    if !entries.iter().any(is_merge) {
        return entries;
    }
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_merge);
    for (_, merge) in merges {
        let sources = match merge.value {
            Value::Sequence(items) => items,
            _ => vec![merge],
        };
        for (key, value) in sources.iter().flat_map(Data::entries) {
            if !own.iter().any(|(known, _)| known == key) {
                own.push((key.clone(), value.clone()));
            }
        }
    }
    own
}

impl Data {
    pub(super) fn of(node: &Node<'_>, index: &LineIndex) -> Data {
        Reader { index, anchors: HashMap::new(), left: ALIAS_NODES }.read(node, 0).data
    }

    /// The documents of a text that stands in a field (a patch in a kustomization), with that field's position. What
    /// is no YAML is left out.
    pub fn documents(text: &str, position: Position) -> Vec<Data> {
        let index = LineIndex::new(text.as_bytes());
        let stream = yaml::parse(text);
        let mut documents: Vec<Data> =
            stream.documents.iter().filter_map(|document| Some(Data::of(document.root.as_ref()?, &index))).collect();
        documents.iter_mut().for_each(|document| document.place(position));
        documents.retain(|document| document.value != Value::Null);
        documents
    }

    /// Gives everything below one position.
    fn place(&mut self, position: Position) {
        self.position = position;
        match &mut self.value {
            Value::Sequence(items) => items.iter_mut().for_each(|item| item.place(position)),
            Value::Mapping(entries) => entries.iter_mut().for_each(|(_, value)| value.place(position)),
            Value::Null | Value::String(_) | Value::Other(_) | Value::Alias => {}
        }
    }

    /// The value of a mapping's first entry with this key.
    pub fn get(&self, key: &str) -> Option<&Data> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The value at the end of a path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&Data> {
        path.iter().try_fold(self, |data, key| data.get(key))
    }

    /// A scalar's text, whatever type it has.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) | Value::Other(text) => Some(text),
            Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Alias => None,
        }
    }

    /// The text at the end of a path of keys; empty where there is none.
    pub fn text(&self, path: &[&str]) -> &str {
        self.at(path).and_then(Data::as_str).unwrap_or_default()
    }

    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    pub fn entries(&self) -> &[(String, Data)] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    pub fn items(&self) -> &[Data] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The texts of a sequence's scalars.
    pub fn strings(&self, key: &str) -> Vec<String> {
        let items = self.get(key).map(Data::items).unwrap_or_default();
        items.iter().filter_map(Data::as_str).map(String::from).collect()
    }

    /// "a mapping", "a string", … for messages that say what was found.
    pub fn describe(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::String(_) => "a string",
            Value::Other(_) => "a number, boolean or date",
            Value::Sequence(_) => "a sequence",
            Value::Mapping(_) => "a mapping",
            Value::Alias => "an alias of nothing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data in one line.
    fn shown(data: &Data) -> String {
        let list = |parts: Vec<String>| parts.join(", ");
        match &data.value {
            Value::Null => "null".into(),
            Value::String(text) | Value::Other(text) => text.clone(),
            Value::Sequence(items) => format!("[{}]", list(items.iter().map(shown).collect())),
            Value::Mapping(entries) => {
                format!("{{{}}}", list(entries.iter().map(|(key, value)| format!("{key}: {}", shown(value))).collect()))
            }
            Value::Alias => "*".into(),
        }
    }

    #[test]
    fn aliases() {
        #[rustfmt::skip]
        let cases = [
            ("a: &n x\nb: *n", "{a: x, b: x}"),
            ("a: &n {x: 1}\nb: [*n, *n]", "{a: {x: 1}, b: [{x: 1}, {x: 1}]}"),
            ("a: &n x\nb: *n\nc: &n y\nd: *n", "{a: x, b: x, c: y, d: y}"),
            ("a: *n\nb: &n x", "{a: *, b: x}"),
            ("a: &n [*n]", "{a: [*]}"),
            ("a: &n {x: 1, y: 2}\nb: {y: 3, <<: *n}", "{a: {x: 1, y: 2}, b: {y: 3, x: 1}}"),
            ("a: &m {x: 1}\nb: &n {x: 2, y: 3}\nc: {<<: [*m, *n]}", "{a: {x: 1}, b: {x: 2, y: 3}, c: {x: 1, y: 3}}"),
            ("a: {<<: x}", "{a: {<<: x}}"),
        ];
        for (text, expected) in cases {
            let documents = Data::documents(text, Position::default());
            assert_eq!(shown(&documents[0]), expected, "{text}");
        }
    }

    #[test]
    fn bombs_stay_harmless() {
        let wide = |n: usize| {
            let levels = (1..n)
                .map(|level| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", ")));
            format!("a0: &a0 x\n{}", levels.collect::<String>())
        };
        let deep = |n: usize| {
            let levels = (1..n).map(|level| format!("a{level}: &a{level} [[[[[*a{}]]]]]\n", level - 1));
            format!("a0: &a0 x\n{}", levels.collect::<String>())
        };
        fn measure(data: &Data) -> (usize, usize) {
            let below = data.items().iter().chain(data.entries().iter().map(|(_, value)| value)).map(measure);
            below.fold((1, 1), |(nodes, depth), (more, deeper)| (nodes + more, depth.max(deeper + 1)))
        }
        for text in [wide(12), deep(200)] {
            let documents = Data::documents(&text, Position::default());
            let (nodes, depth) = measure(&documents[0]);
            assert!(nodes < 2 * ALIAS_NODES && depth < 2 * ALIAS_DEPTH, "{nodes} nodes, {depth} deep");
        }
    }
}
