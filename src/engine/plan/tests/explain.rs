//! What `explain` tells, as the rows that people read.

use super::update::{POLICY, now};
use crate::engine::{
    config::{Config, Downgrade},
    dialect::bind,
    image::{Repository, Tag},
    memory::Memory,
    plan::{ExplainInputs, Fact, Facts, Need, Planned, Scope, Subject, UpdateInputs, explain, subjects},
    testing::Files,
    wording::rows,
};
use std::sync::Arc;

const APP: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
      - name: c
        image: example.com/app:1.0.0 # {\"$imagepolicy\": \"ns:app\"}
      - name: side
        image: example.com/side:1
";

fn facts(tags: Option<&[&str]>) -> Facts {
    let mut facts = Facts::default();
    if let Some(tags) = tags {
        let tags = tags.iter().map(|name| Tag::named(*name)).collect();
        let repository = Repository::parse("example.com/app").unwrap();
        facts.tags.insert(repository, Fact::Known { value: Arc::new(tags), as_of: now() });
    }
    facts
}

/// Asks with one environment, `apps`.
fn ask<T>(files: &Files, facts: &Facts, ask: impl Fn(&ExplainInputs<'_>) -> T) -> T {
    let (snapshot, memory) = (files.snapshot(), Memory::new());
    let bindings = bind(&snapshot, &Config::whole_repository());
    let contains = |file: &str| file.starts_with("apps/");
    let update = UpdateInputs {
        environment: Scope { name: "dev", contains: &contains, automatic: true },
        others: &[],
        branch: "main",
        snapshot: &snapshot,
        bindings: &bindings,
        memory: &memory,
        facts,
        now: now(),
        downgrade: Downgrade::PullRequest,
        edit_unparsed: false,
        take_over: false,
        with_history: false,
    };
    ask(&ExplainInputs { snapshot: &snapshot, bindings: &bindings, facts, environments: &[update] })
}

fn told(files: &Files, facts: &Facts, name: &str) -> Vec<String> {
    ask(files, facts, |inputs| {
        let found = subjects(inputs, name).unwrap_or_else(|error| panic!("{error}"));
        let mut lines = Vec::new();
        for subject in found {
            match explain(inputs, &subject) {
                Planned::Needs(needs) => lines.extend(needs.iter().map(|need| format!("needs {need:?}"))),
                Planned::Ready(explanation) => {
                    lines.push(explanation.subject.clone());
                    lines.extend(rows(&explanation).iter().map(|row| format!("{}: {}", row.label, row.text)));
                }
            }
        }
        lines
    })
}

fn repository() -> Files {
    Files::of([("flux/p.yaml", POLICY), ("apps/a.yaml", APP)])
}

#[test]
fn a_line_step_by_step() {
    let facts = facts(Some(&["latest", "a.sig", "2.0.0", "1.2.0-rc.1", "1.1.0", "1.0.0"]));
    assert_eq!(
        told(&repository(), &facts, "apps/a.yaml:9"),
        [
            "apps/a.yaml:9",
            "line: apps/a.yaml:9:16",
            "value: example.com/app:1.0.0, an image reference",
            "field: spec.template.spec.containers[name=c].image in Deployment//web",
            "marker: # {\"$imagepolicy\": \"ns:app\"}",
            "policy: ns:app, defined at flux/p.yaml:6:1",
            "order: semver 1.x",
            "tags of: example.com/app",
            "tags: 6",
            "excluded: 1: a.sig",
            "left out: 1 outside `1.x`: 2.0.0",
            "left out: 1 a pre-release, and the range names none: 1.2.0-rc.1",
            "left out: 1 not a version: latest",
            "in order: 2 may be chosen: 1.1.0, 1.0.0",
            "chosen: 1.1.0 is the highest of 2 versions in `1.x` (of 6 tags)",
            "result: apps/a.yaml:9:16 in dev: example.com/app:1.0.0 -> example.com/app:1.1.0",
        ]
    );
}

/// The last rows, which say what comes of it.
#[test]
fn what_is_in_the_way() {
    let change = |file: &str, from: &str, to: &str| {
        let files = repository();
        let text = files.0[file].replace(from, to);
        assert_ne!(text, files.0[file], "{from}");
        files.with([(file, text.as_str())])
    };
    let tags: &[&str] = &["1.1.0"];
    #[rustfmt::skip]
    let cases: Vec<(Files, Option<&[&str]>, &str, &[&str])> = vec![
        (repository(), Some(&["1.0.0"]), "apps/a.yaml:9", &["result: apps/a.yaml:9:16 in dev: example.com/app:1.0.0 is current"]),
        (repository(), Some(&["0.9.0"]), "ns:app", &["no tag: 0 of 1 tags are versions in `1.x`; the only version is 0.9.0", "result: apps/a.yaml:9:16 in dev: stays, no-match"]),
        (change("apps/a.yaml", ":1.0.0", ":1.2.0"), Some(tags), "app", &["result: apps/a.yaml:9:16 in dev: example.com/app:1.2.0 -> example.com/app:1.1.0; a downgrade: proposed in a pull request, never committed"]),
        (change("apps/a.yaml", "ns:app", "ns:ap"), Some(tags), "apps/a.yaml:9", &["blocked: policy-unresolved: no ImagePolicy ns:ap in this repository", "result: apps/a.yaml:9:16 in dev: stays, policy-unresolved"]),
        (change("apps/a.yaml", "ns:app", "ns:ap"), Some(tags), "ns:ap", &["ns:ap", "blocked: policy-unresolved: no ImagePolicy ns:ap in this repository", "result: apps/a.yaml:9:16 in dev: stays, policy-unresolved"]),
        (change("flux/p.yaml", "  policy:", "  suspend: true\n  policy:"), None, "ns:app", &["blocked: policy-suspended: ImagePolicy ns:app is suspended", "result: apps/a.yaml:9:16 in dev: stays, policy-suspended"]),
        (change("apps/a.yaml", "\"}", "\"} x"), Some(tags), "apps/a.yaml:9", &["policy: none: no marker, annotation or policy names this line"]),
        (change("apps/a.yaml", "kind: Dep", "sops: {mac: x}\nkind: Dep"), Some(tags), "apps/a.yaml:10", &["result: apps/a.yaml:10:16 in dev: stays, sops: the file is encrypted with SOPS; any change would break its MAC"]),
        (repository().with([("elsewhere.yaml", APP)]), Some(tags), "elsewhere.yaml:9", &["result: elsewhere.yaml:9:16: stays, no environment of butler.yaml that is updated holds this file"]),
        (Files::of([("flux/p.yaml", POLICY)]), Some(tags), "ns:app", &["lines: none follows this policy"]),
        (repository(), Some(tags), "example.com/side:7", &["line: apps/a.yaml:11:16", "value: example.com/side:1, an image reference", "field: spec.template.spec.containers[name=side].image in Deployment//web", "policy: none: no marker, annotation or policy names this line"]),
    ];
    for (files, tags, name, expected) in cases {
        let found = told(&files, &facts(tags), name);
        assert_eq!(&found[found.len() - expected.len()..], expected, "{name}");
    }
    let found = told(&change("apps/a.yaml", "\"}", "\"} x"), &facts(None), "apps/a.yaml:9");
    assert!(found[1].starts_with("finding: marker-trailing-text: expected"), "{found:?}");
}

#[test]
fn what_is_needed_first() {
    let needs = told(&repository(), &facts(None), "ns:app");
    let need = Need::Tags(Repository::parse("example.com/app").unwrap());
    assert_eq!(needs, [format!("needs {need:?}")]);
}

#[test]
fn names_and_what_is_near_them() {
    let found = |name: &str| {
        ask(&repository(), &facts(None), |inputs| match subjects(inputs, name) {
            Ok(found) => found
                .iter()
                .map(|subject| match subject {
                    Subject::Line { file, line } => format!("{file}:{line}"),
                    Subject::Policy(policy) => policy.key.to_string(),
                    Subject::Undefined { namespace, name } => format!("{namespace}:{name}?"),
                    Subject::Image(image) => image.to_string(),
                })
                .collect::<Vec<_>>()
                .join(" "),
            Err(unknown) => format!("? {}", unknown.nearest.join(" ")),
        })
    };
    #[rustfmt::skip]
    let cases = [
        ("ns:app", "ns:app"),
        ("app", "ns:app"),
        ("example.com/app", "ns:app"),
        ("example.com/app:9", "ns:app"),
        ("example.com/side", "example.com/side"),
        ("apps/a.yaml:9", "apps/a.yaml:9"),
        ("./apps/a.yaml:9:3", "apps/a.yaml:9"),
        ("apps/a.yaml", "apps/a.yaml:9 apps/a.yaml:11"),
        ("apps/a.yaml:1", "? apps/a.yaml:9 apps/a.yaml:11"),
        ("apps/b.yaml:9", "? apps/a.yaml"),
        ("ns:ap", "? ns:app"),
        ("example.com/ap", "? example.com/app"),
        ("quite:other", "? example.com/app ns:app"),
        ("", "? example.com/app ns:app"),
    ];
    for (name, expected) in cases {
        assert_eq!(found(name), expected, "{name:?}");
    }
}
