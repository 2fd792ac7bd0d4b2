//! The whole rewrite: scan, give every line a new value, apply, scan again. *Local*: bytes outside the spans stay.
//! *Exact*: the marked lines are there again and hold what was written. *Idempotent*: the same values are no edit.
//! The first line is the new value, the rest is the file.
#![no_main]

use butler::engine::manifest::{FileKind, apply, scan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(at) = bytes.iter().position(|&b| b == b'\n') else { return };
    let Ok(value) = std::str::from_utf8(&bytes[..at]) else { return };
    let file = &bytes[at + 1..];
    // What a reference can hold; anything else is refused before it comes here.
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@+".contains(&b)) {
        return;
    }
    for kind in [FileKind::Yaml, FileKind::Json, FileKind::Kustomization] {
        let scanned = scan(kind, file);
        let edits: Vec<_> =
            scanned.lines.iter().filter_map(|line| line.edit(&"b".into(), value)).collect();
        let after = apply(file, &edits).expect("edits of one scan fit its bytes");

        let (mut old, mut new) = (0, 0);
        for edit in &edits {
            let kept = edit.span.start - old;
            assert_eq!(file[old..edit.span.start], after[new..new + kept]);
            assert_eq!(&after[new + kept..new + kept + edit.new.len()], edit.new.as_bytes());
            (old, new) = (edit.span.end, new + kept + edit.new.len());
        }
        assert_eq!(file[old..], after[new..]);

        let again = scan(kind, &after);
        for line in scanned.lines.iter().filter(|line| line.marker.is_some()) {
            // Whether a marker fits its field depends on the value that stands there: one that does not is none.
            let fits = |found: &butler::engine::manifest::ImageLine| found.marker.is_none() || found.part == line.part;
            let id = scanned.line_id("f", line);
            let found = again.lines.iter().find(|found| again.line_id("f", found) == id);
            assert!(found.is_none_or(|found| found.value == value && fits(found)), "{id:?}: {found:?}");
        }
        let edits: Vec<_> =
            again.lines.iter().filter_map(|line| line.edit(&"b".into(), value)).collect();
        let settled = apply(&after, &edits).expect("edits of one scan fit its bytes");
        let last = scan(kind, &settled);
        for line in last.lines.iter().filter(|line| line.marker.is_some()) {
            assert_eq!(line.edit(&"b".into(), value), None);
        }
    }
});
