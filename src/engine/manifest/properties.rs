//! Edits over generated manifests: local, exact, idempotent.

use super::{mismatch::mismatch, *};
use proptest::prelude::*;
use std::ops::Range;

/// Around each value while a manifest is made, so that what is found in it can be compared with what was put there.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// A manifest, and where its values are: the places that may change.
#[derive(Clone, Debug)]
struct Made {
    text: String,
    places: Vec<Range<usize>>,
}

impl Made {
    fn of(drawn: &str) -> Made {
        let mut made = Made { text: String::new(), places: Vec::new() };
        for character in drawn.chars() {
            let here = made.text.len();
            match (character, made.places.last_mut()) {
                (OPEN, _) => made.places.push(here..here),
                (CLOSE, Some(place)) => place.end = here,
                _ => made.text.push(character),
            }
        }
        made
    }

    /// This text with `value`'s values written into its places; those that have none keep theirs.
    fn with<'v>(&self, value: impl Fn(&Range<usize>) -> Option<&'v str>) -> String {
        let mut text = String::new();
        let mut reached = 0;
        for place in &self.places {
            let (before, old) = (&self.text[reached..place.start], &self.text[place.clone()]);
            text += before;
            text += &value(place).map_or(old.to_owned(), |new| spelling(before.chars().next_back(), new));
            reached = place.end;
        }
        text + &self.text[reached..]
    }
}

/// How a value is written behind what stands before it: quoted stays quoted, plain stays plain where it can.
fn spelling(before: Option<char>, value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    match before {
        Some('\'') => value.replace('\'', "''"),
        Some('"') => escaped,
        // Where nothing is written yet.
        Some(':') => format!(" {}", spelling(None, value)),
        _ if is_plain_string(value) => value.to_owned(),
        _ => format!("\"{escaped}\""),
    }
}

/// A manifest with comments, odd spacing, every scalar style, anchors, flow style, multi-byte text, any line ends.
fn manifest() -> impl Strategy<Value = Made> {
    let head = prop::sample::select(vec!["", "", "\u{feff}", "--- # first\n", "%YAML 1.2\n---\n", "# head\n\n---\n"]);
    let between = prop::sample::select(vec!["---\n", "---   \n", "--- # next\n", "...\n---\n", "---\n---\n"]);
    let breaks = prop_oneof![
        3 => Just(vec!["\n"]),
        1 => Just(vec!["\r\n"]),
        1 => Just(vec!["\r"]),
        1 => prop::collection::vec(prop::sample::select(vec!["\n", "\r\n"]), 7),
    ];
    (head, prop::collection::vec(document(), 1..4), between, breaks, any::<bool>()).prop_map(
        |(head, documents, between, breaks, end)| {
            let mut text = format!("{head}{}", documents.join(between));
            if !end {
                text.truncate(text.trim_end_matches('\n').len());
            }
            let lines = text.split('\n').enumerate();
            let line = |(i, line): (usize, &str)| {
                if i == 0 { line.to_owned() } else { format!("{}{line}", breaks[i % breaks.len()]) }
            };
            Made::of(&lines.map(line).collect::<String>())
        },
    )
}

fn document() -> impl Strategy<Value = String> {
    let named = prop_oneof![Just(String::new()), "[a-c]".prop_map(|name| format!("metadata: {{name: {name}}}\n"))];
    let body = prop_oneof![
        workload(),
        values(),
        kustomization(),
        fields(),
        list(),
        sequences(),
        merged(),
        nested(),
        fields().prop_map(|fields| format!("{{{{- if .Values.x }}}}\n{fields}{{{{- end }}}}\n")),
    ];
    let object = (named, body, noise()).prop_map(|(name, body, noise)| format!("{noise}{name}{body}"));
    prop_oneof![8 => object, 1 => operations()]
}

fn workload() -> impl Strategy<Value = String> {
    prop::collection::vec((marker(":?"), value(), 0..4usize, noise()), 1..4).prop_map(|containers| {
        let mut text = "kind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n".to_string();
        for (i, (marker, value, gap, noise)) in containers.into_iter().enumerate() {
            let gap = " ".repeat(gap + 1);
            text += &format!("      - name: c{}\n{noise}        image:{gap}{value}{marker}\n", i % 3);
        }
        text
    })
}

fn values() -> impl Strategy<Value = String> {
    (value(), marker(":tag"), value(), prop::bool::ANY, noise()).prop_map(|(name, marker, tag, flow, noise)| {
        if flow {
            format!("{noise}image: {{ repository: {name} ,\n  tag: {tag} ,{marker}\n  x: [1, {{y: é}}] }}\n")
        } else {
            format!("image:\n{noise}    repository: {name}\n    tag:   {tag}{marker}\n    pullPolicy: Always # é\n")
        }
    })
}

fn kustomization() -> impl Strategy<Value = String> {
    (value(), marker(":tag"), noise()).prop_map(|(tag, marker, noise)| {
        format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages:\n- name: a\n{noise}  newTag: \
             {tag}{marker}\n- {{name: b, newTag: {tag}}}{marker}\n"
        )
    })
}

fn fields() -> impl Strategy<Value = String> {
    let field = (value(), marker(":tag"), 0..8u8, noise());
    prop::collection::vec(field, 1..4).prop_map(|fields| {
        let mut text = "kind: ConfigMap\ndata:\n".to_string();
        for (i, (value, marker, layout, noise)) in fields.into_iter().enumerate() {
            let key = format!("key{}", i % 3);
            text += &noise;
            text += &match layout {
                0 => format!("  {key}:{OPEN}{CLOSE}{marker}\n"),
                1 => format!("  {key}:\n      {value}{marker}\n"),
                2 => format!("  {key}: # note\n\n      {value}{marker}\n"),
                3 => format!("  \"{key}\" : {value}{marker}\n"),
                4 => format!("  ? {key}\n  : {value}{marker}\n"),
                5 => format!("  text{i}: |-{marker}\n    {key}: v0{marker}\n\n  {key}: {value}{marker}\n"),
                _ => format!("  {key}: {value}{marker}\n"),
            };
        }
        text + "  use: *a\n"
    })
}

fn list() -> impl Strategy<Value = String> {
    prop::collection::vec((value(), marker(":tag"), noise()), 1..3).prop_map(|items| {
        let item = |(value, marker, noise): (String, String, String)| {
            format!("- kind: ConfigMap\n  metadata: {{name: c}}\n  data:\n{noise}    tag: {value}{marker}\n")
        };
        format!("kind: List\nitems:\n{}", items.into_iter().map(item).collect::<String>())
    })
}

fn sequences() -> impl Strategy<Value = String> {
    prop::collection::vec((value(), marker(":?"), 0..5u8, noise()), 1..4).prop_map(|items| {
        let item = |(value, marker, layout, noise): (String, String, u8, String)| match layout {
            0 => format!("{noise}  -   - {value}{marker}\n      - x\n"),
            1 => format!("  - [x,\n     {value} ,{marker}\n     y]\n"),
            2 => format!("  - [\n    {value}{marker}\n    ]\n"),
            3 => format!("  - [{value}]{marker}\n"),
            _ => format!("{noise}  - {value}{marker}\n"),
        };
        format!("args:\n{}", items.into_iter().map(item).collect::<String>())
    })
}

fn merged() -> impl Strategy<Value = String> {
    (value(), marker(":tag"), value(), noise()).prop_map(|(value, marker, own, noise)| {
        format!("base: &b\n{noise}  tag: {value}{marker}\nuse:\n  <<: *b{marker}\n  image: *b\n  tag: {own}{marker}\n")
    })
}

fn nested() -> impl Strategy<Value = String> {
    (value(), marker(":tag"), 1..60usize).prop_map(|(value, marker, depth)| {
        let keys = (0..depth).map(|level| format!("{}k:\n", " ".repeat(level)));
        format!("{}{}tag: {value}{marker}\n", keys.collect::<String>(), " ".repeat(depth))
    })
}

fn operations() -> impl Strategy<Value = String> {
    prop::collection::vec((value(), marker(":?"), noise()), 1..3).prop_map(|operations| {
        let operation = |(i, (value, marker, noise)): (usize, (String, String, String))| {
            format!("- op: replace\n  path: /spec/{i}/image\n{noise}  value: {value}{marker}\n")
        };
        operations.into_iter().enumerate().map(operation).collect()
    })
}

/// A value as written: plain, quoted, anchored, empty, and the hard ones.
fn value() -> impl Strategy<Value = String> {
    let text =
        prop_oneof!["[a-z]{1,6}", "v[0-9]{1,2}", "[a-z]{1,3}/[a-z]{1,3}:[a-z0-9.]{1,4}", Just("é:ü".to_string())];
    let put = |text: &str| format!("{OPEN}{text}{CLOSE}");
    (text, 0..13u8).prop_map(move |(text, style)| match style {
        0..=2 => put(&text),
        3 => format!("\"{}\"", put(&text)),
        4 => format!("'{}'", put(&text)),
        5 => format!("&a {}", put(&text)),
        6 => format!("\"{}\"", put("")),
        7 => put("1.10"),
        8 => format!("&a !!str '{}'", put(&text)),
        9 => put("null"),
        10 => format!("{}   ", put(&"v".repeat(200))),
        // Not to be changed, being one value of several lines, or typed.
        11 => format!("\"{text}\n          {text}\""),
        12 => format!("!custom {text}"),
        // Not to be changed.
        _ => format!("\"{text}\\u00e9\""),
    })
}

/// Nothing, a marker, or a comment that is none. `?` in the suffix stands for "with or without".
fn marker(suffix: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0..3usize, 1..3usize, "[a-c]").prop_map(move |(space, hashes, policy)| {
            let suffix = suffix.trim_end_matches([':', '?']);
            format!("{}{}{{\"$imagepolicy\": \"ns:{policy}{suffix}\"}}", " ".repeat(space + 1), "#".repeat(hashes))
        }),
        1 => Just(String::new()),
        1 => Just("   # é {\"$imagepolicy\": \"ns:a:tag\"}".to_string()),
        1 => Just("\t#{\"$imagepolicy\": \"ns:a:tag\"} x".to_string()),
    ]
}

/// Lines between fields.
fn noise() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("\n".into()),
        Just("   \n".into()),
        Just("# ünïcode\n".into()),
        Just("      # tag: v0 # {\"$imagepolicy\": \"ns:a:tag\"}\n".into()),
    ]
}

/// Values to write: tags, references, and what needs quotes.
fn new_value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9._-]{1,12}",
        "[a-z]{1,4}/[a-z]{1,4}:[a-z0-9.]{1,6}",
        "[0-9]{1,3}(\\.[0-9]{1,2})?",
        "[0-9]{1,2}[eE:][0-9]{1,2}",
        prop::sample::select(vec![
            "on",
            "null",
            "~",
            "0x1f",
            "2024-01-01",
            "1_000",
            ".inf",
            "it's",
            "a\"b",
            "a\\b",
            "a: b",
            "é"
        ])
        .prop_map(String::from),
    ]
}

fn identities(scan: &Scan) -> Vec<LineId> {
    scan.lines.iter().map(|line| scan.line_id("f.yaml", line)).collect()
}

proptest! {
    #![proptest_config(crate::engine::testing::at_least(3000))]

    #[test]
    fn lines_hold_their_bytes(made in manifest()) {
        let Made { text, places } = made;
        let scanned = scan(FileKind::Yaml, text.as_bytes());
        for line in &scanned.lines {
            prop_assert_eq!(&text[line.span.clone()], &line.value);
            prop_assert!(places.contains(&line.span), "{:?} is no place of a value: {:?}", line, places);
        }
        let mut ids = identities(&scanned);
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), scanned.lines.len(), "two lines with one identity");
    }

    #[test]
    fn edits_are_local_exact_and_idempotent(made in manifest(), news in prop::collection::vec(new_value(), 12), pick in any::<u16>()) {
        let text = &made.text;
        let scanned = scan(FileKind::Yaml, text.as_bytes());
        let chosen = |i: usize| pick >> (i % 16) & 1 == 1;
        let mut edits = Vec::new();
        let mut expected = Vec::new();
        for (i, line) in scanned.lines.iter().enumerate() {
            let new = if chosen(i) { news[i % news.len()].as_str() } else { line.value.as_str() };
            let edit = line.edit(&"blob".into(), new);
            prop_assert!(edit.as_ref().is_none_or(|edit| edit.span == line.span && edit.old == line.value));
            edits.extend(edit);
            expected.push((scanned.line_id("f.yaml", line), new.to_string()));
        }
        let after = apply(text.as_bytes(), &edits).unwrap();

        // Local: what the generator put around its values is there as it was, and so is each value that was not chosen.
        let written = |place: &Range<usize>| {
            let (line, (_, new)) = scanned.lines.iter().zip(&expected).find(|(line, _)| line.span == *place)?;
            (*new != line.value).then_some(new.as_str())
        };
        prop_assert_eq!(str::from_utf8(&after).unwrap(), made.with(written));

        // Exact: the values that were written are read again, on the same lines. Values with quotes in them can no
        // longer be edited in place, those of documents that are no YAML have to look plain, and a whole reference in
        // place of a tag is no marker's to write, so such lines may be gone; and what a value is decides whether a
        // field that only looks like an image's is one.
        let again = scan(FileKind::Yaml, &after);
        let found: Vec<_> = identities(&again).into_iter().zip(again.lines.iter().map(|line| line.value.clone())).collect();
        for (line, (id, new)) in scanned.lines.iter().zip(&expected) {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-/:@+".contains(&b);
            let kept = match line.unparsed {
                true => is_plain_string(new) && new.bytes().all(plain),
                false => !new.contains(['\'', '"', '\\']),
            };
            let fits = line.marker.as_ref().is_some_and(|marker| mismatch(line.path.key(), marker.part, new).is_none());
            if fits && kept {
                prop_assert!(found.contains(&(id.clone(), new.as_str().into())), "{id:?} {new:?} not in {found:?}");
            }
        }

        // Idempotent: the same values again are no edit.
        for line in &again.lines {
            let id = again.line_id("f.yaml", line);
            if let Some((_, new)) = expected.iter().find(|(expected, _)| *expected == id) {
                prop_assert_eq!(line.edit(&"blob".into(), new), None);
            }
        }
        prop_assert_eq!(again.documents.len(), scanned.documents.len());
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for kind in [FileKind::Yaml, FileKind::Json, FileKind::Kustomization] {
            scan(kind, &bytes);
        }
    }

    #[test]
    fn any_text_of_yaml_characters_is_read(text in "[-a-c:#{}\\[\\]\"'&*!|> \n\r\t,?%@é0-9]{0,60}( # \\{\"\\$imagepolicy\": \"n:p:tag\"\\}\n?)?") {
        let scanned = scan(FileKind::Yaml, text.as_bytes());
        for line in &scanned.lines {
            prop_assert_eq!(&text[line.span.clone()], &line.value);
            let edit = line.edit(&"b".into(), "v9.9").unwrap();
            prop_assert_eq!(&edit.span, &line.span);
            let after = apply(text.as_bytes(), std::slice::from_ref(&edit)).unwrap();
            let again = scan(FileKind::Yaml, &after);
            let id = scanned.line_id("f", line);
            let found = again.lines.iter().find(|line| again.line_id("f", line) == id);
            prop_assert_eq!(found.map(|line| line.value.as_str()), Some("v9.9"), "{:?}", String::from_utf8_lossy(&after));
        }
    }
}
