//! One YAML document as a tree whose nodes know where they stand. Aliases are replaced by what they name and merge
//! keys (`<<`) by the entries that they bring, so that readers see plain mappings.

use crate::engine::manifest::Position;
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use std::{borrow::Cow, collections::HashMap};

/// How deep mappings and lists may be nested.
const DEPTH: usize = 64;
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
                Plain::Text => quoted(text),
            },
        }
    }
}

/// What a scalar without quotes is to YAML 1.2's core schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    Nothing,
    Boolean(bool),
    Number,
    Text,
}

pub(crate) fn plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Nothing,
        "true" | "True" | "TRUE" => return Plain::Boolean(true),
        "false" | "False" | "FALSE" => return Plain::Boolean(false),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let based = |prefix: &str, radix| {
        digits.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix)))
    };
    let decimal = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && digits.parse::<f64>().is_ok();
    let special = matches!(digits, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN");
    if decimal || special || based("0x", 16) || based("0o", 8) { Plain::Number } else { Plain::Text }
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
    pub faults: Vec<(Position, String)>,
}

/// Reads the one document of a text.
pub(crate) fn read(text: &str) -> Document {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: 255,
        block_nesting_limit: 255,
    };
    let mut builder = Builder {
        lines: Lines::of(text),
        parser: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        nodes: 0,
        faults: Vec::new(),
    };
    let root = match builder.document() {
        Ok(root) => root,
        Err(fault) => {
            builder.faults.push(fault);
            None
        }
    };
    Document { root, faults: builder.faults }
}

/// Offsets at which lines start.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Lines {
        let bytes = text.as_bytes();
        let ends = (0..bytes.len()).filter(|&i| match bytes[i] {
            b'\n' => true,
            b'\r' => bytes.get(i + 1) != Some(&b'\n'),
            _ => false,
        });
        Lines(std::iter::once(0).chain(ends.map(|i| i + 1)).collect())
    }

    fn position(&self, offset: usize) -> Position {
        let line = self.0.partition_point(|&start| start <= offset);
        let start = line.checked_sub(1).and_then(|i| self.0.get(i)).copied().unwrap_or(0);
        Position { line: line.max(1), column: offset - start + 1 }
    }
}

type Fault = (Position, String);

struct Builder<'t, I: granit_parser::BorrowedInput<'t>> {
    lines: Lines,
    parser: Parser<'t, I>,
    /// A finished node with the number of nodes in it; `None` while it is being read.
    anchors: HashMap<usize, Option<(Node, usize)>>,
    nodes: usize,
    faults: Vec<Fault>,
}

impl<'t, I: granit_parser::BorrowedInput<'t>> Builder<'t, I> {
    fn at(&self, span: &Span) -> Position {
        self.lines.position(span.start.byte_offset().unwrap_or(0))
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Fault> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn syntax(&self, error: &ScanError) -> Fault {
        let marker = error.marker();
        let position = match marker.byte_offset() {
            Some(offset) => self.lines.position(offset),
            None => Position { line: marker.line(), column: marker.col() + 1 },
        };
        (position, format!("no valid YAML: {}", error.info()))
    }

    fn document(&mut self) -> Result<Option<Node>, Fault> {
        let mut root = None;
        let mut documents = 0;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        let message = "expected one YAML document, found a second one: put everything into the first";
                        self.faults.push((self.at(&span), message.into()));
                        return Ok(root);
                    }
                }
                Event::StreamStart | Event::DocumentEnd => {}
                event => root = Some(self.node(event, span, 0)?.0),
            }
        }
    }

    /// The node that begins with an event, and how many nodes are in it.
    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<(Node, usize), Fault> {
        let position = self.at(&span);
        if depth > DEPTH {
            return Err((position, format!("nested more than {DEPTH} levels deep")));
        }
        self.count(1, position)?;
        let before = self.nodes;
        let (value, anchor) = match event {
            Event::Alias(id) => return self.alias(id, position),
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = match tag.as_deref() {
                    None => style != ScalarStyle::Plain,
                    Some(tag) => self.is_text(tag, position),
                };
                let text = text.into_owned();
                (if is_text { Value::Text(text) } else { Value::Plain(text) }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(anchor, tag.as_deref(), position);
                (Value::List(self.list(depth)?), anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.open(anchor, tag.as_deref(), position);
                (Value::Map(self.mapping(depth)?), anchor)
            }
            other => return Err((position, format!("no valid YAML: a value cannot begin here ({other:?})"))),
        };
        let node = Node { position, value };
        let size = self.nodes - before + 1;
        if anchor != 0 {
            self.anchors.insert(anchor, Some((node.clone(), size)));
        }
        Ok((node, size))
    }

    fn count(&mut self, nodes: usize, position: Position) -> Result<(), Fault> {
        self.nodes += nodes;
        if self.nodes > NODES {
            return Err((position, format!("more than {NODES} values, counting each use of an alias")));
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, position: Position) -> Result<(Node, usize), Fault> {
        match self.anchors.get(&id) {
            Some(Some((node, size))) => {
                let (node, size) = (node.clone(), *size);
                self.count(size, position)?;
                Ok((node, size))
            }
            Some(None) => Err((position, "this alias stands inside the very value that it names".into())),
            None => Err((position, "this alias names no anchor that stands before it".into())),
        }
    }

    fn open(&mut self, anchor: usize, tag: Option<&Tag>, position: Position) {
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
        if let Some(tag) = tag.filter(|tag| !matches!(tag.core_suffix(), Some("map" | "seq"))) {
            self.refuse(tag, position);
        }
    }

    fn is_text(&mut self, tag: &Tag, position: Position) -> bool {
        let is_text = tag.core_suffix() == Some("str");
        if !is_text {
            self.refuse(tag, position);
        }
        is_text
    }

    fn refuse(&mut self, tag: &Tag, position: Position) {
        self.faults.push((position, format!("the tag {} has no meaning here: leave it out", quoted(&tag.original()))));
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?.0),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, Fault> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut merges = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let (key, _) = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let (value, _) = self.node(event, span, depth + 1)?;
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
