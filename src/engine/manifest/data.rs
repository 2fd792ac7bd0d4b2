//! Parts of manifests as data: what kustomize's patches and Flux's substitutions work on before an object means anything.

use super::{
    Position,
    yaml::{self, LineIndex, Node, NodeKind, Style},
};
use serde::{Deserialize, Serialize};

/// A value, and where its author wrote it: in the file of the object, or in that of a patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    pub position: Position,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    Null,
    /// A text that YAML 1.1 reads as a string.
    String(String),
    /// A number, boolean or date, as written.
    Other(String),
    Sequence(Vec<Data>),
    /// In the order of the file.
    Mapping(Vec<(String, Data)>),
    /// An alias; its target is not looked for.
    Alias,
}

impl Data {
    pub(super) fn of(node: &Node<'_>, index: &LineIndex) -> Data {
        let value = match &node.kind {
            _ if node.is_null() => Value::Null,
            NodeKind::Scalar { value, .. } if node.describe() == "a string" => Value::String(value.to_string()),
            NodeKind::Scalar { value, style } => match style {
                Style::Plain => Value::Other(value.to_string()),
                _ => Value::String(value.to_string()),
            },
            NodeKind::Sequence(items) => Value::Sequence(items.iter().map(|item| Data::of(item, index)).collect()),
            NodeKind::Mapping(entries) => {
                let entry =
                    |(key, value): &(Node<'_>, Node<'_>)| Some((key.as_str()?.to_owned(), Data::of(value, index)));
                Value::Mapping(entries.iter().filter_map(entry).collect())
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
            Value::Alias => "an alias",
        }
    }
}
