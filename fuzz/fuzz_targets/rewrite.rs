//! The whole rewrite: scan, give every line a new value, apply, scan again. *Local*: bytes outside the spans stay.
//! *Exact*: the marked lines are there again and hold what was written, unless the finding of a value that their field
//! cannot have stands in their place; documents that were YAML still are. *Idempotent*: the same values are no edit.
//! The first line is the new value, the rest is the file.
#![no_main]

use butler::engine::manifest::{Edit, FileKind, ImageLine, Scan, apply, scan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(at) = bytes.iter().position(|&b| b == b'\n') else { return };
    let Ok(value) = std::str::from_utf8(&bytes[..at]) else { return };
    let file = &bytes[at + 1..];
    // What a reference can hold; anything else is refused before it comes here.
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@+".contains(&b)) {
        return;
    }
    for kind in [FileKind::Yaml, FileKind::Json, FileKind::Kustomization, FileKind::FluxPatch] {
        let scanned = scan(kind, file);
        let edits: Vec<_> = scanned.lines.iter().filter_map(|line| line.edit(&"b".into(), value)).collect();
        let after = apply(file, &edits).expect("edits of one scan fit its bytes");
        local(file, &after, &edits);

        let again = scan(kind, &after);
        assert_eq!(again.documents.len(), scanned.documents.len());
        assert_eq!(unparsed(&again), unparsed(&scanned), "what was YAML still is");
        for line in marked(&scanned) {
            exact(line, value, &again);
        }
        let edits: Vec<_> = again.lines.iter().filter_map(|line| line.edit(&"b".into(), value)).collect();
        let settled = apply(&after, &edits).expect("edits of one scan fit its bytes");
        for line in marked(&scan(kind, &settled)) {
            assert_eq!(line.edit(&"b".into(), value), None);
        }
    }
});

fn local(file: &[u8], after: &[u8], edits: &[Edit]) {
    let (mut old, mut new) = (0, 0);
    for edit in edits {
        let kept = edit.span.start - old;
        assert_eq!(file[old..edit.span.start], after[new..new + kept]);
        assert_eq!(&after[new + kept..new + kept + edit.new.len()], edit.new.as_bytes());
        (old, new) = (edit.span.end, new + kept + edit.new.len());
    }
    assert_eq!(file[old..], after[new..]);
}

/// A value is one line and stays one: what is marked is found again where it was. By its row, since the value may be a part
/// of what an object is called.
fn exact(line: &ImageLine, value: &str, again: &Scan) {
    let row = line.position.line;
    let found = again.lines.iter().find(|found| found.position.line == row && found.marker.is_some());
    match found {
        Some(found) => assert_eq!((found.value.as_str(), found.part), (value, line.part), "{line:?}"),
        None => {
            let refused = |code: &str| match code {
                "marker-wrong-kind" | "duplicate-key" => true,
                // There one code stands for all reasons.
                "marker-in-unparsed-file" => line.unparsed,
                _ => false,
            };
            let mut there = again.findings.iter().filter(|finding| finding.position.line == row);
            assert!(there.any(|finding| refused(&finding.code)), "{line:?} is gone: {:?}", again.findings);
        }
    }
}

fn marked(scan: &Scan) -> impl Iterator<Item = &ImageLine> {
    scan.lines.iter().filter(|line| line.marker.is_some())
}

/// Whatever a file is called that has such documents: a new value may have taken the place of its only `{{`.
fn unparsed(scan: &Scan) -> usize {
    scan.findings.iter().filter(|finding| finding.is_of_unparsed()).count()
}
