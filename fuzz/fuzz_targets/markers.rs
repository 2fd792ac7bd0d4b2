//! Markers and image lines: the first byte is the kind of file, the rest is the file. Spans hold what the lines say,
//! identities are unique, and findings stand inside the file.
#![no_main]

use butler::engine::manifest::{FileKind, is_candidate, scan};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let kind = match first {
        b'j' => FileKind::Json,
        b'k' => FileKind::Kustomization,
        b'p' => FileKind::FluxPatch,
        _ => FileKind::Yaml,
    };
    let scanned = scan(kind, bytes);
    let lines = bytes.iter().filter(|&&b| b == b'\n').count() + bytes.iter().filter(|&&b| b == b'\r').count() + 1;
    let mut identities = BTreeSet::new();
    for line in &scanned.lines {
        assert_eq!(bytes.get(line.span.clone()), Some(line.value.as_bytes()));
        assert!(line.document < scanned.documents.len());
        assert!(identities.insert(scanned.line_id("f", line)), "two lines with one identity");
    }
    for finding in &scanned.findings {
        assert!((1..=lines).contains(&finding.position.line), "{finding:?}");
    }
    if !is_candidate(kind, bytes) {
        assert!(scanned.lines.is_empty(), "the byte search left out a file with lines");
    }
});
