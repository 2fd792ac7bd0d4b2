//! Annotations that are written, changed or taken away in the file: whole lines, and no other byte.

use super::{
    Position,
    plain::{quoted, scalar},
    yaml::{self, LineIndex, Node, NodeKind, Style},
};
use std::{collections::BTreeMap, ops::Range};

/// Why an object cannot be annotated in its file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {message}")]
pub struct AnnotateError {
    pub position: Position,
    pub message: String,
}

/// The file's text after an object's annotations are set (`Some`) or taken away (`None`). `object`: the position of its
/// document ([`super::Document::position`]).
///
/// A value that stands on one line changes there, in its quotes; one of several lines gives way to one line. What is new
/// goes behind the last annotation. With the last of them goes the key `annotations`.
///
/// # Errors
/// [`AnnotateError`] where the object or its annotations are not written line by line (flow style, JSON, aliases).
pub fn annotate(
    text: &str,
    object: Position,
    changes: &BTreeMap<String, Option<String>>,
) -> Result<String, AnnotateError> {
    let index = LineIndex::new(text.as_bytes());
    let stream = yaml::parse(text);
    let fault = |position, message: String| AnnotateError { position, message };
    let unknown = || fault(object, "expected an object with metadata, found none: nothing can be annotated".to_owned());
    let at = |node: &&Node<'_>| index.position(node.span.start) == object;
    let roots = || stream.documents.iter().filter_map(|document| document.root.as_ref());
    let items = roots().filter_map(|root| root.get("items")).flat_map(Node::items);
    // A list begins where its first field does, an item of it never.
    let found = items.clone().find(at).or_else(|| roots().find(at)).ok_or_else(unknown)?;
    let page = Page { text, index: &index };
    let Some(metadata) = page.lines(found, "metadata")? else {
        // Nothing is taken away where nothing is.
        let takes_away = changes.values().all(Option::is_none);
        return if takes_away { Ok(text.to_owned()) } else { Err(unknown()) };
    };
    let edits = page.edits(metadata, changes)?;
    let mut after = String::with_capacity(text.len());
    let mut reached = 0;
    for (span, new) in edits {
        after.push_str(text.get(reached..span.start).unwrap_or_default());
        after.push_str(&new);
        reached = span.end;
    }
    after.push_str(text.get(reached..).unwrap_or_default());
    // Whatever was overlooked: the file says what was asked for, or stays.
    let mut expected = annotations(metadata);
    for (key, value) in changes {
        match value {
            Some(value) => expected.insert(key.clone(), value.clone()),
            None => expected.remove(key),
        };
    }
    let number = roots().chain(items).position(|node| std::ptr::eq(node, found));
    let again = yaml::parse(&after);
    let roots = || again.documents.iter().filter_map(|document| document.root.as_ref());
    let items = roots().filter_map(|root| root.get("items")).flat_map(Node::items);
    let now = number.and_then(|number| roots().chain(items).nth(number)).and_then(|node| node.get("metadata"));
    if now.map(annotations) == Some(expected) && again.documents.len() == stream.documents.len() {
        return Ok(after);
    }
    Err(fault(object, "the annotations are written in a way that cannot be changed safely: change them by hand".into()))
}

/// The annotations with a text.
fn annotations(metadata: &Node<'_>) -> BTreeMap<String, String> {
    let entries = metadata.get("annotations").map(Node::entries).unwrap_or_default();
    let texts = entries.iter().filter_map(|(key, value)| Some((key.as_str()?.into(), value.as_str()?.into())));
    texts.collect()
}

/// The byte behind the line break of the line that `offset` is in.
pub(super) fn line_end(text: &str, offset: usize) -> usize {
    let rest = text.as_bytes().get(offset..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(text.len(), |at| offset + at + 1)
}

/// A file that is edited by lines.
struct Page<'t> {
    text: &'t str,
    index: &'t LineIndex,
}

impl<'t> Page<'t> {
    fn fault(&self, node: &Node<'_>, message: impl Into<String>) -> AnnotateError {
        AnnotateError { position: self.index.position(node.span.start), message: message.into() }
    }

    /// The mapping below a key, whose entries are lines of their own; `None` where nothing is written.
    fn lines<'n, 'a>(&self, parent: &'n Node<'a>, key: &str) -> Result<Option<&'n Node<'a>>, AnnotateError> {
        let mut found = parent.entries().iter().filter(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value);
        let first = found.next();
        if let Some(second) = found.next() {
            return Err(self.fault(second, format!("expected {key} once, found it twice: remove one")));
        }
        let Some(node) = first.filter(|node| !node.span.is_empty()) else { return Ok(None) };
        let expected = format!("expected {key} with a key on each line, found");
        let found = match &node.kind {
            NodeKind::Mapping(_) if node.anchor.is_some() => "an anchor, by which others have it too",
            NodeKind::Mapping(entries) if entries.iter().any(|(key, _)| key.as_str() == Some("<<")) => "a merge key",
            NodeKind::Mapping(_) if self.text.as_bytes().get(node.span.start) == Some(&b'{') => "braces",
            NodeKind::Mapping(entries) if entries.iter().all(|(key, _)| self.begins_line(key)) => {
                return Ok(Some(node));
            }
            NodeKind::Mapping(_) => "one with something before it",
            _ => node.describe(),
        };
        Err(self.fault(node, format!("{expected} {found}: write it line by line")))
    }

    fn begins_line(&self, key: &Node<'_>) -> bool {
        self.indent(key).bytes().all(|byte| byte == b' ')
    }

    /// What stands before a node on its line.
    fn indent(&self, node: &Node<'_>) -> &'t str {
        self.text.get(self.index.line_start(node.span.start)..node.span.start).unwrap_or_default()
    }

    /// The lines of an entry of a mapping, without blank ones behind it.
    fn whole(&self, (key, value): &(Node<'_>, Node<'_>)) -> Range<usize> {
        let written = self.text.get(value.span.clone()).unwrap_or_default().trim_end();
        let last = if written.is_empty() { key.span.end } else { value.span.start + written.len() };
        self.index.line_start(key.span.start)..line_end(self.text, last)
    }

    fn line_break(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    /// What changes, in the order of the file.
    fn edits(
        &self,
        metadata: &Node<'_>,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<Vec<(Range<usize>, String)>, AnnotateError> {
        let header = metadata.entries().iter().find(|(key, _)| key.as_str() == Some("annotations"));
        let here = self.lines(metadata, "annotations")?;
        let entries = here.map(Node::entries).unwrap_or_default();
        let mut edits = Vec::new();
        let mut left = entries.len();
        for entry @ (key, value) in entries {
            match key.as_str().and_then(|key| changes.get(key)) {
                None => {}
                Some(None) => {
                    left -= 1;
                    edits.push((self.whole(entry), String::new()));
                }
                Some(Some(new)) => edits.extend(self.replacement(entry, value, new)?),
            }
        }
        let known = |key: &String| entries.iter().any(|(name, _)| name.as_str() == Some(key));
        let mut added = Vec::new();
        for (key, value) in changes {
            if let (Some(value), false) = (value, known(key)) {
                added.push(format!("{}: {}", scalar(key), scalar(value)));
            }
        }
        let child = entries.first().map(|(key, _)| self.indent(key));
        let (above, indent) = match (metadata.entries(), header) {
            ([.., last], None) => (last, self.indent(&last.0).to_owned()),
            ([first, ..], Some(header)) => (
                entries.last().unwrap_or(header),
                child.map_or_else(|| format!("{}  ", self.indent(&first.0)), str::to_owned),
            ),
            ([], _) => return Err(self.fault(metadata, "expected metadata with a name, found nothing in it")),
        };
        if header.is_none() && !added.is_empty() {
            added.iter_mut().for_each(|line| line.insert_str(0, "  "));
            added.insert(0, "annotations:".to_owned());
        }
        if let (true, 0, false, Some((key, _))) = (added.is_empty(), left, entries.is_empty(), header) {
            let line = self.index.line_start(key.span.start)..line_end(self.text, key.span.end);
            edits.insert(0, (line, String::new()));
        }
        if !added.is_empty() {
            let end = self.whole(above).end;
            let line_break = self.line_break();
            let lines = added.iter().map(|line| format!("{indent}{line}")).collect::<Vec<_>>().join(line_break);
            let new = match self.text.get(..end).is_some_and(|text| text.ends_with('\n')) {
                true => format!("{lines}{line_break}"),
                false => format!("{line_break}{lines}"),
            };
            edits.push((end..end, new));
        }
        Ok(edits)
    }

    /// The edit that gives an annotation another value.
    fn replacement(
        &self,
        entry: &(Node<'_>, Node<'_>),
        node: &Node<'_>,
        new: &str,
    ) -> Result<Option<(Range<usize>, String)>, AnnotateError> {
        let NodeKind::Scalar { value, style } = &node.kind else {
            return Err(self.fault(node, format!("expected a text, found {}: write it out", node.describe())));
        };
        if node.anchor.is_some() || node.tag.is_some() {
            return Err(self.fault(node, "expected a text alone, found an anchor or tag before it: remove that first"));
        }
        let string = *style != Style::Plain || node.describe() == "a string";
        if string && value == new {
            return Ok(None);
        }
        let written = self.text.get(node.span.clone()).unwrap_or_default();
        let plain = !new.chars().any(char::is_control);
        let one_line = !written.contains('\n') && !matches!(style, Style::Literal | Style::Folded);
        let (span, put) = match style {
            // Its key keeps its lines' comment; of several lines only the first has one.
            _ if node.span.is_empty() || !one_line => {
                let whole = self.whole(entry);
                let end = match self.text.get(whole.clone()) {
                    Some(text) if text.ends_with("\r\n") => "\r\n",
                    Some(text) if text.ends_with('\n') => "\n",
                    _ => "",
                };
                let key = self.text.get(entry.0.span.clone()).unwrap_or_default();
                (whole, format!("{}{key}: {}{end}", self.indent(&entry.0), scalar(new)))
            }
            Style::SingleQuoted if plain => (node.span.clone(), format!("'{}'", new.replace('\'', "''"))),
            Style::DoubleQuoted => (node.span.clone(), quoted(new)),
            _ => (node.span.clone(), scalar(new)),
        };
        Ok(Some((span, put)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn changes(text: &str) -> BTreeMap<String, Option<String>> {
        let change = |word: &str| match word.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (word.trim_end_matches('-').to_owned(), None),
        };
        text.split(' ').map(change).collect()
    }

    fn first(text: &str) -> Position {
        let index = LineIndex::new(text.as_bytes());
        yaml::parse(text).documents[0].root.as_ref().map(|root| index.position(root.span.start)).unwrap()
    }

    #[test]
    fn lines() {
        const NAMED: &str = "kind: D\nmetadata:\n  name: d # d\n";
        #[rustfmt::skip]
        let cases = [
            (format!("{NAMED}spec: {{}}\n"), "a=x", format!("{NAMED}  annotations:\n    a: x\nspec: {{}}\n")),
            (NAMED.to_owned(), "a=x b=true", format!("{NAMED}  annotations:\n    a: x\n    b: \"true\"\n")),
            (NAMED.trim_end().to_owned(), "a=x", format!("{}\n  annotations:\n    a: x", NAMED.trim_end())),
            (NAMED.replace('\n', "\r\n"), "a=x", format!("{NAMED}  annotations:\n    a: x\n").replace('\n', "\r\n")),
            (format!("{NAMED}  annotations:\n"), "a=x", format!("{NAMED}  annotations:\n    a: x\n")),
            (format!("{NAMED}  annotations:\n      a: 'x' # é\n      b: y\n  # end\n"), "a=it's c=z", format!("{NAMED}  annotations:\n      a: 'it''s' # é\n      b: y\n      c: z\n  # end\n")),
            (format!("{NAMED}  annotations:\n    a: x\n"), "a-", NAMED.to_owned()),
            (format!("{NAMED}  annotations: # those\n    # of a\n    a: x\n"), "a- b=w", format!("{NAMED}  annotations: # those\n    # of a\n    b: w\n")),
            (format!("{NAMED}  annotations:\n    a: |\n      x\n      y\n\n    b: z\n"), "a-", format!("{NAMED}  annotations:\n\n    b: z\n")),
            (format!("{NAMED}  annotations:\n    a: \"x\n      y\"\n    b: z\n"), "a=w", format!("{NAMED}  annotations:\n    a: w\n    b: z\n")),
            (format!("{NAMED}  annotations:\n    a: true\n"), "a=true", format!("{NAMED}  annotations:\n    a: \"true\"\n")),
            (format!("{NAMED}  annotations:\n    a:\n    b: z\n"), "a=w", format!("{NAMED}  annotations:\n    a: w\n    b: z\n")),
            (format!("{NAMED}  annotations:\n    a: x\n"), "b-", format!("{NAMED}  annotations:\n    a: x\n")),
            ("kind: List\nitems:\n- metadata:\n    name: d\n".to_owned(), "b-", "kind: List\nitems:\n- metadata:\n    name: d\n".to_owned()),
        ];
        for (text, given, expected) in cases {
            let given = changes(given);
            let after = annotate(&text, first(&text), &given);
            if text.starts_with("kind: List") {
                let after = annotate(&text, Position { line: 3, column: 3 }, &changes("b=x")).unwrap();
                assert_eq!(after, format!("{text}    annotations:\n      b: x\n"));
                continue;
            }
            assert_eq!(after.as_deref(), Ok(expected.as_str()), "{text:?}");
            assert_eq!(annotate(&expected, first(&expected), &given).as_deref(), Ok(expected.as_str()), "again");
        }
    }

    #[test]
    fn what_is_not_there_is_not_taken_away() {
        for text in ["kind: D\n", "kind: D\nmetadata:\n", "kind: D\nmetadata:\n  name: d\n"] {
            assert_eq!(annotate(text, first(text), &changes("a")).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_written_otherwise_is_refused() {
        #[rustfmt::skip]
        let cases = [
            ("kind: D\nmetadata: {name: d}\n", "2:11: expected metadata with a key on each line, found braces: write it line by line"),
            ("kind: D\nmetadata:\n  name: d\n  annotations: {}\n", "4:16: expected annotations with a key on each line, found braces: write it line by line"),
            ("kind: D\nmetadata:\n  name: d\n  annotations: *x\n", "4:16: expected annotations with a key on each line, found an alias: write it line by line"),
            ("kind: D\nmetadata:\n  name: d\n  annotations: &x\n    b: c\n", "5:5: expected annotations with a key on each line, found an anchor, by which others have it too: write it line by line"),
            ("kind: D\nmetadata:\n  name: d\n  annotations:\n    <<: *x\n", "5:5: expected annotations with a key on each line, found a merge key: write it line by line"),
            ("kind: D\nmetadata:\n  name: d\n  annotations:\n    a: *x\n", "5:8: expected a text, found an alias: write it out"),
            ("kind: D\nmetadata:\n  name: d\n  annotations:\n    a: &x y\n", "5:11: expected a text alone, found an anchor or tag before it: remove that first"),
            ("kind: D\nmetadata:\n  name: d\n  annotations:\n    b: c\n  annotations:\n    b: c\n", "7:5: expected annotations once, found it twice: remove one"),
            ("kind: D\nmetadata:\n  name: d\n  annotations:\n  annotations:\n", "5:14: expected annotations once, found it twice: remove one"),
            ("kind: D\n", "1:1: expected an object with metadata, found none: nothing can be annotated"),
            ("{\"kind\": \"D\", \"metadata\": {\n\"name\": \"d\"}}\n", "1:27: expected metadata with a key on each line, found braces: write it line by line"),
            ("kind: D\nmetadata:\n  ? name\n  : d\n", "3:3: expected metadata with a key on each line, found one with something before it: write it line by line"),
        ];
        for (text, expected) in cases {
            let error = annotate(text, first(text), &changes("a=x")).unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }

    proptest! {
        /// Only lines of the annotations that are named change; the same again changes nothing.
        #[test]
        fn local_and_idempotent(
            before in prop::collection::vec(("[a-e]", "[ -~é]{0,6}", 0..3u8), 0..4),
            given in prop::collection::btree_map("[a-e]", prop::option::of("[ -~é\n]{0,6}"), 1..4),
            crlf in any::<bool>(),
        ) {
            let mut seen = std::collections::BTreeSet::new();
            let mut text = "# é\nkind: D\nmetadata:\n  name: d\n".to_owned();
            let entries: Vec<_> = before.iter().filter(|(key, ..)| seen.insert(key.clone())).collect();
            if !entries.is_empty() {
                text.push_str("  annotations:\n");
            }
            for (key, value, style) in &entries {
                let value = match style {
                    0 => scalar(value),
                    1 => quoted(value),
                    _ => format!("'{}'", value.replace('\'', "''")),
                };
                text.push_str(&format!("    {key}: {value} # {key}\n"));
            }
            text.push_str("spec:\n  x: y\n");
            if crlf {
                text = text.replace('\n', "\r\n");
            }
            let after = annotate(&text, first(&text), &given).unwrap();
            prop_assert_eq!(annotate(&after, first(&after), &given), Ok(after.clone()));
            let of = |text: &str| -> Vec<String> {
                let named = |line: &str| given.keys().any(|key| line.starts_with(&format!("    {key}:")));
                let lines = text.split_inclusive('\n').filter(|line| !named(line) && line.trim_end() != "  annotations:");
                lines.map(str::to_owned).collect()
            };
            prop_assert_eq!(of(&after), of(&text));
        }
    }
}
