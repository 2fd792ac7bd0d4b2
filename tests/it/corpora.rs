//! Scans over real repositories and over Flux's own answers. The data is found by `BUTLER_TEST_DATA`.

use butler::engine::manifest::{Edit, FileKind, Marker, Part, Scan, apply, is_candidate, scan};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A folder of the test data; `None`, with the reason printed, where it is absent.
fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("BUTLER_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join(name);
    if !path.exists() {
        eprintln!("skipped: no {name} in BUTLER_TEST_DATA");
        return None;
    }
    Some(path)
}

/// Every file below a folder, with its path in it; symlinks are not followed.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(current).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_string();
                found.push((name, fs::read(entry.path()).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[derive(Debug, Default)]
struct Counts {
    files: usize,
    candidates: usize,
    lines: usize,
    markers: usize,
    flux_objects: usize,
    findings: BTreeMap<String, usize>,
}

impl Counts {
    fn add(&mut self, kind: FileKind, bytes: &[u8]) {
        self.files += 1;
        let scanned = scan(kind, bytes);
        if is_candidate(kind, bytes) {
            self.candidates += 1;
        } else {
            assert_eq!(scanned.lines, [], "the byte search lost lines");
        }
        self.lines += scanned.lines.len();
        self.markers += scanned.lines.iter().filter(|line| line.marker.is_some()).count();
        self.flux_objects += scanned.documents.iter().filter(|document| document.content.is_some()).count();
        for finding in &scanned.findings {
            *self.findings.entry(finding.code.clone()).or_default() += 1;
        }
        editing_is_local(bytes, &scanned);
    }
}

/// Writing another value to every line changes the bytes of the values, and the lines stay the same lines.
fn editing_is_local(bytes: &[u8], scanned: &Scan) {
    let edits: Vec<Edit> =
        scanned.lines.iter().filter_map(|line| line.edit(scanned.line_id("f", line), "b", "new.io/x:v9")).collect();
    let after = apply(bytes, &edits).unwrap();
    let changed: usize = edits.iter().map(|edit| edit.new.len()).sum::<usize>();
    let removed: usize = edits.iter().map(|edit| edit.old.len()).sum::<usize>();
    assert_eq!(after.len() + removed, bytes.len() + changed);
    let mut restored = after;
    for edit in edits.iter() {
        // From the front: everything before an edit is restored already.
        restored.splice(edit.span.start..edit.span.start + edit.new.len(), edit.old.bytes());
    }
    assert_eq!(restored, bytes);
}

#[test]
fn repositories() {
    let Some(root) = data("corpora") else { return };
    let markers: BTreeMap<&str, usize> = BTreeMap::from([
        ("alkrauss48+fleet-infra", 11),
        ("equinor+radix-flux", 45),
        ("makkes+pipelines", 1),
        ("manuelnucci+lfs269-instavote-deploy", 2),
    ]);
    for entry in fs::read_dir(&root).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let mut counts = Counts::default();
        for (path, bytes) in files(&entry.path()) {
            if let Some(kind) = FileKind::of(&path) {
                counts.add(kind, &bytes);
            }
        }
        println!("{name}: {counts:?}");
        assert_eq!(counts.markers, markers.get(&*name).copied().unwrap_or(0), "markers of {name}");
    }
}

#[test]
fn replayed_blobs() {
    let Some(root) = data("replay/blobs") else { return };
    let mut counts = Counts::default();
    for (_, bytes) in files(&root) {
        counts.add(FileKind::Yaml, &bytes);
    }
    println!("{counts:?}");
    assert!(counts.markers > 0 && counts.lines > counts.markers);
}

/// What Flux bots committed: given the values that they chose, our edits to the same lines make the same file, byte for
/// byte (`expected` is the bot's file without its reformatting).
#[test]
fn replayed_commits() {
    let Some(root) = data("replay") else { return };
    let blob = |row: &Value, key: &str| fs::read(root.join("blobs").join(row[key].as_str().unwrap())).unwrap();
    let (mut same, mut other) = (BTreeMap::<String, usize>::new(), Vec::new());
    for (name, bytes) in files(&root).into_iter().filter(|(name, _)| name.ends_with(".jsonl")) {
        for row in String::from_utf8(bytes).unwrap().lines() {
            let row: Value = serde_json::from_str(row).unwrap();
            let path = row["path"].as_str().unwrap();
            let kind = FileKind::of(path).unwrap();
            let (before, expected) = (blob(&row, "before"), blob(&row, "expected"));
            let (old, new) = (scan(kind, &before), scan(kind, &expected));
            let chosen: BTreeMap<_, _> = new.lines.iter().map(|line| (new.line_id(path, line), &line.value)).collect();
            let edits: Vec<Edit> = old
                .lines
                .iter()
                .filter_map(|line| {
                    let id = old.line_id(path, line);
                    let value = chosen.get(&id)?;
                    line.edit(id, "blob", value)
                })
                .collect();
            if apply(&before, &edits).unwrap() == expected {
                *same.entry(name.clone()).or_default() += 1;
            } else {
                other.push(format!("{name} {} {path}", row["commit"]));
            }
        }
    }
    println!("the same: {same:?}");
    assert_eq!(other, [""; 0], "other bytes than the bot's");
}

/// What Flux answered to files made for the purpose: the same values change here, save for the differences listed.
#[test]
fn flux_marker_table() {
    let Some(path) = data("cases/flux2_marker_rewrite.json") else { return };
    let table: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    // Ours changes more, or less, on purpose.
    let differences = BTreeMap::from([
        ("digest-field-empty", "a digest marker whose policy has no digest is no edit; Flux writes \"\""),
        ("block-scalar", "a block scalar is never edited"),
        ("top-level-list", "Flux leaves lists alone"),
        ("kind-list-empty", "Flux leaves an empty List alone"),
        ("metadata-string", "Flux leaves objects with odd metadata alone"),
        ("symlink-file", "symlinks are not followed"),
        ("symlink-outside-path", "symlinks are not followed"),
        ("path-limits", "which files are looked at is not a scan's question"),
        ("path-missing", "which files are looked at is not a scan's question"),
        ("path-is-file", "which files are looked at is not a scan's question"),
        ("one-invalid-policy-ref", "one bad policy does not stop the others"),
    ]);
    let mut differing = Vec::new();
    for case in table["cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        let mut ours = Vec::new();
        for (file, content) in case["files"].as_object().unwrap() {
            let before = content["before"].as_str().unwrap();
            let Some(kind) = FileKind::of(file) else { continue };
            let scanned = scan(kind, before.as_bytes());
            for line in scanned.lines.iter().filter(|line| !line.unparsed) {
                let Some(marker) = &line.marker else { continue };
                let Some(new) = answer(&table["policies"], marker) else { continue };
                let Some(edit) = line.edit(scanned.line_id(file, line), "b", &new) else { continue };
                let suffix = match marker.part {
                    Part::Reference => "",
                    Part::Name => ":name",
                    Part::Tag => ":tag",
                    Part::Digest => ":digest",
                };
                ours.push(format!(
                    "{file}|{}:{}{suffix}|{} -> {new}",
                    marker.namespace,
                    marker.policy,
                    edit.old.trim()
                ));
            }
        }
        ours.sort();
        // `file|object|policy|old -> new`, without the object.
        let mut flux: Vec<String> = case["flux_changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|change| {
                let parts: Vec<&str> = change.as_str().unwrap().splitn(4, '|').collect();
                format!("{}|{}|{}", parts[0], parts[2], parts[3])
            })
            .collect();
        flux.sort();
        if ours != flux {
            println!("{id}: ours {ours:?}, Flux {flux:?}");
            differing.push(id);
        }
    }
    differing.sort_unstable();
    assert_eq!(differing, differences.into_keys().collect::<Vec<_>>());
}

/// What a policy of the table writes for a marker; `None` for unknown policies and missing digests.
fn answer(policies: &Value, marker: &Marker) -> Option<String> {
    let policy = policies
        .as_array()?
        .iter()
        .find(|policy| policy["Namespace"] == marker.namespace.as_str() && policy["Name"] == marker.policy.as_str())?;
    let field = |name: &str| policy[name].as_str().filter(|text| !text.is_empty()).map(String::from);
    match marker.part {
        Part::Tag => field("Tag"),
        Part::Name => field("Image"),
        Part::Digest => field("Digest"),
        Part::Reference => {
            let digest = field("Digest").map(|digest| format!("@{digest}")).unwrap_or_default();
            Some(format!("{}:{}{digest}", field("Image")?, field("Tag")?))
        }
    }
}
