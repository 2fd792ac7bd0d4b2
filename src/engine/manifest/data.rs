//! Parts of manifests as data: what kustomize's patches and Flux's substitutions work on before an object means anything.

use super::{
    Position, is_string,
    yaml::{self, LineIndex, Node, NodeKind, Style},
};

/// A value, and where its author wrote it: in the file of the object, or in that of a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    pub position: Position,
    pub value: Value,
}

/// What a node holds, without comments and styles.
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

impl Data {
    /// A node whose aliases are resolved, as data.
    pub(super) fn of(node: &Node<'_>, index: &LineIndex) -> Data {
        let below = |node: &Node<'_>| Data::of(node, index);
        let value = match &node.kind {
            _ if node.is_null() => Value::Null,
            NodeKind::Scalar { value, style: Style::Plain } if !is_string(value) => Value::Other(value.to_string()),
            NodeKind::Scalar { value, .. } => Value::String(value.to_string()),
            NodeKind::Sequence(items) => Value::Sequence(items.iter().map(below).collect()),
            NodeKind::Mapping(entries) => {
                let entry = |(key, value): &(Node<'_>, Node<'_>)| Some((key.as_str()?.to_owned(), below(value)));
                // Kept for long: no larger than it must be.
                let mut mapping = Vec::with_capacity(entries.len());
                mapping.extend(entries.iter().filter_map(entry));
                mapping.shrink_to_fit();
                Value::Mapping(mapping)
            }
            NodeKind::Alias(_) => Value::Alias,
        };
        Data { position: index.position(node.span.start), value }
    }

    /// The documents of a text that stands in a field (a patch in a kustomization), with that field's position. What
    /// is no YAML is left out.
    pub fn documents(text: &str, position: Position) -> Vec<Data> {
        let index = LineIndex::new(text.as_bytes());
        let stream = yaml::parse(text);
        let meant = stream.documents.iter().filter_map(yaml::Document::meant);
        let mut documents: Vec<Data> = meant.map(|root| Data::of(&root, &index)).collect();
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

    /// Whether it is written out as none, or left empty.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// A mapping's, in the order of the file; none of anything else.
    pub fn entries(&self) -> &[(String, Data)] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// A sequence's; none of anything else.
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
    use super::{
        yaml::{ALIAS_DEPTH, ALIAS_NODES},
        *,
    };

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
