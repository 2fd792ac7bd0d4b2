//! Policies of butler.yaml.

use super::{Repo, repo};

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
fn by_time() {
    let digest = "0123456789abcdef".repeat(4);
    let config = CONFIG.replace("semver: 1.x", "newest: true, filter: ^sha");
    #[rustfmt::skip]
    let cases = [
        // current, tags, times that are asked for, the new tag, `!` where a person has to say yes
        ("sha-0000001", "sha-0000001@1 sha-0000002@2", "", "sha-0000002"),
        ("sha-0000002", "sha-0000001@1 sha-0000002@2", "", ""),
        // The registry lost it, and has only what is older, or newer: nobody knows.
        ("sha-0000009", "sha-0000001@1", "", "!sha-0000001"),
        // It is there, and passes no filter, or has no time.
        ("qa-1", "qa-1@1 sha-0000002@2", "", "sha-0000002"),
        ("qa-1", "qa-1@3 sha-0000002@2", "", "!sha-0000002"),
        ("qa-1", "qa-1 sha-0000002", "qa-1@1 sha-0000002@2", "sha-0000002"),
        ("sha-0000001", "sha-0000001 sha-0000002", "sha-0000002@2", "!sha-0000002"),
        // A signature was pushed last.
        ("sha-0000001", &format!("sha-0000001@1 sha256-{digest}@3 sha256-{digest}.att@4"), "", ""),
    ];
    for (current, tags, times, expected) in cases {
        let app = APP.replace("app:1.0.0", &format!("app:{current}"));
        let repo = repo(&[("dev/a.yaml", &app)]).config(&config).tags("r.io/app", tags).times(times);
        let outcome = repo.plan_for("dev");
        let flag = |downgrade| if downgrade { "!" } else { "" };
        let found: String = outcome
            .plan
            .changes
            .iter()
            .map(|c| format!("{}{}", flag(c.downgrade), c.new.rsplit(':').next().unwrap()))
            .collect();
        assert_eq!(found, expected, "{current}: {tags}: {:?}", outcome.skipped());
    }
    let app = APP.replace("app:1.0.0", "app:sha-0000009");
    let denied = format!("{config}updates: {{downgrade: deny}}\n");
    for (config, expected) in
        [(&config, "pushed 2024-01-01T01:00:00Z; sha-0000009 is not in the registry"), (&denied, "")]
    {
        let outcome = repo(&[("dev/a.yaml", &app)]).config(config).tags("r.io/app", "sha-0000001@1").plan_for("dev");
        let reason = outcome.plan.changes.first().map(|change| change.reason.as_str()).unwrap_or_default();
        assert!(reason.ends_with(expected), "{reason}");
    }
}

#[test]
fn nothing_that_stands_there_is_no_downgrade() {
    let config = CONFIG.replace("semver: 1.x", "newest: true");
    for tag in ["", "\"\"", "~"] {
        let values = format!("image:\n  repository: r.io/app\n  tag: {tag}\n");
        let outcome = repo(&[("dev/values.yaml", &values)]).config(&config).tags("r.io/app", "a@1").plan_for("dev");
        let found: Vec<(&str, bool)> = outcome.plan.changes.iter().map(|c| (c.new.as_str(), c.downgrade)).collect();
        assert!(found.iter().all(|found| *found == ("a", false)), "{tag:?}: {found:?}");
    }
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
fn a_policy_that_cannot_be() {
    let config = CONFIG.replace("1.x", "'>>1'");
    let repo = repo(&[("dev/a.yaml", APP)]).config(&config);
    assert_eq!(repo.plan_for("dev").codes(), ["policy-invalid"]);
    assert!(
        repo.problems()[0].starts_with("butler.yaml:4:10 policy-invalid r.io/app: semver range"),
        "{:?}",
        repo.problems()
    );
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
