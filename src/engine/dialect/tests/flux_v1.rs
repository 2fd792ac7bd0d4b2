//! Annotations of Flux v1.

mod aliases;
mod generated;

use super::{Repo, repo};
use crate::engine::{
    image::Reference,
    plan::{Assignment, AssignmentTarget},
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
        ("fluxcd.io/locked: Yes", "x", "x y", "x@1 y@2", &[], &["locked"]),
        ("fluxcd.io/locked: off", "x", "x y", "x@1 y@2", &["r.io/app:y"], &[]),
        ("fluxcd.io/locked: 'on'", "x", "x y", "x@1 y@2", &["r.io/app:y"], &[]),
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
        ("fluxcd.io/tag.c: 'glob: dev-*'", "app.yaml:8:22 flux1-pattern-space prod:deployment/app:c: \"glob: dev-*\" has a space that belongs to the glob, and no tag has one, so that it matches nothing, as in Flux v1; write \"glob:dev-*\""),
        ("fluxcd.io/tag.c: 'semver: ~1'", ""),
        ("fluxcd.io/locked: 'yes'", "app.yaml:8:23 flux1-not-true"),
        ("flux.weave.works/automated: 'false'", "app.yaml:8:33 flux1-annotations-differ"),
    ];
    for (annotation, expected) in cases {
        let problems = app(annotation, "1").problems();
        let told = problems.first().map_or("", String::as_str);
        assert!(problems.len() < 2 && told.starts_with(expected), "{annotation}: {problems:?}");
        assert_eq!(told.is_empty(), expected.is_empty(), "{annotation}: {problems:?}");
    }
    assert_eq!(app("fluxcd.io/ignore: sync_only", "1").problems(), [""; 0]);
}

/// Filters for containers that are not there: annotations, what the pod has, and what is said.
#[test]
fn filters_of_no_container() {
    let pod = "containers: [{name: cno-api, image: 'r.io/a:1'}]";
    let two = "initContainers: [{name: init, image: 'r.io/a:1'}], containers: [{name: app, image: 'r.io/a:1'}]";
    let all = "the filter has no effect, and `cno-api` takes every tag";
    let auto = "fluxcd.io/automated: 'true', ";
    #[rustfmt::skip]
    let cases = [
        (format!("{auto}flux.weave.works/tag.podinfod: semver:~1.4"), pod, format!("no container `podinfod` here; there is `cno-api`: {all}")),
        (format!("{auto}filter.fluxcd.io/podinfod: 'glob:*'"), pod, format!("no container `podinfod` here; there is `cno-api`: {all}")),
        (format!("{auto}filter.fluxcd.io/tag.cno-api: 'glob:*'"), pod, format!("no container `tag.cno-api` here; there is `cno-api`: {all}; did you mean `cno-api`?")),
        (format!("{auto}fluxcd.io/tag.cno-ap: 'glob:*'"), pod, format!("no container `cno-ap` here; there is `cno-api`: {all}; did you mean `cno-api`?")),
        (format!("{auto}fluxcd.io/tag.x: 'glob:*', fluxcd.io/tag.cno-api: 'glob:*'"), pod, "no container `x` here; there is `cno-api`: the filter has no effect".into()),
        (format!("{auto}fluxcd.io/tag.main: 'glob:*'"), two, "no container `main` here; there are `app`, `init`: the filter has no effect, and `app`, `init` take every tag".into()),
        (format!("{auto}fluxcd.io/tag.main: 'glob:*', fluxcd.io/tag.init: 'glob:*'"), two, "no container `main` here; there are `app`, `init`: the filter has no effect, and `app` takes every tag".into()),
        ("fluxcd.io/tag.podinfod: 'glob:*'".into(), pod, "no container `podinfod` here; there is `cno-api`: the filter has no effect".into()),
        // Init containers count; `tag_all` is a name of its own; an object without containers is not judged.
        (format!("{auto}fluxcd.io/tag.init: 'glob:*', fluxcd.io/tag.app: 'glob:*'"), two, String::new()),
        (format!("{auto}fluxcd.io/tag_all: 'glob:*', fluxcd.io/tag.: x"), pod, String::new()),
        (format!("{auto}fluxcd.io/tag.app: 'glob:*'"), "containers: []", String::new()),
    ];
    for (annotations, pod, expected) in cases {
        let text = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: a, annotations: {{{annotations}}}}}\nspec: {{template: {{spec: {{{pod}}}}}}}\n"
        );
        let said = repo(&[("a.yaml", &text)]).problems();
        let said: Vec<&str> = said
            .iter()
            .filter_map(|said| said.split_once(" container-unknown Deployment/a: "))
            .map(|(_, why)| why)
            .collect();
        assert_eq!(said.concat(), expected, "{annotations}");
    }
}

/// Of releases the names count that their layouts give.
#[test]
fn filters_of_no_image_of_a_release() {
    #[rustfmt::skip]
    let cases = [
        ("fluxcd.io/tag.chart-image: 'glob:*'", "image: {repository: r.io/a, tag: v1}", ""),
        ("filter.fluxcd.io/side: 'glob:*'", "side: {image: 'r.io/a:1'}", ""),
        ("filter.fluxcd.io/init: 'glob:*', repository.fluxcd.io/init: a.b", "a: {b: 'r.io/a:1'}", ""),
        ("fluxcd.io/tag.chart-image: 'glob:*'", "side: {image: 'r.io/a:1'}", "`chart-image` here; there is `side`: the filter has no effect, and `side` takes every tag"),
        ("filter.fluxcd.io/tag.chart-image: 'glob:*'", "image: 'r.io/a:1'", "`tag.chart-image` here; there is `chart-image`: the filter has no effect, and `chart-image` takes every tag; did you mean `chart-image`?"),
    ];
    for (annotation, values, expected) in cases {
        let text = format!(
            "kind: HelmRelease\nmetadata: {{name: a, namespace: ns, annotations: {{fluxcd.io/automated: 'true', {annotation}}}}}\nspec: {{values: {{{values}}}}}\n"
        );
        let said = repo(&[("a.yaml", &text)]).problems();
        let said: Vec<&str> = said
            .iter()
            .filter_map(|said| said.split_once(" container-unknown HelmRelease/ns/a: no container "))
            .map(|(_, why)| why)
            .collect();
        assert_eq!(said.concat(), expected, "{annotation}");
    }
}

/// Files that hold a part of an object are not judged, and a container that a patch brings is there.
#[test]
fn filters_and_patches() {
    let base = |annotation: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: a, annotations: {{fluxcd.io/automated: 'true', {annotation}: 'glob:*'}}}}\nspec: {{template: {{spec: {{containers: [{{name: app, image: 'r.io/a:1'}}]}}}}}}\n"
        )
    };
    let patch = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, annotations: {fluxcd.io/tag.app: 'glob:*'}}\nspec: {template: {spec: {containers: [{name: side, image: 'r.io/b:1'}]}}}\n";
    let json = "- {op: add, path: /spec/template/spec/containers/-, value: {name: side, image: 'r.io/b:1'}}\n";
    let inline = format!("resources: [a.yaml]\npatches:\n- target: {{kind: Deployment}}\n  patch: |\n    {json}");
    #[rustfmt::skip]
    let cases: [(&str, &[(&str, &str)], usize); 6] = [
        ("fluxcd.io/tag.side", &[("kustomization.yaml", "resources: [a.yaml]\npatches: [{path: p.yaml}]\n"), ("p.yaml", patch)], 0),
        ("fluxcd.io/tag.side", &[("kustomization.yaml", "resources: [a.yaml]\npatchesJson6902: [{target: {kind: Deployment, name: a}, path: p.yaml}]\n"), ("p.yaml", json)], 0),
        ("fluxcd.io/tag.side", &[("kustomization.yaml", &inline)], 0),
        ("fluxcd.io/tag.other", &[("kustomization.yaml", &inline)], 1),
        ("fluxcd.io/tag.app", &[(".flux.yaml", "version: 1\npatchUpdated: {generators: [{command: kustomize build .}], patchFile: p.yaml}\n"), ("kustomization.yaml", "resources: [a.yaml]\n"), ("p.yaml", patch)], 0),
        ("fluxcd.io/tag.other", &[(".flux.yaml", "version: 1\npatchUpdated: {generators: [{command: kustomize build .}], patchFile: p.yaml}\n"), ("kustomization.yaml", "resources: [a.yaml]\n"), ("p.yaml", patch)], 1),
    ];
    for (annotation, files, expected) in cases {
        let base = base(annotation);
        let files: Vec<(&str, &str)> = files.iter().copied().chain([("a.yaml", base.as_str())]).collect();
        let said = repo(&files).problems();
        let unknown = said.iter().filter(|said| said.contains(" container-unknown ")).count();
        assert_eq!(unknown, expected, "{annotation}: {said:?}");
    }
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

/// Where each was looked for among all others, this would take minutes.
#[test]
fn annotations_cost_what_they_are() {
    const COUNT: usize = 30_000;
    let annotations: String = (0..COUNT)
        .map(|n| format!("    fluxcd.io/tag.c{n}: glob:1\n    flux.weave.works/tag.c{n}: glob:{}\n", n % 3))
        .collect();
    let named: String = (0..COUNT)
        .map(|n| format!("    repository.fluxcd.io/d{n}: v{n}.a\n    tag.fluxcd.io/d{n}: v{n}.b\n"))
        .collect();
    let values: String = (0..COUNT).map(|n| format!("    v{n}: {{a: r.io/d, b: '1'}}\n")).collect();
    let text = format!(
        "kind: HelmRelease\nmetadata:\n  name: a\n  annotations:\n    fluxcd.io/automated: 'true'\n{annotations}{named}spec:\n  values:\n{values}"
    );
    let bindings = repo(&[("a.yaml", &text)]).bindings();
    let differ = bindings.problems.iter().filter(|problem| problem.code == "flux1-annotations-differ").count();
    assert_eq!((bindings.policies.len(), differ), (COUNT, COUNT / 3 * 2));
}
