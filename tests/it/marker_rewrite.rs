//! What Flux's marker rewriting answered to files made for the purpose, beside `butler set`: the same values change,
//! and no other line does.

use crate::support::{
    binary::Folder,
    data::{report, table},
};
use serde_json::Value;

/// Where the values that change are others than Flux's, and why that is meant.
const MEANT: &[(&str, &str)] = &[
    ("digest-field-empty", "a digest marker whose policy has no digest is no edit; Flux writes \"\""),
    ("block-scalar", "a block scalar is never edited"),
    ("top-level-list", "Flux leaves lists alone"),
    ("kind-list-empty", "Flux leaves an empty List alone"),
    ("metadata-string", "Flux leaves objects with odd metadata alone"),
    ("helm-template", "a marked line of a file that is no YAML is edited (`dialects.unparsed-files: edit`)"),
    ("tabs", "a marked line of a file that is no YAML is edited (`dialects.unparsed-files: edit`)"),
    ("symlink-file", "symlinks are not followed"),
    ("symlink-outside-path", "symlinks are not followed"),
    ("one-invalid-policy-ref", "one bad policy does not stop the others"),
];

/// `--policy` for each policy of the table.
fn policies(table: &Value) -> Vec<String> {
    let of = |policy: &Value, key: &str| policy[key].as_str().unwrap().to_owned();
    let one = |policy: &Value| {
        let digest = Some(of(policy, "Digest")).filter(|digest| !digest.is_empty());
        let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        let (namespace, name) = (of(policy, "Namespace"), of(policy, "Name"));
        format!("--policy={namespace}:{name}={}:{}{digest}", of(policy, "Image"), of(policy, "Tag"))
    };
    table["policies"].as_array().unwrap().iter().map(one).collect()
}

/// `file|policy|old -> new`: of Flux's rows without the object and the marker's suffix.
fn flux_changes(case: &Value) -> Vec<String> {
    let one = |change: &Value| {
        let parts: Vec<&str> = change.as_str().unwrap().splitn(4, '|').collect();
        let policy: Vec<&str> = parts[2].splitn(3, ':').take(2).collect();
        format!("{}|{}|{}", parts[0], policy.join(":"), parts[3])
    };
    let mut changes: Vec<String> = case["flux_changes"].as_array().unwrap().iter().map(one).collect();
    changes.sort();
    changes
}

/// Flux's rows name files from the update path.
fn our_changes(document: &Value, path: &str) -> Vec<String> {
    let text = |change: &Value, key: &str| {
        let text = change[key].as_str().unwrap();
        let below = if key == "file" { text.strip_prefix(path.trim_start_matches("./")) } else { None };
        match below.map(|below| below.trim_start_matches('/')) {
            // The path is the file.
            Some("") => text.rsplit('/').next().unwrap().to_owned(),
            below => below.unwrap_or(text).to_owned(),
        }
    };
    let mut changes: Vec<String> = document["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| format!("{}|{}|{} -> {}", text(c, "file"), text(c, "policy"), text(c, "old").trim(), text(c, "new")))
        .collect();
    changes.sort();
    changes
}

/// The numbers of the lines whose bytes differ.
fn changed(before: &str, after: &str) -> Vec<u64> {
    assert_eq!(before.split('\n').count(), after.split('\n').count());
    let lines = before.split('\n').zip(after.split('\n'));
    lines.zip(1..).filter(|((before, after), _)| before != after).map(|(_, number)| number).collect()
}

#[test]
fn flux2_marker_rewrite() {
    let name = "flux2_marker_rewrite";
    let Some(table) = table(name) else { return };
    let policies = policies(&table);
    let cases = table["cases"].as_array().unwrap();
    let mut disagreements = Vec::new();
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let files: Vec<(&str, &Value)> =
            case["files"].as_object().unwrap().iter().map(|(file, texts)| (file.as_str(), texts)).collect();
        let befores: Vec<_> = files.iter().map(|(file, texts)| (*file, texts["before"].as_str().unwrap())).collect();
        let folder = Folder::with(&befores);
        for (link, to) in case["symlinks"].as_object().into_iter().flatten() {
            std::os::unix::fs::symlink(to.as_str().unwrap(), folder.path().join(link)).unwrap();
        }
        let mut arguments = vec!["set", case["update_path"].as_str().unwrap_or("."), "--write", "-o", "json"];
        arguments.extend(policies.iter().map(String::as_str));
        let ran = folder.run(&arguments);
        let flux = flux_changes(case);
        let document = match id {
            "path-missing" => {
                assert_eq!(ran.code, 2, "{}", ran.err);
                serde_json::json!({"changes": []})
            }
            _ => ran.json(0),
        };
        let ours = our_changes(&document, case["update_path"].as_str().unwrap_or("."));
        if ours != flux {
            disagreements.push((id.to_owned(), format!("Flux {flux:?}, here {ours:?}")));
        }
        let written: Vec<u64> =
            document["changes"].as_array().unwrap().iter().map(|c| c["line"].as_u64().unwrap()).collect();
        let changed: Vec<u64> = befores.iter().flat_map(|(file, before)| changed(before, &folder.text(file))).collect();
        assert_eq!(changed, written, "{id}: the lines whose bytes changed");
    }
    report(name, cases.len(), &disagreements, MEANT);
}
