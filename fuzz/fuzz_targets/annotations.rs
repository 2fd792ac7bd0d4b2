//! Annotations: a whole manifest through scan and bind. Every binding points at a line that there is.
#![no_main]

use butler::engine::{
    config::Config,
    dialect::bind,
    manifest::{FileKind, scan},
    plan::{Entry, EntryKind, Snapshot},
};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

fuzz_target!(|bytes: &[u8]| {
    let mut snapshot = Snapshot::default();
    snapshot.entries.insert("a.yaml".into(), Entry { blob: "b".into(), kind: EntryKind::File });
    snapshot.scans.insert("a.yaml".into(), Arc::new(scan(FileKind::Yaml, bytes)));
    let bindings = bind(&snapshot, &Config::whole_repository());
    for binding in &bindings.lines {
        let scan = snapshot.scans.get(&binding.file).expect("bound lines are in files that were read");
        assert!(scan.lines.get(binding.line).is_some());
    }
});
