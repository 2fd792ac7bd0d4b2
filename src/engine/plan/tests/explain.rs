//! What `explain` tells, as the rows that people read.

use super::update::{POLICY, now};
use crate::engine::{
    config::{Config, Downgrade, parse},
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
    let config = files.0.get("butler.yaml").map(|text| parse("butler.yaml", text).unwrap());
    let config = config.unwrap_or_else(Config::whole_repository);
    let bindings = bind(&snapshot, &config);
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
    ask(&ExplainInputs { snapshot: &snapshot, bindings: &bindings, facts, config: &config, environments: &[update] })
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
        (repository().with([("elsewhere.yaml", APP)]), Some(tags), "elsewhere.yaml:9", &["result: elsewhere.yaml:9:16: stays, no environment of butler.yaml holds this file"]),
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

const PODS: &str = "kind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - {name: a, image: example.com/app:LEFT}\n  - {name: b, image: example.com/app:RIGHT}\n";
const NATIVE: &str =
    "version: 1\nenvironments: {dev: {path: apps}}\nimages:\n- image: example.com/app\n  policy: POLICY\n";

fn native(policy: &str, left: &str, right: &str) -> Files {
    let pods = PODS.replace("LEFT", left).replace("RIGHT", right);
    Files::of([("apps/a.yaml", pods.as_str()), ("butler.yaml", &NATIVE.replace("POLICY", policy))])
}

#[test]
fn lines_of_a_native_policy_that_pin_a_digest() {
    let pinned = format!("1.0.0@sha256:{}", "b".repeat(64));
    let mut facts = facts(Some(&["1.1.0"]));
    let digest = Fact::Known { value: Some(format!("sha256:{}", "a".repeat(64))), as_of: now() };
    facts.digests.insert((Repository::parse("example.com/app").unwrap(), "1.1.0".into()), digest);
    let told = told(&native("{semver: 1.x}", "1.0.0", &pinned), &facts, "example.com/app");
    let results: Vec<&String> = told.iter().filter(|row| row.starts_with("result: ")).collect();
    assert_eq!(results.len(), 2, "{told:?}");
    assert!(results[1].contains("-> example.com/app:1.1.0@sha256:aaaa"), "{told:?}");
}

/// Each policy that wants the line, and what comes of it once, as the plan has it.
#[test]
fn policies_that_disagree() {
    let native = NATIVE.replace("POLICY", "{semver: ^1.1}");
    let files = repository().with([("butler.yaml", native.as_str())]);
    let facts = facts(Some(&["1.1.0", "1.0.0"]));
    let labels = ["policy: ", "result: ", "blocked: "];
    let result = "result: apps/a.yaml:9:16 in dev: stays, policy-conflict: ns:app and butler.yaml:example.com/app both want \
                  this value, and differ: semver 1.x of example.com/app; semver ^1.1 of example.com/app. Remove one of \
                  the two";
    let (marker, native) = (
        "policy: ns:app, defined at flux/p.yaml:6:1",
        "policy: butler.yaml:example.com/app, defined at butler.yaml:4:10",
    );
    for (name, expected) in [
        ("apps/a.yaml:9", [marker, native, result].as_slice()),
        ("ns:app", &[marker, result]),
        ("butler.yaml:example.com/app", &[native, result]),
        ("example.com/app", &[marker, result, native, result]),
    ] {
        let told = told(&files, &facts, name);
        let told: Vec<&String> = told.iter().filter(|row| labels.iter().any(|label| row.starts_with(label))).collect();
        assert_eq!(told, expected, "{name}");
    }
    // Those that agree make one change.
    let files = repository().with([("butler.yaml", NATIVE.replace("POLICY", "{semver: 1.x}").as_str())]);
    let told = told(&files, &facts, "apps/a.yaml:9");
    let results: Vec<&String> = told.iter().filter(|row| row.starts_with("result: ")).collect();
    assert_eq!(results, ["result: apps/a.yaml:9:16 in dev: example.com/app:1.0.0 -> example.com/app:1.1.0"]);
}

/// What Flux v1 writes to a patch file is asked about where the object is.
#[test]
fn a_line_that_a_patch_file_takes_the_place_of() {
    let generator =
        "version: 1\npatchUpdated:\n  generators: [{command: kustomize build .}]\n  patchFile: patch.yaml\n";
    let release = "\
apiVersion: helm.fluxcd.io/v1
kind: HelmRelease
metadata:
  name: a
  annotations: {fluxcd.io/automated: 'true', fluxcd.io/tag.chart-image: 'semver:~1'}
spec:
  values:
    image:
      repository: example.com/app
      tag: 1.0.0
";
    let patch = |tag: &str| {
        format!(
            "apiVersion: helm.fluxcd.io/v1\nkind: HelmRelease\nmetadata: {{name: a}}\nspec:\n  values:\n    image:\n      tag: {tag}\n"
        )
    };
    let files = Files::of([
        ("apps/.flux.yaml", generator),
        ("apps/kustomization.yaml", "resources: [../base]\n"),
        ("base/kustomization.yaml", "resources: [a.yaml]\n"),
        ("base/a.yaml", release),
    ]);
    let other = files.clone().with([
        ("apps/b/.flux.yaml", generator),
        ("apps/b/kustomization.yaml", "resources: [../../base]\n"),
        ("apps/b/patch.yaml", patch("1.0.1").as_str()),
        ("apps/patch.yaml", patch("1.1.0").as_str()),
    ]);
    let policy = "policy: default:helmrelease/a:chart-image, defined at base/a.yaml:5:73";
    let added = "result: apps/patch.yaml:1:1 in dev: 1.0.0 -> 1.1.0";
    let written = "result: apps/patch.yaml:7:12 in dev: 1.0.0 -> 1.1.0";
    let current = "result: apps/patch.yaml:7:12 in dev: 1.1.0 is current";
    let second = "result: apps/b/patch.yaml:7:12 in dev: 1.0.1 -> 1.1.0";
    #[rustfmt::skip]
    let cases: [(&Files, &[&str]); 4] = [
        (&files, &[policy, added]),
        (&files.clone().with([("apps/patch.yaml", patch("1.0.0").as_str())]), &[policy, written]),
        (&files.clone().with([("apps/patch.yaml", patch("1.1.0").as_str())]), &[policy, current]),
        (&other, &[policy, second, current]),
    ];
    let tags = ["1.1.0", "1.0.1", "1.0.0"];
    for (files, expected) in cases {
        let rows = told(files, &facts(Some(&tags)), "base/a.yaml:10");
        let rows: Vec<&String> =
            rows.iter().filter(|row| row.starts_with("policy: ") || row.starts_with("result: ")).collect();
        assert_eq!(rows, expected);
        // Only the name is a line that follows nothing.
        let rows = told(files, &facts(Some(&tags)), "example.com/app");
        let lines: Vec<&String> = rows.iter().filter(|row| row.starts_with("line: ")).collect();
        assert_eq!(lines, ["line: base/a.yaml:9:19"]);
        assert!(expected.iter().all(|row| rows.iter().any(|found| found == row)), "{rows:?}");
        // And says where the tag is that does.
        let beside = "policy: none for the name: the image's tag, at base/a.yaml:10:12, follows \
                      default:helmrelease/a:chart-image";
        assert!(told(files, &facts(Some(&tags)), "base/a.yaml:9").iter().any(|row| row == beside), "{rows:?}");
    }
    // What a plan calls the place that a value is put at, whether the file is there yet or not.
    let comment = files.clone().with([("apps/patch.yaml", "# by robots\n")]);
    let without = patch("1.0.0").replace("    image:\n      tag: 1.0.0\n", "    other: 1\n");
    let grown = files.clone().with([("apps/patch.yaml", without.as_str())]);
    for files in [&files, &comment, &grown] {
        for name in ["apps/patch.yaml:1", "apps/patch.yaml:1:1", "./apps/patch.yaml"] {
            let rows = told(files, &facts(Some(&tags)), name);
            let start = [
                "apps/patch.yaml:1",
                "line: apps/patch.yaml:1:1",
                "value: nothing yet, a tag",
                "field: spec.values.image.tag in HelmRelease//a",
                "image: example.com/app:1.0.0",
                policy,
            ];
            assert_eq!(rows[..start.len()], start, "{name}");
            assert_eq!(rows.last().map(String::as_str), Some(added), "{name}");
        }
        let near = ask(files, &facts(None), |inputs| subjects(inputs, "apps/patch.yaml:9").unwrap_err().nearest);
        assert_eq!(near, ["apps/patch.yaml:1"]);
    }
}

/// A name alone is no line to update, and its tag may be.
#[test]
fn a_name_says_where_its_tag_is() {
    let values = |marker: &str| format!("image:\n  repository: example.com/app\n  tag: 1.0.0{marker}\n");
    let marker = |part: &str| format!(" # {{\"$imagepolicy\": \"ns:app{part}\"}}");
    let list = format!(
        "kind: Kustomization\nimages:\n- name: a\n  newName: example.com/app\n  newTag: 1.0.0{}\n",
        marker(":tag")
    );
    let none = "policy: none: no marker, annotation or policy names this line";
    let name = |place: &str| format!("policy: none for the name: the image's tag, at {place}, follows ns:app");
    #[rustfmt::skip]
    let cases = [
        ("apps/v.yaml:2", values(&marker(":tag")), name("apps/v.yaml:3:8")),
        ("apps/v.yaml:2", values(""), none.to_owned()),
        // Another image's.
        ("apps/v.yaml:2", values("").replace("image:", "side:") + "image:\n  repository: a/b\n  tag: 1.0.0" + &marker(":tag"), none.to_owned()),
        ("apps/kustomization.yaml:4", list, name("apps/kustomization.yaml:5:11")),
    ];
    for (place, text, expected) in cases {
        let file = place.split(':').next().unwrap();
        let rows = told(&repository().with([(file, text.as_str())]), &facts(Some(&["1.0.0"])), place);
        assert!(rows.contains(&expected), "{text}: {rows:?}");
    }
}

/// What is said to be chosen is what the line gets.
#[test]
fn ties_go_by_what_stands_there() {
    let commit = "06c5953aa1b2c3d4e5f60718293a4b5c6d7e8f90";
    let tags = [format!("sha-{commit}"), "sha-06c5953".into(), "qa-sha-06c5953".into()];
    let mut facts = Facts::default();
    let mut tags = tags.map(|name| Tag { pushed_at: Some(now()), ..Tag::named(name) }).to_vec();
    let earlier = Some(now() - jiff::SignedDuration::from_hours(1));
    let older = ["sha-1111111", "qa-sha-1111111", "qa-sha-2222222"];
    tags.extend(older.map(|name| Tag { pushed_at: earlier, ..Tag::named(name) }));
    facts
        .tags
        .insert(Repository::parse("example.com/app").unwrap(), Fact::Known { value: Arc::new(tags), as_of: now() });
    let asked = |left: &str, right: &str, name: &str| {
        let rows = told(&native("{newest: true}", left, right), &facts, name);
        let of = |label: &str| rows.iter().filter(|row| row.starts_with(label)).cloned().collect::<Vec<_>>();
        (of("chosen: "), of("ties: "), of("result: "))
    };
    for (name, left, right) in [
        // One line of several.
        ("apps/a.yaml:5", "qa-sha-1111111", "sha-1111111"),
        // All lines of one shape.
        ("example.com/app", "qa-sha-1111111", "qa-sha-2222222"),
    ] {
        let (chosen, ties, results) = asked(left, right, name);
        assert!(chosen[0].starts_with("chosen: qa-sha-06c5953 is "), "{name}: {chosen:?}");
        assert!(results[0].ends_with("-> example.com/app:qa-sha-06c5953") && ties.is_empty(), "{name}: {results:?}");
    }
    let (_, ties, results) = asked("qa-sha-1111111", "sha-1111111", "example.com/app");
    assert_eq!(ties, ["ties: each line takes, of tags of one time, the one that is written like its own"]);
    assert!(results[0].ends_with(":qa-sha-06c5953") && results[1].ends_with(":sha-06c5953"), "{results:?}");
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
