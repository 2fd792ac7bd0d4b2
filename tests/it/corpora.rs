//! Scans over real repositories and over Flux's own answers. The data is found by `BUTLER_TEST_DATA`.

use crate::support::{
    binary::butler,
    data::{data, files},
};
use butler::engine::manifest::{Document, Edit, FileKind, Scan, apply, is_candidate, scan};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::PathBuf};

/// Each repository with its markers, as counted by hand, and its image lines.
const REPOSITORIES: [(&str, usize, usize); 7] = [
    ("alkrauss48+fleet-infra", 11, 17),
    ("equinor+radix-flux", 45, 105),
    ("equinor+radix-flux@dbe53ca7c", 0, 45),
    ("makkes+pipelines", 1, 4),
    ("manuelnucci+lfs269-instavote-deploy", 2, 8),
    ("paladinarcher+vetsez-ds-demo1-coding-challenge-devops", 0, 10),
    ("stefanprodan+gitops-helm", 0, 8),
];

/// The folder of each repository, with its row of [`REPOSITORIES`]. Where there is any, all six have to be there; one at
/// another commit (`@`) is looked at if it is.
fn folders() -> Vec<(PathBuf, (&'static str, usize, usize))> {
    let Some(root) = data("corpora") else { return Vec::new() };
    let mut found = REPOSITORIES.map(|row| (root.join(row.0), row)).to_vec();
    found.retain(|(folder, (name, ..))| folder.is_dir() || !name.contains('@'));
    let missing: Vec<_> = found.iter().filter(|(folder, _)| !folder.is_dir()).map(|(_, (name, ..))| *name).collect();
    assert_eq!(missing, [""; 0], "not in {}", root.display());
    found
}

/// Lines, and values yet to be put into patch files, that Flux v1's annotations automate.
fn annotated(repository: &str) -> usize {
    match repository {
        "equinor+radix-flux@dbe53ca7c" => 13,
        "paladinarcher+vetsez-ds-demo1-coding-challenge-devops" => 2,
        "stefanprodan+gitops-helm" => 3,
        _ => 0,
    }
}

#[derive(Debug, Default)]
struct Counts {
    files: usize,
    candidates: usize,
    lines: usize,
    markers: usize,
    /// ImageRepository, ImagePolicy and ImageUpdateAutomation objects.
    flux_objects: usize,
    policies: usize,
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
        self.flux_objects += scanned.documents.iter().filter(|document| is_image_object(document)).count();
        self.policies += scanned
            .documents
            .iter()
            .filter(|document| is_image_object(document) && document.kind == "ImagePolicy")
            .count();
        for finding in &scanned.findings {
            *self.findings.entry(finding.code.clone()).or_default() += 1;
        }
        editing_is_local(bytes, &scanned);
    }
}

fn is_image_object(document: &Document) -> bool {
    document.api_version.starts_with("image.toolkit.fluxcd.io/") && document.content.is_some()
}

/// Writing another value to every line changes the bytes of the values, and the lines stay the same lines.
fn editing_is_local(bytes: &[u8], scanned: &Scan) {
    let edits: Vec<Edit> = scanned.lines.iter().filter_map(|line| line.edit(&"b".into(), "new.io/x:v9")).collect();
    let after = apply(bytes, &edits).unwrap();
    let changed: usize = edits.iter().map(|edit| edit.new.len()).sum::<usize>();
    let removed: usize = edits.iter().map(|edit| edit.old.len()).sum::<usize>();
    assert_eq!(after.len() + removed, bytes.len() + changed);
    let mut restored = after;
    for edit in &edits {
        // From the front: everything before an edit is restored already.
        restored.splice(edit.span.start..edit.span.start + edit.new.len(), edit.old.bytes());
    }
    assert_eq!(restored, bytes);
}

#[test]
fn repositories() {
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    for (folder, row) in folders() {
        let name = row.0;
        let mut counts = Counts::default();
        for (path, bytes) in files(&folder) {
            if let Some(kind) = FileKind::of(&path) {
                counts.add(kind, &bytes);
            }
        }
        println!("{name}: {counts:?}");
        found.push((name, counts.markers, counts.lines));
        expected.push(row);
    }
    assert_eq!(found, expected, "markers and image lines of each repository");
}

/// `plan` and `lint` over every repository. No registry is asked: one made-up tag is everything that there is, so each
/// bound line says what it makes of that.
#[test]
fn plan_and_lint() {
    for (folder, (name, markers, _)) in folders() {
        let lint = butler(&folder, &["lint", "-o", "json"]);
        assert!(matches!(lint.code, 0 | 1), "{name}: {}", lint.err);
        let lint = lint.json(lint.code);
        let plan = butler(&folder, &["plan", "--tag", "example.com/made-up:v1", "-o", "json"]).json(0);
        let rows = |document: &Value, key: &str| document[key].as_array().unwrap().clone();
        let mut codes = BTreeMap::<String, usize>::new();
        for row in rows(&plan, "skipped").iter().chain(&rows(&lint, "findings")) {
            *codes.entry(row["code"].as_str().unwrap().into()).or_default() += 1;
        }
        println!("{name}: {} planned, {} left, {codes:?}", rows(&plan, "changes").len(), rows(&plan, "skipped").len());
        let rows_planned = rows(&plan, "changes").len() + rows(&plan, "skipped").len();
        assert_eq!(rows_planned, markers + annotated(name), "each line of {name} that follows a policy once");
        // The other formats run over the same.
        for format in ["text", "diff"] {
            butler(&folder, &["plan", "--tag", "example.com/made-up:v1", "-o", format]).text();
        }
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
                    line.edit(&"blob".into(), value)
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
