//! Annotations of Flux v1, and patch files.

use super::{Outcome, Repo, repo};
use crate::engine::{
    image::Reference,
    plan::{Assignment, AssignmentTarget, unmet},
};

const APP: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app\n  namespace: prod\n  annotations:\n    ANNOTATIONS\nspec:\n  template:\n    spec:\n      containers:\n      - name: c\n        image: r.io/app:CURRENT # stays\n";

fn app(annotations: &str, current: &str) -> Repo {
    let annotations = format!("fluxcd.io/automated: 'true'\n    {annotations}");
    repo(&[("app.yaml", &APP.replace("ANNOTATIONS", &annotations).replace("CURRENT", current))])
}

#[test]
fn chosen_as_flux_v1_does() {
    #[rustfmt::skip]
    let cases: &[(&str, &str, &str, &str, &[&str], &[&str])] = &[
        // annotation, current, tags, times that are asked for, new values, codes
        ("fluxcd.io/tag.c: semver:~1.0", "1.0.0", "1.0.9 1.1.0 1.0", "", &["r.io/app:1.0.9"], &[]),
        ("flux.weave.works/tag.c: semver:*", "1", "2 1.10 1.10.0 v2", "", &["r.io/app:v2"], &[]),
        ("filter.fluxcd.io/c: glob:dev-*", "dev-a", "dev-a dev-b prod-c", "dev-a@1 dev-b@2 prod-c@3", &["r.io/app:dev-b"], &[]),
        ("filter.fluxcd.io/c: regex:^dev", "dev-a", "dev-a dev-b", "dev-a@2 dev-b@1", &[], &[]),
        ("a: b", "x", "x y", "x@1 y@2", &["r.io/app:y"], &[]),
        ("a: b", "x", "x y latest", "x@1 y@2 latest@9", &["r.io/app:y"], &[]),
        ("fluxcd.io/tag.c: latest", "x", "x y latest", "x@1 y@2 latest@9", &["r.io/app:latest"], &[]),
        ("a: b", "x", "x y z", "x@1 y@2 z@2", &["r.io/app:y"], &[]),
        // Without a time nothing can be told to be newer.
        ("a: b", "x", "x y", "y@2", &[], &["no-time"]),
        ("a: b", "y", "x y", "", &[], &["no-time"]),
        ("a: b", "x", "x y", "", &[], &[]),
        ("a: b", "gone", "x y", "x@1 y@2", &[], &["no-time"]),
        ("fluxcd.io/tag.c: glob:dev-*", "x", "x dev-a", "x@1 dev-a@2", &["r.io/app:dev-a"], &[]),
        ("fluxcd.io/tag.c: glob:zz*", "x", "x", "x@1", &[], &["no-match"]),
        ("fluxcd.io/tag.c: 'semver:invalid'", "1.0.0", "2.0.0", "", &[], &["no-match"]),
        ("fluxcd.io/locked: 'true'", "x", "x y", "x@1 y@2", &[], &["locked"]),
        ("flux.weave.works/ignore: true", "x", "x y", "x@1 y@2", &[], &["ignored"]),
        ("fluxcd.io/locked: 'false'", "x", "x y", "x@1 y@2", &["r.io/app:y"], &[]),
        ("fluxcd.io/ignore: sync_only", "x", "x y", "x@1 y@2", &["r.io/app:y"], &[]),
        ("flux.weave.works/automated: 'false'", "x", "x y", "x@1 y@2", &["r.io/app:y"], &[]),
    ];
    for (annotation, current, tags, times, values, codes) in cases {
        let repo = app(annotation, current).tags("r.io/app", tags).times(times);
        let outcome = repo.plan();
        assert_eq!((outcome.values(), outcome.codes()), (values.to_vec(), codes.to_vec()), "{annotation} {tags}");
        let again = Repo { files: outcome.files, ..repo }.plan();
        assert!(again.plan.changes.is_empty(), "{annotation} {tags}: planned again on its own output");
    }
}

#[test]
fn only_tags_that_pass_are_asked_for_their_time() {
    let repo = app("fluxcd.io/tag.c: glob:dev-*", "old").tags("r.io/app", "dev-a dev-b@5 prod-a old other");
    assert_eq!(repo.clone().times("dev-a@1 old@1").plan().asked, ["dev-a", "old"]);
    assert_eq!(repo.times("dev-a@1 old@1").plan().values(), ["r.io/app:dev-b"]);
    // Versions need none.
    let outcome = app("fluxcd.io/tag.c: semver:*", "1").tags("r.io/app", "2").plan();
    assert_eq!((outcome.asked.len(), outcome.values()), (0, vec!["r.io/app:2"]));
}

#[test]
fn an_older_image_is_a_downgrade() {
    let repo = app("fluxcd.io/tag.c: semver:~1", "2.0.0").tags("r.io/app", "2.0.0 1.0.0");
    assert!(repo.plan().plan.changes[0].downgrade);
    let repo = app("fluxcd.io/tag.c: glob:dev-*", "x").tags("r.io/app", "x dev-a").times("x@2 dev-a@1");
    assert!(repo.plan().plan.changes[0].downgrade);
}

#[test]
fn findings() {
    #[rustfmt::skip]
    let cases = [
        ("fluxcd.io/tag.c: 'semver:invalid'", "app.yaml:8:22 flux1-pattern-invalid"),
        ("fluxcd.io/locked: 'yes'", "app.yaml:8:23 flux1-not-true"),
        ("flux.weave.works/automated: 'false'", "app.yaml:8:33 flux1-annotations-differ"),
    ];
    for (annotation, expected) in cases {
        let problems = app(annotation, "1").problems();
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{annotation}: {problems:?}");
    }
    assert_eq!(app("fluxcd.io/ignore: sync_only", "1").problems(), [""; 0]);
}

/// Two images in one release, one of which annotations name.
#[test]
fn a_release_with_mixed_annotations() {
    let text = "kind: HelmRelease\napiVersion: flux.weave.works/v1beta1\nmetadata:\n  name: a\n  annotations:\n    flux.weave.works/automated: \"true\"\n    fluxcd.io/tag.chart-image: glob:dev-*\n    repository.fluxcd.io/init: setup.name\n    tag.fluxcd.io/init: setup.version\n    filter.fluxcd.io/init: semver:~1\nspec:\n  values:\n    image:\n      repository: r.io/app\n      tag: \"dev-1\" # app\n    setup:\n      name: r.io/init\n      version: 1.0.0 # init\n";
    let repo = repo(&[("a.yaml", text)]).tags("r.io/app", "dev-1@1 dev-2@2").tags("r.io/init", "1.0.0 1.2.0 2.0.0");
    let outcome = repo.plan();
    let expected = text.replace("\"dev-1\"", "\"dev-2\"").replace("1.0.0", "1.2.0");
    assert_eq!((outcome.files["a.yaml"].as_str(), outcome.codes()), (expected.as_str(), vec![]));
    let policies: Vec<String> = outcome.plan.changes.iter().filter_map(|change| change.policy.clone()).collect();
    assert_eq!(policies, ["default:helmrelease/a:chart-image", "default:helmrelease/a:init"]);
}

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
    let new = PATCH.replace("TAG", "master-2");
    #[rustfmt::skip]
    let cases = [
        ("created", None, new.clone()),
        ("edited", Some(PATCH.replace("TAG", "master-0")), new.clone()),
        ("edited, the annotation of the patch counts", Some(PATCH.replace("TAG", "master-0").replace("  namespace: ns\n", "  namespace: ns\n  annotations: {fluxcd.io/locked: \"true\"}\n")), String::new()),
        ("as it is", Some(new.clone()), new.clone()),
        ("grown", Some(other.to_owned()), format!("{other}\n{new}")),
        ("filled, empty", Some(String::new()), new.clone()),
        ("filled, with a comment", Some("# by robots".to_owned()), format!("# by robots\n{new}")),
        ("filled, with a separator", Some("---\n".to_owned()), format!("---\n{new}")),
        ("grown, with its own line breaks", Some(format!("{other}\n").replace('\n', "\r\n")), format!("{other}\n{new}").replace('\n', "\r\n")),
        ("incomplete", Some(PATCH.replace("      tag: TAG\n", "      pullPolicy: Always\n")), String::new()),
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

#[test]
fn objects_and_containers_side_by_side() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\n  annotations: {fluxcd.io/automated: \"true\"}\nspec:\n  template:\n    spec:\n      containers:\n      - name: x\n        image: r.io/app:master-1\n      - {name: w, image: r.io/app:master-1}\n      - {name: z, image: r.io/other:1}\n";
    let (repo, outcome) =
        generated(&[("base/kustomization.yaml", "resources: [a.yaml, d.yaml]\n"), ("base/d.yaml", deployment)]);
    let expected = format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\nspec:\n  template:\n    spec:\n      containers:\n        - name: w\n          image: r.io/app:master-2\n        - name: x\n          image: r.io/app:master-2\n{}",
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
}

#[test]
fn what_is_not_built_stays() {
    let (repo, outcome) = generated(&[("dev/b.yaml", RELEASE), ("other/c.yaml", RELEASE)]);
    assert_eq!(outcome.files["dev/b.yaml"], RELEASE);
    assert_eq!(outcome.files["other/c.yaml"], RELEASE.replace("master-1", "master-2"), "no .flux.yaml is above it");
    let problems = repo.problems();
    assert!(problems.len() == 1 && problems[0].starts_with("dev/b.yaml:1:1 flux1-not-rendered"), "{problems:?}");
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
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\n{namespace}spec:\n  template:\n    spec:\n      containers:\n        - name: c\n          image: r.io/d:{tag}\n"
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

/// `NS:KIND/NAME[:CONTAINER]=IMAGE`, or an image.
fn assignment(text: &str) -> Assignment {
    let (on, image) = match text.split_once('=') {
        None => (AssignmentTarget::Image, text),
        Some((object, image)) => {
            let parts: Vec<&str> = object.split([':', '/']).collect();
            let [namespace, kind, name] = [parts[0], parts[1], parts[2]].map(str::to_owned);
            let container = parts.get(3).map(|name| (*name).to_owned());
            (AssignmentTarget::Object { namespace, kind, name, container }, image)
        }
    };
    Assignment { on, image: Reference::parse(image).unwrap() }
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

/// A workload whose containers share what they run, and what becomes of it.
#[test]
fn aliases_and_merge_keys() {
    let workload = |annotations: &str, spec: &str| {
        format!(
            "x-all: &all\n  image: r.io/app:1.0.0 # all\nx-on: &on\n  fluxcd.io/automated: 'true'\n  fluxcd.io/tag.a: &one semver:~1\nkind: Deployment\nmetadata: {{name: d, annotations: {annotations}}}\nspec:\n  template:\n    spec:\n      containers:\n{spec}"
        )
    };
    let release = |values: &str| {
        format!(
            "apiVersion: helm.fluxcd.io/v1\nkind: HelmRelease\nmetadata: {{name: d, annotations: {{fluxcd.io/automated: 'true', fluxcd.io/tag.chart-image: 'semver:~1'}}}}\nspec:\n  values:\n{values}"
        )
    };
    let both = "{<<: *on, fluxcd.io/tag.b: *one}";
    #[rustfmt::skip]
    let cases: &[(&str, String, usize, &[&str])] = &[
        // How many values change, and the codes.
        ("annotations by a merge key", workload("{<<: *on}", "      - {name: a, image: &i r.io/app:1.0.0}\n"), 1, &[]),
        ("all annotations by an alias", workload("*on", "      - {name: a, image: r.io/app:1.0.0}\n"), 1, &[]),
        ("an own annotation goes first", workload("{<<: *on, fluxcd.io/automated: 'false'}", "      - {name: a, image: r.io/app:1.0.0}\n"), 0, &[]),
        ("an alias of another container's image", workload(both, "      - {name: a, image: &i r.io/app:1.0.0}\n      - {name: b, image: *i}\n"), 1, &[]),
        ("which is to have another tag", workload("*on", "      - {name: a, image: &i r.io/app:1.0.0}\n      - {name: b, image: *i}\n"), 0, &["policy-conflict"]),
        ("containers by a merge key", workload(both, "      - {<<: *all, name: a}\n      - <<: *all\n        name: b\n"), 1, &[]),
        ("a merge key whose image gives way", workload(both, "      - {<<: *all, name: a, image: 'r.io/app:1.0.0'}\n"), 1, &[]),
        ("a container that is an alias", workload(both, "      - &c {name: a, image: r.io/app:1.0.0}\n      initContainers:\n      - *c\n"), 1, &[]),
        ("an alias in another field", workload(both, "      - {name: a, image: &i r.io/app:1.0.0, env: [{name: I, value: *i}]}\n"), 0, &["value-not-editable"]),
        ("an anchor on another field", workload(both, "      - {env: [{name: I, value: &i r.io/app:1.0.0}], name: a, image: *i}\n"), 0, &["value-not-editable"]),
        ("a value's parts", release("    image: {repository: &r r.io/app, tag: &t 1.0.0}\n"), 1, &[]),
        ("a tag of two images", release("    image: {repository: &r r.io/app, tag: &t 1.0.0}\n    b: {image: {repository: *r, tag: *t}}\n"), 0, &["policy-conflict"]),
        ("a tag that something else reads", release("    image: {repository: r.io/app, tag: &t 1.0.0}\n    version: *t\n"), 0, &["value-not-editable"]),
        ("a repository that something else reads", release("    image: {repository: &r r.io/app, tag: 1.0.0}\n    name: *r\n"), 1, &[]),
        ("an alias of nothing", workload("*on", "      - {name: a, image: *none}\n"), 0, &[]),
    ];
    for (what, text, values, codes) in cases {
        let repo = repo(&[("a.yaml", text)]).tags("r.io/app", "1.0.0 1.1.0 2.0.0").times("1.0.0@1 1.1.0@2 2.0.0@3");
        let outcome = repo.plan();
        assert_eq!((outcome.plan.changes.len(), outcome.codes()), (*values, codes.to_vec()), "{what}");
        let changed = outcome.files["a.yaml"].lines().zip(text.lines()).filter(|(after, before)| after != before);
        for (after, before) in changed {
            assert_eq!(after, before.replace("1.0.0", "1.1.0"), "{what}");
        }
        let again = Repo { files: outcome.files, ..repo }.plan();
        assert!(again.plan.changes.is_empty(), "{what}: planned again on its own output");
    }
}

/// An anchor's value changes where only the object's containers have it, and a `set` of the object says the same.
#[test]
fn aliases_count_wherever_they_stand() {
    let deployment = |image: &str, top: &str| {
        format!(
            "{{kind: Deployment, metadata: {{name: d, namespace: n, annotations: {{fluxcd.io/automated: 'true', fluxcd.io/tag.c: 'semver:*'}}}}, {top}spec: {{template: {{spec: {{containers: [{{name: c, {image}}}]}}}}}}}}\n"
        )
    };
    let list = |items: &[&str]| format!("kind: List\napiVersion: v1\nitems:\n- {}", items.join("- "));
    let own = deployment("image: &i 'r.io/d:1.0.0'", "");
    let top = |top: &str| deployment("image: *i", top);
    #[rustfmt::skip]
    let cases: &[(&str, String, bool)] = &[
        // Whether the value changes.
        ("no alias", list(&[&own]), true),
        ("another object's data", list(&[&own, "{kind: ConfigMap, data: {v: *i}}\n"]), false),
        ("another object's secret", list(&[&own, "{kind: Secret, stringData: {v: *i}}\n"]), false),
        ("another object's subjects", list(&[&own, "{kind: RoleBinding, subjects: [{name: *i}]}\n"]), false),
        ("another object's key", list(&[&own, "{kind: ConfigMap, data: {*i : v}}\n"]), false),
        ("the list's own field", format!("{}x: *i\n", list(&[&own])), false),
        ("an item's anchor", list(&[&top("x: &i 'r.io/d:1.0.0', ")]), true),
        ("a field at the top", own.replace("}\n", ", data: {x: *i}}\n"), false),
        ("a field at the top of an item", list(&[&top("x: &i 'r.io/d:1.0.0', data: {x: *i}, ")]), false),
        ("an anchor at the top", top("x: &i 'r.io/d:1.0.0', "), true),
        ("an anchor below the top", top("x: {i: &i 'r.io/d:1.0.0', j: k}, "), true),
        ("an anchor whose value has an alias", deployment("<<: *c", "x: &i 'r.io/d:1.0.0', y: &c {image: *i}, "), true),
        ("an anchor at the top, and another alias", top("x: &i 'r.io/d:1.0.0', data: {x: *i}, "), false),
        ("an alias beside its anchor", top("x: {i: &i 'r.io/d:1.0.0', j: *i}, "), false),
        ("an alias in place of items", top("x: &i 'r.io/d:1.0.0', items: *i, "), false),
        ("an alias as a whole field", top("x: &i 'r.io/d:1.0.0', y: *i, "), false),
    ];
    for (what, text, changes) in cases {
        let repo = repo(&[("a.yaml", text)]).tags("r.io/d", "1.0.0 2.0.0");
        let expected = if *changes { text.replace("1.0.0", "2.0.0") } else { text.clone() };
        let codes = if *changes { vec![] } else { vec!["value-not-editable"] };
        let outcome = repo.plan();
        assert_eq!((&outcome.files["a.yaml"], outcome.codes()), (&expected, codes.clone()), "{what}");
        let (files, told) = repo.set(&[assignment("n:deployment/d=r.io/d:2.0.0")]);
        assert_eq!(files.get("a.yaml").unwrap_or(text), &expected, "{what}");
        assert_eq!(told, codes, "{what}");
    }
}

#[test]
fn set_changes_shared_values_for_all_or_none() {
    let text = |env: &str| {
        format!(
            "kind: Deployment\nmetadata: {{name: d, namespace: n}}\nspec: {{template: {{spec: {{containers: [{{name: a, image: &i 'r.io/app:1'}}, {{name: b, image: *i{env}}}]}}}}}}\n"
        )
    };
    let env = ", env: [{name: x, value: *i}]";
    #[rustfmt::skip]
    let cases: &[(&str, &[&str], &str)] = &[
        ("", &["n:deployment/d=r.io/app:2"], ""),
        ("", &["n:deployment/d:a=r.io/app:2", "n:deployment/d:b=r.io/app:2"], ""),
        ("", &["n:deployment/d:a=r.io/app:2", "n:deployment/d:b=r.io/app:3"], "value-not-editable"),
        ("", &["n:deployment/d:b=r.io/app:2"], "value-not-editable"),
        (env, &["n:deployment/d=r.io/app:2"], "value-not-editable"),
        // Whoever names the image wants every field that has it.
        (env, &["r.io/app:2"], ""),
    ];
    for (env, given, code) in cases {
        let text = text(env);
        let assignments: Vec<Assignment> = given.iter().map(|text| assignment(text)).collect();
        let (files, codes) = repo(&[("a.yaml", &text)]).set(&assignments);
        let expected = if code.is_empty() { Some(text.replace("app:1", "app:2")) } else { None };
        assert_eq!((files.get("a.yaml"), codes.concat().as_str()), (expected.as_ref(), *code), "{given:?} {env}");
    }
}

#[test]
fn an_alias_is_not_patched() {
    let deployment = "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: d, annotations: {fluxcd.io/automated: 'true'}}\nspec: {template: {spec: {containers: [{name: x, image: &i 'r.io/app:master-1'}, {name: y, image: *i}]}}}\n";
    let (_, outcome) = generated(&[("base/a.yaml", deployment)]);
    let patch = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\nspec:\n  template:\n    spec:\n      containers:\n        - name: x\n          image: r.io/app:master-2\n";
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
    let both = vec![("eu/flux-patch.yaml", patch("eu")), ("us/flux-patch.yaml", patch("us"))];
    #[rustfmt::skip]
    let cases: Vec<(&str, Files<'_>, Vec<(&str, String)>, &[&str])> = vec![
        ("two targets", vec![], both.clone(), &[]),
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
