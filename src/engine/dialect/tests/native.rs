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

/// What a marker wants and what butler.yaml wants, of one line.
#[test]
fn what_a_marker_must_have_in_common() {
    let digest = format!("@sha256:{}", "1".repeat(64));
    let marked = |source: &str, policy: &str, line: &str| {
        format!(
            "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {{name: app, namespace: n}}\nspec: {{image: r.io/app{source}}}\n\
             ---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {{name: app, namespace: n}}\n\
             spec: {{imageRepositoryRef: {{name: app}}, policy: {{semver: {{range: 1.x}}}}{policy}}}\n---\n{line}\n"
        )
    };
    let pod = |digest: &str| {
        format!(
            "kind: Pod\nmetadata: {{name: p}}\nspec:\n  containers:\n  - name: a\n    image: r.io/app:1.0.0{digest} # {{\"$imagepolicy\": \"n:app\"}}"
        )
    };
    let (bare, pinned) = (pod(""), pod(&digest));
    let (never, always) = ("semver 1.x of r.io/app (digest: never)", "semver 1.x of r.io/app (digest: always)");
    let reflected = ", digestReflectionPolicy: Always, interval: 1m";
    #[rustfmt::skip]
    let cases = [
        ("the same", "", "", "{semver: 1.x}", &bare, None),
        ("the range in another spelling", "", "", "{semver: 1.X}", &bare, None),
        ("another range", "", "", "{semver: ^1.2}", &bare, Some(("semver 1.x of r.io/app", "semver ^1.2 of r.io/app"))),
        ("what is left out of one", ", exclusionList: [rc, '^1[.]2']", "", "{semver: 1.x}", &bare,
            Some(("semver 1.x of r.io/app (without tags like `^1[.]2`, `rc`)", "semver 1.x of r.io/app (without tags like `^.*\\.sig$`)"))),
        ("what is left out of both", ", exclusionList: [rc, '^1[.]2']", "", "{semver: 1.x, exclude: ['^1[.]2', rc]}", &bare, None),
        ("a digest that would go", "", "", "{semver: 1.x}", &pinned, Some((never, always))),
        ("a digest that would come", "", reflected, "{semver: 1.x}", &bare, Some((always, never))),
        ("a digest for both", "", reflected, "{semver: 1.x}", &pinned, None),
        ("a digest that is no part of the value", "", reflected, "{semver: 1.x}", &bare.replace("app\"", "app:tag\"").replace("    image: r.io/app:1.0.0", "    image: r.io/app\n    tag: 1.0.0"), None),
    ];
    for (what, source, policy, native, line, expected) in cases {
        let config = CONFIG.replace("{semver: 1.x}", native);
        let repo = repo(&[("dev/a.yaml", &marked(source, policy, line))]).config(&config).tags("r.io/app", "1.1.0");
        let outcome = repo.plan_for("dev");
        match expected {
            None => {
                assert_eq!((outcome.values().len(), repo.problems()), (1, vec![]), "{what}: {:?}", outcome.skipped());
            }
            Some((marker, butler)) => {
                let why = format!(
                    "n:app and butler.yaml:r.io/app both want this value, and differ: {marker}; {butler}. Remove one of the two"
                );
                assert_eq!(
                    (outcome.skipped(), outcome.values()),
                    (vec![format!("policy-conflict: {why}")], vec![]),
                    "{what}"
                );
                assert_eq!(repo.problems().len(), 1, "{what}");
                assert!(repo.problems()[0].ends_with(&why), "{what}: {:?}", repo.problems());
            }
        }
    }
}

#[test]
fn policies_of_one_image() {
    let config = |images: &[(&str, &str)]| {
        let images = images.iter().map(|(environments, exclude)| {
            format!(
                "- {{image: r.io/app, environments: [{environments}], policy: {{semver: 1.x, exclude: {exclude}}}}}\n"
            )
        });
        let start = "version: 1\nenvironments: {dev: {path: dev}, prod: {path: prod}}\nimages:\n";
        format!("{start}{}", images.collect::<String>())
    };
    #[rustfmt::skip]
    let cases: [(&[(&str, &str)], bool); 5] = [
        (&[("dev", "rc"), ("dev", "rc")], false),
        (&[("dev", "rc"), ("dev", "beta")], true),
        (&[("dev", "rc"), ("prod", "beta")], false),
        (&[("dev, prod", "rc"), ("prod, dev", "beta")], true),
        // Those that meet are not neighbours.
        (&[("dev, prod", "rc"), ("prod", "rc"), ("dev", "beta")], true),
    ];
    for (images, conflict) in cases {
        let repo = repo(&[("dev/a.yaml", APP)]).config(&config(images)).tags("r.io/app", "1.1.0");
        let told: Vec<String> = repo.problems();
        assert_eq!(repo.plan_for("dev").codes(), vec!["policy-conflict"; usize::from(conflict)], "{images:?}");
        assert_eq!(told.len(), usize::from(conflict), "{images:?}: {told:?}");
    }
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
