use super::*;
use crate::engine::manifest::Position;

/// The tree in one line: `{a: x}` for mappings, `[x]` for sequences, `*x` for aliases, `&x` for anchors.
fn print(node: &Node<'_>) -> String {
    let anchor = node.anchor.map(|name| format!("&{name} ")).unwrap_or_default();
    let text = match &node.kind {
        NodeKind::Scalar { .. } => node.as_str().map_or("null".into(), |value| format!("{value:?}")),
        NodeKind::Alias(name) => format!("*{name}"),
        NodeKind::Sequence(items) => format!("[{}]", items.iter().map(print).collect::<Vec<_>>().join(", ")),
        NodeKind::Mapping(entries) => {
            let entries = entries.iter().map(|(k, v)| format!("{}: {}", print(k), print(v)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    };
    anchor + &text
}

fn documents(text: &str) -> Vec<String> {
    let show = |document: &Document<'_>| match (&document.root, &document.error) {
        (Some(root), None) => print(root),
        (None, Some(error)) => format!("error at {}", error.offset),
        other => format!("{other:?}"),
    };
    parse(text).documents.iter().map(show).collect()
}

#[test]
fn trees() {
    let cases: &[(&str, &[&str])] = &[
        ("a: 1\nb: [x, 'y']\n", &[r#"{"a": "1", "b": ["x", "y"]}"#]),
        ("\u{feff}a: é\r\nb: x\r\n", &[r#"{"a": "é", "b": "x"}"#]),
        ("a:\nb: ~\nc: ''\n", &[r#"{"a": null, "b": "~", "c": ""}"#]),
        ("a: &x {b: &y 1}\nc: *x\nd: *missing\n", &[r#"{"a": &x {"b": &y "1"}, "c": *x, "d": *missing}"#]),
        ("&k a: 1\n", &[r#"{&k "a": "1"}"#]),
        ("- &s [&t x, y]\n- *s\n", &[r#"[&s [&t "x", "y"], *s]"#]),
        ("*k : 1\n", &[r#"{*k: "1"}"#]),
        ("a: 1\na: 2\n", &[r#"{"a": "1", "a": "2"}"#]),
        ("{\n\t\"a\":\t[1,\n\t2]\n}", &[r#"{"a": ["1", "2"]}"#]),
        ("a: 1\n---\nb: [\n---\nc: 1\n", &[r#"{"a": "1"}"#, "error at 12", r#"{"c": "1"}"#]),
        ("{{ if }}\na: 1\n---\nb: 1\n", &["{{\"if\": null}: null}", "error at 9", r#"{"b": "1"}"#]),
        ("@a: b\n---\nc: 1\n", &["error at 0", r#"{"c": "1"}"#]),
        ("", &[]),
        ("# only\n", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(documents(text), *expected, "{text:?}");
    }
}

#[test]
fn spans_slice_what_is_written() {
    let text = "é: &a 'x' # one\r\nb:\r\n  - {c: \"d\"} # two\r\n  - |\r\n    e\r\n";
    let stream = parse(text);
    let root = stream.documents[0].root.as_ref().unwrap();
    assert_eq!(&text[root.get("é").unwrap().span.clone()], "'x'");
    let items = root.get("b").unwrap().items();
    assert_eq!(&text[items[0].span.clone()], "{c: \"d\"}");
    assert_eq!(&text[items[0].get("c").unwrap().span.clone()], "\"d\"");
    assert_eq!(stream.comments.iter().map(|c| c.text).collect::<Vec<_>>(), ["# one", "# two"]);
}

#[test]
fn documents_cover_the_file_from_their_start() {
    let text = "a: 1\n---\nb: [\n---\nc: 1\n";
    let spans: Vec<_> = parse(text).documents.into_iter().map(|d| &text[d.span]).collect();
    assert_eq!(spans, ["a: 1\n", "---\nb: [\n", "---\nc: 1\n"]);
}

#[test]
fn limits_stop_one_document() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let deep = |n: usize| format!("x: {}1{}\n---\nafter: 1\n", open.repeat(n), close.repeat(n));
        let (within, beyond) = (deep(DEPTH_LIMIT - 1), deep(DEPTH_LIMIT));
        let (within, beyond) = (parse(&within), parse(&beyond));
        assert!(within.documents.iter().all(|d| d.error.is_none()), "{open}");
        assert!(beyond.documents[0].error.as_ref().unwrap().message.contains("128 levels"), "{open}");
        assert!(parse(&deep(100_000)).documents[0].error.is_some(), "{open}");
        assert!(beyond.documents.last().unwrap().root.as_ref().unwrap().get("after").is_some(), "{open}");
    }
}

#[test]
fn long_comments_are_no_error() {
    let text = format!("a:\n{}  b: 1\n", "  # old: line\n".repeat(500));
    assert_eq!(documents(&text), [r#"{"a": {"b": "1"}}"#]);
}

#[test]
fn positions() {
    let index = LineIndex::new("ab\r\né\n\nx".as_bytes());
    let cases = [(0, 1, 1), (1, 1, 2), (3, 1, 4), (4, 2, 1), (6, 2, 3), (7, 3, 1), (8, 4, 1), (9, 4, 2)];
    for (offset, line, column) in cases {
        assert_eq!(index.position(offset), Position { line, column }, "{offset}");
    }
}
