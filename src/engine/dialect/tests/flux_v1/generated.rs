//! `.flux.yaml`: what is built, and the patch files that updates go to.

use super::{
    super::{Outcome, Repo, repo},
    assignment,
};
use crate::engine::plan::{AssignRules, assign, unmet};
use std::collections::BTreeMap;

const GENERATED: &str =
    "version: 1\npatchUpdated:\n  generators:\n  - command: kustomize build .\n  patchFile: flux-patch.yaml\n";
const RELEASE: &str = "apiVersion: helm.fluxcd.io/v1\nkind: HelmRelease\nmetadata:\n  name: a\n  namespace: ns\n  annotations:\n    fluxcd.io/automated: \"true\"\n    fluxcd.io/tag.chart-image: glob:master-*\nspec:\n  values:\n    image:\n      repository: r.io/app\n      tag: master-1\n";
const PATCH: &str = "---\napiVersion: helm.fluxcd.io/v1\nkind: HelmRelease\nmetadata:\n  name: a\n  namespace: ns\nspec:\n  values:\n    image:\n      tag: TAG\n";

fn generated(files: &[(&str, &str)]) -> (Repo, Outcome) {
    let base = [
        ("dev/.flux.yaml", GENERATED),
        ("dev/kustomization.yaml", "resources: [../base]\n"),
        ("base/kustomization.yaml", "resources: [a.yaml]\n"),
        ("base/a.yaml", RELEASE),
    ];
    let mut repo = repo(&base).tags("r.io/app", "master-0@0 master-1@1 master-2@2");
    for (path, text) in files {
        repo.files.insert((*path).to_owned(), (*text).to_owned());
    }
    let outcome = repo.plan();
    (repo, outcome)
}

#[test]
fn updates_go_to_the_patch_file() {
    let other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: image}";
    let plain = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replicas: 2\n";
    let new = PATCH.replace("TAG", "master-2");
    #[rustfmt::skip]
    let cases = [
        ("created", None, new.clone()),
        ("edited", Some(PATCH.replace("TAG", "master-0")), new.clone()),
        ("edited, the annotation of the patch counts", Some(PATCH.replace("TAG", "master-0").replace("  namespace: ns\n", "  namespace: ns\n  annotations: {fluxcd.io/locked: \"true\"}\n")), String::new()),
        ("as it is", Some(new.clone()), new.clone()),
        ("grown", Some(other.to_owned()), format!("{other}\n{new}")),
        ("grown, without a word of images", Some(plain.to_owned()), format!("{plain}{new}")),
        ("filled, empty", Some(String::new()), new.clone()),
        ("filled, with a comment", Some("# by robots".to_owned()), format!("# by robots\n{new}")),
        ("filled, with a separator", Some("---\n".to_owned()), format!("---\n{new}")),
        ("grown, with its own line breaks", Some(format!("{other}\n").replace('\n', "\r\n")), format!("{other}\n{new}").replace('\n', "\r\n")),
        ("incomplete", Some(PATCH.replace("    image:\n      tag: TAG\n", "    image: {pullPolicy: Always}\n")), String::new()),
    ];
    for (what, patch, expected) in cases {
        let given: Vec<(&str, &str)> = patch.iter().map(|text| ("dev/flux-patch.yaml", text.as_str())).collect();
        let (repo, outcome) = generated(&given);
        assert_eq!(outcome.files["base/a.yaml"], RELEASE, "{what}: the base stays");
        if expected.is_empty() {
            let code = if what == "incomplete" { "patch-incomplete" } else { "locked" };
            assert_eq!((outcome.codes(), outcome.files == repo.files), (vec![code], true), "{what}");
            continue;
        }
        assert_eq!(outcome.files["dev/flux-patch.yaml"], expected, "{what}: {:?}", outcome.skipped());
        let again = Repo { files: outcome.files, ..repo }.plan();
        assert!(again.plan.changes.is_empty(), "{what}: planned again on its own output");
    }
}

/// What the patch file has of an object already, and what it becomes: Flux v1 puts annotations there first.
#[test]
fn patches_grow() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: ns}\nspec: {selector: {}, template: {spec: {initContainers: [{name: i, image: 'r.io/app:master-1'}], containers: [{name: a, image: 'r.io/app:master-1'}, {name: b, image: 'r.io/app:master-1'}]}}}\n";
    let release = "apiVersion: helm.fluxcd.io/v1\nkind: HelmRelease\nmetadata: {name: d, namespace: ns}\nspec: {chart: {}, values: {m: {image: {repository: r.io/app, tag: master-1}}, z: {image: 'r.io/app:master-1'}}}\n";
    let head = |kind: &str| {
        let group = if kind == "Deployment" { "apps/v1" } else { "helm.fluxcd.io/v1" };
        format!(
            "---\napiVersion: {group}\nkind: {kind}\nmetadata:\n  annotations:\n    fluxcd.io/automated: \"true\"\n  name: d\n  namespace: ns\n"
        )
    };
    let (workload, chart) = (head("Deployment"), head("HelmRelease"));
    let automated = deployment.replace("{name: d,", "{name: d, annotations: {fluxcd.io/automated: 'true'},");
    let bare = workload.replace("  annotations:\n    fluxcd.io/automated: \"true\"\n", "");
    let pod = "spec:\n  template:\n    spec:\n";
    let item = |indent: &str, name: &str| format!("{indent}- image: r.io/app:master-2\n{indent}  name: {name}\n");
    let (none, init) = ("      ", format!("      initContainers:\n{}", item("      ", "i")));
    let all = format!("{pod}      containers:\n{}{}{init}", item(none, "a"), item(none, "b"));
    let tag = "        tag: master-2\n";
    let whole = format!("spec:\n  values:\n    m:\n      image:\n{tag}    z:\n      image: r.io/app:master-2\n");
    let other = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n";
    let order = "      $setElementOrder/containers:\n      - name: b\n      - name: a\n";
    #[rustfmt::skip]
    let cases: Vec<(&str, &str, String, String)> = vec![
        // The object, what the patch file holds, and what it becomes.
        ("annotations alone", deployment, workload.clone(), format!("{workload}{all}")),
        ("annotations alone, of a release", release, chart.clone(), format!("{chart}{whole}")),
        ("before another object", deployment, format!("{workload}{other}"), format!("{workload}{all}{other}")),
        ("behind a comment, without a line break", release, format!("{other}{chart}# end\n").replace("  namespace: ns\n# end\n", "  namespace: ns # end"), format!("{other}{chart}{whole}").replace("  namespace: ns\nspec", "  namespace: ns # end\nspec")),
        ("its own line breaks", release, chart.replace('\n', "\r\n"), format!("{chart}{whole}").replace('\n', "\r\n")),
        ("another field of the spec, and no word of images", &automated, format!("{bare}spec:\n  replicas: 2\n"), format!("{bare}spec:\n  replicas: 2\n{}", &all["spec:\n".len()..])),
        ("another field of the spec", deployment, format!("{workload}spec:\n  replicas: 2 # two\n\n# end\n"), format!("{workload}spec:\n  replicas: 2 # two\n{}\n# end\n", &all["spec:\n".len()..])),
        ("one of its containers", deployment, format!("{workload}{pod}      containers:\n{}", item(none, "a")), format!("{workload}{pod}      containers:\n{}{}{init}", item(none, "a"), item(none, "b"))),
        ("containers further in", deployment, format!("{workload}{pod}      containers:\n{}", item("        ", "a")), format!("{workload}{pod}      containers:\n{}{}{init}", item("        ", "a"), item("        ", "b"))),
        ("a container without an image", deployment, format!("{workload}{pod}      containers:\n      - name: b\n        tty: true\n"), format!("{workload}{pod}      containers:\n      - name: b\n        tty: true\n        image: r.io/app:master-2\n{}{init}", item(none, "a"))),
        ("one of its images, and where the other is put", release, format!("{chart}spec:\n    values:\n        m:\n            image:\n                pullPolicy: Always\n"), format!("{chart}spec:\n    values:\n        m:\n            image:\n                pullPolicy: Always\n                tag: master-2\n        z:\n          image: r.io/app:master-2\n")),
        ("an order of containers that allows it", deployment, format!("{workload}{pod}{order}      containers:\n{}", item(none, "b")), format!("{workload}{pod}{order}      containers:\n{}{}{init}", item(none, "b"), item(none, "a"))),
    ];
    for (what, base, patch, expected) in cases {
        let (repo, outcome) = generated(&[("base/a.yaml", base), ("dev/flux-patch.yaml", &patch)]);
        assert_eq!(outcome.files["dev/flux-patch.yaml"], expected, "{what}: {:?}", outcome.skipped());
        assert_eq!(outcome.codes(), [""; 0], "{what}");
        let again = Repo { files: outcome.files, ..repo }.plan();
        assert!(again.plan.changes.is_empty(), "{what}: planned again on its own output");
    }
    let order = order.replace("      - name: a\n", "");
    #[rustfmt::skip]
    let stays = [
        ("braces", deployment, workload.replace("metadata:\n", "spec: {replicas: 2}\nmetadata:\n"), 3),
        ("an anchor", deployment, format!("{workload}spec: &s\n  replicas: 2\n"), 3),
        ("a merge key", deployment, format!("x: &x {{}}\n{workload}spec:\n  <<: *x\n  replicas: 2\n").replace("x: &x {}\n---\n", "---\nx: &x {}\n"), 3),
        ("nothing behind the key", deployment, format!("{workload}spec:\n"), 3),
        ("an order of containers that forbids it", deployment, format!("{workload}{pod}{order}      containers:\n{}", item(none, "b")), 1),
        ("a directive", deployment, format!("{workload}spec:\n  $patch: replace\n"), 3),
        ("another layout", release, format!("{chart}spec:\n  values:\n    m:\n      image: r.io/app:master-2\n    z:\n      image: r.io/app:master-2\n"), 1),
        ("a whole object", deployment, format!("{workload}spec:\n  selector: {{}}\n"), 3),
    ];
    for (what, base, patch, count) in stays {
        let (_, outcome) = generated(&[("base/a.yaml", base), ("dev/flux-patch.yaml", &patch)]);
        assert_eq!(
            outcome.codes(),
            vec!["patch-incomplete"; count],
            "{what}: {}",
            outcome.files["dev/flux-patch.yaml"]
        );
    }
}

/// A patch file of another name is read where it speaks of images.
#[test]
fn what_is_not_read_is_not_written() {
    let plain = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replicas: 2\n";
    let generator = GENERATED.replace("flux-patch.yaml", "mine.yaml");
    let (repo, outcome) = generated(&[("dev/.flux.yaml", &generator), ("dev/mine.yaml", plain)]);
    assert_eq!((outcome.codes(), outcome.files == repo.files), (vec!["patch-incomplete"], true));
    let told = "dev/mine.yaml is not read, for it speaks of no image: call it flux-patch.yaml, or write the patch of";
    assert!(outcome.skipped()[0].contains(told), "{:?}", outcome.skipped());
}

#[test]
fn objects_and_containers_side_by_side() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\n  annotations: {fluxcd.io/automated: \"true\"}\nspec:\n  template:\n    spec:\n      containers:\n      - name: x\n        image: r.io/app:master-1\n      - {name: w, image: r.io/app:master-1}\n      - {name: z, image: r.io/other:1}\n";
    let (repo, outcome) =
        generated(&[("base/kustomization.yaml", "resources: [a.yaml, d.yaml]\n"), ("base/d.yaml", deployment)]);
    let expected = format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\nspec:\n  template:\n    spec:\n      containers:\n      - image: r.io/app:master-2\n        name: w\n      - image: r.io/app:master-2\n        name: x\n{}",
        PATCH.replace("TAG", "master-2")
    );
    assert_eq!(outcome.files["dev/flux-patch.yaml"], expected);
    assert_eq!(outcome.codes(), ["no-match"], "of r.io/other there are no tags");
    let again = Repo { files: outcome.files, ..repo }.plan();
    assert!(again.plan.changes.is_empty());
}

#[test]
fn commands_are_never_run() {
    let command = "version: 1\ncommandUpdated:\n  generators: [{command: kustomize build .}]\n  updaters: []\n";
    let (repo, outcome) = generated(&[("dev/.flux.yaml", command)]);
    assert_eq!((outcome.codes(), outcome.files == repo.files), (vec!["command-updated"], true));
    let problems = repo.problems();
    assert!(problems.iter().any(|problem| problem.contains("flux-yaml-command")), "{problems:?}");
    let manual = RELEASE.replace("automated: \"true\"", "automated: \"false\"");
    let (repo, _) = generated(&[("dev/.flux.yaml", command), ("base/a.yaml", &manual)]);
    assert_eq!(repo.problems(), [""; 0], "nothing is automated");
}

/// Slips of real repositories; Flux v1 stops for them.
#[test]
fn a_flux_yaml_that_flux_v1_refuses() {
    let (file, commands, variant) = (
        "a patchFile under patchUpdated",
        "a list of generators with a command each",
        "one of patchUpdated, commandUpdated and scanForFiles",
    );
    #[rustfmt::skip]
    let cases = [
        ("patchUpdated: {generators: [{command: kustomize build .}]}\n", file),
        ("patchUpdated: {generators: [{command: kustomize build .}]}\npatchFile: p.yaml\n", file),
        ("patchUpdated: {generators: [command kustomize build .], patchFile: p.yaml}\n", commands),
        ("patchUpdated: {patchFile: p.yaml}\n", commands),
        ("commandUpdated: {}\n", commands),
        ("commandUpdate: {generators: [{command: kustomize build .}]}\n", variant),
    ];
    // A file of that name may be something else.
    let other = ("dev/.flux.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n");
    let (_, outcome) = generated(&[other]);
    assert_eq!(outcome.files["base/a.yaml"], RELEASE.replace("master-1", "master-2"));
    for (text, expected) in cases {
        let text = format!("version: 1\n{text}");
        let (repo, outcome) = generated(&[other, ("base/.flux.yaml", &text)]);
        assert_eq!((outcome.codes(), outcome.files == repo.files), (vec!["flux-yaml-invalid"], true), "{text}");
        let told = format!("expected {expected}, as Flux v1 does: nothing below is updated");
        let problems = repo.problems();
        assert!(problems.contains(&format!("base/.flux.yaml:1:1 flux-yaml-invalid {told}")), "{problems:?}");
        let manual = RELEASE.replace("automated: \"true\"", "automated: \"false\"");
        let (repo, _) = generated(&[other, ("base/.flux.yaml", &text), ("base/a.yaml", &manual)]);
        assert_eq!(repo.problems(), [""; 0], "{text}: nothing is automated");
    }
}

#[test]
fn what_is_not_built_stays() {
    let (repo, outcome) = generated(&[("dev/b.yaml", RELEASE), ("other/c.yaml", RELEASE)]);
    assert_eq!(outcome.files["dev/b.yaml"], RELEASE);
    assert_eq!(outcome.files["other/c.yaml"], RELEASE.replace("master-1", "master-2"), "no .flux.yaml is above it");
    let problems = repo.problems();
    assert!(problems.len() == 1 && problems[0].starts_with("dev/b.yaml:1:1 flux1-not-rendered"), "{problems:?}");
}

/// Whose base another overlay builds too: that one is planned, and what was given up is told.
#[test]
fn what_a_build_has_not_come_to_stays_and_is_told() {
    let levels: Vec<(String, String)> = (0..70)
        .map(|n| (format!("levels/{n}/kustomization.yaml"), format!("resources: [../{}]\n", n + 1)))
        .chain([("levels/70/kustomization.yaml".to_owned(), "resources: [../../base]\n".to_owned())])
        .collect();
    let us = [("us/.flux.yaml", GENERATED), ("us/kustomization.yaml", "resources: [../base]\nnamespace: us\n")];
    #[rustfmt::skip]
    let cases = [
        ("it is among them", "resources: [../levels/0]\n", vec!["flux1-patch-unclear"]),
        ("it is not", "resources: [../levels/0/other]\n", vec![]),
        ("built as well", "resources: [../levels/0, ../base]\n", vec!["flux1-patch-unclear"]),
    ];
    for (what, kustomization, codes) in cases {
        let mut files: Vec<(&str, &str)> = levels.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
        files.extend(us);
        files.push(("dev/kustomization.yaml", kustomization));
        let (repo, outcome) = generated(&files);
        let changed: Vec<&String> = outcome
            .files
            .iter()
            .filter(|(file, text)| repo.files.get(*file) != Some(text))
            .map(|(file, _)| file)
            .collect();
        assert_eq!(
            (changed, outcome.codes()),
            (vec![&"us/flux-patch.yaml".to_owned()], codes),
            "{what}: {:?}",
            outcome.skipped()
        );
    }
}

#[test]
fn patch_files_are_files_of_the_repository() {
    #[rustfmt::skip]
    let cases = [
        ("../../pwn.yaml", "it leads out of the repository"),
        ("../.git/hooks/x.yaml", "git keeps its own files there"),
        ("../base", "base is a folder"),
        ("../base/a.yaml/x.yaml", "base/a.yaml is a file"),
    ];
    for (patch, why) in cases {
        let (repo, outcome) = generated(&[("dev/.flux.yaml", &GENERATED.replace("flux-patch.yaml", patch))]);
        assert_eq!((outcome.codes(), outcome.files == repo.files), (vec!["patch-file-invalid"], true), "{patch}");
        let problems = repo.problems();
        assert!(
            problems[0].starts_with(&format!("dev/.flux.yaml:1:1 patch-file-invalid {patch}: {why}")),
            "{problems:?}"
        );
    }
}

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\n  annotations: {fluxcd.io/automated: \"AUTOMATED\", fluxcd.io/tag.c: semver:~1.0}\nspec: {template: {spec: {containers: [{name: c, image: \"r.io/d:1.0.0\"}]}}}\n";

/// One environment with a base that is (not) automated; what is put into its patch file, and the codes.
fn overlaid(automated: &str, kustomization: &str, files: &[(&str, &str)]) -> (Repo, Outcome) {
    let base = DEPLOYMENT.replace("AUTOMATED", automated);
    let kustomization = format!("resources: [../base]\n{kustomization}");
    let mut all = vec![
        ("base/kustomization.yaml", "resources: [d.yaml]\n"),
        ("base/d.yaml", base.as_str()),
        ("dev/.flux.yaml", GENERATED),
        ("dev/kustomization.yaml", kustomization.as_str()),
    ];
    all.extend(files);
    let repo = repo(&all).tags("r.io/d", "1.0.0 1.0.5 1.1.0 2.0.0").tags("r.io/e", "1.0.1 1.0.7");
    let outcome = repo.plan();
    (repo, outcome)
}

#[test]
fn what_kustomize_builds_counts() {
    let patch = |annotations: &str, more: &str| {
        format!("apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d, annotations: {{{annotations}}}}}\n{more}")
    };
    let image =
        |image: &str| format!("spec: {{template: {{spec: {{containers: [{{name: c, image: \"{image}\"}}]}}}}}}\n");
    let on = "fluxcd.io/automated: 'true'";
    let merged = "patchesStrategicMerge: [p.yaml]";
    let json = |operations: &str| format!("patches:\n- target: {{kind: Deployment}}\n  patch: |-\n    {operations}\n");
    let other = |patch: &str| patch.replace("apiVersion: apps/v1\nkind: Deployment", "kind: NotImportant");
    let targeted = "patches: [{path: p.yaml, target: {kind: Deployment}}]";
    let inline = |text: &str| format!("patches:\n- patch: |-\n    {}", text.trim_end().replace('\n', "\n    "));
    #[rustfmt::skip]
    let cases: Vec<(&str, &str, String, String, &[&str], &[&str])> = vec![
        // what, base automated, kustomization, p.yaml, values with a `!` where they are lower, codes
        ("nothing", "true", String::new(), String::new(), &["r.io/d:1.0.5"], &[]),
        ("switched on by a patch with an image: the base's pattern", "false", merged.into(), patch(on, &image("r.io/d:1.0.1")), &["r.io/d:1.0.5"], &[]),
        ("the patch's pattern", "true", merged.into(), patch("fluxcd.io/tag.c: semver:~2", ""), &["r.io/d:2.0.0"], &[]),
        ("switched off by a patch", "true", merged.into(), patch("fluxcd.io/automated: 'false'", ""), &[], &[]),
        ("locked by a patch", "true", merged.into(), patch("fluxcd.io/locked: 'true'", ""), &[], &["locked"]),
        ("named as a path", "true", "patches: [{path: p.yaml}]".into(), patch("fluxcd.io/locked: 'true'", ""), &[], &["locked"]),
        ("of another object", "true", merged.into(), patch("fluxcd.io/locked: 'true'", "").replace("name: d", "name: e"), &["r.io/d:1.0.5"], &[]),
        ("inline", "false", inline(&patch(on, &image("r.io/d:1.1.0"))), String::new(), &["!r.io/d:1.0.5"], &[]),
        ("a directive", "true", merged.into(), patch("$patch: replace", ""), &[], &["flux1-patch-unclear"]),
        ("deleted", "true", inline(&patch(on, "$patch: delete")), String::new(), &[], &["flux1-patch-unclear"]),
        ("an operation on an annotation", "false", json("[{op: replace, path: /metadata/annotations/fluxcd.io~1automated, value: 'true'}]"), String::new(), &["r.io/d:1.0.5"], &[]),
        ("one that removes it", "true", json("[{op: remove, path: /metadata/annotations/fluxcd.io~1automated}]"), String::new(), &[], &[]),
        ("an operation on the image", "true", json("[{op: replace, path: /spec/template/spec/containers/0/image, value: 'r.io/e:1.0.1'}]"), String::new(), &["r.io/e:1.0.7"], &[]),
        ("an operation beside it", "true", json("[{op: add, path: /spec/replicas, value: 2}, {op: add, path: /spec/template/spec/containers/-, value: {name: x}}]"), String::new(), &["r.io/d:1.0.5"], &[]),
        ("an operation on what it stands in", "true", json("[{op: replace, path: /spec/template, value: {}}]"), String::new(), &[], &["flux1-patch-unclear"]),
        ("a newer tag by images", "true", "images: [{name: r.io/d, newTag: 1.1.0}]".into(), String::new(), &["!r.io/d:1.0.5"], &[]),
        ("another name by images", "true", "images: [{name: r.io/d, newName: r.io/e}]".into(), String::new(), &["r.io/e:1.0.7"], &[]),
        ("a digest by images", "true", format!("images: [{{name: r.io/d, digest: 'sha256:{}'}}]", "0".repeat(64)), String::new(), &[], &["pinned-by-digest"]),
        ("annotations for all", "false", format!("commonAnnotations: {{{on}}}"), String::new(), &["r.io/d:1.0.5"], &[]),
        ("a lock for all", "true", "commonAnnotations: {fluxcd.io/locked: 'true'}".into(), String::new(), &[], &["locked"]),
        ("for a target, whatever it calls itself", "false", targeted.into(), other(&patch(on, &image("r.io/d:1.1.0"))), &["!r.io/d:1.0.5"], &[]),
        ("the same inline", "false", json(&other(&patch(on, &image("r.io/d:1.1.0"))).replace('\n', "\n    ")), String::new(), &["!r.io/d:1.0.5"], &[]),
        ("for another target", "true", targeted.replace("Deployment", "StatefulSet"), other(&patch("fluxcd.io/locked: 'true'", "")), &["r.io/d:1.0.5"], &[]),
        ("two for a target", "true", targeted.into(), other(&patch(on, "---\nkind: Y\nmetadata: {name: y}\n")), &[], &["flux1-patch-unclear"]),
        ("one for a target without a name", "true", targeted.into(), other(&patch(on, "")).replace("name: d, ", ""), &[], &["flux1-patch-unclear"]),
        ("a component", "true", "components: [../lock]".into(), String::new(), &[], &["locked"]),
    ];
    let lock = "kind: Component\ncommonAnnotations: {fluxcd.io/locked: 'true'}\n";
    for (what, automated, kustomization, patch, values, codes) in cases {
        let mut files = vec![("lock/kustomization.yaml", lock)];
        if !patch.is_empty() {
            files.push(("dev/p.yaml", patch.as_str()));
        }
        let (repo, outcome) = overlaid(automated, &kustomization, &files);
        let changes = outcome.plan.changes.iter();
        let found: Vec<String> =
            changes.map(|change| format!("{}{}", if change.downgrade { "!" } else { "" }, change.new)).collect();
        assert_eq!(
            (found, outcome.codes()),
            (values.iter().map(|v| (*v).to_owned()).collect(), codes.to_vec()),
            "{what}"
        );
        let written: Vec<&str> = outcome.plan.changes.iter().map(|change| change.line.file.as_str()).collect();
        assert!(written.iter().all(|file| *file == "dev/flux-patch.yaml"), "{what}: {written:?}");
        let again = Repo { files: outcome.files, ..repo }.plan();
        assert!(again.plan.changes.is_empty(), "{what}: planned again on its own output");
    }
}

#[test]
fn each_environment_has_its_namespace() {
    let patch = |namespace: &str, tag: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\n{namespace}spec:\n  template:\n    spec:\n      containers:\n      - image: r.io/d:{tag}\n        name: c\n"
        )
    };
    let (own, other) = ("  namespace: e2\n", "  namespace: e1\n");
    #[rustfmt::skip]
    let cases = [
        ("none yet", None, format!("---\n{}", patch(own, "1.0.5"))),
        ("its own", Some(patch(own, "1.0.0")), patch(own, "1.0.5")),
        ("one for any namespace", Some(patch("", "1.0.0")), patch("", "1.0.5")),
        ("its own goes first", Some(format!("{}---\n{}", patch("", "1.0.0"), patch(own, "1.0.0"))), format!("{}---\n{}", patch("", "1.0.0"), patch(own, "1.0.5"))),
        ("another's", Some(patch(other, "1.0.0")), format!("{}---\n{}", patch(other, "1.0.0"), patch(own, "1.0.5"))),
    ];
    for (what, before, expected) in cases {
        let files: Vec<(&str, &str)> = before.iter().map(|text| ("dev/flux-patch.yaml", text.as_str())).collect();
        let (repo, outcome) = overlaid("true", "namespace: e2", &files);
        assert_eq!(outcome.files["dev/flux-patch.yaml"], expected, "{what}: {:?}", outcome.skipped());
        assert_eq!(outcome.plan.changes[0].policy.as_deref(), Some("e2:deployment/d:c"), "{what}");
        let again = Repo { files: outcome.files, ..repo }.plan();
        assert!(again.plan.changes.is_empty(), "{what}: planned again on its own output");
    }
    // Two environments, two policies.
    let both = [("us/.flux.yaml", GENERATED), ("us/kustomization.yaml", "resources: [../base]\nnamespace: us\n")];
    let (_, outcome) = overlaid("true", "namespace: eu", &both);
    let policies: Vec<&str> = outcome.plan.changes.iter().filter_map(|change| change.policy.as_deref()).collect();
    assert_eq!(policies, ["eu:deployment/d:c", "us:deployment/d:c"]);
}

#[test]
fn set_writes_where_flux_v1_does() {
    let patch = PATCH.replace("TAG", "master-1");
    let kustomized = "apiVersion: helm.fluxcd.io/v1\nkind: HelmRelease\nmetadata: {name: a, namespace: ns}\nspec: {values: {image: {tag: master-0}}}\n";
    let with_patch = "resources: [../base]\npatchesStrategicMerge: [p.yaml]\n";
    let command = "version: 1\ncommandUpdated: {generators: [{command: kustomize build .}]}\n";
    let to = |tag: &str| PATCH.replace("TAG", tag);
    let release = |tag: &str| RELEASE.replace("tag: master-1", &format!("tag: {tag}"));
    type Files<'a> = Vec<(&'a str, &'a str)>;
    let one = |file: &'static str, text: String| vec![(file, text)];
    #[rustfmt::skip]
    let cases: Vec<(&str, Files<'_>, &str, Vec<(&str, String)>, &[&str])> = vec![
        ("its patch is edited", vec![("dev/flux-patch.yaml", &patch)], "ns:helmrelease/a=r.io/app:x", one("dev/flux-patch.yaml", to("x")), &[]),
        ("by the container", vec![("dev/flux-patch.yaml", &patch)], "ns:HelmRelease/a:chart-image=r.io/app:x", one("dev/flux-patch.yaml", to("x")), &[]),
        ("its patch is created", vec![], "ns:helmrelease/a=r.io/app:x", one("dev/flux-patch.yaml", to("x")), &[]),
        ("it holds that already", vec![("dev/flux-patch.yaml", &patch)], "ns:helmrelease/a=r.io/app:master-1", vec![], &[]),
        ("what runs is not added", vec![], "ns:helmrelease/a=r.io/app:master-1", vec![], &[]),
        ("a patch of the kustomization stays", vec![("dev/kustomization.yaml", with_patch), ("dev/p.yaml", kustomized)], "ns:helmrelease/a=r.io/app:x", one("dev/flux-patch.yaml", to("x")), &[]),
        ("another namespace is another object", vec![("dev/kustomization.yaml", "resources: [../base]\nnamespace: other\n")], "ns:helmrelease/a=r.io/app:x", vec![], &[]),
        ("as it is built", vec![("dev/kustomization.yaml", "resources: [../base]\nnamespace: other\n")], "other:helmrelease/a=r.io/app:x", one("dev/flux-patch.yaml", to("x").replace(": ns", ": other")), &[]),
        ("another image for a tag alone", vec![], "ns:helmrelease/a:chart-image=r.io/other:x", vec![], &["different-image"]),
        ("a command", vec![("dev/.flux.yaml", command)], "ns:helmrelease/a=r.io/app:x", vec![], &["command-updated"]),
        ("what is not built", vec![("dev/kustomization.yaml", "resources: []\n"), ("dev/b.yaml", RELEASE), ("base/a.yaml", "")], "ns:helmrelease/a=r.io/app:x", vec![], &["flux1-not-rendered"]),
        ("an object that no .flux.yaml is above", vec![("dev/flux-patch.yaml", &patch), ("other/c.yaml", RELEASE)], "ns:helmrelease/a=r.io/app:x", vec![("dev/flux-patch.yaml", to("x")), ("other/c.yaml", release("x"))], &[]),
        ("a patch without its base", vec![("dev/flux-patch.yaml", &patch), ("base/a.yaml", "")], "ns:helmrelease/a=r.io/app:x", one("dev/flux-patch.yaml", to("x")), &[]),
        ("by the image: every line that runs it", vec![("dev/flux-patch.yaml", &patch)], "r.io/app:x", one("base/a.yaml", release("x")), &[]),
    ];
    for (what, files, given, expected, codes) in cases {
        let (repo, _) = generated(&files);
        let expected = expected.into_iter().map(|(file, text)| (file.to_owned(), text)).collect();
        let codes = codes.iter().map(|code| (*code).to_owned()).collect();
        assert_eq!(repo.set(&[assignment(given)]), (expected, codes), "{what}");
    }
}

#[test]
fn set_has_the_narrowest_and_misses_nothing() {
    let (repo, _) =
        generated(&[("us/.flux.yaml", GENERATED), ("us/kustomization.yaml", "resources: [../base]\nnamespace: us\n")]);
    let assignments =
        ["us:helmrelease/a=r.io/app:x", "ns:helmrelease/a:chart-image=r.io/app:v1", "ns:helmrelease/b=r.io/app:z"]
            .map(assignment);
    let (files, codes) = repo.set(&assignments);
    let patch = |tag: &str| PATCH.replace("TAG", tag);
    let expected = [("dev/flux-patch.yaml", patch("v1")), ("us/flux-patch.yaml", patch("x").replace(": ns", ": us"))];
    assert_eq!((files, codes.len()), (expected.map(|(file, text)| (file.to_owned(), text)).into(), 0));
    let missed = unmet(&repo.snapshot(), &assignments);
    assert!(matches!(&missed[..], [(2, why)] if why.contains("ns:helmrelease/b")), "{missed:?}");
}

/// The base, the kustomization or the patch may have the lock.
#[test]
fn set_leaves_what_is_locked() {
    let lock = "  annotations: {fluxcd.io/locked: \"true\"}\n";
    let patch = PATCH.replace("TAG", "master-0").replace("  namespace: ns\n", &format!("  namespace: ns\n{lock}"));
    let base = RELEASE.replace("    fluxcd.io/automated: \"true\"\n", "    fluxcd.io/locked: \"true\"\n");
    let common = "resources: [../base]\ncommonAnnotations: {fluxcd.io/locked: \"true\"}\n";
    for (file, text) in [("dev/flux-patch.yaml", &*patch), ("base/a.yaml", &base), ("dev/kustomization.yaml", common)] {
        let (repo, _) = generated(&[(file, text)]);
        let assignments = [assignment("ns:helmrelease/a:chart-image=r.io/app:v1")];
        assert_eq!(repo.set(&assignments), (BTreeMap::new(), vec!["locked".to_owned()]), "{file}");
        let forced = assign(&repo.snapshot(), &assignments, AssignRules { force: true, ..AssignRules::default() });
        assert_eq!(forced.changes.len(), 1, "{file}");
    }
}

#[test]
fn an_alias_is_not_patched() {
    let deployment = "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: d, annotations: {fluxcd.io/automated: 'true'}}\nspec: {template: {spec: {containers: [{name: x, image: &i 'r.io/app:master-1'}, {name: y, image: *i}]}}}\n";
    let (_, outcome) = generated(&[("base/a.yaml", deployment)]);
    let patch = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\nspec:\n  template:\n    spec:\n      containers:\n      - image: r.io/app:master-2\n        name: x\n";
    assert_eq!((outcome.files["dev/flux-patch.yaml"].as_str(), outcome.codes()), (patch, vec!["patch-incomplete"]));
}

#[test]
fn prefixes_that_differ_are_told_where_one_has_no_effect() {
    let base = |annotations: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\n  annotations: {{fluxcd.io/automated: 'true', {annotations}}}\nspec: {{template: {{spec: {{containers: [{{name: c, image: 'r.io/d:1.0.0'}}]}}}}}}\n"
        )
    };
    let patch = |annotation: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d, annotations: {{{annotation}}}}}\nspec: {{template: {{spec: {{containers: [{{name: c, image: 'r.io/d:1.0.0'}}]}}}}}}\n"
        )
    };
    let (old, new) = ("flux.weave.works/tag.c: 'semver:~1'", "fluxcd.io/tag.c: 'semver:~2'");
    let told = "semver:~1\" in flux.weave.works/tag.c and \"semver:~2\" in fluxcd.io/tag.c";
    #[rustfmt::skip]
    let cases = [
        // The base, what is put over it, and the place that is told.
        (format!("{old}, {new}"), String::new(), Some("base/a.yaml:5:70 ")),
        (old.to_owned(), new.to_owned(), None),
        (new.to_owned(), old.to_owned(), Some("dev/p.yaml:3:59 ")),
        (old.to_owned(), format!("{old}, {new}"), Some("dev/p.yaml:3:59 ")),
    ];
    for (annotations, over, expected) in cases {
        for kustomized in [true, false] {
            if over.is_empty() && !kustomized {
                continue;
            }
            let patched = if over.is_empty() { String::new() } else { patch(&over) };
            let (file, kustomization) = match kustomized {
                true => ("dev/p.yaml", "resources: [../base]\npatchesStrategicMerge: [p.yaml]\n"),
                false => ("dev/flux-patch.yaml", "resources: [../base]\n"),
            };
            let (repo, _) = generated(&[
                ("dev/kustomization.yaml", kustomization),
                ("base/a.yaml", &base(&annotations)),
                (file, &patched),
            ]);
            let problems = repo.problems();
            let expected = expected.map(|place| place.replace("dev/p.yaml", file));
            match expected {
                None => assert_eq!(problems, [""; 0], "{annotations} {over}"),
                Some(place) => assert!(
                    problems.len() == 1 && problems[0].starts_with(&place) && problems[0].contains(told),
                    "{annotations} {over}: {problems:?}"
                ),
            }
        }
    }
}

/// Flux v1 runs commands in its target path; the `.flux.yaml` may stand above it.
#[test]
fn one_flux_yaml_above_several_targets() {
    let scans = "version: 1\nscanForFiles: {}\n";
    let patch = |namespace: &str| PATCH.replace("TAG", "master-2").replace(": ns", &format!(": {namespace}"));
    let direct = RELEASE.replace("master-1", "master-2");
    type Files<'a> = Vec<(&'a str, &'a str)>;
    let layout: Files<'_> = vec![
        (".flux.yaml", GENERATED),
        ("base/a.yaml", RELEASE),
        ("base/kustomization.yaml", "resources: [a.yaml]\n"),
        ("eu/kustomization.yaml", "resources: [../base]\nnamespace: eu\n"),
        ("us/kustomization.yaml", "resources: [../base]\nnamespace: us\n"),
    ];
    let followed = format!("{GENERATED}---\n{scans}");
    let both = vec![("eu/flux-patch.yaml", patch("eu")), ("us/flux-patch.yaml", patch("us"))];
    #[rustfmt::skip]
    let cases: Vec<(&str, Files<'_>, Vec<(&str, String)>, &[&str])> = vec![
        ("two targets", vec![], both.clone(), &[]),
        ("a second document has no effect", vec![(".flux.yaml", &followed)], both.clone(), &[]),
        ("one that has its own", vec![("eu/.flux.yaml", GENERATED)], both.clone(), &[]),
        ("one that is scanned", vec![("us/.flux.yaml", scans), ("us/b.yaml", RELEASE)], vec![("eu/flux-patch.yaml", patch("eu")), ("us/b.yaml", direct.clone())], &[]),
        ("what no target builds", vec![("other/b.yaml", RELEASE)], both, &["flux1-not-rendered"]),
        ("a target at the top", vec![("kustomization.yaml", "resources: [eu]\n")], vec![("flux-patch.yaml", patch("eu"))], &[]),
        ("no target", vec![("eu/kustomization.yaml", ""), ("us/kustomization.yaml", ""), ("base/kustomization.yaml", "")], vec![], &["flux1-not-rendered"]),
        ("all is scanned", vec![(".flux.yaml", scans)], vec![("base/a.yaml", direct)], &[]),
    ];
    for (what, files, expected, codes) in cases {
        let mut repo = repo(&layout).tags("r.io/app", "master-0@0 master-1@1 master-2@2");
        repo.files.extend(files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())));
        let outcome = repo.plan();
        let mut changed = outcome.files.clone();
        changed.retain(|file, text| repo.files.get(file) != Some(text));
        let expected = expected.into_iter().map(|(file, text)| (file.to_owned(), text)).collect();
        let problems: Vec<&str> = repo.bindings().problems.iter().map(|problem| problem.code).collect();
        assert_eq!((changed, problems), (expected, codes.to_vec()), "{what}");
        let again = Repo { files: outcome.files, ..repo }.plan();
        assert!(again.plan.changes.is_empty(), "{what}: planned again on its own output");
    }
}

/// Another dialect may change what a patch file has not taken the place of yet: one plan writes both.
#[test]
fn markers_on_what_is_patched() {
    let policy = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: app, namespace: ns}\nspec: {image: r.io/app}\n---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: app, namespace: ns}\nspec:\n  imageRepositoryRef: {name: app}\n  filterTags: {pattern: '^master-(?P<n>[0-9])$', extract: $n}\n  policy: {numerical: {order: ORDER}}\n";
    let marker = " # {\"$imagepolicy\": \"ns:app:tag\"}\n";
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: ns, annotations: {fluxcd.io/automated: 'true', fluxcd.io/tag.c: 'glob:master-*'}}\nspec: {template: {spec: {containers: [{name: c, image: 'r.io/app:x'}]}}}\n";
    let images = |tag: &str| format!("resources: [../base]\nimages:\n- name: r.io/app\n  newTag: {tag}{marker}");
    let release = |tag: &str| RELEASE.replace("tag: master-1\n", &format!("tag: {tag}{marker}"));
    let (base, kustomization) = ("base/a.yaml", "dev/kustomization.yaml");
    #[rustfmt::skip]
    let cases = [
        // The marker's order, what is there, and the files that change.
        ("both want one value", "asc", vec![(base, release("master-1"))], vec![base, "dev/flux-patch.yaml"]),
        ("it holds", "asc", vec![(base, release("master-2"))], vec![]),
        ("the marker wants another", "desc", vec![(base, release("master-1"))], vec![base, "dev/flux-patch.yaml"]),
        ("and takes away what holds", "desc", vec![(base, release("master-2"))], vec![base, "dev/flux-patch.yaml"]),
        ("which a patch has", "desc", vec![(base, release("master-2")), ("dev/flux-patch.yaml", PATCH.replace("TAG", "master-2"))], vec![base]),
        ("by images", "desc", vec![(base, deployment.into()), (kustomization, images("master-2"))], vec!["dev/flux-patch.yaml", kustomization]),
    ];
    for (what, order, files, expected) in cases {
        let policy = policy.replace("ORDER", order);
        let mut given: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
        given.push(("flux/p.yaml", &policy));
        let (repo, outcome) = generated(&given);
        let mut changed = outcome.files.clone();
        changed.retain(|file, text| repo.files.get(file) != Some(text));
        assert_eq!(changed.keys().collect::<Vec<_>>(), expected, "{what}: {:?}", outcome.skipped());
        let patched = outcome.files.get("dev/flux-patch.yaml").map_or("", String::as_str);
        assert!(expected.is_empty() || patched.contains("master-2"), "{what}: {patched}");
        let again = Repo { files: outcome.files, ..repo }.plan();
        assert!(again.plan.changes.is_empty(), "{what}: planned again on its own output");
    }
}
