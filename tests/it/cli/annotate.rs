//! `butler annotate`

use crate::support::binary::Folder;

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app\n  namespace: prod\n  annotations:\n    flux.weave.works/tag.app: glob:* # any\n    other: 'x'\nspec:\n  template:\n    spec:\n      containers:\n      - name: app\n        image: example.com/app:1\n";

#[test]
fn policies_are_set_and_taken_away() {
    let lock = "    flux.weave.works/automated: \"true\"\n    flux.weave.works/locked_msg: \"it's me\"\n";
    let with = |tag: &str, lock: &str| {
        DEPLOYMENT.replace("glob:*", tag).replace("    other: 'x'\n", &format!("    other: 'x'\n{lock}"))
    };
    #[rustfmt::skip]
    let cases: &[(&[&str], String)] = &[
        (&["--set", "automated=true", "--set", "locked_msg=it's me"], with("glob:*", lock)),
        (&["--set", "tag.app=semver:~1"], with("\"semver:~1\"", "")),
        (&["--set", "tag_all=glob:*"], DEPLOYMENT.to_owned()),
        (&["--remove", "tag.app", "--remove", "locked"], DEPLOYMENT.replace("    flux.weave.works/tag.app: glob:* # any\n", "")),
    ];
    for (arguments, expected) in cases {
        let folder = Folder::with(&[("a/app.yaml", DEPLOYMENT)]);
        let arguments = [&["annotate", ".", "--object", "prod:deployment/app"], *arguments].concat();
        let shown = folder.run(&arguments);
        assert_eq!(folder.text("a/app.yaml"), DEPLOYMENT, "only shown");
        assert_eq!((shown.code, shown.out.is_empty()), (0, *expected == DEPLOYMENT), "{arguments:?}");
        folder.run(&[&arguments[..], &["--write"]].concat());
        assert_eq!(folder.text("a/app.yaml"), *expected, "{arguments:?}");
    }
}

#[test]
fn what_cannot_be_says_why() {
    let generated = "version: 1\npatchUpdated: {generators: [{command: kustomize build .}], patchFile: p.yaml}\n";
    let base = [
        ("dev/.flux.yaml", generated),
        ("dev/kustomization.yaml", "resources: [../base]\n"),
        ("base/kustomization.yaml", "resources: [app.yaml]\n"),
        ("base/app.yaml", DEPLOYMENT),
    ];
    let one = [("app.yaml", DEPLOYMENT)];
    let two = [("app.yaml", DEPLOYMENT), ("b.yaml", DEPLOYMENT)];
    #[rustfmt::skip]
    let cases: &[(&[(&str, &str)], &str, &str, &str)] = &[
        (&one, "prod:deployment/app", "automated=yes", "app.yaml: expected automated to be true or false, found \"yes\""),
        (&one, "prod:deployment/app", "automate=true", "app.yaml: expected one of automated, ignore, locked, locked_msg, locked_user, tag.CONTAINER and tag_all, found \"automate\""),
        (&one, "prod:deployment/app", "tag.web=glob:*", "app.yaml: expected tag.web to be of a container, which are app"),
        (&one, "prod:deployment/app", "tag.app=semver:nope", "app.yaml: expected tag.app to be a pattern of tags: "),
        (&one, "prod:deployment/app", "automated", "--set \"automated\": expected a value behind `=`, found no `=`"),
        (&one, "app", "automated=true", "--object: expected an object as NAMESPACE:KIND/NAME, found \"app\""),
        (&one, "dev:deployment/app", "automated=true", "expected an object dev:deployment/app, found none"),
        (&two, "prod:deployment/app", "automated=true", "expected prod:deployment/app once, found it at app.yaml:1:1 and b.yaml:1:1: give the file that is meant as PATH"),
        (&base, "prod:deployment/app", "automated=true", "base/app.yaml is a base of what a .flux.yaml builds"),
    ];
    for (files, object, set, expected) in cases {
        let folder = Folder::with(files);
        let run = folder.run(&["annotate", "--object", object, "--set", set, "--write"]);
        assert!(run.code == 2 && run.err.contains(expected), "{object} {set}: {}", run.err);
    }
    let folder = Folder::with(&base);
    folder.run(&["annotate", "base/app.yaml", "--object", "prod:deployment/app", "--set", "locked=true", "--write"]);
    assert!(folder.text("base/app.yaml").contains("flux.weave.works/locked: \"true\""));
}
