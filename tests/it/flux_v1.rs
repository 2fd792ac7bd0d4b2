//! Flux v1: its patterns, order, annotations and layouts of values, against tables computed with Flux v1 itself.

use crate::support::data::{data, files, report, table};
use butler::engine::{
    config::Config,
    dialect::{Bindings, PolicyChange, PolicyState, bind, with_policies},
    image::{Reference, Tag, ecr_region},
    manifest::{FileKind, Scan, apply, scan},
    plan::{AssignRules, Assigned, Assignment, AssignmentTarget, assign, edits_by_file},
    policy::{Order, TagPolicy},
    snapshot::{Entry, EntryKind, Snapshot},
};
use serde_json::{Value, json};
use std::sync::Arc;

fn cases(name: &str) -> Option<Vec<Value>> {
    Some(table(name)?["cases"].as_array().unwrap().clone())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn policy(pattern: &str) -> TagPolicy {
    TagPolicy::new(Order::Flux1(pattern.to_owned()), None, None).unwrap()
}

/// Files as a tree; a file's blob is its path.
pub fn snapshot(files: &[(&str, &str)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (path, text) in files {
        let entry = Entry { blob: (*path).into(), kind: EntryKind::File };
        snapshot.entries.insert((*path).into(), entry);
        let kind = FileKind::of(path).unwrap();
        snapshot.scans.insert((*path).into(), Arc::new(scan(kind, text.as_bytes())));
    }
    snapshot
}

/// Compares each case of a table with what it says, by id.
fn compare(name: &str, meant: &[(&str, &str)], got: impl Fn(&Value) -> (Value, Value)) {
    let Some(cases) = cases(name) else { return };
    let mut disagreements = Vec::new();
    for case in &cases {
        let (expected, found) = got(case);
        if expected != found {
            disagreements.push((text(&case["id"]).to_owned(), format!("expected {expected}, found {found}")));
        }
    }
    report(name, cases.len(), &disagreements, meant);
}

#[test]
fn patterns() {
    let nothing = "an invalid pattern matches nothing";
    let meant = [("semver-invalid", nothing), ("semver-empty", nothing), ("regexp-invalid", nothing)];
    compare("flux1_pattern_match", &meant, |case| {
        let (policy, expect) = (policy(text(&case["pattern"])), &case["expect"]);
        let matches = expect["matches"].as_object().unwrap();
        let found = json!({
            "canonical": policy.describe(),
            "matches": matches.keys().map(|tag| (tag.clone(), policy.allows(tag).into())).collect::<serde_json::Map<_, _>>(),
            "requires_timestamp": policy.by_time() || (policy.fault().is_some() && expect["requires_timestamp"] == true),
            "valid": policy.fault().is_none(),
        });
        (expect.clone(), found)
    });
}

#[test]
fn order() {
    compare("flux1_ordering", &[], |case| {
        let policy = policy(text(&case["pattern"]));
        let tag = |image: &Value| Tag {
            created_at: Some(text(&image["created"])).filter(|time| !time.is_empty()).map(|time| time.parse().unwrap()),
            ..Tag::named(text(&image["tag"]))
        };
        let mut left: Vec<Tag> = case["images"].as_array().unwrap().iter().map(tag).collect();
        // The first is chosen; without it the second is.
        let mut sorted = Vec::new();
        while let Some(chosen) = policy.select(&left).selected.map(|tag| tag.name.clone()) {
            left.retain(|tag| tag.name != chosen);
            sorted.push(chosen);
        }
        (case["expect"]["sorted"].clone(), json!(sorted))
    });
}

/// What is automated, and by which pattern; or why not.
fn states(bindings: &Bindings) -> Vec<(String, String)> {
    let state = |state: &PolicyState| match state {
        PolicyState::Usable { policy, .. } => policy.describe(),
        PolicyState::Blocked { code, why } => format!("{code}: {why}"),
        PolicyState::Suspended(why) | PolicyState::Invalid(why) => why.clone(),
    };
    let lines = bindings.lines.iter().map(|line| (line.key().to_string(), state(&line.policy.as_ref().unwrap().state)));
    let added = bindings.additions.iter().map(|added| (added.policy.key.to_string(), state(&added.policy.state)));
    lines.chain(added).collect()
}

fn annotated(annotations: &Value, container: &str) -> Vec<(String, String)> {
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "a", "namespace": "ns", "annotations": annotations},
        "spec": {"template": {"spec": {"containers": [{"name": container, "image": "example.com/a:1"}]}}},
    });
    states(&bind(&snapshot(&[("a.yaml", &object.to_string())]), &Config::whole_repository()))
}

#[test]
fn annotations() {
    compare("flux1_annotations", &[], |case| {
        let (annotations, expect) = (&case["annotations"], &case["expect"]);
        let container = Some(text(&case["container"])).filter(|name| !name.is_empty()).unwrap_or("c");
        let found = annotated(annotations, container);
        let blocked = |code: &str| found.iter().any(|(_, state)| state.starts_with(code));
        // The pattern shows once the object is automated.
        let mut automated = annotations.clone();
        automated["fluxcd.io/automated"] = "true".into();
        let pattern = annotated(&automated, container).first().map(|(_, state)| state.clone());
        let decided = json!({
            "automated": !found.is_empty(),
            "would_automate": !found.is_empty() && !blocked("locked") && !blocked("ignored"),
            "pattern": expect.get("pattern").and(pattern),
        });
        let expected = json!({
            "automated": expect["automated"], "would_automate": expect["would_automate"], "pattern": expect["pattern"],
        });
        (expected, decided)
    });
}

#[test]
fn a_lock_says_who_and_why() {
    let annotations = json!({
        "fluxcd.io/automated": "true", "fluxcd.io/locked": "true",
        "fluxcd.io/locked_msg": "broken build\n", "flux.weave.works/locked_user": "me <me@x.y>",
    });
    let expected = ("ns:deployment/a:c".to_owned(), "locked: locked by me <me@x.y>: broken build".to_owned());
    assert_eq!(annotated(&annotations, "c"), [expected]);
}

#[test]
fn annotations_that_are_written() {
    compare("flux1_policy_annotation_update", &[], |case| {
        let annotations = case["before"].as_object().unwrap();
        let line = |(key, value): (&String, &Value)| match text(value).split_once('\n') {
            Some((first, second)) => format!("    {key}: |-\n      {first}\n      {second}\n"),
            None => format!("    {key}: {value} # stays\n"),
        };
        let mut before = "# é\nkind: Deployment\nmetadata:\n  name: d\n".to_owned();
        if !annotations.is_empty() {
            before.push_str("  annotations:\n");
            before.extend(annotations.iter().map(line));
        }
        before.push_str("spec:\n  template: {spec: {containers: [{name: nginx, image: nginx}]}}\n");
        let removed = case["remove"].as_array().unwrap().iter().map(|name| (text(name).to_owned(), None));
        let added = case["add"].as_object().unwrap().iter();
        let changes: Vec<PolicyChange> =
            removed.chain(added.map(|(name, value)| (name.clone(), Some(text(value).to_owned())))).collect();
        let after = |text: &str| {
            let scan = scan(FileKind::Yaml, text.as_bytes());
            let after = with_policies(text, &scan.documents[0], &changes).unwrap();
            let found = scan_annotations(&after);
            (after, found)
        };
        let (first, found) = after(&before);
        assert_eq!(after(&first).0, first, "{}: again", case["id"]);
        // Lines of annotations come and go, and all others stay.
        let others = |text: &str| -> Vec<String> {
            let other = |line: &&str| !line.starts_with("    ") && *line != "  annotations:";
            text.lines().filter(other).map(str::to_owned).collect()
        };
        assert_eq!(others(&first), others(&before), "{}", case["id"]);
        assert_eq!(first.contains("annotations:"), found != json!({}), "{}", case["id"]);
        (case["after"].clone(), found)
    });
}

/// The annotations of a file's first document.
fn scan_annotations(text: &str) -> Value {
    let scan = scan(FileKind::Yaml, text.as_bytes());
    scan.documents[0]
        .annotations
        .iter()
        .map(|a| (a.key.clone(), json!(a.value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn containers(scan: &Scan) -> Value {
    let containers = scan.documents.iter().flat_map(|document| &document.containers);
    containers.filter_map(|container| Some(json!([container.name, container.image.clone()?]))).collect()
}

/// A release's values after one container's image is set.
fn set(object: &Value, container: &str, image: &str) -> Value {
    let file = object.to_string();
    let target = AssignmentTarget::Object {
        namespace: "ns".into(),
        kind: "helmrelease".into(),
        name: "r".into(),
        container: Some(container.into()),
    };
    let assignment = Assignment { on: target, image: Reference::parse(image).unwrap() };
    let Assigned { changes, skipped, .. } =
        assign(&snapshot(&[("r.yaml", &file)]), &[assignment], AssignRules::default());
    assert_eq!(skipped, []);
    let edits = edits_by_file(&changes).remove("r.yaml").unwrap_or_default();
    let after: Value = serde_json::from_slice(&apply(file.as_bytes(), &edits).unwrap()).unwrap();
    after["spec"]["values"].clone()
}

#[test]
fn layouts_and_workloads() {
    compare("flux1_helmrelease_and_workloads", &[], |case| {
        let expect = &case["expect"];
        if let Some(yaml) = case["yaml"].as_str() {
            let scan = scan(FileKind::Yaml, yaml.as_bytes());
            let object = scan.documents[0].object.as_ref().unwrap();
            let id = format!("{}:{}/{}", object.namespace, object.kind.to_lowercase(), object.name);
            let found = match containers(&scan) {
                Value::Array(containers) if containers.is_empty() => json!("not-a-workload"),
                containers => containers,
            };
            return (expect["workloads"].clone(), json!({ id: found }));
        }
        let object = json!({
            "apiVersion": "helm.fluxcd.io/v1", "kind": "HelmRelease",
            "metadata": {"name": "r", "namespace": "ns", "annotations": case["annotations"]},
            "spec": {"values": case["values"]},
        });
        let mut found = json!({ "containers": containers(&scan(FileKind::Yaml, object.to_string().as_bytes())) });
        if let Some(given) = case["set"].as_object() {
            found["values_after"] = set(&object, text(&given["container"]), text(&given["image"]));
        }
        (expect.clone(), found)
    });
}

#[test]
fn regions() {
    compare("ecr_region", &[], |case| {
        let host = text(&case["repository"]).split('/').next().unwrap();
        (case["region"].clone(), json!(ecr_region(host)))
    });
    for host in ["docker.io", "dkr.ecr.us-east-1.amazonaws.com", "1.dkr.ecr.us-east-1.example.com", "ecr.aws"] {
        assert_eq!(ecr_region(host), None, "{host}");
    }
}

/// The prefixes that Flux v1 knows.
const PREFIXES: [&str; 6] = [
    "flux.weave.works/",
    "fluxcd.io/",
    "filter.fluxcd.io/",
    "tag.fluxcd.io/",
    "repository.fluxcd.io/",
    "registry.fluxcd.io/",
];

/// A real repository of the test data as a tree.
fn corpus(name: &str) -> Option<(Snapshot, Vec<(String, Vec<u8>)>)> {
    let files = files(&data(&format!("corpora/{name}"))?);
    let texts = files.iter().filter(|(path, _)| FileKind::of(path).is_some());
    let texts: Vec<(&str, &str)> =
        texts.filter_map(|(path, bytes)| Some((path.as_str(), std::str::from_utf8(bytes).ok()?))).collect();
    Some((snapshot(&texts), files))
}

/// How many annotations of Flux v1 stand in objects, and how many in comments.
fn counts(snapshot: &Snapshot, files: &[(String, Vec<u8>)]) -> (usize, usize) {
    let known = |text: &str| PREFIXES.iter().any(|prefix| text.starts_with(prefix));
    let annotations =
        snapshot.scans.values().flat_map(|scan| &scan.documents).flat_map(|document| &document.annotations);
    let texts = files.iter().filter_map(|(_, bytes)| std::str::from_utf8(bytes).ok());
    let commented = texts.flat_map(str::lines).filter_map(|line| line.trim_start().strip_prefix('#'));
    let commented = commented.filter(|comment| known(comment.trim_start())).count();
    (annotations.filter(|annotation| known(&annotation.key)).count(), commented)
}

#[test]
fn real_repositories() {
    #[rustfmt::skip]
    let cases = [
        // repository, annotations, in comments, lines that follow them, values for a patch file yet to be written
        ("equinor+radix-flux@dbe53ca7c", (44, 12), 9, 4),
        ("paladinarcher+vetsez-ds-demo1-coding-challenge-devops", (5, 0), 2, 0),
        ("stefanprodan+gitops-helm", (6, 0), 3, 0),
    ];
    for (name, counted, lines, additions) in cases {
        let Some((snapshot, files)) = corpus(name) else { return };
        let bindings = bind(&snapshot, &Config::whole_repository());
        let found = counts(&snapshot, &files);
        println!(
            "{name}: {} annotations, {} in comments; {} lines and {} additions follow them",
            found.0,
            found.1,
            bindings.lines.len(),
            bindings.additions.len()
        );
        for (key, state) in states(&bindings) {
            println!("  {key}: {state}");
        }
        assert_eq!((found, bindings.lines.len(), bindings.additions.len()), (counted, lines, additions), "{name}");
    }
}
