//! The behaviour tables under `cases/` of the test data, which were computed with the systems that they describe.

use crate::support::{
    binary::Folder,
    data::{report, table},
};
use butler::engine::{
    image::{Reference, Repository, Tag},
    policy::{Order, TagPolicy, Version},
};
use serde_json::Value;

/// A table's cases; `None` where the test data is not there.
fn cases(name: &str) -> Option<Vec<Value>> {
    Some(table(name)?["cases"].as_array().unwrap().clone())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|v| text(v).to_owned()).collect()
}

fn tags(value: &Value) -> Vec<Tag> {
    strings(value).into_iter().map(Tag::named).collect()
}

fn policy(case: &Value) -> Result<TagPolicy, String> {
    let policy = &case["policy"];
    let direction = || text(&policy["order"]).parse().map_err(|e: butler::engine::policy::PolicyError| e.to_string());
    let order = match text(&policy["kind"]) {
        "semver" => Order::Semver { range: text(&policy["range"]).into(), three_part: true },
        "numerical" => Order::Numerical(direction()?),
        "alphabetical" => Order::Alphabetical(direction()?),
        other => panic!("unknown kind {other}"),
    };
    let filter = case.get("filter").map(|f| (text(&f["pattern"]), text(&f["extract"])));
    TagPolicy::new(order, filter, None).map_err(|e| e.to_string())
}

#[test]
fn flux2_policy_selection() {
    let name = "flux2_policy_selection";
    let Some(cases) = cases(name) else { return };
    let meant = [
        ("num-invalid", "one bad tag does not fail the policy: it is left out and reported"),
        ("e-num-17digit-ts", "numbers are compared exactly; float64 ties 17-digit timestamps"),
    ];
    let mut disagreements = Vec::new();
    for case in &cases {
        let expect = &case["expect"];
        let expected = match text(&expect["error_class"]) {
            "invalid-policy" => "invalid policy".to_owned(),
            "no-selection" => "no selection".to_owned(),
            _ => text(&expect["selected"]).to_owned(),
        };
        let tags = tags(&case["tags"]);
        let (found, reason) = match policy(case) {
            Err(error) => ("invalid policy".to_owned(), error),
            Ok(policy) => {
                let selection = policy.select(&tags);
                (selection.selected.map_or("no selection".to_owned(), |t| t.name.clone()), selection.reason)
            }
        };
        if found != expected {
            disagreements.push((text(&case["id"]).to_owned(), format!("Flux: {expected}, here: {found}: {reason}")));
        }
    }
    report(name, cases.len(), &disagreements, &meant);
}

#[test]
fn semver_constraint_matrix() {
    let name = "semver_constraint_matrix";
    let Some(cases) = cases(name) else { return };
    let mut disagreements = Vec::new();
    for case in &cases {
        let order = Order::Semver { range: text(&case["constraint"]).into(), three_part: false };
        let policy = TagPolicy::new(order, None, None).unwrap();
        for (version, expected) in case["expect"].as_object().unwrap() {
            let agrees = match expected {
                Value::Bool(inside) => Version::parse(version).is_some() && policy.allows(version) == *inside,
                _ => Version::parse(version).is_none() && !policy.allows(version),
            };
            if !agrees {
                disagreements.push((text(&case["id"]).to_owned(), format!("{version}: Masterminds says {expected}")));
            }
        }
    }
    report(name, cases.len(), &disagreements, &[]);
}

#[test]
fn version_parsing() {
    let name = "version_parsing";
    let Some(cases) = cases(name) else { return };
    let mut disagreements = Vec::new();
    for case in &cases {
        let version = text(&case["version"]);
        let found = (Version::parse_three_part(version).is_some(), Version::parse(version).is_some());
        let expected = (case["expect"]["flux2_strict3"] == true, case["expect"]["masterminds"] == true);
        if found != expected {
            disagreements.push((case["id"].to_string(), format!("{version:?}: {expected:?}, here {found:?}")));
        }
    }
    report(name, cases.len(), &disagreements, &[]);
}

#[test]
fn exclusion_list() {
    let name = "exclusion_list";
    let Some(cases) = cases(name) else { return };
    let mut disagreements = Vec::new();
    for case in &cases {
        let exclude = case["exclusion"].as_array().map(|_| strings(&case["exclusion"]));
        let policy = TagPolicy::new(Order::Alphabetical(Default::default()), None, exclude).unwrap();
        let kept: Vec<_> = strings(&case["tags"]).into_iter().filter(|tag| policy.allows(tag)).collect();
        if kept != strings(&case["expect"]) {
            disagreements.push((text(&case["id"]).to_owned(), format!("kept {kept:?}, expected {}", case["expect"])));
        }
    }
    report(name, cases.len(), &disagreements, &[]);
}

/// Messages of Flux's own commits, as templates make them here.
#[test]
fn commit_messages() {
    use butler::engine::template::{Commit, CommitChange, Template};
    let name = "commit_messages";
    let Some(cases) = cases(name) else { return };
    // As the image-automation-controller's own tests have it.
    let upstream = "Commit summary with ResultV2\n\nAutomation: {{ .AutomationObject }}\n\n{{ range $filename, $objchange := .Changed.FileChanges -}}\n- File: {{ $filename }}\n{{- range $obj, $changes := $objchange }}\n  - Object: {{ $obj.Kind }}/{{ $obj.Namespace }}/{{ $obj.Name }}\n    Changes:\n{{- range $_ , $change := $changes }}\n    - {{ $change.OldValue }} -> {{ $change.NewValue }}\n{{- end }}\n{{- end }}\n{{- end }}\n";
    let meant = [
        ("v1-containers", "not a template: Flux v1's own words"),
        ("v2-default", "without a template butler's own message says what changed"),
        ("v2-updated-removed", "what Flux removed still works here, with a finding"),
        ("v2-summary", "an event, not a commit message"),
    ];
    let mut disagreements = Vec::new();
    for case in &cases {
        let values = case["values"].as_object().into_iter().flatten();
        let commit = Commit {
            automation: ("test-ns".into(), "test-update".into()),
            values: values.map(|(key, value)| (key.clone(), text(value).to_owned())).collect(),
            changes: vec![CommitChange {
                file: "deploy.yaml".into(),
                api_version: "apps/v1".into(),
                kind: "Deployment".into(),
                name: "test".into(),
                old: "helloworld:1.0.0".into(),
                new: "helloworld:1.0.1".into(),
                setter: "automation-ns:policy".into(),
                image: "helloworld:1.0.1".into(),
                ..CommitChange::default()
            }],
        };
        let template = match text(&case["template"]) {
            listed if listed.starts_with("(upstream") => upstream,
            template => template,
        };
        let found = Template::parse(template).and_then(|template| template.render(&commit));
        if found.as_deref() != Ok(text(&case["message"])) || case["message"].is_null() {
            disagreements.push((text(&case["id"]).to_owned(), format!("{found:?}, Flux: {}", case["message"])));
        }
    }
    report(name, cases.len(), &disagreements, &meant);
}

/// How other systems write Docker Hub's host.
fn registry(repository: &Repository) -> String {
    if repository.host() == "docker.io" { "index.docker.io".to_owned() } else { repository.host().to_owned() }
}

/// Compares what a system reads in references with what is read here, `registry/repository` and a third thing.
fn references(name: &str, meant: &[(&str, &str)], read: impl Fn(&Value) -> (String, Result<[String; 3], String>)) {
    let Some(cases) = cases(name) else { return };
    let mut disagreements = Vec::new();
    for case in &cases {
        let expect = &case["expect"];
        let (third, found) = read(case);
        let agrees = match (&found, expect["error"].as_str()) {
            (Err(_), error) => error.is_some(),
            (Ok(_), Some(_)) => false,
            (Ok(found), None) => {
                *found == [text(&expect["registry"]), text(&expect["repository"]), text(&expect[third])]
            }
        };
        if !agrees {
            disagreements.push((text(&case["id"]).to_owned(), format!("there {expect}, here {found:?}")));
        }
    }
    report(name, cases.len(), &disagreements, meant);
}

const LOCALHOST: &str = "localhost is a host, as docker and containerd read it";
const LONGER_NAMES: &str = "the distribution project's grammar, by which clusters pull: it has no shortest length";

#[test]
fn flux2_imagerepository_ref() {
    let meant = [
        ("localhost/foo|0", LOCALHOST),
        ("a//b|0", "an empty part of a path is refused, as registries do"),
        ("foo.local/x|0", LONGER_NAMES),
        ("127.0.0.1/x|0", LONGER_NAMES),
    ];
    references("flux2_imagerepository_ref", &meant, |case| {
        let found = Repository::parse(text(&case["image"]));
        // Without a tag it is `latest`; which scheme is spoken is the registry adapter's to say.
        let found = found.map(|found| [registry(&found), found.path().to_owned(), "latest".to_owned()]);
        ("identifier".to_owned(), found.map_err(|error| error.to_string()))
    });
}

#[test]
fn image_reference_ggcr() {
    let meant = [
        ("reg.io/n:1", LONGER_NAMES),
        ("localhost/x1:1", LOCALHOST),
        ("reg.io/team/app:-x", "no tag begins with a dash, in any registry"),
    ];
    references("image_reference_ggcr", &meant, |case| {
        let found = Reference::parse(text(&case["ref"])).map(|found| {
            let identifier = found.digest.or(found.tag).unwrap_or_else(|| "latest".to_owned());
            [registry(&found.repository), found.repository.path().to_owned(), identifier]
        });
        ("identifier".to_owned(), found.map_err(|error| error.to_string()))
    });
}

#[test]
fn image_reference_flux1() {
    let no_digest = "what is no digest is refused: nothing could be pulled by it";
    let meant = [
        ("foo:v1@sha256:abc", no_digest),
        ("gcr.io/p/i@sha256:deadbeef", no_digest),
        ("registry:5000/app:v1", "a port makes a host, as docker and containerd read it"),
    ];
    references("image_reference_flux1", &meant, |case| {
        let found = Reference::parse(text(&case["ref"])).map(|found| {
            // A digest stays in Flux v1's answer; here such an image is not updated at all (`pinned-by-digest`).
            let new = match &found.digest {
                Some(digest) => format!("{}@{digest}", found.name),
                None => found.with_tag("NEW", None),
            };
            [registry(&found.repository), found.repository.path().to_owned(), new]
        });
        ("with_new_tag".to_owned(), found.map_err(|error| error.to_string()))
    });
}

/// The same tag (in one case a newer one) is pushed again with another digest between two passes, and the policy's
/// reflection changes. butler tells what to do by what stands on the line, not by a status.
#[test]
fn digest_reflection() {
    let name = "digest_reflection";
    let Some(cases) = cases(name) else { return };
    let digest = |letter: char| format!("sha256:{}", letter.to_string().repeat(64));
    let (first, second) = (digest('1'), digest('2'));
    let mut disagreements = Vec::new();
    for case in &cases {
        let folder = Folder::with(&[("app.yaml", DEPLOYMENT)]);
        let newer = text(&case["policy_pass1"]).contains("new tag");
        let passes =
            [("policy_pass1", "1.1.1", &first), ("policy_pass2", if newer { "1.1.2" } else { "1.1.1" }, &second)];
        let mut left = Vec::new();
        for (policy, tag, digest) in passes {
            let reflection = text(&case[policy]).split('(').next().unwrap();
            let field = match reflection {
                "" => String::new(),
                // As its CRD wants it.
                "Always" => "  digestReflectionPolicy: Always\n  interval: 1h\n".to_owned(),
                _ => format!("  digestReflectionPolicy: {reflection}\n"),
            };
            folder.put("policy.yaml", format!("{POLICY}{field}").as_bytes());
            let tags = format!(r#"{{"example.com/app": [{{"tag": "{tag}", "digest": "{digest}"}}]}}"#);
            folder.put("tags.json", tags.as_bytes());
            folder.run(&["plan", "--tags", "tags.json", "--write"]).text();
            let line = folder.text("app.yaml").lines().find(|line| line.contains("image: ")).unwrap().to_owned();
            left.push(
                line.trim().trim_start_matches("- image: example.com/app:").split(' ').next().unwrap().to_owned(),
            );
        }
        let expected = |pass: &str, tag: &str, digest: &str| match text(&case[pass]) {
            "" | "unset" => tag.to_owned(),
            _ => format!("{tag}@{digest}"),
        };
        let [(_, tag, digest), (_, later, again)] = passes;
        let expected = [expected("digest_pass1", tag, digest), expected("digest_pass2", later, again)];
        if left != expected {
            disagreements.push((text(&case["id"]).to_owned(), format!("expected {expected:?}, found {left:?}")));
        }
    }
    report(name, cases.len(), &disagreements, &[]);
}

const POLICY: &str = "\
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: app, namespace: ns}
spec: {image: example.com/app}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: app, namespace: ns}
spec:
  imageRepositoryRef: {name: app}
  policy: {semver: {range: 1.x}}
";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  template:
    spec:
      containers:
      - image: example.com/app:1.0.0 # {\"$imagepolicy\": \"ns:app\"}
        name: app
";
