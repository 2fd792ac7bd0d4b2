//! Policies of butler.yaml.

use super::{Repo, bind, config, repo};

const APP: &str = "kind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [\n  {name: a, image: 'r.io/app:1.0.0'},\n  {name: b, image: r.io/app},\n  {name: c, image: r.io/other:1.0.0}]}}}\n";
const CONFIG: &str = "version: 1\nenvironments: {dev: {path: dev}, prod: {path: prod}}\nimages:\n- image: r.io/app\n  policy: {semver: 1.x}\n";

#[test]
fn every_line_of_the_image() {
    let values = "image:\n  repository: r.io/app\n  tag: 1.0.0\nsidecar:\n  image: \"r.io/app:1.0.0\"\n";
    let kustomization = "images:\n- name: app\n  newName: r.io/app\n  newTag: 1.0.0\n";
    let files = [("dev/a.yaml", APP), ("dev/values.yaml", values), ("dev/kustomization.yaml", kustomization)];
    let outcome = repo(&files).config(CONFIG).tags("r.io/app", "1.1.0 1.0.0 2.0.0").plan_for("dev");
    for (file, text) in files {
        let expected = text.replace("app:1.0.0", "app:1.1.0").replace("ag: 1.0.0", "ag: 1.1.0");
        assert_eq!(outcome.files[file], expected);
    }
    assert_eq!(outcome.codes(), [""; 0]);
    assert_eq!(outcome.plan.changes[0].policy.as_deref(), Some("butler.yaml:r.io/app"));
}

#[test]
fn only_in_its_environments() {
    let config = CONFIG.replace("  policy:", "  environments: [dev]\n  policy:");
    let repo = repo(&[("dev/a.yaml", APP), ("prod/a.yaml", APP)]).config(&config).tags("r.io/app", "1.1.0");
    assert_eq!(repo.plan_for("dev").values(), ["r.io/app:1.1.0"]);
    assert_eq!(repo.plan_for("prod").values(), [""; 0]);
}

#[test]
fn a_pinned_digest_goes_with_the_tag() {
    let (old, new) = ("1".repeat(64), "0".repeat(64));
    let text = APP.replace("app:1.0.0", &format!("app:1.0.0@sha256:{old}"));
    let outcome = repo(&[("dev/a.yaml", &text)]).config(CONFIG).tags("r.io/app", "1.1.0").plan_for("dev");
    assert_eq!(outcome.values(), [format!("r.io/app:1.1.0@sha256:{new}")]);
}

#[test]
fn policies_that_disagree() {
    let annotated = APP.replace("{name: a}\n", "{name: a, annotations: {fluxcd.io/automated: 'true'}}\n");
    let repo =
        repo(&[("dev/a.yaml", &annotated)]).config(CONFIG).tags("r.io/app", "1.1.0 1.0.0").tags("r.io/other", "");
    let outcome = repo.plan_for("dev");
    assert_eq!(outcome.plan.skipped[0].code, "policy-conflict", "{:?}", outcome.skipped());
    assert!(outcome.skipped()[0].contains("glob:* of r.io/app; semver 1.x of r.io/app"), "{:?}", outcome.skipped());
    assert_eq!(outcome.values(), [""; 0]);
    assert!(repo.problems().iter().any(|problem| problem.contains("policy-conflict")), "{:?}", repo.problems());
}

#[test]
fn policies_that_agree() {
    let marked = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: app, namespace: n}\nspec: {image: r.io/app}\n---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: app, namespace: n}\nspec: {imageRepositoryRef: {name: app}, policy: {semver: {range: 1.x}}}\n---\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: a\n    image: r.io/app:1.0.0 # {\"$imagepolicy\": \"n:app\"}\n";
    let repo = repo(&[("dev/a.yaml", marked)]).config(CONFIG).tags("r.io/app", "1.1.0");
    assert_eq!(repo.plan_for("dev").values(), ["r.io/app:1.1.0"]);
    assert_eq!(repo.problems(), [""; 0]);
}

#[test]
fn where_they_are_defined() {
    let config = config::parse(".github/butler.yaml", CONFIG).unwrap();
    let bindings = bind(&repo(&[("dev/a.yaml", APP)]).snapshot(), &config);
    let [policy] = &bindings.policies[..] else { panic!("{:?}", bindings.policies) };
    assert_eq!((policy.key.to_string(), policy.file.as_str()), ("butler.yaml:r.io/app".into(), ".github/butler.yaml"));
}

/// A release whose tag goes to a patch file, which may be there already.
fn generated(native: &str, patch: &str) -> Repo {
    let generator =
        "version: 1\npatchUpdated:\n  generators: [{command: kustomize build .}]\n  patchFile: patch.yaml\n";
    let release = "apiVersion: helm.fluxcd.io/v1\nkind: HelmRelease\nmetadata: {name: a, annotations: {fluxcd.io/automated: 'true', fluxcd.io/tag.chart-image: 'semver:~1'}}\nspec: {values: {image: {repository: r.io/app, tag: 1.0.0-a}}}\n";
    let config =
        format!("version: 1\nenvironments: {{dev: {{path: dev}}, prod: {{path: prod}}}}\nimages:\n- image: {native}\n");
    let mut files = vec![
        ("dev/.flux.yaml", generator),
        ("dev/kustomization.yaml", "resources: [../base]\n"),
        ("base/kustomization.yaml", "resources: [a.yaml]\n"),
        ("base/a.yaml", release),
    ];
    if !patch.is_empty() {
        files.push(("dev/patch.yaml", patch));
    }
    repo(&files).config(&config).tags("r.io/app", "1.1.0 1.2.0-b")
}

#[test]
fn policies_that_disagree_on_a_patch_file() {
    let patch = "apiVersion: helm.fluxcd.io/v1\nkind: HelmRelease\nmetadata: {name: a}\nspec: {values: {image: {tag: 1.0.0}}}\n";
    let conflict = "policy-conflict default:helmrelease/a:chart-image and butler.yaml:r.io/app both want this value, and \
                    differ: semver:~1 of r.io/app; semver 1.x of r.io/app. Remove one of the two";
    #[rustfmt::skip]
    let cases = [
        ("another order", "r.io/app\n  policy: {semver: 1.x}", Some(conflict)),
        ("in this environment", "r.io/app\n  environments: [dev]\n  policy: {semver: 1.x}", Some(conflict)),
        ("in another environment", "r.io/app\n  environments: [prod]\n  policy: {semver: 1.x}", None),
        ("another image", "r.io/other\n  policy: {semver: 1.x}", None),
    ];
    for (what, native, expected) in cases {
        for patch in ["", patch] {
            let repo = generated(native, patch);
            let outcome = repo.plan_for("dev");
            let problems = repo.problems();
            let (codes, values, told) = match expected {
                Some(expected) => {
                    (vec!["policy-conflict"], vec![], problems.iter().any(|text| text.contains(expected)))
                }
                None => (vec![], vec!["1.1.0"], problems.is_empty()),
            };
            assert_eq!((outcome.codes(), outcome.values()), (codes, values), "{what}, {patch:?}");
            assert!(told, "{what}, {patch:?}: {problems:?}");
        }
    }
}
