//! From the parser's events to the tree.

use super::{Comment, Document, Node, NodeKind, Stream, Style, SyntaxError};
use granit_parser::{Event, Options, Parser, ScalarStyle, Span, options};
use std::{borrow::Cow, ops::Range};

/// How deep collections may nest. Kubernetes objects stay below 30; walks over the tree may recurse.
pub const DEPTH_LIMIT: usize = 128;

/// How many nodes a document may have: about 100 MB of memory.
pub const NODE_LIMIT: usize = 1_000_000;

/// Reads a stream of YAML or JSON documents. A byte order mark and CRLF are fine.
pub fn parse(text: &str) -> Stream<'_> {
    let mut builder = Builder { text, ..Builder::default() };
    let mut parser = Parser::new_from_str_with_options(text, parser_options());
    // Each failed recovery ends the loop, each successful one moves on in the text: this ends.
    while let Some(event) = parser.next_event() {
        let failure = match event {
            Ok((Event::StreamEnd, _)) => break,
            Ok((event, span)) => builder.event(event, &span).err(),
            Err(error) => {
                let offset = error.marker().byte_offset().unwrap_or(builder.reached);
                Some(SyntaxError { offset: offset.min(text.len()), message: error.info() })
            }
        };
        if let Some(failure) = failure {
            builder.fail(failure);
            if !parser.proceed_next_document().unwrap_or(false) {
                break;
            }
        }
    }
    builder.finish()
}

fn parser_options() -> Options {
    options! {
        emit_anchor_events: true,
        // An alias whose anchor is missing is somebody's mistake, but no reason to leave the file.
        emit_unresolved_aliases: true,
        // The default of 96 refuses files with longer blocks of commented-out lines; the file's size is the limit.
        max_buffered_comment_events: usize::MAX,
    }
}

#[derive(Default)]
struct Builder<'a> {
    text: &'a str,
    documents: Vec<Document<'a>>,
    comments: Vec<Comment<'a>>,
    open: Vec<Open<'a>>,
    /// The document that is being read: where it starts.
    start: Option<usize>,
    root: Option<Node<'a>>,
    nodes: usize,
    has_aliases: bool,
    /// The furthest byte that was read.
    reached: usize,
}

/// A collection whose end was not read yet.
struct Open<'a> {
    node: Node<'a>,
    flow: bool,
    key: Option<Node<'a>>,
}

impl<'a> Builder<'a> {
    fn event(&mut self, event: Event<'a>, span: &Span) -> Result<(), SyntaxError> {
        let range = span.byte_range().unwrap_or(self.reached..self.reached);
        self.reached = self.reached.max(range.end);
        match event {
            Event::DocumentStart(..) => self.start = Some(range.start),
            Event::DocumentEnd => self.end_document(None),
            Event::Comment(..) => {
                let text = self.text.get(range.clone()).unwrap_or_default();
                self.comments.push(Comment { span: range, text });
            }
            Event::Scalar(value, style, _, tag) => {
                let kind = NodeKind::Scalar { value, style: style_of(style) };
                self.push(node(range, kind, tag))?;
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let name = self.text.get(range.clone()).unwrap_or_default().trim_start_matches('*');
                self.has_aliases = true;
                self.push(node(range, NodeKind::Alias(name), None))?;
            }
            Event::MappingStart(style, _, tag) => self.open(range, style, NodeKind::Mapping(Vec::new()), tag)?,
            Event::SequenceStart(style, _, tag) => self.open(range, style, NodeKind::Sequence(Vec::new()), tag)?,
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some(mut open) = self.open.pop() {
                    if open.flow {
                        open.node.span.end = range.end;
                    }
                    self.push(open.node)?;
                }
            }
            Event::Anchor(..) => {
                let name = self.text.get(range).unwrap_or_default().trim_start_matches('&');
                if let Some(node) = self.last() {
                    node.anchor = Some(name);
                }
            }
            // The events left say where the stream begins and ends; the enum is open to new ones.
            _ => {}
        }
        Ok(())
    }

    fn open(
        &mut self,
        range: Range<usize>,
        style: granit_parser::StructureStyle,
        kind: NodeKind<'a>,
        tag: Option<Cow<'a, granit_parser::Tag>>,
    ) -> Result<(), SyntaxError> {
        if self.open.len() >= DEPTH_LIMIT {
            let message = format!("expected at most {DEPTH_LIMIT} levels of nesting, found more");
            return Err(SyntaxError { offset: range.start, message });
        }
        let flow = style == granit_parser::StructureStyle::Flow;
        self.open.push(Open { node: node(range, kind, tag), flow, key: None });
        Ok(())
    }

    /// Hands a finished node to the collection that it stands in.
    fn push(&mut self, node: Node<'a>) -> Result<(), SyntaxError> {
        self.nodes += 1;
        if self.nodes > NODE_LIMIT {
            let message = format!("expected at most {NODE_LIMIT} nodes in a document, found more");
            return Err(SyntaxError { offset: node.span.start, message });
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.node.span.end = parent.node.span.end.max(node.span.end);
        match &mut parent.node.kind {
            NodeKind::Mapping(entries) => match parent.key.take() {
                Some(key) => entries.push((key, node)),
                None => parent.key = Some(node),
            },
            NodeKind::Sequence(items) => items.push(node),
            NodeKind::Scalar { .. } | NodeKind::Alias(_) => {}
        }
        Ok(())
    }

    /// The node whose event came last: the collection just opened, or the scalar just read.
    fn last(&mut self) -> Option<&mut Node<'a>> {
        let Some(open) = self.open.last_mut() else { return self.root.as_mut() };
        if let Some(key) = open.key.as_mut() {
            return Some(key);
        }
        let has_children = match &open.node.kind {
            NodeKind::Mapping(entries) => !entries.is_empty(),
            NodeKind::Sequence(items) => !items.is_empty(),
            NodeKind::Scalar { .. } | NodeKind::Alias(_) => false,
        };
        if !has_children {
            return Some(&mut open.node);
        }
        match &mut open.node.kind {
            NodeKind::Mapping(entries) => entries.last_mut().map(|(_, value)| value),
            NodeKind::Sequence(items) => items.last_mut(),
            NodeKind::Scalar { .. } | NodeKind::Alias(_) => None,
        }
    }

    fn fail(&mut self, error: SyntaxError) {
        // An error between two documents belongs to what follows the last one.
        self.start = self.start.or_else(|| Some(self.documents.last().map_or(0, |last| last.span.end)));
        self.end_document(Some(error));
    }

    fn end_document(&mut self, error: Option<SyntaxError>) {
        let root = self.root.take().filter(|_| error.is_none());
        let start = self.start.take().unwrap_or(self.reached);
        let has_aliases = std::mem::take(&mut self.has_aliases);
        self.documents.push(Document { span: start..self.reached.max(start), root, error, has_aliases });
        self.open.clear();
        self.nodes = 0;
    }

    fn finish(mut self) -> Stream<'a> {
        let mut next = self.text.len();
        for document in self.documents.iter_mut().rev() {
            document.span.end = next;
            next = document.span.start;
        }
        // The comment on a block scalar's header comes after the scalar.
        self.comments.sort_by_key(|comment| comment.span.start);
        Stream { documents: self.documents, comments: self.comments }
    }
}

fn node<'a>(span: Range<usize>, kind: NodeKind<'a>, tag: Option<Cow<'a, granit_parser::Tag>>) -> Node<'a> {
    Node { span, anchor: None, tag: tag.map(|tag| tag.to_string().into_boxed_str()), kind }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}
